//! Session keys from master keys (RFC 3711 section 4.3; RFC 6188 section 3; RFC 7714 section 11).

use zeroize::Zeroizing;

use super::SrtpError;
use super::aes_ctr::{AesCtr, BLOCK_BYTES};
use crate::keys::{MasterKey, SrtpProfile};

/// What a session key is for, under SRTP or under SRTCP (RFC 3711 section 4.3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Label {
    RtpEncryption = 0,
    RtpAuthentication = 1,
    RtpSalt = 2,
    RtcpEncryption = 3,
    RtcpAuthentication = 4,
    RtcpSalt = 5,
}

/// The labels of one protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Labels {
    pub(super) encryption: Label,
    pub(super) authentication: Label,
    pub(super) salt: Label,
}

impl Labels {
    pub(super) const RTP: Self = Self {
        encryption: Label::RtpEncryption,
        authentication: Label::RtpAuthentication,
        salt: Label::RtpSalt,
    };
    pub(super) const RTCP: Self = Self {
        encryption: Label::RtcpEncryption,
        authentication: Label::RtcpAuthentication,
        salt: Label::RtcpSalt,
    };
}

/// The pseudo-random function of a master key: AES-CM with a key of that length.
pub(super) struct KeyDerivation<'a> {
    master: &'a MasterKey,
    cipher: AesCtr,
}

impl<'a> KeyDerivation<'a> {
    pub(super) fn new(master: &'a MasterKey) -> Result<Self, SrtpError> {
        let cipher = AesCtr::new(master.key())?;
        Ok(Self { master, cipher })
    }

    pub(super) fn master(&self) -> &MasterKey {
        self.master
    }

    /// The session keys of those labels. The key derivation rate is zero, as always with DTLS-SRTP
    /// (RFC 5764 section 4.1.2): the packet index plays no part.
    pub(super) fn session(&self, labels: Labels) -> SessionMaterial {
        // The key stream of all three in one go: the cipher takes longer to start than to run.
        let mut blocks = Zeroizing::new([
            self.counter_block(labels.encryption, 0),
            self.counter_block(labels.encryption, 1),
            self.counter_block(labels.authentication, 0),
            self.counter_block(labels.authentication, 1),
            self.counter_block(labels.salt, 0),
        ]);
        self.cipher.encrypt_blocks(&mut *blocks);
        SessionMaterial(blocks)
    }

    fn counter_block(&self, label: Label, counter: u8) -> [u8; BLOCK_BYTES] {
        // x = (label || 48 bits of zero) XOR salt, both right-aligned in 112 bits; IV = x * 2^16.
        let mut block = [0; BLOCK_BYTES];
        block[..14].copy_from_slice(self.master.padded_salt());
        block[7] ^= label as u8;
        block[15] = counter;
        block
    }
}

/// Two blocks of encryption key, two of authentication key, one of salt; as much of each as the
/// suite takes. Wiped on drop.
pub(super) struct SessionMaterial(Zeroizing<[[u8; BLOCK_BYTES]; 5]>);

impl SessionMaterial {
    /// The encryption key: 16, 24 or 32 bytes.
    pub(super) fn encryption(&self, profile: SrtpProfile) -> &[u8] {
        let keys = self.0.as_flattened();
        keys.get(..profile.key_bytes()).unwrap_or_default()
    }

    /// The authentication key (RFC 3711 section 8.2).
    pub(super) fn authentication(&self) -> &[u8] {
        self.0.as_flattened().get(32..52).unwrap_or_default()
    }

    /// The first 12 or 14 bytes are the salt.
    pub(super) fn salt(&self) -> &[u8; BLOCK_BYTES] {
        let [.., salt] = &*self.0;
        salt
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::srtp::testing::bytes;

    fn session(master: &MasterKey) -> SessionMaterial {
        KeyDerivation::new(master).unwrap().session(Labels::RTP)
    }

    #[test]
    fn derives_the_keys_of_rfc_3711_b3() {
        let master = MasterKey::new(
            SrtpProfile::AesCm128HmacSha1_80,
            &bytes("E1F97A0D3E018BE0D64FA32C06DE4139"),
            &bytes("0EC675AD498AFEEBB6960B3AABE6"),
        )
        .unwrap();
        let session = session(&master);
        assert_eq!(
            session.encryption(SrtpProfile::AesCm128HmacSha1_80),
            bytes("C61E7A93744F39EE10734AFE3FF7A087")
        );
        assert_eq!(session.salt()[..14], bytes("30CBBC08863D8C85D49DB34A9AE1"));
        assert_eq!(
            session.authentication(),
            bytes("CEBE321F6FF7716B6FD4AB49AF256A156D38BAA4")
        );
    }

    fn agrees_with_rfc_6188(
        profile: SrtpProfile,
        [key, salt]: [&str; 2],
        [session_key, session_salt, authentication]: [&str; 3],
    ) {
        let master = MasterKey::new(profile, &bytes(key), &bytes(salt)).unwrap();
        let session = session(&master);
        let encryption = session.encryption(profile);
        assert_eq!(encryption, bytes(session_key));
        assert_eq!(session.salt()[..14], bytes(session_salt));
        assert_eq!(session.authentication(), bytes(authentication));
    }

    #[test]
    fn derives_the_keys_of_rfc_6188_7_3() {
        agrees_with_rfc_6188(
            SrtpProfile::AesCm192HmacSha1_80,
            [
                "73edc66c4fa15776fb57f9505c17136550ffda71f3e8e5f1",
                "c8522f3acd4ce86d5add78edbb11",
            ],
            [
                "31874736a8f1143870c26e4857d8a5b2c4a354407faadabb",
                "2372b82d639b6d8503a47adc0a6c",
                "355b10973cd95b9eacf4061c7e1a7151e7cfbfcb",
            ],
        );
    }

    #[test]
    fn derives_the_keys_of_rfc_6188_7_4() {
        agrees_with_rfc_6188(
            SrtpProfile::AesCm256HmacSha1_80,
            [
                "f0f04914b513f2763a1b1fa130f10e2998f6f6e43e4309d1e622a0e332b9f1b6",
                "3b04803de51ee7c96423ab5b78d2",
            ],
            [
                "5ba1064e30ec51613cad926c5a28ef731ec7fb397f70a960653caf06554cd8c4",
                "fa31791685ca444a9e07c6c64e93",
                "fd9c32d39ed5fbb5a9dc96b30818454d1313dc05",
            ],
        );
    }

    #[test]
    fn every_label_gives_another_key() {
        let master = MasterKey::new(SrtpProfile::AeadAes256Gcm, &[1; 32], &[2; 12]).unwrap();
        let derivation = KeyDerivation::new(&master).unwrap();
        let mut keys = Vec::new();
        for labels in [Labels::RTP, Labels::RTCP] {
            let session = derivation.session(labels);
            keys.push(session.encryption(master.profile())[..12].to_vec());
            keys.push(session.authentication()[..12].to_vec());
            keys.push(session.salt()[..12].to_vec());
        }
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), 6);
    }
}
