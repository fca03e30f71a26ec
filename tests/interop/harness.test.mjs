// The measuring tools themselves: what they find is there, what is not there they do not find.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { start } from './lib/process.mjs';
import { chromium, firefox, heard, openPage, waitForTone } from './lib/browser.mjs';
import { baresip } from './lib/baresip.mjs';
import { capture, header, payloadTypeOf } from './lib/capture.mjs';
import { kamailio, USERS } from './lib/kamailio.mjs';
import { ADDRESS, oneMachine, threeNetworks } from './lib/namespaces.mjs';
import { sipp } from './lib/sipp.mjs';
import { eventually, interop } from './lib/scope.mjs';
import { readWav, toneSeconds, toneShare, writeTone } from './lib/tone.mjs';

const LOOP = `(async () => {
  const [a, b] = [new RTCPeerConnection(), new RTCPeerConnection()];
  a.onicecandidate = ({ candidate }) => candidate && b.addIceCandidate(candidate);
  b.onicecandidate = ({ candidate }) => candidate && a.addIceCandidate(candidate);
  const stream = await navigator.mediaDevices.getUserMedia({ audio: true });
  for (const track of stream.getTracks()) a.addTrack(track, stream);
  await a.setLocalDescription(await a.createOffer());
  await b.setRemoteDescription(a.localDescription);
  await b.setLocalDescription(await b.createAnswer());
  await a.setRemoteDescription(b.localDescription);
})()`;

/** An empty page on the machine's loopback, which counts as a secure context. */
async function emptyPage(scope, namespace) {
  const serve =
    "require('node:http').createServer((_, r) => r.setHeader('content-type', 'text/html')" +
    ".end('<!doctype html><title>empty</title>')).listen(8081, '127.0.0.1', () => console.log('ready'))";
  const server = start({ namespace, name: 'page', command: process.execPath, args: ['-e', serve] });
  scope.defer(() => server.stop());
  await server.waitForLine(/ready/);
  return 'http://127.0.0.1:8081/';
}

interop('tone_is_found_and_its_absence_too', async (scope) => {
  const file = writeTone(join(scope.directory, 'a.wav'), {
    frequencyHz: 440,
    seconds: 2,
    rateHz: 8_000,
  });
  const { samples, rateHz } = readWav(file);
  assert.ok(toneShare(samples, rateHz, 440) > 0.99);
  assert.ok(toneShare(samples, rateHz, 1000) < 0.01);
  assert.equal(toneSeconds(samples, rateHz, 440), 2);
  assert.equal(toneSeconds(samples, rateHz, 1000), 0);
});

interop('chromium_hears_its_microphone_file', async (scope) => {
  const { machine, remove } = oneMachine();
  scope.defer(remove);
  const microphone = writeTone(join(scope.directory, 'microphone.wav'), { frequencyHz: 440 });
  const browser = await chromium(scope, machine, { microphone });
  const page = await openPage(scope, browser, await emptyPage(scope, machine));
  await page.evaluate(LOOP);
  await waitForTone(page, 440);
  assert.ok((await heard(page, 1000)).share < 0.05);
});

interop('chromium_hears_a_tone_of_the_page', async (scope) => {
  const { machine, remove } = oneMachine();
  scope.defer(remove);
  const browser = await chromium(scope, machine);
  const page = await openPage(scope, browser, await emptyPage(scope, machine), { toneHz: 700 });
  await page.evaluate(LOOP);
  await waitForTone(page, 700);
});

interop('firefox_hears_its_fake_microphone', async (scope) => {
  const { machine, remove } = oneMachine();
  scope.defer(remove);
  const browser = await firefox(scope, machine, { toneHz: 440 });
  const page = await openPage(scope, browser, await emptyPage(scope, machine));
  await page.evaluate(LOOP);
  await waitForTone(page, 440);
  assert.ok((await heard(page, 1000)).share < 0.05);
});

/** Kamailio in the carrier's network, and a telephone on the edge that registers as alice. */
async function carrierAndEdgeTelephone(scope) {
  const networks = threeNetworks();
  scope.defer(networks.remove);
  await kamailio(scope, networks.carrier, { noAnswerMs: 3_000 });
  const alice = await baresip(scope, networks.edge, {
    user: 'alice',
    password: USERS.alice,
    address: ADDRESS.edgeToCarrier,
    port: 5070,
    toneHz: 440,
  });
  await alice.registered();
  return { networks, alice };
}

interop('telephones_hear_each_other_through_the_carrier', async (scope) => {
  const { networks, alice } = await carrierAndEdgeTelephone(scope);
  const wire = await capture(scope, networks.carrier, 'to-edge');
  const telephone = await baresip(scope, networks.carrier);
  await alice.dial('2000');
  await telephone.waitFor('CALL_ESTABLISHED');
  await Promise.all([telephone.waitForTone(440), alice.waitForTone(1000)]);
  assert.equal(telephone.digits(), '');
  await alice.command('sndcode', '5');
  await eventually('the digit', () => telephone.digits() === '5');
  const [invite] = wire.sip('INVITE ');
  assert.deepEqual(header(invite.text, 'CSeq').length, 1);
  const event = payloadTypeOf(wire.sip('SIP/2.0 200').at(-1).text, 'telephone-event');
  assert.equal(wire.digits(event, ADDRESS.carrier), '5');
  await telephone.hangup();
  await alice.waitFor('CALL_CLOSED');
});

interop('telephone_is_called_through_the_registrar', async (scope) => {
  const { networks, alice } = await carrierAndEdgeTelephone(scope);
  const telephone = await baresip(scope, networks.carrier);
  await telephone.dial('alice');
  await alice.waitFor('CALL_ESTABLISHED');
  await Promise.all([telephone.waitForTone(440), alice.waitForTone(1000)]);
});

interop('scenarios_refuse_ring_and_answer', async (scope) => {
  const { networks, alice } = await carrierAndEdgeTelephone(scope);
  const closed = (count) =>
    eventually('the end of the call', () => alice.eventsOf('CALL_CLOSED').length === count);
  const busy = await sipp(scope, networks.carrier, 'busy');
  await alice.dial('3000');
  await Promise.all([busy.finished(), closed(1)]);
  assert.match(alice.eventsOf('CALL_CLOSED').at(-1).param, /^486/);

  const rings = await sipp(scope, networks.carrier, 'rings_until_cancelled');
  await alice.dial('3000');
  await alice.waitFor('CALL_RINGING');
  await alice.hangup();
  await Promise.all([rings.finished(), closed(2)]);

  const unanswered = await sipp(scope, networks.carrier, 'rings_until_cancelled');
  await alice.dial('3000');
  await Promise.all([unanswered.finished(), closed(3)]);
  assert.match(alice.eventsOf('CALL_CLOSED').at(-1).param, /^408/);

  const answers = await sipp(scope, networks.carrier, 'answers_late');
  await alice.dial('3000');
  await alice.waitFor('CALL_ESTABLISHED');
  await alice.hangup();
  await answers.finished();
});
