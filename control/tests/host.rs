//! `ringway host check` as an operator has it, and the daemon's start in the same words.

#![expect(clippy::unwrap_used, reason = "in a test a panic says what is wrong")]
#![expect(
    clippy::disallowed_methods,
    reason = "this test watches a process from outside"
)]

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(20);

/// A folder with a configuration, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(config: &str) -> Self {
        let unique = free();
        let name = format!("ringway-host-{}-{}", std::process::id(), unique.port());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        let this = Self(path);
        fs::write(this.config(), config).unwrap();
        this
    }

    fn config(&self) -> PathBuf {
        self.0.join("ringway.toml")
    }

    /// Runs the binary with these arguments before `--config`.
    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ringway"));
        command.args(arguments).arg("--config").arg(self.config());
        command.output().unwrap()
    }

    /// Exit status and findings.
    fn check(&self) -> (i32, Vec<Value>) {
        let output = self.run(&["host", "check", "--json"]);
        let findings = serde_json::from_slice(&output.stdout).unwrap();
        (output.status.code().unwrap(), findings)
    }

    /// Says the check this failure, and the start the same?
    #[track_caller]
    fn fails(&self, name: &str, is: &str) {
        let (status, findings) = self.check();
        let is_it = |finding: &&Value| finding["name"] == name && finding["verdict"] == "failure";
        let failure = findings.iter().find(is_it);
        let failure = failure.unwrap_or_else(|| panic!("{findings:#?}"));
        assert_eq!(failure["is"], is);
        assert!(failure["cure"].is_string());
        assert_eq!(status, 1);
        let start = self.run(&[]);
        let said = String::from_utf8(start.stderr).unwrap();
        let cure = failure["cure"].as_str().unwrap();
        assert_eq!(start.status.code(), Some(1), "{said}");
        assert!(said.contains(&format!("{name}: {is}")), "{said}");
        assert!(said.contains(&format!("Cure: {cure}")), "{said}");
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

/// A daemon that is killed at the end.
struct Daemon(Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn free() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

/// A gateway on this machine; `media` is added to `[media]`.
fn gateway(web: SocketAddr, media: &str) -> String {
    let (sip, browser) = (free(), free().port());
    format!(
        "[web]\nlisten = \"{web}\"\n[sip]\nlisten = \"{sip}\"\n[[trunk]]\nname = \"t\"\n\
         target = \"127.0.0.1:9\"\ndomain = \"t.test\"\n[media]\nbrowser_port = {browser}\n{media}"
    )
}

#[test]
fn the_check_is_an_array_of_findings_with_five_keys() {
    let folder = Folder::new(&gateway(free(), ""));
    let (status, findings) = folder.check();
    assert_eq!(status, 0, "{findings:#?}");
    for finding in &findings {
        let keys: Vec<&String> = finding.as_object().unwrap().keys().collect();
        assert_eq!(keys.len(), 5, "{finding}");
        let is_well = finding["verdict"] == "ok" || finding["verdict"] == "skipped";
        assert_eq!(finding["cure"].is_null(), is_well, "{finding}");
        for key in ["name", "is", "wanted"] {
            assert!(finding[key].is_string(), "{finding}");
        }
    }
    let names = [
        "os",
        "kernel",
        "io_uring",
        "cores",
        "nofile",
        "memlock",
        "memory",
        "socket_queues",
        "nic_queues",
        "rtp_ports",
        "port_slices",
        "reserved_ports",
        "listener",
        "clock",
        "certificate",
    ];
    for name in names {
        assert!(findings.iter().any(|f| f["name"] == name), "{name}");
    }
    let text = String::from_utf8(folder.run(&["host", "check"]).stdout).unwrap();
    let last = text.lines().last().unwrap();
    let told = format!("{} checks: 0 failures, ", findings.len());
    assert!(last.starts_with(&told), "{text}");
}

#[test]
fn a_used_port_is_named_with_its_process() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let pid = std::process::id();
    let name = fs::read_to_string("/proc/self/comm").unwrap();
    let is = format!(
        "TCP {address} (`listen` of [web]) is taken by {} (process {pid})",
        name.trim()
    );
    Folder::new(&gateway(address, "")).fails("listener", &is);
}

#[test]
fn a_missing_core_is_named() {
    let online = fs::read_to_string("/sys/devices/system/cpu/online").unwrap();
    let is = format!(
        "core 999 of `cores` in [media] is missing: this host has {}",
        online.trim()
    );
    Folder::new(&gateway(free(), "cores = [999]\n")).fails("cores", &is);
}

#[test]
fn a_certificate_that_does_not_fit_its_key_is_named() {
    let web = free();
    let folder = Folder::new("");
    let (certificate, key) = (folder.0.join("web.pem"), folder.0.join("key.pem"));
    let names = || vec!["phone.example.com".to_owned()];
    let (own, other) = (
        rcgen::generate_simple_self_signed(names()).unwrap(),
        rcgen::generate_simple_self_signed(names()).unwrap(),
    );
    fs::write(&certificate, own.cert.pem()).unwrap();
    fs::write(&key, other.signing_key.serialize_pem()).unwrap();
    let keys = format!("tls = \"on\"\ncertificate = {certificate:?}\nprivate_key = {key:?}\n[sip]");
    let text = gateway(web, "").replace("[sip]", &keys);
    fs::write(folder.config(), text).unwrap();
    let is = format!(
        "{} does not fit the key {}, or TLS cannot use it: keys may not be consistent: KeyMismatch \
         (`certificate` of [web])",
        certificate.display(),
        key.display()
    );
    folder.fails("certificate", &is);
    fs::write(&key, own.signing_key.serialize_pem()).unwrap();
    let (status, findings) = folder.check();
    assert_eq!(status, 0, "{findings:#?}");
}

#[test]
fn the_ports_of_a_running_daemon_are_its_own() {
    let web = free();
    let folder = Folder::new(&gateway(web, ""));
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringway"));
    command.arg("--config").arg(folder.config());
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let daemon = Daemon(command.spawn().unwrap());
    let pid = daemon.0.id();
    let begun = Instant::now();
    while std::net::TcpStream::connect(web).is_err() {
        assert!(begun.elapsed() < PATIENCE, "the daemon does not listen");
        sleep(Duration::from_millis(20));
    }
    let (status, findings) = folder.check();
    assert_eq!(status, 0, "{findings:#?}");
    let listeners = findings.iter().filter(|f| f["name"] == "listener");
    let listeners: Vec<&str> = listeners.map(|f| f["is"].as_str().unwrap()).collect();
    assert_eq!(listeners.len(), 3);
    for listener in listeners {
        let own = format!("is listened on by ringway (process {pid})");
        assert!(listener.ends_with(&own), "{listener}");
    }
}

#[test]
fn a_question_that_cannot_be_answered_is_status_2() {
    let broken = Folder::new("[web]\nlisen = \"127.0.0.1:1\"\n");
    let output = broken.run(&["host", "check"]);
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("lisen"), "{said}");
    assert!(output.stdout.is_empty());
    for arguments in [
        &["host"][..],
        &["host", "check", "--yaml"],
        &["host", "mend"],
    ] {
        let output = broken.run(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    }
}

#[test]
fn a_reader_that_stops_is_no_error() {
    let folder = Folder::new(&gateway(free(), ""));
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringway"));
    command.args(["host", "check", "--json", "--config"]);
    command.arg(folder.config());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    drop(child.stdout.take());
    let said = BufReader::new(child.stderr.take().unwrap()).lines().count();
    assert_eq!((child.wait().unwrap().code(), said), (Some(0), 0));
}
