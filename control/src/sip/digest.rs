//! Digest authentication (RFC 3261 section 22, RFC 7616, RFC 8760): MD5, SHA-256 and SHA-512-256,
//! without qop or with `qop=auth`.
//!
//! Left out: `-sess` algorithms (no browser stack and hardly a carrier uses them), and `auth-int`,
//! which cannot survive the rewriting of bodies.

use std::fmt;

use aws_lc_rs::constant_time;
use aws_lc_rs::digest::{SHA512_256, digest};
use rsip::services::DigestGenerator;
use zeroize::Zeroizing;

use super::chars::is_token;
use super::header::params::{Pieces, quote, split_outside_quotes, unescape, unquote};
use super::method::Method;
use crate::hex::hex;

mod nonces;
#[cfg(test)]
mod tests;

pub use nonces::{NonceState, Nonces};

/// A digest algorithm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// MD5, also meant by a challenge without `algorithm`.
    Md5,
    /// SHA-256 (RFC 8760).
    Sha256,
    /// SHA-512/256 (RFC 8760).
    Sha512Trunc256,
    /// One that is not computed here.
    Other(String),
}

impl Algorithm {
    /// Returns the text of the `algorithm` parameter.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Md5 => "MD5",
            Self::Sha256 => "SHA-256",
            Self::Sha512Trunc256 => "SHA-512-256",
            Self::Other(text) => text,
        }
    }

    fn from_text(text: &str) -> Self {
        if text.eq_ignore_ascii_case("MD5") {
            Self::Md5
        } else if text.eq_ignore_ascii_case("SHA-256") {
            Self::Sha256
        } else if text.eq_ignore_ascii_case("SHA-512-256") {
            Self::Sha512Trunc256
        } else {
            Self::Other(text.to_owned())
        }
    }
}

/// The value of `WWW-Authenticate` or `Proxy-Authenticate`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    /// Realm, without quotes.
    pub realm: String,
    /// Nonce, without quotes.
    pub nonce: String,
    /// Algorithm; `None` means MD5 and is not printed.
    pub algorithm: Option<Algorithm>,
    /// The qop list: `auth`, `auth-int`; empty for RFC 2069 servers.
    pub qop: Vec<String>,
    /// Opaque, to be sent back.
    pub opaque: Option<String>,
    /// The credentials were right but the nonce was old.
    pub stale: bool,
}

impl Challenge {
    /// Makes a challenge with `qop="auth"`.
    #[must_use]
    pub fn new(realm: &str, nonce: String, algorithm: Algorithm, stale: bool) -> Self {
        Self {
            realm: realm.to_owned(),
            nonce,
            algorithm: Some(algorithm),
            qop: vec!["auth".to_owned()],
            opaque: None,
            stale,
        }
    }

    /// Parses a header value; `None` if it is not a Digest challenge with realm and nonce.
    #[must_use]
    pub fn parse(value: &str) -> Option<Self> {
        let params = DigestParams::parse(value)?;
        let qop = params.get("qop").unwrap_or_default();
        let words = qop
            .split(',')
            .map(str::trim)
            .filter(|word| !word.is_empty());
        Some(Self {
            realm: params.get("realm")?,
            nonce: params.get("nonce")?,
            algorithm: params
                .get("algorithm")
                .map(|text| Algorithm::from_text(&text)),
            qop: words.map(str::to_ascii_lowercase).collect(),
            opaque: params.get("opaque"),
            stale: params
                .get("stale")
                .is_some_and(|text| text.eq_ignore_ascii_case("true")),
        })
    }
}

impl fmt::Display for Challenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Digest realm={}, nonce={}",
            quote(&self.realm),
            quote(&self.nonce)
        )?;
        if let Some(algorithm) = &self.algorithm {
            write!(f, ", algorithm={}", algorithm.as_str())?;
        }
        if !self.qop.is_empty() {
            write!(f, ", qop=\"{}\"", self.qop.join(","))?;
        }
        if let Some(opaque) = &self.opaque {
            write!(f, ", opaque={}", quote(opaque))?;
        }
        f.write_str(if self.stale { ", stale=true" } else { "" })
    }
}

