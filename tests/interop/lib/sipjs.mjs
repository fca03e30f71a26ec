// A telephone on SIP.js in Chromium: alice, registered at the carrier through ringway.

import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { baresip } from './baresip.mjs';
import { openPage, waitForTone } from './browser.mjs';
import { DOMAIN, USERS } from './kamailio.mjs';
import { PHONE } from './ringway.mjs';
import { BROWSER_HZ, CARRIER_HZ, carrierWorld } from './world.mjs';

/** Its page: `globalThis.sipjs` is what pages/sipjs.js offers. */
export function sipjsPage(scope, browser) {
  const account = { user: 'alice', password: USERS.alice, domain: DOMAIN };
  return openSipjs(scope, browser, PHONE, account);
}

/** The same of another account, at the gateway whose web phone is at `address`. */
export async function openSipjs(scope, browser, address, account) {
  const entry = fileURLToPath(new URL('../pages/sipjs.js', import.meta.url));
  const bundle = await build({ entryPoints: [entry], bundle: true, write: false, format: 'iife' });
  const page = await openPage(scope, browser, address, { name: 'sipjs' });
  await page.addScriptTag({ content: bundle.outputFiles[0].text });
  const server = new URL('/ws', address.replace(/^http/, 'ws')).href;
  await page.evaluate((given) => globalThis.sipjs.register(given), { server, ...account });
  return page;
}

/** The same in a call with the carrier's telephone 2000; both hear each other. */
export async function sipjsInCall(scope, options) {
  const world = await carrierWorld(scope, options);
  const telephone = await baresip(scope, world.networks.carrier, { toneHz: CARRIER_HZ });
  const page = await sipjsPage(scope, world.browser);
  await page.evaluate((uri) => globalThis.sipjs.call(uri), `sip:2000@${DOMAIN}`);
  await telephone.waitFor('CALL_ESTABLISHED');
  await Promise.all([telephone.waitForTone(BROWSER_HZ), waitForTone(page, CARRIER_HZ)]);
  return { ...world, page, telephone };
}
