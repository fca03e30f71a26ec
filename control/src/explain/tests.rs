use bytes::Bytes;

use super::*;

fn explained(text: &str) -> Explanation {
    message(&Bytes::from(text.replace('\n', "\r\n")))
}

fn fact<'e>(explanation: &'e Explanation, header: &str, what: &str) -> Option<&'e str> {
    let line = explanation.lines.iter().find(|line| line.name == header)?;
    let fact = line.facts.iter().find(|fact| fact.what == what)?;
    Some(&fact.is)
}

fn refusal(text: &str) -> Refusal {
    explained(text).refusal.expect("refused")
}

const REGISTER: &str = "REGISTER sip:example.com SIP/2.0
Via: SIP/2.0/WSS 2qv5b4kbcvah.invalid;branch=z9hG4bK6687512
Max-Forwards: 69
To: <sip:alice@example.com>
f: \"Alice, A.\" <sip:alice@example.com>;tag=t8gd0k3ho2
Call-ID: bpf3nmqlj9khq3ivtlbf5k
CSeq: 2
 REGISTER
Contact: <sip:r3n2kp0s@2qv5b4kbcvah.invalid;transport=ws>;reg-id=1, <sip:x:hush@y.invalid>
Authorization: Digest username=\"alice\", realm=\"example.com\", nonce=\"abc\", uri=\"sip:example.com\", response=\"0123456789abcdef0123456789abcdef\", algorithm=MD5, qop=auth, nc=00000001, cnonce=\"secretish\"
X-Odd: yes
Content-Length: 0

";

#[test]
fn tells_what_each_header_means() {
    let explanation = explained(REGISTER);
    assert!(explanation.is_accepted());
    assert_eq!(
        (explanation.kind, explanation.lines[0].number),
        ("request", 1)
    );
    let told = |header, what| fact(&explanation, header, what);
    assert_eq!(told("", "target"), Some("sip:example.com"));
    assert_eq!(told("Via", "transport"), Some("WSS"));
    assert_eq!(told("Via", "branch"), Some("z9hG4bK6687512"));
    assert_eq!(told("From", "display name"), Some("Alice, A."));
    assert_eq!(told("From", "tag"), Some("t8gd0k3ho2"));
    assert_eq!(told("From", "written as"), Some("f (compact form)"));
    assert_eq!(told("CSeq", "number"), Some("2"));
    assert_eq!(told("CSeq", "written"), Some("in several lines"));
    assert_eq!(told("Contact", "reg-id"), Some("1"));
    assert!(told("Contact", "browser").is_some() && told("X-Odd", "unknown").is_some());
    assert_eq!(told("Authorization", "username"), Some("alice"));
    assert_eq!(told("Authorization", "nonce count"), Some("00000001"));
    let numbers: Vec<usize> = explanation.lines.iter().map(|line| line.number).collect();
    assert_eq!(numbers, [1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12]);
}

