use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::sip::Message;

fn message(lines: &str, body: &str) -> Vec<u8> {
    let head = format!(
        "OPTIONS sip:bob@example.com SIP/2.0\nVia: SIP/2.0/TCP a.example;branch=z9hG4bK1\n\
         From: <sip:a@example.com>;tag=a\nTo: <sip:bob@example.com>\nCall-ID: c\n\
         CSeq: 1 OPTIONS\n{lines}\n"
    );
    (head.replace('\n', "\r\n") + body).into_bytes()
}

fn with_length(body: &str) -> Vec<u8> {
    message(&format!("l: {}\n", body.len()), body)
}

fn frames(pieces: &[&[u8]]) -> Result<Vec<Frame>, FrameError> {
    let mut framer = Framer::new();
    let mut frames = Vec::new();
    for piece in pieces {
        framer.push(piece);
        while let Some(frame) = framer.next_frame()? {
            frames.push(frame);
        }
    }
    Ok(frames)
}

fn error(head_lines: &str) -> FrameError {
    frames(&[&message(head_lines, "")]).unwrap_err()
}

#[test]
fn cuts_a_stream_at_content_length_wherever_the_reads_end() {
    let messages = [
        with_length("v=0\r\n\r\nx"),
        with_length(""),
        with_length("INVITE sip:x SIP/2.0"),
    ];
    let stream = messages.concat();
    let expected: Vec<Frame> = messages
        .iter()
        .map(|m| Frame::Message(Bytes::copy_from_slice(m)))
        .collect();
    for size in 1..stream.len() {
        let pieces: Vec<&[u8]> = stream.chunks(size).collect();
        assert_eq!(
            frames(&pieces).as_ref(),
            Ok(&expected),
            "reads of {size} bytes"
        );
    }
    let Frame::Message(bytes) = expected[0].clone() else {
        panic!("a message")
    };
    assert_eq!(
        Message::parse(bytes).unwrap().body().as_ref(),
        b"v=0\r\n\r\nx"
    );
}

#[test]
fn takes_line_breaks_between_messages_for_keep_alives() {
    let one = with_length("");
    let cut = Frame::Message(Bytes::from(one.clone()));
    let stream = [b"\r\n\r\n".as_slice(), &one, b"\r\n", &one].concat();
    let expected = [Frame::Ping, cut.clone(), Frame::Pong, cut];
    assert_eq!(frames(&[&stream]).unwrap(), expected);
    assert_eq!(
        frames(&[b"\r\n\r\n\r\n\r\n"]).unwrap(),
        [Frame::Ping, Frame::Ping]
    );
    // A ping in two reads.
    assert_eq!(
        frames(&[b"\r\n", b"\r", b"\n"]).unwrap(),
        [Frame::Pong, Frame::Ping]
    );
    assert_eq!(frames(&[b"\r"]).unwrap(), []);
    assert_eq!(
        frames(&[b"\n"]),
        Err(FrameError::StrayControl { offset: 0 })
    );
    assert_eq!(
        frames(&[b"\rX"]),
        Err(FrameError::StrayControl { offset: 0 })
    );
}

#[test]
fn demands_exactly_one_content_length() {
    let offset = message("", "").len() - 2;
    assert_eq!(error(""), FrameError::NoLength);
    assert_eq!(
        error("l: 0\nContent-Length: 0\n"),
        FrameError::SecondLength { offset: offset + 6 }
    );
    for value in [
        "",
        "-999",
        "+1",
        "1 1",
        "0x1",
        "five",
        "99999999999999999999999",
    ] {
        let lines = format!("Content-Length: {value}\n");
        assert_eq!(error(&lines), FrameError::Length { offset }, "{value:?}");
    }
    assert_eq!(error("l: 65536\n"), FrameError::TooLarge);
    assert_eq!(error("l: 18446744073709551615\n"), FrameError::TooLarge);
}

