//! A worker's engine takes its memory when it is made, and with each command: after that, no
//! packet allocates, whatever becomes of it. And how much memory a call has.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crypto::keys::{MasterKey, SrtpKeys, SrtpProfile};
use crypto::srtp::{SrtpReceiver, SrtpSender};
use dataplane::engine::{DropReason, Engine, EngineConfig, SocketId, Verdict};
use dataplane::limits::FLOWS_PER_WORKER_MAX;
use dataplane::link::{
    BrowserFlow, Cname, Command, Counters, Feedback, FlowId, FlowKind, IceCredentials, IceFragment,
    IcePassword, Media, OpenFlow, PayloadTypeMap, PeerAddresses, PeerPolicy, Route, SendDigit,
    Ssrc, TrunkFlow,
};
use dataplane::wire::ntp::NtpTime;
use tests::stun::nominating_check;

use crate::{BYTES, allocations};

const PASSWORD: &str = "a+password/of+24+letters";
const PROFILE: SrtpProfile = SrtpProfile::AesCm128HmacSha1_80;
/// Of a call with two flows: 6 KiB less what the worker's sockets and queues have of it.
const CALL_BYTES_MAX: isize = 5376;

/// A sender report of the stream with a block about nobody, and a picture loss indication.
const RTCP: [u8; 64] = {
    let mut bytes = [0x11; 64];
    (bytes[0], bytes[1], bytes[2], bytes[3]) = (0x81, 200, 0, 12);
    (bytes[4], bytes[5], bytes[6], bytes[7]) = (0, 0, 0, 9);
    (bytes[52], bytes[53], bytes[54], bytes[55]) = (0x81, 206, 0, 2);
    bytes
};

struct Calls {
    engine: Engine,
    now: Instant,
}

fn flow(slot: u16) -> FlowId {
    FlowId {
        worker: 0,
        slot,
        generation: 1,
    }
}

fn browser_address(call: u16) -> SocketAddr {
    SocketAddr::from(([203, 0, 113, 9], 10_000 + call))
}

fn trunk_address(call: u16) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 7], 10_000 + call))
}

fn trunk_rtcp_address(call: u16) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 7], 30_000 + call))
}

fn key(seed: u8) -> MasterKey {
    let material: Vec<u8> = (seed..).take(30).collect();
    MasterKey::new(PROFILE, &material[..16], &material[16..]).unwrap()
}

/// As the engine has them: `local` is what it protects with.
fn keys() -> SrtpKeys {
    SrtpKeys {
        local: key(1),
        remote: key(100),
    }
}

fn route(from: FlowId, to: FlowId, ssrc: u32) -> Command {
    let mut payload_types = PayloadTypeMap::default();
    assert!(payload_types.push(0, 8));
    Command::SetRoute(Route {
        from,
        media: Media::Audio,
        to,
        payload_types,
        outgoing_ssrc: Ssrc(ssrc),
        clock_hz: 8000,
        feedback: Feedback::NONE,
        cname: Cname::new("ringway").unwrap(),
    })
}

fn check(fragment: &str) -> Vec<u8> {
    nominating_check(fragment, PASSWORD)
}

#[expect(
    clippy::disallowed_methods,
    reason = "an instant to begin with; nothing is timed"
)]
fn start_time() -> Instant {
    Instant::now()
}

impl Calls {
    fn new(calls: u16, flows_max: usize) -> Self {
        let now = start_time();
        let config = EngineConfig {
            worker: 0,
            flows_max,
            silent_after: Duration::from_secs(60),
            seed: 1,
            epoch: (now, NtpTime(1 << 60)),
        };
        let mut this = Self {
            engine: Engine::new(config, Arc::new(Counters::new())),
            now,
        };
        for call in 0..calls {
            this.open(call);
        }
        this
    }

    fn open(&mut self, call: u16) {
        let (browser, trunk) = (flow(2 * call), flow(2 * call + 1));
        let fragment = format!("call{call:05}");
        let ice = IceCredentials {
            local_fragment: IceFragment::new(&fragment).unwrap(),
            local_password: IcePassword::new(PASSWORD).unwrap(),
            remote_fragment: None,
        };
        let address = trunk_address(call);
        let commands = [
            Command::OpenFlow(OpenFlow {
                flow: browser,
                kind: FlowKind::Browser(BrowserFlow { ice }),
            }),
            Command::OpenFlow(OpenFlow {
                flow: trunk,
                kind: FlowKind::Trunk(TrunkFlow { rtp_port: 9 }),
            }),
            Command::SetPeer {
                flow: trunk,
                peer: PeerAddresses {
                    rtp: address,
                    rtcp: trunk_rtcp_address(call),
                },
                policy: PeerPolicy::default(),
            },
            Command::InstallKeys {
                flow: browser,
                keys: keys(),
            },
            route(browser, trunk, 0x1111),
            route(trunk, browser, 0x2222),
        ];
        for command in commands {
            self.engine.handle_command(self.now, command);
            while self.engine.poll_event().is_some() {}
        }
        let mut buffer = [0; 1600];
        let check = check(&fragment);
        buffer[..check.len()].copy_from_slice(&check);
        let from = browser_address(call);
        let verdict =
            self.engine
                .handle_packet(self.now, SocketId::Browser, from, &mut buffer, check.len());
        assert!(matches!(verdict, Verdict::Reply(_)), "{verdict:?}");
        while self.engine.poll_event().is_some() {}
    }
}

fn rtp(buffer: &mut [u8], sequence: u16) {
    buffer[..172].fill(0xD5);
    buffer[..2].copy_from_slice(&[0x80, 0]);
    buffer[2..4].copy_from_slice(&sequence.to_be_bytes());
    buffer[4..8].copy_from_slice(&(u32::from(sequence) * 160).to_be_bytes());
    buffer[8..12].copy_from_slice(&[0, 0, 0, 9]);
}

