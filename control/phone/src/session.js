// One call, from the dialled number or the ringing to its end.

import { AudioLevel, FLOOR_DB } from './audio-level.js';
import { GATEWAY_STOPPED, callFailureText, causeToken, endText } from './failure-texts.js';
import { MicrophoneDenied, closeLocalMedia, copyLocalMedia, openLocalMedia } from './local-media.js';
import { GIVE_UP_AFTER_S, diagnose } from './media-watch.js';
import {
  answerOptions, callOptions, expectsSound, limitGathering, mediaTarget, offersVideo,
} from './negotiation.js';
import { Quality } from './quality.js';
import { Statistics } from './statistics.js';
import { declineTransfers } from './transfer.js';
import { startRingback, startRinging, stopTones } from './tones.js';

/** A gateway that stops says BYE, and closes the WebSocket within this time. */
const GATEWAY_LEAVES_WITHIN_MS = 3000;

/** RFC 4733 events, in ms; long enough for the oldest tone detector behind a gateway. */
const DTMF = { transportType: 'RFC2833', duration: 160, interToneGap: 70 };

const MICROPHONE_DENIED = {
  cause: 'User Denied Media Access',
  text: 'The browser blocked the microphone. Allow it in the address bar and try again.',
};

/**
 * A call. Its `state` is "calling", "ringing", "incoming", "in-call" or "ended"; `onChange` is called
 * whenever anything a person can see has changed.
 */
export class Session {
  state;
  /** Who it is with: what was dialled, or the name that the caller gives himself. */
  peer;
  /** The number or address of the other side. */
  number;
  direction;
  /** Whether pictures were asked for or offered. */
  video;
  /** True between the click on Answer and the answer. */
  answering = false;
  muted = false;
  cameraOff = false;
  notices = [];
  digits = '';
  /** `Date.now()` at which the call was answered and ended; null before. */
  answeredAt = null;
  endedAt = null;
  /** Why there is no sound, as `diagnose` says it; null while all is well. */
  trouble = null;
  /** Why it ended: a token, the SIP status code or null, and a sentence; null while it lives. */
  ending = null;
  remoteStream = new MediaStream();
  localStream = null;

  #rtcSession = null;
  #connection = null;
  #statistics = null;
  #lastStatistics = null;
  #remoteLevel = null;
  #localLevel = null;
  #quality = new Quality();
  #packetsHeard = 0;
  #heardAt = null;
  #wasConnected = false;
  #endedWithoutReason = false;
  #owner;
  #onChange;

  /**
   * @param {object} owner the phone: it is told of every change (`sessionChanged`), says whether the
   *   WebSocket stands (`isConnected`) and decides about transfers (`mayFollow`, `follow`, `replace`)
   */
  constructor(direction, { peer, number = peer, video }, owner) {
    this.direction = direction;
    this.peer = peer;
    this.number = number;
    this.video = video;
    this.state = direction === 'incoming' ? 'incoming' : 'calling';
    this.#owner = owner;
    this.#onChange = () => owner.sessionChanged(this);
  }

  /** Opens the devices, then dials. The session is returned at once, and tells its owner. */
  static dial(registration, destination, video, owner) {
    const session = new Session('outgoing', { peer: destination, video }, owner);
    session.#dial(registration);
    return session;
  }

