// Whether the other side's picture shows anything, and its shape.

import { element, setHidden, setText } from './elements.js';

const LOOK_EVERY_MS = 1000;

/** Luma, of 255, up to which a picture counts as black: video black is 16 and codecs blur it. */
const BLACK_MAX = 28;

/** Looks in a row that must say the same: a picture may be dark or late for a moment. */
const LOOKS = 3;

/** Shapes that the stage takes on: from an upright telephone to a wide screen. */
const RATIO = { narrowest: 3 / 4, widest: 16 / 9 };

const TEXTS = {
  none: 'No picture from the other side',
  still: 'The picture has stopped',
  dark: 'The other side’s camera is off',
};

/** Watches the picture of one call after the other. */
export class PictureWatch {
  #canvas = document.createElement('canvas');
  #lookedAt = 0;
  #frames = null;
  #seen = '';
  #count = 0;

  constructor() {
    this.#canvas.width = 16;
    this.#canvas.height = 9;
    element('remote-video').addEventListener('resize', fitStage);
  }

  /** @param {object|null} video of `Statistics.latest`; null resets */
  update(video, answered) {
    if (!answered) {
      this.#say('');
      this.#seen = '';
      this.#count = 0;
      this.#frames = null;
      return;
    }
    if (performance.now() - this.#lookedAt < LOOK_EVERY_MS) return;
    this.#lookedAt = performance.now();
    const now = this.#look(video);
    this.#count = now === this.#seen ? this.#count + 1 : 1;
    this.#seen = now;
    if (now === '' || this.#count >= LOOKS) this.#say(now);
  }

  #look(video) {
    const frames = video?.framesDecoded ?? 0;
    const before = this.#frames;
    this.#frames = frames;
    if (frames === 0) return 'none';
    if (frames === before) return 'still';
    return this.#isBlack() ? 'dark' : '';
  }

  #isBlack() {
    const player = element('remote-video');
    if (player.videoWidth === 0) return false;
    const context = this.#canvas.getContext('2d', { willReadFrequently: true });
    context.drawImage(player, 0, 0, 16, 9);
    const { data } = context.getImageData(0, 0, 16, 9);
    for (let at = 0; at < data.length; at += 4) {
      if (Math.max(data[at], data[at + 1], data[at + 2]) > BLACK_MAX) return false;
    }
    return true;
  }

  #say(what) {
    setText('stage-note', TEXTS[what] ?? '');
    setHidden('stage-note', what === '');
    element('stage').dataset.picture = what === '' ? 'shown' : what;
  }
}

/** Gives the stage the shape of the picture, so that it fills it. */
function fitStage() {
  const { videoWidth, videoHeight } = element('remote-video');
  if (!videoWidth) return;
  const ratio = Math.min(Math.max(videoWidth / videoHeight, RATIO.narrowest), RATIO.widest);
  element('stage').style.setProperty('--ratio', ratio.toFixed(4));
}
