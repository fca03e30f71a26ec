// What a person reads when a registration or a call fails.

const CALL_BY_STATUS = {
  400: 'The call was refused as malformed.',
  401: 'The call was refused: user or password is wrong.',
  403: 'This line may not call that number.',
  404: 'That number does not exist.',
  407: 'The call was refused: user or password is wrong.',
  408: 'No answer from the other side.',
  410: 'That number is no longer in use.',
  480: 'The other side is not reachable at the moment.',
  484: 'The number is incomplete.',
  486: 'The other side is busy.',
  487: 'The call was cancelled.',
  488: 'The two sides have no codec in common.',
  500: 'The gateway or the carrier had an internal error.',
  502: 'The carrier gave no usable answer.',
  503: 'No line is free at the moment. Please try again.',
  504: 'The carrier did not answer in time.',
  600: 'The other side is busy.',
  603: 'The other side declined the call.',
  606: 'The two sides have no codec in common.',
};

const CALL_BY_CAUSE = {
  'Terminated': 'Call ended.',
  'Canceled': 'The call was cancelled.',
  'Rejected': 'The call was declined.',
  'Busy': 'The other side is busy.',
  'No Answer': 'The call was not answered.',
  'Expires': 'The call was not answered in time.',
  'Connection Error': 'The connection to the gateway was lost.',
  'Request Timeout': 'The gateway did not answer.',
  'RTP Timeout': 'No sound came through: the media connection failed.',
  'No ACK': 'The other side did not complete the call.',
  'WebRTC Error': 'The browser could not set up the media connection.',
  'Missing SDP': 'The other side answered without media.',
  'Bad Media Description': 'The other side answered with media the browser does not understand.',
  'User Denied Media Access': 'The browser blocked the microphone.',
};

const REGISTRATION_BY_STATUS = {
  401: 'User or password is wrong.',
  403: 'User or password is wrong, or this line may not log in here.',
  404: 'The gateway does not know this line.',
  407: 'User or password is wrong.',
  408: 'The registrar did not answer.',
  480: 'The registrar is not reachable at the moment.',
  500: 'The registrar had an internal error.',
  503: 'The gateway is busy. Trying again.',
  504: 'The registrar did not answer in time.',
};

/** Status codes after which trying the same credentials again is of no use. */
const LASTING_REGISTRATION_FAILURES = new Set([400, 401, 403, 404, 407]);

/** @param {number|null} statusCode of the SIP response, null where there was none */
export function callFailureText(cause, statusCode) {
  const known = CALL_BY_STATUS[statusCode] ?? CALL_BY_CAUSE[cause];
  return known ?? (statusCode ? `The call failed (${statusCode}).` : 'The call failed.');
}

export const GATEWAY_STOPPED = 'The gateway was stopped.';

/** What the gateway writes into the Reason (RFC 3326) of its BYE, and what a person reads then. */
const END_BY_REASON = [
  [/no media path|media timeout|no sound/i, 'The call ended, since no sound got through.'],
  [/gateway stops/i, GATEWAY_STOPPED],
  [/media worker failed/i, 'The gateway had a fault, which ended the call. You can call again.'],
  [/dtls/i, 'The call ended, since its encryption could not be set up.'],
  [/connection lost/i, 'The other side lost its connection.'],
  [/not refreshed|not acknowledged|no such call/i, 'The other side was lost.'],
  [/no codec in common/i, 'The two sides have no codec in common.'],
  [/transferred/i, 'The call was handed on.'],
  [/completed elsewhere/i, 'The call was taken elsewhere.'],
];

/**
 * What a person reads when an answered call ends.
 * @param {object} end `originator` is JsSIP's ("local": this page); `reason` the BYE's Reason or null;
 *   `trouble` what had kept the sound away until then, or null
 */
export function endText({ originator, cause, reason, trouble }) {
  if (originator === 'local' && cause !== 'Terminated') return callFailureText(cause, null);
  const text = /text\s*=\s*"([^"]*)"/i.exec(reason ?? '')?.[1] ?? reason ?? '';
  const known = END_BY_REASON.find(([pattern]) => pattern.test(text));
  if (trouble?.broken && (originator === 'local' || !known || known === END_BY_REASON[0])) {
    return `Call ended: ${lowerFirst(trouble.title)}. ${trouble.text}`;
  }
  if (known) return known[1];
  return originator === 'remote' ? 'Call ended by the other side.' : 'Call ended.';
}

const lowerFirst = (text) => text.charAt(0).toLowerCase() + text.slice(1);

/** @param {number|null} statusCode of the SIP response, null where there was none */
export function registrationFailureText(cause, statusCode) {
  if (REGISTRATION_BY_STATUS[statusCode]) return REGISTRATION_BY_STATUS[statusCode];
  if (statusCode) return `The login failed (${statusCode}).`;
  // JsSIP gives up without a response code when the password does not match the challenge.
  if (cause === 'Authentication Error') return REGISTRATION_BY_STATUS[401];
  return 'The gateway did not answer.';
}

export function registrationFailureLasts(cause, statusCode) {
  return cause === 'Authentication Error' || LASTING_REGISTRATION_FAILURES.has(statusCode);
}

/** "User Denied Media Access" → "user-denied-media-access", for `data-cause`. */
export function causeToken(cause) {
  return cause.toLowerCase().replaceAll(' ', '-');
}
