//! How many packets a key may still protect (RFC 3711 section 9.2).

use super::SrtpError;
use crate::limits::RTP_PACKETS_PER_KEY_MAX;

/// An index from which on the rollovers of a source come to an end.
const INDEX_WARNING: u64 = RTP_PACKETS_PER_KEY_MAX / 4 * 3;

/// Counts the packets under one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct KeyBudget {
    spent: u64,
    max: u64,
    warning: Warning,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Warning {
    NotYet,
    Due,
    Given,
}

impl KeyBudget {
    /// A budget of `limit` packets, or of the negotiated lifetime if that is less.
    pub(super) fn new(limit: u64, lifetime: Option<u64>) -> Self {
        Self {
            spent: 0,
            max: lifetime.unwrap_or(limit).min(limit),
            warning: Warning::NotYet,
        }
    }

    pub(super) fn spent(&self) -> u64 {
        self.spent
    }

    /// Whether one more packet is allowed.
    pub(super) fn check(&self) -> Result<(), SrtpError> {
        match self.spent < self.max {
            true => Ok(()),
            false => Err(SrtpError::KeyExhausted),
        }
    }

    /// One packet with this index was protected or verified.
    pub(super) fn spend(&mut self, index: u64) {
        self.advance(1);
        if index >= INDEX_WARNING {
            self.warn();
        }
    }

    /// As many packets more are spent, at most all that are left.
    pub(super) fn advance(&mut self, packets: u64) {
        self.spent = self.spent.saturating_add(packets).min(self.max);
        if self.spent >= self.max - self.max / 4 {
            self.warn();
        }
    }

    /// Whether the end is near; `true` once.
    pub(super) fn take_warning(&mut self) -> bool {
        let due = self.warning == Warning::Due;
        if due {
            self.warning = Warning::Given;
        }
        due
    }

    fn warn(&mut self) {
        if self.warning == Warning::NotYet {
            self.warning = Warning::Due;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warns_once_at_three_quarters_and_refuses_at_the_limit() {
        let mut budget = KeyBudget::new(1 << 48, Some(8));
        for packet in 1..=8 {
            assert_eq!(budget.check(), Ok(()));
            budget.spend(packet);
            assert_eq!(budget.take_warning(), packet == 6, "{packet}");
        }
        assert_eq!(budget.check(), Err(SrtpError::KeyExhausted));
        budget.advance(u64::MAX);
        assert_eq!(budget.spent(), 8);
    }

    #[test]
    fn a_lifetime_beyond_the_limit_changes_nothing() {
        assert_eq!(KeyBudget::new(16, Some(1 << 60)), KeyBudget::new(16, None));
    }

    #[test]
    fn rollovers_that_come_to_an_end_warn_too() {
        let mut budget = KeyBudget::new(1 << 48, None);
        budget.spend(INDEX_WARNING - 1);
        assert!(!budget.take_warning());
        budget.spend(INDEX_WARNING);
        assert!(budget.take_warning());
    }
}
