//! Messages that others write otherwise than the grammar wants, and that are understood all the
//! same: phrases, bytes that are not UTF-8, missing headers and ends.

use bytes::Bytes;
use control::engine::input::Peer;
use control::sip::framing::{Frame, Framer};
use control::sip::{HeaderName, Message, Method};
use tests::world::{CONFIG, TRUNK, World, text};

use crate::flows::from_carrier;
use crate::peers::{
    BROWSER_ANSWER, BROWSER_OFFER, CARRIER_ANSWER, CARRIER_OFFER, answer_to, browser_invite,
    carrier_invite, carrier_talks, in_dialog, in_dialog_of_callee, log_in, register_at,
    register_at_carrier, trunk,
};
use crate::proxy::from_browser;

/// What stands behind the status, its space included, and what the browser may be shown of it.
const PHRASES: [(&[u8], &str); 10] = [
    (b" Occup\xe9", "Occup\u{e9}"),
    (b" Occup\xc3\xa9", "Occup\u{e9}"),
    (b" \xff\xfe", "\u{ff}\u{fe}"),
    (b" busy\x01\x1b\x7fhere", "busy   here"),
    (b" a\0b", "a b"),
    (b"", "Busy Here"),
    (b" ", "Busy Here"),
    (b"   ", "Busy Here"),
    (b" \x07", "Busy Here"),
    (b"\tBusy", "Busy"),
];

/// The same response with other bytes behind its status.
fn with_phrase(response: &Message, phrase: &[u8]) -> Bytes {
    let bytes = response.to_bytes();
    let end = bytes.windows(2).position(|two| two == b"\r\n").unwrap();
    let (line, rest) = bytes.split_at(end);
    [&line[.."SIP/2.0 200".len()], phrase, rest].concat().into()
}

/// The same message without the empty line behind its head; it has no body.
fn without_end(message: &Message) -> Bytes {
    let bytes = message.to_bytes();
    bytes.slice(..bytes.len() - 2)
}

fn without(message: &Message, names: &[HeaderName]) -> Message {
    let mut changed = message.clone();
    for name in names {
        changed.remove(name);
    }
    changed
}

#[test]
fn case_a63_a_call_ends_whatever_bytes_the_phrase_of_its_refusal_has() {
    for (phrase, _) in PHRASES {
        let mut world = World::new();
        let browser = log_in(&mut world, "1001", "secret-one");
        let invite = browser_invite("1001", "lines.test", "5551234", BROWSER_OFFER);
        world.receive(browser, &invite);
        world.expect_status(browser, 100);
        let onward = world.expect_request(trunk(), &Method::Invite);
        let ringing = with_phrase(&answer_to(&onward, 180, "b", None), phrase);
        world.receive_bytes(trunk(), ringing);
        world.expect_status(browser, 180);
        let busy = with_phrase(&answer_to(&onward, 486, "b", None), phrase);
        world.receive_bytes(trunk(), busy);
        world.expect_request(trunk(), &Method::Ack);
        let told = world.expect_status(browser, 486);
        assert!(!told.reason().unwrap().is_empty(), "{}", text(&told));
    }
}

#[test]
fn case_a63_a_call_is_answered_whatever_bytes_the_phrase_has() {
    for (phrase, _) in PHRASES {
        let mut world = World::new();
        let browser = register_at_carrier(&mut world, "alice");
        let invite = browser_invite("alice", "carrier.test", "bob", BROWSER_OFFER);
        world.receive(browser, &invite);
        world.expect_status(browser, 100);
        let onward = world.expect_request(trunk(), &Method::Invite);
        let taken = answer_to(&onward, 200, "b", Some(CARRIER_ANSWER));
        world.receive_bytes(trunk(), with_phrase(&taken, phrase));
        world.expect_request(trunk(), &Method::Ack);
        let accepted = world.expect_status(browser, 200);
        world.receive(browser, &in_dialog(&invite, &accepted, &Method::Ack, 0));
        world.complete_handshakes();
        world.receive(browser, &in_dialog(&invite, &accepted, &Method::Bye, 1));
        let bye = world.expect_request(trunk(), &Method::Bye);
        let gone = Message::response_to(&bye, 200, None);
        world.receive_bytes(trunk(), with_phrase(&gone, phrase));
        assert_eq!(world.engine.usage().calls, 0);
    }
}

