//! Queues of sockets and of network cards, and the address that media goes to.

use dataplane::limits::BROWSER_QUEUE_BYTES;

use super::{Facts, Finding, Interface};
use crate::config::Config;

pub(super) fn socket_queues(facts: &Facts) -> Finding {
    const NAME: &str = "socket_queues";
    let Some(queues) = facts.queues else {
        return Finding::skipped(NAME, "no UDP socket can be made");
    };
    let finding = Finding::ok(
        NAME,
        format!(
            "{} bytes to receive, {} to send",
            queues.receive, queues.send
        ),
        format!(
            "{BROWSER_QUEUE_BYTES} bytes each way: smaller ones lose packets earlier in a burst"
        ),
    );
    let settings = [
        ("net.core.rmem_max", queues.receive),
        ("net.core.wmem_max", queues.send),
    ];
    let small = settings
        .into_iter()
        .filter(|(_, granted)| *granted < BROWSER_QUEUE_BYTES);
    let small: Vec<String> = small
        .map(|(name, _)| format!("{name}={BROWSER_QUEUE_BYTES}"))
        .collect();
    if small.is_empty() {
        return finding;
    }
    finding.warning(format!(
        "`sysctl -w {}`, with the same in /etc/sysctl.d/60-ringway.conf for the next boot (for all \
         containers on the host itself)",
        small.join(" ")
    ))
}

/// One finding for each card that has too few queues, else one for all.
pub(super) fn nic_queues(facts: &Facts, config: &Config) -> Vec<Finding> {
    const NAME: &str = "nic_queues";
    let workers = config.media.cores.len();
    if workers == 1 {
        return vec![Finding::skipped(
            NAME,
            "one media worker needs no more than one queue",
        )];
    }
    if config.media.browser_bind.is_loopback() {
        return vec![Finding::skipped(NAME, "media is for this machine only")];
    }
    if facts.interfaces.is_empty() {
        return vec![Finding::skipped(NAME, "no network card can be seen")];
    }
    let wanted = format!("{workers}, one for each media worker");
    let finding = |card: &Interface| {
        let (name, queues) = (&card.name, card.receive_queues);
        let spread = if card.is_spread {
            ", spread by RPS"
        } else {
            ""
        };
        let is = match queues {
            1 => format!("{name} has 1 receive queue{spread}"),
            _ => format!("{name} has {queues} receive queues{spread}"),
        };
        let finding = Finding::ok(NAME, is, &wanted);
        if queues >= workers || card.is_spread {
            return finding;
        }
        finding.warning(format!(
            "`ethtool -L {name} combined {workers}`; a card that has no more: spread packets over \
             cores with `/sys/class/net/{name}/queues/rx-0/rps_cpus`"
        ))
    };
    facts.interfaces.iter().map(finding).collect()
}

/// The demo's media needs an interface that browsers send to.
pub(super) fn address(config: &Config) -> Option<Finding> {
    let address = config.media.browser_advertise;
    if !config.demo {
        return None;
    }
    let finding = Finding::ok(
        "network",
        format!("browsers send media to {address}"),
        "an interface besides loopback: browsers send no media over that one, and calls have no sound",
    );
    Some(if address.is_loopback() {
        finding.warning("bring a network interface up (`ip link`), or connect to a network")
    } else {
        finding
    })
}
