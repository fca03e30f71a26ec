// How loud a stream is, altogether and at one frequency.

/** Samples looked at for one reading: 171 ms at 48 kHz, which keeps tones 12 Hz apart distinguishable. */
const WINDOW_SAMPLES = 8192;

/** Samples for the moving meter: short, so that it follows speech. */
const METER_SAMPLES = 1024;

/** What silence reads as; below 16-bit quantisation, so never confused with a tone. */
export const FLOOR_DB = -120;

let sharedContext = null;

/** The page's one AudioContext; browsers limit their number and share no clock between them. */
export function audioContext() {
  sharedContext ??= new AudioContext();
  return sharedContext;
}

/** Browsers start an AudioContext only after a gesture: to be called from one. */
export function resumeAudio() {
  if (audioContext().state === 'suspended') audioContext().resume().catch(() => {});
}

/** Listens in on one MediaStream without playing it. */
export class AudioLevel {
  #source;
  #analyser;
  #samples = new Float32Array(WINDOW_SAMPLES);

  /** @param {MediaStream} stream with at least one audio track */
  constructor(stream) {
    this.#source = audioContext().createMediaStreamSource(stream);
    this.#analyser = new AnalyserNode(audioContext(), { fftSize: WINDOW_SAMPLES });
    this.#source.connect(this.#analyser);
  }

  /** Root mean square of the last 21 ms in dB relative to full scale. */
  level() {
    const recent = this.#read().subarray(WINDOW_SAMPLES - METER_SAMPLES);
    const squares = recent.reduce((sum, sample) => sum + sample * sample, 0);
    return decibels(Math.sqrt(squares / recent.length));
  }

  /** The amplitude of the tone at `frequency` (Hz) in dB relative to a full-scale sine. */
  levelAt(frequency) {
    return toneLevel(this.#read(), frequency, audioContext().sampleRate);
  }

  close() {
    this.#source.disconnect();
  }

  #read() {
    this.#analyser.getFloatTimeDomainData(this.#samples);
    return this.#samples;
  }
}

/**
 * The Goertzel algorithm under a Hann window: one bin of a Fourier transform, at exactly `frequency`.
 * A sine of amplitude 1 at that frequency reads 0 dB.
 */
export function toneLevel(samples, frequency, sampleRate) {
  const coefficient = 2 * Math.cos((2 * Math.PI * frequency) / sampleRate);
  let previous = 0;
  let beforePrevious = 0;
  samples.forEach((sample, index) => {
    const hann = 0.5 - 0.5 * Math.cos((2 * Math.PI * index) / (samples.length - 1));
    const current = sample * hann + coefficient * previous - beforePrevious;
    beforePrevious = previous;
    previous = current;
  });
  const power =
    previous * previous + beforePrevious * beforePrevious - coefficient * previous * beforePrevious;
  // The window's mean is a half, and a sine's energy is split between its two frequencies.
  return decibels((4 * Math.sqrt(Math.max(power, 0))) / samples.length);
}

function decibels(amplitude) {
  return amplitude > 0 ? Math.max(20 * Math.log10(amplitude), FLOOR_DB) : FLOOR_DB;
}
