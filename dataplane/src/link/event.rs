//! What a worker reports to control.

use std::net::SocketAddr;
use std::time::Duration;

use super::command::{FlowId, Media};
use crate::limits::DATAGRAM_BYTES_MAX;

/// This happened to this flow.
#[derive(Clone, Debug)]
pub enum Event {
    /// The flow exists (answer to `OpenFlow`).
    FlowOpened {
        /// Which flow.
        flow: FlowId,
    },
    /// A command could not be done; nothing was changed. For `OpenFlow`: the flow does not exist.
    Refused {
        /// Which flow the command named.
        flow: FlowId,
        /// Why.
        reason: RefuseReason,
    },
    /// Browser flows: media goes to this address from now on. The first one was nominated by an
    /// authenticated check (RFC 8445 section 7.3.1.5); any other has sent authentic media too.
    PeerSelected {
        /// Which flow.
        flow: FlowId,
        /// The browser's address as we see it.
        peer: SocketAddr,
    },
    /// The first authentic media packet since the flow was opened.
    MediaStarted {
        /// Which flow.
        flow: FlowId,
    },
    /// No authentic packet (media or consent check) for `silent_for`, which is longer than the flow
    /// may be silent ([`Command::ExpectMedia`](super::Command::ExpectMedia)). Reported once per
    /// silence; of a browser not before its first check.
    MediaSilent {
        /// Which flow.
        flow: FlowId,
        /// How long it has been silent.
        silent_for: Duration,
    },
    /// Trunk flows: several packets of media came from an address that was not signalled and is in
    /// no network of the policy ([`PeerPolicy`](super::PeerPolicy)). They were dropped. Once for each
    /// flow.
    MediaRefused {
        /// Which flow.
        flow: FlowId,
        /// Where the last of them came from.
        source: SocketAddr,
        /// Where such media was said to be.
        signalled: SocketAddr,
    },
    /// A digit of the peer is over that the route of its audio does not let pass
    /// ([`PayloadTypeMap::push_digits`](super::PayloadTypeMap::push_digits)). At most
    /// [`DIGITS_PER_SWEEP_MAX`](crate::limits::DIGITS_PER_SWEEP_MAX) a second of one flow.
    Digit {
        /// Which flow.
        flow: FlowId,
        /// 0 to 9, 10 for `*`, 11 for `#`, 12 to 15 for A to D (RFC 4733 section 3.2).
        event: u8,
        /// How long it lasted.
        duration: Duration,
    },
    /// The flow is no more and its slot may be used again.
    FlowClosed {
        /// Which flow.
        flow: FlowId,
        /// Why.
        reason: CloseReason,
        /// What passed, by medium.
        totals: FlowTotals,
    },
    /// The worker failed, and every flow that it had is gone. It begins anew by itself; flows that
    /// are asked for from now on wait until then. What control believes to be open it closes.
    WorkerLost {
        /// Index of the worker.
        worker: u16,
        /// What became of it, for the log.
        why: String,
    },
    /// The worker that was lost runs again.
    WorkerRuns {
        /// Index of the worker.
        worker: u16,
    },
}

/// Why a command could not be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefuseReason {
    /// Another flow uses the slot, or the slot is beyond the table.
    SlotTaken,
    /// The flow does not exist (any more).
    UnknownFlow,
    /// The port pair could not be bound.
    PortUnavailable,
    /// The ICE user fragment is in use by another flow of this worker.
    FragmentTaken,
    /// The command does not fit the kind of flow.
    WrongKind,
    /// The key material does not fit its profile.
    BadKeys,
    /// The audio of the flow goes nowhere.
    NoRoute,
    /// As many digits as may wait are waiting.
    TooManyDigits,
}

/// Why a flow ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// Control asked for it.
    Asked,
    /// The worker stopped.
    Stopped,
    /// Control asked for it, and the worker has no such flow (any more): it was lost.
    Lost,
}

/// What passed through a flow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FlowTotals {
    /// `m=audio`
    pub audio: StreamTotals,
    /// `m=video`
    pub video: StreamTotals,
    /// Packets that arrived for the flow and were dropped, whatever the reason.
    pub dropped_packets: u64,
}

impl FlowTotals {
    /// The totals of one medium.
    #[must_use]
    pub fn media(&self, media: Media) -> &StreamTotals {
        match media {
            Media::Audio => &self.audio,
            Media::Video => &self.video,
        }
    }
}

/// What passed of one medium, seen from the flow: received from its peer, sent to its peer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StreamTotals {
    /// Authentic RTP packets from the peer.
    pub received_packets: u64,
    /// Their payload (without header, padding and tag), in bytes.
    pub received_bytes: u64,
    /// RTP packets expected but not received; never negative: one that came twice makes up for none.
    pub lost_packets: i64,
    /// Interarrival jitter at the end, in microseconds (RFC 3550 section 6.4.1).
    pub jitter_us: u32,
    /// Time since the last RTP packet from the peer; `None` if there was none.
    pub last_received: Option<Duration>,
    /// RTP packets sent to the peer.
    pub sent_packets: u64,
    /// Their payload in bytes.
    pub sent_bytes: u64,
    /// Of these, what the peer says that it lost; negative when duplicated. 0 as long as it has
    /// not said anything.
    pub remote_lost_packets: i64,
    /// The jitter that the peer says it sees, in microseconds.
    pub remote_jitter_us: u32,
    /// Time to the peer and back by its last report that tells (RFC 3550 section 6.4.1), in
    /// microseconds; `None` if none did.
    pub round_trip_us: Option<u32>,
}

/// A DTLS datagram on its way between a worker and the handshake thread.
#[derive(Clone)]
pub struct Datagram {
    /// The flow that it belongs to.
    pub flow: FlowId,
    /// Upwards: the ICE-validated address that it came from. Downwards: where it goes; the worker
    /// drops it unless that address is validated.
    pub peer: SocketAddr,
    length: u16,
    bytes: [u8; DATAGRAM_BYTES_MAX],
}

impl Datagram {
    /// Copies the bytes; `None` when there are more than [`DATAGRAM_BYTES_MAX`].
    #[must_use]
    pub fn new(flow: FlowId, peer: SocketAddr, source: &[u8]) -> Option<Self> {
        let length = u16::try_from(source.len()).ok()?;
        let mut bytes = [0; DATAGRAM_BYTES_MAX];
        bytes.get_mut(..source.len())?.copy_from_slice(source);
        Some(Self {
            flow,
            peer,
            length,
            bytes,
        })
    }

    /// The datagram.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }
}

impl std::fmt::Debug for Datagram {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Datagram {{ flow: {}, {} bytes }}",
            self.flow, self.length
        )
    }
}
