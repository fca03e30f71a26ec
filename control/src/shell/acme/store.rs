//! The files of the cache: the account, and the certificate with its key. Nobody else may read them.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use instant_acme::AccountCredentials;
use zeroize::Zeroizing;

use super::AcmeError;
use super::order::Issued;
use crate::acme::Validity;
use crate::config::AcmeConfig;
use crate::hex::hex;
use crate::shell::tls;

/// Where account and certificate are.
#[derive(Debug)]
pub(in crate::shell) struct Store {
    folder: PathBuf,
    account: PathBuf,
    certificate: PathBuf,
}

impl Store {
    /// The files are named after what they are for: another authority has another account, and
    /// other domains have another certificate.
    pub(in crate::shell) fn new(config: &AcmeConfig) -> Self {
        let mut domains = config.domains.clone();
        domains.sort_unstable();
        let names = format!("{} {}", config.directory, domains.join(" "));
        let folder = config.cache.clone();
        Self {
            account: folder.join(format!("account-{}.json", short_hash(&config.directory))),
            certificate: folder.join(format!("certificate-{}.pem", short_hash(&names))),
            folder,
        }
    }

    /// The certificate, its intermediates and its private key, in one file: they change together.
    pub(in crate::shell) fn certificate(&self) -> &Path {
        &self.certificate
    }

    /// Makes sure that files can be written.
    pub(super) async fn check(self: &Arc<Self>) -> Result<(), AcmeError> {
        let this = Arc::clone(self);
        blocking(move || {
            let probe = this.folder.join("probe");
            this.write(&probe, b"may be removed\n")?;
            fs::remove_file(&probe).map_err(|error| AcmeError::Cache(probe, error))
        })
        .await?
    }

    /// From when to when the certificate is valid; `None` if there is none that can be used.
    pub(super) async fn validity(self: &Arc<Self>) -> Option<Validity> {
        let this = Arc::clone(self);
        let read = blocking(move || {
            let chain = tls::read_chain(&this.certificate).ok()?;
            let key = tls::read_key(&this.certificate).ok()?;
            let validity = tls::validity(chain.first()?)?;
            tls::certified((chain, key)).ok().map(|_| validity)
        });
        read.await.ok().flatten()
    }

    /// The account, if there is one.
    pub(super) async fn account(self: &Arc<Self>) -> Result<Option<AccountCredentials>, AcmeError> {
        let this = Arc::clone(self);
        blocking(move || {
            let failed = |error| AcmeError::Cache(this.account.clone(), error);
            let text = match fs::read(&this.account) {
                Ok(text) => Zeroizing::new(text),
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                Err(error) => return Err(failed(error)),
            };
            // The error of the parser could show what stands there.
            let unreadable = || failed(io::Error::other("this is no account; remove it"));
            serde_json::from_slice(&text).map_err(|_| unreadable())
        })
        .await?
    }

    pub(super) async fn put_account(
        self: &Arc<Self>,
        credentials: &AccountCredentials,
    ) -> Result<(), AcmeError> {
        let failed =
            |error: serde_json::Error| AcmeError::Cache(self.account.clone(), error.into());
        let text = Zeroizing::new(serde_json::to_vec(credentials).map_err(failed)?);
        let this = Arc::clone(self);
        blocking(move || this.write(&this.account, &text)).await?
    }

    /// The authority does not know the account any more: the next attempt makes another.
    pub(super) async fn forget_account(self: &Arc<Self>) -> Result<(), AcmeError> {
        let this = Arc::clone(self);
        let removed = blocking(move || fs::remove_file(&this.account)).await?;
        removed.map_err(|error| AcmeError::Cache(self.account.clone(), error))
    }

    /// Keeps a certificate that has been issued, once it is sure that it can be used.
    pub(super) async fn put_certificate(
        self: &Arc<Self>,
        issued: Issued,
    ) -> Result<Validity, AcmeError> {
        let this = Arc::clone(self);
        blocking(move || {
            let text = Zeroizing::new(format!("{}{}", *issued.key, issued.chain));
            let chain = tls::chain_of(text.as_bytes()).unwrap_or_default();
            let key = tls::key_of(text.as_bytes());
            let unusable =
                || AcmeError::Certificate("what was issued is no certificate".to_owned());
            let validity = chain.first().and_then(tls::validity).ok_or_else(unusable)?;
            tls::certified((chain, key.ok_or_else(unusable)?))?;
            this.write(&this.certificate, text.as_bytes())?;
            Ok(validity)
        })
        .await?
    }

    /// Replaces a file as a whole: who reads it sees the old one or the new one.
    fn write(&self, path: &Path, contents: &[u8]) -> Result<(), AcmeError> {
        let attempt = || {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(&self.folder)?;
            let new = path.with_extension("new");
            let mut file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&new)?;
            file.write_all(contents)?;
            file.sync_all()?;
            fs::rename(&new, path)?;
            File::open(&self.folder)?.sync_all()
        };
        attempt().map_err(|error| AcmeError::Cache(path.to_owned(), error))
    }
}

