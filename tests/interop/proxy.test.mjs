// Requests that are no calls, through ringway and a Kamailio whose registrar knows Path.

import assert from 'node:assert/strict';
import { capture, header } from './lib/capture.mjs';
import { kamailio, USERS } from './lib/kamailio.mjs';
import { ADDRESS, threeNetworks } from './lib/namespaces.mjs';
import { gateway } from './lib/ringway.mjs';
import { interop } from './lib/scope.mjs';
import { sipClient } from './lib/sip_client.mjs';

/** Alice and bob registered in Path mode. */
async function pathWorld(scope) {
  const networks = threeNetworks();
  scope.defer(networks.remove);
  await kamailio(scope, networks.carrier, { path: true });
  const wire = await capture(scope, networks.carrier, 'to-edge');
  await gateway(scope, networks.edge, { registration: 'path' });
  const clients = {};
  for (const user of ['alice', 'bob']) {
    clients[user] = await sipClient(scope, networks.browser, user, USERS[user]);
    clients[user].registered = (await clients[user].register()).response;
    assert.match(clients[user].registered, /^SIP\/2\.0 200/);
  }
  return { networks, wire, ...clients };
}

const routesOf = (message) =>
  header(message, 'Record-Route').flatMap((value) => value.split(',').map((one) => one.trim()));

interop('path_mode_with_kamailio', async (scope) => {
  const { alice, bob, wire } = await pathWorld(scope);
  // SHA-256 came first on the wire; the browser saw one MD5 challenge without auth-int.
  const challenged = wire.sip('SIP/2.0 401')[0].text;
  assert.match(challenged, /SHA-256/);
  assert.equal(alice.challenges.length, 1);
  assert.match(alice.challenges[0], /qop="?auth"?(,|$|\s)/);
  assert.doesNotMatch(alice.challenges[0], /auth-int|SHA/);
  // The Contact is the browser's own, and our Path is its only way.
  const register = wire.sip('REGISTER ')[0].text;
  assert.match(header(register, 'Path')[0], new RegExp(`@${ADDRESS.edgeToCarrier}:5060;lr;ob>`));
  assert.ok(header(alice.registered, 'Contact').some((value) => value.includes(alice.host)));

  // A message from browser to browser, through the carrier and its Route.
  const sent = alice.request('MESSAGE', bob.uri, ['Content-Type: text/plain'], 'hello');
  const message = await bob.take('MESSAGE ');
  assert.ok(message.endsWith('hello'));
  assert.ok(message.startsWith(`MESSAGE ${bob.contact.slice(1, -1)} SIP/2.0`), message);
  assert.equal(header(message, 'Route').length, 0);
  assert.match(header(message, 'P-Asserted-Identity')[0], /alice@carrier\.test/);
  bob.answer(message, '202 Accepted');
  assert.match((await sent).response, /^SIP\/2\.0 202/);
});

interop('subscription_through_kamailio', async (scope) => {
  const { alice, bob } = await pathWorld(scope);
  const subscribing = alice.request('SUBSCRIBE', bob.uri, [
    `Contact: ${alice.contact}`,
    'Event: presence',
    'Expires: 600',
  ]);
  const subscribe = await bob.take('SUBSCRIBE ');
  const to = bob.answer(subscribe, '200 OK', [`Contact: ${bob.contact}`, 'Expires: 600']);
  const accepted = await subscribing;
  assert.match(accepted.response, /^SIP\/2\.0 200/);
  // Twice through ringway, once through the carrier: two Record-Routes each time, and its own.
  assert.ok(routesOf(accepted.response).length >= 5, accepted.response);

  // The notifier's route set is that of the request, the subscriber's that of the response.
  const notifying = bob.request(
    'NOTIFY',
    alice.contact.slice(1, -1),
    [
      ...routesOf(subscribe).map((route) => `Route: ${route}`),
      `Contact: ${bob.contact}`,
      'Event: presence',
      'Subscription-State: active;expires=600',
    ],
    '',
    { callId: accepted.callId, from: to, to: accepted.from },
  );
  const notify = await alice.take('NOTIFY ');
  assert.equal(header(notify, 'Route').length, 0);
  alice.answer(notify, '200 OK', [`Contact: ${alice.contact}`]);
  assert.match((await notifying).response, /^SIP\/2\.0 200/);

  const ending = alice.request(
    'SUBSCRIBE',
    bob.contact.slice(1, -1),
    [
      ...routesOf(accepted.response)
        .reverse()
        .map((route) => `Route: ${route}`),
      `Contact: ${alice.contact}`,
      'Event: presence',
      'Expires: 0',
    ],
    '',
    { callId: accepted.callId, from: accepted.from, to, cseq: accepted.cseq + 1 },
  );
  const end = await bob.take('SUBSCRIBE ');
  bob.answer(end, '200 OK', [`Contact: ${bob.contact}`]);
  assert.match((await ending).response, /^SIP\/2\.0 200/);
});

interop('a_flow_that_is_gone_is_a_430_at_once', async (scope) => {
  const { alice, bob, wire } = await pathWorld(scope);
  bob.socket.terminate();
  const { response } = await alice.request('MESSAGE', bob.uri, ['Content-Type: text/plain'], 'x');
  assert.match(response, /^SIP\/2\.0 430/);
  assert.ok(wire.sip('SIP/2.0 430').length > 0);
});
