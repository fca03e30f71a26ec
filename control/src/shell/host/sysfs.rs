//! Distribution, cores, memory and network cards, as files tell of them.

use super::files::Root;
use crate::host::{Cores, Interface, Memory, Os, Ranges};

pub(super) fn os(root: &Root) -> Option<Os> {
    let text = root.text("etc/os-release")?;
    let value = |key: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(key))?;
        Some(line.strip_prefix('=')?.trim_matches(['"', '\'']).to_owned())
    };
    let id = value("ID")?;
    Some(Os {
        name: value("PRETTY_NAME").unwrap_or_else(|| id.clone()),
        version: value("VERSION_ID").unwrap_or_default(),
        id,
    })
}

/// `can_pin` tries whether a thread can be pinned to a core.
pub(super) fn cores(
    root: &Root,
    configured: &[Option<usize>],
    can_pin: &dyn Fn(usize) -> bool,
) -> Cores {
    let pinned = || configured.iter().copied().flatten();
    let siblings = pinned().filter_map(|core| {
        let path = format!("sys/devices/system/cpu/cpu{core}/topology/thread_siblings_list");
        Some((core, root.ranges(&path)?))
    });
    let status = root.text("proc/self/status").unwrap_or_default();
    let mut lines = status.lines();
    let allowed = lines.find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    Cores {
        online: root.ranges("sys/devices/system/cpu/online"),
        allowed: allowed.and_then(Ranges::parse),
        refused: pinned().filter(|core| !can_pin(*core)).collect(),
        siblings: siblings.collect(),
    }
}

pub(super) fn memory(root: &Root) -> Memory {
    let text = root.text("proc/meminfo").unwrap_or_default();
    let value = |key: &str| -> Option<u64> {
        let line = text.lines().find_map(|line| line.strip_prefix(key))?;
        let number = line.strip_prefix(':')?.trim().trim_end_matches(" kB");
        number.parse().ok()
    };
    let huge = value("HugePages_Free").zip(value("Hugepagesize"));
    let huge = huge.map_or(0, |(pages, kib)| pages * kib * 1024);
    let (total, available) = (value("MemTotal"), value("MemAvailable"));
    let (total, available) = (total.map(|k| k * 1024), available.map(|k| k * 1024 + huge));
    let limit = memory_limit(root);
    let least = |amount: u64| limit.map_or(amount, |limit| limit.min(amount));
    Memory {
        total: total.map(least),
        available: available.map(least),
    }
}

/// The least that the control group of this process, or one around it, may have.
fn memory_limit(root: &Root) -> Option<u64> {
    let groups = root.text("proc/self/cgroup")?;
    let files = groups.lines().filter_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        match (parts.next()?, parts.next()?) {
            ("", path) => Some((path, "sys/fs/cgroup", "memory.max")),
            ("memory", path) => Some((path, "sys/fs/cgroup/memory", "memory.limit_in_bytes")),
            _ => None,
        }
    });
    let limits = files.flat_map(|(path, folder, file)| {
        let mut ends: Vec<usize> = path.match_indices('/').map(|(at, _)| at).collect();
        ends.push(path.len());
        ends.into_iter().filter_map(move |end| {
            let group = path.get(..end)?;
            root.number(&format!("{folder}{group}/{file}"))
        })
    });
    limits.min()
}

/// Network cards that are up. Bridges and tunnels work in the context of whoever sends.
pub(super) fn interfaces(root: &Root) -> Vec<Interface> {
    const FOLDER: &str = "sys/class/net";
    let is_card = |name: &String| {
        let state = root.text(&format!("{FOLDER}/{name}/operstate"));
        root.path(&format!("{FOLDER}/{name}/device")).exists() && state.as_deref() != Some("down")
    };
    let interface = |name: String| {
        let queues = root.names(&format!("{FOLDER}/{name}/queues"));
        let receive = queues.iter().filter(|queue| queue.starts_with("rx-"));
        let spread = root.text(&format!("{FOLDER}/{name}/queues/rx-0/rps_cpus"));
        let is_spread = |mask: String| mask.chars().any(|digit| !matches!(digit, '0' | ','));
        Interface {
            receive_queues: receive.count(),
            is_spread: spread.is_some_and(is_spread),
            name,
        }
    };
    let names = root.names(FOLDER).into_iter().filter(is_card);
    names
        .map(interface)
        .filter(|card| card.receive_queues > 0)
        .collect()
}

pub(super) fn ephemeral_ports(root: &Root) -> Option<Ranges> {
    let text = root.text("proc/sys/net/ipv4/ip_local_port_range")?;
    Ranges::parse(&text.split_whitespace().collect::<Vec<_>>().join("-"))
}
