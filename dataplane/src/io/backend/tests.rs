#![expect(
    unsafe_code,
    reason = "socket options of the peer that have no safe wrapper here"
)]
#![expect(
    clippy::disallowed_methods,
    reason = "real sockets have real deadlines"
)]

use std::net::UdpSocket;
use std::os::fd::AsRawFd;
use std::time::Instant;

use super::*;
use crate::io::socket;
use crate::limits::{BUFFER_BYTES, PACKET_BYTES_MAX, PACKETS_PER_TURN_MAX};

const DEADLINE: Duration = Duration::from_secs(20);
const TURN: Duration = Duration::from_millis(20);

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

fn backend(kind: BackendKind, flows_max: usize) -> (Backend, SocketAddr, Arc<EventFd>) {
    backend_at(kind, loopback(0), flows_max)
}

fn backend_at(
    kind: BackendKind,
    browser: SocketAddr,
    flows_max: usize,
) -> (Backend, SocketAddr, Arc<EventFd>) {
    let browser = socket::bind_browser(browser, &IoConfig::default()).unwrap();
    let address = socket::local_address(&browser).unwrap();
    let wake = Arc::new(EventFd::new().unwrap());
    let parts = BackendParts {
        browser,
        wake: &wake,
        flows_max,
        config: IoConfig::default(),
    };
    (Backend::new(kind, parts).unwrap(), address, wake)
}

fn client(to: SocketAddr) -> UdpSocket {
    let socket = UdpSocket::bind(SocketAddr::new(to.ip(), 0)).unwrap();
    socket.connect(to).unwrap();
    socket
        .set_read_timeout(Some(Duration::from_millis(2)))
        .unwrap();
    socket
}

/// Turns until `done` says so; each packet is answered with itself.
fn echo_until(ring: &mut Backend, mut done: impl FnMut() -> bool) {
    let end = Instant::now() + DEADLINE;
    while !done() {
        assert!(Instant::now() < end, "not done in time");
        ring.turn(Some(Duration::from_millis(1))).unwrap();
        while let Some(packet) = ring.next_received() {
            let (socket, to, length) = (packet.socket, packet.from, packet.length);
            ring.send(packet, &Transmit::new(socket, to, length));
        }
        ring.assert_conserved();
    }
}

fn packets_leave_from_the_buffers_they_came_in_and_none_is_lost(kind: BackendKind) {
    const COUNT: u32 = 10_000;
    let (mut ring, address, _wake) = backend(kind, 1);
    let client = client(address);
    let (mut sent, mut back) = (0_u32, 0_u32);
    let mut answer = [0; 2048];
    client.set_nonblocking(true).unwrap();
    echo_until(&mut ring, || {
        while sent < COUNT && sent - back < 200 {
            client.send(&sent.to_be_bytes()).unwrap();
            sent += 1;
        }
        while let Ok(length) = client.recv(&mut answer) {
            assert_eq!(answer[..length], back.to_be_bytes());
            back += 1;
        }
        back == COUNT
    });
    assert_eq!(ring.take_send_failures(), 0);
    ring.shut_down().unwrap();
}

