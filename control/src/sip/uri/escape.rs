//! Percent escapes (RFC 3261 section 19.1.2).

use std::fmt::Write as _;

/// Undoes `%xx` escapes; `None` if the result is not UTF-8. An incomplete escape stays.
#[must_use]
pub fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        match (first, after) {
            (b'%', [high, low, tail @ ..]) if is_hex(*high) && is_hex(*low) => {
                bytes.push(hex_digit(*high) << 4 | hex_digit(*low));
                rest = tail;
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8(bytes).ok()
}

/// Escapes what may not stand in the user part of a `sip` URI.
#[must_use]
pub fn escape_user(user: &str) -> String {
    let mut escaped = String::with_capacity(user.len());
    for byte in user.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.!~*'()&=+$,;?/".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let written = write!(escaped, "%{byte:02X}");
            debug_assert!(written.is_ok());
        }
    }
    escaped
}

/// Tells whether two hexadecimal digits follow the `%` that a text begins with.
pub(super) fn escape_is_complete(text: &[u8]) -> bool {
    matches!(text, [_, high, low, ..] if is_hex(*high) && is_hex(*low))
}

fn is_hex(byte: u8) -> bool {
    byte.is_ascii_hexdigit()
}

/// The value of a hexadecimal digit; zero for anything else.
fn hex_digit(byte: u8) -> u8 {
    match byte {
        b'0'..=b'9' => byte - b'0',
        b'a'..=b'f' => byte - b'a' + 10,
        b'A'..=b'F' => byte - b'A' + 10,
        _ => 0,
    }
}