#[test]
fn case_a63_the_sender_of_a_message_and_of_a_register_is_told_a_phrase_that_can_be_shown() {
    for (phrase, shown) in PHRASES {
        let mut world = World::new();
        let browser = register_at_carrier(&mut world, "alice");
        let message = from_browser(Method::Message, "sip:bob@carrier.test", 1);
        world.receive(browser, &message);
        let onward = world.expect_request(trunk(), &Method::Message);
        let busy = answer_to(&onward, 486, "b", None);
        world.receive_bytes(trunk(), with_phrase(&busy, phrase));
        let told = world.expect_status(browser, 486);
        assert_eq!(told.reason(), Some(shown), "{phrase:?}");

        let other = world.browser();
        let register = World::register_message("bob", "carrier.test", "r2");
        world.receive(other, &register);
        let onward = world.expect_request(trunk(), &Method::Register);
        let refused = Message::response_to(&onward, 403, None);
        world.receive_bytes(trunk(), with_phrase(&refused, phrase));
        world.expect_status(other, 403);
    }
}

#[test]
fn case_a63_the_browser_that_is_called_may_write_any_phrase_too() {
    for (phrase, _) in PHRASES {
        let mut world = World::new();
        let browser = log_in(&mut world, "1001", "secret-one");
        let invite = carrier_invite("sip:1001@198.51.100.1:5060", CARRIER_OFFER);
        world.receive(trunk(), &invite);
        world.expect_status(trunk(), 100);
        let onward = world.expect_request(browser, &Method::Invite);
        let busy = with_phrase(&answer_to(&onward, 486, "a", None), phrase);
        world.receive_bytes(browser, busy);
        world.expect_request(browser, &Method::Ack);
        world.expect_status(trunk(), 486);
    }
}

#[test]
fn case_a63_a_stream_bears_every_phrase() {
    let listen = "[sip]\nlisten_tcp = \"198.51.100.1:5060\"\n";
    let config = CONFIG.replace("[sip]\n", listen);
    let config = config.replace("[[trunk]]\n", "[[trunk]]\ntransport = \"tcp\"\n");
    let carrier = Peer::Tcp(TRUNK.parse().unwrap());
    for (phrase, _) in PHRASES {
        let mut world = World::with_config(&config);
        let browser = register_at(&mut world, carrier, "alice");
        let invite = browser_invite("alice", "carrier.test", "bob", BROWSER_OFFER);
        world.receive(browser, &invite);
        world.expect_status(browser, 100);
        let onward = world.expect_request(carrier, &Method::Invite);
        let mut framer = Framer::new();
        framer.push(&with_phrase(&answer_to(&onward, 486, "b", None), phrase));
        let frame = framer.next_frame();
        let Ok(Some(Frame::Message(bytes))) = frame else {
            panic!("{phrase:?}: {frame:?}");
        };
        world.receive_bytes(carrier, bytes);
        world.expect_request(carrier, &Method::Ack);
        world.expect_status(browser, 486);
    }
}

#[test]
fn case_a63_a_very_long_phrase_is_cut() {
    for size in [300, 5_000, 40_000] {
        let mut world = World::new();
        let browser = register_at_carrier(&mut world, "alice");
        let message = from_browser(Method::Message, "sip:bob@carrier.test", 1);
        world.receive(browser, &message);
        let onward = world.expect_request(trunk(), &Method::Message);
        let phrase = format!(" {}", "\u{e9}y".repeat(size / 3));
        let busy = answer_to(&onward, 486, "b", None);
        world.receive_bytes(trunk(), with_phrase(&busy, phrase.as_bytes()));
        let told = world.expect_status(browser, 486);
        let length = told.reason().unwrap().len();
        assert!((200..=256).contains(&length), "{length}");
    }
}

#[test]
fn case_a63_latin_1_in_a_header_costs_no_message_and_stays_readable() {
    let mut world = World::new();
    let browser = log_in(&mut world, "1001", "secret-one");
    let invite = carrier_invite("sip:1001@198.51.100.1:5060", CARRIER_OFFER);
    let plain = String::from_utf8(invite.to_bytes().to_vec()).unwrap();
    let more = "Subject: Gr\u{dc}\u{df}e\r\nUser-Agent: T\u{e9}l\u{e9}phone\r\n\
                Reason: Q.850;cause=16;text=\"termin\u{e9}\"\r\nContent-Type";
    let with = plain
        .replace("\"Bob\"", "\"J\u{f6}rg\"")
        .replacen("Content-Type", more, 1);
    let latin: Vec<u8> = with.chars().map(|c| u8::try_from(c).unwrap()).collect();
    world.receive_bytes(trunk(), latin);
    world.expect_status(trunk(), 100);
    let onward = world.expect_request(browser, &Method::Invite);
    let from = onward.header(HeaderName::From).unwrap();
    assert!(from.contains("J\u{f6}rg"), "{from}");
    // The answer repeats what came, byte for byte.
    world.receive(browser, &answer_to(&onward, 486, "a", None));
    let refused = world.expect_status(trunk(), 486);
    let bytes = refused.to_bytes();
    assert!(bytes.windows(6).any(|six| six == b"\"J\xf6rg\""));
}

