//! `[media]`

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use dataplane::config::{BackendChoice, DSCP_MAX, IoConfig, UnknownBackend};

use super::{Source, WEB_LISTEN};
use crate::config::environment::Environment;
use crate::config::file::{self, At, Cores};
use crate::config::{ConfigError, MediaConfig, PortRange, SipConfig, WebConfig};

pub(super) fn media(
    media: &file::Media,
    source: &Source<'_>,
    web: &WebConfig,
    sip: Option<&SipConfig>,
    environment: &Environment,
) -> Result<MediaConfig, ConfigError> {
    let web_ip = web
        .listen
        .first()
        .map_or(WEB_LISTEN.ip(), |listener| listener.address.ip());
    let browser_bind = source
        .ip("browser_bind", &media.browser_bind)?
        .unwrap_or(web_ip);
    let browser_advertise = advertise(
        source,
        "browser_advertise",
        &media.browser_advertise,
        browser_bind,
    )?;
    let trunk_bind = source
        .ip("trunk_bind", &media.trunk_bind)?
        .unwrap_or_else(|| sip.map_or(browser_bind, |sip| sip.listen.ip()));
    // Behind NAT, media has the address that signalling has, unless it is said otherwise.
    let signalled = sip
        .and_then(|sip| sip.advertise.literal())
        .map(|address| address.ip());
    let trunk_advertise = match (&media.trunk_advertise, signalled) {
        (None, Some(ip)) if trunk_bind.is_unspecified() => ip,
        (None, _) if sip.is_none() && trunk_bind.is_unspecified() => browser_advertise,
        (value, _) => advertise(source, "trunk_advertise", value, trunk_bind)?,
    };
    same_family(
        source,
        &media.browser_advertise,
        browser_bind,
        browser_advertise,
    )?;
    same_family(source, &media.trunk_advertise, trunk_bind, trunk_advertise)?;
    let cores = cores(&media.cores, source)?;
    let rtp_ports = rtp_ports(media, source, cores.len(), environment)?;
    let browser_port = browser_port(&media.browser_port, source, cores.len(), rtp_ports)?;
    if let Some(sip) = sip.filter(|sip| meets_rtp(sip.listen, trunk_bind, rtp_ports)) {
        let port = sip.listen.port();
        let what = format!("port {port} of [sip] lies in the range of the RTP ports");
        return Err(source.missing(what, "choose one outside rtp_port_min to rtp_port_max"));
    }
    let flows_max = flows_max(&media.flows_max, source)?;
    let silent_after_s = source.positive("silent_after_s", &media.silent_after_s, 60)?;
    Ok(MediaConfig {
        browser_bind,
        browser_advertise,
        browser_port,
        trunk_bind,
        trunk_advertise,
        rtp_ports,
        cores,
        flows_max,
        silent_after: Duration::from_secs(silent_after_s),
        held_silent_after: held_silent_after(media, source, silent_after_s)?,
        backend: backend(&media.backend, source)?,
        io: io(media, source)?,
    })
}

/// How long a carrier on hold may be silent; 0 is for ever.
fn held_silent_after(
    media: &file::Media,
    source: &Source<'_>,
    silent_after_s: u64,
) -> Result<Option<Duration>, ConfigError> {
    let Some(at) = &media.held_silent_after_s else {
        return Ok(None);
    };
    let held_s = *at.get_ref();
    if held_s > 0 && !(silent_after_s..=u16::MAX.into()).contains(&held_s) {
        let what = format!("`held_silent_after_s` is {held_s}");
        let remedy = format!("it is {silent_after_s} (`silent_after_s`) to 65535, or 0: for ever");
        return Err(source.error(at, what, &remedy));
    }
    Ok((held_s > 0).then(|| Duration::from_secs(held_s)))
}

fn backend(value: &At<String>, source: &Source<'_>) -> Result<BackendChoice, ConfigError> {
    let Some(at) = value else {
        return Ok(BackendChoice::Auto);
    };
    at.get_ref().parse().map_err(|remedy: UnknownBackend| {
        let what = format!("`backend` is \"{}\"", at.get_ref());
        source.error(at, what, &remedy.to_string())
    })
}

fn io(media: &file::Media, source: &Source<'_>) -> Result<IoConfig, ConfigError> {
    let default = IoConfig::default();
    let dscp = |key: &str, value: &At<u8>, default: u8| match value {
        Some(at) if *at.get_ref() > DSCP_MAX => {
            let what = format!("`{key}` is {}", at.get_ref());
            let remedy = "a DSCP is 0 to 63; 46 is Expedited Forwarding, 34 is AF41";
            Err(source.error(at, what, remedy))
        }
        Some(at) => Ok(*at.get_ref()),
        None => Ok(default),
    };
    let busy_poll_us = media.busy_poll_us.as_ref().map_or(0, |at| *at.get_ref());
    Ok(IoConfig {
        browser_dscp: dscp("browser_dscp", &media.browser_dscp, default.browser_dscp)?,
        trunk_dscp: dscp("trunk_dscp", &media.trunk_dscp, default.trunk_dscp)?,
        browser_video_dscp: dscp(
            "browser_video_dscp",
            &media.browser_video_dscp,
            default.browser_video_dscp,
        )?,
        trunk_video_dscp: dscp(
            "trunk_video_dscp",
            &media.trunk_video_dscp,
            default.trunk_video_dscp,
        )?,
        busy_poll: (busy_poll_us > 0).then(|| Duration::from_micros(busy_poll_us.into())),
        ..default
    })
}

