//! D8: digits that control asks for, within the audio that passes.

use super::*;
use crate::limits::{DIGIT_PACKET_BYTES_MAX, DIGITS_PER_FLOW_MAX};
use crate::link::SendDigit;
use crate::wire::telephone_event::TelephoneEvent;

const MS: Duration = Duration::from_millis(1);
const OUT: u32 = 1001;

/// Browser in slot 0, trunk in slot 1, audio both ways: type 111 ↔ 0.
fn call(world: &mut World) -> Peer {
    let peer = world.connect_browser(0, "us00", BROWSER);
    world.open_trunk(1, TRUNK);
    world.command(Command::SetRoute(route(0, Media::Audio, 1, (111, 0), OUT)));
    world.command(Command::SetRoute(route(1, Media::Audio, 0, (0, 111), 1000)));
    assert!(world.events().is_empty());
    peer
}

fn digit(from: u16, event: u8, duration: Duration) -> Command {
    Command::SendDigit(SendDigit {
        from: flow(from),
        event,
        duration,
        payload_type: 101,
        clock_hz: 8000,
    })
}

/// What left, and when.
#[derive(Debug, PartialEq)]
struct Sent {
    ms: u64,
    marker: bool,
    sequence: u16,
    timestamp: u32,
    event: u8,
    is_end: bool,
    duration: u16,
}

impl World {
    /// All packets of digits that are due now.
    fn digits(&mut self) -> Vec<(Transmit, Vec<u8>)> {
        let mut sent = Vec::new();
        let mut buffer = [0xEE; DIGIT_PACKET_BYTES_MAX];
        while let Some(transmit) = self.engine.poll_digit(self.now, &mut buffer) {
            sent.push((transmit, buffer[..transmit.length].to_vec()));
        }
        sent
    }

    /// The packets of digits to the trunk within this time, each when it is due.
    fn digits_within(&mut self, time: Duration) -> Vec<Sent> {
        let (begin, end) = (self.now, self.now + time);
        let mut sent = Vec::new();
        loop {
            for (transmit, bytes) in self.digits() {
                assert_eq!(transmit.socket, SocketId::TrunkRtp(1));
                assert_eq!(transmit.to, address(TRUNK));
                let ms = u64::try_from((self.now - begin).as_millis()).unwrap();
                sent.push(report(ms, &bytes));
            }
            match self.engine.poll_timeout().filter(|at| *at <= end) {
                Some(at) => self.now = at,
                None => break,
            }
            self.engine.handle_timeout(self.now);
        }
        self.now = end;
        sent
    }

    fn audio(&mut self, peer: &mut Peer, sequence: u16, timestamp: u32) -> (u16, u32) {
        let packet = peer.protect(&rtp(111, sequence, timestamp, 5));
        let (_, sent) = self.forwarded(SocketId::Browser, peer.address, &packet);
        let (payload_type, sequence, timestamp, ssrc) = header(&sent);
        assert_eq!((payload_type, ssrc), (0, OUT));
        (sequence, timestamp)
    }
}

fn report(ms: u64, packet: &[u8]) -> Sent {
    let (payload_type, sequence, timestamp, ssrc) = header(packet);
    assert_eq!((payload_type, ssrc, packet.len()), (101, OUT, 16));
    let event = TelephoneEvent::parse(&packet[12..]).unwrap();
    Sent {
        ms,
        marker: packet[1] & 0x80 != 0,
        sequence,
        timestamp,
        event: event.event,
        is_end: event.is_end,
        duration: event.duration,
    }
}

#[test]
fn d8_a_digit_is_a_telephone_event_that_ends_three_times() {
    let mut world = World::new();
    let mut peer = call(&mut world);
    assert_eq!(world.audio(&mut peer, 7, 1600), (7, 1600));
    world.now += 20 * MS;
    world.command(digit(0, 5, 100 * MS));
    let packet = |ms, sequence, is_end, duration| Sent {
        ms,
        marker: ms == 0,
        sequence,
        timestamp: 1760,
        event: 5,
        is_end,
        duration,
    };
    let expected = [
        packet(0, 8, false, 160),
        packet(20, 9, false, 320),
        packet(40, 10, false, 480),
        packet(60, 11, false, 640),
        packet(80, 12, true, 800),
        packet(100, 13, true, 800),
        packet(120, 14, true, 800),
    ];
    assert_eq!(world.digits_within(500 * MS), expected);
    assert_eq!(world.counters.snapshot().sent_digit_packets, 7);
    assert!(world.only_event("MediaStarted"));
    // The audio goes on behind it.
    assert_eq!(world.audio(&mut peer, 8, 5760), (15, 5760));
}

