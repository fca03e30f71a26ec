//! `[web]`

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use ipnet::IpNet;

use super::{Source, WEB_LISTEN, acme, token};
use crate::config::environment::Environment;
use crate::config::file::{self, At};
use crate::config::{
    Certificate, ConfigError, HostCertificate, HostPort, Origins, ProxiesConfig, WebConfig,
    WebListener,
};
use crate::phone;

pub(super) fn web(
    web: &file::Web,
    source: &Source<'_>,
    environment: &Environment,
) -> Result<WebConfig, ConfigError> {
    let off = matches!(web.tls, Some(file::Tls::Off));
    let listen = environment.web_listeners(listeners(web, source)?, off)?;
    let certificate = certificate(web, source)?;
    if let Some(at) = &web.certificate
        && listen.iter().all(|listener| !listener.secure)
    {
        let what = "`certificate` is given, but no listener uses TLS";
        return Err(source.error(at, what, "set `tls = \"on\"`, or remove the certificate"));
    }
    check_tls_keys(web, source, &listen)?;
    let path = match &web.path {
        None => "/ws".to_owned(),
        Some(at) if is_page(at.get_ref()) => {
            let what = format!("`path` cannot be `{}`, a page of its own", at.get_ref());
            return Err(source.error(at, what, "write for example `/ws`"));
        }
        Some(at) if is_path(at.get_ref()) => at.get_ref().clone(),
        Some(at) => {
            let what = format!("`path` cannot be `{}`", at.get_ref());
            return Err(source.error(at, what, "write for example `/ws`"));
        }
    };
    let positive = |key, at: &At<usize>, default| source.positive(key, at, default);
    Ok(WebConfig {
        listen,
        certificate,
        hosts: hosts(web, source)?,
        acme: web
            .acme
            .as_ref()
            .map(|entry| acme::acme(entry, source))
            .transpose()?,
        client_authorities: web
            .client_authorities
            .as_ref()
            .map(|at| PathBuf::from(at.get_ref())),
        origins: origins(web, source)?,
        path,
        connections_max: positive("connections_max", &web.connections_max, 10_000)?,
        connections_per_source_max: positive(
            "connections_per_source_max",
            &web.connections_per_source_max,
            1000,
        )?,
        handshakes_per_second_per_source: source.positive(
            "handshakes_per_second_per_source",
            &web.handshakes_per_second_per_source,
            50,
        )?,
        messages_per_second: source.positive(
            "messages_per_second",
            &web.messages_per_second,
            100,
        )?,
        messages_per_second_per_source: source.positive(
            "messages_per_second_per_source",
            &web.messages_per_second_per_source,
            1000,
        )?,
        proxies: proxies(web, source)?,
        token: web
            .token
            .as_ref()
            .map(|token| token::token(token, source))
            .transpose()?,
    })
}

fn listeners(web: &file::Web, source: &Source<'_>) -> Result<Vec<WebListener>, ConfigError> {
    let mut addresses = Vec::new();
    if let Some(at) = &web.listen {
        for text in &at.get_ref().0 {
            let address: SocketAddr = text.parse().map_err(|_| {
                let what = format!("`listen` is no address and port: `{text}`");
                source.error(at, what, "write for example `0.0.0.0:443` or `[::]:443`")
            })?;
            if address.port() != 0 && addresses.contains(&address) {
                let what = format!("`listen` names {address} twice");
                return Err(source.error(at, what, "name each address once"));
            }
            addresses.push(address);
        }
        if addresses.is_empty() {
            return Err(source.error(at, "`listen` is empty", "name at least one address"));
        }
    } else {
        addresses.push(WEB_LISTEN);
    }
    let secure = |address: &SocketAddr| match web.tls.unwrap_or_default() {
        file::Tls::Auto => !address.ip().is_loopback(),
        file::Tls::On => true,
        file::Tls::Off => false,
    };
    let listeners = addresses.iter().map(|address| WebListener {
        address: *address,
        secure: secure(address),
    });
    Ok(listeners.collect())
}

fn is_path(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"/-._~".contains(&b);
    text.starts_with('/') && text.bytes().all(allowed)
}

/// True if something else is served there; `/` is both the phone and a WebSocket.
fn is_page(path: &str) -> bool {
    path != "/" && (["/health", "/config.json"].contains(&path) || phone::asset(path).is_some())
}

