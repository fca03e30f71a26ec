use bytes::Bytes;
use proptest::prelude::*;

use crate::sip::limits::{HEADER_LINE_BYTES_MAX, HEADER_LINES_MAX, MESSAGE_BYTES_MAX};
use crate::sip::{Contact, HeaderName, Message, Method, NameAddr, ParseError, Uri, Via};

/// Messages of RFC 4475 section 3, by name; one LF stands for CRLF.
mod torture;

fn wire(text: &str) -> Bytes {
    Bytes::from(text.replace('\n', "\r\n"))
}

fn parse(text: &str) -> Result<Message, ParseError> {
    Message::parse(wire(text))
}

const OPTIONS: &str = "OPTIONS sip:bob@example.com SIP/2.0
Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1
From: <sip:alice@example.com>;tag=a
To: <sip:bob@example.com>
Call-ID: c@192.0.2.1
CSeq: 7 OPTIONS
";

fn options_with(lines: &str) -> String {
    format!("{OPTIONS}{lines}\n")
}

const JSSIP_REGISTER: &str = "REGISTER sip:example.com SIP/2.0
Via: SIP/2.0/WSS 2qv5b4kbcvah.invalid;branch=z9hG4bK6687512
Max-Forwards: 69
To: <sip:alice@example.com>
From: \"Alice, A.\" <sip:alice@example.com>;tag=t8gd0k3ho2
Call-ID: bpf3nmqlj9khq3ivtlbf5k
CSeq: 1 REGISTER
Contact: <sip:r3n2kp0s@2qv5b4kbcvah.invalid;transport=ws>;+sip.ice;reg-id=1;+sip.instance=\"<urn:uuid:0b3c6f3e-6a0f-4d6b-9a43-0e8a2d2a4f51>\";expires=600
Expires: 600
Allow: INVITE,ACK,CANCEL,BYE,UPDATE,MESSAGE,OPTIONS,REFER,INFO,NOTIFY
Supported: path,gruu,outbound
User-Agent: JsSIP 3.13.8
Content-Length: 0

";

const JSSIP_INVITE: &str = "INVITE sip:+4930123456@example.com SIP/2.0
Via: SIP/2.0/WSS 2qv5b4kbcvah.invalid;branch=z9hG4bK8846173
Max-Forwards: 69
To: <sip:+4930123456@example.com>
From: \"Alice\" <sip:alice@example.com>;tag=8r1dcm1bqf
Call-ID: 2qv5bm9c6t9k0i3n1d2h
CSeq: 4310 INVITE
Contact: <sip:alice@example.com;gr=urn:uuid:0b3c6f3e-6a0f-4d6b-9a43-0e8a2d2a4f51;ob>
Content-Type: application/sdp
Session-Expires: 90
Allow: INVITE,ACK,CANCEL,BYE,UPDATE,MESSAGE,OPTIONS,REFER,INFO,NOTIFY
Supported: timer,gruu,ice,replaces,outbound
User-Agent: JsSIP 3.13.8
Content-Length: 7

v=0
s=";

#[test]
fn reads_and_prints_the_messages_of_jssip_byte_for_byte() {
    for text in [JSSIP_REGISTER, JSSIP_INVITE] {
        // The last line of the body has no line break.
        let message = parse(text).unwrap();
        assert_eq!(message.to_bytes(), wire(text));
    }
    let register = parse(JSSIP_REGISTER).unwrap();
    let contacts = Contact::all(&register).unwrap();
    let [Contact::Address(contact)] = contacts.as_slice() else {
        panic!("one contact")
    };
    assert_eq!(
        contact.params.get("+sip.instance").unwrap().len(),
        "<urn:uuid:>".len() + 36
    );
    assert_eq!(contact.params.get("reg-id"), Some("1"));
    assert_eq!(contact.uri.params.get("transport"), Some("ws"));
    assert_eq!(register.from_tag(), Some("t8gd0k3ho2"));
    assert!(register.lists_token(HeaderName::Supported, "outbound"));
    let via = Via::top(&register).unwrap();
    assert_eq!(
        (via.transport.as_str(), via.host.as_str()),
        ("WSS", "2qv5b4kbcvah.invalid")
    );
    let invite = parse(JSSIP_INVITE).unwrap();
    assert_eq!(invite.body().as_ref(), b"v=0\r\ns=");
    assert_eq!(invite.method(), Method::Invite);
    assert_eq!(
        invite.header("x"),
        Some("90"),
        "compact name of Session-Expires"
    );
}

