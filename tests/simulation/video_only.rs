//! Calls with video and no audio.

use control::engine::input::Peer;
use control::sip::{HeaderName, Message, Method};
use dataplane::link::{Command, FlowId, Media};
use tests::world::{CONFIG, World, text};

use crate::peers::{
    BROWSER_VIDEO_OFFER, answer_to, browser_invite, carrier_invite, in_dialog, log_in,
    register_at_carrier, trunk,
};

const BROWSER_VIDEO_ANSWER: &str = include_str!("../fixtures/chromium_answer_audio_video.sdp");

/// A browser's description without its audio.
fn video_of(sdp: &str) -> String {
    let audio = sdp.find("m=audio ").expect("audio");
    let video = sdp.find("m=video ").expect("video");
    let session = sdp[..audio].replace("a=group:BUNDLE 0 1", "a=group:BUNDLE 1");
    session + &sdp[video..]
}

/// The answer to our offer, with its mid.
fn video_answer() -> String {
    let answer = video_of(BROWSER_VIDEO_ANSWER);
    let answer = answer.replace("a=group:BUNDLE 1", "a=group:BUNDLE 0");
    answer.replace("a=mid:1", "a=mid:0")
}

fn routes(world: &World) -> Vec<(Media, FlowId)> {
    let route = |command: &Command| {
        let Command::SetRoute(route) = command else {
            return None;
        };
        Some((route.media, route.from))
    };
    world.commands.iter().filter_map(route).collect()
}

fn calls_line(world: &mut World) -> (Peer, Peer, Message, Message) {
    let alice = log_in(world, "1001", "secret-one");
    let bob = log_in(world, "1002", "secret-two");
    let offer = video_of(BROWSER_VIDEO_OFFER);
    let invite = browser_invite("1001", "lines.test", "1002", &offer);
    world.receive(alice, &invite);
    world.expect_status(alice, 100);
    let onward = world.expect_request(bob, &Method::Invite);
    (alice, bob, invite, onward)
}

#[test]
fn ux_g6_two_browsers_see_each_other_without_audio() {
    let mut world = World::new();
    let (alice, bob, invite, onward) = calls_line(&mut world);
    let seen = text(&onward);
    assert!(
        seen.contains("m=video ") && !seen.contains("m=audio"),
        "{seen}"
    );
    assert!(
        seen.contains("a=ice-ufrag:") && seen.contains("a=fingerprint:"),
        "{seen}"
    );
    let answer = answer_to(&onward, 200, "bob1", Some(&video_answer()));
    world.receive(bob, &answer);
    world.expect_request(bob, &Method::Ack);
    let accepted = world.expect_status(alice, 200);
    assert!(text(&accepted).contains("m=video "), "{}", text(&accepted));
    assert!(
        !text(&accepted).contains("m=video 0 "),
        "{}",
        text(&accepted)
    );
    world.receive(alice, &in_dialog(&invite, &accepted, &Method::Ack, 0));
    world.complete_handshakes();
    world.advance(std::time::Duration::from_secs(30));
    assert_eq!(world.engine.calls(), 1);
    let routes = routes(&world);
    assert!(routes.iter().all(|(media, _)| *media == Media::Video));
    assert_eq!(world.handshake_flows().len(), 2);
    for flow in world.handshake_flows() {
        assert!(routes.iter().any(|(_, from)| *from == flow));
    }
    // A change within the call: on hold, and back.
    for (n, direction) in [(1, "a=sendonly"), (2, "a=sendrecv")] {
        let offer = video_of(BROWSER_VIDEO_OFFER).replace("a=sendrecv", direction);
        let mut reinvite = in_dialog(&invite, &accepted, &Method::Invite, n);
        reinvite.push(HeaderName::Contact, "<sip:1001x@x1.invalid;transport=ws>");
        reinvite.set_body("application/sdp", offer.into());
        world.receive(alice, &reinvite);
        world.expect_status(alice, 100);
        let onward = world.expect_request(bob, &Method::Invite);
        assert!(text(&onward).contains(direction), "{}", text(&onward));
        let held = direction.replace("sendonly", "recvonly");
        let answer = video_answer().replace("a=sendrecv", &held);
        world.receive(bob, &answer_to(&onward, 200, "bob1", Some(&answer)));
        world.expect_request(bob, &Method::Ack);
        let answered = world.expect_status(alice, 200);
        assert!(text(&answered).contains(&held), "{}", text(&answered));
        world.receive(alice, &in_dialog(&invite, &accepted, &Method::Ack, n));
    }
    assert_eq!(world.engine.calls(), 1);
}