/// The value of `Authorization` or `Proxy-Authorization`. The response is kept out of Debug.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// User name.
    pub username: String,
    /// Realm of the challenge.
    pub realm: String,
    /// Nonce of the challenge.
    pub nonce: String,
    /// The digest URI, as it was hashed.
    pub uri: String,
    /// The digest, in lower-case hexadecimal.
    pub response: String,
    /// Algorithm; `None` means MD5.
    pub algorithm: Option<Algorithm>,
    /// The qop that was chosen.
    pub qop: Option<String>,
    /// Nonce count: eight hexadecimal digits, as they were hashed.
    pub nc: Option<String>,
    /// Nonce of the client.
    pub cnonce: Option<String>,
    /// Opaque of the challenge.
    pub opaque: Option<String>,
}

impl Credentials {
    /// Parses a header value; `None` if it is not Digest, or incomplete.
    #[must_use]
    pub fn parse(value: &str) -> Option<Self> {
        let params = DigestParams::parse(value)?;
        Some(Self {
            username: params.get("username")?,
            realm: params.get("realm")?,
            nonce: params.get("nonce")?,
            uri: params.get("uri")?,
            response: params.get("response")?,
            algorithm: params
                .get("algorithm")
                .map(|text| Algorithm::from_text(&text)),
            qop: params.get("qop").map(|text| text.to_ascii_lowercase()),
            nc: params.get("nc"),
            cnonce: params.get("cnonce"),
            opaque: params.get("opaque"),
        })
    }

    /// Returns the digest that these parameters demand. `None` for a method, an algorithm or a qop
    /// that is not computed here, and for `auth` without `nc` and `cnonce`.
    fn expected(&self, method: &Method, password: &str) -> Option<String> {
        // rsip prints the nonce count in decimal; with qop the middle of the hashed text is
        // therefore given as one piece, in the place of the nonce (RFC 7616 section 3.4.1).
        let middle = match self.qop.as_deref() {
            None => self.nonce.clone(),
            Some("auth") => {
                format!(
                    "{}:{}:{}:auth",
                    self.nonce,
                    self.nc.as_ref()?,
                    self.cnonce.as_ref()?
                )
            }
            Some(_) => return None,
        };
        let algorithm = match self.algorithm {
            None | Some(Algorithm::Md5) => rsip::headers::auth::Algorithm::Md5,
            Some(Algorithm::Sha256) => rsip::headers::auth::Algorithm::Sha256,
            // rsip has SHA-512 only in full.
            Some(Algorithm::Sha512Trunc256) => {
                return Some(self.sha512_trunc256(method, password, &middle));
            }
            Some(Algorithm::Other(_)) => return None,
        };
        // Nor does it print every URI as it parsed it: the text goes in whole.
        let host = rsip::Host::Domain(rsip::Domain::from(self.uri.as_str()));
        let uri = rsip::Uri {
            host_with_port: host.into(),
            ..rsip::Uri::default()
        };
        let generator = DigestGenerator {
            username: &self.username,
            password,
            nonce: &middle,
            uri: &uri,
            realm: &self.realm,
            method: &digest_method(method)?,
            qop: None,
            algorithm,
        };
        Some(generator.compute())
    }

    /// RFC 7616 section 3.4.1, with the hash function of RFC 8760 section 2.2.
    fn sha512_trunc256(&self, method: &Method, password: &str, middle: &str) -> String {
        let hash = |text: String| {
            let text = Zeroizing::new(text);
            Zeroizing::new(hex(digest(&SHA512_256, text.as_bytes()).as_ref()))
        };
        let secret = hash(format!("{}:{}:{password}", self.username, self.realm));
        let request = hash(format!("{method}:{}", self.uri));
        let whole = hash(format!("{}:{middle}:{}", *secret, *request));
        whole.to_string()
    }
}