fn the_one_browser_socket_keeps_its_share_beside_many_trunk_sockets(kind: BackendKind) {
    const TRUNKS: u16 = 60;
    let (mut ring, address, _wake) = backend(kind, usize::from(TRUNKS));
    let browser = client(address);
    let mut trunk_clients = Vec::new();
    for slot in 0..TRUNKS {
        let trunk = socket::bind_trunk(loopback(0), &IoConfig::default()).unwrap();
        trunk_clients.push(client(socket::local_address(&trunk).unwrap()));
        assert!(ring.open(SocketId::TrunkRtp(slot), trunk));
    }
    ring.turn(Some(Duration::ZERO)).unwrap();
    for _ in 0..3000 {
        browser.send(b"browser").unwrap();
    }
    for client in &trunk_clients {
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
    ring.shut_down().unwrap();
}

fn a_flood_fills_turns_of_bounded_length_and_sends_keep_their_place(kind: BackendKind) {
    const TRUNKS: u16 = 40;
    const EACH: usize = 100;
    let (mut ring, address, _wake) = backend(kind, usize::from(TRUNKS));
    let mut clients = vec![client(address)];
    for slot in 0..TRUNKS {
        let trunk = socket::bind_trunk(loopback(0), &IoConfig::default()).unwrap();
        clients.push(client(socket::local_address(&trunk).unwrap()));
        assert!(ring.open(SocketId::TrunkRtp(slot), trunk));
    }
    ring.turn(Some(Duration::ZERO)).unwrap();
    for client in &clients {
        for _ in 0..EACH {
            client.send(b"flood").unwrap();
        }
    }
    let bystander = UdpSocket::bind(loopback(0)).unwrap();
    bystander.set_read_timeout(Some(DEADLINE)).unwrap();
    let to = bystander.local_addr().unwrap();
    let (mut received, mut full_turns, mut turn) = (0, 0, 0_u32);
    while received < EACH * clients.len() {
        ring.turn(Some(TURN)).unwrap();
        let mut packets = 0;
        while let Some(packet) = ring.next_received() {
            packets += 1;
            // Half of the flood is sent on, to somebody who never reads.
            if packets % 2 == 0 {
                ring.give_back(packet);
                continue;
            }
            let (socket, length) = (packet.socket, packet.length);
            let to = clients[0].local_addr().unwrap();
            ring.send(packet, &Transmit::new(socket, to, length));
        }
        ring.assert_conserved();
        assert!(packets <= PACKETS_PER_TURN_MAX);
        received += packets;
        full_turns += usize::from(packets == PACKETS_PER_TURN_MAX);
        // What the last turn gave to be sent has left with this one, flood or not.
        if let Some(last) = turn.checked_sub(1) {
            let mut answer = [0; 4];
            assert_eq!(bystander.recv(&mut answer).unwrap(), 4);
            assert_eq!(u32::from_be_bytes(answer), last);
        }
        let (socket, length) = (SocketId::Browser, 4);
        ring.send_copy(&turn.to_be_bytes(), &Transmit::new(socket, to, length));
        turn += 1;
    }
    assert!(full_turns > 4, "the flood was too small: {full_turns}");
    assert_eq!(ring.take_send_failures(), 0);
    ring.shut_down().unwrap();
}

fn a_port_is_free_again_as_soon_as_its_socket_says_so(kind: BackendKind) {
    let (mut ring, _address, _wake) = backend(kind, 2);
    let id = SocketId::TrunkRtp(1);
    let first = socket::bind_trunk(loopback(0), &IoConfig::default()).unwrap();
    let address = socket::local_address(&first).unwrap();
    let client = client(address);
    let mut next = Some(first);
    let mut answer = [0; 16];
    for round in 0..200_u32 {
        let socket = next
            .take()
            .unwrap_or_else(|| socket::bind_trunk(address, &IoConfig::default()).unwrap());
        assert!(ring.open(id, socket));
        if round % 2 == 0 {
            // Some rounds close a socket that has not even been armed.
            client.send(&round.to_be_bytes()).unwrap();
            echo_until(&mut ring, || {
                client
                    .recv(&mut answer)
                    .is_ok_and(|_| answer[..4] == round.to_be_bytes())
            });
        }
        ring.close(id);
        let mut turns = 0;
        while !ring.is_free(id) {
            ring.turn(Some(TURN)).unwrap();
            turns += 1;
            assert!(turns < 100);
        }
    }
    ring.shut_down().unwrap();
}

fn what_arrived_on_a_closed_socket_is_given_back(kind: BackendKind) {
    let (mut ring, _address, _wake) = backend(kind, 1);
    let id = SocketId::TrunkRtcp(0);
    let trunk = socket::bind_trunk(loopback(0), &IoConfig::default()).unwrap();
    let client = client(socket::local_address(&trunk).unwrap());
    assert!(ring.open(id, trunk));
    ring.turn(Some(Duration::ZERO)).unwrap();
    client.send(b"late").unwrap();
    ring.close(id);
    while !ring.is_free(id) {
        ring.turn(Some(TURN)).unwrap();
        assert!(ring.next_received().is_none());
    }
    ring.assert_conserved();
    ring.shut_down().unwrap();
}

fn a_dead_destination_harms_nobody_else(kind: BackendKind) {
    let (mut ring, address, _wake) = backend(kind, 1);
    let dead = loopback(9);
    for _ in 0..50 {
        let transmit = Transmit::new(SocketId::Browser, dead, 4);
        ring.send_copy(b"dead", &transmit);
        ring.turn(Some(Duration::ZERO)).unwrap();
    }
    let client = client(address);
    client.send(b"alive").unwrap();
    let mut answer = [0; 16];
    echo_until(&mut ring, || client.recv(&mut answer).is_ok());
    ring.shut_down().unwrap();
}

fn a_send_that_cannot_be_is_counted_and_its_buffer_comes_back(kind: BackendKind) {
    let (mut ring, _address, _wake) = backend(kind, 1);
    let to = loopback(9);
    ring.send_copy(b"closed", &Transmit::new(SocketId::TrunkRtp(0), to, 6));
    ring.send_copy(b"long", &Transmit::new(SocketId::Browser, to, BUFFER_BYTES));
    let wrong_family = "[::1]:9".parse().unwrap();
    let transmit = Transmit::new(SocketId::Browser, wrong_family, 5);
    ring.send_copy(b"wrong", &transmit);
    ring.turn(Some(TURN)).unwrap();
    assert_eq!(ring.take_send_failures(), 3);
    ring.assert_conserved();
    ring.shut_down().unwrap();
}

fn long_packets_are_seen_as_long_and_never_beyond_their_buffer(kind: BackendKind) {
    let (mut ring, address, _wake) = backend(kind, 1);
    client(address).send(&[1; 9000]).unwrap();
    let mut packet = loop {
        ring.turn(Some(TURN)).unwrap();
        if let Some(packet) = ring.next_received() {
            break packet;
        }
    };
    assert!(packet.length > PACKET_BYTES_MAX);
    assert!(packet.length <= ring.packet(&mut packet).len());
    ring.give_back(packet);
    ring.shut_down().unwrap();
}

fn works_over_ipv6(kind: BackendKind) {
    let (mut ring, address, _wake) = backend_at(kind, "[::1]:0".parse().unwrap(), 1);
    let client = client(address);
    client.send(b"six").unwrap();
    let mut answer = [0; 16];
    echo_until(&mut ring, || {
        client
            .recv(&mut answer)
            .is_ok_and(|n| &answer[..n] == b"six")
    });
    ring.shut_down().unwrap();
}

fn every_write_of_the_event_descriptor_ends_the_wait(kind: BackendKind) {
    let (mut ring, _address, wake) = backend(kind, 1);
    ring.turn(Some(Duration::ZERO)).unwrap();
    for _ in 0..3 {
        let writer = Arc::clone(&wake);
        let thread = std::thread::spawn(move || writer.notify());
        // Without end: a lost wake-up hangs the test.
        ring.turn(None).unwrap();
        thread.join().unwrap();
    }
    ring.shut_down().unwrap();
}

fn what_was_sent_does_not_end_the_wait_for_news(kind: BackendKind) {
    const COUNT: u32 = 300;
    let (mut ring, address, _wake) = backend(kind, 1);
    let client = client(address);
    client.set_read_timeout(Some(DEADLINE)).unwrap();
    let player = std::thread::spawn(move || {
        for number in 0..COUNT {
            client.send(&number.to_be_bytes()).unwrap();
            client.recv(&mut [0; 4]).unwrap();
        }
    });
    let mut turns = 0;
    while !player.is_finished() {
        // Long beside the test, so every turn ends with a packet; but for the last one.
        ring.turn(Some(Duration::from_millis(500))).unwrap();
        turns += 1;
        while let Some(packet) = ring.next_received() {
            let (socket, to, length) = (packet.socket, packet.from, packet.length);
            ring.send(packet, &Transmit::new(socket, to, length));
        }
    }
    player.join().unwrap();
    assert!(turns < COUNT + COUNT / 2, "{turns} turns");
    ring.shut_down().unwrap();
}

fn shutting_down_frees_the_browser_port(kind: BackendKind) {
    let (mut ring, address, _wake) = backend(kind, 1);
    ring.turn(Some(Duration::ZERO)).unwrap();
    assert!(socket::bind_browser(address, &IoConfig::default()).is_err());
    ring.shut_down().unwrap();
    drop(ring);
    socket::bind_browser(address, &IoConfig::default()).unwrap();
}

fn shutting_down_ends_also_when_it_takes_more_than_one_turn(kind: BackendKind) {
    const TRUNKS: u16 = 600;
    let (mut ring, _address, _wake) = backend(kind, usize::from(TRUNKS));
    for slot in 0..TRUNKS {
        let trunk = socket::bind_trunk(loopback(0), &IoConfig::default()).unwrap();
        assert!(ring.open(SocketId::TrunkRtp(slot), trunk));
    }
    ring.turn(Some(Duration::ZERO)).unwrap();
    ring.shut_down().unwrap();
}

fn set_option(socket: &impl AsRawFd, level: i32, name: i32) {
    let on = 1_i32;
    let length = libc::socklen_t::try_from(size_of::<i32>()).unwrap();
    // SAFETY: pointer and length describe `on`, which outlives the call.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            name,
            (&raw const on).cast(),
            length,
        )
    };
    assert_eq!(result, 0);
}

