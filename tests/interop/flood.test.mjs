// One address does too much of everything; another one's call is set up meanwhile as if nothing were.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { baresip } from './lib/baresip.mjs';
import { DOMAIN, kamailio, USERS } from './lib/kamailio.mjs';
import { ADDRESS, threeNetworks } from './lib/namespaces.mjs';
import { run, start } from './lib/process.mjs';
import { gateway } from './lib/ringway.mjs';
import { interop } from './lib/scope.mjs';
import { sipClient } from './lib/sip_client.mjs';

const OFFER = readFileSync(new URL('../fixtures/chromium_offer_audio.sdp', import.meta.url), 'utf8');
const FLOOD = fileURLToPath(new URL('./lib/flood.mjs', import.meta.url));
const ATTACKER = '10.77.1.3';

/** As many as the telephone takes at a time. */
const CALLS = 3;

const WEB = `connections_per_source_max = 20
messages_per_second = 20
messages_per_second_per_source = 40`;

const LINES = `[lines]
domain = "lines.test"
[[line]]
number = "1001"
password = "never guessed"`;

interop('one_address_floods_and_others_call', async (scope) => {
  const networks = threeNetworks();
  scope.defer(networks.remove);
  const device = ['address', 'add', `${ATTACKER}/24`, 'dev', 'to-edge'];
  run('ip', '-n', networks.browser, ...device);
  await kamailio(scope, networks.carrier, { challengeInvites: false });
  const ringway = await gateway(scope, networks.edge, { web: WEB, more: LINES });
  await baresip(scope, networks.carrier, { toneHz: 1000 });
  const flood = start({
    namespace: networks.browser,
    name: 'flood',
    command: process.execPath,
    args: [FLOOD, ADDRESS.edgeToBrowser, '8443', ATTACKER],
    logFile: scope.logFile('flood'),
  });
  scope.defer(() => flood.stop('SIGKILL'));

  const alice = await sipClient(scope, networks.browser, 'alice', USERS.alice);
  assert.ok(!flood.exited);
  for (let call = 0; call < CALLS; call += 1) {
    assert.match((await alice.register()).response, /^SIP\/2\.0 200/);
    const extra = [`Contact: ${alice.contact}`, 'Content-Type: application/sdp'];
    const dialog = await alice.request('INVITE', `sip:2000@${DOMAIN}`, extra, OFFER);
    let { response } = dialog;
    while (/^SIP\/2\.0 1/.test(response)) response = await alice.take('SIP/2.0 ', dialog.callId);
    assert.match(response, /^SIP\/2\.0 200/);
  }
  await flood.waitUntil(() => flood.exited, 30_000, 'its end');

  const counts = JSON.parse(flood.output.trim().split('\n').at(-1));
  const { handshakes, messages, guesses, closes } = counts;
  const said = JSON.stringify(counts);
  assert.ok(handshakes['101'] <= 20, said);
  assert.equal(handshakes['101'] + (handshakes['503'] ?? 0) + (handshakes.error ?? 0), 100, said);
  // Too many messages are read later, not lost: what came in time was answered.
  assert.ok(messages['200'] >= 20, said);
  assert.ok(messages['200'] < 300, said);
  // A guess is never right, and soon not even looked at.
  assert.equal(guesses['200'] ?? 0, 0, said);
  assert.equal(closes['1003'], 1, said);
  assert.doesNotMatch(ringway.output, /panicked/);
  // The attacker's are gone; a newcomer is taken as ever.
  const bob = await sipClient(scope, networks.browser, 'bob', USERS.bob);
  assert.match((await bob.register()).response, /^SIP\/2\.0 200/);
});
