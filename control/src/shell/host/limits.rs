//! Limits of this process or, if the one that asks is not the daemon, of its unit.

use super::files::Root;
use super::unit::{self, Unit};
use crate::host::Limits;

/// What a unit has that says nothing (systemd 252: the hard limit of files, the soft one of memory).
const DEFAULT_FILES: u64 = 524_288;
const DEFAULT_LOCKED_BYTES: u64 = 8 << 20;

pub(super) fn limits(root: &Root, unit: Option<&Unit>) -> Limits {
    unit.map_or_else(|| of_process(root), of_unit)
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

fn of_unit(unit: &Unit) -> Limits {
    let (files, locked) = (unit.last("LimitNOFILE"), unit.last("LimitMEMLOCK"));
    let hard = |text: &str| number(text.rsplit(':').next()?);
    let soft = |text: &str| number(text.split(':').next()?);
    Limits {
        whose: unit::NAME.to_owned(),
        open_files: files.map_or(Some(DEFAULT_FILES), hard),
        locked_bytes: locked.map_or(Some(DEFAULT_LOCKED_BYTES), soft),
    }
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
