//! What a request was: 64 bits that the kernel hands back with its completion.

/// Kind in the upper 8 bits, generation in the next 24, index in the lower 32.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tag {
    pub(super) kind: Kind,
    /// Of the socket; only the lower [`GENERATION_BITS`] travel.
    pub(super) generation: u32,
    /// Of the socket, or of the buffer that is sent.
    pub(super) index: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A receive of the socket `index`.
    Receive,
    /// One more look at the queue of the socket `index`.
    Drain,
    /// The buffer `index` is sent.
    Send,
    /// Control wrote the event descriptor.
    Wake,
    /// A request was cancelled (or was found to be done).
    Cancel,
}

impl Kind {
    /// It may bring a packet.
    pub(super) fn is_receive(self) -> bool {
        matches!(self, Self::Receive | Self::Drain)
    }
}

const GENERATION_BITS: u32 = 24;
/// Generations wrap here.
pub(super) const GENERATION_MASK: u32 = (1 << GENERATION_BITS) - 1;

impl Tag {
    pub(super) fn new(kind: Kind, generation: u32, index: u32) -> Self {
        Self {
            kind,
            generation: generation & GENERATION_MASK,
            index,
        }
    }

    pub(super) fn encode(self) -> u64 {
        let kind: u64 = match self.kind {
            Kind::Receive => 1,
            Kind::Send => 2,
            Kind::Wake => 3,
            Kind::Cancel => 4,
            Kind::Drain => 5,
        };
        kind << 56 | u64::from(self.generation) << 32 | u64::from(self.index)
    }

    /// `None` for a value that was never encoded.
    pub(super) fn decode(value: u64) -> Option<Self> {
        let kind = match value >> 56 {
            1 => Kind::Receive,
            2 => Kind::Send,
            3 => Kind::Wake,
            4 => Kind::Cancel,
            5 => Kind::Drain,
            _ => return None,
        };
        let generation = u32::try_from(value >> 32 & u64::from(GENERATION_MASK)).ok()?;
        let index = u32::try_from(value & u64::from(u32::MAX)).ok()?;
        Some(Self {
            kind,
            generation,
            index,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comes_back_as_it_was() {
        for kind in [
            Kind::Receive,
            Kind::Drain,
            Kind::Send,
            Kind::Wake,
            Kind::Cancel,
        ] {
            let tag = Tag::new(kind, GENERATION_MASK, u32::MAX);
            assert_eq!(Tag::decode(tag.encode()), Some(tag));
        }
        assert_eq!(Tag::decode(0), None);
    }

    #[test]
    fn a_generation_wraps_without_touching_the_kind() {
        let tag = Tag::new(Kind::Send, GENERATION_MASK + 2, 3);
        assert_eq!(tag.generation, 1);
        assert_eq!(Tag::decode(tag.encode()), Some(tag));
    }
}