  /**
   * Makes the call that a transfer asks for; `before` is the one that is transferred, whose devices
   * it shares. At once: the transferor may hang up at any moment.
   */
  static follow(wanted, accept, before, owner) {
    const { number, name, extraHeaders } = wanted;
    const session = new Session('outgoing', { peer: name || number, number, video: before.video }, owner);
    session.#takeDevices(copyLocalMedia(before.localStream));
    session.muted = before.muted;
    const take = (rtcSession) => {
      session.#rtcSession = rtcSession;
    };
    accept(take, {
      ...callOptions(session.localStream, session.video),
      eventHandlers: session.#handlers(),
      extraHeaders,
    });
    if (session.#rtcSession === null) session.#end('Canceled', null);
    return session;
  }

  /** @param rtcSession what JsSIP brought with "newRTCSession", and the `invite` it came with */
  static receive(rtcSession, invite, domain, owner) {
    const session = Session.#incoming(rtcSession, invite, domain, owner);
    startRinging();
    return session;
  }

  /** A call that takes the place of `before` (RFC 3891): it is answered with its devices. */
  static takeOver(rtcSession, invite, domain, before, owner) {
    const session = Session.#incoming(rtcSession, invite, domain, owner);
    session.answering = true;
    session.#takeDevices(copyLocalMedia(before.localStream));
    session.muted = before.muted;
    // JsSIP first has to ring.
    queueMicrotask(() => {
      if (session.state === 'incoming') rtcSession.answer(answerOptions(session.localStream));
    });
    return session;
  }

  static #incoming(rtcSession, invite, domain, owner) {
    const { display_name: name, uri } = rtcSession.remote_identity;
    const isOurs = uri.host.toLowerCase() === domain.toLowerCase();
    const number = isOurs && uri.user ? uri.user : uri.toAor().replace(/^sip:/, '');
    const peer = name || number;
    const session = new Session('incoming', { peer, number, video: offersVideo(invite) }, owner);
    session.#rtcSession = rtcSession;
    for (const [event, handler] of Object.entries(session.#handlers())) rtcSession.on(event, handler);
    declineTransfers(rtcSession, (request) => owner.mayFollow(session, request));
    return session;
  }

  /** Answers; with the camera if `video` and pictures were offered. */
  async answer({ video }) {
    if (this.state !== 'incoming' || this.answering) return;
    stopTones();
    this.answering = true;
    this.notices = [];
    this.#onChange();
    if (!(await this.#openDevices(video && this.video))) {
      if (this.state !== 'incoming') return;
      this.answering = false;
      startRinging();
      this.#onChange();
      return;
    }
    if (this.state === 'incoming') this.#rtcSession.answer(answerOptions(this.localStream));
    else closeLocalMedia(this.localStream);
  }

  decline() {
    if (this.state === 'incoming') this.#rtcSession.terminate({ status_code: 603 });
  }

  /** Ends the call in whatever state it is: BYE, CANCEL or 603. */
  hangUp() {
    if (this.state === 'ended') return;
    if (this.state === 'incoming') this.decline();
    else if (this.#rtcSession) this.#rtcSession.terminate();
    else this.#end('Canceled', null);
  }

  setMuted(muted) {
    this.muted = muted;
    for (const track of this.localStream?.getAudioTracks() ?? []) track.enabled = !muted;
    this.#onChange();
  }

  setCameraOff(cameraOff) {
    this.cameraOff = cameraOff;
    for (const track of this.localStream?.getVideoTracks() ?? []) track.enabled = !cameraOff;
    this.#onChange();
  }

  sendDigit(digit) {
    if (this.state !== 'in-call' && this.state !== 'ringing') return;
    const sender = this.#connection?.getSenders().find(({ track }) => track?.kind === 'audio');
    if (!sender?.dtmf) {
      this.#notice('Digits need a microphone track to travel in.');
      return;
    }
    try {
      this.#rtcSession.sendDTMF(digit, DTMF);
      this.digits += digit;
      this.#onChange();
    } catch {
      // Between ringing and early media, or where telephone-event was not agreed on (RFC 4733).
      this.#notice('The other side does not take digits now.');
    }
  }

  /** The last statistics; they stay readable after the end. Null before the first reading. */
  statistics() {
    return this.#statistics?.latest() ?? this.#lastStatistics;
  }

  /** How it sounds, as `Quality.verdict` says it; null before that is known. */
  quality() {
    return this.#quality.verdict();
  }

  /** Whether any packet of sound came in. */
  wasHeard() {
    return this.#packetsHeard > 0;
  }

  /** Seconds since the answer. */
  duration() {
    if (this.answeredAt === null) return 0;
    return Math.floor(((this.endedAt ?? Date.now()) - this.answeredAt) / 1000);
  }

  localLevel() {
    return this.muted ? FLOOR_DB : (this.#localLevel?.level() ?? FLOOR_DB);
  }

  remoteLevel() {
    return this.#remoteLevel?.level() ?? FLOOR_DB;
  }

  /** Level of the remote sound at `frequency` in Hz, in dB relative to a full-scale sine. */
  remoteLevelAt(frequency) {
    return this.#remoteLevel?.levelAt(frequency) ?? FLOOR_DB;
  }

  async #dial(registration) {
    const opened = await this.#openDevices(this.video);
    if (this.state === 'ended') {
      closeLocalMedia(this.localStream);
      return;
    }
    if (!opened) {
      this.notices = [];
      this.#end(MICROPHONE_DENIED.cause, null, MICROPHONE_DENIED.text);
      return;
    }
    try {
      this.#rtcSession = registration.call(this.peer, {
        ...callOptions(this.localStream, this.video),
        // JsSIP creates the peer connection before it hands out the session.
        eventHandlers: this.#handlers(),
      });
      declineTransfers(this.#rtcSession, (request) => this.#owner.mayFollow(this, request));
    } catch (error) {
      this.#end('Invalid Target', null, `“${this.peer}” cannot be called: ${error.message}`);
    }
  }

  /** @returns false when the microphone was refused */
  async #openDevices(video) {
    try {
      const { stream, notices } = await openLocalMedia({ video });
      this.#takeDevices(stream);
      this.notices = notices;
      this.#onChange();
      return true;
    } catch (error) {
      if (!(error instanceof MicrophoneDenied)) throw error;
      this.notices = [MICROPHONE_DENIED.text];
      return false;
    }
  }

  #takeDevices(stream) {
    this.localStream = stream;
    if (stream?.getAudioTracks().length) this.#localLevel = new AudioLevel(stream);
  }

  #handlers() {
    return {
      peerconnection: ({ peerconnection }) => this.#watchConnection(peerconnection),
      icecandidate: ({ ready }) => ready(),
      progress: ({ originator, response }) => this.#progress(originator, response),
      accepted: ({ originator }) => originator === 'local' && this.#answered(),
      confirmed: () => this.#answered(),
      ended: (event) => this.#ended(event),
      refer: ({ request, accept }) => this.#owner.follow(this, request, accept),
      replaces: ({ accept }) => this.#owner.replace(this, accept),
      failed: ({ cause, message }) => this.#end(cause, statusCode(message)),
    };
  }

