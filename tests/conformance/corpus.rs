//! The fuzz targets over their committed corpus: what fuzzing has found once is tried every time.

use std::fs;
use std::path::Path;

use crate::targets;

/// Runs a target over its inputs; a failure names the file.
pub(crate) fn replay(target: &str, run: fn(&[u8])) {
    struct NameOnPanic(String);
    impl Drop for NameOnPanic {
        #[expect(clippy::print_stderr, reason = "part of the message of a failed test")]
        fn drop(&mut self) {
            if std::thread::panicking() {
                eprintln!("the input was {}", self.0);
            }
        }
    }

    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/corpus")
        .join(target);
    let mut files: Vec<_> = fs::read_dir(&folder)
        .expect("the corpus is there")
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    assert!(files.len() >= 10, "{target}: the corpus is gone");
    for file in files {
        let name = NameOnPanic(file.display().to_string());
        run(&fs::read(&file).unwrap());
        drop(name);
    }
}

#[test]
fn unprotect_rtp_holds_over_its_corpus() {
    replay("unprotect_rtp", targets::unprotect_rtp);
}

#[test]
fn unprotect_rtcp_holds_over_its_corpus() {
    replay("unprotect_rtcp", targets::unprotect_rtcp);
}

#[test]
fn sdes_line_holds_over_its_corpus() {
    replay("sdes_line", targets::sdes_line);
}
