//! What a service manager hears of ringway (`sd_notify(3)`).

#![cfg(debug_assertions)]
#![expect(clippy::unwrap_used, reason = "in a test a panic says what is wrong")]
#![expect(
    clippy::disallowed_methods,
    reason = "this test watches a process from outside"
)]

use std::fs;
use std::net::{TcpListener, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(20);
/// The watchdog is fed three times as often.
const WATCHDOG: Duration = Duration::from_millis(900);

/// A service manager with one service.
struct Manager {
    socket: UnixDatagram,
    service: Child,
    folder: PathBuf,
}

impl Manager {
    fn start(name: &str) -> Self {
        let folder =
            std::env::temp_dir().join(format!("ringway-notify-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let web = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        let media = UdpSocket::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        let text = format!(
            "[web]\nlisten = \"{web}\"\ntls = \"on\"\n[media]\nbrowser_bind = \"127.0.0.1\"\n\
             browser_port = {}\n",
            media.port()
        );
        let file = folder.join("ringway.toml");
        fs::write(&file, text).unwrap();
        let log = fs::File::create(folder.join("log")).unwrap();
        let service = Command::new(env!("CARGO_BIN_EXE_ringway"))
            .arg("--config")
            .arg(&file)
            .env("NOTIFY_SOCKET", &path)
            .env("WATCHDOG_USEC", WATCHDOG.as_micros().to_string())
            .env("RINGWAY_PANIC", "worker-stalls")
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        Self {
            socket,
            service,
            folder,
        }
    }

    /// The next thing that is said.
    fn next(&self) -> String {
        let mut buffer = [0; 4096];
        let length = self.socket.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    }

    /// Waits until this is said.
    fn wait_for(&self, what: &str) -> String {
        let began = Instant::now();
        loop {
            let said = self.next();
            if said.contains(what) {
                return said;
            }
            assert!(
                began.elapsed() < PATIENCE,
                "{what} is not said: {}",
                self.log()
            );
        }
    }

    fn signal(&self, name: &str) {
        let pid = self.service.id().to_string();
        let sent = Command::new("kill").args([name, &pid]).status().unwrap();
        assert!(sent.success());
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap()
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        drop(self.service.kill());
        drop(self.service.wait());
        drop(fs::remove_dir_all(&self.folder));
    }
}

#[test]
fn it_is_ready_says_what_it_does_reads_files_again_and_stops() {
    let mut manager = Manager::start("life");
    assert_eq!(manager.next().trim(), "READY=1");
    let status = manager.wait_for("STATUS=");
    assert_eq!(status.trim(), "STATUS=0 calls, 0 WebSockets");
    manager.signal("-HUP");
    let reloading = manager.wait_for("RELOADING=1");
    assert!(reloading.contains("MONOTONIC_USEC="), "{reloading}");
    manager.wait_for("READY=1");
    manager.signal("-TERM");
    manager.wait_for("STOPPING=1");
    assert!(manager.service.wait().unwrap().success());
}

#[test]
fn the_watchdog_is_fed_while_it_is_idle_and_not_when_a_worker_hangs() {
    let manager = Manager::start("watchdog");
    for _ in 0..4 {
        manager.wait_for("WATCHDOG=1");
    }
    manager.signal("-USR2");
    let began = Instant::now();
    while !manager.log().contains("media worker 0 does not move") {
        assert!(began.elapsed() < PATIENCE, "{}", manager.log());
        std::thread::sleep(Duration::from_millis(20));
    }
    // What was said before it hung.
    manager.socket.set_nonblocking(true).unwrap();
    while manager.socket.recv(&mut [0; 4096]).is_ok() {}
    manager.socket.set_nonblocking(false).unwrap();
    manager.socket.set_read_timeout(Some(WATCHDOG * 2)).unwrap();
    let mut buffer = [0; 4096];
    while let Ok(length) = manager.socket.recv(&mut buffer) {
        let said = String::from_utf8_lossy(&buffer[..length]);
        assert!(!said.contains("WATCHDOG=1"), "{said}");
    }
}
