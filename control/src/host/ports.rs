//! Ports: those of media, and those that are listened on.

use std::ops::RangeInclusive;

use super::{Facts, Finding, Listener, ListenerState, Process, Protocol, Purpose, Ranges};
use crate::config::{Config, MediaConfig};

/// The name of the daemon's process.
pub const OWN_NAME: &str = "ringway";

/// Enough ports for the flows that are configured, and nobody else on them.
pub(super) fn rtp_ports(facts: &Facts, config: &Config) -> Vec<Finding> {
    const NAME: &str = "rtp_ports";
    if config.sip.is_none() {
        return vec![Finding::skipped(NAME, "no carrier is configured ([sip])")];
    }
    let media = &config.media;
    let pairs = media.rtp_ports.pairs() / media.cores.len() * media.cores.len();
    let flows = media.flows_max.saturating_mul(media.cores.len());
    let calls = config.server.calls_max.min(flows / 2);
    let (first, last) = (media.rtp_ports.first, media.rtp_ports.last);
    let counted = Finding::ok(
        NAME,
        format!("{first} to {last}: room for {pairs} calls"),
        format!("two ports for each of {calls} calls (`calls_max`, `flows_max`)"),
    );
    let counted = if pairs < calls {
        counted.warning(
            "widen `rtp_port_min` to `rtp_port_max` in [media], or lower `flows_max`: further \
             calls are refused with 503",
        )
    } else {
        counted
    };
    let mut findings = vec![counted];
    if let Some((port, holder)) = facts.ports.taken_rtp.first() {
        let count = facts.ports.taken_rtp.len();
        let whose = holder_text(holder.as_ref());
        let is = match count {
            1 => format!("port {port} is taken by {whose}"),
            _ => format!("{count} ports are taken, the first, {port}, by {whose}"),
        };
        let finding = Finding::ok(NAME, is, "no other program on the ports of media");
        findings.push(finding.warning(
            "end that program, or choose another range in `rtp_port_min`, `rtp_port_max` of [media]",
        ));
    }
    findings
}

/// A network card that steers packets to the worker's core by its port compares under a mask: one
/// rule covers 2^n ports that begin at a multiple of 2^n.
pub(super) fn port_slices(facts: &Facts, config: &Config) -> Finding {
    const NAME: &str = "port_slices";
    let (media, workers) = (&config.media, config.media.cores.len());
    if config.sip.is_none() || workers == 1 {
        return Finding::skipped(NAME, "packets need no steering to one of several workers");
    }
    if !facts.interfaces.iter().any(|card| card.receive_queues > 1) {
        return Finding::skipped(
            NAME,
            "no network card has several queues to steer packets to",
        );
    }
    let slices = (0..workers).filter_map(|worker| media.rtp_ports_of(worker));
    let is_aligned = |first: u16, last: u16| {
        let count = u32::from(last) + 1 - u32::from(first);
        count.is_power_of_two() && u32::from(first) % count == 0
    };
    let slices: Vec<(u16, u16)> = slices.map(|slice| (slice.first, slice.last)).collect();
    let count = slices
        .first()
        .map_or(0, |(first, last)| u32::from(*last) + 1 - u32::from(*first));
    let finding = Finding::ok(
        NAME,
        format!(
            "{count} ports for each worker, from {} on",
            media.rtp_ports.first
        ),
        "2^n ports for each worker that begin at a multiple of 2^n: one `ethtool -N` rule steers them",
    );
    if slices.iter().all(|(first, last)| is_aligned(*first, *last)) {
        return finding;
    }
    let Some((first, last)) = aligned(media) else {
        return finding
            .warning("choose a range in [media] of 2^n ports times the number of workers");
    };
    finding.warning(format!(
        "`rtp_port_min = {first}` and `rtp_port_max = {last}` in [media]"
    ))
}

/// A range like the configured one whose slices one mask each describes.
fn aligned(media: &MediaConfig) -> Option<(u32, u32)> {
    let workers = u32::try_from(media.cores.len()).ok()?;
    let ports = u32::try_from(media.rtp_ports.pairs())
        .ok()?
        .checked_mul(2)?;
    let mut slice = (ports / workers).max(2).next_power_of_two();
    while slice >= 2 {
        let first = u32::from(media.rtp_ports.first).next_multiple_of(slice);
        let last = first + slice * workers - 1;
        // Below what Linux gives to programs that ask for any port.
        if last < 32_768 {
            return Some((first, last));
        }
        slice /= 2;
    }
    None
}