#[test]
fn accepts_the_valid_torture_messages_and_prints_what_it_read() {
    for (name, text) in torture::VALID {
        let bytes = wire(text);
        let message = Message::parse(bytes.clone()).unwrap_or_else(|e| panic!("{name}: {e}"));
        let printed = message.to_bytes();
        let again = Message::parse(printed.clone()).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(again.to_bytes(), printed, "{name}");
        if *name != "dblreq" {
            assert_eq!(printed, bytes, "{name}");
        }
    }
}

#[test]
fn refuses_the_invalid_torture_messages() {
    for (name, status, text) in torture::INVALID {
        let error = parse(text).map(|_| ()).expect_err(name);
        assert_eq!(error.status(), *status, "{name}: {error}");
    }
}

#[test]
fn reads_the_tortuous_invite_as_the_rfc_means_it() {
    let (_, text) = torture::VALID[0];
    let message = parse(text).unwrap();
    assert_eq!(message.to_tag(), Some("1918181833n"));
    assert_eq!(message.from_tag(), Some("98asjd8"));
    assert_eq!(message.cseq().unwrap().to_string(), "9 INVITE");
    assert_eq!(message.header(HeaderName::MaxForwards), Some("0068"));
    assert_eq!(message.header(HeaderName::Subject), Some(""));
    assert_eq!(message.values(HeaderName::Via).count(), 3);
    assert_eq!(Via::top(&message).unwrap().branch(), Some("390skdjuw"));
    let second = Via::parse(message.values(HeaderName::Via).nth(1).unwrap()).unwrap();
    assert_eq!(
        (second.host.as_str(), second.branch()),
        ("spindle.example.com", Some("z9hG4bK9ikj8"))
    );
    let contact = NameAddr::parse(message.header(HeaderName::Contact).unwrap()).unwrap();
    assert_eq!(contact.display_name().unwrap(), "Quoted string \"\"");
    assert_eq!(contact.params.get("newparam"), Some("newvalue"));
    assert_eq!(contact.params.get("q"), Some("0.33"));
    let folded = message.header("NewFangledHeader").unwrap();
    assert_eq!(folded, "newfangled value continued newfangled value");
}

#[test]
fn cuts_the_body_at_content_length() {
    let message = parse(&options_with("Content-Length: 2\n\nabcd")).unwrap();
    // `options_with` ends the text with one more line break.
    assert_eq!(message.body().as_ref(), b"ab");
}

#[test]
fn takes_the_rest_as_body_without_content_length() {
    let message = parse(&format!("{OPTIONS}\nabcd")).unwrap();
    assert_eq!(message.body().as_ref(), b"abcd");
    assert!(
        message
            .to_bytes()
            .ends_with(b"Content-Length: 4\r\n\r\nabcd")
    );
}

#[test]
fn skips_line_breaks_in_front() {
    assert!(parse(&format!("\n\n{OPTIONS}\n")).is_ok());
}

