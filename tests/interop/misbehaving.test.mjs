// A carrier that does what it must not: SIPp in the place of an SBC, over UDP and over TCP.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { ADDRESS, threeNetworks } from './lib/namespaces.mjs';
import { header } from './lib/capture.mjs';
import { gateway } from './lib/ringway.mjs';
import { interop } from './lib/scope.mjs';
import { sipClient } from './lib/sip_client.mjs';
import { sipp } from './lib/sipp.mjs';

const OFFER = readFileSync(new URL('../fixtures/chromium_offer_audio.sdp', import.meta.url), 'utf8');
const LINES = 'lines.test';

/** A line of the house, and a SIPp that it calls without anybody between. */
async function lineAndCarrier(scope, scenario, transport) {
  const networks = threeNetworks();
  scope.defer(networks.remove);
  const carrier = await sipp(scope, networks.carrier, scenario, { port: 5060, transport });
  const more = `[lines]
domain = "${LINES}"
[[line]]
number = "1001"
password = "a-line-of-the-house"`;
  const ringway = await gateway(scope, networks.edge, { transport, more });
  const args = [networks.browser, '1001', 'a-line-of-the-house', LINES];
  const line = await sipClient(scope, ...args);
  assert.match((await line.register()).response, /^SIP\/2\.0 200/);
  return { carrier, ringway, line };
}

/** The line calls; gives all responses up to the final one. */
async function call(line) {
  const extra = [`Contact: ${line.contact}`, 'Content-Type: application/sdp'];
  const dialog = await line.request('INVITE', `sip:4711@${LINES}`, extra, OFFER);
  const responses = [dialog.response];
  while (/^SIP\/2\.0 1/.test(responses.at(-1))) {
    responses.push(await line.take('SIP/2.0 ', dialog.callId));
  }
  return { ...dialog, responses, final: responses.at(-1) };
}

const tagsOf = (responses) =>
  new Set(responses.map((text) => header(text, 'To')[0].match(/;tag=(\S+)/)?.[1]).filter(Boolean));

for (const transport of ['udp', 'tcp']) {
  interop(`c4_storm_of_answers_${transport}`, async (scope) => {
    const world = await lineAndCarrier(scope, 'storm_and_duplicates', transport);
    const { carrier, ringway, line } = world;
    const { final, responses, callId, from, cseq } = await call(line);
    assert.match(final, /^SIP\/2\.0 200/);
    assert.equal(tagsOf(responses).size, 1, 'one dialog, whatever happens behind');
    const target = header(final, 'Contact')[0].match(/<([^>]*)>/)[1];
    const dialog = { callId, from, to: header(final, 'To')[0] };
    const inDialog = (method, number) => [
      `${method} ${target} SIP/2.0`,
      `Via: SIP/2.0/WSS ${line.host};branch=z9hG4bK${method}${callId}`,
      'Max-Forwards: 69',
      `To: ${dialog.to}`,
      `From: ${from}`,
      `Call-ID: ${callId}`,
      `CSeq: ${number} ${method}`,
    ];
    line.send(inDialog('ACK', cseq));
    // The carrier's answers come again and each has its ACK; the browser sees none of that.
    await ringway.waitForLine(/message refused.*no such dialog/);
    assert.deepEqual(line.received.filter((text) => header(text, 'Call-ID')[0] === callId), []);
    line.send(inDialog('BYE', cseq + 1));
    assert.match(await line.take('SIP/2.0 ', callId), /^SIP\/2\.0 200/);
    await carrier.finished();
    await ringway.waitForLine(/call ended/);
  });

  interop(`c2_answers_to_nobody_${transport}`, async (scope) => {
    const world = await lineAndCarrier(scope, 'answers_for_others', transport);
    const { final, responses, callId } = await call(world.line);
    assert.match(final, /^SIP\/2\.0 486/);
    assert.equal(tagsOf(responses).size, 1);
    world.line.send([
      `ACK sip:4711@${LINES} SIP/2.0`,
      `Via: ${header(final, 'Via')[0]}`,
      'Max-Forwards: 69',
      `To: ${header(final, 'To')[0]}`,
      `From: ${header(final, 'From')[0]}`,
      `Call-ID: ${callId}`,
      `CSeq: ${header(final, 'CSeq')[0].replace('INVITE', 'ACK')}`,
    ]);
    await world.carrier.finished();
    await world.ringway.waitForLine(/call ended/);
  });
}
