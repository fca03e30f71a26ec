//! STUN Binding (RFC 8489) as ICE uses it (RFC 8445): a view of a request, and answers written over
//! it in the same buffer.

use std::net::{IpAddr, SocketAddr};

use crypto::stun_integrity::{fingerprint_crc32, message_integrity, verify_message_integrity};

use super::{read_u16, read_u32, write};

mod check;

pub use check::{Check, answered_transaction};

/// Bytes of the header.
pub const HEADER_BYTES: usize = 20;
/// Unknown attributes that a 420 answer can name: more are left out.
pub const UNKNOWN_ATTRIBUTES_MAX: usize = 4;

const MAGIC_COOKIE: u32 = 0x2112_A442;
const BINDING_REQUEST: u16 = 0x0001;
const BINDING_SUCCESS: u16 = 0x0101;
const BINDING_ERROR: u16 = 0x0111;

const USERNAME: u16 = 0x0006;
const MESSAGE_INTEGRITY: u16 = 0x0008;
const ERROR_CODE: u16 = 0x0009;
const UNKNOWN_ATTRIBUTES: u16 = 0x000A;
const REALM: u16 = 0x0014;
const NONCE: u16 = 0x0015;
const MESSAGE_INTEGRITY_SHA256: u16 = 0x001C;
const PASSWORD_ALGORITHM: u16 = 0x001D;
const USERHASH: u16 = 0x001E;
const XOR_MAPPED_ADDRESS: u16 = 0x0020;
const PRIORITY: u16 = 0x0024;
const USE_CANDIDATE: u16 = 0x0025;
const FINGERPRINT: u16 = 0x8028;
const ICE_CONTROLLED: u16 = 0x8029;
const ICE_CONTROLLING: u16 = 0x802A;

/// Why bytes are not a Binding request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StunError {
    /// Not STUN at all, attributes beyond the end, or a wrong FINGERPRINT.
    Malformed,
    /// Another method or class: an indication (keep-alive) or an answer to nothing.
    NotBindingRequest,
}

/// The role that the sender of a check takes (RFC 8445 section 7.1.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// ICE-CONTROLLING
    Controlling,
    /// ICE-CONTROLLED
    Controlled,
}

/// Comprehension-required attributes that we do not know (RFC 8489 section 6.3.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UnknownAttributes {
    count: usize,
    types: [u16; UNKNOWN_ATTRIBUTES_MAX],
}

impl UnknownAttributes {
    /// True if there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    fn push(&mut self, kind: u16) {
        if let Some(place) = self.types.get_mut(self.count) {
            *place = kind;
            self.count += 1;
        }
    }

    fn as_slice(&self) -> &[u16] {
        self.types.get(..self.count).unwrap_or_default()
    }
}

/// A Binding request.
#[derive(Clone, Copy, Debug)]
pub struct BindingRequest<'a> {
    message: &'a [u8],
    /// Where MESSAGE-INTEGRITY begins, and its value.
    integrity: Option<(usize, &'a [u8])>,
    /// The value of USERNAME.
    pub username: Option<&'a [u8]>,
    /// The value of PRIORITY.
    pub priority: Option<u32>,
    /// USE-CANDIDATE is there: the pair is nominated.
    pub use_candidate: bool,
    /// The role of the sender, if it says so.
    pub role: Option<Role>,
    /// What we ought to understand but do not.
    pub unknown: UnknownAttributes,
}

impl<'a> BindingRequest<'a> {
    /// Reads a request. FINGERPRINT, if it is there, must be right and last.
    ///
    /// # Errors
    /// See [`StunError`].
    pub fn parse(message: &'a [u8]) -> Result<Self, StunError> {
        check_header(message).ok_or(StunError::Malformed)?;
        if read_u16(message, 0) != Some(BINDING_REQUEST) {
            return Err(StunError::NotBindingRequest);
        }
        let mut request = Self {
            message,
            integrity: None,
            username: None,
            priority: None,
            use_candidate: false,
            role: None,
            unknown: UnknownAttributes::default(),
        };
        let mut offset = HEADER_BYTES;
        while offset < message.len() {
            offset = request.take_attribute(offset).ok_or(StunError::Malformed)?;
        }
        Ok(request)
    }

