//! ICE checks as a browser makes them: they open, and keep open, the way through ringway.

use dataplane::wire::stun::{Check, answered_transaction};

/// Transaction ids: this, then the call's index.
const TRANSACTION_PREFIX: &[u8; 8] = b"ringway.";

/// A nominating Binding request (RFC 8445 section 7.2.2). `None` when the texts are too long.
pub(crate) fn request(call: u16, fragment: &str, password: &str) -> Option<Vec<u8>> {
    let mut transaction = [0; 12];
    let (prefix, index) = transaction.split_at_mut(TRANSACTION_PREFIX.len());
    prefix.copy_from_slice(TRANSACTION_PREFIX);
    index.copy_from_slice(&u32::from(call).to_be_bytes());
    let check = Check {
        transaction,
        remote_fragment: fragment,
        local_fragment: "bench",
        remote_password: password,
        tie_breaker: 7,
    };
    check.to_bytes()
}

/// The call whose check is answered by this packet, if it is a success answer at all.
pub(crate) fn answered_call(packet: &[u8]) -> Option<u16> {
    let transaction = answered_transaction(packet)?;
    let index = transaction.strip_prefix(TRANSACTION_PREFIX)?;
    u16::try_from(u32::from_be_bytes(*index.first_chunk()?)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_success_answer_to_our_own_check_is_an_answer() {
        let mut message = request(300, "abcd", "a password of some length").unwrap();
        assert_eq!(answered_call(&message), None);
        // A success answer; the body, which FINGERPRINT covers, is left out.
        message.truncate(20);
        message[..4].copy_from_slice(&[1, 1, 0, 0]);
        assert_eq!(answered_call(&message), Some(300));
        message[8] ^= 1;
        assert_eq!(answered_call(&message), None);
        assert_eq!(answered_call(&[1, 1]), None);
    }
}
