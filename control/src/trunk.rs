//! Carriers, as the brain sees them: who may speak for them, where requests to them go, and which
//! of their targets are alive.
//!
//! Targets are looked up in the DNS (`sites`, `locate`, `cache`), again and again while the process
//! runs. A request tries them one after the other ([`Attempt`]), best first (`select`, `health`):
//! after a connection that cannot be had, silence, or a 503, and after nothing else (RFC 3263
//! section 4.3).

pub(crate) mod authentication;
mod cache;
pub(crate) mod called;
pub mod dns;
pub mod health;
pub mod hop;
pub mod limits;
mod locate;
pub mod numbers;
pub(crate) mod registration;
pub mod select;
pub mod sites;
mod sources;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use self::health::{Condition, Failure, Health};
use self::hop::Hop;
use self::sites::Sites;

use crate::config::{Config, Dtmf, TrunkConfig};
use crate::engine::input::Peer;
use crate::limits::ATTEMPTS_MAX;
use crate::sdp::CodecPolicy;

/// What a trunk may be offered.
#[must_use]
pub fn codec_policy(trunk: &TrunkConfig) -> CodecPolicy {
    let video = if trunk.video {
        vec!["H264".to_owned()]
    } else {
        Vec::new()
    };
    CodecPolicy {
        audio: trunk.codecs.clone(),
        video,
        // With INFO it is only assumed that the trunk knows them.
        telephone_event: trunk.telephone_event || trunk.calls.dtmf == Dtmf::Info,
        ..CodecPolicy::trunk()
    }
}

/// The ways to one trunk that are left to a request, best first.
#[derive(Clone, Debug)]
pub struct Attempt {
    peers: VecDeque<Peer>,
    failover_after: Duration,
    has_answered: bool,
    is_ringing: bool,
    failed_with: Option<u16>,
}

impl Attempt {
    /// These ways, best first. Each but the last may be silent for so long.
    pub(crate) fn of(peers: impl IntoIterator<Item = Peer>, failover_after: Duration) -> Self {
        Self {
            peers: peers.into_iter().collect(),
            failover_after,
            has_answered: false,
            is_ringing: false,
            failed_with: None,
        }
    }

    /// Takes the next way. `None` if there is none left.
    pub fn take(&mut self) -> Option<Peer> {
        self.has_answered = false;
        self.is_ringing = false;
        self.peers.pop_front()
    }

    /// True if another way is left.
    #[must_use]
    pub fn has_more(&self) -> bool {
        !self.peers.is_empty()
    }

    /// How long the way that was taken may be silent. `None` for the last one, which has timer B.
    #[must_use]
    pub fn patience(&self) -> Option<Duration> {
        self.has_more().then_some(self.failover_after)
    }

    /// The way that was taken has answered with this status.
    pub fn heard(&mut self, status: u16) {
        self.has_answered = true;
        self.is_ringing |= (101..200).contains(&status);
    }

    /// May another way be tried after this failure? Not once it rings: the caller has heard of
    /// it. Nor after the 408 of a target that has answered.
    #[must_use]
    pub fn may_go_on(&self, status: u16) -> bool {
        let is_silent = status == 408 && !self.has_answered;
        self.has_more() && !self.is_ringing && (is_silent || status == 503)
    }

    /// Notes how a way failed, and returns the status that is said of all so far: the latest of
    /// the lowest class, and 6xx always (RFC 3261 section 16.7).
    pub fn note(&mut self, status: u16) -> u16 {
        let best = match self.failed_with {
            Some(best) if status < 600 && best / 100 < status / 100 => best,
            Some(_) | None => status,
        };
        self.failed_with = Some(best);
        best
    }
}

/// A target whose condition has changed, as logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetStatus {
    /// Name of the trunk.
    pub trunk: String,
    /// The target.
    pub peer: Peer,
    /// How it is now.
    pub condition: Condition,
}

/// What is known of the targets of all trunks.
#[derive(Debug)]
pub struct Trunks {
    config: Arc<Config>,
    sites: Sites,
    /// Of addresses that are known now, by trunk.
    health: BTreeMap<(usize, Peer), Health>,
    /// When those that are asked are asked next.
    probes: BTreeMap<(usize, Peer), Instant>,
}

impl Trunks {
    /// All targets are up, their names yet to be looked up; those that are to be asked whether they
    /// live are asked at once.
    #[must_use]
    pub fn new(config: Arc<Config>, now: Instant) -> Self {
        let mut trunks = Self {
            sites: Sites::new(&config, now),
            config,
            health: BTreeMap::new(),
            probes: BTreeMap::new(),
        };
        trunks.follow(now);
        trunks
    }