    /// True if MESSAGE-INTEGRITY is there and was made with this password.
    #[must_use]
    pub fn is_authentic(&self, password: &[u8]) -> bool {
        let Some((offset, tag)) = self.integrity else {
            return false;
        };
        self.message
            .get(..offset)
            .is_some_and(|covered| verify_message_integrity(password, covered, tag))
    }

    /// The halves of USERNAME: the fragment of the one who is asked, and of the one who asks.
    #[must_use]
    pub fn fragments(&self) -> Option<(&'a [u8], &'a [u8])> {
        let username = self.username?;
        let colon = username.iter().position(|byte| *byte == b':')?;
        Some((username.get(..colon)?, username.get(colon + 1..)?))
    }

    /// Takes in one attribute and returns where the next one begins.
    fn take_attribute(&mut self, offset: usize) -> Option<usize> {
        let kind = read_u16(self.message, offset)?;
        let length = usize::from(read_u16(self.message, offset + 2)?);
        let value = self.message.get(offset + 4..)?.get(..length)?;
        let next = offset + 4 + length.next_multiple_of(4);
        if next > self.message.len() {
            return None;
        }
        if kind == FINGERPRINT {
            let right = fingerprint_crc32(self.message.get(..offset)?)?;
            let is_last = next == self.message.len();
            return (is_last && value == right.to_be_bytes()).then_some(next);
        }
        // What follows MESSAGE-INTEGRITY is not protected by it and does not count (RFC 8489
        // section 14.5).
        if self.integrity.is_some() {
            return Some(next);
        }
        match kind {
            USERNAME => self.username = Some(value),
            PRIORITY => self.priority = Some(read_u32(value, 0)?),
            USE_CANDIDATE => self.use_candidate = true,
            ICE_CONTROLLING => self.role = Some(Role::Controlling),
            ICE_CONTROLLED => self.role = Some(Role::Controlled),
            MESSAGE_INTEGRITY => self.integrity = Some((offset, value)),
            REALM | NONCE | MESSAGE_INTEGRITY_SHA256 | PASSWORD_ALGORITHM | USERHASH => {}
            0x0000..=0x7FFF => self.unknown.push(kind),
            0x8000..=0xFFFF => {}
        }
        Some(next)
    }
}

fn check_header(message: &[u8]) -> Option<()> {
    let length = usize::from(read_u16(message, 2)?);
    let right = read_u32(message, 4)? == MAGIC_COOKIE
        && length % 4 == 0
        && message.len() == HEADER_BYTES + length;
    right.then_some(())
}

/// Writes the success answer over the request at the start of `buffer` (its transaction id is
/// kept) and returns its length. `mapped` is the address that the request came from.
///
/// `None` when the buffer is too small.
#[must_use]
pub fn write_success(buffer: &mut [u8], mapped: SocketAddr, password: &[u8]) -> Option<usize> {
    let mut writer = Writer::new(buffer, BINDING_SUCCESS)?;
    writer.xor_mapped_address(mapped)?;
    writer.finish(password)
}

