// D5: ringway carries a transfer out itself, between a browser on SIP.js and two telephones of a
// carrier that never sees a REFER.

import assert from 'node:assert/strict';
import { baresip } from './lib/baresip.mjs';
import { waitForTone } from './lib/browser.mjs';
import { header } from './lib/capture.mjs';
import { DOMAIN, ENDPOINTS } from './lib/kamailio.mjs';
import { interop } from './lib/scope.mjs';
import { sipjsInCall } from './lib/sipjs.mjs';
import { BROWSER_HZ, CARRIER_HZ } from './lib/world.mjs';

const OTHER_HZ = 1700;

/** A call that ringway transfers; the carrier's 3000 is there, too. */
const inCall = (scope) =>
  sipjsInCall(scope, {
    gateway: { keys: 'refer = "local"' },
    carrier: { challengeInvites: false },
  });

const refer = (page, number) =>
  page.evaluate((uri) => globalThis.sipjs.refer(uri), `sip:${number}@${DOMAIN}`);

interop('d5_local_blind_transfer', async (scope) => {
  const { networks, page, telephone, wire } = await inCall(scope);
  const other = await baresip(scope, networks.carrier, {
    user: '3000',
    port: ENDPOINTS[3000],
    controlPort: 4445,
    toneHz: OTHER_HZ,
  });
  const told = await refer(page, 3000);
  assert.equal(told[0], 'SIP/2.0 100 Trying');
  assert.equal(told.at(-1), 'SIP/2.0 200 OK');
  await page.evaluate(() => globalThis.sipjs.bye());
  await other.waitFor('CALL_ESTABLISHED');
  await Promise.all([telephone.waitForTone(OTHER_HZ), other.waitForTone(CARRIER_HZ)]);
  // Still, once the browser is gone.
  assert.equal(telephone.eventsOf('CALL_CLOSED').length, 0);
  assert.equal(wire.sip('REFER ').length, 0);
  const invites = wire.sip('INVITE ').map(({ text }) => text);
  const transferred = invites.find((text) => header(text, 'Referred-By').length > 0);
  assert.match(header(transferred, 'Referred-By')[0], /sip:alice@/);
  assert.ok(!invites.some((text) => text.includes('.invalid')));
  await telephone.hangup();
  await other.waitFor('CALL_CLOSED');
});

interop('d5_local_blind_transfer_that_fails', async (scope) => {
  const { page, telephone } = await inCall(scope);
  // Nobody has this number.
  const told = await refer(page, 4711);
  assert.match(told.at(-1), /^SIP\/2\.0 4/);
  // The two of them go on: the sound has had no break.
  const heard = telephone.waitForTone(BROWSER_HZ, { seconds: 5 });
  await Promise.all([heard, waitForTone(page, CARRIER_HZ)]);
  await page.evaluate(() => globalThis.sipjs.bye());
  await telephone.waitFor('CALL_CLOSED');
});
