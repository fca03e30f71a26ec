// The gateway under test: the release binary, in a namespace.

import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { DOMAIN } from './kamailio.mjs';
import { ADDRESS } from './namespaces.mjs';
import { start } from './process.mjs';

const BUILT = fileURLToPath(new URL('../../../target/release/ringway', import.meta.url));

/** Address of the web phone that {@link gateway} serves. */
export const PHONE = `https://${ADDRESS.edgeToBrowser}:8443/`;

/** Address of the web phone that {@link demo} serves. */
export const DEMO_PHONE = 'http://127.0.0.1:8080/';

function configuration({ codecs, silentAfterSeconds, registration }) {
  return `[web]
listen = "${ADDRESS.edgeToBrowser}:8443"
[sip]
listen = "${ADDRESS.edgeToCarrier}:5060"
[media]
browser_bind = "${ADDRESS.edgeToBrowser}"
trunk_bind = "${ADDRESS.edgeToCarrier}"
rtp_port_min = 10000
rtp_port_max = 10999
silent_after_s = ${silentAfterSeconds}
[log]
level = "debug"
[[trunk]]
name = "carrier"
target = "${ADDRESS.carrier}:5060"
domain = "${DOMAIN}"
codecs = ${JSON.stringify(codecs)}
[[realm]]
domain = "${DOMAIN}"
trunk = "carrier"
registration = "${registration}"
`;
}

async function run(scope, namespace, args, port) {
  const command = process.env.RINGWAY_BIN || BUILT;
  if (!existsSync(command)) {
    throw new Error(`${command} does not exist: build it, or set RINGWAY_BIN`);
  }
  const child = start({
    namespace,
    name: 'ringway',
    command,
    args,
    cwd: scope.directory,
    env: { RUST_BACKTRACE: '1' },
    logFile: scope.logFile('ringway'),
  });
  scope.defer(async () => {
    await child.stop('SIGTERM', 6_000);
    if (/panicked at/.test(child.output)) scope.fail(new Error('ringway panicked; see its log'));
  });
  await child.waitForPort('tcp', port);
  return child;
}

/** Ringway on the edge between the browser's and the carrier's network. */
export function gateway(scope, namespace, options = {}) {
  const file = join(scope.directory, 'ringway.toml');
  const text = configuration({ codecs: ['PCMU', 'PCMA'], silentAfterSeconds: 60, registration: 'contact', ...options });
  writeFileSync(file, text);
  return run(scope, namespace, ['--config', file], 8443);
}

/** Ringway without any configuration. */
export function demo(scope, namespace) {
  return run(scope, namespace, [], 8080);
}
