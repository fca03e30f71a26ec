//! Where a request goes that the edge proxy passes on: everything but INVITE and what belongs to
//! its dialogs.

use std::time::Instant;

use super::Engine;
use super::context::{Context, Incoming};
use super::input::{ConnectionId, Peer};
use super::routing::{NO_TARGET, NoRoute, Proof};
use crate::call::leg::Side;
use crate::call::outgoing::OutgoingInvite;
use crate::call::setup::Target;
use crate::config::{NumberForm, Registration as Mode, TargetConfig, TrunkConfig};
use crate::edge::binding::Binding;
use crate::edge::failover::Destination;
use crate::edge::identity;
use crate::edge::register::{line_in, token_in};
use crate::edge::route::{self, Routes};
use crate::edge::token::{FlowToken, Token};
use crate::edge::{Onward, Parties, Place, Way, address_of_record, dead_flow, makes_dialog};
use crate::sip::uri::Scheme;
use crate::sip::{Message, Method, NameAddr, Uri};
use crate::trunk::numbers;

/// Lines begin no dialogs but calls, and publish nothing.
pub(super) const NOT_BY_LINES: NoRoute = (405, "method not taken by lines");

/// What a token in a carrier's request leads to.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) connection: ConnectionId,
    /// Request-URI towards the browser.
    pub(super) uri: String,
    /// Empty if the flow has no registration any more.
    pub(super) place: Place,
}

impl Engine {
    /// A request of a browser that is no INVITE and outside of INVITE dialogs.
    pub(super) fn pass_from_browser(
        &mut self,
        now: Instant,
        connection: ConnectionId,
        request: Incoming,
    ) {
        match self.way_from_browser(now, connection, &request) {
            Ok(Some(onward)) => self.edge.relay(&mut self.context, now, request, onward),
            Ok(None) => {}
            Err(no_route) => self.refuse_route(now, &request, no_route),
        }
    }

    /// A request of a carrier that is no INVITE and outside of INVITE dialogs.
    pub(super) fn pass_from_trunk(&mut self, now: Instant, trunk: usize, request: Incoming) {
        match self.way_from_trunk(now, trunk, &request.message) {
            Ok(onward) => self.edge.relay(&mut self.context, now, request, onward),
            Err((status, reason)) => self.context.refuse(now, &request, status, reason),
        }
    }

    /// `None` if the request has been answered.
    fn way_from_browser(
        &mut self,
        now: Instant,
        connection: ConnectionId,
        request: &Incoming,
    ) -> Result<Option<Onward>, NoRoute> {
        let message = &request.message;
        let routes = Routes::from_browser(&self.context, &self.edge.tokens, message)
            .ok_or((400, "Route not understood"))?;
        if message.to_tag().is_some() {
            return self.way_in_dialog(now, connection, routes).map(Some);
        }
        let sender = self.sender(now, connection, message)?;
        let user = address_of_record(&sender.to_string()).unwrap_or_default();
        let trunk = user
            .rsplit_once('@')
            .and_then(|(_, domain)| self.context.config.trunk_of_domain(domain));
        let registered = trunk.and_then(|trunk| {
            let found = self.edge.bindings.of_user(now, connection, trunk, &user);
            found.map(|(token, binding)| (token.to_owned(), binding.clone()))
        });
        let Some((token, binding)) = registered else {
            return self.way_of_line(now, connection, request);
        };
        let config = self.context.config.trunks.get(binding.trunk);
        let routes = allowed_routes(routes.onward, &binding.service_route, config)?;
        let uri = message.request_uri().and_then(Uri::parse);
        let mut uri = uri.ok_or((416, "no URI"))?;
        if route::is_ours(&self.context, &uri) {
            return Err((482, "the request would come back"));
        }
        let was_sips = uri.scheme == Scheme::Sips;
        self.check_sips(binding.trunk, &mut uri)?;
        let is_changed = uri.params.remove("transport") | (was_sips && uri.scheme != Scheme::Sips);
        let uri = is_changed.then(|| uri.to_string());
        let of_user = &binding.address_of_record;
        let ways = self.context.trunks.route(now, binding.trunk, of_user);
        let to = Destination::of_trunk(ways).ok_or(NO_TARGET)?;
        Ok(Some(to_trunk(&token, &binding, to, uri, routes)))
    }

