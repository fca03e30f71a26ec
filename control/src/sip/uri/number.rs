//! The number in the user part of an address (RFC 3261 section 19.1.6, RFC 3966).

use super::{Scheme, Uri, decode};

/// What stands in a number for the eye only (RFC 3966 section 5.1.1), and the space, which people
/// write.
const VISUAL: [char; 5] = ['-', '.', '(', ')', ' '];

/// Splits the user part of a `sip` URI, as it stands there, into the number and its parameters, with
/// the semicolon in front: `;npdi;rn=…` (RFC 4694), `;tgrp=…;trunk-context=…` (RFC 4904),
/// `;phone-context=…`, `;isub=…`, `;ext=…`. The semicolon may be escaped.
#[must_use]
pub fn split_number(user: &str) -> (&str, &str) {
    let bytes = user.as_bytes();
    let begins = |at: &usize| match bytes.get(*at..) {
        Some([b';', ..] | [b'%', b'3', b'b' | b'B', ..]) => true,
        Some(_) | None => false,
    };
    let at = (0..bytes.len()).find(begins).unwrap_or(bytes.len());
    user.split_at_checked(at).unwrap_or((user, ""))
}

/// Returns a number without what is for the eye only.
#[must_use]
pub fn without_visual(number: &str) -> String {
    number.chars().filter(|c| !VISUAL.contains(c)).collect()
}

/// Returns a number without visual separators, if it is one: digits, perhaps with a `+` in front.
#[must_use]
pub fn digits_of(text: &str) -> Option<String> {
    let number = without_visual(text);
    let digits = number.strip_prefix('+').unwrap_or(&number);
    let is_number = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    is_number.then_some(number)
}

impl Uri {
    /// Returns the numbers (or names) that this address may mean, the likeliest first: its user as it
    /// stands there; without the parameters of a number; without visual separators; and, of a local
    /// number whose context is a prefix, the global number (RFC 3966 section 5.1.5). Escapes are
    /// undone. Empty if there is no user.
    #[must_use]
    pub fn numbers(&self) -> Vec<String> {
        let mut found: Vec<String> = Vec::new();
        let mut add = |number: Option<String>| {
            if let Some(number) = number.filter(|n| !n.is_empty() && !found.contains(n)) {
                found.push(number);
            }
        };
        let Some(user) = self.user.as_deref() else {
            return found;
        };
        let bare = decode(split_number(user).0);
        let digits = bare.as_deref().and_then(digits_of);
        let prefix = self.phone_context().as_deref().and_then(digits_of);
        let global = match (&digits, prefix) {
            (Some(local), Some(prefix)) if !local.starts_with('+') && prefix.starts_with('+') => {
                Some(format!("{prefix}{local}"))
            }
            _ => None,
        };
        add(decode(user));
        add(bare);
        add(digits);
        add(global);
        found
    }

    /// Returns the `phone-context` of a number (RFC 3966 section 5.1.5): a parameter of a `tel` URI,
    /// and within the user part of a `sip` URI.
    fn phone_context(&self) -> Option<String> {
        if self.scheme == Scheme::Tel {
            return self.params.get("phone-context").map(str::to_owned);
        }
        let params = decode(split_number(self.user.as_deref()?).1)?;
        params.split(';').find_map(|param| {
            let (name, value) = param.split_once('=')?;
            name.trim()
                .eq_ignore_ascii_case("phone-context")
                .then(|| value.trim().to_owned())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_b38_b39_f10_f11_the_parameters_of_a_number_are_not_the_number() {
        for (uri, numbers) in [
            ("sip:1001@gw", vec!["1001"]),
            ("sip:alice@gw", vec!["alice"]),
            ("sip:gw", vec![]),
            (
                "sip:+4930123456;npdi;rn=+4930000@gw;user=phone",
                vec!["+4930123456;npdi;rn=+4930000", "+4930123456"],
            ),
            (
                "sip:1001;tgrp=a;trunk-context=x@gw",
                vec!["1001;tgrp=a;trunk-context=x", "1001"],
            ),
            ("sip:1001%3Bnpdi@gw", vec!["1001;npdi", "1001"]),
            (
                "sip:%2B49%2830%291001%3bcic=1@gw",
                vec!["+49(30)1001;cic=1", "+49(30)1001", "+49301001"],
            ),
            (
                "sip:1001;phone-context=+49@gw",
                vec!["1001;phone-context=+49", "1001", "+491001"],
            ),
            ("tel:1001;phone-context=carrier.test", vec!["1001"]),
            (
                "tel:30-1001;phone-context=+49",
                vec!["30-1001", "301001", "+49301001"],
            ),
            ("tel:+49-30-1001;ext=2", vec!["+49-30-1001", "+49301001"]),
            ("sip:*21%23@gw", vec!["*21#"]),
        ] {
            assert_eq!(Uri::parse(uri).unwrap().numbers(), numbers, "{uri}");
        }
    }
}