#[test]
fn no_packet_through_the_engine_allocates() {
    const CALLS: u16 = 20;
    let mut calls = Calls::new(CALLS, 64);
    let mut browsers: Vec<_> = (0..CALLS)
        .map(|_| {
            let keys = keys();
            let sender = SrtpSender::new(&keys.remote).unwrap();
            (sender, SrtpReceiver::new(&keys.local).unwrap())
        })
        .collect();
    let checks: Vec<_> = (0..CALLS)
        .map(|call| check(&format!("call{call:05}")))
        .collect();
    let mut buffer = [0; 1600];
    let mut reports = 0;
    let count = allocations(|| {
        for sequence in 0..200_u16 {
            calls.now += Duration::from_millis(20);
            for (call, (sender, receiver)) in (0..).zip(&mut browsers) {
                let browser = browser_address(call);
                rtp(&mut buffer, sequence);
                let length = sender.protect_rtp(&mut buffer, 172).unwrap();
                let engine = &mut calls.engine;
                let mut handle = |socket, from, buffer: &mut [u8], length| {
                    engine.handle_packet(calls.now, socket, from, buffer, length)
                };
                let verdict = handle(SocketId::Browser, browser, &mut buffer, length);
                assert!(matches!(verdict, Verdict::Forward(_)), "{verdict:?}");
                rtp(&mut buffer, sequence);
                let socket = SocketId::TrunkRtp(2 * call + 1);
                let verdict = handle(socket, trunk_address(call), &mut buffer, 172);
                let Verdict::Forward(transmit) = verdict else {
                    panic!("{verdict:?}")
                };
                receiver
                    .unprotect_rtp(&mut buffer[..transmit.length])
                    .unwrap();
                // Forged, from a stranger, malformed, and a check.
                buffer[..172].fill(0x80);
                let verdict = handle(SocketId::Browser, browser, &mut buffer, 182);
                assert!(matches!(verdict, Verdict::Drop(_)));
                let verdict = handle(SocketId::Browser, trunk_address(call), &mut buffer, 182);
                assert!(matches!(verdict, Verdict::Drop(_)));
                let verdict = handle(socket, trunk_address(call), &mut buffer, 3);
                assert!(matches!(verdict, Verdict::Drop(_)));
                let check = &checks[usize::from(call)];
                buffer[..check.len()].copy_from_slice(check);
                let verdict = handle(SocketId::Browser, browser, &mut buffer, check.len());
                assert!(matches!(verdict, Verdict::Reply(_)));
                // Reports, and feedback that nobody has agreed to.
                buffer[..RTCP.len()].copy_from_slice(&RTCP);
                let length = sender.protect_rtcp(&mut buffer, RTCP.len()).unwrap();
                let verdict = handle(SocketId::Browser, browser, &mut buffer, length);
                assert!(matches!(verdict, Verdict::Consumed));
                buffer[..RTCP.len()].copy_from_slice(&RTCP);
                let socket = SocketId::TrunkRtcp(2 * call + 1);
                let verdict = handle(socket, trunk_rtcp_address(call), &mut buffer, RTCP.len());
                assert!(matches!(verdict, Verdict::Consumed));
            }
            calls.engine.handle_timeout(calls.now);
            while calls.engine.poll_report(calls.now, &mut buffer).is_some() {
                reports += 1;
            }
            while calls.engine.poll_event().is_some() {}
            while calls.engine.poll_peer_change().is_some() {}
        }
    });
    assert_eq!(count, 0);
    assert!(reports >= 2 * CALLS, "{reports}");
}

#[test]
fn no_packet_of_a_digit_allocates() {
    const CALLS: u16 = 20;
    let mut calls = Calls::new(CALLS, 64);
    for call in 0..CALLS {
        // To the browser: with SRTP.
        let digit = SendDigit {
            from: flow(2 * call + 1),
            event: 5,
            duration: Duration::from_millis(100),
            payload_type: 101,
            clock_hz: 8_000,
        };
        let now = calls.now;
        calls.engine.handle_command(now, Command::SendDigit(digit));
    }
    let mut buffer = [0; 1600];
    let (mut packets, mut withheld) = (0, 0);
    let count = allocations(|| {
        for sequence in 0..20_u16 {
            calls.now += Duration::from_millis(20);
            for call in 0..CALLS {
                rtp(&mut buffer, sequence);
                let socket = SocketId::TrunkRtp(2 * call + 1);
                let from = trunk_address(call);
                let engine = &mut calls.engine;
                let verdict = engine.handle_packet(calls.now, socket, from, &mut buffer, 172);
                withheld += u16::from(verdict == Verdict::Drop(DropReason::DigitInstead));
            }
            calls.engine.handle_timeout(calls.now);
            while calls.engine.poll_digit(calls.now, &mut buffer).is_some() {
                packets += 1;
            }
        }
    });
    assert_eq!(count, 0);
    assert_eq!((packets, withheld), (7 * CALLS, 6 * CALLS));
}

#[test]
fn eight_thousand_calls_have_their_memory_and_no_more() {
    const CALLS: u16 = 8000;
    let before = BYTES.get();
    let calls = Calls::new(CALLS, FLOWS_PER_WORKER_MAX);
    let bytes = BYTES.get().wrapping_sub(before).cast_signed();
    let each = bytes / isize::try_from(CALLS).unwrap();
    assert!(each <= CALL_BYTES_MAX, "{each} bytes for each call");
    drop(calls);
}
