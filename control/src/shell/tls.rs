//! Certificates: read from files, or made by ourselves.

use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::clock;
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
                 name a file in `ca` of the trunk",
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
