//! What may not be shown.

use crate::sip::HeaderName;

/// Returns the value of a header without its secrets.
#[expect(clippy::wildcard_enum_match_arm, reason = "few of a hundred names")]
pub(super) fn shown(name: &HeaderName, value: &str) -> String {
    match name {
        HeaderName::Authorization | HeaderName::ProxyAuthorization => {
            let scheme = value.split_ascii_whitespace().next().unwrap_or("");
            format!("{scheme} (credentials not shown)")
        }
        _ => without_passwords(value),
    }
}

/// Returns the text of a whole header line without its secrets.
#[expect(clippy::wildcard_enum_match_arm, reason = "few of a hundred names")]
pub(super) fn shown_line(line: &str) -> String {
    let Some((name, value)) = line.split_once(':') else {
        return without_passwords(line);
    };
    match HeaderName::from(name.trim()) {
        known @ (HeaderName::Authorization | HeaderName::ProxyAuthorization) => {
            format!("{name}: {}", shown(&known, value.trim()))
        }
        _ => without_passwords(line),
    }
}

/// Replaces the password of every `sip:user:password@host`.
pub(super) fn without_passwords(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = next_scheme(rest) {
        let (before, after) = rest.split_at(at);
        shown.push_str(before);
        rest = after;
        let end = after
            .find(['>', '"', ' ', '\t', '\r', '\n'])
            .unwrap_or(after.len());
        let (uri, _) = after.split_at(end);
        if let Some((user_info, _)) = uri.split_once('@')
            && let Some((user, password)) = user_info.split_once(':')
        {
            shown.push_str(user);
            shown.push_str(":***");
            rest = after.get(user.len() + 1 + password.len()..).unwrap_or("");
        }
    }
    shown.push_str(rest);
    shown
}

/// Returns where the user of the next `sip` or `sips` URI begins.
fn next_scheme(text: &str) -> Option<usize> {
    let lower = text.to_ascii_lowercase();
    ["sip:", "sips:"]
        .into_iter()
        .filter_map(|scheme| lower.find(scheme).map(|at| at + scheme.len()))
        .min()
}
