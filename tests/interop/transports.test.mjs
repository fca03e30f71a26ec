// A carrier over TCP and over TLS: Kamailio, which opens connections of its own to ringway, too.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import tls from 'node:tls';
import { authority } from './lib/authority.mjs';
import { baresip } from './lib/baresip.mjs';
import { waitForTone } from './lib/browser.mjs';
import { forward } from './lib/forward.mjs';
import { DOMAIN, kamailio, PORTS, USERS } from './lib/kamailio.mjs';
import { ADDRESS, threeNetworks } from './lib/namespaces.mjs';
import { nodePhone } from './lib/node_stacks.mjs';
import { gateway } from './lib/ringway.mjs';
import { interop } from './lib/scope.mjs';
import { sipClient } from './lib/sip_client.mjs';
import { BROWSER_HZ, CARRIER_HZ, carrierWorldWithAlice } from './lib/world.mjs';

const OFFER = new URL('../fixtures/chromium_offer_audio.sdp', import.meta.url);

/** How the carrier's log says that a request has come. */
const REQUEST_AT_CARRIER = /carrier: (REGISTER|INVITE) /;

/** What both ends are told of a transport; over TLS each has a certificate, and asks for one. */
function optionsOf(scope, transport) {
  if (transport !== 'tls') return { carrier: { transport }, gateway: { transport } };
  const root = authority(scope, 'authority');
  const signed = (name) => ({ ...root.sign(name), authorities: root.certificate });
  return {
    carrier: { transport, tls: signed(DOMAIN) },
    gateway: { transport, tls: signed(`IP:${ADDRESS.edgeToCarrier}`) },
  };
}

/** Alice at the carrier over this transport, whose telephone speaks UDP. */
async function worldOver(scope, transport) {
  const options = optionsOf(scope, transport);
  const world = await carrierWorldWithAlice(scope, options);
  const telephone = await baresip(scope, world.networks.carrier, { toneHz: CARRIER_HZ });
  return { ...world, options, telephone };
}

/** Ports that ringway's requests came from, as the carrier's log says once it has all `methods`. */
async function sourcesOf(carrier, transport, methods) {
  const from = ADDRESS.edgeToCarrier.replaceAll('.', '\\.');
  for (const method of methods) {
    await carrier.waitForLine(new RegExp(`carrier: ${method} \\S+ from ${from}:`));
  }
  const line = new RegExp(`carrier: \\S+ \\S+ from ${from}:(\\d+) over (\\w+)`, 'g');
  const sources = [...carrier.output.matchAll(line)].map(([, port, over]) => ({ port, over }));
  assert.deepEqual(sources.filter(({ over }) => over !== transport), []);
  return new Set(sources.map(({ port }) => port));
}

/** Requests and responses never took the way that works without any configuration. */
function assertNoSipOverUdp(wire) {
  const sip = wire
    .datagrams()
    .filter(({ payload }) => /^(SIP\/2\.0 |[A-Z]+ sips?:)/.test(payload.toString('latin1', 0, 20)));
  assert.deepEqual(sip.map(({ payload }) => payload.toString('latin1', 0, 60)), []);
}

const hearEachOther = (page, telephone) =>
  Promise.all([telephone.waitForTone(BROWSER_HZ), waitForTone(page, CARRIER_HZ)]);

for (const transport of ['tcp', 'tls']) {
  interop(`calls_both_ways_over_${transport}`, async (scope) => {
    const { page, phone, telephone, carrier, wire } = await worldOver(scope, transport);
    await phone.dial('2000');
    await phone.waitForCall('in-call');
    await telephone.waitFor('CALL_ESTABLISHED');
    await hearEachOther(page, telephone);
    await phone.hangUp();
    await telephone.waitFor('CALL_CLOSED');
    await phone.waitForCall('ended');

    telephone.forget();
    await telephone.dial('alice');
    await phone.waitForCall('incoming');
    await phone.answer();
    await phone.waitForCall('in-call');
    await telephone.waitFor('CALL_ESTABLISHED');
    await hearEachOther(page, telephone);
    await telephone.hangup();
    assert.equal((await phone.waitForCall('ended')).cause, 'terminated');

    // Registration and calls, all on the one connection that ringway opened.
    const sources = await sourcesOf(carrier, transport, ['REGISTER', 'INVITE', 'ACK', 'BYE']);
    assert.equal(sources.size, 1, [...sources].join(' '));
    // The carrier's requests came on another, to the listener that our Contact names.
    const listener = `${ADDRESS.edgeToCarrier}:${PORTS[transport]}`;
    await carrier.waitForLine(`reply 200 OK to BYE from ${listener} over ${transport}`);
    assertNoSipOverUdp(wire);
  });

  interop(`restart_mid_call_over_${transport}`, async (scope) => {
    const world = await worldOver(scope, transport);
    const { page, phone, telephone, carrier, networks, options } = world;
    await phone.dial('2000');
    await phone.waitForCall('in-call');
    await telephone.waitFor('CALL_ESTABLISHED');
    const [before] = await sourcesOf(carrier, transport, ['REGISTER', 'INVITE', 'ACK']);
    await carrier.stop();
    const log = 'kamailio-again';
    const again = await kamailio(scope, networks.carrier, { ...options.carrier, log });

    // The call has outlived it, and its BYE finds the way.
    assert.equal((await phone.call()).state, 'in-call');
    await phone.hangUp();
    await telephone.waitFor('CALL_CLOSED');
    await phone.waitForCall('ended');
    const sources = await sourcesOf(again, transport, ['BYE']);
    assert.ok(!sources.has(before), `${before} is the port of the connection that ended`);

    telephone.forget();
    await phone.dial('2000');
    await phone.waitForCall('in-call');
    await phone.hangUp();
    await telephone.waitFor('CALL_CLOSED');

    // The carrier has forgotten who is there; once it knows, it connects again, too.
    telephone.forget();
    // A page that is loaded again logs in by itself.
    await page.reload({ waitUntil: 'load' });
    await phone.waitForRegistration('registered');
    await telephone.dial('alice');
    await phone.waitForCall('incoming');
    await phone.answer();
    await telephone.waitFor('CALL_ESTABLISHED');
    await hearEachOther(page, telephone);
    await phone.hangUp();
    await telephone.waitFor('CALL_CLOSED');
    assertNoSipOverUdp(world.wire);
  });
}

