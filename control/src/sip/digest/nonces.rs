//! Nonces that prove themselves, and what they were used for.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use aws_lc_rs::{constant_time, hmac};

use crate::hex::hex;
use crate::sip::limits::{NONCE_LIFETIME, NONCE_SKEW_S, NONCES_USED_MAX};

/// What a nonce is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NonceState {
    /// Made here for this realm, and not older than [`NONCE_LIFETIME`].
    Fresh,
    /// Made here, but old, or used so far already: challenge again with `stale=true`.
    Stale,
    /// Not made here.
    Foreign,
}

/// Makes and checks nonces. Each carries its time, a serial number and a MAC, so that those that
/// were made need not be remembered; of those that were used, the highest nonce count is, so that
/// nothing can be replayed (RFC 7616 section 3.4).
pub struct Nonces {
    key: hmac::Key,
    serial: u64,
    /// Time and serial number of each used nonce, and its highest count.
    used: BTreeMap<(u64, u64), u32>,
    /// Nonces up to this one are not taken any more: their counts have been forgotten.
    forgotten: (u64, u64),
}

impl fmt::Debug for Nonces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Nonces").finish_non_exhaustive()
    }
}

impl Nonces {
    /// Takes the secret of the MAC.
    #[must_use]
    pub fn new(secret: &[u8; 32]) -> Self {
        Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, secret),
            serial: 0,
            used: BTreeMap::new(),
            forgotten: (0, 0),
        }
    }

    /// Makes a nonce. `now` is any clock that both calls share, for example the Unix time.
    #[must_use]
    pub fn make(&mut self, now: Duration, realm: &str) -> String {
        self.serial += 1;
        let name = format!("{:016x}{:016x}", now.as_secs(), self.serial);
        let mac = self.mac(&name, realm);
        name + &mac
    }

    /// Uses a fresh nonce up to this count. Stale if it was used so far already, or so long ago
    /// that nobody knows.
    pub fn count(&mut self, nonce: &str, nc: u32, now: Duration, realm: &str) -> NonceState {
        let state = self.check(nonce, now, realm);
        let Some(name) = name_of(nonce).filter(|_| state == NonceState::Fresh) else {
            return state;
        };
        let oldest = now.as_secs().saturating_sub(NONCE_LIFETIME.as_secs());
        self.used = self.used.split_off(&(oldest, 0));
        if self.used.get(&name).is_some_and(|last| nc <= *last) || nc == 0 {
            return NonceState::Stale;
        }
        if self.used.len() >= NONCES_USED_MAX
            && !self.used.contains_key(&name)
            && let Some((first, _)) = self.used.pop_first()
        {
            self.forgotten = self.forgotten.max(first);
        }
        if name <= self.forgotten {
            return NonceState::Stale;
        }
        self.used.insert(name, nc);
        NonceState::Fresh
    }

    /// Checks a nonce.
    #[must_use]
    pub fn check(&self, nonce: &str, now: Duration, realm: &str) -> NonceState {
        let Some((name, mac)) = nonce.split_at_checked(NONCE_NAME_LENGTH) else {
            return NonceState::Foreign;
        };
        let expected = self.mac(name, realm);
        let is_ours =
            constant_time::verify_slices_are_equal(mac.as_bytes(), expected.as_bytes()).is_ok();
        let Some(name) = name_of(nonce).filter(|_| is_ours) else {
            return NonceState::Foreign;
        };
        let (made_s, _) = name;
        let now_s = now.as_secs();
        let is_fresh = made_s <= now_s.saturating_add(NONCE_SKEW_S)
            && now_s.saturating_sub(made_s) <= NONCE_LIFETIME.as_secs();
        if is_fresh && name > self.forgotten {
            NonceState::Fresh
        } else {
            NonceState::Stale
        }
    }

    /// Returns the count of nonces whose use is remembered, at most [`NONCES_USED_MAX`].
    #[must_use]
    pub fn remembered(&self) -> usize {
        self.used.len()
    }

    fn mac(&self, name: &str, realm: &str) -> String {
        let tag = hmac::sign(&self.key, format!("{name}\n{realm}").as_bytes());
        hex(tag.as_ref().get(..16).unwrap_or_default())
    }
}

/// Characters of time and serial number in a nonce.
const NONCE_NAME_LENGTH: usize = 32;

/// Time and serial number of a nonce.
fn name_of(nonce: &str) -> Option<(u64, u64)> {
    let time = u64::from_str_radix(nonce.get(..16)?, 16).ok()?;
    let serial = u64::from_str_radix(nonce.get(16..NONCE_NAME_LENGTH)?, 16).ok()?;
    Some((time, serial))
}
