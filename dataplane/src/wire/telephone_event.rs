//! Telephone-events: digits as RTP payload (RFC 4733 section 2.3).

use super::rtp::FIXED_HEADER_BYTES;
use super::{read_u16, write};

/// Bytes of the payload.
pub const PAYLOAD_BYTES: usize = 4;

/// Power level that we send digits with, in dBm0 without its sign: what telephones have.
const VOLUME: u8 = 10;

/// One report of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TelephoneEvent {
    /// 0 to 9 are digits, 10 is `*`, 11 `#`, 12 to 15 are A to D (RFC 4733 section 3.2); others
    /// are no DTMF.
    pub event: u8,
    /// The event has ended.
    pub is_end: bool,
    /// How long it has lasted since the packet's timestamp, in units of the clock rate.
    pub duration: u16,
}

/// The header of a packet that is made here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// `0..=127`
    pub payload_type: u8,
    /// Set on the first packet of an event.
    pub marker: bool,
    /// Sequence number.
    pub sequence: u16,
    /// When the event began, in units of the clock rate.
    pub timestamp: u32,
    /// Synchronisation source.
    pub ssrc: u32,
}

impl TelephoneEvent {
    /// Reads the first event of a payload; there may be more behind it (RFC 4733 section 2.5.1.5).
    /// `None` when it is too short.
    #[must_use]
    pub fn parse(payload: &[u8]) -> Option<Self> {
        let [event, flags] = *payload.first_chunk::<2>()?;
        Some(Self {
            event,
            is_end: flags & 0x80 != 0,
            duration: read_u16(payload, 2)?,
        })
    }

    /// Writes a whole packet to the start of `buffer`, and returns its length; `None` when there
    /// is too little room.
    #[must_use]
    pub fn write(&self, header: &Header, buffer: &mut [u8]) -> Option<usize> {
        let length = FIXED_HEADER_BYTES + PAYLOAD_BYTES;
        let packet = buffer.get_mut(..length)?;
        let second = u8::from(header.marker) << 7 | header.payload_type & 0x7F;
        write(packet, 0, &[0x80, second])?;
        write(packet, 2, &header.sequence.to_be_bytes())?;
        write(packet, 4, &header.timestamp.to_be_bytes())?;
        write(packet, 8, &header.ssrc.to_be_bytes())?;
        let flags = u8::from(self.is_end) << 7 | VOLUME;
        write(packet, FIXED_HEADER_BYTES, &[self.event, flags])?;
        write(packet, FIXED_HEADER_BYTES + 2, &self.duration.to_be_bytes())?;
        Some(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_and_reads_the_figure_of_the_rfc() {
        let header = Header {
            payload_type: 101,
            marker: true,
            sequence: 0x0102,
            timestamp: 0x0304_0506,
            ssrc: 0x0708_090A,
        };
        let event = TelephoneEvent {
            event: 11,
            is_end: true,
            duration: 0x0320,
        };
        let mut buffer = [0xEE; 20];
        assert_eq!(event.write(&header, &mut buffer), Some(16));
        let expected = [0x80, 0xE5, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 0x8A, 3, 0x20];
        assert_eq!(buffer[..16], expected);
        assert_eq!(TelephoneEvent::parse(&buffer[12..16]), Some(event));
        assert_eq!(TelephoneEvent::parse(&buffer[12..15]), None);
        assert_eq!(event.write(&header, &mut buffer[..15]), None);
    }
}