/// Sends ten packets of 100 bytes and one of 60 in one turn; returns the lengths that arrive.
fn send_run(ring: &mut Backend, from: SocketId, client: &UdpSocket) -> Vec<usize> {
    let to = client.local_addr().unwrap();
    for number in 0..=10 {
        let bytes = vec![number; if number < 10 { 100 } else { 60 }];
        let length = bytes.len();
        let socket = from;
        ring.send_copy(&bytes, &Transmit::new(socket, to, length));
    }
    let (mut lengths, mut bytes) = (Vec::new(), Vec::new());
    let mut buffer = [0; 4096];
    let end = Instant::now() + DEADLINE;
    while bytes.len() < 1060 {
        assert!(Instant::now() < end, "not done in time");
        ring.turn(Some(Duration::ZERO)).unwrap();
        ring.assert_conserved();
        while let Ok(length) = client.recv(&mut buffer) {
            lengths.push(length);
            bytes.extend_from_slice(&buffer[..length]);
        }
    }
    for (position, byte) in bytes.into_iter().enumerate() {
        assert_eq!(usize::from(byte), position / 100);
    }
    lengths
}

fn a_run_of_equal_packets_goes_through_the_kernel_as_one(kind: BackendKind) {
    let (mut ring, address, _wake) = backend(kind, 1);
    let client = client(address);
    assert_eq!(send_run(&mut ring, SocketId::Browser, &client).len(), 11);
    // A receiver that takes them whole sees that the kernel has not cut them before.
    set_option(&client, libc::SOL_UDP, libc::UDP_GRO);
    let lengths = send_run(&mut ring, SocketId::Browser, &client);
    assert_eq!(lengths, [1060]);
    assert_eq!(ring.take_send_failures(), 0);
    ring.shut_down().unwrap();
}

