// Where the keyboard stands when what it stood on goes away.

import { element } from './elements.js';

/** A key that was on its way elsewhere must not answer a call that has just come. */
const ANSWER_BY_KEY_AFTER_MS = 500;

export class Focus {
  #last = { loggedIn: false, state: 'idle' };
  #offeredAt = 0;

  constructor() {
    element('answer').addEventListener('keydown', (event) => {
      const presses = event.key === 'Enter' || event.key === ' ';
      if (presses && performance.now() - this.#offeredAt < ANSWER_BY_KEY_AFTER_MS) event.preventDefault();
    });
  }

  /** To be called once everything is drawn. */
  update(phone) {
    const now = { loggedIn: phone.line !== null, state: phone.session?.state ?? 'idle' };
    const before = this.#last;
    this.#last = now;
    if (!now.loggedIn) {
      // A wrong password has put it where it belongs already.
      if (before.loggedIn && !phone.loginError) element('user').focus({ preventScroll: true });
      return;
    }
    if (now.state === 'incoming' && before.state !== 'incoming') {
      this.#offeredAt = performance.now();
      element('answer').focus();
    } else if (!before.loggedIn || (isUp(before.state) && !isUp(now.state))) {
      dialNext();
    } else if (isUp(now.state) && now.state !== 'incoming' && isNowhere()) {
      element('call-peer').focus({ preventScroll: true });
    }
  }
}

const isUp = (state) => state !== 'idle' && state !== 'ended';

// On a telephone the field would bring up its keyboard.
function dialNext() {
  const isTouched = matchMedia('(pointer: coarse)').matches;
  element(isTouched ? 'call-peer' : 'destination').focus({ preventScroll: true });
}

function isNowhere() {
  const { activeElement } = document;
  return activeElement === null || activeElement === document.body
    || activeElement.closest('[hidden]') !== null;
}
