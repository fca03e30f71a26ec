//! The fuzz targets over their committed corpus and over the messages of both RFCs: what fuzzing
//! has found once is tried every time.

use std::fs;
use std::path::Path;

use crate::subject::{fixture, names};
use crate::{targets, websocket};

/// Runs a target over its inputs; a failure is preceded by the name of the input.
fn replay(target: &str, run: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/corpus")
        .join(target);
    let mut files: Vec<_> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    assert!(files.len() >= 10, "{target}: the corpus is gone");
    for file in files {
        let input = fs::read(&file).unwrap();
        let outcome = std::panic::catch_unwind(|| run(&input));
        assert!(outcome.is_ok(), "{}", file.display());
    }
}

#[test]
fn messages_hold_over_their_corpus() {
    replay("sip_message", targets::sip_message);
    for folder in ["rfc4475", "rfc5118"] {
        for name in names(folder) {
            targets::sip_message(&fixture(folder, &name));
        }
    }
}

#[test]
fn uris_hold_over_their_corpus() {
    replay("sip_uri", targets::sip_uri);
}

#[test]
fn headers_hold_over_their_corpus() {
    replay("sip_header", targets::sip_header);
}

#[test]
fn bodies_hold_over_their_corpus() {
    replay("sip_body", targets::sip_body);
}

#[test]
fn streams_hold_over_their_corpus() {
    replay("sip_stream", targets::sip_stream);
}

#[test]
fn websocket_frames_hold_over_their_corpus() {
    replay("websocket_frames", websocket::websocket_frames);
}
