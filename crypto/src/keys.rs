//! SRTP master keys: fixed-size, wiped on drop, never printed.

mod suite;

use std::fmt;

use zeroize::{Zeroize, ZeroizeOnDrop};

pub(crate) use suite::Transform;
use suite::{SUITES, Suite};

use crate::limits::{MASTER_KEY_BYTES_MAX, MASTER_SALT_BYTES_MAX, MKI_BYTES_MAX};

/// An SRTP suite: cipher, authentication and their lengths. DTLS calls it a protection profile
/// (RFC 5764 section 4.1.2, RFC 7714 section 14.2), SDES a crypto-suite (RFC 4568 section 6.2,
/// RFC 6188).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SrtpProfile {
    /// AES-128 in counter mode, HMAC-SHA1 with 80-bit tags (RFC 3711).
    AesCm128HmacSha1_80,
    /// The same with 32-bit tags on RTP; RTCP keeps 80 bits.
    AesCm128HmacSha1_32,
    /// AES-192 in counter mode, 80-bit tags (RFC 6188); SDES only.
    AesCm192HmacSha1_80,
    /// The same with 32-bit tags on RTP.
    AesCm192HmacSha1_32,
    /// AES-256 in counter mode, 80-bit tags (RFC 6188); SDES only.
    AesCm256HmacSha1_80,
    /// The same with 32-bit tags on RTP.
    AesCm256HmacSha1_32,
    /// AES-128-GCM (RFC 7714).
    AeadAes128Gcm,
    /// AES-256-GCM (RFC 7714).
    AeadAes256Gcm,
    /// Authentication without encryption. For tests: it has neither a name in SDES nor a number
    /// in DTLS here, so that no peer can talk us into it.
    NullHmacSha1_80,
    /// The same with 32-bit tags on RTP. For tests.
    NullHmacSha1_32,
}

impl SrtpProfile {
    /// Every suite.
    pub const ALL: [Self; 10] = [
        Self::AesCm128HmacSha1_80,
        Self::AesCm128HmacSha1_32,
        Self::AesCm192HmacSha1_80,
        Self::AesCm192HmacSha1_32,
        Self::AesCm256HmacSha1_80,
        Self::AesCm256HmacSha1_32,
        Self::AeadAes128Gcm,
        Self::AeadAes256Gcm,
        Self::NullHmacSha1_80,
        Self::NullHmacSha1_32,
    ];

    const fn suite(self) -> &'static Suite {
        &SUITES[self as usize]
    }

    /// Length of the master key in bytes.
    #[must_use]
    pub const fn key_bytes(self) -> usize {
        self.suite().key_bytes
    }

    /// Length of the master salt in bytes.
    #[must_use]
    pub const fn salt_bytes(self) -> usize {
        self.suite().salt_bytes
    }

    /// Length of the authentication tag of an RTP packet in bytes: what protection adds to it,
    /// when there is no MKI.
    #[must_use]
    pub const fn rtp_tag_bytes(self) -> usize {
        self.suite().rtp_tag_bytes
    }

    /// Length of the authentication tag of an RTCP packet in bytes. The packet grows by 4 more:
    /// the index.
    #[must_use]
    pub const fn rtcp_tag_bytes(self) -> usize {
        self.suite().rtcp_tag_bytes
    }

    /// The registered name, for logs.
    #[must_use]
    pub const fn label(self) -> &'static str {
        self.suite().label
    }

    /// The crypto-suite of an `a=crypto` line; `None` where SDES must not be used.
    #[must_use]
    pub const fn sdes_name(self) -> Option<&'static str> {
        self.suite().sdes_name
    }

    /// The suite of that crypto-suite name, in any case (RFC 4568 section 9.2).
    #[must_use]
    pub fn from_sdes_name(name: &str) -> Option<Self> {
        let row = SUITES.iter().find(|suite| {
            suite
                .sdes_name
                .is_some_and(|known| known.eq_ignore_ascii_case(name))
        });
        row.map(|suite| suite.profile)
    }

    /// The number of the DTLS protection profile; `None` where DTLS-SRTP has none.
    #[must_use]
    pub const fn dtls_id(self) -> Option<u16> {
        self.suite().dtls_id
    }

    /// Whether the suite encrypts: all but the two for tests.
    #[must_use]
    pub const fn encrypts(self) -> bool {
        !matches!(self.suite().transform, Transform::Null)
    }

    pub(crate) const fn transform(self) -> Transform {
        self.suite().transform
    }

    /// What stands for the suite in exported contexts.
    pub(crate) const fn code(self) -> u8 {
        self.suite().code
    }

    pub(crate) fn from_code(code: u8) -> Option<Self> {
        let row = SUITES.iter().find(|suite| suite.code == code);
        row.map(|suite| suite.profile)
    }
}

