// Whole set-ups that several tests share.

import { join } from 'node:path';
import { chromium, openPage } from './browser.mjs';
import { capture } from './capture.mjs';
import { DOMAIN, kamailio, USERS } from './kamailio.mjs';
import { oneMachine, threeNetworks } from './namespaces.mjs';
import { WebPhone } from './phone.mjs';
import { demo, gateway, PHONE } from './ringway.mjs';
import { writeTone } from './tone.mjs';

/** What the browser says, and what the carrier's telephone says. */
export const BROWSER_HZ = 440;
export const CARRIER_HZ = 1000;

/**
 * A carrier, ringway and a Chromium, each in its network, with a capture of what ringway and the
 * carrier say to each other.
 * @param {{gateway?: object, carrier?: object}} options for {@link gateway} and {@link kamailio}
 */
export async function carrierWorld(scope, options = {}) {
  const networks = threeNetworks();
  scope.defer(networks.remove);
  const carrier = await kamailio(scope, networks.carrier, options.carrier);
  const wire = await capture(scope, networks.carrier, 'to-edge');
  const ringway = await gateway(scope, networks.edge, options.gateway);
  const microphone = writeTone(join(scope.directory, 'microphone.wav'), {
    frequencyHz: BROWSER_HZ,
  });
  const browser = await chromium(scope, networks.browser, { microphone });
  return { networks, carrier, wire, ringway, browser };
}

/** As {@link carrierWorld}, with the web phone open and alice logged in. */
export async function carrierWorldWithAlice(scope, options) {
  const world = await carrierWorld(scope, options);
  const page = await openPage(scope, world.browser, PHONE);
  const phone = new WebPhone(page);
  await phone.logIn('alice', USERS.alice, DOMAIN);
  await phone.waitForRegistration('registered');
  return { ...world, page, phone };
}

/** One machine with ringway as it starts without configuration. */
export async function demoWorld(scope, options) {
  const { machine, remove } = oneMachine();
  scope.defer(remove);
  const ringway = await demo(scope, machine, options);
  return { machine, ringway };
}
