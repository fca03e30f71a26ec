#![expect(
    clippy::disallowed_methods,
    reason = "real sockets have real deadlines"
)]

use std::net::UdpSocket;
use std::sync::Arc;
use std::time::Instant;

use super::sockets::Target;
use super::*;
use crate::config::IoConfig;
use crate::io::socket;
use crate::io::wake::EventFd;
use crate::limits::GATHER_PACKETS_MIN;

const DEADLINE: Duration = Duration::from_secs(20);
const TURN: Duration = Duration::from_millis(20);

fn ring(config: IoConfig) -> (Uring, SocketAddr, Arc<EventFd>) {
    ring_for(1, config)
}

fn ring_for(flows_max: usize, config: IoConfig) -> (Uring, SocketAddr, Arc<EventFd>) {
    let browser = SocketAddr::from(([127, 0, 0, 1], 0));
    let browser = socket::bind_browser(browser, &config).unwrap();
    let address = socket::local_address(&browser).unwrap();
    let wake = Arc::new(EventFd::new().unwrap());
    let parts = BackendParts {
        browser,
        wake: &wake,
        flows_max,
        config,
    };
    (Uring::new(parts).unwrap(), address, wake)
}

/// Turns until the client has its packet back, which was sent to a trunk socket.
fn echo_once(ring: &mut Uring, client: &UdpSocket) {
    client.send(b"there and back").unwrap();
    client.set_nonblocking(true).unwrap();
    let end = Instant::now() + DEADLINE;
    while client.recv(&mut [0; 64]).is_err() {
        assert!(Instant::now() < end, "not done in time");
        ring.turn(Some(Duration::from_millis(1))).unwrap();
        while let Some(packet) = ring.next_received() {
            let (socket, to, length) = (packet.socket, packet.from, packet.length);
            ring.send(packet, &Transmit::new(socket, to, length));
        }
    }
}

/// Uses the same place and port three times: what the kernel still held would be in the way.
fn sockets_come_and_go(ring: &mut Uring, are_registered: bool) {
    let id = SocketId::TrunkRtp(0);
    let mut address = SocketAddr::from(([127, 0, 0, 1], 0));
    for _ in 0..3 {
        let trunk = socket::bind_trunk(address, &IoConfig::default()).unwrap();
        address = socket::local_address(&trunk).unwrap();
        assert!(ring.open(id, trunk));
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        client.connect(address).unwrap();
        echo_once(ring, &client);
        let target = ring.sockets.target(place::index(id));
        let is_registered = matches!(target, Some(Target::Registered(_)));
        assert_eq!(is_registered, are_registered);
        // Both ways once more, by the name that it has now.
        echo_once(ring, &client);
        ring.close(id);
        let end = Instant::now() + DEADLINE;
        while !ring.is_free(id) {
            assert!(Instant::now() < end, "not done in time");
            ring.turn(Some(Duration::from_millis(1))).unwrap();
        }
    }
}

#[test]
fn a_registered_trunk_socket_and_its_port_are_let_go_when_it_is_closed() {
    let (mut ring, _, _wake) = ring(IoConfig::default());
    let lets_go = files::lets_go_at_once().unwrap();
    sockets_come_and_go(&mut ring, lets_go);
    ring.shut_down().unwrap();
}

#[test]
fn trunk_sockets_go_by_their_descriptors_where_registered_ones_would_stay() {
    let (mut ring, _, _wake) = ring(IoConfig {
        register_trunks: false,
        ..IoConfig::default()
    });
    sockets_come_and_go(&mut ring, false);
    ring.shut_down().unwrap();
}

#[test]
fn without_a_copy_a_buffer_comes_back_when_the_kernel_has_read_it() {
    let (mut ring, _, _wake) = ring(IoConfig {
        zero_copy: true,
        ..IoConfig::default()
    });
    // A socket is closed only when nothing is under way on it.
    let lets_go = files::lets_go_at_once().unwrap();
    sockets_come_and_go(&mut ring, lets_go);
    assert_eq!((ring.sends_under_way, ring.take_send_failures()), (0, 0));
    ring.shut_down().unwrap();
}

/// Sends a run of ten datagrams of 100 bytes and one of 60 as one; returns what the ring received.
fn receive_run(config: IoConfig) -> Vec<Vec<u8>> {
    let (mut ring, address, _wake) = ring(config);
    let bytes: Vec<u8> = (0..106_u8).flat_map(|number| [number; 10]).collect();
    let (mut sender, _, _other_wake) = self::ring(IoConfig::default());
    for piece in bytes.chunks(100) {
        let transmit = Transmit::new(SocketId::Browser, address, piece.len());
        sender.send_copy(piece, &transmit);
    }
    sender.turn(Some(Duration::ZERO)).unwrap();
    let mut received = Vec::new();
    let end = Instant::now() + DEADLINE;
    while received.len() < 11 {
        assert!(Instant::now() < end, "not done in time");
        ring.turn(Some(TURN)).unwrap();
        while let Some(mut packet) = ring.next_received() {
            let length = packet.length;
            received.push(ring.packet(&mut packet)[..length].to_vec());
            ring.give_back(packet);
        }
        ring.assert_conserved();
    }
    assert_eq!(ring.take_receive_failures(), 0);
    assert_eq!(received.concat(), bytes);
    sender.shut_down().unwrap();
    ring.shut_down().unwrap();
    received
}

#[test]
fn a_run_arrives_datagram_by_datagram_whether_it_comes_as_one_or_not() {
    for receive_offload in [true, false] {
        let received = receive_run(IoConfig {
            receive_offload,
            ..IoConfig::default()
        });
        let lengths: Vec<usize> = received.iter().map(Vec::len).collect();
        let mut expected = vec![100; 10];
        expected.push(60);
        assert_eq!(lengths, expected);
    }
}

