//! Every difference between our SRTP and libsrtp 2.5.0 that the comparison tolerates or keeps out
//! of its way. Each entry says what the two do and why ours is right; `traffic` and `edges` hold
//! both to everything else. The tests at the foot show that 3 to 8 and 10 are as described.
//!
//! 1. **First SRTCP index.** RFC 3711 section 3.2.1 starts at 0, as we do; libsrtp sends 1 first.
//!    Both take either. Where bytes are compared, our sender is one packet ahead.
//! 2. **One SRTCP index per key, not per source.** Our sender counts all its sources together;
//!    libsrtp counts each. Both are distinct for each source, which is all that section 3.4 asks.
//! 3. **Shape first.** We look at version, lengths and header before anything else, and at the MKI
//!    after the replay list. libsrtp does not look at the version, finds the rest after the replay
//!    list or not before the tag, and the MKI of SRTCP before anything. Damage there is refused by
//!    both, named differently; a sender's mistake in the header is refused by us alone.
//! 4. **E bit with GCM.** RFC 7714 section 9.3 lets each SRTCP packet say whether it is encrypted;
//!    RFC 3711 section 3.4 and our policy say that all are. We refuse a cleared bit at once; libsrtp
//!    takes all for associated data and finds the tag wrong, or before that the MKI. (It would accept an authentic packet
//!    without encryption, which only a holder of the key can make. We never do.)
//! 5. **Padding larger than the payload** (RFC 3550 section 5.1) is refused by us, on either side,
//!    and passed on by libsrtp.
//! 6. **Cryptex** (RFC 9335) is refused by us, as it was not negotiated; libsrtp 2.5.0 does not know
//!    it and takes the mark for any other extension.
//! 7. **The end of a key.** We refuse an index beyond 48 bits; libsrtp counts on in 64 bits, of which
//!    the packet carries 48: the rollover counter begins again at 0 under the same key.
//! 8. **MKI of SRTCP with the `_32` suites.** libsrtp 2.5.0 looks for it behind a tag of 4 bytes,
//!    though SRTCP has one of 10, and so refuses what it has protected itself.
//! 9. **Replay windows.** libsrtp rounds that of RTP up to a multiple of 32, and that of SRTCP is
//!    always 128. The comparison uses windows for which this makes no difference.
//! 10. **AES-192.** libsrtp before 2.8 derives the session keys of the AES_192 suites with AES-256,
//!     from the master key and the first 8 bytes of the salt (its issue 763): not what RFC 6188
//!     section 3 says. Ours passes the vectors of section 7.4. So these suites are compared with
//!     `reference`, and not with libsrtp.
//! 11. **Number of sources.** Ours is bounded, libsrtp's is not.
//!
//! Errors have other names there: see [`ours`] and [`theirs`].

use crypto::srtp::SrtpError;
use libsrtp::Status;

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Protected or unprotected; the packet's new length.
    Done(usize),
    Refused(Refusal),
}

/// Why a packet was refused, in words that both sides share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Too short, or a header that contradicts itself.
    Malformed,
    Forged,
    Replayed,
    TooOld,
    /// The E bit is not as negotiated.
    WrongEncryption,
    UnknownMki,
    /// What only we know: differences 5 and 6.
    OurOwn,
    Other,
}

pub(crate) fn ours(result: Result<usize, SrtpError>) -> Outcome {
    match result {
        Ok(length) => Outcome::Done(length),
        Err(error) => Outcome::Refused(match error {
            SrtpError::TooShort
            | SrtpError::BadVersion
            | SrtpError::TruncatedCsrcs
            | SrtpError::TruncatedExtension => Refusal::Malformed,
            SrtpError::AuthenticationFailed => Refusal::Forged,
            SrtpError::Replayed => Refusal::Replayed,
            SrtpError::TooOld => Refusal::TooOld,
            SrtpError::NotEncrypted | SrtpError::UnexpectedEncryption => Refusal::WrongEncryption,
            SrtpError::UnknownMki => Refusal::UnknownMki,
            SrtpError::PaddingTooLarge | SrtpError::EncryptedHeader => Refusal::OurOwn,
            SrtpError::KeyExhausted
            | SrtpError::TooManySources
            | SrtpError::NoRoom
            | SrtpError::SourceInUse
            | SrtpError::BadKey
            | SrtpError::BadOptions => Refusal::Other,
        }),
    }
}

