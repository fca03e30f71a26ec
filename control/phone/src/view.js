// The page: draws what the phone says, and hands clicks and keys to it.

import { Attention, askToNotify, canAskToNotify } from './attention.js';
import { echoOf } from './configuration.js';
import { CallPanel } from './view/call-panel.js';
import { element, isTyping, listItem, setHidden, setText, span } from './view/elements.js';
import { Focus } from './view/focus.js';
import { buttonOf, lettersWork, rememberSwitch } from './view/keys.js';
import { LoginForm } from './view/login-form.js';
import { playRefused } from './view/players.js';
import { playKey } from './tones.js';

const KEYS = '0123456789*#';

export class View {
  #phone;
  #login;
  #call;
  #attention = new Attention();
  #focus = new Focus();
  #offeredTo = null;

  constructor(phone, link) {
    this.#phone = phone;
    this.#login = new LoginForm(phone, link);
    this.#call = new CallPanel(phone);
    rememberSwitch();
    this.#listen();
    element('destination').value = link.call;
  }

  static showUnreachable() {
    setHidden('unreachable', false);
  }

  /** Logs in with what stands in the form. */
  submitLogin() {
    this.#login.submit();
  }

  /** Draws everything anew; cheap, because only what differs touches the document. */
  update() {
    this.#drawRegistration();
    this.#login.update();
    this.#call.update();
    setHidden('notify', this.#phone.isBusy() || !canAskToNotify());
    this.#attention.update(this.#phone);
    this.#focus.update(this.#phone);
  }

  #listen() {
    const phone = this.#phone;
    const on = (id, type, handler) => element(id).addEventListener(type, handler);
    on('logout', 'click', () => this.#logOut());
    on('leave', 'close', () => element('leave').returnValue === 'leave' && phone.logOut());
    on('dial-form', 'submit', (event) => {
      event.preventDefault();
      this.#dial({ video: false });
    });
    on('call-video', 'click', () => this.#dial({ video: true }));
    on('answer', 'click', () => phone.answer({ video: true }));
    on('answer-audio', 'click', () => phone.answer({ video: false }));
    on('decline', 'click', () => phone.decline());
    on('hangup', 'click', () => phone.hangUp());
    on('mute', 'click', () => phone.session.setMuted(!phone.session.muted));
    on('camera', 'click', () => phone.session.setCameraOff(!phone.session.cameraOff));
    on('notify', 'click', () => askToNotify().then(() => this.update()));
    on('dial-pad', 'click', (event) => {
      const key = event.target.closest('[data-digit]');
      if (key) this.#press(key.dataset.digit);
    });
    document.addEventListener('keydown', (event) => this.#typed(event));
    for (const gesture of ['pointerdown', 'keydown']) {
      document.addEventListener(gesture, playRefused);
    }
    // The browser asks in its own words: also where the wordmark or a link leads away.
    window.addEventListener('beforeunload', (event) => {
      if (phone.isBusy()) event.preventDefault();
    });
  }

  #logOut() {
    const dialog = element('leave');
    if (!this.#phone.isBusy()) {
      this.#phone.logOut();
      return;
    }
    dialog.returnValue = 'stay';
    dialog.showModal();
  }

  #dial(options) {
    const destination = element('destination').value.trim();
    if (destination === '') element('destination').focus();
    else this.#phone.call(destination, options);
  }

  #press(digit) {
    playKey(digit);
    if (this.#phone.isBusy()) this.#phone.session.sendDigit(digit);
    else element('destination').value += digit;
  }

  #typed(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || element('leave').open) return;
    const { key } = event;
    if (isTyping(event.target) && key !== 'Escape') return;
    // During a call the keyboard is a dial pad.
    if (this.#phone.isBusy() && KEYS.includes(key)) {
      this.#press(key);
      return;
    }
    if (key !== 'Escape' && !lettersWork()) return;
    const button = buttonOf(key, this.#phone.session?.state ?? 'idle');
    if (button === null) return;
    event.preventDefault();
    button.click();
  }

  #drawRegistration() {
    const { line, registration } = this.#phone;
    const loggedIn = line !== null;
    setHidden('login-view', loggedIn);
    setHidden('phone-view', !loggedIn);
    setHidden('logout', !loggedIn);
    element('registration').dataset.state = registration.state;
    setText('registration-user', loggedIn ? line.user : '');
    setText('registration-text', loggedIn ? registration.text : 'Not logged in');
    if (loggedIn && line !== this.#offeredTo) this.#offerNumbers(line);
    this.#offeredTo = line;
  }

  #offerNumbers(line) {
    const { configuration } = this.#phone;
    const echo = echoOf(configuration, line.domain);
    const others = configuration.lines.filter(({ number }) => number !== line.user);
    const chips = others.map(({ number, name }) => this.#chip(number, name ?? ''));
    if (echo) chips.unshift(this.#chip(echo, 'Echo'));
    element('suggestions').replaceChildren(...chips);
    element('hint-list').replaceChildren(...hints(echo).map(listItem));
  }

  #chip(number, name) {
    const button = document.createElement('button');
    button.type = 'button';
    button.className = 'chip';
    button.dataset.number = number;
    button.append(span('number', number), ' ', span('name', name));
    button.addEventListener('click', () => {
      element('destination').value = number;
      element('destination').focus();
    });
    return button;
  }
}

function hints(echo) {
  const texts = [
    'Open this page in a second tab, log in as the other line, and call it.',
    'Press keys during a call: the other side hears them as tones, as a voice menu wants them.',
  ];
  if (echo) texts.unshift(`Call ${echo} and say something: you hear yourself through the gateway.`);
  return texts;
}
