#![expect(
    clippy::disallowed_methods,
    reason = "real sockets have real deadlines"
)]

use std::net::UdpSocket;
use std::sync::Arc;
use std::time::Instant;

use super::*;
use crate::config::IoConfig;
use crate::io::socket;
use crate::io::wake::EventFd;

const DEADLINE: Duration = Duration::from_secs(20);
const TURN: Duration = Duration::from_millis(20);

#[test]
fn a_burst_beyond_all_buffers_ends_the_receive_and_it_goes_on() {
    let browser = SocketAddr::from(([127, 0, 0, 1], 0));
    let browser = socket::bind_browser(browser, &IoConfig::default()).unwrap();
    let address = socket::local_address(&browser).unwrap();
    let wake = Arc::new(EventFd::new().unwrap());
    let parts = BackendParts {
        browser,
        wake: &wake,
        flows_max: 1,
        config: IoConfig::default(),
    };
    let mut ring = Uring::new(parts).unwrap();
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
