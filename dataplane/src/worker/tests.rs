#![expect(
    clippy::disallowed_methods,
    reason = "real sockets have real deadlines"
)]
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "any other event fails the test"
)]

use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};

use super::*;
use crate::config::{BackendChoice, BackendKind, DataplaneConfig, WorkerConfig};
use crate::io::backend::on_every_backend;
use crate::io::setup::forbidden::{IO_URING_CALLS, without};
use crate::limits::{COMMAND_QUEUE_LENGTH, EVENTS_PER_FLOW_READY, PACKETS_PER_TURN_MAX};
use crate::link::{
    BrowserFlow, CloseReason, Cname, Feedback, IceCredentials, IceFragment, IcePassword, Media,
    OpenFlow, PayloadTypeMap, PeerAddresses, PeerPolicy, Route, Ssrc, TrunkFlow, WorkerHandle,
};
use crate::wire::stun::Role;
use crate::wire::stun::tests::{TestCheck, read_answer};

mod crossing;
#[cfg(debug_assertions)]
mod restart;

const DEADLINE: Duration = Duration::from_secs(20);
const FRAGMENT: &str = "ufrag+";
const PASSWORD: &str = "a+password/of+24+letters";
const BINDING_SUCCESS: u16 = 0x0101;

/// Ports that no other test of this program has tried.
static NEXT_PORT: AtomicU16 = AtomicU16::new(20_000);

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

fn config(kind: BackendKind, workers: usize) -> DataplaneConfig {
    let worker = WorkerConfig {
        core: None,
        browser_bind: loopback(0),
        trunk_bind: loopback(0).ip(),
    };
    DataplaneConfig {
        workers: vec![worker; workers],
        flows_max: 8,
        silent_after: Duration::from_secs(3600),
        backend: match kind {
            BackendKind::Uring => BackendChoice::Uring,
            BackendKind::Mmsg => BackendChoice::Mmsg,
        },
        io: IoConfig::default(),
    }
}

fn flow(slot: u16, generation: u32) -> FlowId {
    FlowId {
        worker: 0,
        slot,
        generation,
    }
}

fn next_event(worker: &WorkerHandle) -> Event {
    let end = Instant::now() + DEADLINE;
    loop {
        if let Some(event) = worker.poll_event() {
            return event;
        }
        assert!(Instant::now() < end, "no event in time");
        let _woken = worker.wait_events(Duration::from_millis(100));
    }
}

fn open_at(worker: &WorkerHandle, flow: FlowId, rtp_port: u16) -> Event {
    let kind = FlowKind::Trunk(TrunkFlow { rtp_port });
    worker
        .send(Command::OpenFlow(OpenFlow { flow, kind }))
        .unwrap();
    next_event(worker)
}

fn open_trunk(worker: &WorkerHandle, flow: FlowId) -> SocketAddr {
    loop {
        let port = NEXT_PORT.fetch_add(2, Ordering::Relaxed);
        match open_at(worker, flow, port) {
            Event::FlowOpened { .. } => return loopback(port),
            Event::Refused { reason, .. } => {
                assert_eq!(
                    reason,
                    RefuseReason::PortUnavailable,
                    "another program has it"
                );
            }
            other => panic!("{other:?}"),
        }
    }
}

fn close(worker: &WorkerHandle, flow: FlowId) -> Event {
    worker.send(Command::CloseFlow { flow }).unwrap();
    loop {
        match next_event(worker) {
            event @ Event::FlowClosed { .. } => return event,
            Event::MediaStarted { .. } => {}
            other => panic!("{other:?}"),
        }
    }
}

/// A SIP phone's RTP socket, known to the flow.
fn peer(worker: &WorkerHandle, flow: FlowId) -> UdpSocket {
    let socket = UdpSocket::bind(loopback(0)).unwrap();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    let rtp = socket.local_addr().unwrap();
    let peer = PeerAddresses {
        rtp,
        rtcp: loopback(9),
    };
    worker
        .send(Command::SetPeer {
            flow,
            peer,
            policy: PeerPolicy::default(),
        })
        .unwrap();
    socket
}

