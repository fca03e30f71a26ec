//! CPU cores of the media workers.

use super::{Facts, Finding, Ranges};
use crate::config::Config;

const NAME: &str = "cores";
const WANTED: &str = "a core of its own for each media worker, not core 0";

/// A finding for each fault of the cores; one that all is well if there is none.
pub(super) fn cores(facts: &Facts, config: &Config) -> Vec<Finding> {
    let workers = config.media.cores.len();
    let pinned: Vec<usize> = config.media.cores.iter().copied().flatten().collect();
    if pinned.is_empty() {
        return vec![unpinned(facts, workers)];
    }
    let here = facts.cores.online.as_ref();
    let here_text = here.map_or_else(|| "unknown".to_owned(), Ranges::to_string);
    let finding = |is: String| Finding::ok(NAME, is, WANTED);
    let mut findings = Vec::new();
    for core in &pinned {
        let is_missing = here.is_some_and(|here| !here.contains(number(*core)));
        if is_missing {
            let is =
                format!("core {core} of `cores` in [media] is missing: this host has {here_text}");
            findings.push(finding(is).stopping("name cores of this host in `cores` of [media]"));
        } else if facts.cores.refused.contains(core) {
            let is =
                format!("core {core} of `cores` in [media] is there, but not for this process");
            findings.push(finding(is).stopping(
                "allow it in the cpuset of the container or slice (AllowedCPUs= of the unit), or \
                 name another in `cores` of [media]",
            ));
        }
    }
    let others = here.is_none_or(|here| here.count() > 1);
    if pinned.contains(&0) && others {
        let is =
            "a worker is pinned to core 0, on which the kernel does work of its own".to_owned();
        findings.push(finding(is).warning("name another core in `cores` of [media]"));
    }
    findings.extend(shared(facts, &pinned));
    if findings.is_empty() {
        let (list, word) = (list(&pinned), plural("worker", workers));
        findings.push(finding(format!(
            "{workers} {word} on {list} of {here_text}"
        )));
    }
    findings
}

/// Workers whose cores are two threads of one physical core.
fn shared(facts: &Facts, pinned: &[usize]) -> Vec<Finding> {
    let mut told = Ranges::default();
    let mut findings = Vec::new();
    for (core, siblings) in &facts.cores.siblings {
        let together: Vec<usize> = pinned
            .iter()
            .copied()
            .filter(|c| siblings.contains(number(*c)))
            .collect();
        if together.len() < 2 || told.contains(number(*core)) {
            continue;
        }
        told = told.or(siblings);
        let is = format!("workers on {} share one physical core", list(&together));
        let finding = Finding::ok(NAME, is, WANTED);
        findings.push(finding.warning(
            "name one of them in `cores` of [media]; `lscpu -e` says which belong together",
        ));
    }
    findings
}

fn unpinned(facts: &Facts, workers: usize) -> Finding {
    let Some(allowed) = &facts.cores.allowed else {
        return Finding::skipped(NAME, "/proc/self/status cannot be read");
    };
    let count = allowed.count();
    let is = format!(
        "{workers} {}, not pinned, on {count} {}",
        plural("worker", workers),
        plural("core", count)
    );
    let finding = Finding::ok(NAME, is, "at most one media worker for each core");
    if workers > count {
        return finding.warning(format!("`cores = {count}` in [media], or more cores"));
    }
    finding
}

fn plural(word: &str, count: usize) -> String {
    let ending = if count == 1 { "" } else { "s" };
    format!("{word}{ending}")
}

fn list(cores: &[usize]) -> String {
    let word = plural("core", cores.len());
    let cores: Vec<String> = cores.iter().map(usize::to_string).collect();
    format!("{word} {}", cores.join(", "))
}

fn number(core: usize) -> u64 {
    u64::try_from(core).unwrap_or(u64::MAX)
}