#[test]
fn repeats_no_secret() {
    let with_bearer = REGISTER.replace("Digest ", "Bearer eyJhbGciOi.");
    let broken = REGISTER.replace("response=", "response=\0");
    let sdp = "v=0\no=- 1 1 IN IP4 192.0.2.1\ns=-\nt=0 0\nc=IN IP4 192.0.2.1\n\
        m=audio 4000 RTP/SAVP 0\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGw\n\
        a=ice-pwd:asd88fgpdd777uzjYhagZg\nk=clear:hush\n";
    let session = session_description(sdp.as_bytes());
    for explanation in [
        explained(REGISTER),
        explained(&with_bearer),
        explained(&broken),
        session,
    ] {
        let text = explanation.to_string() + &serde_json::to_string(&explanation).unwrap();
        for secret in [
            "0123456789ab",
            "secretish",
            "eyJhb",
            "hush",
            "WVNfX19",
            "asd88f",
        ] {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
    }
}

/// What is put in whose place, the line of the fault, and what is told.
const FAULTS: &[(&str, &str, usize, &str)] = &[
    (
        "To: <sip:alice",
        "To: \"Al <sip:alice",
        4,
        "a quoted string is not closed",
    ),
    (
        "To: <sip:alice@example.com>",
        "To: < sip:a@b >",
        4,
        "there is a space in the URI",
    ),
    (
        "To: <sip:alice@example.com>",
        "To: A, B <sip:a@b>",
        4,
        "must stand in quotes",
    ),
    (
        "To: <sip:alice@example.com>",
        "To: <sip:a@2001:db8::1>",
        4,
        "in brackets []",
    ),
    (
        "To: <sip:alice@example.com>",
        "To: alice@example.com",
        4,
        "has no scheme",
    ),
    (
        "To: <sip:alice@example.com>",
        "To: <sip:a@b>;;x",
        4,
        "empty or malformed parameters",
    ),
    ("CSeq: 2", "CSeq: x", 7, "a number below 2^31"),
    ("Max-Forwards: 69", "Max-Forwards: 300", 3, "from 0 to 255"),
    ("X-Odd: yes", "X Odd: yes", 11, "no header name has"),
    ("X-Odd: yes", "no colon", 11, "there is no colon"),
    ("/WSS ", "/WSS", 2, "it must be SIP/2.0/TRANSPORT"),
    (
        "REGISTER sip:example.com ",
        "REGISTER <sip:example.com> ",
        1,
        "no brackets",
    ),
    (
        "REGISTER sip:example.com ",
        "REGISTER sip:a;b c ",
        1,
        "a space in the URI",
    ),
    (
        "Content-Length: 0",
        "Content-Length: 1",
        12,
        "no more than the bytes",
    ),
];

#[test]
fn names_the_place_and_the_reason_of_a_refusal() {
    for (from, to, line, detail) in FAULTS {
        assert!(REGISTER.contains(*from), "{from}");
        let refusal = refusal(&REGISTER.replacen(from, to, 1));
        let told = refusal.detail.clone().unwrap_or_default();
        assert!(told.contains(*detail), "{to}: {told}");
        assert_eq!(refusal.line, Some(*line), "{to}");
    }
    let lf = message(&Bytes::from_static(REGISTER.as_bytes()))
        .refusal
        .unwrap();
    assert!(lf.detail.unwrap().contains("CRLF") && lf.line == Some(1));
    assert_eq!(
        refusal(&REGISTER.replace("CSeq: 2\n REGISTER\n", "")).line,
        None
    );
    assert_eq!(refusal("\n\n").status, None);
}

#[test]
fn puts_the_caret_below_the_place() {
    let text = explained(&REGISTER.replace("sip:example.com SIP/2.0", "sip:@ SIP/2.0")).to_string();
    let lines: Vec<&str> = text.lines().collect();
    let at = lines
        .iter()
        .position(|line| line.starts_with("line 1, column 10"))
        .unwrap();
    assert_eq!(lines[at + 1].find("sip:@"), lines[at + 2].find('^'));
}

#[test]
fn survives_whatever_it_is_given() {
    for cut in 0..REGISTER.len() {
        if let Some(text) = REGISTER.get(..cut) {
            assert!(!explained(text).summary.is_empty());
            assert!(!session_description(text.as_bytes()).is_accepted());
        }
    }
    let binary: Vec<u8> = (0..=255).collect();
    assert!(!message(&Bytes::from(binary.clone())).is_accepted());
    assert!(!session_description(&binary).is_accepted());
}

#[test]
fn explains_the_session_description_in_the_body() {
    let sdp = "v=0\r\no=- 1 2 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n\
        m=audio 4000 RTP/AVP 8 101\r\na=rtpmap:101 telephone-event/8000\r\na=ptime:20\r\n";
    let head = REGISTER.replace(
        "Content-Length: 0",
        &format!(
            "Content-Type: application/sdp\nContent-Length: {}",
            sdp.len()
        ),
    );
    let bytes = head.replace('\n', "\r\n") + sdp;
    let explanation = message(&Bytes::from(bytes));
    let body = explanation.body.as_deref().unwrap();
    assert_eq!(fact(body, "m", "RTP to"), Some("192.0.2.1:4000"));
    assert_eq!(fact(body, "m", "payload 8"), Some("PCMA/8000"));
    assert_eq!(fact(body, "m", "packet time"), Some("20 ms"));
    let before = head.lines().count();
    assert_eq!(
        body.lines[0].number,
        before + 1,
        "lines are counted through"
    );
    let broken = explained(&head).body;
    assert!(
        broken.is_none(),
        "the length does not fit: the message is refused"
    );
}

#[test]
fn case_b01_explains_the_description_among_other_parts() {
    let parts = "--b1\r\nContent-Type: application/isup\r\n\r\nx\r\n--b1\r\n\
                 Content-Type: application/sdp\r\n\r\nv=0\r\no=- 1 2 IN IP4 192.0.2.1\r\ns=-\r\n\
                 c=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8\r\n\r\n--b1--\r\n";
    let explanation = |kind: &str| {
        let headers = format!("Content-Type: {kind}\nContent-Length: {}", parts.len());
        let head = REGISTER.replace("Content-Length: 0", &headers);
        let head = head.replace("REGISTER", "INVITE");
        let before = head.lines().count();
        let bytes = Bytes::from(head.replace('\n', "\r\n") + parts);
        (message(&bytes), before)
    };
    let (explained, before) = explanation("multipart/mixed;boundary=b1");
    let body = explained.body.as_deref().unwrap();
    assert_eq!(fact(body, "m", "RTP to"), Some("192.0.2.1:4000"));
    assert_eq!(body.lines[0].number, before + 1 + 7);
    let has = |remarks: &[String], text: &str| remarks.iter().any(|remark| remark.contains(text));
    assert!(has(&explained.remarks, "its session description alone"));
    let (explained, _) = explanation("application/isup");
    assert!(explained.body.is_none());
    assert!(has(&explained.remarks, "refused with 415"));
}
