// What is said about the call, and the buttons for it.

import { mayUseVideo } from '../configuration.js';
import { drawLevel } from './level-meter.js';
import { element, setDisabled, setHidden, setIcon, setText } from './elements.js';
import { PictureWatch } from './picture.js';
import { showStream } from './players.js';
import { drawQuality } from './statistics-table.js';

const CALL_TEXTS = {
  'idle': 'Ready to call',
  'calling': 'Calling…',
  'ringing': 'Ringing…',
  'in-call': 'In call',
};

export class CallPanel {
  #phone;
  #pictures = new PictureWatch();

  constructor(phone) {
    this.#phone = phone;
    this.#animateLevels();
    setInterval(() => this.#drawTimer(), 250);
  }

  update() {
    const { session } = this.#phone;
    const state = session?.state ?? 'idle';
    this.#drawCall(session, state);
    this.#drawActions(session, state);
    this.#drawMedia(session, state);
    drawQuality(session);
    this.#drawTimer();
  }

  #drawCall(session, state) {
    element('phone-view').dataset.call = state;
    const callState = element('call-state');
    callState.dataset.state = state;
    callState.dataset.cause = session?.ending?.cause ?? '';
    callState.dataset.statusCode = session?.ending?.statusCode ?? '';
    const trouble = session?.trouble ?? null;
    callState.dataset.trouble = trouble?.kind ?? '';
    callState.dataset.broken = trouble?.broken ?? false;
    const { name, number } = this.#whom(session);
    setText('call-peer', name || number);
    setText('call-number', name ? number : '');
    setText('call-text', trouble?.title ?? callText(session, state));
    setText('digits', this.#phone.isBusy() ? session.digits : '');
    element('trouble').dataset.kind = trouble?.kind ?? '';
    setText('trouble-title', trouble?.title ?? '');
    setText('trouble-text', trouble?.text ?? '');
    // Where only the other side is silent, the headline says it all, and digits may be what it waits for.
    setHidden('trouble', !trouble?.broken);
    setNotices(session?.notices ?? []);
  }

  /** Who the headline names: the other side of the call, else the line itself. */
  #whom(session) {
    const { line } = this.#phone;
    if (session === null) {
      const number = line?.user ?? '';
      const name = line?.displayName ?? '';
      return { name: name === number ? '' : name, number };
    }
    const { peer, number } = session;
    const name = peer === number ? this.#phone.nameOf(number) : peer;
    return { name, number };
  }

  #drawActions(session, state) {
    const busy = this.#phone.isBusy();
    setHidden('dial-form', busy);
    setHidden('idle-actions', busy);
    setHidden('dial-pad', state === 'incoming');
    setHidden('incoming-actions', state !== 'incoming');
    setHidden('call-actions', !busy || state === 'incoming');
    const registered = this.#phone.registration.state === 'registered';
    setDisabled('call-audio', !registered);
    setDisabled('call-video', !registered);
    const { configuration, line } = this.#phone;
    setHidden('call-video', line === null || !mayUseVideo(configuration, line.domain));
    if (!busy) return;
    setDisabled('answer', session.answering);
    setDisabled('answer-audio', session.answering);
    setHidden('answer-audio', !session.video);
    setIcon('answer-icon', session.video ? 'camera' : 'phone');
    element('mute').setAttribute('aria-pressed', session.muted);
    setIcon('mute-icon', session.muted ? 'microphone-off' : 'microphone');
    setText('mute-text', session.muted ? 'Unmute' : 'Mute');
    this.#drawCamera(session);
  }

  // Its place is kept even before the camera is open, so that nothing moves.
  #drawCamera(session) {
    const hasCamera = session.localStream?.getVideoTracks().length > 0;
    setHidden('camera', !session.video && !hasCamera);
    setDisabled('camera', !hasCamera);
    element('camera').setAttribute('aria-pressed', session.cameraOff);
    setIcon('camera-icon', session.cameraOff || !hasCamera ? 'camera-off' : 'camera');
    setText('camera-text', session.cameraOff ? 'Camera on' : 'Camera off');
  }

  #drawMedia(session, state) {
    const busy = this.#phone.isBusy();
    const isUp = busy && state !== 'incoming';
    const { demo } = this.#phone.configuration;
    setHidden('sound', !isUp);
    const hasStage = isUp && session.video;
    setHidden('stage', !hasStage);
    element('phone-view').dataset.stage = hasStage;
    setHidden('hints', !demo || busy || Boolean(session?.statistics()));
    showStream('remote-audio', busy ? session.remoteStream : null);
    showStream('remote-video', busy && session.video ? session.remoteStream : null);
    const seesItself = isUp && !session.cameraOff && session.localStream?.getVideoTracks().length > 0;
    showStream('local-video', seesItself ? session.localStream : null);
    setHidden('local-video', !seesItself);
    const watched = isUp && session.video && state === 'in-call';
    this.#pictures.update(watched ? (session.statistics()?.video ?? null) : null, watched);
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
      if (element('sound').hidden) return;
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
    list.replaceChildren(...notices.map((text) => {
      const item = document.createElement('p');
      item.textContent = text;
      return item;
    }));
  }
  setHidden('notices', notices.length === 0);
}

function clock(seconds) {
  const two = (number) => String(number).padStart(2, '0');
  const hours = Math.floor(seconds / 3600);
  const rest = `${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`;
  return hours > 0 ? `${hours}:${rest}` : rest;
}
