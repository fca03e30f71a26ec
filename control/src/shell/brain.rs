//! What the shell asks of the brain.

use std::time::Instant;

use crate::engine::Engine;
use crate::engine::input::Input;
use crate::engine::output::Output;

/// The face of the brain: one `handle_*`, then `poll_output` until it is empty, then wait for
/// `poll_timeout`. The engine has it, and so have stand-ins that the shell is tested with.
pub trait Brain: Send {
    /// Something happened outside.
    fn handle_input(&mut self, now: Instant, input: Input);
    /// The moment of `poll_timeout` has come.
    fn handle_timeout(&mut self, now: Instant);
    /// Something that must be done outside.
    fn poll_output(&mut self) -> Option<Output>;
    /// When `handle_timeout` is due.
    fn poll_timeout(&self) -> Option<Instant>;
    /// Calls at this moment.
    fn calls(&self) -> usize;
    /// True once `Input::Stop` was handled to its end.
    fn is_stopped(&self) -> bool;
}

impl Brain for Engine {
    fn handle_input(&mut self, now: Instant, input: Input) {
        Self::handle_input(self, now, input);
    }

    fn handle_timeout(&mut self, now: Instant) {
        Self::handle_timeout(self, now);
    }

    fn poll_output(&mut self) -> Option<Output> {
        Self::poll_output(self)
    }

    fn poll_timeout(&self) -> Option<Instant> {
        Self::poll_timeout(self)
    }

    fn calls(&self) -> usize {
        Self::calls(self)
    }

    fn is_stopped(&self) -> bool {
        Self::is_stopped(self)
    }
}