#[test]
fn suite_s10_a_datagram_may_end_behind_its_last_header() {
    let mut world = World::new();
    let call = carrier_talks(&mut world);
    // The ACK of the call was whole; one of a re-INVITE is not, nor is the BYE.
    let mut again = in_dialog(&call.invite, &call.accepted, &Method::Invite, 1);
    again.set(HeaderName::Contact, format!("<sip:bob@{TRUNK}>"));
    again.set_body("application/sdp", Bytes::from(CARRIER_OFFER.to_owned()));
    world.receive(trunk(), &again);
    world.expect_status(trunk(), 100);
    let accepted = world.expect_status(trunk(), 200);
    let mut ack = in_dialog(&call.invite, &accepted, &Method::Ack, 1);
    ack.remove(HeaderName::ContentLength);
    world.receive_bytes(trunk(), without_end(&ack));
    world.advance(std::time::Duration::from_secs(5));
    world.expect_silence(trunk());
    let bye = in_dialog(&call.invite, &call.accepted, &Method::Bye, 2);
    let bytes = without_end(&bye);
    // Not even its last line is ended.
    world.receive_bytes(trunk(), bytes.slice(..bytes.len() - 2));
    world.expect_status(trunk(), 200);
    world.expect_request(call.browser, &Method::Bye);
}

#[test]
fn suite_s10_a_response_and_a_websocket_message_may_end_so_too() {
    let mut world = World::new();
    let browser = register_at_carrier(&mut world, "alice");
    let message = from_browser(Method::Message, "sip:bob@carrier.test", 1);
    world.receive_bytes(browser, without_end(&message));
    let onward = world.expect_request(trunk(), &Method::Message);
    let taken = Message::response_to(&onward, 202, None);
    world.receive_bytes(trunk(), without_end(&taken));
    world.expect_status(browser, 202);
}

#[test]
fn suite_s10_what_is_cut_off_is_no_message() {
    let mut world = World::new();
    let invite = carrier_invite("sip:1001@198.51.100.1:5060", CARRIER_OFFER);
    let bytes = invite.to_bytes();
    let head = bytes
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .unwrap();
    // The length of the body that is not there is told.
    world.receive_bytes(trunk(), bytes.slice(..head + 2));
    assert!(world.sent.iter().all(|(_, m)| m.status() == Some(400)));
    world.sent.clear();
    world.receive_bytes(trunk(), "OPTIONS sip:198.51.100.1 SIP/2.0\r\n");
    world.expect_silence(trunk());
}

#[test]
fn suite_s10_a_stream_waits_for_the_empty_line() {
    let message = from_browser(Method::Message, "sip:bob@carrier.test", 1);
    let mut framer = Framer::new();
    framer.push(&without_end(&message));
    assert_eq!(framer.next_frame(), Ok(None));
    framer.push(b"\r\n");
    assert!(matches!(framer.next_frame(), Ok(Some(Frame::Message(_)))));
}

#[test]
fn suite_s12_a_reinvite_with_the_branch_of_the_invite_is_a_new_request() {
    let mut world = World::new();
    let call = carrier_talks(&mut world);
    let via = call.invite.header(HeaderName::Via).unwrap().to_owned();
    for n in 1..3 {
        let mut again = in_dialog(&call.invite, &call.accepted, &Method::Invite, n);
        again.set(HeaderName::Via, via.as_str());
        again.set(HeaderName::Contact, format!("<sip:bob@{TRUNK}>"));
        again.set_body("application/sdp", Bytes::from(CARRIER_OFFER.to_owned()));
        world.receive(trunk(), &again);
        world.expect_status(trunk(), 100);
        world.expect_status(trunk(), 200);
        // It is repeated: nothing new begins.
        world.receive(trunk(), &again);
        world.expect_silence(trunk());
        let mut ack = in_dialog(&call.invite, &call.accepted, &Method::Ack, n);
        ack.set(HeaderName::Via, via.as_str());
        world.receive(trunk(), &ack);
        world.advance(std::time::Duration::from_secs(5));
        world.expect_silence(trunk());
    }
    for n in 3..5 {
        let mut options = in_dialog(&call.invite, &call.accepted, &Method::Options, n);
        options.set(HeaderName::Via, via.as_str());
        world.receive(trunk(), &options);
        let answered = world.expect(trunk());
        assert_eq!(
            answered.cseq().unwrap().number,
            1 + n,
            "{}",
            text(&answered)
        );
    }
}