/// The port of the first worker; those of the others follow it.
fn browser_port(
    value: &At<u16>,
    source: &Source<'_>,
    workers: usize,
    rtp_ports: PortRange,
) -> Result<u16, ConfigError> {
    let browser_port = value.as_ref().map_or(20_000, |at| *at.get_ref());
    let count = u16::try_from(workers).unwrap_or(u16::MAX);
    let Some(last) = browser_port.checked_add(count - 1) else {
        let what = format!("`browser_port` {browser_port} leaves no ports for {count} workers");
        return Err(value.as_ref().map_or_else(
            || source.missing(what.clone(), "choose a lower one"),
            |at| source.error(at, what.clone(), "choose a lower one"),
        ));
    };
    let meet = browser_port <= rtp_ports.last && rtp_ports.first <= last;
    if browser_port != 0 && meet {
        let what = format!("`browser_port` {browser_port} lies in the range of the RTP ports");
        return Err(source.missing(what, "choose one outside rtp_port_min to rtp_port_max"));
    }
    Ok(browser_port)
}

/// Peers send to sockets of their own version of IP; translators keep it.
fn same_family(
    source: &Source<'_>,
    value: &At<String>,
    bind: IpAddr,
    advertise: IpAddr,
) -> Result<(), ConfigError> {
    if bind.is_ipv4() == advertise.is_ipv4() {
        return Ok(());
    }
    let what = format!("a media socket on {bind} cannot be reached at {advertise}");
    let remedy = "both must be IPv4, or both IPv6";
    Err(match value {
        Some(at) => source.error(at, what, remedy),
        None => source.missing(what, remedy),
    })
}

/// True if the SIP socket takes a port that belongs to calls.
fn meets_rtp(sip: SocketAddr, trunk_bind: IpAddr, rtp_ports: PortRange) -> bool {
    let same_address =
        sip.ip() == trunk_bind || sip.ip().is_unspecified() || trunk_bind.is_unspecified();
    same_address && rtp_ports.contains(sip.port())
}

fn flows_max(value: &At<usize>, source: &Source<'_>) -> Result<usize, ConfigError> {
    let flows_max = source.positive("flows_max", value, 2048)?;
    let bound = dataplane::limits::FLOWS_PER_WORKER_MAX;
    let remedy = match flows_max {
        1 => "a call has two flows".to_owned(),
        count if count > bound => format!("a worker has at most {bound}"),
        _ => return Ok(flows_max),
    };
    let what = format!("`flows_max` is {flows_max}");
    Err(match value {
        Some(at) => source.error(at, what, &remedy),
        None => source.missing(what, &remedy),
    })
}

/// The address that peers are told: concrete, and by default the one that is bound.
fn advertise(
    source: &Source<'_>,
    key: &str,
    value: &At<String>,
    bind: IpAddr,
) -> Result<IpAddr, ConfigError> {
    let remedy = format!("name the address that peers reach in `{key}` of [media]");
    match (source.ip(key, value)?, value) {
        (Some(ip), Some(at)) if ip.is_unspecified() => Err(source.error(
            at,
            format!("`{key}` is {ip}, which nobody can send to"),
            &remedy,
        )),
        (Some(ip), _) => Ok(ip),
        (None, _) if bind.is_unspecified() => Err(source.missing(
            format!("`{key}` is missing and media is bound to {bind}, which nobody can send to"),
            &remedy,
        )),
        (None, _) => Ok(bind),
    }
}

fn cores(cores: &At<Cores>, source: &Source<'_>) -> Result<Vec<Option<usize>>, ConfigError> {
    let Some(at) = cores else {
        return Ok(vec![None]);
    };
    let cores: Vec<Option<usize>> = match at.get_ref() {
        Cores::Count(count) => {
            let count = usize::try_from(*count).unwrap_or(usize::MAX);
            vec![None; count.min(dataplane::limits::WORKERS_MAX + 1)]
        }
        Cores::Pinned(list) => {
            if list
                .iter()
                .enumerate()
                .any(|(i, core)| list.iter().skip(i + 1).any(|c| c == core))
            {
                return Err(source.error(at, "`cores` names a core twice", "name each once"));
            }
            list.iter().copied().map(Some).collect()
        }
    };
    let bound = dataplane::limits::WORKERS_MAX;
    if cores.is_empty() || cores.len() > bound {
        let what = format!("`cores` asks for {} workers", cores.len());
        return Err(source.error(at, what, &format!("there can be 1 to {bound}")));
    }
    Ok(cores)
}

fn rtp_ports(
    media: &file::Media,
    source: &Source<'_>,
    workers: usize,
    environment: &Environment,
) -> Result<PortRange, ConfigError> {
    let (min, max) = (environment.rtp_port_min, environment.rtp_port_max);
    let min = min
        .or(media.rtp_port_min.as_ref().map(|at| *at.get_ref()))
        .unwrap_or(10_000);
    let max = max
        .or(media.rtp_port_max.as_ref().map(|at| *at.get_ref()))
        .unwrap_or(19_999);
    // An odd first or an even last port has no partner and stays unused.
    let first = min.max(2).checked_next_multiple_of(2);
    let last = if max % 2 == 1 {
        max
    } else {
        max.saturating_sub(1)
    };
    let range = first
        .filter(|first| *first < last)
        .map(|first| PortRange { first, last });
    if let Some(range) = range.filter(|range| range.pairs() >= workers) {
        return Ok(range);
    }
    let what = format!("the RTP ports {min} to {max} hold no pair for each of {workers} workers");
    let remedy = "raise rtp_port_max (or MAX_RTP_PORT) or lower rtp_port_min (or MIN_RTP_PORT)";
    Err(
        match media.rtp_port_max.as_ref().or(media.rtp_port_min.as_ref()) {
            Some(at) => source.error(at, what, remedy),
            None => ConfigError::new(what, remedy),
        },
    )
}
