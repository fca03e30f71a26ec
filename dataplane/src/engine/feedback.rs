//! Feedback and goodbyes from one leg, told in the numbers of the other leg: translated in place.
//!
//! NACK, PLI, FIR and REMB pass if the other leg has negotiated them, BYE always. What speaks of a
//! stream that the other leg does not know is taken out; so are APP, XR and transport-wide
//! feedback, which nobody negotiates with us.

use crate::link::Feedback;
use crate::wire::rtcp::{
    FORMAT_APPLICATION, FORMAT_FIR, FORMAT_NACK, FORMAT_PLI, GOODBYE, HEADER_BYTES,
    PAYLOAD_FEEDBACK, RECEIVER_REPORT, RtcpHeader, SENDER_REPORT, SOURCE_DESCRIPTION,
    TRANSPORT_FEEDBACK, finish,
};
use crate::wire::{read_u16, read_u32, write};

/// Where the list of streams begins in REMB, and what stands before it.
const REMB_STREAMS_AT: usize = 20;
const REMB_NAME: u32 = 0x5245_4D42;

/// A stream that comes from the one who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OutgoingStream {
    /// As the speaker names it.
    pub(super) incoming_ssrc: u32,
    /// As the other leg knows it.
    pub(super) outgoing_ssrc: u32,
}

/// A stream that the one who speaks receives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ReportedStream {
    /// As the receiver knows it.
    pub(super) seen_ssrc: u32,
    /// As its sender, on the other leg, names it.
    pub(super) sender_ssrc: u32,
    /// What the receiver's sequence numbers are ahead.
    pub(super) sequence_offset: u16,
    /// What the sender takes.
    pub(super) takes: Feedback,
}

/// How to tell what one flow says to another flow. Without streams, nothing passes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Translation {
    /// By medium.
    pub(super) outgoing: [Option<OutgoingStream>; 2],
    /// By medium.
    pub(super) reported: [Option<ReportedStream>; 2],
    /// Our own name on the other leg.
    pub(super) own_ssrc: u32,
    /// Requests for key frames do not pass now.
    pub(super) withholds_key_frames: bool,
}

/// What a translation has left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Translated {
    /// Bytes, from the start of the compound.
    pub(super) length: usize,
    /// Messages taken out, reports and source descriptions apart.
    pub(super) dropped_messages: u64,
    /// The other leg is asked for a key frame, or would be if it were not withheld.
    pub(super) asks_for_key_frame: bool,
}

/// Whom a message concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Subject {
    /// The one who receives this stream of the speaker's.
    Receiver(u32),
    /// The one who sends this stream to the speaker.
    Sender(u32),
}

impl Subject {
    /// `None` for reports, and for what is never passed on.
    pub(super) fn of(header: &RtcpHeader, packet: &[u8]) -> Option<Self> {
        match (header.kind, header.count) {
            (GOODBYE, _) => read_u32(packet, 4).map(Self::Receiver),
            // RFC 5104 section 4.3.1.2: the media SSRC of FIR is unused, the entry has it.
            (PAYLOAD_FEEDBACK, FORMAT_FIR) => read_u32(packet, HEADER_BYTES + 4).map(Self::Sender),
            (PAYLOAD_FEEDBACK, FORMAT_APPLICATION) => {
                read_u32(packet, REMB_STREAMS_AT).map(Self::Sender)
            }
            (TRANSPORT_FEEDBACK | PAYLOAD_FEEDBACK, _) => {
                read_u32(packet, HEADER_BYTES).map(Self::Sender)
            }
            _ => None,
        }
    }
}

impl Translation {
    /// Translates a compound (checked by [`is_compound`](crate::wire::rtcp::is_compound)) in
    /// place. Reports and source descriptions are not for the other leg.
    pub(super) fn translate(&self, compound: &mut [u8]) -> Translated {
        let mut read = 0;
        let mut translated = Translated::default();
        while let Some(header) = compound.get(read..).and_then(RtcpHeader::parse) {
            let end = read + header.length;
            let Some(packet) = compound.get_mut(read..end - header.padding) else {
                break;
            };
            let is_report = matches!(
                header.kind,
                SENDER_REPORT | RECEIVER_REPORT | SOURCE_DESCRIPTION
            );
            let length = self.translate_packet(&header, packet).unwrap_or(0);
            debug_assert!(
                length <= header.length,
                "translation never makes a packet longer"
            );
            let asks = length > 0
                && header.kind == PAYLOAD_FEEDBACK
                && matches!(header.count, FORMAT_PLI | FORMAT_FIR);
            translated.asks_for_key_frame |= asks;
            let length = if asks && self.withholds_key_frames {
                0
            } else {
                length
            };
            compound.copy_within(read..read + length, translated.length);
            translated.length += length;
            translated.dropped_messages += u64::from(length == 0 && !is_report && !asks);
            read = end;
        }
        translated
    }