#[test]
fn suite_s12_an_ack_and_a_cancel_find_their_invite_whatever_their_to_tag() {
    let mut world = World::new();
    let browser = log_in(&mut world, "1001", "secret-one");
    let mut invite = carrier_invite("sip:1001@198.51.100.1:5060", CARRIER_OFFER);
    world.receive(trunk(), &invite);
    world.expect_status(trunk(), 100);
    let onward = world.expect_request(browser, &Method::Invite);
    world.receive(browser, &answer_to(&onward, 180, "a", None));
    let ringing = world.expect_status(trunk(), 180);
    // It names the early dialog, against RFC 3261 section 9.1.
    let mut cancel = invite.clone();
    cancel.clear_body();
    cancel.set(HeaderName::To, ringing.header(HeaderName::To).unwrap());
    cancel.set(HeaderName::CSeq, "1 CANCEL");
    let bytes = String::from_utf8(cancel.to_bytes().to_vec()).unwrap();
    world.receive_bytes(trunk(), bytes.replacen("INVITE", "CANCEL", 1));
    world.expect_status(trunk(), 200);
    let ended = world.expect_status(trunk(), 487);
    world.expect_request(browser, &Method::Cancel);
    invite.clear_body();
    invite.set(HeaderName::To, ended.header(HeaderName::To).unwrap());
    invite.set(HeaderName::CSeq, "1 ACK");
    let bytes = String::from_utf8(invite.to_bytes().to_vec()).unwrap();
    world.receive_bytes(trunk(), bytes.replacen("INVITE", "ACK", 1));
    world.advance(std::time::Duration::from_secs(3));
    world.expect_silence(trunk());
}

#[test]
fn suite_s12_a_response_is_known_by_its_branch_and_cseq_alone() {
    for names in [
        vec![HeaderName::From],
        vec![HeaderName::CallId],
        vec![HeaderName::From, HeaderName::To, HeaderName::CallId],
    ] {
        let mut world = World::new();
        let browser = register_at_carrier(&mut world, "alice");
        let invite = browser_invite("alice", "carrier.test", "bob", BROWSER_OFFER);
        world.receive(browser, &invite);
        world.expect_status(browser, 100);
        let onward = world.expect_request(trunk(), &Method::Invite);
        let refused = without(&answer_to(&onward, 486, "b", None), &names);
        world.receive(trunk(), &refused);
        world.expect_request(trunk(), &Method::Ack);
        world.expect_status(browser, 486);

        let invite = browser_invite("alice", "carrier.test", "carol", BROWSER_OFFER);
        world.receive(browser, &invite);
        world.expect_status(browser, 100);
        let onward = world.expect_request(trunk(), &Method::Invite);
        let taken = answer_to(&onward, 200, "b", Some(CARRIER_ANSWER));
        world.receive(trunk(), &without(&taken, &names));
        world.expect_request(trunk(), &Method::Ack);
        world.expect_status(browser, 200);
    }
}

/// From values that name nobody.
const NOBODY: [&str; 7] = [
    "<sip:@198.51.100.20>",
    "\"Unavailable\" <sip:@carrier.test:5060;user=phone>",
    "sip:@carrier.test",
    "<tel:Unavailable>",
    "\"Anonymous\" <tel:anonymous>",
    "<Restricted>",
    "<sip:>",
];

#[test]
fn case_b04_b43b_a_caller_with_an_address_that_is_none_is_anonymous() {
    for from in NOBODY {
        let mut world = World::new();
        let browser = log_in(&mut world, "1001", "secret-one");
        let mut invite = carrier_invite("sip:1001@198.51.100.1:5060", CARRIER_OFFER);
        invite.set(HeaderName::From, format!("{from};tag=bob1"));
        world.receive(trunk(), &invite);
        world.expect_status(trunk(), 100);
        let onward = world.expect_request(browser, &Method::Invite);
        let told = onward.header(HeaderName::From).unwrap();
        assert!(told.contains("sip:anonymous@anonymous.invalid"), "{told}");
        let answer = answer_to(&onward, 200, "a", Some(BROWSER_ANSWER));
        world.receive(browser, &answer);
        world.expect_request(browser, &Method::Ack);
        let accepted = world.expect_status(trunk(), 200);
        let repeated = accepted.header(HeaderName::From).unwrap();
        assert_eq!(repeated, format!("{from};tag=bob1"));
        world.receive(trunk(), &in_dialog(&invite, &accepted, &Method::Ack, 0));
        world.complete_handshakes();
        // The dialog goes on with what came, one tag behind it.
        world.receive(browser, &in_dialog_of_callee(&onward, "a", &Method::Bye));
        world.expect_status(browser, 200);
        let bye = world.expect_request(trunk(), &Method::Bye);
        let to = bye.header(HeaderName::To).unwrap();
        assert_eq!(to, format!("{from};tag=bob1"));
        world.receive(trunk(), &Message::response_to(&bye, 200, None));
        assert_eq!(world.engine.usage().calls, 0);
    }
}

