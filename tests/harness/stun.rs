//! The ICE checks of a browser.

use crypto::stun_integrity::{fingerprint_crc32, message_integrity};

/// The user fragment that the browser of [`nominating_check`] has.
pub const BROWSER_FRAGMENT: &str = "peer";

/// A Binding request that nominates its pair (RFC 8445 section 7.2.2), from a browser to the flow
/// with this fragment and password.
///
/// # Panics
/// When the parts do not fit in a STUN message.
#[must_use]
#[expect(clippy::unwrap_used, reason = "in a test a panic says what is wrong")]
pub fn nominating_check(fragment: &str, password: &str) -> Vec<u8> {
    let mut message = vec![0, 1, 0, 0, 0x21, 0x12, 0xA4, 0x42];
    message.extend(b"transaction!");
    let attribute = |message: &mut Vec<u8>, kind: u16, value: &[u8]| {
        message.extend(kind.to_be_bytes());
        message.extend(u16::try_from(value.len()).unwrap().to_be_bytes());
        message.extend(value);
        message.resize(message.len().next_multiple_of(4), 0);
        let body = u16::try_from(message.len() - 20).unwrap();
        message[2..4].copy_from_slice(&body.to_be_bytes());
    };
    let user = format!("{fragment}:{BROWSER_FRAGMENT}");
    attribute(&mut message, 0x0006, user.as_bytes());
    attribute(&mut message, 0x0024, &[0x6E, 0, 1, 0xFF]);
    attribute(&mut message, 0x802A, &[7; 8]);
    attribute(&mut message, 0x0025, &[]);
    let tag = message_integrity(password.as_bytes(), &message).unwrap();
    attribute(&mut message, 0x0008, &tag);
    let crc = fingerprint_crc32(&message).unwrap();
    attribute(&mut message, 0x8028, &crc.to_be_bytes());
    message
}
