//! The INVITE to the callee, and the dialog that it opens.

use bytes::Bytes;

use super::dialog::{Dialog, without_tag};
use super::headers;
use super::leg::{Leg, Side};
use super::refer::pass_referred_by;
use super::refresh::propose_timer;
use super::setup::hops_left;
use crate::config::TrunkConfig;
use crate::edge::identity::keep_private;
use crate::engine::context::Context;
use crate::engine::input::Peer;
use crate::limits::{FIRST_SEQUENCE_FACTOR, FIRST_SEQUENCE_MASK};
use crate::sip::{HeaderName, Message, Method, NameAddr};
use crate::trunk::Attempt;

/// How the callee is called.
#[derive(Clone, Debug)]
pub(crate) struct OutgoingInvite {
    pub(crate) side: Side,
    pub(crate) peer: Peer,
    /// The other ways to a trunk.
    pub(crate) attempt: Option<Attempt>,
    pub(crate) request_uri: String,
    /// Value of From, without tag.
    pub(crate) from: String,
    /// Value of To.
    pub(crate) to: String,
    /// Value of P-Asserted-Identity, to a trunk: who calls, as registration or password has proved
    /// it (RFC 3325 section 5).
    pub(crate) identity: Option<String>,
    /// True if From hides who calls.
    pub(crate) is_private: bool,
    /// Route of the INVITE, topmost first (RFC 3608).
    pub(crate) routes: Vec<String>,
}

/// The INVITE to the callee: small, and with nothing of the caller's network in it.
pub(super) fn callee_invite(
    context: &Context,
    leg: &mut Leg,
    outgoing: &OutgoingInvite,
    invite: &Message,
    caller: Side,
    offer: String,
) -> Message {
    let mut request = leg.dialog.request(Method::Invite);
    leg.invite_sequence = leg.dialog.local_sequence;
    request.set(
        HeaderName::MaxForwards,
        hops_left(invite).saturating_sub(1).to_string(),
    );
    request.push(HeaderName::Contact, leg.contact(context));
    request.push(HeaderName::Allow, crate::engine::context::ALLOW);
    propose_timer(context, leg, &mut request);
    request.push(HeaderName::Supported, "100rel, replaces");
    match outgoing.side {
        Side::Trunk(index) => {
            let policy = context.config.trunks.get(index).map(|trunk| &trunk.calls);
            let policy = policy.cloned().unwrap_or_default();
            headers::copy_to_trunk(invite, &mut request, &context.config.lines.realm);
            if !is_signed(context, invite, outgoing) {
                request.remove(HeaderName::Identity);
                request.remove(HeaderName::IdentityInfo);
            }
            pass_referred_by(invite, &mut request);
            headers::copy_listed(&policy.pass_headers, invite, &mut request);
            request.push(HeaderName::PEarlyMedia, "supported");
            if let Some(identity) = &outgoing.identity {
                request.push(HeaderName::PAssertedIdentity, identity.as_str());
            }
            if outgoing.is_private {
                keep_private(&mut request);
            }
        }
        Side::Browser => {
            headers::copy_to_browser(invite, &mut request, caller);
            headers::name_numbers(context, caller, &mut request);
            let listed = headers::listed(context, caller);
            headers::copy_listed(&listed, invite, &mut request);
        }
    }
    request.set_body("application/sdp", Bytes::from(offer));
    request
}

/// The dialog of our INVITE. Call-ID and tag are functions of the caller's, so that a second
/// attempt with credentials has the same ones (RFC 3261 section 22.2) and rising numbers; and
/// they are our own, so that nothing of the caller's shows and no leg meets another's. The
/// target is one of them: a carrier forks one INVITE to several browsers of a user.
pub(super) fn callee_dialog(
    context: &Context,
    invite: &Message,
    outgoing: &OutgoingInvite,
) -> Dialog {
    let tag = invite.from_tag().unwrap_or_default();
    let names = [invite.call_id(), tag, outgoing.request_uri.as_str()];
    // Far enough below 2^31 for all later requests of the dialog (RFC 3261 section 8.1.1.5), and
    // with room for attempts of our own between two of the caller's.
    let number = super::dialog::sequence(invite).unwrap_or(1) & FIRST_SEQUENCE_MASK;
    let number = (number + 1) * FIRST_SEQUENCE_FACTOR;
    let stride = context.stride(outgoing.side);
    let (mut local, mut remote) = (without_tag(&outgoing.from), without_tag(&outgoing.to));
    if is_signed(context, invite, outgoing) {
        // What is signed stays as it is (RFC 8224 section 4.1).
        let said = |name| invite.header(name).map(without_tag);
        local = said(HeaderName::From).unwrap_or(local);
        remote = said(HeaderName::To).unwrap_or(remote);
    }
    Dialog {
        call_id: context.keyed("call-id", &names),
        is_ours: true,
        local_tag: context.keyed("from-tag", &names),
        remote_tag: None,
        local,
        remote,
        remote_target: outgoing.request_uri.clone(),
        route_set: outgoing.routes.clone(),
        local_sequence: number - stride,
        stride,
        remote_sequence: None,
        reliable_sequence: None,
        session_id: None,
    }
}

/// Has the caller signed who calls whom (RFC 8224), and do we not have to change it?
fn is_signed(context: &Context, invite: &Message, outgoing: &OutgoingInvite) -> bool {
    let Side::Trunk(index) = outgoing.side else {
        return false;
    };
    let config = context.config.trunks.get(index);
    if config.is_some_and(TrunkConfig::renumbers_calls) {
        return false;
    }
    let host = |value: &str| NameAddr::parse(value).map(|address| address.uri.host);
    let said = invite.header(HeaderName::From).and_then(host);
    invite.header(HeaderName::Identity).is_some()
        && said
            .zip(host(&outgoing.from))
            .is_some_and(|(a, b)| a.eq_ignore_ascii_case(&b))
}

/// A name-addr with only display name, scheme, user and host: what a From or To may tell.
pub(crate) fn plain_address(address: &NameAddr, host: Option<&str>) -> String {
    let mut plain = address.clone();
    plain.params.clear();
    plain.uri.params.clear();
    plain.uri.headers.clear();
    if let Some(host) = host {
        host.clone_into(&mut plain.uri.host);
        plain.uri.port = None;
    }
    plain.to_string()
}
