//! Several formats that both sides agree to: any of them may come at any time (RFC 3264 section 6.1).

use control::engine::input::{Input, Peer};
use control::sip::{HeaderName, Message, Method};
use dataplane::link::{Command, Event, Route, SendDigit};
use tests::world::{CONFIG, World, text};

use crate::peers::{
    BROWSER_OFFER, answer_to, browser_invite, carrier_invite, in_dialog, log_in,
    register_at_carrier, trunk,
};
use crate::talker::audio;

const CODECS: &str = "codecs = [\"PCMU\", \"PCMA\", \"G722\"]";

/// A trunk that knows opus, too.
fn with_opus() -> World {
    let codecs = "codecs = [\"opus\", \"PCMU\", \"PCMA\", \"G722\"]";
    World::with_config(&CONFIG.replace(CODECS, codecs))
}

/// A carrier's description with these formats.
fn carrier(formats: &str, maps: &str) -> String {
    format!(
        "v=0\r\no=sbc 1000 1 IN IP4 198.51.100.7\r\ns=-\r\nc=IN IP4 198.51.100.7\r\nt=0 0\r\n\
         m=audio 40000 RTP/AVP {formats}\r\n{maps}a=sendrecv\r\n"
    )
}

/// Alice calls the carrier, which answers so.
fn call(world: &mut World, answer: &str) -> (Peer, Message, Message) {
    let browser = register_at_carrier(world, "alice");
    let invite = browser_invite("alice", "carrier.test", "bob", BROWSER_OFFER);
    world.receive(browser, &invite);
    world.expect_status(browser, 100);
    let onward = world.expect_request(trunk(), &Method::Invite);
    world.receive(trunk(), &answer_to(&onward, 200, "bob1", Some(answer)));
    world.expect_request(trunk(), &Method::Ack);
    let accepted = world.expect_status(browser, 200);
    world.receive(browser, &in_dialog(&invite, &accepted, &Method::Ack, 0));
    world.complete_handshakes();
    (browser, invite, accepted)
}

/// The routes that are set, the latest first: out of the browser, out of the trunk.
fn routes(world: &World) -> (Route, Route) {
    let is_route = |command: &Command| {
        let Command::SetRoute(route) = command else {
            return None;
        };
        Some(route.clone())
    };
    let browser = world.handshake_flows()[0];
    let of = |is_browser: bool| {
        let mut all = world.commands.iter().rev().filter_map(is_route);
        let found = all.find(|route| (route.from == browser) == is_browser);
        found.expect("a route")
    };
    (of(true), of(false))
}

fn digits(world: &World) -> Vec<SendDigit> {
    let digit = |command: &Command| {
        let Command::SendDigit(digit) = command else {
            return None;
        };
        Some(*digit)
    };
    world.commands.iter().filter_map(digit).collect()
}

#[test]
fn case_e02_media_f7_every_format_of_an_answer_passes_both_ways() {
    let mut world = World::new();
    let maps = "a=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:100 G722/8000\r\n\
                a=rtpmap:126 telephone-event/8000\r\n";
    let (_, _, accepted) = call(&mut world, &carrier("8 0 100 126", maps));
    assert_eq!(
        audio(&accepted).codecs(),
        ["PCMA/8000", "PCMU/8000", "G722/8000"]
    );
    assert!(audio(&accepted).has_events());
    let (out, back) = routes(&world);
    for (number, at_carrier) in [(8, 8), (0, 0), (9, 100), (126, 126)] {
        assert_eq!(out.payload_types.get(number), Some(at_carrier));
        assert_eq!(back.payload_types.get(at_carrier), Some(number));
    }
    // The carrier may use the number of our offer, too.
    assert_eq!(back.payload_types.get(9), Some(9));
}

#[test]
fn case_e02_media_f7_formats_of_two_clocks_pass_too() {
    let mut world = with_opus();
    let maps = "a=rtpmap:111 opus/48000/2\r\na=rtpmap:110 telephone-event/48000\r\n\
                a=rtpmap:126 telephone-event/8000\r\n";
    let (_, _, accepted) = call(&mut world, &carrier("111 0 110 126", maps));
    assert_eq!(audio(&accepted).codecs(), ["opus/48000/2", "PCMU/8000"]);
    let (out, back) = routes(&world);
    for number in [111, 0, 110, 126] {
        assert_eq!(out.payload_types.get(number), Some(number));
        assert_eq!(back.payload_types.get(number), Some(number));
    }
}

#[test]
fn case_e02_a_browser_that_is_called_agrees_to_several_formats() {
    let mut world = World::new();
    let browser = log_in(&mut world, "1001", "secret-one");
    let maps = "a=rtpmap:101 telephone-event/8000\r\n";
    let invite = carrier_invite("sip:1001@198.51.100.1:5060", &carrier("8 0 101", maps));
    world.receive(trunk(), &invite);
    world.expect_status(trunk(), 100);
    let onward = world.expect_request(browser, &Method::Invite);
    let answer = crate::peers::BROWSER_ANSWER;
    world.receive(browser, &answer_to(&onward, 200, "alice1", Some(answer)));
    world.expect_request(browser, &Method::Ack);
    let accepted = world.expect_status(trunk(), 200);
    assert_eq!(audio(&accepted).codecs(), ["PCMU/8000", "PCMA/8000"]);
    let (out, back) = routes(&world);
    for number in [0, 8, 101] {
        assert_eq!(out.payload_types.get(number), Some(number));
        assert_eq!(back.payload_types.get(number), Some(number));
    }
}

