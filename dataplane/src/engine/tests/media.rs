use proptest::prelude::{any, prop, proptest};

use super::*;
use crate::engine::feedback::tests::words;
use crate::link::Event;

/// Browser in slot 0, trunk in slot 1, audio both ways: type 111 ↔ 0.
fn call(world: &mut World) -> Peer {
    let peer = world.connect_browser(0, "us00", BROWSER);
    world.open_trunk(1, TRUNK);
    world.command(Command::SetRoute(route(0, Media::Audio, 1, (111, 0), 1001)));
    world.command(Command::SetRoute(route(1, Media::Audio, 0, (0, 111), 1000)));
    assert!(world.events().is_empty());
    peer
}

#[test]
fn decrypts_from_the_browser_and_encrypts_to_it() {
    let mut world = World::new();
    let mut peer = call(&mut world);
    let packet = peer.protect(&rtp(111, 7, 160, 5));
    let (transmit, sent) = world.forwarded(SocketId::Browser, peer.address, &packet);
    assert_eq!(
        (transmit.socket, transmit.to),
        (SocketId::TrunkRtp(1), address(TRUNK))
    );
    assert_eq!(sent, rtp(0, 7, 160, 1001));
    let (transmit, sent) =
        world.forwarded(SocketId::TrunkRtp(1), address(TRUNK), &rtp(0, 30, 999, 77));
    assert_eq!(
        (transmit.socket, transmit.to),
        (SocketId::Browser, peer.address)
    );
    assert_eq!(sent.len(), 182);
    assert_eq!(peer.unprotect(sent), rtp(111, 30, 999, 1000));
    let events = world.events();
    assert_eq!(events.len(), 2);
    assert!(events.iter().all(|event| event.contains("MediaStarted")));
}

#[test]
fn takes_no_header_extension_across() {
    let mut world = World::new();
    let mut peer = call(&mut world);
    let mut packet = rtp(111, 7, 160, 5);
    packet[0] |= 0x10;
    packet.splice(12..12, [0xBE, 0xDE, 0, 1, 0x10, 0xFF, 0, 0]);
    let packet = peer.protect(&packet);
    let (_, sent) = world.forwarded(SocketId::Browser, peer.address, &packet);
    assert_eq!(sent, rtp(0, 7, 160, 1001));
}

#[test]
fn drops_forged_replayed_unkeyed_and_unagreed_media() {
    let mut world = World::new();
    world.open_browser(2, "us02");
    let check_02 = check("us02:them");
    assert!(matches!(
        world.check("203.0.113.1:9", &check_02),
        Verdict::Reply(_)
    ));
    let reason = world.dropped(SocketId::Browser, "203.0.113.1:9", &rtp(0, 1, 1, 1));
    assert_eq!(reason, DropReason::NoKeys);
    let mut peer = call_after(&mut world);
    let good = peer.protect(&rtp(111, 7, 160, 5));
    let mut forged = good.clone();
    forged[20] ^= 1;
    let mut drop = |bytes: &[u8]| world.dropped(SocketId::Browser, BROWSER, bytes);
    assert_eq!(drop(&forged), DropReason::AuthenticationFailed);
    assert_eq!(drop(&rtp(111, 8, 160, 5)), DropReason::AuthenticationFailed);
    let unagreed = peer.protect(&rtp(96, 8, 160, 5));
    assert_eq!(drop(&unagreed), DropReason::UnknownPayloadType);
    world.forwarded(SocketId::Browser, peer.address, &good);
    let reason = world.dropped(SocketId::Browser, BROWSER, &good);
    assert_eq!(reason, DropReason::Replayed);
    let reason = world.dropped(SocketId::Browser, "203.0.113.9:50113", &good);
    assert_eq!(reason, DropReason::UnknownSource);
    world.command(Command::CloseFlow { flow: flow(0) });
    let events = std::iter::from_fn(|| world.engine.poll_event());
    let Some(Event::FlowClosed { totals, .. }) = events.last() else {
        panic!()
    };
    assert_eq!(totals.dropped_packets, 4);
}

fn call_after(world: &mut World) -> Peer {
    world.events();
    call(world)
}

