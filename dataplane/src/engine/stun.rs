//! A STUN check: whose it is, whether it is authentic, and what it changes.

use std::net::SocketAddr;
use std::time::Instant;

use super::Engine;
use super::ice::Generation;
use super::verdict::{DropReason, SocketId, Transmit, Verdict};
use crate::limits::ADDRESS_HELD_FOR;
use crate::wire::stun::{BindingRequest, ErrorAnswer, Role, StunError, write_error, write_success};

/// What an authentic check asks for.
#[derive(Clone, Copy)]
struct Check {
    generation: Generation,
    nominates: bool,
    error: Option<ErrorAnswer>,
}

impl Engine {
    /// Answers a check in place. Nothing that is not authentic gets an answer, so that nobody can
    /// use us to send packets to others or to find out which user fragments exist.
    pub(super) fn handle_stun(
        &mut self,
        now: Instant,
        source: SocketAddr,
        buffer: &mut [u8],
        length: usize,
    ) -> Result<Verdict, (DropReason, Option<u16>)> {
        let message = buffer.get(..length).ok_or((DropReason::Truncated, None))?;
        let request = BindingRequest::parse(message).map_err(|error| match error {
            StunError::Malformed => (DropReason::StunMalformed, None),
            // A Binding indication, too: it keeps address translators open and wants no answer.
            StunError::NotBindingRequest => (DropReason::StunUnknownUser, None),
        })?;
        let slot = request
            .fragments()
            .and_then(|(local, _)| self.table.by_fragment(local))
            .ok_or((DropReason::StunUnknownUser, None))?;
        let named = |reason| (reason, Some(slot));
        let check = self.authenticate(slot, &request).map_err(named)?;
        if check.error.is_none() {
            self.accept_check(now, slot, source, &check)
                .map_err(named)?;
        }
        let length = self.answer(slot, source, buffer, &check).map_err(named)?;
        Ok(Verdict::Reply(Transmit::new(
            SocketId::Browser,
            source,
            length,
        )))
    }

    fn authenticate(&self, slot: u16, request: &BindingRequest<'_>) -> Result<Check, DropReason> {
        let browser = self.table.at(slot).and_then(|flow| flow.browser());
        let generation = browser
            .ok_or(DropReason::StunUnknownUser)?
            .ice()
            .authenticate(request)?;
        let error = if !request.unknown.is_empty() {
            Some(ErrorAnswer::UnknownAttribute(request.unknown))
        } else if request.role == Some(Role::Controlled) {
            // A lite agent is always the controlled one (RFC 8445 section 6.1.1).
            Some(ErrorAnswer::RoleConflict)
        } else {
            None
        };
        Ok(Check {
            generation,
            nominates: request.use_candidate,
            error,
        })
    }

    fn accept_check(
        &mut self,
        now: Instant,
        slot: u16,
        source: SocketAddr,
        check: &Check,
    ) -> Result<(), DropReason> {
        self.take_source(now, slot, source)?;
        if !self.table.has_room_for(source) {
            return Err(DropReason::UnknownSource);
        }
        let flow = self.table.at_mut(slot).ok_or(DropReason::StunUnknownUser)?;
        flow.heard(now);
        let browser = flow.browser_mut().ok_or(DropReason::StunUnknownUser)?;
        let (evicted, selected, ended) = browser.change_ice(self.clock, |ice| {
            let evicted = ice.validate(now, source);
            let selected = check.nominates && ice.nominate(source, check.generation);
            let ended = match check.generation {
                Generation::Current => ice.end_previous(),
                Generation::Previous => None,
            };
            (evicted, selected, ended)
        });
        let event = flow.note_selection(selected, source);
        self.events.extend(event);
        if let Some(fragment) = ended {
            self.table.release_fragment(&fragment);
        }
        if let Some(address) = evicted {
            self.table.release_source(address);
        }
        self.table.set_source(source, slot);
        Ok(())
    }

    /// An address leads to one flow only. Another flow may take it over when its holder has not
    /// proven itself for a while: then the port was given to a new call.
    fn take_source(
        &mut self,
        now: Instant,
        slot: u16,
        source: SocketAddr,
    ) -> Result<(), DropReason> {
        let Some(holder) = self
            .table
            .by_source(source)
            .filter(|holder| *holder != slot)
        else {
            return Ok(());
        };
        let Some(browser) = self
            .table
            .at_mut(holder)
            .and_then(|flow| flow.browser_mut())
        else {
            return Ok(());
        };
        let is_held = browser
            .ice()
            .checked_at(source)
            .is_some_and(|at| now.saturating_duration_since(at) < ADDRESS_HELD_FOR);
        if is_held {
            return Err(DropReason::UnknownSource);
        }
        browser.change_ice(self.clock, |ice| ice.forget(source));
        Ok(())
    }

    fn answer(
        &self,
        slot: u16,
        source: SocketAddr,
        buffer: &mut [u8],
        check: &Check,
    ) -> Result<usize, DropReason> {
        let browser = self.table.at(slot).and_then(|flow| flow.browser());
        let ice = browser.ok_or(DropReason::StunUnknownUser)?.ice();
        // `end_previous` has run: a check with the current credentials is answered with them.
        let password = ice.password(check.generation).as_bytes();
        match &check.error {
            None => write_success(buffer, source, password),
            Some(error) => write_error(buffer, error, password),
        }
        .ok_or(DropReason::TooShort)
    }
}
