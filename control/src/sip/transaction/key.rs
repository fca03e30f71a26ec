//! By what transactions are recognised, and the identifiers that are made here.

use std::fmt;
use std::net::SocketAddr;

use aws_lc_rs::hmac;

use super::ViaParameters;
use crate::engine::input::{ConnectionId, Peer};
use crate::hex::hex;
use crate::sip::header::HeaderName;
use crate::sip::header::via::{MAGIC_COOKIE, Parts, Via};
use crate::sip::message::Message;
use crate::sip::method::Method;

/// Branch and method (RFC 3261 section 17.1.3).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct ClientKey {
    pub(super) branch: String,
    pub(super) method: Method,
}

impl ClientKey {
    pub(super) fn of_response(response: &Message) -> Option<Self> {
        Some(Self {
            branch: Parts::top(response)?.branch()?.to_owned(),
            method: response.method(),
        })
    }
}

/// Branch, sent-by and method (RFC 3261 section 17.2.3), and more.
///
/// A WebSocket connection is part of the key: all sipML5 clients use the same sent-by, and no
/// client can touch what another one has begun. The number in CSeq and the To tag are, too: some
/// user agents use the branch of the first INVITE for all requests of the dialog, and a repetition
/// differs in nothing.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct ServerKey {
    connection: Option<ConnectionId>,
    branch: String,
    sent_by: String,
    method: Method,
    number: u32,
    to_tag: Option<String>,
}

impl ServerKey {
    /// Makes the key of a request; `None` if its Via is malformed. An ACK has the key of its
    /// INVITE.
    pub(super) fn of_request(peer: Peer, request: &Message) -> Option<Self> {
        let via = Parts::top(request)?;
        let branch = match via.branch() {
            Some(branch) if is_rfc3261(branch) => branch.to_owned(),
            // RFC 2543: what is the same in a request, its ACK and its CANCEL.
            _ => format!(
                "{} {} {} {} {}",
                request.request_uri()?,
                request.from_tag().unwrap_or(""),
                request.call_id(),
                request.cseq()?.number,
                via.branch().unwrap_or(""),
            ),
        };
        let method = request.method();
        let method = if method == Method::Ack {
            Method::Invite
        } else {
            method
        };
        let mut sent_by = via.host.to_ascii_lowercase();
        if let Some(port) = via.port {
            sent_by.push_str(&format!(":{port}"));
        }
        Some(Self {
            connection: peer.connection(),
            branch,
            sent_by,
            method,
            number: request.cseq()?.number,
            to_tag: request.to_tag().map(str::to_owned),
        })
    }

    /// The key of the INVITE that a CANCEL is about.
    pub(super) fn cancelled(self) -> Self {
        Self {
            method: Method::Invite,
            ..self
        }
    }

    /// The key of the same request without its To tag: an ACK has the tag of the response, and a
    /// CANCEL may have it, where the INVITE had none.
    pub(super) fn untagged(&self) -> Self {
        Self {
            to_tag: None,
            ..self.clone()
        }
    }
}

fn is_rfc3261(branch: &str) -> bool {
    branch.len() > MAGIC_COOKIE.len()
        && branch
            .get(..MAGIC_COOKIE.len())
            .is_some_and(|cookie| cookie.eq_ignore_ascii_case(MAGIC_COOKIE))
}

/// What an ACK to a 2xx has in common with its INVITE (RFC 3261 section 13.3.1.4).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct DialogKey {
    call_id: String,
    from_tag: String,
    to_tag: String,
    cseq: u32,
}

impl DialogKey {
    /// Makes the key of a 2xx, or of an ACK.
    pub(super) fn of(message: &Message) -> Option<Self> {
        Some(Self {
            call_id: message.call_id().to_owned(),
            from_tag: message.from_tag().unwrap_or("").to_owned(),
            to_tag: message.to_tag()?.to_owned(),
            cseq: message.cseq()?.number,
        })
    }
}

/// What merged requests have in common (RFC 3261 section 8.2.2.2). The Request-URI too: a carrier
/// that forks to two browsers of a user sends two INVITEs that differ in nothing else.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct MergeKey {
    uri: String,
    call_id: String,
    from_tag: String,
    cseq: u32,
}

impl MergeKey {
    /// Makes the key of an INVITE outside of a dialog; `None` for everything else.
    pub(super) fn of(request: &Message) -> Option<Self> {
        if request.method() != Method::Invite || request.to_tag().is_some() {
            return None;
        }
        Some(Self {
            uri: request.request_uri()?.to_owned(),
            call_id: request.call_id().to_owned(),
            from_tag: request.from_tag()?.to_owned(),
            cseq: request.cseq()?.number,
        })
    }
}

/// Makes branches and tags that nobody can guess.
pub(super) struct Identifiers {
    key: hmac::Key,
    count: u64,
}

