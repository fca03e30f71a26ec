// Parts of ringway panic, as debug builds can be asked to: what becomes of the call that is up, and
// of the next one.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { chromium, openPage, waitForTone } from './lib/browser.mjs';
import { WebPhone } from './lib/phone.mjs';
import { DEMO_PHONE } from './lib/ringway.mjs';
import { eventually, interop } from './lib/scope.mjs';
import { writeTone } from './lib/tone.mjs';
import { demoWorld } from './lib/world.mjs';

const ECHO = '9196';
const MICROPHONE_HZ = 440;

async function callTheEcho({ page, phone }) {
  await phone.dial(ECHO);
  await phone.waitForCall('in-call');
  await waitForTone(page, MICROPHONE_HZ);
}

async function hangUp({ phone }) {
  await phone.hangUp();
  await phone.waitForCall('ended');
}

/** The next part panics; waits until the log says that it runs again. */
async function panic(ringway, part) {
  const before = ringway.output.length;
  process.kill(ringway.pid, 'SIGUSR2');
  await eventually(`${part} runs again`, async () => {
    const said = ringway.output.slice(before);
    return said.includes(`a panic in ${part} was asked for`) && said.includes(' runs again');
  });
}

interop('media_f1_calls_outlive_a_panic_or_end_and_the_next_has_media', async (scope) => {
  const parts = ['handshakes', 'web', 'worker', 'handshakes', 'worker'];
  const { machine, ringway } = await demoWorld(scope, { panics: parts });
  const file = join(scope.directory, 'microphone.wav');
  const microphone = writeTone(file, { frequencyHz: MICROPHONE_HZ });
  const browser = await chromium(scope, machine, { microphone });
  const page = await openPage(scope, browser, DEMO_PHONE);
  const caller = { page, phone: new WebPhone(page) };
  await caller.phone.logInAsDemoLine('1001');
  for (const part of parts) {
    await callTheEcho(caller);
    await panic(ringway, part);
    if (part === 'worker') {
      await caller.phone.waitForCall('ended');
      assert.match(await page.$eval('body', ({ innerText }) => innerText), /gateway had a fault/);
    } else {
      await waitForTone(page, MICROPHONE_HZ);
      await hangUp(caller);
    }
    await callTheEcho(caller);
    await hangUp(caller);
  }
});
