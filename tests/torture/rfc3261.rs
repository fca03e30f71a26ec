//! C1: every way of writing that RFC 3261 section 7.3 and 25 allow, in one message.

use bytes::Bytes;
use control::sip::uri::Scheme;
use control::sip::{HeaderName, Message, Method, NameAddr, Uri, Via};

use crate::subject::{accept, fixture, names};

const ODD: &str = concat!(
    "LOCATE sIp:%61lice;x=y@[2001:db8::1]:5070;TRANSPORT=tcp;lr SIP/2.0\r\n",
    // Compact names, a folded comma list, spaces where they may be, IPv6 references.
    "v: SIP/2.0/udp [2001:db8::9]:5060;BRANCH=z9hG4bKa ,\r\n",
    "\tSIP / 2.0 / TCP 192.0.2.1 ; branch = z9hG4bKb\r\n",
    "f:\"Quoted \\\"comma, \\\\\" <sip:a@b.test?subject=x%3By>;TAG=f1;x=\";\"\r\n",
    "t :\r\n  <tel:+1-201-555-0123;phone-context=x>;tag=t1\r\n",
    "i: id@[2001:db8::9]\r\n",
    "cSEQ:  1\r\n  LOCATE\r\n",
    "m: \"a, b\" <sip:x@y.test;lr>, <urn:service:sos>;q=0.5,sip:z@y.test\r\n",
    "k: path , outbound,\r\n timer\r\n",
    "MAX-forwards : 7\r\n",
    "X-New: \"a\r\n b\"\r\n",
    "l: 4\r\n\r\nbody",
);

fn addresses(message: &Message, name: HeaderName) -> Vec<NameAddr> {
    let values = message.values(name).map(NameAddr::parse);
    values.collect::<Option<Vec<_>>>().unwrap()
}

#[test]
fn c1_every_way_of_writing_is_understood_and_printed_as_it_came() {
    let bytes = Bytes::from(ODD);
    let message = accept("odd", &bytes);
    assert_eq!(message.to_bytes(), bytes);
    assert_eq!(message.method(), Method::from("LOCATE"));

    let uri = Uri::parse(message.request_uri().unwrap()).unwrap();
    assert_eq!(uri.scheme, Scheme::Sip);
    assert_eq!(uri.user_decoded().as_deref(), Some("alice;x=y"));
    assert_eq!((uri.host.as_str(), uri.port), ("[2001:db8::1]", Some(5070)));
    assert_eq!(uri.params.get("transport"), Some("tcp"));

    let vias: Vec<Via> = message
        .values(HeaderName::Via)
        .filter_map(Via::parse)
        .collect();
    let seen: Vec<_> = vias
        .iter()
        .map(|via| (via.host.as_str(), via.branch()))
        .collect();
    let expected = [
        ("[2001:db8::9]", Some("z9hG4bKa")),
        ("192.0.2.1", Some("z9hG4bKb")),
    ];
    assert_eq!(seen, expected);

    let from = addresses(&message, HeaderName::From).remove(0);
    assert_eq!(from.uri.host, "b.test");
    assert_eq!(
        (message.from_tag(), message.to_tag()),
        (Some("f1"), Some("t1"))
    );
    let to = addresses(&message, HeaderName::To).remove(0);
    assert_eq!(to.uri.scheme, Scheme::Tel);
    let contacts = addresses(&message, HeaderName::Contact);
    let schemes: Vec<&str> = contacts.iter().map(|c| c.uri.scheme.as_str()).collect();
    assert_eq!(schemes, ["sip", "urn", "sip"]);
    assert_eq!(contacts[1].params.get("Q"), Some("0.5"));

    assert_eq!(message.call_id(), "id@[2001:db8::9]");
    assert_eq!(message.cseq().unwrap().number, 1);
    assert!(message.lists_token(HeaderName::Supported, "TIMER"));
    assert_eq!(message.header(HeaderName::MaxForwards), Some("7"));
    assert_eq!(message.header("x-new"), Some("\"a b\""));
    assert_eq!(message.body(), "body");
}

#[test]
fn c1_all_messages_of_rfc_4475_and_5118_that_are_accepted_are_fixed_points() {
    for (folder, count) in [("rfc4475", 49), ("rfc5118", 12)] {
        let names = names(folder);
        assert_eq!(names.len(), count, "{folder}");
        for name in names {
            let bytes = fixture(folder, &name);
            if Message::parse(bytes.clone()).is_ok() {
                accept(&name, &bytes);
            }
        }
    }
}
