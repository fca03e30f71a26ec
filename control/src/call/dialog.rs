//! One dialog (RFC 3261 section 12): what a leg needs to make requests of its own and to recognise
//! the peer's.

use crate::sip::header::params::without_tags;
use crate::sip::uri::Scheme;
use crate::sip::{Contact, HeaderName, Message, Method, NameAddr, Uri};

/// A dialog, early or confirmed, as either side sees it.
#[derive(Clone, Debug)]
pub(crate) struct Dialog {
    pub(crate) call_id: String,
    /// True if we have made it, and with it the Call-ID.
    pub(crate) is_ours: bool,
    pub(crate) local_tag: String,
    /// Unknown on the calling side until the first response with a tag.
    pub(crate) remote_tag: Option<String>,
    /// Value of our From (or To), without tag.
    pub(crate) local: String,
    /// Value of the peer's To (or From), without tag.
    pub(crate) remote: String,
    /// Request-URI of our requests: the peer's Contact.
    pub(crate) remote_target: String,
    /// Route headers of our requests, topmost first.
    pub(crate) route_set: Vec<String>,
    /// Sequence number of our last request.
    pub(crate) local_sequence: u32,
    /// How far the next one is from it: more than 1 where requests may be sent again with
    /// credentials.
    pub(crate) stride: u32,
    /// Sequence number of the peer's last request.
    pub(crate) remote_sequence: Option<u32>,
    /// `RSeq` of the peer's last provisional response that we acknowledged (RFC 3262).
    pub(crate) reliable_sequence: Option<u32>,
    /// Value of the Session-ID of our messages (RFC 7989).
    pub(crate) session_id: Option<String>,
}

/// A request of the peer is out of order (RFC 3261 section 12.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OutOfOrder;

impl Dialog {
    /// The dialog that an incoming INVITE makes. `None` when it has no Contact.
    pub(crate) fn of_server(invite: &Message, local_tag: String) -> Option<Self> {
        let from = invite.header(HeaderName::From)?;
        Some(Self {
            call_id: invite.header(HeaderName::CallId)?.to_owned(),
            is_ours: false,
            local_tag,
            remote_tag: invite.from_tag().map(str::to_owned),
            local: without_tag(invite.header(HeaderName::To)?),
            remote: without_tag(from),
            remote_target: contact_uri(invite)?,
            route_set: routes_of(invite),
            local_sequence: 0,
            stride: 1,
            remote_sequence: sequence(invite),
            reliable_sequence: None,
            session_id: None,
        })
    }

    /// The dialog that a 2xx to an INVITE of ours has made, of what the 2xx alone says.
    pub(crate) fn of_response(response: &Message) -> Option<Self> {
        let mut dialog = Self {
            call_id: response.call_id().to_owned(),
            is_ours: true,
            local_tag: response.from_tag()?.to_owned(),
            remote_tag: None,
            local: without_tag(response.header(HeaderName::From)?),
            remote: without_tag(response.header(HeaderName::To)?),
            remote_target: contact_uri(response)?,
            route_set: Vec::new(),
            local_sequence: sequence(response)?,
            stride: 1,
            remote_sequence: None,
            reliable_sequence: None,
            session_id: None,
        };
        dialog.learn_from_response(response);
        Some(dialog)
    }

    /// The dialog of another fork of the same INVITE, with this sequence number.
    pub(crate) fn of_fork(&self, invite_sequence: u32) -> Self {
        Self {
            remote_tag: None,
            route_set: Vec::new(),
            local_sequence: invite_sequence,
            remote_sequence: None,
            reliable_sequence: None,
            ..self.clone()
        }
    }

    /// Learns from a response to the INVITE that makes the dialog: tag, target, and the route set
    /// (reversed, RFC 3261 section 12.1.2). The 2xx has the last word, and may be of another fork
    /// than what came before it (section 13.2.2.4).
    pub(crate) fn learn_from_response(&mut self, response: &Message) {
        self.refresh_target(response);
        let Some(tag) = response.to_tag() else { return };
        self.remote_tag = Some(tag.to_owned());
        self.route_set = routes_of(response);
        self.route_set.reverse();
    }

    /// Learns from a response to a re-INVITE: the target only (RFC 3261 section 12.2.1.2).
    pub(crate) fn refresh_target(&mut self, response: &Message) {
        if let Some(target) = contact_uri(response) {
            self.remote_target = target;
        }
    }

