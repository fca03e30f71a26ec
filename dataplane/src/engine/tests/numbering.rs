//! Sources whose numbers go back, jump or wrap, as the other leg's peer sees them.

use super::*;
use crate::link::Event;

const FRAME: Duration = Duration::from_millis(20);

/// Browser in slot 0, trunk in slot 1, audio and video both ways.
fn call(world: &mut World) -> Peer {
    let peer = world.connect_browser(0, "us00", BROWSER);
    world.open_trunk(1, TRUNK);
    for media in [Media::Audio, Media::Video] {
        open_routes(world, media);
    }
    peer
}

fn open_routes(world: &mut World, media: Media) {
    let (inner, outer, ssrc) = match media {
        Media::Audio => (111, 0, 1000),
        Media::Video => (96, 97, 2000),
    };
    world.command(Command::SetRoute(route(
        0,
        media,
        1,
        (inner, outer),
        ssrc + 1,
    )));
    world.command(Command::SetRoute(route(1, media, 0, (outer, inner), ssrc)));
}

/// A clock that goes on by a frame with each packet.
fn media_time(world: &World) -> u32 {
    u32::try_from(world.packets * 160).unwrap()
}

/// Sends packets of the trunk in a row; returns the numbers of those that the browser gets, each of
/// which it can take off.
fn trunk_talks(world: &mut World, peer: &mut Peer, kind: u8, first: u16, count: u16) -> Vec<u16> {
    let mut heard = Vec::new();
    // The browser goes on checking.
    assert!(matches!(
        world.check(BROWSER, &check("us00:them")),
        Verdict::Reply(_)
    ));
    for n in 0..count {
        world.now += FRAME;
        let sequence = first.wrapping_add(n);
        let packet = rtp(kind, sequence, media_time(world), 7);
        let (verdict, sent) = world.packet(SocketId::TrunkRtp(1), address(TRUNK), &packet);
        if matches!(verdict, Verdict::Forward(_)) {
            heard.push(header(&peer.unprotect(sent)).1);
        }
    }
    heard
}

/// The same from the browser to the trunk.
fn browser_talks(world: &mut World, peer: &mut Peer, kind: u8, first: u16, count: u16) -> Vec<u16> {
    let mut heard = Vec::new();
    for n in 0..count {
        world.now += FRAME;
        let sequence = first.wrapping_add(n);
        let packet = peer.protect(&rtp(kind, sequence, media_time(world), 7));
        let (verdict, sent) = world.packet(SocketId::Browser, peer.address, &packet);
        if matches!(verdict, Verdict::Forward(_)) {
            heard.push(header(&sent).1);
        }
    }
    heard
}

fn is_continuous(heard: &[u16]) -> bool {
    heard
        .windows(2)
        .all(|pair| (1..=2).contains(&pair[1].wrapping_sub(pair[0])))
}

fn lost_packets(world: &mut World, slot: u16) -> [i64; 2] {
    world.command(Command::CloseFlow { flow: flow(slot) });
    let events = std::iter::from_fn(|| world.engine.poll_event());
    let Some(Event::FlowClosed { totals, .. }) = events.last() else {
        panic!()
    };
    [totals.audio.lost_packets, totals.video.lost_packets]
}

#[test]
fn media_f4_a_carrier_whose_numbers_go_back_or_jump_is_heard_on() {
    for kind in [0, 97] {
        for change in [
            -50_i16, -99, -100, -150, -1000, -2900, -3000, -20_000, 3000, 20_000,
        ] {
            let mut world = World::new();
            let mut peer = call(&mut world);
            let mut heard = trunk_talks(&mut world, &mut peer, kind, 20_000, 250);
            assert_eq!(heard.len(), 250);
            let next = 20_250_u16.wrapping_add_signed(change);
            heard.extend(trunk_talks(&mut world, &mut peer, kind, next, 250));
            assert!(heard.len() >= 499, "{change}: {}", heard.len());
            assert!(is_continuous(&heard), "{change}: {heard:?}");
            assert_eq!(lost_packets(&mut world, 1), [0, 0], "{change}");
        }
    }
}

#[test]
fn media_f4_a_browser_whose_numbers_jump_is_heard_on() {
    for kind in [111, 96] {
        // Its SRTP lets numbers go forward by less than half of them, and no further.
        for change in [3000, 20_000, 32_000] {
            let mut world = World::new();
            let mut peer = call(&mut world);
            let mut heard = browser_talks(&mut world, &mut peer, kind, 60_000, 50);
            let next = 60_050_u16.wrapping_add(change);
            heard.extend(browser_talks(&mut world, &mut peer, kind, next, 50));
            assert!(heard.len() >= 99, "{change}: {}", heard.len());
            assert!(is_continuous(&heard), "{change}: {heard:?}");
            assert_eq!(lost_packets(&mut world, 0), [0, 0], "{change}");
        }
    }
}