impl fmt::Display for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Digest username={}, realm={}, nonce={}, uri={}, response=\"{}\"",
            quote(&self.username),
            quote(&self.realm),
            quote(&self.nonce),
            quote(&self.uri),
            self.response,
        )?;
        if let Some(algorithm) = &self.algorithm {
            write!(f, ", algorithm={}", algorithm.as_str())?;
        }
        if let Some(cnonce) = &self.cnonce {
            write!(f, ", cnonce={}", quote(cnonce))?;
        }
        if let Some(opaque) = &self.opaque {
            write!(f, ", opaque={}", quote(opaque))?;
        }
        if let Some(qop) = &self.qop {
            write!(f, ", qop={qop}")?;
        }
        if let Some(nc) = &self.nc {
            write!(f, ", nc={nc}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("realm", &self.realm)
            .field("uri", &self.uri)
            .finish_non_exhaustive()
    }
}

/// Tells whether credentials prove the password, in constant time for equal lengths.
///
/// The caller checks what surrounds them: nonce ([`Nonces::check`]), realm, user name, and that
/// `uri` names what is asked for.
#[must_use]
pub fn verify(credentials: &Credentials, method: &Method, password: &str) -> bool {
    credentials
        .expected(method, password)
        .is_some_and(|expected| {
            let given = credentials.response.to_ascii_lowercase();
            constant_time::verify_slices_are_equal(expected.as_bytes(), given.as_bytes()).is_ok()
        })
}

/// Answers a challenge: `qop=auth` if it is offered, else none.
///
/// `nc` counts the uses of this nonce from 1; `cnonce` is random text. `None` if the challenge asks
/// for an algorithm or a qop that is not computed here, or for a method that is not known.
#[must_use]
pub fn answer(
    challenge: &Challenge,
    user: &str,
    password: &str,
    method: &Method,
    uri: &str,
    nc: u32,
    cnonce: &str,
) -> Option<Credentials> {
    let has_auth = challenge.qop.iter().any(|qop| qop == "auth");
    if !has_auth && !challenge.qop.is_empty() {
        return None;
    }
    let mut credentials = Credentials {
        username: user.to_owned(),
        realm: challenge.realm.clone(),
        nonce: challenge.nonce.clone(),
        uri: uri.to_owned(),
        response: String::new(),
        algorithm: challenge.algorithm.clone(),
        qop: has_auth.then(|| "auth".to_owned()),
        nc: has_auth.then(|| format!("{nc:08x}")),
        cnonce: has_auth.then(|| cnonce.to_owned()),
        opaque: challenge.opaque.clone(),
    };
    credentials.response = credentials.expected(method, password)?;
    Some(credentials)
}

/// Tells whether [`answer`] can answer a challenge, as far as that can be said without a request.
#[must_use]
pub fn is_answerable(challenge: &Challenge) -> bool {
    let has_auth = challenge.qop.is_empty() || challenge.qop.iter().any(|qop| qop == "auth");
    match challenge.algorithm {
        None | Some(Algorithm::Md5 | Algorithm::Sha256 | Algorithm::Sha512Trunc256) => has_auth,
        Some(Algorithm::Other(_)) => false,
    }
}

/// Removes `auth-int` from the qop list of a challenge; all else stays as it was. A list with
/// nothing else disappears.
///
/// JsSIP and sipML5 prefer `auth-int` where it is offered, and the body that they hash is not the
/// one that the carrier sees.
#[must_use]
pub fn strip_auth_int(value: &str) -> String {
    let Some((scheme, params)) = split_scheme(value) else {
        return value.to_owned();
    };
    let Some(pieces) = split_outside_quotes(params, b',') else {
        return value.to_owned();
    };
    let kept: Vec<String> = pieces
        .into_iter()
        .filter_map(|piece| match piece.split_once('=') {
            Some((name, list)) if name.trim().eq_ignore_ascii_case("qop") => {
                let words = unquote(list.trim()).split(',').map(str::trim);
                let words: Vec<&str> = words
                    .filter(|word| !word.eq_ignore_ascii_case("auth-int"))
                    .collect();
                (!words.is_empty()).then(|| format!("{name}=\"{}\"", words.join(",")))
            }
            Some(_) | None => Some(piece.to_owned()),
        })
        .collect();
    format!("{scheme} {}", kept.join(",").trim_start())
}

