//! RTCP from one leg, told in the numbers of the other leg (RFC 3550 section 7.2: translators).
//!
//! Reports, NACK, PLI, FIR, SDES and BYE are translated in place. What speaks of a stream that the
//! other leg does not know is taken out; so are APP, XR, REMB, transport-wide feedback and header
//! extensions of reports, which nobody negotiated with the other leg. Media time of sender reports
//! and the LSR of report blocks stay comparable, because NTP times pass unchanged.

use crate::wire::rtcp::{
    FORMAT_FIR, FORMAT_NACK, FORMAT_PLI, GOODBYE, HEADER_BYTES, PAYLOAD_FEEDBACK, RECEIVER_REPORT,
    REPORT_BLOCK_BYTES, RtcpHeader, SENDER_REPORT, SOURCE_DESCRIPTION, TRANSPORT_FEEDBACK,
};
use crate::wire::{read_u16, read_u32, write};

/// Bytes of a sender report before its blocks.
const SENDER_REPORT_BYTES: usize = 28;
/// Item type of the canonical name.
const CNAME: u8 = 1;

/// A stream that comes from the one who reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OutgoingStream {
    /// As the reporter names it.
    pub(super) incoming_ssrc: u32,
    /// As the other leg knows it.
    pub(super) outgoing_ssrc: u32,
    /// What the other leg's timestamps are ahead.
    pub(super) timestamp_offset: u32,
}

/// A stream that the reporter receives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ReportedStream {
    /// As the reporter knows it.
    pub(super) seen_ssrc: u32,
    /// As its sender, on the other leg, names it.
    pub(super) sender_ssrc: u32,
    /// What the reporter's sequence numbers are ahead.
    pub(super) sequence_offset: u16,
}

/// How to tell one flow's RTCP to another flow.
#[derive(Clone, Copy, Debug)]
pub(super) struct Translation {
    /// By medium.
    pub(super) outgoing: [Option<OutgoingStream>; 2],
    /// By medium.
    pub(super) reported: [Option<ReportedStream>; 2],
    /// The name of a reporter that sends no stream of its own to the other leg.
    pub(super) own_ssrc: u32,
    /// The other leg takes feedback messages (AVPF).
    pub(super) takes_feedback: bool,
    /// Makes canonical names unreadable, and the same name the same again.
    pub(super) seed: u64,
}

/// The first stream that a compound speaks of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Subject {
    /// Who sends the compound.
    pub(super) sender: Option<u32>,
    /// The first stream that it reports on, or wants feedback to reach.
    pub(super) reported: Option<u32>,
}

impl Subject {
    /// Reads the first packet of a compound.
    pub(super) fn of(compound: &[u8]) -> Self {
        let Some(header) = RtcpHeader::parse(compound) else {
            return Self::default();
        };
        let packet = compound.get(..header.length).unwrap_or_default();
        let reported_at = match header.kind {
            SENDER_REPORT if header.count > 0 => SENDER_REPORT_BYTES,
            RECEIVER_REPORT if header.count > 0 => HEADER_BYTES,
            // RFC 5104 section 4.3.1.2: the media SSRC of FIR is unused, the entry has it.
            PAYLOAD_FEEDBACK if header.count == FORMAT_FIR => HEADER_BYTES + 4,
            TRANSPORT_FEEDBACK | PAYLOAD_FEEDBACK => HEADER_BYTES,
            _ => packet.len(),
        };
        Self {
            sender: read_u32(packet, 4),
            reported: read_u32(packet, reported_at),
        }
    }
}

impl Translation {
    /// Translates a compound (checked by [`is_compound`](crate::wire::rtcp::is_compound)) in place
    /// and returns its new length: 0 when nothing is left that is worth sending.
    pub(super) fn translate(&self, compound: &mut [u8]) -> usize {
        let mut read = 0;
        let mut written = 0;
        let mut has_substance = false;
        while let Some(header) = compound.get(read..).and_then(RtcpHeader::parse) {
            let end = read + header.length;
            let Some(packet) = compound.get_mut(read..end - header.padding) else {
                break;
            };
            let length = self.translate_packet(&header, packet).unwrap_or(0);
            debug_assert!(
                length <= header.length,
                "translation never makes a packet longer"
            );
            compound.copy_within(read..read + length, written);
            has_substance |= length > 0 && header.kind != SOURCE_DESCRIPTION;
            written += length;
            read = end;
        }
        if has_substance { written } else { 0 }
    }

    /// Translates one packet; `None` (or 0) when nothing of it goes on.
    fn translate_packet(&self, header: &RtcpHeader, packet: &mut [u8]) -> Option<usize> {
        match header.kind {
            SENDER_REPORT => self.sender_report(header, packet),
            RECEIVER_REPORT => self.receiver_report(header, packet, HEADER_BYTES),
            SOURCE_DESCRIPTION => self.source_description(header, packet),
            GOODBYE => self.goodbye(header, packet),
            TRANSPORT_FEEDBACK if header.count == FORMAT_NACK => self.nack(header, packet),
            PAYLOAD_FEEDBACK if header.count == FORMAT_PLI => self.picture_loss(header, packet),
            PAYLOAD_FEEDBACK if header.count == FORMAT_FIR => self.full_intra(header, packet),
            _ => None,
        }
    }