    /// Takes the sequence number and, of a target refresh, the new Contact of a peer's request.
    pub(crate) fn learn_from_request(&mut self, request: &Message) -> Result<(), OutOfOrder> {
        let number = sequence(request).ok_or(OutOfOrder)?;
        if self.remote_sequence.is_some_and(|last| number < last) {
            return Err(OutOfOrder);
        }
        self.remote_sequence = Some(number);
        let refreshes = matches!(request.method(), Method::Invite | Method::Update);
        if let Some(target) = contact_uri(request).filter(|_| refreshes) {
            self.remote_target = target;
        }
        Ok(())
    }

    /// A request in this dialog, with the next sequence number.
    pub(crate) fn request(&mut self, method: Method) -> Message {
        self.local_sequence += self.stride;
        self.request_with_sequence(method, self.local_sequence)
    }

    /// A request with a given sequence number: ACK carries that of its INVITE.
    pub(crate) fn request_with_sequence(&self, method: Method, sequence: u32) -> Message {
        let name = method.as_str().to_owned();
        // RFC 3261 section 12.2.1.1: a first route without `lr` takes the place of the target.
        let first = self.route_set.first().and_then(|route| strict_uri(route));
        let strict = first.filter(|_| self.remote_tag.is_some());
        let target = strict.as_deref().unwrap_or(&self.remote_target);
        let mut request = Message::request(method, target);
        request.push(HeaderName::MaxForwards, "70");
        for route in self.route_set.iter().skip(usize::from(strict.is_some())) {
            request.push(HeaderName::Route, route.as_str());
        }
        if strict.is_some() {
            request.push(HeaderName::Route, format!("<{}>", self.remote_target));
        }
        request.push(
            HeaderName::From,
            format!("{};tag={}", self.local, self.local_tag),
        );
        let to = match &self.remote_tag {
            Some(tag) => format!("{};tag={tag}", self.remote),
            None => self.remote.clone(),
        };
        request.push(HeaderName::To, to);
        request.push(HeaderName::CallId, self.call_id.as_str());
        request.push(HeaderName::CSeq, format!("{sequence} {name}"));
        self.name_session(&mut request);
        request
    }

    /// Puts the Session-ID into a message of ours.
    pub(crate) fn name_session(&self, message: &mut Message) {
        if let Some(value) = &self.session_id {
            message.set(HeaderName::SessionId, value.as_str());
        }
    }
}

/// The number of a message's CSeq.
pub(crate) fn sequence(message: &Message) -> Option<u32> {
    message.cseq().map(|sequence| sequence.number)
}

/// The URI of the first Contact: of SIP or SIPS (RFC 3261 section 8.1.1.8).
pub(crate) fn contact_uri(message: &Message) -> Option<String> {
    let uri = first_contact(message)?;
    matches!(uri.scheme, Scheme::Sip | Scheme::Sips).then(|| uri.to_string())
}

/// Is the first Contact an address that no request can be sent to?
pub(crate) fn has_alien_contact(message: &Message) -> bool {
    first_contact(message).is_some_and(|uri| !matches!(uri.scheme, Scheme::Sip | Scheme::Sips))
}

fn first_contact(message: &Message) -> Option<Uri> {
    match Contact::parse(message.values(HeaderName::Contact).next()?)? {
        Contact::Address(contact) => Some(contact.uri),
        Contact::Star => None,
    }
}

/// The routes that a message records. Without brackets the parameters would be those of the
/// header (RFC 3261 section 20); whoever writes so means those of the URI.
fn routes_of(message: &Message) -> Vec<String> {
    let routes = message.values(HeaderName::RecordRoute);
    let bracketed = |route: &str| match route.contains('<') {
        true => route.to_owned(),
        false => format!("<{}>", route.trim()),
    };
    routes.map(bracketed).collect()
}

/// The URI of a route to a strict router, as it may stand in a Request-URI.
fn strict_uri(route: &str) -> Option<String> {
    let NameAddr {
        mut uri, params, ..
    } = NameAddr::parse(route)?;
    if uri.params.has("lr") || params.has("lr") {
        return None;
    }
    uri.params.remove("method");
    uri.headers.clear();
    Some(uri.to_string())
}

/// A From or To value without its tag.
pub(crate) fn without_tag(value: &str) -> String {
    let Some(mut address) = NameAddr::parse(value) else {
        return without_tags(value);
    };
    address.params.remove("tag");
    address.to_string()
}