#[test]
fn a_trunk_is_heard_from_the_signalled_address_and_one_port_only() {
    let mut world = World::new();
    let mut peer = call(&mut world);
    let socket = SocketId::TrunkRtp(1);
    let stranger = world.dropped(socket, "198.51.100.8:4000", &rtp(0, 1, 0, 7));
    assert_eq!(stranger, DropReason::UnknownSource);
    let malformed = world.dropped(socket, "198.51.100.7:6666", &[0x80, 0, 0]);
    assert_eq!(malformed, DropReason::RtpMalformed);
    // The peer's address translator has given it another port.
    world.forwarded(socket, address("198.51.100.7:4444"), &rtp(0, 1, 0, 7));
    let packet = peer.protect(&rtp(111, 7, 160, 5));
    let (transmit, _) = world.forwarded(SocketId::Browser, peer.address, &packet);
    assert_eq!(transmit.to, address("198.51.100.7:4444"));
    let other_port = world.dropped(socket, "198.51.100.7:5555", &rtp(0, 2, 0, 7));
    assert_eq!(other_port, DropReason::UnknownSource);
    world.forwarded(socket, address(TRUNK), &rtp(0, 2, 160, 7));
    let replaced = world.dropped(socket, "198.51.100.7:4444", &rtp(0, 3, 0, 7));
    assert_eq!(replaced, DropReason::UnknownSource);
    // The peer has moved, and says so.
    let rtp_address = address("198.51.100.9:6000");
    let moved = PeerAddresses {
        rtp: rtp_address,
        rtcp: rtp_address,
    };
    world.command(Command::SetPeer {
        flow: flow(1),
        peer: moved,
        policy: PeerPolicy::default(),
    });
    assert_eq!(
        world.dropped(socket, TRUNK, &rtp(0, 3, 0, 7)),
        DropReason::UnknownSource
    );
    world.forwarded(socket, rtp_address, &rtp(0, 3, 320, 7));
}

#[test]
fn nothing_is_sent_to_a_trunk_whose_address_is_no_host() {
    let mut world = World::new();
    let mut peer = call(&mut world);
    // 0.0.0.0 is this very host to the kernel.
    for (sequence, nowhere) in (7..).zip(["0.0.0.0:4000", "[::]:4000", "224.2.1.1:4000"]) {
        let nowhere = address(nowhere);
        let moved = PeerAddresses {
            rtp: nowhere,
            rtcp: nowhere,
        };
        world.command(Command::SetPeer {
            flow: flow(1),
            peer: moved,
            policy: PeerPolicy::default(),
        });
        let packet = peer.protect(&rtp(111, sequence, 160, 5));
        let reason = world.dropped(SocketId::Browser, BROWSER, &packet);
        assert_eq!(reason, DropReason::NoDestination, "{nowhere}");
    }
}

#[test]
fn a_trunk_socket_takes_only_its_protocol() {
    let mut world = World::new();
    call(&mut world);
    let stun = check("us00:them").bytes();
    let rtcp = words(0, 201, &[1]);
    for (socket, bytes) in [
        (SocketId::TrunkRtp(1), stun.as_slice()),
        (SocketId::TrunkRtp(1), &[22; 20]),
        (SocketId::TrunkRtp(1), &rtcp),
        (SocketId::TrunkRtcp(1), &rtp(0, 1, 0, 7)),
    ] {
        assert_eq!(
            world.dropped(socket, TRUNK, bytes),
            DropReason::UnexpectedProtocol
        );
    }
    let other = world.dropped(SocketId::TrunkRtp(0), TRUNK, &rtp(0, 1, 0, 7));
    assert_eq!(other, DropReason::UnknownSource, "slot 0 is a browser's");
}

#[test]
fn goes_on_when_the_sender_changes_its_ssrc_even_during_hold() {
    let mut world = World::new();
    let mut peer = call(&mut world);
    let (socket, trunk) = (SocketId::TrunkRtp(1), address(TRUNK));
    let (_, sent) = world.forwarded(socket, trunk, &rtp(0, 65_535, 1000, 7));
    assert_eq!(header(&peer.unprotect(sent)), (111, 32_767, 1000, 1000));
    world.now += Duration::from_millis(500);
    let (_, sent) = world.forwarded(socket, trunk, &rtp(0, 9, 5, 8));
    assert_eq!(header(&peer.unprotect(sent)), (111, 32_768, 5000, 1000));
    world.command(Command::ClearRoute {
        flow: flow(1),
        media: Media::Audio,
    });
    assert_eq!(
        world.dropped(socket, TRUNK, &rtp(0, 500, 5, 9)),
        DropReason::NoRoute
    );
    world.command(Command::SetRoute(route(1, Media::Audio, 0, (0, 111), 1000)));
    world.now += Duration::from_millis(500);
    let (_, sent) = world.forwarded(socket, trunk, &rtp(0, 501, 165, 9));
    assert_eq!(header(&peer.unprotect(sent)), (111, 32_769, 9000, 1000));
}

