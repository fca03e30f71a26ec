//! OPTIONS to the targets of trunks, and what answers, and their absence, say of them.

use std::time::{Duration, Instant};

use super::Engine;
use super::input::Peer;
use super::output::LogLine;
use crate::sip::transaction::ClientTransactionId;
use crate::sip::{HeaderName, Message, Method, Transport};

impl Engine {
    /// When [`Engine::probe`] is due.
    pub(super) fn poll_probes(&self) -> Option<Instant> {
        let trunks = &self.context.trunks;
        trunks.poll_timeout().filter(|_| !self.context.stopping)
    }

    /// Asks the targets whose turn it is whether they live.
    pub(super) fn probe(&mut self, now: Instant) {
        let context = &mut self.context;
        if context.stopping {
            return;
        }
        let mut bytes = [0; 2];
        let random = &mut context.random;
        let spread = || {
            random.fill(&mut bytes);
            u32::from(u16::from_be_bytes(bytes)) % 1000
        };
        for (trunk, peer, within) in context.trunks.due_probes(now, spread) {
            let Some((transport, address)) = peer.on_trunk_side() else {
                continue;
            };
            let trunk = context.config.trunks.get(trunk);
            let domain = trunk.map(|trunk| trunk.domain.clone()).unwrap_or_default();
            let uri = match transport {
                Transport::Udp => format!("sip:{address}"),
                Transport::Tcp | Transport::Tls => format!("sip:{address};transport={transport}"),
            };
            let ours = context.trunk_side_uri("ringway", transport);
            let mut options = Message::request(Method::Options, &uri);
            options.push(
                HeaderName::From,
                format!("<{ours}>;tag={}", context.token()),
            );
            options.push(HeaderName::To, format!("<sip:{domain}>"));
            options.push(HeaderName::CallId, context.token());
            options.push(HeaderName::CSeq, "1 OPTIONS");
            options.push(HeaderName::Contact, format!("<{ours}>"));
            options.push(HeaderName::Accept, "application/sdp");
            let transaction = context.send_within(now, peer, options, Some(within));
            self.probes.insert(transaction, peer);
        }
    }

    /// A target has answered our OPTIONS: anything but 408 and 503 shows that it takes requests.
    /// False if the transaction is none of these.
    pub(super) fn probed(
        &mut self,
        now: Instant,
        transaction: ClientTransactionId,
        response: &Message,
    ) -> bool {
        let Some(peer) = self.probes.get(&transaction).copied() else {
            return false;
        };
        if response.status().is_some_and(|status| status >= 200) {
            self.probes.remove(&transaction);
        }
        let has_pause = retry_after(response).is_some();
        match response.status() {
            Some(408) => self.note_silence(now, Some(peer)),
            Some(503) if !has_pause => self.note_silence(now, Some(peer)),
            _ => self.note_answer(now, peer, response),
        }
        true
    }

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
pub(super) fn retry_after(response: &Message) -> Option<Duration> {
    let value = response.header(HeaderName::RetryAfter)?.trim_start();
    let digits = value.split(|c: char| !c.is_ascii_digit()).next()?;
    let seconds: u32 = digits.parse().ok()?;
    Some(Duration::from_secs(seconds.into()))
}
