//! SRTP keys in SDP: the `a=crypto` attribute (RFC 4568).
//!
//! ```text
//! a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:<base64 of key || salt>|2^31|1:4 WSH=128
//! ```
//!
//! Each side describes the key that it sends with: the line we write has our
//! [`SrtpKeys::local`](crate::keys::SrtpKeys), the line we read their
//! [`SrtpKeys::remote`](crate::keys::SrtpKeys). What would weaken the protection, or what we would
//! have to do differently and do not, is refused by name, never ignored.

mod base64;
#[cfg(test)]
mod tests;

use std::fmt;

use zeroize::Zeroizing;

use crate::keys::{MasterKey, Mki, SrtpProfile};
use crate::limits::{
    MASTER_KEY_BYTES_MAX, MASTER_SALT_BYTES_MAX, MKI_BYTES_MAX, REPLAY_WINDOW_PACKETS_MAX,
    REPLAY_WINDOW_PACKETS_MIN, RTP_PACKETS_PER_KEY_MAX, SDES_LINE_BYTES_MAX,
};

const ATTRIBUTE: &str = "a=crypto:";
const METHOD: &str = "inline:";
/// Largest tag (RFC 4568 section 9.1: nine digits).
const TAG_MAX: u32 = 999_999_999;
/// Key and salt of the longest suite.
const MATERIAL_BYTES_MAX: usize = MASTER_KEY_BYTES_MAX + MASTER_SALT_BYTES_MAX;

/// One `a=crypto` attribute. Its `Debug` output shows no key.
#[derive(Clone, Debug)]
pub struct CryptoLine {
    /// What offer and answer call this line: 0 to 999999999.
    pub tag: u32,
    /// The key, its suite and its identifier.
    pub key: MasterKey,
    /// Packets that the key may protect, for
    /// [`SrtpOptions::lifetime_packets`](crate::srtp::SrtpOptions): 1 to 2^48.
    pub lifetime_packets: Option<u64>,
    /// The replay window that the sender of the line proposes (RFC 4568 section 6.3.6): 64 to
    /// 32768.
    pub window_size_hint: Option<u16>,
}

/// Why an `a=crypto` line was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SdesError {
    // The line breaks a rule.
    /// Longer than [`SDES_LINE_BYTES_MAX`].
    TooLong,
    /// Not a tag, a suite and key parameters, separated by one blank each.
    Malformed,
    /// The tag is not a number of at most nine digits.
    BadTag,
    /// The key is not base64.
    BadBase64,
    /// The key does not have the length that the suite asks for.
    BadKeyLength,
    /// The lifetime is no number, or none from 1 to 2^48.
    BadLifetime,
    /// The identifier is not `value:length`, or the value does not fit the length.
    BadMki,
    /// The window size hint is no number of at least 64.
    BadWindowSize,
    /// A session parameter is there twice.
    RepeatedParameter,

    // The line wants what we lack.
    /// A suite that we do not have.
    UnsupportedSuite,
    /// A key method other than `inline`.
    UnsupportedKeyMethod,
    /// More than one master key in one line.
    SeveralKeys,
    /// An identifier longer than [`MKI_BYTES_MAX`].
    MkiTooLong,
    /// A key derivation rate: session keys that change by themselves.
    KeyDerivationRate,
    /// `UNENCRYPTED_SRTP`: RTP in the clear.
    UnencryptedRtp,
    /// `UNENCRYPTED_SRTCP`: RTCP in the clear.
    UnencryptedRtcp,
    /// `UNAUTHENTICATED_SRTP`: RTP that anybody could have sent.
    UnauthenticatedRtp,
    /// `FEC_ORDER` or `FEC_KEY`: forward error correction under SRTP.
    ForwardErrorCorrection,
    /// A session parameter that we do not know and that must not be ignored (RFC 4568
    /// section 6.3.7).
    UnknownParameter,
}

impl fmt::Display for SdesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLong => "crypto line too long",
            Self::Malformed => "malformed crypto line",
            Self::BadTag => "crypto line with a bad tag",
            Self::BadBase64 => "crypto line whose key is not base64",
            Self::BadKeyLength => "crypto line whose key has the wrong length for its suite",
            Self::BadLifetime => "crypto line with a bad key lifetime",
            Self::BadMki => "crypto line with a bad master key identifier",
            Self::BadWindowSize => "crypto line with a bad window size hint",
            Self::RepeatedParameter => "crypto line with a repeated session parameter",
            Self::UnsupportedSuite => "crypto line with an unsupported suite",
            Self::UnsupportedKeyMethod => "crypto line with an unsupported key method",
            Self::SeveralKeys => "crypto line with several master keys",
            Self::MkiTooLong => "crypto line with a master key identifier that is too long",
            Self::KeyDerivationRate => "crypto line with a key derivation rate",
            Self::UnencryptedRtp => "crypto line that wants RTP unencrypted",
            Self::UnencryptedRtcp => "crypto line that wants RTCP unencrypted",
            Self::UnauthenticatedRtp => "crypto line that wants RTP unauthenticated",
            Self::ForwardErrorCorrection => "crypto line that wants forward error correction",
            Self::UnknownParameter => "crypto line with an unknown session parameter",
        })
    }
}

