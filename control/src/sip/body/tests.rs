use bytes::Bytes;

use super::BodyError;
use crate::sip::limits::{BODY_DEPTH_MAX, BODY_PARTS_MAX};
use crate::sip::{HeaderName, Message, Method};

const SDP: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\n";
const ISUP: &[u8] = b"\x01\x00\x20\x01\r\n--b";

fn request(content_type: &str, body: impl Into<Bytes>) -> Message {
    let mut message = Message::request(Method::Invite, "sip:a@192.0.2.1");
    message.set_body(content_type, body.into());
    message
}

fn part(head: &str, content: &[u8]) -> Vec<u8> {
    [b"--b1\r\n", head.as_bytes(), b"\r\n\r\n", content, b"\r\n"].concat()
}

fn mixed(parts: &[Vec<u8>]) -> Message {
    multipart("multipart/mixed;boundary=b1", parts)
}

fn multipart(content_type: &str, parts: &[Vec<u8>]) -> Message {
    let mut body = parts.concat();
    body.extend(b"--b1--\r\n");
    request(content_type, body)
}

fn sdp_part() -> Vec<u8> {
    part("Content-Type: application/sdp", SDP.as_bytes())
}

fn found(message: &Message) -> Result<Option<String>, BodyError> {
    let text = |bytes: Bytes| String::from_utf8(bytes.to_vec()).unwrap();
    message.session_description().map(|found| found.map(text))
}

fn is_session(message: &Message) {
    assert_eq!(found(message), Ok(Some(SDP.to_owned())), "{message:?}");
    assert_eq!(message.description().as_deref(), Some(SDP.as_bytes()));
}

#[test]
fn a_description_alone_is_the_session_however_its_type_is_written() {
    for content_type in [
        "application/sdp",
        "Application/SDP",
        "application/sdp;charset=utf-8",
        "application / sdp ; x=\"a;b\"",
    ] {
        is_session(&request(content_type, SDP));
    }
    let mut message = Message::request(Method::Invite, "sip:a@192.0.2.1");
    assert_eq!(found(&message), Ok(None));
    message.set_body("application/sdp", Bytes::from(SDP));
    message.remove(HeaderName::ContentType);
    is_session(&message);
    message.push(HeaderName::ContentDisposition, "Session;handling=required");
    is_session(&message);
}

#[test]
fn b53_b54_an_encoded_body_and_an_early_session_are_refused_unless_they_are_optional() {
    for (name, value) in [
        (HeaderName::ContentEncoding, "gzip"),
        (HeaderName::ContentEncoding, "identity, deflate"),
        (HeaderName::ContentDisposition, "early-session"),
        (
            HeaderName::ContentDisposition,
            "early-session;handling=required",
        ),
        (HeaderName::ContentDisposition, "render"),
    ] {
        let mut message = request("application/sdp", SDP);
        message.push(&name, value);
        assert_eq!(found(&message), Err(BodyError::Unsupported), "{value}");
        assert_eq!(message.description(), None);
    }
    let mut message = request("application/sdp", SDP);
    message.push(HeaderName::ContentEncoding, "identity");
    is_session(&message);
    let optional = "early-session ; Handling=Optional";
    message.push(HeaderName::ContentDisposition, optional);
    assert_eq!(found(&message), Ok(None));
}

#[test]
fn another_body_alone_is_415_unless_it_is_optional() {
    let mut message = request("application/pidf+xml", "<presence/>");
    assert_eq!(found(&message), Err(BodyError::Unsupported));
    assert_eq!(message.description(), None);
    message.push(HeaderName::ContentDisposition, "render;handling=optional");
    assert_eq!(found(&message), Ok(None));
}

