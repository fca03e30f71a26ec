// One call, from the dialled number or the ringing to its end.

import { AudioLevel, FLOOR_DB } from './audio-level.js';
import { callFailureText, causeToken } from './failure-texts.js';
import { MicrophoneDenied, closeLocalMedia, openLocalMedia } from './local-media.js';
import { Statistics } from './statistics.js';
import { startRingback, startRinging, stopTones } from './tones.js';

/** The gateway is ICE-lite and learns our address from our checks: our candidates may be few. */
const GATHERING_LIMIT_MS = 500;

const PEER_CONNECTION = { iceServers: [], bundlePolicy: 'max-bundle', rtcpMuxPolicy: 'require' };

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
  peer;
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
  #onChange;

  constructor(direction, peer, video, onChange) {
    this.direction = direction;
    this.peer = peer;
    this.video = video;
    this.state = direction === 'incoming' ? 'incoming' : 'calling';
    this.#onChange = onChange;
  }

  /** Opens the devices, then dials. The session is returned at once, and tells by `onChange`. */
  static dial(registration, destination, video, onChange) {
    const session = new Session('outgoing', destination, video, onChange);
    session.#dial(registration);
    return session;
  }

  /** @param rtcSession what JsSIP brought with "newRTCSession", and the `invite` it came with */
  static receive(rtcSession, invite, onChange) {
    const identity = rtcSession.remote_identity;
    const peer = identity.display_name || identity.uri.user || identity.uri.toString();
    const video = offersVideo(invite);
    const session = new Session('incoming', peer, video, onChange);
    session.#follow(rtcSession);
    startRinging();
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
    if (this.state === 'incoming') this.#rtcSession.answer(mediaOptions(this.localStream));
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
        ...mediaOptions(this.localStream),
        // Hear and see the other side even where this side lacks a device.
        rtcOfferConstraints: { offerToReceiveAudio: true, offerToReceiveVideo: this.video },
        // JsSIP creates the peer connection before it hands out the session.
        eventHandlers: this.#handlers(),
      });
    } catch (error) {
      this.#end('Invalid Target', null, `“${this.peer}” cannot be called: ${error.message}`);
    }
  }

  /** @returns false when the microphone was refused */
  async #openDevices(video) {
    try {
      const { stream, notices } = await openLocalMedia({ video });
      this.localStream = stream;
      this.notices = notices;
      if (stream?.getAudioTracks().length) this.#localLevel = new AudioLevel(stream);
      this.#onChange();
      return true;
    } catch (error) {
      if (!(error instanceof MicrophoneDenied)) throw error;
      this.notices = [MICROPHONE_DENIED.text];
      return false;
    }
  }

  #follow(rtcSession) {
    this.#rtcSession = rtcSession;
    for (const [name, handler] of Object.entries(this.#handlers())) rtcSession.on(name, handler);
  }

  #handlers() {
    return {
      peerconnection: ({ peerconnection }) => this.#watchConnection(peerconnection),
      icecandidate: ({ ready }) => ready(),
      progress: ({ originator, response }) => this.#progress(originator, response),
      accepted: ({ originator }) => originator === 'local' && this.#answered(),
      confirmed: () => this.#answered(),
      ended: ({ cause, message }) => this.#end(cause, statusCode(message)),
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
    this.answeredAt = Date.now();
    this.state = 'in-call';
    this.#onChange();
  }

  #watchConnection(connection) {
    this.#connection = connection;
    connection.addEventListener('track', ({ track }) => this.#hear(track));
    connection.addEventListener('icegatheringstatechange', () => limitGathering(connection));
    this.#statistics = new Statistics(connection, () => this.#onChange());
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
    this.#lastStatistics = this.#statistics?.latest() ?? null;
    this.#statistics?.stop();
    this.#localLevel?.close();
    this.#remoteLevel?.close();
    this.#localLevel = this.#remoteLevel = null;
    closeLocalMedia(this.localStream);
    this.#onChange();
  }
}

// Port 0 refuses a medium, unless it is bundled with another one (RFC 8843 section 6).
function offersVideo(invite) {
  const media = (invite.body ?? '').split(/^m=/m).slice(1);
  return media.some((description) => /^video [1-9]/.test(description)
    || (description.startsWith('video ') && /^a=bundle-only/m.test(description)));
}

// Without a stream JsSIP would open the devices itself, and fail where there are none.
function mediaOptions(stream) {
  const open = stream !== null;
  return {
    mediaStream: stream,
    mediaConstraints: { audio: open, video: open },
    pcConfig: PEER_CONNECTION,
  };
}

/** Of a response only: a BYE or CANCEL has none. */
function statusCode(message) {
  return message?.status_code ?? null;
}

function limitGathering(connection) {
  if (connection.iceGatheringState !== 'gathering') return;
  setTimeout(() => {
    // What the browser says itself when gathering is over, only earlier: JsSIP then goes on.
    if (connection.iceGatheringState === 'gathering') {
      connection.dispatchEvent(new RTCPeerConnectionIceEvent('icecandidate', { candidate: null }));
    }
  }, GATHERING_LIMIT_MS);
}
