// Ringway started by variables of the environment alone, with the line of Sippy's container (G2).

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { authority } from './lib/authority.mjs';
import { chromium, openPage } from './lib/browser.mjs';
import { capture, header } from './lib/capture.mjs';
import { DOMAIN, kamailio, USERS } from './lib/kamailio.mjs';
import { ADDRESS, threeNetworks } from './lib/namespaces.mjs';
import { WebPhone } from './lib/phone.mjs';
import { run } from './lib/process.mjs';
import { byEnvironment, checkConfig, DEMO_PHONE } from './lib/ringway.mjs';
import { eventually, interop } from './lib/scope.mjs';
import { sipClient } from './lib/sip_client.mjs';
import { sipp } from './lib/sipp.mjs';

const HTTPS_PORT = 443;
const WSS_PORT = 9876;
const SBC_PORT = 5070;
const ACCOUNT = { user: 'joe', password: 'trunk-horse-3' };

/** The start line of Sippy's container: registrar and SBC are two places. */
const VARIABLES = {
  OUTBOUND_PROXY: ADDRESS.carrier,
  OUTBOUND_ROUTE: `${ADDRESS.carrier}:${SBC_PORT};auth=${ACCOUNT.user}:${ACCOUNT.password};cli=16046288900`,
  MIN_RTP_PORT: '16000',
  MAX_RTP_PORT: '16999',
  RTPP_LOG_LEVEL: 'DBUG',
  RTPP_NODEBUG: '1',
  WSS_PORT: String(WSS_PORT),
  HTTPS_PORT: String(HTTPS_PORT),
};

const md5 = (text) => createHash('md5').update(text).digest('hex');

/** The digest of RFC 7616 that this INVITE must have. */
function isProven({ text }) {
  const [value] = header(text, 'Proxy-Authorization');
  const get = (name) => value.match(new RegExp(`${name}="?([^",]*)"?`))[1];
  const secret = md5(`${ACCOUNT.user}:${get('realm')}:${ACCOUNT.password}`);
  const asked = md5(`INVITE:${get(' uri')}`);
  const numbers = `${get('nonce')}:${get('nc')}:${get('cnonce')}:auth`;
  return get('response') === md5(`${secret}:${numbers}:${asked}`);
}

interop('ux_g2_the_line_of_sippys_container', async (scope) => {
  const networks = threeNetworks();
  scope.defer(networks.remove);
  const carrier = await kamailio(scope, networks.carrier);
  const sbc = await sipp(scope, networks.carrier, 'challenges_and_answers', { port: SBC_PORT });
  const wire = await capture(scope, networks.carrier, 'to-edge');
  const ringway = await byEnvironment(scope, networks.edge, VARIABLES, HTTPS_PORT);
  assert.match(ringway.output, /configured by the environment, without a file/);

  // The page of one port, and a client at the other.
  const browser = await chromium(scope, networks.browser);
  const page = await openPage(scope, browser, `https://${ADDRESS.edgeToBrowser}/`);
  const phone = new WebPhone(page);
  await phone.logIn('alice', USERS.alice, DOMAIN);
  await phone.waitForRegistration('registered');
  const bob = await sipClient(scope, networks.browser, 'bob', USERS.bob, DOMAIN, WSS_PORT);
  assert.match((await bob.register()).response, /^SIP\/2\.0 200/);

  await phone.dial('5551234');
  await phone.waitForCall('in-call');
  await eventually('media of the browser at the SBC', () => wire.rtp(0).length > 50);
  await phone.hangUp();
  await sbc.finished();
  await phone.waitForCall('ended');

  const target = (messages) => [...new Set(messages.map(({ to }) => to))];
  assert.deepEqual(target(wire.sip('REGISTER')), [`${ADDRESS.carrier}:5060`]);
  const invites = wire.sip('INVITE');
  assert.deepEqual(target(invites), [`${ADDRESS.carrier}:${SBC_PORT}`]);
  assert.ok(isProven(invites.at(-1)), invites.at(-1).text);
  const ports = wire.rtp(0).map(({ from }) => Number(from.split(':')[1]));
  assert.ok(ports.every((port) => port >= 16_000 && port <= 16_999), [...new Set(ports)].join());
  assert.doesNotMatch(carrier.output, /INVITE/);
  assert.match(ringway.output, /DEBUG/, 'RTPP_LOG_LEVEL');
  assert.ok(!ringway.output.includes(ACCOUNT.password), 'no password in the log');
});

