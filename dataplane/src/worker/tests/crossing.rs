//! IPv4 on one leg and IPv6 on the other, with media and with reports.

use crypto::keys::{MasterKey, SrtpKeys, SrtpProfile};
use crypto::srtp::{SrtpReceiver, SrtpSender};

use super::*;
use crate::wire::rtcp::{RtcpHeader, SENDER_REPORT, is_compound, report_blocks};

fn key(seed: u8) -> MasterKey {
    MasterKey::new(SrtpProfile::AesCm128HmacSha1_80, &[seed; 16], &[seed; 14]).unwrap()
}

/// A browser that has proven itself, and whose keys are there.
struct Browser {
    socket: UdpSocket,
    sender: SrtpSender,
    receiver: SrtpReceiver,
}

fn bound(ip: &str) -> UdpSocket {
    let socket = UdpSocket::bind(SocketAddr::new(ip.parse().unwrap(), 0)).unwrap();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    socket
}

fn connect_browser(worker: &WorkerHandle, flow: FlowId, ip: &str) -> Browser {
    let ice = IceCredentials {
        local_fragment: IceFragment::new(FRAGMENT).unwrap(),
        local_password: IcePassword::new(PASSWORD).unwrap(),
        remote_fragment: None,
    };
    let kind = FlowKind::Browser(BrowserFlow { ice });
    worker
        .send(Command::OpenFlow(OpenFlow { flow, kind }))
        .unwrap();
    assert!(matches!(next_event(worker), Event::FlowOpened { .. }));
    let keys = SrtpKeys {
        local: key(1),
        remote: key(2),
    };
    worker.send(Command::InstallKeys { flow, keys }).unwrap();
    let socket = bound(ip);
    let check = TestCheck {
        username: &format!("{FRAGMENT}:peer"),
        password: PASSWORD,
        use_candidate: true,
        role: Role::Controlling,
        unknown_attribute: false,
    };
    socket
        .send_to(&check.bytes(), worker.browser_address())
        .unwrap();
    let (answer, from) = receive(&socket);
    assert_eq!(from, worker.browser_address());
    assert_eq!(read_answer(&answer, PASSWORD), (BINDING_SUCCESS, 0, true));
    assert!(matches!(next_event(worker), Event::PeerSelected { .. }));
    Browser {
        socket,
        sender: SrtpSender::new(&key(2)).unwrap(),
        receiver: SrtpReceiver::new(&key(1)).unwrap(),
    }
}

/// Who sends a report, and whom it tells of.
fn reported(compound: &[u8]) -> (u32, Option<u32>) {
    assert!(is_compound(compound));
    let header = RtcpHeader::parse(compound).unwrap();
    assert_eq!(header.kind, SENDER_REPORT);
    let mut about = report_blocks(&header, compound).map(|block| block.ssrc);
    let sender = u32::from_be_bytes(compound[4..8].try_into().unwrap());
    (sender, about.next())
}

/// The first report that tells of somebody: the very first may be written between the packets of
/// the two sides.
fn first_report(mut next: impl FnMut() -> Vec<u8>) -> (u32, Option<u32>) {
    loop {
        let (sender, about) = reported(&next());
        if about.is_some() {
            return (sender, about);
        }
    }
}

fn media_and_reports_cross(kind: BackendKind, browser_ip: &str, trunk_ip: &str) {
    let mut config = config(kind, 1);
    config.workers[0].browser_bind = SocketAddr::new(browser_ip.parse().unwrap(), 0);
    config.workers[0].trunk_bind = trunk_ip.parse().unwrap();
    let dataplane = start(config).unwrap();
    let worker = &dataplane.workers[0];
    let (a, b) = (flow(0, 1), flow(1, 1));
    let mut browser = connect_browser(worker, a, browser_ip);
    let port = SocketAddr::new(trunk_ip.parse().unwrap(), open_trunk(worker, b).port());
    let (rtp_peer, rtcp_peer) = (bound(trunk_ip), bound(trunk_ip));
    let peer = PeerAddresses {
        rtp: rtp_peer.local_addr().unwrap(),
        rtcp: rtcp_peer.local_addr().unwrap(),
    };
    worker
        .send(Command::SetPeer {
            flow: b,
            peer,
            policy: PeerPolicy::default(),
        })
        .unwrap();
    route(worker, a, b, (111, 8), 0xAAAA);
    route(worker, b, a, (8, 111), 0xBBBB);
    settle(worker);

    let mut packet = rtp(111, 10, 1);
    let length = packet.len();
    packet.resize(length + 40, 0);
    let length = browser.sender.protect_rtp(&mut packet, length).unwrap();
    let to = worker.browser_address();
    browser.socket.send_to(&packet[..length], to).unwrap();
    let (packet, from) = receive(&rtp_peer);
    assert_eq!((packet[1], ssrc(&packet), from), (8, 0xAAAA, port));
    rtp_peer.send_to(&rtp(8, 77, 2), port).unwrap();
    let (mut packet, from) = receive(&browser.socket);
    assert_eq!(from, worker.browser_address());
    let length = browser.receiver.unprotect_rtp(&mut packet).unwrap();
    assert_eq!((packet[1], ssrc(&packet), length), (111, 0xBBBB, 172));

    let told = first_report(|| {
        let (report, from) = receive(&rtcp_peer);
        assert_eq!(from.port(), port.port() + 1);
        report
    });
    assert_eq!(told, (0xAAAA, Some(2)));
    let told = first_report(|| {
        let (mut report, _) = receive(&browser.socket);
        let length = browser.receiver.unprotect_rtcp(&mut report).unwrap();
        report.truncate(length);
        report
    });
    assert_eq!(told, (0xBBBB, Some(1)));
    assert!(worker.counters().sent_reports >= 2);
    dataplane.stop().unwrap();
}

fn media_crosses_from_ipv6_to_ipv4(kind: BackendKind) {
    media_and_reports_cross(kind, "::1", "127.0.0.1");
}

fn media_crosses_from_ipv4_to_ipv6(kind: BackendKind) {
    media_and_reports_cross(kind, "127.0.0.1", "::1");
}

fn media_stays_on_ipv6(kind: BackendKind) {
    media_and_reports_cross(kind, "::1", "::1");
}

on_every_backend! {
    media_crosses_from_ipv6_to_ipv4,
    media_crosses_from_ipv4_to_ipv6,
    media_stays_on_ipv6,
}