fn route(worker: &WorkerHandle, from: FlowId, to: FlowId, types: (u8, u8), ssrc: u32) {
    let mut payload_types = PayloadTypeMap::default();
    assert!(payload_types.push(types.0, types.1));
    let route = Route {
        from,
        media: Media::Audio,
        to,
        payload_types,
        outgoing_ssrc: Ssrc(ssrc),
        clock_hz: 8000,
        feedback: Feedback::NONE,
        cname: Cname::new("ringway").unwrap(),
    };
    worker.send(Command::SetRoute(route)).unwrap();
}

/// A route is not answered by an event, but commands are applied in order: when the worker has
/// refused a later one, it has applied all before.
fn settle(worker: &WorkerHandle) {
    let flow = flow(7, u32::MAX);
    let media = Media::Audio;
    worker.send(Command::ClearRoute { flow, media }).unwrap();
    assert!(matches!(next_event(worker), Event::Refused { flow: refused, .. } if refused == flow));
}

fn rtp(payload_type: u8, sequence: u16, ssrc: u32) -> Vec<u8> {
    let mut packet = vec![0x80, payload_type];
    packet.extend(sequence.to_be_bytes());
    packet.extend((u32::from(sequence) * 160).to_be_bytes());
    packet.extend(ssrc.to_be_bytes());
    packet.extend([0xd5; 160]);
    packet
}

fn receive(socket: &UdpSocket) -> (Vec<u8>, SocketAddr) {
    let mut buffer = [0; 2048];
    let (length, from) = socket.recv_from(&mut buffer).unwrap();
    (buffer[..length].to_vec(), from)
}

fn ssrc(packet: &[u8]) -> u32 {
    u32::from_be_bytes(packet[8..12].try_into().unwrap())
}

fn answers_an_ice_check_and_reports_the_nominated_peer(kind: BackendKind) {
    let dataplane = start(config(kind, 1)).unwrap();
    let worker = &dataplane.workers[0];
    let ice = IceCredentials {
        local_fragment: IceFragment::new(FRAGMENT).unwrap(),
        local_password: IcePassword::new(PASSWORD).unwrap(),
        remote_fragment: None,
    };
    let kind = FlowKind::Browser(BrowserFlow { ice });
    worker
        .send(Command::OpenFlow(OpenFlow {
            flow: flow(0, 1),
            kind,
        }))
        .unwrap();
    assert!(matches!(next_event(worker), Event::FlowOpened { .. }));
    let browser = UdpSocket::bind(loopback(0)).unwrap();
    browser.set_read_timeout(Some(DEADLINE)).unwrap();
    let check = TestCheck {
        username: &format!("{FRAGMENT}:peer"),
        password: PASSWORD,
        use_candidate: true,
        role: Role::Controlling,
        unknown_attribute: false,
    };
    browser
        .send_to(&check.bytes(), worker.browser_address())
        .unwrap();
    let (answer, from) = receive(&browser);
    assert_eq!(from, worker.browser_address());
    assert_eq!(read_answer(&answer, PASSWORD), (BINDING_SUCCESS, 0, true));
    let Event::PeerSelected { peer, .. } = next_event(worker) else {
        panic!("not selected")
    };
    assert_eq!(peer, browser.local_addr().unwrap());

    // DTLS goes up from there, and down to there, and nowhere else.
    let hello = [22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 1, 2, 3, 4];
    browser.send_to(&hello, worker.browser_address()).unwrap();
    assert!(worker.wait_datagrams(DEADLINE));
    let datagram = worker.poll_datagram().unwrap();
    assert_eq!(
        (datagram.bytes(), datagram.peer, datagram.flow),
        (&hello[..], peer, flow(0, 1))
    );
    let stranger = Datagram::new(flow(0, 1), loopback(9), b"no").unwrap();
    assert!(worker.send_datagram(stranger));
    assert!(worker.send_datagram(Datagram::new(flow(0, 1), peer, b"server hello").unwrap()));
    assert_eq!(receive(&browser).0, b"server hello");
    assert_eq!(worker.counters().dropped(DropReason::NoDestination), 1);
}

