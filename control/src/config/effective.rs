//! Prints the configuration in effect as TOML, secrets left out.

use std::fmt::{self, Write as _};

use super::{
    AccountConfig, AcmeConfig, CallPolicy, Certificate, Config, LogFormat, LogLevel, NumbersConfig,
    Origins, ProxyHeader, RealmConfig, Registration, SipConfig, TargetConfig, TokenConfig,
    TokenKey, TokenRequired, TrunkConfig, Trust, WithoutPath,
};
use crate::sip::transaction::TimerConfig;

pub(super) fn effective(config: &Config) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    match write(config, &mut text) {
        Ok(()) => text,
        Err(fmt::Error) => String::new(),
    }
}

fn write(config: &Config, out: &mut String) -> fmt::Result {
    let server = &config.server;
    writeln!(
        out,
        "[server]\nname = {:?}\ncalls_max = {}\ntransactions_max = {}\n\
         finished_transactions_max = {}",
        server.name, server.calls_max, server.transactions.live, server.transactions.finished
    )?;
    web(config, out)?;
    if let Some(sip) = &config.sip {
        write_sip(sip, out)?;
    }
    media(config, out)?;
    let level = match config.log.level {
        LogLevel::Error => "error",
        LogLevel::Warn => "warn",
        LogLevel::Info => "info",
        LogLevel::Debug => "debug",
        LogLevel::Trace => "trace",
    };
    let format = match config.log.format {
        LogFormat::Text => "text",
        LogFormat::Json => "json",
    };
    writeln!(out, "[log]\nlevel = \"{level}\"\nformat = \"{format}\"")?;
    let lines = &config.lines;
    writeln!(
        out,
        "[lines]\ndomain = {:?}\naliases = {:?}\nrealm = {:?}\nsha256 = {}",
        lines.domain, lines.aliases, lines.realm, lines.sha256
    )?;
    writeln!(
        out,
        "echo = {:?}",
        lines.echo.as_deref().unwrap_or_default()
    )?;
    for entry in &config.trunks {
        trunk(entry, out)?;
    }
    for realm in &config.realms {
        let trunk = config
            .trunks
            .get(realm.trunk)
            .map_or("", |trunk| trunk.name.as_str());
        writeln!(
            out,
            "[[realm]]\ndomain = {:?}\ntrunk = {trunk:?}",
            realm.domain
        )?;
        write_registration(realm, out)?;
    }
    for line in &lines.entries {
        writeln!(
            out,
            "[[line]]\nnumber = {:?}\nname = {:?}",
            line.number, line.name
        )?;
        writeln!(out, "password = \"…\"")?;
    }
    Ok(())
}

fn write_registration(realm: &RealmConfig, out: &mut String) -> fmt::Result {
    let registration = match realm.registration {
        Registration::Contact => "contact",
        Registration::Path => "path",
    };
    let without_path = match realm.without_path {
        WithoutPath::Contact => "contact",
        WithoutPath::Add => "add",
        WithoutPath::Refuse => "refuse",
    };
    writeln!(out, "registration = \"{registration}\"")?;
    writeln!(out, "without_path = \"{without_path}\"")?;
    if let Some(time) = realm.upstream_expires {
        writeln!(out, "upstream_expires_s = {}", time.as_secs())?;
    }
    if let Some(time) = realm.unregister_after {
        writeln!(out, "unregister_after_s = {}", time.as_secs())?;
    }
    Ok(())
}

