//! Who may connect: limits on all connections and on those of one source.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::rate::TokenBucket;
use crate::limits::SOURCES_MAX;

/// Counts connections, and how fast they come.
#[derive(Debug)]
pub(super) struct Admission {
    connections_max: usize,
    per_source_max: usize,
    per_second: u32,
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
}

/// One admitted connection; dropping it makes room.
#[derive(Debug)]
pub(super) struct Admitted {
    admission: Arc<Admission>,
    source: IpAddr,
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
    pub(super) fn new(connections_max: usize, per_source_max: usize, per_second: u32) -> Self {
        Self {
            connections_max,
            per_source_max,
            per_second,
            state: Mutex::default(),
        }
    }

    /// Counts a new connection in, if there is room for it.
    pub(super) fn admit(self: &Arc<Self>, ip: IpAddr, now: Instant) -> Result<Admitted, Overload> {
        let source = source_of(ip);
        let mut state = self.state();
        if state.connections >= self.connections_max {
            return Err(Overload::Connections);
        }
        if state.sources.len() >= SOURCES_MAX {
            state
                .sources
                .retain(|_, s| s.connections > 0 || !s.bucket.is_full(now));
        }
        if state.sources.len() >= SOURCES_MAX && !state.sources.contains_key(&source) {
            return Err(Overload::Connections);
        }
        let entry = state.sources.entry(source).or_insert_with(|| Source {
            connections: 0,
            bucket: TokenBucket::new(self.per_second, self.per_second, now),
        });
        if entry.connections >= self.per_source_max {
            return Err(Overload::ConnectionsOfSource);
        }
        if entry.bucket.take(now).is_err() {
            return Err(Overload::RateOfSource);
        }
        entry.connections += 1;
        state.connections += 1;
        Ok(Admitted {
            admission: Arc::clone(self),
            source,
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing in the critical sections leaves the counts half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        let mut state = self.admission.state();
        state.connections = state.connections.saturating_sub(1);
        if let Some(source) = state.sources.get_mut(&self.source) {
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
    use std::time::Duration;

    use super::super::clock;
    use super::*;

    #[test]
    fn counts_connections_of_a_source_and_of_all() {
        let now = clock::now();
        let admission = Arc::new(Admission::new(3, 2, 100));
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
        let admission = Arc::new(Admission::new(100, 100, 2));
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
}
