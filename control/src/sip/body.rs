//! The session description of a message, wherever its body holds it: alone, or as a part of
//! `multipart/mixed`, `multipart/alternative` or `multipart/related`, nested too (RFC 5621).
//!
//! A description is a body of `application/sdp` whose disposition is `session`, the default of that
//! type (RFC 3261 section 20.11). Any other body is not understood: it is ignored where it says
//! `handling=optional`, in responses and in ACK, which cannot be refused, and beside a description
//! unless it says `handling=required` itself. The default of RFC 3204 is `required`, but those who
//! put a location or an ISUP message beside their offer leave the header field away, and mean that
//! the call should come about without it.
//!
//! A body without Content-Type is taken for a description, though RFC 3261 section 20.15 forbids it.

mod multipart;

use base64::Engine as _;
use base64::engine::general_purpose::GeneralPurpose;
use base64::engine::{DecodePaddingMode, GeneralPurposeConfig};
use bytes::Bytes;

use super::header::header_param;
use super::header::params::unescape;
use super::limits::{BODY_DEPTH_MAX, BODY_PARTS_MAX};
use super::{HeaderName, Message};

/// What `Accept` says in a 415 of ours (RFC 3261 section 8.2.3).
pub const ACCEPTED_TYPES: &str =
    "application/sdp, multipart/mixed, multipart/alternative, multipart/related";

/// What `Accept-Encoding` says in a 415 of ours.
pub const ACCEPTED_ENCODINGS: &str = "identity";

const SDP: &str = "application/sdp";

/// Padding is expected of nobody.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Why the body of a request cannot be handled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyError {
    /// Its type, disposition or encoding is not understood, and its handling is required: 415.
    Unsupported,
    /// It is not what its header says: 400.
    Malformed(&'static str),
}

impl BodyError {
    /// The status that refuses the request.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::Unsupported => 415,
            Self::Malformed(_) => 400,
        }
    }

    /// The reason in words, for logs.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Unsupported => "a body that must be understood and is not",
            Self::Malformed(text) => text,
        }
    }
}

impl Message {
    /// Returns the session description in the body of a request; `None` without one, and without
    /// anything that has to be understood.
    ///
    /// # Errors
    /// [`BodyError`] names the status that the request is to be refused with (RFC 3261 section
    /// 8.2.3, RFC 5621 section 8.4).
    pub fn session_description(&self) -> Result<Option<Bytes>, BodyError> {
        self.pick(false).map_err(|refused| refused.error)
    }

    /// Returns the session description in the body of a message that cannot be refused, such as a
    /// response or an ACK: all else in it counts as nothing.
    #[must_use]
    pub fn description(&self) -> Option<Bytes> {
        self.pick(true).ok().flatten()
    }

    fn pick(&self, is_lenient: bool) -> Result<Option<Bytes>, Refused> {
        let body = self.body();
        if body.is_empty() {
            return Ok(None);
        }
        let encodings = self.values(HeaderName::ContentEncoding);
        let entity = Entity {
            content_type: self.header(HeaderName::ContentType).unwrap_or(SDP).into(),
            disposition: self.header(HeaderName::ContentDisposition).map(Into::into),
            is_encoded: encodings.into_iter().any(is_encoding),
            transfer_encoding: self.header("Content-Transfer-Encoding").map(Into::into),
            content_id: None,
            content: body.clone(),
        };
        let mut picker = Picker {
            parts_left: BODY_PARTS_MAX,
            is_lenient,
        };
        picker.pick(&entity, 0)
    }
}

/// A body, or a part of one.
#[derive(Debug)]
struct Entity {
    content_type: String,
    disposition: Option<String>,
    /// Compressed, or the like.
    is_encoded: bool,
    transfer_encoding: Option<String>,
    content_id: Option<String>,
    content: Bytes,
}

/// The `handling` parameter (RFC 3204 section 6); `None` where nothing is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Handling {
    Optional,
    Required,
}

/// Something that is not understood.
#[derive(Clone, Copy, Debug)]
struct Refused {
    error: BodyError,
    /// The sender says itself that it has to be.
    is_stated: bool,
}

impl Refused {
    const fn new(error: BodyError) -> Self {
        Self {
            error,
            is_stated: false,
        }
    }
}

type Picked = Result<Option<Bytes>, Refused>;

const UNSUPPORTED: Picked = Err(Refused::new(BodyError::Unsupported));

const fn malformed(text: &'static str) -> Picked {
    Err(Refused {
        error: BodyError::Malformed(text),
        is_stated: true,
    })
}

impl Entity {
    /// The media type in small letters, without parameters and spaces.
    fn media_type(&self) -> String {
        let end = self.content_type.find(';');
        let name = end.and_then(|end| self.content_type.get(..end));
        let name = name.unwrap_or(&self.content_type);
        let name = name.chars().filter(|c| !c.is_whitespace());
        name.map(|c| c.to_ascii_lowercase()).collect()
    }

    fn is_disposed(&self, wanted: &str) -> Option<bool> {
        let value = self.disposition.as_deref()?;
        let name = value.split(';').next().unwrap_or_default();
        Some(name.trim().eq_ignore_ascii_case(wanted))
    }

    fn handling(&self) -> Option<Handling> {
        let value = header_param(self.disposition.as_deref()?, "handling")?;
        if value.eq_ignore_ascii_case("optional") {
            Some(Handling::Optional)
        } else if value.eq_ignore_ascii_case("required") {
            Some(Handling::Required)
        } else {
            None
        }
    }

