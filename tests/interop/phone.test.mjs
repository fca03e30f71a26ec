// What a person at the web phone sees, presses and is told.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { chromium, openPage, waitForTone } from './lib/browser.mjs';
import { blockUdp, threeNetworks } from './lib/namespaces.mjs';
import { WebPhone } from './lib/phone.mjs';
import { demo, DEMO_PHONE, gateway, PHONE } from './lib/ringway.mjs';
import { eventually, interop } from './lib/scope.mjs';
import { openSipjs } from './lib/sipjs.mjs';
import { demoWorld } from './lib/world.mjs';

const ECHO = '9196';
const ALICE_HZ = 500;
const BOB_HZ = 800;
const NARROW = { width: 390, height: 844 };
const WIDE = { width: 1280, height: 800 };

/** The demo with a browser. */
async function withBrowser(scope) {
  const world = await demoWorld(scope);
  return { ...world, browser: await chromium(scope, world.machine) };
}

/** A page of the demo; logged in where a line is given. */
async function person(scope, browser, { line, toneHz, name = line ?? 'page' } = {}) {
  const page = await openPage(scope, browser, DEMO_PHONE, { toneHz, name });
  const phone = new WebPhone(page);
  if (line) await phone.logInAsDemoLine(line);
  return { page, phone };
}

async function twoPeople(scope, browser) {
  const alice = await person(scope, browser, { line: '1001', toneHz: ALICE_HZ });
  const bob = await person(scope, browser, { line: '1002', toneHz: BOB_HZ });
  return { alice, bob };
}

const state = ({ page }) => page.evaluate(() => globalThis.ringwayPhone.state());

async function waitForTrouble(who, kind) {
  await eventually(`trouble "${kind}"`, async () => (await state(who)).trouble === kind, {
    timeoutMs: 15_000,
  });
}

async function callTheEcho({ phone }) {
  await phone.dial(ECHO);
  await phone.waitForCall('in-call');
}

