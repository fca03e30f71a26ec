//! REFERs that ringway carries out itself (RFC 3515): what is asked for, and by whose right.

use std::time::Instant;

use super::dialog::sequence;
use super::dialog_requests::InDialog;
use super::leg::{Leg, Side};
use super::outgoing::plain_address;
use super::refer::{name_number, pass_referred_by};
use super::setup::hops_left;
use super::state::State;
use super::{Call, CallId, Calls, Party};
use crate::config::ReferPolicy;
use crate::edge::identity::{ANONYMOUS, is_anonymous};
use crate::engine::context::{Context, Incoming};
use crate::engine::input::{ConnectionId, Peer};
use crate::sip::uri::{Scheme, decode};
use crate::sip::{HeaderName, Message, Method, NameAddr, Uri};

/// A transfer that is asked for, before it is known where it leads.
#[derive(Debug)]
pub(crate) struct Wanted {
    pub(crate) call: CallId,
    /// Who asks for it: the other side is transferred.
    pub(crate) by: Party,
    pub(crate) request: Incoming,
    /// Who is to be called, as browsers write it.
    pub(crate) target: Uri,
    /// The dialog that the new one replaces (RFC 3891), in the names of who asks.
    pub(crate) replaces: Option<String>,
}

/// Why a REFER is refused: the status that says so, and a word for the log.
pub(super) type Refused = (u16, &'static str);

impl Calls {
    /// A REFER within a call: passed to the other side, or for us to carry out.
    pub(super) fn refer(
        &mut self,
        context: &mut Context,
        now: Instant,
        id: CallId,
        by: Party,
        request: Incoming,
    ) -> InDialog {
        let Some(call) = self.calls.get(&id) else {
            return InDialog::NotOurs(request);
        };
        if !is_carried_out_here(context, call, by) {
            self.relay(context, now, id, by, request);
            return InDialog::Taken;
        }
        if let Some(option) = unknown_option(&request.message) {
            let mut response = context.response(&request.message, 420);
            response.push(HeaderName::Unsupported, option);
            context.respond(now, request.transaction, response);
            return InDialog::Taken;
        }
        match read(context, call, by, &request.message) {
            Ok((target, replaces)) => InDialog::Transfer(Box::new(Wanted {
                call: id,
                by,
                request,
                target,
                replaces,
            })),
            Err((status, reason)) => {
                context.refuse(now, &request, status, reason);
                InDialog::Taken
            }
        }
    }

    /// The INVITE that the browser of the call would send itself if it were to call the new party,
    /// and the connection that it would send it on: its rights are those of the transfer. `None`
    /// if there is no browser in the call.
    pub(crate) fn referred_invite(&self, wanted: &Wanted) -> Option<(ConnectionId, Message)> {
        let call = self.calls.get(&wanted.call)?;
        let referrer = call.leg(wanted.by)?;
        let is_browser = |leg: &&Leg| leg.side == Side::Browser;
        let caller = [Some(referrer), call.leg(wanted.by.other())];
        let caller = caller.into_iter().flatten().find(is_browser)?;
        let Peer::WebSocket(connection) = caller.peer else {
            return None;
        };
        let refer = &wanted.request.message;
        let target = wanted.target.to_string();
        let mut invite = Message::request(Method::Invite, &target);
        let hops = hops_left(refer).to_string();
        invite.push(HeaderName::MaxForwards, hops);
        let number = sequence(refer).unwrap_or_default();
        let tag = format!("{}.{number}", refer.from_tag().unwrap_or_default());
        name_caller(caller, &tag, &mut invite)?;
        invite.push(HeaderName::To, format!("<{target}>"));
        invite.push(HeaderName::CallId, refer.call_id());
        invite.push(HeaderName::CSeq, "1 INVITE");
        let address = NameAddr::parse(&referrer.dialog.remote);
        let is_shown = |address: &NameAddr| !referrer.hides && !is_anonymous(&address.uri);
        if let Some(address) = address.filter(is_shown) {
            if refer.header(HeaderName::ReferredBy).is_some() {
                pass_referred_by(refer, &mut invite);
            } else {
                invite.push(HeaderName::ReferredBy, plain_address(&address, None));
            }
        }
        if let Some(replaces) = &wanted.replaces {
            invite.push(HeaderName::Replaces, replaces.as_str());
        }
        let session = call.session_ids.of(wanted.by.other());
        invite.push(HeaderName::SessionId, session);
        Some((connection, invite))
    }
}

/// Is it the trunk's setting that ringway carries out transfers? That of the trunk which would get
/// the REFER, else of the one that sent it; two browsers have none.
fn is_carried_out_here(context: &Context, call: &Call, by: Party) -> bool {
    let sides = [by.other(), by].map(|party| call.leg(party).map(|leg| leg.side));
    let [Some(to), Some(from)] = sides else {
        return false;
    };
    let trunk = match (to, from) {
        (Side::Trunk(index), _) | (Side::Browser, Side::Trunk(index)) => index,
        (Side::Browser, Side::Browser) => return false,
    };
    let trunk = context.config.trunks.get(trunk);
    trunk.is_some_and(|trunk| trunk.calls.refer == ReferPolicy::Local)
}

/// The first option that the REFER requires and that is not known here.
fn unknown_option(refer: &Message) -> Option<String> {
    let is_known = |option: &&str| {
        ["norefersub", "replaces"]
            .iter()
            .any(|known| option.eq_ignore_ascii_case(known))
    };
    let unknown = refer.values(HeaderName::Require).find(|o| !is_known(o));
    unknown.map(str::to_owned)
}

/// Who is to be called, and what that replaces.
fn read(
    context: &Context,
    call: &Call,
    by: Party,
    refer: &Message,
) -> Result<(Uri, Option<String>), Refused> {
    let mut values = refer.headers(HeaderName::ReferTo);
    let value = values.next().ok_or((400, "REFER without Refer-To"))?;
    // RFC 3515 section 2.4.1: exactly one.
    if values.next().is_some() {
        return Err((400, "REFER to more than one"));
    }
    let address = NameAddr::parse(value).ok_or((400, "Refer-To not understood"))?;
    let mut uri = address.uri;
    let has_host = !uri.host.is_empty() || uri.scheme == Scheme::Tel;
    match &uri.scheme {
        Scheme::Sip | Scheme::Sips | Scheme::Tel if has_host => {}
        Scheme::Sip | Scheme::Sips | Scheme::Tel => return Err((400, "Refer-To names no host")),
        Scheme::Other(_) => return Err((416, "REFER to what is no telephone")),
    }
    let is_invite = |method: &str| method.eq_ignore_ascii_case("INVITE");
    if !uri.params.get("method").is_none_or(is_invite) {
        return Err((603, "REFER to something other than a call"));
    }
    if call.state != State::Talking || call.transfer.is_some() {
        return Err((491, "another transfer is under way, or no call yet"));
    }
    let headers = std::mem::take(&mut uri.headers);
    let mut named = headers
        .iter()
        .filter(|(name, _)| name.eq_ignore_ascii_case("Replaces"));
    let replaces = match (named.next(), named.next()) {
        (None, _) => None,
        (Some((_, value)), None) => Some(decode(value).ok_or((400, "Replaces not understood"))?),
        (Some(_), Some(_)) => return Err((400, "more than one Replaces")),
    };
    uri.params.remove("method");
    uri.params.remove("transport");
    if let Some(leg) = call.leg(by) {
        name_number(context, (leg.side, Side::Browser), &mut uri);
    }
    Ok((uri, replaces))
}

/// Says who calls: the browser, as it was let into the call. One that hides goes on hiding.
fn name_caller(leg: &Leg, tag: &str, invite: &mut Message) -> Option<()> {
    let address = NameAddr::parse(&leg.dialog.remote)?;
    let hides = leg.hides || is_anonymous(&address.uri);
    let shown = match hides {
        true => ANONYMOUS.to_owned(),
        false => plain_address(&address, None),
    };
    invite.push(HeaderName::From, format!("{shown};tag={tag}"));
    if hides {
        let user = leg.user.as_ref()?;
        invite.push(HeaderName::PPreferredIdentity, format!("<sip:{user}>"));
    }
    Some(())
}
