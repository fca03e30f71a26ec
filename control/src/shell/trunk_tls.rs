//! TLS on the trunk side: who we are, and whom we believe (RFC 5922).

use std::sync::Arc;

use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector};
use tracing::warn;

use super::tls::{
    Anybody, TlsError, authorities, provider, read_chain, read_key, self_signed, system_authorities,
};
use crate::config::{CertificateFiles, Config, SipConfig, TrunkConfig, Trust};
use crate::sip::Transport;

/// What the listener speaks. `None` if there is none.
pub(super) fn acceptor(sip: &SipConfig) -> Result<Option<TlsAcceptor>, TlsError> {
    let Some(listen) = sip.listen_tls else {
        return Ok(None);
    };
    let builder = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Unusable)?;
    let builder = match &sip.client_ca {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let roots = Arc::new(authorities(path)?);
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider());
            let verifier = verifier.build().map_err(|error| TlsError::Authorities {
                path: path.clone(),
                why: error.to_string(),
            })?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let (chain, key) = match &sip.certificate {
        Some(files) => (
            read_chain(&files.certificate)?,
            read_key(&files.private_key)?,
        ),
        None => self_signed(&[&sip.advertise.host], &[listen.ip()])?,
    };
    let config = builder
        .with_single_cert(chain, key)
        .map_err(TlsError::Unusable)?;
    Ok(Some(TlsAcceptor::from(Arc::new(config))))
}

/// What each trunk is spoken to with; `None` for those without TLS.
pub(super) fn connectors(config: &Config) -> Result<Vec<Option<TlsConnector>>, TlsError> {
    let files = config.sip.as_ref().and_then(|sip| sip.certificate.as_ref());
    let has_tls = config
        .sip
        .as_ref()
        .is_some_and(|sip| sip.speaks(Transport::Tls));
    let connector = |trunk: &TrunkConfig| match trunk.transport {
        Transport::Udp | Transport::Tcp if trunk.transport_by_dns && has_tls => {
            connector(trunk, files).map(Some)
        }
        Transport::Udp | Transport::Tcp => Ok(None),
        Transport::Tls => connector(trunk, files).map(Some),
    };
    config.trunks.iter().map(connector).collect()
}

fn connector(
    trunk: &TrunkConfig,
    files: Option<&CertificateFiles>,
) -> Result<TlsConnector, TlsError> {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Unusable)?;
    let builder = match &trunk.trust {
        Trust::System => builder.with_root_certificates(system_authorities()?),
        Trust::Authorities(path) => builder.with_root_certificates(authorities(path)?),
        Trust::Anybody => {
            warn!(
                trunk = trunk.name,
                "`verify = false`: whoever answers at the trunk's address is believed"
            );
            let verifier = Arc::new(Anybody(provider()));
            builder
                .dangerous()
                .with_custom_certificate_verifier(verifier)
        }
    };
    let config = match files {
        None => builder.with_no_client_auth(),
        Some(files) => builder
            .with_client_auth_cert(
                read_chain(&files.certificate)?,
                read_key(&files.private_key)?,
            )
            .map_err(TlsError::Unusable)?,
    };
    Ok(TlsConnector::from(Arc::new(config)))
}