pub(crate) fn theirs(result: Result<usize, Status>) -> Outcome {
    match result {
        Ok(length) => Outcome::Done(length),
        Err(status) => Outcome::Refused(match status {
            Status::BAD_PARAMETER | Status::PARSE_ERROR => Refusal::Malformed,
            // The second is how a GCM tag fails; the third is what damage to the SSRC is in a session
            // that was made for one source.
            Status::AUTHENTICATION_FAILED | Status::CIPHER_FAILED | Status::NO_CONTEXT => {
                Refusal::Forged
            }
            Status::REPLAYED => Refusal::Replayed,
            Status::TOO_OLD | Status::INDEX_TOO_OLD => Refusal::TooOld,
            Status::CANNOT_CHECK => Refusal::WrongEncryption,
            Status::BAD_MKI => Refusal::UnknownMki,
            _ => Refusal::Other,
        }),
    }
}

/// Whether both did the same, but for the names of differences 3 and 4, and for the mark of cryptex
/// that damage has made.
pub(crate) fn agree(ours: Outcome, theirs: Outcome) -> bool {
    match (ours, theirs) {
        (
            Outcome::Refused(Refusal::Malformed | Refusal::WrongEncryption | Refusal::OurOwn),
            Outcome::Refused(_),
        )
        | (
            Outcome::Refused(Refusal::Replayed | Refusal::TooOld),
            Outcome::Refused(Refusal::UnknownMki),
        ) => true,
        (ours, theirs) => ours == theirs,
    }
}

#[cfg(test)]
mod tests {
    use crypto::keys::SrtpProfile;

    use super::*;
    use crate::random::Random;
    use crate::srtp::packets::{rtcp, rtp};
    use crate::srtp::peers::{Call, Kind, Peers, SUITES};

    const SSRC: u32 = 0x5249_4E47;

    fn plain_call() -> Call {
        Call {
            suite: SUITES[0],
            mki: Vec::new(),
            window_packets: 128,
            rollover_counter: None,
        }
    }

    /// What each of the two says to protecting these bytes.
    fn protect(plain: &[u8]) -> (Outcome, Outcome) {
        let mut peers = Peers::new(&plain_call(), &mut Random::new(1));
        (
            peers.protect_with_ours(Kind::Rtp, plain).0,
            peers.protect_with_theirs(Kind::Rtp, plain).0,
        )
    }

    /// What each of the two says to unprotecting what libsrtp has protected.
    fn unprotect(call: &Call, kind: Kind, plain: &[u8]) -> (Outcome, Outcome) {
        let mut peers = Peers::new(call, &mut Random::new(1));
        let datagram = peers.protect_with_theirs(kind, plain).1.unwrap();
        let (ours, theirs) = peers.unprotect(kind, &datagram);
        (ours.0, theirs.0)
    }

    fn header(first: u8) -> Vec<u8> {
        let mut packet = vec![first, 0, 0, 1, 0, 0, 0, 0];
        packet.extend(SSRC.to_be_bytes());
        packet
    }

    #[test]
    fn difference_3_libsrtp_protects_a_packet_of_version_1() {
        let mut plain = header(0x40);
        plain.extend([9; 20]);
        let (ours, theirs) = protect(&plain);
        assert_eq!(ours, Outcome::Refused(Refusal::Malformed));
        assert_eq!(theirs, Outcome::Done(42));
    }

