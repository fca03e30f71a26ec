//! `[web.acme]`

use std::path::PathBuf;

/// `[web.acme]`: a certificate of the web listeners that ringway obtains and renews by itself, from
/// an authority that speaks ACME (RFC 8555), with the challenge tls-alpn-01 (RFC 8737).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcmeConfig {
    /// Host names, in lower case, that the certificate is for: 1 to
    /// [`ACME_DOMAINS_MAX`](crate::limits::ACME_DOMAINS_MAX). The authority connects to port 443 of
    /// each of them.
    pub domains: Vec<String>,
    /// URLs by which the authority may reach the operator, as `mailto:ops@example.com`.
    pub contact: Vec<String>,
    /// URL of the authority's directory, `https`. Default: Let's Encrypt.
    pub directory: String,
    /// PEM file of the authorities that the directory's own certificate may come from; `None`: those
    /// that the system believes.
    pub directory_ca: Option<PathBuf>,
    /// Folder of the account's key, the certificate and its key. Default `/var/lib/ringway/acme`.
    pub cache: PathBuf,
}