#[test]
fn names_what_is_wrong_and_where() {
    let case = |lines: &str| parse(&options_with(lines)).map(|_| ()).unwrap_err();
    let offset = wire(OPTIONS).len();
    let single = |name| ParseError::RepeatedHeader { name, offset };
    let length = ParseError::ContentLength { offset };
    assert_eq!(case("Content-Length: 1\n"), length);
    assert_eq!(case("Content-Length: -1\n"), length);
    assert_eq!(case("Content-Length: +0\n"), length);
    assert_eq!(case("Content-Length: \n"), length);
    assert_eq!(case("Content-Length: 0, 0\n"), length);
    assert_eq!(case("Content-Length: 99999999999999999999999\n"), length);
    let second = ParseError::ContentLength {
        offset: offset + "l: 0\r\n".len(),
    };
    assert_eq!(case("l: 0\nContent-Length: 1\n\nabc"), second);
    assert_eq!(case("t: <sip:eve@example.com>\n"), single(HeaderName::To));
    assert_eq!(
        case("From: <sip:eve@example.com>;tag=b\n"),
        single(HeaderName::From)
    );
    assert_eq!(case("i: other\n"), single(HeaderName::CallId));
    assert_eq!(case("CSeq: 8 OPTIONS\n"), single(HeaderName::CSeq));
    assert_eq!(case("no colon here\n"), ParseError::HeaderLine { offset });
    assert_eq!(case(": no name\n"), ParseError::HeaderLine { offset });
    assert_eq!(case("Bad Name: x\n"), ParseError::HeaderLine { offset });
    let max_forwards = ParseError::HeaderValue {
        name: HeaderName::MaxForwards,
        offset,
    };
    assert_eq!(case("Max-Forwards: 256\n"), max_forwards);
    assert_eq!(case("Max-Forwards: many\n"), max_forwards);
}

#[test]
fn refuses_what_another_element_could_take_for_a_line_break() {
    for stray in [
        "X: a\rInjected: b\r\n",
        "X: a\nInjected: b\r\n",
        "X: a\0b\r\n",
    ] {
        let text = [wire(OPTIONS).as_ref(), stray.as_bytes(), b"\r\n"].concat();
        let error = Message::parse(Bytes::from(text)).unwrap_err();
        assert!(
            matches!(error, ParseError::StrayControl { .. }),
            "{stray:?}: {error}"
        );
    }
}

#[test]
fn refuses_messages_that_lack_a_mandatory_header() {
    for name in ["Via", "From", "To", "Call-ID", "CSeq"] {
        let kept: String = OPTIONS
            .lines()
            .filter(|line| !line.starts_with(&format!("{name}:")))
            .map(|line| format!("{line}\n"))
            .collect();
        let error = parse(&format!("{kept}\n")).unwrap_err();
        assert_eq!(
            error,
            ParseError::MissingHeader {
                name: HeaderName::from(name)
            }
        );
    }
}

#[test]
fn refuses_odd_start_lines() {
    let rest = |line: &str| {
        let text = OPTIONS.replacen("OPTIONS sip:bob@example.com SIP/2.0", line, 1) + "\n";
        parse(&text).map(|_| ()).unwrap_err().status()
    };
    assert_eq!(rest("OPTIONS sip:bob@example.com SIP/7.0"), 505);
    assert_eq!(rest("OPTIONS sip:bob@example.com HTTP/1.1"), 400);
    assert_eq!(rest("OPTIONS  sip:bob@example.com SIP/2.0"), 400);
    assert_eq!(rest("OPTIONS sip:bob@example.com"), 400);
    assert_eq!(rest("OPTIONS"), 400);
    assert_eq!(
        rest("BYE sip:bob@example.com SIP/2.0"),
        400,
        "CSeq says OPTIONS"
    );
    assert_eq!(rest("SIP/2.0 99 Low"), 400);
    assert_eq!(rest("SIP/2.0 700 High"), 400);
    assert_eq!(rest("SIP/2.0 2x0 OK"), 400);
    assert_eq!(rest("SIP/3.0 200 OK"), 505);
    assert_eq!(
        rest(&format!("OPTIONS sip:{} SIP/2.0", "a".repeat(5000))),
        414
    );
}

#[test]
fn enforces_its_limits() {
    let many = "X: y\n".repeat(HEADER_LINES_MAX);
    let error = parse(&options_with(&many)).unwrap_err();
    assert!(matches!(error, ParseError::TooManyHeaders { .. }));
    assert_eq!(error.status(), 513);
    let long = format!("X: {}\n", "y".repeat(HEADER_LINE_BYTES_MAX));
    let error = parse(&options_with(&long)).unwrap_err();
    assert!(matches!(error, ParseError::LineTooLong { .. }));
    let huge = format!("{OPTIONS}\n{}", "y".repeat(MESSAGE_BYTES_MAX));
    assert_eq!(parse(&huge).unwrap_err().status(), 513);
    assert_eq!(parse("\n\n").unwrap_err(), ParseError::Empty);
}

