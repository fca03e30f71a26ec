//! Where in its messages a client is: the frames' headers, read beside the one that puts the
//! messages together.

/// Longest head of a frame: two bytes, a length of eight, a mask of four (RFC 6455 section 5.2).
const HEAD_BYTES_MAX: usize = 14;

/// Follows the stream of a client, whatever the pieces in which it comes.
///
/// It judges nothing: what breaks a rule ends the connection elsewhere.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    head: [u8; HEAD_BYTES_MAX],
    head_length: usize,
    /// What is left of the payload of the frame whose head is complete.
    payload_left: u64,
    /// A fragment has come that is not the last of its message.
    is_fragmented: bool,
}

/// What a piece of the stream has brought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Passed {
    /// Text and binary messages that it ended.
    pub messages: usize,
    /// There was a moment at which nothing had begun that had not ended.
    pub between: bool,
}

impl Progress {
    /// Takes what came next.
    pub fn push(&mut self, mut bytes: &[u8]) -> Passed {
        let mut passed = Passed::default();
        while !bytes.is_empty() {
            let wanted = self.head_wanted();
            if self.head_length < wanted {
                let (now, later) = bytes.split_at(bytes.len().min(wanted - self.head_length));
                for byte in now {
                    if let Some(place) = self.head.get_mut(self.head_length) {
                        *place = *byte;
                    }
                    self.head_length += 1;
                }
                bytes = later;
                if self.head_length < self.head_wanted() {
                    continue;
                }
                self.payload_left = self.payload_length();
            } else {
                let left = usize::try_from(self.payload_left).unwrap_or(usize::MAX);
                let (now, later) = bytes.split_at(bytes.len().min(left));
                self.payload_left -= u64::try_from(now.len()).unwrap_or(self.payload_left);
                bytes = later;
            }
            if self.payload_left == 0 {
                passed.messages += usize::from(self.end_frame());
                passed.between |= !self.is_mid_message();
            }
        }
        passed
    }

    /// True if a frame or message has begun and not ended.
    #[must_use]
    pub fn is_mid_message(&self) -> bool {
        self.head_length > 0 || self.is_fragmented
    }

    /// The frame is complete; true if a text or binary message is so, too.
    fn end_frame(&mut self) -> bool {
        let first = self.head[0];
        let (is_last, is_control) = (first & 0x80 != 0, first & 0x08 != 0);
        self.head_length = 0;
        if !is_control {
            self.is_fragmented = !is_last;
        }
        !is_control && is_last
    }

    /// Length of the head, as far as that is known.
    fn head_wanted(&self) -> usize {
        if self.head_length < 2 {
            return 2;
        }
        let second = self.head[1];
        let length = match second & 0x7f {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let mask = if second & 0x80 == 0 { 0 } else { 4 };
        2 + length + mask
    }

    fn payload_length(&self) -> u64 {
        let [_, second, rest @ ..] = &self.head;
        let bytes = match second & 0x7f {
            126 => &rest[..2],
            127 => &rest[..8],
            short => return u64::from(short),
        };
        bytes
            .iter()
            .fold(0, |length, byte| length << 8 | u64::from(*byte))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A frame with this first byte, masked with zeros, whose length is written in 0, 2 or 8 bytes.
    fn frame(first: u8, payload: usize, length_bytes: usize) -> Vec<u8> {
        let mut frame = vec![first];
        let length = u64::try_from(payload).unwrap().to_be_bytes();
        match length_bytes {
            0 => frame.push(0x80 | length[7]),
            2 => frame.push(0x80 | 126),
            _ => frame.push(0x80 | 127),
        }
        frame.extend_from_slice(&length[8 - length_bytes..]);
        frame.extend_from_slice(&[0; 4]);
        frame.extend(std::iter::repeat_n(b'x', payload));
        frame
    }

    const NOTHING: Passed = Passed {
        messages: 0,
        between: false,
    };

    #[test]
    fn a_frame_is_begun_by_its_first_byte_and_ended_by_its_last() {
        for (payload, length_bytes) in [(0, 0), (1, 0), (125, 0), (126, 2), (3, 2), (70_000, 8)] {
            let frame = frame(0x81, payload, length_bytes);
            let mut progress = Progress::default();
            assert!(!progress.is_mid_message());
            let (last, before) = frame.split_last().unwrap();
            for byte in before {
                assert_eq!(progress.push(&[*byte]), NOTHING);
                assert!(progress.is_mid_message());
            }
            let passed = progress.push(&[*last]);
            assert!(passed.messages == 1 && passed.between);
            assert!(!progress.is_mid_message(), "{payload} in {length_bytes}");
        }
    }

    #[test]
    fn a_message_in_fragments_ends_with_the_last_and_no_ping_between_ends_it() {
        let mut progress = Progress::default();
        for (first, payload) in [(0x01, 5), (0x89, 4), (0x00, 0), (0x8a, 0)] {
            assert_eq!(progress.push(&frame(first, payload, 0)), NOTHING);
            assert!(progress.is_mid_message());
        }
        let mut rest = frame(0x80, 300, 2);
        rest.extend(frame(0x82, 1, 0));
        rest.push(0x81);
        let passed = progress.push(&rest);
        assert!(passed.messages == 2 && passed.between);
        assert!(progress.is_mid_message());
    }

    #[test]
    fn a_ping_by_itself_is_no_message_but_leaves_nothing_begun() {
        let mut progress = Progress::default();
        let mut pings = frame(0x89, 4, 0);
        pings.push(0x89);
        let passed = progress.push(&pings);
        assert!(passed.messages == 0 && passed.between);
        assert!(progress.is_mid_message());
    }

    #[test]
    fn the_longest_length_is_waited_for() {
        let mut progress = Progress::default();
        progress.push(&[0x82, 0xff]);
        progress.push(&[0xff; 12]);
        progress.push(&[0; 4096]);
        assert!(progress.is_mid_message());
        assert_eq!(progress.payload_left, u64::MAX - 4096);
    }
}
