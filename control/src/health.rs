//! Which parts of the process are there. Without one of them a call would be answered and then have
//! no media, or could not be ended: new ones are refused, and `/health` says so.

use std::collections::BTreeMap;
use std::fmt;

/// A thread or task that runs as long as the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// The thread that drives the DTLS handshakes.
    Handshakes,
    /// A media worker, or the task that hears its events.
    Workers,
    /// The task that reads the SIP socket.
    SipSocket,
    /// A TCP or TLS listener of the trunk side.
    SipListener,
    /// A listener for browsers.
    WebListener,
    /// The task that obtains certificates (ACME).
    Acme,
    /// The task that reads certificates again.
    Certificates,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Handshakes => "the handshake thread",
            Self::Workers => "a media worker",
            Self::SipSocket => "the SIP socket",
            Self::SipListener => "a SIP listener",
            Self::WebListener => "a web listener",
            Self::Acme => "the ACME task",
            Self::Certificates => "the task that reads certificates again",
        })
    }
}

/// The parts that are missing, and how many of each. A part that nobody has missed is there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    missing: BTreeMap<Part, usize>,
}

impl Health {
    /// A part of this kind is gone.
    pub fn lost(&mut self, part: Part) {
        *self.missing.entry(part).or_default() += 1;
    }

    /// A part of this kind is there again.
    pub fn is_back(&mut self, part: Part) {
        if let Some(count) = self.missing.get_mut(&part) {
            *count -= 1;
            if *count == 0 {
                self.missing.remove(&part);
            }
        }
    }

    /// What is missing, if anything: the first of all.
    #[must_use]
    pub fn missing(&self) -> Option<Part> {
        self.missing.keys().next().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_f1_a_part_is_missing_until_all_of_its_kind_are_back() {
        let mut health = Health::default();
        assert_eq!(health.missing(), None);
        health.is_back(Part::Acme);
        health.lost(Part::WebListener);
        health.lost(Part::WebListener);
        health.is_back(Part::WebListener);
        assert_eq!(health.missing(), Some(Part::WebListener));
        health.lost(Part::Handshakes);
        assert_eq!(health.missing(), Some(Part::Handshakes));
        health.is_back(Part::Handshakes);
        health.is_back(Part::WebListener);
        assert_eq!(health, Health::default());
    }
}