#[test]
fn finds_the_length_as_the_parser_does() {
    for lines in [
        "CONTENT-length \t:\t0002 \n",
        "L:2\n",
        "l:\n 2\n",
        "X: a\n l: 9\nl: 2\n",
    ] {
        let stream = message(lines, "ab");
        let cut = frames(&[&stream]).unwrap();
        assert_eq!(
            cut,
            [Frame::Message(Bytes::from(stream.clone()))],
            "{lines:?}"
        );
        assert_eq!(
            Message::parse(Bytes::from(stream)).unwrap().body().as_ref(),
            b"ab"
        );
    }
    assert_eq!(
        error("X: a\n l: 2\n"),
        FrameError::NoLength,
        "a folded line is no header"
    );
}

#[test]
fn gives_up_where_two_elements_would_read_two_things() {
    let stray = |text: &str| {
        let mut head = message("l: 0\n", "");
        head.truncate(head.len() - 2);
        head.extend_from_slice(text.as_bytes());
        head.extend_from_slice(b"\r\n\r\n");
        frames(&[&head]).map(|frames| frames.len())
    };
    for text in ["X: a\nl: 5", "X: a\rl: 5", "X: a\0"] {
        assert!(
            matches!(stray(text), Err(FrameError::StrayControl { .. })),
            "{text:?}"
        );
    }
    assert_eq!(stray("X: a"), Ok(1));
}

#[test]
fn bounds_what_it_holds_and_stays_broken() {
    let mut framer = Framer::new();
    framer.push(b"OPTIONS sip:x SIP/2.0\r\nX: ");
    let mut held = 0;
    let error = loop {
        framer.push(&[b'x'; 1000]);
        match framer.next_frame() {
            Ok(frame) => assert_eq!(frame, None),
            Err(error) => break error,
        }
        held = framer.rest().len();
    };
    assert_eq!((error, error.status()), (FrameError::TooLarge, 513));
    assert!(held <= HEAD_BYTES_MAX);
    framer.push(b"more");
    assert_eq!(framer.next_frame(), Err(FrameError::TooLarge));
    assert!(
        framer.rest().len() <= HEAD_BYTES_MAX + 1000,
        "nothing is taken any more"
    );
}

#[test]
fn tells_whether_a_message_is_under_way_and_what_came_of_it() {
    let mut framer = Framer::new();
    assert!(!framer.is_mid_message());
    let stream = message("l: 5\n", "abc");
    framer.push(&stream);
    assert_eq!(framer.next_frame(), Ok(None));
    assert!(framer.is_mid_message());
    framer.push(b"de");
    assert!(matches!(framer.next_frame(), Ok(Some(Frame::Message(_)))));
    assert!(!framer.is_mid_message());

    let mut broken = Framer::new();
    broken.push(&message("", ""));
    assert_eq!(broken.next_frame(), Err(FrameError::NoLength));
    let request = Message::salvage(Bytes::copy_from_slice(broken.rest())).unwrap();
    assert_eq!(
        request.call_id(),
        "c",
        "it can be answered before the connection is closed"
    );
}

proptest! {
    #[test]
    fn sees_the_same_frames_in_any_pieces(
        bodies in prop::collection::vec("[a-z\r\n: ]{0,30}", 1..5),
        noise in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
        sizes in prop::collection::vec(1..40_usize, 1..20),
    ) {
        let mut stream: Vec<u8> = bodies.iter().flat_map(|body| with_length(body)).collect();
        for (at, byte) in noise {
            let at = at.index(stream.len());
            stream[at] = byte;
        }
        let mut pieces = Vec::new();
        let mut rest = stream.as_slice();
        for size in sizes.iter().cycle() {
            if rest.is_empty() { break; }
            let (piece, after) = rest.split_at((*size).min(rest.len()));
            pieces.push(piece);
            rest = after;
        }
        let bodies_of = |frames: Result<Vec<Frame>, FrameError>| frames.map(|frames| {
            frames.into_iter().filter(|f| matches!(f, Frame::Message(_))).collect::<Vec<_>>()
        });
        prop_assert_eq!(bodies_of(frames(&pieces)), bodies_of(frames(&[&stream])));
    }
}