impl fmt::Display for SrtpProfile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

/// Why key material was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyError {
    /// The master key does not have [`SrtpProfile::key_bytes`] bytes.
    KeyLength,
    /// The master salt does not have [`SrtpProfile::salt_bytes`] bytes.
    SaltLength,
    /// The MKI is empty or longer than
    /// [`MKI_BYTES_MAX`].
    BadMki,
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::KeyLength => "the SRTP master key has the wrong length for its profile",
            Self::SaltLength => "the SRTP master salt has the wrong length for its profile",
            Self::BadMki => "the master key identifier is empty or too long",
        })
    }
}

impl std::error::Error for KeyError {}

/// A master key identifier (RFC 3711 section 3.1): public bytes in every packet that say which
/// master key protects it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Mki {
    bytes: [u8; MKI_BYTES_MAX],
    length: u8,
}

impl Mki {
    /// No identifier: nothing is added to packets.
    pub(crate) const NONE: Self = Self {
        bytes: [0; MKI_BYTES_MAX],
        length: 0,
    };

    /// An identifier of these bytes.
    ///
    /// # Errors
    /// [`KeyError::BadMki`] unless there are 1 to
    /// [`MKI_BYTES_MAX`].
    pub fn new(identifier: &[u8]) -> Result<Self, KeyError> {
        let mut mki = Self::NONE;
        let place = mki.bytes.get_mut(..identifier.len());
        match (place, u8::try_from(identifier.len())) {
            (Some(place), Ok(length)) if length > 0 => {
                place.copy_from_slice(identifier);
                mki.length = length;
                Ok(mki)
            }
            _ => Err(KeyError::BadMki),
        }
    }

    /// The identifier as it travels in packets.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes
            .get(..usize::from(self.length))
            .unwrap_or_default()
    }
}

impl fmt::Debug for Mki {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mki({:02x?})", self.as_bytes())
    }
}

/// The master key and master salt of one direction (RFC 3711 section 3.2.1), and the identifier
/// that packets carry if one was negotiated. Wiped on drop.
#[derive(Clone)]
pub struct MasterKey {
    profile: SrtpProfile,
    key: [u8; MASTER_KEY_BYTES_MAX],
    salt: [u8; MASTER_SALT_BYTES_MAX],
    mki: Mki,
}

impl MasterKey {
    /// Copies the material; the caller wipes its own.
    ///
    /// # Errors
    /// A length that does not fit the profile.
    pub fn new(profile: SrtpProfile, key: &[u8], salt: &[u8]) -> Result<Self, KeyError> {
        if key.len() != profile.key_bytes() {
            return Err(KeyError::KeyLength);
        }
        if salt.len() != profile.salt_bytes() {
            return Err(KeyError::SaltLength);
        }
        let mut master = Self {
            profile,
            key: [0; MASTER_KEY_BYTES_MAX],
            salt: [0; MASTER_SALT_BYTES_MAX],
            mki: Mki::NONE,
        };
        master.key[..key.len()].copy_from_slice(key);
        master.salt[..salt.len()].copy_from_slice(salt);
        Ok(master)
    }

    /// The same key, named by an identifier in every packet.
    #[must_use]
    pub fn with_mki(mut self, mki: Mki) -> Self {
        self.mki = mki;
        self
    }

    /// The identifier that packets carry; empty when there is none.
    #[must_use]
    pub fn mki(&self) -> &[u8] {
        self.mki.as_bytes()
    }

    pub(crate) fn identifier(&self) -> Mki {
        self.mki
    }

    /// The protection profile that the key is for.
    #[must_use]
    pub fn profile(&self) -> SrtpProfile {
        self.profile
    }