fn short_hash(text: &str) -> String {
    let hash = digest(&SHA256, text.as_bytes());
    hex(hash.as_ref().get(..8).unwrap_or_default())
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, AcmeError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| AcmeError::Certificate(error.to_string()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::time::{Duration, SystemTime};

    use super::*;
    use crate::config::Config;

    /// A folder that is not there yet, and goes at the end.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let name = format!("ringway-acme-{}-{name}", std::process::id());
            Self(std::env::temp_dir().join(name))
        }

        fn store(&self, lines: &str) -> Arc<Store> {
            let cache = self.0.join("cache").display().to_string();
            let text = format!("[web]\ntls = \"on\"\n[web.acme]\ncache = \"{cache}\"\n{lines}");
            let web = Config::parse("test.toml", &text, &|_| None).unwrap().web;
            Arc::new(Store::new(&web.acme.unwrap()))
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            if self.0.exists() {
                fs::remove_dir_all(&self.0).unwrap();
            }
        }
    }

    const BEGINS: Duration = Duration::from_secs(2_000_000_000);
    const LIFETIME: Duration = Duration::from_secs(3600);

    /// A certificate, and the key of it or of another.
    fn issued(fitting: bool) -> Issued {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut parameters = rcgen::CertificateParams::new(["a.example".to_owned()]).unwrap();
        parameters.not_before = (SystemTime::UNIX_EPOCH + BEGINS).into();
        parameters.not_after = (SystemTime::UNIX_EPOCH + BEGINS + LIFETIME).into();
        let chain = parameters.self_signed(&key).unwrap().pem();
        let other = rcgen::KeyPair::generate().unwrap();
        let key = if fitting { key } else { other }.serialize_pem();
        let key = Zeroizing::new(key);
        Issued { key, chain }
    }

    #[tokio::test]
    async fn nobody_else_can_read_what_is_kept() {
        let folder = Folder::new("modes");
        let store = folder.store("domains = \"a.example\"");
        assert_eq!(store.validity().await, None);
        let kept = store.put_certificate(issued(true)).await.unwrap();
        assert_eq!(kept.from, SystemTime::UNIX_EPOCH + BEGINS);
        assert_eq!(kept.lifetime(), LIFETIME);
        assert_eq!(store.validity().await, Some(kept));
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(store.certificate()), 0o600);
        assert_eq!(mode(&store.folder), 0o700);
        let files = fs::read_dir(&store.folder).unwrap().count();
        assert_eq!(files, 1, "nothing is left over");
    }

    #[tokio::test]
    async fn what_does_not_fit_our_key_takes_nothing_away() {
        let folder = Folder::new("fit");
        let store = folder.store("domains = \"a.example\"");
        let kept = store.put_certificate(issued(true)).await.unwrap();
        assert!(store.put_certificate(issued(false)).await.is_err());
        let mut empty = issued(true);
        empty.chain = String::new();
        assert!(store.put_certificate(empty).await.is_err());
        assert_eq!(store.validity().await, Some(kept));
    }

    #[tokio::test]
    async fn other_domains_and_other_authorities_have_other_files() {
        let folder = Folder::new("names");
        let store = |lines: &str| folder.store(lines);
        let one = store("domains = [\"a.example\", \"b.example\"]");
        let turned = store("domains = [\"b.example\", \"a.example\"]");
        assert_eq!(one.certificate, turned.certificate);
        let fewer = store("domains = [\"a.example\"]");
        assert_ne!(one.certificate, fewer.certificate);
        assert_eq!(one.account, fewer.account);
        let staging = "domains = [\"a.example\"]\ndirectory = \"https://ca.example/dir\"";
        let staging = store(staging);
        assert_ne!(staging.account, fewer.account);
        assert_ne!(staging.certificate, fewer.certificate);
    }

    #[tokio::test]
    async fn an_account_that_cannot_be_read_is_named_and_not_shown() {
        let folder = Folder::new("account");
        let store = folder.store("domains = \"a.example\"");
        assert!(store.account().await.unwrap().is_none());
        store.check().await.unwrap();
        fs::write(&store.account, "{\"key_pkcs8\": \"secret\"}").unwrap();
        let error = store.account().await.err().unwrap().to_string();
        assert!(
            error.contains("account-") && !error.contains("secret"),
            "{error}"
        );
        store.forget_account().await.unwrap();
        assert!(store.account().await.unwrap().is_none());
    }

    #[tokio::test]
    async fn a_folder_that_cannot_be_written_to_is_found_before_anything_is_ordered() {
        let folder = Folder::new("file");
        fs::create_dir_all(&folder.0).unwrap();
        fs::write(folder.0.join("cache"), "a file").unwrap();
        let store = folder.store("domains = \"a.example\"");
        let error = store.check().await.unwrap_err().to_string();
        assert!(error.starts_with("`cache` of [web.acme]: "), "{error}");
    }
}
