// The phone itself: at most one line logged in and one call at a time; draws nothing.

import { resumeAudio } from './audio-level.js';
import { Registration } from './registration.js';
import { Session } from './session.js';

/** SIP 486, for a second call while one is up. */
const BUSY = { status_code: 486 };

/** `onChange` is called whenever anything a person can see has changed. */
export class Phone {
  /** The line that is logged in, or null. */
  line = null;
  registration = { state: 'unregistered', text: 'Not logged in' };
  /** Why the last login was refused; empty where it was not. */
  loginError = '';
  /** The call that is up, or the last one; null before the first. */
  session = null;

  #configuration;
  #agent = null;
  #whenRegistered = null;
  #onChange;

  constructor(configuration, onChange) {
    this.#configuration = configuration;
    this.#onChange = onChange;
  }

  /** @param {{user: string, domain: string, password: string, displayName: string}} line */
  logIn(line) {
    this.logOut();
    this.loginError = '';
    this.line = line;
    this.registration = { state: 'connecting', text: 'Connecting…' };
    try {
      this.#agent = new Registration(line, this.#configuration.webSocketAddress, {
        onChange: (state, text) => this.#registrationChanged(state, text),
        onRefused: (text) => this.#refused(text),
        onIncoming: (rtcSession, invite) => this.#incoming(rtcSession, invite),
      });
    } catch {
      this.#refused(`“${line.user}@${line.domain}” is not a SIP address.`);
    }
    this.#onChange();
  }

  logOut() {
    this.hangUp();
    this.#agent?.stop();
    this.#agent = null;
    this.line = null;
    this.#whenRegistered = null;
    this.registration = { state: 'unregistered', text: 'Not logged in' };
    this.#onChange();
  }

  /** Calls `destination` as soon as the line is registered. */
  callWhenRegistered(destination, options) {
    if (this.registration.state === 'registered') this.call(destination, options);
    else this.#whenRegistered = () => this.call(destination, options);
  }

  call(destination, { video }) {
    if (!destination || !this.#agent || this.isBusy()) return;
    resumeAudio();
    this.session = Session.dial(this.#agent, destination, video, this.#onChange);
    this.#onChange();
  }

  answer(options) {
    resumeAudio();
    this.session?.answer(options);
  }

  decline() {
    this.session?.decline();
  }

  hangUp() {
    this.session?.hangUp();
  }

  /** Whether a call is up, in whatever state. */
  isBusy() {
    return this.session !== null && this.session.state !== 'ended';
  }

  #registrationChanged(state, text) {
    this.registration = { state, text };
    if (state === 'registered') {
      this.#whenRegistered?.();
      this.#whenRegistered = null;
    }
    this.#onChange();
  }

  #refused(text) {
    this.logOut();
    this.loginError = text;
    this.registration = { state: 'failed', text };
    this.#onChange();
  }

  #incoming(rtcSession, invite) {
    if (this.isBusy()) {
      rtcSession.terminate(BUSY);
      return;
    }
    this.session = Session.receive(rtcSession, invite, this.#onChange);
    this.#onChange();
  }
}
