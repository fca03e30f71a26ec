//! Limits of this process or, if the one that asks is not the daemon, of its unit.

use super::files::Root;
use crate::host::{Limits, Purpose};

const UNIT: &str = "ringway.service";
/// Where units are, those first that win (systemd.unit(5)).
const FOLDERS: [&str; 4] = [
    "etc/systemd/system",
    "run/systemd/system",
    "usr/lib/systemd/system",
    "lib/systemd/system",
];
/// What a unit has that says nothing (systemd 252: the hard limit of files, the soft one of memory).
const DEFAULT_FILES: u64 = 524_288;
const DEFAULT_LOCKED_BYTES: u64 = 8 << 20;

pub(super) fn limits(root: &Root, purpose: Purpose) -> Limits {
    let of_unit = match purpose {
        Purpose::Check => of_unit(root),
        Purpose::Start => None,
    };
    of_unit.unwrap_or_else(|| of_process(root))
}

fn of_process(root: &Root) -> Limits {
    let text = root.text("proc/self/limits").unwrap_or_default();
    let value = |name: &str, column: usize| {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        number(line.split_whitespace().nth(column)?)
    };
    Limits {
        whose: "this process".to_owned(),
        open_files: value("Max open files", 1),
        locked_bytes: value("Max locked memory", 0),
    }
}

fn of_unit(root: &Root) -> Option<Limits> {
    let main = FOLDERS
        .iter()
        .find_map(|folder| root.text(&format!("{folder}/{UNIT}")))?;
    let mut text = main;
    // What stands below others wins, so they are read the other way round.
    for folder in FOLDERS.iter().rev() {
        let folder = format!("{folder}/{UNIT}.d");
        let names = root.names(&folder).into_iter();
        for name in names.filter(|name| name.ends_with(".conf")) {
            text.push('\n');
            text.push_str(&root.text(&format!("{folder}/{name}")).unwrap_or_default());
        }
    }
    let last = |key: &str| {
        let lines = text
            .lines()
            .filter_map(|line| line.trim().strip_prefix(key));
        lines
            .filter_map(|line| line.trim_start().strip_prefix('='))
            .next_back()
    };
    let (files, locked) = (last("LimitNOFILE"), last("LimitMEMLOCK"));
    let hard = |text: &str| number(text.rsplit(':').next()?);
    let soft = |text: &str| number(text.split(':').next()?);
    Some(Limits {
        whose: UNIT.to_owned(),
        open_files: files.map_or(Some(DEFAULT_FILES), hard),
        locked_bytes: locked.map_or(Some(DEFAULT_LOCKED_BYTES), soft),
    })
}

/// A limit: a number with the suffix of a power of 1024 or without, or that there is none.
fn number(text: &str) -> Option<u64> {
    let text = text.trim();
    if text == "unlimited" || text == "infinity" {
        return Some(u64::MAX);
    }
    let (digits, factor) = match text.char_indices().next_back()? {
        (end, 'K') => (text.get(..end)?, 1 << 10),
        (end, 'M') => (text.get(..end)?, 1 << 20),
        (end, 'G') => (text.get(..end)?, 1 << 30),
        _ => (text, 1),
    };
    digits.parse::<u64>().ok()?.checked_mul(factor)
}
