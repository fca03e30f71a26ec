//! `[web.token]`

use std::path::PathBuf;
use std::time::Duration;

use super::Secret;

/// `[web.token]`: JSON Web Tokens (RFC 7519) that say who a browser is.
#[derive(Clone, Debug)]
pub struct TokenConfig {
    /// Keys that tokens may be signed with, at least one.
    pub keys: Vec<TokenKey>,
    /// The claim that names the address of record. Default `sub`.
    pub claim: String,
    /// Domain of users that the claim names without one.
    pub domain: Option<String>,
    /// What `iss` must be; `None` takes any.
    pub issuer: Option<String>,
    /// What `aud` must contain; `None` means that there may be none.
    pub audience: Option<String>,
    /// How far the clock of the issuer may be off. Default 30 s.
    pub leeway: Duration,
    /// A cookie that may carry the token.
    pub cookie: Option<String>,
    /// Who must bring one. Default: everybody, at the handshake.
    pub required: TokenRequired,
}

/// A key that tokens are checked with; its kind decides the algorithm.
#[derive(Clone, Debug)]
pub enum TokenKey {
    /// HS256: a secret shared with the application, 32 bytes or more.
    Secret(Secret),
    /// A PEM file with a public key: RS256, ES256 or EdDSA.
    PublicKey(PathBuf),
}

/// Who must bring a token, and when.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TokenRequired {
    /// Everybody, with the WebSocket's opening handshake; else 401 instead of a WebSocket.
    #[default]
    Handshake,
    /// Everybody, with the handshake or in the first SIP request; else 401 to the request.
    Request,
    /// Nobody: who brings none logs in with a password.
    Never,
}

impl TokenConfig {
    /// Where browsers get tokens, for the challenge: the issuer, if that is an https URL.
    #[must_use]
    pub fn authorization_server(&self) -> Option<&str> {
        let is_text = |b: u8| b.is_ascii_graphic() && !b"\"\\".contains(&b);
        let issuer = self.issuer.as_deref()?;
        (issuer.starts_with("https://") && issuer.bytes().all(is_text)).then_some(issuer)
    }
}
