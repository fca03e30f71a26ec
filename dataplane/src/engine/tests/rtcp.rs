//! RTCP: what ends in the engine, what it writes by itself, and what goes through.

use super::*;
use crate::engine::feedback::tests::words;
use crate::link::{Event, FlowTotals};
use crate::wire::read_u32;
use crate::wire::rtcp::{
    GOODBYE, PAYLOAD_FEEDBACK, RECEIVER_REPORT, ReportBlock, RtcpHeader, SENDER_REPORT,
    SOURCE_DESCRIPTION, SenderInfo, is_compound, report_blocks,
};

const TRUNK_RTCP: &str = "198.51.100.7:4001";
const VIDEO_FEEDBACK: Feedback = Feedback::PICTURE_LOSS.with(Feedback::BITRATE);

/// One packet of a compound: type, count and bytes.
type Part = (u8, u8, Vec<u8>);

fn parts(compound: &[u8]) -> Vec<Part> {
    assert!(is_compound(compound), "{compound:?}");
    let mut rest = compound;
    std::iter::from_fn(|| {
        let header = RtcpHeader::parse(rest)?;
        let (packet, behind) = rest.split_at(header.length);
        rest = behind;
        Some((header.kind, header.count, packet.to_vec()))
    })
    .collect()
}

fn ssrc(part: &Part) -> u32 {
    read_u32(&part.2, 4).unwrap()
}

fn blocks(part: &Part) -> Vec<ReportBlock> {
    let header = RtcpHeader::parse(&part.2).unwrap();
    report_blocks(&header, &part.2).collect()
}

fn info(part: &Part) -> SenderInfo {
    assert_eq!(part.0, SENDER_REPORT);
    SenderInfo::parse(&part.2).unwrap()
}

fn sender_report(ssrc: u32, ntp: NtpTime, timestamp: u32) -> Vec<u8> {
    let [a, b, c, d, e, f, g, h] = ntp.0.to_be_bytes();
    let (seconds, fraction) = (
        u32::from_be_bytes([a, b, c, d]),
        u32::from_be_bytes([e, f, g, h]),
    );
    words(
        0,
        SENDER_REPORT,
        &[ssrc, seconds, fraction, timestamp, 9, 900],
    )
}

impl World {
    /// The reports that are due, by where they go.
    fn reports(&mut self) -> Vec<(Transmit, Vec<u8>)> {
        std::iter::from_fn(|| {
            let mut buffer = [0; crate::limits::REPORT_BYTES_MAX];
            let transmit = self.engine.poll_report(self.now, &mut buffer)?;
            Some((transmit, buffer[..transmit.length].to_vec()))
        })
        .collect()
    }

    fn consumed(&mut self, socket: SocketId, source: SocketAddr, bytes: &[u8]) {
        let (verdict, _) = self.packet(socket, source, bytes);
        assert_eq!(verdict, Verdict::Consumed);
    }

    fn close(&mut self, slot: u16) -> FlowTotals {
        self.events();
        self.command(Command::CloseFlow { flow: flow(slot) });
        match self.engine.poll_event() {
            Some(Event::FlowClosed { totals, .. }) => totals,
            other => panic!("{other:?}"),
        }
    }

    fn trunk_sends(&mut self, sequence: u16) {
        let packet = rtp(0, sequence, u32::from(sequence) * 160, 77);
        self.forwarded(SocketId::TrunkRtp(1), address(TRUNK), &packet);
    }

    fn browser_sends(&mut self, peer: &mut Peer, sequence: u16) {
        let packet = peer.protect(&rtp(111, sequence, u32::from(sequence) * 160, 5));
        self.forwarded(SocketId::Browser, peer.address, &packet);
    }
}

/// Browser in slot 0, trunk in slot 1, audio both ways: type 111 ↔ 0.
fn call(world: &mut World) -> Peer {
    let peer = world.connect_browser(0, "us00", BROWSER);
    world.open_trunk(1, TRUNK);
    world.command(Command::SetRoute(route(0, Media::Audio, 1, (111, 0), 1001)));
    world.command(Command::SetRoute(route(1, Media::Audio, 0, (0, 111), 1000)));
    peer
}