#[test]
fn media_f4_after_a_hold_of_any_length_the_carrier_is_heard_at_once() {
    for kind in [0, 97] {
        let media = if kind == 0 {
            Media::Audio
        } else {
            Media::Video
        };
        for held in [1, 3000, 30_000, 62_536, 63_500, 65_535] {
            let mut world = World::new();
            let mut peer = call(&mut world);
            let mut heard = trunk_talks(&mut world, &mut peer, kind, 500, 50);
            world.command(Command::ClearRoute {
                flow: flow(1),
                media,
            });
            assert!(trunk_talks(&mut world, &mut peer, kind, 550, held).is_empty());
            open_routes(&mut world, media);
            let next = 550_u16.wrapping_add(held);
            heard.extend(trunk_talks(&mut world, &mut peer, kind, next, 50));
            assert_eq!(heard, (500..600).collect::<Vec<_>>(), "{held}");
            assert_eq!(lost_packets(&mut world, 1), [0, 0], "{held}");
        }
    }
}

#[test]
fn media_f4_after_a_hold_in_which_the_numbers_go_back_the_carrier_is_heard_at_once() {
    for change in [-40_i16, -1000, -2900, 3500] {
        let mut world = World::new();
        let mut peer = call(&mut world);
        let mut heard = trunk_talks(&mut world, &mut peer, 0, 30_000, 50);
        world.command(Command::ClearRoute {
            flow: flow(1),
            media: Media::Audio,
        });
        let next = 30_050_u16.wrapping_add_signed(change);
        assert!(trunk_talks(&mut world, &mut peer, 0, next, 20).is_empty());
        open_routes(&mut world, Media::Audio);
        heard.extend(trunk_talks(&mut world, &mut peer, 0, next + 20, 50));
        assert_eq!(heard, (30_000..30_100).collect::<Vec<_>>(), "{change}");
    }
}

#[test]
fn media_f5_a_browser_that_misses_the_first_packets_hears_the_rest_over_a_wrap() {
    for kind in [0, 97] {
        for first in [65_530_u16, 65_535, 40_000, 32_768, 0] {
            let mut world = World::new();
            let mut peer = call(&mut world);
            for n in 0..50 {
                let packet = rtp(kind, first.wrapping_add(n), media_time(&world), 7);
                world.forwarded(SocketId::TrunkRtp(1), address(TRUNK), &packet);
            }
            let next = first.wrapping_add(50);
            let heard = trunk_talks(&mut world, &mut peer, kind, next, 100);
            let begin = (first & 0x7FFF) + 50;
            assert_eq!(heard, (begin..begin + 100).collect::<Vec<_>>());
        }
    }
}

#[test]
fn media_f5_packets_from_before_the_keys_take_no_numbers() {
    let mut world = World::new();
    world.open_browser(0, "us00");
    world.open_trunk(1, TRUNK);
    open_routes(&mut world, Media::Audio);
    let socket = SocketId::TrunkRtp(1);
    for n in 0..40_000_u16 {
        let packet = rtp(0, n, u32::from(n) * 160, 7);
        let reason = world.dropped(socket, TRUNK, &packet);
        assert_eq!(reason, DropReason::NoDestination);
    }
    world.events();
    assert!(matches!(
        world.check(BROWSER, &check("us00:them")),
        Verdict::Reply(_)
    ));
    let (ours, theirs) = keys(1);
    world.command(Command::InstallKeys {
        flow: flow(0),
        keys: ours,
    });
    let mut peer = Peer {
        address: address(BROWSER),
        sender: SrtpSender::new(&theirs.local).unwrap(),
        receiver: SrtpReceiver::new(&theirs.remote).unwrap(),
    };
    let heard = trunk_talks(&mut world, &mut peer, 0, 40_000, 50);
    assert_eq!(heard, (0..50).collect::<Vec<_>>());
}

#[test]
fn media_f5_a_stream_that_another_flow_takes_over_goes_on() {
    let mut world = World::new();
    let mut peer = call(&mut world);
    let heard = trunk_talks(&mut world, &mut peer, 0, 30_000, 50);
    world.events();
    world.open_trunk(2, "198.51.100.9:5000");
    // The same name towards the browser, from another leg.
    world.command(Command::SetRoute(route(2, Media::Audio, 0, (0, 111), 1000)));
    let mut next = *heard.last().unwrap();
    for n in 0..50 {
        world.now += FRAME;
        let packet = rtp(0, 40 + n, u32::from(n) * 160, 9);
        let from = address("198.51.100.9:5000");
        let (_, sent) = world.forwarded(SocketId::TrunkRtp(2), from, &packet);
        next += 1;
        assert_eq!(header(&peer.unprotect(sent)).1, next);
    }
}
