//! Each part of the process is killed by a panic: what `/health` says, and what comes back.
//!
//! The panics are asked for with `RINGWAY_PANIC` and SIGUSR2, which debug builds know.

#![cfg(debug_assertions)]
#![expect(clippy::unwrap_used, reason = "in a test a panic says what is wrong")]
#![expect(
    clippy::disallowed_methods,
    reason = "this test watches a process from outside"
)]

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(20);

struct Ringway {
    process: Child,
    web: SocketAddr,
    folder: std::path::PathBuf,
}

impl Ringway {
    /// Starts one whose parts panic in this order.
    fn start(panics: &str) -> Self {
        let free = || {
            TcpListener::bind("127.0.0.1:0")
                .unwrap()
                .local_addr()
                .unwrap()
        };
        let (web, sip, media) = (free(), free(), free().port());
        let name = format!("ringway-parts-{}-{}", std::process::id(), web.port());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        let config = folder.join("ringway.toml");
        let text = format!(
            "[web]\nlisten = \"{web}\"\n[sip]\nlisten = \"{sip}\"\nlisten_tcp = \"{sip}\"\n\
             [[trunk]]\nname = \"t\"\ntarget = \"127.0.0.1:9\"\ndomain = \"t.test\"\n\
             codecs = [\"PCMU\"]\n[media]\nbrowser_bind = \"127.0.0.1\"\nbrowser_port = {media}\n"
        );
        std::fs::write(&config, text).unwrap();
        let log = std::fs::File::create(folder.join("log")).unwrap();
        let process = Command::new(env!("CARGO_BIN_EXE_ringway"))
            .arg("--config")
            .arg(&config)
            .env("RINGWAY_PANIC", panics)
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut ringway = Self {
            process,
            web,
            folder,
        };
        ringway.wait_for(200);
        ringway
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    fn panic_next(&self) {
        let pid = self.process.id().to_string();
        let sent = Command::new("kill").args(["-USR2", &pid]).status().unwrap();
        assert!(sent.success());
    }

    /// The status that `/health` has, if anybody answers.
    fn health(&self) -> Option<u16> {
        let mut stream = TcpStream::connect(self.web).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).ok()?;
        let request = "GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        stream.write_all(request.as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        answer.split(' ').nth(1)?.parse().ok()
    }

    fn wait_for(&mut self, status: u16) {
        let began = Instant::now();
        while self.health() != Some(status) {
            let ended = self.process.try_wait().unwrap();
            assert!(ended.is_none(), "{ended:?}: {}", self.log());
            assert!(began.elapsed() < PATIENCE, "no {status}: {}", self.log());
            sleep(Duration::from_millis(5));
        }
    }

    /// The exit status, once it has ended by itself.
    fn status(&mut self) -> Option<i32> {
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            if let Some(status) = self.process.try_wait().unwrap() {
                return status.code();
            }
            sleep(Duration::from_millis(20));
        }
        panic!("it does not end: {}", self.log());
    }
}

impl Drop for Ringway {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
        drop(std::fs::remove_dir_all(&self.folder));
    }
}

#[test]
fn media_f1_a_part_that_panics_is_missed_at_once_and_comes_back() {
    let parts = [
        "handshakes",
        "sip",
        "sip-listener",
        "certificates",
        "worker",
        "handshakes",
        "worker",
    ];
    let mut ringway = Ringway::start(&parts.join(","));
    for part in parts {
        ringway.panic_next();
        ringway.wait_for(503);
        ringway.wait_for(200);
        let asked = format!("a panic in {part} was asked for");
        assert!(ringway.log().contains(&asked), "{}", ringway.log());
    }
}

#[test]
fn media_f1_a_listener_that_panics_listens_again() {
    let mut ringway = Ringway::start("web");
    ringway.panic_next();
    while !ringway.log().contains("a web listener runs again") {
        ringway.wait_for(200);
    }
    ringway.wait_for(200);
}

#[test]
fn media_f1_without_its_brain_the_process_ends_with_a_failure() {
    let mut ringway = Ringway::start("engine");
    ringway.panic_next();
    assert_eq!(ringway.status(), Some(1), "{}", ringway.log());
    let asked = "a panic in engine was asked for";
    assert!(ringway.log().contains(asked), "{}", ringway.log());
}
