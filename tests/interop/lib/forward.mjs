// Reaches a TCP port inside a network namespace from the test process, which is outside: a Unix
// socket (the file system is shared) whose connections a small process in the namespace continues.

import { createServer, connect } from 'node:net';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { start } from './process.mjs';

const RELAY = `
  const net = require('node:net');
  const [path, host, port] = process.argv.slice(1);
  net.createServer((near) => {
    const far = net.connect(Number(port), host);
    for (const socket of [near, far]) socket.on('error', () => { near.destroy(); far.destroy(); });
    near.pipe(far).pipe(near);
  }).listen(path, () => console.log('ready'));
`;

let made = 0;

/** Returns `{ path, connect(), listen(port) }` for `host:port` inside the namespace. */
export async function forward(scope, namespace, host, port) {
  made += 1;
  const path = join(scope.directory, `forward-${made}.sock`);
  const relay = start({
    namespace,
    name: `forward-${made}`,
    command: process.execPath,
    args: ['-e', RELAY, path, host, String(port)],
  });
  scope.defer(() => relay.stop());
  await relay.waitForLine(/^ready/m);
  if (!existsSync(path)) throw new Error(`no socket at ${path}`);
  return {
    path,
    connect: () => connect(path),
    /** Makes the port appear on this side's loopback, for clients that need an address. */
    async listen(localPort = 0) {
      const server = createServer((near) => {
        const far = connect(path);
        for (const socket of [near, far]) {
          socket.on('error', () => {
            near.destroy();
            far.destroy();
          });
        }
        near.pipe(far).pipe(near);
      });
      await new Promise((resolve, reject) => {
        server.on('error', reject);
        server.listen(localPort, '127.0.0.1', resolve);
      });
      server.unref();
      scope.defer(() => server.close());
      return server.address().port;
    },
  };
}
