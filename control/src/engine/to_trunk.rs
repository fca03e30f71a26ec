//! A browser's request on its way to a trunk: where it goes there, and what the carrier is told.

use std::time::Instant;

use super::Engine;
use super::routing::{NO_TARGET, NoRoute, SIPS_NOT_ALLOWED};
use crate::call::leg::Side;
use crate::call::outgoing::{OutgoingInvite, plain_address};
use crate::call::setup::Target;
use crate::config::TrunkConfig;
use crate::edge::address_of_record;
use crate::edge::identity::{self, is_anonymous};
use crate::sip::uri::{Scheme, escape_user};
use crate::sip::{HeaderName, Message, Method, NameAddr, Transport, Uri};
use crate::trunk::numbers;

/// Whose call it is, once that is proven.
pub(super) struct Caller<'r> {
    pub(super) message: &'r Message,
    pub(super) sender: NameAddr,
    /// Who the carrier is told that it is.
    pub(super) asserted: Uri,
    /// The way that the registrar named (RFC 3608).
    pub(super) routes: Vec<String>,
}

impl Caller<'_> {
    /// From, in this domain if one is given: nobody, where the caller hides.
    pub(super) fn shown(&self, domain: Option<&str>) -> NameAddr {
        let shown = match identity::hides_sender(self.message) {
            true => identity::ANONYMOUS.to_owned(),
            false => plain_address(&self.sender, domain),
        };
        NameAddr::parse(&shown).unwrap_or_else(|| self.sender.clone())
    }
}

impl Engine {
    /// The carrier gets the Request-URI that the browser's digest names, without the browser's
    /// transport, and with its number as the trunk writes numbers; lines of the house call in the
    /// trunk's domain. What the caller has signed (RFC 8224) is not rewritten.
    pub(super) fn to_trunk(
        &self,
        now: Instant,
        index: usize,
        caller: Caller<'_>,
        mut uri: Uri,
        domain: Option<&str>,
    ) -> Result<Target, NoRoute> {
        let config = self.context.config.trunks.get(index).ok_or(NO_TARGET)?;
        let user = plain_address(&caller.sender, domain);
        let is_call = caller.message.method() == Method::Invite;
        let trunks = &self.context.trunks;
        let mut attempt = match is_call {
            true => trunks.route_of_call(now, index, &user_of(&user)),
            false => trunks.route(now, index, &user_of(&user)),
        };
        let peer = attempt.take().ok_or(NO_TARGET)?;
        uri.params.remove("transport");
        uri.headers.clear();
        let mut asserted = caller.asserted.clone();
        if let Some(domain) = domain {
            domain.clone_into(&mut uri.host);
            uri.port = None;
            asserted = Uri::sip(asserted.user_decoded().as_deref(), domain, None);
        }
        self.check_sips(index, &mut uri)?;
        let mut from = caller.shown(domain);
        let is_signed = caller.message.header(HeaderName::Identity).is_some()
            && domain.is_none()
            && !config.renumbers_calls();
        if !is_signed {
            for address in [&mut uri, &mut from.uri, &mut asserted] {
                numbers::to_trunk(&config.numbers, address);
            }
        }
        if is_call {
            renumber(config, &mut uri, [&mut from.uri, &mut asserted]);
        }
        let own = self.context.registrations.get(index);
        let routes = match own.map(|own| own.service_route.clone()) {
            Some(routes) if caller.routes.is_empty() => routes,
            Some(_) | None => caller.routes,
        };
        // What the registrar has named does not lead to where calls go.
        let routes = match is_call && config.call_route.is_some() {
            true => Vec::new(),
            false => routes,
        };
        Ok(Target::Leg(Box::new(OutgoingInvite {
            side: Side::Trunk(index),
            peer,
            attempt: Some(attempt),
            request_uri: uri.to_string(),
            from: from.to_string(),
            to: NameAddr::new(uri).to_string(),
            identity: (config.calls.assert_identity).then(|| NameAddr::new(asserted).to_string()),
            is_private: is_anonymous(&from.uri),
            routes,
        })))
    }

    /// A `sips` URI asks for TLS on every hop (RFC 3261 section 26.2.2): without it the request goes
    /// nowhere, unless the operator has said that such a URI means no more than `sip`.
    pub(super) fn check_sips(&self, trunk: usize, uri: &mut Uri) -> Result<(), NoRoute> {
        if uri.scheme != Scheme::Sips || self.context.trunks.transport(trunk) == Transport::Tls {
            return Ok(());
        }
        let config = self.context.config.trunks.get(trunk);
        if !config.is_some_and(|config| config.sips_as_sip) {
            return Err(SIPS_NOT_ALLOWED);
        }
        uri.scheme = Scheme::Sip;
        Ok(())
    }
}

/// Calls of a trunk may all come from one number, and go to one. Nobody who hides is named.
fn renumber(config: &TrunkConfig, called: &mut Uri, callers: [&mut Uri; 2]) {
    if let Some(number) = &config.called_number {
        called.user = Some(escape_user(number));
    }
    let Some(number) = &config.caller_number else {
        return;
    };
    for caller in callers {
        if !is_anonymous(caller) {
            caller.user = Some(escape_user(number));
        }
    }
}

/// The address of record in a From.
fn user_of(from: &str) -> String {
    address_of_record(from).unwrap_or_default()
}
