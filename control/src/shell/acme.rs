//! A certificate of the web listeners that is obtained and renewed by ringway itself (RFC 8555).
//!
//! The challenge is tls-alpn-01 (RFC 8737): the authority connects to port 443 of each name, and
//! [`challenge`] answers it beside the browsers. Whatever goes wrong, the listeners keep what they
//! have.

pub(super) mod challenge;
mod https;
mod order;
mod store;

use std::fmt;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::time::{sleep, timeout};
use tracing::{debug, info, warn};

use self::https::Https;
pub(super) use self::store::Store;
use super::clock;
use super::supervise::or_panicked;
use super::tls::TlsError;
use super::web_tls::WebTls;
use crate::acme::Attempts;
use crate::config::AcmeConfig;
use crate::limits::{ACME_ATTEMPT_WITHIN, ACME_LOOK_INTERVAL};

/// Why there is no new certificate.
#[derive(Debug)]
pub(super) enum AcmeError {
    /// A file of the cache cannot be read or written.
    Cache(std::path::PathBuf, std::io::Error),
    /// The authority said no, or nothing that could be understood.
    Authority(instant_acme::Error),
    /// The authority does not believe that a name is ours; why.
    NotOurs(String),
    /// The authority offers no tls-alpn-01 for this name.
    NoChallenge(String),
    /// Key, request or challenge could not be made, or what came is no certificate for our key.
    Certificate(String),
    /// It took too long.
    TooLong,
    /// A library panicked on what the authority said.
    Panicked(String),
}

impl fmt::Display for AcmeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cache(path, error) => {
                write!(f, "`cache` of [web.acme]: {}: {error}", path.display())
            }
            Self::Authority(error) => error.fmt(f),
            Self::NotOurs(why) => write!(f, "the authority could not check a name: {why}"),
            Self::NoChallenge(name) => {
                write!(
                    f,
                    "the authority offers no tls-alpn-01 challenge for {name}"
                )
            }
            Self::Certificate(why) => f.write_str(why),
            Self::TooLong => f.write_str("the authority took too long"),
            Self::Panicked(why) => write!(f, "what the authority said was not expected: {why}"),
        }
    }
}

impl std::error::Error for AcmeError {}

impl From<instant_acme::Error> for AcmeError {
    fn from(error: instant_acme::Error) -> Self {
        Self::Authority(error)
    }
}

impl From<rcgen::Error> for AcmeError {
    fn from(error: rcgen::Error) -> Self {
        Self::Certificate(format!("cannot make a certificate request: {error}"))
    }
}

impl From<TlsError> for AcmeError {
    fn from(error: TlsError) -> Self {
        Self::Certificate(error.to_string())
    }
}

/// Keeps the certificate fresh, for ever. An attempt is made when one is due, and at once when
/// [`WebTls::reload_asked`] resolves while attempts fail.
pub(super) async fn keep(config: AcmeConfig, store: Arc<Store>, tls: Arc<WebTls>) {
    let mut attempts = Attempts::default();
    loop {
        wait_until_due(&store).await;
        match attempt(renew(&config, &store, &tls)).await {
            Ok(until) => {
                attempts.succeeded();
                let hours = until.duration_since(clock::wall()).unwrap_or_default();
                let hours = hours.as_secs() / 3600;
                info!(domains = ?config.domains, valid_for_h = hours, "certificate obtained (ACME)");
            }
            Err(error) => {
                let reason = error.to_string();
                if attempts.failed(&reason) {
                    warn!(
                        error = reason,
                        "no new certificate (ACME); it is tried again"
                    );
                } else {
                    debug!(error = reason, "no new certificate (ACME)");
                }
            }
        }
        tokio::select! {
            () = sleep(attempts.wait(random())) => {}
            () = tls.reload_asked() => {}
        }
    }
}

/// One attempt, which may take its time and may fail in any way: libraries that read what the
/// authority says can panic, and calls need no new certificate.
async fn attempt<T>(work: impl Future<Output = Result<T, AcmeError>>) -> Result<T, AcmeError> {
    match or_panicked(timeout(ACME_ATTEMPT_WITHIN, work)).await {
        Ok(Ok(done)) => done,
        Ok(Err(_)) => Err(AcmeError::TooLong),
        Err(why) => Err(AcmeError::Panicked(why)),
    }
}

async fn wait_until_due(store: &Arc<Store>) {
    let jitter = random();
    loop {
        let Some(validity) = store.validity().await else {
            return;
        };
        match validity.renew_at(jitter).duration_since(clock::wall()) {
            Ok(left) if left > Duration::ZERO => sleep(left.min(ACME_LOOK_INTERVAL)).await,
            Ok(_) | Err(_) => return,
        }
    }
}

/// Obtains, stores and shows a new certificate; gives the end of its life.
async fn renew(
    config: &AcmeConfig,
    store: &Arc<Store>,
    tls: &Arc<WebTls>,
) -> Result<SystemTime, AcmeError> {
    // An order that cannot be kept would be made again and again.
    store.check().await?;
    let https = Https::new(config.directory_ca.as_deref())?;
    let account = order::account(config, store, https).await?;
    let Some(challenges) = tls.challenges() else {
        return Err(AcmeError::Certificate(
            "nobody could be answered".to_owned(),
        ));
    };
    let issued = order::certificate(config, &account, challenges).await;
    if let Err(AcmeError::Authority(instant_acme::Error::Api(problem))) = &issued
        && problem.r#type.as_deref() == Some("urn:ietf:params:acme:error:accountDoesNotExist")
    {
        store.forget_account().await?;
    }
    let validity = store.put_certificate(issued?).await?;
    let shown = Arc::clone(tls);
    let read = tokio::task::spawn_blocking(move || shown.reload());
    match read.await {
        Ok(read) => read?,
        Err(error) => return Err(AcmeError::Certificate(error.to_string())),
    }
    Ok(validity.to)
}

/// A random number, for what need not be secret.
fn random() -> u32 {
    u32::try_from(RandomState::new().hash_one(()) >> 32).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn media_f1_a_panic_on_what_the_authority_says_is_a_failed_attempt() {
        // As instant-acme has it for a Retry-After beyond the end of time.
        let seconds: u64 = "18446744073709551615".parse().unwrap();
        let panicked = attempt(async {
            let _until = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
            Ok(())
        });
        let error = panicked.await.unwrap_err();
        assert!(matches!(error, AcmeError::Panicked(_)), "{error}");
        assert!(error.to_string().contains("overflow"), "{error}");
        assert!(attempt(async { Ok(1) }).await.is_ok());
    }
}