    /// Translates one packet; `None` (or 0) when nothing of it goes on.
    fn translate_packet(&self, header: &RtcpHeader, packet: &mut [u8]) -> Option<usize> {
        match (header.kind, header.count) {
            (GOODBYE, _) => self.goodbye(header, packet),
            (TRANSPORT_FEEDBACK, FORMAT_NACK) => self.nack(header, packet),
            (PAYLOAD_FEEDBACK, FORMAT_PLI) => self.picture_loss(header, packet),
            (PAYLOAD_FEEDBACK, FORMAT_FIR) => self.full_intra(header, packet),
            (PAYLOAD_FEEDBACK, FORMAT_APPLICATION) => self.bitrate(header, packet),
            _ => None,
        }
    }

    fn goodbye(&self, header: &RtcpHeader, packet: &mut [u8]) -> Option<usize> {
        let mut kept: u8 = 0;
        for index in 0..usize::from(header.count) {
            if let Some(stream) = self.outgoing_stream(read_u32(packet, 4 + 4 * index)?) {
                write(
                    packet,
                    4 + 4 * usize::from(kept),
                    &stream.outgoing_ssrc.to_be_bytes(),
                )?;
                kept += 1;
            }
        }
        (kept > 0).then(|| finish(packet, GOODBYE, kept, 4 + 4 * usize::from(kept)))?
    }

    fn nack(&self, header: &RtcpHeader, packet: &mut [u8]) -> Option<usize> {
        let stream = self.feedback_stream(packet, HEADER_BYTES, Feedback::NACK)?;
        write(packet, HEADER_BYTES, &stream.sender_ssrc.to_be_bytes())?;
        for at in (HEADER_BYTES + 4..packet.len()).step_by(4) {
            let sequence = read_u16(packet, at)?.wrapping_sub(stream.sequence_offset);
            write(packet, at, &sequence.to_be_bytes())?;
        }
        self.write_sender(packet)?;
        finish(packet, TRANSPORT_FEEDBACK, header.count, packet.len())
    }

    fn picture_loss(&self, header: &RtcpHeader, packet: &mut [u8]) -> Option<usize> {
        let stream = self.feedback_stream(packet, HEADER_BYTES, Feedback::PICTURE_LOSS)?;
        write(packet, HEADER_BYTES, &stream.sender_ssrc.to_be_bytes())?;
        self.write_sender(packet)?;
        finish(packet, PAYLOAD_FEEDBACK, header.count, HEADER_BYTES + 4)
    }

    fn full_intra(&self, header: &RtcpHeader, packet: &mut [u8]) -> Option<usize> {
        let first = HEADER_BYTES + 4;
        let mut written = first;
        for at in (first..packet.len()).step_by(8) {
            packet.get(at..at + 8)?;
            if let Some(stream) = self.feedback_stream(packet, at, Feedback::FULL_INTRA) {
                write(packet, at, &stream.sender_ssrc.to_be_bytes())?;
                packet.copy_within(at..at + 8, written);
                written += 8;
            }
        }
        if written == first {
            return None;
        }
        self.write_sender(packet)?;
        finish(packet, PAYLOAD_FEEDBACK, header.count, written)
    }

    fn bitrate(&self, header: &RtcpHeader, packet: &mut [u8]) -> Option<usize> {
        if read_u32(packet, HEADER_BYTES + 4)? != REMB_NAME {
            return None;
        }
        let mut kept: u8 = 0;
        for at in (REMB_STREAMS_AT..packet.len()).step_by(4) {
            if let Some(stream) = self.feedback_stream(packet, at, Feedback::BITRATE) {
                let to = REMB_STREAMS_AT + 4 * usize::from(kept);
                write(packet, to, &stream.sender_ssrc.to_be_bytes())?;
                kept = kept.checked_add(1)?;
            }
        }
        if kept == 0 {
            return None;
        }
        write(packet, REMB_STREAMS_AT - 4, &[kept])?;
        self.write_sender(packet)?;
        let length = REMB_STREAMS_AT + 4 * usize::from(kept);
        finish(packet, PAYLOAD_FEEDBACK, header.count, length)
    }

    /// The stream whose SSRC stands at `at`, if its sender takes such feedback.
    fn feedback_stream(&self, packet: &[u8], at: usize, kind: Feedback) -> Option<ReportedStream> {
        let ssrc = read_u32(packet, at)?;
        self.reported
            .iter()
            .flatten()
            .find(|stream| stream.seen_ssrc == ssrc && stream.takes.contains(kind))
            .copied()
    }

    /// Feedback on the other leg comes from us.
    fn write_sender(&self, packet: &mut [u8]) -> Option<()> {
        write(packet, 4, &self.own_ssrc.to_be_bytes())
    }

    fn outgoing_stream(&self, ssrc: u32) -> Option<OutgoingStream> {
        self.outgoing
            .iter()
            .flatten()
            .find(|stream| stream.incoming_ssrc == ssrc)
            .copied()
    }
}

#[cfg(test)]
pub(super) mod tests;