#[test]
fn d8_audio_is_withheld_while_a_digit_lasts_and_leaves_no_gap() {
    let mut world = World::new();
    let mut peer = call(&mut world);
    // A stream begins in the lower half of the numbers: to their wrap it takes some losses.
    for sequence in (65_534 - 11 * 2979..=65_534).step_by(2979) {
        assert_eq!(world.audio(&mut peer, sequence, 160), (sequence, 160));
    }
    world.now += 20 * MS;
    world.command(digit(0, 11, 40 * MS));
    let sequences = |sent: Vec<Sent>| sent.iter().map(|sent| sent.sequence).collect::<Vec<_>>();
    assert_eq!(sequences(world.digits_within(30 * MS)), [65_535, 0]);
    for (sequence, timestamp) in [(65_535, 320), (0, 480), (2, 800)] {
        let packet = peer.protect(&rtp(111, sequence, timestamp, 5));
        let reason = world.dropped(SocketId::Browser, BROWSER, &packet);
        assert_eq!(reason, DropReason::DigitInstead);
    }
    assert_eq!(sequences(world.digits_within(40 * MS)), [1, 2]);
    assert_eq!(world.audio(&mut peer, 3, 960), (3, 960));
    // What was late then is too late now: its number is the digit's.
    let late = peer.protect(&rtp(111, 1, 640, 5));
    let reason = world.dropped(SocketId::Browser, BROWSER, &late);
    assert_eq!(reason, DropReason::Replayed);
    // From here on, packets may overtake each other again.
    assert_eq!(world.audio(&mut peer, 5, 1280), (5, 1280));
    assert_eq!(world.audio(&mut peer, 4, 1120), (4, 1120));
    assert!(world.digits_within(500 * MS).is_empty());
}

#[test]
fn d8_digits_follow_each_other_with_a_pause_in_which_audio_passes() {
    let mut world = World::new();
    let mut peer = call(&mut world);
    world.audio(&mut peer, 0, 0);
    world.now += 20 * MS;
    for event in [1, 2] {
        world.command(digit(0, event, 60 * MS));
    }
    let first = world.digits_within(100 * MS);
    assert_eq!(first.len(), 5);
    let (sequence, timestamp) = world.audio(&mut peer, 1, 960);
    assert_eq!((sequence, timestamp), (6, 960));
    // One that is asked for in the pause waits too.
    world.command(digit(0, 3, 60 * MS));
    let rest = world.digits_within(600 * MS);
    let begins = |sent: &&Sent| sent.marker;
    let begins: Vec<_> = rest.iter().filter(begins).collect();
    // 60 ms and the pause after the first one began: at 140, and again at 280.
    assert_eq!(
        begins
            .iter()
            .map(|sent| (sent.event, sent.ms))
            .collect::<Vec<_>>(),
        [(2, 40), (3, 180)]
    );
    assert_eq!(begins[0].sequence, 7);
    assert_eq!(begins[0].timestamp, 960 + 40 * 8);
    assert_eq!(begins[1].timestamp - begins[0].timestamp, 140 * 8);
    assert_eq!(rest.len(), 10);
}

#[test]
fn d8_a_silent_source_sends_digits_and_its_audio_goes_on_behind() {
    let mut world = World::new();
    let mut peer = call(&mut world);
    world.command(digit(0, 9, 40 * MS));
    let sent = world.digits_within(200 * MS);
    assert_eq!(sent.len(), 4);
    let last = &sent[3];
    assert_eq!(last.sequence, sent[0].sequence + 3);
    let (sequence, timestamp) = world.audio(&mut peer, 30_000, 77);
    assert_eq!(sequence, last.sequence + 1);
    assert_eq!(timestamp, last.timestamp.wrapping_add(1600));
    assert_eq!(
        world.audio(&mut peer, 30_001, 237),
        (sequence + 1, timestamp.wrapping_add(160))
    );
}

#[test]
fn d8_a_browser_can_decrypt_the_digits_of_a_trunk() {
    let mut world = World::new();
    let mut peer = call(&mut world);
    let socket = SocketId::TrunkRtp(1);
    let (_, sent) = world.forwarded(socket, address(TRUNK), &rtp(0, 30, 999, 77));
    peer.unprotect(sent);
    world.command(digit(1, 0, 20 * MS));
    let mut sequences = Vec::new();
    for _ in 0..4 {
        for (transmit, bytes) in world.digits() {
            assert_eq!(
                (transmit.socket, transmit.to),
                (SocketId::Browser, peer.address)
            );
            let packet = peer.unprotect(bytes);
            let (payload_type, sequence, _, ssrc) = header(&packet);
            assert_eq!((payload_type, ssrc), (101, 1000));
            sequences.push(sequence);
        }
        world.now += 20 * MS;
    }
    assert_eq!(sequences, [31, 32, 33, 34]);
    let (_, sent) = world.forwarded(socket, address(TRUNK), &rtp(0, 31, 1159, 77));
    assert_eq!(header(&peer.unprotect(sent)).1, 35);
}

