// The page's audio and video elements.

import { element } from './elements.js';

const PLAYERS = ['remote-audio', 'remote-video', 'local-video'];

/** Plays `stream` in the player with that id; null empties it. */
export function showStream(id, stream) {
  const player = element(id);
  if (player.srcObject === stream) return;
  player.srcObject = stream;
  if (stream) play(player);
}

function play(player) {
  // Refused before the first gesture on the page; the gesture tries again.
  player.play().catch(() => {});
}

/** To be called from a gesture. */
export function playRefused() {
  for (const id of PLAYERS) {
    const player = element(id);
    if (player.srcObject && player.paused) play(player);
  }
}
