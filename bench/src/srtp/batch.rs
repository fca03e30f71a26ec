//! The packets that all subjects work on.

/// Packets of a batch: few enough that those of 1200 bytes stay in the nearest cache.
pub(super) const PACKETS: u16 = 32;

/// RTP header without CSRC list and extension.
pub(super) const HEADER_BYTES: usize = 12;

/// The source of all packets.
const SSRC: u32 = 0x5249_4E47;

/// Room behind each packet for what any subject adds; libsrtp wants room for an MKI.
const ROOM_BYTES: usize = 192;

/// Packets of one size, each in a place of its own.
pub(super) struct Batch {
    memory: Vec<u8>,
    place_bytes: usize,
    plain_bytes: usize,
    tag_bytes: usize,
}

impl Batch {
    pub(super) fn new(payload_bytes: usize, tag_bytes: usize) -> Self {
        let plain_bytes = HEADER_BYTES + payload_bytes;
        let place_bytes = (plain_bytes + ROOM_BYTES).next_multiple_of(64);
        Self {
            memory: vec![0x5A; place_bytes * usize::from(PACKETS)],
            place_bytes,
            plain_bytes,
            tag_bytes,
        }
    }

    /// Length of header and payload.
    pub(super) fn plain_bytes(&self) -> usize {
        self.plain_bytes
    }

    /// Length of a protected packet.
    pub(super) fn protected_bytes(&self) -> usize {
        self.plain_bytes + self.tag_bytes
    }

    /// The places of the packets, each with room behind its packet.
    pub(super) fn places(&mut self) -> impl Iterator<Item = &mut [u8]> {
        self.memory.chunks_exact_mut(self.place_bytes)
    }

    /// Writes headers with the sequence numbers that follow those of `last`.
    pub(super) fn number(&mut self, last: &mut u16) {
        for place in self.memory.chunks_exact_mut(self.place_bytes) {
            *last = last.wrapping_add(1);
            let [high, low] = last.to_be_bytes();
            let [a, b, c, d] = SSRC.to_be_bytes();
            let header = [0x80, 0, high, low, 0, 0, 0, 160, a, b, c, d];
            for (to, from) in place.iter_mut().zip(header) {
                *to = from;
            }
        }
    }

    /// Spoils the tag of every packet.
    pub(super) fn forge(&mut self) {
        let last = self.protected_bytes() - 1;
        for place in self.places() {
            if let Some(byte) = place.get_mut(last) {
                *byte ^= 1;
            }
        }
    }
}
