//! What the rules want to know about a host. `None` and `Err` are what could not be found out.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::SystemTime;

use super::Ranges;
use crate::acme::Validity;

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// `ringway host check`, whose process is not the one that will carry calls.
    Check,
    /// The daemon, before it binds anything.
    Start,
}

/// A host, and what a process on it may do.
#[derive(Clone, Debug)]
pub struct Facts {
    /// Who asks.
    pub purpose: Purpose,
    /// The calendar, which certificates are compared with.
    pub now: SystemTime,
    /// `/etc/os-release`
    pub os: Option<Os>,
    /// The kernel's release, as `uname -r` says it.
    pub kernel: Option<String>,
    /// Whether io_uring may be used.
    pub io_uring: IoUring,
    /// CPU cores.
    pub cores: Cores,
    /// Limits of the process that carries calls.
    pub limits: Limits,
    /// Memory.
    pub memory: Memory,
    /// What the kernel grants to a socket that asks for
    /// [`BROWSER_QUEUE_BYTES`](dataplane::limits::BROWSER_QUEUE_BYTES) each way.
    pub queues: Option<Queues>,
    /// Network cards that are up; no bridges, no tunnels.
    pub interfaces: Vec<Interface>,
    /// UDP and TCP ports.
    pub ports: Ports,
    /// Is the clock held in step by a time service? The text says why that is not known.
    pub clock_in_step: Result<bool, String>,
    /// Every certificate of the configuration.
    pub certificates: Vec<CertificateFact>,
    /// Every file that the configuration names.
    pub files: Vec<FileFact>,
}

/// The distribution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Os {
    /// `ID`: `debian`
    pub id: String,
    /// `VERSION_ID`: `12`; empty for one that has no releases.
    pub version: String,
    /// `PRETTY_NAME`
    pub name: String,
}

/// Whether io_uring may be used.
#[derive(Clone, Debug)]
pub struct IoUring {
    /// `kernel.io_uring_disabled`, where the kernel has it (6.6).
    pub disabled: Option<u8>,
    /// What became of a try by this process.
    pub tried: Result<(), NoIoUring>,
}

/// Why io_uring cannot be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoIoUring {
    /// The process may not use it; this is what the kernel said.
    Forbidden(String),
    /// There is too little memory for it, or too little may be locked.
    NoMemory,
    /// The kernel is too old, or says something else.
    Other(String),
}

/// CPU cores.
#[derive(Clone, Debug, Default)]
pub struct Cores {
    /// Those that run.
    pub online: Option<Ranges>,
    /// Those that this process may be run on without being pinned.
    pub allowed: Option<Ranges>,
    /// Those of the configuration that a thread cannot be pinned to.
    pub refused: Vec<usize>,
    /// Those of the configuration, each with all that share its physical core.
    pub siblings: Vec<(usize, Ranges)>,
}

/// Limits of the process that carries calls. [`u64::MAX`] is none.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Whose they are: `this process`, or the name of the unit.
    pub whose: String,
    /// Open files: the hard limit, which the daemon raises the soft one to.
    pub open_files: Option<u64>,
    /// Locked memory, in bytes: the soft limit.
    pub locked_bytes: Option<u64>,
}

/// Memory, in bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Memory {
    /// Of the host or, if that is less, what the control group may have.
    pub total: Option<u64>,
    /// What is free or can be freed, huge pages included.
    pub available: Option<u64>,
}

/// Bytes that the kernel grants to the queues of a socket.
#[derive(Clone, Copy, Debug)]
pub struct Queues {
    /// To receive.
    pub receive: usize,
    /// To send.
    pub send: usize,
}

/// A network card.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// How many receive queues it has.
    pub receive_queues: usize,
    /// Are packets of its first queue spread over cores (RPS)?
    pub is_spread: bool,
}

/// UDP and TCP ports.
#[derive(Clone, Debug, Default)]
pub struct Ports {
    /// `net.ipv4.ip_local_port_range`
    pub ephemeral: Option<Ranges>,
    /// `net.ipv4.ip_local_reserved_ports`
    pub reserved: Option<Ranges>,
    /// RTP ports that other programs have.
    pub taken_rtp: Vec<(u16, Option<Process>)>,
    /// The sockets that the daemon listens on; empty when the daemon asks, which is about to bind
    /// them.
    pub listeners: Vec<Listener>,
}

/// A process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    /// Its name, of at most 15 characters (`/proc/PID/comm`).
    pub name: String,
}

/// A transport protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// TCP
    Tcp,
    /// UDP
    Udp,
}

/// A socket that the daemon listens on.
#[derive(Clone, Debug)]
pub struct Listener {
    /// The key of the configuration that has its port.
    pub key: &'static str,
    /// The key that has its address.
    pub address_key: &'static str,
    /// Its protocol.
    pub protocol: Protocol,
    /// Its address.
    pub address: SocketAddr,
    /// What becomes of binding it.
    pub state: ListenerState,
}

/// What becomes of binding a socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenerState {
    /// It can be bound.
    Free,
    /// Somebody has it: this process, as far as that may be known.
    Taken(Option<Process>),
    /// The address is none of this host.
    NoSuchAddress,
    /// The process may not bind a port below 1024.
    Forbidden,
    /// The kernel says something else.
    Failed(String),
}

/// A file that the configuration names.
#[derive(Clone, Debug)]
pub struct FileFact {
    /// The key of the configuration.
    pub key: &'static str,
    /// The file.
    pub path: PathBuf,
    /// Why it is not what it should be.
    pub fault: Option<String>,
    /// Whether the daemon's user may read it.
    pub access: Access,
}

/// Whether the daemon's user may read a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Access {
    /// It may, or is this process, which has tried.
    Granted,
    /// It may not.
    Denied {
        /// Its name.
        user: String,
        /// What it may not read or, if that is a folder, enter.
        path: PathBuf,
        /// False if an access control list may grant it all the same.
        is_certain: bool,
    },
}

/// A certificate of the configuration.
#[derive(Clone, Debug)]
pub struct CertificateFact {
    /// What it is for.
    pub used_for: CertificateUse,
    /// Its file.
    pub path: PathBuf,
    /// What it says, or why it cannot be used with its key. `None`: there is none yet.
    pub identity: Option<Result<Identity, String>>,
}

/// What a certificate is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CertificateUse {
    /// `certificate` of `[web]`.
    Web,
    /// One of `[[web.host]]`, for these names.
    Host(Vec<String>),
    /// That of `[web.acme]`, for these domains.
    Acme(Vec<String>),
    /// `certificate` of `[sip]`, for the host of `advertise`, if that is a name.
    Sip(Option<String>),
}

/// What a certificate says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// From when to when it is valid; `None` if that cannot be read.
    pub validity: Option<Validity>,
    /// The DNS names in its subjectAltName (RFC 5280 section 4.2.1.6).
    pub names: Vec<String>,
    /// The addresses in it.
    pub addresses: Vec<IpAddr>,
}
