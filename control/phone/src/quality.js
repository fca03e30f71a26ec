// One word for how a call sounds, after the E-model of ITU-T G.107 in its simplest form.

/** Readings, one a second, over which loss is counted: what was lost long ago is forgotten. */
const WINDOW = 10;

const GOOD_FROM = 80;
const FAIR_FROM = 60;

/** Follows the statistics of one call. */
export class Quality {
  #readings = [];

  /** Takes a reading. @param {object|null} audio of `Statistics.latest` */
  take(audio) {
    if (audio === null) return;
    this.#readings = [...this.#readings, audio].slice(-WINDOW - 1);
  }

  /** @returns {{word: 'good'|'fair'|'poor', text: string}|null} null before anything is known */
  verdict() {
    const last = this.#readings.at(-1);
    if (!last || last.packetsReceived === 0) return null;
    const first = this.#readings[0];
    const heard = lossShare(first, last, 'packetsLost', 'packetsReceived');
    const sent = sentLossShare(first, last);
    const roundTrip = last.roundTripMilliseconds ?? 0;
    const jitter = last.jitterMilliseconds ?? 0;
    return judge({ heard, sent, roundTrip, jitter });
  }
}

/** @param {{heard: number, sent: number, roundTrip: number, jitter: number}} figures shares and ms */
export function judge({ heard, sent, roundTrip, jitter }) {
  const delay = roundTrip / 2 + 2 * jitter + 10;
  const forDelay = delay < 160 ? delay / 40 : (delay - 120) / 10;
  const forLoss = 250 * Math.max(heard, sent);
  const rating = 93.2 - forDelay - forLoss;
  if (rating >= GOOD_FROM) return { word: 'good', text: 'The sound is clear both ways.' };
  const word = rating >= FAIR_FROM ? 'fair' : 'poor';
  if (forLoss < forDelay) return { word, text: 'Sound arrives late: wait for each other.' };
  const text = heard >= sent
    ? 'Some of what they say is lost on the way.'
    : 'Some of what you say is lost on the way.';
  return { word, text };
}

function lossShare(first, last, lost, arrived) {
  const losses = Math.max(last[lost] - (first === last ? 0 : first[lost]), 0);
  const arrivals = last[arrived] - (first === last ? 0 : first[arrived]);
  return losses + arrivals > 0 ? losses / (losses + arrivals) : 0;
}

function sentLossShare(first, last) {
  if (last.packetsLostByPeer === null) return 0;
  const before = first === last ? 0 : (first.packetsLostByPeer ?? 0);
  const sent = last.packetsSent - (first === last ? 0 : first.packetsSent);
  return sent > 0 ? Math.min(Math.max(last.packetsLostByPeer - before, 0) / sent, 1) : 0;
}
