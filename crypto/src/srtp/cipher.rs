//! The transforms behind one face: session keys of RTP or of RTCP.

use super::SrtpError;
use super::aes_cm::AesCm;
use super::aes_gcm::AesGcm;
use super::derive::{KeyDerivation, Labels};
use super::hmac_sha1::HmacSha1;
use crate::keys::{Mki, Transform};

/// The session keys of RTP or of RTCP, in the memory of their owner: a packet follows no pointer.
pub(super) struct Cipher {
    pub(super) keys: SessionKeys,
    pub(super) tag_bytes: usize,
    /// Whether payloads are encrypted.
    pub(super) encrypts: bool,
    mki: Mki,
}

/// The keys of one of the two families of transforms.
#[expect(
    clippy::large_enum_variant,
    reason = "one per flow and direction, and never moved"
)]
pub(super) enum SessionKeys {
    /// A separate tag over the packet and its index.
    HmacSha1 {
        /// `None` where nothing is encrypted.
        cipher: Option<AesCm>,
        mac: HmacSha1,
    },
    /// AES-GCM.
    AesGcm(AesGcm),
}

impl Cipher {
    pub(super) fn rtp(derivation: &KeyDerivation<'_>, mki: Mki) -> Result<Self, SrtpError> {
        let profile = derivation.master().profile();
        Ok(Self {
            keys: session_keys(derivation, Labels::RTP)?,
            tag_bytes: profile.rtp_tag_bytes(),
            encrypts: profile.encrypts(),
            mki,
        })
    }

    pub(super) fn rtcp(
        derivation: &KeyDerivation<'_>,
        mki: Mki,
        encrypt: bool,
    ) -> Result<Self, SrtpError> {
        let profile = derivation.master().profile();
        Ok(Self {
            keys: session_keys(derivation, Labels::RTCP)?,
            tag_bytes: profile.rtcp_tag_bytes(),
            encrypts: encrypt && profile.encrypts(),
            mki,
        })
    }

    /// The identifier that packets carry; often empty.
    pub(super) fn mki(&self) -> &[u8] {
        self.mki.as_bytes()
    }

    /// Bytes of tag and identifier.
    pub(super) fn trailer_bytes(&self) -> usize {
        self.tag_bytes + self.mki().len()
    }

    /// Whether the identifier in a packet is ours.
    pub(super) fn check_mki(&self, received: &[u8]) -> Result<(), SrtpError> {
        match received == self.mki() {
            true => Ok(()),
            false => Err(SrtpError::UnknownMki),
        }
    }
}

fn session_keys(derivation: &KeyDerivation<'_>, labels: Labels) -> Result<SessionKeys, SrtpError> {
    let profile = derivation.master().profile();
    let session = derivation.session(labels);
    let key = session.encryption().get(..profile.key_bytes());
    let key = key.ok_or(SrtpError::BadKey)?;
    let mac = || HmacSha1::new(session.authentication());
    Ok(match profile.transform() {
        Transform::Null => SessionKeys::HmacSha1 {
            cipher: None,
            mac: mac()?,
        },
        Transform::AesCm => SessionKeys::HmacSha1 {
            cipher: Some(AesCm::new(key, session.salt())?),
            mac: mac()?,
        },
        Transform::AesGcm => SessionKeys::AesGcm(AesGcm::new(key, session.salt())?),
    })
}
