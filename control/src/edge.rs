//! The edge proxy: requests that are no calls (REGISTER, OPTIONS, MESSAGE, SUBSCRIBE, NOTIFY,
//! PUBLISH, REFER, INFO and methods that it does not know) between browsers and carriers.
//!
//! It keeps transactions, not dialogs (RFC 3261 section 16). Registrations go out in one of two
//! modes. In *Contact mode*, which every registrar understands, the browser's Contact is replaced
//! by one of ours, whose user part carries a token; the browser sees its own again in the answer.
//! In *Path mode* (RFC 3327, RFC 5626) the Contact stays and our Path carries the token. Dialogs
//! of SUBSCRIBE and REFER follow the mode: our Contact, or two Record-Routes. Requests that come
//! back find the browser's connection by their token. Challenges pass through, as browsers can
//! take them. The Vias of one side are not shown to the other.

pub(crate) mod away;
pub(crate) mod binding;
pub(crate) mod failover;
mod granted;
pub(crate) mod identity;
pub(crate) mod register;
mod rewrite;
pub(crate) mod route;
pub(crate) mod token;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use self::away::Away;
use self::binding::Bindings;
use self::failover::{Destination, Others, best_status};
use self::register::Registration;
use self::rewrite::{
    answer_from, name_nobody, set_routes, strip_charging, to_browser, to_trunk, way_back,
};
pub(crate) use self::rewrite::{dead_flow, makes_dialog};
use self::token::FlowTokens;
use crate::call::answer::copy_challenges;
use crate::call::headers::drop_credentials;
use crate::config::Registration as Mode;
use crate::engine::context::{Context, Incoming};
use crate::engine::input::{ConnectionId, Peer};
use crate::limits::{RELAYED_PER_CONNECTION_MAX, RELAYED_REQUESTS_MAX};
use crate::sip::transaction::{ClientTransactionId, ServerTransactionId};
use crate::sip::{HeaderName, Message, Transport, Via};

/// The edge proxy.
#[derive(Debug)]
pub(crate) struct Edge {
    pub(crate) bindings: Bindings,
    pub(crate) tokens: FlowTokens,
    relayed: BTreeMap<ClientTransactionId, Relayed>,
    /// The same, by the transaction that waits for the answer.
    by_request: BTreeMap<ServerTransactionId, ClientTransactionId>,
    /// The same, as they left: one that comes back unchanged goes in circles.
    as_they_left: BTreeMap<String, u32>,
    /// How many of them came on each connection.
    per_connection: BTreeMap<ConnectionId, u32>,
    /// Users who have come back on another connection.
    pub(crate) moved: Vec<Moved>,
    away: Away,
    /// Trunks whose registrar does not list the Contacts that it was sent, as far as that has been
    /// said in the log.
    contacts_missed: BTreeSet<usize>,
}

/// A user, whose instance registered on one connection before, has come back on another.
#[derive(Debug)]
pub(crate) struct Moved {
    pub(crate) from: ConnectionId,
    pub(crate) to: ConnectionId,
    /// What it may call itself, as `user@domain`: only dialogs of its own follow it.
    pub(crate) users: Vec<String>,
}

/// A request that has been passed on and waits for its answer.
#[derive(Debug)]
struct Relayed {
    request: Incoming,
    kind: Kind,
    as_it_left: String,
    /// Where else it may go.
    others: Option<Others>,
}

/// What a request was passed on for.
#[derive(Debug)]
enum Kind {
    Register(Registration),
    Other(Way),
}

/// Between whom a request passes.
#[derive(Clone, Debug)]
pub(crate) enum Way {
    /// From the browser at a place to its carrier.
    ToTrunk(Place),
    /// From a carrier to the browser at a place.
    ToBrowser(Place),
    /// From or to a built-in line, which takes part in no dialogs.
    Line,
}

/// Where a browser registered, for a request to or from it.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// What carriers bring back to reach it.
    pub(crate) token: String,
    pub(crate) mode: Mode,
    pub(crate) address_of_record: String,
}

/// How a request goes on.
#[derive(Debug)]
pub(crate) struct Onward {
    pub(crate) to: Destination,
    pub(crate) way: Way,
    /// Its new Request-URI, if it changes.
    pub(crate) request_uri: Option<String>,
    /// Its Route, topmost first.
    pub(crate) routes: Vec<String>,
    /// Who it is from and to, where that changes.
    pub(crate) parties: Option<Parties>,
}

/// Who a request between a line and a carrier is from and to.
#[derive(Debug)]
pub(crate) struct Parties {
    /// Value of From, without tag.
    pub(crate) from: String,
    /// Value of To, without tag.
    pub(crate) to: String,
    /// Value of P-Asserted-Identity.
    pub(crate) identity: Option<String>,
    /// True if From hides who sends it.
    pub(crate) is_private: bool,
}

