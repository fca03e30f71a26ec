//! Questions to the DNS about where trunks are, and what its answers change.

use std::time::Instant;

use super::Engine;
use super::context::Context;
use super::output::{LogLine, Output};
use crate::trunk::dns::{Answer, Question};

impl Engine {
    /// When [`Engine::locate`] is due.
    pub(super) fn poll_questions(&self) -> Option<Instant> {
        let trunks = &self.context.trunks;
        trunks.poll_questions().filter(|_| !self.context.stopping)
    }

    /// Asks what is to be asked now.
    pub(super) fn locate(&mut self, now: Instant) {
        if self.context.stopping {
            return;
        }
        let questions = self.context.trunks.due_questions(now);
        let ask = |question| Output::Resolve { question };
        self.context.outputs.extend(questions.into_iter().map(ask));
    }

    /// The DNS has answered, or could not.
    pub(super) fn resolved(&mut self, now: Instant, question: &Question, answer: Answer) {
        let sources = self.context.trunks.sources();
        let moves = self.context.trunks.resolved(now, question, answer);
        let lines = moves.relocations.into_iter().map(LogLine::Relocated);
        self.context.outputs.extend(lines.map(Output::Log));
        for trunk in moves.trunks {
            let trunks = &self.context.trunks;
            let is_there = |peer| trunks.leads_to(trunk, peer);
            self.context.registrations.moved(now, trunk, is_there);
        }
        if self.context.trunks.sources() != sources {
            self.context.announce_sources();
        }
        // What it leads to is asked without delay.
        self.locate(now);
    }
}

impl Context {
    /// Says from where carriers connect.
    pub(super) fn announce_sources(&mut self) {
        let sources = self.trunks.sources().into_iter().collect();
        self.outputs.push_back(Output::Sources { sources });
    }
}
