// A certificate of the web listener that ringway obtains and renews by itself, from pebble.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import tls from 'node:tls';
import WebSocket from 'ws';
import { authority } from './lib/authority.mjs';
import { forward } from './lib/forward.mjs';
import { ADDRESS, threeNetworks } from './lib/namespaces.mjs';
import { DIRECTORY, pebble } from './lib/pebble.mjs';
import { gateway } from './lib/ringway.mjs';
import { interop } from './lib/scope.mjs';

const NAME = 'phone.test';
const OBTAINED = /certificate obtained \(ACME\)/g;
const FAILED = /no new certificate \(ACME\); it is tried again/g;

const count = (text, pattern) => [...text.matchAll(pattern)].length;

/** Networks, an authority for the authority, and what ringway is told of both. */
function world(scope) {
  const networks = threeNetworks();
  scope.defer(networks.remove);
  const known = authority(scope, 'known');
  const cache = join(scope.directory, 'cache');
  const web = `[web.acme]
domains = ["${NAME}"]
contact = "mailto:ops@example.com"
directory = "${DIRECTORY}"
directory_ca = "${known.certificate}"
cache = "${cache}"`;
  const identity = known.sign(`IP:${ADDRESS.browser}`);
  const startPebble = (options) =>
    pebble(scope, networks.browser, identity, { authorities: known.certificate, ...options });
  return { networks, cache, web, startPebble };
}

/** What makes connections to ringway from the browser's network, by this trust. */
async function door(scope, networks) {
  const inside = await forward(scope, networks.browser, ADDRESS.edgeToBrowser, 8443);
  const connect = (trust) => tls.connect({ socket: net.connect(inside.path), ...trust });
  return {
    /** The certificate that this name is shown, or the error of who does not believe it. */
    async certificate(trust) {
      const socket = connect({ servername: NAME, ...trust });
      try {
        await once(socket, 'secureConnect');
        return socket.getPeerX509Certificate();
      } catch (error) {
        return error.code;
      } finally {
        socket.destroy();
      }
    },
    async webSocket(trust) {
      const createConnection = () => connect({ servername: NAME, ...trust });
      const socket = new WebSocket(`wss://${NAME}:8443/ws`, ['sip'], { createConnection });
      scope.defer(() => socket.terminate());
      await once(socket, 'open');
      return socket;
    },
  };
}

/** True once ringway has answered a keep-alive on this connection (RFC 7118 section 6). */
async function isAlive(socket) {
  const answered = once(socket, 'message', { signal: AbortSignal.timeout(5_000) });
  socket.send('\r\n\r\n');
  const [answer] = await answered;
  return String(answer) === '\r\n';
}

interop('certificate_is_obtained_and_renewed_and_open_connections_stay', async (scope) => {
  const { networks, cache, web, startPebble } = world(scope);
  // Nobody is there to ask: the listener has a certificate of its own.
  const ringway = await gateway(scope, networks.edge, { web });
  const { certificate, webSocket } = await door(scope, networks);
  await ringway.waitForLine(FAILED);
  const own = await certificate({ rejectUnauthorized: false });
  assert.equal(own.subject, 'CN=ringway');

  const authorityProcess = await startPebble({ validSeconds: 30 });
  const trust = { ca: await authorityProcess.root() };
  ringway.kill('SIGHUP');
  await ringway.waitForLine(OBTAINED);
  const first = await certificate(trust);
  assert.match(first.subjectAltName, new RegExp(`DNS:${NAME}`));
  const socket = await webSocket(trust);
  assert.ok(await isAlive(socket));

  // Two thirds of 30 seconds.
  await ringway.waitUntil(() => count(ringway.output, OBTAINED) > 1, 40_000, 'a renewal');
  const second = await certificate(trust);
  assert.notEqual(second.serialNumber, first.serialNumber);
  assert.ok(await isAlive(socket));
  assert.equal(count(ringway.output, FAILED), 1);

  const files = readdirSync(cache).map((name) => join(cache, name));
  assert.equal(files.length, 2, files.join(' '));
  for (const file of files) assert.equal(statSync(file).mode & 0o777, 0o600, file);
  const key = files.map((file) => readFileSync(file, 'utf8')).find((text) => /PRIVATE/.test(text));
  assert.ok(!ringway.output.includes(key.split('\n')[1]), 'the key is in the log');
});

interop('cached_certificate_outlives_a_restart_without_the_authority', async (scope) => {
  const { networks, web, startPebble } = world(scope);
  const authorityProcess = await startPebble();
  const trust = { ca: await authorityProcess.root() };
  const before = await gateway(scope, networks.edge, { web });
  const { certificate, webSocket } = await door(scope, networks);
  await before.waitForLine(OBTAINED);
  const first = await certificate(trust);
  await before.stop();
  await authorityProcess.stop();

  const after = await gateway(scope, networks.edge, { web });
  assert.equal((await certificate(trust)).serialNumber, first.serialNumber);
  assert.ok(await isAlive(await webSocket(trust)));
  assert.equal(count(after.output, FAILED) + count(after.output, OBTAINED), 0);
});

interop('name_that_leads_elsewhere_is_a_warning_and_the_listener_goes_on', async (scope) => {
  const { networks, web, startPebble } = world(scope);
  // Nobody listens there.
  await startPebble({ address: ADDRESS.browser });
  const ringway = await gateway(scope, networks.edge, { web });
  const { certificate, webSocket } = await door(scope, networks);
  await ringway.waitForLine(/WARN.*no new certificate.*Failed to connect.*tls-alpn-01/);
  const any = { rejectUnauthorized: false };
  assert.equal((await certificate(any)).subject, 'CN=ringway');
  assert.ok(await isAlive(await webSocket(any)));
  // The same once more is no news.
  ringway.kill('SIGHUP');
  await ringway.waitForLine(/DEBUG.*no new certificate \(ACME\)/);
  assert.equal(count(ringway.output, FAILED), 1);
});
