//! Video that is added to a call and taken away again: never on the ports of the audio.

use control::engine::input::Peer;
use control::sip::{Message, Method};
use dataplane::link::{Command, Media, RefuseReason};
use tests::world::{CONFIG, World, text};

use crate::calls::talk;
use crate::peers::{
    BROWSER_OFFER, BROWSER_VIDEO_OFFER, CARRIER_ANSWER, answer_to, in_dialog, in_dialog_of_callee,
    trunk,
};
use crate::talker::{is_quiet, numbered, ports};

const BROWSER_VIDEO_ANSWER: &str = include_str!("../fixtures/chromium_answer_audio_video.sdp");

const VIDEO: &str = "m=video 40040 RTP/AVP 97\r\na=rtpmap:97 H264/90000\r\n\
                     a=fmtp:97 packetization-mode=1;profile-level-id=42001f\r\n";

fn video_world() -> World {
    World::with_config(&CONFIG.replace(
        "domain = \"carrier.test\"\ncodecs",
        "domain = \"carrier.test\"\nvideo = true\ncodecs",
    ))
}

fn video_routes(world: &World) -> usize {
    let is_video = |command: &&Command| matches!(command, Command::SetRoute(route) if route.media == Media::Video);
    world.commands.iter().filter(is_video).count()
}

fn with_video(offer: &str) -> String {
    format!("{offer}{VIDEO}")
}

fn offer_of_browser(call: &(Peer, Message, Message, Message), n: u32, sdp: &str) -> Message {
    let mut offer = in_dialog(&call.1, &call.3, &Method::Update, n);
    offer.set_body("application/sdp", sdp.to_owned().into());
    offer
}

fn offer_of_carrier(call: &(Peer, Message, Message, Message), n: u32, sdp: &str) -> Message {
    let mut offer = numbered(in_dialog_of_callee(&call.2, "bob1", &Method::Update), n);
    offer.set_body("application/sdp", sdp.to_owned().into());
    offer
}

#[test]
fn case_f01_video_that_a_browser_adds_has_ports_of_its_own_and_gives_them_back() {
    let mut world = video_world();
    let call = talk(&mut world);
    for round in 0..2 {
        let before = world.engine.usage().flows;
        let offer = offer_of_browser(&call, 1 + 2 * round, BROWSER_VIDEO_OFFER);
        world.receive(call.0, &offer);
        let onward = world.expect_request(trunk(), &Method::Invite);
        let (audio, video) = (ports(&onward, "audio")[0], ports(&onward, "video")[0]);
        assert!(
            video != 0 && video != audio && video != audio + 1,
            "{}",
            text(&onward)
        );
        assert_eq!(world.engine.usage().flows, before + 1);
        let answer = with_video(CARRIER_ANSWER);
        world.receive(trunk(), &answer_to(&onward, 200, "bob1", Some(&answer)));
        world.expect_request(trunk(), &Method::Ack);
        let answer = world.expect_status(call.0, 200);
        assert_ne!(ports(&answer, "video"), [0]);
        assert_eq!(video_routes(&world), 2);
        let is_peer = |command: &&Command| matches!(command, Command::SetPeer { peer, .. } if peer.rtp.port() == 40_040);
        assert_eq!(world.commands.iter().filter(is_peer).count(), 1);
        // It goes again.
        let rejected = BROWSER_VIDEO_OFFER.replace("m=video 9 ", "m=video 0 ");
        world.receive(call.0, &offer_of_browser(&call, 2 + 2 * round, &rejected));
        let onward = world.expect_request(trunk(), &Method::Invite);
        assert_eq!(ports(&onward, "video"), [0]);
        let answer = format!("{CARRIER_ANSWER}m=video 0 RTP/AVP 97\r\n");
        world.receive(trunk(), &answer_to(&onward, 200, "bob1", Some(&answer)));
        world.expect_request(trunk(), &Method::Ack);
        world.expect_status(call.0, 200);
        assert_eq!(world.engine.usage().flows, before);
        is_quiet(&mut world, &[call.0]);
        world.commands.clear();
    }
    world.receive(call.0, &in_dialog(&call.1, &call.3, &Method::Bye, 9));
    world.advance(std::time::Duration::from_secs(100));
    assert_eq!(world.engine.usage().flows, 0);
    assert_eq!(world.engine.usage().call_entries, 0);
}

