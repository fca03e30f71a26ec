//! What a set of workers needs to know before it starts.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

/// The data plane of one process.
#[derive(Clone, Debug)]
pub struct DataplaneConfig {
    /// One entry per worker, at most [`WORKERS_MAX`](crate::limits::WORKERS_MAX).
    pub workers: Vec<WorkerConfig>,
    /// Flows of each worker, at most
    /// [`FLOWS_PER_WORKER_MAX`](crate::limits::FLOWS_PER_WORKER_MAX).
    pub flows_max: usize,
    /// A flow without an authentic packet for this long is reported silent.
    pub silent_after: Duration,
    /// Which way packets take between the workers and the kernel.
    pub backend: BackendChoice,
    /// How the sockets and the packet memory are set up.
    pub io: IoConfig,
}

/// One worker.
#[derive(Clone, Debug)]
pub struct WorkerConfig {
    /// The CPU core to pin the thread to; `None` leaves it to the scheduler.
    pub core: Option<usize>,
    /// The browser-facing UDP socket, bound for the life of the worker. Port 0 takes a free one.
    pub browser_bind: SocketAddr,
    /// The address that trunk-facing sockets are bound to.
    pub trunk_bind: IpAddr,
}

/// Which way packets shall take between a worker and the kernel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BackendChoice {
    /// io_uring where the kernel has and allows it, else `recvmmsg(2)` and `sendmmsg(2)`. What was
    /// taken is in [`WorkerHandle::backend`](crate::link::WorkerHandle::backend), and why says
    /// [`check_io_uring`](crate::check_io_uring).
    #[default]
    Auto,
    /// io_uring; without it no worker starts.
    Uring,
    /// `recvmmsg(2)`, `sendmmsg(2)` and `epoll(7)`.
    Mmsg,
}

/// The way that packets take between a worker and the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BackendKind {
    /// io_uring
    Uring,
    /// `recvmmsg(2)`, `sendmmsg(2)` and `epoll(7)`
    Mmsg,
}

impl BackendKind {
    /// The name, as in the configuration and in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Uring => "uring",
            Self::Mmsg => "mmsg",
        }
    }
}

impl fmt::Display for BackendKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl BackendChoice {
    /// The name, as in the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Uring => BackendKind::Uring.as_str(),
            Self::Mmsg => BackendKind::Mmsg.as_str(),
        }
    }
}

impl fmt::Display for BackendChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text names no [`BackendChoice`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownBackend;

impl fmt::Display for UnknownBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("must be \"auto\", \"uring\" or \"mmsg\"")
    }
}

impl std::error::Error for UnknownBackend {}

impl FromStr for BackendChoice {
    type Err = UnknownBackend;

    fn from_str(text: &str) -> Result<Self, UnknownBackend> {
        [Self::Auto, Self::Uring, Self::Mmsg]
            .into_iter()
            .find(|choice| choice.as_str() == text)
            .ok_or(UnknownBackend)
    }
}

/// How sockets and packet memory are set up. The default is what was measured to be best, or what
/// costs nothing where it does not help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IoConfig {
    /// What packets to browsers are marked with (RFC 2474): `0..=DSCP_MAX`.
    pub browser_dscp: u8,
    /// What packets to trunks are marked with: `0..=DSCP_MAX`.
    pub trunk_dscp: u8,
    /// What video to browsers is marked with instead: `0..=DSCP_MAX`.
    pub browser_video_dscp: u8,
    /// What video to trunks is marked with instead: `0..=DSCP_MAX`.
    pub trunk_video_dscp: u8,
    /// Before a worker sleeps, the kernel asks the network card for packets for this long (NAPI
    /// busy polling): lower latency, and a core that is never idle. Needs a driver that can.
    pub busy_poll: Option<Duration>,
    /// Packet buffers in huge pages, as far as the system has any (`vm.nr_hugepages`, else
    /// transparent ones); otherwise in common ones.
    pub huge_pages: bool,
    /// Runs of packets of one length to one peer (video frames) go to the kernel as one (UDP
    /// generic segmentation offload).
    pub segmentation_offload: bool,
    /// Runs of packets of one length from one browser (video frames) come from the kernel as one (UDP
    /// generic receive offload). Only with io_uring.
    pub receive_offload: bool,
    /// Sockets of trunk peers that have proven themselves are connected: the kernel then looks up
    /// the route once. Off: the kernel drops what others send uncounted, and tells them by ICMP that
    /// nobody listens, after which some give up; the gain is below what can be measured.
    pub connect_trunks: bool,
    /// Trunk sockets that are sent from are registered with the ring (direct descriptors): the
    /// kernel then need not look them up for each packet. Only with io_uring, and only where it
    /// lets go of them at once (since Linux 6.13), which is tried out.
    pub register_trunks: bool,
    /// Where packets come quickly, a worker waits for a few before it wakes up
    /// ([`GATHER_US`](crate::limits::GATHER_US)). Only with io_uring, since Linux 6.12.
    pub gather: bool,
    /// The kernel sends packets from where they lie, and says later when it is done (`SEND_ZC`).
    /// Only with io_uring. Off: over a veth pair a packet of 1200 bytes costs 10 % more with it, one
    /// of 160 bytes 3 % more (`ringway-bench options`); it may be worth it on a network card.
    pub zero_copy: bool,
}

/// Expedited Forwarding (RFC 3246), the class of telephony (RFC 4594 section 4.1, RFC 8837).
pub const DSCP_EXPEDITED_FORWARDING: u8 = 46;
/// Assured Forwarding, class 4, low drop precedence (RFC 2597): interactive video (RFC 4594
/// section 4.3, RFC 8837).
pub const DSCP_ASSURED_FORWARDING_41: u8 = 34;
/// The largest code point: six bits.
pub const DSCP_MAX: u8 = 63;

impl Default for IoConfig {
    fn default() -> Self {
        Self {
            browser_dscp: DSCP_EXPEDITED_FORWARDING,
            trunk_dscp: DSCP_EXPEDITED_FORWARDING,
            browser_video_dscp: DSCP_ASSURED_FORWARDING_41,
            trunk_video_dscp: DSCP_ASSURED_FORWARDING_41,
            busy_poll: None,
            huge_pages: true,
            segmentation_offload: true,
            receive_offload: true,
            connect_trunks: false,
            register_trunks: true,
            gather: true,
            zero_copy: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_back_end_is_read_by_the_name_it_prints() {
        for choice in [
            BackendChoice::Auto,
            BackendChoice::Uring,
            BackendChoice::Mmsg,
        ] {
            assert_eq!(choice.to_string().parse(), Ok(choice));
        }
        assert_eq!("io_uring".parse::<BackendChoice>(), Err(UnknownBackend));
    }
}
