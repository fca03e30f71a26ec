//! ICE checks as a browser makes them: they open, and keep open, the way through ringway.

use crypto::stun_integrity::{fingerprint_crc32, message_integrity};

const STUN_HEADER_BYTES: usize = 20;
const STUN_COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
const BINDING_REQUEST: u16 = 0x0001;
const BINDING_SUCCESS: u16 = 0x0101;
const USERNAME: u16 = 0x0006;
const MESSAGE_INTEGRITY: u16 = 0x0008;
const PRIORITY: u16 = 0x0024;
const USE_CANDIDATE: u16 = 0x0025;
const FINGERPRINT: u16 = 0x8028;
const ICE_CONTROLLING: u16 = 0x802a;
/// Transaction ids: this, then the call's index.
const TRANSACTION_PREFIX: &[u8; 8] = b"ringway.";

/// A nominating Binding request (RFC 8445 section 7.2.2). `None` when the texts are too long.
pub(crate) fn request(call: u16, fragment: &str, password: &str) -> Option<Vec<u8>> {
    let mut message = Vec::new();
    message.extend(BINDING_REQUEST.to_be_bytes());
    message.extend([0, 0]);
    message.extend(STUN_COOKIE);
    message.extend(TRANSACTION_PREFIX);
    message.extend(u32::from(call).to_be_bytes());
    let username = format!("{fragment}:bench");
    attribute(&mut message, USERNAME, username.as_bytes())?;
    attribute(&mut message, PRIORITY, &0x6e7f_00ff_u32.to_be_bytes())?;
    attribute(&mut message, ICE_CONTROLLING, &[7; 8])?;
    attribute(&mut message, USE_CANDIDATE, &[])?;
    let tag = message_integrity(password.as_bytes(), &message)?;
    attribute(&mut message, MESSAGE_INTEGRITY, &tag)?;
    let crc = fingerprint_crc32(&message)?;
    attribute(&mut message, FINGERPRINT, &crc.to_be_bytes())?;
    Some(message)
}

/// The call whose check is answered by this packet, if it is a success answer at all.
pub(crate) fn answered_call(packet: &[u8]) -> Option<u16> {
    let kind = u16::from_be_bytes(*packet.first_chunk()?);
    let transaction = packet.get(8..STUN_HEADER_BYTES)?;
    let index = transaction.strip_prefix(TRANSACTION_PREFIX)?;
    let success = kind == BINDING_SUCCESS && packet.get(4..8)? == STUN_COOKIE;
    u16::try_from(u32::from_be_bytes(*index.first_chunk()?))
        .ok()
        .filter(|_| success)
}

/// Appends an attribute and sets the length of the message.
fn attribute(message: &mut Vec<u8>, kind: u16, value: &[u8]) -> Option<()> {
    message.extend(kind.to_be_bytes());
    message.extend(u16::try_from(value.len()).ok()?.to_be_bytes());
    message.extend(value);
    message.resize(message.len().next_multiple_of(4), 0);
    let body = u16::try_from(message.len() - STUN_HEADER_BYTES).ok()?;
    message.get_mut(2..4)?.copy_from_slice(&body.to_be_bytes());
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_success_answer_to_our_own_check_is_an_answer() {
        let mut message = request(300, "abcd", "a password of some length").unwrap();
        assert_eq!(answered_call(&message), None);
        message[..2].copy_from_slice(&BINDING_SUCCESS.to_be_bytes());
        assert_eq!(answered_call(&message), Some(300));
        message[8] ^= 1;
        assert_eq!(answered_call(&message), None);
        assert_eq!(answered_call(&[1, 1]), None);
    }
}
