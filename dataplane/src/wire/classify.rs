//! Which protocol a datagram carries, by its first two bytes (RFC 7983, RFC 5761).

/// The protocols that share a WebRTC port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// RFC 8489
    Stun,
    /// RFC 6347, RFC 9147
    Dtls,
    /// RTP or SRTP
    Rtp,
    /// RTCP or SRTCP
    Rtcp,
}

/// Looks at the first byte (RFC 7983 section 7) and tells RTP from RTCP by the second: packet
/// types 192 to 223 are RTCP (RFC 5761 section 4), which is why payload types 64 to 95 are never
/// agreed.
///
/// `None` for ZRTP, TURN channels, QUIC and anything unassigned; also for an empty datagram or a
/// lone byte of RTP.
#[must_use]
pub fn classify(datagram: &[u8]) -> Option<Protocol> {
    match *datagram.first()? {
        0..=3 => Some(Protocol::Stun),
        20..=63 => Some(Protocol::Dtls),
        128..=191 => match *datagram.get(1)? {
            192..=223 => Some(Protocol::Rtcp),
            0..=191 | 224..=255 => Some(Protocol::Rtp),
        },
        4..=19 | 64..=127 | 192..=255 => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_the_ranges_of_rfc_7983() {
        let of = |first: u8| classify(&[first, 0]);
        assert_eq!((of(0), of(3)), (Some(Protocol::Stun), Some(Protocol::Stun)));
        assert_eq!((of(4), of(19)), (None, None));
        assert_eq!(
            (of(20), of(63)),
            (Some(Protocol::Dtls), Some(Protocol::Dtls))
        );
        assert_eq!((of(64), of(127)), (None, None));
        assert_eq!(
            (of(128), of(191)),
            (Some(Protocol::Rtp), Some(Protocol::Rtp))
        );
        assert_eq!((of(192), of(255)), (None, None));
        assert_eq!(classify(&[]), None);
        assert_eq!(classify(&[0x80]), None);
    }

    #[test]
    fn tells_rtcp_from_rtp_with_marker_bit() {
        assert_eq!(classify(&[0x80, 191]), Some(Protocol::Rtp));
        assert_eq!(classify(&[0x80, 200]), Some(Protocol::Rtcp));
        assert_eq!(classify(&[0x81, 223]), Some(Protocol::Rtcp));
        assert_eq!(classify(&[0x80, 224]), Some(Protocol::Rtp));
    }
}
