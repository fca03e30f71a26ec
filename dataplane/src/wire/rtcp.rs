//! Compound RTCP (RFC 3550 section 6.1, RFC 5506): the packets in it, one after the other, read
//! and written.

use super::ntp::NtpTime;
use super::{read_u16, read_u32, write};

/// Sender report.
pub const SENDER_REPORT: u8 = 200;
/// Receiver report.
pub const RECEIVER_REPORT: u8 = 201;
/// Source description.
pub const SOURCE_DESCRIPTION: u8 = 202;
/// Goodbye.
pub const GOODBYE: u8 = 203;
/// Transport-layer feedback (RFC 4585).
pub const TRANSPORT_FEEDBACK: u8 = 205;
/// Payload-specific feedback (RFC 4585).
pub const PAYLOAD_FEEDBACK: u8 = 206;

/// Feedback format of [`TRANSPORT_FEEDBACK`]: generic NACK.
pub const FORMAT_NACK: u8 = 1;
/// Feedback format of [`PAYLOAD_FEEDBACK`]: picture loss indication.
pub const FORMAT_PLI: u8 = 1;
/// Feedback format of [`PAYLOAD_FEEDBACK`]: full intra request (RFC 5104).
pub const FORMAT_FIR: u8 = 4;
/// Feedback format of [`PAYLOAD_FEEDBACK`]: application layer, of which "REMB" is one
/// (draft-alvestrand-rmcat-remb section 2.2).
pub const FORMAT_APPLICATION: u8 = 15;

/// Bytes of the header with the sender's SSRC.
pub const HEADER_BYTES: usize = 8;
/// Bytes of one report block.
pub const REPORT_BLOCK_BYTES: usize = 24;
/// Bytes of a sender report before its blocks.
pub const SENDER_REPORT_BYTES: usize = 28;
/// Item type of the canonical name in a source description.
const CNAME: u8 = 1;

/// One packet of a compound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RtcpHeader {
    /// Packet type.
    pub kind: u8,
    /// Report blocks, chunks or sources; or the feedback format.
    pub count: u8,
    /// The packet in bytes, padding included.
    pub length: usize,
    /// Padding at its end.
    pub padding: usize,
}

impl RtcpHeader {
    /// Reads the header of the packet at the start of `bytes`, checked against their end. `None`
    /// when it is not version 2 or reaches beyond the end.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let [first, kind] = *bytes.first_chunk::<2>()?;
        let length = 4 + 4 * usize::from(read_u16(bytes, 2)?);
        let packet = bytes.get(..length)?;
        let padding = if first & 0x20 == 0 {
            0
        } else {
            usize::from(*packet.last()?)
        };
        let right = first >> 6 == 2 && padding <= length - 4 && padding % 4 == 0;
        right.then_some(Self {
            kind,
            count: first & 0x1F,
            length,
            padding,
        })
    }
}

/// True if `bytes` are whole RTCP packets, at least one, with nothing behind them and padding only
/// in the last.
#[must_use]
pub fn is_compound(bytes: &[u8]) -> bool {
    let mut rest = bytes;
    while let Some(header) = RtcpHeader::parse(rest) {
        rest = rest.get(header.length..).unwrap_or_default();
        if rest.is_empty() {
            return true;
        }
        if header.padding > 0 {
            return false;
        }
    }
    false
}

/// What a sender says of its stream (RFC 3550 section 6.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SenderInfo {
    /// The sender's time when it wrote the report …
    pub ntp: NtpTime,
    /// … and the same moment on the clock of its media.
    pub timestamp: u32,
    /// RTP packets sent, modulo 2^32.
    pub packets: u32,
    /// Their payload in bytes, modulo 2^32.
    pub octets: u32,
}

impl SenderInfo {
    /// Reads it from a sender report.
    #[must_use]
    pub fn parse(report: &[u8]) -> Option<Self> {
        let seconds = u64::from(read_u32(report, 8)?);
        let fraction = u64::from(read_u32(report, 12)?);
        Some(Self {
            ntp: NtpTime((seconds << 32) | fraction),
            timestamp: read_u32(report, 16)?,
            packets: read_u32(report, 20)?,
            octets: read_u32(report, 24)?,
        })
    }
}

/// What a receiver says of one source (RFC 3550 section 6.4.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReportBlock {
    /// The source.
    pub ssrc: u32,
    /// Share of its packets that were lost since the last report, in 1/256.
    pub fraction_lost: u8,
    /// Its packets lost in all, `-2^23..2^23`; negative when some came twice.
    pub lost_packets: i32,
    /// Extended highest sequence number.
    pub highest_sequence: u32,
    /// Interarrival jitter in units of its clock.
    pub jitter: u32,
    /// The middle of the NTP time in its last sender report (LSR); 0 if there was none.
    pub last_report: u32,
    /// Time since that report came, in 2^-16 seconds (DLSR).
    pub since_last_report: u32,
}

