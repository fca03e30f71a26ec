//! Verifying and decrypting what one peer sends.

use std::fmt;

use super::rtp::{self, RtpHeader};
use super::sources::{Slot, Sources};
use super::state::{self, Direction, RTCP_INDEX_MAX, RTP_INDEX_MAX, Reader};
use super::{Context, ImportError, SrtpError, SrtpEvent, SrtpOptions, SrtpState, Visitor, rtcp};
use crate::keys::MasterKey;
use crate::limits::ROLLOVER_RESET_PACKET_BYTES_MAX;

/// Verifies and decrypts what one peer sends to us.
pub struct SrtpReceiver {
    context: Context,
    rtcp_sources: Sources,
}

impl SrtpReceiver {
    /// Derives the session keys.
    ///
    /// # Errors
    /// [`SrtpError::BadKey`], which a [`MasterKey`] cannot cause.
    pub fn new(master: &MasterKey) -> Result<Self, SrtpError> {
        Self::with_options(master, SrtpOptions::default())
    }

    /// Derives the session keys.
    ///
    /// # Errors
    /// [`SrtpError::BadOptions`]; [`SrtpError::BadKey`], which a [`MasterKey`] cannot cause.
    pub fn with_options(master: &MasterKey, options: SrtpOptions) -> Result<Self, SrtpError> {
        Ok(Self {
            context: Context::new(master, options)?,
            rtcp_sources: Sources::new(&options),
        })
    }

    /// Shows what the next RTP packet needs.
    pub fn show_rtp(&self, visitor: &mut impl Visitor) {
        self.context.show_rtp(visitor);
    }

    /// Verifies and decrypts an SRTP packet, the whole slice, and returns the length of the RTP
    /// packet that it now begins with. After an error the content of the slice is undefined.
    ///
    /// # Errors
    /// `TooShort`, `BadVersion`, `TruncatedCsrcs`, `TruncatedExtension`, `EncryptedHeader`,
    /// `UnknownMki`, `AuthenticationFailed`, `PaddingTooLarge`, `Replayed`, `TooOld`,
    /// `KeyExhausted`.
    pub fn unprotect_rtp(&mut self, packet: &mut [u8]) -> Result<usize, SrtpError> {
        let context = &mut self.context;
        let header = RtpHeader::parse(packet, context.rtp.trailer_bytes())?;
        context.rtp_budget.check()?;
        let slot = context.sources.find(header.ssrc);
        if let Some(slot) = context.sources.expects_reset(slot) {
            return self.unprotect_around_reset(header, slot, packet);
        }
        let index = context.sources.index_of(slot, header.sequence)?;
        let length = rtp::unprotect(&mut context.rtp, header, index, packet)?;
        context.sources.commit(slot, header.ssrc, index);
        context.rtp_budget.spend(index);
        Ok(length)
    }

    /// As long as a signalled reset is awaited: the expected index first, then that of a source
    /// which started again with rollover counter 0.
    #[cold]
    fn unprotect_around_reset(
        &mut self,
        header: RtpHeader,
        slot: Slot,
        packet: &mut [u8],
    ) -> Result<usize, SrtpError> {
        let context = &mut self.context;
        let restarted = u64::from(header.sequence);
        match context.sources.index_of(Some(slot), header.sequence) {
            Ok(index) => {
                // A failed try may spoil the packet.
                let mut copy = [0; ROLLOVER_RESET_PACKET_BYTES_MAX];
                let mut kept = copy.get_mut(..packet.len()).filter(|_| index != restarted);
                if let Some(kept) = &mut kept {
                    kept.copy_from_slice(packet);
                }
                match (
                    rtp::unprotect(&mut context.rtp, header, index, packet),
                    kept,
                ) {
                    (Ok(length), _) => {
                        context.sources.commit(Some(slot), header.ssrc, index);
                        context.rtp_budget.spend(index);
                        return Ok(length);
                    }
                    (Err(SrtpError::AuthenticationFailed), Some(kept)) => {
                        packet.copy_from_slice(kept);
                    }
                    (Err(error), _) => return Err(error),
                }
            }
            Err(SrtpError::TooOld | SrtpError::KeyExhausted) => {}
            Err(error) => return Err(error),
        }
        let length = rtp::unprotect(&mut context.rtp, header, restarted, packet)?;
        context.sources.restart(slot, restarted);
        context.rtp_budget.spend(restarted);
        Ok(length)
    }

