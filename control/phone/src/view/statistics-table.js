// The call's statistics as a list of names and values.

import { element, setHidden } from './elements.js';

const NOTHING = '–';

/** @param {object|null} statistics as `Statistics.latest` gives them */
export function drawStatistics(statistics) {
  setHidden('statistics-empty', statistics !== null);
  setHidden('statistics', statistics === null);
  if (statistics === null) return;
  const rows = [
    ['Connection', `ICE ${statistics.ice} · DTLS ${statistics.dtls}`],
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
