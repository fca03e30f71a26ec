// Real browsers in a network namespace, driven by puppeteer-core: Chromium through a pipe, Firefox
// through WebDriver BiDi on a forwarded port.

import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import puppeteer from 'puppeteer-core';
import { forward } from './forward.mjs';
import { start } from './process.mjs';

const PROBE = readFileSync(new URL('../pages/probe.js', import.meta.url), 'utf8');

const CHROMIUM_FLAGS = [
  '--headless=new',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--disable-dev-shm-usage',
  '--disable-background-timer-throttling',
  '--disable-backgrounding-occluded-windows',
  '--disable-renderer-backgrounding',
  '--use-fake-ui-for-media-stream',
  '--use-fake-device-for-media-stream',
  '--autoplay-policy=no-user-gesture-required',
  '--ignore-certificate-errors',
];

/** Starts Chromium; `microphone` is a WAV file that plays in a loop into getUserMedia. */
export async function chromium(scope, namespace, { microphone, args = [] } = {}) {
  const wrapper = join(scope.directory, 'chromium-in-namespace');
  writeFileSync(wrapper, `#!/bin/sh\nexec ip netns exec ${namespace} chromium "$@"\n`);
  chmodSync(wrapper, 0o755);
  const flags = [...CHROMIUM_FLAGS, ...args];
  if (microphone) flags.push(`--use-file-for-fake-audio-capture=${microphone}`);
  const browser = await puppeteer.launch({
    executablePath: wrapper,
    pipe: true,
    dumpio: false,
    ignoreDefaultArgs: ['--mute-audio'],
    args: flags,
    userDataDir: join(scope.directory, 'chromium-profile'),
    protocolTimeout: 60_000,
  });
  scope.defer(() => close(browser));
  return browser;
}

/** Starts Firefox; its fake microphone is a sine of `toneHz`. */
export async function firefox(scope, namespace, { toneHz = 440, preferences: more = {} } = {}) {
  const profile = join(scope.directory, 'firefox-profile');
  mkdirSync(profile);
  const preferences = {
    ...more,
    'media.navigator.streams.fake': true,
    'media.navigator.audio.fake_frequency': toneHz,
    'media.navigator.permission.disabled': true,
    'media.autoplay.default': 0,
    'media.autoplay.blocking_policy': 0,
    'datareporting.policy.dataSubmissionEnabled': false,
    'app.normandy.enabled': false,
    'app.update.enabled': false,
    'browser.shell.checkDefaultBrowser': false,
    'browser.aboutwelcome.enabled': false,
    'network.captive-portal-service.enabled': false,
    'network.connectivity-service.enabled': false,
    'media.gmp-manager.updateEnabled': false,
    'toolkit.telemetry.enabled': false,
    'remote.active-protocols': 1,
  };
  const lines = Object.entries(preferences).map(
    ([name, value]) => `user_pref(${JSON.stringify(name)}, ${JSON.stringify(value)});`,
  );
  writeFileSync(join(profile, 'user.js'), `${lines.join('\n')}\n`);
  const child = start({
    namespace,
    name: 'firefox',
    command: 'firefox',
    args: ['--headless', '--no-remote', '--profile', profile, '--remote-debugging-port', '0'],
    env: { HOME: scope.directory, MOZ_DISABLE_CONTENT_SANDBOX: '1' },
    logFile: scope.logFile('firefox'),
  });
  scope.defer(() => child.stop());
  const [, port] = await child.waitForLine(
    /WebDriver BiDi listening on ws:\/\/127\.0\.0\.1:(\d+)/,
    60_000,
  );
  const inside = await forward(scope, namespace, '127.0.0.1', port);
  await inside.listen(Number(port));
  const browser = await puppeteer.connect({
    browserWSEndpoint: `ws://127.0.0.1:${port}/session`,
    protocol: 'webDriverBiDi',
    protocolTimeout: 60_000,
    acceptInsecureCerts: true,
  });
  scope.defer(() => close(browser));
  return browser;
}

async function close(browser) {
  const child = browser.process();
  const timer = setTimeout(() => child?.kill('SIGKILL'), 5_000);
  await browser.close().catch(() => child?.kill('SIGKILL'));
  clearTimeout(timer);
}

/**
 * Opens a page with the probe in it. `toneHz` replaces the microphone's sound, so that two pages
 * of one browser can be told apart.
 */
export async function openPage(scope, browser, url, { toneHz, name = 'page' } = {}) {
  const page = await browser.newPage();
  const log = scope.log(name);
  page.on('console', (message) => log(`${message.type()}: ${message.text()}`));
  page.on('pageerror', (error) => log(`page error: ${error.message}`));
  if (browser.process()) await page.setBypassCSP(true);
  const settings = `globalThis.ringwayProbeSettings = ${JSON.stringify({ toneHz: toneHz ?? null })};`;
  await page.evaluateOnNewDocument(`${settings}\n${PROBE}`);
  if (url) await page.goto(url, { waitUntil: 'load' });
  return page;
}

/** The share of the remote sound's power at `frequencyHz`, and its level, from the page's probe. */
export function heard(page, frequencyHz) {
  return page.evaluate((hz) => globalThis.ringwayProbe.heard(hz), frequencyHz);
}

/** Waits until the remote sound is the tone; fails with what was heard instead. */
export async function waitForTone(page, frequencyHz, { timeoutMs = 30_000, shareMin = 0.8 } = {}) {
  const end = Date.now() + timeoutMs;
  let last = null;
  let inARow = 0;
  while (Date.now() < end) {
    last = await heard(page, frequencyHz);
    inARow = last.share >= shareMin && last.levelDb > -45 ? inARow + 1 : 0;
    if (inARow >= 3) return last;
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
  const statistics = await page.evaluate(() => globalThis.ringwayProbe.statistics());
  throw new Error(
    `no ${frequencyHz} Hz within ${timeoutMs} ms; last heard ${JSON.stringify(last)}; ` +
      `statistics ${JSON.stringify(statistics)}`,
  );
}

/**
 * Waits until ringway's RTCP reports have told the page of each kind of media: the round trip and
 * the loss of what it sends, and the clock of what it gets.
 */
export async function waitForReports(page, kinds, { timeoutMs = 30_000, lostMax = 20 } = {}) {
  const end = Date.now() + timeoutMs;
  let last = null;
  const isTold = (kind) => {
    const told = last?.told.find((report) => report.kind === kind);
    const heard = last?.heard.find((report) => report.kind === kind);
    return (
      told?.roundTripTimeMeasurements > 0 &&
      told.roundTripTime < 0.5 &&
      told.packetsLost <= lostMax &&
      heard?.packetsSent > 0 &&
      heard.reportsSent > 0
    );
  };
  while (Date.now() < end) {
    last = await page.evaluate(() => globalThis.ringwayProbe.statistics());
    if (kinds.every(isTold)) return last;
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  throw new Error(`no reports within ${timeoutMs} ms; statistics ${JSON.stringify(last)}`);
}
