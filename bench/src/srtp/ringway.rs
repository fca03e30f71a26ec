//! Our own SRTP.

use std::time::Instant;

use crypto::keys::{MasterKey, SrtpProfile};
use crypto::srtp::{SrtpError, SrtpReceiver, SrtpSender};

use super::Subject;
use super::batch::Batch;
use crate::Failure;

pub(super) struct Ringway {
    master: MasterKey,
    sender: SrtpSender,
    receiver: SrtpReceiver,
    sequence: u16,
}

impl Ringway {
    pub(super) fn new(suite: SrtpProfile) -> Result<Self, Failure> {
        let master = master_key(suite)?;
        Ok(Self {
            sender: SrtpSender::new(&master)?,
            receiver: SrtpReceiver::new(&master)?,
            master,
            sequence: 0,
        })
    }
}

/// Any key: it makes no difference to the time.
pub(super) fn master_key(suite: SrtpProfile) -> Result<MasterKey, Failure> {
    let key = vec![0xA7; suite.key_bytes()];
    let salt = vec![0x3C; suite.salt_bytes()];
    Ok(MasterKey::new(suite, &key, &salt)?)
}

impl Subject for Ringway {
    fn name(&self) -> &'static str {
        "ringway"
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
            if answer != Some(Err(SrtpError::AuthenticationFailed)) {
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
            let sender = SrtpSender::new(&self.master);
            let receiver = SrtpReceiver::new(&self.master);
            *place = Some((sender, receiver));
        }
        let ns = begun.elapsed().as_secs_f64() * 1e9 / f64::from(pairs);
        let complete = made
            .iter()
            .flatten()
            .all(|(sender, receiver)| sender.is_ok() && receiver.is_ok());
        Some(match complete {
            true => Ok(ns),
            false => Err("a context was not made".into()),
        })
    }
}
