// Browsers and a carrier: Chromium, ringway and Kamailio with its telephones, three networks.

import assert from 'node:assert/strict';
import { baresip } from './lib/baresip.mjs';
import { openPage, waitForReports, waitForTone } from './lib/browser.mjs';
import { header, payloadTypeOf } from './lib/capture.mjs';
import { DOMAIN, USERS } from './lib/kamailio.mjs';
import { ADDRESS } from './lib/namespaces.mjs';
import { WebPhone } from './lib/phone.mjs';
import { PHONE } from './lib/ringway.mjs';
import { eventually, interop } from './lib/scope.mjs';
import { sipjsPage } from './lib/sipjs.mjs';
import { sipp } from './lib/sipp.mjs';
import { BROWSER_HZ, CARRIER_HZ, carrierWorld, carrierWorldWithAlice } from './lib/world.mjs';

/** Largest request that carriers' networks take over UDP (RFC 3261 section 18.1.1). */
const INVITE_BYTES_MAX = 1300;

/** Alice in a call with the carrier's telephone, sound heard on both sides. */
async function aliceInCall(scope, options) {
  const world = await carrierWorldWithAlice(scope, options);
  const telephone = await baresip(scope, world.networks.carrier, { toneHz: CARRIER_HZ });
  await world.phone.dial('2000');
  await world.phone.waitForCall('in-call');
  await hearEachOther(world.page, telephone);
  return { ...world, telephone };
}

function hearEachOther(page, telephone) {
  return Promise.all([telephone.waitForTone(BROWSER_HZ), waitForTone(page, CARRIER_HZ)]);
}

interop('browser_to_carrier', async (scope) => {
  const { page, phone, telephone } = await aliceInCall(scope);
  assert.equal(telephone.eventsOf('CALL_ESTABLISHED').length, 1);
  await waitForReports(page, ['audio']);
  await phone.hangUp();
  await telephone.waitFor('CALL_CLOSED');
  assert.equal((await phone.waitForCall('ended')).cause, 'terminated');
});

interop('carrier_to_browser', async (scope) => {
  const { page, phone, networks } = await carrierWorldWithAlice(scope);
  const telephone = await baresip(scope, networks.carrier, { toneHz: CARRIER_HZ });
  await telephone.dial('alice');
  await phone.waitForCall('incoming');
  await telephone.waitFor('CALL_RINGING');
  await phone.answer();
  await phone.waitForCall('in-call');
  await telephone.waitFor('CALL_ESTABLISHED');
  await hearEachOther(page, telephone);
  await phone.hangUp();
  await telephone.waitFor('CALL_CLOSED');
});

interop('carrier_gives_up_before_the_browser_answers', async (scope) => {
  const { phone, networks } = await carrierWorldWithAlice(scope);
  const telephone = await baresip(scope, networks.carrier);
  await telephone.dial('alice');
  await phone.waitForCall('incoming');
  await telephone.waitFor('CALL_RINGING');
  await telephone.hangup();
  assert.equal((await phone.waitForCall('ended')).cause, 'canceled');
});

interop('browser_to_carrier_sipjs', async (scope) => {
  const { browser, networks } = await carrierWorld(scope);
  const telephone = await baresip(scope, networks.carrier, { toneHz: CARRIER_HZ });
  const page = await sipjsPage(scope, browser);
  await page.evaluate((uri) => globalThis.sipjs.call(uri), `sip:2000@${DOMAIN}`);
  await telephone.waitFor('CALL_ESTABLISHED');
  await eventually(
    'SIP.js in the call',
    async () => (await page.evaluate(() => globalThis.sipjs.state())) === 'Established',
  );
  await hearEachOther(page, telephone);
  await page.evaluate(() => globalThis.sipjs.bye());
  await telephone.waitFor('CALL_CLOSED');
});

interop('cancel', async (scope) => {
  const { phone, networks } = await carrierWorldWithAlice(scope);
  const rings = await sipp(scope, networks.carrier, 'rings_until_cancelled');
  await phone.dial('3000');
  await phone.waitForCall('ringing');
  await phone.hangUp();
  assert.equal((await phone.waitForCall('ended')).cause, 'canceled');
  await rings.finished();
});

interop('busy', async (scope) => {
  const { phone, networks } = await carrierWorldWithAlice(scope);
  const busy = await sipp(scope, networks.carrier, 'busy');
  await phone.dial('3000');
  assert.deepEqual(await phone.waitForCall('ended'), {
    state: 'ended',
    cause: 'busy',
    statusCode: 486,
  });
  await busy.finished();
});

