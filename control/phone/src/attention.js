// Calls somebody who looks elsewhere: the tab's title and icon, and a notification.

const APPLICATION = 'Ringway phone';

/** What the tab is called; it is all that a person sees of a tab in the background. */
export function titleOf({ line, session, missed }) {
  if (!line) return APPLICATION;
  const tail = `${line.user} · ${APPLICATION}`;
  const state = session?.state ?? 'idle';
  if (state === 'incoming') return `☎ ${session.peer} is calling · ${tail}`;
  if (state === 'in-call' && session.trouble) return `⚠ ${session.trouble.title} · ${tail}`;
  if (state === 'in-call') return `In call: ${session.peer} · ${tail}`;
  if (state === 'calling' || state === 'ringing') return `Calling ${session.peer} · ${tail}`;
  return missed ? `Missed: ${missed} · ${tail}` : tail;
}

/** Follows the phone. A call that was missed while nobody looked is said until somebody does. */
export class Attention {
  #last = null;
  #missed = '';
  #notification = null;

  constructor() {
    const seen = () => {
      if (document.hidden || !this.#missed) return;
      this.#missed = '';
      this.update(this.#last.phone);
    };
    document.addEventListener('visibilitychange', seen);
    window.addEventListener('focus', seen);
  }

  update(phone) {
    const { line, session } = phone;
    const state = session?.state ?? 'idle';
    const before = this.#last?.state;
    if (state !== before || session !== this.#last?.session) {
      if (state === 'incoming' && !session.answering) this.#notify(session);
      else this.#notification?.close();
      const isMissed = state === 'ended' && session.direction === 'incoming' && session.answeredAt === null
        && session.ending.cause !== 'rejected';
      if (isMissed && isElsewhere()) this.#missed = session.peer;
    }
    this.#last = { phone, session, state };
    const title = titleOf({ line, session, missed: this.#missed });
    if (document.title !== title) document.title = title;
    this.#badge(state === 'incoming' || this.#missed !== '');
  }

  #badge(on) {
    const icon = document.getElementById('icon');
    const address = on ? '/icon-ringing.svg' : '/icon.svg';
    if (icon.getAttribute('href') === address) return;
    icon.setAttribute('href', address);
    // Where the page was installed as an application.
    (on ? navigator.setAppBadge?.(1) : navigator.clearAppBadge?.())?.catch(() => {});
  }

  #notify(session) {
    if (!isElsewhere() || !('Notification' in window)) return;
    if (Notification.permission !== 'granted') return;
    const body = session.number === session.peer ? '' : session.number;
    try {
      this.#notification = new Notification(`${session.peer} is calling`, {
        body,
        icon: '/icon.svg',
        tag: 'ringway-call',
        requireInteraction: true,
      });
      this.#notification.onclick = () => {
        window.focus();
        this.#notification.close();
      };
    } catch {
      // Some mobile browsers have none from a page.
    }
  }
}

/** Whether the browser may still be asked for notifications; it must be from a gesture. */
export function canAskToNotify() {
  return window.isSecureContext && 'Notification' in window && Notification.permission === 'default';
}

export async function askToNotify() {
  await Notification.requestPermission();
}

const isElsewhere = () => document.hidden || !document.hasFocus();
