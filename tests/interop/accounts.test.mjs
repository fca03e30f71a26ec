// A trunk where ringway has an account: Kamailio challenges its registration and its calls, and lines
// of the house use it without knowing.

import assert from 'node:assert/strict';
import { baresip } from './lib/baresip.mjs';
import { openPage, waitForTone } from './lib/browser.mjs';
import { USERS } from './lib/kamailio.mjs';
import { ADDRESS } from './lib/namespaces.mjs';
import { WebPhone } from './lib/phone.mjs';
import { PHONE } from './lib/ringway.mjs';
import { interop } from './lib/scope.mjs';
import { BROWSER_HZ, CARRIER_HZ, carrierWorld } from './lib/world.mjs';

const LINE = { number: '1001', password: 'a-line-of-the-house' };

const accountKeys = (password) => `username = "bob"
password = "${password}"
register = true
calls_to = "${LINE.number}"`;

const LINES = `[lines]
domain = "lines.test"
[[line]]
number = "${LINE.number}"
password = "${LINE.password}"`;

interop('d10_lines_use_an_account', async (scope) => {
  const keys = accountKeys(USERS.bob);
  const world = await carrierWorld(scope, { gateway: { keys, more: LINES } });
  const { carrier, ringway, browser, networks } = world;
  await ringway.waitForLine(/registered at the trunk/);
  const telephone = await baresip(scope, networks.carrier, { toneHz: CARRIER_HZ });
  const page = await openPage(scope, browser, PHONE);
  const phone = new WebPhone(page);
  await phone.logIn(LINE.number, LINE.password, 'lines.test');
  await phone.waitForRegistration('registered');

  await phone.dial('2000');
  await phone.waitForCall('in-call');
  await telephone.waitFor('CALL_ESTABLISHED');
  await Promise.all([telephone.waitForTone(BROWSER_HZ), waitForTone(page, CARRIER_HZ)]);
  await phone.hangUp();
  await telephone.waitFor('CALL_CLOSED');
  await phone.waitForCall('ended');

  telephone.forget();
  await telephone.dial('bob');
  await phone.waitForCall('incoming');
  await phone.answer();
  await phone.waitForCall('in-call');
  await telephone.waitFor('CALL_ESTABLISHED');
  await Promise.all([telephone.waitForTone(BROWSER_HZ), waitForTone(page, CARRIER_HZ)]);
  await telephone.hangup();
  await phone.waitForCall('ended');

  await ringway.stop('SIGTERM', 6_000);
  // The registration was taken back: the REGISTER of the end found nothing to challenge any more.
  const edge = ADDRESS.edgeToCarrier.replaceAll('.', '\\.');
  const requests = [...carrier.output.matchAll(new RegExp(`carrier: (\\S+) \\S+ from ${edge}:`, 'g'))];
  assert.equal(requests.at(-1)[1], 'REGISTER', requests.map(([line]) => line).join('\n'));
});

interop('d10_account_with_a_wrong_password', async (scope) => {
  const keys = accountKeys('not-his-own');
  const { carrier, ringway } = await carrierWorld(scope, { gateway: { keys, more: LINES } });
  await ringway.waitForLine(/not registered at the trunk/);
  assert.doesNotMatch(ringway.output, /not-his-own/);
  const tries = [...carrier.output.matchAll(/carrier: REGISTER /g)];
  assert.equal(tries.length, 2, 'one without, one with credentials');
});