    fn sender_report(&self, header: &RtcpHeader, packet: &mut [u8]) -> Option<usize> {
        let sender = read_u32(packet, 4)?;
        let Some(stream) = self.outgoing_stream(sender) else {
            // What it says of its own stream means nothing to the other leg; its blocks may.
            return self
                .receiver_report(header, packet, SENDER_REPORT_BYTES)
                .filter(|length| *length > HEADER_BYTES);
        };
        let timestamp = read_u32(packet, 16)?.wrapping_add(stream.timestamp_offset);
        write(packet, 4, &stream.outgoing_ssrc.to_be_bytes())?;
        write(packet, 16, &timestamp.to_be_bytes())?;
        let kept = self.report_blocks(header, packet, SENDER_REPORT_BYTES, SENDER_REPORT_BYTES)?;
        finish(
            packet,
            SENDER_REPORT,
            kept,
            SENDER_REPORT_BYTES + kept * REPORT_BLOCK_BYTES,
        )
    }

    /// Writes a receiver report with the blocks that begin at `blocks_at`.
    fn receiver_report(
        &self,
        header: &RtcpHeader,
        packet: &mut [u8],
        blocks_at: usize,
    ) -> Option<usize> {
        let kept = self.report_blocks(header, packet, blocks_at, HEADER_BYTES)?;
        self.write_sender(packet)?;
        finish(
            packet,
            RECEIVER_REPORT,
            kept,
            HEADER_BYTES + kept * REPORT_BLOCK_BYTES,
        )
    }

    /// Moves the blocks that the other leg understands from `from` to `to`, translated; returns how
    /// many they are.
    fn report_blocks(
        &self,
        header: &RtcpHeader,
        packet: &mut [u8],
        from: usize,
        to: usize,
    ) -> Option<usize> {
        let count = usize::from(header.count);
        packet.get(..from + count * REPORT_BLOCK_BYTES)?;
        let mut kept = 0;
        for index in 0..count {
            let at = from + index * REPORT_BLOCK_BYTES;
            let Some(stream) = self.reported_stream(read_u32(packet, at)?) else {
                continue;
            };
            let highest = shift_extended(read_u32(packet, at + 8)?, stream.sequence_offset);
            write(packet, at, &stream.sender_ssrc.to_be_bytes())?;
            write(packet, at + 8, &highest.to_be_bytes())?;
            packet.copy_within(at..at + REPORT_BLOCK_BYTES, to + kept * REPORT_BLOCK_BYTES);
            kept += 1;
        }
        Some(kept)
    }

    /// Keeps the canonical names of known streams, made unreadable: a SIP peer's often holds an
    /// address of the carrier's inner network.
    fn source_description(&self, header: &RtcpHeader, packet: &mut [u8]) -> Option<usize> {
        let mut read = 4;
        let mut written = 4;
        let mut kept = 0;
        for _ in 0..header.count {
            let ssrc = read_u32(packet, read)?;
            let chunk = SdesChunk::parse(packet.get(read..)?)?;
            if let (Some(stream), Some(name)) = (self.outgoing_stream(ssrc), chunk.cname) {
                let bytes = packet.get_mut(read + name.at..read + name.at + name.length)?;
                obscure(bytes, self.seed);
                // Item header and name move to just behind the SSRC.
                let item = read + name.at - 2..read + name.at + name.length;
                packet.copy_within(item, written + 4);
                write(packet, written, &stream.outgoing_ssrc.to_be_bytes())?;
                let end = written + 6 + name.length;
                let next = (end + 1).next_multiple_of(4);
                packet.get_mut(end..next)?.fill(0);
                written = next;
                kept += 1;
            }
            read += chunk.length;
        }
        (kept > 0).then(|| finish(packet, SOURCE_DESCRIPTION, kept, written))?
    }

    fn goodbye(&self, header: &RtcpHeader, packet: &mut [u8]) -> Option<usize> {
        let mut kept = 0;
        for index in 0..usize::from(header.count) {
            if let Some(stream) = self.outgoing_stream(read_u32(packet, 4 + 4 * index)?) {
                write(packet, 4 + 4 * kept, &stream.outgoing_ssrc.to_be_bytes())?;
                kept += 1;
            }
        }
        (kept > 0).then(|| finish(packet, GOODBYE, kept, 4 + 4 * kept))?
    }