fn web(config: &Config, out: &mut String) -> fmt::Result {
    let web = &config.web;
    let listen: Vec<String> = web.listen.iter().map(|l| l.address.to_string()).collect();
    writeln!(out, "[web]\nlisten = {listen:?}")?;
    let secure = web.listen.iter().filter(|listener| listener.secure).count();
    let tls = if secure == 0 {
        "off"
    } else if secure == listen.len() {
        "on"
    } else {
        "auto"
    };
    writeln!(out, "tls = \"{tls}\"")?;
    if let Certificate::Files {
        certificate,
        private_key,
    } = &web.certificate
    {
        writeln!(
            out,
            "certificate = {certificate:?}\nprivate_key = {private_key:?}"
        )?;
    }
    match &web.origins {
        Origins::Any => writeln!(out, "origins = [\"*\"]")?,
        Origins::SameAnd(list) => writeln!(out, "origins = {list:?}")?,
        Origins::SameAndLoopback => {
            writeln!(out, "origins = []    # and any on a loopback address")?;
        }
    }
    writeln!(out, "path = {:?}", web.path)?;
    writeln!(out, "connections_max = {}", web.connections_max)?;
    writeln!(
        out,
        "connections_per_source_max = {}",
        web.connections_per_source_max
    )?;
    let handshakes = web.handshakes_per_second_per_source;
    writeln!(out, "handshakes_per_second_per_source = {handshakes}")?;
    writeln!(out, "messages_per_second = {}", web.messages_per_second)?;
    let of_source = web.messages_per_second_per_source;
    writeln!(out, "messages_per_second_per_source = {of_source}")?;
    if let Some(proxies) = &web.proxies {
        let trusted: Vec<String> = proxies.trusted.iter().map(ToString::to_string).collect();
        let header = match proxies.header {
            ProxyHeader::XForwardedFor => "x-forwarded-for",
            ProxyHeader::ProxyProtocol => "proxy-protocol",
        };
        writeln!(
            out,
            "trusted_proxies = {trusted:?}\nproxy_header = \"{header}\""
        )?;
    }
    if let Some(path) = &web.client_authorities {
        writeln!(out, "client_authorities = {path:?}")?;
    }
    for host in &web.hosts {
        let (names, certificate, key) = (&host.names, &host.certificate, &host.private_key);
        writeln!(out, "[[web.host]]\nnames = {names:?}")?;
        writeln!(out, "certificate = {certificate:?}\nprivate_key = {key:?}")?;
    }
    if let Some(config) = &web.acme {
        acme(config, out)?;
    }
    match &web.token {
        Some(config) => token(config, out),
        None => Ok(()),
    }
}

fn acme(acme: &AcmeConfig, out: &mut String) -> fmt::Result {
    writeln!(out, "[web.acme]\ndomains = {:?}", acme.domains)?;
    if !acme.contact.is_empty() {
        writeln!(out, "contact = {:?}", acme.contact)?;
    }
    writeln!(out, "directory = {:?}", acme.directory)?;
    if let Some(path) = &acme.directory_ca {
        writeln!(out, "directory_ca = {path:?}")?;
    }
    writeln!(out, "cache = {:?}", acme.cache)
}

fn token(token: &TokenConfig, out: &mut String) -> fmt::Result {
    writeln!(out, "[web.token]")?;
    let is_secret = |key: &&TokenKey| matches!(key, TokenKey::Secret(_));
    let secrets = token.keys.iter().filter(is_secret).map(|_| "…");
    let secrets: Vec<&str> = secrets.collect();
    if !secrets.is_empty() {
        writeln!(out, "secret = {secrets:?}")?;
    }
    let files = token.keys.iter().filter_map(|key| match key {
        TokenKey::Secret(_) => None,
        TokenKey::PublicKey(path) => Some(path),
    });
    let files: Vec<_> = files.collect();
    if !files.is_empty() {
        writeln!(out, "public_key = {files:?}")?;
    }
    writeln!(out, "claim = {:?}", token.claim)?;
    for (key, value) in [
        ("domain", &token.domain),
        ("issuer", &token.issuer),
        ("audience", &token.audience),
        ("cookie", &token.cookie),
    ] {
        if let Some(value) = value {
            writeln!(out, "{key} = {value:?}")?;
        }
    }
    writeln!(out, "leeway_s = {}", token.leeway.as_secs())?;
    let required = match token.required {
        TokenRequired::Handshake => "handshake",
        TokenRequired::Request => "request",
        TokenRequired::Never => "never",
    };
    writeln!(out, "required = \"{required}\"")
}