#[test]
fn d8_durations_are_kept_within_what_receivers_know() {
    let mut world = World::new();
    call(&mut world);
    world.command(digit(0, 1, Duration::ZERO));
    let sent = world.digits_within(500 * MS);
    assert_eq!((sent.len(), sent[3].duration), (4, 320));
    world.command(digit(0, 1, 60_000 * MS));
    let sent = world.digits_within(2000 * MS);
    assert_eq!((sent.len(), sent[51].duration), (52, 8000));
}

#[test]
fn d8_digits_without_route_or_beyond_the_queue_are_refused() {
    let mut world = World::new();
    world.command(digit(0, 1, 100 * MS));
    assert!(world.only_event("UnknownFlow"));
    world.open_trunk(0, TRUNK);
    world.command(digit(0, 1, 100 * MS));
    assert!(world.only_event("NoRoute"));
    let mut world = World::new();
    call(&mut world);
    for _ in 0..DIGITS_PER_FLOW_MAX {
        world.command(digit(0, 1, 40 * MS));
    }
    assert!(world.events().is_empty());
    world.command(digit(0, 1, 40 * MS));
    assert!(world.only_event("TooManyDigits"));
    let sent = world.digits_within(10_000 * MS);
    assert_eq!(sent.len(), 4 * DIGITS_PER_FLOW_MAX);
}

#[test]
fn d8_hold_another_way_and_the_end_of_the_flow_end_its_digits() {
    let mut world = World::new();
    let mut peer = call(&mut world);
    let begin = |world: &mut World| {
        world.command(digit(0, 1, 100 * MS));
        assert_eq!(world.digits_within(20 * MS).len(), 2);
    };
    begin(&mut world);
    // The same route again, as after a re-INVITE, changes nothing …
    world.command(Command::SetRoute(route(0, Media::Audio, 1, (111, 0), OUT)));
    assert_eq!(world.digits_within(500 * MS).len(), 5);
    begin(&mut world);
    world.command(Command::ClearRoute {
        flow: flow(0),
        media: Media::Audio,
    });
    // … and what waited at a hold is not made up for.
    world.command(Command::SetRoute(route(0, Media::Audio, 1, (111, 0), OUT)));
    assert!(world.digits_within(500 * MS).is_empty());
    world.audio(&mut peer, 1, 160);
    begin(&mut world);
    world.command(Command::SetRoute(route(0, Media::Audio, 1, (111, 0), 2002)));
    assert!(world.digits_within(500 * MS).is_empty());
    let packet = peer.protect(&rtp(111, 2, 320, 5));
    world.forwarded(SocketId::Browser, peer.address, &packet);
    world.command(digit(0, 1, 100 * MS));
    world.command(Command::CloseFlow { flow: flow(0) });
    assert!(world.digits().is_empty());
    assert!(world.engine.digits_due.is_empty());
}

#[test]
fn d8_a_late_turn_does_not_send_what_it_missed_at_once() {
    let mut world = World::new();
    call(&mut world);
    world.command(digit(0, 1, 100 * MS));
    assert_eq!(world.digits().len(), 1);
    world.now += 300 * MS;
    assert_eq!(world.digits().len(), 1);
    world.now += 19 * MS;
    assert!(world.digits().is_empty());
    world.now += MS;
    assert_eq!(world.digits().len(), 1);
}

#[test]
fn d8_a_digit_that_cannot_leave_is_counted() {
    let mut world = World::new();
    world.open_trunk(1, TRUNK);
    world.open_browser(0, "us00");
    world.command(Command::SetRoute(route(1, Media::Audio, 0, (0, 111), 1000)));
    world.command(digit(1, 1, 40 * MS));
    assert!(world.digits().is_empty());
    world.now += 500 * MS;
    assert!(world.digits().is_empty());
    assert_eq!(
        world.counters.snapshot().dropped(DropReason::NoDestination),
        2
    );
}

#[test]
fn case_a13_a_digit_of_another_clock_than_the_audio_lasts_as_long() {
    let mut world = World::new();
    world.connect_browser(0, "us00", BROWSER);
    world.open_trunk(1, TRUNK);
    let mut opus = route(0, Media::Audio, 1, (111, 111), OUT);
    opus.clock_hz = 48_000;
    world.command(Command::SetRoute(opus));
    world.command(digit(0, 5, 100 * MS));
    let sent = world.digits_within(200 * MS);
    assert_eq!(sent.last().map(|packet| packet.duration), Some(800));
}