#[test]
fn runs_do_not_give_the_browser_socket_more_than_its_share() {
    const TRUNKS: u16 = 60;
    const RUN: usize = 8;
    let (mut ring, address, _wake) = ring_for(usize::from(TRUNKS), IoConfig::default());
    let (mut browser, _, _browser_wake) = self::ring(IoConfig::default());
    let mut trunks = Vec::new();
    for slot in 0..TRUNKS {
        let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
        let trunk = socket::bind_trunk(loopback, &IoConfig::default()).unwrap();
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        client
            .connect(socket::local_address(&trunk).unwrap())
            .unwrap();
        trunks.push(client);
        assert!(ring.open(SocketId::TrunkRtp(slot), trunk));
    }
    ring.turn(Some(Duration::ZERO)).unwrap();
    for _ in 0..3200 / RUN {
        for _ in 0..RUN {
            browser.send_copy(b"browser", &Transmit::new(SocketId::Browser, address, 7));
        }
        // The end of a turn ends the run.
        browser.turn(Some(Duration::ZERO)).unwrap();
    }
    for client in &trunks {
        for _ in 0..100 {
            client.send(b"trunk").unwrap();
        }
    }
    let (mut from_browser, mut all) = (0, 0);
    while all < 4000 {
        ring.turn(Some(TURN)).unwrap();
        while let Some(packet) = ring.next_received() {
            from_browser += usize::from(packet.socket == SocketId::Browser);
            all += 1;
            ring.give_back(packet);
        }
    }
    assert!(
        (1500..2500).contains(&from_browser),
        "{from_browser} of {all}"
    );
    assert_eq!(ring.take_receive_failures(), 0);
    browser.shut_down().unwrap();
    ring.shut_down().unwrap();
}

#[test]
fn a_busy_ring_still_wakes_up_for_a_single_packet() {
    let (mut ring, address, _wake) = ring(IoConfig::default());
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    client.connect(address).unwrap();
    ring.turn(Some(Duration::ZERO)).unwrap();
    for lone in 0..10 {
        for _ in 0..GATHER_PACKETS_MIN {
            client.send(b"together").unwrap();
        }
        let mut received = 0;
        while received < GATHER_PACKETS_MIN {
            ring.turn(Some(TURN)).unwrap();
            received += give_back_all(&mut ring);
        }
        client.send(&[lone]).unwrap();
        // Without a wake-up it would sleep beyond what a test may take.
        ring.turn(Some(10 * DEADLINE)).unwrap();
        assert_eq!(give_back_all(&mut ring), 1);
    }
    ring.shut_down().unwrap();
}

fn give_back_all(ring: &mut Uring) -> usize {
    let mut count = 0;
    while let Some(packet) = ring.next_received() {
        ring.give_back(packet);
        count += 1;
    }
    count
}

#[test]
fn datagrams_for_which_no_buffer_is_free_are_counted_and_the_others_arrive() {
    let (mut ring, address, _wake) = ring(IoConfig::default());
    let held: Vec<_> = std::iter::from_fn(|| ring.buffers.take_spare()).collect();
    assert!(held.len() > RUN_COPIES_MAX);
    let mut held = held.into_iter();
    ring.buffers.give_back(held.next().unwrap());
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    for text in [b"first", b"other"] {
        client.send_to(text, address).unwrap();
    }
    let end = Instant::now() + DEADLINE;
    let mut received = Vec::new();
    let mut failures = 0;
    while received.len() + failures < 2 {
        assert!(Instant::now() < end, "not done in time");
        ring.turn(Some(TURN)).unwrap();
        received.extend(std::iter::from_fn(|| ring.next_received()));
        failures += usize::try_from(ring.take_receive_failures()).unwrap();
    }
    assert_eq!((received.len(), failures), (1, 1));
    for packet in received {
        ring.give_back(packet);
    }
    held.for_each(|buffer| ring.buffers.give_back(buffer));
    ring.shut_down().unwrap();
}

#[test]
fn a_burst_beyond_all_buffers_ends_the_receive_and_it_goes_on() {
    let (mut ring, address, _wake) = ring(IoConfig {
        receive_offload: false,
        ..IoConfig::default()
    });
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    client.connect(address).unwrap();
    ring.turn(Some(Duration::ZERO)).unwrap();
    // Takes every buffer without giving any back, until the kernel has none.
    let mut held = Vec::new();
    let end = Instant::now() + DEADLINE;
    while ring.buffers.with_kernel() > 0 {
        assert!(Instant::now() < end, "not done in time");
        // Fewer than the kernel hands over in one turn, or the queue of the socket grows.
        for _ in 0..16 {
            client.send(b"burst").unwrap();
        }
        ring.turn(Some(Duration::from_millis(1))).unwrap();
        held.extend(std::iter::from_fn(|| ring.next_received()));
    }
    client.send(b"one more").unwrap();
    ring.turn(Some(TURN)).unwrap();
    assert!(ring.next_received().is_none());
    assert!(!ring.unattended.is_empty(), "the receive has ended");
    for packet in held {
        ring.give_back(packet);
    }
    let mut is_heard = false;
    while !is_heard {
        assert!(Instant::now() < end, "not done in time");
        ring.turn(Some(TURN)).unwrap();
        while let Some(packet) = ring.next_received() {
            is_heard |= packet.length == b"one more".len();
            ring.give_back(packet);
        }
    }
    ring.shut_down().unwrap();
}
