//! Where a new request belongs: a dialog, the lines, the edge proxy, or nobody.

use std::time::Instant;

use super::Engine;
use super::context::Incoming;
use super::input::{ConnectionId, Peer};
use crate::call::leg::Side;
use crate::call::outgoing::{OutgoingInvite, plain_address};
use crate::call::setup::Target;
use crate::edge::address_of_record;
use crate::edge::route::Routes;
use crate::lines;
use crate::sip::{HeaderName, Message, Method, NameAddr, Uri};
use crate::trunk::called::called_number;

/// Why a request goes nowhere: the status that says so, and a word for the log.
pub(super) type NoRoute = (u16, &'static str);

/// All targets have asked for a pause, or there is none.
pub(super) const NO_TARGET: NoRoute = (503, "no target of the trunk takes requests");

impl Engine {
    /// A new request.
    pub(super) fn request(&mut self, now: Instant, request: Incoming) {
        let Some(request) = self.identify(now, request) else {
            return;
        };
        let request = if request.message.to_tag().is_some() {
            match self.calls.dialog_request(&mut self.context, now, request) {
                None => return,
                Some(request) if !belongs_to_calls(&request.method()) => request,
                Some(request) => {
                    return self.context.refuse(now, &request, 481, "no such dialog");
                }
            }
        } else {
            request
        };
        if self.context.stopping {
            return self.context.refuse(now, &request, 503, "the gateway stops");
        }
        match request.peer {
            Peer::WebSocket(connection) => self.browser_request(now, connection, request),
            Peer::Udp(_) | Peer::Tcp(_) | Peer::Tls(_) => {
                match self.context.trunks.of_peer(request.peer) {
                    Some(trunk) => self.trunk_request(now, trunk, request),
                    None => self.context.refuse(now, &request, 403, "not from a trunk"),
                }
            }
        }
    }

    fn browser_request(&mut self, now: Instant, connection: ConnectionId, request: Incoming) {
        match request.method() {
            Method::Register => self.register(now, request),
            Method::Invite => self.invite_from_browser(now, connection, request),
            Method::Options => self.options_from_browser(now, connection, request),
            Method::Message
            | Method::Info
            | Method::Subscribe
            | Method::Notify
            | Method::Refer
            | Method::Publish
            | Method::Other(_) => self.pass_from_browser(now, connection, request),
            Method::Ack | Method::Bye | Method::Cancel | Method::Prack | Method::Update => {
                self.context
                    .refuse(now, &request, 481, "outside of a dialog");
            }
        }
    }

    fn trunk_request(&mut self, now: Instant, trunk: usize, request: Incoming) {
        match request.method() {
            Method::Invite => match self.browser_for(now, trunk, &request.message) {
                Ok(outgoing) => {
                    let target = Target::Leg(outgoing);
                    let caller = Side::Trunk(trunk);
                    self.calls
                        .invite(&mut self.context, now, request, caller, target);
                }
                Err((status, reason)) => self.context.refuse(now, &request, status, reason),
            },
            Method::Options => self.options_from_trunk(now, trunk, request),
            Method::Message
            | Method::Info
            | Method::Subscribe
            | Method::Notify
            | Method::Refer
            | Method::Publish
            | Method::Other(_) => self.pass_from_trunk(now, trunk, request),
            Method::Register => {
                self.context
                    .refuse(now, &request, 405, "carriers do not register here");
            }
            Method::Ack | Method::Bye | Method::Cancel | Method::Prack | Method::Update => {
                self.context
                    .refuse(now, &request, 481, "outside of a dialog");
            }
        }
    }

    fn register(&mut self, now: Instant, request: Incoming) {
        let domain = domain_of(request.message.header(HeaderName::To)).unwrap_or_default();
        if self.is_domain_of_lines(&domain) {
            return self.lines.register(&mut self.context, now, &request);
        }
        match self.context.config.trunk_of_domain(&domain) {
            Some(trunk) => self.edge.register(&mut self.context, now, request, trunk),
            None => self
                .context
                .refuse(now, &request, 404, "no registrar for this domain"),
        }
    }

    fn invite_from_browser(&mut self, now: Instant, connection: ConnectionId, request: Incoming) {
        match self.route_from_browser(now, connection, &request) {
            Ok(Some(target)) => {
                self.calls
                    .invite(&mut self.context, now, request, Side::Browser, target);
            }
            // A challenge has been sent.
            Ok(None) => {}
            Err((status, reason)) => self.context.refuse(now, &request, status, reason),
        }
    }

    /// OPTIONS to a user goes where a call to it would go; one to us is answered here.
    fn options_from_browser(&mut self, now: Instant, connection: ConnectionId, request: Incoming) {
        if request.message.to_tag().is_some() {
            return self.pass_from_browser(now, connection, request);
        }
        let uri = request.message.request_uri().and_then(Uri::parse);
        let user = uri.as_ref().is_some_and(|uri| uri.user.is_some());
        let hops = crate::call::setup::hops_left(&request.message);
        let trunk = uri.and_then(|uri| self.context.config.trunk_of_domain(&uri.host));
        if !user || hops == 0 || trunk.is_none() {
            return self.answer_options(now, &request);
        }
        self.pass_from_browser(now, connection, request);
    }

    /// OPTIONS to a registered browser goes to it; all others ask whether we are in service.
    fn options_from_trunk(&mut self, now: Instant, trunk: usize, request: Incoming) {
        if request.message.to_tag().is_some() {
            return self.pass_from_trunk(now, trunk, request);
        }
        let message = &request.message;
        let routes = Routes::of(&self.context, &self.edge.tokens, message);
        let found = routes.map(|routes| self.found(now, trunk, message, &routes));
        let hops = crate::call::setup::hops_left(message);
        match found {
            None | Some(Ok(None)) => self.answer_options(now, &request),
            Some(_) if hops == 0 => self.answer_options(now, &request),
            Some(_) => self.pass_from_trunk(now, trunk, request),
        }
    }

    fn answer_options(&mut self, now: Instant, request: &Incoming) {
        let mut response = self.context.response(&request.message, 200);
        response.push(HeaderName::Allow, super::context::allow());
        response.push(HeaderName::Accept, "application/sdp");
        response.push(HeaderName::Supported, super::context::SUPPORTED);
        self.context.respond(now, request.transaction, response);
    }

    /// Where a browser's request goes, once it is proven whose it is. `None` if a challenge has
    /// been sent.
    pub(super) fn route_from_browser(
        &mut self,
        now: Instant,
        connection: ConnectionId,
        request: &Incoming,
    ) -> Result<Option<Target>, NoRoute> {
        let from = request
            .message
            .header(HeaderName::From)
            .and_then(NameAddr::parse);
        let from = from.ok_or((400, "From not understood"))?;
        let uri = request.message.request_uri().and_then(Uri::parse);
        let uri = uri
            .filter(|uri| !uri.host.is_empty())
            .ok_or((416, "no sip URI"))?;
        if let Some(trunk) = self.context.config.trunk_of_domain(&from.uri.host) {
            let user = request
                .message
                .header(HeaderName::From)
                .and_then(address_of_record);
            let user = user.unwrap_or_default();
            let registered = self.edge.bindings.of_user(now, connection, trunk, &user);
            registered.ok_or((403, "not registered at the trunk on this connection"))?;
            return self.to_trunk(now, trunk, &from, uri, None).map(Some);
        }
        if !self.is_domain_of_lines(&from.uri.host) {
            return Err((403, "From is of a foreign domain"));
        }
        let number = from.uri.user_decoded().unwrap_or_default();
        if !self.lines.prove(&mut self.context, now, request, &number) {
            return Ok(None);
        }
        self.route_from_line(now, &from, uri).map(Some)
    }

    fn route_from_line(&self, now: Instant, from: &NameAddr, uri: Uri) -> Result<Target, NoRoute> {
        let config = &self.context.config;
        let number = uri.user_decoded().unwrap_or_default();
        if config.lines.echo.as_deref() == Some(number.as_str()) {
            return Ok(Target::Echo);
        }
        if lines::find(&config.lines, &number).is_some() {
            return self.to_line(now, from, &number).map(Target::Leg);
        }
        match config.trunks.as_slice() {
            // Lines of the house share its only trunk.
            [only] => self.to_trunk(now, 0, from, uri, Some(&only.domain)),
            _ => Err((404, "no such line")),
        }
    }

    fn to_line(
        &self,
        now: Instant,
        from: &NameAddr,
        number: &str,
    ) -> Result<OutgoingInvite, NoRoute> {
        let binding = self
            .lines
            .newest(now, number)
            .ok_or((480, "line is not registered"))?;
        let config = &self.context.config.lines;
        let to = Uri::sip(Some(number), &config.domain, None);
        let mut from = from.clone();
        if from.display.is_none() {
            let name = lines::find(config, &from.uri.user_decoded().unwrap_or_default());
            from.set_display_name(name.map(|line| line.name.as_str()));
        }
        Ok(OutgoingInvite {
            side: Side::Browser,
            peer: Peer::WebSocket(binding.connection),
            attempt: None,
            request_uri: binding.uri(),
            from: plain_address(&from, None),
            to: NameAddr::new(to).to_string(),
        })
    }

    /// The carrier gets the very Request-URI that the browser's digest names, without the
    /// browser's transport; lines of the house call in the trunk's domain.
    fn to_trunk(
        &self,
        now: Instant,
        index: usize,
        from: &NameAddr,
        mut uri: Uri,
        domain: Option<&str>,
    ) -> Result<Target, NoRoute> {
        let user = plain_address(from, domain);
        let mut attempt = self.context.trunks.route(now, index, &user_of(&user));
        let peer = attempt.take().ok_or(NO_TARGET)?;
        uri.params.remove("transport");
        uri.headers.clear();
        if let Some(domain) = domain {
            domain.clone_into(&mut uri.host);
            uri.port = None;
        }
        Ok(Target::Leg(OutgoingInvite {
            side: Side::Trunk(index),
            peer,
            attempt: Some(attempt),
            request_uri: uri.to_string(),
            from: user,
            to: NameAddr::new(uri).to_string(),
        }))
    }

    /// The browser that a carrier's request is for: by the token of its registration, or by the
    /// number of a line.
    pub(super) fn browser_for(
        &self,
        now: Instant,
        trunk: usize,
        request: &Message,
    ) -> Result<OutgoingInvite, NoRoute> {
        let uri = request
            .request_uri()
            .and_then(Uri::parse)
            .ok_or((416, "no sip URI"))?;
        let from = request.header(HeaderName::From).and_then(NameAddr::parse);
        let from = from.ok_or((400, "From not understood"))?;
        let routes = Routes::of(&self.context, &self.edge.tokens, request)
            .ok_or((400, "Route not understood"))?;
        let Some(found) = self.found(now, trunk, request, &routes)? else {
            let config = &self.context.config;
            let number = called_number(config.trunks.get(trunk), request, &uri);
            if lines::find(&config.lines, &number).is_none() {
                return Err((404, "no such user"));
            }
            return self.to_line(now, &from, &number);
        };
        let to = found.place.address_of_record.rsplit_once('@');
        let to = to.map(|(user, domain)| Uri::sip(Some(user), domain, None));
        Ok(OutgoingInvite {
            side: Side::Browser,
            peer: Peer::WebSocket(found.connection),
            attempt: None,
            request_uri: found.uri,
            from: plain_address(&from, None),
            to: NameAddr::new(to.unwrap_or(uri)).to_string(),
        })
    }

    fn is_domain_of_lines(&self, domain: &str) -> bool {
        let config = &self.context.config;
        !config.lines.entries.is_empty() && config.lines.domain.eq_ignore_ascii_case(domain)
    }
}

/// Requests of INVITE dialogs: outside of one that is known, nobody takes them.
const fn belongs_to_calls(method: &Method) -> bool {
    match method {
        Method::Invite
        | Method::Ack
        | Method::Bye
        | Method::Cancel
        | Method::Prack
        | Method::Update => true,
        Method::Register
        | Method::Options
        | Method::Info
        | Method::Subscribe
        | Method::Notify
        | Method::Refer
        | Method::Message
        | Method::Publish
        | Method::Other(_) => false,
    }
}

/// The address of record in a From.
fn user_of(from: &str) -> String {
    address_of_record(from).unwrap_or_default()
}

fn domain_of(value: Option<&str>) -> Option<String> {
    Some(NameAddr::parse(value?)?.uri.host)
}
