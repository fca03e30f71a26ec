//! What an operator should know about this machine, though the workers run.

use std::fmt;
use std::net::SocketAddr;

/// The data plane runs, but worse than it could. The text says what to change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StartWarning {
    /// [`BackendChoice::Auto`](crate::config::BackendChoice::Auto) took `recvmmsg(2)` and
    /// `sendmmsg(2)`, for this reason.
    NoIoUring {
        /// Why io_uring cannot be used, and what to change.
        reason: String,
    },
    /// The kernel granted the browser-facing socket less memory than it should have: bursts are
    /// lost earlier.
    SmallQueue {
        /// Of which socket.
        address: SocketAddr,
        /// The setting that limits it.
        setting: &'static str,
        /// Bytes that were granted.
        granted: usize,
        /// Bytes that were asked for.
        wanted: usize,
    },
    /// Several workers are pinned to one core and share its time.
    SharedCore {
        /// Which core.
        core: usize,
    },
    /// There are more workers than cores that this process may run on.
    FewCores {
        /// Workers of the configuration.
        workers: usize,
        /// Cores that are allowed.
        cores: usize,
    },
    /// Several workers, but a network card puts all packets into one queue: one core does the
    /// kernel's work for all of them.
    OneReceiveQueue {
        /// The interface.
        interface: String,
    },
}

impl fmt::Display for StartWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoIoUring { reason } => write!(
                f,
                "media workers use recvmmsg and sendmmsg instead of io_uring: {reason}. To be \
                 content with it, set the back end to \"mmsg\""
            ),
            Self::SmallQueue {
                address,
                setting,
                granted,
                wanted,
            } => write!(
                f,
                "the media socket {address} has a queue of {granted} bytes instead of {wanted}, \
                 and loses packets earlier in a burst: `sysctl -w {setting}={wanted}`"
            ),
            Self::SharedCore { core } => write!(
                f,
                "several media workers are pinned to CPU core {core}: give each a core of its own"
            ),
            Self::FewCores { workers, cores } => write!(
                f,
                "{workers} media workers share {cores} CPU cores: configure at most one for each"
            ),
            Self::OneReceiveQueue { interface } => write!(
                f,
                "{interface} has one receive queue for several media workers, so one CPU core \
                 receives for all: raise it (`ethtool -L {interface} combined N`), or spread \
                 packets with `/sys/class/net/{interface}/queues/rx-0/rps_cpus`"
            ),
        }
    }
}
