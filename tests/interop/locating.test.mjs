// A carrier that is found in the DNS (D1): SRV, NAPTR, records that change, a DNS that is away.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { header } from './lib/capture.mjs';
import { dnsmasq } from './lib/dnsmasq.mjs';
import { DOMAIN, kamailio, PORTS, USERS } from './lib/kamailio.mjs';
import { ADDRESS, addAddress, threeNetworks } from './lib/namespaces.mjs';
import { gateway } from './lib/ringway.mjs';
import { eventually, interop } from './lib/scope.mjs';
import { sipClient } from './lib/sip_client.mjs';
import { sipp } from './lib/sipp.mjs';

const OFFER = new URL('../fixtures/chromium_offer_audio.sdp', import.meta.url);
const [FIRST, SECOND] = [`sbc1.${DOMAIN}`, `sbc2.${DOMAIN}`];
const HOSTS = { [FIRST]: ADDRESS.carrier, [SECOND]: ADDRESS.carrierAgain };

/** Longest time until a record that has changed is noticed: answers are believed for 30 s. */
const NOTICED_WITHIN = { timeoutMs: 45_000, everyMs: 1_000 };

/** The networks, with a second address for the carrier. */
function networksOfTwo(scope) {
  const networks = threeNetworks();
  scope.defer(networks.remove);
  addAddress(networks.carrier, 'to-edge', ADDRESS.carrierAgain);
  return networks;
}

/** A node of the carrier. */
const node = (scope, networks, address, options = {}) =>
  kamailio(scope, networks.carrier, {
    challengeInvites: false,
    address,
    log: `kamailio-${address}`,
    ...options,
  });

/** Ringway, which finds the carrier by its domain; and alice's SIP stack. */
async function ringwayAndAlice(scope, networks, options = {}) {
  const ringway = await gateway(scope, networks.edge, {
    target: DOMAIN,
    sipKeys: `resolvers = "${ADDRESS.carrier}"`,
    keys: 'failover_after_s = 2',
    ...options,
  });
  const alice = await sipClient(scope, networks.browser, 'alice', USERS.alice);
  return { ringway, alice };
}

const statusLine = (message) => message.split('\r\n', 1)[0];
const registering = async (alice) => statusLine((await alice.register()).response);

/** Alice calls the carrier's telephone, talks, and hangs up. */
async function call(scope, alice, networks) {
  const telephone = await sipp(scope, networks.carrier, 'answers_late', { number: 2000 });
  const extra = [`Contact: ${alice.contact}`, 'Content-Type: application/sdp'];
  const uri = `sip:2000@${DOMAIN}`;
  const invite = await alice.request('INVITE', uri, extra, readFileSync(OFFER, 'utf8'));
  const { callId, from, cseq } = invite;
  let response = invite.response;
  while (/^SIP\/2\.0 1/.test(response)) response = await alice.take('SIP/2.0 ', callId);
  assert.match(response, /^SIP\/2\.0 200/);
  const [to] = header(response, 'To');
  const target = header(response, 'Contact')[0].match(/<([^>]+)>/)[1];
  alice.acknowledge(target, { callId, from, to, cseq });
  const dialog = { callId, from, to, cseq: cseq + 1 };
  assert.match((await alice.request('BYE', target, [], '', dialog)).response, /^SIP\/2\.0 200/);
  await telephone.finished();
}

interop('d1_srv_calls_the_first_server_and_then_the_next_within_one_call', async (scope) => {
  const networks = networksOfTwo(scope);
  const name = `_sip._udp.${DOMAIN}`;
  await dnsmasq(scope, networks.carrier, {
    hosts: HOSTS,
    services: [
      [name, SECOND, 5060, 20],
      [name, FIRST, 5060, 10],
    ],
  });
  const first = await node(scope, networks, ADDRESS.carrier);
  const second = await node(scope, networks, ADDRESS.carrierAgain);
  const { ringway, alice } = await ringwayAndAlice(scope, networks);
  await ringway.waitForLine(/target is found/);
  assert.match(await registering(alice), /^SIP\/2\.0 200/);
  await call(scope, alice, networks);
  await first.waitForLine(/carrier: INVITE /);
  assert.doesNotMatch(second.output, /carrier: /);

  await first.stop('SIGKILL');
  await call(scope, alice, networks);
  await second.waitForLine(/carrier: INVITE /);
  await ringway.waitForLine(/target is down/);
  assert.equal((ringway.output.match(/call ended/g) ?? []).length, 2);
});

