//! Session descriptions of carriers that name what cannot be: another IP version, video on an audio
//! trunk, a medium without an address.

use control::engine::input::Peer;
use control::sip::{HeaderName, Message, Method};
use dataplane::link::{Command, Media};
use tests::world::{CONFIG, World, text};

use crate::calls::talk;
use crate::peers::{
    BROWSER_ANSWER, BROWSER_OFFER, CARRIER_ANSWER, CARRIER_OFFER, answer_to, browser_invite,
    carrier_invite, in_dialog, in_dialog_of_callee, log_in, register_at_carrier, trunk,
};

const IPV6: &str = "c=IN IP6 2001:db8::7";

/// A carrier's description with other lines in place of its `c=` line.
fn at(sdp: &str, lines: &str) -> String {
    let is_connection = |line: &&str| line.starts_with("c=");
    let connection = sdp.lines().find(is_connection).expect("a c= line");
    sdp.replacen(connection, lines, 1)
}

/// The carrier calls line 1001 with this offer.
fn call_line(world: &mut World, offer: &str) -> (Peer, Message) {
    let browser = log_in(world, "1001", "secret-one");
    let invite = carrier_invite("sip:1001@198.51.100.1:5060", offer);
    world.receive(trunk(), &invite);
    world.expect_status(trunk(), 100);
    (browser, invite)
}

fn is_refused_for_its_address(refused: &Message) {
    assert_eq!(refused.status(), Some(488));
    let warning = refused.header(HeaderName::Warning).expect("a Warning");
    assert!(warning.starts_with("301 "), "{warning}");
}

fn peers(world: &World) -> Vec<String> {
    let told = world.commands.iter().filter_map(|command| {
        let Command::SetPeer { peer, .. } = command else {
            return None;
        };
        Some(peer.rtp.to_string())
    });
    told.collect()
}

fn has_video(message: &Message) -> bool {
    let text = text(message);
    let lines = text.lines().filter(|line| line.starts_with("m=video "));
    lines
        .into_iter()
        .any(|line| !line.starts_with("m=video 0 "))
}

#[test]
fn case_e07_an_offer_of_the_other_ip_version_is_refused() {
    for offer in [
        at(CARRIER_OFFER, IPV6),
        at(CARRIER_OFFER, "c=IN IP4 media.example.com"),
    ] {
        let mut world = World::new();
        let (browser, _) = call_line(&mut world, &offer);
        is_refused_for_its_address(&world.expect_status(trunk(), 488));
        world.expect_silence(browser);
        assert_eq!(world.engine.calls(), 0);
    }
    // The same where ringway has IPv6.
    let config = CONFIG.replace(
        "trunk_bind = \"198.51.100.1\"",
        "trunk_bind = \"2001:db8::1\"",
    );
    let mut world = World::with_config(&config);
    call_line(&mut world, CARRIER_OFFER);
    is_refused_for_its_address(&world.expect_status(trunk(), 488));
    let mut world = World::with_config(&config);
    let (browser, _) = call_line(&mut world, &at(CARRIER_OFFER, IPV6));
    world.expect_request(browser, &Method::Invite);
}

#[test]
fn case_e07_of_two_addresses_the_one_that_can_be_reached_is_taken() {
    let mapped = "c=IN IP6 ::ffff:198.51.100.9";
    for (lines, expected) in [
        (
            format!("{IPV6}\r\nc=IN IP4 198.51.100.9"),
            "198.51.100.9:22010",
        ),
        (
            format!("c=IN IP4 198.51.100.9\r\n{IPV6}"),
            "198.51.100.9:22010",
        ),
        (mapped.to_owned(), "198.51.100.9:22010"),
    ] {
        let mut world = World::new();
        let browser = register_at_carrier(&mut world, "alice");
        let invite = browser_invite("alice", "carrier.test", "bob", BROWSER_OFFER);
        world.receive(browser, &invite);
        world.expect_status(browser, 100);
        let onward = world.expect_request(trunk(), &Method::Invite);
        let answer = at(CARRIER_ANSWER, &lines);
        world.receive(trunk(), &answer_to(&onward, 200, "bob1", Some(&answer)));
        world.expect_request(trunk(), &Method::Ack);
        world.expect_status(browser, 200);
        assert_eq!(peers(&world), [expected]);
    }
}

#[test]
fn case_e07_an_answer_of_the_other_ip_version_ends_the_call() {
    let mut world = World::new();
    let browser = register_at_carrier(&mut world, "alice");
    let invite = browser_invite("alice", "carrier.test", "bob", BROWSER_OFFER);
    world.receive(browser, &invite);
    world.expect_status(browser, 100);
    let onward = world.expect_request(trunk(), &Method::Invite);
    let answer = at(CARRIER_ANSWER, IPV6);
    world.receive(trunk(), &answer_to(&onward, 200, "bob1", Some(&answer)));
    world.expect_request(trunk(), &Method::Ack);
    world.expect_request(trunk(), &Method::Bye);
    world.expect_status(browser, 488);
}