fn a_run_that_the_kernel_cannot_cut_goes_packet_by_packet(kind: BackendKind) {
    let (mut ring, _address, _wake) = backend(kind, 1);
    let trunk = socket::bind_trunk(loopback(0), &IoConfig::default()).unwrap();
    // Without checksums there is no segmentation (udp_send_skb in the kernel).
    set_option(&trunk, libc::SOL_SOCKET, libc::SO_NO_CHECK);
    let client = client(socket::local_address(&trunk).unwrap());
    assert!(ring.open(SocketId::TrunkRtp(0), trunk));
    let lengths = send_run(&mut ring, SocketId::TrunkRtp(0), &client);
    assert_eq!(lengths.len(), 11);
    assert_eq!(ring.take_send_failures(), 0);
    ring.shut_down().unwrap();
}

fn packets_carry_the_mark_of_their_leg(kind: BackendKind) {
    let config = IoConfig {
        browser_dscp: 34,
        ..IoConfig::default()
    };
    let browser = socket::bind_browser("[::1]:0".parse().unwrap(), &config).unwrap();
    assert_eq!(browser.tclass_v6().unwrap(), 34 << 2);
    let trunk = socket::bind_trunk(loopback(0), &config).unwrap();
    assert_eq!(trunk.tos_v4().unwrap(), 46 << 2);
    // What arrives is marked too, connected or not.
    let (mut ring, _address, _wake) = backend(kind, 1);
    let client = client(socket::local_address(&trunk).unwrap());
    set_option(&client, libc::IPPROTO_IP, libc::IP_RECVTOS);
    assert!(ring.open(SocketId::TrunkRtp(0), trunk));
    for peer in [None, client.local_addr().ok()] {
        ring.connect(SocketId::TrunkRtp(0), peer);
        assert_eq!(marks(&mut ring, SocketId::TrunkRtp(0), &client), MARKS);
    }
    ring.shut_down().unwrap();
}

