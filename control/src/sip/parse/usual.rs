//! Values in the form that nearly all of them have, told in one look.
//!
//! Each test says yes only if the full check says yes; on no, the full check decides. So this is
//! about time and nothing else: a browser's or a carrier's Request-URI, Via, From and To need no
//! more than this, which is two thirds of the checks of a message.

use crate::sip::chars::Class;

/// Tells whether this is `sip:user@host:port`, user and port optional.
pub(super) fn is_uri(uri: &[u8]) -> bool {
    skip_uri(uri) == Some(b"")
}

/// Tells whether this is `"Name" <sip:user@host:port>;tag=token`, all but the address optional.
pub(super) fn is_party(value: &[u8]) -> bool {
    let address = match value {
        [b'"', quoted @ ..] => Class::PLAIN.skip(quoted).strip_prefix(b"\" <"),
        _ => value.strip_prefix(b"<"),
    };
    match address.and_then(skip_uri) {
        Some([b'>']) => true,
        Some([b'>', params @ ..]) => match params.strip_prefix(b";tag=") {
            Some(tag) => !tag.is_empty() && Class::TOKEN.has_all(tag),
            None => false,
        },
        Some(_) | None => false,
    }
}

/// Tells whether this is `SIP/2.0/UDP host:port;name=value;flag`, port and parameters optional.
pub(super) fn is_via(value: &[u8]) -> bool {
    let Some(transport) = value.strip_prefix(b"SIP/2.0/") else {
        return false;
    };
    let mut rest = match skip_some(Class::TOKEN, transport) {
        Some([b' ', sent_by @ ..]) => skip_host_port(sent_by),
        Some(_) | None => None,
    };
    while let Some([b';', param @ ..]) = rest {
        rest = match skip_some(Class::TOKEN, param) {
            Some([b'=', value @ ..]) => Some(Class::TOKEN.skip(value)),
            flag => flag,
        };
    }
    rest == Some(b"")
}

fn skip_uri(text: &[u8]) -> Option<&[u8]> {
    let rest = text.strip_prefix(b"sip:")?;
    match skip_some(Class::USER, rest) {
        Some([b'@', host @ ..]) => skip_host_port(host),
        Some(_) | None => skip_host_port(rest),
    }
}

fn skip_host_port(text: &[u8]) -> Option<&[u8]> {
    match skip_some(Class::HOST, text)? {
        [b':', port @ ..] => {
            let rest = skip_some(Class::DIGIT, port)?;
            let is_port = match port.len() - rest.len() {
                0..=4 => true,
                5 => port < b"6".as_slice(),
                _ => false,
            };
            is_port.then_some(rest)
        }
        rest => Some(rest),
    }
}

fn skip_some(class: Class, text: &[u8]) -> Option<&[u8]> {
    Some(class.skip(text)).filter(|rest| rest.len() < text.len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{is_party, is_uri, is_via};
    use crate::sip::header::via::Via;
    use crate::sip::uri::{NameAddr, Uri};

    #[test]
    fn knows_what_browsers_and_carriers_send() {
        for uri in [
            "sip:example.com",
            "sip:+4930@192.0.2.1:55060",
            "sip:a@b:5060",
        ] {
            assert!(is_uri(uri.as_bytes()), "{uri}");
        }
        for value in [
            "<sip:alice@example.com>;tag=a1",
            "\"Alice\" <sip:alice@example.com>;tag=8r1dcm1bqf",
            "<sip:+4930123456@198.51.100.1:5060>",
        ] {
            assert!(is_party(value.as_bytes()), "{value}");
        }
        for value in [
            "SIP/2.0/WSS 2qv5b4kbcvah.invalid;branch=z9hG4bK6687512",
            "SIP/2.0/UDP 192.0.2.1:5060;rport;branch=z9hG4bK-1;received=192.0.2.9",
        ] {
            assert!(is_via(value.as_bytes()), "{value}");
        }
    }

    #[test]
    fn leaves_what_may_be_no_port_to_the_full_check() {
        for uri in ["sip:a:65536", "sip:a:60000", "sip:a@b:000001", "sip:a@b:"] {
            assert!(!is_uri(uri.as_bytes()), "{uri}");
        }
        assert!(!is_party(b"<sip:a:99999>"));
        assert!(!is_via(b"SIP/2.0/UDP a:65536"));
    }

    /// A Via, or nearly one, with up to two parameters.
    const VIA: &str = concat!(
        "(SIP/2.0/)?[A%/]{0,2}[ \t]?[a.:]{0,3}(:[0-9]{0,6})?",
        "(;[a%]{0,2}=?[a\",]{0,3}){0,2}"
    );

    proptest! {
        #[test]
        fn says_yes_only_if_the_full_check_does(
            uri in "(sip:)?[a%;?:+é]{0,4}@?[a.:\\[\\]-]{0,3}(:[0-9]{0,6})?[;?>]?",
            display in "(\"[a\\\\;é]{0,2}\"? ?)?",
            tail in "(;tag=?[a\"%]{0,2}[;>]?)?",
            via in VIA,
        ) {
            prop_assert!(!is_uri(uri.as_bytes()) || Uri::is_valid_target(&uri));
            let value = format!("{display}<{uri}>{tail}");
            prop_assert!(!is_party(value.as_bytes()) || NameAddr::is_valid_party(&value));
            prop_assert!(!is_via(via.as_bytes()) || Via::is_valid(&via));
        }
    }
}
