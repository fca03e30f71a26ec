//! What the secure listeners for browsers speak: certificates by the name that a browser asks for
//! (SNI, RFC 6066 section 3), clients' certificates if they are wanted, and all of it anew when the
//! files change, the self-signed certificate grows old, or SIGHUP comes. Connections that are open
//! keep what they have.

use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

use rustls::server::{ClientHello, NoClientAuth, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::signal::unix::Signal;
use tokio::sync::Notify;
use tokio_rustls::server::TlsStream;
use tokio_rustls::{LazyConfigAcceptor, TlsAcceptor};
use tracing::{error, info, warn};

use super::acme::Store;
use super::acme::challenge::Challenges;
use super::tls::{self, TlsError, certified, provider};
use super::{clock, notify};
use crate::config::{Certificate, WebConfig};
use crate::limits::{
    CERTIFICATE_CHECK_INTERVAL, SELF_SIGNED_RENEWED_BEFORE, SELF_SIGNED_VALID_FOR,
};

/// The TLS of the web listeners.
#[derive(Debug)]
pub(super) struct WebTls {
    certificate: Certificate,
    hosts: Vec<(Vec<String>, PathBuf, PathBuf)>,
    client_authorities: Option<PathBuf>,
    acme: Option<Acme>,
    reload_asked: Notify,
    /// Subjects of a certificate of our own.
    names: Vec<String>,
    addresses: Vec<IpAddr>,
    current: RwLock<Current>,
}

/// The certificate that is obtained by ACME.
#[derive(Debug)]
struct Acme {
    domains: Vec<String>,
    file: PathBuf,
    challenges: Challenges,
}

#[derive(Clone, Debug)]
struct Current {
    config: Arc<ServerConfig>,
    stamps: Vec<Option<Stamp>>,
    /// When our own certificate is made anew; `None` if it is not ours.
    renew_at: Option<SystemTime>,
}

/// What tells one state of a file from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    modified: SystemTime,
    length: u64,
}

