//! D8: digits of a peer that end here, because the other leg takes none as telephone-events.

use super::*;
use crate::limits::{DIGIT_LOST_AFTER, DIGIT_PACKET_BYTES_MAX, DIGITS_PER_SWEEP_MAX};
use crate::wire::telephone_event::{self, TelephoneEvent};

const MS: Duration = Duration::from_millis(1);

/// Browser in slot 0, trunk in slot 1, audio both ways: type 111 ↔ 0; 126 is for digits.
fn call(world: &mut World) -> Peer {
    let peer = world.connect_browser(0, "us00", BROWSER);
    world.open_trunk(1, TRUNK);
    let mut there = route(0, Media::Audio, 1, (111, 0), 1001);
    assert!(there.payload_types.push_digits(126));
    world.command(Command::SetRoute(there));
    world.command(Command::SetRoute(route(1, Media::Audio, 0, (0, 111), 1000)));
    assert!(world.events().is_empty());
    peer
}

/// A packet of a digit in the browser's numbering, from `ssrc`.
fn event_of(
    ssrc: u32,
    sequence: u16,
    timestamp: u32,
    (event, is_end, duration): (u8, bool, u16),
) -> Vec<u8> {
    let header = telephone_event::Header {
        payload_type: 126,
        marker: false,
        sequence,
        timestamp,
        ssrc,
    };
    let event = TelephoneEvent {
        event,
        is_end,
        duration,
    };
    let mut packet = vec![0; 16];
    event.write(&header, &mut packet).unwrap();
    packet
}

fn event(sequence: u16, timestamp: u32, report: (u8, bool, u16)) -> Vec<u8> {
    event_of(5, sequence, timestamp, report)
}

impl World {
    /// The browser sends a packet of a digit, which ends here.
    fn hears(&mut self, peer: &mut Peer, packet: &[u8]) {
        let packet = peer.protect(packet);
        let (verdict, _) = self.packet(SocketId::Browser, peer.address, &packet);
        assert_eq!(verdict, Verdict::Consumed);
    }

    /// What control is told: digits with what they lasted, in ms.
    fn told(&mut self) -> Vec<(u8, u128)> {
        let events = std::iter::from_fn(|| self.engine.poll_event());
        let digit = |event: Event| match event {
            Event::Digit {
                flow: of,
                event,
                duration,
            } => {
                assert_eq!(of, flow(0));
                Some((event, duration.as_millis()))
            }
            Event::FlowOpened { .. }
            | Event::Refused { .. }
            | Event::PeerSelected { .. }
            | Event::MediaStarted { .. }
            | Event::MediaRefused { .. }
            | Event::MediaSilent { .. }
            | Event::FlowClosed { .. }
            | Event::WorkerLost { .. }
            | Event::WorkerRuns { .. } => None,
        };
        events.filter_map(digit).collect()
    }

    fn wait(&mut self, time: Duration) {
        self.now += time;
        self.engine.handle_timeout(self.now);
        let sent = self
            .engine
            .poll_digit(self.now, &mut [0; DIGIT_PACKET_BYTES_MAX]);
        assert_eq!(sent, None);
    }
}

#[test]
fn d8_a_digit_is_told_once_when_it_ends() {
    let mut world = World::new();
    let mut peer = call(&mut world);
    for (sequence, report) in [
        (1, (5, false, 160)),
        (2, (5, false, 480)),
        (3, (5, true, 800)),
        (4, (5, true, 800)),
        (5, (5, true, 800)),
    ] {
        assert_eq!(world.told(), []);
        world.hears(&mut peer, &event(sequence, 1600, report));
        if sequence == 3 {
            assert_eq!(world.told(), [(5, 100)]);
        }
        world.wait(20 * MS);
    }
    world.wait(DIGIT_LOST_AFTER);
    // Late ones of the same, and of one before, say nothing new.
    world.hears(&mut peer, &event(6, 1600, (5, false, 640)));
    world.hears(&mut peer, &event(7, 800, (4, true, 640)));
    world.wait(DIGIT_LOST_AFTER);
    assert_eq!(world.told(), []);
    // The same key again is another digit.
    world.hears(&mut peer, &event(8, 4800, (5, true, 640)));
    assert_eq!(world.told(), [(5, 80)]);
    let snapshot = world.counters.snapshot();
    assert_eq!((snapshot.heard_digits, snapshot.consumed_packets), (2, 8));
}

