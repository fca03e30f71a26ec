// What becomes of a REFER (RFC 3515): the other side wants this line to call somebody else.

/**
 * The call that a REFER asks for; null if it is refused. Followed are calls within the line's own
 * domain, which the person could dial as well: a stranger must not make this line call anywhere.
 * @returns {{number: string, name: string, extraHeaders: string[]}|null}
 */
export function wantedCall(request, domain) {
  const target = request.refer_to;
  const uri = target?.uri;
  if (uri?.scheme !== 'sip' || !uri.user) return null;
  if (uri.host.toLowerCase() !== domain.toLowerCase()) return null;
  if (!isReadable(uri)) return null;
  const by = request.getHeader('referred-by');
  return {
    number: uri.user,
    name: target.display_name ?? '',
    extraHeaders: by ? [`Referred-By: ${by}`] : [],
  };
}

// JsSIP decodes it when it follows, and throws where it cannot.
function isReadable(uri) {
  try {
    if (uri.hasHeader('replaces')) decodeURIComponent(uri.getHeader('replaces'));
    return true;
  } catch {
    return false;
  }
}

/**
 * Answers 603 to what `isWanted` refuses. JsSIP itself would say 202 to each and tell the truth in a
 * NOTIFY only, when the transferor has usually hung up.
 */
export function declineTransfers(rtcSession, isWanted) {
  const receive = rtcSession.receiveRequest.bind(rtcSession);
  rtcSession.receiveRequest = (request) => {
    if (request.method === 'REFER' && !isWanted(request)) request.reply(603);
    else receive(request);
  };
}
