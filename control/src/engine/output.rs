//! What leaves the brain of the control plane.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use dataplane::link::Command;

use super::input::{ConnectionId, Peer};
use crate::media::handshake::HandshakeCommand;
use crate::trunk::TargetStatus;
use crate::trunk::dns::Question;
use crate::trunk::limits::LimitStatus;
use crate::trunk::sites::Relocation;

/// Something must be done outside.
#[derive(Debug)]
pub enum Output {
    /// Send a SIP message (or a keep-alive) to a peer.
    Send {
        /// To whom.
        peer: Peer,
        /// The message.
        bytes: Bytes,
    },
    /// Open a TCP or TLS connection to a trunk; messages to it wait until it stands. Answered by
    /// [`Input::StreamOpened`](super::input::Input::StreamOpened) or `StreamClosed`.
    Connect {
        /// The other end.
        peer: Peer,
        /// Index of the trunk: how its certificate is checked.
        trunk: usize,
        /// The name that its certificate must have (RFC 5922 section 7.3).
        name: String,
    },
    /// Close a TCP or TLS connection of the trunk side once everything before is sent.
    CloseStream {
        /// The other end.
        peer: Peer,
    },
    /// Ask the DNS. Answered by [`Input::Resolved`](super::input::Input::Resolved), once, in any
    /// case.
    Resolve {
        /// What is asked.
        question: Question,
    },
    /// These, and no others, are the addresses that carriers open connections from.
    Sources {
        /// All of them.
        sources: Vec<IpAddr>,
    },
    /// Close a WebSocket connection.
    Close {
        /// Which one.
        connection: ConnectionId,
        /// WebSocket status code (RFC 6455 section 7.4.1).
        code: u16,
        /// For the peer's log.
        reason: &'static str,
    },
    /// Ask something of a media worker.
    Media {
        /// Index of the worker.
        worker: u16,
        /// What is asked.
        command: Command,
    },
    /// Ask something of the handshake thread.
    Handshake(HandshakeCommand),
    /// Write one line to the log: a call began, a call ended, or something that the operator
    /// should know.
    Log(LogLine),
}

/// What the brain wants to be logged; the shell chooses the format.
#[derive(Debug)]
pub enum LogLine {
    /// An INVITE was accepted for routing.
    CallBegan(CallBegan),
    /// Both legs have ended.
    CallEnded(Box<CallEnded>),
    /// A line or a browser registered or went (INFO).
    Registration {
        /// The address of record.
        address_of_record: String,
        /// Status of the answer.
        status: u16,
        /// Answered by the built-in registrar, or by this trunk.
        registrar: String,
    },
    /// A registrar does not list the Contact that it was sent: what was asked for counts (INFO, once
    /// of each trunk).
    ContactMissing {
        /// Name of the trunk.
        trunk: String,
    },
    /// Ringway has registered at a trunk (INFO), or has lost its registration there (WARN).
    TrunkRegistration {
        /// Name of the trunk.
        trunk: String,
        /// What holds now.
        is_registered: bool,
        /// Status of the last answer.
        status: u16,
    },
    /// A call was refused before it began (INFO).
    CallRefused {
        /// From where: a trunk's address, or a WebSocket by its number.
        peer: Peer,
        /// The status.
        status: u16,
        /// Why.
        reason: String,
        /// How many refusals before this one were too many to be named.
        left_out: u64,
    },
    /// Somebody could not log in (INFO): what an operator must see of guesses, and of what users
    /// typed wrong.
    LoginFailed {
        /// The address of record.
        user: String,
        /// From where.
        remote: Option<IpAddr>,
        /// The status.
        status: u16,
        /// As in a refused call.
        left_out: u64,
    },
    /// A message was refused (DEBUG).
    Refused {
        /// From where.
        peer: Peer,
        /// Why.
        reason: String,
    },
    /// A call was answered, and nothing comes from a side that sends (WARN).
    Unheard(Unheard),
    /// Media of a carrier is dropped, as it comes from an address that was not signalled (WARN, once
    /// for each call and leg).
    MediaRefused(MediaRefusal),
    /// Digits of a browser did not reach a trunk that takes them by INFO (WARN).
    DigitsLost {
        /// How many.
        count: usize,
        /// Why.
        reason: String,
    },
    /// A target of a trunk is up, down or refuses requests now (INFO or WARN).
    Target(TargetStatus),
    /// A target of a trunk has been found, has moved, or cannot be found (INFO or WARN).
    Relocated(Relocation),
    /// A trunk refuses calls because of a limit (WARN), or does so no more (INFO).
    Limit(LimitStatus),
    /// Requests are refused with 503, since there are too many calls or transactions (WARN).
    Overload {
        /// Calls at this moment.
        calls: usize,
        /// Transactions that wait for an answer.
        transactions: usize,
    },
    /// None has been refused for a while (INFO).
    OverloadOver {
        /// New calls that were refused.
        refused_calls: u64,
        /// Other requests.
        refused_others: u64,
    },
    /// Something an operator should look at (WARN).
    Warning(String),
}