#[test]
fn d8_the_trunk_hears_audio_without_a_gap() {
    let mut world = World::new();
    let mut peer = call(&mut world);
    let audio = |world: &mut World, peer: &mut Peer, sequence, timestamp| {
        let packet = peer.protect(&rtp(111, sequence, timestamp, 5));
        let (_, sent) = world.forwarded(SocketId::Browser, peer.address, &packet);
        header(&sent)
    };
    assert_eq!(audio(&mut world, &mut peer, 10, 160), (0, 10, 160, 1001));
    world.hears(&mut peer, &event(11, 320, (1, false, 160)));
    world.hears(&mut peer, &event(12, 320, (1, true, 320)));
    assert_eq!(audio(&mut world, &mut peer, 13, 640), (0, 11, 640, 1001));
}

#[test]
fn d8_a_digit_whose_end_is_lost_is_over_with_the_next_or_after_a_while() {
    let mut world = World::new();
    let mut peer = call(&mut world);
    world.hears(&mut peer, &event(1, 160, (7, false, 400)));
    world.wait(60 * MS);
    world.hears(&mut peer, &event(2, 2560, (8, false, 160)));
    assert_eq!(world.told(), [(7, 50)]);
    world.wait(150 * MS);
    world.hears(&mut peer, &event(3, 2560, (8, false, 320)));
    world.wait(DIGIT_LOST_AFTER - MS);
    assert_eq!(world.told(), []);
    world.wait(MS);
    assert_eq!(world.told(), [(8, 40)]);
    // Its end comes after all.
    world.hears(&mut peer, &event(4, 2560, (8, true, 480)));
    // Another source, after a change of devices.
    world.hears(&mut peer, &event(5, 9000, (9, false, 160)));
    world.hears(&mut peer, &event_of(6, 1, 77, (1, true, 320)));
    assert_eq!(world.told(), [(9, 20), (1, 40)]);
    world.wait(DIGIT_LOST_AFTER);
    assert!(world.engine.digits_due.is_empty());
}

#[test]
fn d8_segments_of_a_long_digit_are_one() {
    let mut world = World::new();
    let mut peer = call(&mut world);
    world.hears(&mut peer, &event(1, 1000, (3, false, 8000)));
    world.hears(&mut peer, &event(2, 1000, (3, false, u16::MAX)));
    world.hears(&mut peer, &event(3, 1000 + 65_535, (3, false, 160)));
    world.hears(&mut peer, &event(4, 1000 + 65_535, (3, true, 8001)));
    assert_eq!(world.told(), [(3, 9192)]);
}

#[test]
fn d8_what_is_no_digit_is_not_told() {
    let mut world = World::new();
    let mut peer = call(&mut world);
    world.hears(&mut peer, &event(1, 160, (16, true, 800)));
    world.hears(&mut peer, &event(2, 160, (5, true, 0)));
    world.hears(&mut peer, &event(3, 160, (5, true, 160))[..15]);
    world.hears(&mut peer, &event(4, 160, (5, true, 160))[..12]);
    world.wait(DIGIT_LOST_AFTER);
    assert_eq!(world.told(), []);
    // Those of the trunk have no such route, and on hold nobody listens.
    let socket = SocketId::TrunkRtp(1);
    let reason = world.dropped(socket, TRUNK, &event(5, 160, (5, true, 160)));
    assert_eq!(reason, DropReason::UnknownPayloadType);
    world.command(Command::ClearRoute {
        flow: flow(0),
        media: Media::Audio,
    });
    let packet = peer.protect(&event(6, 160, (5, true, 160)));
    let reason = world.dropped(SocketId::Browser, BROWSER, &packet);
    assert_eq!(reason, DropReason::UnknownPayloadType);
}

#[test]
fn d8_more_digits_than_fingers_can_press_are_counted_only() {
    let mut world = World::new();
    let mut peer = call(&mut world);
    for n in 0..40 {
        let packet = event(n, 160 * u32::from(n), (5, true, 160));
        world.hears(&mut peer, &packet);
    }
    let max = usize::from(DIGITS_PER_SWEEP_MAX);
    assert_eq!(world.told().len(), max);
    assert_eq!(world.counters.snapshot().dropped_digits, 40 - max as u64);
    world.pass(Duration::from_secs(2));
    world.hears(&mut peer, &event(50, 80_000, (5, true, 160)));
    assert_eq!(world.told().len(), 1);
}

#[test]
fn d8_a_flow_that_ends_within_a_digit_leaves_nothing() {
    let mut world = World::new();
    let mut peer = call(&mut world);
    world.hears(&mut peer, &event(1, 160, (5, false, 160)));
    assert_eq!(world.engine.digits_due.len(), 1);
    world.command(Command::CloseFlow { flow: flow(0) });
    assert!(world.engine.digits_due.is_empty());
    world.wait(DIGIT_LOST_AFTER);
    assert_eq!(world.told(), []);
}
