//! Certificates, read as the listeners read them.

use std::net::IpAddr;
use std::path::Path;

use rustls_pki_types::CertificateDer;
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};

use crate::config::{Certificate, Config};
use crate::host::{CertificateFact, CertificateUse, Identity};
use crate::shell::acme::Store;
use crate::shell::tls::{self, TlsError};

/// Every certificate that a listener will show.
pub(super) fn all(config: &Config) -> Vec<CertificateFact> {
    let mut all = Vec::new();
    let web = &config.web;
    if web.listen.iter().any(|listener| listener.secure) {
        if let Certificate::Files {
            certificate,
            private_key,
        } = &web.certificate
        {
            all.push(fact(CertificateUse::Web, certificate, private_key));
        }
        for host in &web.hosts {
            let used_for = CertificateUse::Host(host.names.clone());
            all.push(fact(used_for, &host.certificate, &host.private_key));
        }
        if let Some(acme) = &web.acme {
            let (used_for, store) = (CertificateUse::Acme(acme.domains.clone()), Store::new(acme));
            let path = store.certificate();
            let mut fact = fact(used_for, path, path);
            fact.identity = fact.identity.filter(|_| path.exists());
            all.push(fact);
        }
    }
    if let Some(sip) = config.sip.as_ref().filter(|sip| sip.listen_tls.is_some())
        && let Some(files) = &sip.certificate
    {
        let host = &sip.advertise.host;
        let name = host.parse::<IpAddr>().is_err().then(|| host.clone());
        let used_for = CertificateUse::Sip(name);
        all.push(fact(used_for, &files.certificate, &files.private_key));
    }
    all
}

fn fact(used_for: CertificateUse, certificate: &Path, key: &Path) -> CertificateFact {
    let identity = read(certificate, key).map_err(|error| {
        let TlsError::Unusable(error) = error else {
            return error.to_string();
        };
        format!(
            "{} does not fit the key {}, or TLS cannot use it: {error}",
            certificate.display(),
            key.display()
        )
    });
    CertificateFact {
        used_for,
        path: certificate.to_owned(),
        identity: Some(identity),
    }
}

fn read(certificate: &Path, key: &Path) -> Result<Identity, TlsError> {
    let chain = tls::read_chain(certificate)?;
    let first = chain.first().cloned();
    let key = tls::read_key(key)?;
    tls::certified((chain, key))?;
    let first = first.ok_or_else(|| TlsError::Empty(certificate.to_owned()))?;
    let (names, addresses) = subjects(&first).unwrap_or_default();
    Ok(Identity {
        validity: tls::validity(&first),
        names,
        addresses,
    })
}

/// The names and addresses in the subjectAltName (RFC 5280 section 4.2.1.6).
fn subjects(certificate: &CertificateDer<'_>) -> Option<(Vec<String>, Vec<IpAddr>)> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    let subjects = certificate.subject_alternative_name().ok()??;
    let (mut names, mut addresses) = (Vec::new(), Vec::new());
    for subject in &subjects.value.general_names {
        if let GeneralName::DNSName(name) = subject {
            names.push((*name).to_owned());
        } else if let GeneralName::IPAddress(bytes) = subject {
            let v4 = <[u8; 4]>::try_from(*bytes).map(IpAddr::from);
            let v6 = || <[u8; 16]>::try_from(*bytes).map(IpAddr::from);
            addresses.extend(v4.or_else(|_| v6()).ok());
        }
    }
    Some((names, addresses))
}
