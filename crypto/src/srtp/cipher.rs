//! The transforms behind one face: session keys of RTP or of RTCP.

use super::SrtpError;
use super::aes_cm::AesCm;
use super::aes_gcm::AesGcm;
use super::derive::{KeyDerivation, Labels};
use super::hmac_sha1::HmacSha1;
use super::session_key::SessionKey;
use super::visitor::Visitor;
use crate::keys::{Mki, Transform};

/// Session keys and what else protects a packet.
pub(super) struct Cipher<K> {
    pub(super) keys: K,
    pub(super) tag_bytes: usize,
    /// Whether payloads are encrypted.
    pub(super) encrypts: bool,
    /// The identifier that packets carry; often empty.
    pub(super) mki: Mki,
}

/// RTP is what there is most of: its keys are expanded, in the memory of their owner.
pub(super) type RtpCipher = Cipher<RtpKeys>;

/// RTCP is at most a twentieth of a session (RFC 3550 section 6.2): its keys are expanded for each
/// packet, which takes tens of nanoseconds, and a third of a context's memory less.
pub(super) type RtcpCipher = Cipher<RtcpKeys>;

/// The keys of one of the two families of transforms.
pub(super) enum RtpKeys {
    /// A separate tag over the packet and its index.
    HmacSha1 {
        /// `None` where nothing is encrypted.
        cipher: Option<AesCm>,
        mac: HmacSha1,
    },
    /// AES-GCM.
    AesGcm(AesGcm),
}

/// The same for RTCP.
pub(super) enum RtcpKeys {
    /// A separate tag over the packet and its index.
    HmacSha1 {
        /// `None` where nothing is encrypted.
        cipher: Option<SessionKey>,
        mac: HmacSha1,
    },
    /// AES-GCM.
    AesGcm(SessionKey),
}

impl RtpCipher {
    /// All of it: the tag's length and the like lie beside the keys.
    pub(super) fn show(&self, visitor: &mut impl Visitor) {
        visitor.visit(&self.tag_bytes);
        match &self.keys {
            RtpKeys::HmacSha1 { cipher, mac } => {
                visitor.visit(cipher);
                visitor.visit(mac);
            }
            RtpKeys::AesGcm(keys) => visitor.visit(keys),
        }
    }

    pub(super) fn rtp(derivation: &KeyDerivation<'_>, mki: Mki) -> Result<Self, SrtpError> {
        let profile = derivation.master().profile();
        let session = derivation.session(Labels::RTP);
        let key = session.encryption(profile);
        let mac = || HmacSha1::new(session.authentication());
        let keys = match profile.transform() {
            Transform::Null => RtpKeys::HmacSha1 {
                cipher: None,
                mac: mac()?,
            },
            Transform::AesCm => RtpKeys::HmacSha1 {
                cipher: Some(AesCm::new(key, session.salt())?),
                mac: mac()?,
            },
            Transform::AesGcm => RtpKeys::AesGcm(AesGcm::new(key, session.salt())?),
        };
        Ok(Self {
            keys,
            tag_bytes: profile.rtp_tag_bytes(),
            encrypts: profile.encrypts(),
            mki,
        })
    }
}

impl RtcpCipher {
    pub(super) fn rtcp(
        derivation: &KeyDerivation<'_>,
        mki: Mki,
        encrypt: bool,
    ) -> Result<Self, SrtpError> {
        let profile = derivation.master().profile();
        let session = derivation.session(Labels::RTCP);
        let key = || SessionKey::new(session.encryption(profile), session.salt());
        let mac = || HmacSha1::new(session.authentication());
        let keys = match profile.transform() {
            Transform::Null => RtcpKeys::HmacSha1 {
                cipher: None,
                mac: mac()?,
            },
            Transform::AesCm => RtcpKeys::HmacSha1 {
                cipher: Some(key()?),
                mac: mac()?,
            },
            Transform::AesGcm => RtcpKeys::AesGcm(key()?),
        };
        Ok(Self {
            keys,
            tag_bytes: profile.rtcp_tag_bytes(),
            encrypts: encrypt && profile.encrypts(),
            mki,
        })
    }
}

impl<K> Cipher<K> {
    /// Bytes of tag and identifier.
    pub(super) fn trailer_bytes(&self) -> usize {
        self.tag_bytes + self.mki.as_bytes().len()
    }
}

/// Whether the identifier in a packet is ours.
pub(super) fn check_mki(ours: &Mki, received: &[u8]) -> Result<(), SrtpError> {
    match received == ours.as_bytes() {
        true => Ok(()),
        false => Err(SrtpError::UnknownMki),
    }
}
