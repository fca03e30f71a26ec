//! Compound RTCP (RFC 3550 section 6.1, RFC 5506): the packets in it, one after the other.

use super::read_u16;

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

/// Bytes of the header with the sender's SSRC.
pub const HEADER_BYTES: usize = 8;
/// Bytes of one report block.
pub const REPORT_BLOCK_BYTES: usize = 24;

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

#[cfg(test)]
mod tests {
    use super::*;

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
