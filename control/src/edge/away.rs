//! Browsers whose connection is gone: after a while they are unregistered at their carrier, so
//! that it need not try them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use super::Edge;
use super::binding::Binding;
use super::failover::{Destination, Others};
use super::register::{contact_of, realm_of};
use super::route;
use crate::config::Registration as Mode;
use crate::engine::context::Context;
use crate::engine::input::ConnectionId;
use crate::sip::transaction::ClientTransactionId;
use crate::sip::{HeaderName, Message, Method};

/// What is to be unregistered, and what has been asked for.
#[derive(Debug, Default)]
pub(super) struct Away {
    /// When, and the place: at most one entry per binding.
    due: BTreeSet<(Instant, String)>,
    by_place: BTreeMap<String, Instant>,
    asked: BTreeMap<ClientTransactionId, Asked>,
}

/// A place that a carrier is asked to forget.
#[derive(Debug)]
struct Asked {
    place: String,
    /// Where else it may be asked.
    others: Option<Others>,
}

impl Away {
    pub(super) fn asked(&self) -> usize {
        self.asked.len()
    }

    fn insert(&mut self, at: Instant, place: &str) {
        if let Some(old) = self.by_place.insert(place.to_owned(), at) {
            self.due.remove(&(old, place.to_owned()));
        }
        self.due.insert((at, place.to_owned()));
    }

    fn pop_due(&mut self, now: Instant) -> Option<String> {
        self.due.first().filter(|(at, _)| *at <= now)?;
        let (_, place) = self.due.pop_first()?;
        self.by_place.remove(&place);
        Some(place)
    }
}

/// What the browser's REGISTER said, for one that takes it back.
#[derive(Clone, Debug)]
pub(crate) struct LastRegister {
    request_uri: String,
    /// Value of To.
    to: String,
    call_id: String,
    sequence: u32,
}

impl LastRegister {
    pub(super) fn of(request: &Message) -> Option<Self> {
        Some(Self {
            request_uri: request.request_uri()?.to_owned(),
            to: request.header(HeaderName::To)?.to_owned(),
            call_id: request.call_id().to_owned(),
            sequence: request.cseq()?.number,
        })
    }
}

impl Edge {
    /// A connection is gone. Its bindings stay until they expire at the carrier, so that calls to
    /// them fail at once rather than go astray, or until the realm's `unregister_after`.
    pub(crate) fn connection_closed(
        &mut self,
        context: &Context,
        now: Instant,
        connection: ConnectionId,
    ) {
        for (token, binding) in self.bindings.on_connection(now, connection) {
            let realm = realm_of(context, &binding.address_of_record);
            if let Some(after) = realm.unregister_after.filter(|_| binding.last.is_some()) {
                self.away.insert(now + after, token);
            }
        }
        self.bindings.connection_closed(connection);
    }

    /// When `handle_timeout` wants to be called.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.away.due.first().map(|(at, _)| *at)
    }

    /// Unregisters who has not come back.
    pub(crate) fn handle_timeout(&mut self, context: &mut Context, now: Instant) {
        while let Some(token) = self.away.pop_due(now) {
            self.unregister(context, now, token);
        }
    }

    fn unregister(&mut self, context: &mut Context, now: Instant, token: String) {
        let binding = self.bindings.get(now, &token);
        let Some(binding) = binding.filter(|binding| !binding.is_connected) else {
            return;
        };
        let user = &binding.address_of_record;
        let ways = context.trunks.route(now, binding.trunk, user);
        let Some(to) = Destination::of_trunk(ways) else {
            return;
        };
        let path = self.tokens.flow(binding.connection, binding.trunk);
        let Some(request) = farewell(context, &token, binding, &path) else {
            return;
        };
        let (transaction, others) = to.send(context, now, request, None);
        let place = token;
        self.away.asked.insert(transaction, Asked { place, others });
    }

    /// The registrar has answered (or not) that a browser is gone. False if nothing was asked.
    /// If it did not take it, the binding stays until it expires.
    pub(super) fn unregistered(
        &mut self,
        context: &mut Context,
        now: Instant,
        transaction: ClientTransactionId,
        status: u16,
    ) -> bool {
        let Some(mut asked) = self.away.asked.remove(&transaction) else {
            return false;
        };
        let others = asked.others.as_mut();
        if let Some(next) = others.and_then(|others| others.next(context, now, status)) {
            self.away.asked.insert(next, asked);
            return true;
        }
        let token = asked.place;
        let is_away = |binding: &Binding| !binding.is_connected;
        if (200..300).contains(&status) && self.bindings.find(&token).is_some_and(is_away) {
            self.bindings.remove(&token);
        }
        true
    }
}

/// The REGISTER that takes a binding back (RFC 3261 section 10.2.2).
fn farewell(context: &mut Context, token: &str, binding: &Binding, flow: &str) -> Option<Message> {
    let last = binding.last.as_ref()?;
    let mut request = Message::request(Method::Register, &last.request_uri);
    request.push(HeaderName::MaxForwards, "70");
    let tag = context.token();
    request.push(HeaderName::From, format!("{};tag={tag}", last.to));
    request.push(HeaderName::To, last.to.as_str());
    request.push(HeaderName::CallId, last.call_id.as_str());
    let number = last.sequence.saturating_add(1);
    request.push(HeaderName::CSeq, format!("{number} REGISTER"));
    let mut contact = match binding.mode {
        Mode::Contact => {
            let uri = contact_of(context, &binding.address_of_record, token);
            format!("<{uri}>")
        }
        Mode::Path => {
            request.push(HeaderName::Supported, "path, outbound");
            request.push(
                HeaderName::Path,
                route::path(context, &binding.address_of_record, flow, true),
            );
            binding.contact.to_string()
        }
    };
    contact.push_str(";expires=0");
    request.push(HeaderName::Contact, contact);
    Some(request)
}
