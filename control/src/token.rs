//! Access tokens of browsers: JSON Web Tokens (RFC 7519) that an application hands to its users,
//! so that they need no SIP password.
//!
//! A token comes with the WebSocket's opening handshake (RFC 7118 section A.2) or in a SIP request
//! (`Authorization: Bearer`, RFC 8898). It names one [`Identity`], which the connection has from
//! then on. Which algorithm a key is used with depends on the key alone, never on what a token says
//! of itself; `none` is no algorithm here.

use std::fmt;
use std::path::{Path, PathBuf};

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::{Map, Value};

use crate::config::{TokenConfig, TokenKey, TokenRequired};
use crate::limits::TOKEN_BYTES_MAX;
use crate::sip::{Scheme, Uri};

#[cfg(test)]
mod tests;

/// Whose a connection is: one address of record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    user: String,
    domain: String,
}

impl Identity {
    /// An identity from its parts: `user` without escapes.
    #[must_use]
    pub fn new(user: &str, domain: &str) -> Self {
        Self {
            user: user.to_owned(),
            domain: domain.to_ascii_lowercase(),
        }
    }

    /// Reads `sip:user@domain`, `user@domain`, or a user of `domain`.
    fn parse(text: &str, domain: Option<&str>) -> Option<Self> {
        let has_scheme = |scheme: &str| {
            text.get(..scheme.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(scheme))
        };
        if has_scheme("sip:") || has_scheme("sips:") {
            return Self::of_uri(&Uri::parse(text)?);
        }
        let (user, domain) = match text.rsplit_once('@') {
            Some((user, domain)) => (user, domain),
            None => (text, domain?),
        };
        let is_plain = |text: &str| !text.is_empty() && !text.chars().any(char::is_control);
        // A colon: a URI of another scheme.
        (is_plain(user) && !user.contains(':') && is_plain(domain)).then(|| Self::new(user, domain))
    }

    fn of_uri(uri: &Uri) -> Option<Self> {
        let is_sip = matches!(uri.scheme, Scheme::Sip | Scheme::Sips);
        let user = uri.user_decoded().filter(|user| !user.is_empty())?;
        is_sip.then(|| Self::new(&user, &uri.host))
    }

    /// Tells whether the URI is this address of record. Port and parameters do not matter; a `tel`
    /// URI never is.
    #[must_use]
    pub fn is(&self, uri: &Uri) -> bool {
        Self::of_uri(uri).as_ref() == Some(self)
    }

    /// The user part, without escapes.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The domain, in lower case.
    #[must_use]
    pub fn domain(&self) -> &str {
        &self.domain
    }
}

/// Why a token is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenError {
    /// It is no JSON Web Token, or longer than [`TOKEN_BYTES_MAX`].
    Malformed,
    /// No key of ours has signed it, or not with the algorithm that the key is for.
    Signature,
    /// `exp` is missing, no number, or past.
    Expired,
    /// `nbf` is to come.
    NotYetValid,
    /// `iss` is not the one expected.
    Issuer,
    /// It is meant for somebody else (`aud`).
    Audience,
    /// The claim that names the user is missing, or is no address of record.
    Identity,
}

impl fmt::Display for TokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "the token is malformed",
            Self::Signature => "the token's signature is not valid",
            Self::Expired => "the token has expired",
            Self::NotYetValid => "the token is not valid yet",
            Self::Issuer => "the token is of another issuer",
            Self::Audience => "the token is for another audience",
            Self::Identity => "the token names no user",
        })
    }
}

impl std::error::Error for TokenError {}

/// A key file that cannot be used.
#[derive(Debug)]
pub struct TokenKeyError {
    path: PathBuf,
    why: String,
}

impl fmt::Display for TokenKeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        write!(f, "`public_key` of [web.token] {path}: {}", self.why)
    }
}

impl std::error::Error for TokenKeyError {}

/// Checks tokens.
pub struct Tokens {
    keys: Vec<(DecodingKey, Validation)>,
    claim: String,
    domain: Option<String>,
    leeway_s: u64,
    required: TokenRequired,
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens")
            .field("keys", &self.keys.len())
            .field("claim", &self.claim)
            .field("required", &self.required)
            .finish_non_exhaustive()
    }
}