impl Edge {
    /// Nobody is registered.
    pub(crate) fn new(tokens: FlowTokens) -> Self {
        Self {
            bindings: Bindings::default(),
            tokens,
            relayed: BTreeMap::new(),
            by_request: BTreeMap::new(),
            as_they_left: BTreeMap::new(),
            per_connection: BTreeMap::new(),
            moved: Vec::new(),
            away: Away::default(),
            contacts_missed: BTreeSet::new(),
        }
    }

    /// How many requests have been passed on and wait for their answer.
    pub(crate) fn relayed(&self) -> usize {
        self.relayed.len()
            + self.by_request.len()
            + self.per_connection.len()
            + self.as_they_left.len()
            + self.away.asked()
    }

    /// Passes a request on.
    pub(crate) fn relay(
        &mut self,
        context: &mut Context,
        now: Instant,
        request: Incoming,
        onward: Onward,
    ) {
        let Some(mut message) = self.prepare(context, now, &request) else {
            return;
        };
        if let Some(uri) = &onward.request_uri {
            message.set_request_uri(uri);
        }
        set_routes(&mut message, &onward.routes);
        let makes_dialog = makes_dialog(&request.method());
        if !makes_dialog || request.connection().is_some() {
            // From a browser: it is no proxy.
            message.remove(HeaderName::RecordRoute);
        }
        match &onward.way {
            Way::ToTrunk(place) => {
                let binding = self.bindings.get(now, &place.token);
                to_trunk(context, place, binding, makes_dialog, &mut message);
            }
            Way::ToBrowser(place) => to_browser(context, place, makes_dialog, &mut message),
            Way::Line => {
                message.remove(HeaderName::Contact);
                identity::strip(&mut message);
                match &onward.parties {
                    Some(parties) => name_parties(parties, &mut message),
                    None => name_nobody(&mut message),
                }
            }
        }
        if let Peer::WebSocket(_) = onward.to.peer {
            // Browsers have sent no challenge.
            message.remove(HeaderName::Authorization);
            message.remove(HeaderName::ProxyAuthorization);
        }
        let kind = Kind::Other(onward.way);
        self.pass_on(context, now, request, onward.to, message, kind);
    }