    /// In a dialog that we are on the route of, and only there: by the token in Route (RFC 3261
    /// section 16.4). From says whatever the carrier's To said, our Contact for one.
    fn way_in_dialog(
        &self,
        now: Instant,
        connection: ConnectionId,
        routes: Routes,
    ) -> Result<Onward, NoRoute> {
        const NO_DIALOG: NoRoute = (481, "no such dialog");
        let (trunk, place) = match routes.token.ok_or(NO_DIALOG)? {
            Token::Place(token) => {
                let binding = self.edge.bindings.get(now, &token);
                let binding = binding.filter(|binding| binding.connection == connection);
                let binding = binding.ok_or(NO_DIALOG)?;
                (binding.trunk, place(&token, binding))
            }
            Token::Flow(flow) if flow.connection == Some(connection) => {
                let mut here = self.edge.bindings.on_connection(now, connection);
                let found = here.find(|(_, binding)| binding.trunk == flow.trunk);
                let found = found.map(|(token, binding)| place(token, binding));
                let of_line = || self.place_of_line(now, connection, flow.trunk, None);
                (flow.trunk, found.or_else(of_line).ok_or(NO_DIALOG)?)
            }
            Token::Flow(_) => return Err(NO_DIALOG),
        };
        let trunks = &self.context.trunks;
        let to = trunks.best(now, trunk, &place.address_of_record);
        Ok(Onward {
            to: to.ok_or(NO_TARGET)?.into(),
            way: Way::ToTrunk(place),
            request_uri: None,
            routes: routes.onward,
            parties: None,
        })
    }

    /// Where a line is, for a dialog with a trunk: a flow, since no registrar knows it. The line is
    /// this one, or the one that has registered on the connection.
    fn place_of_line(
        &self,
        now: Instant,
        connection: ConnectionId,
        trunk: usize,
        number: Option<&str>,
    ) -> Option<Place> {
        let mut here = self.lines.on_connection(now, connection);
        let number = here.find(|found| number.is_none_or(|number| number == *found))?;
        let config = self.context.config.trunks.get(trunk)?;
        Some(Place {
            token: self.edge.tokens.flow(connection, trunk),
            mode: Mode::Contact,
            address_of_record: format!("{number}@{}", config.domain),
        })
    }

    /// Lines send messages and ask for options; they begin no dialogs but calls.
    fn way_of_line(
        &mut self,
        now: Instant,
        connection: ConnectionId,
        request: &Incoming,
    ) -> Result<Option<Onward>, NoRoute> {
        let target = self.route_from_browser(now, connection, request, Proof::Asked)?;
        match target {
            None => Ok(None),
            Some(Target::Echo) => {
                let response = self.context.response(&request.message, 200);
                self.context.respond(now, request.transaction, response);
                Ok(None)
            }
            Some(Target::Leg(to)) => match request.method() {
                Method::Message | Method::Options | Method::Info => {
                    let mut onward = of_line((*to).clone());
                    if to.side == Side::Browser && !identity::hides_sender(&request.message) {
                        onward.parties = None;
                    }
                    Ok(Some(onward))
                }
                Method::Invite
                | Method::Ack
                | Method::Bye
                | Method::Cancel
                | Method::Register
                | Method::Prack
                | Method::Subscribe
                | Method::Notify
                | Method::Refer
                | Method::Update
                | Method::Publish
                | Method::Other(_) => Err(NOT_BY_LINES),
            },
        }
    }