    /// The master key.
    pub(crate) fn key(&self) -> &[u8] {
        &self.key[..self.profile.key_bytes()]
    }

    /// The master salt.
    pub(crate) fn salt(&self) -> &[u8] {
        &self.salt[..self.profile.salt_bytes()]
    }

    /// The master salt, padded on the right with zeros to 112 bits: the form in which key
    /// derivation takes it (RFC 7714 section 11).
    pub(crate) fn padded_salt(&self) -> &[u8; MASTER_SALT_BYTES_MAX] {
        &self.salt
    }
}

impl Drop for MasterKey {
    fn drop(&mut self) {
        self.key.zeroize();
        self.salt.zeroize();
    }
}

impl ZeroizeOnDrop for MasterKey {}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MasterKey({}, …)", self.profile)
    }
}

/// The keys of both directions of one DTLS association.
#[derive(Clone, Debug)]
pub struct SrtpKeys {
    /// What we protect with.
    pub local: MasterKey,
    /// What the peer protects with: we unprotect with it.
    pub remote: MasterKey,
}

// The keys travel inside the data plane's commands, which are small.
const _: () = assert!(size_of::<SrtpKeys>() <= 128);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_material_of_the_wrong_length() {
        let gcm = SrtpProfile::AeadAes256Gcm;
        assert_eq!(
            MasterKey::new(gcm, &[0; 16], &[0; 12]).unwrap_err(),
            KeyError::KeyLength
        );
        assert_eq!(
            MasterKey::new(gcm, &[0; 32], &[0; 14]).unwrap_err(),
            KeyError::SaltLength
        );
        assert!(MasterKey::new(gcm, &[0; 32], &[0; 12]).is_ok());
    }

    #[test]
    fn an_identifier_has_one_to_sixteen_bytes() {
        assert_eq!(Mki::new(&[]), Err(KeyError::BadMki));
        assert_eq!(Mki::new(&[0; 17]), Err(KeyError::BadMki));
        assert_eq!(Mki::new(&[7; 16]).unwrap().as_bytes(), [7; 16]);
    }

    #[test]
    fn the_table_agrees_with_the_rfcs() {
        for profile in SrtpProfile::ALL {
            let bytes = profile.key_bytes() + profile.salt_bytes();
            let expected = match profile.label() {
                label if label.contains("128_GCM") => (28, 16, 16),
                label if label.contains("256_GCM") => (44, 16, 16),
                label if label.contains("192") && label.ends_with("80") => (38, 10, 10),
                label if label.contains("192") => (38, 4, 10),
                label if label.contains("256") && label.ends_with("80") => (46, 10, 10),
                label if label.contains("256") => (46, 4, 10),
                label if label.ends_with("80") => (30, 10, 10),
                _ => (30, 4, 10),
            };
            let tags = (profile.rtp_tag_bytes(), profile.rtcp_tag_bytes());
            assert_eq!((bytes, tags.0, tags.1), expected, "{profile}");
            assert_eq!(SrtpProfile::from_code(profile.code()), Some(profile));
            if let Some(name) = profile.sdes_name() {
                assert_eq!(
                    SrtpProfile::from_sdes_name(&name.to_lowercase()),
                    Some(profile)
                );
            }
        }
    }

    #[test]
    fn nobody_can_negotiate_a_suite_that_does_not_encrypt() {
        for profile in SrtpProfile::ALL {
            let negotiable = profile.sdes_name().is_some() || profile.dtls_id().is_some();
            assert_eq!(negotiable, profile.encrypts(), "{profile}");
        }
    }

    #[test]
    fn debug_output_shows_the_profile_and_no_key() {
        let profile = SrtpProfile::AesCm128HmacSha1_80;
        let key = MasterKey::new(profile, &[0xAB; 16], &[0xCD; 14]).unwrap();
        let keys = SrtpKeys {
            local: key.clone(),
            remote: key,
        };
        let text = format!("{keys:?}").to_lowercase();
        assert!(text.contains("srtp_aes128_cm_hmac_sha1_80"));
        for secret in ["171", "205", "ab, ", "cd, ", "abab", "cdcd"] {
            assert!(!text.contains(secret), "{text}");
        }
    }
}