fn over_ipv6_video_has_its_own_mark_too(kind: BackendKind) {
    let (mut ring, address, _wake) = backend_at(kind, "[::1]:0".parse().unwrap(), 1);
    let client = client(address);
    set_option(&client, libc::IPPROTO_IPV6, libc::IPV6_RECVTCLASS);
    assert_eq!(marks(&mut ring, SocketId::Browser, &client), MARKS);
    ring.shut_down().unwrap();
}

const AUDIO: u8 = 46 << 2;
const VIDEO: u8 = 34 << 2;
/// Of what [`marks`] sends.
const MARKS: [u8; 6] = [AUDIO, AUDIO, VIDEO, VIDEO, VIDEO, AUDIO];

/// Sends equal packets of audio and video in one turn; returns the marks that arrive.
fn marks(ring: &mut Backend, socket: SocketId, client: &UdpSocket) -> Vec<u8> {
    for expected in MARKS {
        let transmit = Transmit {
            socket,
            to: client.local_addr().unwrap(),
            length: 4,
            is_video: expected == VIDEO,
        };
        ring.send_copy(b"mark", &transmit);
    }
    ring.turn(Some(Duration::ZERO)).unwrap();
    assert_eq!(ring.take_send_failures(), 0);
    MARKS.map(|_| received_tos(client)).to_vec()
}

fn received_tos(client: &UdpSocket) -> u8 {
    client.set_read_timeout(Some(DEADLINE)).unwrap();
    client.peek(&mut [0; 4]).unwrap();
    let mut control = [0_u64; 8];
    let mut byte = [0_u8; 16];
    let mut vector = libc::iovec {
        iov_base: byte.as_mut_ptr().cast(),
        iov_len: byte.len(),
    };
    // SAFETY: all fields are integers and pointers, for which zero is a value.
    let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
    header.msg_iov = &raw mut vector;
    header.msg_iovlen = 1;
    header.msg_control = control.as_mut_ptr().cast();
    header.msg_controllen = size_of_val(&control);
    // SAFETY: the header points to live memory of the lengths it tells.
    let length = unsafe { libc::recvmsg(client.as_raw_fd(), &raw mut header, 0) };
    assert_eq!(length, 4);
    // Behind `struct cmsghdr`: one byte.
    control[2].to_ne_bytes()[0]
}

on_every_backend! {
    a_run_of_equal_packets_goes_through_the_kernel_as_one,
    a_run_that_the_kernel_cannot_cut_goes_packet_by_packet,
    packets_carry_the_mark_of_their_leg,
    over_ipv6_video_has_its_own_mark_too,
    packets_leave_from_the_buffers_they_came_in_and_none_is_lost,
    the_one_browser_socket_keeps_its_share_beside_many_trunk_sockets,
    a_flood_fills_turns_of_bounded_length_and_sends_keep_their_place,
    a_port_is_free_again_as_soon_as_its_socket_says_so,
    what_arrived_on_a_closed_socket_is_given_back,
    a_dead_destination_harms_nobody_else,
    a_send_that_cannot_be_is_counted_and_its_buffer_comes_back,
    long_packets_are_seen_as_long_and_never_beyond_their_buffer,
    works_over_ipv6,
    every_write_of_the_event_descriptor_ends_the_wait,
    what_was_sent_does_not_end_the_wait_for_news,
    shutting_down_frees_the_browser_port,
    shutting_down_ends_also_when_it_takes_more_than_one_turn,
}
