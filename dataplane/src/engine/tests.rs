//! The engine as its shell sees it: packets in, verdicts out, a clock of our own.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crypto::keys::{MasterKey, SrtpKeys, SrtpProfile};
use crypto::srtp::{SrtpReceiver, SrtpSender, Visitor};

use super::*;
use crate::limits::PACKETS_FORESEEN_MAX;
use crate::link::{
    BrowserFlow, Cname, Command, Feedback, FlowKind, IceCredentials, IceFragment, IcePassword,
    Media, OpenFlow, PayloadTypeMap, PeerAddresses, PeerPolicy, RefuseReason, Route, Ssrc,
    TrunkFlow,
};
use crate::wire::rtp::RtpHeader;
use crate::wire::stun::Role;
use crate::wire::stun::tests::TestCheck;

mod ahead;
mod carriers;
mod commands;
mod digits;
mod heard;
mod ice;
mod key_frames;
mod media;
mod moving;
mod numbering;
mod rtcp;

/// NTP time when a world begins.
const EPOCH: NtpTime = NtpTime(0xE000_0000_0000_0000);
const FLOWS_MAX: usize = 8;
const SILENT_AFTER: Duration = Duration::from_secs(20);
const PASSWORD: &str = "a+password+of+24+letters";
const TRUNK: &str = "198.51.100.7:4000";
const BROWSER: &str = "203.0.113.9:50112";

struct World {
    engine: Engine,
    counters: Arc<Counters>,
    now: Instant,
    packets: u64,
}

/// The browser's side of a flow's SRTP.
struct Peer {
    address: SocketAddr,
    sender: SrtpSender,
    receiver: SrtpReceiver,
}

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn flow(slot: u16) -> FlowId {
    FlowId {
        worker: 3,
        slot,
        generation: 1,
    }
}

fn fragment(text: &str) -> IceFragment {
    IceFragment::new(text).unwrap()
}

fn credentials(local: &str, remote: Option<&str>) -> IceCredentials {
    IceCredentials {
        local_fragment: fragment(local),
        local_password: IcePassword::new(PASSWORD).unwrap(),
        remote_fragment: remote.map(fragment),
    }
}

fn check(username: &str) -> TestCheck<'_> {
    TestCheck {
        username,
        password: PASSWORD,
        use_candidate: true,
        role: Role::Controlling,
        unknown_attribute: false,
    }
}

fn keys(seed: u8) -> (SrtpKeys, SrtpKeys) {
    let key = |n: u8| {
        MasterKey::new(SrtpProfile::AesCm128HmacSha1_80, &[n; 16], &[n ^ 0x55; 14]).unwrap()
    };
    let ours = SrtpKeys {
        local: key(seed),
        remote: key(seed + 1),
    };
    let theirs = SrtpKeys {
        local: key(seed + 1),
        remote: key(seed),
    };
    (ours, theirs)
}

fn rtp(payload_type: u8, sequence: u16, timestamp: u32, ssrc: u32) -> Vec<u8> {
    let mut packet = vec![0x80; 12];
    crate::wire::rtp::rewrite(&mut packet, payload_type, sequence, timestamp, ssrc).unwrap();
    packet[1] &= 0x7F;
    packet.extend([0xA5; 160]);
    packet
}

fn route(from: u16, media: Media, to: u16, types: (u8, u8), ssrc: u32) -> Route {
    let mut payload_types = PayloadTypeMap::default();
    assert!(payload_types.push(types.0, types.1));
    Route {
        from: flow(from),
        media,
        to: flow(to),
        payload_types,
        outgoing_ssrc: Ssrc(ssrc),
        clock_hz: 8000,
        feedback: Feedback::NONE,
        cname: Cname::new("ringway").unwrap(),
    }
}