impl std::error::Error for SdesError {}

impl CryptoLine {
    /// Reads an attribute: a whole line with or without its end, or only what follows `a=crypto:`.
    ///
    /// # Errors
    /// What is wrong with the line, or what it wants that we lack.
    pub fn parse(line: &str) -> Result<Self, SdesError> {
        if line.len() > SDES_LINE_BYTES_MAX {
            return Err(SdesError::TooLong);
        }
        let line = line.trim_end_matches(['\r', '\n']);
        let value = line.strip_prefix(ATTRIBUTE).unwrap_or(line);
        let mut fields = value.split([' ', '\t']).filter(|field| !field.is_empty());
        let tag = tag(fields.next().ok_or(SdesError::Malformed)?)?;
        let suite = fields.next().ok_or(SdesError::Malformed)?;
        let parameters = fields.next().ok_or(SdesError::Malformed)?;
        let profile = SrtpProfile::from_sdes_name(suite).ok_or(SdesError::UnsupportedSuite)?;
        let (key, lifetime_packets) = key_parameters(profile, parameters)?;
        let mut line = Self {
            tag,
            key,
            lifetime_packets,
            window_size_hint: None,
        };
        for parameter in fields {
            line.session_parameter(parameter)?;
        }
        Ok(line)
    }

    /// The attribute as a line of SDP, without its end. It holds the key: it is wiped when it is
    /// dropped, and whatever it is copied into is for the owner to protect.
    ///
    /// `None` for a suite that SDES has no name for.
    #[must_use]
    pub fn to_line(&self) -> Option<Zeroizing<String>> {
        let suite = self.key.profile().sdes_name()?;
        // All at once: a string that grows leaves copies of the key behind.
        let mut line = Zeroizing::new(String::with_capacity(SDES_LINE_BYTES_MAX));
        let mut material = Zeroizing::new([0; MATERIAL_BYTES_MAX]);
        let parts = self.key.key().iter().chain(self.key.salt());
        for (to, from) in material.iter_mut().zip(parts) {
            *to = *from;
        }
        let bytes = self.key.key().len() + self.key.salt().len();
        for part in [ATTRIBUTE, &self.tag.to_string(), " ", suite, " ", METHOD] {
            line.push_str(part);
        }
        base64::encode(material.get(..bytes).unwrap_or_default(), &mut line);
        if let Some(packets) = self.lifetime_packets {
            line.push_str(&match packets.is_power_of_two() {
                true => format!("|2^{}", packets.ilog2()),
                false => format!("|{packets}"),
            });
        }
        if let mki @ [_, ..] = self.key.mki() {
            let value = mki
                .iter()
                .fold(0, |value, byte| value << 8 | u128::from(*byte));
            line.push_str(&format!("|{value}:{}", mki.len()));
        }
        if let Some(packets) = self.window_size_hint {
            line.push_str(&format!(" WSH={packets}"));
        }
        Some(line)
    }

    fn session_parameter(&mut self, parameter: &str) -> Result<(), SdesError> {
        let (name, value) = match parameter.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (parameter, None),
        };
        match name.to_ascii_uppercase().as_str() {
            "KDR" => Err(SdesError::KeyDerivationRate),
            "UNENCRYPTED_SRTP" => Err(SdesError::UnencryptedRtp),
            "UNENCRYPTED_SRTCP" => Err(SdesError::UnencryptedRtcp),
            "UNAUTHENTICATED_SRTP" => Err(SdesError::UnauthenticatedRtp),
            "FEC_ORDER" | "FEC_KEY" => Err(SdesError::ForwardErrorCorrection),
            "WSH" if self.window_size_hint.is_some() => Err(SdesError::RepeatedParameter),
            "WSH" => {
                let packets = value.and_then(number).ok_or(SdesError::BadWindowSize)?;
                if packets < REPLAY_WINDOW_PACKETS_MIN.into() {
                    return Err(SdesError::BadWindowSize);
                }
                // It is a hint: more than we can is no reason to refuse.
                let packets = packets.min(REPLAY_WINDOW_PACKETS_MAX.into());
                self.window_size_hint = u16::try_from(packets).ok();
                Ok(())
            }
            // "-" marks what may be ignored (RFC 4568 section 6.3.7).
            other if other.len() > 1 && other.starts_with('-') => Ok(()),
            _ => Err(SdesError::UnknownParameter),
        }
    }
}