interop('no_answer', async (scope) => {
  const options = { carrier: { noAnswerMs: 3_000 } };
  const { phone, networks } = await carrierWorldWithAlice(scope, options);
  const rings = await sipp(scope, networks.carrier, 'rings_until_cancelled');
  await phone.dial('3000');
  await phone.waitForCall('ringing');
  assert.equal((await phone.waitForCall('ended')).statusCode, 408);
  await rings.finished();
});

// D2 and D3. Both legs have timers of 90 seconds; the telephone's answer is in its reliable 183.
interop('d2_d3_reliable_183_and_session_refresh', async (scope) => {
  const { phone, networks, wire } = await carrierWorldWithAlice(scope);
  const telephone = await sipp(scope, networks.carrier, 'reliable_and_refreshed');
  await phone.dial('3000');
  await phone.waitForCall('in-call');
  await eventually('a refresh', () => wire.sip('UPDATE ').length > 0, {
    timeoutMs: 60_000,
  });
  const prack = wire.sip('PRACK ')[0];
  assert.match(header(prack.text, 'RAck')[0], /^4711 \d+ INVITE$/);
  await eventually('the answer', () => wire.sip('SIP/2.0 200').some(isAnswerToUpdate));
  await phone.hangUp();
  assert.equal((await phone.waitForCall('ended')).cause, 'terminated');
  await telephone.finished();
});

function isAnswerToUpdate({ text }) {
  return /UPDATE$/.test(header(text, 'CSeq')[0]);
}

interop('bye_from_carrier', async (scope) => {
  const { phone, telephone } = await aliceInCall(scope);
  await telephone.hangup();
  assert.equal((await phone.waitForCall('ended', 5_000)).cause, 'terminated');
});

interop('dtmf_reaches_carrier', async (scope) => {
  const { phone, telephone, wire } = await aliceInCall(scope);
  const digits = '159#0*';
  for (const digit of digits) await phone.press(digit);
  await eventually('all digits at the telephone', () => telephone.digits().length >= digits.length);
  assert.equal(telephone.digits(), digits);
  const answer = wire
    .sip('SIP/2.0 200')
    .find(({ text }) => /INVITE$/.test(header(text, 'CSeq')[0]));
  const event = payloadTypeOf(answer.text, 'telephone-event');
  assert.equal(wire.digits(event, ADDRESS.carrier), digits);
  assert.equal(wire.sip('INFO ').length, 0);
});

interop('invite_is_small_and_hides_the_browser', async (scope) => {
  const { phone, telephone, wire } = await aliceInCall(scope);
  await phone.hangUp();
  await telephone.waitFor('CALL_CLOSED');
  const sent = ['INVITE ', 'ACK ', 'BYE ']
    .flatMap((start) => wire.sip(start))
    .filter(({ from }) => from.startsWith(ADDRESS.edgeToCarrier));
  const invites = sent.filter(({ text }) => text.startsWith('INVITE '));
  assert.ok(invites.length > 0);
  assert.ok(sent.some(({ text }) => text.startsWith('ACK ')));
  assert.ok(sent.some(({ text }) => text.startsWith('BYE ')));
  for (const { text, payload, fragment } of sent) {
    assert.ok(!fragment);
    assert.ok(payload.length < INVITE_BYTES_MAX, `${payload.length} bytes:\n${text}`);
    const vias = header(text, 'Via').flatMap((value) => value.split(','));
    assert.equal(vias.length, 1, text);
    assert.doesNotMatch(text, /\.invalid|transport=wss?|\.local\b|127\.0\.0\.1/i);
    assert.ok(!text.includes('10.77.1.'), `an address of the browser's network:\n${text}`);
    assert.doesNotMatch(text, /^a=(candidate|ice-|fingerprint|setup|mid|ssrc|extmap)/m);
    assert.doesNotMatch(text, /jssip|mozilla|chrom/i);
  }
});

interop('tab_closed_ends_the_call', async (scope) => {
  const silentAfterSeconds = 5;
  const { browser, telephone } = await aliceInCall(scope, { gateway: { silentAfterSeconds } });
  // Not even the page's farewell: what a crash or a dead battery looks like.
  browser.process().kill('SIGKILL');
  await telephone.waitFor('CALL_CLOSED', (silentAfterSeconds + 5) * 1000);
});

interop('wrong_password_is_refused', async (scope) => {
  const { browser, wire } = await carrierWorld(scope);
  const page = await openPage(scope, browser, PHONE);
  const phone = new WebPhone(page);
  await phone.logIn('alice', `not-${USERS.alice}`, DOMAIN);
  await phone.waitForRegistration('failed');
  assert.ok(wire.sip('SIP/2.0 401').length >= 2);
  assert.ok(wire.sip('SIP/2.0 200').every(({ text }) => !/REGISTER/.test(header(text, 'CSeq')[0])));
});
