//! Certificates: readable, of their keys, in force, and for the names that clients ask for.

use std::time::Duration;

use super::{CertificateFact, CertificateUse, Facts, Finding, Identity};
use crate::config::{Certificate, Config};

const NAME: &str = "certificate";
const DAY: Duration = Duration::from_secs(24 * 3600);
/// What is left of a certificate when somebody should look, if its whole life is not short.
const EXPIRES_SOON: Duration = Duration::from_secs(14 * 24 * 3600);

/// One finding for each certificate, or why there is none.
pub(super) fn certificates(facts: &Facts, config: &Config) -> Vec<Finding> {
    let mut findings: Vec<Finding> = facts
        .certificates
        .iter()
        .map(|fact| certificate(fact, facts))
        .collect();
    let is_secure = config.web.listen.iter().any(|listener| listener.secure);
    let is_own = config.web.certificate == Certificate::SelfSigned && config.web.acme.is_none();
    if is_secure && is_own {
        let is = "self-signed, made at each start: browsers warn of it";
        findings.push(Finding::ok(
            NAME,
            is,
            "one that browsers believe, or this one",
        ));
    }
    if findings.is_empty() {
        findings.push(Finding::skipped(NAME, "nothing here listens for TLS"));
    }
    findings
}

fn certificate(fact: &CertificateFact, facts: &Facts) -> Finding {
    let path = fact.path.display();
    let (key, section) = match &fact.used_for {
        CertificateUse::Web => ("`certificate`", "[web]"),
        CertificateUse::Host(_) => ("`certificate`", "[[web.host]]"),
        CertificateUse::Acme(_) => ("`cache`", "[web.acme]"),
        CertificateUse::Sip(_) => ("`certificate`", "[sip]"),
    };
    let wanted = "one that can be read, fits its key, names its hosts and is in force";
    let finding = |is: String| Finding::ok(NAME, is, wanted);
    let is_obtained = matches!(fact.used_for, CertificateUse::Acme(_));
    let identity = match &fact.identity {
        None => {
            let domains = names_of(&fact.used_for).join(", ");
            return finding(format!(
                "none yet for {domains}: ringway obtains it by ACME"
            ));
        }
        Some(Err(why)) => {
            let bad = finding(format!("{why} ({key} of {section})"));
            let cure = format!(
                "name the certificate and its own key, readable by the user of the unit, in \
                 `certificate` and `private_key` of {section}; `openssl x509 -noout -pubkey -in \
                 CERTIFICATE` and `openssl pkey -pubout -in KEY` print the same"
            );
            return if is_obtained {
                bad.warning(format!("remove {path}: ringway obtains another one"))
            } else {
                bad.stopping(cure)
            };
        }
        Some(Ok(identity)) => identity,
    };
    let renew = if is_obtained {
        "see the log for why ringway cannot renew it by ACME (TCP 443 must reach it)".to_owned()
    } else {
        format!("renew it and put it at {path}: ringway reads it again by itself")
    };
    if let Some(missing) = missing_names(identity, names_of(&fact.used_for)) {
        let bad = finding(format!(
            "{path} is not for {missing}, which {section} names"
        ));
        let cure = format!(
            "get one whose subjectAltName has {missing} (`openssl x509 -noout -ext subjectAltName \
             -in {path}` prints it), or mend the names in {section}"
        );
        // Browsers refuse it; carriers may know us by another domain.
        return match fact.used_for {
            CertificateUse::Sip(_) => bad.warning(cure),
            CertificateUse::Web | CertificateUse::Host(_) | CertificateUse::Acme(_) => {
                bad.failure(cure)
            }
        };
    }
    let Some(validity) = identity.validity else {
        return finding(format!("{path} has dates that cannot be read")).warning(renew);
    };
    let Ok(left) = validity.to.duration_since(facts.now) else {
        return finding(format!("{path} has expired")).failure(renew);
    };
    if validity.from > facts.now {
        return finding(format!("{path} is not in force yet"))
            .failure("look at the clock (`timedatectl`), or get one that is in force");
    }
    let days = left.as_secs() / DAY.as_secs();
    let finding = finding(format!(
        "{path} fits its key and is valid for {days} more days"
    ));
    if left < EXPIRES_SOON.min(validity.lifetime() / 3) {
        return finding.warning(renew);
    }
    finding
}

fn names_of(used_for: &CertificateUse) -> &[String] {
    match used_for {
        CertificateUse::Web => &[],
        CertificateUse::Host(names) | CertificateUse::Acme(names) => names,
        CertificateUse::Sip(name) => name.as_slice(),
    }
}

/// Names that the certificate does not have, in words.
fn missing_names(identity: &Identity, wanted: &[String]) -> Option<String> {
    let missing = wanted.iter().filter(|name| !has_name(identity, name));
    let missing: Vec<&str> = missing.map(String::as_str).collect();
    (!missing.is_empty()).then(|| missing.join(", "))
}

/// A wildcard stands for one label (RFC 9525 section 6.3).
fn has_name(identity: &Identity, wanted: &str) -> bool {
    let parent = wanted.split_once('.').map(|(_, parent)| parent);
    let is_it = |name: &String| {
        name.eq_ignore_ascii_case(wanted)
            || name
                .strip_prefix("*.")
                .is_some_and(|name| parent.is_some_and(|p| name.eq_ignore_ascii_case(p)))
    };
    let is_address = |ip: std::net::IpAddr| identity.addresses.contains(&ip);
    identity.names.iter().any(is_it) || wanted.parse().is_ok_and(is_address)
}
