// A carrier of two nodes: when one dies, calls and registrations go on at the other within the same
// attempt; when it is back, OPTIONS find out.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { baresip } from './lib/baresip.mjs';
import { DOMAIN, kamailio, USERS } from './lib/kamailio.mjs';
import { ADDRESS, threeNetworks } from './lib/namespaces.mjs';
import { run } from './lib/process.mjs';
import { gateway } from './lib/ringway.mjs';
import { interop } from './lib/scope.mjs';
import { sipClient } from './lib/sip_client.mjs';

const OFFER = readFileSync(new URL('../fixtures/chromium_offer_audio.sdp', import.meta.url), 'utf8');

/** The second node is in the carrier's network too. */
const SECOND = '10.77.2.3';

/** Two nodes, ringway that prefers the first, a telephone behind both, and alice. */
async function twoNodes(scope, keys) {
  const networks = threeNetworks();
  scope.defer(networks.remove);
  run('ip', '-n', networks.carrier, 'address', 'add', `${SECOND}/24`, 'dev', 'to-edge');
  const options = { challengeInvites: false };
  const first = await kamailio(scope, networks.carrier, { ...options, log: 'kamailio-1' });
  const at = { address: SECOND, log: 'kamailio-2' };
  const second = await kamailio(scope, networks.carrier, { ...options, ...at });
  const target = [`${ADDRESS.carrier}:5060`, `${SECOND}:5060`];
  const ringway = await gateway(scope, networks.edge, { target, keys });
  const telephone = await baresip(scope, networks.carrier, { toneHz: 1000 });
  const alice = await sipClient(scope, networks.browser, 'alice', USERS.alice);
  const again = () => kamailio(scope, networks.carrier, { ...options, log: 'kamailio-3' });
  return { networks, first, second, ringway, telephone, alice, again };
}

/** Alice calls the telephone, which answers; gives the final response. */
async function call(alice) {
  const extra = [`Contact: ${alice.contact}`, 'Content-Type: application/sdp'];
  const made = await alice.request('INVITE', `sip:2000@${DOMAIN}`, extra, OFFER);
  let { response } = made;
  while (/^SIP\/2\.0 1/.test(response)) response = await alice.take('SIP/2.0 ', made.callId);
  return response.split('\r\n', 1)[0];
}

const invites = (node) => [...node.output.matchAll(/carrier: INVITE /g)].length;

interop('c14_a_node_that_dies', async (scope) => {
  const world = await twoNodes(scope, 'failover_after_s = 1\nprobe_s = 10');
  const { first, second, ringway, alice } = world;
  assert.match((await alice.register()).response, /^SIP\/2\.0 200/);
  assert.match(await call(alice), /^SIP\/2\.0 200/);
  assert.deepEqual([invites(first), invites(second)], [1, 0]);

  await first.stop('SIGKILL');
  // The browser sees one attempt, which is answered.
  assert.match(await call(alice), /^SIP\/2\.0 200/);
  assert.equal(invites(second), 1);
  await ringway.waitForLine(/target is down/);
  // The next call does not wait for the dead one.
  assert.match(await call(alice), /^SIP\/2\.0 200/);
  assert.equal(invites(second), 2);

  const back = await world.again();
  await ringway.waitForLine(/target is up/, 30_000);
  assert.match(await call(alice), /^SIP\/2\.0 200/);
  assert.deepEqual([invites(back), invites(second)], [1, 2]);
});
