// The phone itself: at most one line logged in and one call at a time; draws nothing.

import { resumeAudio } from './audio-level.js';
import { demoLine, echoOf, loadConfiguration } from './configuration.js';
import { Registration } from './registration.js';
import { Session } from './session.js';
import { forgetLine, rememberLine } from './session-memory.js';
import { wantedCall } from './transfer.js';

/** SIP 486, for a second call while one is up. */
const BUSY = { status_code: 486 };

/** For so long the transferor may still hang up by itself, once the transfer has succeeded. */
const TRANSFEROR_HANGS_UP_WITHIN_MS = 5000;

/** `onChange` is called whenever anything a person can see has changed. */
export class Phone {
  /** What the gateway says about itself; fetched anew when a login fails. */
  configuration;
  /** The line that is logged in, or null. */
  line = null;
  registration = { state: 'unregistered', text: 'Not logged in' };
  /** Why the last login was refused; empty where it was not. */
  loginError = '';
  /** The call that is up, or the last one; null before the first. */
  session = null;

  /** The call that a transfer comes from, until that has succeeded or failed. */
  #transferred = null;
  /** The call whose place the next one takes. */
  #replaced = null;
  #agent = null;
  /** Whether the line's password has been right, if it is not now. */
  #wasRight = false;
  #whenRegistered = null;
  #onChange;

  constructor(configuration, onChange) {
    this.configuration = configuration;
    this.#onChange = onChange;
  }

  /**
   * @param {{user: string, domain: string, password: string, displayName: string}} line
   * @param {boolean} wasRight whether the password has been right before
   */
  logIn(line, wasRight = false) {
    this.#stop();
    const known = demoLine(this.configuration, line.user, line.domain);
    this.#wasRight = wasRight || known?.password === line.password;
    this.loginError = '';
    this.line = line;
    this.registration = { state: 'connecting', text: 'Connecting…' };
    try {
      this.#agent = new Registration(line, this.configuration.webSocketAddress, {
        onChange: (state, text) => this.#registrationChanged(state, text),
        onRefused: (text) => this.#refused(text),
        onIncoming: (rtcSession, invite) => this.#incoming(rtcSession, invite),
      });
    } catch {
      this.#fail(`“${line.user}@${line.domain}” is not a SIP address.`);
    }
    this.#onChange();
  }

  /** Ends the call and the registration, and forgets the password. */
  logOut() {
    this.#whenRegistered = null;
    forgetLine();
    this.leave();
  }

  /** The same when the page goes away, and may come back. */
  leave() {
    this.#stop();
    this.line = null;
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
    this.session = Session.dial(this.#agent, destination, video, this);
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

  /** Whether the WebSocket to the gateway stands. */
  isConnected() {
    return this.#agent?.isConnected() ?? false;
  }

  /** The name of a number that the gateway has told us about; empty for all others. */
  nameOf(number) {
    const domain = this.line?.domain ?? '';
    if (number !== '' && number === echoOf(this.configuration, domain)) return 'Echo';
    return demoLine(this.configuration, number, domain)?.name ?? '';
  }

  sessionChanged(session) {
    if (session === this.session && this.#transferred) this.#transferGoesOn(session);
    this.#onChange();
  }

  /** Whether the call that a REFER asks for will be made. */
  mayFollow(session, request) {
    const free = session === this.session && session.state === 'in-call' && !this.#transferred;
    return free && wantedCall(request, this.line?.domain ?? '') !== null;
  }

  follow(session, request, accept) {
    const wanted = wantedCall(request, this.line.domain);
    this.#transferred = session;
    const name = wanted.name || this.nameOf(wanted.number);
    this.session = Session.follow({ ...wanted, name }, accept, session, this);
    this.session.notice(`${session.peer} connects you to ${name || wanted.number}.`);
    session.setMuted(true);
    if (this.session.state === 'ended') this.#transferGoesOn(this.session);
  }

  /** Somebody else takes the place of the other side (RFC 3891). */
  replace(session, accept) {
    this.#replaced = session;
    accept();
    this.#replaced = null;
  }

  #transferGoesOn(session) {
    const before = this.#transferred;
    if (session.state === 'in-call') {
      this.#transferred = null;
      setTimeout(() => before.hangUp(), TRANSFEROR_HANGS_UP_WITHIN_MS);
    }
    if (session.state !== 'ended') return;
    this.#transferred = null;
    if (before.state === 'ended') return;
    // It did not come about: back to who wanted it.
    this.session = before;
    before.setMuted(session.muted);
    before.notice(`You were not connected to ${session.peer}. ${session.ending.text}`);
  }

  #registrationChanged(state, text) {
    this.registration = { state, text };
    if (state === 'connecting') this.session?.gatewayLeft();
    if (state === 'registered') {
      this.#wasRight = true;
      rememberLine(this.line);
      this.#whenRegistered?.();
      this.#whenRegistered = null;
    }
    this.#onChange();
  }

  // Passwords of the demo are new after a restart of the gateway: ask for them before giving up.
  async #refused(text) {
    const refused = this.line;
    const wasRight = this.#wasRight;
    this.#stop();
    const fresh = await loadConfiguration().catch(() => null);
    if (this.line !== refused) return;
    if (fresh) this.configuration = fresh;
    const { user, domain, password } = refused;
    const renewed = demoLine(this.configuration, user, domain);
    if (wasRight && renewed && renewed.password !== password) {
      this.logIn({ ...refused, password: renewed.password });
    } else {
      this.#fail(text);
    }
  }

  #fail(text) {
    this.logOut();
    this.loginError = text;
    this.registration = { state: 'failed', text };
    this.#onChange();
  }

  #stop() {
    this.hangUp();
    this.#transferred?.hangUp();
    this.#transferred = null;
    this.#agent?.stop();
    this.#agent = null;
  }

  #incoming(rtcSession, invite) {
    const { domain } = this.line;
    if (this.#replaced) {
      this.session = Session.takeOver(rtcSession, invite, domain, this.#replaced, this);
    } else if (this.isBusy() || this.#transferred) {
      rtcSession.terminate(BUSY);
      return;
    } else {
      this.session = Session.receive(rtcSession, invite, domain, this);
    }
    this.#onChange();
  }
}