impl ReportBlock {
    /// Reads the block at the start of `bytes`.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let losses = read_u32(bytes, 4)?;
        let [fraction_lost, ..] = losses.to_be_bytes();
        Some(Self {
            ssrc: read_u32(bytes, 0)?,
            fraction_lost,
            // A signed number of 24 bits.
            lost_packets: (losses << 8).cast_signed() >> 8,
            highest_sequence: read_u32(bytes, 8)?,
            jitter: read_u32(bytes, 12)?,
            last_report: read_u32(bytes, 16)?,
            since_last_report: read_u32(bytes, 20)?,
        })
    }

    fn words(&self) -> [u32; 6] {
        let lost = self.lost_packets.clamp(-0x80_0000, 0x7F_FFFF);
        let losses = (u32::from(self.fraction_lost) << 24) | (lost.cast_unsigned() & 0xFF_FFFF);
        [
            self.ssrc,
            losses,
            self.highest_sequence,
            self.jitter,
            self.last_report,
            self.since_last_report,
        ]
    }
}

/// The report blocks of a sender or receiver report; those that it claims but does not have are
/// not there.
pub fn report_blocks(header: &RtcpHeader, packet: &[u8]) -> impl Iterator<Item = ReportBlock> {
    let first = match header.kind {
        SENDER_REPORT => SENDER_REPORT_BYTES,
        _ => HEADER_BYTES,
    };
    let claimed = match header.kind {
        SENDER_REPORT | RECEIVER_REPORT => usize::from(header.count),
        _ => 0,
    };
    let blocks = packet.get(first..).unwrap_or_default();
    blocks
        .chunks_exact(REPORT_BLOCK_BYTES)
        .take(claimed)
        .filter_map(ReportBlock::parse)
}

/// Writes a compound from the start of a buffer. What does not fit is not written at all, and
/// [`CompoundWriter::length`] is `None` from then on.
#[derive(Debug)]
pub struct CompoundWriter<'a> {
    buffer: &'a mut [u8],
    at: usize,
    fits: bool,
}

impl<'a> CompoundWriter<'a> {
    /// Begins at the start of `buffer`.
    #[must_use]
    pub const fn new(buffer: &'a mut [u8]) -> Self {
        Self {
            buffer,
            at: 0,
            fits: true,
        }
    }

    /// A sender report.
    pub fn sender_report(&mut self, ssrc: u32, info: &SenderInfo, blocks: &[Option<ReportBlock>]) {
        let start = self.begin();
        self.put(&ssrc.to_be_bytes());
        self.put(&info.ntp.0.to_be_bytes());
        for word in [info.timestamp, info.packets, info.octets] {
            self.put(&word.to_be_bytes());
        }
        let count = self.blocks(blocks);
        self.end(start, count, SENDER_REPORT);
    }

    /// A receiver report.
    pub fn receiver_report(&mut self, ssrc: u32, blocks: &[Option<ReportBlock>]) {
        let start = self.begin();
        self.put(&ssrc.to_be_bytes());
        let count = self.blocks(blocks);
        self.end(start, count, RECEIVER_REPORT);
    }

    /// A source description with the canonical name of each source (at most 255 bytes).
    pub fn canonical_name(&mut self, sources: &[Option<u32>], name: &[u8]) {
        let Ok(length) = u8::try_from(name.len()) else {
            self.fits = false;
            return;
        };
        let start = self.begin();
        let mut count = 0;
        for ssrc in sources.iter().flatten() {
            self.put(&ssrc.to_be_bytes());
            self.put(&[CNAME, length]);
            self.put(name);
            // At least one zero ends the items of a source, on a boundary of four bytes.
            let end = (self.at + 1).next_multiple_of(4);
            self.put([0; 4].get(..end - self.at).unwrap_or_default());
            count += 1;
        }
        self.end(start, count, SOURCE_DESCRIPTION);
    }

    /// A picture loss indication (RFC 4585 section 6.3.1).
    pub fn picture_loss(&mut self, sender: u32, source: u32) {
        let start = self.begin();
        self.put(&sender.to_be_bytes());
        self.put(&source.to_be_bytes());
        self.end(start, FORMAT_PLI, PAYLOAD_FEEDBACK);
    }

    /// A full intra request (RFC 5104 section 4.3.1): another one than before by its number.
    pub fn full_intra(&mut self, sender: u32, source: u32, sequence: u8) {
        let start = self.begin();
        self.put(&sender.to_be_bytes());
        self.put(&[0; 4]);
        self.put(&source.to_be_bytes());
        self.put(&[sequence, 0, 0, 0]);
        self.end(start, FORMAT_FIR, PAYLOAD_FEEDBACK);
    }

    /// Bytes written; `None` when the buffer was too short.
    #[must_use]
    pub const fn length(&self) -> Option<usize> {
        if self.fits { Some(self.at) } else { None }
    }