/// What each leg of a call is told, browser first, a second later.
fn both_reports(world: &mut World, peer: &mut Peer) -> (Vec<Part>, Vec<Part>) {
    world.pass(Duration::from_secs(1));
    let mut reports = world.reports();
    assert_eq!(reports.len(), 2);
    let (to_trunk, for_trunk) = reports.pop().unwrap();
    let (to_browser, for_browser) = reports.pop().unwrap();
    assert_eq!(
        (to_browser.socket, to_browser.to),
        (SocketId::Browser, peer.address)
    );
    assert_eq!(
        (to_trunk.socket, to_trunk.to),
        (SocketId::TrunkRtcp(1), address(TRUNK_RTCP))
    );
    (parts(&peer.unprotect_rtcp(for_browser)), parts(&for_trunk))
}

#[test]
fn each_leg_is_told_what_came_from_it_and_what_was_sent_to_it() {
    let mut world = World::new();
    let mut peer = call(&mut world);
    world.pass(Duration::from_secs(20));
    assert_eq!(world.reports(), [], "nothing has been heard or sent");
    for sequence in [1, 2, 4] {
        world.browser_sends(&mut peer, sequence);
    }
    world.trunk_sends(30);
    let now = EPOCH.after(Duration::from_secs(21));
    let (for_browser, for_trunk) = both_reports(&mut world, &mut peer);
    let [report, names] = for_trunk.as_slice() else {
        panic!("{for_trunk:?}")
    };
    assert_eq!(ssrc(report), 1001);
    let expected = SenderInfo {
        ntp: now,
        timestamp: 4 * 160 + 8000,
        packets: 3,
        octets: 480,
    };
    assert_eq!(info(report), expected);
    let [block] = blocks(report).try_into().unwrap();
    assert_eq!((block.ssrc, block.highest_sequence), (77, 30));
    assert_eq!((block.fraction_lost, block.lost_packets), (0, 0));
    assert_eq!((names.0, names.1), (SOURCE_DESCRIPTION, 1));
    assert_eq!(names.2[4..], *b"\0\0\x03\xe9\x01\x07ringway\0\0\0");
    let report = &for_browser[0];
    assert_eq!(ssrc(report), 1000);
    assert_eq!((info(report).packets, info(report).octets), (1, 160));
    let [block] = blocks(report).try_into().unwrap();
    assert_eq!((block.ssrc, block.highest_sequence), (5, 4));
    assert_eq!((block.fraction_lost, block.lost_packets), (64, 1));
    assert_eq!(world.counters.snapshot().sent_reports, 2);
}

#[test]
fn a_peers_reports_end_here_and_tell_round_trip_loss_and_jitter() {
    let mut world = World::new();
    let mut peer = call(&mut world);
    world.browser_sends(&mut peer, 1);
    world.trunk_sends(30);
    let (for_browser, _) = both_reports(&mut world, &mut peer);
    let sent = info(&for_browser[0]).ntp.middle();
    world.now += Duration::from_millis(290);
    // It kept our report for 250 ms; says that 3 of our packets are lost, and 80 ticks of jitter.
    let answer = words(
        1,
        RECEIVER_REPORT,
        &[5, 1000, 0x2000_0003, 30, 80, sent, 0x4000],
    );
    let answer = peer.protect_rtcp(&answer);
    world.consumed(SocketId::Browser, peer.address, &answer);
    assert_eq!(
        world.dropped(SocketId::Browser, BROWSER, &answer),
        DropReason::Replayed
    );
    // The trunk speaks of a stream that it does not get.
    let stray = words(1, RECEIVER_REPORT, &[77, 1000, 9, 30, 80, sent, 0]);
    world.consumed(SocketId::TrunkRtcp(1), address(TRUNK_RTCP), &stray);
    world.now += Duration::from_secs(2);
    let audio = world.close(0).audio;
    let round_trip = audio.round_trip_us.unwrap();
    assert!((39_000..41_000).contains(&round_trip), "{round_trip}");
    assert_eq!(
        (audio.remote_lost_packets, audio.remote_jitter_us),
        (3, 10_000)
    );
    assert_eq!(audio.last_received, Some(Duration::from_millis(3290)));
    let audio = world.close(1).audio;
    assert_eq!((audio.round_trip_us, audio.remote_lost_packets), (None, 0));
    assert_eq!(world.counters.snapshot().consumed_packets, 2);
}