    /// Verifies and decrypts an SRTCP packet, the whole slice, and returns the length of the RTCP
    /// packet that it now begins with. After an error the content of the slice is undefined.
    ///
    /// # Errors
    /// `TooShort`, `BadVersion`, `NotEncrypted`, `UnexpectedEncryption`, `UnknownMki`,
    /// `AuthenticationFailed`, `Replayed`, `TooOld`, `KeyExhausted`.
    pub fn unprotect_rtcp(&mut self, packet: &mut [u8]) -> Result<usize, SrtpError> {
        let context = &mut self.context;
        let ssrc = rtcp::sender_ssrc(packet, rtcp::overhead_bytes(&context.rtcp))?;
        let index = rtcp::index(&context.rtcp, packet)?;
        context.rtcp_budget.check()?;
        let slot = self.rtcp_sources.find(ssrc);
        let restarted = match self.rtcp_sources.check(slot, index.into()) {
            Ok(()) => None,
            Err(SrtpError::TooOld) => {
                let slot = self.rtcp_sources.expects_reset(slot);
                Some(slot.ok_or(SrtpError::TooOld)?)
            }
            Err(error) => return Err(error),
        };
        let length = rtcp::unprotect(&context.rtcp, ssrc, index, packet)?;
        match restarted {
            None => self.rtcp_sources.commit(slot, ssrc, index.into()),
            Some(slot) => self.rtcp_sources.restart(slot, index.into()),
        }
        context.rtcp_budget.spend(index.into());
        Ok(length)
    }

    /// The peer has signalled a new start, as some do with a re-INVITE: its sources may go on, or
    /// begin again under the same key with rollover counter and RTCP index 0. Whichever packet is
    /// authentic first decides; if none begins again within
    /// [`ROLLOVER_RESET_PACKETS_MAX`](crate::limits::ROLLOVER_RESET_PACKETS_MAX) packets of a
    /// source, the expectation ends.
    ///
    /// Call it only on a signal: until then, packets that the source sent at its very beginning
    /// could be replayed, and a forged packet costs two tries.
    pub fn signal_rollover_reset(&mut self) {
        self.context.sources.expect_reset();
        self.rtcp_sources.expect_reset();
    }

    /// Lets a source of which nothing came yet begin with this rollover counter, which was
    /// signalled (RFC 3711 section 3.3.1).
    ///
    /// # Errors
    /// `SourceInUse`, `TooManySources`.
    pub fn start_source(&mut self, ssrc: u32, rollover_counter: u32) -> Result<(), SrtpError> {
        let sources = &mut self.context.sources;
        sources.start(ssrc.to_be_bytes(), rollover_counter)
    }

    /// Forgets a source that has left: what it sent could be replayed from now on.
    pub fn remove_source(&mut self, ssrc: u32) {
        self.context.sources.remove(ssrc.to_be_bytes());
        self.rtcp_sources.remove(ssrc.to_be_bytes());
    }

    /// The rollover counter of a source; `None` when it is unknown.
    #[must_use]
    pub fn rollover_counter(&self, ssrc: u32) -> Option<u32> {
        self.context.rollover_counter(ssrc)
    }

    /// What the owner should know; `None` when there is nothing more.
    pub fn poll_event(&mut self) -> Option<SrtpEvent> {
        self.context.poll_event()
    }

    /// The whole context, secrets and all, for another process that goes on in place of this one.
    #[must_use]
    pub fn export(&self) -> SrtpState {
        let head = self.context.head(Direction::Receiver);
        state::write(&head, &[&self.context.sources, &self.rtcp_sources])
    }

    /// The context that was exported. Packets that the exporter took afterwards would be taken
    /// once more.
    ///
    /// # Errors
    /// The bytes are not an exported receiver.
    pub fn import(state: &[u8]) -> Result<Self, ImportError> {
        let mut reader = Reader::new(state);
        let head = reader.head(Direction::Receiver)?;
        let mut receiver = Self {
            context: Context::restore(&head)?,
            rtcp_sources: Sources::new(&head.options),
        };
        reader.table(&mut receiver.context.sources, RTP_INDEX_MAX)?;
        reader.table(&mut receiver.rtcp_sources, RTCP_INDEX_MAX)?;
        reader.end()?;
        Ok(receiver)
    }
}

impl fmt::Debug for SrtpReceiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SrtpReceiver").finish_non_exhaustive()
    }
}
