//! Tells the operator, once for each, which pages were refused a WebSocket: browsers do not show the
//! reason to anybody.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use hyper::header::{self, HeaderMap};
use tracing::warn;

use crate::limits::{REFUSED_ORIGIN_CHARS_MAX, REFUSED_ORIGINS_MAX};

/// The origins that were named in the log.
#[derive(Debug, Default)]
pub(super) struct RefusedOrigins {
    named: Mutex<BTreeSet<String>>,
}

impl RefusedOrigins {
    /// Logs that a page with this `Origin` was refused, unless that has been said.
    pub(super) fn log(&self, headers: &HeaderMap) {
        let Some(origin) = self.unnamed(headers) else {
            return;
        };
        warn!(
            origin,
            "a page of another server may not open a WebSocket here: list it in `origins` of [web]"
        );
    }

    /// The origin, if it is a new one and the log has room for it.
    fn unnamed(&self, headers: &HeaderMap) -> Option<String> {
        let origin = headers.get(header::ORIGIN)?.to_str().ok()?;
        let origin: String = origin.chars().take(REFUSED_ORIGIN_CHARS_MAX).collect();
        // Whoever panicked here has left a whole set.
        let mut named = self.named.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = named.len() < REFUSED_ORIGINS_MAX && named.insert(origin.clone());
        is_new.then_some(origin)
    }
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    fn unnamed(refused: &RefusedOrigins, origin: &str) -> Option<String> {
        let mut headers = HeaderMap::new();
        headers.insert(header::ORIGIN, HeaderValue::from_str(origin).unwrap());
        refused.unnamed(&headers)
    }

    #[test]
    fn ux_g4_a_refused_origin_is_named_once() {
        let refused = RefusedOrigins::default();
        let origin = "https://app.example.com";
        assert_eq!(unnamed(&refused, origin).as_deref(), Some(origin));
        assert_eq!(unnamed(&refused, origin), None);
        assert!(unnamed(&refused, "https://other.example.com").is_some());
    }

    #[test]
    fn ux_g4_strangers_cannot_fill_the_log() {
        let refused = RefusedOrigins::default();
        let named = (0..10 * REFUSED_ORIGINS_MAX)
            .filter_map(|n| unnamed(&refused, &format!("https://{n}.example")))
            .count();
        assert_eq!(named, REFUSED_ORIGINS_MAX);
        let refused = RefusedOrigins::default();
        let long = unnamed(&refused, &"x".repeat(8000)).unwrap();
        assert_eq!(long.len(), REFUSED_ORIGIN_CHARS_MAX);
    }
}
