//! Protecting what we send.

use std::fmt;

use super::rtp::{self, RtpHeader};
use super::state::{self, Direction, RTP_INDEX_MAX, Reader};
use super::{Context, ImportError, SrtpError, SrtpEvent, SrtpOptions, SrtpState, Visitor, rtcp};
use crate::keys::MasterKey;

/// Protects what we send to one peer.
pub struct SrtpSender {
    /// The RTCP packets spent are the next RTCP index: one count for all sources. So it is distinct
    /// for each, as RFC 3711 section 3.4 wants, and the limit is one of the key.
    context: Context,
}

impl SrtpSender {
    /// Derives the session keys.
    ///
    /// # Errors
    /// [`SrtpError::BadKey`], which a [`MasterKey`] cannot cause.
    pub fn new(master: &MasterKey) -> Result<Self, SrtpError> {
        Self::with_options(master, SrtpOptions::default())
    }

    /// Derives the session keys. The peer's replay window does not matter here: this one says how
    /// far out of order numbers may come and still be protected.
    ///
    /// # Errors
    /// [`SrtpError::BadOptions`]; [`SrtpError::BadKey`], which a [`MasterKey`] cannot cause.
    pub fn with_options(master: &MasterKey, options: SrtpOptions) -> Result<Self, SrtpError> {
        let context = Context::new(master, options)?;
        Ok(Self { context })
    }

    /// Shows what the next RTP packet needs.
    pub fn show_rtp(&self, visitor: &mut impl Visitor) {
        self.context.show_rtp(visitor);
    }

    /// Protects the RTP packet in the first `length` bytes and returns its new length: longer by
    /// [`rtp_overhead_bytes`](Self::rtp_overhead_bytes), for which the buffer has room.
    ///
    /// Sequence numbers may come out of order, but none twice.
    ///
    /// # Errors
    /// `TooShort`, `BadVersion`, `TruncatedCsrcs`, `TruncatedExtension`, `EncryptedHeader`,
    /// `PaddingTooLarge`, `NoRoom`, `Replayed`, `TooOld`, `KeyExhausted`, `TooManySources`.
    pub fn protect_rtp(&mut self, buffer: &mut [u8], length: usize) -> Result<usize, SrtpError> {
        let context = &mut self.context;
        let packet = buffer.get(..length).ok_or(SrtpError::NoRoom)?;
        let header = RtpHeader::parse(packet, 0)?;
        header.check_padding(packet)?;
        if buffer.len() - length < context.rtp.trailer_bytes() {
            return Err(SrtpError::NoRoom);
        }
        context.rtp_budget.check()?;
        let slot = context.sources.find(header.ssrc);
        if slot.is_none() && context.sources.is_full() {
            return Err(SrtpError::TooManySources);
        }
        let index = context.sources.index_of(slot, header.sequence)?;
        let total = rtp::protect(&context.rtp, header, index, buffer, length)?;
        context.sources.commit(slot, header.ssrc, index);
        context.rtp_budget.spend(index);
        Ok(total)
    }

    /// Protects the RTCP packet in the first `length` bytes and returns its new length: longer by
    /// [`rtcp_overhead_bytes`](Self::rtcp_overhead_bytes), for which the buffer has room.
    ///
    /// # Errors
    /// `TooShort`, `BadVersion`, `NoRoom`, `KeyExhausted`.
    pub fn protect_rtcp(&mut self, buffer: &mut [u8], length: usize) -> Result<usize, SrtpError> {
        let context = &mut self.context;
        let packet = buffer.get(..length).ok_or(SrtpError::NoRoom)?;
        let ssrc = rtcp::sender_ssrc(packet, 0)?;
        if buffer.len() - length < rtcp::overhead_bytes(&context.rtcp) {
            return Err(SrtpError::NoRoom);
        }
        context.rtcp_budget.check()?;
        let index = u32::try_from(context.rtcp_budget.spent());
        let index = index.map_err(|_| SrtpError::KeyExhausted)?;
        let total = rtcp::protect(&context.rtcp, ssrc, index, buffer, length)?;
        context.rtcp_budget.spend(index.into());
        Ok(total)
    }

    /// Bytes that protection adds to an RTP packet: tag and identifier.
    #[must_use]
    pub fn rtp_overhead_bytes(&self) -> usize {
        self.context.rtp.trailer_bytes()
    }

    /// Bytes that protection adds to an RTCP packet: tag, index and identifier.
    #[must_use]
    pub fn rtcp_overhead_bytes(&self) -> usize {
        rtcp::overhead_bytes(&self.context.rtcp)
    }

    /// Lets a source that has sent nothing yet begin with this rollover counter, which the peer
    /// was told (RFC 3711 section 3.3.1). There is no way to set that of a source in use: the
    /// same index would encrypt twice.
    ///
    /// # Errors
    /// `SourceInUse`, `TooManySources`.
    pub fn start_source(&mut self, ssrc: u32, rollover_counter: u32) -> Result<(), SrtpError> {
        let sources = &mut self.context.sources;
        sources.start(ssrc.to_be_bytes(), rollover_counter)
    }

    /// The rollover counter of a source; `None` when it is unknown.
    #[must_use]
    pub fn rollover_counter(&self, ssrc: u32) -> Option<u32> {
        self.context.rollover_counter(ssrc)
    }

    /// Passes over as many RTCP indices: after an import, those that the exporter may have used
    /// since. Beyond the last index there is only `KeyExhausted`.
    pub fn skip_rtcp_indices(&mut self, count: u32) {
        self.context.rtcp_budget.advance(count.into());
    }

    /// What the owner should know; `None` when there is nothing more.
    pub fn poll_event(&mut self) -> Option<SrtpEvent> {
        self.context.poll_event()
    }

    /// The whole context, secrets and all, for another process that goes on in place of this one.
    /// After that this one must not protect anything any more, or two packets have the same index.
    #[must_use]
    pub fn export(&self) -> SrtpState {
        let head = self.context.head(Direction::Sender);
        state::write(&head, &[&self.context.sources])
    }

    /// The context that was exported.
    ///
    /// Where the exporter may have gone on afterwards, RTP packets that it had sent must not be
    /// protected again, and its RTCP is passed over with
    /// [`skip_rtcp_indices`](Self::skip_rtcp_indices).
    ///
    /// # Errors
    /// The bytes are not an exported sender.
    pub fn import(state: &[u8]) -> Result<Self, ImportError> {
        let mut reader = Reader::new(state);
        let head = reader.head(Direction::Sender)?;
        let mut context = Context::restore(&head)?;
        reader.table(&mut context.sources, RTP_INDEX_MAX)?;
        reader.end()?;
        Ok(Self { context })
    }
}

impl fmt::Debug for SrtpSender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SrtpSender").finish_non_exhaustive()
    }
}
