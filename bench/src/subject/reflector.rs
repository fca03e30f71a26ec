//! The floor: what the kernel takes to receive and send a datagram.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::thread::JoinHandle;

use dataplane::io::affinity;
use dataplane::io::reflector::{Reflector, UringReflector, WholeReflector};
use socket2::{Domain, Protocol, Socket, Type};

use super::{OpenCall, OpenedCall, Processing, Subject, SubjectArguments, Usage, usage};
use crate::Failure;

/// As ringway's browser socket has.
const QUEUE_BYTES: usize = 4 << 20;
const THREAD: &str = "reflect-";

/// Sends back what comes to a socket, for ever; an error is that there is no way to.
type Reflect = fn(UdpSocket) -> io::Result<()>;

/// One thread and one socket a worker; calls are spread over them.
pub(super) struct Reflecting {
    workers: Vec<(SocketAddrV4, JoinHandle<io::Result<()>>)>,
}

impl Reflecting {
    pub(super) fn start(arguments: &SubjectArguments, reflect: Reflect) -> Result<Self, Failure> {
        let workers = arguments
            .cores
            .iter()
            .map(|core| worker(*core, arguments.address, reflect));
        let workers = workers.collect::<Result<_, _>>()?;
        Ok(Self { workers })
    }
}

impl Subject for Reflecting {
    fn open(&mut self, call: &OpenCall) -> Result<OpenedCall, Failure> {
        let worker = usize::from(call.call) % self.workers.len().max(1);
        let (address, _) = self.workers.get(worker).ok_or("no worker")?;
        Ok(OpenedCall {
            for_browser: *address,
            for_trunk: *address,
            media: Processing::Reflected,
            ice: None,
        })
    }

    fn close(&mut self, _call: u16) -> Result<(), Failure> {
        Ok(())
    }

    fn usage(&mut self) -> Result<Usage, Failure> {
        let mut threads = self.workers.iter().map(|(_, thread)| thread);
        if threads.any(JoinHandle::is_finished) {
            return Err("the reflector has ended: is io_uring allowed here?".into());
        }
        Ok(usage::of(std::process::id(), THREAD))
    }
}

/// Binds a socket and sends back what comes there, on this core, by `reflect`.
fn worker(
    core: usize,
    address: Ipv4Addr,
    reflect: Reflect,
) -> Result<(SocketAddrV4, JoinHandle<io::Result<()>>), Failure> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_recv_buffer_size(QUEUE_BYTES)?;
    socket.set_send_buffer_size(QUEUE_BYTES)?;
    socket.bind(&SocketAddr::from((address, 0)).into())?;
    let bound = socket.local_addr()?.as_socket_ipv4().ok_or("no address")?;
    if !affinity::allowed().contains(&core) {
        return Err(format!("CPU core {core} is not there for us").into());
    }
    let thread = std::thread::Builder::new()
        .name(format!("{THREAD}{core}"))
        .spawn(move || {
            let _allowed = affinity::pin_thread(core);
            reflect(socket.into())
        })?;
    Ok((bound, thread))
}

/// By recvmmsg(2) and sendmmsg(2).
pub(super) fn by_batches(socket: UdpSocket) -> io::Result<()> {
    let mut reflector = Reflector::default();
    // An error is that of one datagram (ICMP); the next turn goes on.
    loop {
        let _lost = reflector.turn(&socket);
    }
}

/// By the same, whole runs at a time.
pub(super) fn by_runs(socket: UdpSocket) -> io::Result<()> {
    let mut reflector = WholeReflector::new(&socket)?;
    loop {
        let _lost = reflector.turn(&socket);
    }
}

/// By io_uring.
pub(super) fn by_ring(socket: UdpSocket) -> io::Result<()> {
    let mut reflector = UringReflector::new(socket)?;
    loop {
        reflector.turn()?;
    }
}
