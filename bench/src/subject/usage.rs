//! What a process has used, by `/proc`.

use std::fs;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// What a target has used and counted since it began.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Usage {
    /// CPU time of the threads that forward, in nanoseconds.
    pub(crate) cpu_ns: u64,
    /// Memory that is resident now.
    pub(crate) resident_bytes: u64,
    /// Flows, ports or calls that it has open now, as far as it says.
    pub(crate) open_flows: u64,
    /// Packets that it says it dropped, by reason.
    pub(crate) dropped: Vec<(String, u64)>,
}

/// Page size of every machine that this runs on (x86-64, and aarch64 as Debian builds it).
const PAGE_BYTES: u64 = 4096;

/// Of the threads of this process whose name begins so.
pub(super) fn of(process: u32, threads: &str) -> Usage {
    let folder = PathBuf::from(format!("/proc/{process}"));
    let tasks = fs::read_dir(folder.join("task"))
        .into_iter()
        .flatten()
        .flatten();
    let tasks = tasks.map(|task| task.path()).filter(|path| {
        fs::read_to_string(path.join("comm")).is_ok_and(|name| name.starts_with(threads))
    });
    let cpu_ns = tasks.filter_map(|path| {
        let times = fs::read_to_string(path.join("schedstat")).ok()?;
        times.split_whitespace().next()?.parse::<u64>().ok()
    });
    let pages = fs::read_to_string(folder.join("statm")).unwrap_or_default();
    let pages = pages
        .split_whitespace()
        .nth(1)
        .and_then(|text| text.parse::<u64>().ok());
    Usage {
        cpu_ns: cpu_ns.sum(),
        resident_bytes: pages.unwrap_or_default() * PAGE_BYTES,
        ..Usage::default()
    }
}