#[test]
fn case_e07_an_offer_of_the_other_ip_version_in_a_call_leaves_it_as_it_was() {
    for method in [Method::Invite, Method::Update] {
        let mut world = World::new();
        let (browser, _, onward, _) = talk(&mut world);
        let before = peers(&world);
        let mut request = in_dialog_of_callee(&onward, "bob1", &method);
        request.push(HeaderName::Contact, "<sip:bob@198.51.100.20:5060>");
        request.set_body("application/sdp", at(CARRIER_ANSWER, IPV6).into());
        world.receive(trunk(), &request);
        if method == Method::Invite {
            world.expect_status(trunk(), 100);
        }
        is_refused_for_its_address(&world.expect_status(trunk(), 488));
        world.expect_silence(browser);
        assert_eq!((peers(&world), world.engine.calls()), (before, 1));
    }
}

#[test]
fn case_e05_video_of_a_carrier_stops_at_a_trunk_without_video() {
    let mut world = World::new();
    let (browser, _) = call_line(&mut world, CARRIER_OFFER);
    let onward = world.expect_request(browser, &Method::Invite);
    assert!(!text(&onward).contains("m=video"), "{}", text(&onward));
    let answer = answer_to(&onward, 200, "alice1", Some(BROWSER_ANSWER));
    world.receive(browser, &answer);
    world.expect_request(browser, &Method::Ack);
    let accepted = world.expect_status(trunk(), 200);
    assert!(
        text(&accepted).contains("m=video 0 "),
        "{}",
        text(&accepted)
    );
    let video = |command: &&Command| matches!(command, Command::SetRoute(route) if route.media == Media::Video);
    assert_eq!(world.commands.iter().filter(video).count(), 0);
    // With it, it goes on.
    let config = CONFIG.replace(
        "domain = \"carrier.test\"\ncodecs",
        "domain = \"carrier.test\"\nvideo = true\ncodecs",
    );
    let mut world = World::with_config(&config);
    let (browser, _) = call_line(&mut world, CARRIER_OFFER);
    let onward = world.expect_request(browser, &Method::Invite);
    assert!(has_video(&onward));
}

#[test]
fn suite_s12_a_medium_without_an_address_is_refused_alone() {
    let config = CONFIG.replace(
        "domain = \"carrier.test\"\ncodecs",
        "domain = \"carrier.test\"\nvideo = true\ncodecs",
    );
    // The c= line stands with the audio; the video has none, or one that cannot be reached.
    let audio_alone = at(CARRIER_OFFER, "b=X:1").replacen(
        "a=fmtp:18 annexb=no",
        "c=IN IP4 198.51.100.7\r\na=fmtp:18 annexb=no",
        1,
    );
    let v6_video = CARRIER_OFFER.replace(
        "a=rtpmap:99 H264/90000",
        "c=IN IP6 2001:db8::7\r\na=rtpmap:99 H264/90000",
    );
    let v6_audio_too = format!("{CARRIER_OFFER}m=audio 21008 RTP/AVP 8\r\n{IPV6}\r\n");
    for offer in [audio_alone, v6_video, v6_audio_too] {
        let mut world = World::with_config(&config);
        let (browser, invite) = call_line(&mut world, &offer);
        let onward = world.expect_request(browser, &Method::Invite);
        let answer = answer_to(&onward, 200, "alice1", Some(BROWSER_ANSWER));
        world.receive(browser, &answer);
        world.expect_request(browser, &Method::Ack);
        let accepted = world.expect_status(trunk(), 200);
        assert!(!has_video(&accepted), "{}", text(&accepted));
        assert_eq!(
            text(&accepted).matches("m=audio 0 ").count(),
            text(&invite).matches("m=audio 21008").count()
        );
        world.receive(trunk(), &in_dialog(&invite, &accepted, &Method::Ack, 0));
        world.complete_handshakes();
        assert_eq!(world.engine.calls(), 1);
    }
    // Audio without one is an error.
    let none = at(CARRIER_OFFER, "b=X:1");
    let mut world = World::with_config(&config);
    call_line(&mut world, &none);
    is_refused_for_its_address(&world.expect_status(trunk(), 488));
}

#[test]
fn case_b25_of_two_meanings_of_a_telephone_event_the_one_of_the_codec_counts() {
    let events = "a=rtpmap:101 telephone-event/16000\r\na=rtpmap:101 telephone-event/8000";
    let offer = CARRIER_OFFER.replace("a=rtpmap:101 telephone-event/8000", events);
    let offer = offer.replace("18 8 0 13 101", "8 101 101");
    let mut world = World::new();
    let (browser, _) = call_line(&mut world, &offer);
    let onward = world.expect_request(browser, &Method::Invite);
    let seen = text(&onward);
    assert!(seen.contains("a=rtpmap:101 telephone-event/8000"), "{seen}");
    assert!(!seen.contains("telephone-event/16000"), "{seen}");
    // In an answer, too.
    let mut world = World::new();
    let browser = register_at_carrier(&mut world, "alice");
    let invite = browser_invite("alice", "carrier.test", "bob", BROWSER_OFFER);
    world.receive(browser, &invite);
    world.expect_status(browser, 100);
    let onward = world.expect_request(trunk(), &Method::Invite);
    let answer = CARRIER_ANSWER.replace(
        "a=rtpmap:96 telephone-event/8000",
        "a=rtpmap:96 telephone-event/16000\r\na=rtpmap:96 telephone-event/8000",
    );
    world.receive(trunk(), &answer_to(&onward, 200, "bob1", Some(&answer)));
    world.expect_request(trunk(), &Method::Ack);
    let accepted = text(&world.expect_status(browser, 200));
    assert!(accepted.contains("telephone-event/8000"), "{accepted}");
}
