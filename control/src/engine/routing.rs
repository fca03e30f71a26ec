//! Where a new request belongs: a dialog, the lines, the edge proxy, or nobody.

use std::time::Instant;

use super::Engine;
use super::context::Incoming;
use super::input::{ConnectionId, Peer};
use super::proxy::allowed_routes;
use super::refusals::allow_of_lines;
use super::to_trunk::Caller;
use crate::call::dialog_requests::InDialog;
use crate::call::leg::Side;
use crate::call::outgoing::{OutgoingInvite, plain_address};
use crate::call::setup::Target;
use crate::config::TrunkConfig;
use crate::edge::address_of_record;
use crate::edge::identity;
use crate::edge::route::Routes;
use crate::lines;
use crate::sip::{HeaderName, Message, Method, NameAddr, Uri};
use crate::trunk::called::called_numbers;
use crate::trunk::numbers;

/// Why a request goes nowhere: the status that says so, and a word for the log.
pub(super) type NoRoute = (u16, &'static str);

/// A `sips` URI where nothing goes over TLS (RFC 5630 section 5.3).
pub(super) const SIPS_NOT_ALLOWED: NoRoute = (480, "sips, and the trunk is not spoken to over TLS");

/// All targets have asked for a pause, or there is none.
pub(super) const NO_TARGET: NoRoute = (503, "no target of the trunk takes requests");

/// A trunk without a target: `OUTBOUND_ROUTE` alone.
const NO_REGISTRAR: NoRoute = (403, "the trunk is for calls alone and has no registrar");

/// Whether a browser has to prove whose its request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Proof {
    /// By its registration, or by its password.
    Asked,
    /// It is in a call by the same name.
    Given,
}

impl Engine {
    /// A new request.
    pub(super) fn request(&mut self, now: Instant, request: Incoming) {
        let Some(request) = self.identify(now, request) else {
            return;
        };
        let request = if request.message.to_tag().is_some() {
            match self.calls.dialog_request(&mut self.context, now, request) {
                InDialog::Taken => return,
                InDialog::Transfer(wanted) => return self.transfer(now, &wanted),
                InDialog::NotOurs(request) if !belongs_to_calls(&request.method()) => request,
                InDialog::NotOurs(request) => {
                    return self.context.refuse(now, &request, 481, "no such dialog");
                }
            }
        } else {
            request
        };
        if let Some(reason) = self.unready(&request.method()) {
            return self.context.refuse(now, &request, 503, &reason);
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
                    let target = Target::Leg(Box::new(outgoing));
                    let caller = (Side::Trunk(trunk), None);
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
            Some(trunk) if self.is_for_calls_alone(trunk) => {
                self.refuse_route(now, &request, NO_REGISTRAR);
            }
            Some(trunk) => self.edge.register(&mut self.context, now, request, trunk),
            None => self
                .context
                .refuse(now, &request, 404, "no registrar for this domain"),
        }
    }

    fn invite_from_browser(&mut self, now: Instant, connection: ConnectionId, request: Incoming) {
        match self.route_from_browser(now, connection, &request, Proof::Asked) {
            Ok(Some(target)) => {
                let sender = self.sender(now, connection, &request.message);
                let user = sender
                    .ok()
                    .and_then(|sender| address_of_record(&sender.to_string()));
                let caller = (Side::Browser, user);
                self.calls
                    .invite(&mut self.context, now, request, caller, target);
            }
            // A challenge has been sent.
            Ok(None) => {}
            Err(no_route) => self.refuse_route(now, &request, no_route),
        }
    }

    fn is_for_calls_alone(&self, trunk: usize) -> bool {
        let config = self.context.config.trunks.get(trunk);
        config.is_some_and(|config| config.targets.is_empty())
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
        let uri = request.message.request_uri().and_then(Uri::parse);
        let allow = match uri.filter(|uri| self.is_domain_of_lines(&uri.host)) {
            Some(_) => format!("{}, REGISTER", allow_of_lines()),
            None => super::context::allow(),
        };
        response.push(HeaderName::Allow, allow);
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
        proof: Proof,
    ) -> Result<Option<Target>, NoRoute> {
        let message = &request.message;
        let given = Routes::from_browser(&self.context, &self.edge.tokens, message);
        let given = given.ok_or((400, "Route not understood"))?.onward;
        let sender = self.sender(now, connection, message)?;
        let asked = message.request_uri().and_then(Uri::parse);
        let asked = asked.ok_or((416, "no URI"))?;
        let called = asked.numbers();
        let uri = numbers::sip_of_tel(&asked, &sender.uri.host).unwrap_or(asked);
        if uri.host.is_empty() {
            return Err((416, "no sip URI"));
        }
        if let Some(trunk) = self.context.config.trunk_of_domain(&sender.uri.host) {
            let user = address_of_record(&sender.to_string()).unwrap_or_default();
            let registered = self.edge.bindings.of_user(now, connection, trunk, &user);
            let (_, binding) =
                registered.ok_or((403, "not registered at the trunk on this connection"))?;
            let config = self.context.config.trunks.get(trunk);
            let routes = allowed_routes(given, &binding.service_route, config)?;
            let preferred = identity::preferred(message, binding);
            let asserted = preferred.as_deref().unwrap_or(&user);
            let asserted = asserted.rsplit_once('@');
            let asserted = asserted.map(|(user, domain)| Uri::sip(Some(user), domain, None));
            let caller = Caller {
                message,
                asserted: asserted.unwrap_or_else(|| sender.uri.clone()),
                sender,
                routes,
            };
            return self.to_trunk(now, trunk, caller, uri, None).map(Some);
        }
        if !self.is_domain_of_lines(&sender.uri.host) {
            return Err((403, "From is of a foreign domain"));
        }
        // Lines of the house share its only trunk.
        let only = self.context.config.trunks.first();
        let only = only.filter(|_| self.context.config.trunks.len() == 1);
        let routes = allowed_routes(given, &[], only)?;
        let line = lines::named(&self.context.config.lines, &sender.uri);
        let line = line.ok_or((403, "From is no line of ours"))?;
        let number = line.number.clone();
        let context = &mut self.context;
        if proof == Proof::Asked && !self.lines.prove(context, now, request, &number) {
            return Ok(None);
        }
        let caller = Caller {
            message,
            asserted: sender.uri.clone(),
            sender,
            routes,
        };
        self.route_from_line(now, caller, &called, uri).map(Some)
    }