    /// A copy of a request as it may leave: without the way it came, with one hop less. Refuses
    /// it where a proxy must (RFC 3261 section 16.3), or where there is no room.
    fn prepare(&self, context: &mut Context, now: Instant, request: &Incoming) -> Option<Message> {
        let hops = hops_after(&request.message);
        let Some(hops) = hops else {
            context.refuse(now, request, 483, "no hops left");
            return None;
        };
        if request.message.header(HeaderName::ProxyRequire).is_some() {
            let mut response = context.response(&request.message, 420);
            for option in request.message.values(HeaderName::ProxyRequire) {
                response.push(HeaderName::Unsupported, option);
            }
            context.respond(now, request.transaction, response);
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
        strip_charging(&mut onward);
        drop_credentials(&mut onward, &context.config.lines.realm);
        onward.remove(HeaderName::Via);
        set_routes(&mut onward, &[]);
        onward.set(HeaderName::MaxForwards, hops.to_string());
        Some(onward)
    }

    /// Has a request passed here before, and comes back as it left (RFC 3261 section 16.3)? One
    /// with another Request-URI is a spiral, which is sound: a carrier that forwards it. So is one
    /// that a browser here is meant by; ask only about those that would find nobody.
    pub(crate) fn goes_in_circles(&self, context: &Context, request: &Message) -> bool {
        let ours = Transport::ALL.map(|transport| context.trunk_side_host(transport));
        let is_ours = |via: Via| ours.iter().any(|o| via.sent_by().eq_ignore_ascii_case(o));
        let mut vias = request.values(HeaderName::Via).filter_map(Via::parse);
        vias.any(is_ours) && self.as_they_left.contains_key(&loop_key(request))
    }

    fn pass_on(
        &mut self,
        context: &mut Context,
        now: Instant,
        request: Incoming,
        to: Destination,
        onward: Message,
        kind: Kind,
    ) {
        let as_it_left = loop_key(&onward);
        let account = account_of(context, &request, to.peer, &kind);
        let (transaction, others) = to.send(context, now, onward, account);
        self.by_request.insert(request.transaction, transaction);
        if let Some(connection) = request.connection() {
            *self.per_connection.entry(connection).or_default() += 1;
        }
        *self.as_they_left.entry(as_it_left.clone()).or_default() += 1;
        let relayed = Relayed {
            request,
            kind,
            as_it_left,
            others,
        };
        self.relayed.insert(transaction, relayed);
    }

    /// A request that was passed on has its answer, or needs none any more.
    fn take(&mut self, transaction: ClientTransactionId) -> Option<Relayed> {
        let relayed = self.relayed.remove(&transaction)?;
        self.by_request.remove(&relayed.request.transaction);
        if let Some(connection) = relayed.request.connection() {
            count_down(&mut self.per_connection, &connection);
        }
        count_down(&mut self.as_they_left, &relayed.as_it_left);
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
        self.heard(transaction, status);
        if status < 200 {
            // 1xx of requests other than INVITE say nothing that the browser waits for.
            return self.relayed.contains_key(&transaction);
        }
        if self.unregistered(context, now, transaction, status)
            || self.fail_over(context, now, transaction, status)
        {
            return true;
        }
        let Some(mut relayed) = self.take(transaction) else {
            return false;
        };
        let best = best_status(relayed.others.as_mut(), status);
        if best != status {
            let reason = "another target has failed with this";
            context.refuse(now, &relayed.request, best, reason);
            return true;
        }
        let mut answer = answer_from(&relayed.request.message, response, status);
        copy_challenges(response, &mut answer);
        match relayed.kind {
            Kind::Register(registration) => {
                if matches!(status, 403 | 404) {
                    let user = registration.address_of_record.clone();
                    context.log_failed_login(now, &relayed.request, user, status);
                }
                self.registered(context, now, registration, response, &mut answer);
            }
            Kind::Other(way) => {
                let makes_dialog = makes_dialog(&relayed.request.method());
                way_back(context, &way, makes_dialog, response, &mut answer);
            }
        }
        context.respond(now, relayed.request.transaction, answer);
        true
    }

    /// A request that was passed on found no answer. A browser that is gone is no fault of this
    /// proxy: the carrier learns that the flow is dead, and at once (RFC 5626 section 5.3.1). A
    /// browser that is there and silent: the carrier has given up by itself, and a late 408 would
    /// only travel in vain (RFC 4320 section 4.2).
    pub(crate) fn failed(
        &mut self,
        context: &mut Context,
        now: Instant,
        transaction: ClientTransactionId,
        status: u16,
    ) -> bool {
        if self.unregistered(context, now, transaction, status)
            || self.fail_over(context, now, transaction, status)
        {
            return true;
        }
        let Some(mut relayed) = self.take(transaction) else {
            return false;
        };
        let status = best_status(relayed.others.as_mut(), status);
        let status = match (&relayed.kind, status) {
            (Kind::Other(Way::ToBrowser(_)), 408) => {
                context.transactions.abandon(relayed.request.transaction);
                return true;
            }
            (Kind::Other(Way::ToBrowser(place)), _) => dead_flow(place.mode),
            (Kind::Other(Way::Line), 503) => 480,
            (Kind::Other(Way::Line | Way::ToTrunk(_)) | Kind::Register(_), status) => status,
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
}

/// The trunk whose account answers challenges to a request that is passed on. A browser registers
/// with its own password; and in dialogs of its own it numbers its requests itself.
fn account_of(context: &Context, request: &Incoming, to: Peer, kind: &Kind) -> Option<usize> {
    let is_alone = request.message.to_tag().is_none() && !makes_dialog(&request.method());
    match kind {
        Kind::Other(Way::ToTrunk(_) | Way::Line) if is_alone => context.trunks.of_peer(to),
        Kind::Other(_) | Kind::Register(_) => None,
    }
}

fn name_parties(parties: &Parties, message: &mut Message) {
    let from = match message.from_tag() {
        Some(tag) => format!("{};tag={tag}", parties.from),
        None => parties.from.clone(),
    };
    message.set(HeaderName::From, from);
    message.set(HeaderName::To, parties.to.as_str());
    if let Some(identity) = &parties.identity {
        message.push(HeaderName::PAssertedIdentity, identity.as_str());
    }
    if parties.is_private {
        identity::keep_private(message);
    }
}

/// `Max-Forwards` of the copy (RFC 3261 section 16.6): 70 if there is none. `None` if there is no
/// hop left.
fn hops_after(request: &Message) -> Option<u32> {
    match request.header(HeaderName::MaxForwards) {
        None => Some(70),
        Some(_) => crate::call::setup::hops_left(request).checked_sub(1),
    }
}

/// What a request that goes in circles has in common each time it passes.
fn loop_key(request: &Message) -> String {
    let number = request.cseq().map_or(0, |cseq| cseq.number);
    format!(
        "{} {number} {}\n{}\n{}\n{}",
        request.method(),
        request.request_uri().unwrap_or_default(),
        request.call_id(),
        request.from_tag().unwrap_or_default(),
        request.to_tag().unwrap_or_default(),
    )
}

fn count_down<K: Ord>(counts: &mut BTreeMap<K, u32>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(key);
        }
    }
}

/// The user's address of record: From without display name, parameters and tag, in lower case.
pub(crate) fn address_of_record(value: &str) -> Option<String> {
    let address = crate::sip::NameAddr::parse(value)?;
    let user = address.uri.user_decoded()?;
    Some(format!("{user}@{}", address.uri.host.to_ascii_lowercase()))
}
