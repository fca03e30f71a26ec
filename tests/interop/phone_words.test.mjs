// What the web phone says, and when: its modules alone, without a browser.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { titleOf } from '../../control/phone/src/attention.js';
import { demoLine, echoOf, mayUseVideo } from '../../control/phone/src/configuration.js';
import { endText } from '../../control/phone/src/failure-texts.js';
import { diagnose, SILENT_AFTER_S } from '../../control/phone/src/media-watch.js';
import { judge, Quality } from '../../control/phone/src/quality.js';
import { wantedCall } from '../../control/phone/src/transfer.js';

/** A call in which all is well, but for the silence. */
const FINE = {
  onLine: true,
  socketOpen: true,
  ice: 'connected',
  dtls: 'connected',
  hasCandidates: true,
  wasConnected: true,
  wasHeard: true,
  expected: true,
  silentFor: SILENT_AFTER_S,
  target: '192.0.2.7:20000',
};

const kind = (signs) => diagnose({ ...FINE, ...signs })?.kind ?? null;

test('ux_p1_silence_has_a_cause', () => {
  const never = { ice: 'checking', dtls: 'new', wasConnected: false, wasHeard: false };
  const lost = { ice: 'disconnected', wasConnected: true };
  for (const [signs, expected] of [
    [{ silentFor: SILENT_AFTER_S - 1, ...never }, null],
    [never, 'blocked'],
    [{ ...never, ice: 'failed' }, 'blocked'],
    [{ ...never, hasCandidates: false }, 'no-interface'],
    [{ ...never, hasCandidates: false, onLine: false }, 'no-interface'],
    [{ ...never, onLine: false }, 'offline'],
    [{ ...lost, onLine: false }, 'offline'],
    [{ ...lost, socketOpen: false }, 'gateway-gone'],
    [{ ...lost, ice: 'failed' }, 'interrupted'],
    [{ dtls: 'connecting', wasHeard: false }, 'encryption'],
    [{ dtls: 'failed' }, 'encryption'],
    [{ wasHeard: false }, 'peer-never-heard'],
    [{}, 'peer-silent'],
    // On hold nobody sends; and Firefox does not tell the state of DTLS.
    [{ expected: false }, null],
    [{ ice: 'completed', dtls: 'new' }, 'peer-silent'],
  ]) {
    assert.equal(kind(signs), expected, JSON.stringify(signs));
  }
  assert.match(diagnose({ ...FINE, ...never }).text, /firewall.*192\.0\.2\.7:20000/);
  assert.equal(diagnose({ ...FINE }).broken, false);
  assert.equal(diagnose({ ...FINE, ...lost }).broken, true);
});

test('ux_p1_each_end_has_its_words', () => {
  const end = (more) =>
    endText({ originator: 'remote', cause: 'Terminated', reason: null, trouble: null, ...more });
  const blocked = diagnose({ ...FINE, ice: 'checking', wasConnected: false, wasHeard: false });
  const texts = [
    end({}),
    end({ originator: 'local' }),
    end({ trouble: blocked }),
    end({ reason: 'SIP;cause=503;text="Gateway stops", Q.850;cause=41' }),
    end({ reason: 'SIP;cause=408;text="No media path", Q.850;cause=102' }),
    end({ reason: 'SIP;cause=480;text="Callee connection lost", Q.850;cause=27' }),
    end({ originator: 'local', cause: 'Connection Error' }),
    end({ reason: 'SIP;cause=503;text="Media worker failed", Q.850;cause=41' }),
  ];
  assert.equal(new Set(texts).size, texts.length, texts.join('\n'));
  assert.match(texts[2], /firewall/);
  assert.match(texts[3], /stopped/);
  assert.match(texts[4], /no sound/);
  assert.equal(end({ reason: 'Q.850;cause=16;text="Normal call clearing"' }), texts[0]);
  // A hang-up of the other side during its own silence is an ordinary one.
  assert.equal(end({ trouble: diagnose({ ...FINE }) }), texts[0]);
});