#[test]
fn case_b04_b43b_a_message_from_nobody_reaches_lines_and_users() {
    for from in NOBODY {
        let mut world = World::new();
        let line = log_in(&mut world, "1001", "secret-one");
        let user = register_at_carrier(&mut world, "alice");
        for (n, (called, browser)) in [("1001", line), ("alice", user)].into_iter().enumerate() {
            let uri = format!("sip:{called}@198.51.100.1");
            let n = u32::try_from(n).unwrap();
            let mut message = from_carrier(Method::Message, &uri, None, n);
            message.set(HeaderName::From, format!("{from};tag=b"));
            world.receive(trunk(), &message);
            let told = world.expect_request(browser, &Method::Message);
            let shown = told.header(HeaderName::From).unwrap();
            assert!(shown.ends_with("<sip:anonymous@anonymous.invalid>;tag=b"));
            world.receive(browser, &Message::response_to(&told, 200, None));
            let answer = world.expect_status(trunk(), 200);
            let repeated = answer.header(HeaderName::From).unwrap();
            assert_eq!(repeated, format!("{from};tag=b"));
        }
    }
}

#[test]
fn case_b04_a_browser_with_such_a_from_is_who_its_connection_is() {
    let mut world = World::new();
    let browser = register_at_carrier(&mut world, "alice");
    let mut invite = browser_invite("alice", "carrier.test", "bob", BROWSER_OFFER);
    invite.set(HeaderName::From, "<sip:@carrier.test>;tag=caller");
    world.receive(browser, &invite);
    world.expect_status(browser, 100);
    let onward = world.expect_request(trunk(), &Method::Invite);
    let from = onward.header(HeaderName::From).unwrap();
    assert!(from.contains("anonymous.invalid"), "{from}");
    let asserted = onward.header(HeaderName::PAssertedIdentity);
    assert_eq!(asserted, Some("<sip:alice@carrier.test>"));
    // A stranger is nobody.
    let stranger = world.browser();
    invite.set(HeaderName::Via, "SIP/2.0/WSS x2.invalid;branch=z9hG4bKs");
    invite.set(HeaderName::CallId, "stranger");
    world.receive(stranger, &invite);
    world.expect_status(stranger, 100);
    world.expect_status(stranger, 403);
}

#[test]
fn ux_g7_an_ack_with_an_empty_tag_in_front_of_its_tag_is_taken() {
    for tags in [
        ";tag=;tag=caller",
        ";tag;tag=caller",
        ";tag=\"\";x=1;tag=caller",
    ] {
        let mut world = World::new();
        let browser = register_at_carrier(&mut world, "alice");
        let invite = browser_invite("alice", "carrier.test", "bob", BROWSER_OFFER);
        world.receive(browser, &invite);
        world.expect_status(browser, 100);
        let onward = world.expect_request(trunk(), &Method::Invite);
        let taken = answer_to(&onward, 200, "b", Some(CARRIER_ANSWER));
        world.receive(trunk(), &taken);
        world.expect_request(trunk(), &Method::Ack);
        let accepted = world.expect_status(browser, 200);
        let mut ack = in_dialog(&invite, &accepted, &Method::Ack, 0);
        ack.set(HeaderName::From, format!("<sip:alice@carrier.test>{tags}"));
        world.receive(browser, &ack);
        world.complete_handshakes();
        world.advance(std::time::Duration::from_secs(5));
        world.expect_silence(browser);
        // So is a BYE.
        let mut bye = in_dialog(&invite, &accepted, &Method::Bye, 1);
        bye.set(HeaderName::From, format!("<sip:alice@carrier.test>{tags}"));
        world.receive(browser, &bye);
        world.expect_status(browser, 200);
        world.expect_request(trunk(), &Method::Bye);
    }
}
