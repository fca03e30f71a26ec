//! `[[trunk]]` and `[[realm]]`

use std::net::SocketAddr;
use std::time::Duration;

use toml::Spanned;

use super::{SIP_PORT, Source};
use crate::config::error::nearest;
use crate::config::file::At;
use crate::config::{
    CODECS, ConfigError, HostPort, RealmConfig, SipConfig, TargetConfig, TrunkConfig, Trust, file,
};
use crate::limits::TARGETS_PER_TRUNK_MAX;
use crate::sip::Transport;

pub(super) fn trunk(trunk: &file::Trunk, source: &Source<'_>) -> Result<TrunkConfig, ConfigError> {
    let choice = trunk.transport.as_ref().map(|at| *at.get_ref());
    let transport_by_dns = choice == Some(file::TransportChoice::Auto);
    let transport = choice.and_then(file::TransportChoice::fixed);
    let transport = transport.unwrap_or(Transport::Udp);
    let port = transport.default_port();
    let hop = |key: &str, at: &At<String>| {
        let at = at.as_ref();
        at.map(|at| target(key, at.get_ref(), at, port, source))
            .transpose()
    };
    let route = hop("route", &trunk.route)?;
    let call_route = hop("call_route", &trunk.call_route)?;
    let targets = targets(&trunk.target, port, call_route.is_some(), source)?;
    let account = super::account::account(trunk, source)?;
    if targets.is_empty()
        && account
            .as_ref()
            .is_some_and(|a| a.register_expires.is_some())
    {
        let what = "`register` needs a registrar, and `target` is empty";
        return Err(source.error(&trunk.target, what, "name the registrar"));
    }
    let domain = match (&trunk.domain, targets.first().or(call_route.as_ref())) {
        (Some(at), _) => domain(at, source)?,
        (None, first) => first.map(|t| t.place.uri_host()).unwrap_or_default(),
    };
    let failover_after_s = at_most("failover_after_s", &trunk.failover_after_s, (6, 32), source)?;
    let down_for_s = at_most("down_for_s", &trunk.down_for_s, (30, 24 * 3600), source)?;
    Ok(TrunkConfig {
        name: source.word("name", &trunk.name)?,
        transport,
        transport_by_dns,
        tcp_for_large: tcp_for_large(trunk, source)?,
        sips_as_sip: trunk.sips_as_sip,
        trust: trust(trunk, source)?,
        targets,
        route,
        call_route,
        caller_number: word("caller_number", &trunk.caller_number, source)?,
        called_number: word("called_number", &trunk.called_number, source)?,
        failover_after: Duration::from_secs(failover_after_s),
        down_for: Duration::from_secs(down_for_s),
        probe: probe(&trunk.probe_s, source)?,
        domain,
        codecs: codecs(&trunk.codecs, source)?,
        video: trunk.video,
        telephone_event: trunk.telephone_event,
        calls: super::calls::policy(trunk, source)?,
        account,
        timers: super::timers::timers(trunk, source)?,
        limits: super::limits::limits(trunk, source)?,
        numbers: super::numbers::numbers(trunk.numbers.as_ref(), source)?,
    })
}

fn word(key: &str, at: &At<String>, source: &Source<'_>) -> Result<Option<String>, ConfigError> {
    at.as_ref().map(|at| source.word(key, at)).transpose()
}

/// A whole number of seconds, at least 1, with its default and the most that it can be.
fn at_most(
    key: &str,
    at: &At<u64>,
    (default, most): (u64, u64),
    source: &Source<'_>,
) -> Result<u64, ConfigError> {
    let seconds = source.positive(key, at, default)?;
    match at {
        Some(at) if seconds > most => {
            let remedy = format!("at most {most} s make sense");
            Err(source.error(at, format!("`{key}` is more than {most}"), &remedy))
        }
        Some(_) | None => Ok(seconds),
    }
}

fn probe(at: &At<u64>, source: &Source<'_>) -> Result<Option<Duration>, ConfigError> {
    match at.as_ref().map(|at| (at, *at.get_ref())) {
        None | Some((_, 0)) => Ok(None),
        Some((_, seconds @ 10..=86_400)) => Ok(Some(Duration::from_secs(seconds))),
        Some((at, seconds)) => {
            let what = format!("`probe_s` cannot be {seconds}");
            Err(source.error(at, what, "write 10 to 86400, or 0 to ask nobody"))
        }
    }
}

