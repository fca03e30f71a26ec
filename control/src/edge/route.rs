//! Which Route, Record-Route and Path values are ours, and how we write them.

use super::register::token_in;
use super::token::{FlowTokens, Token};
use crate::engine::context::{BROWSER_SIDE_HOST, Context};
use crate::sip::{HeaderName, Message, NameAddr, Transport, Uri};

/// The Route values of a request, ours apart from those behind them.
#[derive(Debug, Default)]
pub(crate) struct Routes {
    /// True if the topmost value was ours.
    pub(crate) through_us: bool,
    /// The first token among our values, if it is genuine.
    pub(crate) token: Option<Token>,
    /// Where the request goes on to, topmost first.
    pub(crate) onward: Vec<String>,
}

impl Routes {
    /// Takes our values off the top. `None` if one is malformed. From a browser, whatever speaks
    /// WebSocket is us: nothing else can be reached so, and pages know us by names that we do not.
    pub(crate) fn of(context: &Context, tokens: &FlowTokens, request: &Message) -> Option<Self> {
        Self::read(context, tokens, request, false)
    }

    /// As [`Routes::of`], for a request that came from a browser.
    pub(crate) fn from_browser(
        context: &Context,
        tokens: &FlowTokens,
        request: &Message,
    ) -> Option<Self> {
        Self::read(context, tokens, request, true)
    }

    fn read(
        context: &Context,
        tokens: &FlowTokens,
        request: &Message,
        from_browser: bool,
    ) -> Option<Self> {
        let mut routes = Self::default();
        for value in request.values(HeaderName::Route) {
            let uri = NameAddr::parse(value)?.uri;
            let ours = is_ours(context, &uri) || (from_browser && speaks_websocket(&uri));
            if ours && routes.onward.is_empty() {
                routes.through_us = true;
                if routes.token.is_none() {
                    routes.token = token_in(&uri).and_then(|text| tokens.read(text));
                }
            } else {
                routes.onward.push(value.to_owned());
            }
        }
        Some(routes)
    }
}

/// Does this URI lead to us: our host and port on the trunk side, or our name for browsers?
pub(crate) fn is_ours(context: &Context, uri: &Uri) -> bool {
    if uri.host.eq_ignore_ascii_case(BROWSER_SIDE_HOST) {
        return true;
    }
    context.config.sip.as_ref().is_some_and(|sip| {
        let is_ours = |transport: Transport| {
            let port = uri.port.unwrap_or(transport.default_port());
            sip.speaks(transport) && port == sip.advertise_of(transport).port
        };
        let same_host = uri.host.eq_ignore_ascii_case(&sip.advertise.uri_host());
        same_host && Transport::ALL.into_iter().any(is_ours)
    })
}

fn speaks_websocket(uri: &Uri) -> bool {
    let transport = uri.params.get("transport").unwrap_or_default();
    transport.eq_ignore_ascii_case("ws") || transport.eq_ignore_ascii_case("wss")
}

/// The value of our Path for a user's registration: `ob` where outbound (RFC 5626 section 5.1) is
/// meant.
pub(crate) fn path(context: &Context, user: &str, token: &str, outbound: bool) -> String {
    let ob = if outbound { ";ob" } else { "" };
    let transport = context.transport_of_user(user);
    format!("<{};lr{ob}>", context.trunk_side_uri(token, transport))
}

/// Our two Record-Routes in a dialog whose peers see each other's addresses: one for each side,
/// the transports being different ones (RFC 5658 section 3).
pub(crate) struct RecordRoutes {
    /// What carriers bring back.
    pub(crate) trunk_side: String,
    /// What the browser brings back.
    pub(crate) browser_side: String,
}

impl RecordRoutes {
    /// Both name the browser's place: there its requests come from, and there they go. `user` is
    /// the address of record.
    pub(crate) fn new(context: &Context, user: &str, token: &str) -> Self {
        let transport = context.transport_of_user(user);
        let host = context.trunk_side_host(transport);
        let uri = context.trunk_side_uri(token, transport);
        Self {
            trunk_side: format!("<{uri};lr;r2=on>"),
            browser_side: format!("<sip:{token}@{host};transport=ws;lr;r2=on>"),
        }
    }
}

/// Our only Record-Route, for browsers, in a dialog in which carriers see our Contact.
pub(crate) fn record_route_of_browser(token: &str) -> String {
    format!("<sip:{token}@{BROWSER_SIDE_HOST};transport=ws;lr>")
}

/// Removes our Record-Routes from a message.
pub(crate) fn remove_own_record_routes(context: &Context, message: &mut Message) {
    let is_other =
        |value: &&str| NameAddr::parse(value).is_none_or(|address| !is_ours(context, &address.uri));
    let all: Vec<String> = message
        .values(HeaderName::RecordRoute)
        .map(str::to_owned)
        .collect();
    let kept: Vec<&String> = all.iter().filter(|v| is_other(&v.as_str())).collect();
    if kept.len() < all.len() {
        message.remove(HeaderName::RecordRoute);
        for value in kept {
            message.push(HeaderName::RecordRoute, value.as_str());
        }
    }
}
