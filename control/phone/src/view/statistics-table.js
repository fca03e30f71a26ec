// How the call sounds: a word for everybody, and a list of figures for engineers.

import { element, setHidden, setText } from './elements.js';

const NOTHING = '–';

const WORDS = { good: 'Good', fair: 'Fair', poor: 'Poor' };

/** The card about the call that is up, or about the last one. */
export function drawQuality(session) {
  const statistics = session?.statistics() ?? null;
  const isOver = session?.state === 'ended';
  const { word, title, text } = summary(session, isOver);
  setText('statistics-title', title);
  setText('quality-text', text);
  const badge = element('quality');
  badge.dataset.quality = word;
  setText('quality', WORDS[word] ?? '');
  setHidden('quality', word === '');
  setHidden('statistics-details', statistics === null || (isOver && !session.wasHeard()));
  if (statistics !== null) drawStatistics(statistics, isOver);
}

function summary(session, isOver) {
  const title = isOver ? 'The last call' : 'Call quality';
  if (session === null) return { word: '', title, text: 'How the call sounds appears here.' };
  if (isOver && session.answeredAt === null) {
    return { word: '', title, text: 'It was not answered, so there is nothing to say about its sound.' };
  }
  if (isOver && !session.wasHeard()) return { word: 'poor', title, text: 'No sound came through.' };
  if (session.trouble) {
    return { word: session.trouble.broken ? 'poor' : '', title, text: session.trouble.text };
  }
  const verdict = session.quality();
  if (session.answeredAt === null || verdict === null) {
    return { word: '', title, text: 'How the call sounds appears here once it is answered.' };
  }
  const text = isOver ? 'That is how it sounded before the end.' : verdict.text;
  return { word: verdict.word, title, text };
}

function drawStatistics(statistics, isOver) {
  const connection = `ICE ${statistics.ice} · DTLS ${statistics.dtls}`;
  const rows = [
    ['Connection', isOver ? `ended (${connection} before)` : connection],
    ...mediaRows('Audio', statistics.audio),
    ...mediaRows('Video', statistics.video),
  ];
  if (statistics.cipher) rows.splice(1, 0, ['Encryption', statistics.cipher.replace(/^SRTP_/, '')]);
  const list = element('statistics');
  if (list.children.length !== rows.length) list.replaceChildren(...rows.map(emptyRow));
  rows.forEach(([name, value], index) => {
    const [term, description] = list.children[index].children;
    if (term.textContent !== name) term.textContent = name;
    if (description.textContent !== value) description.textContent = value;
  });
}

function mediaRows(name, media) {
  if (media === null) return [];
  const rows = [
    [`${name} codec`, codecs(media)],
    [`${name} packets`, `${media.packetsSent} sent · ${media.packetsReceived} received`],
    [`${name} bitrate`, `${bitrate(media.bitrateSent)} up · ${bitrate(media.bitrateReceived)} down`],
    [`${name} loss`, loss(media)],
    [`${name} jitter`, `${media.jitterMilliseconds ?? NOTHING} ms`],
    [`${name} round trip`, `${media.roundTripMilliseconds ?? NOTHING} ms`],
  ];
  if (media.frameWidth) rows.push([`${name} picture`, `${media.frameWidth} × ${media.frameHeight}`]);
  return rows;
}

function codecs({ codecSent, codecReceived }) {
  if (codecSent && codecReceived && codecSent !== codecReceived) {
    return `${codecSent} up · ${codecReceived} down`;
  }
  return codecReceived ?? codecSent ?? NOTHING;
}

function loss({ packetsLost, packetsReceived, packetsLostByPeer }) {
  const expected = packetsLost + packetsReceived;
  const share = expected > 0 ? (100 * packetsLost) / expected : 0;
  const received = `${packetsLost} received (${share.toFixed(1)} %)`;
  return packetsLostByPeer === null ? received : `${packetsLostByPeer} sent · ${received}`;
}

function bitrate(bitsPerSecond) {
  if (bitsPerSecond === null) return NOTHING;
  return bitsPerSecond >= 1e6
    ? `${(bitsPerSecond / 1e6).toFixed(1)} Mbit/s`
    : `${Math.round(bitsPerSecond / 1000)} kbit/s`;
}

function emptyRow() {
  const row = document.createElement('div');
  row.append(document.createElement('dt'), document.createElement('dd'));
  return row;
}
