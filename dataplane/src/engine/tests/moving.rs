//! Browsers whose address changes, and those who only pretend to be one.

use super::*;
use crate::engine::feedback::tests::words;
use crate::limits::{CONSENT_EXPIRES_AFTER, PEER_MOVED_AFTER};

const MOVED: &str = "203.0.113.9:61000";
const OBSERVER: &str = "192.0.2.66:4444";

fn call(world: &mut World) -> Peer {
    let peer = world.connect_browser(0, "us00", BROWSER);
    world.open_trunk(1, TRUNK);
    world.command(Command::SetRoute(route(0, Media::Audio, 1, (111, 0), 1001)));
    world.command(Command::SetRoute(route(1, Media::Audio, 0, (0, 111), 1000)));
    world.events();
    peer
}

/// A check for consent, as Firefox and aioice send them.
fn plain() -> TestCheck<'static> {
    TestCheck {
        use_candidate: false,
        ..check("us00:them")
    }
}

/// Where media for the browser goes now.
fn destination(world: &mut World) -> Option<SocketAddr> {
    let sequence = u16::try_from(world.packets & 0x7FFF).unwrap();
    let packet = rtp(0, sequence, u32::from(sequence) * 160, 77);
    match world.packet(SocketId::TrunkRtp(1), address(TRUNK), &packet) {
        (Verdict::Forward(transmit), _) => Some(transmit.to),
        _ => None,
    }
}

fn talks(world: &mut World, peer: &mut Peer, sequence: u16, from: &str) {
    let packet = peer.protect(&rtp(111, sequence, u32::from(sequence) * 160, 5));
    world.forwarded(SocketId::Browser, address(from), &packet);
}

fn reports(world: &mut World, peer: &mut Peer, from: &str) {
    let report = peer.protect_rtcp(&words(0, 201, &[1]));
    let (verdict, _) = world.packet(SocketId::Browser, address(from), &report);
    assert_eq!(verdict, Verdict::Consumed);
}

fn is_answered(world: &mut World, from: &str, check: &TestCheck<'_>) {
    assert!(matches!(world.check(from, check), Verdict::Reply(_)));
}

#[test]
fn media_f3_media_follows_a_browser_that_has_moved_and_does_not_nominate() {
    for talking in [true, false] {
        let mut world = World::new();
        let mut peer = call(&mut world);
        talks(&mut world, &mut peer, 1, BROWSER);
        world.events();
        world.now += Duration::from_millis(20);
        is_answered(&mut world, MOVED, &plain());
        let mut speak = |world: &mut World, sequence| {
            if talking {
                talks(world, &mut peer, sequence, MOVED);
            } else {
                // One that only receives.
                reports(world, &mut peer, MOVED);
            }
        };
        speak(&mut world, 2);
        assert_eq!(destination(&mut world), Some(address(BROWSER)));
        world.now += PEER_MOVED_AFTER;
        assert_eq!(destination(&mut world), Some(address(BROWSER)));
        speak(&mut world, 3);
        assert_eq!(destination(&mut world), Some(address(MOVED)));
        let events = world.events();
        assert!(
            events
                .iter()
                .any(|e| e.contains("PeerSelected") && e.contains(MOVED))
        );
        // What is late from the old address takes nothing back, even if it is authentic.
        is_answered(&mut world, BROWSER, &plain());
        reports(&mut world, &mut peer, BROWSER);
        assert_eq!(destination(&mut world), Some(address(MOVED)));
        // Checks from there alone keep it for as long as one likes.
        for _ in 0..10 {
            world.pass(Duration::from_secs(10));
            is_answered(&mut world, MOVED, &plain());
            assert_eq!(destination(&mut world), Some(address(MOVED)));
        }
    }
}

