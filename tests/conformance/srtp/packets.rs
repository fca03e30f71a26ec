//! Random packets that are well formed, and what a network or an attacker does to them.

use crate::random::Random;

const PAYLOAD_BYTES_MAX: usize = 1400;

/// An RTP packet with any of CSRC list, header extension and padding (RFC 3550 section 5.1).
pub(crate) fn rtp(random: &mut Random, ssrc: u32, sequence: u16) -> Vec<u8> {
    let csrcs = if random.permille(200) {
        random.between(1, 15)
    } else {
        0
    };
    let extension_words = if random.permille(300) {
        Some(random.between(0, 6))
    } else {
        None
    };
    let mut payload = random_payload(random);
    let mut first = 0x80 | u8::try_from(csrcs).unwrap();
    if extension_words.is_some() {
        first |= 0x10;
    }
    if random.permille(150) && !payload.is_empty() {
        first |= 0x20;
        let last = payload.len() - 1;
        payload[last] = u8::try_from(random.between(1, payload.len().min(255))).unwrap();
    }
    let mut packet = vec![first, random.byte()];
    packet.extend(sequence.to_be_bytes());
    packet.extend(random.bytes(4));
    packet.extend(ssrc.to_be_bytes());
    packet.extend(random.bytes(4 * csrcs));
    if let Some(words) = extension_words {
        // One-byte and two-byte elements (RFC 8285), or any other extension.
        let profile = *random.pick(&[0xBEDE_u16, 0x1000, 0x100F, 0x0000, 0xABCD]);
        packet.extend(profile.to_be_bytes());
        packet.extend(u16::try_from(words).unwrap().to_be_bytes());
        packet.extend(random.bytes(4 * words));
    }
    packet.extend(payload);
    packet
}

fn random_payload(random: &mut Random) -> Vec<u8> {
    let bytes = match random.below(4) {
        0 => random.between(0, 40),
        1 => *random.pick(&[20, 33, 160, 240, 480]),
        2 => random.between(0, 400),
        _ => random.between(0, PAYLOAD_BYTES_MAX),
    };
    random.bytes(bytes)
}

/// A compound or reduced-size RTCP packet (RFC 3550 section 6.1, RFC 5506).
pub(crate) fn rtcp(random: &mut Random, ssrc: u32) -> Vec<u8> {
    let mut packet = Vec::new();
    for part in 0..random.between(1, 3) {
        let words = random.between(1, if part == 0 { 20 } else { 60 });
        // SR, RR, SDES, BYE, APP, RTPFB, PSFB, XR
        let packet_type = *random.pick(&[200, 201, 202, 203, 204, 205, 206, 207]);
        packet.extend([0x80 | (random.byte() & 0x1F), packet_type]);
        packet.extend(u16::try_from(words).unwrap().to_be_bytes());
        packet.extend(ssrc.to_be_bytes());
        packet.extend(random.bytes(4 * (words - 1)));
    }
    packet
}

/// Changes a datagram: never into itself.
pub(crate) fn damage(random: &mut Random, datagram: &mut Vec<u8>) {
    match random.below(10) {
        0 => {
            let length = random.below(datagram.len());
            datagram.truncate(length);
        }
        1 => {
            let more = random.between(1, 8);
            datagram.extend(random.bytes(more));
        }
        2 => {
            let last = datagram.len() - 1;
            datagram[last] ^= 1 << random.below(8);
        }
        3 => {
            let place = random.below(datagram.len().min(16));
            datagram[place] ^= 1 << random.below(8);
        }
        _ => {
            let place = random.below(datagram.len());
            datagram[place] ^= 1 << random.below(8);
        }
    }
}