#[test]
fn salvages_enough_of_a_malformed_request_to_refuse_it() {
    let salvaged = Message::salvage(wire(&options_with("broken\nCSeq: 9 INFO\n"))).unwrap();
    let answer = Message::response_to(&salvaged, 400, Some("Bad header line"));
    let expected = "SIP/2.0 400 Bad header line
Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1
From: <sip:alice@example.com>;tag=a
To: <sip:bob@example.com>
Call-ID: c@192.0.2.1
CSeq: 7 OPTIONS
Content-Length: 0

";
    assert_eq!(answer.to_bytes(), wire(expected));
    assert!(Message::salvage(wire("OPTIONS sip:a SIP/2.0\nVia: x\n\n")).is_none());
    assert!(Message::salvage(wire(&options_with("").replace("OPTIONS", "ACK"))).is_none());
    assert!(Message::salvage(Bytes::from_static(b"\xff\xfe\0")).is_none());
}

#[test]
fn edits_single_lines_and_leaves_the_others_as_they_came() {
    let text = "OPTIONS sip:bob@example.com SIP/2.0
v:SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1 ,SIP/2.0/WS x.invalid;branch=z9hG4bK0
FROM :  <sip:alice@example.com>;tag=a
t: <sip:bob@example.com>
i: c@192.0.2.1
CSeq: 7
 OPTIONS
X-Odd:\t keep   me

";
    let mut message = parse(text).unwrap();
    assert_eq!(
        message.to_bytes(),
        wire(&text.replace("\n\n", "\nContent-Length: 0\n\n"))
    );
    let popped = message.remove_first_value(HeaderName::Via).unwrap();
    assert_eq!(popped, "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1");
    message.push_front(HeaderName::Via, "SIP/2.0/UDP 198.51.100.1;branch=z9hG4bK2");
    message.set("x-odd", "first\r\nInjected: yes");
    message.push("X-Odd", "second");
    message.set(HeaderName::CallId, "d");
    message.set_request_uri("sip:carol@example.com");
    message.set_body("text/plain", Bytes::from_static(b"\xff\0hi"));
    let expected = "OPTIONS sip:carol@example.com SIP/2.0
Via: SIP/2.0/UDP 198.51.100.1;branch=z9hG4bK2
Via: SIP/2.0/WS x.invalid;branch=z9hG4bK0
FROM :  <sip:alice@example.com>;tag=a
t: <sip:bob@example.com>
Call-ID: d
CSeq: 7
 OPTIONS
x-odd: first  Injected: yes
X-Odd: second
Content-Type: text/plain
Content-Length: 4

";
    let expected = [wire(expected).as_ref(), b"\xff\0hi"].concat();
    assert_eq!(
        String::from_utf8_lossy(&message.to_bytes()),
        String::from_utf8_lossy(&expected)
    );
    message.clear_body();
    message.set("X-Odd", "one");
    assert_eq!(message.headers("X-ODD").collect::<Vec<_>>(), ["one"]);
    assert!(message.remove("X-Odd") && !message.remove("X-Odd"));
    assert!(message.to_bytes().ends_with(b"Content-Length: 0\r\n\r\n"));
}

#[test]
fn keeps_header_lines_that_are_not_utf8() {
    let text = [
        wire(OPTIONS).as_ref(),
        b"X: caf\xe9\r\nY: z\r\nl: 0\r\n\r\n",
    ]
    .concat();
    let message = Message::parse(Bytes::from(text.clone())).unwrap();
    assert_eq!(message.to_bytes(), text);
    assert_eq!(message.header("Y"), Some("z"));
}

