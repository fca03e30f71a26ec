// D8: digits (DTMF) that change their form between browser and carrier.

import assert from 'node:assert/strict';
import { baresip } from './lib/baresip.mjs';
import { waitForTone } from './lib/browser.mjs';
import { header, payloadTypeOf } from './lib/capture.mjs';
import { ADDRESS } from './lib/namespaces.mjs';
import { eventually, interop } from './lib/scope.mjs';
import { sipjsInCall } from './lib/sipjs.mjs';
import { BROWSER_HZ, CARRIER_HZ, carrierWorldWithAlice } from './lib/world.mjs';

const DIGITS = '159#0*';

/** Presses keys one after the other; what each INFO was answered with. */
async function press(page, digits) {
  const statuses = [];
  for (const digit of digits) {
    statuses.push(await page.evaluate((signal) => globalThis.sipjs.press(signal, 100), digit));
  }
  return statuses;
}

async function hears(telephone, digits) {
  await eventually('all digits at the telephone', () => telephone.digits().length >= digits.length);
  assert.equal(telephone.digits(), digits);
}

function answerToInvite(wire) {
  const accepted = wire.sip('SIP/2.0 200');
  return accepted.find(({ text }) => /INVITE$/.test(header(text, 'CSeq')[0]));
}

interop('d8_info_to_rfc4733', async (scope) => {
  const { page, telephone, wire } = await sipjsInCall(scope);
  const accepted = Array.from(DIGITS, () => 200);
  assert.deepEqual(await press(page, DIGITS), accepted);
  await hears(telephone, DIGITS);
  const event = payloadTypeOf(answerToInvite(wire).text, 'telephone-event');
  assert.equal(wire.digits(event, ADDRESS.carrier), DIGITS);
  assert.equal(wire.sip('INFO ').length, 0);
  // One stream: the sound and the digits have one SSRC, and no number comes twice.
  const sound = [0, 8].flatMap((type) => wire.rtp(type, ADDRESS.carrier));
  const digits = wire.rtp(event, ADDRESS.carrier);
  const packets = [...sound, ...digits];
  assert.equal(new Set(packets.map(({ ssrc }) => ssrc)).size, 1);
  const numbers = packets.map(({ sequence }) => sequence).sort((a, b) => a - b);
  assert.equal(new Set(numbers).size, numbers.length);
  // The sound goes on behind them.
  const last = digits.at(-1).sequence;
  const follows = ({ sequence }) => ((sequence - last) & 0xffff) < 0x8000;
  await eventually('a second of sound behind the digits', () => {
    return wire.rtp(0, ADDRESS.carrier).filter(follows).length >= 50;
  });
});

interop('d8_muted', async (scope) => {
  const { page, telephone } = await sipjsInCall(scope);
  await page.evaluate(() => globalThis.sipjs.mute());
  await press(page, DIGITS);
  await hears(telephone, DIGITS);
});

interop('d8_relay', async (scope) => {
  const { page, telephone, wire } = await sipjsInCall(scope, {
    gateway: { keys: 'dtmf = "relay"' },
  });
  await press(page, '5');
  await hears(telephone, '5');
  assert.ok(wire.sip('INFO ').length > 0);
});

interop('d8_rfc4733_to_info', async (scope) => {
  const { phone, networks, page, wire } = await carrierWorldWithAlice(scope, {
    gateway: { keys: 'dtmf = "info"' },
  });
  const telephone = await baresip(scope, networks.carrier, { toneHz: CARRIER_HZ });
  await phone.dial('2000');
  await phone.waitForCall('in-call');
  await Promise.all([telephone.waitForTone(BROWSER_HZ), waitForTone(page, CARRIER_HZ)]);
  for (const digit of DIGITS) await phone.press(digit);
  await hears(telephone, DIGITS);
  assert.ok(wire.sip('INVITE ').every(({ text }) => !text.includes('telephone-event')));
  const infos = wire.sip('INFO ').filter(({ from }) => from.startsWith(ADDRESS.edgeToCarrier));
  const signals = infos.map(({ text }) => /^Signal=(.)\r$/m.exec(text)?.[1]);
  assert.equal(signals.join(''), DIGITS);
});