fn targets(
    at: &Spanned<file::Targets>,
    port: u16,
    may_be_none: bool,
    source: &Source<'_>,
) -> Result<Vec<TargetConfig>, ConfigError> {
    let mut targets = Vec::new();
    for (number, entry) in (0..).zip(&at.get_ref().0) {
        targets.push(TargetConfig {
            priority: entry.priority.unwrap_or(number),
            weight: entry.weight,
            ..target("target", &entry.host, at, port, source)?
        });
    }
    match targets.len() {
        0 if may_be_none => Ok(targets),
        0 => Err(source.error(at, "`target` is empty", "name at least one host")),
        1..=TARGETS_PER_TRUNK_MAX => Ok(targets),
        _ => {
            let what = format!("`target` has more than {TARGETS_PER_TRUNK_MAX}");
            Err(source.error(at, what, "let one name have several addresses"))
        }
    }
}

fn target<T>(
    key: &str,
    host: &str,
    at: &Spanned<T>,
    port: u16,
    source: &Source<'_>,
) -> Result<TargetConfig, ConfigError> {
    TargetConfig::parse(host, port).ok_or_else(|| {
        let what = format!("`{key}` is no host and port: `{host}`");
        source.error(at, what, "write for example `sbc.example.com:5060`")
    })
}

fn codecs(value: &At<Vec<String>>, source: &Source<'_>) -> Result<Vec<String>, ConfigError> {
    let mut codecs = Vec::new();
    match value {
        None => codecs.extend(CODECS.map(str::to_owned)),
        Some(at) => {
            for name in at.get_ref() {
                let codec = codec(name, at, source)?;
                if !codecs.contains(&codec) {
                    codecs.push(codec);
                }
            }
            if codecs.is_empty() {
                return Err(source.error(at, "`codecs` is empty", "name at least one codec"));
            }
        }
    }
    Ok(codecs)
}

fn tcp_for_large(trunk: &file::Trunk, source: &Source<'_>) -> Result<bool, ConfigError> {
    let Some(at) = trunk.tcp_for_large.as_ref().filter(|at| *at.get_ref()) else {
        return Ok(false);
    };
    match trunk.transport.as_ref().map(|at| *at.get_ref()) {
        None | Some(file::TransportChoice::Udp | file::TransportChoice::Auto) => Ok(true),
        Some(file::TransportChoice::Tcp | file::TransportChoice::Tls) => {
            let remedy = "take it out: every request to this trunk goes over a connection";
            Err(source.error(at, "`tcp_for_large` is for trunks over UDP", remedy))
        }
    }
}

fn trust(trunk: &file::Trunk, source: &Source<'_>) -> Result<Trust, ConfigError> {
    let remedy = "say `transport = \"tls\"`, or take it out";
    let may_be_tls = match trunk.transport.as_ref().map(|at| *at.get_ref()) {
        Some(file::TransportChoice::Tls | file::TransportChoice::Auto) => true,
        Some(file::TransportChoice::Udp | file::TransportChoice::Tcp) | None => false,
    };
    if !may_be_tls {
        if let Some(at) = &trunk.ca {
            return Err(source.error(at, "`ca` is for trunks over TLS", remedy));
        }
        if let Some(at) = &trunk.verify {
            return Err(source.error(at, "`verify` is for trunks over TLS", remedy));
        }
    }
    let verify = trunk.verify.as_ref().is_none_or(|at| *at.get_ref());
    match &trunk.ca {
        Some(at) if !verify => {
            Err(source.error(at, "`ca` says nothing with `verify = false`", "choose one"))
        }
        Some(at) => Ok(Trust::Authorities(at.get_ref().into())),
        None if verify => Ok(Trust::System),
        None => Ok(Trust::Anybody),
    }
}

