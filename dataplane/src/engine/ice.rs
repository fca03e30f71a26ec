//! ICE-lite (RFC 8445 sections 2.5 and 7.3): we only answer checks, and so learn which addresses
//! are the peer's. Consent (RFC 7675) is the peer's checks going on.

use std::net::SocketAddr;
use std::time::Instant;

use super::verdict::DropReason;
use crate::limits::{CONSENT_EXPIRES_AFTER, VALIDATED_PEERS_MAX};
use crate::link::{IceCredentials, IceFragment, IcePassword};
use crate::wire::stun::BindingRequest;

/// The ICE state of one browser flow.
pub(super) struct IceAgent {
    current: IceCredentials,
    /// What was valid before an ICE restart, until the first check with the current credentials.
    /// Boxed: hardly any flow ever has them.
    previous: Option<Box<IceCredentials>>,
    peers: [Option<ValidatedPeer>; VALIDATED_PEERS_MAX],
    selected: Option<SocketAddr>,
    /// Nominated after the selected one: the first authentic packet from there selects it.
    nominee: Option<SocketAddr>,
    /// An address was selected by a check with the current credentials.
    has_selected: bool,
}

/// An address that sent an authentic check.
#[derive(Clone, Copy)]
struct ValidatedPeer {
    address: SocketAddr,
    checked_at: Instant,
}

/// Which of our credentials a check was made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Generation {
    Current,
    Previous,
}

/// What became of the credentials in [`IceAgent::set_credentials`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CredentialChange {
    /// Our fragment is the same as before.
    Same,
    /// We have another fragment now; the one inside, if any, is no longer valid.
    Restarted(Option<IceFragment>),
}

impl IceAgent {
    pub(super) fn new(credentials: IceCredentials) -> Self {
        Self {
            current: credentials,
            previous: None,
            peers: [None; VALIDATED_PEERS_MAX],
            selected: None,
            nominee: None,
            has_selected: false,
        }
    }

    /// Proves that a check comes from the peer (RFC 8445 section 7.3: USERNAME and
    /// MESSAGE-INTEGRITY with our password).
    pub(super) fn authenticate(
        &self,
        request: &BindingRequest<'_>,
    ) -> Result<Generation, DropReason> {
        let (local, remote) = request.fragments().ok_or(DropReason::StunUnknownUser)?;
        let (generation, credentials) = match &self.previous {
            Some(previous) if previous.local_fragment.as_bytes() == local => {
                (Generation::Previous, previous.as_ref())
            }
            Some(_) | None => (Generation::Current, &self.current),
        };
        if credentials.local_fragment.as_bytes() != local {
            return Err(DropReason::StunUnknownUser);
        }
        if credentials
            .remote_fragment
            .is_some_and(|known| known.as_bytes() != remote)
        {
            return Err(DropReason::StunUnknownUser);
        }
        if !request.is_authentic(credentials.local_password.as_bytes()) {
            return Err(DropReason::StunIntegrity);
        }
        Ok(generation)
    }

    pub(super) fn password(&self, generation: Generation) -> &IcePassword {
        match (generation, &self.previous) {
            (Generation::Previous, Some(previous)) => &previous.local_password,
            (Generation::Previous | Generation::Current, _) => &self.current.local_password,
        }
    }

    /// The peer uses the current credentials: those from before the restart end. Returns their
    /// fragment.
    pub(super) fn end_previous(&mut self) -> Option<IceFragment> {
        self.previous.take().map(|previous| previous.local_fragment)
    }

    pub(super) fn set_credentials(&mut self, ice: IceCredentials) -> CredentialChange {
        if ice.local_fragment == self.current.local_fragment {
            self.current = ice;
            return CredentialChange::Same;
        }
        if self
            .previous
            .as_ref()
            .is_some_and(|old| old.local_fragment == ice.local_fragment)
        {
            // The restart is taken back.
            self.previous = None;
            self.has_selected = true;
            let ended = std::mem::replace(&mut self.current, ice);
            return CredentialChange::Restarted(Some(ended.local_fragment));
        }
        self.has_selected = false;
        let replaced = std::mem::replace(&mut self.current, ice);
        if self.previous.is_some() {
            // A second restart before the peer took up the first: what it uses is still the older.
            return CredentialChange::Restarted(Some(replaced.local_fragment));
        }
        self.previous = Some(Box::new(replaced));
        CredentialChange::Restarted(None)
    }

