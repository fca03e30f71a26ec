//! `ringway selftest` beside a ringway that runs, and beside none.

#![expect(clippy::unwrap_used, reason = "in a test a panic says what is wrong")]
#![expect(
    clippy::disallowed_methods,
    reason = "this test watches processes from outside"
)]

use std::fs;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(20);

/// A folder with a configuration, and a ringway that runs with it.
struct Ringway {
    folder: PathBuf,
    process: Child,
}

impl Ringway {
    /// `web` are more lines of [web].
    fn start(name: &str, web: &str) -> Self {
        let folder =
            std::env::temp_dir().join(format!("ringway-selftest-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let media = UdpSocket::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        drop(listener);
        let text = format!(
            "[web]\nlisten = \"{address}\"\n{web}\n[media]\nbrowser_bind = \"127.0.0.1\"\n\
             browser_port = {}\n[[line]]\nnumber = \"1001\"\npassword = \"right-right-right\"\n",
            media.port()
        );
        let file = folder.join("ringway.toml");
        fs::write(&file, text.replace("FOLDER", folder.to_str().unwrap())).unwrap();
        certificate(&folder, "shown");
        let log = fs::File::create(folder.join("log")).unwrap();
        let process = ringway(&["--config", file.to_str().unwrap()])
            .stderr(log)
            .spawn()
            .unwrap();
        let began = Instant::now();
        while TcpStream::connect(address).is_err() {
            assert!(began.elapsed() < PATIENCE, "it does not listen");
            sleep(Duration::from_millis(10));
        }
        Self { folder, process }
    }

    fn file(&self) -> PathBuf {
        self.folder.join("ringway.toml")
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap()
    }
}

impl Drop for Ringway {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
        drop(fs::remove_dir_all(&self.folder));
    }
}

fn ringway(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringway"));
    command.args(arguments).stdout(Stdio::null());
    command
}

/// The exit status of a self-test, and all that it says.
fn selftest(file: &Path, more: &[&str]) -> (bool, String) {
    let mut arguments = vec!["selftest", "--config", file.to_str().unwrap()];
    arguments.extend(more);
    let Output {
        status,
        stdout,
        stderr,
    } = ringway(&arguments).stdout(Stdio::piped()).output().unwrap();
    let said = String::from_utf8([stdout, stderr].concat()).unwrap();
    assert_eq!(said.lines().count(), 1, "{said}");
    (status.success(), said)
}

/// Writes NAME.pem and NAME.key.
fn certificate(folder: &Path, name: &str) {
    let made = rcgen::generate_simple_self_signed(vec!["edge.example".to_owned()]).unwrap();
    fs::write(folder.join(format!("{name}.pem")), made.cert.pem()).unwrap();
    let key = made.signing_key.serialize_pem();
    fs::write(folder.join(format!("{name}.key")), key).unwrap();
}

#[test]
fn a_call_to_the_echo_passes_and_its_record_is_in_the_log() {
    let ringway = Ringway::start("passes", "");
    let (passed, said) = selftest(&ringway.file(), &[]);
    assert!(passed, "{said}{}", ringway.log());
    assert!(
        said.contains("1001 called 9196 over ws://127.0.0.1:"),
        "{said}"
    );
    assert!(said.contains("50 of 50 packets came back"), "{said}");
    // The record is written when the workers have said what passed.
    let began = Instant::now();
    while !ringway
        .log()
        .contains("status=200 reason=\"caller hung up\"")
    {
        assert!(began.elapsed() < PATIENCE, "{}", ringway.log());
        sleep(Duration::from_millis(10));
    }
}

#[test]
fn over_tls_the_certificate_is_the_one_of_the_configuration() {
    let web =
        "tls = \"on\"\ncertificate = \"FOLDER/shown.pem\"\nprivate_key = \"FOLDER/shown.key\"";
    let ringway = Ringway::start("certificate", web);
    let (passed, said) = selftest(&ringway.file(), &[]);
    assert!(passed && said.contains("wss://"), "{said}{}", ringway.log());

    // The daemon has read the other one, and looks for a new one only now and then.
    certificate(&ringway.folder, "other");
    let text = fs::read_to_string(ringway.file()).unwrap();
    let other = ringway.folder.join("other.toml");
    fs::write(&other, text.replace("shown.", "other.")).unwrap();
    let (passed, said) = selftest(&other, &[]);
    assert!(
        !passed && said.contains("shows another certificate than"),
        "{said}"
    );
}

#[test]
fn each_failure_is_one_line_that_says_what_to_do() {
    let ringway = Ringway::start("fails", "");
    let (passed, said) = selftest(&ringway.file(), &["--line", "1002"]);
    assert!(!passed && said.contains("has no line 1002"), "{said}");

    let text = fs::read_to_string(ringway.file()).unwrap();
    let changed = ringway.folder.join("changed.toml");
    fs::write(
        &changed,
        text.replace("right-right-right", "wrong-wrong-wrong"),
    )
    .unwrap();
    let (passed, said) = selftest(&changed, &[]);
    assert!(
        !passed && said.contains("does the daemon run with this configuration?"),
        "{said}"
    );
    assert!(!said.contains("wrong-wrong"), "{said}");

    let file = ringway.file();
    let kept = fs::read_to_string(&file).unwrap();
    drop(ringway);
    let folder = std::env::temp_dir().join(format!("ringway-selftest-none-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let file = folder.join("ringway.toml");
    fs::write(&file, kept).unwrap();
    let (passed, said) = selftest(&file, &[]);
    assert!(!passed && said.contains("does ringway run?"), "{said}");
    fs::remove_dir_all(folder).unwrap();
}