/// A trunk is reached, and reaches us, the same way: Via and Contact name our listener.
pub(super) fn check_transports(
    trunks: &[TrunkConfig],
    sip: &SipConfig,
    source: &Source<'_>,
) -> Result<(), ConfigError> {
    for trunk in trunks {
        if trunk.tcp_for_large && !sip.speaks(Transport::Tcp) {
            return Err(source.missing(
                format!(
                    "trunk `{}` has `tcp_for_large`, but `listen_tcp` in [sip] is missing",
                    trunk.name
                ),
                "name the address and port for it that the carrier reaches: Via says it",
            ));
        }
        let transport = trunk.transport;
        if !sip.speaks(transport) {
            return Err(source.missing(
                format!(
                    "trunk `{}` is spoken to over {transport}, but `listen_{transport}` in [sip] \
                     is missing",
                    trunk.name
                ),
                "name the address and port for it that the carrier reaches",
            ));
        }
    }
    Ok(())
}

/// A name, or an IP address as it is written in a URI.
fn domain(at: &Spanned<String>, source: &Source<'_>) -> Result<String, ConfigError> {
    match HostPort::parse_authority(at.get_ref(), SIP_PORT) {
        Some(host) if host.host.contains(':') => Ok(host.uri_host()),
        Some(_) | None => Ok(source.word("domain", at)?.to_ascii_lowercase()),
    }
}

/// Requests are sent from one socket, which speaks one version of IP.
pub(super) fn check_families(
    trunks: &[TrunkConfig],
    listen: SocketAddr,
    source: &Source<'_>,
) -> Result<(), ConfigError> {
    for trunk in trunks {
        let targets = trunk.targets.iter().chain(&trunk.route);
        let targets = targets.chain(&trunk.call_route);
        let mut addresses = targets.filter_map(|target| target.place.literal());
        let Some(foreign) = addresses.find(|address| address.is_ipv4() != listen.is_ipv4()) else {
            continue;
        };
        return Err(source.missing(
            format!(
                "trunk `{}` is at {foreign}, but [sip] listens on {listen}",
                trunk.name
            ),
            "both must be IPv4, or both IPv6",
        ));
    }
    Ok(())
}

fn codec(
    name: &str,
    at: &Spanned<Vec<String>>,
    source: &Source<'_>,
) -> Result<String, ConfigError> {
    if let Some(known) = CODECS.iter().find(|known| known.eq_ignore_ascii_case(name)) {
        return Ok((*known).to_owned());
    }
    let remedy = match nearest(name, &CODECS) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("known are {}", CODECS.join(", ")),
    };
    Err(source.error(at, format!("unknown codec `{name}`"), &remedy))
}

pub(super) fn realms(
    realms: &[file::Realm],
    source: &Source<'_>,
    trunks: &[TrunkConfig],
) -> Result<Vec<RealmConfig>, ConfigError> {
    let mut checked: Vec<RealmConfig> = Vec::new();
    for realm in realms {
        let domain = source.word("domain", &realm.domain)?.to_ascii_lowercase();
        if checked.iter().any(|other| other.domain == domain) {
            let what = format!("there are two realms for `{domain}`");
            return Err(source.error(&realm.domain, what, "a domain belongs to one trunk"));
        }
        let name = realm.trunk.get_ref();
        let Some(trunk) = trunks.iter().position(|trunk| trunk.name == *name) else {
            let names: Vec<&str> = trunks.iter().map(|trunk| trunk.name.as_str()).collect();
            let remedy = match nearest(name, &names) {
                Some(near) => format!("did you mean `{near}`?"),
                None if names.is_empty() => "add a [[trunk]] of this name".to_owned(),
                None => format!("the trunks are {}", names.join(", ")),
            };
            let what = format!("there is no trunk named `{name}`");
            return Err(source.error(&realm.trunk, what, &remedy));
        };
        let seconds = |key: &str, at: &At<u32>| match at {
            None => Ok(None),
            Some(_) => source
                .positive(key, at, 1)
                .map(|seconds| Some(Duration::from_secs(u64::from(seconds)))),
        };
        checked.push(RealmConfig {
            domain,
            trunk,
            registration: realm.registration.unwrap_or_default(),
            without_path: realm.without_path.unwrap_or_default(),
            upstream_expires: seconds("upstream_expires_s", &realm.upstream_expires_s)?,
            unregister_after: seconds("unregister_after_s", &realm.unregister_after_s)?,
        });
    }
    Ok(checked)
}
