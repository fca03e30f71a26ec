//! Debian's libsrtp2.

use std::time::Instant;

use crypto::keys::SrtpProfile;
use libsrtp::{Direction, Policy, Session, Status, Suite};

use super::Subject;
use super::batch::Batch;
use crate::Failure;

pub(super) struct Libsrtp2 {
    suite: Suite,
    sender: Session,
    receiver: Session,
    sequence: u16,
}

impl Libsrtp2 {
    pub(super) fn new(suite: SrtpProfile) -> Result<Self, Failure> {
        let suite = their_suite(suite);
        Ok(Self {
            suite,
            sender: session(suite, Direction::Outbound)?,
            receiver: session(suite, Direction::Inbound)?,
            sequence: 0,
        })
    }
}

/// A session with any key and the replay window that we have by default.
pub(super) fn session(suite: Suite, direction: Direction) -> Result<Session, Failure> {
    let (key_bytes, salt_bytes) = suite.key_and_salt_bytes();
    Ok(Session::new(&Policy {
        suite,
        key: &vec![0xA7; key_bytes],
        salt: &vec![0x3C; salt_bytes],
        mki: &[],
        window_packets: 128,
        direction,
        source: None,
    })?)
}

pub(super) const fn their_suite(suite: SrtpProfile) -> Suite {
    match suite {
        SrtpProfile::AesCm128HmacSha1_80 => Suite::AesCm128HmacSha1_80,
        SrtpProfile::AesCm128HmacSha1_32 => Suite::AesCm128HmacSha1_32,
        SrtpProfile::AesCm192HmacSha1_80 => Suite::AesCm192HmacSha1_80,
        SrtpProfile::AesCm192HmacSha1_32 => Suite::AesCm192HmacSha1_32,
        SrtpProfile::AesCm256HmacSha1_80 => Suite::AesCm256HmacSha1_80,
        SrtpProfile::AesCm256HmacSha1_32 => Suite::AesCm256HmacSha1_32,
        SrtpProfile::AeadAes128Gcm => Suite::AeadAes128Gcm,
        SrtpProfile::AeadAes256Gcm => Suite::AeadAes256Gcm,
        SrtpProfile::NullHmacSha1_80 => Suite::NullHmacSha1_80,
        SrtpProfile::NullHmacSha1_32 => Suite::NullHmacSha1_32,
    }
}

impl Subject for Libsrtp2 {
    fn name(&self) -> &'static str {
        "libsrtp2"
    }

    fn sequence(&mut self) -> &mut u16 {
        &mut self.sequence
    }

    fn protect(&mut self, batch: &mut Batch) -> Result<(), Failure> {
        let length = batch.plain_bytes();
        for place in batch.places() {
            self.sender.protect_rtp(place, length)?;
        }
        Ok(())
    }

    fn unprotect(&mut self, batch: &mut Batch) -> Result<(), Failure> {
        let length = batch.protected_bytes();
        for place in batch.places() {
            let packet = place.get_mut(..length).ok_or("a place is too small")?;
            self.receiver.unprotect_rtp(packet)?;
        }
        Ok(())
    }

    fn refuse(&mut self, batch: &mut Batch) -> Option<Result<(), Failure>> {
        let length = batch.protected_bytes();
        for place in batch.places() {
            let answer = place
                .get_mut(..length)
                .map(|packet| self.receiver.unprotect_rtp(packet));
            let refused = [Status::AUTHENTICATION_FAILED, Status::CIPHER_FAILED];
            if !refused.iter().any(|status| answer == Some(Err(*status))) {
                return Some(Err(format!("forged packet: {answer:?}").into()));
            }
        }
        Some(Ok(()))
    }

    #[expect(clippy::disallowed_methods, reason = "the shell reads the clock")]
    fn set_up_ns(&self, pairs: u32) -> Option<Result<f64, Failure>> {
        let mut made = Vec::new();
        made.resize_with(pairs as usize, || None);
        let begun = Instant::now();
        for place in &mut made {
            let sender = session(self.suite, Direction::Outbound);
            let receiver = session(self.suite, Direction::Inbound);
            *place = Some((sender, receiver));
        }
        let ns = begun.elapsed().as_secs_f64() * 1e9 / f64::from(pairs);
        let complete = made
            .iter()
            .flatten()
            .all(|(sender, receiver)| sender.is_ok() && receiver.is_ok());
        Some(match complete {
            true => Ok(ns),
            false => Err("a session was not made".into()),
        })
    }
}
