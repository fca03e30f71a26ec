//! What control asks for.

use std::time::{Duration, Instant};

use crypto::keys::SrtpKeys;

use super::Engine;
use super::flow::{Flow, MEDIA, SrtpContexts};
use super::ice::{CredentialChange, IceAgent};
use super::peer::{Browser, Kind, Trunk};
use super::verdict::{PeerChange, SocketId};
use crate::link::{
    CloseReason, Cname, Command, Event, FlowId, FlowKind, FlowTotals, IceCredentials, Media,
    OpenFlow, PeerAddresses, PeerPolicy, RefuseReason, Route,
};

impl Engine {
    /// Applies one command; what comes of it is an [`Event`].
    ///
    /// For [`Command::OpenFlow`] of a trunk flow the shell binds the ports first: it asks
    /// [`Engine::is_slot_free`], binds, then calls this; if binding fails it calls
    /// [`Engine::refuse`] instead. Before [`Command::CloseFlow`] it asks [`Engine::is_open`], to
    /// know whether the slot's sockets are to be closed.
    pub fn handle_command(&mut self, now: Instant, command: Command) {
        let (flow, done) = match command {
            Command::OpenFlow(open) => (open.flow, self.open_flow(now, open)),
            Command::SetPeer { flow, peer, policy } => {
                (flow, self.set_peer(now, flow, peer, policy))
            }
            Command::SetIceCredentials { flow, ice } => (flow, self.set_ice(flow, ice)),
            Command::InstallKeys { flow, keys } => (flow, self.install_keys(now, flow, &keys)),
            Command::SetRoute(route) => (route.from, self.set_route(now, &route)),
            Command::ClearRoute { flow, media } => (flow, self.clear_route(flow, media)),
            Command::ExpectMedia { flow, within } => (flow, self.expect_media(now, flow, within)),
            Command::SendDigit(digit) => (digit.from, self.send_digit(now, digit)),
            Command::CloseFlow { flow } => {
                let closed = self.close(now, flow, CloseReason::Asked);
                if closed.is_err() {
                    self.events.push_back(Event::FlowClosed {
                        flow,
                        reason: CloseReason::Lost,
                        totals: FlowTotals::default(),
                    });
                }
                return;
            }
            Command::Stop => return self.stop(now),
        };
        if let Err(reason) = done {
            self.refuse(flow, reason);
        }
    }

    /// Reports that the shell could not do its part of a command.
    pub fn refuse(&mut self, flow: FlowId, reason: RefuseReason) {
        self.events.push_back(Event::Refused { flow, reason });
    }

    fn open_flow(&mut self, now: Instant, open: OpenFlow) -> Result<(), RefuseReason> {
        let id = open.flow;
        if id.worker != self.config.worker {
            return Err(RefuseReason::UnknownFlow);
        }
        if !self.table.is_free(id.slot) {
            return Err(RefuseReason::SlotTaken);
        }
        let kind = match open.kind {
            FlowKind::Browser(browser) => {
                if self
                    .table
                    .by_fragment(browser.ice.local_fragment.as_bytes())
                    .is_some()
                    || !self
                        .table
                        .claim_fragment(browser.ice.local_fragment, id.slot)
                {
                    return Err(RefuseReason::FragmentTaken);
                }
                Kind::Browser(Browser::new(IceAgent::new(browser.ice)))
            }
            FlowKind::Trunk(_) => Kind::Trunk(Trunk::default()),
        };
        let cname = Cname::scrambled(self.next_random());
        let within = Some(self.config.silent_after);
        self.table.insert(Flow::new(now, id, kind, cname, within));
        self.events.push_back(Event::FlowOpened { flow: id });
        self.adjust_sweep(now);
        Ok(())
    }

    fn set_peer(
        &mut self,
        now: Instant,
        id: FlowId,
        peer: PeerAddresses,
        policy: PeerPolicy,
    ) -> Result<(), RefuseReason> {
        let flow = self.table.get_mut(id).ok_or(RefuseReason::UnknownFlow)?;
        let was_final = match &mut flow.kind {
            Kind::Trunk(trunk) => trunk.set_peer(peer, policy),
            Kind::Browser(_) => return Err(RefuseReason::WrongKind),
        };
        if was_final {
            let sockets = [SocketId::TrunkRtp(id.slot), SocketId::TrunkRtcp(id.slot)];
            self.peer_changes
                .extend(sockets.map(|socket| PeerChange { socket, peer: None }));
        }
        // Only from now on can the peer be heard.
        flow.heard(now);
        Ok(())
    }