#[test]
fn repeats_when_the_peers_last_report_was_written_and_how_long_ago_it_came() {
    let mut world = World::new();
    let mut peer = call(&mut world);
    world.browser_sends(&mut peer, 1);
    world.trunk_sends(30);
    let report = sender_report(5, NtpTime(0x1111_2222_3333_4444), 160);
    let report = peer.protect_rtcp(&report);
    world.now += Duration::from_millis(500);
    world.consumed(SocketId::Browser, peer.address, &report);
    let (for_browser, for_trunk) = both_reports(&mut world, &mut peer);
    let [block] = blocks(&for_browser[0]).try_into().unwrap();
    assert_eq!(
        (block.last_report, block.since_last_report),
        (0x2222_3333, 0x1_0000)
    );
    let [block] = blocks(&for_trunk[0]).try_into().unwrap();
    assert_eq!((block.last_report, block.since_last_report), (0, 0));
}

#[test]
fn sound_and_picture_keep_the_relation_that_their_source_tells() {
    let mut world = World::new();
    let mut alice = world.connect_browser(0, "us00", BROWSER);
    let mut bob = world.connect_browser(1, "us01", "192.0.2.5:7000");
    world.command(Command::SetRoute(route(
        0,
        Media::Audio,
        1,
        (111, 111),
        3001,
    )));
    let mut video = route(0, Media::Video, 1, (96, 97), 3002);
    video.clock_hz = 90_000;
    world.command(Command::SetRoute(video));
    let sound = alice.protect(&rtp(111, 1, 50_000, 41));
    let (transmit, _) = world.forwarded(SocketId::Browser, alice.address, &sound);
    assert!(!transmit.is_video);
    let frame = alice.protect(&rtp(96, 1, 700_000, 42));
    let (transmit, _) = world.forwarded(SocketId::Browser, alice.address, &frame);
    assert!(transmit.is_video);
    // Of another source: its timestamps are moved.
    let sound = alice.protect(&rtp(111, 1, 9_000_000, 43));
    world.forwarded(SocketId::Browser, alice.address, &sound);
    let moved = 50_160_u32.wrapping_sub(9_000_000);
    let source = NtpTime(77 << 32);
    // The picture is 100 ms older than its packets tell, and its report comes 60 ms later.
    let report = alice.protect_rtcp(&sender_report(43, source, 9_000_000));
    world.consumed(SocketId::Browser, alice.address, &report);
    world.now += Duration::from_millis(60);
    let report = alice.protect_rtcp(&sender_report(42, source, 691_000));
    world.consumed(SocketId::Browser, alice.address, &report);
    world.pass(Duration::from_secs(1));
    let reports = world.reports();
    let [_, (_, for_bob)] = reports.try_into().unwrap();
    let for_bob = parts(&bob.unprotect_rtcp(for_bob));
    assert_eq!(for_bob.len(), 3);
    assert_eq!((ssrc(&for_bob[0]), ssrc(&for_bob[1])), (3001, 3002));
    assert_eq!((for_bob[2].0, for_bob[2].1), (SOURCE_DESCRIPTION, 2));
    let (sound, picture) = (info(&for_bob[0]), info(&for_bob[1]));
    assert_eq!(sound.ntp, picture.ntp);
    let since_source_ms = |now: u32, then: u32, clock_hz: i64| {
        i64::from(now.wrapping_sub(then).cast_signed()) * 1000 / clock_hz
    };
    let sound = since_source_ms(sound.timestamp, moved.wrapping_add(9_000_000), 8000);
    let picture = since_source_ms(picture.timestamp, 691_000, 90_000);
    assert_eq!(
        sound, picture,
        "both were at the same moment of their source"
    );
    // The first report was the quicker one; the second has moved its clock by a little.
    assert!((1057..=1060).contains(&sound), "{sound}");
}

