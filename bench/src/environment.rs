//! The machine and the program: a figure without them is worth nothing.

use std::fs;

use serde::{Deserialize, Serialize};

use crate::Failure;
use crate::network::run;
use crate::report::note;

/// Where and with what a measurement was made.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Environment {
    /// UTC.
    pub(crate) date: String,
    pub(crate) command: String,
    pub(crate) commit: String,
    pub(crate) kernel: String,
    pub(crate) cpu: String,
    pub(crate) cores: usize,
    /// Load of the machine when the measurement began.
    pub(crate) load: String,
    pub(crate) network: String,
    /// Generator and targets, by core.
    pub(crate) core_map: String,
    pub(crate) settings: Vec<(String, String)>,
    pub(crate) generator_pps_max: f64,
    pub(crate) generator_pps_max_in_bursts: f64,
}

/// Settings of the kernel that change the figures.
const SETTINGS: &[&str] = &[
    "net/core/rmem_max",
    "net/core/wmem_max",
    "net/core/netdev_max_backlog",
    "net/core/netdev_budget",
    "net/core/busy_poll",
    "kernel/io_uring_disabled",
];

impl Environment {
    pub(crate) fn here() -> Self {
        let read = |path: &str| {
            fs::read_to_string(path)
                .unwrap_or_default()
                .trim()
                .to_owned()
        };
        let tell = |program: &str, arguments: &[&str]| {
            run(program, arguments)
                .unwrap_or_default()
                .trim()
                .to_owned()
        };
        let info = read("/proc/cpuinfo");
        let model = info
            .lines()
            .find_map(|line| line.strip_prefix("model name"));
        let settings = SETTINGS
            .iter()
            .map(|name| (name.replace('/', "."), read(&format!("/proc/sys/{name}"))));
        let changed = !tell("git", &["status", "--porcelain", "-uno"]).is_empty();
        let commit = tell("git", &["rev-parse", "--short=12", "HEAD"]);
        Self {
            date: tell("date", &["-u", "+%Y-%m-%d %H:%M:%S"]),
            command: std::env::args().collect::<Vec<_>>().join(" "),
            commit: match (commit.is_empty(), changed) {
                (true, _) => "unknown".to_owned(),
                (false, true) => commit + " with changes",
                (false, false) => commit,
            },
            kernel: read("/proc/sys/kernel/osrelease"),
            cpu: model
                .unwrap_or_default()
                .trim_start_matches([' ', '\t', ':'])
                .to_owned(),
            cores: info
                .lines()
                .filter(|line| line.starts_with("processor"))
                .count(),
            load: read("/proc/loadavg"),
            settings: settings.collect(),
            ..Self::default()
        }
    }
}

/// Lets this process, and those that it starts, go before everything else on the machine that is
/// not of the real-time class. Without the privilege nothing changes.
pub(crate) fn take_precedence() {
    let process = std::process::id().to_string();
    let _without = run("renice", &["-n", "-19", "-p", &process]);
    // Where the kernel groups processes by session, the group has its own.
    let _without = fs::write("/proc/self/autogroup", "-19");
}

/// Held by whoever measures.
const LOCK: &str = "/tmp/ringway-bench.lock";

/// Waits until nobody else on this machine measures: two at a time would measure each other. The
/// turn lasts as long as what is returned.
///
/// # Errors
/// The lock cannot be made.
pub(crate) fn take_turn() -> Result<fs::File, Failure> {
    let lock = fs::File::create(LOCK)?;
    if lock.try_lock().is_err() {
        note("another measurement is running: waiting for its end");
        lock.lock()?;
    }
    Ok(lock)
}
