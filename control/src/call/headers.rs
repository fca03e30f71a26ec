//! Which headers pass from one leg's INVITE to the other's: an allow-list each way, so that
//! nothing of the browser's network or software reaches the carrier.

use super::leg::Side;
use crate::config::NumberForm;
use crate::edge::identity::wants_privacy;
use crate::engine::context::Context;
use crate::sip::digest::Credentials;
use crate::sip::{HeaderName, Message};
use crate::trunk::numbers;

/// From a browser to a carrier. The credentials are for the carrier: it sent the challenge. The
/// signature of a caller proves itself (RFC 8224).
const TO_TRUNK: [HeaderName; 10] = [
    HeaderName::ProxyAuthorization,
    HeaderName::Authorization,
    HeaderName::Privacy,
    HeaderName::Priority,
    HeaderName::UserToUser,
    HeaderName::Replaces,
    HeaderName::Identity,
    HeaderName::IdentityInfo,
    HeaderName::Date,
    HeaderName::PAccessNetworkInfo,
];

/// To a browser, from a carrier or another browser.
const TO_BROWSER: [HeaderName; 8] = [
    HeaderName::AlertInfo,
    HeaderName::CallInfo,
    HeaderName::Date,
    HeaderName::Priority,
    HeaderName::Privacy,
    HeaderName::UserToUser,
    HeaderName::Replaces,
    HeaderName::ReferredBy,
];

/// To a browser, from a carrier: what nobody else is believed.
const FROM_TRUNK: [HeaderName; 3] = [
    HeaderName::Diversion,
    HeaderName::HistoryInfo,
    HeaderName::PAssertedIdentity,
];

/// In a response, from the called leg to the calling one.
const IN_RESPONSE: [HeaderName; 4] = [
    HeaderName::Reason,
    HeaderName::RetryAfter,
    HeaderName::ErrorInfo,
    HeaderName::UserToUser,
];

/// In the response to a request that was passed on within a call.
const IN_RELAYED_RESPONSE: [HeaderName; 5] = [
    HeaderName::ReferSub,
    HeaderName::Reason,
    HeaderName::RetryAfter,
    HeaderName::AllowEvents,
    HeaderName::Expires,
];

/// Copies what a carrier may see of a browser's INVITE. `realm` is that of our own challenges.
pub(crate) fn copy_to_trunk(from: &Message, to: &mut Message, realm: &str) {
    copy(&TO_TRUNK, from, to);
    drop_credentials(to, realm);
}

/// Removes the credentials that were meant for us (RFC 3261 section 22.3): whoever is next could
/// guess the password with them, or use them again.
pub(crate) fn drop_credentials(request: &mut Message, realm: &str) {
    for name in [HeaderName::Authorization, HeaderName::ProxyAuthorization] {
        let ours = |value: &&str| Credentials::parse(value).is_some_and(|c| c.realm == realm);
        let all: Vec<String> = request.headers(&name).map(str::to_owned).collect();
        let kept: Vec<String> = all.iter().filter(|v| !ours(&v.as_str())).cloned().collect();
        if kept.len() < all.len() {
            request.remove(&name);
            for value in kept {
                request.push(&name, value);
            }
        }
    }
}

/// Copies what a browser may see of an INVITE. A caller that asks for privacy of its identity
/// keeps it (RFC 3325 section 7).
pub(crate) fn copy_to_browser(from: &Message, to: &mut Message, caller: Side) {
    copy(&TO_BROWSER, from, to);
    if matches!(caller, Side::Trunk(_)) {
        copy_believed(from, to);
    }
}

/// Copies what passes from the called leg's response to the calling leg's.
/// The headers that the operator has listed for a trunk pass from either side of it.
pub(crate) fn copy_response(
    context: &Context,
    (callee, caller): (Side, Side),
    from: &Message,
    to: &mut Message,
) {
    copy(&IN_RESPONSE, from, to);
    if matches!(callee, Side::Trunk(_)) {
        copy_believed(from, to);
    }
    for side in [callee, caller] {
        copy_listed(&listed(context, side), from, to);
    }
    name_numbers(context, callee, to);
}

/// Who the carrier at this side says that calls, is called, or has been called before gets written
/// as browsers are told numbers.
pub(crate) fn name_numbers(context: &Context, side: Side, message: &mut Message) {
    let Side::Trunk(index) = side else { return };
    let Some(trunk) = context.config.trunks.get(index) else {
        return;
    };
    if trunk.numbers.inbound == NumberForm::AsIs {
        return;
    }
    let name = |value: &str| numbers::name_from_trunk(&trunk.numbers, value, &trunk.domain);
    for header in &FROM_TRUNK {
        let before: Vec<&str> = message.values(header).collect();
        let after: Vec<String> = before.iter().map(|value| name(value)).collect();
        if before != after {
            message.set(header, after.join(", "));
        }
    }
}

/// Copies what passes in the response to a request that was passed on.
pub(crate) fn copy_relayed_response(from: &Message, to: &mut Message) {
    copy(&IN_RELAYED_RESPONSE, from, to);
}

/// The headers that a trunk passes beside the usual ones; none for a browser.
pub(crate) fn listed(context: &Context, side: Side) -> Vec<HeaderName> {
    match side {
        Side::Browser => Vec::new(),
        Side::Trunk(index) => context
            .config
            .trunks
            .get(index)
            .map(|trunk| trunk.calls.pass_headers.clone())
            .unwrap_or_default(),
    }
}

/// Copies the headers that the operator has listed, unless they are there.
pub(crate) fn copy_listed(names: &[HeaderName], from: &Message, to: &mut Message) {
    for name in names {
        if to.header(name).is_none() {
            copy(std::slice::from_ref(name), from, to);
        }
    }
}

fn copy_believed(from: &Message, to: &mut Message) {
    copy(&FROM_TRUNK, from, to);
    if wants_privacy(from) {
        to.remove(HeaderName::PAssertedIdentity);
    }
}

fn copy(names: &[HeaderName], from: &Message, to: &mut Message) {
    for name in names {
        to.copy_from(from, name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identity_stays_private_when_asked() {
        let mut invite = Message::request(crate::sip::Method::Invite, "sip:a@b");
        invite.push(HeaderName::PAssertedIdentity, "<sip:+1555@carrier.test>");
        let mut open = Message::request(crate::sip::Method::Invite, "sip:x@y");
        copy_to_browser(&invite, &mut open, Side::Trunk(0));
        assert!(open.header(HeaderName::PAssertedIdentity).is_some());
        invite.push(HeaderName::Privacy, "user;id");
        let mut private = Message::request(crate::sip::Method::Invite, "sip:x@y");
        copy_to_browser(&invite, &mut private, Side::Trunk(0));
        assert!(private.header(HeaderName::PAssertedIdentity).is_none());
        invite.remove(HeaderName::Privacy);
        let mut forged = Message::request(crate::sip::Method::Invite, "sip:x@y");
        copy_to_browser(&invite, &mut forged, Side::Browser);
        assert!(forged.header(HeaderName::PAssertedIdentity).is_none());
    }

    #[test]
    fn a_browser_s_own_headers_do_not_reach_the_carrier() {
        let mut invite = Message::request(crate::sip::Method::Invite, "sip:a@b");
        invite.push("X-Internal", "10.0.0.7");
        invite.push(HeaderName::UserAgent, "JsSIP");
        invite.push(HeaderName::PAssertedIdentity, "<sip:forged@b>");
        let mut out = Message::request(crate::sip::Method::Invite, "sip:x@y");
        copy_to_trunk(&invite, &mut out, "ringway");
        assert_eq!(out.lines().count(), 0);
    }
}
