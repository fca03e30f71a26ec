//! RTP streams as the generator makes and checks them.

use crate::scenario::Way;

/// Bytes of an RTP header without extensions (RFC 3550 section 5.1).
pub(crate) const RTP_HEADER_BYTES: usize = 12;
/// PCMU (RFC 3551 table 4), on both sides.
pub(crate) const PAYLOAD_TYPE: u8 = 0;
/// PCMU: one byte per sample.
pub(crate) const CLOCK_HZ: u32 = 8000;
const SAMPLES_PER_PACKET: u32 = 160;
const MARKER: u8 = 0x80;

/// The SSRC that a call's packets are sent with.
pub(crate) fn sent_ssrc(way: Way, call: u16) -> u32 {
    let base = match way {
        Way::ToBrowser => 0x3000_0000,
        Way::ToTrunk => 0x4000_0000,
    };
    base + u32::from(call)
}

/// The SSRC that they come out with, of a target that has its own.
pub(crate) fn rewritten_ssrc(way: Way, call: u16) -> u32 {
    sent_ssrc(way, call) - 0x2000_0000
}

/// Which way, which call, and whether the target has put its own SSRC in.
pub(crate) fn read_ssrc(ssrc: u32) -> Option<(Way, u16, bool)> {
    let call = u16::try_from(ssrc & 0x0fff_ffff).ok()?;
    match ssrc >> 28 {
        1 => Some((Way::ToBrowser, call, true)),
        2 => Some((Way::ToTrunk, call, true)),
        3 => Some((Way::ToBrowser, call, false)),
        4 => Some((Way::ToTrunk, call, false)),
        _ => None,
    }
}

/// A stream that is sent: sequence numbers and timestamps go on over all steps.
pub(crate) struct OutgoingStream {
    ssrc: u32,
    sequence: u16,
    timestamp: u32,
}

impl OutgoingStream {
    pub(crate) fn new(ssrc: u32) -> Self {
        Self {
            ssrc,
            sequence: 1,
            timestamp: 0,
        }
    }

    /// Appends the next packet; its payload is what `payload_is_right` knows. `last` of its
    /// frame: it carries the marker of a burst, and the timestamp goes on.
    pub(crate) fn append(
        &mut self,
        packet: &mut Vec<u8>,
        call: u16,
        number: u32,
        bytes: u16,
        last: Option<bool>,
    ) {
        let marker = if last == Some(true) { MARKER } else { 0 };
        packet.extend([0x80, PAYLOAD_TYPE | marker]);
        packet.extend(self.sequence.to_be_bytes());
        packet.extend(self.timestamp.to_be_bytes());
        packet.extend(self.ssrc.to_be_bytes());
        let start = packet.len();
        packet.extend(number.to_be_bytes());
        packet.resize(start + usize::from(bytes), filler(call));
        self.sequence = self.sequence.wrapping_add(1);
        if last != Some(false) {
            self.timestamp = self.timestamp.wrapping_add(SAMPLES_PER_PACKET);
        }
    }
}

fn filler(call: u16) -> u8 {
    call.to_be_bytes()[1] ^ 0xd5
}

/// The number that [`OutgoingStream::append`] was given, if this is, byte for byte, a payload
/// that was sent for this call.
pub(crate) fn right_payload_number(packet: &[u8], call: u16, bytes: u16) -> Option<u32> {
    let payload = packet.get(RTP_HEADER_BYTES..)?;
    let number = u32::from_be_bytes(*payload.first_chunk()?);
    let right = payload.len() == usize::from(bytes)
        && payload.get(4..)?.iter().all(|byte| *byte == filler(call));
    right.then_some(number)
}

/// SSRC and sequence number of an RTP packet; `None` for RTCP and anything else.
pub(crate) fn ssrc_and_sequence(packet: &[u8]) -> Option<(u32, u16)> {
    let [first, second, high, low] = *packet.first_chunk()?;
    let ssrc = u32::from_be_bytes(*packet.get(8..)?.first_chunk()?);
    // RFC 5761 section 4 tells RTCP by its second byte.
    let rtp = first >> 6 == 2 && !(192..=223).contains(&second);
    rtp.then_some((ssrc, u16::from_be_bytes([high, low])))
}

