//! Where the targets of all trunks are now, as the DNS has it, and where they were before.

use std::collections::{BTreeSet, VecDeque};
use std::net::IpAddr;
use std::time::Instant;

use super::cache::Cache;
use super::dns::{Answer, Question};
use super::hop::Hop;
use super::locate::{Located, Means, locate};
use crate::config::{Config, TargetConfig, TrunkConfig};
use crate::limits::{ADDRESSES_PER_TRUNK_MAX, FORMER_ADDRESSES_PER_TRUNK_MAX, LOCATION_STALE_MAX};
use crate::sip::Transport;

/// A target of whose place something has changed, as logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relocation {
    /// Name of the trunk.
    pub trunk: String,
    /// The target, as configured.
    pub target: String,
    /// What is known of its place now.
    pub state: SiteState,
    /// Its addresses now, best first.
    pub hops: Vec<Hop>,
}

/// What an answer of the DNS has changed.
#[derive(Debug, Default)]
pub struct Moves {
    /// For the log.
    pub relocations: Vec<Relocation>,
    /// Trunks to which requests go other ways than before.
    pub trunks: Vec<usize>,
}

/// What is known of the place of a target.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum SiteState {
    /// It has not been looked up yet.
    #[default]
    Unknown,
    /// Its addresses are known.
    Located,
    /// It cannot be looked up (again), or not as a whole; what was known before is used. Why.
    Stale(String),
    /// Nothing is known of it. Why.
    Lost(String),
    /// The DNS says that it does not exist: an SRV record with the target `.`.
    Off,
}

/// Where all trunks are.
#[derive(Debug)]
pub(super) struct Sites {
    cache: Cache,
    trunks: Vec<Site>,
}

/// Where one trunk is.
#[derive(Debug)]
struct Site {
    name: String,
    means: Means,
    targets: Vec<Target>,
    /// The next hop, if requests are not sent to the targets.
    route: Option<Target>,
    /// The next hop of calls alone.
    call_route: Option<Target>,
    /// Where requests go.
    hops: Vec<Hop>,
    /// Where calls go, if that is somewhere else.
    call_hops: Vec<Hop>,
    /// Where they went before, oldest first.
    former: VecDeque<Hop>,
}

#[derive(Debug)]
struct Target {
    config: TargetConfig,
    hops: Vec<Hop>,
    /// When the hops were looked up.
    as_of: Instant,
    state: SiteState,
}

impl Sites {
    /// Addresses are known at once, names are to be looked up.
    pub(super) fn new(config: &Config, now: Instant) -> Self {
        let sip = config.sip.as_ref();
        let spoken = Transport::ALL.into_iter();
        let spoken = spoken.filter(|transport| sip.is_some_and(|sip| sip.speaks(*transport)));
        let spoken: Vec<Transport> = spoken.collect();
        let ipv4 = sip.is_none_or(|sip| sip.listen.is_ipv4());
        let site = |trunk: &TrunkConfig| {
            let target = |config: &TargetConfig| Target {
                config: config.clone(),
                hops: Vec::new(),
                as_of: now,
                state: SiteState::Unknown,
            };
            Site {
                name: trunk.name.clone(),
                means: Means {
                    transport: (!trunk.transport_by_dns).then_some(trunk.transport),
                    spoken: spoken.clone(),
                    ipv4,
                },
                targets: trunk.targets.iter().map(target).collect(),
                route: trunk.route.as_ref().map(target),
                call_route: trunk.call_route.as_ref().map(target),
                hops: Vec::new(),
                call_hops: Vec::new(),
                former: VecDeque::new(),
            }
        };
        let mut sites = Self {
            cache: Cache::default(),
            trunks: config.trunks.iter().map(site).collect(),
        };
        // What is written as an address needs no log line.
        sites.locate(now);
        sites
    }