fn forwards_rtp_both_ways_with_payload_type_and_ssrc_of_the_route(kind: BackendKind) {
    let dataplane = start(config(kind, 1)).unwrap();
    let worker = &dataplane.workers[0];
    let (a, b) = (flow(0, 1), flow(1, 1));
    let (port_a, port_b) = (open_trunk(worker, a), open_trunk(worker, b));
    let (peer_a, peer_b) = (peer(worker, a), peer(worker, b));
    route(worker, a, b, (0, 8), 0xAAAA);
    route(worker, b, a, (8, 0), 0xBBBB);
    settle(worker);
    peer_a.send_to(&rtp(0, 10, 1), port_a).unwrap();
    let (packet, from) = receive(&peer_b);
    assert_eq!((packet[1], ssrc(&packet), from), (8, 0xAAAA, port_b));
    assert_eq!(packet[12..], [0xd5; 160]);
    assert!(matches!(next_event(worker), Event::MediaStarted { flow } if flow == a));
    peer_b.send_to(&rtp(8, 77, 2), port_b).unwrap();
    let (packet, from) = receive(&peer_a);
    assert_eq!((packet[1], ssrc(&packet), from), (0, 0xBBBB, port_a));
}

fn two_thousand_packets_come_back_and_every_one_is_counted(kind: BackendKind) {
    const COUNT: u16 = 2000;
    let dataplane = start(config(kind, 1)).unwrap();
    let worker = &dataplane.workers[0];
    let echo = flow(3, 1);
    let port = open_trunk(worker, echo);
    let peer = peer(worker, echo);
    route(worker, echo, echo, (0, 0), 0xEC40);
    settle(worker);
    for sequence in 0..COUNT {
        peer.send_to(&rtp(0, sequence, 5), port).unwrap();
        let (packet, _) = receive(&peer);
        assert_eq!((ssrc(&packet), packet.len()), (0xEC40, 172));
    }
    let counters = worker.counters();
    assert_eq!(counters.received_packets, u64::from(COUNT));
    assert_eq!(counters.forwarded_packets, u64::from(COUNT));
    assert_eq!(counters.dropped_total(), 0);
    let Event::FlowClosed { totals, reason, .. } = close(worker, echo) else {
        panic!()
    };
    assert_eq!(reason, CloseReason::Asked);
    assert_eq!(totals.audio.received_packets, u64::from(COUNT));
    assert_eq!(totals.audio.sent_packets, u64::from(COUNT));
    // Asserts that no buffer was lost.
    dataplane.stop().unwrap();
}

fn a_port_pair_can_be_used_again_as_soon_as_the_flow_is_closed(kind: BackendKind) {
    let dataplane = start(config(kind, 1)).unwrap();
    let worker = &dataplane.workers[0];
    let port = open_trunk(worker, flow(2, 0)).port();
    close(worker, flow(2, 0));
    for generation in 1..300 {
        let id = flow(2, generation);
        assert!(matches!(open_at(worker, id, port), Event::FlowOpened { flow } if flow == id));
        assert!(
            UdpSocket::bind(loopback(port + 1)).is_err(),
            "RTCP has the next port"
        );
        assert!(matches!(close(worker, id), Event::FlowClosed { flow, .. } if flow == id));
    }
    UdpSocket::bind(loopback(port)).unwrap();
}

