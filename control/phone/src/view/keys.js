// Letters that work as buttons.

import { element } from './elements.js';

const STORED = 'ringway.keys';

/** Key to button, in the order in which they are tried: what is hidden or disabled does not count. */
const BUTTONS = {
  a: ['answer'],
  d: ['decline'],
  m: ['mute'],
  v: ['camera'],
  h: ['hangup'],
  Escape: ['decline'],
};

/** The button that a key stands for now, or null. */
export function buttonOf(key, state) {
  const names = BUTTONS[key.length === 1 ? key.toLowerCase() : key] ?? [];
  // A call that is answered does not end by Escape, which people press for other reasons.
  const more = key === 'Escape' && (state === 'calling' || state === 'ringing') ? ['hangup'] : [];
  const usable = [...names, ...more].map(element)
    .find((button) => button.checkVisibility?.() !== false && !button.disabled && !isHidden(button));
  return usable ?? null;
}

const isHidden = (button) => button.closest('[hidden]') !== null;

/** Whether letters are keys: speech input and some screen readers type letters of their own. */
export function lettersWork() {
  return element('keys-on').checked;
}

export function rememberSwitch() {
  const box = element('keys-on');
  try {
    box.checked = localStorage.getItem(STORED) !== 'off';
    box.addEventListener('change', () => localStorage.setItem(STORED, box.checked ? 'on' : 'off'));
  } catch {
    // No storage: the switch works until the page is left.
  }
}