    fn nack(&self, header: &RtcpHeader, packet: &mut [u8]) -> Option<usize> {
        let stream = self.feedback_stream(packet, HEADER_BYTES)?;
        write(packet, HEADER_BYTES, &stream.sender_ssrc.to_be_bytes())?;
        for at in (HEADER_BYTES + 4..packet.len()).step_by(4) {
            let sequence = read_u16(packet, at)?.wrapping_sub(stream.sequence_offset);
            write(packet, at, &sequence.to_be_bytes())?;
        }
        self.write_sender(packet)?;
        finish(
            packet,
            TRANSPORT_FEEDBACK,
            usize::from(header.count),
            packet.len(),
        )
    }

    fn picture_loss(&self, header: &RtcpHeader, packet: &mut [u8]) -> Option<usize> {
        let stream = self.feedback_stream(packet, HEADER_BYTES)?;
        write(packet, HEADER_BYTES, &stream.sender_ssrc.to_be_bytes())?;
        self.write_sender(packet)?;
        finish(
            packet,
            PAYLOAD_FEEDBACK,
            usize::from(header.count),
            HEADER_BYTES + 4,
        )
    }

    fn full_intra(&self, header: &RtcpHeader, packet: &mut [u8]) -> Option<usize> {
        let first = HEADER_BYTES + 4;
        let mut written = first;
        for at in (first..packet.len()).step_by(8) {
            packet.get(at..at + 8)?;
            if let Some(stream) = self.feedback_stream(packet, at) {
                write(packet, at, &stream.sender_ssrc.to_be_bytes())?;
                packet.copy_within(at..at + 8, written);
                written += 8;
            }
        }
        if written == first {
            return None;
        }
        self.write_sender(packet)?;
        finish(packet, PAYLOAD_FEEDBACK, usize::from(header.count), written)
    }

    /// The stream whose SSRC stands at `at`, if the other leg takes feedback about it.
    fn feedback_stream(&self, packet: &[u8], at: usize) -> Option<ReportedStream> {
        if !self.takes_feedback {
            return None;
        }
        self.reported_stream(read_u32(packet, at)?)
    }

    /// Replaces the sender of a report or feedback message.
    fn write_sender(&self, packet: &mut [u8]) -> Option<()> {
        let sender = read_u32(packet, 4)?;
        let name = self
            .outgoing_stream(sender)
            .map_or(self.own_ssrc, |s| s.outgoing_ssrc);
        write(packet, 4, &name.to_be_bytes())
    }

    fn outgoing_stream(&self, ssrc: u32) -> Option<OutgoingStream> {
        self.outgoing
            .iter()
            .flatten()
            .find(|stream| stream.incoming_ssrc == ssrc)
            .copied()
    }

    fn reported_stream(&self, ssrc: u32) -> Option<ReportedStream> {
        self.reported
            .iter()
            .flatten()
            .find(|stream| stream.seen_ssrc == ssrc)
            .copied()
    }
}

/// One chunk of a source description.
struct SdesChunk {
    /// With the padding at its end.
    length: usize,
    cname: Option<Text>,
}

struct Text {
    /// From the start of the chunk.
    at: usize,
    length: usize,
}

impl SdesChunk {
    fn parse(bytes: &[u8]) -> Option<Self> {
        let mut at = 4;
        let mut cname = None;
        loop {
            let kind = *bytes.get(at)?;
            if kind == 0 {
                let length = (at + 1).next_multiple_of(4);
                return (length <= bytes.len()).then_some(Self { length, cname });
            }
            let length = usize::from(*bytes.get(at + 1)?);
            bytes.get(at + 2..at + 2 + length)?;
            if kind == CNAME && cname.is_none() {
                cname = Some(Text { at: at + 2, length });
            }
            at += 2 + length;
        }
    }
}

/// Replaces a name by letters that depend on it and on the seed.
fn obscure(name: &mut [u8], seed: u64) {
    const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    // FNV-1a, then xorshift64: the same name gives the same letters for each of its streams.
    let mut state = name
        .iter()
        .fold(seed ^ 0xCBF2_9CE4_8422_2325, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3)
        })
        | 1;
    for byte in name {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let index = usize::try_from(state >> 59).unwrap_or(0);
        *byte = LETTERS.get(index).copied().unwrap_or(b'a');
    }
}

/// Shifts back an extended highest sequence number: the low half is a sequence number, the high
/// half counts its wraps and never goes below zero.
fn shift_extended(extended: u32, offset: u16) -> u32 {
    let offset = u32::from(offset);
    if extended >= offset {
        return extended - offset;
    }
    extended.wrapping_sub(offset) & 0xFFFF
}

/// Sets version, count, type and length of a finished packet; padding is gone.
fn finish(packet: &mut [u8], kind: u8, count: usize, length: usize) -> Option<usize> {
    let count = u8::try_from(count).ok()? & 0x1F;
    let words = u16::try_from((length / 4).checked_sub(1)?).ok()?;
    write(packet, 0, &[0x80 | count, kind])?;
    write(packet, 2, &words.to_be_bytes())?;
    Some(length)
}

#[cfg(test)]
pub(super) mod tests;
