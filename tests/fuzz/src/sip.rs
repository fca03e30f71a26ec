//! SIP: whatever the bytes are, nothing panics, and what was read is printed as the same.

use bytes::Bytes;
use control::explain;
use control::sip::digest::{Challenge, Credentials};
use control::sip::framing::{Frame, Framer};
use control::sip::{CSeq, Contact, HeaderName, Message, NameAddr, Params, Uri, Via};

/// A message: print is a fixed point, an edit leaves the other lines alone, an explanation can be
/// given, a refused request can be answered.
pub fn sip_message(input: &[u8]) {
    let bytes = Bytes::copy_from_slice(input);
    let explained = explain::message(&bytes);
    assert!(!explained.to_string().is_empty());
    if let Some(request) = Message::salvage(bytes.clone()) {
        let answer = Message::response_to(&request, 400, None).to_bytes();
        assert!(answer.starts_with(b"SIP/2.0 400 "));
    }
    let Ok(mut message) = Message::parse(bytes) else {
        assert!(explained.refusal.is_some());
        return;
    };
    assert!(explained.refusal.is_none());
    let printed = message.to_bytes();
    let again = Message::parse(printed.clone()).expect("our own message");
    assert_eq!(again.to_bytes(), printed);
    message.push_front(HeaderName::Via, "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKx");
    message.set_request_uri("sip:next@192.0.2.2");
    let edited = Message::parse(message.to_bytes()).expect("our own edit");
    assert_eq!(Via::top(&edited).and_then(|via| via.port), None);
    while message.remove_first_value(HeaderName::Via).is_some() {}
    message.set_to_tag("x");
    message.clear_body();
    assert!(message.to_bytes().ends_with(b"\r\n\r\n"));
}

/// A URI, alone and in brackets.
pub fn sip_uri(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    if let Some(uri) = Uri::parse(text) {
        assert_eq!(Uri::parse(&uri.to_string()).as_ref(), Some(&uri));
        assert!(uri.is_equivalent(&uri));
        let _user = (uri.user_decoded(), uri.socket_address());
    }
}

/// The value of each structured header. The first byte chooses which.
pub fn sip_header(input: &[u8]) {
    let Some((choice, rest)) = input.split_first() else {
        return;
    };
    let Ok(text) = std::str::from_utf8(rest) else {
        return;
    };
    match choice % 7 {
        0 => reads_as_printed(text, Via::parse),
        1 => reads_as_printed(text, NameAddr::parse),
        2 => reads_as_printed(text, Contact::parse),
        3 => reads_as_printed(text, CSeq::parse),
        4 => reads_as_printed(text, Params::parse),
        5 => reads_as_printed(text, Challenge::parse),
        _ => {
            if let Some(credentials) = Credentials::parse(text) {
                assert!(!format!("{credentials:?}").is_empty());
            }
        }
    }
}

/// A body and its Content-Type, which is the first line: what is found is never longer than the
/// body, and what a request is read for is found in a response, too.
pub fn sip_body(input: &[u8]) {
    let end = input.iter().position(|byte| *byte == b'\n');
    let (first, body) = input.split_at(end.unwrap_or(input.len()));
    let Ok(content_type) = std::str::from_utf8(first) else {
        return;
    };
    let mut message = Message::request("INVITE", "sip:a@192.0.2.1");
    message.set_body(content_type.trim(), Bytes::copy_from_slice(body));
    let strict = message.session_description();
    let lenient = message.description();
    if let Ok(Some(found)) = strict {
        assert_eq!(Some(found), lenient);
    }
    assert!(lenient.is_none_or(|found| found.len() <= body.len()));
}

/// A stream: the frames are the same wherever the reads end. The first byte is the size of a read.
pub fn sip_stream(input: &[u8]) {
    let Some((size, stream)) = input.split_first() else {
        return;
    };
    let whole = messages(stream, stream.len().max(1));
    let pieces = messages(stream, usize::from(*size).max(1));
    assert_eq!(whole, pieces);
    for message in whole {
        if let Ok(read) = Message::parse(message.clone()) {
            let head = message.len() - read.body().len();
            assert!(
                message[..head].ends_with(b"\r\n\r\n"),
                "both see the same body"
            );
        }
    }
}

fn messages(stream: &[u8], size: usize) -> Vec<Bytes> {
    let mut framer = Framer::new();
    let mut messages = Vec::new();
    for piece in stream.chunks(size) {
        framer.push(piece);
        loop {
            match framer.next_frame() {
                Ok(Some(Frame::Message(message))) => messages.push(message),
                Ok(Some(Frame::Ping | Frame::Pong)) => {}
                Ok(None) => break,
                Err(_) => return messages,
            }
        }
    }
    messages
}

fn reads_as_printed<T>(text: &str, parse: fn(&str) -> Option<T>)
where
    T: std::fmt::Display + std::fmt::Debug + PartialEq,
{
    if let Some(read) = parse(text) {
        let printed = read.to_string();
        assert_eq!(parse(&printed).as_ref(), Some(&read), "{printed:?}");
    }
}
