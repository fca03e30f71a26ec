//! Reads what [`crate::host`] has rules about: files of the kernel below a root folder, which is
//! another one in tests, and what the kernel answers to this process.

mod access;
mod certificates;
mod files;
mod limits;
mod sockets;
mod sysfs;
#[cfg(test)]
mod tests;
mod unit;

use std::io;
use std::net::SocketAddr;
use std::path::Path;

use dataplane::StartError;
use dataplane::io::{affinity, wall_clock};
use dataplane::limits::BROWSER_QUEUE_BYTES;
use socket2::{Domain, Protocol as SocketProtocol, Socket, Type};

use self::files::Root;
use self::unit::Unit;
use super::clock;
use crate::config::Config;
use crate::host::{
    Facts, Finding, IoUring, Listener, ListenerState, NoIoUring, Ports, Protocol, Purpose, Queues,
    check,
};

/// What this host has and lacks, for this configuration.
#[must_use]
pub fn check_host(config: &Config, purpose: Purpose) -> Vec<Finding> {
    check(&facts(Path::new("/"), config, purpose), config)
}

/// The facts, with the files of the kernel and of the system below this folder.
fn facts(root: &Path, config: &Config, purpose: Purpose) -> Facts {
    let root = Root::new(root);
    // The daemon knows what it may do itself.
    let unit = match purpose {
        Purpose::Check => Unit::find(&root),
        Purpose::Start => None,
    };
    Facts {
        purpose,
        now: clock::wall(),
        os: sysfs::os(&root),
        kernel: root.text("proc/sys/kernel/osrelease"),
        io_uring: IoUring {
            disabled: root.number("proc/sys/kernel/io_uring_disabled"),
            tried: dataplane::check_io_uring().map_err(no_io_uring),
        },
        cores: sysfs::cores(&root, &config.media.cores, &affinity::can_pin),
        limits: limits::limits(&root, unit.as_ref()),
        memory: sysfs::memory(&root),
        queues: queues().ok(),
        interfaces: sysfs::interfaces(&root),
        ports: ports(&root, config, purpose, unit.as_ref()),
        clock_in_step: clock_in_step(&root, purpose, wall_clock::is_in_step),
        certificates: certificates::all(config),
        files: access::files(config, unit.as_ref()),
    }
}

/// A daemon that starts with its host comes before the clock is in step; and the filter of a unit may
/// end who asks the kernel (`@clock` of systemd).
fn clock_in_step(
    root: &Root,
    purpose: Purpose,
    ask: fn() -> io::Result<bool>,
) -> Result<bool, String> {
    if purpose == Purpose::Start {
        return Err("a daemon may start before the clock is set".to_owned());
    }
    ask().or_else(|error| {
        // Containers may not ask; systemd-timesyncd leaves a file.
        let is_marked = root.path("run/systemd/timesync/synchronized").exists();
        let why = format!("the kernel does not tell this process: {error}");
        is_marked.then_some(true).ok_or(why)
    })
}

fn no_io_uring(error: StartError) -> NoIoUring {
    match error {
        StartError::IoUringForbidden(why) => NoIoUring::Forbidden(why.to_string()),
        StartError::NoMemory(_) => NoIoUring::NoMemory,
        StartError::WorkerCount(_)
        | StartError::FlowCount(_)
        | StartError::Dscp(_)
        | StartError::KernelTooOld { .. }
        | StartError::Address { .. }
        | StartError::NoSuchCore { .. }
        | StartError::TooFewFiles { .. }
        | StartError::Kernel { .. } => NoIoUring::Other(error.to_string()),
    }
}

/// What the kernel grants to the socket that browsers send to. It doubles what it is asked for, to
/// have room for its own headers.
fn queues() -> io::Result<Queues> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(SocketProtocol::UDP))?;
    socket.set_recv_buffer_size(BROWSER_QUEUE_BYTES)?;
    socket.set_send_buffer_size(BROWSER_QUEUE_BYTES)?;
    Ok(Queues {
        receive: socket.recv_buffer_size()? / 2,
        send: socket.send_buffer_size()? / 2,
    })
}

fn ports(root: &Root, config: &Config, purpose: Purpose, unit: Option<&Unit>) -> Ports {
    let (taken_rtp, listeners) = match purpose {
        Purpose::Start => (Vec::new(), Vec::new()),
        Purpose::Check => (
            sockets::taken_rtp(root, config),
            listeners(root, config, unit),
        ),
    };
    Ports {
        ephemeral: sysfs::ephemeral_ports(root),
        reserved: root.ranges("proc/sys/net/ipv4/ip_local_reserved_ports"),
        taken_rtp,
        listeners,
    }
}

