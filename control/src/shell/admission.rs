//! Who may connect: limits on all connections and on those of one source.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use crate::limits::SOURCES_MAX;
use crate::rate::TokenBucket;

/// What one source may do.
#[derive(Clone, Copy, Debug)]
pub(super) struct SourceLimits {
    /// Connections at a time.
    pub(super) connections_max: usize,
    /// New connections per second.
    pub(super) connections_per_second: u32,
    /// Messages per second on all its connections together.
    pub(super) messages_per_second: u32,
}

/// Counts connections, and how fast they and their messages come.
#[derive(Debug)]
pub(super) struct Admission {
    connections_max: usize,
    limits: SourceLimits,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    connections: usize,
    sources: HashMap<IpAddr, Source>,
}

#[derive(Debug)]
struct Source {
    connections: usize,
    bucket: TokenBucket,
    messages: MessageRate,
}

/// How fast the messages of one source come, over all its connections.
#[derive(Clone, Debug)]
pub(super) struct MessageRate(Arc<Mutex<TokenBucket>>);

impl MessageRate {
    /// Lets one message pass, or says after what time it may.
    pub(super) fn take(&self, now: Instant) -> Result<(), Duration> {
        let mut bucket = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        bucket.take(now)
    }
}

/// One admitted connection; dropping it makes room.
#[derive(Debug)]
pub(super) struct Admitted {
    admission: Arc<Admission>,
    /// Whom it counts for; unknown while only a trusted hop is.
    source: OnceLock<(IpAddr, MessageRate)>,
}

/// Why a connection is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Overload {
    /// There are as many connections as there may be.
    Connections,
    /// There are as many from this source as there may be.
    ConnectionsOfSource,
    /// They come too fast from this source.
    RateOfSource,
}

impl Admission {
    pub(super) fn new(connections_max: usize, limits: SourceLimits) -> Self {
        Self {
            connections_max,
            limits,
            state: Mutex::default(),
        }
    }

    /// Counts a new connection in, if there is room for it.
    pub(super) fn admit(self: &Arc<Self>, ip: IpAddr, now: Instant) -> Result<Admitted, Overload> {
        let admitted = self.admit_hop()?;
        admitted.attribute(ip, now)?;
        Ok(admitted)
    }