#[test]
fn says_why_the_other_side_cannot_be_reached() {
    let mut world = World::new();
    world.open_browser(0, "us00");
    world.open_trunk(1, TRUNK);
    world.command(Command::SetRoute(route(1, Media::Audio, 0, (0, 111), 1000)));
    let drop = |world: &mut World, sequence| {
        world.dropped(SocketId::TrunkRtp(1), TRUNK, &rtp(0, sequence, 0, 7))
    };
    assert_eq!(drop(&mut world, 1), DropReason::NoDestination);
    assert!(matches!(
        world.check(BROWSER, &check("us00:them")),
        Verdict::Reply(_)
    ));
    assert_eq!(drop(&mut world, 2), DropReason::DestinationNoKeys);
    world.command(Command::CloseFlow { flow: flow(0) });
    assert_eq!(drop(&mut world, 3), DropReason::NoDestination);
}

#[test]
fn echoes_media() {
    let mut world = World::new();
    let mut peer = world.connect_browser(0, "us00", BROWSER);
    world.command(Command::SetRoute(route(
        0,
        Media::Audio,
        0,
        (111, 111),
        1000,
    )));
    let packet = peer.protect(&rtp(111, 7, 160, 5));
    let (transmit, sent) = world.forwarded(SocketId::Browser, peer.address, &packet);
    assert_eq!(transmit.to, peer.address);
    assert_eq!(peer.unprotect(sent), rtp(111, 7, 160, 1000));
}

#[test]
fn reports_totals_of_both_directions() {
    let mut world = World::new();
    let mut peer = call(&mut world);
    for sequence in [1, 2, 4] {
        let packet = peer.protect(&rtp(111, sequence, u32::from(sequence) * 160, 5));
        world.forwarded(SocketId::Browser, peer.address, &packet);
    }
    world.forwarded(SocketId::TrunkRtp(1), address(TRUNK), &rtp(0, 30, 999, 77));
    world.events();
    world.command(Command::CloseFlow { flow: flow(0) });
    let Some(Event::FlowClosed { totals, .. }) = world.engine.poll_event() else {
        panic!()
    };
    let audio = totals.audio;
    assert_eq!(
        (
            audio.received_packets,
            audio.received_bytes,
            audio.lost_packets
        ),
        (3, 480, 1)
    );
    assert_eq!((audio.sent_packets, audio.sent_bytes), (1, 160));
    assert_eq!(
        (totals.video, totals.dropped_packets),
        (Default::default(), 0)
    );
}

proptest! {
    #[test]
    fn any_bytes_get_one_verdict_and_never_panic(
        packets in prop::collection::vec(
            (0_usize..6, prop::collection::vec(any::<u8>(), 0..120), any::<bool>(), 0_u8..8),
            1..40,
        ),
    ) {
        let mut world = World::new();
        let mut peer = call(&mut world);
        let sources = [BROWSER, TRUNK, "198.51.100.7:4001"].map(address);
        let sockets = [SocketId::Browser, SocketId::TrunkRtp(1), SocketId::TrunkRtcp(1)];
        for (which, mut bytes, is_plausible, kind) in packets {
            if let (true, [first, second, rest @ ..]) = (is_plausible, bytes.as_mut_slice()) {
                let words = u16::try_from((rest.len() + 2) / 4).unwrap_or(0).saturating_sub(1);
                *first = 0x80 | (*first & 0x3F);
                *second = if which % 3 == 2 { 200 + kind } else { *second };
                if let (2, [a, b, ..]) = (which % 3, rest) {
                    [*a, *b] = words.to_be_bytes();
                }
            }
            // Some of the browser's are authentic, whatever their content.
            if which == 3 && bytes.len() >= 12 {
                let length = bytes.len();
                bytes.resize(length + 40, 0);
                bytes[1] = 111;
                match peer.sender.protect_rtp(&mut bytes, length) {
                    Ok(protected) => bytes.truncate(protected),
                    Err(_) => bytes.truncate(length),
                }
            }
            let (verdict, sent) =
                world.packet(sockets[which % 3], sources[which % 3], &bytes);
            assert!(matches!(verdict, Verdict::Drop(_) | Verdict::Consumed | Verdict::ToControl(_)) == sent.is_empty());
            world.now += Duration::from_millis(5);
            world.engine.handle_timeout(world.now);
        }
    }
}

#[test]
fn media_f7_the_payload_type_may_change_in_the_stream() {
    let mut world = World::new();
    let mut peer = call(&mut world);
    let mut two = route(0, Media::Audio, 1, (8, 8), 1001);
    assert!(two.payload_types.push(0, 100));
    world.command(Command::SetRoute(two));
    for (sequence, (from, to)) in (7..).zip([(8, 8), (0, 100), (8, 8), (0, 100)]) {
        let timestamp = 160 * u32::from(sequence);
        let packet = peer.protect(&rtp(from, sequence, timestamp, 5));
        let (_, sent) = world.forwarded(SocketId::Browser, peer.address, &packet);
        assert_eq!(sent, rtp(to, sequence, timestamp, 1001));
    }
}
