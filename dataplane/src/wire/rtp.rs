//! The RTP header (RFC 3550 section 5.1), in place.

use super::{read_u16, read_u32, write};

/// Bytes of the fixed header.
pub const FIXED_HEADER_BYTES: usize = 12;

/// What the header of one packet says; all lengths are checked against the packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RtpHeader {
    /// `0..=127`
    pub payload_type: u8,
    /// What it marks depends on the payload: the first packet of a digit, the last of a picture.
    pub marker: bool,
    /// Sequence number.
    pub sequence: u16,
    /// Media time, in units of the clock rate.
    pub timestamp: u32,
    /// Synchronisation source.
    pub ssrc: u32,
    /// Payload in bytes, without padding.
    pub payload_bytes: usize,
    /// Where the CSRC list ends.
    csrc_end: usize,
    /// Where the payload begins: behind the header extension, if there is one.
    payload_start: usize,
}

impl RtpHeader {
    /// Reads and checks the header of a whole, unprotected packet.
    ///
    /// `None` when it is not version 2, or when CSRC list, extension or padding reach beyond the
    /// packet.
    #[must_use]
    pub fn parse(packet: &[u8]) -> Option<Self> {
        let [first, second] = *packet.first_chunk::<2>()?;
        if first >> 6 != 2 {
            return None;
        }
        let csrc_end = FIXED_HEADER_BYTES + 4 * usize::from(first & 0x0F);
        let mut payload_start = csrc_end;
        if first & 0x10 != 0 {
            let words = read_u16(packet, csrc_end + 2)?;
            payload_start += 4 + 4 * usize::from(words);
        }
        let behind_header = packet.len().checked_sub(payload_start)?;
        let padding = if first & 0x20 == 0 {
            0
        } else {
            usize::from(*packet.last()?)
        };
        if first & 0x20 != 0 && padding == 0 {
            return None;
        }
        Some(Self {
            payload_type: second & 0x7F,
            marker: second & 0x80 != 0,
            sequence: read_u16(packet, 2)?,
            timestamp: read_u32(packet, 4)?,
            ssrc: read_u32(packet, 8)?,
            payload_bytes: behind_header.checked_sub(padding)?,
            csrc_end,
            payload_start,
        })
    }

    /// The payload, without padding, of the packet that this header was read from.
    #[must_use]
    pub fn payload<'a>(&self, packet: &'a [u8]) -> &'a [u8] {
        let rest = packet.get(self.payload_start..).unwrap_or_default();
        rest.get(..self.payload_bytes).unwrap_or_default()
    }

    /// Takes the header extension out of the packet that this header was read from, by moving the
    /// payload forward: the two sides have not negotiated each other's extensions. Returns the new
    /// length.
    pub fn strip_extension(&self, packet: &mut [u8]) -> usize {
        if self.payload_start > self.csrc_end && self.payload_start <= packet.len() {
            packet.copy_within(self.payload_start.., self.csrc_end);
            if let Some(first) = packet.first_mut() {
                *first &= !0x10;
            }
            return packet.len() - (self.payload_start - self.csrc_end);
        }
        packet.len()
    }
}

/// Sets payload type, sequence number, timestamp and SSRC; the marker bit stays. `None` (and
/// nothing changed) when the packet is shorter than a header.
pub fn rewrite(
    packet: &mut [u8],
    payload_type: u8,
    sequence: u16,
    timestamp: u32,
    ssrc: u32,
) -> Option<()> {
    packet.get(..FIXED_HEADER_BYTES)?;
    let second = packet.get_mut(1)?;
    *second = (*second & 0x80) | (payload_type & 0x7F);
    write(packet, 2, &sequence.to_be_bytes())?;
    write(packet, 4, &timestamp.to_be_bytes())?;
    write(packet, 8, &ssrc.to_be_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: [u8; 14] = [0x80, 0x88, 0, 7, 0, 0, 0, 160, 1, 2, 3, 4, 0xAA, 0xBB];

    #[test]
    fn reads_and_rewrites_a_plain_header_keeping_the_marker() {
        let mut packet = PLAIN;
        let header = RtpHeader::parse(&packet).unwrap();
        assert_eq!(
            (header.payload_type, header.sequence, header.timestamp),
            (8, 7, 160)
        );
        assert_eq!((header.ssrc, header.payload_bytes), (0x0102_0304, 2));
        rewrite(&mut packet, 111, 9, 320, 5).unwrap();
        assert_eq!(
            packet,
            [0x80, 0xEF, 0, 9, 0, 0, 1, 64, 0, 0, 0, 5, 0xAA, 0xBB]
        );
    }

    #[test]
    fn strips_the_extension_but_keeps_csrcs_and_payload() {
        let mut packet = vec![0x91, 0, 0, 7, 0, 0, 0, 160, 1, 2, 3, 4];
        packet.extend([9, 9, 9, 9]);
        packet.extend([0xBE, 0xDE, 0, 1, 0x10, 0xFF, 0, 0]);
        packet.extend([0xAA, 0xBB, 0xCC]);
        let header = RtpHeader::parse(&packet).unwrap();
        let length = header.strip_extension(&mut packet);
        assert_eq!(packet[0], 0x81);
        assert_eq!(packet[12..length], [9, 9, 9, 9, 0xAA, 0xBB, 0xCC]);
    }

    #[test]
    fn refuses_lengths_beyond_the_packet() {
        let mut wrong_version = PLAIN;
        wrong_version[0] = 0x40;
        let mut too_many_csrcs = PLAIN;
        too_many_csrcs[0] = 0x81;
        let mut cut_extension = PLAIN;
        cut_extension[0] = 0x90;
        let mut padding_zero = PLAIN;
        padding_zero[0] = 0xA0;
        padding_zero[13] = 0;
        let mut padding_beyond = PLAIN;
        padding_beyond[0] = 0xA0;
        padding_beyond[13] = 3;
        for packet in [
            wrong_version,
            too_many_csrcs,
            cut_extension,
            padding_zero,
            padding_beyond,
        ] {
            assert_eq!(RtpHeader::parse(&packet), None, "{packet:?}");
        }
        assert_eq!(RtpHeader::parse(&PLAIN[..11]), None);
    }
}