#[test]
fn suite_s2_a_late_offer_lists_all_that_the_browser_takes_and_the_ack_chooses() {
    let mut world = with_opus();
    let browser = log_in(&mut world, "1001", "secret-one");
    let mut invite = carrier_invite("sip:1001@198.51.100.1:5060", "");
    invite.clear_body();
    world.receive(trunk(), &invite);
    world.expect_status(trunk(), 100);
    let onward = world.expect_request(browser, &Method::Invite);
    let answer = crate::peers::BROWSER_ANSWER.replace(
        "UDP/TLS/RTP/SAVPF 0 8 101",
        "UDP/TLS/RTP/SAVPF 111 9 0 8 101 102",
    );
    let more = "a=rtpmap:111 opus/48000/2\r\na=rtpmap:9 G722/8000\r\n\
                a=rtpmap:102 telephone-event/48000\r\na=rtpmap:0 PCMU/8000";
    let newline = if answer.contains("\r\n") {
        "\r\n"
    } else {
        "\n"
    };
    let more = more.replace("\r\n", newline);
    let answer = answer.replace("a=rtpmap:0 PCMU/8000", &more);
    world.receive(browser, &answer_to(&onward, 200, "alice1", Some(&answer)));
    world.expect_request(browser, &Method::Ack);
    let accepted = world.expect_status(trunk(), 200);
    let offered = ["opus/48000/2", "G722/8000", "PCMU/8000", "PCMA/8000"];
    assert_eq!(audio(&accepted).codecs(), offered);
    let seen = text(&accepted);
    for event in ["telephone-event/8000", "telephone-event/48000"] {
        assert!(seen.contains(event), "{seen}");
    }
    let mut ack = in_dialog(&invite, &accepted, &Method::Ack, 0);
    ack.set_body("application/sdp", carrier("0", "").into());
    world.receive(trunk(), &ack);
    world.complete_handshakes();
    world.advance(std::time::Duration::ZERO);
    // The browser would send opus: it is asked for what the carrier has chosen.
    let told = world.expect_request(browser, &Method::Invite);
    assert_eq!(audio(&told).codecs(), ["PCMU/8000"]);
    assert_eq!(routes(&world).1.payload_types.get(0), Some(0));
    assert_eq!(world.engine.calls(), 1);
}

#[test]
fn case_a13_digits_reach_a_carrier_that_knows_them_at_8000_hz_alone() {
    let mut world = with_opus();
    let maps = "a=rtpmap:111 opus/48000/2\r\na=rtpmap:126 telephone-event/8000\r\n";
    let (browser, invite, accepted) = call(&mut world, &carrier("111 126", maps));
    assert!(
        text(&accepted).contains("telephone-event/8000"),
        "{}",
        text(&accepted)
    );
    let (out, back) = routes(&world);
    assert_eq!(out.payload_types.get(126), Some(126));
    assert_eq!(back.payload_types.get(126), Some(126));
    let mut info = in_dialog(&invite, &accepted, &Method::Info, 1);
    info.set_body("application/dtmf-relay", "Signal=5\r\nDuration=160".into());
    world.receive(browser, &info);
    world.expect_status(browser, 200);
    let sent = digits(&world);
    assert_eq!((sent[0].payload_type, sent[0].clock_hz), (126, 8_000));
}

#[test]
fn case_a13_a_trunk_with_opus_alone_is_offered_the_digits_that_it_may_know() {
    let config = CONFIG.replace(CODECS, "codecs = [\"opus\"]");
    let mut world = World::with_config(&config);
    let browser = register_at_carrier(&mut world, "alice");
    let invite = browser_invite("alice", "carrier.test", "bob", BROWSER_OFFER);
    world.receive(browser, &invite);
    world.expect_status(browser, 100);
    let onward = text(&world.expect_request(trunk(), &Method::Invite));
    for event in ["telephone-event/8000", "telephone-event/48000"] {
        assert!(onward.contains(event), "{onward}");
    }
    // Called, with a late offer, too.
    let mut world = World::with_config(&config);
    let browser = log_in(&mut world, "1001", "secret-one");
    let mut invite = carrier_invite("sip:1001@198.51.100.1:5060", "");
    invite.clear_body();
    invite.remove(HeaderName::ContentType);
    world.receive(trunk(), &invite);
    world.expect_status(trunk(), 100);
    let onward = text(&world.expect_request(browser, &Method::Invite));
    assert!(onward.contains("telephone-event/8000"), "{onward}");
}

#[test]
fn case_a13_digits_of_a_browser_that_knows_8000_hz_alone_become_info_of_their_length() {
    let config = CONFIG.replace(CODECS, "dtmf = \"info\"\ncodecs = [\"opus\"]");
    let mut world = World::with_config(&config);
    let browser = register_at_carrier(&mut world, "alice");
    let offer = BROWSER_OFFER.replace("13 110 126", "13 126");
    let invite = browser_invite("alice", "carrier.test", "bob", &offer);
    world.receive(browser, &invite);
    world.expect_status(browser, 100);
    let onward = world.expect_request(trunk(), &Method::Invite);
    let answer = carrier("111", "a=rtpmap:111 opus/48000/2\r\n");
    world.receive(trunk(), &answer_to(&onward, 200, "bob1", Some(&answer)));
    world.expect_request(trunk(), &Method::Ack);
    let accepted = world.expect_status(browser, 200);
    assert!(text(&accepted).contains("a=rtpmap:126 telephone-event/8000"));
    assert!(routes(&world).0.payload_types.ends(126));
    world.receive(browser, &in_dialog(&invite, &accepted, &Method::Ack, 0));
    let flow = world.handshake_flows()[0];
    // 960 ticks, which the worker has taken for 48,000 in a second.
    world.input(Input::Media(Event::Digit {
        flow,
        event: 5,
        duration: std::time::Duration::from_millis(20),
    }));
    let info = world.expect_request(trunk(), &Method::Info);
    assert!(text(&info).contains("Duration=120"), "{}", text(&info));
}