    /// Notes an authentic check from an address. Returns the address that had to make room.
    pub(super) fn validate(&mut self, now: Instant, address: SocketAddr) -> Option<SocketAddr> {
        let checked = ValidatedPeer {
            address,
            checked_at: now,
        };
        if let Some(known) = self
            .peers
            .iter_mut()
            .flatten()
            .find(|p| p.address == address)
        {
            *known = checked;
            return None;
        }
        if let Some(free) = self.peers.iter_mut().find(|place| place.is_none()) {
            *free = Some(checked);
            return None;
        }
        let selected = self.selected;
        let oldest = self
            .peers
            .iter_mut()
            .flatten()
            .filter(|peer| Some(peer.address) != selected)
            .min_by_key(|peer| peer.checked_at)?;
        Some(std::mem::replace(oldest, checked).address)
    }

    /// Nominates a validated address; true if it is selected, and was not before.
    ///
    /// The first nomination with the current credentials selects at once. A later one does not
    /// prove by itself that the browser has moved: whoever sees a check can repeat it from his own
    /// address. There the first authentic packet selects ([`Self::prove`]).
    pub(super) fn nominate(&mut self, address: SocketAddr, generation: Generation) -> bool {
        debug_assert!(
            self.peer(address).is_some(),
            "only a validated address is nominated"
        );
        let is_first = generation == Generation::Current && !self.has_selected;
        if is_first {
            self.has_selected = true;
            return self.select(address);
        }
        let is_other = self.selected != Some(address);
        self.nominee = is_other.then_some(address);
        false
    }

    /// An authentic packet came from an address that is not the selected one; true if that is
    /// selected now, as it was nominated last, or as nothing comes from the selected one any more
    /// (`is_silent`): checks for consent need not nominate (RFC 7675 section 5.1).
    pub(super) fn prove(&mut self, now: Instant, address: SocketAddr, is_silent: bool) -> bool {
        let is_wanted = self.nominee == Some(address) || self.selected.is_none() || is_silent;
        is_wanted && self.is_validated(now, address) && self.select(address)
    }

    fn select(&mut self, address: SocketAddr) -> bool {
        self.nominee = None;
        self.selected.replace(address) != Some(address)
    }

    /// Takes out one address whose consent has expired. The selected one included: nothing is sent
    /// until an authentic packet comes from another one.
    pub(super) fn expire(&mut self, now: Instant) -> Option<SocketAddr> {
        let place = self
            .peers
            .iter_mut()
            .find(|place| place.is_some_and(|peer| !has_consent(now, peer)))?;
        let address = place.take()?.address;
        if self.selected == Some(address) {
            self.selected = None;
        }
        Some(address)
    }

    /// Another flow has proven that the address is its own.
    pub(super) fn forget(&mut self, address: SocketAddr) {
        for place in &mut self.peers {
            if place.is_some_and(|peer| peer.address == address) {
                *place = None;
            }
        }
        for place in [&mut self.selected, &mut self.nominee] {
            *place = place.filter(|place| *place != address);
        }
    }

    /// The selected address, as long as it is validated, and when it last sent a check.
    pub(super) fn chosen(&self) -> Option<(SocketAddr, Instant)> {
        let peer = self.peer(self.selected?)?;
        Some((peer.address, peer.checked_at))
    }

    pub(super) fn selected(&self) -> Option<SocketAddr> {
        self.selected
    }

    pub(super) fn is_validated(&self, now: Instant, address: SocketAddr) -> bool {
        self.peer(address)
            .is_some_and(|peer| has_consent(now, peer))
    }

    /// When the address last sent an authentic check.
    pub(super) fn checked_at(&self, address: SocketAddr) -> Option<Instant> {
        self.peer(address).map(|peer| peer.checked_at)
    }

    pub(super) fn addresses(&self) -> impl Iterator<Item = SocketAddr> {
        self.peers.iter().flatten().map(|peer| peer.address)
    }

    /// Our fragments: the current one, and the one from before a restart.
    pub(super) fn fragments(&self) -> impl Iterator<Item = IceFragment> {
        let previous = self
            .previous
            .as_ref()
            .map(|previous| previous.local_fragment);
        std::iter::once(self.current.local_fragment).chain(previous)
    }

    fn peer(&self, address: SocketAddr) -> Option<ValidatedPeer> {
        self.peers
            .iter()
            .flatten()
            .find(|peer| peer.address == address)
            .copied()
    }
}

fn has_consent(now: Instant, peer: ValidatedPeer) -> bool {
    now.saturating_duration_since(peer.checked_at) < CONSENT_EXPIRES_AFTER
}
