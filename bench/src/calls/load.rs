//! Browsers and carrier as tasks: sockets, and the clock.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use bytes::Bytes;
use control::sip::{HeaderName, Message, Method};
use socket2::{Domain, Socket, Type};
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{sleep_until, timeout};

use super::caller::{Caller, Tally};
use super::message::Side;
use crate::Failure;
use crate::clock::now;
use crate::websocket::WebSocket;

/// Longest datagram that is looked at.
const DATAGRAM_BYTES_MAX: usize = 16_384;
/// Kernel buffer of the carrier's socket.
const SOCKET_BUFFER_BYTES: usize = 4 * 1024 * 1024;
/// A registration that takes longer fails.
const PATIENCE: Duration = Duration::from_secs(10);
/// Longest sleep of a task.
const IDLE: Duration = Duration::from_secs(3600);

/// CPU time of this thread, which is everybody but ringway.
pub(super) fn own_cpu() -> Result<Duration, Failure> {
    let times = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    let first = times.split_whitespace().next().ok_or("no times in /proc")?;
    Ok(Duration::from_nanos(first.parse()?))
}

/// Make calls, and say what became of them.
#[derive(Debug)]
struct Order {
    targets: Vec<String>,
    first: Instant,
    every: Duration,
    end: Instant,
    done: oneshot::Sender<Tally>,
}

/// The carrier before it begins.
pub(super) struct Carrier(std::net::UdpSocket);

impl Carrier {
    pub(super) fn bind() -> Result<Self, Failure> {
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, None)?;
        socket.set_recv_buffer_size(SOCKET_BUFFER_BYTES)?;
        socket.set_send_buffer_size(SOCKET_BUFFER_BYTES)?;
        socket.set_nonblocking(true)?;
        socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
        Ok(Self(socket.into()))
    }

    pub(super) fn address(&self) -> Result<SocketAddr, Failure> {
        Ok(self.0.local_addr()?)
    }
}

/// Everybody.
pub(super) struct World {
    carrier: mpsc::Sender<Order>,
    browsers: Vec<mpsc::Sender<Order>>,
    /// What browsers have registered at the carrier.
    contacts: Vec<String>,
}

impl World {
    pub(super) async fn start(
        carrier: Carrier,
        ringway: SocketAddr,
        connections: u16,
        length: Duration,
    ) -> Result<Self, Failure> {
        let (orders, taken) = mpsc::channel(1);
        let (registered, mut contacts) = mpsc::channel(16);
        let side = Side::carrier(carrier.address()?);
        let socket = UdpSocket::from_std(carrier.0)?;
        let caller = Caller::new(side.clone(), length);
        tokio::spawn(serve_carrier(socket, side, caller, taken, registered));
        let mut world = Self {
            carrier: orders,
            browsers: Vec::new(),
            contacts: Vec::new(),
        };
        for number in 0..connections {
            let side = Side::browser(number);
            let mut socket = WebSocket::connect(ringway).await?;
            socket.send(&side.register().to_bytes()).await?;
            let answer = timeout(PATIENCE, socket.next_message()).await??;
            if !answer.starts_with(b"SIP/2.0 200 ") {
                return Err(String::from_utf8_lossy(&answer).into_owned().into());
            }
            let contact = contacts.recv().await.ok_or("the carrier has ended")?;
            world.contacts.push(contact);
            let (orders, taken) = mpsc::channel(1);
            let caller = Caller::new(side.clone(), length);
            tokio::spawn(serve_browser(socket, side, caller, taken));
            world.browsers.push(orders);
        }
        Ok(world)
    }

    /// Lets calls begin for so long, and waits until all have ended.
    pub(super) async fn call(&self, is_in: bool, rate: u32, time: Duration) -> Tally {
        let (first, end) = (now(), now() + time);
        let callers: Vec<&mpsc::Sender<Order>> = if is_in {
            vec![&self.carrier]
        } else {
            self.browsers.iter().collect()
        };
        let between = Duration::from_secs(1) / rate;
        let count = u32::try_from(callers.len()).unwrap_or(u32::MAX);
        let mut waiting = Vec::new();
        for (index, caller) in (0_u32..).zip(callers) {
            let (done, tally) = oneshot::channel();
            let targets = if is_in {
                self.contacts.clone()
            } else {
                vec!["sip:4711@example.test".to_owned()]
            };
            let order = Order {
                targets,
                first: first + between * index,
                every: between * count,
                end,
                done,
            };
            if caller.send(order).await.is_ok() {
                waiting.push(tally);
            }
        }
        let mut all = Tally::default();
        for tally in waiting {
            all.add(tally.await.unwrap_or_default());
        }
        all
    }
}

