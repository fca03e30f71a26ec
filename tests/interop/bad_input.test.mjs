// What must not get through, and what must survive it.

import assert from 'node:assert/strict';
import WebSocket from 'ws';
import { baresip } from './lib/baresip.mjs';
import { waitForTone } from './lib/browser.mjs';
import { header } from './lib/capture.mjs';
import { forward } from './lib/forward.mjs';
import { DOMAIN } from './lib/kamailio.mjs';
import { ADDRESS } from './lib/namespaces.mjs';
import { eventually, interop } from './lib/scope.mjs';
import { BROWSER_HZ, CARRIER_HZ, carrierWorldWithAlice, demoWorld } from './lib/world.mjs';

/** Opens a WebSocket to the demo's gateway; resolves with `{ status }` when it is refused. */
async function open(scope, machine, protocols) {
  const inside = await forward(scope, machine, '127.0.0.1', 8080);
  const socket = new WebSocket(`ws+unix:${inside.path}:/ws`, protocols, {
    headers: { Host: '127.0.0.1:8080' },
  });
  scope.defer(() => socket.terminate());
  return new Promise((resolve, reject) => {
    socket.on('open', () => resolve({ socket }));
    socket.on('unexpected-response', (_, response) => resolve({ status: response.statusCode }));
    socket.on('error', reject);
  });
}

interop('websocket_without_the_sip_subprotocol_is_refused', async (scope) => {
  const { machine } = await demoWorld(scope);
  assert.equal((await open(scope, machine, [])).status, 400);
  assert.equal((await open(scope, machine, ['sipx'])).status, 400);
  const { socket } = await open(scope, machine, ['chat', 'sip']);
  assert.equal(socket.protocol, 'sip');
});

interop('oversized_message_closes_with_1009', async (scope) => {
  const { machine } = await demoWorld(scope);
  const { socket } = await open(scope, machine, ['sip']);
  const closed = new Promise((resolve) => socket.on('close', (code) => resolve(code)));
  socket.on('error', () => {});
  const filler = 'X-Filler: '.padEnd(1_000, 'x');
  const lines = ['OPTIONS sip:ringway.local SIP/2.0', ...Array(1_000).fill(filler), '', ''];
  socket.send(lines.join('\r\n'));
  assert.equal(await closed, 1009);
  // The gateway itself goes on.
  assert.ok((await open(scope, machine, ['sip'])).socket);
});

/** Alice in a call with the carrier's telephone. */
async function aliceInCall(scope) {
  const world = await carrierWorldWithAlice(scope);
  const telephone = await baresip(scope, world.networks.carrier, { toneHz: CARRIER_HZ });
  await world.phone.dial('2000');
  await world.phone.waitForCall('in-call');
  await Promise.all([telephone.waitForTone(BROWSER_HZ), waitForTone(world.page, CARRIER_HZ)]);
  return { ...world, telephone };
}

/** Sends `text` on the web phone's own WebSocket; resolves with the response to `callId`. */
async function exchange(page, callId, text) {
  await page.evaluate((message) => globalThis.ringwayProbe.sendOnSocket(message), text);
  return eventually(`a final response to ${callId}`, () =>
    page.evaluate((id) => {
      const isIt = (message) => /^SIP\/2\.0 [2-6]/.test(message) && message.includes(id);
      return globalThis.ringwayProbe.received.find(isIt);
    }, callId),
  );
}

function invite(callId, body, contentLength = Buffer.byteLength(body)) {
  return [
    `INVITE sip:2000@${DOMAIN} SIP/2.0`,
    'Via: SIP/2.0/WSS bad.invalid;branch=z9hG4bK' + callId,
    'Max-Forwards: 70',
    `From: <sip:alice@${DOMAIN}>;tag=${callId}`,
    `To: <sip:2000@${DOMAIN}>`,
    `Call-ID: ${callId}`,
    'CSeq: 1 INVITE',
    'Contact: <sip:alice@bad.invalid;transport=ws>',
    'Content-Type: application/sdp',
    `Content-Length: ${contentLength}`,
    '',
    body,
  ].join('\r\n');
}

const NO_FINGERPRINT = [
  'v=0',
  'o=- 1 1 IN IP4 127.0.0.1',
  's=-',
  't=0 0',
  'm=audio 9 UDP/TLS/RTP/SAVPF 0',
  'c=IN IP4 0.0.0.0',
  'a=mid:0',
  'a=sendrecv',
  'a=rtcp-mux',
  'a=ice-ufrag:abcd',
  'a=ice-pwd:abcdefghijklmnopqrstuvwx',
  'a=setup:actpass',
  'a=rtpmap:0 PCMU/8000',
  '',
].join('\r\n');

interop('malformed_sip_is_answered_400_and_the_call_goes_on', async (scope) => {
  const { page, phone, telephone, wire } = await aliceInCall(scope);
  const before = wire.sip('INVITE ').length;
  const tooShort = await exchange(page, 'too-short', invite('too-short', 'v=0\r\n', 5_000));
  assert.match(tooShort, /^SIP\/2\.0 400 /);
  const wrongSequence = invite('wrong-cseq', NO_FINGERPRINT).replace('CSeq: 1 ', 'CSeq: one ');
  assert.match(await exchange(page, 'wrong-cseq', wrongSequence), /^SIP\/2\.0 400 /);
  assert.equal((await phone.call()).state, 'in-call');
  await waitForTone(page, CARRIER_HZ);
  assert.equal(telephone.eventsOf('CALL_CLOSED').length, 0);
  assert.equal(wire.sip('INVITE ').length, before);
  await phone.hangUp();
  await telephone.waitFor('CALL_CLOSED');
});

interop('sdp_without_fingerprint_is_answered_488_before_the_carrier_hears_of_it', async (scope) => {
  const { page, wire } = await carrierWorldWithAlice(scope);
  const answer = await exchange(page, 'no-fingerprint', invite('no-fingerprint', NO_FINGERPRINT));
  assert.match(answer, /^SIP\/2\.0 488 /);
  const [warning] = header(answer, 'Warning');
  assert.match(warning ?? '', /^3\d\d \S+ ".*fingerprint.*"$/i);
  assert.equal(wire.sip('INVITE ').length, 0);
});

interop('sigterm_in_a_call_says_bye_to_both_sides', async (scope) => {
  const { phone, telephone, ringway, wire } = await aliceInCall(scope);
  const asked = Date.now();
  ringway.kill('SIGTERM');
  await Promise.all([ringway.whenExited, telephone.waitFor('CALL_CLOSED', 6_000)]);
  assert.ok(Date.now() - asked < 5_000, `took ${Date.now() - asked} ms`);
  assert.equal(ringway.exitCode, 0);
  const byes = wire.sip('BYE ').filter(({ from }) => from.startsWith(ADDRESS.edgeToCarrier));
  assert.ok(byes.length >= 1);
  assert.equal((await phone.waitForCall('ended')).cause, 'terminated');
});