fn listeners(root: &Root, config: &Config, unit: Option<&Unit>) -> Vec<Listener> {
    let listeners = listening(config)
        .into_iter()
        .map(|(keys, protocol, address)| {
            let bound = sockets::try_bind(protocol, address);
            let mut socket = listener(root, keys, protocol, address, bound);
            if let Some(unit) = unit {
                socket.state = for_unit(socket.state, root, unit, (protocol, address));
            }
            socket
        });
    // Port 0 is any free one: only its address may be wrong.
    let is_told =
        |socket: &Listener| socket.address.port() != 0 || socket.state != ListenerState::Free;
    listeners.filter(is_told).collect()
}

/// What becomes of binding if the unit does it: this process may have more rights, or fewer.
fn for_unit(
    state: ListenerState,
    root: &Root,
    unit: &Unit,
    (protocol, address): (Protocol, SocketAddr),
) -> ListenerState {
    let may_bind = address.port() == 0 || unit.may_bind(address.port());
    if state == ListenerState::Free && !may_bind {
        return ListenerState::Forbidden;
    }
    if state != ListenerState::Forbidden || !may_bind {
        return state;
    }
    let holder = sockets::holder(root, protocol, address);
    let taken = |holder| ListenerState::Taken(Some(holder));
    holder.map_or(ListenerState::Free, taken)
}

/// The keys of the configuration with the port of a socket and with its address.
type Keys = (&'static str, &'static str);

const WEB: Keys = ("`listen` of [web]", "`listen` of [web]");
const SIP: Keys = ("`listen` of [sip]", "`listen` of [sip]");
const SIP_TCP: Keys = ("`listen_tcp` of [sip]", "`listen_tcp` of [sip]");
const SIP_TLS: Keys = ("`listen_tls` of [sip]", "`listen_tls` of [sip]");
const BROWSER: Keys = ("`browser_port` of [media]", "`browser_bind` of [media]");
const TRUNK: Keys = ("`rtp_port_min` of [media]", "`trunk_bind` of [media]");

/// The sockets that are bound for as long as the daemon runs, and one like those of calls.
fn listening(config: &Config) -> Vec<(Keys, Protocol, SocketAddr)> {
    let web = config.web.listen.iter();
    let web = web.map(|listener| (WEB, Protocol::Tcp, listener.address));
    let mut all: Vec<_> = web.collect();
    if let Some(sip) = &config.sip {
        all.push((SIP, Protocol::Udp, sip.listen));
        let tcp = sip.listen_tcp.map(|at| (SIP_TCP, Protocol::Tcp, at));
        let tls = sip.listen_tls.map(|at| (SIP_TLS, Protocol::Tcp, at));
        all.extend(tcp.into_iter().chain(tls));
    }
    let media = &config.media;
    for (index, _) in (0..).zip(&media.cores) {
        let port = media.browser_port.saturating_add(index);
        let port = if media.browser_port == 0 { 0 } else { port };
        let address = (media.browser_bind, port).into();
        all.push((BROWSER, Protocol::Udp, address));
    }
    all.push((TRUNK, Protocol::Udp, (media.trunk_bind, 0).into()));
    all
}

/// Why the daemon cannot bind a socket of the configuration, in the words of the check.
pub(super) fn bind_failed(
    config: &Config,
    protocol: Protocol,
    address: SocketAddr,
    error: io::Error,
) -> Finding {
    let root = Root::new(Path::new("/"));
    let mut all = listening(config).into_iter();
    let is_it = |(_, of, at): &(Keys, Protocol, SocketAddr)| *of == protocol && *at == address;
    let keys = all.find(is_it).map_or(BROWSER, |(keys, ..)| keys);
    let listener = listener(&root, keys, protocol, address, Err(error));
    crate::host::listener(&listener, Purpose::Start)
}

fn listener(
    root: &Root,
    (key, address_key): Keys,
    protocol: Protocol,
    address: SocketAddr,
    bound: io::Result<()>,
) -> Listener {
    let is = |kind| matches!(&bound, Err(error) if error.kind() == kind);
    let state = if is(io::ErrorKind::AddrInUse) {
        ListenerState::Taken(sockets::holder(root, protocol, address))
    } else if is(io::ErrorKind::AddrNotAvailable) {
        ListenerState::NoSuchAddress
    } else if is(io::ErrorKind::PermissionDenied) {
        ListenerState::Forbidden
    } else {
        let failed = |error: io::Error| ListenerState::Failed(error.to_string());
        bound.map_or_else(failed, |()| ListenerState::Free)
    };
    Listener {
        key,
        address_key,
        protocol,
        address,
        state,
    }
}
