// A certificate authority that speaks ACME (RFC 8555): Debian's pebble, in the browser's network,
// and its name server, which knows one address for every name.

import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import https from 'node:https';
import { join } from 'node:path';
import { forward } from './forward.mjs';
import { ADDRESS } from './namespaces.mjs';
import { start } from './process.mjs';

const PORT = { directory: 14000, management: 15000, names: 8053 };

/** Where ringway finds the authority. */
export const DIRECTORY = `https://${ADDRESS.browser}:${PORT.directory}/dir`;

/**
 * Starts it. It looks at the port 8443 of the address that all names have.
 * @param {{certificate: string, privateKey: string}} identity Its own, for the directory.
 * @param {{validSeconds?: number, address?: string, authorities: string}} options How long its
 *   certificates last, the address of all names, and who signed its own certificate.
 * Returns the process, with `root()`: the certificate that browsers must trust, as PEM.
 */
export async function pebble(scope, namespace, identity, options) {
  const { validSeconds = 86_400, address = ADDRESS.edgeToBrowser } = options;
  const names = start({
    namespace,
    name: 'names',
    command: 'pebble-challtestsrv',
    args: [
      ...['-defaultIPv4', address, '-defaultIPv6', '', '-dns01', `127.0.0.1:${PORT.names}`],
      ...['-http01', '', '-https01', '', '-tlsalpn01', '', '-management', '127.0.0.1:8055'],
    ],
    logFile: scope.logFile('names'),
  });
  scope.defer(() => names.stop());
  await names.waitForPort('udp', PORT.names);

  const file = join(scope.directory, 'pebble.json');
  const settings = {
    listenAddress: `${ADDRESS.browser}:${PORT.directory}`,
    managementListenAddress: `127.0.0.1:${PORT.management}`,
    certificate: identity.certificate,
    privateKey: identity.privateKey,
    httpPort: 5002,
    tlsPort: 8443,
    certificateValidityPeriod: validSeconds,
  };
  writeFileSync(file, JSON.stringify({ pebble: settings }));
  const child = start({
    namespace,
    name: 'pebble',
    command: 'pebble',
    args: ['-config', file, '-dnsserver', `127.0.0.1:${PORT.names}`, '-strict'],
    env: { PEBBLE_VA_NOSLEEP: '1' },
    logFile: scope.logFile('pebble'),
  });
  scope.defer(() => child.stop());
  await child.waitForPort('tcp', PORT.directory);
  child.root = () => root(scope, namespace, options.authorities);
  return child;
}

async function root(scope, namespace, authorities) {
  const inside = await forward(scope, namespace, '127.0.0.1', PORT.management);
  const request = https.get(`https://127.0.0.1:${await inside.listen()}/roots/0`, {
    ca: readFileSync(authorities),
    // It has a name for what ringway connects to; here it is at the end of a relay.
    checkServerIdentity: () => undefined,
  });
  const [response] = await once(request, 'response');
  response.setEncoding('utf8');
  let text = '';
  for await (const chunk of response) text += chunk;
  return text;
}