/// Writes an error answer over the request and returns its length: 487 (Role Conflict), or 420
/// (Unknown Attribute) with the list of what was not understood.
///
/// `None` when the buffer is too small.
#[must_use]
pub fn write_error(buffer: &mut [u8], error: &ErrorAnswer, password: &[u8]) -> Option<usize> {
    let mut writer = Writer::new(buffer, BINDING_ERROR)?;
    let (number, phrase) = match error {
        ErrorAnswer::UnknownAttribute(_) => (20, b"Unknown Attribute".as_slice()),
        ErrorAnswer::RoleConflict => (87, b"Role Conflict".as_slice()),
    };
    writer.attribute(ERROR_CODE, &[&[0, 0, 4, number], phrase])?;
    if let ErrorAnswer::UnknownAttribute(unknown) = error {
        let mut value = [0; 2 * UNKNOWN_ATTRIBUTES_MAX];
        for (place, kind) in value.chunks_exact_mut(2).zip(unknown.as_slice()) {
            place.copy_from_slice(&kind.to_be_bytes());
        }
        let value = value.get(..2 * unknown.as_slice().len())?;
        writer.attribute(UNKNOWN_ATTRIBUTES, &[value])?;
    }
    writer.finish(password)
}

/// The errors that we answer an authentic request with; any other request gets no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorAnswer {
    /// 420
    UnknownAttribute(UnknownAttributes),
    /// 487
    RoleConflict,
}

struct Writer<'a> {
    buffer: &'a mut [u8],
    length: usize,
}

impl<'a> Writer<'a> {
    /// Begins an answer; the magic cookie and the transaction id stay where they are.
    fn new(buffer: &'a mut [u8], kind: u16) -> Option<Self> {
        buffer.get(..HEADER_BYTES)?;
        write(buffer, 0, &kind.to_be_bytes())?;
        Some(Self {
            buffer,
            length: HEADER_BYTES,
        })
    }

    /// Appends an attribute whose value is the concatenation of `parts`, padded with zeros.
    fn attribute(&mut self, kind: u16, parts: &[&[u8]]) -> Option<()> {
        let value_length: usize = parts.iter().map(|part| part.len()).sum();
        let mut at = self.length;
        write(self.buffer, at, &kind.to_be_bytes())?;
        write(
            self.buffer,
            at + 2,
            &u16::try_from(value_length).ok()?.to_be_bytes(),
        )?;
        at += 4;
        for part in parts {
            write(self.buffer, at, part)?;
            at += part.len();
        }
        let end = self.length + 4 + value_length.next_multiple_of(4);
        self.buffer.get_mut(at..end)?.fill(0);
        self.length = end;
        Some(())
    }

    fn xor_mapped_address(&mut self, address: SocketAddr) -> Option<()> {
        let cookie = MAGIC_COOKIE.to_be_bytes();
        let port = address.port() ^ u16::from_be_bytes([cookie[0], cookie[1]]);
        // The cookie and the transaction id behind it are the 16 bytes to combine with.
        let mask: [u8; 16] = *self.buffer.get(4..)?.first_chunk()?;
        match address.ip().to_canonical() {
            IpAddr::V4(ip) => {
                let bits = (ip.to_bits() ^ MAGIC_COOKIE).to_be_bytes();
                self.attribute(XOR_MAPPED_ADDRESS, &[&[0, 1], &port.to_be_bytes(), &bits])
            }
            IpAddr::V6(ip) => {
                let bits = (ip.to_bits() ^ u128::from_be_bytes(mask)).to_be_bytes();
                self.attribute(XOR_MAPPED_ADDRESS, &[&[0, 2], &port.to_be_bytes(), &bits])
            }
        }
    }

    /// Appends MESSAGE-INTEGRITY and FINGERPRINT, and sets the length.
    fn finish(mut self, password: &[u8]) -> Option<usize> {
        let tag = message_integrity(password, self.buffer.get(..self.length)?)?;
        self.attribute(MESSAGE_INTEGRITY, &[&tag])?;
        // FINGERPRINT covers the header with the final length.
        let body = u16::try_from(self.length + 8 - HEADER_BYTES).ok()?;
        write(self.buffer, 2, &body.to_be_bytes())?;
        let crc = fingerprint_crc32(self.buffer.get(..self.length)?)?;
        self.attribute(FINGERPRINT, &[&crc.to_be_bytes()])?;
        Some(self.length)
    }
}

#[cfg(test)]
pub(crate) mod tests;
