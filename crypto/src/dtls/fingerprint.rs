//! Certificate fingerprints as SDP carries them (RFC 8122 section 5).

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::digest;

const DIGEST_BYTES_MAX: usize = 64;

/// A hash function that we accept in `a=fingerprint`. SHA-1 and older ones are refused: they no
/// longer bind a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HashFunction {
    /// `sha-256`
    Sha256,
    /// `sha-384`
    Sha384,
    /// `sha-512`
    Sha512,
}

impl HashFunction {
    const ALL: [Self; 3] = [Self::Sha256, Self::Sha384, Self::Sha512];

    /// The name in SDP.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Sha256 => "sha-256",
            Self::Sha384 => "sha-384",
            Self::Sha512 => "sha-512",
        }
    }

    /// Length of the hash in bytes.
    #[must_use]
    pub const fn digest_bytes(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }

    fn algorithm(self) -> &'static digest::Algorithm {
        match self {
            Self::Sha256 => &digest::SHA256,
            Self::Sha384 => &digest::SHA384,
            Self::Sha512 => &digest::SHA512,
        }
    }
}

/// The hash of a certificate: how a peer proves in SDP which certificate is its own.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint {
    hash_function: HashFunction,
    /// Zero beyond the length of the hash.
    bytes: [u8; DIGEST_BYTES_MAX],
}

/// Why the text is no fingerprint that we can use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FingerprintError {
    /// Not `hash-function SP fingerprint`.
    Syntax,
    /// The hash function is not one of [`HashFunction`].
    UnsupportedHashFunction,
    /// The hash does not have the length of its function.
    WrongLength,
}

impl fmt::Display for FingerprintError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Syntax => "not a certificate fingerprint",
            Self::UnsupportedHashFunction => "unsupported hash function of a fingerprint",
            Self::WrongLength => "a fingerprint of the wrong length for its hash function",
        })
    }
}

impl std::error::Error for FingerprintError {}

impl Fingerprint {
    /// The fingerprint of a certificate in DER.
    #[must_use]
    pub fn of_certificate(hash_function: HashFunction, certificate: &[u8]) -> Self {
        let hash = digest::digest(hash_function.algorithm(), certificate);
        let mut bytes = [0; DIGEST_BYTES_MAX];
        for (to, from) in bytes.iter_mut().zip(hash.as_ref()) {
            *to = *from;
        }
        Self {
            hash_function,
            bytes,
        }
    }

    /// Whether it is the fingerprint of this certificate (DER).
    #[must_use]
    pub fn matches(&self, certificate: &[u8]) -> bool {
        // A fingerprint is public: the comparison needs no constant time.
        *self == Self::of_certificate(self.hash_function, certificate)
    }

    /// The hash function.
    #[must_use]
    pub fn hash_function(&self) -> HashFunction {
        self.hash_function
    }

    /// The hash.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..self.hash_function.digest_bytes()]
    }
}

impl FromStr for Fingerprint {
    type Err = FingerprintError;

    /// Reads the value of an `a=fingerprint` attribute: `sha-256 AB:CD:…`, in any case.
    fn from_str(text: &str) -> Result<Self, FingerprintError> {
        let (name, hex) = text
            .trim()
            .split_once(' ')
            .ok_or(FingerprintError::Syntax)?;
        let hash_function = HashFunction::ALL
            .into_iter()
            .find(|function| function.label().eq_ignore_ascii_case(name))
            .ok_or(FingerprintError::UnsupportedHashFunction)?;
        let mut bytes = [0; DIGEST_BYTES_MAX];
        let mut count = 0;
        for pair in hex.trim().split(':') {
            if pair.len() != 2 || !pair.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                return Err(FingerprintError::Syntax);
            }
            let byte = u8::from_str_radix(pair, 16).map_err(|_| FingerprintError::Syntax)?;
            *bytes.get_mut(count).ok_or(FingerprintError::WrongLength)? = byte;
            count += 1;
        }
        if count != hash_function.digest_bytes() {
            return Err(FingerprintError::WrongLength);
        }
        Ok(Self {
            hash_function,
            bytes,
        })
    }
}

impl fmt::Display for Fingerprint {
    /// The value of an `a=fingerprint` attribute.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.hash_function.label())?;
        for (index, byte) in self.bytes().iter().enumerate() {
            write!(f, "{}{byte:02X}", if index == 0 { ' ' } else { ':' })?;
        }
        Ok(())
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // sha-256("abc"), FIPS 180-2 appendix B.1.
    const ABC: &str = "sha-256 BA:78:16:BF:8F:01:CF:EA:41:41:40:DE:5D:AE:22:23:\
                       B0:03:61:A3:96:17:7A:9C:B4:10:FF:61:F2:00:15:AD";

    #[test]
    fn hashes_a_certificate_and_prints_it_as_sdp_does() {
        let fingerprint = Fingerprint::of_certificate(HashFunction::Sha256, b"abc");
        assert_eq!(fingerprint.to_string(), ABC);
        assert!(fingerprint.matches(b"abc"));
        assert!(!fingerprint.matches(b"abd"));
    }

    #[test]
    fn reads_any_case_and_every_accepted_hash_function() {
        let lower: Fingerprint = ABC.to_lowercase().parse().unwrap();
        assert_eq!(lower, ABC.parse().unwrap());
        assert_eq!(lower, ABC.to_uppercase().parse().unwrap());
        for function in HashFunction::ALL {
            let fingerprint = Fingerprint::of_certificate(function, b"x");
            assert_eq!(fingerprint.to_string().parse(), Ok(fingerprint));
        }
    }

    #[test]
    fn refuses_weak_hash_functions_and_malformed_text() {
        let sha1 = "sha-1 A9:99:3E:36:47:06:81:6A:BA:3E:25:71:78:50:C2:6C:9C:D0:D8:9D";
        let parse = |text: &str| text.parse::<Fingerprint>().unwrap_err();
        assert_eq!(parse(sha1), FingerprintError::UnsupportedHashFunction);
        assert_eq!(parse("sha-256"), FingerprintError::Syntax);
        assert_eq!(parse("sha-256 AB:C"), FingerprintError::Syntax);
        assert_eq!(parse("sha-256 AB:+C"), FingerprintError::Syntax);
        assert_eq!(parse("sha-256 AB:é"), FingerprintError::Syntax);
        assert_eq!(parse("sha-256 AB:CD"), FingerprintError::WrongLength);
        let long = format!("sha-256 {}", vec!["00"; 100].join(":"));
        assert_eq!(parse(&long), FingerprintError::WrongLength);
    }
}
