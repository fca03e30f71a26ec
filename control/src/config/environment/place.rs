//! Where a carrier is, in the forms in which people write it.

use crate::config::{ConfigError, HostPort, TargetConfig};
use crate::sip::Transport;

/// The forms, for messages.
const FORMS: &str = "write `host`, `host:port`, `[IPv6]:port`, a domain with SRV records, \
    `udp://host:port` (or `tcp://`, `tls://`), `host:port;transport=tcp` or \
    `sip:host:port;transport=tcp`";

/// A host, and how it is spoken to if that is said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Its port is 0 if none is given.
    pub(super) place: TargetConfig,
    pub(super) transport: Option<Transport>,
}

/// Reads `OUTBOUND_PROXY`.
///
/// # Errors
/// It is none of the forms.
pub(super) fn proxy(text: &str) -> Result<Place, ConfigError> {
    let refused = |why: &str| {
        let what = format!("OUTBOUND_PROXY cannot be `{}`{why}", shown(text));
        ConfigError::new(what, FORMS)
    };
    let text = text.trim();
    let inner = text.strip_prefix('<').and_then(|t| t.strip_suffix('>'));
    let mut parts = inner.unwrap_or(text).split(';');
    let head = parts.next().unwrap_or_default();
    let mut place = head_of(head).ok_or_else(|| refused(""))?;
    for part in parts {
        match parameter(part) {
            // Loose routing (RFC 3261 section 16.12) is how requests go anyway.
            ("lr", _) => {}
            ("transport", value) => {
                let named = Transport::from_parameter(value);
                let transport = named.ok_or_else(|| refused(", with this `transport`"))?;
                if !place.take_transport(transport) {
                    return Err(refused(", which names two transports"));
                }
            }
            (name, _) => return Err(refused(&format!(": `{name}` is not supported there"))),
        }
    }
    Ok(place)
}

/// Reads a host, perhaps with a scheme in front and a port behind.
pub(super) fn head_of(text: &str) -> Option<Place> {
    let (transport, authority) = without_scheme(text.trim());
    // No port that is given is 0.
    let place = HostPort::parse_authority(authority, 0)?;
    let address = place.literal().map(|address| address.ip());
    if address.is_some_and(|address| address.is_unspecified()) {
        return None;
    }
    Some(Place {
        place: TargetConfig {
            has_port: place.port != 0,
            place,
            priority: 0,
            weight: 0,
        },
        transport,
    })
}

/// The transport that a scheme in front names, and the text behind it.
pub(super) fn without_scheme(text: &str) -> (Option<Transport>, &str) {
    const SCHEMES: [(&str, Option<Transport>); 5] = [
        ("udp://", Some(Transport::Udp)),
        ("tcp://", Some(Transport::Tcp)),
        ("tls://", Some(Transport::Tls)),
        ("sips:", Some(Transport::Tls)),
        ("sip:", None),
    ];
    for (scheme, transport) in SCHEMES {
        let found = text.get(..scheme.len());
        if found.is_some_and(|found| found.eq_ignore_ascii_case(scheme)) {
            return (transport, text.get(scheme.len()..).unwrap_or_default());
        }
    }
    (None, text)
}

/// The name of a parameter and its value, which may be missing.
pub(super) fn parameter(text: &str) -> (&str, &str) {
    let (name, value) = text.split_once('=').unwrap_or((text, ""));
    (name.trim(), value.trim())
}

/// The value as messages may repeat it: what stands in front of an @ may be a password.
fn shown(text: &str) -> String {
    match text.rsplit_once('@') {
        Some((_, host)) => format!("…@{host}"),
        None => text.to_owned(),
    }
}

impl Place {
    /// False if another transport was named before.
    pub(super) fn take_transport(&mut self, transport: Transport) -> bool {
        let is_new = self.transport.is_none_or(|before| before == transport);
        self.transport = Some(transport);
        is_new
    }
}
