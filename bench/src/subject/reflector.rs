//! The floor: what the kernel takes to receive and send a datagram.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};

use dataplane::io::affinity;
use dataplane::io::reflector::Reflector;
use socket2::{Domain, Protocol, Socket, Type};

use super::{OpenCall, OpenedCall, Processing, Subject, SubjectArguments, Usage, usage};
use crate::Failure;

/// As ringway's browser socket has.
const QUEUE_BYTES: usize = 4 << 20;
const THREAD: &str = "reflect-";

/// One thread and one socket a worker; calls are spread over them.
pub(super) struct Reflecting {
    addresses: Vec<SocketAddrV4>,
}

impl Reflecting {
    pub(super) fn start(arguments: &SubjectArguments) -> Result<Self, Failure> {
        let addresses = arguments
            .cores
            .iter()
            .map(|core| worker(*core, arguments.address));
        let addresses = addresses.collect::<Result<_, _>>()?;
        Ok(Self { addresses })
    }
}

impl Subject for Reflecting {
    fn open(&mut self, call: &OpenCall) -> Result<OpenedCall, Failure> {
        let worker = usize::from(call.call) % self.addresses.len().max(1);
        let address = *self.addresses.get(worker).ok_or("no worker")?;
        Ok(OpenedCall {
            for_browser: address,
            for_trunk: address,
            media: Processing::Reflected,
            ice: None,
        })
    }

    fn close(&mut self, _call: u16) -> Result<(), Failure> {
        Ok(())
    }

    fn usage(&mut self) -> Result<Usage, Failure> {
        Ok(usage::of(std::process::id(), THREAD))
    }
}

fn worker(core: usize, address: Ipv4Addr) -> Result<SocketAddrV4, Failure> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_recv_buffer_size(QUEUE_BYTES)?;
    socket.set_send_buffer_size(QUEUE_BYTES)?;
    socket.bind(&SocketAddr::from((address, 0)).into())?;
    let bound = socket.local_addr()?.as_socket_ipv4().ok_or("no address")?;
    if !affinity::allowed().contains(&core) {
        return Err(format!("CPU core {core} is not there for us").into());
    }
    std::thread::Builder::new()
        .name(format!("{THREAD}{core}"))
        .spawn(move || {
            let _allowed = affinity::pin_thread(core);
            let mut reflector = Reflector::default();
            // An error is that of one datagram (ICMP); the next turn goes on.
            loop {
                let _lost = reflector.turn(&socket);
            }
        })?;
    Ok(bound)
}
