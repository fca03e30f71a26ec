//! `[web.token]`

use std::path::PathBuf;
use std::time::Duration;

use super::Source;
use crate::config::file::{self, At};
use crate::config::{ConfigError, TokenConfig, TokenKey};
use crate::limits::TOKEN_SECRET_BYTES_MIN;

pub(super) fn token(token: &file::Token, source: &Source<'_>) -> Result<TokenConfig, ConfigError> {
    let mut keys = Vec::new();
    if let Some(at) = &token.secret {
        for secret in &at.get_ref().0 {
            if secret.expose().len() < TOKEN_SECRET_BYTES_MIN {
                let what = format!("a `secret` is shorter than {TOKEN_SECRET_BYTES_MIN} bytes");
                return Err(source.error(at, what, "make one with `openssl rand -base64 32`"));
            }
            keys.push(TokenKey::Secret(secret.clone()));
        }
    }
    if let Some(at) = &token.public_key {
        let files = at.get_ref().0.iter();
        keys.extend(files.map(|path| TokenKey::PublicKey(PathBuf::from(path))));
    }
    if keys.is_empty() {
        return Err(source.missing(
            "[web.token] has no key to check tokens with",
            "give `secret` or `public_key`",
        ));
    }
    let text = |key: &str, at: &At<String>| match at {
        Some(at) if at.get_ref().is_empty() => {
            Err(source.error(at, format!("`{key}` is empty"), "remove it, or say what"))
        }
        Some(at) => Ok(Some(at.get_ref().clone())),
        None => Ok(None),
    };
    let word = |key: &str, at: &At<String>| at.as_ref().map(|at| source.word(key, at)).transpose();
    Ok(TokenConfig {
        keys,
        claim: text("claim", &token.claim)?.unwrap_or_else(|| "sub".to_owned()),
        domain: word("domain", &token.domain)?,
        issuer: text("issuer", &token.issuer)?,
        audience: text("audience", &token.audience)?,
        leeway: Duration::from_secs(token.leeway_s.as_ref().map_or(30, |at| *at.get_ref())),
        cookie: word("cookie", &token.cookie)?,
        required: token.required.unwrap_or_default(),
    })
}