#[test]
fn splits_lists_at_commas_outside_of_quotes_and_brackets() {
    let lines = "Contact: \"a, b\" <sip:a@x;p=1,2>;q=1 , <sip:b@y>,, sip:c@z
Contact: *
Authorization: Digest username=\"a\", realm=\"b\"
Date: Sat, 13 Nov 2010 23:29:00 GMT
";
    let message = parse(&options_with(lines)).unwrap();
    let contacts: Vec<_> = message.values(HeaderName::Contact).collect();
    assert_eq!(
        contacts,
        ["\"a, b\" <sip:a@x;p=1,2>;q=1", "<sip:b@y>", "sip:c@z", "*"]
    );
    assert_eq!(message.values(HeaderName::Authorization).count(), 1);
    assert_eq!(message.values(HeaderName::Date).count(), 1);
    assert_eq!(Contact::all(&message).unwrap().last(), Some(&Contact::Star));
}

#[test]
fn adds_a_to_tag_only_where_there_is_none() {
    let request = parse(&options_with("")).unwrap();
    let mut response = Message::response_to(&request, 200, None);
    response.set_to_tag("b");
    response.set_to_tag("c");
    assert_eq!(response.to_tag(), Some("b"));
    assert_eq!(
        response.header(HeaderName::To),
        Some("<sip:bob@example.com>;tag=b")
    );
    assert_eq!(
        (response.status(), response.reason()),
        (Some(200), Some("OK"))
    );
    assert_eq!(response.method(), Method::Options);
}

/// Whatever the bytes are: no panic, and what was accepted can be printed and read again.
fn survives(bytes: Vec<u8>) {
    let bytes = Bytes::from(bytes);
    if let Some(salvaged) = Message::salvage(bytes.clone()) {
        let _printed = Message::response_to(&salvaged, 400, None).to_bytes();
    }
    let Ok(mut message) = Message::parse(bytes) else {
        return;
    };
    let printed = message.to_bytes();
    let again = Message::parse(printed.clone()).expect("printed message");
    assert_eq!(again.to_bytes(), printed);
    for (_, value) in again.lines() {
        let address = NameAddr::parse(value);
        if let Some(address) = address {
            assert_eq!(NameAddr::parse(&address.to_string()), Some(address));
        }
        if let Some(via) = Via::parse(value) {
            assert_eq!(Via::parse(&via.to_string()), Some(via));
        }
    }
    if let Some(uri) = again.request_uri().and_then(Uri::parse) {
        assert_eq!(Uri::parse(&uri.to_string()), Some(uri));
    }
    while message.remove_first_value(HeaderName::Via).is_some() {}
    message.set_to_tag("x");
}

proptest! {
    #[test]
    fn never_panics_on_mutated_messages(
        pick in any::<prop::sample::Index>(),
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..4_u8), 1..12),
    ) {
        let mut texts: Vec<&str> = torture::VALID.iter().map(|(_, text)| *text).collect();
        texts.extend([JSSIP_REGISTER, JSSIP_INVITE, OPTIONS]);
        let text: &str = texts[pick.index(texts.len())];
        let mut bytes = wire(text).to_vec();
        for (at, byte, kind) in edits {
            let at = at.index(bytes.len());
            match kind {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, b" ,;<>\"\\:\r\n=%@[]\0"[usize::from(byte) % 16]),
                2 => { bytes.remove(at); }
                _ => bytes.truncate(at.max(1)),
            }
            if bytes.is_empty() { break; }
        }
        survives(bytes);
    }

    #[test]
    fn never_panics_on_noise(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        survives(bytes);
    }

    #[test]
    fn reads_addresses_as_it_prints_them(text in "[a-z<>\"@:;,=\\\\ \\[\\]%?0-9.+é]{0,40}") {
        if let Some(address) = NameAddr::parse(&text) {
            prop_assert_eq!(NameAddr::parse(&address.to_string()), Some(address));
        }
        if let Some(address) = NameAddr::parse(&format!("<sip:{text}>")) {
            prop_assert_eq!(NameAddr::parse(&address.to_string()), Some(address));
        }
    }
}
