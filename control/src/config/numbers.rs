//! How a trunk writes telephone numbers.

use std::fmt::{self, Write as _};

use serde::Deserialize;

use super::file::At;

/// `[trunk.numbers]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NumbersConfig {
    /// Country code of national numbers, 1 to 3 digits. Default: none; only what is international
    /// already is understood.
    pub country_code: Option<String>,
    /// What stands in front of a national number within the country. Default: nothing.
    pub national_prefix: String,
    /// What stands in front of a number of another country. Default `00`.
    pub international_prefix: String,
    /// The form that the carrier is told numbers in. Default: as they are.
    pub outbound: NumberForm,
    /// The form that browsers and lines are told numbers in. Default: as they are.
    pub inbound: NumberForm,
    /// Whether numbers to the carrier have `user=phone` (RFC 3261 section 19.1.1). Default: as it
    /// is.
    pub user_phone: Option<bool>,
}

impl Default for NumbersConfig {
    /// Numbers stay as they are.
    fn default() -> Self {
        Self {
            country_code: None,
            national_prefix: String::new(),
            international_prefix: "00".to_owned(),
            outbound: NumberForm::AsIs,
            inbound: NumberForm::AsIs,
            user_phone: None,
        }
    }
}

/// A way to write a telephone number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum NumberForm {
    /// `+4930123456`
    #[serde(rename = "e164")]
    E164,
    /// `4930123456`
    #[serde(rename = "e164-without-plus")]
    E164WithoutPlus,
    /// `030123456`, and `0033123456789` for one of another country.
    #[serde(rename = "national")]
    National,
    /// As it came.
    #[default]
    #[serde(rename = "as-is")]
    AsIs,
}

impl NumberForm {
    /// Its name in the file.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::E164 => "e164",
            Self::E164WithoutPlus => "e164-without-plus",
            Self::National => "national",
            Self::AsIs => "as-is",
        }
    }
}

/// As it is written in the file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct NumbersFile {
    pub(super) country_code: At<String>,
    pub(super) national_prefix: At<String>,
    pub(super) international_prefix: At<String>,
    pub(super) outbound: At<NumberForm>,
    pub(super) inbound: At<NumberForm>,
    pub(super) user_phone: Option<bool>,
}

/// As TOML.
pub(super) fn write(numbers: &NumbersConfig, out: &mut String) -> fmt::Result {
    writeln!(out, "[trunk.numbers]")?;
    if let Some(code) = &numbers.country_code {
        writeln!(out, "country_code = {code:?}")?;
    }
    writeln!(out, "national_prefix = {:?}", numbers.national_prefix)?;
    let international = &numbers.international_prefix;
    writeln!(out, "international_prefix = {international:?}")?;
    writeln!(out, "outbound = \"{}\"", numbers.outbound.as_str())?;
    writeln!(out, "inbound = \"{}\"", numbers.inbound.as_str())?;
    if let Some(is_wanted) = numbers.user_phone {
        writeln!(out, "user_phone = {is_wanted}")?;
    }
    Ok(())
}