fn certificate(web: &file::Web, source: &Source<'_>) -> Result<Certificate, ConfigError> {
    match (&web.certificate, &web.private_key) {
        (None, None) => Ok(Certificate::SelfSigned),
        (Some(certificate), Some(key)) => Ok(Certificate::Files {
            certificate: PathBuf::from(certificate.get_ref()),
            private_key: PathBuf::from(key.get_ref()),
        }),
        (Some(at), None) => Err(source.error(
            at,
            "`certificate` is given without `private_key`",
            "name the PEM file of its key, or remove both for a self-signed one",
        )),
        (None, Some(at)) => Err(source.error(
            at,
            "`private_key` is given without `certificate`",
            "name the PEM file of the certificate, or remove both for a self-signed one",
        )),
    }
}

/// Nothing may be given that would silently do nothing.
fn check_tls_keys(
    web: &file::Web,
    source: &Source<'_>,
    listen: &[WebListener],
) -> Result<(), ConfigError> {
    if listen.iter().any(|listener| listener.secure) {
        return Ok(());
    }
    let remedy = "set `tls = \"on\"`, or remove it";
    if let Some(at) = &web.client_authorities {
        let what = "`client_authorities` is given, but no listener uses TLS";
        return Err(source.error(at, what, remedy));
    }
    if let Some(acme) = &web.acme {
        let what = "[web.acme] is given, but no listener uses TLS";
        return Err(source.error(&acme.domains, what, remedy));
    }
    match web.host.first() {
        Some(host) => {
            let what = "[[web.host]] is given, but no listener uses TLS";
            Err(source.error(&host.names, what, remedy))
        }
        None => Ok(()),
    }
}

fn hosts(web: &file::Web, source: &Source<'_>) -> Result<Vec<HostCertificate>, ConfigError> {
    let mut hosts = Vec::new();
    for host in &web.host {
        let names = &host.names.get_ref().0;
        let is_name = |name: &str| {
            let name = name.strip_prefix("*.").unwrap_or(name);
            let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-.".contains(&b);
            !name.is_empty() && name.bytes().all(allowed)
        };
        if names.is_empty() || !names.iter().all(|name| is_name(name)) {
            let what = "`names` of [[web.host]] must be host names";
            let remedy = "write for example `[\"phone.example.com\", \"*.example.org\"]`";
            return Err(source.error(&host.names, what, remedy));
        }
        hosts.push(HostCertificate {
            names: names.clone(),
            certificate: PathBuf::from(&host.certificate),
            private_key: PathBuf::from(&host.private_key),
        });
    }
    Ok(hosts)
}

fn proxies(web: &file::Web, source: &Source<'_>) -> Result<Option<ProxiesConfig>, ConfigError> {
    let list = web.trusted_proxies.as_ref();
    let Some(at) = list.filter(|at| !at.get_ref().is_empty()) else {
        return match &web.proxy_header {
            Some(at) => Err(source.error(
                at,
                "`proxy_header` is given, but no `trusted_proxies`",
                "say whose header is to be believed, as in `trusted_proxies = [\"10.0.0.0/8\"]`",
            )),
            None => Ok(None),
        };
    };
    let mut trusted = Vec::new();
    for text in at.get_ref() {
        let net = text.parse::<IpNet>().ok();
        let net = net.or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from));
        let Some(net) = net else {
            let what = format!("`trusted_proxies` has no address or network in `{text}`");
            return Err(source.error(at, what, "write for example `10.0.0.1` or `10.0.0.0/8`"));
        };
        trusted.push(net);
    }
    let header = web.proxy_header.as_ref().map(|at| *at.get_ref());
    Ok(Some(ProxiesConfig {
        trusted,
        header: header.unwrap_or_default(),
    }))
}

fn origins(web: &file::Web, source: &Source<'_>) -> Result<Origins, ConfigError> {
    let Some(at) = &web.origins else {
        return Ok(Origins::SameAnd(Vec::new()));
    };
    let mut origins = Vec::new();
    for text in at.get_ref() {
        if text == "*" {
            return Ok(Origins::Any);
        }
        let Some(origin) = origin(text) else {
            let what = format!("`origins` has no origin in `{text}`");
            return Err(source.error(
                at,
                what,
                "write scheme and host, as in `https://phone.example.com`, or `*`",
            ));
        };
        origins.push(origin);
    }
    Ok(Origins::SameAnd(origins))
}

/// An origin as browsers send it: in lower case, and without the scheme's own port (RFC 6454
/// section 6.2).
fn origin(text: &str) -> Option<String> {
    let text = text.to_ascii_lowercase();
    let (scheme, authority) = text.split_once("://")?;
    let own_port = match scheme {
        "https" => 443,
        "http" => 80,
        _ => return None,
    };
    let host_port = HostPort::parse_authority(authority, own_port)?;
    Some(if host_port.port == own_port {
        format!("{scheme}://{}", host_port.uri_host())
    } else {
        format!("{scheme}://{host_port}")
    })
}
