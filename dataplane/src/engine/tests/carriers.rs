//! Carriers whose media comes from, or must go to, somewhere else than they signalled.

use super::*;
use crate::engine::feedback::tests::words;
use crate::limits::REFUSED_PACKETS_TOLD_AT;

const RELAY: &str = "198.51.101.9:7000";
const RELAY_V6: &str = "[2001:db8:9::7]:7000";
const STRANGER: &str = "192.0.2.66:4000";
const RTP: SocketId = SocketId::TrunkRtp(1);

/// Browser in slot 0, trunk in slot 1, audio both ways.
fn call(world: &mut World, networks: &[&str], asymmetric: bool, signalled: &str) -> Peer {
    let peer = world.connect_browser(0, "us00", BROWSER);
    world.open_trunk(1, TRUNK);
    signal(world, networks, asymmetric, signalled);
    world.command(Command::SetRoute(route(0, Media::Audio, 1, (111, 0), 1001)));
    world.command(Command::SetRoute(route(1, Media::Audio, 0, (0, 111), 1000)));
    world.events();
    peer
}

fn signal(world: &mut World, networks: &[&str], asymmetric: bool, signalled: &str) {
    let rtp = address(signalled);
    world.command(Command::SetPeer {
        flow: flow(1),
        peer: PeerAddresses {
            rtp,
            rtcp: SocketAddr::new(rtp.ip(), rtp.port() + 1),
        },
        policy: PeerPolicy {
            networks: networks.iter().map(|net| net.parse().unwrap()).collect(),
            asymmetric,
        },
    });
}

fn is_heard(world: &mut World, sequence: u16, from: &str) -> bool {
    let packet = rtp(0, sequence, u32::from(sequence) * 160, 7);
    let (verdict, _) = world.packet(RTP, address(from), &packet);
    matches!(verdict, Verdict::Forward(_))
}

/// Where the browser's sound goes.
fn destination(world: &mut World, peer: &mut Peer, sequence: u16) -> SocketAddr {
    let packet = peer.protect(&rtp(111, sequence, 160, 5));
    world
        .forwarded(SocketId::Browser, peer.address, &packet)
        .0
        .to
}

/// Where our reports go.
fn report_destination(world: &mut World) -> SocketAddr {
    world.now += Duration::from_secs(10);
    assert!(matches!(
        world.check(BROWSER, &check("us00:them")),
        Verdict::Reply(_)
    ));
    world.engine.handle_timeout(world.now);
    let mut buffer = [0; 500];
    loop {
        let report = world.engine.poll_report(world.now, &mut buffer).unwrap();
        if report.socket == SocketId::TrunkRtcp(1) {
            return report.to;
        }
    }
}

#[test]
fn media_f9_media_from_a_network_of_the_trunk_is_taken_and_answered_there() {
    for (networks, relay) in [
        (["10.9.0.0/16", "198.51.101.0/24"], RELAY),
        (["2001:db8:9::/48", "198.51.101.9/32"], RELAY_V6),
        (
            ["2001:db8:9::/48", "198.51.101.9/32"],
            "[::ffff:198.51.101.9]:7000",
        ),
    ] {
        // One behind an address translator signals a private address.
        for signalled in [TRUNK, "10.0.0.5:4000"] {
            let mut world = World::new();
            let mut peer = call(&mut world, &networks, false, signalled);
            assert_eq!(destination(&mut world, &mut peer, 1), address(signalled));
            assert!(is_heard(&mut world, 1, relay));
            assert_eq!(destination(&mut world, &mut peer, 2), address(relay));
            // It is pinned, as a port is; only the signalled address takes its place.
            assert!(!is_heard(&mut world, 2, "198.51.101.10:7000"));
            assert!(!is_heard(&mut world, 2, STRANGER));
            assert!(is_heard(&mut world, 2, signalled));
            assert!(!is_heard(&mut world, 3, relay));
            assert_eq!(destination(&mut world, &mut peer, 3), address(signalled));
        }
    }
}

