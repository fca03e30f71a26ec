// JsSIP and SIP.js in Node.js: the real SIP stacks, over a real WebSocket, without media. What they
// need of a browser is here; session descriptions are Chromium's, from the fixtures.

import { readFileSync } from 'node:fs';
import net from 'node:net';
import tls from 'node:tls';
import JsSIP from 'jssip';
import { Inviter, Registerer, RegistererState, SessionState, UserAgent } from 'sip.js';
import WebSocket from 'ws';
import { forward } from './forward.mjs';
import { DOMAIN } from './kamailio.mjs';
import { ADDRESS } from './namespaces.mjs';

const fixture = (name) => readFileSync(new URL(`../../fixtures/${name}`, import.meta.url), 'utf8');
const OFFER = fixture('chromium_offer_audio.sdp');
const ANSWER = fixture('chromium_answer_audio.sdp');

const SERVER = `wss://${ADDRESS.edgeToBrowser}:8443/ws`;
const PATIENCE_MS = 20_000;

/** What Chromium answers to this offer. */
function answerTo(offer) {
  const mid = offer.match(/^a=mid:(\S+)/m)?.[1] ?? '0';
  return ANSWER.replace(/^a=mid:.*$/m, `a=mid:${mid}`)
    .replace(/^a=group:BUNDLE.*$/m, `a=group:BUNDLE ${mid}`);
}

/** A peer connection of which only the descriptions are there. */
class PeerConnection extends EventTarget {
  signalingState = 'stable';
  iceConnectionState = 'new';
  iceGatheringState = 'complete';
  localDescription = null;
  remoteDescription = null;

  addTrack() {}

  getSenders() {
    return [];
  }

  async createOffer() {
    return { type: 'offer', sdp: OFFER };
  }

  async createAnswer() {
    return { type: 'answer', sdp: answerTo(this.remoteDescription.sdp) };
  }

  async setLocalDescription(description) {
    this.localDescription = description;
    this.signalingState = description.type === 'offer' ? 'have-local-offer' : 'stable';
  }

  async setRemoteDescription(description) {
    // As a browser would: no answer without these is taken.
    for (const line of ['a=ice-ufrag:', 'a=ice-pwd:', 'a=fingerprint:', 'a=setup:']) {
      if (!description.sdp.includes(line)) throw new Error(`no ${line} in\n${description.sdp}`);
    }
    this.remoteDescription = description;
    this.signalingState = description.type === 'offer' ? 'have-remote-offer' : 'stable';
  }

  close() {
    this.signalingState = 'closed';
  }
}

/** The same for SIP.js. */
function descriptionHandler() {
  const connection = new PeerConnection();
  return {
    hasDescription: (type) => type === 'application/sdp',
    async getDescription() {
      const make = () =>
        connection.remoteDescription ? connection.createAnswer() : connection.createOffer();
      const description = await make();
      await connection.setLocalDescription(description);
      return { body: description.sdp, contentType: 'application/sdp' };
    },
    async setDescription(sdp) {
      const type = connection.localDescription ? 'answer' : 'offer';
      await connection.setRemoteDescription({ type, sdp });
    },
    async rollbackDescription() {},
    sendDtmf: () => false,
    close: () => connection.close(),
  };
}

/** Makes `WebSocket` lead into the browser's namespace; gives what both stacks expect of a window. */
async function browserOf(scope, namespace) {
  const inside = await forward(scope, namespace, ADDRESS.edgeToBrowser, 8443);
  const createConnection = () =>
    tls.connect({ socket: net.connect(inside.path), rejectUnauthorized: false });
  globalThis.WebSocket = class extends WebSocket {
    constructor(url, protocols) {
      super(url, protocols, { createConnection });
    }
  };
  Object.assign(globalThis, {
    window: globalThis,
    RTCPeerConnection: PeerConnection,
    RTCSessionDescription: class {
      constructor(description) {
        Object.assign(this, description);
      }
    },
  });
}

/** A promise for an event; it fails when nothing of that kind comes. */
function within(what, settle) {
  return new Promise((resolve, reject) => {
    const late = () => reject(new Error(`${what}: not within ${PATIENCE_MS} ms`));
    const timer = setTimeout(late, PATIENCE_MS);
    const end = (how) => (value) => {
      clearTimeout(timer);
      how(value);
    };
    settle(end(resolve), end(reject));
  });
}