    fn way_from_trunk(
        &self,
        now: Instant,
        trunk: usize,
        message: &Message,
    ) -> Result<Onward, NoRoute> {
        let routes = Routes::of(&self.context, &self.edge.tokens, message)
            .ok_or((400, "Route not understood"))?;
        if let Some(found) = self.found(now, trunk, message, &routes)? {
            return Ok(Onward {
                to: Peer::WebSocket(found.connection).into(),
                way: Way::ToBrowser(found.place),
                request_uri: Some(found.uri),
                routes: Vec::new(),
                parties: None,
            });
        }
        if message.to_tag().is_some() {
            return Err((481, "no such dialog"));
        }
        // A carrier that knows its users, but does not say which of their places it means.
        let uri = message.request_uri().and_then(Uri::parse);
        if let (Some(uri), Some(config)) = (uri, self.context.config.trunks.get(trunk)) {
            let users = numbers::meant(&config.numbers, uri.numbers());
            let known = |user: &String| {
                let user = format!("{user}@{}", config.domain);
                self.edge.bindings.of_address(now, trunk, &user)
            };
            if let Some((token, binding)) = users.iter().find_map(known) {
                let found = found_at(&self.context, token, binding, None)?;
                return Ok(Onward {
                    to: Peer::WebSocket(found.connection).into(),
                    way: Way::ToBrowser(found.place),
                    request_uri: Some(found.uri),
                    routes: Vec::new(),
                    parties: None,
                });
            }
        }
        let to = self.browser_for(now, trunk, message);
        if to.is_err() && self.edge.goes_in_circles(&self.context, message) {
            return Err((482, "the request has been here before"));
        }
        let to = to?;
        if let (true, Some(connection)) = (makes_dialog(&message.method()), to.peer.connection()) {
            let number = self.lines.number_at(connection, &to.request_uri);
            let place = self.place_of_line(now, connection, trunk, number);
            return Ok(Onward {
                to: to.peer.into(),
                way: Way::ToBrowser(place.ok_or((480, "line is not registered"))?),
                request_uri: Some(to.request_uri),
                routes: Vec::new(),
                parties: None,
            });
        }
        let mut onward = of_line(to);
        let numbers = self.context.config.trunks.get(trunk).map(|t| &t.numbers);
        if numbers.is_none_or(|numbers| numbers.inbound == NumberForm::AsIs) {
            onward.parties = None;
        }
        Ok(onward)
    }

    /// The browser that a token in a carrier's request leads to: in Route, which was our Path or
    /// Record-Route, or in the Request-URI, which was our Contact. `None` if there is no token.
    pub(super) fn found(
        &self,
        now: Instant,
        trunk: usize,
        message: &Message,
        routes: &Routes,
    ) -> Result<Option<Found>, NoRoute> {
        let uri = message.request_uri().unwrap_or_default();
        match &routes.token {
            Some(Token::Flow(flow)) => self.at_flow(now, trunk, flow, uri).map(Some),
            Some(Token::Place(token)) => {
                let binding = self.edge.bindings.get(now, token);
                let binding = binding.filter(|binding| binding.trunk == trunk);
                let binding = binding.ok_or((430, "the registration is gone"))?;
                // In Contact mode the Request-URI is ours too.
                let own = (binding.mode == Mode::Path).then_some(uri);
                found_at(&self.context, token, binding, own).map(Some)
            }
            None => self.at_contact(now, trunk, uri),
        }
    }

    /// In Path mode: the flow must stand; the Request-URI is the browser's own.
    fn at_flow(
        &self,
        now: Instant,
        trunk: usize,
        flow: &FlowToken,
        uri: &str,
    ) -> Result<Found, NoRoute> {
        if flow.trunk != trunk {
            return Err((403, "token of another trunk"));
        }
        let connection = flow.connection;
        let connection = connection.filter(|id| self.context.connections.contains_key(id));
        let connection = connection.ok_or((dead_flow(Mode::Path), "the flow is gone"))?;
        let named = Uri::parse(uri);
        let is_named = |binding: &Binding| {
            named
                .as_ref()
                .is_some_and(|uri| binding.contact.uri.is_equivalent(uri))
        };
        let mut here = self.edge.bindings.on_connection(now, connection);
        let here = here.find(|(_, binding)| binding.trunk == trunk && is_named(binding));
        Ok(Found {
            connection,
            uri: uri.to_owned(),
            place: here.map_or_else(
                || Place {
                    token: self.edge.tokens.flow(connection, trunk),
                    mode: Mode::Path,
                    address_of_record: String::new(),
                },
                |(token, binding)| place(token, binding),
            ),
        })
    }

    /// At our Contact in a dialog of a line: its user names the line, its token the connection.
    fn at_line(
        &self,
        now: Instant,
        trunk: usize,
        uri: &Uri,
        flow: &FlowToken,
    ) -> Result<Found, NoRoute> {
        const GONE: NoRoute = (dead_flow(Mode::Contact), "the flow is gone");
        let connection = flow.connection.filter(|_| flow.trunk == trunk);
        let connection = connection.ok_or(GONE)?;
        let number = line_in(uri);
        let place = self.place_of_line(now, connection, trunk, number.as_deref());
        let place = place.ok_or(GONE)?;
        let number = place.address_of_record.rsplit_once('@');
        let number = number.map_or("", |(number, _)| number);
        let uri = self.lines.contact_at(now, connection, number).ok_or(GONE)?;
        Ok(Found {
            connection,
            uri,
            place,
        })
    }