  #progress(originator, response) {
    if (originator !== 'remote') return;
    this.state = 'ringing';
    // Early media carries the carrier's own ringback.
    const earlyMedia = Boolean(response?.body) || this.#connection?.remoteDescription;
    if (earlyMedia) stopTones();
    else startRingback();
    this.#onChange();
  }

  #answered() {
    if (this.answeredAt !== null || this.state === 'ended') return;
    stopTones();
    this.answering = false;
    this.answeredAt = this.#heardAt = Date.now();
    this.state = 'in-call';
    this.#onChange();
  }

  #watchConnection(connection) {
    this.#connection = connection;
    connection.addEventListener('track', ({ track }) => this.#hear(track));
    connection.addEventListener('icegatheringstatechange', () => limitGathering(connection));
    this.#statistics = new Statistics(connection, (latest) => this.#measured(latest));
  }

  #measured(latest) {
    this.#quality.take(latest.audio);
    this.#watchMedia(latest);
    this.#onChange();
  }

  #watchMedia({ ice, dtls, hasCandidates, audio }) {
    if (this.state !== 'in-call') return;
    const packets = audio?.packetsReceived ?? 0;
    if (packets > this.#packetsHeard) this.#heardAt = Date.now();
    this.#packetsHeard = Math.max(packets, this.#packetsHeard);
    this.#wasConnected ||= ice === 'connected' || ice === 'completed';
    const silentFor = (Date.now() - this.#heardAt) / 1000;
    this.trouble = diagnose({
      onLine: navigator.onLine,
      socketOpen: this.#owner.isConnected(),
      ice,
      dtls,
      hasCandidates,
      wasConnected: this.#wasConnected,
      wasHeard: this.#packetsHeard > 0,
      expected: expectsSound(this.#connection),
      silentFor,
      target: mediaTarget(this.#connection),
    });
    if (this.trouble?.broken && silentFor >= GIVE_UP_AFTER_S) this.hangUp();
  }

  // JsSIP tells a BYE of either side, and what it ends itself.
  #ended({ originator, cause, message }) {
    const reason = message?.getHeader?.('reason') ?? null;
    const text = endText({ originator, cause, reason, trouble: this.trouble });
    this.#end(cause, statusCode(message), text);
    this.#endedWithoutReason = originator === 'remote' && reason === null;
  }

  /** The WebSocket is gone: if the call ended just before, and nobody said why, that is why. */
  gatewayLeft() {
    if (!this.#endedWithoutReason || Date.now() - this.endedAt > GATEWAY_LEAVES_WITHIN_MS) return;
    this.ending = { ...this.ending, text: GATEWAY_STOPPED };
  }

  #hear(track) {
    // A description applied twice (183, then 200) may announce the same track again.
    if (this.remoteStream.getTrackById(track.id)) return;
    this.remoteStream.addTrack(track);
    if (track.kind === 'audio') {
      this.#remoteLevel?.close();
      this.#remoteLevel = new AudioLevel(new MediaStream([track]));
    }
    this.#onChange();
  }

  #endingText(cause, code) {
    const missed = this.direction === 'incoming' && cause === 'Canceled';
    return missed ? 'Missed call: the caller hung up.' : callFailureText(cause, code);
  }

  /** Shows a sentence beside the call. */
  notice(text) {
    this.#notice(text);
  }

  #notice(text) {
    if (!this.notices.includes(text)) this.notices = [...this.notices, text];
    this.#onChange();
  }

  #end(cause, code, text = this.#endingText(cause, code)) {
    if (this.state === 'ended') return;
    stopTones();
    this.state = 'ended';
    this.endedAt = Date.now();
    this.ending = { cause: causeToken(cause), statusCode: code, text };
    this.trouble = null;
    this.#lastStatistics = this.#statistics?.latest() ?? null;
    this.#statistics?.stop();
    this.#localLevel?.close();
    this.#remoteLevel?.close();
    this.#localLevel = this.#remoteLevel = null;
    closeLocalMedia(this.localStream);
    this.#onChange();
  }
}

/** Of a response only: a BYE or CANCEL has none. */
function statusCode(message) {
  return message?.status_code ?? null;
}
