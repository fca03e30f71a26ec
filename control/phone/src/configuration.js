// What the gateway says about itself (`/config.json`) and what the link that opened the page asks for.

/**
 * @typedef {object} Configuration
 * @property {boolean} demo whether the lines below may be shown to everybody
 * @property {{number: string, password: string, name: string}[]} lines the demo lines
 * @property {string} domain the SIP domain offered in the login form
 * @property {string} echo the number that plays back what it hears; empty where there is none
 * @property {string} echoDomain the domain whose lines can call it
 * @property {Record<string, boolean>} video whether calls of a domain's users may have pictures; "*" are
 *   all other domains
 * @property {string} webSocketAddress where SIP over WebSocket (RFC 7118) is spoken
 */

/** @returns {Promise<Configuration>} rejects when the gateway does not answer with its configuration */
export async function loadConfiguration() {
  const response = await fetch('/config.json', { cache: 'no-store' });
  if (!response.ok) throw new Error(`/config.json: ${response.status} ${response.statusText}`);
  const answer = await response.json();
  return {
    demo: answer.demo === true,
    lines: answer.demo === true && Array.isArray(answer.lines) ? answer.lines : [],
    domain: answer.domain || location.hostname,
    echo: answer.echo || '',
    echoDomain: (answer.echo_domain || '').toLowerCase(),
    video: answer.video ?? {},
    webSocketAddress: webSocketAddress(answer.websocket_path || '/ws'),
  };
}

/** The echo number for users of `domain`; empty where they have none. */
export function echoOf({ echo, echoDomain }, domain) {
  return domain.toLowerCase() === echoDomain ? echo : '';
}

/** Whether calls of users of `domain` may have pictures. */
export function mayUseVideo({ video }, domain) {
  return video[domain.toLowerCase()] ?? video['*'] ?? true;
}

/** The demo line with that number, or undefined. */
export function demoLine({ lines, domain }, number, ofDomain) {
  if (ofDomain.toLowerCase() !== domain.toLowerCase()) return undefined;
  return lines.find((line) => line.number === number);
}

function webSocketAddress(path) {
  const scheme = location.protocol === 'https:' ? 'wss' : 'ws';
  return `${scheme}://${location.host}${path}`;
}

/**
 * Reads the link's wishes. The password is taken out of the address bar at once, so that it is
 * neither copied with the address nor kept in the browser's history.
 */
export function takeLinkParameters() {
  const address = new URL(location.href);
  const read = (name) => address.searchParams.get(name) ?? '';
  const parameters = {
    user: read('user'),
    password: read('password'),
    domain: read('domain'),
    displayName: read('name'),
    call: read('call'),
    video: ['1', 'true'].includes(read('video')),
  };
  if (parameters.password) {
    address.searchParams.delete('password');
    history.replaceState(null, '', address);
  }
  return parameters;
}

/**
 * Splits "user@domain" (with or without "sip:"); a domain written there wins over the given one.
 * @returns {{user: string, domain: string}}
 */
export function splitAddress(written, domain) {
  const address = written.trim().replace(/^sip:/i, '');
  const at = address.lastIndexOf('@');
  if (at < 0) return { user: address, domain: domain.trim() };
  return { user: address.slice(0, at), domain: address.slice(at + 1) };
}
