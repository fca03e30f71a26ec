// Starts the page: configuration, phone, view, and the hooks for tests.

import { FLOOR_DB, resumeAudio } from './audio-level.js';
import { loadConfiguration, takeLinkParameters } from './configuration.js';
import { Phone } from './phone.js';
import { rememberedLine } from './session-memory.js';
import { View } from './view.js';

async function start() {
  const link = takeLinkParameters();
  let configuration;
  try {
    configuration = await loadConfiguration();
  } catch {
    View.showUnreachable();
    return;
  }
  const phone = new Phone(configuration, () => view.update());
  const view = new View(phone, link);
  exposeHooks(phone);
  view.update();
  const remembered = rememberedLine();
  if (link.user && link.password) view.submitLogin();
  else if (remembered && !link.user) phone.logIn(remembered, true);
  if (link.call) phone.callWhenRegistered(link.call, { video: link.video });

  document.addEventListener('pointerdown', resumeAudio);
  document.addEventListener('keydown', resumeAudio);
  window.addEventListener('pagehide', () => phone.leave());
}

/** What the tests, and a curious person at the console, may ask; see the README. */
function exposeHooks(phone) {
  window.ringwayPhone = {
    state: () => ({
      registration: phone.registration.state,
      call: phone.session?.state ?? 'idle',
      direction: phone.session?.direction ?? null,
      peer: phone.session?.peer ?? null,
      number: phone.session?.number ?? null,
      trouble: phone.session?.trouble?.kind ?? null,
      quality: phone.session?.quality()?.word ?? null,
      video: phone.session?.video ?? false,
      muted: phone.session?.muted ?? false,
      seconds: phone.session?.duration() ?? 0,
      cause: phone.session?.ending?.cause ?? null,
      statusCode: phone.session?.ending?.statusCode ?? null,
    }),
    statistics: () => phone.session?.statistics() ?? null,
    remoteLevel: (frequency) => phone.session?.remoteLevelAt(frequency) ?? FLOOR_DB,
  };
}

start();