#[test]
fn a01_b01_b02_the_description_is_found_among_other_parts_wherever_it_stands() {
    let isup = part(
        "Content-Type: application/isup;version=itu-t92+\r\n\
         Content-Disposition: signal;handling=optional",
        ISUP,
    );
    let pidf = part(
        "Content-Type: application/pidf+xml\r\nContent-ID: <target@192.0.2.1>",
        b"<?xml?>\r\n\r\n<presence/>",
    );
    is_session(&mixed(&[sdp_part(), isup.clone()]));
    is_session(&mixed(&[pidf.clone(), sdp_part()]));
    is_session(&mixed(&[
        isup.clone(),
        pidf.clone(),
        sdp_part(),
        pidf.clone(),
    ]));
    assert_eq!(found(&mixed(&[isup])), Ok(None));
    assert_eq!(found(&mixed(&[pidf])), Err(BodyError::Unsupported));
}

#[test]
fn a_required_part_that_is_not_understood_refuses_a_request_and_nothing_else() {
    let isup = part(
        "Content-Type: application/isup\r\nContent-Disposition: signal; handling=required",
        ISUP,
    );
    let message = mixed(&[sdp_part(), isup.clone()]);
    assert_eq!(found(&message), Err(BodyError::Unsupported));
    assert_eq!(message.description().as_deref(), Some(SDP.as_bytes()));
    // The whole is optional, and so is what it holds.
    let mut message = mixed(&[isup]);
    message.push(HeaderName::ContentDisposition, "render;handling=optional");
    assert_eq!(found(&message), Ok(None));
}

#[test]
fn an_early_session_beside_the_session_is_not_taken_for_it() {
    let early = part(
        "Content-Type: application/sdp\r\n\
         Content-Disposition: early-session;handling=optional",
        b"v=0\r\no=early",
    );
    is_session(&mixed(&[early, sdp_part()]));
}

#[test]
fn the_last_alternative_that_is_understood_counts() {
    let kind = "multipart/alternative; boundary=\"b1\"";
    let newer = part("Content-Type: application/sdpng", b"<sdpng/>");
    let required = part(
        "Content-Type: application/sdpng\r\nContent-Disposition: session;handling=required",
        b"<sdpng/>",
    );
    let older = part("Content-Type: application/sdp", b"v=0\r\no=older");
    is_session(&multipart(kind, &[sdp_part(), newer.clone()]));
    is_session(&multipart(kind, &[sdp_part(), required]));
    is_session(&multipart(kind, &[older, sdp_part()]));
    let none = multipart(kind, &[newer.clone(), newer]);
    assert_eq!(found(&none), Err(BodyError::Unsupported));
}

#[test]
fn the_root_of_related_parts_comes_first() {
    let other = part(
        "Content-Type: application/sdp\r\nContent-ID: <other@x>",
        b"v=0\r\no=other",
    );
    let root = part(
        "Content-ID: <root@x>\r\nContent-Type: application/sdp",
        SDP.as_bytes(),
    );
    let kind = "multipart/related;type=\"application/sdp\";boundary=b1";
    let with_start = format!("{kind};start=\"<root@x>\"");
    is_session(&multipart(&with_start, &[other.clone(), root.clone()]));
    is_session(&multipart(kind, &[root, other]));
}

#[test]
fn multiparts_are_nested_and_of_unknown_kinds() {
    let inner =
        b"--i\nContent-Type: application/sdp\n\nv=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\n\n--i--";
    let nested = part(
        "content-type:\r\n\tmultipart/alternative;\r\n boundary=\"i\"",
        inner,
    );
    is_session(&mixed(std::slice::from_ref(&nested)));
    is_session(&multipart("multipart/x-signed;boundary=b1", &[nested]));
    let mut deep = SDP.as_bytes().to_vec();
    let mut kind = "application/sdp".to_owned();
    for level in 0..=BODY_DEPTH_MAX {
        deep = [
            format!("--n{level}\r\nContent-Type: {kind}\r\n\r\n").into_bytes(),
            deep,
            format!("\r\n--n{level}--\r\n").into_bytes(),
        ]
        .concat();
        kind = format!("multipart/mixed;boundary=n{level}");
        let message = request(&kind, deep.clone());
        if level < BODY_DEPTH_MAX {
            is_session(&message);
        } else {
            assert!(matches!(found(&message), Err(BodyError::Malformed(_))));
        }
    }
}

