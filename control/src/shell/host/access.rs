//! Files that the configuration names: can they be read, and are they what they should be?

use std::path::Path;

use super::unit::Unit;
use crate::config::{Certificate, Config, TokenConfig, TokenKey, Trust};
use crate::host::{Access, FileFact};
use crate::shell::{tls, web_tls};
use crate::token::Tokens;

/// Every file that the start reads. Certificates are looked into elsewhere.
pub(super) fn files(config: &Config, unit: Option<&Unit>) -> Vec<FileFact> {
    let mut all = Vec::new();
    let mut add = |key: &'static str, path: &Path, fault: Option<String>| {
        let access = unit.map_or(Access::Granted, |unit| unit.access(path));
        all.push(FileFact {
            key,
            path: path.to_owned(),
            fault,
            access,
        });
    };
    let web = &config.web;
    if web.listen.iter().any(|listener| listener.secure) {
        if let Certificate::Files {
            certificate,
            private_key,
        } = &web.certificate
        {
            add("`certificate` of [web]", certificate, None);
            add("`private_key` of [web]", private_key, None);
        }
        for host in &web.hosts {
            add("`certificate` of [[web.host]]", &host.certificate, None);
            add("`private_key` of [[web.host]]", &host.private_key, None);
        }
        if let Some(path) = &web.client_authorities {
            let fault = web_tls::client_verifier(path).err();
            let fault = fault.map(|error| error.to_string());
            add("`client_authorities` of [web]", path, fault);
        }
        if let Some(path) = web
            .acme
            .as_ref()
            .and_then(|acme| acme.directory_ca.as_ref())
        {
            add("`directory_ca` of [web.acme]", path, authorities(path));
        }
    }
    for (path, fault) in web.token.iter().flat_map(token_keys) {
        add("`public_key` of [web.token]", path, fault);
    }
    if let Some(sip) = &config.sip {
        if let Some(files) = &sip.certificate {
            add("`certificate` of [sip]", &files.certificate, None);
            add("`private_key` of [sip]", &files.private_key, None);
        }
        if let Some(path) = &sip.client_ca {
            add("`client_ca` of [sip]", path, authorities(path));
        }
    }
    for trunk in &config.trunks {
        if let Trust::Authorities(path) = &trunk.trust {
            add("`ca` of [[trunk]]", path, authorities(path));
        }
    }
    all
}

fn authorities(path: &Path) -> Option<String> {
    tls::authorities(path).err().map(|error| error.to_string())
}

/// Each public key, with why it cannot be used.
fn token_keys(config: &TokenConfig) -> impl Iterator<Item = (&Path, Option<String>)> {
    let alone = |key: &TokenKey| TokenConfig {
        keys: vec![key.clone()],
        ..config.clone()
    };
    config.keys.iter().filter_map(move |key| match key {
        TokenKey::Secret(_) => None,
        TokenKey::PublicKey(path) => {
            let fault = Tokens::new(&alone(key), &|path| std::fs::read(path)).err();
            Some((path.as_path(), fault.map(|error| error.to_string())))
        }
    })
}
