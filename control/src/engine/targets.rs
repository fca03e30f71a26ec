//! What answers, and their absence, say of the targets of trunks.

use std::time::{Duration, Instant};

use super::Engine;
use super::input::Peer;
use super::output::LogLine;
use crate::sip::{HeaderName, Message};

impl Engine {
    /// What a response says of the target that it came from. A 408 is of somebody behind it.
    pub(super) fn note_answer(&mut self, now: Instant, peer: Peer, response: &Message) {
        let trunks = &mut self.context.trunks;
        let changed = match (response.status(), retry_after(response)) {
            (Some(503), Some(pause)) => trunks.refused(now, peer, pause),
            (Some(408 | 503) | None, _) => None,
            (Some(_), _) => trunks.answered(now, peer),
        };
        self.context
            .outputs
            .extend(changed.map(LogLine::Target).map(super::Output::Log));
    }

    /// A target could not be reached, or did not answer at all.
    pub(super) fn note_silence(&mut self, now: Instant, peer: Option<Peer>) {
        let changed = peer.and_then(|peer| self.context.trunks.silent(now, peer));
        self.context
            .outputs
            .extend(changed.map(LogLine::Target).map(super::Output::Log));
    }
}

/// The pause that a response asks for (RFC 3261 section 20.33).
fn retry_after(response: &Message) -> Option<Duration> {
    let value = response.header(HeaderName::RetryAfter)?.trim_start();
    let digits = value.split(|c: char| !c.is_ascii_digit()).next()?;
    let seconds: u32 = digits.parse().ok()?;
    Some(Duration::from_secs(seconds.into()))
}