    /// The content without its transfer encoding. SIP needs none, being clean for all bytes
    /// (RFC 5621 section 3.2), but gateways to mail write base64.
    fn decoded(&self) -> Picked {
        let encoding = self.transfer_encoding.as_deref().unwrap_or("binary").trim();
        let is = |name: &str| encoding.eq_ignore_ascii_case(name);
        if is("binary") || is("8bit") || is("7bit") {
            return Ok(Some(self.content.clone()));
        }
        if !is("base64") {
            return UNSUPPORTED;
        }
        let bytes = self.content.iter().copied();
        let text: Vec<u8> = bytes.filter(|byte| !byte.is_ascii_whitespace()).collect();
        match BASE64.decode(text) {
            Ok(content) => Ok(Some(content.into())),
            Err(_) => malformed("a body that is not base64"),
        }
    }
}

struct Picker {
    parts_left: usize,
    is_lenient: bool,
}

impl Picker {
    fn pick(&mut self, entity: &Entity, depth: usize) -> Picked {
        let handling = entity.handling();
        self.pick_required(entity, depth)
            .or_else(|refused| match handling {
                Some(Handling::Optional) => Ok(None),
                Some(Handling::Required) => Err(Refused {
                    is_stated: true,
                    ..refused
                }),
                None => Err(refused),
            })
    }

    /// The same for a body whose own `handling` does not count (RFC 5621 section 8.3).
    fn pick_required(&mut self, entity: &Entity, depth: usize) -> Picked {
        if entity.is_encoded {
            return UNSUPPORTED;
        }
        let media_type = entity.media_type();
        if media_type == SDP {
            // RFC 3959: an early session is another one.
            return match entity.is_disposed("session") {
                Some(false) => UNSUPPORTED,
                Some(true) | None => entity.decoded(),
            };
        }
        let Some(subtype) = media_type.strip_prefix("multipart/") else {
            return UNSUPPORTED;
        };
        // The disposition of a multipart body has no meaning (RFC 5621 section 8.2), but for one.
        if entity.is_disposed("early-session") == Some(true) {
            return UNSUPPORTED;
        }
        let parts = self.parts(entity, depth)?;
        match subtype {
            "alternative" => self.last_understood(&parts, depth + 1),
            "related" => self.all(root_first(entity, parts), depth + 1),
            // RFC 2046 section 5.1.3: what is not known is mixed.
            _ => self.all(parts, depth + 1),
        }
    }

    fn parts(&mut self, entity: &Entity, depth: usize) -> Result<Vec<Entity>, Refused> {
        let refuse = |text| Refused {
            error: BodyError::Malformed(text),
            is_stated: true,
        };
        if depth >= BODY_DEPTH_MAX {
            return Err(refuse("multipart bodies nested too deep"));
        }
        let boundary = header_param(&entity.content_type, "boundary").map(unescape);
        let boundary = boundary.filter(|text| !text.is_empty());
        let boundary = boundary.ok_or_else(|| refuse("a multipart body without a boundary"))?;
        let content = entity.decoded()?.unwrap_or_default();
        let parts = multipart::parts(&content, &boundary, self.parts_left)
            .ok_or_else(|| refuse("a multipart body with too many parts"))?;
        self.parts_left -= parts.len();
        if parts.is_empty() {
            return Err(refuse(
                "a multipart body without the boundary that it names",
            ));
        }
        Ok(parts.into_iter().map(multipart::entity).collect())
    }

    /// `multipart/mixed`: each part for itself; the first description is the session's.
    fn all(&mut self, parts: Vec<Entity>, depth: usize) -> Picked {
        let mut session = None;
        let mut refused: Option<Refused> = None;
        for part in parts {
            match self.pick(&part, depth) {
                Ok(found) => session = session.or(found),
                Err(this) if refused.is_none_or(|known| !known.is_stated) => refused = Some(this),
                Err(_) => {}
            }
        }
        match (session, refused) {
            (Some(_), Some(refused)) if refused.is_stated && !self.is_lenient => Err(refused),
            (Some(session), _) => Ok(Some(session)),
            (None, Some(refused)) => Err(refused),
            (None, None) => Ok(None),
        }
    }

    /// `multipart/alternative`: the last part that is understood (RFC 2046 section 5.1.4).
    fn last_understood(&mut self, parts: &[Entity], depth: usize) -> Picked {
        let mut outcome = Ok(None);
        for part in parts.iter().rev() {
            match self.pick_required(part, depth) {
                Ok(Some(found)) => return Ok(Some(found)),
                Ok(None) => {}
                refused @ Err(_) => outcome = refused,
            }
        }
        outcome
    }
}

/// `multipart/related`: the root is named by `start`, else it is the first part (RFC 2387).
fn root_first(entity: &Entity, mut parts: Vec<Entity>) -> Vec<Entity> {
    let bare = |id: &str| id.trim().trim_matches(['<', '>']).to_owned();
    let start = header_param(&entity.content_type, "start").map(bare);
    let root = start.and_then(|start| {
        let mut ids = parts.iter().map(|part| part.content_id.as_deref());
        ids.position(|id| id.is_some_and(|id| bare(id) == start))
    });
    if let Some(root) = root {
        let part = parts.remove(root);
        parts.insert(0, part);
    }
    parts
}

fn is_encoding(value: &str) -> bool {
    !value.eq_ignore_ascii_case("identity")
}

#[cfg(test)]
mod tests;
