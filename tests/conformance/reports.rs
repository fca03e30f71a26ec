//! The reports that an engine writes to a browser, unprotected by libsrtp.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crypto::keys::{MasterKey, SrtpKeys, SrtpProfile};
use crypto::srtp::SrtpSender;
use dataplane::engine::{Engine, EngineConfig, SocketId, Verdict};
use dataplane::limits::REPORT_BYTES_MAX;
use dataplane::link::{
    BrowserFlow, Cname, Command, Counters, Feedback, FlowId, FlowKind, IceCredentials, IceFragment,
    IcePassword, Media, OpenFlow, PayloadTypeMap, Route, Ssrc,
};
use dataplane::wire::ntp::NtpTime;
use dataplane::wire::rtcp::{RtcpHeader, SENDER_REPORT, is_compound, report_blocks};
use libsrtp::{Direction, Policy, Session};
use tests::stun::nominating_check;

use crate::srtp::SUITES;

const FRAGMENT: &str = "flow";
const PASSWORD: &str = "a+password/of+24+letters";
const ECHO: FlowId = FlowId {
    worker: 0,
    slot: 0,
    generation: 1,
};

fn key(profile: SrtpProfile, seed: u8) -> MasterKey {
    let (key, salt) = key_and_salt(profile, seed);
    MasterKey::new(profile, &key, &salt).unwrap()
}

fn key_and_salt(profile: SrtpProfile, seed: u8) -> (Vec<u8>, Vec<u8>) {
    (
        vec![seed; profile.key_bytes()],
        vec![!seed; profile.salt_bytes()],
    )
}

/// An engine with one browser flow that hears itself.
fn echo(now: Instant, profile: SrtpProfile) -> Engine {
    let config = EngineConfig {
        worker: 0,
        flows_max: 1,
        silent_after: Duration::from_secs(60),
        seed: 1,
        epoch: (now, NtpTime(1 << 60)),
    };
    let mut payload_types = PayloadTypeMap::default();
    assert!(payload_types.push(0, 0));
    let ice = IceCredentials {
        local_fragment: IceFragment::new(FRAGMENT).unwrap(),
        local_password: IcePassword::new(PASSWORD).unwrap(),
        remote_fragment: None,
    };
    let keys = SrtpKeys {
        local: key(profile, 1),
        remote: key(profile, 2),
    };
    let mut engine = Engine::new(config, Arc::new(Counters::new()));
    for command in [
        Command::OpenFlow(OpenFlow {
            flow: ECHO,
            kind: FlowKind::Browser(BrowserFlow { ice }),
        }),
        Command::InstallKeys { flow: ECHO, keys },
        Command::SetRoute(Route {
            from: ECHO,
            media: Media::Audio,
            to: ECHO,
            payload_types,
            outgoing_ssrc: Ssrc(0xEC40),
            clock_hz: 8000,
            feedback: Feedback::NONE,
            cname: Cname::new("ringway").unwrap(),
        }),
    ] {
        engine.handle_command(now, command);
    }
    engine
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "an instant to begin with; nothing is timed"
)]
fn libsrtp_takes_the_reports_of_an_engine_off_for_every_suite() {
    let browser: SocketAddr = "203.0.113.9:50000".parse().unwrap();
    for &(profile, suite) in SUITES {
        let mut now = Instant::now();
        let mut engine = echo(now, profile);
        let mut buffer = [0; 1600];
        let check = nominating_check(FRAGMENT, PASSWORD);
        buffer[..check.len()].copy_from_slice(&check);
        let socket = SocketId::Browser;
        let verdict = engine.handle_packet(now, socket, browser, &mut buffer, check.len());
        assert!(matches!(verdict, Verdict::Reply(_)), "{verdict:?}");
        let (key_bytes, salt) = key_and_salt(profile, 1);
        let mut receiver = Session::new(&Policy {
            suite,
            key: &key_bytes,
            salt: &salt,
            mki: &[],
            window_packets: 128,
            direction: Direction::Inbound,
            source: None,
        })
        .unwrap();
        let mut sender = SrtpSender::new(&key(profile, 2)).unwrap();
        let mut reports = 0;
        for sequence in 0..1000_u16 {
            now += Duration::from_millis(20);
            buffer[..172].fill(0xD5);
            buffer[..2].copy_from_slice(&[0x80, 0]);
            buffer[2..4].copy_from_slice(&sequence.to_be_bytes());
            buffer[4..8].copy_from_slice(&(u32::from(sequence) * 160).to_be_bytes());
            buffer[8..12].copy_from_slice(&[0, 0, 0, 9]);
            let length = sender.protect_rtp(&mut buffer, 172).unwrap();
            let verdict = engine.handle_packet(now, socket, browser, &mut buffer, length);
            assert!(matches!(verdict, Verdict::Forward(_)), "{verdict:?}");
            engine.handle_timeout(now);
            let mut report = [0; REPORT_BYTES_MAX];
            while let Some(transmit) = engine.poll_report(now, &mut report) {
                let length = receiver
                    .unprotect_rtcp(&mut report[..transmit.length])
                    .unwrap();
                let compound = &report[..length];
                assert!(is_compound(compound));
                let header = RtcpHeader::parse(compound).unwrap();
                assert_eq!((header.kind, header.count), (SENDER_REPORT, 1));
                let block = report_blocks(&header, compound).next().unwrap();
                assert_eq!((block.ssrc, block.lost_packets), (9, 0));
                assert_eq!(block.highest_sequence, u32::from(sequence));
                reports += 1;
            }
        }
        // 20 seconds.
        assert!((3..=10).contains(&reports), "{reports} with {profile}");
    }
}