#[test]
fn a_report_that_cannot_be_true_does_not_move_the_media() {
    let mut world = World::new();
    let mut peer = call(&mut world);
    world.trunk_sends(30);
    let trunk = address(TRUNK_RTCP);
    let report = sender_report(77, NtpTime(0), 3_000_000_000);
    world.consumed(SocketId::TrunkRtcp(1), trunk, &report);
    world.browser_sends(&mut peer, 1);
    let (for_browser, _) = both_reports(&mut world, &mut peer);
    assert_eq!(info(&for_browser[0]).timestamp, 30 * 160 + 8000);
}

#[test]
fn reports_go_on_at_random_times_and_become_receiver_reports_in_silence() {
    let mut world = World::new();
    let mut peer = call(&mut world);
    world.browser_sends(&mut peer, 1);
    world.trunk_sends(30);
    let mut times = Vec::new();
    let mut last = Vec::new();
    for second in 0..200_u32 {
        world.pass(Duration::from_secs(1));
        let consent = world.check(BROWSER, &check("us00:them"));
        assert!(matches!(consent, Verdict::Reply(_)));
        for (transmit, report) in world.reports() {
            if transmit.socket == SocketId::Browser {
                times.push(second);
                last = parts(&peer.unprotect_rtcp(report));
            }
        }
    }
    let gaps: Vec<u32> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert_eq!(times[0], 0, "the first comes at once");
    // 2.05 to 6.16 seconds, on the next look at the flow.
    assert!(gaps.iter().all(|gap| (2..=7).contains(gap)), "{gaps:?}");
    assert!(gaps.iter().min() < gaps.iter().max(), "{gaps:?}");
    assert!((34..60).contains(&times.len()), "{}", times.len());
    assert_eq!((last[0].0, last[0].1), (RECEIVER_REPORT, 0));
    assert_eq!((ssrc(&last[0]), ssrc(&last[1])), (1000, 1000));
    // Without consent, nothing is sent.
    world.pass(Duration::from_secs(40));
    let reports = world.reports();
    assert!(reports.iter().all(|(to, _)| to.socket != SocketId::Browser));
}

#[test]
fn a_goodbye_goes_through_behind_a_report_and_our_name() {
    let mut world = World::new();
    let mut peer = call(&mut world);
    world.browser_sends(&mut peer, 1);
    let mut goodbye = words(0, RECEIVER_REPORT, &[5]);
    goodbye.extend(words(1, GOODBYE, &[5]));
    let packet = peer.protect_rtcp(&goodbye);
    let (transmit, sent) = world.forwarded(SocketId::Browser, peer.address, &packet);
    assert_eq!(transmit.to, address(TRUNK_RTCP));
    let sent = parts(&sent);
    let kinds: Vec<u8> = sent.iter().map(|part| part.0).collect();
    assert_eq!(kinds, [RECEIVER_REPORT, SOURCE_DESCRIPTION, GOODBYE]);
    assert!(sent.iter().all(|part| ssrc(part) == 1001));
}

/// Alice in slot 0 sends video to Bob in slot 1, who sends sound.
fn video_call(world: &mut World, takes: Feedback) -> (Peer, Peer) {
    let mut alice = world.connect_browser(0, "us00", BROWSER);
    let mut bob = world.connect_browser(1, "us01", "192.0.2.5:7000");
    let mut video = route(0, Media::Video, 1, (96, 97), 2001);
    video.feedback = takes;
    world.command(Command::SetRoute(video));
    world.command(Command::SetRoute(route(
        1,
        Media::Audio,
        0,
        (111, 111),
        1000,
    )));
    let frame = alice.protect(&rtp(96, 50, 0, 42));
    let (_, sent) = world.forwarded(SocketId::Browser, alice.address, &frame);
    assert_eq!(header(&bob.unprotect(sent)), (97, 50, 0, 2001));
    (alice, bob)
}

