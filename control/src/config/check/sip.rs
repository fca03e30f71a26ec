//! `[sip]`

use std::net::SocketAddr;

use toml::Spanned;

use super::Source;
use super::file::{self, At};
use crate::config::{
    CertificateFiles, ConfigError, FLOW_SECRET_LENGTH_MIN, HostPort, Secret, SipConfig,
};
use crate::limits::RESOLVERS_MAX;

/// Where DNS servers listen (RFC 1035).
const DNS_PORT: u16 = 53;

pub(super) fn sip(
    sip: &file::Sip,
    source: &Source<'_>,
    has_trunks: bool,
) -> Result<Option<SipConfig>, ConfigError> {
    let listen = match &sip.listen {
        Some(at) => address("listen", at, source)?,
        None if has_trunks => {
            return Err(source.missing(
                "a trunk is configured, but `listen` in [sip] is missing",
                "name the address and UDP port that the carrier reaches, as `192.0.2.10:5060`",
            ));
        }
        None => return Ok(None),
    };
    let advertise = match &sip.advertise {
        Some(at) => {
            let advertise = source.host_port("advertise", at, listen.port())?;
            let literal = advertise.literal();
            if let Some(ip) = literal.filter(|literal| literal.is_ipv4() != listen.is_ipv4()) {
                let what = format!("{listen} cannot be reached at {}", ip.ip());
                return Err(source.error(at, what, "both must be IPv4, or both IPv6"));
            }
            advertise
        }
        None if listen.ip().is_unspecified() => {
            return Err(source.missing(
                format!("`listen` in [sip] is {listen}, which carriers cannot send to"),
                "say in `advertise` what they see, or listen on one address",
            ));
        }
        None => listen.into(),
    };
    let listen_tcp = stream_listener("listen_tcp", &sip.listen_tcp, listen, source)?;
    let listen_tls = stream_listener("listen_tls", &sip.listen_tls, listen, source)?;
    if let (Some(at), true) = (&sip.listen_tls, listen_tcp == listen_tls) {
        let what = "`listen_tcp` and `listen_tls` are the same";
        return Err(source.error(at, what, "give TLS another port; 5061 is usual"));
    }
    let certificate = certificate(sip, source)?;
    if let (Some(at), None, false) = (&sip.listen_tls, &certificate, sip.self_signed) {
        let remedy = "name the PEM files of a certificate that carriers believe, or say \
            `self_signed = true` for carriers that do not look";
        let what = "`listen_tls` needs `certificate` and `private_key` in [sip]";
        return Err(source.error(at, what, remedy));
    }
    let client_ca = sip.client_ca.as_ref().map(|at| at.get_ref().into());
    if let (Some(at), None) = (&sip.client_ca, listen_tls) {
        return Err(source.error(at, "`client_ca` is for `listen_tls`", "say where to listen"));
    }
    Ok(Some(SipConfig {
        listen,
        advertise,
        listen_tcp,
        listen_tls,
        certificate,
        client_ca,
        resolvers: resolvers(&sip.resolvers, source)?,
        flow_secret: flow_secret(&sip.flow_secret, source)?,
    }))
}

fn flow_secret(secret: &At<Secret>, source: &Source<'_>) -> Result<Option<Secret>, ConfigError> {
    let Some(at) = secret else { return Ok(None) };
    if at.get_ref().expose().chars().count() < FLOW_SECRET_LENGTH_MIN {
        let what = format!("`flow_secret` is shorter than {FLOW_SECRET_LENGTH_MIN} characters");
        return Err(source.error(at, what, "make one with `openssl rand -base64 32`"));
    }
    Ok(Some(at.get_ref().clone()))
}

/// DNS servers, by address; their port is 53 unless given.
fn resolvers(
    value: &At<file::OneOrMore>,
    source: &Source<'_>,
) -> Result<Vec<SocketAddr>, ConfigError> {
    let Some(at) = value else {
        return Ok(Vec::new());
    };
    let texts = &at.get_ref().0;
    if texts.len() > RESOLVERS_MAX {
        let what = format!("`resolvers` has more than {RESOLVERS_MAX}");
        return Err(source.error(at, what, "a few are enough: they are asked in turn"));
    }
    let read = |text: &String| {
        let place = HostPort::parse_authority(text, DNS_PORT);
        place.and_then(|place| place.literal()).ok_or_else(|| {
            let what = format!("`resolvers` has what is no address: `{text}`");
            source.error(
                at,
                what,
                "write for example `192.0.2.53` or `192.0.2.53:5353`",
            )
        })
    };
    texts.iter().map(read).collect()
}

/// A listener beside the UDP socket.
fn stream_listener(
    key: &str,
    value: &At<String>,
    udp: SocketAddr,
    source: &Source<'_>,
) -> Result<Option<SocketAddr>, ConfigError> {
    let Some(at) = value else { return Ok(None) };
    let listen = address(key, at, source)?;
    if listen.is_ipv4() != udp.is_ipv4() {
        let what = format!("`{key}` is {listen}, but `listen` is {udp}");
        return Err(source.error(at, what, "both must be IPv4, or both IPv6"));
    }
    Ok(Some(listen))
}

fn certificate(
    sip: &file::Sip,
    source: &Source<'_>,
) -> Result<Option<CertificateFiles>, ConfigError> {
    match (&sip.certificate, &sip.private_key) {
        (None, None) => Ok(None),
        (Some(certificate), Some(private_key)) => Ok(Some(CertificateFiles {
            certificate: certificate.get_ref().into(),
            private_key: private_key.get_ref().into(),
        })),
        (Some(at), None) | (None, Some(at)) => Err(source.error(
            at,
            "`certificate` and `private_key` belong together",
            "give both, or neither",
        )),
    }
}

fn address(
    key: &str,
    at: &Spanned<String>,
    source: &Source<'_>,
) -> Result<SocketAddr, ConfigError> {
    let remedy = "write for example `192.0.2.10:5060`";
    let listen: SocketAddr = at.get_ref().parse().map_err(|_| {
        let what = format!("`{key}` is no address and port: `{}`", at.get_ref());
        source.error(at, what, remedy)
    })?;
    if listen.port() == 0 {
        return Err(source.error(at, format!("`{key}` of [sip] has port 0"), remedy));
    }
    Ok(listen)
}