class JsSipPhone {
  constructor(scope, user, password) {
    this.agent = new JsSIP.UA({
      sockets: [new JsSIP.WebSocketInterface(SERVER)],
      uri: `sip:${user}@${DOMAIN}`,
      password,
      register: false,
    });
    this.incoming = new Promise((resolve) => {
      this.agent.on('newRTCSession', ({ originator, session }) => {
        if (originator === 'remote') resolve(session);
      });
    });
    this.agent.start();
    scope.defer(() => this.agent.stop());
  }

  register() {
    return within('registration of JsSIP', (resolve, reject) => {
      this.agent.on('registered', resolve);
      this.agent.on('registrationFailed', ({ cause, response }) =>
        reject(new Error(`JsSIP: ${cause} ${response?.status_code}`)),
      );
      this.agent.on('connected', () => this.agent.register());
    });
  }

  call(user, extraHeaders = []) {
    return within('call of JsSIP', (resolve, reject) => {
      this.session = this.agent.call(`sip:${user}@${DOMAIN}`, {
        extraHeaders,
        mediaStream: { getTracks: () => [] },
        eventHandlers: {
          confirmed: resolve,
          failed: ({ cause, message }) =>
            reject(new Error(`JsSIP: ${cause} ${message?.status_code}`)),
        },
      });
    });
  }

  async answer() {
    this.session = await this.incoming;
    return within('answer of JsSIP', (resolve, reject) => {
      this.session.on('confirmed', resolve);
      this.session.on('failed', ({ cause }) => reject(new Error(`JsSIP: ${cause}`)));
      this.session.answer({ mediaStream: { getTracks: () => [] } });
    });
  }

  hangUp() {
    return this.session.terminate();
  }
}

class SipJsPhone {
  constructor(scope, user, password) {
    let ring;
    this.incoming = new Promise((resolve) => {
      ring = resolve;
    });
    this.agent = new UserAgent({
      uri: UserAgent.makeURI(`sip:${user}@${DOMAIN}`),
      transportOptions: { server: SERVER },
      authorizationUsername: user,
      authorizationPassword: password,
      logBuiltinEnabled: false,
      sessionDescriptionHandlerFactory: descriptionHandler,
      delegate: { onInvite: ring },
    });
    scope.defer(() => this.agent.stop());
  }

  async register() {
    await this.agent.start();
    const registerer = new Registerer(this.agent);
    return within('registration of SIP.js', (resolve, reject) => {
      registerer.stateChange.addListener((state) => {
        if (state === RegistererState.Registered) resolve();
      });
      const onReject = ({ message }) => reject(new Error(`SIP.js: ${message.statusCode}`));
      registerer.register({ requestDelegate: { onReject } });
    });
  }

  call(user) {
    this.session = new Inviter(this.agent, UserAgent.makeURI(`sip:${user}@${DOMAIN}`));
    return within('call of SIP.js', (resolve, reject) => {
      this.#established(resolve);
      const onReject = ({ message }) => reject(new Error(`SIP.js: ${message.statusCode}`));
      this.session.invite({ requestDelegate: { onReject } }).catch(reject);
    });
  }

  async answer() {
    this.session = await this.incoming;
    return within('answer of SIP.js', (resolve, reject) => {
      this.#established(resolve);
      this.session.accept().catch(reject);
    });
  }

  hangUp() {
    return this.session.bye();
  }

  #established(resolve) {
    this.session.stateChange.addListener((state) => {
      if (state === SessionState.Established) resolve();
    });
  }
}

/** The stacks by name. */
const PHONES = { jssip: JsSipPhone, sipjs: SipJsPhone };

/**
 * A telephone of this user on `stack` (`jssip` or `sipjs`) in the browser's network, with
 * `register()`, `call(user)` (JsSIP: with headers beside its own), `answer()` of the next incoming
 * call, and `hangUp()`. One at a time.
 */
export async function nodePhone(scope, namespace, stack, user, password) {
  await browserOf(scope, namespace);
  return new PHONES[stack](scope, user, password);
}
