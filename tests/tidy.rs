//! Rules about the source text that no lint knows: where the outside world may be touched, where
//! `unsafe` may stand, how long a file may be.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};

/// Longest source file, tests not counted: it still holds one thing.
const FILE_LINES_MAX: usize = 500;

/// Words that touch the outside world, and the only places where they may stand.
const SHELLS: &[(&str, &[&str])] = &[
    ("tokio", &["control/src/shell"]),
    (
        "std::net::UdpSocket",
        &[
            "control/src/shell",
            "dataplane/src/io",
            "dataplane/src/worker",
        ],
    ),
    (
        "std::thread",
        &[
            "control/src/shell",
            "dataplane/src/io",
            "dataplane/src/worker",
            "dataplane/src/link/queue",
        ],
    ),
    ("io_uring::", &["dataplane/src/io"]),
    ("libc::", &["dataplane/src/io"]),
];

/// The only place of the product with `unsafe` code.
const UNSAFE: &str = "dataplane/src/io";

#[test]
fn the_outside_world_is_touched_in_the_shells_only() {
    let mut offences = Vec::new();
    for (path, text) in product_sources() {
        for (word, places) in SHELLS {
            let allowed = places.iter().any(|place| path.starts_with(place)) || is_test(&path);
            for (number, line) in code_lines(&text) {
                if !allowed && line.contains(word) {
                    offences.push(format!("{path}:{number}: {word}"));
                }
            }
        }
    }
    assert!(offences.is_empty(), "{offences:#?}");
}

#[test]
fn unsafe_code_stands_in_one_folder() {
    let mut offences = Vec::new();
    for (path, text) in product_sources() {
        for (number, line) in code_lines(&text) {
            if line.contains("unsafe {") && !path.starts_with(UNSAFE) {
                offences.push(format!("{path}:{number}"));
            }
        }
    }
    assert!(offences.is_empty(), "{offences:#?}");
}

#[test]
fn files_are_short_and_named_after_what_they_hold() {
    let mut offences = Vec::new();
    for (path, text) in product_sources() {
        let lines = text
            .split("#[cfg(test)]\nmod tests {")
            .next()
            .unwrap_or_default()
            .lines();
        let count = lines.count();
        if count > FILE_LINES_MAX && !is_test(&path) {
            offences.push(format!("{path}: {count} lines"));
        }
        if path.ends_with("/mod.rs") {
            offences.push(format!("{path}: foo.rs beside foo/, not foo/mod.rs"));
        }
    }
    assert!(offences.is_empty(), "{offences:#?}");
}

#[test]
fn nothing_is_left_over() {
    let words = [
        "todo!(",
        "unimplemented!(",
        "#[ignore",
        concat!("FIX", "ME"),
        concat!("XX", "X:"),
    ];
    let mut offences = Vec::new();
    for (path, text) in product_sources() {
        for (number, line) in text.lines().enumerate() {
            if words.iter().any(|word| line.contains(word)) {
                offences.push(format!("{path}:{}: {line}", number + 1));
            }
        }
    }
    assert!(offences.is_empty(), "{offences:#?}");
}

#[test]
fn crates_that_need_no_unsafe_code_forbid_it() {
    for crate_root in ["control/src/lib.rs", "crypto/src/lib.rs"] {
        let text = fs::read_to_string(root().join(crate_root)).unwrap();
        assert!(text.contains("#![forbid(unsafe_code)]"), "{crate_root}");
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

/// Every source file of the product, by its path from the root.
fn product_sources() -> Vec<(String, String)> {
    let mut found = Vec::new();
    for part in ["control/src", "dataplane/src", "crypto/src", "bench/src"] {
        collect(&root().join(part), &mut found);
    }
    assert!(found.len() > 50, "the sources have moved");
    found.sort();
    found
}

fn collect(folder: &Path, found: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let name = path
                .strip_prefix(root())
                .unwrap()
                .to_string_lossy()
                .into_owned();
            found.push((name, fs::read_to_string(&path).unwrap()));
        }
    }
}

fn is_test(path: &str) -> bool {
    path.contains("/tests") || path.ends_with("tests.rs") || path.starts_with("bench/")
}

/// Lines in front of the tests that are no comments, with their numbers.
fn code_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let code = text
        .split("#[cfg(test)]\nmod tests {")
        .next()
        .unwrap_or_default();
    code.lines()
        .enumerate()
        .map(|(index, line)| (index + 1, line.trim_start()))
        .filter(|(_, line)| !line.starts_with("//"))
}