    /// When [`Trunks::due_probes`] wants to be called.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.probes.values().min().copied()
    }

    /// The targets that are to be asked now, each with its trunk and how long it may be silent.
    /// `spread` gives a number below 1000, another one each time: they are not asked in step.
    pub fn due_probes(
        &mut self,
        now: Instant,
        mut spread: impl FnMut() -> u32,
    ) -> Vec<(usize, Peer, Duration)> {
        let mut due = Vec::new();
        for ((index, peer), at) in self.probes.iter_mut().filter(|(_, at)| **at <= now) {
            let trunk = self.config.trunks.get(*index);
            let Some((trunk, every)) = trunk.and_then(|trunk| Some((trunk, trunk.probe?))) else {
                continue;
            };
            // Between 0.8 and 1.2 of the mean.
            *at = now + every * (800 + spread() * 2 / 5) / 1000;
            due.push((*index, *peer, trunk.failover_after.min(every / 2)));
        }
        due
    }

    /// The ways that a request to a trunk can take, best first: those that are up, then those that
    /// are down; without those that have asked for a pause. `user` names whose it is: a
    /// user's requests meet at one target while it is up.
    #[must_use]
    pub fn route(&self, now: Instant, trunk: usize, user: &str) -> Attempt {
        self.ways(now, trunk, user, self.sites.hops(trunk))
    }

    /// The same for a call, if calls have a way of their own.
    #[must_use]
    pub fn route_of_call(&self, now: Instant, trunk: usize, user: &str) -> Attempt {
        self.ways(now, trunk, user, self.sites.hops_of_calls(trunk))
    }

    fn ways(&self, now: Instant, trunk: usize, user: &str, hops: &[Hop]) -> Attempt {
        let mut ways: Vec<(Condition, &Hop, Peer)> = Vec::new();
        let config = self.config.trunks.get(trunk);
        for hop in hops {
            let peer = hop.peer();
            let condition = self.condition(now, (trunk, peer));
            let is_new = ways.iter().all(|(_, _, other)| *other != peer);
            if is_new && condition != Condition::Refuses {
                ways.push((condition, hop, peer));
            }
        }
        hop::order(&mut ways, user, |(_, hop, _)| hop);
        // Stable: the order of those that are up stays.
        ways.sort_by_key(|(condition, _, _)| *condition);
        ways.truncate(ATTEMPTS_MAX);
        let peers = ways.into_iter().map(|(_, _, peer)| peer);
        let failover_after = config.map(|c| c.failover_after);
        Attempt::of(peers, failover_after.unwrap_or_default())
    }

    /// Where a request that is no call goes: the best target. `None` if there is none that takes
    /// requests.
    #[must_use]
    pub fn best(&self, now: Instant, trunk: usize, user: &str) -> Option<Peer> {
        self.route(now, trunk, user).take()
    }

    /// A target has answered. Returns its condition if that has changed.
    pub fn answered(&mut self, now: Instant, peer: Peer) -> Option<TargetStatus> {
        self.change(now, peer, |health, _| health.answered())
    }

    /// A target has not answered, or cannot be reached. Returns its condition if that has
    /// changed.
    pub fn silent(&mut self, now: Instant, peer: Peer) -> Option<TargetStatus> {
        self.change(now, peer, |health, trunk| {
            // One that is asked stays down until it answers.
            let asked = trunk.probe.map_or(Duration::ZERO, |every| every * 2);
            health.failed(now, Failure::Silent(trunk.down_for.max(asked)));
        })
    }

    /// A target wants no requests for so long. Returns its condition if that has changed.
    pub fn refused(&mut self, now: Instant, peer: Peer, pause: Duration) -> Option<TargetStatus> {
        self.change(now, peer, |health, _| {
            health.failed(now, Failure::Unavailable(pause));
        })
    }

    fn condition(&self, now: Instant, key: (usize, Peer)) -> Condition {
        let health = self.health.get(&key);
        health.map_or(Condition::Up, |health| health.condition(now))
    }

    /// Changes what is known of a target of any trunk.
    fn change(
        &mut self,
        now: Instant,
        peer: Peer,
        change: impl Fn(&mut Health, &TrunkConfig),
    ) -> Option<TargetStatus> {
        let mut changed = None;
        for (index, trunk) in self.config.trunks.iter().enumerate() {
            let Some(peer) = self.way_to(index, peer) else {
                continue;
            };
            let health = self.health.entry((index, peer)).or_default();
            let before = health.condition(now);
            change(health, trunk);
            let condition = health.condition(now);
            if condition != before {
                let trunk = trunk.name.clone();
                changed = Some(TargetStatus {
                    trunk,
                    peer,
                    condition,
                });
            }
        }
        changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt(count: u16) -> Attempt {
        let peer = |last| Peer::Udp(([192, 0, 2, 1], 5060 + last).into());
        Attempt::of((0..count).map(peer), Duration::from_secs(6))
    }

    #[test]
    fn c13_the_best_answer_is_the_latest_of_the_lowest_class() {
        let cases = [
            (vec![503, 408], 408),
            (vec![408, 503], 408),
            (vec![408, 486], 486),
            (vec![503, 500], 500),
            (vec![408, 302], 302),
            (vec![408, 603], 603),
        ];
        for (statuses, best) in cases {
            let mut attempt = attempt(1);
            let noted = statuses.iter().map(|status| attempt.note(*status));
            assert_eq!(noted.last(), Some(best), "{statuses:?}");
        }
    }

    #[test]
    fn c14_only_silence_and_503_lead_to_another_target() {
        let mut attempt = attempt(3);
        attempt.take();
        for status in [302, 404, 486, 500, 504, 600, 603] {
            assert!(!attempt.may_go_on(status), "{status}");
        }
        assert!(attempt.may_go_on(503) && attempt.may_go_on(408));
        attempt.heard(100);
        assert!(attempt.may_go_on(503) && !attempt.may_go_on(408));
        attempt.heard(180);
        assert!(!attempt.may_go_on(503));
        attempt.take();
        assert!(attempt.may_go_on(408), "the next one starts afresh");
        attempt.take();
        assert!(!attempt.may_go_on(503), "it is the last");
    }
}
