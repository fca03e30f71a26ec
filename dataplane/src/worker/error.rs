//! Why the data plane could not start, in an operator's words.

use std::net::SocketAddr;
use std::{fmt, io};

use crate::config::DSCP_MAX;
use crate::limits::{FLOWS_PER_WORKER_MAX, WORKERS_MAX};

/// Why the data plane did not start. The text says what to change.
#[derive(Debug)]
pub enum StartError {
    /// The number of workers is not in `1..=WORKERS_MAX`.
    WorkerCount(usize),
    /// The number of flows is not in `1..=FLOWS_PER_WORKER_MAX`.
    FlowCount(usize),
    /// A code point beyond `0..=DSCP_MAX`.
    Dscp(u8),
    /// The process may not use io_uring.
    IoUringForbidden(io::Error),
    /// The kernel is older than 6.1.
    KernelTooOld {
        /// What it says it is.
        release: String,
    },
    /// An address of the configuration cannot be bound.
    Address {
        /// Which one.
        address: SocketAddr,
        /// What the kernel said.
        source: io::Error,
    },
    /// The CPU core to pin a worker to does not exist or is not allowed for this process.
    NoSuchCore {
        /// The one that was asked for.
        core: usize,
        /// Those that the process may run on.
        allowed: Vec<usize>,
    },
    /// The process may not open as many files as the flows need sockets.
    TooFewFiles {
        /// As many are needed.
        needed: u64,
        /// As many are allowed (the hard limit).
        allowed: u64,
    },
    /// The kernel gave no memory for the ring or its buffers.
    NoMemory(io::Error),
    /// Anything else that the kernel refused.
    Kernel {
        /// What was asked of it.
        what: &'static str,
        /// What it said.
        source: io::Error,
    },
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WorkerCount(count) => {
                write!(f, "{count} media workers: must be 1 to {WORKERS_MAX}")
            }
            Self::FlowCount(count) => write!(
                f,
                "{count} flows for each media worker: must be 1 to {FLOWS_PER_WORKER_MAX}"
            ),
            Self::Dscp(value) => write!(
                f,
                "{value} is no DSCP: must be 0 to {DSCP_MAX} (46 is Expedited Forwarding)"
            ),
            Self::IoUringForbidden(source) => write!(
                f,
                "this process may not use io_uring ({source}). Allow it with \
                 `sysctl -w kernel.io_uring_disabled=0`; in a container, also allow the system \
                 calls io_uring_setup, io_uring_enter and io_uring_register in its seccomp profile; \
                 or use the back end \"mmsg\""
            ),
            Self::KernelTooOld { release } => {
                write!(
                    f,
                    "Linux {release} is too old for the io_uring back end, which needs Linux 6.1 \
                     or newer: use the back end \"mmsg\""
                )
            }
            Self::Address { address, source } => write!(
                f,
                "cannot bind UDP {address}: {source}. Choose an address of this host and a port \
                 that no other program uses (`ss -ulnp` lists them)"
            ),
            Self::NoSuchCore { core, allowed } => write!(
                f,
                "cannot pin a media worker to CPU core {core}: this process may run on {allowed:?} \
                 (see `taskset -cp`, the unit's CPUAffinity= and the container's cpuset)"
            ),
            Self::TooFewFiles { needed, allowed } => write!(
                f,
                "{needed} open files are needed for the sockets of the flows, {allowed} are \
                 allowed: raise the limit (`ulimit -Hn`, LimitNOFILE= in the unit), or configure \
                 fewer flows"
            ),
            Self::NoMemory(source) => write!(
                f,
                "no memory for the packet buffers ({source}): raise the locked-memory limit \
                 (`ulimit -l`, LimitMEMLOCK= in the unit) or the memory of the container"
            ),
            Self::Kernel { what, source } => write!(f, "cannot {what}: {source}"),
        }
    }
}

impl std::error::Error for StartError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::IoUringForbidden(source)
            | Self::NoMemory(source)
            | Self::Address { source, .. }
            | Self::Kernel { source, .. } => Some(source),
            Self::WorkerCount(_)
            | Self::FlowCount(_)
            | Self::Dscp(_)
            | Self::KernelTooOld { .. }
            | Self::NoSuchCore { .. }
            | Self::TooFewFiles { .. } => None,
        }
    }
}
