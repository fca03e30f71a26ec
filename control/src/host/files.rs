//! Files that the configuration names.

use super::{Access, Facts, FileFact, Finding};

const NAME: &str = "files";

/// A finding for each file at fault; one that all is well if none is.
pub(super) fn files(facts: &Facts) -> Vec<Finding> {
    if facts.files.is_empty() {
        return vec![Finding::skipped(NAME, "the configuration names none")];
    }
    let mut findings: Vec<Finding> = facts.files.iter().filter_map(file).collect();
    if findings.is_empty() {
        let is = match facts.files.len() {
            1 => "1 can be read".to_owned(),
            count => format!("{count} can be read"),
        };
        findings.push(Finding::ok(NAME, is, WANTED));
    }
    findings
}

const WANTED: &str = "what each key names, readable by the user of the daemon";

fn file(file: &FileFact) -> Option<Finding> {
    let (key, path) = (file.key, file.path.display());
    if let Some(fault) = &file.fault {
        let is = format!("{fault} ({key})");
        let cure = format!("name the right file in {key}, or mend {path}");
        return Some(Finding::ok(NAME, is, WANTED).stopping(cure));
    }
    let Access::Denied {
        user,
        path: denied,
        is_certain,
    } = &file.access
    else {
        return None;
    };
    let denied_path = denied.display();
    let (verb, mode) = if *denied == file.path {
        ("read", "g+r")
    } else {
        ("enter", "g+x")
    };
    let is = format!("the user {user} of the unit may not {verb} {denied_path} ({key})");
    let finding = Finding::ok(NAME, is, WANTED);
    let cure = format!("`chgrp {user} {denied_path}` and `chmod {mode} {denied_path}`");
    Some(if *is_certain {
        finding.stopping(cure)
    } else {
        finding.warning(format!(
            "{cure}, unless an access control list lets it (`getfacl`)"
        ))
    })
}
