// The sounds the phone makes itself: ringing, ringback, and the feedback of the keys.

import { audioContext } from './audio-level.js';

/** Frequencies in Hz, and how long each cycle (in seconds) sounds and lasts. */
const RINGING = { frequencies: [660, 880], bursts: [[0, 0.35], [0.5, 0.85]], period: 2.6, gain: 0.12 };
const RINGBACK = { frequencies: [425], bursts: [[0, 1]], period: 5, gain: 0.06 };

/** ITU-T Q.23: row and column frequency of each key. */
const KEY_ROWS = [697, 770, 852, 941];
const KEY_COLUMNS = [1209, 1336, 1477];
const KEYS = '123456789*0#';
const KEY_SECONDS = 0.12;
const KEY_GAIN = 0.04;

/** Fades that keep a tone from clicking. */
const FADE_SECONDS = 0.015;

let playing = null;

export const startRinging = () => start(RINGING);
export const startRingback = () => start(RINGBACK);

export function stopTones() {
  if (!playing) return;
  clearInterval(playing.timer);
  for (const stopTone of playing.stops) stopTone();
  playing = null;
}

/** The short tone under the finger; what the other side hears is sent by RFC 4733, not by this. */
export function playKey(digit) {
  const key = KEYS.indexOf(digit);
  if (key < 0) return;
  const frequencies = [KEY_ROWS[Math.floor(key / 3)], KEY_COLUMNS[key % 3]];
  const now = audioContext().currentTime;
  sound(frequencies, now, now + KEY_SECONDS, KEY_GAIN);
}

function start(cadence) {
  if (playing?.cadence === cadence) return;
  stopTones();
  const playCycle = () => {
    const now = audioContext().currentTime;
    playing.stops = cadence.bursts.map(([from, until]) =>
      sound(cadence.frequencies, now + from, now + until, cadence.gain));
  };
  playing = { cadence, stops: [], timer: setInterval(playCycle, cadence.period * 1000) };
  playCycle();
}

function sound(frequencies, from, until, loudness) {
  const context = audioContext();
  const gain = new GainNode(context, { gain: 0 });
  gain.connect(context.destination);
  gain.gain.setValueAtTime(0, from);
  gain.gain.linearRampToValueAtTime(loudness / frequencies.length, from + FADE_SECONDS);
  gain.gain.setValueAtTime(loudness / frequencies.length, until - FADE_SECONDS);
  gain.gain.linearRampToValueAtTime(0, until);
  for (const frequency of frequencies) {
    const oscillator = new OscillatorNode(context, { frequency });
    oscillator.connect(gain);
    oscillator.start(from);
    oscillator.stop(until);
  }
  return () => gain.disconnect();
}
