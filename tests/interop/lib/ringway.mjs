// The gateway under test, in a namespace.

import { spawnSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { DOMAIN, PORTS } from './kamailio.mjs';
import { ADDRESS } from './namespaces.mjs';
import { start } from './process.mjs';

const BUILT = fileURLToPath(new URL('../../../target/debug/ringway', import.meta.url));

/** Address of the web phone that {@link gateway} serves. */
export const PHONE = `https://${ADDRESS.edgeToBrowser}:8443/`;

/** Address of the web phone that {@link demo} serves. */
export const DEMO_PHONE = 'http://127.0.0.1:8080/';

/** Lines of [sip] and [[trunk]] for the transport to the carrier. */
function transportLines(transport, tls) {
  if (transport === 'udp') return { sip: '', trunk: '' };
  if (transport === 'auto') {
    const sip = `listen_tcp = "${ADDRESS.edgeToCarrier}:${PORTS.tcp}"`;
    return { sip, trunk: 'transport = "auto"' };
  }
  const sip = [`listen_${transport} = "${ADDRESS.edgeToCarrier}:${PORTS[transport]}"`];
  const trunk = [`transport = "${transport}"`];
  if (transport === 'tls') {
    sip.push(`certificate = "${tls.certificate}"`, `private_key = "${tls.privateKey}"`);
    sip.push(`client_ca = "${tls.authorities}"`);
    trunk.push(`ca = "${tls.authorities}"`);
  }
  return { sip: sip.join('\n'), trunk: trunk.join('\n') };
}

function configuration({ codecs, silentAfterSeconds, registration, transport, tls, ...others }) {
  const { keys, more, web, sipKeys, target = `${ADDRESS.carrier}:${PORTS[transport]}` } = others;
  const { sip, trunk } = transportLines(transport, tls);
  return `[web]
listen = "${ADDRESS.edgeToBrowser}:8443"
${web}
[sip]
listen = "${ADDRESS.edgeToCarrier}:5060"
${sip}
${sipKeys}
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
target = ${JSON.stringify(target)}
${trunk}
domain = "${DOMAIN}"
codecs = ${JSON.stringify(codecs)}
${keys}
[[realm]]
domain = "${DOMAIN}"
trunk = "carrier"
registration = "${registration}"
${more}
`;
}

async function run(scope, namespace, args, port, { panics, variables } = {}) {
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
    env: { RUST_BACKTRACE: '1', ...(panics && { RINGWAY_PANIC: panics.join(',') }), ...variables },
    logFile: scope.logFile('ringway'),
  });
  scope.defer(async () => {
    await child.stop('SIGTERM', 6_000);
    const hasPanicked = /ERROR panic:|panicked at/.test(child.output);
    if (hasPanicked && !panics) scope.fail(new Error('ringway panicked; see its log'));
  });
  await child.waitForPort('tcp', port);
  return child;
}

/**
 * Ringway on the edge between the browser's and the carrier's network.
 * @param {{codecs?: string[], silentAfterSeconds?: number, registration?: string,
 *   transport?: 'udp' | 'tcp' | 'tls' | 'auto', target?: string | string[],
 *   keys?: string, more?: string, web?: string, sipKeys?: string,
 *   tls?: {certificate: string, privateKey: string, authorities: string}}} options `transport` and
 *   `tls` are those of the trunk and of the listener beside UDP; `keys` are more lines of the trunk,
 *   `sipKeys` of [sip], `more` of the end of the file.
 */
export function gateway(scope, namespace, options = {}) {
  const file = join(scope.directory, 'ringway.toml');
  const defaults = { silentAfterSeconds: 60, registration: 'contact', transport: 'udp' };
  const others = { codecs: ['PCMU', 'PCMA'], keys: '', more: '', web: '', sipKeys: '' };
  const text = configuration({ ...others, ...defaults, ...options });
  writeFileSync(file, text);
  return run(scope, namespace, ['--config', file], 8443);
}

/**
 * Ringway without any configuration.
 * @param {{panics?: string[]}} options the parts that panic, one for each SIGUSR2 (debug builds)
 */
export function demo(scope, namespace, { panics } = {}) {
  return run(scope, namespace, [], 8080, { panics });
}

/**
 * Ringway by variables of the environment alone.
 * @param {object} variables as Sippy's container takes them
 * @param {number} port where browsers reach it
 */
export function byEnvironment(scope, namespace, variables, port) {
  return run(scope, namespace, [], port, { variables });
}

/** What `ringway check-config` says in this environment, and whether it has nothing to object to. */
export function checkConfig(variables, ...args) {
  const command = process.env.RINGWAY_BIN || BUILT;
  const env = { ...process.env, ...variables };
  const { status, stdout, stderr } = spawnSync(command, ['check-config', ...args], {
    encoding: 'utf8',
    env,
  });
  return { isValid: status === 0, text: stdout + stderr };
}
