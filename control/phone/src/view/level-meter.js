// A level meter: a bar whose length follows the sound.

/** What the empty bar stands for, in dB relative to full scale; speech lies between −45 and −10. */
const EMPTY_DB = -60;

/** @param {number} level in dB relative to full scale */
export function drawLevel(track, level) {
  const share = Math.min(Math.max(1 - level / EMPTY_DB, 0), 1);
  track.style.setProperty('--level', share.toFixed(3));
  track.setAttribute('aria-valuenow', Math.round(Math.max(level, EMPTY_DB)));
}