interop('d1_a_register_goes_on_at_the_next_server', async (scope) => {
  const networks = networksOfTwo(scope);
  const name = `_sip._udp.${DOMAIN}`;
  await dnsmasq(scope, networks.carrier, {
    hosts: HOSTS,
    services: [
      [name, FIRST, 5060, 10],
      [name, SECOND, 5060, 20],
    ],
  });
  // Nobody is at the first one.
  const second = await node(scope, networks, ADDRESS.carrierAgain);
  const { ringway, alice } = await ringwayAndAlice(scope, networks);
  await ringway.waitForLine(/target is found/);
  assert.match(await registering(alice), /^SIP\/2\.0 200/);
  await second.waitForLine(/carrier: REGISTER /);
});

interop('d1_a_carrier_that_moves_is_followed', async (scope) => {
  const networks = networksOfTwo(scope);
  const services = [[`_sip._udp.${DOMAIN}`, FIRST, 5060, 10]];
  const before = await dnsmasq(scope, networks.carrier, { hosts: HOSTS, services });
  const first = await node(scope, networks, ADDRESS.carrier);
  const second = await node(scope, networks, ADDRESS.carrierAgain);
  const { ringway, alice } = await ringwayAndAlice(scope, networks);
  await ringway.waitForLine(/target is found/);
  assert.match(await registering(alice), /^SIP\/2\.0 200/);
  await first.waitForLine(/carrier: REGISTER /);
  assert.doesNotMatch(second.output, /carrier: /);

  await before.stop();
  const hosts = { [FIRST]: ADDRESS.carrierAgain };
  await dnsmasq(scope, networks.carrier, { hosts, services, log: 'dnsmasq-again' });
  // A registration that begins at the one and ends at the other is challenged again.
  const moved = async () =>
    /^SIP\/2\.0 200/.test(await registering(alice)) && /carrier: REGISTER /.test(second.output);
  await eventually('requests go to the new address', moved, NOTICED_WITHIN);
});

interop('d1_naptr_chooses_the_transport', async (scope) => {
  const networks = networksOfTwo(scope);
  await dnsmasq(scope, networks.carrier, {
    hosts: HOSTS,
    services: [
      [`_sip._tcp.${DOMAIN}`, FIRST, PORTS.tcp, 10],
      [`_sip._udp.${DOMAIN}`, SECOND, PORTS.udp, 10],
    ],
    domains: [
      [DOMAIN, 10, 'SIP+D2T', `_sip._tcp.${DOMAIN}`],
      [DOMAIN, 20, 'SIP+D2U', `_sip._udp.${DOMAIN}`],
    ],
  });
  const carrier = await node(scope, networks, ADDRESS.carrier, { transport: 'tcp' });
  const { ringway, alice } = await ringwayAndAlice(scope, networks, { transport: 'auto' });
  await ringway.waitForLine(/target is found/);
  assert.match(await registering(alice), /^SIP\/2\.0 200/);
  await carrier.waitForLine(/carrier: REGISTER \S+ from \S+ over tcp/);
  assert.doesNotMatch(carrier.output, /over udp/);
});

interop('d1_starts_without_a_dns_and_finds_the_carrier_later', async (scope) => {
  const networks = networksOfTwo(scope);
  await node(scope, networks, ADDRESS.carrier);
  const { ringway, alice } = await ringwayAndAlice(scope, networks);
  assert.match(await registering(alice), /^SIP\/2\.0 503/);
  await ringway.waitForLine(/target cannot be found/, 30_000);
  // Without SRV, the domain is a host.
  await dnsmasq(scope, networks.carrier, { hosts: { [DOMAIN]: ADDRESS.carrier } });
  const found = async () => /^SIP\/2\.0 200/.test(await registering(alice));
  await eventually('the carrier is found', found, NOTICED_WITHIN);
});