#[test]
fn ux_g6_a_browser_that_refuses_the_video_refuses_the_call() {
    let mut world = World::new();
    let (alice, bob, _, onward) = calls_line(&mut world);
    let refused = video_answer().replace("m=video 9 ", "m=video 0 ");
    world.receive(bob, &answer_to(&onward, 200, "bob1", Some(&refused)));
    world.expect_request(bob, &Method::Ack);
    world.expect_request(bob, &Method::Bye);
    world.expect_status(alice, 488);
}

#[test]
fn ux_g6_the_echo_line_shows_a_browser_itself() {
    let mut world = World::new();
    let browser = log_in(&mut world, "1001", "secret-one");
    let offer = video_of(BROWSER_VIDEO_OFFER);
    let invite = browser_invite("1001", "lines.test", "9196", &offer);
    world.receive(browser, &invite);
    world.expect_status(browser, 100);
    let accepted = world.expect_status(browser, 200);
    assert!(text(&accepted).contains("m=video "), "{}", text(&accepted));
    assert!(
        routes(&world)
            .iter()
            .any(|(media, _)| *media == Media::Video)
    );
}

#[test]
fn ux_g6_a_carrier_without_video_is_not_asked() {
    let mut world = World::new();
    let browser = register_at_carrier(&mut world, "alice");
    let offer = video_of(BROWSER_VIDEO_OFFER);
    let invite = browser_invite("alice", "carrier.test", "bob", &offer);
    world.receive(browser, &invite);
    world.expect_status(browser, 100);
    let refused = world.expect_status(browser, 488);
    let warning = refused.header(HeaderName::Warning).expect("a Warning");
    assert!(warning.starts_with("304 "), "{warning}");
    world.expect_silence(trunk());
}

#[test]
fn ux_g6_a_carrier_with_video_calls_without_audio() {
    let keys = "domain = \"carrier.test\"\nvideo = true\ncodecs";
    let config = CONFIG.replace("domain = \"carrier.test\"\ncodecs", keys);
    let mut world = World::with_config(&config);
    let browser = log_in(&mut world, "1001", "secret-one");
    let offer = "v=0\r\no=- 1 1 IN IP4 198.51.100.7\r\ns=-\r\nc=IN IP4 198.51.100.7\r\nt=0 0\r\n\
                 m=video 21004 RTP/AVP 96\r\na=rtpmap:96 VP8/90000\r\n";
    let invite = carrier_invite("sip:1001@198.51.100.1:5060", offer);
    world.receive(trunk(), &invite);
    world.expect_status(trunk(), 100);
    let onward = world.expect_request(browser, &Method::Invite);
    let answer = answer_to(&onward, 200, "alice1", Some(&video_answer()));
    world.receive(browser, &answer);
    world.expect_request(browser, &Method::Ack);
    let accepted = world.expect_status(trunk(), 200);
    assert!(text(&accepted).contains("m=video "), "{}", text(&accepted));
    world.receive(trunk(), &in_dialog(&invite, &accepted, &Method::Ack, 0));
    world.complete_handshakes();
    world.advance(std::time::Duration::from_secs(20));
    assert_eq!(world.engine.calls(), 1);
    let is_peer = |command: &&Command| matches!(command, Command::SetPeer { peer, .. } if peer.rtp.port() == 21_004);
    assert_eq!(world.commands.iter().filter(is_peer).count(), 1);
}