#[test]
fn delimiters_stand_on_lines_of_their_own() {
    for body in [
        // Preamble, padding, epilogue.
        format!(
            "preamble\r\n--b1 \t\r\nContent-Type: application/sdp\r\n\r\n{SDP}\r\n--b1--\r\nend"
        ),
        // Another boundary that begins alike, and one within a line.
        format!(
            "--b1\r\nContent-Type: a/b\r\n\r\n--b12\r\nx --b1\r\n--b1\r\nContent-Type: application/sdp\r\n\r\n{SDP}\r\n--b1--"
        ),
        // No last delimiter.
        format!("--b1\r\nContent-Type: application/sdp\r\n\r\n{SDP}"),
        // A part without header, one without content, one without anything.
        format!(
            "--b1\r\n\r\nplain\r\n--b1\r\nContent-Type: a/b\r\n--b1\r\n--b1\r\nContent-Type: application/sdp\r\n\r\n{SDP}\r\n--b1--"
        ),
    ] {
        is_session(&request("multipart/mixed; boundary=b1", body));
    }
    let boundary = "=_?(x)/:'+,-.z z";
    let kind = format!("multipart/mixed;boundary=\"{boundary}\"");
    let body =
        format!("--{boundary}\r\nContent-Type: application/sdp\r\n\r\n{SDP}\r\n--{boundary}--");
    is_session(&request(&kind, body));
    let body =
        format!("------=_Part_1\r\nContent-Type: application/sdp\r\n\r\n{SDP}\r\n------=_Part_1--");
    is_session(&request("multipart/mixed;boundary=----=_Part_1", body));
}

#[test]
fn transfer_encodings_are_undone_or_refused() {
    for encoding in ["binary", "8bit", "7BIT"] {
        let head =
            format!("Content-Type: application/sdp\r\nContent-Transfer-Encoding: {encoding}");
        is_session(&mixed(&[part(&head, SDP.as_bytes())]));
    }
    let base64 = b"dj0wDQpvPS0gMSAxIElOIElQNCAx\r\nOTIuMC4yLjENCnM9LQ0K";
    let head = "Content-Type: application/sdp\r\nContent-Transfer-Encoding: base64";
    is_session(&mixed(&[part(head, base64)]));
    let broken = mixed(&[part(head, b"dj0wDQ*")]);
    assert!(matches!(found(&broken), Err(BodyError::Malformed(_))));
    let head = "Content-Type: application/sdp\r\nContent-Transfer-Encoding: x-uuencode";
    assert_eq!(
        found(&mixed(&[part(head, SDP.as_bytes())])),
        Err(BodyError::Unsupported)
    );
    let head = "Content-Type: application/sdp\r\nContent-Encoding: gzip";
    assert_eq!(
        found(&mixed(&[part(head, SDP.as_bytes())])),
        Err(BodyError::Unsupported)
    );
}

#[test]
fn what_is_not_as_it_says_is_malformed_and_bounded() {
    for (kind, body) in [
        ("multipart/mixed", "--b1--"),
        ("multipart/mixed;boundary=", "--\r\n"),
        ("multipart/mixed;boundary=\"b1", "--b1--"),
        ("multipart/mixed;boundary=b1", "no part"),
        ("multipart/mixed;boundary=b1", "--b1--"),
    ] {
        let message = request(kind, body);
        assert!(
            matches!(found(&message), Err(BodyError::Malformed(_))),
            "{kind}"
        );
        assert_eq!(message.description(), None);
    }
    let many = vec![sdp_part(); BODY_PARTS_MAX];
    is_session(&mixed(&many));
    let many = vec![sdp_part(); BODY_PARTS_MAX + 1];
    assert!(matches!(found(&mixed(&many)), Err(BodyError::Malformed(_))));
    let long = format!("X: {}\r\nContent-Type: application/sdp", "x".repeat(5_000));
    let message = mixed(&[part(&long, SDP.as_bytes())]);
    assert_eq!(found(&message), Err(BodyError::Unsupported));
}
