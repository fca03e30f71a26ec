// Kamailio as the registrar of a carrier in its kinds (Path or not, how it challenges), with JsSIP and
// SIP.js, in Node.js and in Chromium; and OPTIONS in both directions.

import assert from 'node:assert/strict';
import { baresip } from './lib/baresip.mjs';
import { waitForTone } from './lib/browser.mjs';
import { capture, header } from './lib/capture.mjs';
import { kamailio, USERS } from './lib/kamailio.mjs';
import { ADDRESS, threeNetworks } from './lib/namespaces.mjs';
import { nodePhone } from './lib/node_stacks.mjs';
import { gateway } from './lib/ringway.mjs';
import { eventually, interop } from './lib/scope.mjs';
import { sipjsPage } from './lib/sipjs.mjs';
import { BROWSER_HZ, CARRIER_HZ, carrierWorld, carrierWorldWithAlice } from './lib/world.mjs';

/** Ringway and a carrier of this kind, with a telephone behind it; no browser. */
async function carrierOf(scope, carrierOptions, gatewayOptions) {
  const networks = threeNetworks();
  scope.defer(networks.remove);
  const carrier = await kamailio(scope, networks.carrier, carrierOptions);
  const wire = await capture(scope, networks.carrier, 'to-edge');
  const ringway = await gateway(scope, networks.edge, gatewayOptions);
  const telephone = await baresip(scope, networks.carrier, { toneHz: CARRIER_HZ });
  return { networks, carrier, wire, ringway, telephone };
}

/** What a browser answered challenges with, as the carrier got it. */
function assertAnswered(wire, method, name) {
  const given = wire.sip(`${method} `).flatMap(({ text }) => header(text, name));
  assert.ok(given.length > 0, `a ${method} with ${name}`);
  for (const value of given) assert.doesNotMatch(value, /SHA-256|auth-int/);
}

for (const stack of ['jssip', 'sipjs']) {
  for (const registration of ['contact', 'path']) {
    for (const challenge of ['without_qop', 'sha256_and_md5']) {
      const name = `${stack}_in_node_${registration}_${challenge}`;
      interop(name, async (scope) => {
        const options = { path: registration === 'path', challenge };
        const world = await carrierOf(scope, options, { registration });
        const { networks, telephone, wire, ringway } = world;
        const alice = await nodePhone(scope, networks.browser, stack, 'alice', USERS.alice);
        await alice.register();
        await alice.call('2000');
        await telephone.waitFor('CALL_ESTABLISHED');
        await alice.hangUp();
        await telephone.waitFor('CALL_CLOSED');

        telephone.forget();
        await telephone.dial('alice');
        await alice.answer();
        await telephone.waitFor('CALL_ESTABLISHED');
        await alice.hangUp();
        await telephone.waitFor('CALL_CLOSED');
        assertAnswered(wire, 'REGISTER', 'Authorization');
        assertAnswered(wire, 'INVITE', 'Proxy-Authorization');
        const registered = wire.sip('REGISTER ').at(-1).text;
        assert.equal(header(registered, 'Path').length, registration === 'path' ? 1 : 0);
        await ringway.waitForLine(/call ended[^]*call ended/);
      });
    }
  }
}

const STRICT = { carrier: { challenge: 'sha256_and_md5' } };

interop('jssip_in_chromium_sha256_and_md5', async (scope) => {
  const { networks, page, phone, wire } = await carrierWorldWithAlice(scope, STRICT);
  const telephone = await baresip(scope, networks.carrier, { toneHz: CARRIER_HZ });
  await phone.dial('2000');
  await phone.waitForCall('in-call');
  await Promise.all([telephone.waitForTone(BROWSER_HZ), waitForTone(page, CARRIER_HZ)]);
  await phone.hangUp();
  await telephone.waitFor('CALL_CLOSED');
  assertAnswered(wire, 'REGISTER', 'Authorization');
  assertAnswered(wire, 'INVITE', 'Proxy-Authorization');
});

interop('sipjs_in_chromium_path_sha256_and_md5', async (scope) => {
  const options = { carrier: { path: true }, gateway: { registration: 'path' } };
  const { browser, networks, wire } = await carrierWorld(scope, options);
  const telephone = await baresip(scope, networks.carrier, { toneHz: CARRIER_HZ });
  const page = await sipjsPage(scope, browser);

  await telephone.dial('alice');
  await telephone.waitFor('CALL_ESTABLISHED');
  await eventually(
    'SIP.js in the call',
    async () => (await page.evaluate(() => globalThis.sipjs.state())) === 'Established',
  );
  await Promise.all([telephone.waitForTone(BROWSER_HZ), waitForTone(page, CARRIER_HZ)]);
  await page.evaluate(() => globalThis.sipjs.bye());
  await telephone.waitFor('CALL_CLOSED');
  assertAnswered(wire, 'REGISTER', 'Authorization');
});

interop('c14_options_both_ways', async (scope) => {
  const keys = 'probe_s = 10';
  const { carrier, ringway, networks } = await carrierOf(scope, { probes: true }, { keys });
  const edge = ADDRESS.edgeToCarrier.replaceAll('.', '\\.');
  // Ringway asks, and takes the answer for one; the carrier asks, and takes ours.
  await carrier.waitForLine(new RegExp(`carrier: OPTIONS \\S+ from ${edge}:`), 20_000);
  await carrier.waitForLine(new RegExp(`carrier: reply 200 OK to OPTIONS from ${edge}:5060`));
  assert.doesNotMatch(ringway.output, /target is down/);
  assert.doesNotMatch(carrier.output, /gateway is down/);
  await ringway.stop('SIGTERM', 6_000);
  await carrier.waitForLine(/the gateway is down/);
  await gateway(scope, networks.edge, { keys });
  await carrier.waitForLine(/the gateway is up/);
});
