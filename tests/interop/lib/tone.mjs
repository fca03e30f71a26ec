// Tones: written as WAV files, found again by the Goertzel algorithm.

import { readFileSync, writeFileSync } from 'node:fs';

/** Writes a mono 16-bit WAV file with one sine. */
export function writeTone(file, { frequencyHz, seconds = 10, rateHz = 48_000, amplitude = 0.5 }) {
  const count = Math.round(seconds * rateHz);
  const wav = Buffer.alloc(44 + 2 * count);
  wav.write('RIFF', 0);
  wav.writeUInt32LE(36 + 2 * count, 4);
  wav.write('WAVEfmt ', 8);
  wav.writeUInt32LE(16, 16);
  wav.writeUInt16LE(1, 20);
  wav.writeUInt16LE(1, 22);
  wav.writeUInt32LE(rateHz, 24);
  wav.writeUInt32LE(2 * rateHz, 28);
  wav.writeUInt16LE(2, 32);
  wav.writeUInt16LE(16, 34);
  wav.write('data', 36);
  wav.writeUInt32LE(2 * count, 40);
  for (let i = 0; i < count; i += 1) {
    const sample = amplitude * Math.sin((2 * Math.PI * frequencyHz * i) / rateHz);
    wav.writeInt16LE(Math.round(32_767 * sample), 44 + 2 * i);
  }
  writeFileSync(file, wav);
  return file;
}

/**
 * Reads a 16-bit PCM WAV file, first channel only. A file that is still being written states no
 * length yet; what is there is taken.
 */
export function readWav(file) {
  const wav = readFileSync(file);
  if (wav.toString('latin1', 0, 4) !== 'RIFF') throw new Error(`${file} is no WAV file`);
  let rateHz = 0;
  let channels = 1;
  for (let at = 12; at + 8 <= wav.length;) {
    const id = wav.toString('latin1', at, at + 4);
    const size = wav.readUInt32LE(at + 4);
    if (id === 'fmt ') {
      channels = wav.readUInt16LE(at + 10);
      rateHz = wav.readUInt32LE(at + 12);
      const bits = wav.readUInt16LE(at + 22);
      if (bits !== 16) throw new Error(`${file}: ${bits} bits per sample`);
    } else if (id === 'data') {
      const stated = size === 0 ? wav.length : size;
      const bytes = Math.min(stated, wav.length - at - 8);
      const samples = new Float32Array(Math.floor(bytes / 2 / channels));
      for (let i = 0; i < samples.length; i += 1) {
        samples[i] = wav.readInt16LE(at + 8 + 2 * channels * i) / 32_768;
      }
      return { rateHz, samples };
    }
    at += 8 + size + (size % 2);
  }
  throw new Error(`${file} has no data`);
}

/** Power of one frequency in the samples, as a share of all power: 1 is a pure tone. */
export function toneShare(samples, rateHz, frequencyHz) {
  const omega = (2 * Math.PI * frequencyHz) / rateHz;
  const coefficient = 2 * Math.cos(omega);
  let [previous, before, energy] = [0, 0, 0];
  for (const sample of samples) {
    [previous, before] = [sample + coefficient * previous - before, previous];
    energy += sample * sample;
  }
  if (energy === 0) return 0;
  const power = previous ** 2 + before ** 2 - coefficient * previous * before;
  return (2 * power) / (samples.length * energy);
}

/** Root mean square of the samples in dB below full scale. */
export function levelDb(samples) {
  let energy = 0;
  for (const sample of samples) energy += sample * sample;
  return 10 * Math.log10(energy / Math.max(samples.length, 1) + 1e-12);
}

/**
 * The longest time, in seconds, for which the tone dominates without a break, looked at in
 * windows of 100 ms.
 */
export function toneSeconds(
  samples,
  rateHz,
  frequencyHz,
  { shareMin = 0.8, levelMinDb = -40 } = {},
) {
  const window = Math.round(rateHz / 10);
  let [current, longest] = [0, 0];
  for (let at = 0; at + window <= samples.length; at += window) {
    const part = samples.subarray(at, at + window);
    const heard = levelDb(part) >= levelMinDb && toneShare(part, rateHz, frequencyHz) >= shareMin;
    current = heard ? current + 1 : 0;
    longest = Math.max(longest, current);
  }
  return longest / 10;
}
