//! `ringway explain`, as somebody uses it who has a message from a log.

#![expect(clippy::unwrap_used, reason = "in a test a panic says what is wrong")]

use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};

/// With line feeds alone, as a terminal or an editor leaves it.
const PASTED: &str = "OPTIONS sip:example.com SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\n\
    Max-Forwards: 70\nTo: <sip:example.com>\nFrom: <sip:a@example.com>;tag=1\nCall-ID: 1\n\
    CSeq: 1 OPTIONS\nContent-Length: 0\n\n";

fn explain(files: usize) -> std::process::Child {
    let program = env!("CARGO_BIN_EXE_ringway");
    let mut command = Command::new(program);
    command.arg("explain").args(vec!["-"; files]);
    let pipes = command.stdin(Stdio::piped()).stdout(Stdio::piped());
    pipes.stderr(Stdio::piped()).spawn().unwrap()
}

#[test]
fn ux_g7_a_message_with_line_feeds_alone_is_read_and_that_is_said() {
    let mut child = explain(1);
    let mut input = child.stdin.take().unwrap();
    input.write_all(PASTED.as_bytes()).unwrap();
    drop(input);
    let output = child.wait_with_output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    let explained = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{told}{explained}");
    assert!(explained.contains("OPTIONS"), "{explained}");
    assert!(
        told.contains("line feeds alone are taken for CRLF"),
        "{told}"
    );
}

#[test]
fn ux_g7_whoever_reads_may_stop_reading() {
    let mut child = explain(1);
    drop(child.stdout.take());
    let mut input = child.stdin.take().unwrap();
    input
        .write_all(PASTED.replace('\n', "\r\n").as_bytes())
        .unwrap();
    drop(input);
    let mut told = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut told)
        .unwrap();
    assert_eq!(told, "");
    assert!(child.wait().unwrap().success());
}