/// What a task waits for.
enum Turn {
    Heard(Option<(Bytes, Option<SocketAddr>)>),
    Ordered(Option<Order>),
    Due,
}

/// The state of a side that calls and is called.
struct Party {
    side: Side,
    caller: Caller,
    done: Option<oneshot::Sender<Tally>>,
}

impl Party {
    fn wake_at(&self) -> tokio::time::Instant {
        let at = self.caller.poll_timeout();
        at.unwrap_or_else(|| now() + IDLE).into()
    }

    fn take(&mut self, order: Order) {
        let Order {
            targets,
            first,
            every,
            end,
            done,
        } = order;
        self.caller.plan(targets, first, every, end);
        self.done = Some(done);
    }

    fn hear(&mut self, bytes: Bytes) -> (Vec<Bytes>, Option<Message>) {
        let Ok(message) = Message::parse(bytes) else {
            return (Vec::new(), None);
        };
        if message.is_request() {
            return (self.side.answers(&message), Some(message));
        }
        let answer = self.caller.response(now(), message);
        (answer.into_iter().collect(), None)
    }

    /// Tells who waits when all calls have ended.
    fn settle(&mut self) {
        if self.done.is_some()
            && let Some(tally) = self.caller.take_tally()
            && let Some(done) = self.done.take()
        {
            // Nobody may be waiting any more.
            drop(done.send(tally));
        }
    }
}

async fn serve_browser(
    mut socket: WebSocket,
    side: Side,
    caller: Caller,
    mut orders: mpsc::Receiver<Order>,
) {
    let mut party = Party {
        side,
        caller,
        done: None,
    };
    loop {
        let turn = tokio::select! {
            message = socket.next_message() => {
                Turn::Heard(message.ok().map(|bytes| (Bytes::from(bytes), None)))
            }
            order = orders.recv() => Turn::Ordered(order),
            () = sleep_until(party.wake_at()) => Turn::Due,
        };
        let mut sent = match turn {
            Turn::Heard(Some((bytes, _))) => party.hear(bytes).0,
            Turn::Ordered(Some(order)) => {
                party.take(order);
                Vec::new()
            }
            Turn::Heard(None) | Turn::Ordered(None) => return,
            Turn::Due => Vec::new(),
        };
        sent.extend(party.caller.handle_timeout(now()));
        for bytes in sent {
            if socket.send(&bytes).await.is_err() {
                return;
            }
        }
        party.settle();
    }
}

async fn serve_carrier(
    socket: UdpSocket,
    side: Side,
    caller: Caller,
    mut orders: mpsc::Receiver<Order>,
    registered: mpsc::Sender<String>,
) {
    let mut party = Party {
        side,
        caller,
        done: None,
    };
    let mut ringway = None;
    let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
    loop {
        let turn = tokio::select! {
            datagram = socket.recv_from(&mut buffer) => Turn::Heard(datagram.ok().map(|(length, from)| {
                (Bytes::copy_from_slice(buffer.get(..length).unwrap_or_default()), Some(from))
            })),
            order = orders.recv() => Turn::Ordered(order),
            () = sleep_until(party.wake_at()) => Turn::Due,
        };
        let mut sent = match turn {
            Turn::Heard(Some((bytes, from))) => {
                ringway = from.or(ringway);
                let (answers, request) = party.hear(bytes);
                if let Some(request) = request.filter(|it| it.method() == Method::Register) {
                    let contact = request.header(HeaderName::Contact).unwrap_or_default();
                    let uri = contact.split(['<', '>']).nth(1).unwrap_or(contact);
                    // Who waits for it may have given up.
                    drop(registered.try_send(uri.to_owned()));
                }
                answers
            }
            Turn::Ordered(Some(order)) => {
                party.take(order);
                Vec::new()
            }
            Turn::Heard(None) | Turn::Due => Vec::new(),
            Turn::Ordered(None) => return,
        };
        sent.extend(party.caller.handle_timeout(now()));
        let Some(ringway) = ringway else { continue };
        for bytes in sent {
            // What is lost is repeated, as over any network.
            drop(socket.send_to(&bytes, ringway).await);
        }
        party.settle();
    }
}