    /// Counts a connection in whose source a trusted hop will tell.
    pub(super) fn admit_hop(self: &Arc<Self>) -> Result<Admitted, Overload> {
        let mut state = self.state();
        if state.connections >= self.connections_max {
            return Err(Overload::Connections);
        }
        state.connections += 1;
        Ok(Admitted {
            admission: Arc::clone(self),
            source: OnceLock::new(),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing in the critical sections leaves the counts half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Admitted {
    /// Counts the connection for its source, once it is known; later calls change nothing.
    pub(super) fn attribute(&self, ip: IpAddr, now: Instant) -> Result<MessageRate, Overload> {
        let (source, limits) = (source_of(ip), &self.admission.limits);
        let mut state = self.admission.state();
        if let Some((_, messages)) = self.source.get() {
            return Ok(messages.clone());
        }
        if state.sources.len() >= SOURCES_MAX {
            state
                .sources
                .retain(|_, s| s.connections > 0 || !s.bucket.is_full(now));
        }
        if state.sources.len() >= SOURCES_MAX && !state.sources.contains_key(&source) {
            return Err(Overload::Connections);
        }
        let entry = state.sources.entry(source).or_insert_with(|| {
            let (connections, messages) =
                (limits.connections_per_second, limits.messages_per_second);
            let messages = TokenBucket::new(messages, messages.saturating_mul(2), now);
            Source {
                connections: 0,
                bucket: TokenBucket::new(connections, connections, now),
                messages: MessageRate(Arc::new(Mutex::new(messages))),
            }
        });
        if entry.connections >= limits.connections_max {
            return Err(Overload::ConnectionsOfSource);
        }
        if entry.bucket.take(now).is_err() {
            return Err(Overload::RateOfSource);
        }
        entry.connections += 1;
        let (_, messages) = self.source.get_or_init(|| (source, entry.messages.clone()));
        Ok(messages.clone())
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        let mut state = self.admission.state();
        state.connections = state.connections.saturating_sub(1);
        if let Some((source, _)) = self.source.get()
            && let Some(source) = state.sources.get_mut(source)
        {
            source.connections = source.connections.saturating_sub(1);
        }
    }
}

/// An IPv6 host owns its whole /64.
fn source_of(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V4(ip) => IpAddr::V4(ip),
        IpAddr::V6(ip) => IpAddr::V6((ip.to_bits() & !u128::from(u64::MAX)).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::clock;
    use super::*;

    fn admission(connections_max: usize, of_source: usize, per_second: u32) -> Arc<Admission> {
        let limits = SourceLimits {
            connections_max: of_source,
            connections_per_second: per_second,
            messages_per_second: 2,
        };
        Arc::new(Admission::new(connections_max, limits))
    }

    #[test]
    fn counts_connections_of_a_source_and_of_all() {
        let now = clock::now();
        let admission = admission(3, 2, 100);
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        let first = admission.admit(ip("2001:db8::1"), now).unwrap();
        let _second = admission.admit(ip("2001:db8::2"), now).unwrap();
        let third = admission.admit(ip("2001:db8::3"), now);
        assert_eq!(third.unwrap_err(), Overload::ConnectionsOfSource);
        let _other = admission.admit(ip("192.0.2.1"), now).unwrap();
        assert_eq!(
            admission.admit(ip("192.0.2.2"), now).unwrap_err(),
            Overload::Connections
        );
        drop(first);
        assert!(admission.admit(ip("2001:db8::4"), now).is_ok());
    }

    #[test]
    fn slows_a_source_that_comes_too_fast() {
        let now = clock::now();
        let admission = admission(100, 100, 2);
        let ip = IpAddr::from([192, 0, 2, 1]);
        drop(admission.admit(ip, now).unwrap());
        drop(admission.admit(ip, now).unwrap());
        assert_eq!(
            admission.admit(ip, now).unwrap_err(),
            Overload::RateOfSource
        );
        assert!(
            admission
                .admit(ip, now + Duration::from_millis(501))
                .is_ok()
        );
    }

    #[test]
    fn w25_a_connection_of_a_trusted_hop_counts_for_whom_it_speaks() {
        let now = clock::now();
        let admission = admission(10, 1, 100);
        let client = IpAddr::from([203, 0, 113, 7]);
        let first = admission.admit_hop().unwrap();
        let second = admission.admit_hop().unwrap();
        first.attribute(client, now).unwrap();
        first.attribute(client, now).unwrap();
        let refused = second.attribute(client, now).unwrap_err();
        assert_eq!(refused, Overload::ConnectionsOfSource);
        drop(first);
        second.attribute(client, now).unwrap();
        drop(second);
        assert_eq!(admission.state().connections, 0);
        assert_eq!(admission.state().sources[&client].connections, 0);
    }

    #[test]
    fn messages_of_all_connections_of_a_source_count_together() {
        let now = clock::now();
        let admission = admission(10, 10, 100);
        let attributed = |ip: IpAddr| {
            let admitted = admission.admit_hop().unwrap();
            let rate = admitted.attribute(ip, now).unwrap();
            (admitted, rate)
        };
        let (_a, first) = attributed(IpAddr::from([192, 0, 2, 1]));
        let (_b, second) = attributed(IpAddr::from([192, 0, 2, 1]));
        let (_c, other) = attributed(IpAddr::from([192, 0, 2, 2]));
        for rate in [&first, &second, &first, &second] {
            assert_eq!(rate.take(now), Ok(()));
        }
        assert!(first.take(now).is_err() && second.take(now).is_err());
        assert_eq!(other.take(now), Ok(()));
    }
}
