//! The edge proxy: requests that are no calls (REGISTER, OPTIONS, MESSAGE) between browsers and
//! carriers.
//!
//! It keeps transactions, not dialogs. Registrations go out in *Contact mode*, which every
//! registrar understands: the browser's Contact is replaced by one of ours, whose user part
//! carries a token; requests that come back to it find the browser's connection by that token. The
//! browser sees its own Contact again in the answer. Challenges pass through, as browsers can take
//! them.

pub(crate) mod binding;
pub(crate) mod register;

use std::collections::BTreeMap;
use std::time::Instant;

use self::binding::Bindings;
use self::register::Registration;
use crate::call::answer::copy_challenges;
use crate::call::dialog::without_tag;
use crate::call::headers::drop_credentials;
use crate::call::setup::hops_left;
use crate::engine::context::{Context, Incoming};
use crate::engine::input::{ConnectionId, Peer};
use crate::limits::{RELAYED_PER_CONNECTION_MAX, RELAYED_REQUESTS_MAX};
use crate::sip::transaction::{ClientTransactionId, ServerTransactionId};
use crate::sip::{HeaderName, Message};

/// The edge proxy.
#[derive(Debug, Default)]
pub(crate) struct Edge {
    pub(crate) bindings: Bindings,
    relayed: BTreeMap<ClientTransactionId, Relayed>,
    /// The same, by the transaction that waits for the answer.
    by_request: BTreeMap<ServerTransactionId, ClientTransactionId>,
    /// How many of them came on each connection.
    per_connection: BTreeMap<ConnectionId, u32>,
    /// Users who have come back: from this connection, on that one.
    pub(crate) moved: Vec<(ConnectionId, ConnectionId)>,
}

/// A request that has been passed on and waits for its answer.
#[derive(Debug)]
struct Relayed {
    request: Incoming,
    registration: Option<Registration>,
}

impl Edge {
    /// How many requests have been passed on and wait for their answer.
    pub(crate) fn relayed(&self) -> usize {
        self.relayed.len() + self.by_request.len() + self.per_connection.len()
    }

    /// Passes a request on. `uri` is its new Request-URI, if it changes.
    pub(crate) fn relay(
        &mut self,
        context: &mut Context,
        now: Instant,
        request: Incoming,
        to: Peer,
        uri: Option<&str>,
    ) {
        let Some(mut onward) = self.prepare(context, now, &request) else {
            return;
        };
        if let Some(uri) = uri {
            onward.set_request_uri(uri);
        }
        onward.remove(HeaderName::Contact);
        if let Peer::WebSocket(_) = to {
            // Browsers have sent no challenge.
            onward.remove(HeaderName::Authorization);
            onward.remove(HeaderName::ProxyAuthorization);
        }
        self.pass_on(context, now, request, to, onward, None);
    }

    /// A copy of a request as it may leave: without the way it came, with one hop less. Refuses
    /// it where there is none left or no room.
    fn prepare(&self, context: &mut Context, now: Instant, request: &Incoming) -> Option<Message> {
        let hops = hops_left(&request.message);
        if hops == 0 {
            context.refuse(now, request, 483, "no hops left");
            return None;
        }
        let of_connection = request
            .connection()
            .and_then(|id| self.per_connection.get(&id));
        if self.relayed.len() >= RELAYED_REQUESTS_MAX
            || of_connection.is_some_and(|count| *count >= RELAYED_PER_CONNECTION_MAX)
        {
            context.refuse(now, request, 503, "too many requests under way");
            return None;
        }
        let mut onward = request.message.clone();
        if request.connection().is_some() {
            // Only a carrier may assert an identity (RFC 3325 section 5).
            onward.remove(HeaderName::PAssertedIdentity);
        }
        drop_credentials(&mut onward, &context.config.lines.realm);
        for name in [HeaderName::Via, HeaderName::Route, HeaderName::RecordRoute] {
            onward.remove(name);
        }
        onward.set(HeaderName::MaxForwards, (hops - 1).to_string());
        Some(onward)
    }