fn write_sip(sip: &SipConfig, out: &mut String) -> fmt::Result {
    writeln!(
        out,
        "[sip]\nlisten = \"{}\"\nadvertise = \"{}\"",
        sip.listen, sip.advertise
    )?;
    if sip.flow_secret.is_some() {
        writeln!(out, "# flow_secret is set")?;
    }
    for (key, address) in [
        ("listen_tcp", sip.listen_tcp),
        ("listen_tls", sip.listen_tls),
    ] {
        if let Some(address) = address {
            writeln!(out, "{key} = \"{address}\"")?;
        }
    }
    if let Some(files) = &sip.certificate {
        writeln!(out, "certificate = {:?}", files.certificate)?;
        writeln!(out, "private_key = {:?}", files.private_key)?;
    }
    if sip.listen_tls.is_some() && sip.certificate.is_none() {
        writeln!(out, "self_signed = true")?;
    }
    if let Some(path) = &sip.client_ca {
        writeln!(out, "client_ca = {path:?}")?;
    }
    if !sip.resolvers.is_empty() {
        let resolvers = sip.resolvers.iter().map(ToString::to_string);
        writeln!(out, "resolvers = {:?}", resolvers.collect::<Vec<_>>())?;
    }
    Ok(())
}

fn media(config: &Config, out: &mut String) -> fmt::Result {
    let media = &config.media;
    writeln!(out, "[media]\nbrowser_bind = \"{}\"", media.browser_bind)?;
    writeln!(out, "browser_advertise = \"{}\"", media.browser_advertise)?;
    writeln!(out, "browser_port = {}", media.browser_port)?;
    writeln!(out, "trunk_bind = \"{}\"", media.trunk_bind)?;
    writeln!(out, "trunk_advertise = \"{}\"", media.trunk_advertise)?;
    writeln!(out, "rtp_port_min = {}", media.rtp_ports.first)?;
    writeln!(out, "rtp_port_max = {}", media.rtp_ports.last)?;
    match media.cores.iter().copied().collect::<Option<Vec<usize>>>() {
        Some(cores) => writeln!(out, "cores = {cores:?}")?,
        None => writeln!(out, "cores = {}", media.cores.len())?,
    }
    writeln!(out, "flows_max = {}", media.flows_max)?;
    writeln!(out, "silent_after_s = {}", media.silent_after.as_secs())?;
    let held_s = media.held_silent_after.map_or(0, |held| held.as_secs());
    writeln!(out, "held_silent_after_s = {held_s}")?;
    writeln!(out, "backend = \"{}\"", media.backend)?;
    writeln!(out, "browser_dscp = {}", media.io.browser_dscp)?;
    writeln!(out, "trunk_dscp = {}", media.io.trunk_dscp)?;
    writeln!(out, "browser_video_dscp = {}", media.io.browser_video_dscp)?;
    writeln!(out, "trunk_video_dscp = {}", media.io.trunk_video_dscp)?;
    let busy_poll_us = media.io.busy_poll.map_or(0, |time| time.as_micros());
    writeln!(out, "busy_poll_us = {busy_poll_us}")
}