impl WebTls {
    /// Reads all certificates; `names` and `addresses` are for one of our own.
    ///
    /// # Errors
    /// A file cannot be read or used, or no certificate could be made.
    pub(super) fn new(
        web: &WebConfig,
        names: &[&str],
        addresses: &[IpAddr],
    ) -> Result<Self, TlsError> {
        let hosts = web.hosts.iter().map(|host| {
            let (certificate, key) = (host.certificate.clone(), host.private_key.clone());
            (host.names.clone(), certificate, key)
        });
        let acme = web.acme.as_ref().map(|acme| {
            Ok(Acme {
                domains: acme.domains.clone(),
                file: Store::new(acme).certificate().to_owned(),
                challenges: Challenges::new()?,
            })
        });
        let empty = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Unusable)?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(BySni::default()));
        let this = Self {
            certificate: web.certificate.clone(),
            hosts: hosts.collect(),
            client_authorities: web.client_authorities.clone(),
            acme: acme.transpose()?,
            reload_asked: Notify::new(),
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            addresses: addresses.to_vec(),
            current: RwLock::new(Current {
                config: Arc::new(empty),
                stamps: Vec::new(),
                renew_at: None,
            }),
        };
        this.reload()?;
        Ok(this)
    }

    /// The handshake of a new connection. `None`: it was an authority that looked whether a name is
    /// ours (RFC 8737), which has nothing more to say.
    ///
    /// # Errors
    /// It failed.
    pub(super) async fn accept<S>(&self, stream: S) -> io::Result<Option<TlsStream<S>>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let config = self.current().config;
        let Some(acme) = &self.acme else {
            return TlsAcceptor::from(config).accept(stream).await.map(Some);
        };
        let begun = LazyConfigAcceptor::new(rustls::server::Acceptor::default(), stream).await?;
        match acme.challenges.answer_to(&begun.client_hello()) {
            None => begun.into_stream(config).await.map(Some),
            Some(answer) => {
                let mut stream = begun.into_stream(answer).await?;
                stream.shutdown().await?;
                Ok(None)
            }
        }
    }

    /// Authorities that look whether our names are ours; `None` without `[web.acme]`.
    pub(super) fn challenges(&self) -> Option<&Challenges> {
        self.acme.as_ref().map(|acme| &acme.challenges)
    }

    /// Waits for the next time that somebody asks for certificates to be read again (SIGHUP).
    pub(super) async fn reload_asked(&self) {
        self.reload_asked.notified().await;
    }

    fn current(&self) -> Current {
        let current = self.current.read();
        current.unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, change: impl FnOnce(&mut Current)) {
        let current = self.current.write();
        change(&mut current.unwrap_or_else(PoisonError::into_inner));
    }

    /// Reads everything again. What is there stays if that fails.
    ///
    /// # Errors
    /// As [`WebTls::new`].
    pub(super) fn reload(&self) -> Result<(), TlsError> {
        let stamps = self.stamps();
        let outcome = self.build();
        self.set(|current| {
            // A file that is wrong is looked at again when it changes.
            current.stamps = stamps;
            if let Ok((config, renew_at)) = &outcome {
                current.config = Arc::clone(config);
                current.renew_at = *renew_at;
            }
        });
        outcome.map(|_| ())
    }

    /// Reads everything again if a file has changed or our own certificate has grown old. True if
    /// something was done.
    ///
    /// # Errors
    /// As [`WebTls::new`].
    pub(super) fn reload_if_needed(&self, now: SystemTime) -> Result<bool, TlsError> {
        let current = self.current();
        let is_old = current.renew_at.is_some_and(|at| at <= now);
        if !is_old && current.stamps == self.stamps() {
            return Ok(false);
        }
        self.reload().map(|()| true)
    }

    fn stamps(&self) -> Vec<Option<Stamp>> {
        let own = match &self.certificate {
            Certificate::SelfSigned => None,
            Certificate::Files {
                certificate,
                private_key,
            } => Some([certificate, private_key]),
        };
        let hosts = self.hosts.iter().flat_map(|(_, cert, key)| [cert, key]);
        own.into_iter()
            .flatten()
            .chain(hosts)
            .chain(&self.client_authorities)
            .chain(self.acme.as_ref().map(|acme| &acme.file))
            .map(|path| stamp(path))
            .collect()
    }

    fn build(&self) -> Result<(Arc<ServerConfig>, Option<SystemTime>), TlsError> {
        let mut renew_at = None;
        let obtained = self.acme.as_ref().and_then(Acme::read);
        let default = match &self.certificate {
            Certificate::SelfSigned if obtained.is_some() => obtained.clone(),
            Certificate::SelfSigned => {
                renew_at = clock::wall()
                    .checked_add(SELF_SIGNED_VALID_FOR.saturating_sub(SELF_SIGNED_RENEWED_BEFORE));
                let names: Vec<&str> = self.names.iter().map(String::as_str).collect();
                Some(certified(tls::self_signed(&names, &self.addresses)?)?)
            }
            Certificate::Files {
                certificate,
                private_key,
            } => {
                let identity = (tls::read_chain(certificate)?, tls::read_key(private_key)?);
                Some(certified(identity)?)
            }
        };
        let mut by_sni = BySni {
            hosts: Vec::new(),
            default,
        };
        for (names, certificate, key) in &self.hosts {
            let identity = (tls::read_chain(certificate)?, tls::read_key(key)?);
            by_sni.hosts.push((names.clone(), certified(identity)?));
        }
        if let (Some(acme), Some(certified)) = (&self.acme, obtained) {
            by_sni.hosts.push((acme.domains.clone(), certified));
        }
        let verifier = match &self.client_authorities {
            None => Arc::new(NoClientAuth),
            Some(path) => client_verifier(path)?,
        };
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Unusable)?
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(Arc::new(by_sni));
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok((Arc::new(config), renew_at))
    }
}