    fn pass_on(
        &mut self,
        context: &mut Context,
        now: Instant,
        request: Incoming,
        to: Peer,
        onward: Message,
        registration: Option<Registration>,
    ) {
        let transaction = context.send(now, to, onward);
        self.by_request.insert(request.transaction, transaction);
        if let Some(connection) = request.connection() {
            *self.per_connection.entry(connection).or_default() += 1;
        }
        self.relayed.insert(
            transaction,
            Relayed {
                request,
                registration,
            },
        );
    }

    /// A request that was passed on has its answer, or needs none any more.
    fn take(&mut self, transaction: ClientTransactionId) -> Option<Relayed> {
        let relayed = self.relayed.remove(&transaction)?;
        self.by_request.remove(&relayed.request.transaction);
        if let Some(connection) = relayed.request.connection()
            && let Some(count) = self.per_connection.get_mut(&connection)
        {
            *count -= 1;
            if *count == 0 {
                self.per_connection.remove(&connection);
            }
        }
        Some(relayed)
    }

    /// A response to a request that was passed on. False if it is none of those.
    pub(crate) fn response(
        &mut self,
        context: &mut Context,
        now: Instant,
        transaction: ClientTransactionId,
        response: &Message,
    ) -> bool {
        let status = response.status().unwrap_or_default();
        if status < 200 {
            // 1xx of requests other than INVITE say nothing that the browser waits for.
            return self.relayed.contains_key(&transaction);
        }
        let Some(relayed) = self.take(transaction) else {
            return false;
        };
        let mut answer = answer_from(&relayed.request.message, response, status);
        copy_challenges(response, &mut answer);
        if let Some(registration) = &relayed.registration {
            self.registered(context, now, registration, response, &mut answer);
        }
        context.respond(now, relayed.request.transaction, answer);
        true
    }

    /// A request that was passed on found no answer.
    pub(crate) fn failed(
        &mut self,
        context: &mut Context,
        now: Instant,
        transaction: ClientTransactionId,
        status: u16,
    ) -> bool {
        let Some(relayed) = self.take(transaction) else {
            return false;
        };
        context.refuse(now, &relayed.request, status, "no answer from the next hop");
        true
    }

    /// The browser that asked is gone: nobody waits for the answer.
    pub(crate) fn request_gone(&mut self, transaction: ServerTransactionId) {
        if let Some(onward) = self.by_request.get(&transaction).copied() {
            self.take(onward);
        }
    }

    /// A connection is gone. Its bindings stay until they expire at the carrier, so that calls to
    /// them fail at once (480) rather than go astray.
    pub(crate) fn connection_closed(&mut self, connection: ConnectionId) {
        self.bindings.connection_closed(connection);
    }
}

/// Headers of a response that are made new, or name the way it came.
const NOT_COPIED: [HeaderName; 12] = [
    HeaderName::Via,
    HeaderName::From,
    HeaderName::To,
    HeaderName::CallId,
    HeaderName::CSeq,
    HeaderName::Contact,
    HeaderName::RecordRoute,
    HeaderName::Path,
    HeaderName::ContentLength,
    HeaderName::WwwAuthenticate,
    HeaderName::ProxyAuthenticate,
    HeaderName::Warning,
];

/// The next hop's response, as the response to the request that came in.
fn answer_from(request: &Message, response: &Message, status: u16) -> Message {
    let mut answer = Message::response_to(request, status, response.reason());
    // From is ours byte for byte; the To tag is the answerer's.
    if let (Some(tag), None) = (response.to_tag(), request.to_tag()) {
        answer.set_to_tag(tag);
    }
    for (name, value) in response.lines() {
        if !NOT_COPIED.contains(name) && *name != HeaderName::ContentType {
            answer.push(name, value);
        }
    }
    if let Some(media_type) = response.header(HeaderName::ContentType) {
        answer.set_body(media_type, response.body().clone());
    }
    answer
}

/// The user's address of record: From without display name, parameters and tag, in lower case.
pub(crate) fn address_of_record(value: &str) -> Option<String> {
    let address = crate::sip::NameAddr::parse(&without_tag(value))?;
    let user = address.uri.user_decoded()?;
    Some(format!("{user}@{}", address.uri.host.to_ascii_lowercase()))
}