interop('ux_g2_a_route_alone_lets_the_demo_call_out', async (scope) => {
  const networks = threeNetworks();
  scope.defer(networks.remove);
  run('ip', '-n', networks.edge, 'route', 'add', 'default', 'via', ADDRESS.carrier);
  const sbc = await sipp(scope, networks.carrier, 'challenges_and_answers', { port: SBC_PORT });
  const wire = await capture(scope, networks.carrier, 'to-edge');
  const { OUTBOUND_ROUTE } = VARIABLES;
  const ringway = await byEnvironment(scope, networks.edge, { OUTBOUND_ROUTE }, 8080);
  const page = await openPage(scope, await chromium(scope, networks.edge), DEMO_PHONE);
  const phone = new WebPhone(page);
  await phone.logInAsDemoLine('1001');
  await phone.dial('5551234');
  await phone.waitForCall('in-call');
  await eventually('media of the browser at the SBC', () => wire.rtp(0).length > 50);
  await phone.hangUp();
  await sbc.finished();
  assert.ok(isProven(wire.sip('INVITE').at(-1)));
  assert.equal(wire.sip('REGISTER').length, 0);
  assert.match(ringway.output, /its lines call out by OUTBOUND_ROUTE/);
});

/** Alice registers at a carrier that is spoken to like this, and the call comes back to her. */
async function registersOver(scope, transport, proxy, { tls, ...variables } = {}) {
  const networks = threeNetworks();
  scope.defer(networks.remove);
  const carrier = await kamailio(scope, networks.carrier, { transport, tls });
  await byEnvironment(scope, networks.edge, { OUTBOUND_PROXY: proxy, ...variables }, 8443);
  const [alice, bob] = [
    await sipClient(scope, networks.browser, 'alice', USERS.alice),
    await sipClient(scope, networks.browser, 'bob', USERS.bob),
  ];
  for (const user of [alice, bob]) {
    assert.match((await user.register()).response, /^SIP\/2\.0 200/);
  }
  const over = new RegExp(`carrier: REGISTER \\S+ from \\S+ over ${transport}`, 'i');
  assert.match(carrier.output, over);
  // The carrier sends requests over the connection that ringway has opened.
  const sent = bob.request('MESSAGE', `sip:alice@${DOMAIN}`, ['Content-Type: text/plain'], 'hello');
  const message = await alice.take('MESSAGE');
  assert.ok(message.endsWith('hello'), message);
  alice.answer(message, '200 OK');
  assert.match((await sent).response, /^SIP\/2\.0 200/);
}

interop('ux_g2_a_registrar_over_tcp', (scope) =>
  registersOver(scope, 'tcp', `sip:${ADDRESS.carrier};transport=tcp`),
);

interop('ux_g2_a_registrar_over_tls', (scope) => {
  const root = authority(scope, 'authority');
  const signed = root.sign(`IP:${ADDRESS.carrier}`);
  const tls = { ...signed, authorities: root.certificate, anyClient: true };
  // What the system believes, as OpenSSL is told it, too.
  return registersOver(scope, 'tls', `tls://${ADDRESS.carrier}`, {
    tls,
    SSL_CERT_FILE: root.certificate,
  });
});

interop('ux_g2_check_config_shows_what_the_environment_says', async () => {
  const shown = checkConfig({ ...VARIABLES, OUTBOUND_PROXY: '127.0.0.1' });
  assert.ok(shown.isValid, shown.text);
  assert.match(shown.text, /^the environment, without a file is valid/);
  for (const line of [
    'listen = ["0.0.0.0:443", "0.0.0.0:9876"]',
    'target = "127.0.0.1:5060"',
    `call_route = "${ADDRESS.carrier}:${SBC_PORT}"`,
    'caller_number = "16046288900"',
    'username = "joe"',
    'rtp_port_min = 16000',
    'level = "debug"',
  ]) {
    assert.ok(shown.text.includes(`\n${line}`), `${line} is not in ${shown.text}`);
  }
  assert.ok(!shown.text.includes(ACCOUNT.password));
  for (const [variables, reason] of [
    [{ OUTBOUND_PROXY: 'http://x' }, /OUTBOUND_PROXY cannot be `http:\/\/x`: write `host`/],
    [{ OUTBOUND_ROUTE: '127.0.0.1;ash=A%3AB' }, /OUTBOUND_ROUTE: `ash` is not supported: /],
    [{ RTPP_LOG_LEVEL: 'loud' }, /RTPP_LOG_LEVEL is no level/],
  ]) {
    const refused = checkConfig(variables);
    assert.ok(!refused.isValid);
    assert.match(refused.text, reason);
  }
});

interop('ux_g2_the_installed_file_is_taken_unless_the_environment_names_a_carrier', async () => {
  // An /etc that nobody else sees.
  const script = `mount -t tmpfs none /etc && mkdir /etc/ringway
    printf '[web]\\nlisten = "127.0.0.1:8099"\\n' > /etc/ringway/ringway.toml
    "$0" check-config; OUTBOUND_PROXY=127.0.0.1 "$0" check-config
    rm /etc/ringway/ringway.toml; "$0" check-config`;
  const command = process.env.RINGWAY_BIN || new URL('../../target/debug/ringway', import.meta.url).pathname;
  const said = run('unshare', '-m', 'sh', '-c', script, command);
  const sources = [...said.matchAll(/^(.*) is valid$/gm)].map(([, source]) => source);
  const expected = ['/etc/ringway/ringway.toml', 'the environment, without a file', 'the demo, without a file'];
  assert.deepEqual(sources, expected);
  assert.match(said, /listen = \["127\.0\.0\.1:8099"\]/);
});