    fn blocks(&mut self, blocks: &[Option<ReportBlock>]) -> u8 {
        let mut count = 0;
        for block in blocks.iter().flatten() {
            for word in block.words() {
                self.put(&word.to_be_bytes());
            }
            count += 1;
        }
        count
    }

    /// Leaves room for the first word of a packet.
    fn begin(&mut self) -> usize {
        let start = self.at;
        self.put(&[0; 4]);
        start
    }

    fn put(&mut self, bytes: &[u8]) {
        if self.fits && write(self.buffer, self.at, bytes).is_some() {
            self.at += bytes.len();
        } else {
            self.fits = false;
        }
    }

    fn end(&mut self, start: usize, count: u8, kind: u8) {
        let packet = self.buffer.get_mut(start..self.at);
        let finished = packet.and_then(|packet| {
            let length = packet.len();
            finish(packet, kind, count, length)
        });
        self.fits &= finished.is_some();
    }
}

/// Sets version, count, type and length of a packet that is `length` bytes long and has no
/// padding. `None` when that is not a multiple of four, or more than `packet` has.
pub fn finish(packet: &mut [u8], kind: u8, count: u8, length: usize) -> Option<usize> {
    if !length.is_multiple_of(4) || length > packet.len() {
        return None;
    }
    let words = u16::try_from((length / 4).checked_sub(1)?).ok()?;
    write(packet, 0, &[0x80 | (count & 0x1F), kind])?;
    write(packet, 2, &words.to_be_bytes())?;
    Some(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes() {
        let info = SenderInfo {
            ntp: NtpTime(0x0102_0304_0506_0708),
            timestamp: 9,
            packets: 10,
            octets: 11,
        };
        let block = ReportBlock {
            ssrc: 0xAABB_CCDD,
            fraction_lost: 64,
            lost_packets: -3,
            highest_sequence: 0x1_0007,
            jitter: 12,
            last_report: 13,
            since_last_report: 14,
        };
        let mut buffer = [0xEE; 200];
        let mut writer = CompoundWriter::new(&mut buffer);
        writer.sender_report(7, &info, &[None, Some(block)]);
        writer.receiver_report(8, &[Some(block), Some(block)]);
        writer.canonical_name(&[Some(7), None, Some(8)], b"name");
        let length = writer.length().unwrap();
        let compound = &buffer[..length];
        assert!(is_compound(compound));
        let header = RtcpHeader::parse(compound).unwrap();
        assert_eq!(
            (header.kind, header.count, header.length),
            (SENDER_REPORT, 1, 52)
        );
        assert_eq!(SenderInfo::parse(compound), Some(info));
        assert!(report_blocks(&header, compound).eq([block]));
        let rest = &compound[header.length..];
        let header = RtcpHeader::parse(rest).unwrap();
        assert!(report_blocks(&header, rest).eq([block, block]));
        let names = &rest[header.length..];
        assert_eq!(
            names,
            [
                0x82, 202, 0, 6, 0, 0, 0, 7, 1, 4, b'n', b'a', b'm', b'e', 0, 0, 0, 0, 0, 8, 1, 4,
                b'n', b'a', b'm', b'e', 0, 0
            ]
        );
    }

    #[test]
    fn writes_nothing_over_the_end() {
        let mut buffer = [0xEE; 31];
        let mut writer = CompoundWriter::new(&mut buffer[..30]);
        writer.receiver_report(8, &[Some(ReportBlock::default())]);
        assert_eq!(writer.length(), None);
        assert_eq!(buffer[30], 0xEE);
    }

    #[test]
    fn reads_no_block_that_is_not_there() {
        let mut packet = [0; 40];
        finish(&mut packet, RECEIVER_REPORT, 5, 40).unwrap();
        let header = RtcpHeader::parse(&packet).unwrap();
        assert_eq!(report_blocks(&header, &packet).count(), 1);
        assert_eq!(report_blocks(&header, &packet[..20]).count(), 0);
    }

    #[test]
    fn walks_a_compound_and_refuses_what_is_cut_or_padded_inside() {
        let compound = [
            0x80, 201, 0, 1, 0, 0, 0, 1, 0x81, 206, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2,
        ];
        assert!(is_compound(&compound));
        assert!(is_compound(&compound[..8]));
        assert!(!is_compound(&compound[..19]));
        assert!(!is_compound(&[]));
        let mut padded_inside = compound;
        padded_inside[0] = 0xA0;
        padded_inside[7] = 4;
        assert!(!is_compound(&padded_inside));
    }

    #[test]
    fn refuses_padding_that_covers_the_header() {
        assert_eq!(RtcpHeader::parse(&[0xA0, 201, 0, 1, 0, 0, 0, 8]), None);
        let header = RtcpHeader::parse(&[0xA0, 201, 0, 1, 0, 0, 0, 4]).unwrap();
        assert_eq!(header.padding, 4);
    }
}