impl Acme {
    /// The certificate, if there is one yet. One that cannot be used is soon replaced, and keeps
    /// nobody from the listeners.
    fn read(&self) -> Option<Arc<CertifiedKey>> {
        stamp(&self.file)?;
        let read = || certified((tls::read_chain(&self.file)?, tls::read_key(&self.file)?));
        match read() {
            Ok(certified) => Some(certified),
            Err(error) => {
                warn!(%error, "the certificate in `cache` of [web.acme] is not used");
                None
            }
        }
    }
}

fn stamp(path: &Path) -> Option<Stamp> {
    let metadata = std::fs::metadata(path).ok()?;
    Some(Stamp {
        modified: metadata.modified().ok()?,
        length: metadata.len(),
    })
}

pub(super) fn client_verifier(
    path: &Path,
) -> Result<Arc<dyn rustls::server::danger::ClientCertVerifier>, TlsError> {
    let error = |why: String| TlsError::ClientAuthorities(path.to_owned(), why);
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(|e| error(e.to_string()))? {
        let certificate = certificate.map_err(|e| error(e.to_string()))?;
        roots.add(certificate).map_err(|e| error(e.to_string()))?;
    }
    if roots.is_empty() {
        return Err(error("there is no certificate in it".to_owned()));
    }
    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider())
        .build()
        .map_err(|e| error(e.to_string()))
}

/// Chooses the certificate by the name that the browser asks for.
#[derive(Debug, Default)]
struct BySni {
    hosts: Vec<(Vec<String>, Arc<CertifiedKey>)>,
    default: Option<Arc<CertifiedKey>>,
}

impl BySni {
    fn find(&self, name: &str) -> Option<&Arc<CertifiedKey>> {
        let parent = name.split_once('.').map(|(_, parent)| parent);
        let is_exact = |known: &String| known.eq_ignore_ascii_case(name);
        let is_wildcard = |known: &String| {
            // One label only (RFC 9525 section 6.3).
            let known = known.strip_prefix("*.");
            known.is_some_and(|known| parent.is_some_and(|p| known.eq_ignore_ascii_case(p)))
        };
        let hosts = || self.hosts.iter();
        let found = hosts()
            .find(|(names, _)| names.iter().any(is_exact))
            .or_else(|| hosts().find(|(names, _)| names.iter().any(is_wildcard)));
        found.map(|(_, key)| key)
    }
}

impl ResolvesServerCert for BySni {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let named = hello.server_name().and_then(|name| self.find(name));
        named.or(self.default.as_ref()).cloned()
    }
}

/// Keeps the certificates fresh: looks at the files from time to time, and at once on SIGHUP.
pub(super) async fn keep_fresh(tls: Option<Arc<WebTls>>, mut hangups: Signal) {
    let mut checks = tokio::time::interval(CERTIFICATE_CHECK_INTERVAL);
    checks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let asked = tokio::select! {
            hangup = hangups.recv() => match hangup {
                Some(()) => true,
                None => return,
            },
            _ = checks.tick() => false,
        };
        let Some(tls) = tls.clone() else {
            if asked {
                info!("SIGHUP: there are no certificates to read again");
            }
            continue;
        };
        if asked {
            notify::reloading();
            tls.reload_asked.notify_waiters();
        }
        let read = tokio::task::spawn_blocking(move || {
            if asked {
                tls.reload().map(|()| true)
            } else {
                tls.reload_if_needed(clock::wall())
            }
        });
        match read.await {
            Ok(Ok(true)) => info!("the TLS certificates were read again"),
            Ok(Ok(false)) => {}
            Ok(Err(error)) => warn!(%error, "the TLS certificates stay as they were"),
            Err(error) => error!(%error, "cannot read the TLS certificates"),
        }
        if asked {
            notify::ready();
        }
    }
}

#[cfg(test)]
pub(super) mod tests;
