//! How a carrier writes telephone numbers (E.123, RFC 3966), and how they are rewritten between it
//! and us.
//!
//! What is rewritten is the user part of an address that is a number: digits, perhaps with a `+` in
//! front and visual separators (`-`, `.`, parentheses, spaces). It is read as an international number
//! where its prefix says so, and written anew. What cannot be read so stays as it is: names, service
//! codes (`*21#`), and numbers that are too short to be anybody's, such as those for emergencies.

use crate::config::{NumberForm, NumbersConfig};
use crate::sip::uri::{Scheme, decode, digits_of, split_number, without_visual};
use crate::sip::{NameAddr, Uri};

/// Fewest digits of a number that is rewritten, without prefixes in front of it: what is shorter is
/// a short code or an emergency number.
const NATIONAL_DIGITS_MIN: usize = 7;
/// Most digits of an international number (E.164 section 6).
const E164_DIGITS_MAX: usize = 15;

/// Rewrites an address on its way to the carrier.
pub fn to_trunk(config: &NumbersConfig, uri: &mut Uri) {
    rewrite(config, uri, config.inbound, config.outbound);
    let Some(is_wanted) = config.user_phone else {
        return;
    };
    if !matches!(uri.scheme, Scheme::Sip | Scheme::Sips) || number_of(uri).is_none() {
        return;
    }
    if is_wanted {
        uri.params.set("user", Some("phone"));
    } else {
        uri.params.remove("user");
    }
}

/// Rewrites an address on its way from the carrier.
pub fn from_trunk(config: &NumbersConfig, uri: &mut Uri) {
    rewrite(config, uri, config.outbound, config.inbound);
}

/// Rewrites the value of a From, To or P-Asserted-Identity that comes from the carrier. A `tel` URI
/// becomes one of `domain`, for browsers know `sip` only. Unchanged, byte for byte, if there is
/// nothing to do.
#[must_use]
pub fn name_from_trunk(config: &NumbersConfig, value: &str, domain: &str) -> String {
    let Some(before) = NameAddr::parse(value) else {
        return value.to_owned();
    };
    let mut after = before.clone();
    if let Some(uri) = sip_of_tel(&after.uri, domain) {
        after.uri = uri;
    }
    from_trunk(config, &mut after.uri);
    if after == before {
        value.to_owned()
    } else {
        after.to_string()
    }
}

/// A `tel` URI (RFC 3966) as a `sip` URI of this domain (RFC 3261 section 19.1.6): a local number
/// with digits as context becomes a global one; what else belongs to the number stays with it. `None`
/// for other schemes.
#[must_use]
pub fn sip_of_tel(tel: &Uri, domain: &str) -> Option<Uri> {
    if tel.scheme != Scheme::Tel {
        return None;
    }
    let number = without_visual(&decode(tel.user.as_deref()?)?);
    let context = without_visual(tel.params.get("phone-context").unwrap_or_default());
    let is_global = number.starts_with('+');
    let prefix = match global_digits(&context) {
        Some(_) if !is_global => context.as_str(),
        Some(_) | None => "",
    };
    let mut user = Uri::sip(Some(&format!("{prefix}{number}")), domain, None);
    for (name, value) in tel.params.iter() {
        let is_context = name.eq_ignore_ascii_case("phone-context");
        if is_context && (is_global || !prefix.is_empty()) {
            continue;
        }
        if let Some(text) = &mut user.user {
            text.push(';');
            text.push_str(&name.to_ascii_lowercase());
            if let Some(value) = value {
                text.push('=');
                text.push_str(&value.to_ascii_lowercase());
            }
        }
    }
    user.params.set("user", Some("phone"));
    Some(user)
}

/// Whom these numbers of a carrier may mean: as they are, then in the form that browsers see.
#[must_use]
pub fn meant(config: &NumbersConfig, numbers: Vec<String>) -> Vec<String> {
    let convert = |number: &String| convert(config, number, config.outbound, config.inbound);
    let converted: Vec<String> = numbers.iter().filter_map(convert).collect();
    numbers.into_iter().chain(converted).collect()
}

/// `spoken` is the form in which the side that wrote the address writes numbers.
fn rewrite(config: &NumbersConfig, uri: &mut Uri, spoken: NumberForm, wanted: NumberForm) {
    if !matches!(uri.scheme, Scheme::Sip | Scheme::Sips) {
        return;
    }
    let Some(user) = uri.user.as_deref() else {
        return;
    };
    // Parameters of a number in front of the @ stay: `verstat`, `npdi`.
    let (number, params) = split_number(user);
    let Some(number) = decode(number) else {
        return;
    };
    if let Some(rewritten) = convert(config, &number, spoken, wanted) {
        uri.user = Some(format!("{rewritten}{params}"));
    }
}

/// The number in another form. `None` if it is no number, or stays as it is.
fn convert(
    config: &NumbersConfig,
    text: &str,
    spoken: NumberForm,
    wanted: NumberForm,
) -> Option<String> {
    if wanted == NumberForm::AsIs {
        return None;
    }
    let dialled = digits_of(text)?;
    let international = international(config, &dialled, spoken)?;
    Some(match wanted {
        NumberForm::AsIs => return None,
        NumberForm::E164 => format!("+{international}"),
        NumberForm::E164WithoutPlus => international,
        NumberForm::National => {
            let code = config.country_code.as_deref();
            match code.and_then(|code| international.strip_prefix(code)) {
                Some(national) => format!("{}{national}", config.national_prefix),
                None => format!("{}{international}", config.international_prefix),
            }
        }
    })
}

/// The digits of an international number, country code first. `None` if the number is a short one,
/// or local: nobody can tell whose it is.
fn international(config: &NumbersConfig, dialled: &str, spoken: NumberForm) -> Option<String> {
    let behind = |prefix: &str| {
        let rest = dialled.strip_prefix(prefix);
        rest.filter(|_| !prefix.is_empty())
    };
    let is_number = |digits: &&str| (NATIONAL_DIGITS_MIN..=E164_DIGITS_MAX).contains(&digits.len());
    if let Some(digits) = dialled.strip_prefix('+') {
        return Some(digits).filter(is_number).map(str::to_owned);
    }
    if let Some(digits) = behind(&config.international_prefix) {
        return Some(digits).filter(is_number).map(str::to_owned);
    }
    if spoken == NumberForm::E164WithoutPlus && behind(&config.national_prefix).is_none() {
        return Some(dialled).filter(is_number).map(str::to_owned);
    }
    let code = config.country_code.as_deref()?;
    let national = match behind(&config.national_prefix) {
        Some(national) => national,
        None if config.national_prefix.is_empty() => dialled,
        // In the North American plan the prefix is the country code, and often left out.
        None if config.national_prefix == code && dialled.len() == 10 => dialled,
        None => return None,
    };
    let is_long_enough = national.len() >= NATIONAL_DIGITS_MIN;
    let whole = format!("{code}{national}");
    (is_long_enough && whole.len() <= E164_DIGITS_MAX).then_some(whole)
}

/// The number in a `sip` URI, as dialled. `None` if its user is none.
fn number_of(uri: &Uri) -> Option<String> {
    let (number, _) = split_number(uri.user.as_deref()?);
    digits_of(&decode(number)?)
}

/// The digits behind the `+` of a global number.
fn global_digits(number: &str) -> Option<&str> {
    let digits = number.strip_prefix('+')?;
    (!digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())).then_some(digits)
}

#[cfg(test)]
mod tests;
