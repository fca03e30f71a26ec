//! `[web.acme]`

use std::path::PathBuf;

use toml::Spanned;

use super::Source;
use crate::config::file;
use crate::config::{AcmeConfig, ConfigError};
use crate::limits::ACME_DOMAINS_MAX;

const DIRECTORY: &str = "https://acme-v02.api.letsencrypt.org/directory";
const CACHE: &str = "/var/lib/ringway/acme";

pub(super) fn acme(acme: &file::Acme, source: &Source<'_>) -> Result<AcmeConfig, ConfigError> {
    let contact = acme.contact.as_ref();
    if let Some(at) = contact
        && !at.get_ref().0.iter().all(|url| is_url(url, "mailto:"))
    {
        let what = "`contact` must be `mailto:` and an address";
        return Err(source.error(at, what, "write for example `mailto:ops@example.com`"));
    }
    let directory = match &acme.directory {
        None => DIRECTORY.to_owned(),
        Some(at) if is_url(at.get_ref(), "https://") => at.get_ref().clone(),
        Some(at) => {
            let what = format!("`directory` is no https URL: `{}`", at.get_ref());
            return Err(source.error(at, what, &format!("write for example `{DIRECTORY}`")));
        }
    };
    let path = |at: &Spanned<String>| PathBuf::from(at.get_ref());
    Ok(AcmeConfig {
        domains: domains(&acme.domains, source)?,
        contact: contact.map_or_else(Vec::new, |at| at.get_ref().0.clone()),
        directory,
        directory_ca: acme.directory_ca.as_ref().map(path),
        cache: acme.cache.as_ref().map_or_else(|| CACHE.into(), path),
    })
}

fn is_url(text: &str, scheme: &str) -> bool {
    let rest = text.strip_prefix(scheme);
    rest.is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_graphic()))
}

fn domains(at: &Spanned<file::OneOrMore>, source: &Source<'_>) -> Result<Vec<String>, ConfigError> {
    let mut domains: Vec<String> = Vec::new();
    for text in &at.get_ref().0 {
        if text.starts_with("*.") {
            let what = format!("`domains` has a wildcard: `{text}`");
            // There is no host to connect to (RFC 8737 section 3).
            let remedy = "tls-alpn-01 knows none: name each host, or give `certificate`";
            return Err(source.error(at, what, remedy));
        }
        if !is_host_name(text) {
            let what = format!("`domains` has no host name in `{text}`");
            return Err(source.error(at, what, "write for example `phone.example.com`"));
        }
        let domain = text.to_ascii_lowercase();
        if domains.contains(&domain) {
            let what = format!("`domains` names `{domain}` twice");
            return Err(source.error(at, what, "name each host once"));
        }
        domains.push(domain);
    }
    if domains.is_empty() || domains.len() > ACME_DOMAINS_MAX {
        let what = format!("`domains` must be 1 to {ACME_DOMAINS_MAX} host names");
        return Err(source.error(at, what, "write for example `[\"phone.example.com\"]`"));
    }
    Ok(domains)
}

/// Labels of letters, digits and hyphens (RFC 1123 section 2.1); the last is no number, as no
/// address may be one.
fn is_host_name(text: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    let last = text.rsplit('.').next().unwrap_or_default();
    text.len() <= 253 && text.split('.').all(is_label) && !last.bytes().all(|b| b.is_ascii_digit())
}
