//! The answer to tls-alpn-01 (RFC 8737): a TLS handshake in which the server shows a certificate
//! with the digest that only the owner of the account can make.

use std::sync::{Arc, PoisonError, RwLock};

use rustls::ServerConfig;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::PrivateKeyDer;

use super::AcmeError;
use crate::shell::tls::{self, TlsError};

/// The protocol that only an authority asks for (RFC 8737 section 6.2).
pub(in crate::shell) const ACME_TLS: &[u8] = b"acme-tls/1";

/// What authorities are answered with.
#[derive(Debug)]
pub(in crate::shell) struct Challenges {
    pending: Arc<Pending>,
    config: Arc<ServerConfig>,
}

/// Certificates by name, at most one for each domain of the configuration.
#[derive(Debug, Default)]
struct Pending(RwLock<Vec<(String, Arc<CertifiedKey>)>>);

/// While it lives, its names are answered.
#[derive(Debug)]
pub(super) struct Answers<'a>(&'a Pending);

impl Challenges {
    pub(in crate::shell) fn new() -> Result<Self, TlsError> {
        let pending = Arc::<Pending>::default();
        // An authority has no certificate to show, whatever browsers must.
        let mut config = ServerConfig::builder_with_provider(tls::provider())
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Unusable)?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&pending) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![ACME_TLS.to_vec()];
        Ok(Self {
            pending,
            config: Arc::new(config),
        })
    }

    /// How to answer this client, if it is an authority: "the ALPN extension ... contains exactly
    /// one protocol, acme-tls/1" (RFC 8737 section 3).
    pub(in crate::shell) fn answer_to(&self, hello: &ClientHello<'_>) -> Option<Arc<ServerConfig>> {
        let mut protocols = hello.alpn()?;
        let is_authority = protocols.next() == Some(ACME_TLS) && protocols.next().is_none();
        is_authority.then(|| Arc::clone(&self.config))
    }

    /// Begins to answer, for no name yet.
    pub(super) fn answers(&self) -> Answers<'_> {
        Answers(&self.pending)
    }
}

impl Answers<'_> {
    /// Answers for this name with the digest of the key authorization.
    pub(super) fn add(&self, name: &str, digest: &[u8]) -> Result<(), AcmeError> {
        let key = rcgen::KeyPair::generate()?;
        let mut parameters = rcgen::CertificateParams::new([name.to_owned()])?;
        parameters.custom_extensions = vec![rcgen::CustomExtension::new_acme_identifier(digest)];
        let certificate = parameters.self_signed(&key)?.der().clone();
        let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        // Not checked as others are: webpki refuses what it does not know, and the extension with
        // the digest must be critical (RFC 8737 section 3).
        let provider = tls::provider();
        let key = provider.key_provider.load_private_key(key);
        let key = key.map_err(TlsError::Unusable)?;
        let certified = Arc::new(CertifiedKey::new(vec![certificate], key));
        let mut pending = self.0.0.write().unwrap_or_else(PoisonError::into_inner);
        pending.push((name.to_owned(), certified));
        Ok(())
    }
}

impl Drop for Answers<'_> {
    fn drop(&mut self) {
        let mut pending = self.0.0.write().unwrap_or_else(PoisonError::into_inner);
        pending.clear();
    }
}

impl ResolvesServerCert for Pending {
    /// No certificate, and so no TLS, for names that nobody was told to look at.
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello.server_name()?;
        let pending = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let mut known = pending.iter();
        let found = known.find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, certified)| Arc::clone(certified))
    }
}

#[cfg(test)]
pub(in crate::shell) mod tests {
    use super::*;

    /// Answers for this name as an order does.
    pub(in crate::shell) fn answer<'a>(
        challenges: &'a Challenges,
        name: &str,
        digest: &[u8],
    ) -> impl Drop + 'a {
        let answers = challenges.answers();
        answers.add(name, digest).unwrap();
        answers
    }
}