#[test]
fn case_f01_video_that_cannot_be_carried_is_refused_alone() {
    // The trunk has none; it has, and no ports for it are to be had.
    for has_video in [false, true] {
        let mut world = if has_video {
            video_world()
        } else {
            World::new()
        };
        let call = talk(&mut world);
        let before = world.engine.usage().flows;
        if has_video {
            world.refuse_opens.push_back(RefuseReason::PortUnavailable);
        }
        world.receive(call.0, &offer_of_browser(&call, 1, BROWSER_VIDEO_OFFER));
        let answer = world.expect_status(call.0, 200);
        assert_eq!(ports(&answer, "video"), [0], "{}", text(&answer));
        assert_ne!(ports(&answer, "audio"), [0]);
        is_quiet(&mut world, &[call.0]);
        assert_eq!(world.engine.usage().flows, before);
        assert_eq!(video_routes(&world), 0);
    }
}

#[test]
fn case_f01_a_carrier_that_takes_no_video_leaves_nothing_open() {
    let mut world = video_world();
    let call = talk(&mut world);
    let before = world.engine.usage().flows;
    world.receive(call.0, &offer_of_browser(&call, 1, BROWSER_VIDEO_OFFER));
    let onward = world.expect_request(trunk(), &Method::Invite);
    let answer = format!("{CARRIER_ANSWER}m=video 0 RTP/AVP 97\r\n");
    world.receive(trunk(), &answer_to(&onward, 200, "bob1", Some(&answer)));
    world.expect_request(trunk(), &Method::Ack);
    assert_eq!(ports(&world.expect_status(call.0, 200), "video"), [0]);
    assert_eq!(world.engine.usage().flows, before);
    // An offer without video that says nothing new is nobody's business.
    world.receive(call.0, &offer_of_browser(&call, 2, BROWSER_OFFER));
    world.expect_status(call.0, 200);
    is_quiet(&mut world, &[call.0]);
}

#[test]
fn case_e04_video_of_a_carrier_without_video_is_refused_alone() {
    let mut world = World::new();
    let call = talk(&mut world);
    world.receive(
        trunk(),
        &offer_of_carrier(&call, 101, &with_video(CARRIER_ANSWER)),
    );
    let answer = world.expect_status(trunk(), 200);
    assert_eq!(ports(&answer, "video"), [0], "{}", text(&answer));
    assert_ne!(ports(&answer, "audio"), [0]);
    is_quiet(&mut world, &[call.0]);
    assert_eq!(video_routes(&world), 0);
}

#[test]
fn case_e04_video_of_a_carrier_with_video_has_ports_of_its_own() {
    let mut world = video_world();
    let call = talk(&mut world);
    world.receive(
        trunk(),
        &offer_of_carrier(&call, 101, &with_video(CARRIER_ANSWER)),
    );
    let onward = world.expect_request(call.0, &Method::Invite);
    assert_eq!(ports(&onward, "video").len(), 1, "{}", text(&onward));
    let answer = answer_to(&onward, 200, "caller", Some(BROWSER_VIDEO_ANSWER));
    world.receive(call.0, &answer);
    world.expect_request(call.0, &Method::Ack);
    let answer = world.expect_status(trunk(), 200);
    let (audio, video) = (ports(&answer, "audio")[0], ports(&answer, "video")[0]);
    assert!(
        video != 0 && video != audio && video != audio + 1,
        "{}",
        text(&answer)
    );
    assert_eq!(video_routes(&world), 2);
    is_quiet(&mut world, &[call.0]);
}
