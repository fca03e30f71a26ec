//! What holds for any bytes: the messages of both RFCs, changed at random.

use bytes::Bytes;
use control::sip::framing::{Frame, Framer};
use control::sip::{HeaderName, Message, NameAddr, Uri, Via};
use proptest::prelude::*;

use crate::subject::{fixture, names};

fn messages() -> Vec<Bytes> {
    let of = |folder: &'static str| {
        names(folder)
            .into_iter()
            .map(move |name| fixture(folder, &name))
            .collect::<Vec<_>>()
    };
    of("rfc4475").into_iter().chain(of("rfc5118")).collect()
}

#[derive(Clone, Debug)]
enum Change {
    Set(prop::sample::Index, u8),
    Insert(prop::sample::Index, &'static str),
    Remove(prop::sample::Index, usize),
    Cut(prop::sample::Index),
}

fn change() -> impl Strategy<Value = Change> {
    let pieces: &[&str] = &[
        "\r\n",
        "\n",
        "\r\n ",
        ",",
        ";",
        "<",
        ">",
        "\"",
        "\\",
        "=",
        ":",
        "@",
        "%4",
        "[",
        "]",
        "\0",
        "\u{e9}",
        "SIP/2.0",
        "Content-Length: 3\r\n",
        "l:0\r\n",
        ";tag=x",
    ];
    prop_oneof![
        (any::<prop::sample::Index>(), any::<u8>()).prop_map(|(at, byte)| Change::Set(at, byte)),
        (any::<prop::sample::Index>(), prop::sample::select(pieces))
            .prop_map(|(at, piece)| Change::Insert(at, piece)),
        (any::<prop::sample::Index>(), 1..20_usize).prop_map(|(at, n)| Change::Remove(at, n)),
        any::<prop::sample::Index>().prop_map(Change::Cut),
    ]
}

fn changed(bytes: &Bytes, changes: &[Change]) -> Bytes {
    let mut bytes = bytes.to_vec();
    for change in changes {
        if bytes.is_empty() {
            break;
        }
        match change {
            Change::Set(at, byte) => {
                let at = at.index(bytes.len());
                bytes[at] = *byte;
            }
            Change::Insert(at, piece) => {
                let at = at.index(bytes.len());
                bytes.splice(at..at, piece.bytes());
            }
            Change::Remove(at, count) => {
                let at = at.index(bytes.len());
                let end = (at + count).min(bytes.len());
                bytes.drain(at..end);
            }
            Change::Cut(at) => bytes.truncate(at.index(bytes.len())),
        }
    }
    Bytes::from(bytes)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn what_is_accepted_is_printed_as_it_came_and_read_again(
        pick in any::<prop::sample::Index>(),
        changes in prop::collection::vec(change(), 0..6),
    ) {
        let messages = messages();
        let bytes = changed(&messages[pick.index(messages.len())], &changes);
        if let Some(request) = Message::salvage(bytes.clone()) {
            let answer = Message::response_to(&request, 400, None).to_bytes();
            prop_assert!(answer.starts_with(b"SIP/2.0 400 "));
        }
        let Ok(message) = Message::parse(bytes) else { return Ok(()) };
        let printed = message.to_bytes();
        let again = Message::parse(printed.clone()).unwrap();
        prop_assert_eq!(again.to_bytes(), &printed);
        // Every line that came leaves byte for byte, in its order.
        let mut at = 0;
        for line in message.raw_lines().flatten().zip(message.lines()) {
            if *line.1.0 == HeaderName::ContentLength { continue; }
            let found = printed[at..].windows(line.0.len()).position(|w| w == line.0);
            prop_assert!(found.is_some());
            at += found.unwrap() + line.0.len();
        }
        // What a stream cuts out is what the parser takes: no byte more or less.
        let mut framer = Framer::new();
        framer.push(&printed);
        match framer.next_frame() {
            Ok(frame) => prop_assert_eq!(frame, Some(Frame::Message(printed))),
            Err(error) => prop_assert!(false, "{}", error),
        }
    }

    #[test]
    fn a_multipart_body_of_any_bytes_holds_together(
        changes in prop::collection::vec(change(), 0..12),
        seed in 0..3_usize,
    ) {
        let seeds: [&[u8]; 3] = [
            include_bytes!("../fuzz/corpus/sip_body/isup"),
            include_bytes!("../fuzz/corpus/sip_body/nested"),
            include_bytes!("../fuzz/corpus/sip_body/related"),
        ];
        let body = changed(&Bytes::from_static(seeds[seed]), &changes);
        crate::targets::sip_body(&body);
    }

    #[test]
    fn an_edit_changes_its_own_line_and_no_other(
        pick in any::<prop::sample::Index>(),
        value in "[ -~]{0,40}",
    ) {
        let messages = messages();
        let bytes = &messages[pick.index(messages.len())];
        let Ok(mut message) = Message::parse(bytes.clone()) else { return Ok(()) };
        let before: Vec<Option<Vec<u8>>> =
            message.raw_lines().map(|line| line.map(<[u8]>::to_vec)).collect();
        message.push("X-Edit", value.as_str());
        message.push_front(HeaderName::Via, "SIP/2.0/UDP 192.0.2.200;branch=z9hG4bKedit");
        let edited = Message::parse(message.to_bytes()).unwrap();
        prop_assert_eq!(edited.header("x-edit"), Some(value.trim()));
        let top = Via::top(&edited).unwrap();
        prop_assert_eq!(top.branch(), Some("z9hG4bKedit"));
        let after: Vec<Option<Vec<u8>>> =
            message.raw_lines().map(|line| line.map(<[u8]>::to_vec)).collect();
        let kept: Vec<Option<Vec<u8>>> = after.into_iter().filter(Option::is_some).collect();
        prop_assert_eq!(kept, before);
    }

    #[test]
    fn addresses_are_read_as_they_are_printed(
        scheme in "sips?|tel|x",
        rest in "[a-z0-9<>\"@:;,=?&%\\[\\].+é-]{0,40}",
    ) {
        let text = format!("{scheme}:{rest}");
        if let Some(uri) = Uri::parse(&text) {
            prop_assert_eq!(Uri::parse(&uri.to_string()), Some(uri));
        }
        if let Some(address) = NameAddr::parse(&format!("\"a \\\" b\" <{text}>;tag=1")) {
            prop_assert_eq!(NameAddr::parse(&address.to_string()), Some(address));
        }
        if let Some(via) = Via::parse(&format!("SIP/2.0/UDP {rest}")) {
            prop_assert_eq!(Via::parse(&via.to_string()), Some(via));
        }
    }
}
