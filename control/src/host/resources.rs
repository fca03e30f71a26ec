//! What the process may use: open files, locked memory, memory.

use dataplane::config::BackendChoice;
use dataplane::limits::{POOL_BYTES_PER_WORKER, files_needed};

use super::{Facts, Finding};
use crate::config::Config;

/// Open files for each call: the two sockets of a carrier's leg, twice, since ports are closed a
/// little after they are free.
const FILES_PER_CALL: usize = 4;
/// Open files for each connection: one, twice, for those that are just being closed.
const FILES_PER_CONNECTION: usize = 2;
/// Open files for all else.
const FILES_SPARE: usize = 4096;
/// Memory that the kernel counts as locked for the rings of one worker, generously: half of it was
/// measured.
const LOCKED_BYTES_PER_WORKER: u64 = 1 << 20;
/// During an upgrade two processes run.
const PROCESSES: usize = 2;

const MIB: u64 = 1 << 20;

pub(super) fn open_files(facts: &Facts, config: &Config) -> Finding {
    const NAME: &str = "nofile";
    let Some(allowed) = facts.limits.open_files else {
        return Finding::skipped(NAME, "the limits of the process cannot be read");
    };
    let (workers, flows_max) = (config.media.cores.len(), config.media.flows_max);
    let needed = u64_of(files_needed(workers, flows_max));
    // Two flows a call.
    let calls = config.server.calls_max.min(workers * flows_max / 2);
    let connections = config.web.connections_max;
    let wanted = FILES_PER_CALL * calls + FILES_PER_CONNECTION * connections + FILES_SPARE;
    // The demo has the connections of one person.
    let wanted = if config.demo {
        needed
    } else {
        u64_of(wanted).max(needed)
    };
    let reason = if config.demo {
        "for the sockets of media".to_owned()
    } else {
        format!("for {calls} calls and {connections} connections")
    };
    let (whose, amount) = (&facts.limits.whose, amount(allowed, ""));
    let finding = Finding::ok(
        NAME,
        format!("{amount} open files for {whose}"),
        format!("{wanted} {reason}"),
    );
    let cure = format!(
        "`LimitNOFILE={wanted}` in [Service] of the unit (`systemctl edit ringway`), in a shell \
         `ulimit -n {wanted}`; or lower `flows_max` in [media] and `connections_max` in [web]"
    );
    if allowed < needed {
        finding.stopping(cure)
    } else if allowed < wanted {
        finding.warning(cure)
    } else {
        finding
    }
}

pub(super) fn locked_memory(facts: &Facts, config: &Config) -> Finding {
    const NAME: &str = "memlock";
    if config.media.backend == BackendChoice::Mmsg {
        return Finding::skipped(NAME, "only io_uring locks memory");
    }
    let Some(allowed) = facts.limits.locked_bytes else {
        return Finding::skipped(NAME, "the limits of the process cannot be read");
    };
    let wanted = LOCKED_BYTES_PER_WORKER * u64_of(config.media.cores.len());
    let finding = Finding::ok(
        NAME,
        format!(
            "{} of locked memory for {}",
            amount(allowed / 1024, " KiB"),
            facts.limits.whose
        ),
        format!("{} KiB for the rings of the media workers", wanted / 1024),
    );
    if allowed < wanted {
        return finding.warning(
            "`LimitMEMLOCK=infinity` in [Service] of the unit (`systemctl edit ringway`), in a \
             shell `ulimit -l unlimited`",
        );
    }
    finding
}

pub(super) fn memory(facts: &Facts, config: &Config) -> Finding {
    const NAME: &str = "memory";
    let Some(total) = facts.memory.total else {
        return Finding::skipped(NAME, "/proc/meminfo cannot be read");
    };
    let workers = config.media.cores.len();
    let pools = u64_of(workers * POOL_BYTES_PER_WORKER);
    let wanted = pools * u64_of(PROCESSES);
    let available = facts.memory.available.unwrap_or(total);
    let finding = Finding::ok(
        NAME,
        format!(
            "{} MiB, of which {} MiB are available",
            total / MIB,
            available / MIB
        ),
        format!(
            "{} MiB: the packet buffers, twice, since two processes run during an upgrade",
            wanted / MIB
        ),
    );
    let cure =
        "give the host or container more memory, or name fewer workers in `cores` of [media]";
    if total < pools {
        finding.failure(cure)
    } else if total < wanted || available < pools {
        finding.warning(cure)
    } else {
        finding
    }
}

/// A limit as people write it.
fn amount(limit: u64, unit: &str) -> String {
    // Divided or not.
    if limit >= u64::MAX / 1024 {
        "unlimited".to_owned()
    } else {
        format!("{limit}{unit}")
    }
}

fn u64_of(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