/// The beginning of a call, as logged.
#[derive(Clone, Debug)]
pub struct CallBegan {
    /// Session-ID of the caller (RFC 7989): the same on both legs, and beyond them.
    pub session_id: String,
    /// Call-ID of the leg that called.
    pub call_id_a: String,
    /// Call-ID of the leg that is called (our own).
    pub call_id_b: String,
    /// `browser→trunk`, `trunk→browser`, `browser→browser` or `browser→echo`.
    pub direction: &'static str,
    /// Name of the trunk, if one is in the call.
    pub trunk: Option<String>,
}

/// A side of a call that is not heard, as logged.
#[derive(Clone, Debug)]
pub struct Unheard {
    /// Session-ID of the caller, as in [`CallBegan`].
    pub session_id: String,
    /// Which side, in words.
    pub from: String,
    /// What did come of it.
    pub what_came: &'static str,
    /// The UDP port that its audio is to come to.
    pub port: u16,
}

/// Media that comes from somewhere else than its sender has signalled.
#[derive(Clone, Debug)]
pub struct MediaRefusal {
    /// The call's Session-ID.
    pub session_id: String,
    /// Name of the trunk.
    pub trunk: String,
    /// Where it comes from.
    pub source: SocketAddr,
    /// Where the carrier said that it is.
    pub signalled: SocketAddr,
}

/// The end of a call, as logged.
#[derive(Clone, Debug)]
pub struct CallEnded {
    /// What the first line said.
    pub began: CallBegan,
    /// From INVITE to the end.
    pub duration: Duration,
    /// From the answer to the end; `None` when it was not answered.
    pub talked: Option<Duration>,
    /// The SIP status that the caller was answered with (200 when it was answered).
    pub status: u16,
    /// Who or what ended it.
    pub reason: String,
    /// Audio codec on the wire, as in `rtpmap`.
    pub codec: Option<String>,
    /// Media statistics of the leg that called.
    pub leg_a: LegStatistics,
    /// Media statistics of the leg that is called.
    pub leg_b: LegStatistics,
}

/// Audio statistics of one leg, as logged; video is added up in the packets.
#[derive(Clone, Copy, Debug, Default)]
pub struct LegStatistics {
    /// RTP packets from the peer.
    pub received_packets: u64,
    /// RTP packets to the peer.
    pub sent_packets: u64,
    /// RTP packets of the peer that did not arrive.
    pub lost_packets: i64,
    /// Interarrival jitter of the audio, in microseconds.
    pub jitter_us: u32,
    /// RTP packets to the peer that it says it lost.
    pub remote_lost_packets: i64,
    /// The jitter of the audio that the peer says it sees, in microseconds.
    pub remote_jitter_us: u32,
    /// Time to the peer and back, by its RTCP reports, in microseconds; `None` without any.
    pub round_trip_us: Option<u32>,
    /// Packets dropped, whatever the reason.
    pub dropped_packets: u64,
}