    fn route_from_line(
        &self,
        now: Instant,
        caller: Caller<'_>,
        called: &[String],
        uri: Uri,
    ) -> Result<Target, NoRoute> {
        let config = &self.context.config;
        if config
            .lines
            .echo
            .as_ref()
            .is_some_and(|echo| called.contains(echo))
        {
            return Ok(Target::Echo);
        }
        if let Some(line) = lines::find_any(&config.lines, called) {
            let from = caller.shown(None);
            let outgoing = self.to_line(now, &from, &line.number)?;
            return Ok(Target::Leg(Box::new(outgoing)));
        }
        match config.trunks.as_slice() {
            // Lines of the house share its only trunk.
            [only] => self.to_trunk(now, 0, caller, uri, Some(&only.domain)),
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
            let name = lines::named(config, &from.uri);
            from.set_display_name(name.map(|line| line.name.as_str()));
        }
        Ok(OutgoingInvite {
            side: Side::Browser,
            peer: Peer::WebSocket(binding.connection),
            attempt: None,
            request_uri: binding.uri(),
            from: plain_address(&from, None),
            to: NameAddr::new(to).to_string(),
            identity: None,
            is_private: false,
            routes: Vec::new(),
        })
    }

    /// The browser that a carrier's request is for: by the token of its registration, or by the
    /// number of a line.
    pub(super) fn browser_for(
        &self,
        now: Instant,
        trunk: usize,
        request: &Message,
    ) -> Result<OutgoingInvite, NoRoute> {
        let config = &self.context.config;
        let trunk_config = config.trunks.get(trunk).ok_or((403, "not from a trunk"))?;
        let asked = request.request_uri().and_then(Uri::parse);
        let asked = asked.ok_or((416, "no sip URI"))?;
        let from = caller_of_trunk(trunk_config, request);
        let from = from.ok_or((400, "From not understood"))?;
        let routes = Routes::of(&self.context, &self.edge.tokens, request)
            .ok_or((400, "Route not understood"))?;
        let Some(found) = self.found(now, trunk, request, &routes)? else {
            let called = called_numbers(trunk_config, request, &asked);
            let line = lines::find_any(&config.lines, &called);
            let line = line.ok_or((404, "no such user"))?;
            return self.to_line(now, &from, &line.number);
        };
        let uri = numbers::sip_of_tel(&asked, &trunk_config.domain).unwrap_or(asked);
        let to = found.place.address_of_record.rsplit_once('@');
        let to = to.map(|(user, domain)| Uri::sip(Some(user), domain, None));
        Ok(OutgoingInvite {
            side: Side::Browser,
            peer: Peer::WebSocket(found.connection),
            attempt: None,
            request_uri: found.uri,
            from: plain_address(&from, None),
            to: NameAddr::new(to.unwrap_or(uri)).to_string(),
            identity: None,
            is_private: false,
            routes: Vec::new(),
        })
    }

    fn is_domain_of_lines(&self, domain: &str) -> bool {
        let config = &self.context.config;
        !config.lines.entries.is_empty() && config.lines.has_domain(domain)
    }
}

/// Who calls, as a browser may be told it: with numbers as browsers are told them, unless the
/// signature over them is passed on; and nobody where the carrier leaves the hiding to us.
fn caller_of_trunk(config: &TrunkConfig, request: &Message) -> Option<NameAddr> {
    let from = request.header(HeaderName::From)?;
    let is_signed = request.header(HeaderName::Identity).is_some()
        && config.calls.pass_headers.contains(&HeaderName::Identity);
    let shown = if identity::wants_to_be_hidden(request) {
        None
    } else if is_signed {
        NameAddr::parse(from)
    } else {
        let name = numbers::name_from_trunk(&config.numbers, from, &config.domain);
        NameAddr::parse(&name)
    };
    // An address that is none is nobody's.
    shown.or_else(|| NameAddr::parse(identity::ANONYMOUS))
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

fn domain_of(value: Option<&str>) -> Option<String> {
    Some(NameAddr::parse(value?)?.uri.host)
}