impl World {
    #[expect(
        clippy::disallowed_methods,
        reason = "a test begins somewhere, then owns its clock"
    )]
    fn new() -> Self {
        let now = Instant::now();
        let counters = Arc::new(Counters::new());
        let config = EngineConfig {
            worker: 3,
            flows_max: FLOWS_MAX,
            silent_after: SILENT_AFTER,
            seed: 7,
            epoch: (now, EPOCH),
        };
        let engine = Engine::new(config, Arc::clone(&counters));
        Self {
            engine,
            counters,
            now,
            packets: 0,
        }
    }

    fn command(&mut self, command: Command) {
        self.engine.handle_command(self.now, command);
    }

    fn events(&mut self) -> Vec<String> {
        let events = std::iter::from_fn(|| self.engine.poll_event());
        events.map(|event| format!("{event:?}")).collect()
    }

    /// True if the only event is the named one.
    fn only_event(&mut self, name: &str) -> bool {
        let events = self.events();
        events.len() == 1 && events[0].contains(name)
    }

    fn packet(&mut self, socket: SocketId, source: SocketAddr, bytes: &[u8]) -> (Verdict, Vec<u8>) {
        let mut buffer = bytes.to_vec();
        buffer.resize(bytes.len() + 200, 0xEE);
        let before = self.counters.snapshot();
        let verdict = self
            .engine
            .handle_packet(self.now, socket, source, &mut buffer, bytes.len());
        let after = self.counters.snapshot();
        self.packets += 1;
        assert_eq!(after.received_packets, self.packets);
        if let Verdict::Drop(reason) = verdict {
            assert_eq!(after.dropped(reason), before.dropped(reason) + 1);
        }
        let verdicts = after.forwarded_packets
            + after.replied_packets
            + after.to_control_packets
            + after.consumed_packets
            + after.dropped_total();
        assert_eq!(
            verdicts, self.packets,
            "each packet has exactly one verdict"
        );
        match verdict {
            Verdict::Forward(transmit) | Verdict::Reply(transmit) => {
                buffer.truncate(transmit.length);
            }
            Verdict::ToControl(_) | Verdict::Consumed | Verdict::Drop(_) => buffer.clear(),
        }
        (verdict, buffer)
    }

    fn dropped(&mut self, socket: SocketId, source: &str, bytes: &[u8]) -> DropReason {
        match self.packet(socket, address(source), bytes).0 {
            Verdict::Drop(reason) => reason,
            verdict @ (Verdict::Forward(_)
            | Verdict::Reply(_)
            | Verdict::ToControl(_)
            | Verdict::Consumed) => panic!("{verdict:?}"),
        }
    }

    fn forwarded(
        &mut self,
        socket: SocketId,
        source: SocketAddr,
        bytes: &[u8],
    ) -> (Transmit, Vec<u8>) {
        match self.packet(socket, source, bytes) {
            (Verdict::Forward(transmit), bytes) => (transmit, bytes),
            (other, _) => panic!("{other:?}"),
        }
    }

    fn check(&mut self, source: &str, check: &TestCheck<'_>) -> Verdict {
        self.packet(SocketId::Browser, address(source), &check.bytes())
            .0
    }

    fn open_browser(&mut self, slot: u16, local: &str) {
        let ice = credentials(local, Some("them"));
        let kind = FlowKind::Browser(BrowserFlow { ice });
        self.command(Command::OpenFlow(OpenFlow {
            flow: flow(slot),
            kind,
        }));
        assert!(self.only_event("FlowOpened"));
    }

    fn open_trunk(&mut self, slot: u16, rtp: &str) {
        let kind = FlowKind::Trunk(TrunkFlow { rtp_port: 20_000 });
        self.command(Command::OpenFlow(OpenFlow {
            flow: flow(slot),
            kind,
        }));
        let rtp = address(rtp);
        let rtcp = SocketAddr::new(rtp.ip(), rtp.port() + 1);
        self.command(Command::SetPeer {
            flow: flow(slot),
            peer: PeerAddresses { rtp, rtcp },
            policy: PeerPolicy::default(),
        });
        assert!(self.only_event("FlowOpened"));
    }

    /// Opens a browser flow, nominates its peer and installs keys.
    fn connect_browser(&mut self, slot: u16, local: &str, source: &str) -> Peer {
        self.open_browser(slot, local);
        let username = format!("{local}:them");
        assert!(matches!(
            self.check(source, &check(&username)),
            Verdict::Reply(_)
        ));
        assert!(self.only_event("PeerSelected"));
        let (ours, theirs) = keys(u8::try_from(slot).unwrap() * 16 + 1);
        self.command(Command::InstallKeys {
            flow: flow(slot),
            keys: ours,
        });
        assert_eq!(self.events(), Vec::<String>::new());
        Peer {
            address: address(source),
            sender: SrtpSender::new(&theirs.local).unwrap(),
            receiver: SrtpReceiver::new(&theirs.remote).unwrap(),
        }
    }

    /// Lets time pass in steps of a second, as the shell would.
    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.now = end.min(self.now + Duration::from_secs(1));
            self.engine.handle_timeout(self.now);
        }
    }
}

impl Peer {
    fn protect(&mut self, packet: &[u8]) -> Vec<u8> {
        let mut buffer = packet.to_vec();
        buffer.resize(packet.len() + 40, 0);
        let length = self.sender.protect_rtp(&mut buffer, packet.len()).unwrap();
        buffer.truncate(length);
        buffer
    }

    fn protect_rtcp(&mut self, packet: &[u8]) -> Vec<u8> {
        let mut buffer = packet.to_vec();
        buffer.resize(packet.len() + 40, 0);
        let length = self.sender.protect_rtcp(&mut buffer, packet.len()).unwrap();
        buffer.truncate(length);
        buffer
    }

    fn unprotect(&mut self, mut packet: Vec<u8>) -> Vec<u8> {
        let length = self.receiver.unprotect_rtp(&mut packet).unwrap();
        packet.truncate(length);
        packet
    }

    fn unprotect_rtcp(&mut self, mut packet: Vec<u8>) -> Vec<u8> {
        let length = self.receiver.unprotect_rtcp(&mut packet).unwrap();
        packet.truncate(length);
        packet
    }
}

fn header(packet: &[u8]) -> (u8, u16, u32, u32) {
    let header = RtpHeader::parse(packet).unwrap();
    (
        header.payload_type,
        header.sequence,
        header.timestamp,
        header.ssrc,
    )
}