    /// In Contact mode: the user part of the Request-URI.
    fn at_contact(&self, now: Instant, trunk: usize, uri: &str) -> Result<Option<Found>, NoRoute> {
        let uri = Uri::parse(uri).ok_or((416, "no sip URI"))?;
        let Some(text) = token_in(&uri) else {
            return Ok(None);
        };
        let token = match self.edge.tokens.read(text) {
            Some(Token::Place(token)) => token,
            Some(Token::Flow(flow)) => return self.at_line(now, trunk, &uri, &flow).map(Some),
            None => return Ok(None),
        };
        match self.edge.bindings.get(now, &token) {
            Some(binding) if binding.trunk == trunk => {
                found_at(&self.context, &token, binding, None).map(Some)
            }
            Some(_) => Err((404, "registration at another trunk")),
            None => Err((dead_flow(Mode::Contact), "the registration is gone")),
        }
    }
}

/// A request from or to a line: as a call would go.
fn of_line(to: OutgoingInvite) -> Onward {
    Onward {
        to: Destination::new(to.peer, to.attempt),
        way: Way::Line,
        request_uri: Some(to.request_uri),
        routes: to.routes,
        parties: Some(Parties {
            from: to.from,
            to: to.to,
            identity: to.identity,
            is_private: to.is_private,
        }),
    }
}

/// The browser of a binding, if it is there. `uri` is what it is asked for, if that is not its
/// registered Contact.
fn found_at(
    context: &Context,
    token: &str,
    binding: &Binding,
    uri: Option<&str>,
) -> Result<Found, NoRoute> {
    if !binding.is_connected || !context.connections.contains_key(&binding.connection) {
        return Err((dead_flow(binding.mode), "the browser is away"));
    }
    Ok(Found {
        connection: binding.connection,
        uri: uri.map_or_else(|| binding.contact.uri.to_string(), str::to_owned),
        place: place(token, binding),
    })
}

fn to_trunk(
    token: &str,
    binding: &Binding,
    to: Destination,
    request_uri: Option<String>,
    routes: Vec<String>,
) -> Onward {
    Onward {
        to,
        way: Way::ToTrunk(place(token, binding)),
        request_uri,
        routes,
        parties: None,
    }
}

fn place(token: &str, binding: &Binding) -> Place {
    Place {
        token: token.to_owned(),
        mode: binding.mode,
        address_of_record: binding.address_of_record.clone(),
    }
}

/// What a browser may preload into Route (RFC 3261 section 16.4, RFC 3608): the way that its
/// registrar named, or nothing. The trunk itself, as an outbound proxy, leads where the request
/// goes anyway. We are no open relay.
pub(super) fn allowed_routes(
    given: Vec<String>,
    service_route: &[String],
    trunk: Option<&TrunkConfig>,
) -> Result<Vec<String>, NoRoute> {
    let is_trunk = |value: &String| trunk.is_some_and(|trunk| leads_to(trunk, value));
    if given.iter().all(is_trunk) || given == service_route {
        return Ok(service_route.to_vec());
    }
    Err((403, "Route leads elsewhere"))
}

/// Does a value of Route name a trunk: its domain, or one of its targets?
fn leads_to(trunk: &TrunkConfig, value: &str) -> bool {
    let Some(NameAddr { uri, .. }) = NameAddr::parse(value) else {
        return false;
    };
    let host = uri.host.trim_start_matches('[').trim_end_matches(']');
    let is_target = |target: &TargetConfig| {
        let port = uri.port.unwrap_or(trunk.transport.default_port());
        target.place.host.eq_ignore_ascii_case(host) && target.place.port == port
    };
    uri.user.is_none()
        && (trunk.targets.iter().chain(&trunk.call_route).any(is_target)
            || (uri.host.eq_ignore_ascii_case(&trunk.domain) && uri.port.is_none()))
}
