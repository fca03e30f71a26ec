// The page: draws what the phone says, and hands clicks to it.

import { splitAddress } from './configuration.js';
import { drawLevel } from './view/level-meter.js';
import { drawStatistics } from './view/statistics-table.js';
import { playRefused, showStream } from './view/players.js';
import { element, setHidden, setText } from './view/elements.js';
import { playKey } from './tones.js';

const KEYS = '0123456789*#';

const CALL_TEXTS = {
  'idle': 'Ready to call',
  'calling': 'Calling…',
  'ringing': 'Ringing…',
  'in-call': 'In call',
};

export class View {
  #phone;
  #configuration;

  constructor(phone, configuration, link) {
    this.#phone = phone;
    this.#configuration = configuration;
    this.#fillLogin(link);
    this.#offerDemoLines();
    this.#offerNumbers();
    this.#listen();
    element('destination').value = link.call;
    this.#animateLevels();
    setInterval(() => this.#drawTimer(), 250);
  }

  static showUnreachable() {
    setHidden('unreachable', false);
  }

  /** Logs in with what stands in the form. */
  submitLogin() {
    const { user, domain } = splitAddress(element('user').value, element('domain').value);
    this.#phone.logIn({
      user,
      domain: domain || this.#configuration.domain,
      password: element('password').value,
      displayName: element('display-name').value.trim(),
    });
  }

  /** Draws everything anew; cheap, because only what differs touches the document. */
  update() {
    this.#drawRegistration();
    const { session } = this.#phone;
    const state = session?.state ?? 'idle';
    this.#drawCall(session, state);
    this.#drawActions(session, state);
    this.#drawMedia(session, state);
    drawStatistics(session?.statistics() ?? null);
    this.#drawTimer();
  }

  #fillLogin(link) {
    element('user').value = link.user;
    element('password').value = link.password;
    element('domain').value = link.domain || this.#configuration.domain;
    element('display-name').value = link.displayName;
  }

  #offerDemoLines() {
    const { demo, lines } = this.#configuration;
    if (!demo || lines.length === 0) return;
    setHidden('demo', false);
    setText('login-title', 'Pick a demo line');
    setText('login-lead', 'One click logs you in. Open a second tab to call yourself.');
    for (const line of lines) {
      const button = document.createElement('button');
      button.type = 'button';
      button.dataset.line = line.number;
      button.append(span('number', line.number), span('name', line.name ?? ''),
        span('secret', `password ${line.password}`));
      button.addEventListener('click', () => {
        element('user').value = line.number;
        element('password').value = line.password;
        element('domain').value = this.#configuration.domain;
        element('display-name').value = line.name ?? '';
        this.submitLogin();
      });
      const item = document.createElement('li');
      item.append(button);
      element('demo-lines').append(item);
    }
  }

  #offerNumbers() {
    const { demo, echo } = this.#configuration;
    if (echo) this.#suggest(echo, 'Echo');
    if (!demo) return;
    setHidden('hints', false);
    if (echo) addHint(`Call ${echo} and say something: you hear yourself through the gateway.`);
    addHint('Open this page in a second tab, log in as the other line, and call it.');
    addHint('Press keys during a call: they travel as telephone events (RFC 4733).');
  }

  #suggest(number, name) {
    const button = document.createElement('button');
    button.type = 'button';
    button.className = 'chip';
    button.dataset.number = number;
    button.append(span('number', number), span('name', name));
    button.addEventListener('click', () => {
      element('destination').value = number;
      element('destination').focus();
    });
    element('suggestions').append(button);
  }

  #suggestOtherLines() {
    const suggestions = element('suggestions');
    for (const chip of suggestions.querySelectorAll('[data-line]')) chip.remove();
    for (const line of this.#configuration.lines) {
      if (line.number === this.#phone.line?.user) continue;
      this.#suggest(line.number, line.name ?? '');
      suggestions.lastElementChild.dataset.line = line.number;
    }
  }

  #listen() {
    const phone = this.#phone;
    const on = (id, type, handler) => element(id).addEventListener(type, handler);
    on('login-form', 'submit', (event) => {
      event.preventDefault();
      this.submitLogin();
    });
    on('logout', 'click', () => phone.logOut());
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
    on('dial-pad', 'click', (event) => {
      const key = event.target.closest('[data-digit]');
      if (key) this.#press(key.dataset.digit);
    });
    document.addEventListener('keydown', (event) => this.#typed(event));
    for (const gesture of ['pointerdown', 'keydown']) {
      document.addEventListener(gesture, playRefused);
    }
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

  // During a call the keyboard is a dial pad.
  #typed(event) {
    const typing = event.target instanceof HTMLInputElement;
    if (typing || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
    if (this.#phone.isBusy() && KEYS.includes(event.key)) this.#press(event.key);
  }

  #drawRegistration() {
    const { line, registration, loginError } = this.#phone;
    const loggedIn = line !== null;
    const wasLoggedIn = !element('phone-view').hidden;
    setHidden('login-view', loggedIn);
    setHidden('phone-view', !loggedIn);
    setHidden('logout', !loggedIn);
    element('registration').dataset.state = registration.state;
    const text = loggedIn ? `${line.user} · ${registration.text}` : 'Not logged in';
    setText('registration-text', text);
    setText('login-error', loginError);
    setHidden('login-error', loginError === '');
    document.title = loggedIn ? `${line.user} · Ringway phone` : 'Ringway phone';
    if (loggedIn && !wasLoggedIn) {
      this.#suggestOtherLines();
      if (matchMedia('(pointer: fine)').matches) element('destination').focus();
    }
  }

  #drawCall(session, state) {
    const callState = element('call-state');
    callState.dataset.state = state;
    callState.dataset.cause = session?.ending?.cause ?? '';
    callState.dataset.statusCode = session?.ending?.statusCode ?? '';
    setText('call-peer', session?.peer ?? this.#phone.line?.displayName ?? '');
    setText('call-text', callText(session, state));
    setText('digits', this.#phone.isBusy() ? session.digits : '');
    setNotices(session?.notices ?? []);
  }

  #drawActions(session, state) {
    const busy = this.#phone.isBusy();
    setHidden('dial-form', busy);
    setHidden('idle-actions', busy);
    setHidden('dial-pad', state === 'incoming');
    setHidden('incoming-actions', state !== 'incoming');
    setHidden('call-actions', !busy || state === 'incoming');
    const registered = this.#phone.registration.state === 'registered';
    element('call-audio').disabled = element('call-video').disabled = !registered;
    if (!busy) return;
    element('answer').disabled = element('answer-audio').disabled = session.answering;
    setHidden('answer-audio', !session.video);
    element('mute').setAttribute('aria-pressed', session.muted);
    setText('mute', session.muted ? 'Unmute' : 'Mute');
    const hasCamera = session.localStream?.getVideoTracks().length > 0;
    setHidden('camera', !hasCamera);
    element('camera').setAttribute('aria-pressed', session.cameraOff);
    setText('camera', session.cameraOff ? 'Camera on' : 'Camera off');
  }

  #drawMedia(session, state) {
    const busy = this.#phone.isBusy();
    setHidden('meters', state !== 'in-call' && state !== 'ringing');
    setHidden('stage', !busy || !session.video || state === 'incoming');
    setHidden('hints', !this.#configuration.demo || busy || Boolean(session?.statistics()));
    showStream('remote-audio', busy ? session.remoteStream : null);
    showStream('remote-video', busy && session.video ? session.remoteStream : null);
    const seesItself = busy && session.localStream?.getVideoTracks().length > 0;
    showStream('local-video', seesItself ? session.localStream : null);
    setHidden('local-video', !seesItself);
  }

  #drawTimer() {
    const session = this.#phone.session;
    const answered = session !== null && session.answeredAt !== null;
    setHidden('call-timer', !answered);
    if (answered) setText('call-timer', clock(session.duration()));
  }

  #animateLevels() {
    const draw = () => {
      requestAnimationFrame(draw);
      if (element('meters').hidden) return;
      drawLevel(element('local-level'), this.#phone.session.localLevel());
      drawLevel(element('remote-level'), this.#phone.session.remoteLevel());
    };
    draw();
  }
}

function callText(session, state) {
  if (state === 'ended') return session.ending.text;
  if (state === 'incoming') {
    if (session.answering) return 'Connecting…';
    return session.video ? 'is calling you with video' : 'is calling you';
  }
  return CALL_TEXTS[state];
}

function setNotices(notices) {
  const list = element('notices');
  if ([...list.children].map((item) => item.textContent).join() !== notices.join()) {
    list.replaceChildren(...notices.map(listItem));
  }
  setHidden('notices', notices.length === 0);
}

function addHint(text) {
  element('hint-list').append(listItem(text));
}

function listItem(text) {
  const item = document.createElement('li');
  item.textContent = text;
  return item;
}

function span(className, text) {
  const node = document.createElement('span');
  node.className = className;
  node.textContent = text;
  return node;
}

function clock(seconds) {
  const two = (number) => String(number).padStart(2, '0');
  const hours = Math.floor(seconds / 3600);
  const rest = `${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`;
  return hours > 0 ? `${hours}:${rest}` : rest;
}
