//! The one table of SRTP suites. A new suite is a row here and a variant of
//! [`SrtpProfile`]; everything else reads this table.

use super::SrtpProfile;

/// How a suite makes a packet unreadable and unforgeable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transform {
    /// No encryption, HMAC-SHA1.
    Null,
    /// AES counter mode and HMAC-SHA1.
    AesCm,
    /// AES-GCM, which does both.
    AesGcm,
}

/// What distinguishes one suite from another.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Suite {
    pub(crate) profile: SrtpProfile,
    /// The name of RFC 4568 section 6.2, RFC 6188 section 6 or RFC 7714 section 14.1.
    pub(crate) sdes_name: Option<&'static str>,
    /// The number of RFC 5764 section 4.1.2 or RFC 7714 section 14.2.
    pub(crate) dtls_id: Option<u16>,
    pub(crate) label: &'static str,
    pub(crate) transform: Transform,
    pub(crate) key_bytes: usize,
    pub(crate) salt_bytes: usize,
    pub(crate) rtp_tag_bytes: usize,
    pub(crate) rtcp_tag_bytes: usize,
    /// Stands for the suite in exported contexts: never changed, never used again.
    pub(crate) code: u8,
}

/// A row whose tags differ between RTP and RTCP only for the 32-bit suites: SRTCP keeps 80 bits
/// (RFC 4568 section 6.2.2, RFC 5764 section 4.1.2).
const fn hmac_row(
    profile: SrtpProfile,
    label: &'static str,
    transform: Transform,
    key_bytes: usize,
    rtp_tag_bytes: usize,
    code: u8,
) -> Suite {
    Suite {
        profile,
        sdes_name: None,
        dtls_id: None,
        label,
        transform,
        key_bytes,
        salt_bytes: 14,
        rtp_tag_bytes,
        rtcp_tag_bytes: 10,
        code,
    }
}

const fn gcm_row(profile: SrtpProfile, label: &'static str, key_bytes: usize, code: u8) -> Suite {
    Suite {
        profile,
        sdes_name: None,
        dtls_id: None,
        label,
        transform: Transform::AesGcm,
        key_bytes,
        salt_bytes: 12,
        rtp_tag_bytes: 16,
        rtcp_tag_bytes: 16,
        code,
    }
}

impl Suite {
    const fn sdes(mut self, name: &'static str) -> Self {
        self.sdes_name = Some(name);
        self
    }

    const fn dtls(mut self, id: u16) -> Self {
        self.dtls_id = Some(id);
        self
    }
}

use SrtpProfile as P;
use Transform::{AesCm, Null};

/// Every suite, in the order of [`SrtpProfile`].
#[rustfmt::skip]
pub(crate) const SUITES: [Suite; SrtpProfile::ALL.len()] = [
    hmac_row(P::AesCm128HmacSha1_80, "SRTP_AES128_CM_HMAC_SHA1_80", AesCm, 16, 10, 1)
        .sdes("AES_CM_128_HMAC_SHA1_80").dtls(0x0001),
    hmac_row(P::AesCm128HmacSha1_32, "SRTP_AES128_CM_HMAC_SHA1_32", AesCm, 16, 4, 2)
        .sdes("AES_CM_128_HMAC_SHA1_32").dtls(0x0002),
    hmac_row(P::AesCm192HmacSha1_80, "AES_192_CM_HMAC_SHA1_80", AesCm, 24, 10, 3)
        .sdes("AES_192_CM_HMAC_SHA1_80"),
    hmac_row(P::AesCm192HmacSha1_32, "AES_192_CM_HMAC_SHA1_32", AesCm, 24, 4, 4)
        .sdes("AES_192_CM_HMAC_SHA1_32"),
    hmac_row(P::AesCm256HmacSha1_80, "AES_256_CM_HMAC_SHA1_80", AesCm, 32, 10, 5)
        .sdes("AES_256_CM_HMAC_SHA1_80"),
    hmac_row(P::AesCm256HmacSha1_32, "AES_256_CM_HMAC_SHA1_32", AesCm, 32, 4, 6)
        .sdes("AES_256_CM_HMAC_SHA1_32"),
    gcm_row(P::AeadAes128Gcm, "SRTP_AEAD_AES_128_GCM", 16, 7)
        .sdes("AEAD_AES_128_GCM").dtls(0x0007),
    gcm_row(P::AeadAes256Gcm, "SRTP_AEAD_AES_256_GCM", 32, 8)
        .sdes("AEAD_AES_256_GCM").dtls(0x0008),
    // No name and no number: nobody can negotiate these.
    hmac_row(P::NullHmacSha1_80, "SRTP_NULL_HMAC_SHA1_80", Null, 16, 10, 9),
    hmac_row(P::NullHmacSha1_32, "SRTP_NULL_HMAC_SHA1_32", Null, 16, 4, 10),
];

// `SrtpProfile::suite` finds the row by position.
const _: () = {
    let mut row = 0;
    while row < SUITES.len() {
        assert!(SUITES[row].profile as usize == row);
        assert!(SrtpProfile::ALL[row] as usize == row);
        assert!(SUITES[row].code as usize == row + 1);
        row += 1;
    }
};