#[test]
fn media_f9_reports_of_a_relay_are_taken_and_answered_there() {
    let mut world = World::new();
    call(&mut world, &["198.51.101.0/24"], false, TRUNK);
    assert!(is_heard(&mut world, 1, RELAY));
    assert_eq!(report_destination(&mut world), address("198.51.100.7:4001"));
    let report = words(0, 201, &[1]);
    let socket = SocketId::TrunkRtcp(1);
    let refused = world.dropped(socket, STRANGER, &report);
    assert_eq!(refused, DropReason::UnknownSource);
    let (verdict, _) = world.packet(socket, address("198.51.101.9:7777"), &report);
    assert_eq!(verdict, Verdict::Consumed);
    assert_eq!(report_destination(&mut world), address("198.51.101.9:7777"));
}

#[test]
fn media_f9_the_default_is_strict_and_says_once_what_was_refused() {
    for socket in [RTP, SocketId::TrunkRtcp(1)] {
        let mut world = World::new();
        let mut peer = call(&mut world, &[], false, TRUNK);
        let told_at = u16::from(REFUSED_PACKETS_TOLD_AT);
        for sequence in 1..100 {
            let packet = if socket == RTP {
                rtp(0, sequence, 0, 7)
            } else {
                words(0, 201, &[1])
            };
            let reason = world.dropped(socket, RELAY, &packet);
            assert_eq!(reason, DropReason::UnknownSource);
            let events = world.events();
            assert_eq!(events.len(), usize::from(sequence == told_at));
            for event in events {
                let port = if socket == RTP { 4000 } else { 4001 };
                let signalled = format!("signalled: 198.51.100.7:{port}");
                assert!(event.starts_with("MediaRefused"), "{event}");
                assert!(
                    event.contains(RELAY) && event.contains(&signalled),
                    "{event}"
                );
            }
        }
        assert_eq!(destination(&mut world, &mut peer, 1), address(TRUNK));
        // Another port of the carrier is no stranger, and junk no media.
        let mut world = World::new();
        call(&mut world, &[], false, TRUNK);
        assert!(is_heard(&mut world, 1, TRUNK));
        world.events();
        for _ in 0..100 {
            world.dropped(RTP, "198.51.100.7:5555", &rtp(0, 2, 0, 7));
            world.dropped(RTP, RELAY, &[0; 40]);
        }
        assert!(world.events().is_empty());
    }
}

#[test]
fn media_f9_a_carrier_on_hold_is_not_found_elsewhere() {
    let mut world = World::new();
    let mut peer = call(
        &mut world,
        &["198.51.101.0/24", "0.0.0.0/0"],
        false,
        "0.0.0.0:4000",
    );
    assert!(!is_heard(&mut world, 1, RELAY));
    let packet = peer.protect(&rtp(111, 1, 160, 5));
    let reason = world.dropped(SocketId::Browser, BROWSER, &packet);
    assert_eq!(reason, DropReason::NoDestination);
}

#[test]
fn media_f10_an_asymmetric_carrier_gets_media_where_it_signalled() {
    let mut world = World::new();
    let mut peer = call(&mut world, &["198.51.101.0/24"], true, TRUNK);
    for (sequence, from) in (1..).zip(["198.51.100.7:4444", "198.51.100.7:4444", TRUNK]) {
        assert!(is_heard(&mut world, sequence, from));
        assert_eq!(destination(&mut world, &mut peer, sequence), address(TRUNK));
    }
    // Signalled anew: from a relay this time.
    signal(&mut world, &["198.51.101.0/24"], true, "198.51.100.7:4600");
    assert!(is_heard(&mut world, 4, RELAY));
    let elsewhere = address("198.51.100.7:4600");
    assert_eq!(destination(&mut world, &mut peer, 4), elsewhere);
    let report = words(0, 201, &[1]);
    let relay = address("198.51.101.9:7777");
    let (verdict, _) = world.packet(SocketId::TrunkRtcp(1), relay, &report);
    assert_eq!(verdict, Verdict::Consumed);
    assert_eq!(report_destination(&mut world), address("198.51.100.7:4601"));
    // Who is heard is pinned all the same.
    assert!(!is_heard(&mut world, 5, "198.51.101.9:7002"));
    assert!(!is_heard(&mut world, 5, "198.51.100.7:4444"));
    assert!(is_heard(&mut world, 5, RELAY));
}
