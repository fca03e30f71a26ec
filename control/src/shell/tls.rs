//! TLS for browsers: a given certificate, or one made at start.

use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use super::clock;
use crate::config::Certificate;
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
            Self::Generate(error) => write!(f, "cannot make a certificate: {error}"),
        }
    }
}

impl std::error::Error for TlsError {}

/// What the secure listeners speak. `names` and `addresses` are for a certificate of our own.
pub(super) fn acceptor(
    certificate: &Certificate,
    names: &[&str],
    addresses: &[IpAddr],
) -> Result<TlsAcceptor, TlsError> {
    let (chain, key) = match certificate {
        Certificate::SelfSigned => self_signed(names, addresses)?,
        Certificate::Files {
            certificate,
            private_key,
        } => (read_chain(certificate)?, read_key(private_key)?),
    };
    Ok(TlsAcceptor::from(Arc::new(server_config(chain, key)?)))
}

pub(super) fn server_config(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<ServerConfig, TlsError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Unusable)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(TlsError::Unusable)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

fn read_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
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

fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_file(path).map_err(|source| TlsError::File {
        path: path.to_owned(),
        source,
    })
}

type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

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