fn tag(text: &str) -> Result<u32, SdesError> {
    let tag = number(text).and_then(|tag| u32::try_from(tag).ok());
    tag.filter(|tag| *tag <= TAG_MAX).ok_or(SdesError::BadTag)
}

/// A number in decimal digits, and nothing else.
fn number(text: &str) -> Option<u128> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

/// `inline:` with key and salt, and what may follow: `|lifetime` and `|MKI:length`.
fn key_parameters(
    profile: SrtpProfile,
    parameters: &str,
) -> Result<(MasterKey, Option<u64>), SdesError> {
    if parameters.contains(';') {
        return Err(SdesError::SeveralKeys);
    }
    let method = parameters.get(..METHOD.len());
    let method = method.filter(|method| method.eq_ignore_ascii_case(METHOD));
    let information = method.and_then(|method| parameters.get(method.len()..));
    let mut parts = information
        .ok_or(SdesError::UnsupportedKeyMethod)?
        .split('|');
    let key = master_key(profile, parts.next().unwrap_or_default())?;
    let (lifetime_text, mki_text) = match (parts.next(), parts.next(), parts.next()) {
        (None, _, _) => (None, None),
        (Some(only), None, _) if only.contains(':') => (None, Some(only)),
        (Some(only), None, _) => (Some(only), None),
        (Some(first), Some(second), None) => (Some(first), Some(second)),
        (Some(_), Some(_), Some(_)) => return Err(SdesError::Malformed),
    };
    let lifetime_packets = lifetime_text.map(lifetime).transpose()?;
    let key = match mki_text {
        Some(text) => key.with_mki(mki(text)?),
        None => key,
    };
    Ok((key, lifetime_packets))
}

fn master_key(profile: SrtpProfile, text: &str) -> Result<MasterKey, SdesError> {
    let mut material = Zeroizing::new([0; MATERIAL_BYTES_MAX]);
    let bytes = base64::decode(text.as_bytes(), &mut *material).map_err(|error| match error {
        base64::DecodeError::NotBase64 => SdesError::BadBase64,
        base64::DecodeError::TooLong => SdesError::BadKeyLength,
    })?;
    let material = material.get(..bytes).unwrap_or_default();
    let (key, salt) = material
        .split_at_checked(profile.key_bytes())
        .ok_or(SdesError::BadKeyLength)?;
    MasterKey::new(profile, key, salt).map_err(|_| SdesError::BadKeyLength)
}

/// `2^n` or a number: 1 to 2^48.
fn lifetime(text: &str) -> Result<u64, SdesError> {
    let packets = match text.strip_prefix("2^") {
        Some(exponent) => number(exponent)
            .and_then(|exponent| u32::try_from(exponent).ok())
            .and_then(|exponent| 1_u64.checked_shl(exponent)),
        None => number(text).and_then(|packets| u64::try_from(packets).ok()),
    };
    packets
        .filter(|packets| (1..=RTP_PACKETS_PER_KEY_MAX).contains(packets))
        .ok_or(SdesError::BadLifetime)
}

/// `value:length`: a number in that many bytes, the most significant first.
fn mki(text: &str) -> Result<Mki, SdesError> {
    let (value, length) = text.split_once(':').ok_or(SdesError::BadMki)?;
    let value = number(value).ok_or(SdesError::BadMki)?;
    let length = number(length).and_then(|length| usize::try_from(length).ok());
    let length = length
        .filter(|length| *length > 0)
        .ok_or(SdesError::BadMki)?;
    let bytes = value.to_be_bytes();
    let start = bytes
        .len()
        .checked_sub(length)
        .ok_or(SdesError::MkiTooLong)?;
    let (above, bytes) = bytes.split_at_checked(start).ok_or(SdesError::MkiTooLong)?;
    match above.iter().all(|byte| *byte == 0) {
        true => Mki::new(bytes).map_err(|_| SdesError::BadMki),
        false => Err(SdesError::BadMki),
    }
}

// The value of an identifier is a 128-bit number.
const _: () = assert!(MKI_BYTES_MAX * 8 == u128::BITS as usize);