fn trunk(trunk: &TrunkConfig, out: &mut String) -> fmt::Result {
    writeln!(
        out,
        "[[trunk]]\nname = {:?}\ntarget = {}",
        trunk.name,
        targets(&trunk.targets)
    )?;
    if let Some(route) = &trunk.route {
        writeln!(out, "route = \"{route}\"")?;
    }
    if let Some(route) = &trunk.call_route {
        writeln!(out, "call_route = \"{route}\"")?;
    }
    for (key, number) in [
        ("caller_number", &trunk.caller_number),
        ("called_number", &trunk.called_number),
    ] {
        if let Some(number) = number {
            writeln!(out, "{key} = {number:?}")?;
        }
    }
    let transport = match trunk.transport_by_dns {
        true => "auto",
        false => trunk.transport.parameter(),
    };
    writeln!(out, "transport = \"{transport}\"")?;
    writeln!(out, "tcp_for_large = {}", trunk.tcp_for_large)?;
    writeln!(out, "sips_as_sip = {}", trunk.sips_as_sip)?;
    let probe_s = trunk.probe.map_or(0, |every| every.as_secs());
    writeln!(out, "probe_s = {probe_s}")?;
    writeln!(
        out,
        "failover_after_s = {}\ndown_for_s = {}",
        trunk.failover_after.as_secs(),
        trunk.down_for.as_secs()
    )?;
    match &trunk.trust {
        Trust::System => {}
        Trust::Authorities(path) => writeln!(out, "ca = {path:?}")?,
        Trust::Anybody => writeln!(out, "verify = false")?,
    }
    writeln!(
        out,
        "domain = {:?}\ncodecs = {:?}",
        trunk.domain, trunk.codecs
    )?;
    writeln!(
        out,
        "video = {}\ntelephone_event = {}",
        trunk.video, trunk.telephone_event
    )?;
    timers(&trunk.timers, out)?;
    if let Some(account) = &trunk.account {
        self::account(account, out)?;
    }
    if let Some(max) = trunk.limits.calls_max {
        writeln!(out, "calls_max = {max}")?;
    }
    if let Some(rate) = trunk.limits.calls_per_second {
        writeln!(out, "calls_per_second = {rate}")?;
    }
    calls(&trunk.calls, out)?;
    if trunk.numbers != NumbersConfig::default() {
        super::numbers::write(&trunk.numbers, out)?;
    }
    Ok(())
}

fn timers(timers: &TimerConfig, out: &mut String) -> fmt::Result {
    let (t1, t2) = (timers.t1.as_millis(), timers.t2.as_millis());
    writeln!(out, "t1_ms = {t1}\nt2_ms = {t2}")?;
    if timers.request_timeout != timers.t1 * 64 {
        writeln!(out, "timer_b_s = {}", timers.request_timeout.as_secs())?;
    }
    writeln!(out, "timer_c_s = {}", timers.timer_c.as_secs())
}

fn account(account: &AccountConfig, out: &mut String) -> fmt::Result {
    writeln!(out, "username = {:?}", account.username)?;
    writeln!(out, "auth_username = {:?}", account.auth_username)?;
    writeln!(out, "password = \"…\"")?;
    if let Some(realm) = &account.realm {
        writeln!(out, "auth_realm = {realm:?}")?;
    }
    if let Some(number) = &account.calls_to {
        writeln!(out, "calls_to = {number:?}")?;
    }
    writeln!(out, "register = {}", account.register_expires.is_some())?;
    match account.register_expires {
        Some(expires) => writeln!(out, "register_expires_s = {}", expires.as_secs()),
        None => Ok(()),
    }
}

/// One string, or a list of tables.
fn targets(targets: &[TargetConfig]) -> String {
    if let [only] = targets {
        return format!("\"{only}\"");
    }
    let table = |target: &TargetConfig| {
        format!(
            "{{ host = \"{}\", priority = {}, weight = {} }}",
            target, target.priority, target.weight
        )
    };
    let tables: Vec<String> = targets.iter().map(table).collect();
    format!("[{}]", tables.join(", "))
}

fn calls(policy: &CallPolicy, out: &mut String) -> fmt::Result {
    writeln!(out, "session_expires_s = {}", policy.session_expires_s)?;
    writeln!(out, "min_se_s = {}", policy.min_se_s)?;
    let pass: Vec<&str> = policy
        .pass_headers
        .iter()
        .map(|name| name.as_str())
        .collect();
    writeln!(out, "pass_headers = {pass:?}")?;
    writeln!(out, "assert_identity = {}", policy.assert_identity)?;
    writeln!(out, "dtmf = \"{}\"", policy.dtmf)?;
    writeln!(out, "refer = \"{}\"", policy.refer)?;
    let networks = policy.media.networks.iter().map(ToString::to_string);
    let networks: Vec<String> = networks.collect();
    writeln!(out, "media_networks = {networks:?}")?;
    writeln!(out, "media_asymmetric = {}", policy.media.asymmetric)
}
