//! AES counter mode as SRTP uses it (RFC 3711 section 4.1.1, RFC 6188).

use zeroize::Zeroize;

use super::SrtpError;
use super::aes_ctr::AesCtr;

/// The encryption key and salt of RTP or of RTCP.
pub(super) struct AesCm {
    cipher: AesCtr,
    /// Times 2^16: a counter block is made of it without going through memory.
    salt: u128,
}

impl AesCm {
    /// Takes a key of 16, 24 or 32 bytes; the first 14 bytes of `salt` are the salt.
    pub(super) fn new(key: &[u8], salt: &[u8; 16]) -> Result<Self, SrtpError> {
        let cipher = AesCtr::new(key)?;
        let salt = u128::from_be_bytes(*salt) >> 16 << 16;
        Ok(Self { cipher, salt })
    }

    /// Encrypts or decrypts in place: the same operation.
    pub(super) fn apply_keystream(&self, ssrc: [u8; 4], index: u64, payload: &mut [u8]) {
        // IV = salt * 2^16 XOR SSRC * 2^64 XOR index * 2^16
        let iv =
            self.salt ^ (u128::from(u32::from_be_bytes(ssrc)) << 64) ^ (u128::from(index) << 16);
        self.cipher.apply_keystream(iv.to_be_bytes(), payload);
    }
}

impl Drop for AesCm {
    fn drop(&mut self) {
        // The cipher wipes itself.
        self.salt.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::srtp::testing::bytes;

    fn keystream(key: &str, salt: &str, length: usize) -> Vec<u8> {
        let salt = [bytes(salt), vec![0xFF; 2]].concat();
        let keys = AesCm::new(&bytes(key), &salt.try_into().unwrap()).unwrap();
        let mut stream = vec![0; length];
        keys.apply_keystream([0; 4], 0, &mut stream);
        stream
    }

    #[test]
    fn makes_the_keystream_of_rfc_3711_b2() {
        let stream = keystream(
            "2B7E151628AED2A6ABF7158809CF4F3C",
            "F0F1F2F3F4F5F6F7F8F9FAFBFCFD",
            1_044_512,
        );
        let first = bytes(
            "E03EAD0935C95E80E166B16DD92B4EB4 D23513162B02D0F72A43A2FE4A5F97AB\
             41E95B3BB0A2E8DD477901E4FCA894C0",
        );
        let last = bytes(
            "EC8CDF7398607CB0F2D21675EA9EA1E4 362B7C3C6773516318A077D7FC5073AE\
             6A2CC3787889374FBEB4C81B17BA6C44",
        );
        assert_eq!(stream[..48], first);
        assert_eq!(stream[stream.len() - 48..], last);
    }

    #[test]
    fn makes_the_keystreams_of_rfc_6188_7_1_and_7_2() {
        let salt = "F0F1F2F3F4F5F6F7F8F9FAFBFCFD";
        let key = "EAB234764E517B2D3D160D587D8C86219740F65F99B6BCF7";
        let first = "35096CBA4610028DC1B57503804CE37C 5DE986291DCCE161D5165EC4568F5C9A \
                     474A40C77894BC17180202272A4C264D";
        let last = "D108D1A31A00BAD6367EC23EB044B415 C8F57129FDEB970B59F917B257662D4C \
                    A5DAB625811034E8CEBDFEB6DC158DD3";
        let stream = keystream(key, salt, 1_044_512);
        assert_eq!(stream[..48], bytes(first));
        assert_eq!(stream[stream.len() - 48..], bytes(last));
        let key = "57F82FE3613FD170A85EC93C40B1F0922EC4CB0DC025B58272147CC438944A98";
        let first = "92BDD28A93C3F52511C677D08B5515A4 9DA71B2378A854F67050756DED165BAC \
                     63C4868B7096D88421B563B8C94C9A31";
        let last = "CEA518C90FD91CED9CBB18C078A54711 3DBC4814F4DA5F00A08772B63C6A046D \
                    6EB246913062A16891433E97DD01A57F";
        let stream = keystream(key, salt, 1_044_512);
        assert_eq!(stream[..48], bytes(first));
        assert_eq!(stream[stream.len() - 48..], bytes(last));
    }
}