#[test]
fn feedback_reaches_the_sender_that_has_agreed_to_it() {
    let mut world = World::new();
    let (mut alice, mut bob) = video_call(&mut world, VIDEO_FEEDBACK);
    // Bob sends no video: he speaks as 1, as browsers do.
    let mut compound = words(0, RECEIVER_REPORT, &[1]);
    compound.extend(words(1, PAYLOAD_FEEDBACK, &[1, 2001]));
    compound.extend(words(
        15,
        PAYLOAD_FEEDBACK,
        &[1, 0, 0x5245_4D42, 0x0103_ABCD, 2001],
    ));
    let packet = bob.protect_rtcp(&compound);
    let (transmit, sent) = world.forwarded(SocketId::Browser, bob.address, &packet);
    assert_eq!(transmit.to, alice.address);
    let sent = parts(&alice.unprotect_rtcp(sent));
    let kinds: Vec<(u8, u8)> = sent.iter().map(|part| (part.0, part.1)).collect();
    assert_eq!(kinds, [(201, 0), (202, 1), (206, 1), (206, 15)]);
    assert!(sent.iter().all(|part| ssrc(part) == 1000));
    assert_eq!(sent[2].2, words(1, 206, &[1000, 42]));
    assert_eq!(
        sent[3].2,
        words(15, 206, &[1000, 0, 0x5245_4D42, 0x0103_ABCD, 42])
    );
    assert_eq!(world.counters.snapshot().dropped_feedback_messages, 0);
}

#[test]
fn feedback_that_was_not_agreed_is_dropped_and_counted() {
    let mut world = World::new();
    let (_, mut bob) = video_call(&mut world, Feedback::NACK);
    let loss = words(1, PAYLOAD_FEEDBACK, &[1, 2001]);
    let reason = world.dropped(
        SocketId::Browser,
        "192.0.2.5:7000",
        &bob.protect_rtcp(&loss),
    );
    assert_eq!(reason, DropReason::RtcpNotForwarded);
    let mut compound = words(0, RECEIVER_REPORT, &[1]);
    compound.extend(loss);
    compound.extend(words(0, 207, &[1, 0x0400_0002, 0, 0]));
    let compound = bob.protect_rtcp(&compound);
    world.consumed(SocketId::Browser, bob.address, &compound);
    assert_eq!(world.counters.snapshot().dropped_feedback_messages, 3);
}

#[test]
fn rtcp_is_taken_from_the_peer_only_and_whole() {
    let mut world = World::new();
    call(&mut world);
    world.trunk_sends(30);
    let report = words(1, RECEIVER_REPORT, &[77, 1001, 0, 7, 4, 0, 0]);
    let stranger = world.dropped(SocketId::TrunkRtcp(1), "198.51.100.8:4001", &report);
    assert_eq!(stranger, DropReason::UnknownSource);
    let cut = world.dropped(SocketId::TrunkRtcp(1), TRUNK_RTCP, &report[..30]);
    assert_eq!(cut, DropReason::RtcpMalformed);
    let names = words(1, SOURCE_DESCRIPTION, &[77, 0x0102_4142, 0]);
    let nothing = world.dropped(SocketId::TrunkRtcp(1), TRUNK_RTCP, &names);
    assert_eq!(nothing, DropReason::RtcpNotForwarded);
}

#[test]
fn a_report_of_a_closed_flow_is_not_written_for_the_next_in_its_slot() {
    let mut world = World::new();
    let mut peer = call(&mut world);
    world.browser_sends(&mut peer, 1);
    world.pass(Duration::from_secs(1));
    assert!(world.engine.has_reports_due());
    world.close(0);
    world.close(1);
    world.open_trunk(1, TRUNK);
    assert_eq!(world.reports(), []);
    assert!(!world.engine.has_reports_due());
}
