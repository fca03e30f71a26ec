//! Our certificate: self-signed ECDSA P-256, one for the life of the process.

use std::fmt;
use std::sync::Arc;

use dimpl::DtlsCertificate;
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, PKCS_ECDSA_P256_SHA256};
use zeroize::Zeroize;

use super::DtlsError;
use super::fingerprint::{Fingerprint, HashFunction};

/// A certificate with its private key; a clone shares both.
#[derive(Clone)]
pub struct Certificate {
    inner: Arc<Inner>,
}

struct Inner {
    pair: DtlsCertificate,
    fingerprint: Fingerprint,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.pair.private_key.zeroize();
    }
}

impl Certificate {
    /// Makes a new self-signed certificate with a new ECDSA P-256 key: what browsers expect
    /// (RFC 8827 section 6.5).
    ///
    /// # Errors
    /// [`DtlsError::Certificate`] when the key or the certificate cannot be made.
    pub fn generate() -> Result<Self, DtlsError> {
        let failed = |_| DtlsError::Certificate;
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(failed)?;
        let mut parameters = CertificateParams::new(Vec::<String>::new()).map_err(failed)?;
        // The peer trusts the fingerprint in SDP, never the name: it tells nobody who we are.
        let mut name = DistinguishedName::new();
        name.push(DnType::CommonName, "WebRTC");
        parameters.distinguished_name = name;
        let certificate = parameters.self_signed(&key).map_err(failed)?.der().to_vec();
        Ok(Self::from_der(certificate, key.serialize_der()))
    }

    /// A certificate that exists (DER), with its private key: ECDSA P-256 or P-384, PKCS #8. A key
    /// that is none makes every session end with [`DtlsError::Panicked`].
    #[must_use]
    pub fn from_der(certificate: Vec<u8>, private_key: Vec<u8>) -> Self {
        let fingerprint = Fingerprint::of_certificate(HashFunction::Sha256, &certificate);
        let pair = DtlsCertificate {
            certificate,
            private_key,
        };
        Self {
            inner: Arc::new(Inner { pair, fingerprint }),
        }
    }

    /// The SHA-256 fingerprint for `a=fingerprint`.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        self.inner.fingerprint
    }

    pub(super) fn pair(&self) -> DtlsCertificate {
        self.inner.pair.clone()
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Certificate({})", self.inner.fingerprint)
    }
}
