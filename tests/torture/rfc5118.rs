//! RFC 5118, in the order of its sections.
//!
//! The fixtures are the files of its appendix A. These have line feeds where SIP has CRLF, two lack
//! the empty line behind the header, and one says a Content-Length that no count of its body gives
//! (268 for 242 bytes with line feeds, 251 with CRLF). [`corrected`] undoes those three faults and
//! nothing else; what they are good for is tested first.

use bytes::Bytes;
use control::sip::{HeaderName, Message, NameAddr, ParseError, Uri, Via};

use crate::subject::{self, fixture};

const FOLDER: &str = "rfc5118";

/// The message as the text of the RFC means it.
fn corrected(name: &str) -> Bytes {
    let text = String::from_utf8(fixture(FOLDER, name).to_vec())
        .unwrap()
        .replace('\n', "\r\n");
    let text = if text.contains("\r\n\r\n") {
        text
    } else {
        text + "\r\n"
    };
    let body = text
        .split_once("\r\n\r\n")
        .map_or(0, |(_, body)| body.len());
    let lengths = [("236", "245"), ("268", "251"), ("181", "189")];
    let wrong = |(said, _): &(&str, &str)| text.contains(&format!("Content-Length: {said}\r\n"));
    let text = match lengths.into_iter().find(wrong) {
        Some((said, right)) => {
            assert_eq!(right, body.to_string());
            text.replace(
                &format!("Content-Length: {said}"),
                &format!("Content-Length: {right}"),
            )
        }
        None => text,
    };
    Bytes::from(text)
}

fn accepted(name: &str) -> Message {
    subject::accept(name, &corrected(name))
}

fn target(message: &Message) -> Uri {
    Uri::parse(message.request_uri().unwrap()).unwrap()
}

#[test]
fn every_message_of_the_rfc_has_a_test() {
    let names = subject::names(FOLDER);
    assert_eq!(names.len(), 12);
    for name in names {
        let call = format!("(\"{name}\")");
        assert!(include_str!("rfc5118.rs").contains(&call), "{name}");
    }
}

#[test]
fn lines_that_end_with_a_line_feed_alone_are_refused() {
    // RFC 3261 section 7 demands CRLF, and an element that takes less can be made to see other
    // headers than its neighbour.
    for name in subject::names(FOLDER) {
        let error = subject::refuse(&name, &fixture(FOLDER, &name));
        assert!(
            matches!(error, ParseError::StrayControl { .. }),
            "{name}: {error}"
        );
    }
}

#[test]
fn an_ipv6_reference() {
    let message = accepted("ipv6-good");
    assert_eq!(
        target(&message).ip_address().unwrap().to_string(),
        "2001:db8::10"
    );
    let via = Via::top(&message).unwrap();
    assert_eq!((via.host.as_str(), via.port), ("[2001:db8::9:1]", None));
    let contact = NameAddr::parse(message.header(HeaderName::Contact).unwrap()).unwrap();
    assert_eq!(contact.uri.host, "[2001:db8::1]");
}

#[test]
fn an_ipv6_address_without_brackets() {
    let error = subject::refuse("ipv6-bad", &corrected("ipv6-bad"));
    assert_eq!(
        error,
        ParseError::RequestUri {
            offset: "REGISTER ".len()
        }
    );
    assert_eq!(error.status(), 400);
}

#[test]
fn a_port_inside_of_the_brackets_is_part_of_the_address() {
    let uri = target(&accepted("port-ambiguous"));
    assert_eq!((uri.host.as_str(), uri.port), ("[2001:db8::10:5070]", None));
}

#[test]
fn a_port_outside_of_the_brackets_is_a_port() {
    let uri = target(&accepted("port-unambiguous"));
    assert_eq!(
        uri.socket_address().unwrap().to_string(),
        "[2001:db8::10]:5070"
    );
}

#[test]
fn received_with_brackets() {
    let via = Via::top(&accepted("via-received-param-with-delim")).unwrap();
    assert_eq!(via.received().unwrap().to_string(), "2001:db8::9:255");
}

#[test]
fn received_without_brackets() {
    let via = Via::top(&accepted("via-received-param-no-delim")).unwrap();
    assert_eq!(via.received().unwrap().to_string(), "2001:db8::9:255");
    assert_eq!(via.branch(), Some("z9hG4bKas3"));
}

#[test]
fn ipv6_addresses_in_a_session_description() {
    let message = accepted("ipv6-in-sdp");
    let description = control::sdp::SessionDescription::parse(message.body()).unwrap();
    assert_eq!(description.origin.address, "IN IP6 2001:db8::20");
    assert_eq!(description.media.len(), 2);
    // As the RFC has it, the body is shorter than its Content-Length (RFC 3261 section 18.3).
    let text = String::from_utf8(corrected("ipv6-in-sdp").to_vec()).unwrap();
    let as_printed = text.replace("Content-Length: 251", "Content-Length: 268");
    let error = subject::refuse("ipv6-in-sdp", &Bytes::from(as_printed));
    assert!(matches!(error, ParseError::ContentLength { .. }), "{error}");
}

#[test]
fn a_mix_of_addresses_in_via() {
    let message = accepted("mult-ip-in-header");
    let vias: Vec<Via> = message
        .values(HeaderName::Via)
        .map(|value| Via::parse(value).unwrap())
        .collect();
    let sent_by: Vec<String> = vias.iter().map(Via::sent_by).collect();
    assert_eq!(
        sent_by,
        ["[2001:db8::9:1]:6050", "192.0.2.1", "[2001:db8::9:255]"]
    );
    assert_eq!(vias[2].received().unwrap().to_string(), "192.0.2.200");
}

#[test]
fn a_mix_of_addresses_in_a_session_description() {
    let message = accepted("mult-ip-in-sdp");
    let description = control::sdp::SessionDescription::parse(message.body()).unwrap();
    assert_eq!(description.media.len(), 2);
}

#[test]
fn ipv4_mapped_addresses() {
    let message = accepted("ipv4-mapped-ipv6");
    let top = Via::top(&message).unwrap();
    assert_eq!(
        (top.host.as_str(), top.port),
        ("[::ffff:192.0.2.10]", Some(19823))
    );
    let contact = NameAddr::parse(message.header(HeaderName::Contact).unwrap()).unwrap();
    assert_eq!(contact.display_name().as_deref(), Some("T. desk phone"));
    let address = contact.uri.ip_address().unwrap();
    assert_eq!(address.to_canonical().to_string(), "192.0.2.2");
}

#[test]
fn a_third_colon_in_front_of_an_ipv4_address() {
    // Tolerated, as the RFC asks; it leaves as it came.
    let uri = target(&accepted("ipv6-bug-abnf-3-colons"));
    assert_eq!(uri.host, "[2001:db8:::192.0.2.1]");
    let right = target(&accepted("ipv6-correct-abnf-2-colons"));
    assert_eq!(uri.ip_address(), right.ip_address());
    assert!(right.ip_address().is_some());
    assert_eq!(Uri::parse("sip:user@[2001:db8:::1]"), None, "only there");
}
