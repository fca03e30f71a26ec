//! Requests for key frames: how often a sender is asked, and when without having been told to.

use super::*;
use crate::engine::feedback::tests::words;
use crate::limits::KEY_FRAME_INTERVAL;
use crate::wire::rtcp::RtcpHeader;

const BOB: &str = "192.0.2.5:7000";
const BOTH: Feedback = Feedback::PICTURE_LOSS.with(Feedback::FULL_INTRA);
const PLI: (u8, u8) = (206, 1);
const FIR: (u8, u8) = (206, 4);

/// The packets of a compound, by type and count.
fn kinds(compound: &[u8]) -> Vec<(u8, u8)> {
    let mut rest = compound;
    std::iter::from_fn(|| {
        let header = RtcpHeader::parse(rest)?;
        rest = &rest[header.length..];
        Some((header.kind, header.count))
    })
    .collect()
}

fn open_video(world: &mut World, takes: Feedback) {
    let mut video = route(0, Media::Video, 1, (96, 97), 2001);
    video.feedback = takes;
    world.command(Command::SetRoute(video));
}

fn shows(world: &mut World, alice: &mut Peer, sequence: u16) -> Verdict {
    let frame = alice.protect(&rtp(96, sequence, u32::from(sequence) * 3000, 42));
    world.packet(SocketId::Browser, alice.address, &frame).0
}

impl World {
    /// What the engine sends by itself in a turn: the requests among it to Alice.
    fn asked(&mut self, alice: &mut Peer) -> Vec<(u8, u8)> {
        self.engine.handle_timeout(self.now);
        let mut asked = Vec::new();
        // The second round is the next turn.
        for _ in 0..2 {
            let mut buffer = [0; crate::limits::REPORT_BYTES_MAX];
            while let Some(transmit) = self.engine.poll_report(self.now, &mut buffer) {
                if transmit.to == alice.address {
                    asked.extend(kinds(
                        &alice.unprotect_rtcp(buffer[..transmit.length].to_vec()),
                    ));
                }
            }
            assert_eq!(self.engine.poll_digit(self.now, &mut buffer), None);
        }
        asked.retain(|kind| kind.0 == 206);
        asked
    }
}

/// Alice shows herself to Bob.
fn call(world: &mut World, takes: Feedback) -> (Peer, Peer) {
    let mut alice = world.connect_browser(0, "us00", BROWSER);
    let bob = world.connect_browser(1, "us01", BOB);
    open_video(world, takes);
    assert!(matches!(shows(world, &mut alice, 1), Verdict::Forward(_)));
    world.events();
    (alice, bob)
}

#[test]
fn media_f17_a_storm_of_requests_reaches_the_sender_twice_a_second_and_the_last_is_not_lost() {
    let pli = words(1, 206, &[1, 2001]);
    for (takes, request, kind) in [
        (BOTH, pli.clone(), PLI),
        (Feedback::PICTURE_LOSS, pli, PLI),
        (
            Feedback::FULL_INTRA,
            words(4, 206, &[1, 0, 2001, 0x0700_0000]),
            FIR,
        ),
    ] {
        let mut world = World::new();
        let (mut alice, mut bob) = call(&mut world, takes);
        let mut asked = Vec::new();
        for n in 0..401_u64 {
            let mut compound = words(0, 201, &[1]);
            compound.extend(&request);
            let packet = bob.protect_rtcp(&compound);
            // 200 a second.
            match world.packet(SocketId::Browser, bob.address, &packet) {
                (Verdict::Forward(_), sent) => {
                    let kinds = kinds(&alice.unprotect_rtcp(sent));
                    asked.extend(kinds.contains(&kind).then_some(n));
                }
                (verdict, _) => assert_eq!(verdict, Verdict::Consumed),
            }
            asked.extend(world.asked(&mut alice).iter().map(|_| n));
            world.now += Duration::from_millis(5);
        }
        assert_eq!(asked, [0, 100, 200, 300, 400], "{takes:?}");
        // One more came after that; it is kept for its time, and then asked once.
        let mut later = Vec::new();
        let mut compound = words(0, 201, &[1]);
        compound.extend(&request);
        let packet = bob.protect_rtcp(&compound);
        let (verdict, _) = world.packet(SocketId::Browser, bob.address, &packet);
        assert_eq!(verdict, Verdict::Consumed);
        for n in 0..400 {
            later.extend(world.asked(&mut alice).iter().map(|asked| (n, *asked)));
            world.now += Duration::from_millis(5);
        }
        assert_eq!(later, [(99, if takes == BOTH { PLI } else { kind })]);
        assert_eq!(world.counters.snapshot().dropped_feedback_messages, 0);
    }
}

