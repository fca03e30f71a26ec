//! What every message goes through, whatever its verdict.

use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use control::sip::framing::{Frame, FrameError, Framer};
use control::sip::{Message, ParseError};

/// Reads a fixture, byte for byte.
pub(crate) fn fixture(folder: &str, name: &str) -> Bytes {
    let path = folder_of(folder).join(format!("{name}.dat"));
    Bytes::from(fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
}

/// The names of all fixtures of a folder, sorted.
pub(crate) fn names(folder: &str) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder_of(folder))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "dat"))
        .map(|path| path.file_stem().unwrap().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

fn folder_of(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fixtures")
        .join(folder)
}

/// Parses a message that the RFC wants accepted, and checks that printing is a fixed point.
pub(crate) fn accept(name: &str, bytes: &Bytes) -> Message {
    let message = Message::parse(bytes.clone()).unwrap_or_else(|error| panic!("{name}: {error}"));
    let printed = message.to_bytes();
    let again = Message::parse(printed.clone()).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert_eq!(
        again.to_bytes(),
        printed,
        "{name}: parse, print, parse is a fixed point"
    );
    let lines: Vec<_> = message.lines().collect();
    let read_again: Vec<_> = again.lines().collect();
    let added = usize::from(message.header("l").is_none());
    assert_eq!(
        lines,
        read_again[..read_again.len() - added],
        "{name}: the same header"
    );
    assert_eq!(
        (message.body(), message.method()),
        (again.body(), again.method()),
        "{name}"
    );
    let head = bytes.len() - message.body().len();
    let has_rest = !bytes.ends_with(message.body()) || !printed.starts_with(&bytes[..head]);
    if added == 0 && !has_rest {
        assert_eq!(
            printed, bytes,
            "{name}: what is not edited leaves byte for byte"
        );
    }
    message
}

/// Parses a message that must be refused; returns why.
pub(crate) fn refuse(name: &str, bytes: &Bytes) -> ParseError {
    let error = Message::parse(bytes.clone()).map(|_| ()).expect_err(name);
    if let Some(offset) = error.offset() {
        assert!(offset <= bytes.len(), "{name}: the place is in the message");
    }
    error
}

/// What a stream makes of the bytes: the messages, and whether it broke.
pub(crate) fn stream(bytes: &Bytes) -> (Vec<Bytes>, Option<FrameError>) {
    let mut framer = Framer::new();
    framer.push(bytes);
    let mut messages = Vec::new();
    loop {
        match framer.next_frame() {
            Ok(Some(Frame::Message(message))) => messages.push(message),
            Ok(Some(Frame::Ping | Frame::Pong)) => {}
            Ok(None) => return (messages, None),
            Err(error) => return (messages, Some(error)),
        }
    }
}