test('ux_p4_the_title_says_what_happens', () => {
  const line = { user: '1002' };
  const session = { state: 'incoming', peer: 'Alice', trouble: null };
  const title = (more) => titleOf({ line, session, missed: '', ...more });
  assert.match(title({}), /^☎ Alice is calling · 1002/);
  assert.match(title({ session: { ...session, state: 'in-call' } }), /^In call: Alice/);
  assert.match(title({ session: { ...session, state: 'ended' }, missed: 'Alice' }), /^Missed: Alice/);
  assert.equal(title({ session: null }), '1002 · Ringway phone');
  assert.equal(title({ line: null, session: null }), 'Ringway phone');
});

/** A REFER as JsSIP parses it. */
const refer = (host, { user = '1003', scheme = 'sip', replaces = null } = {}) => ({
  refer_to: {
    display_name: null,
    uri: { scheme, user, host, hasHeader: () => replaces !== null, getHeader: () => replaces },
  },
  getHeader: (name) => (name === 'referred-by' ? '<sip:1001@ringway.local>' : undefined),
});

test('ux_p6_a_transfer_is_followed_within_the_domain_only', () => {
  const wanted = wantedCall(refer('Ringway.local'), 'ringway.local');
  assert.equal(wanted.number, '1003');
  assert.deepEqual(wanted.extraHeaders, ['Referred-By: <sip:1001@ringway.local>']);
  assert.ok(wantedCall(refer('ringway.local', { replaces: 'a%3Bto-tag%3Db' }), 'ringway.local'));
  for (const refused of [
    refer('elsewhere.example'),
    refer('ringway.local', { scheme: 'tel' }),
    refer('ringway.local', { user: null }),
    refer('ringway.local', { replaces: '%E0%A4%A' }),
    { refer_to: undefined, getHeader: () => undefined },
  ]) {
    assert.equal(wantedCall(refused, 'ringway.local'), null);
  }
});

test('ux_p12_a_word_says_how_a_call_sounds', () => {
  const fine = { heard: 0, sent: 0, roundTrip: 40, jitter: 5 };
  assert.equal(judge(fine).word, 'good');
  assert.equal(judge({ ...fine, heard: 0.08 }).word, 'fair');
  assert.match(judge({ ...fine, sent: 0.3 }).text, /you say is lost/);
  assert.equal(judge({ ...fine, sent: 0.3 }).word, 'poor');
  assert.match(judge({ ...fine, roundTrip: 900 }).text, /late/);

  const quality = new Quality();
  assert.equal(quality.verdict(), null);
  const audio = (seconds, lost) => ({
    packetsReceived: 50 * seconds - lost,
    packetsLost: lost,
    packetsSent: 50 * seconds,
    packetsLostByPeer: 0,
    roundTripMilliseconds: 20,
    jitterMilliseconds: 2,
  });
  quality.take(audio(1, 0));
  quality.take(audio(2, 40));
  assert.equal(quality.verdict().word, 'poor');
  for (let second = 3; second < 20; second += 1) quality.take(audio(second, 40));
  assert.equal(quality.verdict().word, 'good');
});

test('ux_p14_what_a_line_is_offered_depends_on_its_domain', () => {
  const configuration = {
    domain: 'ringway.local',
    echo: '9196',
    echoDomain: 'ringway.local',
    video: { 'example.com': false, '*': true },
    lines: [{ number: '1001', password: 'new' }],
  };
  assert.equal(echoOf(configuration, 'Ringway.local'), '9196');
  assert.equal(echoOf(configuration, 'example.com'), '');
  assert.equal(mayUseVideo(configuration, 'Example.com'), false);
  assert.equal(mayUseVideo(configuration, 'ringway.local'), true);
  assert.equal(demoLine(configuration, '1001', 'ringway.local').password, 'new');
  assert.equal(demoLine(configuration, '1001', 'example.com'), undefined);
});