fn a_port_in_use_and_a_slot_in_use_are_refused(kind: BackendKind) {
    let dataplane = start(config(kind, 1)).unwrap();
    let worker = &dataplane.workers[0];
    let taken = UdpSocket::bind(loopback(0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    let refused = |event, id, why| matches!(event, Event::Refused { flow, reason } if flow == id && reason == why);
    let unavailable = RefuseReason::PortUnavailable;
    assert!(refused(
        open_at(worker, flow(0, 1), port),
        flow(0, 1),
        unavailable
    ));
    assert!(refused(
        open_at(worker, flow(0, 1), u16::MAX),
        flow(0, 1),
        unavailable
    ));
    let free = open_trunk(worker, flow(0, 2)).port();
    let event = open_at(worker, flow(0, 3), port);
    assert!(refused(event, flow(0, 3), RefuseReason::SlotTaken));
    let event = open_at(worker, flow(1, 1), free);
    assert!(refused(event, flow(1, 1), unavailable));
}

fn stopping_reports_every_flow_and_frees_the_ports(kind: BackendKind) {
    let dataplane = start(config(kind, 2)).unwrap();
    let worker = dataplane.workers[0].clone();
    let port = open_trunk(&worker, flow(0, 1));
    open_trunk(&worker, flow(1, 1));
    dataplane.stop().unwrap();
    assert!(!worker.is_running());
    for _ in 0..2 {
        let Event::FlowClosed { reason, .. } = next_event(&worker) else {
            panic!()
        };
        assert_eq!(reason, CloseReason::Stopped);
    }
    UdpSocket::bind(port).unwrap();
    UdpSocket::bind(worker.browser_address()).unwrap();
}

fn stopping_ends_though_nobody_takes_events_and_both_queues_are_full(kind: BackendKind) {
    let config = config(kind, 1);
    let events = config.flows_max * EVENTS_PER_FLOW_READY + COMMAND_QUEUE_LENGTH;
    let dataplane = start(config).unwrap();
    let worker = dataplane.workers[0].clone();
    open_trunk(&worker, flow(0, 1));
    // Each is answered by an event. The last ones stay in the queue of commands and fill it.
    let nobody = flow(7, u32::MAX);
    for _ in 0..events + COMMAND_QUEUE_LENGTH {
        while worker.send(Command::CloseFlow { flow: nobody }).is_err() {
            std::thread::yield_now();
        }
    }
    let (done, ended) = std::sync::mpsc::sync_channel(1);
    std::thread::spawn(move || done.send(dataplane.stop()).unwrap());
    let outcome = ended.recv_timeout(DEADLINE);
    outcome.expect("the worker does not stop").unwrap();
}

fn what_keeps_a_worker_from_starting_is_said_at_once(kind: BackendKind) {
    let first = start(config(kind, 1)).unwrap();
    let mut taken = config(kind, 2);
    taken.workers[1].browser_bind = first.workers[0].browser_address();
    let error = start(taken).unwrap_err();
    assert!(matches!(error, StartError::Address { .. }), "{error}");
    let mut foreign = config(kind, 1);
    foreign.workers[0].trunk_bind = "192.0.2.1".parse().unwrap();
    assert!(matches!(start(foreign), Err(StartError::Address { .. })));
    let mut nowhere = config(kind, 1);
    nowhere.workers[0].core = Some(100_000);
    assert!(matches!(start(nowhere), Err(StartError::NoSuchCore { .. })));
    assert!(matches!(
        start(config(kind, 0)),
        Err(StartError::WorkerCount(0))
    ));
}

/// One packet from `from` comes out at `to`, with this sequence number.
fn passes(from: &UdpSocket, to: &UdpSocket, port: SocketAddr, sequence: u16) {
    from.send_to(&rtp(0, sequence, 1), port).unwrap();
    let (packet, _) = receive(to);
    assert_eq!(packet.get(2..4), Some(&sequence.to_be_bytes()[..]));
}

fn media_f19_a_proven_peer_is_the_only_one_and_others_are_counted_without_icmp(kind: BackendKind) {
    let dataplane = start(config(kind, 1)).unwrap();
    let worker = &dataplane.workers[0];
    let (a, b) = (flow(0, 1), flow(1, 1));
    let (port_a, _port_b) = (open_trunk(worker, a), open_trunk(worker, b));
    let (first, out) = (peer(worker, a), peer(worker, b));
    route(worker, a, b, (0, 0), 0xAAAA);
    settle(worker);
    passes(&first, &out, port_a, 10);
    passes(&first, &out, port_a, 11);
    // From the same host, but the peer has proven that it is another port.
    let stranger = UdpSocket::bind(loopback(0)).unwrap();
    stranger.connect(port_a).unwrap();
    for sequence in 12..20 {
        // An ICMP error for the one before would be told here.
        stranger.send(&rtp(0, sequence, 1)).unwrap();
    }
    passes(&first, &out, port_a, 20);
    let counters = worker.counters();
    assert_eq!(counters.dropped(DropReason::UnknownSource), 8);
    stranger.set_nonblocking(true).unwrap();
    let told = stranger.recv(&mut [0; 16]).unwrap_err();
    assert_eq!(told.kind(), io::ErrorKind::WouldBlock);
    let second = peer(worker, a);
    settle_quietly(worker);
    passes(&second, &out, port_a, 21);
    passes(&second, &out, port_a, 22);
    dataplane.stop().unwrap();
}

/// As `settle`, with events of media before.
fn settle_quietly(worker: &WorkerHandle) {
    let flow = flow(7, u32::MAX);
    let media = Media::Audio;
    worker.send(Command::ClearRoute { flow, media }).unwrap();
    while !matches!(next_event(worker), Event::Refused { flow: refused, .. } if refused == flow) {}
}

fn a_dead_destination_harms_nobody_and_is_heard_again_when_it_lives(kind: BackendKind) {
    let dataplane = start(config(kind, 1)).unwrap();
    let worker = &dataplane.workers[0];
    let (a, b) = (flow(0, 1), flow(1, 1));
    let (port_a, port_b) = (open_trunk(worker, a), open_trunk(worker, b));
    let (peer_a, peer_b) = (peer(worker, a), peer(worker, b));
    route(worker, a, b, (0, 0), 0xAAAA);
    route(worker, b, a, (0, 0), 0xBBBB);
    settle(worker);
    // Both are proven, so both sockets are connected and hear of ICMP errors.
    passes(&peer_a, &peer_b, port_a, 1);
    passes(&peer_b, &peer_a, port_b, 1);
    let address = peer_b.local_addr().unwrap();
    drop(peer_b);
    for sequence in 2..50 {
        peer_a.send_to(&rtp(0, sequence, 1), port_a).unwrap();
    }
    // A new program at the same address: the flow goes on for it, both ways.
    let peer_b = UdpSocket::bind(address).unwrap();
    peer_b
        .set_read_timeout(Some(Duration::from_millis(20)))
        .unwrap();
    let end = Instant::now() + DEADLINE;
    let mut buffer = [0; 2048];
    for sequence in 50.. {
        assert!(Instant::now() < end, "not heard again");
        peer_a.send_to(&rtp(0, sequence, 1), port_a).unwrap();
        if peer_b.recv_from(&mut buffer).is_ok() {
            break;
        }
    }
    passes(&peer_b, &peer_a, port_b, 2);
    dataplane.stop().unwrap();
}

/// Sends RTP to these ports as fast as it can until `done`; returns how many packets.
fn flood(from: &UdpSocket, ports: &[SocketAddr], done: &AtomicBool) -> u64 {
    let mut sent = 0;
    for sequence in 0.. {
        for port in ports {
            // Fails only when the sender's own queue is full.
            sent += u64::from(from.send_to(&rtp(0, sequence, 1), port).is_ok());
        }
        if done.load(Ordering::Acquire) {
            return sent;
        }
    }
    sent
}

/// Ends the flood also when the test fails.
struct DoneWhenDropped<'a>(&'a AtomicBool);

impl Drop for DoneWhenDropped<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

fn a_call_is_set_up_and_carried_beside_a_flood_to_the_dead_and_the_full(kind: BackendKind) {
    let dataplane = start(config(kind, 1)).unwrap();
    let worker = &dataplane.workers[0];
    let flows = [0, 1, 2, 3].map(|slot| flow(slot, 1));
    let ports = flows.map(|flow| open_trunk(worker, flow));
    // Two calls from one flooder: to somebody who never reads, and to nobody.
    let (flooder, full, dead) = (
        peer(worker, flows[0]),
        peer(worker, flows[1]),
        peer(worker, flows[3]),
    );
    let rtp_of_flooder = flooder.local_addr().unwrap();
    let peer_of_third = PeerAddresses {
        rtp: rtp_of_flooder,
        rtcp: loopback(9),
    };
    let (third, peers) = (flows[2], peer_of_third);
    worker
        .send(Command::SetPeer {
            flow: third,
            peer: peers,
            policy: PeerPolicy::default(),
        })
        .unwrap();
    route(worker, flows[0], flows[1], (0, 0), 0xAAAA);
    route(worker, flows[2], flows[3], (0, 0), 0xBBBB);
    settle(worker);
    passes(&flooder, &full, ports[0], 0);
    drop(dead);
    let done = AtomicBool::new(false);
    let sent = std::thread::scope(|scope| {
        let end = DoneWhenDropped(&done);
        let flooding = scope.spawn(|| flood(&flooder, &[ports[0], ports[2]], &done));
        while worker.counters().received_packets < 10 * PACKETS_PER_TURN_MAX as u64 {
            std::thread::yield_now();
        }
        let (a, b) = (flow(4, 1), flow(5, 1));
        let (port_a, port_b) = (open_trunk_quietly(worker, a), open_trunk_quietly(worker, b));
        let (peer_a, peer_b) = (peer(worker, a), peer(worker, b));
        route(worker, a, b, (0, 0), 0xCCCC);
        route(worker, b, a, (0, 0), 0xDDDD);
        settle_quietly(worker);
        // Its sockets have queues of their own, so not one packet is lost.
        for sequence in 0..200 {
            passes(&peer_a, &peer_b, port_a, sequence);
            passes(&peer_b, &peer_a, port_b, sequence);
        }
        for flow in [a, b] {
            worker.send(Command::CloseFlow { flow }).unwrap();
        }
        settle_quietly(worker);
        drop(end);
        flooding.join().unwrap()
    });
    settle_quietly(worker);
    let counters = worker.counters();
    assert!(sent > 10 * PACKETS_PER_TURN_MAX as u64);
    assert!(counters.forwarded_packets >= 400);
    // Asserts that no buffer was lost.
    dataplane.stop().unwrap();
}

/// As `open_trunk`, with events of media before.
fn open_trunk_quietly(worker: &WorkerHandle, flow: FlowId) -> SocketAddr {
    loop {
        let rtp_port = NEXT_PORT.fetch_add(2, Ordering::Relaxed);
        let kind = FlowKind::Trunk(TrunkFlow { rtp_port });
        worker
            .send(Command::OpenFlow(OpenFlow { flow, kind }))
            .unwrap();
        loop {
            match next_event(worker) {
                Event::FlowOpened { flow: opened } if opened == flow => return loopback(rtp_port),
                Event::Refused { .. } => break,
                _ => {}
            }
        }
    }
}

fn a_burst_to_one_peer_arrives_whole_in_order_and_cut_as_it_came(kind: BackendKind) {
    let dataplane = start(config(kind, 1)).unwrap();
    let worker = &dataplane.workers[0];
    let (a, b) = (flow(0, 1), flow(1, 1));
    let port = open_trunk(worker, a);
    open_trunk(worker, b);
    let (from, to) = (peer(worker, a), peer(worker, b));
    route(worker, a, b, (0, 0), 0xAAAA);
    settle(worker);
    // Frames of equal packets, each with a shorter last one, and then a longer one at once.
    let lengths = [1200, 1200, 1200, 1200, 700, 1200, 30, 1300, 1300, 12, 13];
    for round in 0..20_u16 {
        let packets: Vec<Vec<u8>> = (0..)
            .zip(lengths)
            .map(|(index, length)| {
                let mut packet = rtp(0, round * 100 + index, 1);
                packet.resize(length, 0x5A);
                packet
            })
            .collect();
        for packet in &packets {
            from.send_to(packet, port).unwrap();
        }
        for packet in &packets {
            let (received, _) = receive(&to);
            assert_eq!(received.len(), packet.len());
            assert_eq!(received[2..4], packet[2..4]);
            assert_eq!(received[12..], packet[12..]);
        }
    }
    assert_eq!(worker.counters().dropped_total(), 0);
    dataplane.stop().unwrap();
}

fn trunks_may_be_reached_over_ipv6(kind: BackendKind) {
    let mut config = config(kind, 1);
    config.workers[0].trunk_bind = "::1".parse().unwrap();
    let dataplane = start(config).unwrap();
    let worker = &dataplane.workers[0];
    let echo = flow(0, 1);
    let port = open_trunk(worker, echo).port();
    let peer = UdpSocket::bind("[::1]:0").unwrap();
    peer.set_read_timeout(Some(DEADLINE)).unwrap();
    let rtp = peer.local_addr().unwrap();
    let address = PeerAddresses { rtp, rtcp: rtp };
    worker
        .send(Command::SetPeer {
            flow: echo,
            peer: address,
            policy: PeerPolicy::default(),
        })
        .unwrap();
    route(worker, echo, echo, (0, 0), 0xEC40);
    settle(worker);
    let port = SocketAddr::new("::1".parse().unwrap(), port);
    for sequence in 0..3 {
        passes(&peer, &peer, port, sequence);
    }
    // The browser's side is IPv4 all the same.
    assert!(worker.browser_address().is_ipv4());
    dataplane.stop().unwrap();
}

#[test]
fn where_io_uring_is_forbidden_calls_are_carried_all_the_same() {
    let config = DataplaneConfig {
        backend: BackendChoice::Auto,
        ..config(BackendKind::Uring, 1)
    };
    let dataplane = without(IO_URING_CALLS[0], || start(config)).unwrap();
    let worker = &dataplane.workers[0];
    assert_eq!(worker.backend(), BackendKind::Mmsg);
    let echo = flow(0, 1);
    let port = open_trunk(worker, echo);
    let peer = peer(worker, echo);
    route(worker, echo, echo, (0, 0), 0xEC40);
    settle(worker);
    for sequence in 0..20 {
        passes(&peer, &peer, port, sequence);
    }
    dataplane.stop().unwrap();
}

on_every_backend! {
    media_f19_a_proven_peer_is_the_only_one_and_others_are_counted_without_icmp,
    a_dead_destination_harms_nobody_and_is_heard_again_when_it_lives,
    a_call_is_set_up_and_carried_beside_a_flood_to_the_dead_and_the_full,
    a_burst_to_one_peer_arrives_whole_in_order_and_cut_as_it_came,
    trunks_may_be_reached_over_ipv6,
    answers_an_ice_check_and_reports_the_nominated_peer,
    forwards_rtp_both_ways_with_payload_type_and_ssrc_of_the_route,
    two_thousand_packets_come_back_and_every_one_is_counted,
    a_port_pair_can_be_used_again_as_soon_as_the_flow_is_closed,
    a_port_in_use_and_a_slot_in_use_are_refused,
    stopping_reports_every_flow_and_frees_the_ports,
    stopping_ends_though_nobody_takes_events_and_both_queues_are_full,
    what_keeps_a_worker_from_starting_is_said_at_once,
}
