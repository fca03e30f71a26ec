// Says why there is no sound in a call that is answered.

/** Seconds without a packet of sound after which a person is told. */
export const SILENT_AFTER_S = 5;

/** Seconds of a broken connection after which the call is given up; the gateway waits as long. */
export const GIVE_UP_AFTER_S = 30;

/**
 * @typedef {object} Signs
 * @property {boolean} onLine whether the machine has a network at all
 * @property {boolean} socketOpen whether the WebSocket to the gateway stands
 * @property {string} ice state of ICE, as RTCPeerConnection tells it
 * @property {string} dtls state of DTLS, as RTCDtlsTransport tells it
 * @property {boolean} hasCandidates whether the browser found an address of its own to send from
 * @property {boolean} wasConnected whether ICE has been connected in this call
 * @property {boolean} wasHeard whether any sound has come in this call
 * @property {boolean} expected whether the other side is to send: not so on hold
 * @property {number} silentFor seconds since the answer or the last packet of sound
 * @property {string|null} target where the gateway wants media
 */

/**
 * What keeps the sound away; null where nothing does.
 * @param {Signs} signs
 * @returns {{kind: string, title: string, text: string, broken: boolean}|null} `broken`: the way to the
 *   gateway is gone, and not only the other side silent
 */
export function diagnose(signs) {
  if (signs.silentFor < SILENT_AFTER_S) return null;
  const connected = signs.ice === 'connected' || signs.ice === 'completed';
  if (!connected) return { ...brokenWay(signs), broken: true };
  if (signs.dtls === 'failed' || signs.dtls === 'closed' || !isKeyed(signs)) {
    return {
      kind: 'encryption',
      title: 'No sound',
      text: 'The gateway is reached, but the encryption (DTLS) could not be set up.',
      broken: true,
    };
  }
  if (!signs.expected) return null;
  return { ...silentPeer(signs), broken: false };
}

const isKeyed = ({ dtls, wasHeard }) => wasHeard || dtls === 'connected';

function brokenWay({ onLine, socketOpen, hasCandidates, wasConnected, target }) {
  // Such a machine counts as offline, and speaks to a gateway of its own all the same.
  if (socketOpen && !hasCandidates && !wasConnected) {
    return {
      kind: 'no-interface',
      title: 'No sound',
      text: 'This browser found no network interface for media. It uses none but real ones: '
        + 'connect this machine to a network, even for a demo on itself.',
    };
  }
  if (!onLine) {
    return {
      kind: 'offline',
      title: 'No network',
      text: 'This device is offline. The call goes on if the network comes back soon.',
    };
  }
  if (!socketOpen) {
    return {
      kind: 'gateway-gone',
      title: 'Gateway lost',
      text: 'The gateway answers no more: it has stopped, or the network on the way is down.',
    };
  }
  if (wasConnected) {
    return {
      kind: 'interrupted',
      title: 'Sound interrupted',
      text: 'The media connection broke off, though the gateway still answers. The network may '
        + 'have changed, or a firewall stopped it.',
    };
  }
  const where = target ? `UDP to ${target}` : 'UDP to the gateway';
  return {
    kind: 'blocked',
    title: 'No sound gets through',
    text: `The gateway answers, but media does not reach it: a firewall probably blocks ${where}.`,
  };
}

function silentPeer({ wasHeard, silentFor }) {
  const title = 'Silence from the other side';
  const fine = 'Your connection to the gateway is fine';
  const text = wasHeard
    ? `${fine}, but nothing has come from the other side for ${Math.floor(silentFor)} s.`
    : `${fine}, but the other side has sent no sound yet.`;
  return { kind: wasHeard ? 'peer-silent' : 'peer-never-heard', title, text };
}