#[test]
fn media_f3_media_stays_while_the_selected_address_is_heard() {
    let mut world = World::new();
    let mut peer = call(&mut world);
    is_answered(&mut world, MOVED, &plain());
    for sequence in (1..40).step_by(2) {
        world.now += Duration::from_secs(1);
        talks(&mut world, &mut peer, sequence, BROWSER);
        talks(&mut world, &mut peer, sequence + 1, MOVED);
        assert_eq!(destination(&mut world), Some(address(BROWSER)));
        is_answered(&mut world, MOVED, &plain());
        is_answered(&mut world, BROWSER, &plain());
    }
}

#[test]
fn media_f3_a_nominated_address_is_followed_with_its_first_authentic_packet() {
    for talking in [true, false] {
        let mut world = World::new();
        let mut peer = call(&mut world);
        is_answered(&mut world, MOVED, &check("us00:them"));
        assert!(world.events().is_empty());
        assert_eq!(destination(&mut world), Some(address(BROWSER)));
        if talking {
            talks(&mut world, &mut peer, 1, MOVED);
        } else {
            reports(&mut world, &mut peer, MOVED);
        }
        assert_eq!(destination(&mut world), Some(address(MOVED)));
    }
}

#[test]
fn media_f3_an_observer_who_repeats_checks_and_media_gets_nothing() {
    let mut world = World::new();
    let mut peer = call(&mut world);
    let captured = check("us00:them");
    let packet = peer.protect(&rtp(111, 1, 160, 5));
    let report = peer.protect_rtcp(&words(0, 201, &[1]));
    world.forwarded(SocketId::Browser, address(BROWSER), &packet);
    let (verdict, _) = world.packet(SocketId::Browser, address(BROWSER), &report);
    assert_eq!(verdict, Verdict::Consumed);
    for _ in 0..20 {
        world.now += Duration::from_secs(1);
        is_answered(&mut world, OBSERVER, &captured);
        let reason = world.dropped(SocketId::Browser, OBSERVER, &packet);
        assert_eq!(reason, DropReason::Replayed);
        let reason = world.dropped(SocketId::Browser, OBSERVER, &report);
        assert_eq!(reason, DropReason::Replayed);
        let (verdict, _) = world.packet(SocketId::Browser, address(OBSERVER), &[22; 40]);
        assert_eq!(verdict, Verdict::ToControl(flow(0)));
        assert_eq!(destination(&mut world), Some(address(BROWSER)));
    }
    // Nor when the browser's consent has ended.
    world.pass(CONSENT_EXPIRES_AFTER);
    is_answered(&mut world, OBSERVER, &captured);
    assert_eq!(destination(&mut world), None);
}

#[test]
fn media_f3_the_first_nomination_after_an_ice_restart_is_followed_at_once() {
    let mut world = World::new();
    let mut peer = call(&mut world);
    let ice = credentials("new0", Some("new1"));
    world.command(Command::SetIceCredentials { flow: flow(0), ice });
    // What was captured before the restart.
    is_answered(&mut world, OBSERVER, &check("us00:them"));
    assert_eq!(destination(&mut world), Some(address(BROWSER)));
    is_answered(&mut world, MOVED, &check("new0:new1"));
    assert_eq!(destination(&mut world), Some(address(MOVED)));
    is_answered(&mut world, OBSERVER, &check("new0:new1"));
    assert_eq!(destination(&mut world), Some(address(MOVED)));
    talks(&mut world, &mut peer, 1, MOVED);
    assert_eq!(destination(&mut world), Some(address(MOVED)));
}

#[test]
fn media_f3_without_a_living_path_the_call_is_reported_silent() {
    let mut world = World::new();
    let mut peer = call(&mut world);
    talks(&mut world, &mut peer, 1, BROWSER);
    is_answered(&mut world, MOVED, &plain());
    world.events();
    world.pass(SILENT_AFTER.max(CONSENT_EXPIRES_AFTER));
    let events = world.events();
    assert!(
        events
            .iter()
            .any(|event| event.contains("MediaSilent { flow: FlowId { worker: 3, slot: 0"))
    );
    assert_eq!(destination(&mut world), None);
}