    #[test]
    fn difference_4_a_cleared_e_bit_has_another_name_with_gcm() {
        let mut call = plain_call();
        call.suite = *SUITES
            .iter()
            .find(|suite| suite.0.label().contains("128_GCM"))
            .unwrap();
        let mut random = Random::new(1);
        let mut peers = Peers::new(&call, &mut random);
        let plain = rtcp(&mut random, SSRC);
        let mut datagram = peers.protect_with_ours(Kind::Rtcp, &plain).1.unwrap();
        let word = datagram.len() - 4;
        datagram[word] ^= 0x80;
        let (ours, theirs) = peers.unprotect(Kind::Rtcp, &datagram);
        assert_eq!(ours.0, Outcome::Refused(Refusal::WrongEncryption));
        assert_eq!(theirs.0, Outcome::Refused(Refusal::Forged));
    }

    #[test]
    fn difference_5_libsrtp_passes_padding_that_is_larger_than_the_payload() {
        let mut plain = header(0xA0);
        plain.extend([0, 0, 0, 5]);
        let refused = Outcome::Refused(Refusal::OurOwn);
        assert_eq!(protect(&plain), (refused, Outcome::Done(26)));
        let received = unprotect(&plain_call(), Kind::Rtp, &plain);
        assert_eq!(received, (refused, Outcome::Done(16)));
    }

    #[test]
    fn difference_6_libsrtp_passes_the_marks_of_cryptex() {
        for mark in [[0xC0, 0xDE], [0xC2, 0xDE]] {
            let mut plain = header(0x90);
            plain.extend(mark);
            plain.extend([0, 1, 1, 2, 3, 4, 9, 9]);
            let refused = Outcome::Refused(Refusal::OurOwn);
            assert_eq!(protect(&plain), (refused, Outcome::Done(32)));
            let received = unprotect(&plain_call(), Kind::Rtp, &plain);
            assert_eq!(received, (refused, Outcome::Done(22)));
        }
    }

    #[test]
    fn difference_7_libsrtp_counts_beyond_48_bits() {
        let mut random = Random::new(1);
        let call = Call {
            rollover_counter: Some((SSRC, u32::MAX)),
            ..plain_call()
        };
        let mut peers = Peers::new(&call, &mut random);
        let last = rtp(&mut random, SSRC, 0xFFFF);
        let datagram = peers.protect_rtp(&last).unwrap();
        assert_eq!(peers.deliver(Kind::Rtp, &datagram), Some(last));
        let beyond = rtp(&mut random, SSRC, 0);
        let (ours, _) = peers.protect_with_ours(Kind::Rtp, &beyond);
        assert_eq!(ours, Outcome::Refused(Refusal::Other));
        let (theirs, datagram) = peers.protect_with_theirs(Kind::Rtp, &beyond);
        assert_eq!(theirs, Outcome::Done(beyond.len() + 10));
        let (ours, _) = peers.unprotect(Kind::Rtp, &datagram.unwrap());
        assert_eq!(ours.0, Outcome::Refused(Refusal::Other));
    }

    #[test]
    fn difference_8_libsrtp_does_not_find_its_own_mki_in_srtcp() {
        let mut call = plain_call();
        call.suite = SUITES[1];
        assert_eq!(call.suite.0.rtp_tag_bytes(), 4);
        call.mki = vec![0xA5, 0x5A];
        let plain = rtcp(&mut Random::new(1), SSRC);
        let (ours, theirs) = unprotect(&call, Kind::Rtcp, &plain);
        assert_eq!(ours, Outcome::Done(plain.len()));
        assert_eq!(theirs, Outcome::Refused(Refusal::UnknownMki));
    }

    #[test]
    fn difference_10_libsrtp_derives_other_keys_for_aes_192() {
        let theirs = libsrtp::Suite::AesCm192HmacSha1_80;
        let call = Call {
            suite: (SrtpProfile::AesCm192HmacSha1_80, theirs),
            ..plain_call()
        };
        let plain = rtp(&mut Random::new(1), SSRC, 1);
        let (ours, theirs) = unprotect(&call, Kind::Rtp, &plain);
        assert_eq!(ours, Outcome::Refused(Refusal::Forged));
        assert_eq!(theirs, Outcome::Done(plain.len()));
    }
}
