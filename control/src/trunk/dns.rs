//! What is asked of the DNS and what it answers, without any of its bytes.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

/// One question.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Question {
    /// A name; one that comes from the DNS ends in a dot.
    pub name: String,
    /// Which of its records.
    pub kind: RecordKind,
}

impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            RecordKind::Naptr => "NAPTR",
            RecordKind::Srv => "SRV",
            RecordKind::A => "A",
            RecordKind::Aaaa => "AAAA",
        };
        write!(f, "{kind} of {}", self.name)
    }
}

/// The kinds of records that lead to a SIP server (RFC 3263).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RecordKind {
    /// Which transports a domain takes (RFC 3403).
    Naptr,
    /// Which hosts and ports serve a domain over a transport (RFC 2782).
    Srv,
    /// IPv4 addresses of a host.
    A,
    /// IPv6 addresses of a host.
    Aaaa,
}

/// One record.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Record {
    /// A transport of a domain.
    Naptr(Naptr),
    /// A server of a service.
    Srv(Srv),
    /// An address of a host.
    Address(IpAddr),
}

/// A transport of a domain (RFC 3403).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Naptr {
    /// Lower comes first, in all circumstances.
    pub order: u16,
    /// Among equals, lower comes first.
    pub preference: u16,
    /// `s` where the replacement has SRV records.
    pub flags: String,
    /// `SIP+D2U`, `SIP+D2T` or `SIPS+D2T`; others are for somebody else.
    pub services: String,
    /// The name that is looked up next.
    pub replacement: String,
}

/// A server of a service (RFC 2782).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Srv {
    /// Lower comes first.
    pub priority: u16,
    /// Share among those with the same priority.
    pub weight: u16,
    /// Its port.
    pub port: u16,
    /// Its host; `.` says that the domain has no such service.
    pub target: String,
}

/// What has become of a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Records, at least one.
    Records {
        /// All of the kind that was asked for, in no order that matters.
        records: Vec<Record>,
        /// How long they may be believed: the shortest of theirs, and of the aliases to them.
        ttl: Duration,
    },
    /// There is no such name, or it has no such records.
    Nothing {
        /// How long that may be believed; `None` if the server does not say.
        ttl: Option<Duration>,
    },
    /// No server has answered, or none could; why, for the log.
    Failed(String),
}
