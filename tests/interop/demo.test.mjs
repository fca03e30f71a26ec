// Ringway without configuration: the web phone, its echo line, and two tabs that call each other.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { chromium, firefox, openPage, waitForReports, waitForTone } from './lib/browser.mjs';
import { WebPhone } from './lib/phone.mjs';
import { DEMO_PHONE } from './lib/ringway.mjs';
import { eventually, interop } from './lib/scope.mjs';
import { writeTone } from './lib/tone.mjs';
import { demoWorld } from './lib/world.mjs';

const ECHO = '9196';
const MICROPHONE_HZ = 440;

async function callTheEcho(page) {
  const phone = new WebPhone(page);
  await phone.logInAsDemoLine('1001');
  await phone.dial(ECHO);
  await phone.waitForCall('in-call');
  await waitForTone(page, MICROPHONE_HZ);
  await phone.hangUp();
  await phone.waitForCall('ended');
}

interop('demo_echo', async (scope) => {
  const { machine } = await demoWorld(scope);
  const file = join(scope.directory, 'microphone.wav');
  const microphone = writeTone(file, { frequencyHz: MICROPHONE_HZ });
  const browser = await chromium(scope, machine, { microphone });
  await callTheEcho(await openPage(scope, browser, DEMO_PHONE));
});

interop('demo_echo_firefox', async (scope) => {
  const { machine } = await demoWorld(scope);
  const browser = await firefox(scope, machine, { toneHz: MICROPHONE_HZ });
  await callTheEcho(await openPage(scope, browser, DEMO_PHONE));
});

/** Waits until the page has decoded pictures of the other side. */
async function waitForPictures(page, framesMin) {
  await eventually(
    'pictures of the other side',
    async () => {
      const statistics = await page.evaluate(() => globalThis.ringwayProbe.statistics());
      const video = statistics?.inbound.find(({ kind }) => kind === 'video');
      return (video?.framesDecoded ?? 0) >= framesMin;
    },
    { timeoutMs: 20_000 },
  );
}

/** Alice (1001) and Bob (1002), each logged in on a page of their own. */
async function twoPhones(scope, open) {
  const people = {};
  for (const [name, number] of [
    ['alice', '1001'],
    ['bob', '1002'],
  ]) {
    const { page, toneHz } = await open(name);
    people[name] = { name, number, page, toneHz, phone: new WebPhone(page) };
    await people[name].phone.logInAsDemoLine(number);
  }
  return people;
}

/** A video call until each has heard and seen the other; then `first` hangs up. */
async function callAndHangUp(caller, callee, first, { reports = false } = {}) {
  await caller.phone.dial(callee.number, { video: true });
  await callee.phone.waitForCall('incoming');
  await callee.phone.answer();
  await Promise.all([caller, callee].map(({ phone }) => phone.waitForCall('in-call')));
  await Promise.all([
    waitForTone(caller.page, callee.toneHz),
    waitForTone(callee.page, caller.toneHz),
    waitForPictures(caller.page, 10),
    waitForPictures(callee.page, 10),
  ]);
  if (reports) {
    await Promise.all([caller, callee].map(({ page }) => waitForReports(page, ['audio', 'video'])));
  }
  const second = first === caller ? callee : caller;
  await first.phone.hangUp();
  assert.equal((await second.phone.waitForCall('ended')).cause, 'terminated');
  await first.phone.waitForCall('ended');
}

interop('two_tabs', async (scope) => {
  const { machine } = await demoWorld(scope);
  const browser = await chromium(scope, machine);
  const tones = { alice: 500, bob: 800 };
  const { alice, bob } = await twoPhones(scope, async (name) => {
    const toneHz = tones[name];
    return { page: await openPage(scope, browser, DEMO_PHONE, { toneHz, name }), toneHz };
  });
  await callAndHangUp(alice, bob, alice, { reports: true });
  await callAndHangUp(alice, bob, bob);
});

interop('chromium_and_firefox_call_each_other', async (scope) => {
  const { machine } = await demoWorld(scope);
  const tones = { alice: 500, bob: 800 };
  const { alice, bob } = await twoPhones(scope, async (name) => {
    const toneHz = tones[name];
    if (name === 'alice') {
      const browser = await chromium(scope, machine);
      return { page: await openPage(scope, browser, DEMO_PHONE, { toneHz, name }), toneHz };
    }
    const browser = await firefox(scope, machine, { toneHz });
    return { page: await openPage(scope, browser, DEMO_PHONE, { name }), toneHz };
  });
  await callAndHangUp(alice, bob, bob);
  await callAndHangUp(bob, alice, bob);
});