/// Ports of media that the kernel may give to any program that asks for some port.
pub(super) fn reserved_ports(facts: &Facts, config: &Config) -> Finding {
    const NAME: &str = "reserved_ports";
    let Some(ephemeral) = &facts.ports.ephemeral else {
        return Finding::skipped(NAME, "net.ipv4.ip_local_port_range cannot be read");
    };
    let media = media_ports(config);
    if media.is_empty() {
        return Finding::skipped(NAME, "media takes any free port");
    }
    let reserved = facts.ports.reserved.clone().unwrap_or_default();
    let open = media.and(ephemeral).without(&reserved);
    let finding = Finding::ok(
        NAME,
        if open.is_empty() {
            format!("{media} are given to nobody else")
        } else {
            format!("{open} may be given to any program (net.ipv4.ip_local_port_range)")
        },
        "the ports of media outside of that range, or reserved",
    );
    if open.is_empty() {
        return finding;
    }
    let all = reserved.or(&media);
    finding.warning(format!(
        "`sysctl -w net.ipv4.ip_local_reserved_ports={all}`, with the same in \
         /etc/sysctl.d/60-ringway.conf for the next boot"
    ))
}

/// Every UDP port of media.
fn media_ports(config: &Config) -> Ranges {
    let mut ports: Vec<RangeInclusive<u64>> = Vec::new();
    let media = &config.media;
    if media.browser_port != 0 {
        let first = u64::from(media.browser_port);
        let workers = u64::try_from(media.cores.len()).unwrap_or(u64::MAX);
        ports.push(first..=first + workers - 1);
    }
    if config.sip.is_some() {
        ports.push(media.rtp_ports.first.into()..=media.rtp_ports.last.into());
    }
    ports.into()
}

/// Can this socket be listened on? Also what the daemon says when it cannot bind it.
#[must_use]
pub fn listener(listener: &Listener, purpose: Purpose) -> Finding {
    let Listener {
        key,
        address_key,
        protocol,
        address,
        state,
    } = listener;
    let protocol = match protocol {
        Protocol::Tcp => "TCP",
        Protocol::Udp => "UDP",
    };
    let at = format!("{protocol} {address} ({key})");
    let finding =
        |is: String| Finding::ok("listener", is, "a free port at an address of this host");
    let other = format!("choose another port in {key}");
    match state {
        ListenerState::Free => finding(format!("{at} is free")),
        // The daemon itself is what an operator expects to find there.
        ListenerState::Taken(Some(holder))
            if holder.name == OWN_NAME && purpose == Purpose::Check =>
        {
            finding(format!(
                "{at} is listened on by {}",
                holder_text(Some(holder))
            ))
        }
        // For another unit, or for ours: whose it is can only be seen there.
        ListenerState::Taken(Some(Process { pid: 1, .. })) => {
            let held = finding(format!("{at} is held by systemd for a socket unit"));
            let cure = "see that `systemctl list-sockets` shows it for ringway.service; else \
                        `systemctl disable --now` that socket unit";
            match purpose {
                Purpose::Check => held.warning(cure),
                Purpose::Start => held.stopping(cure),
            }
        }
        ListenerState::Taken(holder) => {
            let whose = holder_text(holder.as_ref());
            let end = match holder {
                Some(Process { pid, .. }) => format!("end process {pid}"),
                None => "end the program that has it (`ss -lntup` as root)".to_owned(),
            };
            finding(format!("{at} is taken by {whose}")).stopping(format!("{end}, or {other}"))
        }
        ListenerState::NoSuchAddress => {
            finding(format!("{at}: {} is no address of this host", address.ip())).stopping(format!(
                "name an address that `ip address` lists in {address_key}"
            ))
        }
        ListenerState::Forbidden => {
            finding(format!("{at}: ports below 1024 are for the privileged")).stopping(format!(
                "`AmbientCapabilities=CAP_NET_BIND_SERVICE` in [Service] of the unit, or {other}"
            ))
        }
        ListenerState::Failed(why) => {
            finding(format!("{at} cannot be bound: {why}")).stopping(other)
        }
    }
}

fn holder_text(holder: Option<&Process>) -> String {
    match holder {
        Some(Process { pid, name }) => format!("{name} (process {pid})"),
        None => "another program".to_owned(),
    }
}