/// Splits a header value at the commas in front of further challenges: their parameters are separated
/// by commas, too, and some servers write all challenges into one line.
#[must_use]
pub fn split_challenges(value: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut pieces = Pieces::new(value, b',');
    let (mut begin, mut end) = (0, 0);
    for piece in &mut pieces {
        if begins_challenge(piece) && end > 0 {
            found.extend(value.get(begin..end - 1));
            begin = end;
        }
        end += piece.len() + 1;
    }
    found.extend(value.get(begin..));
    let plain = found
        .into_iter()
        .map(|one| one.trim_matches([' ', '\t', ',']));
    plain.filter(|one| !one.is_empty()).collect()
}

/// Does a scheme stand in front of this parameter, or alone?
fn begins_challenge(piece: &str) -> bool {
    match split_scheme(piece) {
        Some((scheme, rest)) => is_token(scheme) && !rest.trim_start().starts_with('='),
        None => is_token(piece.trim()),
    }
}

/// Returns the challenges that a browser stack can answer: the MD5 ones, without `auth-int`.
///
/// JsSIP and SIP.js look only at the first challenge, and give up if it is not MD5. Empty if there
/// is no MD5 challenge: then only the edge itself can answer.
#[must_use]
pub fn browser_challenges<'v>(values: impl IntoIterator<Item = &'v str>) -> Vec<String> {
    values
        .into_iter()
        .flat_map(split_challenges)
        .filter(|value| {
            Challenge::parse(value)
                .is_some_and(|c| matches!(c.algorithm, None | Some(Algorithm::Md5)))
        })
        .map(strip_auth_int)
        .collect()
}

/// The parameters behind `Digest`.
struct DigestParams<'v>(Vec<(&'v str, &'v str)>);

impl<'v> DigestParams<'v> {
    fn parse(value: &'v str) -> Option<Self> {
        let (scheme, params) = split_scheme(value)?;
        if !scheme.eq_ignore_ascii_case("Digest") {
            return None;
        }
        let pieces = split_outside_quotes(params, b',')?;
        let pairs = pieces.into_iter().filter_map(|piece| piece.split_once('='));
        Some(Self(
            pairs
                .map(|(name, value)| (name.trim(), value.trim()))
                .collect(),
        ))
    }

    fn get(&self, name: &str) -> Option<String> {
        let (_, value) = self
            .0
            .iter()
            .find(|(found, _)| found.eq_ignore_ascii_case(name))?;
        Some(if value.starts_with('"') {
            unescape(unquote(value))
        } else {
            (*value).to_owned()
        })
    }
}

fn split_scheme(value: &str) -> Option<(&str, &str)> {
    value.trim().split_once(|c: char| c.is_ascii_whitespace())
}

fn digest_method(method: &Method) -> Option<rsip::Method> {
    Some(match method {
        Method::Invite => rsip::Method::Invite,
        Method::Ack => rsip::Method::Ack,
        Method::Bye => rsip::Method::Bye,
        Method::Cancel => rsip::Method::Cancel,
        Method::Register => rsip::Method::Register,
        Method::Options => rsip::Method::Options,
        Method::Info => rsip::Method::Info,
        Method::Prack => rsip::Method::PRack,
        Method::Subscribe => rsip::Method::Subscribe,
        Method::Notify => rsip::Method::Notify,
        Method::Refer => rsip::Method::Refer,
        Method::Message => rsip::Method::Message,
        Method::Update => rsip::Method::Update,
        Method::Publish => rsip::Method::Publish,
        Method::Other(_) => return None,
    })
}