impl fmt::Debug for Identifiers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identifiers").finish_non_exhaustive()
    }
}

impl Identifiers {
    /// The key of all of them, and of fingerprints.
    pub(super) const fn secret(&self) -> &hmac::Key {
        &self.key
    }

    pub(super) fn new(seed: [u8; 32]) -> Self {
        Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, &seed),
            count: 0,
        }
    }

    /// Returns a branch that was never used before.
    pub(super) fn branch(&mut self) -> String {
        self.count += 1;
        let tag = hmac::sign(&self.key, format!("branch {}", self.count).as_bytes());
        format!(
            "{MAGIC_COOKIE}{}",
            hex(tag.as_ref().get(..16).unwrap_or_default())
        )
    }

    /// Returns the To tag of a response that the layer makes: the same one for the same request.
    pub(super) fn to_tag(&self, request: &Message) -> String {
        let branch = Parts::top(request).and_then(|via| via.branch());
        let text = format!(
            "tag {}\n{}\n{}",
            request.call_id(),
            request.from_tag().unwrap_or(""),
            branch.unwrap_or_default(),
        );
        let tag = hmac::sign(&self.key, text.as_bytes());
        hex(tag.as_ref().get(..8).unwrap_or_default())
    }
}

/// Prints the Via of a request of ours.
pub(super) fn own_via(via: &ViaParameters, branch: &str) -> String {
    let rport = if via.transport == "UDP" { ";rport" } else { "" };
    format!(
        "SIP/2.0/{} {};branch={branch}{rport}",
        via.transport, via.sent_by
    )
}

/// Writes into the top Via where a request came from (RFC 3261 section 18.2.1, RFC 3581
/// section 4). The Via of a WebSocket request stays byte for byte.
pub(super) fn note_source(peer: Peer, request: &mut Message) {
    let Some((_, source)) = peer.on_trunk_side() else {
        return;
    };
    let Some(mut via) = Via::top(request) else {
        return;
    };
    let address = source.ip().to_canonical();
    let sent_by = via
        .host
        .trim_start_matches('[')
        .trim_end_matches(']')
        .parse();
    if via.wants_rport() {
        via.params.set("rport", Some(&source.port().to_string()));
    } else if sent_by == Ok(address) {
        return;
    }
    via.params.set("received", Some(&address.to_string()));
    request.replace_first_value(HeaderName::Via, &via.to_string());
}

/// Returns where responses go. Over UDP: to the source, if the Via asks for it by `rport`; else to
/// the source address and the port of sent-by (RFC 3261 section 18.2.2).
pub(super) fn reply_target(peer: Peer, request: &Message) -> Peer {
    let Peer::Udp(source) = peer else { return peer };
    match Parts::top(request) {
        Some(via) if via.param("rport").is_none() => {
            Peer::Udp(SocketAddr::new(source.ip(), via.port.unwrap_or(5060)))
        }
        Some(_) | None => peer,
    }
}

/// Makes the ACK to a final response other than 2xx (RFC 3261 section 17.1.1.3).
pub(super) fn hop_ack(request: &Message, response: &Message) -> Message {
    let mut ack = repeat(request, Method::Ack);
    let to = response
        .header(HeaderName::To)
        .or_else(|| request.header(HeaderName::To));
    ack.set(HeaderName::To, to.unwrap_or(""));
    ack
}

/// The Reason of a CANCEL that nobody has asked for: timer C has fired.
const TIMER_C_REASON: &str = "SIP;cause=408;text=\"No answer\", Q.850;cause=19";

/// Makes the CANCEL of a request (RFC 3261 section 9.1), with a Reason (RFC 3326).
pub(super) fn cancel(request: &Message, reasons: &[String]) -> Message {
    let mut cancel = repeat(request, Method::Cancel);
    for reason in reasons {
        cancel.push(HeaderName::Reason, reason.as_str());
    }
    if reasons.is_empty() {
        cancel.push(HeaderName::Reason, TIMER_C_REASON);
    }
    cancel
}

/// Repeats what makes a request belong to the transaction of another one.
fn repeat(request: &Message, method: Method) -> Message {
    let number = request.cseq().map_or(1, |cseq| cseq.number);
    let via = request
        .values(HeaderName::Via)
        .next()
        .unwrap_or("")
        .to_owned();
    let cseq = format!("{number} {method}");
    let mut repeated = Message::request(method, request.request_uri().unwrap_or(""));
    repeated.push(HeaderName::Via, via);
    repeated.copy_from(request, HeaderName::Route);
    repeated.push(HeaderName::MaxForwards, "70");
    repeated.copy_from(request, HeaderName::From);
    repeated.copy_from(request, HeaderName::To);
    repeated.copy_from(request, HeaderName::CallId);
    repeated.push(HeaderName::CSeq, cseq);
    repeated
}
