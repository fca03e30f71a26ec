//! `[trunk.numbers]`

use super::Source;
use crate::config::file::At;
use crate::config::numbers::NumbersFile;
use crate::config::{ConfigError, NumberForm, NumbersConfig};

/// Longest prefix in any numbering plan, and more.
const PREFIX_DIGITS_MAX: usize = 8;

pub(super) fn numbers(
    numbers: Option<&NumbersFile>,
    source: &Source<'_>,
) -> Result<NumbersConfig, ConfigError> {
    let Some(numbers) = numbers else {
        return Ok(NumbersConfig::default());
    };
    let country_code = country_code(&numbers.country_code, source)?;
    let national = prefix("national_prefix", &numbers.national_prefix, source)?;
    let international = prefix(
        "international_prefix",
        &numbers.international_prefix,
        source,
    )?;
    let default = NumbersConfig::default();
    let checked = NumbersConfig {
        national_prefix: national.unwrap_or(default.national_prefix),
        international_prefix: international.unwrap_or(default.international_prefix),
        outbound: form(&numbers.outbound),
        inbound: form(&numbers.inbound),
        user_phone: numbers.user_phone,
        country_code,
    };
    if checked.country_code.is_none() {
        let remedy = "say which country with `country_code`";
        let national = |at: &&At<NumberForm>| form(at) == NumberForm::National;
        let forms = [&numbers.outbound, &numbers.inbound];
        if let Some(at) = forms.into_iter().find(national).and_then(Option::as_ref) {
            return Err(source.error(at, "`national` is not known without a country", remedy));
        }
        if let Some(at) = &numbers.national_prefix {
            return Err(source.error(at, "`national_prefix` is of no country", remedy));
        }
    }
    let hidden = !checked.international_prefix.is_empty()
        && checked
            .national_prefix
            .starts_with(&checked.international_prefix);
    match &numbers.national_prefix {
        Some(at) if hidden => {
            let what = "`national_prefix` begins with `international_prefix`";
            Err(source.error(at, what, "all national numbers would be international"))
        }
        Some(_) | None => Ok(checked),
    }
}

fn form(at: &At<NumberForm>) -> NumberForm {
    at.as_ref().map_or(NumberForm::AsIs, |at| *at.get_ref())
}

fn country_code(at: &At<String>, source: &Source<'_>) -> Result<Option<String>, ConfigError> {
    let Some(at) = at else { return Ok(None) };
    let code = at.get_ref().strip_prefix('+').unwrap_or(at.get_ref());
    let is_sound = (1..=3).contains(&code.len())
        && !code.starts_with('0')
        && code.bytes().all(|b| b.is_ascii_digit());
    if !is_sound {
        let what = format!("`country_code` is none: `{}`", at.get_ref());
        return Err(source.error(at, what, "write one to three digits, for example \"49\""));
    }
    Ok(Some(code.to_owned()))
}

fn prefix(key: &str, at: &At<String>, source: &Source<'_>) -> Result<Option<String>, ConfigError> {
    let Some(at) = at else { return Ok(None) };
    let text = at.get_ref();
    if text.len() > PREFIX_DIGITS_MAX || !text.bytes().all(|b| b.is_ascii_digit()) {
        let what = format!("`{key}` is no prefix: `{text}`");
        return Err(source.error(at, what, "write digits, for example \"0\", or nothing"));
    }
    Ok(Some(text.clone()))
}