impl Tokens {
    /// A checker as configured; `read` reads the files of public keys.
    ///
    /// # Errors
    /// A file cannot be read, or holds no public key of a kind that is used with tokens: RSA,
    /// P-256, Ed25519.
    pub fn new(
        config: &TokenConfig,
        read: &dyn Fn(&Path) -> std::io::Result<Vec<u8>>,
    ) -> Result<Self, TokenKeyError> {
        let mut keys = Vec::new();
        for key in &config.keys {
            let (key, algorithm) = match key {
                TokenKey::Secret(secret) => {
                    let key = DecodingKey::from_secret(secret.expose().as_bytes());
                    (key, Algorithm::HS256)
                }
                TokenKey::PublicKey(path) => {
                    let error = |why: String| TokenKeyError {
                        path: path.clone(),
                        why,
                    };
                    let pem = read(path).map_err(|source| error(source.to_string()))?;
                    public_key(&pem).ok_or_else(|| {
                        error("holds no public key (PEM) of RSA, P-256 or Ed25519".to_owned())
                    })?
                }
            };
            keys.push((key, validation(config, algorithm)));
        }
        Ok(Self {
            keys,
            claim: config.claim.clone(),
            domain: config.domain.clone(),
            leeway_s: config.leeway.as_secs(),
            required: config.required,
        })
    }

    /// Who must bring a token.
    #[must_use]
    pub fn required(&self) -> TokenRequired {
        self.required
    }

    /// Checks a token at a moment, in seconds since 1970, and says whose it is.
    ///
    /// # Errors
    /// It is not to be trusted; see [`TokenError`].
    pub fn verify(&self, token: &str, now_s: u64) -> Result<Identity, TokenError> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(TokenError::Malformed);
        }
        let header =
            jsonwebtoken::decode_header(token.as_bytes()).map_err(|_| TokenError::Malformed)?;
        if header.crit.is_some() {
            // "If any of the listed extension Header Parameters are not understood […] the JWS is
            // invalid" (RFC 7515 section 4.1.11); none is.
            return Err(TokenError::Malformed);
        }
        let mut error = TokenError::Signature;
        for (key, validation) in &self.keys {
            match jsonwebtoken::decode::<Map<String, Value>>(token.as_bytes(), key, validation) {
                Ok(token) => return self.identity(&token.claims, now_s),
                Err(refusal) => error = worse(error, refusal.kind()),
            }
        }
        Err(error)
    }

    fn identity(&self, claims: &Map<String, Value>, now_s: u64) -> Result<Identity, TokenError> {
        let expires = claims.get("exp").and_then(seconds);
        if expires.is_none_or(|at| at.saturating_add(self.leeway_s) <= now_s) {
            return Err(TokenError::Expired);
        }
        if let Some(not_before) = claims.get("nbf")
            && seconds(not_before).is_none_or(|at| at > now_s.saturating_add(self.leeway_s))
        {
            return Err(TokenError::NotYetValid);
        }
        let named = claims.get(&self.claim).and_then(Value::as_str);
        named
            .and_then(|text| Identity::parse(text, self.domain.as_deref()))
            .ok_or(TokenError::Identity)
    }
}

/// A NumericDate (RFC 7519 section 2), rounded down.
fn seconds(value: &Value) -> Option<u64> {
    let whole = value.as_u64();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the cast saturates, and what is negative has gone before"
    )]
    whole.or_else(|| value.as_f64().filter(|s| *s >= 0.0).map(|s| s as u64))
}

/// Of what several keys say, that of the one which has signed it.
fn worse(known: TokenError, kind: &ErrorKind) -> TokenError {
    let is_missing = |name: &str| matches!(kind, ErrorKind::MissingRequiredClaim(c) if c == name);
    if matches!(kind, ErrorKind::InvalidIssuer) || is_missing("iss") {
        TokenError::Issuer
    } else if matches!(kind, ErrorKind::InvalidAudience) || is_missing("aud") {
        TokenError::Audience
    } else {
        known
    }
}

fn public_key(pem: &[u8]) -> Option<(DecodingKey, Algorithm)> {
    if let Ok(key) = DecodingKey::from_rsa_pem(pem) {
        return Some((key, Algorithm::RS256));
    }
    if let Ok(key) = DecodingKey::from_ec_pem(pem) {
        return Some((key, Algorithm::ES256));
    }
    let key = DecodingKey::from_ed_pem(pem).ok()?;
    Some((key, Algorithm::EdDSA))
}

/// What one key's tokens must say. Times are checked by us: the library would read the clock.
fn validation(config: &TokenConfig, algorithm: Algorithm) -> Validation {
    let mut validation = Validation::new(algorithm);
    validation.validate_exp = false;
    validation.validate_nbf = false;
    let mut claims = Vec::new();
    if let Some(issuer) = &config.issuer {
        validation.set_issuer(&[issuer]);
        claims.push("iss");
    }
    if let Some(audience) = &config.audience {
        validation.set_audience(&[audience]);
        claims.push("aud");
    }
    validation.set_required_spec_claims(&claims);
    validation
}