/** A carrier, ringway, and alice's SIP stack without a browser. */
async function smallWorld(scope, options) {
  const networks = threeNetworks();
  scope.defer(networks.remove);
  const carrier = await kamailio(scope, networks.carrier, options.carrier);
  const ringway = await gateway(scope, networks.edge, options.gateway);
  const alice = await sipClient(scope, networks.browser, 'alice', USERS.alice);
  return { networks, carrier, ringway, alice };
}

/** The status line that a REGISTER is answered with. */
const registering = async (alice) => (await alice.register()).response.split('\r\n', 1)[0];

interop('a_carrier_that_was_away_is_reached_once_it_is_back', async (scope) => {
  const options = optionsOf(scope, 'tcp');
  const { alice, carrier, networks } = await smallWorld(scope, options);
  assert.match(await registering(alice), /^SIP\/2\.0 200/);
  await carrier.stop();
  const before = Date.now();
  assert.match(await registering(alice), /^SIP\/2\.0 503/);
  // Nobody listens, and that is known at once: no timer has to run out.
  assert.ok(Date.now() - before < 3_000, `${Date.now() - before} ms`);
  await kamailio(scope, networks.carrier, { ...options.carrier, log: 'kamailio-again' });
  assert.match(await registering(alice), /^SIP\/2\.0 200/);
});

/** Alice calls the telephone; gives the status line of the final response. */
async function calling(alice) {
  const extra = [`Contact: ${alice.contact}`, 'Content-Type: application/sdp'];
  const offer = readFileSync(OFFER, 'utf8');
  const { response, callId } = await alice.request('INVITE', `sip:2000@${DOMAIN}`, extra, offer);
  assert.match(response, /^SIP\/2\.0 100/);
  return (await alice.take('SIP/2.0 ', callId)).split('\r\n', 1)[0];
}

interop('certificate_of_an_unknown_authority', async (scope) => {
  const options = optionsOf(scope, 'tls');
  // The carrier would take us.
  const theirs = authority(scope, 'unknown').sign(DOMAIN);
  Object.assign(options.carrier.tls, theirs);
  const { alice, carrier, ringway } = await smallWorld(scope, options);
  assert.match(await registering(alice), /^SIP\/2\.0 503/);
  // Who is not registered may not call.
  assert.match(await calling(alice), /^SIP\/2\.0 403/);
  await ringway.waitForLine(/no TLS with a carrier.*UnknownIssuer/);
  assert.doesNotMatch(carrier.output, REQUEST_AT_CARRIER);
});

interop('certificate_of_another_host_after_a_restart', async (scope) => {
  const root = authority(scope, 'known');
  const signed = (name) => ({ ...root.sign(name), authorities: root.certificate });
  const carrierWith = (name) => ({ transport: 'tls', tls: signed(name) });
  const { alice, carrier, ringway, networks } = await smallWorld(scope, {
    carrier: carrierWith(DOMAIN),
    gateway: { transport: 'tls', tls: signed(`IP:${ADDRESS.edgeToCarrier}`) },
  });
  assert.match(await registering(alice), /^SIP\/2\.0 200/);
  await carrier.waitForLine(REQUEST_AT_CARRIER);
  await carrier.stop();
  const another = { ...carrierWith('another.test'), log: 'kamailio-another' };
  const impostor = await kamailio(scope, networks.carrier, another);
  assert.match(await calling(alice), /^SIP\/2\.0 503/);
  assert.match(await registering(alice), /^SIP\/2\.0 503/);
  await ringway.waitForLine(/no TLS with a carrier.*not valid for name/);
  assert.doesNotMatch(impostor.output, REQUEST_AT_CARRIER);
});