/// What arrived of one way.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) received: u64,
    /// The same sequence number again.
    pub(crate) duplicated: u64,
    /// Older than one that was there already.
    pub(crate) reordered: u64,
    /// Failed authentication, has a wrong payload, came to the wrong address, or belongs to no
    /// call.
    pub(crate) wrong: u64,
    /// Checked to the last byte (decrypted first, where it is encrypted).
    pub(crate) verified: u64,
}

impl Tally {
    pub(crate) fn unique(&self) -> u64 {
        self.received.saturating_sub(self.duplicated)
    }
}

/// The order of one stream that is received.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct IncomingStream {
    newest: Option<u16>,
    /// Bit n: the packet n before the newest one has arrived.
    seen: u64,
    /// How often the sequence number has wrapped.
    rollovers: u32,
}

impl IncomingStream {
    pub(crate) fn receive(&mut self, sequence: u16, tally: &mut Tally) {
        tally.received += 1;
        let ahead = self
            .newest
            .map_or(1, |newest| sequence.wrapping_sub(newest).cast_signed());
        if ahead > 0 {
            let wrapped = self.newest.is_some_and(|newest| sequence < newest);
            self.rollovers += u32::from(wrapped);
            self.newest = Some(sequence);
            self.seen = self
                .seen
                .checked_shl(ahead.unsigned_abs().into())
                .unwrap_or(0)
                | 1;
            return;
        }
        let behind = ahead.unsigned_abs();
        let bit = 1_u64.checked_shl(behind.into()).unwrap_or(0);
        if self.seen & bit == 0 {
            tally.reordered += 1;
        } else {
            tally.duplicated += 1;
        }
        self.seen |= bit;
    }

    /// The rollover counter (RFC 3711 section 3.3.1) of the packet that was received last.
    pub(crate) fn rollover_counter(&self, sequence: u16) -> u32 {
        let before_wrap = self.newest.is_some_and(|newest| sequence > newest);
        self.rollovers.saturating_sub(before_wrap.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_reads_as_it_was_made_and_not_as_another_call() {
        let mut packet = Vec::new();
        OutgoingStream::new(7).append(&mut packet, 300, 42, 160, None);
        assert_eq!(packet.len(), RTP_HEADER_BYTES + 160);
        assert_eq!(ssrc_and_sequence(&packet), Some((7, 1)));
        assert_eq!(right_payload_number(&packet, 300, 160), Some(42));
        assert_eq!(right_payload_number(&packet, 301, 160), None);
        packet.pop();
        assert_eq!(right_payload_number(&packet, 300, 160), None);
    }

    #[test]
    fn the_packets_of_a_frame_share_a_timestamp_and_the_last_is_marked() {
        let mut stream = OutgoingStream::new(7);
        let mut packets = [const { Vec::new() }; 3];
        for (packet, last) in packets.iter_mut().zip([false, true, false]) {
            stream.append(packet, 1, 0, 16, Some(last));
        }
        let timestamps = packets.each_ref().map(|packet| packet[4..8].to_vec());
        assert!(timestamps[0] == timestamps[1] && timestamps[1] != timestamps[2]);
        assert_eq!(packets.map(|packet| packet[1] >> 7), [0, 1, 0]);
    }

    #[test]
    fn an_ssrc_tells_way_call_and_rewriting() {
        for way in [Way::ToBrowser, Way::ToTrunk] {
            assert_eq!(read_ssrc(sent_ssrc(way, 9)), Some((way, 9, false)));
            assert_eq!(read_ssrc(rewritten_ssrc(way, 9)), Some((way, 9, true)));
        }
        assert_eq!(read_ssrc(0x3001_0000), None);
        assert_eq!(read_ssrc(9), None);
    }

    #[test]
    fn order_and_duplicates_are_seen_across_the_wrap() {
        let (mut stream, mut tally) = (IncomingStream::default(), Tally::default());
        for sequence in [65_534, 65_535, 65_535, 1, 0, 2, 0, 65_534] {
            stream.receive(sequence, &mut tally);
        }
        assert_eq!(
            (tally.received, tally.reordered, tally.duplicated),
            (8, 1, 3)
        );
        assert_eq!(tally.unique(), 5);
        assert_eq!(
            (stream.rollover_counter(2), stream.rollover_counter(65_535)),
            (1, 0)
        );
    }
}
