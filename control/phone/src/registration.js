// The line: the WebSocket, the REGISTER, and the door through which calls come and go.

import JsSIP from 'jssip';
import { registrationFailureLasts, registrationFailureText } from './failure-texts.js';

/** How often to ask again after a failure that may pass; JsSIP itself only retries the WebSocket. */
const RETRY_MS = 5000;

/** Bounds of JsSIP's wait before it opens a lost WebSocket again, in seconds. */
const RECONNECT_SECONDS = { minimum: 1, maximum: 10 };

/**
 * One registered line.
 *
 * `onChange(state, text)` follows the registration: "connecting", "registered", "unregistered" or
 * "failed"; `onRefused(text)` ends it, because the credentials are wrong;
 * `onIncoming(rtcSession, invite)` brings a call.
 */
export class Registration {
  #userAgent;
  #handlers;
  #retry = null;
  #wasRegistered = false;

  constructor(credentials, webSocketAddress, handlers) {
    this.#handlers = handlers;
    this.#userAgent = new JsSIP.UA({
      sockets: [new JsSIP.WebSocketInterface(webSocketAddress)],
      uri: `sip:${credentials.user}@${credentials.domain}`,
      password: credentials.password,
      display_name: credentials.displayName || undefined,
      user_agent: `Ringway phone (${JsSIP.name} ${JsSIP.version})`,
      connection_recovery_min_interval: RECONNECT_SECONDS.minimum,
      connection_recovery_max_interval: RECONNECT_SECONDS.maximum,
    });
    this.#listen();
    this.#userAgent.start();
  }

  /** @returns the JsSIP session; throws TypeError when `destination` is no address */
  call(destination, options) {
    return this.#userAgent.call(destination, options);
  }

  isConnected() {
    return this.#userAgent.isConnected();
  }

  /** Ends all calls, takes the registration back and closes the WebSocket. */
  stop() {
    clearTimeout(this.#retry);
    this.#userAgent.removeAllListeners();
    this.#userAgent.stop();
  }

  #listen() {
    const agent = this.#userAgent;
    agent.on('connecting', () => this.#connecting());
    agent.on('connected', () => this.#handlers.onChange('connecting', 'Registering…'));
    agent.on('disconnected', () => this.#connecting());
    agent.on('registered', () => {
      this.#wasRegistered = true;
      clearTimeout(this.#retry);
      this.#handlers.onChange('registered', 'Registered');
    });
    agent.on('unregistered', () => {
      if (agent.isConnected()) this.#handlers.onChange('unregistered', 'Not registered');
    });
    agent.on('registrationFailed', ({ cause, response }) => this.#failed(cause, response));
    agent.on('newRTCSession', ({ originator, session, request }) => {
      if (originator === 'remote') this.#handlers.onIncoming(session, request);
    });
  }

  #connecting() {
    const text = this.#wasRegistered ? 'Reconnecting…' : 'Connecting…';
    this.#handlers.onChange('connecting', text);
  }

  #failed(cause, response) {
    const statusCode = response?.status_code ?? null;
    const text = registrationFailureText(cause, statusCode);
    if (registrationFailureLasts(cause, statusCode)) {
      this.#handlers.onRefused(text);
      return;
    }
    // A lost WebSocket comes back through "connecting"; anything else is asked again here.
    if (!this.#userAgent.isConnected()) return;
    this.#handlers.onChange('failed', text);
    clearTimeout(this.#retry);
    this.#retry = setTimeout(() => this.#userAgent.register(), RETRY_MS);
  }
}
