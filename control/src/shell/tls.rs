//! Certificates: read from files, or made by ourselves.

mod anybody;

use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::RootCertStore;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use x509_parser::prelude::{FromDer as _, X509Certificate};

pub(super) use self::anybody::Anybody;
use super::clock;
use crate::acme::Validity;
use crate::limits::SELF_SIGNED_VALID_FOR;

/// Why there is no TLS.
#[derive(Debug)]
pub enum TlsError {
    /// A PEM file cannot be read, or holds no certificate or key.
    File {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: pem::Error,
    },
    /// The certificate file holds no certificate.
    Empty(PathBuf),
    /// Certificate and key do not belong together, or are of a kind that TLS cannot use.
    Unusable(rustls::Error),
    /// The file of those who may certify clients cannot be used.
    ClientAuthorities(PathBuf, String),
    /// A file of authorities cannot be used.
    Authorities {
        /// Which one.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// This system believes no authority at all.
    NoAuthorities,
    /// No certificate could be made.
    Generate(rcgen::Error),
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, source } => {
                let path = path.display();
                if let pem::Error::Io(error) = source {
                    return write!(f, "cannot read {path}: {error}");
                }
                write!(f, "{path} is not the PEM file that it should be: {source}")
            }
            Self::Empty(path) => write!(f, "{} holds no certificate", path.display()),
            Self::Unusable(error) => {
                write!(
                    f,
                    "`certificate` and `private_key` cannot be used together: {error}"
                )
            }
            Self::ClientAuthorities(path, why) => {
                let path = path.display();
                write!(f, "`client_authorities` {path} cannot be used: {why}")
            }
            Self::Authorities { path, why } => {
                let path = path.display();
                write!(f, "{path} holds no authorities that can be believed: {why}")
            }
            Self::NoAuthorities => f.write_str(
                "this system has no certificates of authorities: install `ca-certificates`, or \
                 name a file in `ca` of the trunk or `directory_ca` of [web.acme]",
            ),
            Self::Generate(error) => write!(f, "cannot make a certificate: {error}"),
        }
    }
}

impl std::error::Error for TlsError {}

pub(super) fn read_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let error = |source| TlsError::File {
        path: path.to_owned(),
        source,
    };
    let chain = CertificateDer::pem_file_iter(path).map_err(error)?;
    let chain = chain.collect::<Result<Vec<_>, _>>().map_err(error)?;
    if chain.is_empty() {
        Err(TlsError::Empty(path.to_owned()))
    } else {
        Ok(chain)
    }
}

pub(super) fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_file(path).map_err(|source| TlsError::File {
        path: path.to_owned(),
        source,
    })
}

/// The certificates of a PEM text; `None` if there is none, or something that is none.
pub(super) fn chain_of(pem: &[u8]) -> Option<Vec<CertificateDer<'static>>> {
    let chain = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
    chain.ok().filter(|chain| !chain.is_empty())
}

/// The private key of a PEM text.
pub(super) fn key_of(pem: &[u8]) -> Option<PrivateKeyDer<'static>> {
    PrivateKeyDer::from_pem_slice(pem).ok()
}

/// From when to when a certificate is valid; `None` if it cannot be read.
pub(super) fn validity(certificate: &CertificateDer<'_>) -> Option<Validity> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    let time = |time: x509_parser::time::ASN1Time| {
        let seconds = u64::try_from(time.timestamp()).ok()?;
        Some(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
    };
    Some(Validity {
        from: time(certificate.validity().not_before)?,
        to: time(certificate.validity().not_after)?,
    })
}

/// Certificate and key as TLS uses them.
///
/// # Errors
/// They do not belong together.
pub(super) fn certified((chain, key): Identity) -> Result<Arc<CertifiedKey>, TlsError> {
    let key = CertifiedKey::from_der(chain, key, &provider()).map_err(TlsError::Unusable)?;
    Ok(Arc::new(key))
}

pub(super) fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// Authorities from a PEM file.
pub(super) fn authorities(path: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in read_chain(path)? {
        roots
            .add(certificate)
            .map_err(|error| TlsError::Authorities {
                path: path.to_owned(),
                why: error.to_string(),
            })?;
    }
    Ok(roots)
}

/// Authorities that this system believes.
pub(super) fn system_authorities() -> Result<RootCertStore, TlsError> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    let (added, _ignored) = roots.add_parsable_certificates(found.certs);
    if added == 0 {
        return Err(TlsError::NoAuthorities);
    }
    Ok(roots)
}

/// A certificate with its intermediates, and its key.
pub(super) type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// An ECDSA P-256 certificate for this host, by the names and addresses that browsers may use.
pub(super) fn self_signed(names: &[&str], addresses: &[IpAddr]) -> Result<Identity, TlsError> {
    let mut subjects: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let concrete = addresses.iter().filter(|ip| !ip.is_unspecified());
    subjects.extend(concrete.map(ToString::to_string));
    subjects.dedup();
    let key = rcgen::KeyPair::generate().map_err(TlsError::Generate)?;
    let parameters = parameters(subjects, clock::wall()).map_err(TlsError::Generate)?;
    let certificate = parameters.self_signed(&key).map_err(TlsError::Generate)?;
    let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
    Ok((vec![certificate.der().clone()], key))
}

fn parameters(
    subjects: Vec<String>,
    now: SystemTime,
) -> Result<rcgen::CertificateParams, rcgen::Error> {
    let mut parameters = rcgen::CertificateParams::new(subjects)?;
    parameters
        .distinguished_name
        .push(rcgen::DnType::CommonName, "ringway");
    parameters.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
    // The clock of a browser may be behind ours.
    let not_before = now - Duration::from_secs(24 * 3600);
    parameters.not_before = not_before.into();
    parameters.not_after = (not_before + SELF_SIGNED_VALID_FOR).into();
    Ok(parameters)
}

#[cfg(test)]
mod tests {
    use super::super::clock;
    use super::*;

    #[test]
    fn a_certificate_of_our_own_is_valid_now_and_for_a_year() {
        let now = clock::wall();
        let parameters = parameters(vec!["localhost".to_owned()], now).unwrap();
        assert!(parameters.not_before < now && parameters.not_after > now);
        let days = (parameters.not_after - parameters.not_before).whole_days();
        assert!((366..=398).contains(&days), "{days} days");
    }
}