#[test]
fn media_f17_a_key_frame_is_asked_for_when_the_receivers_keys_come() {
    for (takes, expected) in [
        (BOTH, vec![PLI]),
        (Feedback::FULL_INTRA, vec![FIR]),
        (Feedback::NACK, vec![]),
    ] {
        let mut world = World::new();
        let mut alice = world.connect_browser(0, "us00", BROWSER);
        world.open_browser(1, "us01");
        open_video(&mut world, takes);
        assert!(matches!(
            world.check(BOB, &check("us01:them")),
            Verdict::Reply(_)
        ));
        for sequence in 1..20 {
            let verdict = shows(&mut world, &mut alice, sequence);
            assert_eq!(verdict, Verdict::Drop(DropReason::DestinationNoKeys));
        }
        assert!(world.asked(&mut alice).is_empty());
        world.command(Command::InstallKeys {
            flow: flow(1),
            keys: keys(17).0,
        });
        assert_eq!(world.asked(&mut alice), expected);
        world.now += 4 * KEY_FRAME_INTERVAL;
        assert!(world.asked(&mut alice).is_empty(), "once");
    }
}

#[test]
fn media_f17_a_key_frame_is_asked_for_when_the_route_opens() {
    let mut world = World::new();
    let mut alice = world.connect_browser(0, "us00", BROWSER);
    world.connect_browser(1, "us01", BOB);
    // Pictures that had nowhere to go.
    let verdict = shows(&mut world, &mut alice, 1);
    assert_eq!(verdict, Verdict::Drop(DropReason::NoRoute));
    open_video(&mut world, BOTH);
    world.now += Duration::from_secs(1);
    assert!(matches!(
        shows(&mut world, &mut alice, 2),
        Verdict::Forward(_)
    ));
    assert_eq!(world.asked(&mut alice), [PLI]);
    // A description that changes nothing asks for nothing; the end of a hold does.
    world.now += Duration::from_secs(1);
    open_video(&mut world, BOTH);
    assert!(world.asked(&mut alice).is_empty());
    world.command(Command::ClearRoute {
        flow: flow(0),
        media: Media::Video,
    });
    open_video(&mut world, BOTH);
    assert_eq!(world.asked(&mut alice), [PLI]);
}

#[test]
fn media_f17_a_trunk_that_has_agreed_is_asked_too_and_a_closed_flow_is_not() {
    let mut world = World::new();
    world.open_trunk(1, TRUNK);
    world.open_browser(0, "us00");
    let mut video = route(1, Media::Video, 0, (97, 96), 2000);
    video.feedback = BOTH;
    world.command(Command::SetRoute(video));
    let packet = rtp(97, 1, 0, 77);
    let reason = world.dropped(SocketId::TrunkRtp(1), TRUNK, &packet);
    assert_eq!(reason, DropReason::NoDestination);
    world.command(Command::InstallKeys {
        flow: flow(0),
        keys: keys(17).0,
    });
    let mut buffer = [0; crate::limits::REPORT_BYTES_MAX];
    assert_eq!(world.engine.poll_digit(world.now, &mut buffer), None);
    let asked = world.engine.poll_report(world.now, &mut buffer).unwrap();
    assert_eq!(asked.socket, SocketId::TrunkRtcp(1));
    assert!(kinds(&buffer[..asked.length]).contains(&PLI));
    world.command(Command::ClearRoute {
        flow: flow(1),
        media: Media::Video,
    });
    let mut video = route(1, Media::Video, 0, (97, 96), 2000);
    video.feedback = BOTH;
    world.command(Command::SetRoute(video));
    world.command(Command::CloseFlow { flow: flow(1) });
    world.now += KEY_FRAME_INTERVAL;
    assert_eq!(world.engine.poll_digit(world.now, &mut buffer), None);
    assert_eq!(world.engine.poll_report(world.now, &mut buffer), None);
}
