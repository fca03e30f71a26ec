// Remembers the login over a reload of this tab.
//
// sessionStorage and not localStorage: it is this tab's alone and gone with it, so the password of a
// line is never left on a machine that several people use. It is on disk no longer than the tab.

const KEY = 'ringway.line';

/** @param {{user: string, domain: string, password: string, displayName: string}} line */
export function rememberLine(line) {
  access((storage) => storage.setItem(KEY, JSON.stringify(line)));
}

export function forgetLine() {
  access((storage) => storage.removeItem(KEY));
}

/** The line of before the reload, or null. */
export function rememberedLine() {
  const line = access((storage) => JSON.parse(storage.getItem(KEY)));
  const texts = [line?.user, line?.domain, line?.password, line?.displayName];
  return texts.every((text) => typeof text === 'string') ? line : null;
}

// A browser may forbid storage altogether: then there is no memory.
function access(action) {
  try {
    return action(window.sessionStorage) ?? null;
  } catch {
    return null;
  }
}