/** What OPTIONS from the carrier's network is answered with, over OpenSSL with these files. */
async function asking(listener, root, files) {
  const read = (path) => path && readFileSync(path);
  const socket = tls.connect({
    socket: listener.connect(),
    host: ADDRESS.edgeToCarrier,
    ca: readFileSync(root.certificate),
    cert: read(files.certificate),
    key: read(files.privateKey),
  });
  const lines = [
    `OPTIONS sip:${ADDRESS.edgeToCarrier}:${PORTS.tls};transport=tls SIP/2.0`,
    `Via: SIP/2.0/TLS ${ADDRESS.carrier}:${PORTS.tls};branch=z9hG4bKoptions`,
    'Max-Forwards: 70',
    `To: <sip:${ADDRESS.edgeToCarrier}>`,
    `From: <sip:${DOMAIN}>;tag=options`,
    'Call-ID: options',
    'CSeq: 1 OPTIONS',
    'Content-Length: 0',
  ];
  socket.write(`${lines.join('\r\n')}\r\n\r\n`);
  try {
    const [data] = await once(socket, 'data', { signal: AbortSignal.timeout(5_000) });
    return String(data).split('\r\n', 1)[0];
  } catch (error) {
    return error.code;
  } finally {
    socket.destroy();
  }
}

interop('listener_takes_certificates_of_its_client_ca_only', async (scope) => {
  const root = authority(scope, 'known');
  const ours = { ...root.sign(`IP:${ADDRESS.edgeToCarrier}`), authorities: root.certificate };
  const networks = threeNetworks();
  scope.defer(networks.remove);
  const ringway = await gateway(scope, networks.edge, { transport: 'tls', tls: ours });
  const { edgeToCarrier } = ADDRESS;
  const listener = await forward(scope, networks.carrier, edgeToCarrier, PORTS.tls);
  assert.match(await asking(listener, root, root.sign(DOMAIN)), /^SIP\/2\.0 200/);
  const stranger = authority(scope, 'unknown').sign(DOMAIN);
  for (const files of [{}, stranger]) {
    const refused = await asking(listener, root, files);
    assert.match(refused, /^ERR_SSL_|^ECONNRESET$/);
  }
  await ringway.waitForLine(/no TLS on the trunk side.*peer sent no certificates/);
  await ringway.waitForLine(/no TLS on the trunk side.*UnknownIssuer/);
});

/** JsSIP as alice, and a carrier that is spoken to over UDP and listens for `transport`, too. */
async function largeWorld(scope, transport) {
  const networks = threeNetworks();
  scope.defer(networks.remove);
  const carrier = await kamailio(scope, networks.carrier, { transport });
  const ringway = await gateway(scope, networks.edge, {
    sipKeys: `listen_tcp = "${ADDRESS.edgeToCarrier}:5060"`,
    keys: 'tcp_for_large = true',
  });
  const telephone = await baresip(scope, networks.carrier, { toneHz: CARRIER_HZ });
  const alice = await nodePhone(scope, networks.browser, 'jssip', 'alice', USERS.alice);
  await alice.register();
  const arrived = (method, over) => {
    const from = ADDRESS.edgeToCarrier.replaceAll('.', '\\.');
    return new RegExp(`carrier: ${method} \\S+ from ${from}:\\d+ over ${over}`);
  };
  return { carrier, ringway, telephone, alice, arrived };
}

/** A header that makes an INVITE larger than a datagram should be. */
const LARGE = [`User-to-User: ${'a'.repeat(1200)}`];

interop('c16_large_requests_over_tcp', async (scope) => {
  const { carrier, ringway, telephone, alice, arrived } = await largeWorld(scope, 'tcp');
  await alice.call('2000', LARGE);
  await telephone.waitFor('CALL_ESTABLISHED');
  await alice.hangUp();
  await telephone.waitFor('CALL_CLOSED');
  // The first INVITE and the one with credentials; all else is small.
  assert.equal(carrier.output.match(new RegExp(arrived('INVITE', 'tcp'), 'g')).length, 2);
  assert.doesNotMatch(carrier.output, arrived('(INVITE|CANCEL)', 'udp'));
  assert.doesNotMatch(carrier.output, arrived('(REGISTER|BYE)', 'tcp'));
  await carrier.waitForLine(arrived('BYE', 'udp'));

  // The carrier's end of such a call finds us, too.
  telephone.forget();
  await alice.call('2000', LARGE);
  await telephone.waitFor('CALL_ESTABLISHED');
  await telephone.hangup();
  await ringway.waitForLine(/call ended[^]*call ended/);
});

interop('c16_a_carrier_that_takes_no_tcp_gets_them_over_udp', async (scope) => {
  const { carrier, ringway, telephone, alice, arrived } = await largeWorld(scope, 'udp');
  await alice.call('2000', LARGE);
  await telephone.waitFor('CALL_ESTABLISHED');
  await alice.hangUp();
  await telephone.waitFor('CALL_CLOSED');
  assert.match(carrier.output, arrived('INVITE', 'udp'));
  await ringway.waitForLine(/no TCP: requests that are too large/);
});