    /// When [`Sites::due`] wants to be called.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.cache.poll_timeout()
    }

    /// What the DNS is to be asked now.
    pub(super) fn due(&mut self, now: Instant) -> Vec<Question> {
        self.cache.due(now)
    }

    /// The DNS has answered. Returns what has changed.
    pub(super) fn answered(&mut self, now: Instant, question: &Question, answer: Answer) -> Moves {
        if !self.cache.answered(now, question, answer) {
            return Moves::default();
        }
        self.locate(now)
    }

    /// True while it is not known yet whether a trunk can be found.
    pub(super) fn is_unknown(&self, trunk: usize) -> bool {
        let site = self.trunks.get(trunk);
        let is_unknown = |target: &Target| target.state == SiteState::Unknown;
        site.is_some_and(|site| site.hops.is_empty() && site.used().iter().any(is_unknown))
    }

    /// Where requests to a trunk go.
    pub(super) fn hops(&self, trunk: usize) -> &[Hop] {
        self.trunks.get(trunk).map_or(&[], |site| &site.hops)
    }

    /// Where calls to a trunk go.
    pub(super) fn hops_of_calls(&self, trunk: usize) -> &[Hop] {
        self.trunks
            .get(trunk)
            .map_or(&[], |site| match site.call_route {
                Some(_) => &site.call_hops,
                None => &site.hops,
            })
    }

    /// Where requests or calls to a trunk go.
    pub(super) fn all_hops(&self, trunk: usize) -> impl Iterator<Item = &Hop> {
        let site = self.trunks.get(trunk).into_iter();
        site.flat_map(|site| site.hops.iter().chain(&site.call_hops))
    }

    /// Where requests to a trunk went before it moved: calls under way are there still.
    pub(super) fn former(&self, trunk: usize) -> impl Iterator<Item = &Hop> {
        self.trunks
            .get(trunk)
            .into_iter()
            .flat_map(|site| &site.former)
    }

    /// Is this an address of one of its targets, or of its routes?
    pub(super) fn is_source(&self, trunk: usize, ip: IpAddr) -> bool {
        let site = self.trunks.get(trunk);
        site.is_some_and(|site| site.all_hops().any(|hop| hop.address.ip() == ip))
    }

    /// The addresses that a trunk has or had.
    pub(super) fn sources(&self) -> BTreeSet<IpAddr> {
        let sites = self.trunks.iter();
        let hops = sites.flat_map(|site| site.all_hops().chain(&site.former));
        hops.map(|hop| hop.address.ip().to_canonical()).collect()
    }

    /// Finds everything anew, until no answer that is known leads to another question.
    fn locate(&mut self, now: Instant) -> Moves {
        let mut moves = Moves::default();
        let mut wanted = BTreeSet::new();
        for (index, site) in self.trunks.iter_mut().enumerate() {
            let before = site.hops.clone();
            let relocations = site.locate(now, &self.cache, &mut wanted);
            moves.relocations.extend(relocations);
            if site.hops != before {
                moves.trunks.push(index);
            }
        }
        self.cache.want(now, &wanted);
        moves
    }
}

impl Site {
    fn locate(
        &mut self,
        now: Instant,
        cache: &Cache,
        wanted: &mut BTreeSet<Question>,
    ) -> Vec<Relocation> {
        let mut changed = Vec::new();
        let before: Vec<Hop> = self.all_hops().cloned().collect();
        let targets = self.targets.iter_mut().chain(&mut self.route);
        for target in targets.chain(&mut self.call_route) {
            let mut located = locate(now, &target.config, &self.means, cache);
            wanted.append(&mut located.wanted);
            if target.take(now, located) {
                changed.push(Relocation {
                    trunk: self.name.clone(),
                    target: target.config.to_string(),
                    state: target.state.clone(),
                    hops: target.hops.clone(),
                });
            }
        }
        let hops = self.used().iter().flat_map(|target| target.hops.clone());
        self.hops = hops.take(ADDRESSES_PER_TRUNK_MAX).collect();
        let hops = self.call_route.iter().flat_map(|route| route.hops.clone());
        self.call_hops = hops.take(ADDRESSES_PER_TRUNK_MAX).collect();
        self.remember(before);
        changed
    }

    /// The targets that requests go to.
    fn used(&self) -> &[Target] {
        match &self.route {
            Some(route) => std::slice::from_ref(route),
            None => &self.targets,
        }
    }

    fn all_hops(&self) -> impl Iterator<Item = &Hop> {
        let targets = self.targets.iter().chain(&self.route);
        targets
            .chain(&self.call_route)
            .flat_map(|target| &target.hops)
    }

    /// Notes which hops are no longer in use, and which are again.
    fn remember(&mut self, before: Vec<Hop>) {
        let now: BTreeSet<_> = self.all_hops().map(Hop::peer).collect();
        self.former.retain(|hop| !now.contains(&hop.peer()));
        let gone = before.into_iter().filter(|hop| !now.contains(&hop.peer()));
        self.former.extend(gone);
        while self.former.len() > FORMER_ADDRESSES_PER_TRUNK_MAX {
            self.former.pop_front();
        }
    }
}

impl Target {
    /// Takes what was found; true if that is worth a line in the log.
    fn take(&mut self, now: Instant, located: Located) -> bool {
        if located.is_waiting && !self.hops.is_empty() {
            // On its way to another place: until that is known, the old one is as good.
            return false;
        }
        let (hops, state) = match located {
            Located { is_off: true, .. } => (Vec::new(), SiteState::Off),
            Located {
                hops,
                is_waiting: true,
                ..
            } => (hops, SiteState::Unknown),
            Located { hops, trouble, .. } if !hops.is_empty() => {
                if trouble.is_none() || hops != self.hops {
                    self.as_of = now;
                }
                (hops, trouble.map_or(SiteState::Located, SiteState::Stale))
            }
            Located { trouble, .. } => {
                let reason = trouble.unwrap_or_default();
                if self.hops.is_empty() || now >= self.as_of + LOCATION_STALE_MAX {
                    (Vec::new(), SiteState::Lost(reason))
                } else {
                    (std::mem::take(&mut self.hops), SiteState::Stale(reason))
                }
            }
        };
        let has_moved = hops != self.hops && state == SiteState::Located;
        let is_other = std::mem::discriminant(&state) != std::mem::discriminant(&self.state);
        let is_said = has_moved || (is_other && state != SiteState::Unknown);
        self.hops = hops;
        self.state = state;
        is_said
    }
}
