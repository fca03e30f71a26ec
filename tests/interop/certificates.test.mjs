// Browsers with certificates of other kinds than their default (RFC 8827, generateCertificate of
// WebRTC): a page may choose RSA or another curve.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { chromium, firefox, openPage, waitForTone } from './lib/browser.mjs';
import { WebPhone } from './lib/phone.mjs';
import { DEMO_PHONE } from './lib/ringway.mjs';
import { interop } from './lib/scope.mjs';
import { writeTone } from './lib/tone.mjs';
import { demoWorld } from './lib/world.mjs';

const ECHO = '9196';
const MICROPHONE_HZ = 440;

const rsa = (modulusLength) => ({
  name: 'RSASSA-PKCS1-v1_5',
  modulusLength,
  publicExponent: [1, 0, 1],
  hash: 'SHA-256',
});
const ecdsa = (namedCurve) => ({ name: 'ECDSA', namedCurve });

/** Opens the demo's web phone; its connections have the certificate `globalThis.chosen`. */
async function openPhone(scope, browser) {
  const page = await openPage(scope, browser, null);
  await page.evaluateOnNewDocument(() => {
    const Connection = globalThis.RTCPeerConnection;
    globalThis.RTCPeerConnection = class extends Connection {
      constructor(configuration, ...rest) {
        super({ ...configuration, certificates: [globalThis.chosen] }, ...rest);
        globalThis.connection = this;
      }
    };
  });
  await page.goto(DEMO_PHONE, { waitUntil: 'load' });
  const phone = new WebPhone(page);
  await phone.logInAsDemoLine('1001');
  return { page, phone };
}

/** Calls the echo with a certificate of this kind, until the page hears itself. */
async function callWith({ page, phone }, algorithm) {
  await page.evaluate(async (given) => {
    const { publicExponent, ...rest } = given;
    const keygen = publicExponent
      ? { ...rest, publicExponent: new Uint8Array(publicExponent) }
      : rest;
    globalThis.chosen = await RTCPeerConnection.generateCertificate(keygen);
  }, algorithm);
  await phone.dial(ECHO);
  await phone.waitForCall('in-call');
  await waitForTone(page, MICROPHONE_HZ);
  const version = await page.evaluate(async () => {
    const statistics = await globalThis.connection.getStats();
    return [...statistics.values()].find(({ type }) => type === 'transport')?.tlsVersion;
  });
  await phone.hangUp();
  await phone.waitForCall('ended');
  return version;
}

interop('media_f11_chromium_with_rsa_certificates', async (scope) => {
  const { machine } = await demoWorld(scope);
  const file = join(scope.directory, 'microphone.wav');
  const microphone = writeTone(file, { frequencyHz: MICROPHONE_HZ });
  const phone = await openPhone(scope, await chromium(scope, machine, { microphone }));
  for (const algorithm of [rsa(2048), rsa(4096), ecdsa('P-256')]) {
    assert.equal(await callWith(phone, algorithm), 'FEFC', 'DTLS 1.3');
  }
});

/** Calls from Firefox with certificates of each kind. */
async function callFromFirefox(scope, preferences, expected) {
  const { machine } = await demoWorld(scope);
  const browser = await firefox(scope, machine, { toneHz: MICROPHONE_HZ, preferences });
  const phone = await openPhone(scope, browser);
  for (const algorithm of [rsa(2048), ecdsa('P-384'), ecdsa('P-521')]) {
    assert.equal(await callWith(phone, algorithm), expected);
  }
}

interop('media_f11_f23_firefox_with_rsa_and_other_curves', (scope) =>
  callFromFirefox(scope, {}, 'FEFC'));

interop('media_f11_f23_firefox_with_rsa_and_other_curves_in_dtls_1_2', (scope) =>
  callFromFirefox(scope, { 'media.peerconnection.dtls.version.max': 771 }, 'FEFD'));