interop('ux_start_ux_p1_no_sound_is_told_with_its_cause', async (scope) => {
  const { machine, ringway, browser } = await withBrowser(scope);
  assert.match(ringway.output, /web phone: http:\/\/127\.0\.0\.1:8080\//);
  assert.match(ringway.output, /next: open the page, log in as 1001/);
  assert.ok(ringway.output.trim().split('\n').length <= 10, ringway.output);
  assert.doesNotMatch(ringway.output, /\d\d:\d\d:\d\d\.\d/);

  const silent = await person(scope, browser, { line: '1001' });
  const cut = await person(scope, browser, { line: '1002', toneHz: BOB_HZ });
  await callTheEcho(cut);
  await waitForTone(cut.page, BOB_HZ);
  blockUdp(machine);
  await callTheEcho(silent);
  const answered = Date.now();
  await waitForTrouble(silent, 'blocked');
  assert.ok(Date.now() - answered < 8_000);
  assert.match(await silent.phone.text('call-text'), /No sound/);
  assert.match(await silent.phone.text('trouble'), /firewall.*UDP to [\d.]+:\d+/);
  await ringway.waitForLine(/no media 5 s after the answer: no valid ICE check; is UDP port \d+ open/);
  await waitForTrouble(cut, 'interrupted');
  ringway.kill('SIGKILL');
  await waitForTrouble(silent, 'gateway-gone');
  assert.match(await silent.phone.text('trouble'), /stopped/);
  await silent.phone.hangUp();
  await silent.phone.waitForCall('ended');
  assert.match(await silent.phone.text('call-text'), /gateway lost/);
});

interop('ux_p1_a_gateway_that_stops_is_said', async (scope) => {
  const { ringway, browser } = await withBrowser(scope);
  const alice = await person(scope, browser, { line: '1001', toneHz: ALICE_HZ });
  await callTheEcho(alice);
  await waitForTone(alice.page, ALICE_HZ);
  ringway.kill('SIGTERM');
  await alice.phone.waitForCall('ended');
  await eventually('a word', async () => /gateway was stopped/.test(await alice.phone.text('call-text')));
});

/** Keeps the notifications that the page makes. */
const keepNotifications = (page) =>
  page.evaluateOnNewDocument(() => {
    globalThis.notifications = [];
    globalThis.Notification = class {
      static permission = 'granted';
      constructor(title, options) {
        globalThis.notifications.push({ title, body: options.body });
      }
      close() {}
    };
  });

interop('ux_p3_p4_p11_p16_a_call_that_comes_in_is_seen', async (scope) => {
  const { browser } = await withBrowser(scope);
  const { alice, bob } = await twoPeople(scope, browser);
  await keepNotifications(bob.page);
  await bob.page.reload();
  await bob.phone.waitForRegistration('registered');
  await bob.page.setViewport(WIDE);
  await alice.page.bringToFront();
  await alice.phone.dial('1002', { video: true });
  await bob.phone.waitForCall('incoming');
  assert.equal(await alice.phone.text('call-peer'), 'Bob');
  assert.equal(await alice.phone.text('call-number'), '1002');

  assert.equal(await bob.phone.text('call-peer'), 'Alice');
  assert.equal(await bob.phone.text('call-number'), '1001');
  assert.match(await bob.page.title(), /^☎ Alice is calling/);
  const icon = await bob.page.$eval('#icon', (link) => link.getAttribute('href'));
  assert.equal(icon, '/icon-ringing.svg');
  const notifications = await bob.page.evaluate(() => globalThis.notifications);
  assert.deepEqual(notifications, [{ title: 'Alice is calling', body: '1001' }]);
  assert.equal(await bob.phone.focused(), 'answer');
  const buttons = await Promise.all(['decline', 'answer-audio', 'answer'].map((id) => bob.phone.place(id)));
  for (const [one, next] of [buttons.slice(0, 2), buttons.slice(1)]) {
    assert.ok(next.x - (one.x + one.width) >= 24, JSON.stringify(buttons));
  }
  const card = await bob.phone.place('call-state');
  assert.ok(card.width > 400 && Math.abs(card.x + card.width / 2 - WIDE.width / 2) < 20);
  await bob.page.setViewport(NARROW);
  const narrow = await Promise.all(['decline', 'answer-audio', 'answer'].map((id) => bob.phone.place(id)));
  for (const { x, y, width, height } of narrow) {
    assert.ok(x >= 0 && x + width <= NARROW.width && y + height <= NARROW.height);
  }

  await bob.page.bringToFront();
  await bob.page.keyboard.press('a');
  await bob.phone.waitForCall('in-call');
  assert.equal(await bob.phone.focused(), 'call-peer');
  await bob.page.keyboard.press('m');
  assert.equal((await state(bob)).muted, true);
  // A call that is answered does not end by Escape.
  await bob.page.keyboard.press('Escape');
  assert.equal((await state(bob)).call, 'in-call');
  await bob.page.keyboard.press('h');
  await bob.phone.waitForCall('ended');
  // Not while one types: the destination has the focus.
  await alice.phone.waitForCall('ended');
  await bob.page.setViewport(WIDE);
  await alice.phone.dial('1002');
  await bob.phone.waitForCall('incoming');
  await bob.page.keyboard.press('Escape');
  assert.equal((await alice.phone.waitForCall('ended')).statusCode, 603);
  assert.equal(await bob.phone.focused(), 'destination');

  // Missed in the background: said until somebody looks.
  await alice.page.bringToFront();
  await alice.phone.dial('1002');
  await bob.phone.waitForCall('incoming');
  await alice.page.keyboard.press('Escape');
  await bob.phone.waitForCall('ended');
  assert.match(await bob.page.title(), /^Missed: Alice/);
  await bob.page.bringToFront();
  await eventually('the title', async () => (await bob.page.title()) === '1002 · Ringway phone');
});

const waitForSipjs = (page) =>
  eventually(
    'SIP.js in the call',
    async () => (await page.evaluate(() => globalThis.sipjs.state())) === 'Established',
  );

interop('ux_p6_a_transfer_is_followed_or_declined', async (scope) => {
  const { browser } = await withBrowser(scope);
  const bob = await person(scope, browser, { line: '1002', toneHz: BOB_HZ });
  const line = await bob.page.evaluate(async () => {
    const { lines } = await (await fetch('/config.json')).json();
    return lines.find(({ number }) => number === '1001');
  });
  const page = await openSipjs(scope, browser, DEMO_PHONE, {
    user: '1001',
    password: line.password,
    domain: 'ringway.local',
  });
  const callBob = async () => {
    await page.evaluate(() => globalThis.sipjs.call('sip:1002@ringway.local'));
    await bob.phone.waitForCall('incoming');
    await bob.phone.answer();
    await bob.phone.waitForCall('in-call');
    await waitForSipjs(page);
  };
  const refer = (uri) => page.evaluate((to) => globalThis.sipjs.refer(to), uri);

  await callBob();
  // To anywhere else: refused at once, and the call goes on.
  await assert.rejects(refer('sip:1003@elsewhere.example'), /REFER: 603/);
  assert.equal((await state(bob)).call, 'in-call');
  // To a number that does not exist: told, and the call goes on.
  assert.match((await refer('sip:4711@ringway.local')).at(-1), /^SIP\/2\.0 404/);
  await eventually('the first call', async () => (await state(bob)).direction === 'incoming');
  assert.equal((await state(bob)).muted, false);
  // To the echo: who transferred hangs up as soon as the REFER is accepted, as is usual.
  const told = refer(`sip:${ECHO}@ringway.local`).catch(() => null);
  await eventually('the new call', async () => (await state(bob)).number === ECHO);
  await page.evaluate(() => globalThis.sipjs.bye());
  await told;
  await bob.phone.waitForCall('in-call');
  await waitForTone(bob.page, BOB_HZ);
  await bob.phone.hangUp();
  await bob.phone.waitForCall('ended');
});

interop('ux_p6_an_attended_transfer_joins_two_web_phones', async (scope) => {
  const networks = threeNetworks();
  scope.defer(networks.remove);
  const password = 'a password for a test';
  const line = (number) => `[[line]]\nnumber = "${number}"\npassword = "${password}"\n`;
  await gateway(scope, networks.edge, { more: ['1001', '1002', '1003'].map(line).join('') });
  const browser = await chromium(scope, networks.browser);
  const people = {};
  for (const [number, toneHz] of [
    ['1002', ALICE_HZ],
    ['1003', BOB_HZ],
  ]) {
    const page = await openPage(scope, browser, PHONE, { toneHz, name: number });
    const phone = new WebPhone(page);
    await phone.logIn(number, password, 'ringway.local');
    await phone.waitForRegistration('registered');
    people[number] = { page, phone, toneHz };
  }
  const page = await openSipjs(scope, browser, PHONE, {
    user: '1001',
    password,
    domain: 'ringway.local',
  });
  const answered = async ({ phone }) => {
    await phone.waitForCall('incoming');
    await phone.answer();
    await phone.waitForCall('in-call');
  };
  await page.evaluate(() => globalThis.sipjs.call('sip:1002@ringway.local'));
  await answered(people[1002]);
  await waitForSipjs(page);
  const consulted = page.evaluate(() => globalThis.sipjs.consult('sip:1003@ringway.local'));
  await answered(people[1003]);
  await consulted;
  const told = await page.evaluate(() => globalThis.sipjs.referToConsulted());
  assert.match(told.at(-1), /^SIP\/2\.0 200/);
  await Promise.all([
    waitForTone(people[1002].page, people[1003].toneHz),
    waitForTone(people[1003].page, people[1002].toneHz),
  ]);
  await people[1003].phone.hangUp();
  await people[1002].phone.waitForCall('ended');
});

interop('ux_p7_p8_a_login_outlives_a_reload_and_a_restart', async (scope) => {
  const { machine, ringway, browser } = await withBrowser(scope);
  const alice = await person(scope, browser, { line: '1001', toneHz: ALICE_HZ });
  const asked = [];
  alice.page.on('dialog', (dialog) => {
    asked.push(dialog.type());
    dialog.accept();
  });
  await alice.page.reload();
  await alice.phone.waitForRegistration('registered');
  assert.deepEqual(asked, []);
  const stored = await alice.page.evaluate(() => [
    Object.keys(localStorage),
    JSON.parse(sessionStorage['ringway.line']).user,
  ]);
  assert.deepEqual(stored, [[], '1001']);

  await callTheEcho(alice);
  // Log out asks; Escape is "no".
  await alice.page.click('#logout');
  await alice.page.keyboard.press('Escape');
  assert.equal((await state(alice)).call, 'in-call');
  await alice.page.click('.wordmark');
  await eventually('a question', () => asked.includes('beforeunload'));
  await alice.phone.waitForRegistration('registered');
  await callTheEcho(alice);
  await alice.page.click('#logout');
  await alice.page.click('#leave-go');
  await alice.phone.waitForRegistration('unregistered');
  assert.equal(await alice.page.evaluate(() => sessionStorage['ringway.line']), undefined);

  await alice.page.click('[data-line="1001"]');
  await alice.phone.waitForRegistration('registered');
  const before = await alice.page.evaluate(() => JSON.parse(sessionStorage['ringway.line']).password);
  await ringway.stop();
  await alice.phone.waitForRegistration('connecting');
  await demo(scope, machine);
  await alice.phone.waitForRegistration('registered', 20_000);
  const after = await alice.page.evaluate(() => JSON.parse(sessionStorage['ringway.line']).password);
  assert.notEqual(after, before);
  // The buttons for other lines know it, too.
  await alice.page.click('#logout');
  await alice.page.click('[data-line="1002"]');
  await alice.phone.waitForRegistration('registered');
});

interop('ux_p9_p10_p12_p15_p16_the_page_keeps_still', async (scope) => {
  const { ringway, browser } = await withBrowser(scope);
  const alice = await person(scope, browser, { toneHz: ALICE_HZ });
  const { page, phone } = alice;
  await page.setViewport(NARROW);
  await phone.logIn('1001', 'wrong');
  await phone.waitForRegistration('failed');
  const error = await phone.place('login-error');
  assert.ok(error.y >= 0 && error.y + error.height <= NARROW.height);
  assert.equal(await phone.focused(), 'password');
  await page.click('[data-line="1001"]');
  await phone.waitForRegistration('registered');
  assert.doesNotMatch(await phone.text('hint-list'), /RFC|event/);

  await callTheEcho(alice);
  await waitForTone(page, ALICE_HZ);
  const places = () => Promise.all(['hangup', 'mute', 'dial-pad'].map((id) => phone.place(id)));
  for (const viewport of [NARROW, WIDE]) {
    await page.setViewport(viewport);
    const before = await places();
    for (const digit of '1234567890*#') await phone.press(digit);
    await page.evaluate(() => document.getElementById('mute').click());
    assert.deepEqual(await places(), before);
    await page.evaluate(() => document.getElementById('mute').click());
  }
  await page.setViewport(NARROW);
  await eventually('a word', async () => (await phone.text('quality')) === 'Good');
  const still = await places();
  // What is wrong moves nothing either, and the pill stays whole.
  ringway.kill('SIGKILL');
  await waitForTrouble(alice, 'gateway-gone');
  assert.deepEqual(await places(), still);
  const whole = await page.$$eval('#registration span', (spans) =>
    spans.every((span) => span.scrollWidth <= span.clientWidth || span.className === 'dot'));
  assert.ok(whole, await phone.text('registration'));
  assert.match(await phone.text('registration'), /Reconnecting…$/);
  await phone.hangUp();
  await phone.waitForCall('ended');
  assert.equal(await phone.text('statistics-title'), 'The last call');
  const figures = await page.$eval('#statistics', (list) => list.textContent);
  assert.match(figures, /Connectionended/);
});

interop('ux_p13_p12_pictures_and_failed_calls', async (scope) => {
  const { browser } = await withBrowser(scope);
  const { alice, bob } = await twoPeople(scope, browser);
  await alice.phone.dial('4711');
  assert.equal((await alice.phone.waitForCall('ended')).statusCode, 404);
  assert.equal(await alice.phone.place('statistics-details'), null);
  assert.match(await alice.phone.text('quality-text'), /not answered/);

  await bob.page.setViewport(WIDE);
  await alice.phone.dial('1002', { video: true });
  await bob.phone.waitForCall('incoming');
  await bob.phone.answer();
  await bob.phone.waitForCall('in-call');
  const shape = () =>
    bob.page.evaluate(() => {
      const { videoWidth, videoHeight } = document.getElementById('remote-video');
      const { width, height } = document.getElementById('stage').getBoundingClientRect();
      return videoWidth && { picture: videoWidth / videoHeight, stage: width / height };
    });
  // The fake camera has 4:3: the stage takes its shape.
  await eventually('the picture fills the stage', async () => {
    const { picture, stage } = (await shape()) || {};
    return picture && Math.abs(picture - stage) < 0.02;
  });
  assert.equal(await bob.phone.place('stage-note'), null);
  await alice.page.evaluate(() => document.getElementById('camera').click());
  await eventually('a word', async () => /camera is off/.test(await bob.phone.text('stage-note')));
  await alice.page.evaluate(() => document.getElementById('camera').click());
  await eventually('the picture', async () => (await bob.phone.place('stage-note')) === null);
  await bob.phone.hangUp();
  await bob.phone.waitForCall('ended');
});

interop('ux_p14_a_carrier_without_lines_offers_what_it_has', async (scope) => {
  const networks = threeNetworks();
  scope.defer(networks.remove);
  await gateway(scope, networks.edge);
  const browser = await chromium(scope, networks.browser);
  const page = await openPage(scope, browser, PHONE);
  const phone = new WebPhone(page);
  // Nobody answers at the carrier; the phone is there all the same.
  await phone.logIn('alice', 'secret', undefined);
  await page.waitForSelector('#phone-view', { visible: true });
  assert.equal(await phone.text('call-peer'), 'alice');
  assert.equal(await phone.text('suggestions'), '');
  assert.equal(await phone.place('call-video'), null);
});

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** What axe objects to on the page as it is. */
async function objections(page) {
  await page.evaluate(AXE);
  const { violations } = await page.evaluate(() => globalThis.axe.run());
  return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`);
}

interop('ux_p16_axe_finds_nothing', async (scope) => {
  const { browser } = await withBrowser(scope);
  const { alice, bob } = await twoPeople(scope, browser);
  const fresh = await person(scope, browser);
  assert.deepEqual(await objections(fresh.page), []);
  await alice.page.setViewport(WIDE);
  await bob.page.setViewport(NARROW);
  assert.deepEqual(await objections(alice.page), []);
  await alice.phone.dial('1002', { video: true });
  await bob.phone.waitForCall('incoming');
  await bob.page.emulateMediaFeatures([{ name: 'prefers-reduced-motion', value: 'reduce' }]);
  assert.deepEqual(await objections(bob.page), []);
  await bob.phone.answer();
  await bob.phone.waitForCall('in-call');
  for (const { page } of [alice, bob]) assert.deepEqual(await objections(page), []);
  await bob.phone.hangUp();
  await alice.phone.waitForCall('ended');
  assert.deepEqual(await objections(alice.page), []);
});