    fn expect_media(
        &mut self,
        now: Instant,
        id: FlowId,
        within: Option<Duration>,
    ) -> Result<(), RefuseReason> {
        let flow = self.table.get_mut(id).ok_or(RefuseReason::UnknownFlow)?;
        flow.expect(now, within);
        Ok(())
    }

    fn set_ice(&mut self, id: FlowId, ice: IceCredentials) -> Result<(), RefuseReason> {
        let flow = self.table.get(id).ok_or(RefuseReason::UnknownFlow)?;
        if !flow.is_browser() {
            return Err(RefuseReason::WrongKind);
        }
        if !self.table.claim_fragment(ice.local_fragment, id.slot) {
            return Err(RefuseReason::FragmentTaken);
        }
        let browser = self.table.get_mut(id).and_then(Flow::browser_mut);
        let browser = browser.ok_or(RefuseReason::WrongKind)?;
        match browser.change_ice(self.clock, |agent| agent.set_credentials(ice)) {
            CredentialChange::Same | CredentialChange::Restarted(None) => {}
            CredentialChange::Restarted(Some(ended)) => self.table.release_fragment(&ended),
        }
        Ok(())
    }

    fn install_keys(
        &mut self,
        now: Instant,
        id: FlowId,
        keys: &SrtpKeys,
    ) -> Result<(), RefuseReason> {
        let flow = self.table.get_mut(id).ok_or(RefuseReason::UnknownFlow)?;
        if !flow.is_browser() {
            return Err(RefuseReason::WrongKind);
        }
        flow.contexts = Some(SrtpContexts::new(keys).map_err(|_| RefuseReason::BadKeys)?);
        self.receiver_is_ready(now, id);
        Ok(())
    }

    fn set_route(&mut self, now: Instant, route: &Route) -> Result<(), RefuseReason> {
        let (from, to, media) = (route.from, route.to, route.media);
        let target = self.table.get(to).ok_or(RefuseReason::UnknownFlow)?;
        let place = target.medium(media).sending.place(route.outgoing_ssrc.0);
        let medium = self
            .table
            .get_mut(from)
            .ok_or(RefuseReason::UnknownFlow)?
            .medium_mut(media);
        let old_to = medium
            .known_route()
            .map(|old| old.to)
            .filter(|old| *old != to);
        let was_open = medium.route().is_some();
        let continues = medium.set_route(route, place);
        if media == Media::Audio {
            self.expect_digits(from, &route.payload_types);
        }
        if let Some(flow) = old_to.and_then(|old| self.table.get_mut(old)) {
            let sender = &mut flow.medium_mut(media).sender;
            *sender = sender.filter(|sender| *sender != from);
        }
        if media == Media::Audio && !continues {
            self.stop_digits(from);
        }
        if let Some(flow) = self.table.get_mut(to) {
            let medium = flow.medium_mut(media);
            medium.sender = Some(from);
            medium
                .sending
                .prepare(route.outgoing_ssrc.0, route.clock_hz);
            flow.cname = route.cname;
        }
        if media == Media::Video && !(continues && was_open) {
            self.receiver_is_ready(now, to);
        }
        Ok(())
    }

    fn clear_route(&mut self, id: FlowId, media: Media) -> Result<(), RefuseReason> {
        let flow = self.table.get_mut(id).ok_or(RefuseReason::UnknownFlow)?;
        flow.medium_mut(media).clear_route();
        if media == Media::Audio {
            self.stop_digits(id);
        }
        Ok(())
    }

    fn close(&mut self, now: Instant, id: FlowId, reason: CloseReason) -> Result<(), RefuseReason> {
        let flow = self.table.remove(id).ok_or(RefuseReason::UnknownFlow)?;
        self.forget_digits(&flow);
        for media in MEDIA {
            let to = flow.medium(media).known_route().map(|route| route.to);
            if let Some(other) = to.and_then(|to| self.table.get_mut(to)) {
                let sender = &mut other.medium_mut(media).sender;
                *sender = sender.filter(|sender| *sender != id);
            }
        }
        self.events.push_back(Event::FlowClosed {
            flow: id,
            reason,
            totals: flow.totals(now),
        });
        self.adjust_sweep(now);
        Ok(())
    }

    /// Ends every flow.
    fn stop(&mut self, now: Instant) {
        for slot in 0..self.table.slots_count() {
            let flow = u16::try_from(slot)
                .ok()
                .and_then(|slot| self.table.at(slot));
            if let Some(id) = flow.map(|flow| flow.id) {
                let closed = self.close(now, id, CloseReason::Stopped);
                debug_assert!(closed.is_ok(), "the flow was found open");
            }
        }
    }
}
