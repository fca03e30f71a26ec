//! `ringway-bench connections`: how much memory an idle WSS connection of a browser takes, and how
//! fast they open. Starts a ringway of its own on loopback; its clients come from several addresses,
//! as there are limits for each.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use std::{env, fs, thread};

use clap::Args;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme, StreamOwned};
use serde::Serialize;
use socket2::{Domain, SockAddr, Socket, Type};

use crate::Failure;
use crate::clock::{now, sleep};

/// What an idle connection may take of the heap.
const HEAP_BYTES_MAX: u64 = 24 * 1024;
/// Connections from one address: below the limit for one.
const PER_SOURCE: usize = 500;
/// Files beside the connections.
const SPARE_FILES: usize = 4096;
/// Connections before the memory is looked at first: what every process needs once.
const WARM_UP: usize = 64;
/// Time for ringway to begin, and for one client to be answered.
const PATIENCE: Duration = Duration::from_secs(20);
/// Time for buffers of handshakes to be given back.
const SETTLE: Duration = Duration::from_secs(2);
/// Set for the process that runs with the higher limit of open files.
const RAISED: &str = "RINGWAY_BENCH_FILES_RAISED";

/// Arguments of `ringway-bench connections`.
#[derive(Args)]
pub(crate) struct ConnectionsArguments {
    /// Connections that are open at the end.
    #[arg(long, default_value_t = 8000, value_parser = clap::value_parser!(u32).range(100..=50_000))]
    count: u32,
    /// Threads that open them.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=64))]
    threads: u32,
    /// The program that is measured. Default: `ringway` beside this one.
    #[arg(long)]
    ringway: Option<PathBuf>,
    /// Write the result here too.
    #[arg(long)]
    json: Option<PathBuf>,
}

/// The result.
#[derive(Debug, Serialize)]
struct Row {
    subject: &'static str,
    connections: usize,
    /// Anonymous memory that is resident (heap and stacks), for each connection.
    heap_bytes_per_connection: u64,
    /// All resident memory, for each connection.
    resident_bytes_per_connection: u64,
    handshakes_per_second: f64,
    /// CPU time of ringway for each handshake: TCP, TLS 1.3 and HTTP upgrade.
    cpu_us_per_handshake: f64,
}

type Client = StreamOwned<ClientConnection, TcpStream>;

/// # Errors
/// ringway does not start, a connection does not open or stay, or one takes too much memory.
pub(crate) fn run(arguments: &ConnectionsArguments) -> Result<(), Failure> {
    let count = usize::try_from(arguments.count)?;
    if env::var_os(RAISED).is_none() {
        return run_with_files(count + SPARE_FILES);
    }
    let ringway = match &arguments.ringway {
        Some(path) => path.clone(),
        None => env::current_exe()?.with_file_name("ringway"),
    };
    let server = Server::start(&ringway, count)?;
    let config = Arc::new(client_config()?);
    let mut clients = open(&server, &config, 0, WARM_UP, arguments.threads)?;
    sleep(SETTLE);
    let (before, began, cpu) = (server.memory()?, now(), server.cpu()?);
    clients.extend(open(&server, &config, WARM_UP, count, arguments.threads)?);
    let (took, cpu) = (now() - began, server.cpu()? - cpu);
    sleep(SETTLE);
    let after = server.memory()?;
    let live = alive(&mut clients)?;
    if live < clients.len() {
        return Err(format!("of {} connections {live} are left", clients.len()).into());
    }
    let opened = u64::try_from(count)?;
    let each = |of: fn(&Memory) -> u64| of(&after).saturating_sub(of(&before)) / opened;
    let row = Row {
        subject: "ringway",
        connections: clients.len(),
        heap_bytes_per_connection: each(|memory| memory.anonymous),
        resident_bytes_per_connection: each(|memory| memory.resident),
        handshakes_per_second: f64::from(arguments.count) / took.as_secs_f64(),
        cpu_us_per_handshake: cpu.as_secs_f64() * 1e6 / f64::from(arguments.count),
    };
    show(&row);
    if let Some(path) = &arguments.json {
        let mut file = fs::File::create(path)?;
        serde_json::to_writer_pretty(&mut file, &[&row])?;
        file.write_all(b"\n")?;
    }
    if row.heap_bytes_per_connection > HEAP_BYTES_MAX {
        return Err(format!("more than {HEAP_BYTES_MAX} bytes for an idle connection").into());
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the report of a command")]
fn show(row: &Row) {
    println!(
        "{} WSS connections: {} bytes of heap each ({} resident), {:.0} handshakes/s, {:.0} us of \
         CPU each",
        row.connections,
        row.heap_bytes_per_connection,
        row.resident_bytes_per_connection,
        row.handshakes_per_second,
        row.cpu_us_per_handshake
    );
}

/// This program again, with as many files as are needed: the shell sets the limit.
fn run_with_files(files: usize) -> Result<(), Failure> {
    let script = format!("ulimit -n {files} && exec \"$@\"");
    let status = Command::new("sh")
        .args(["-c", &script, "ringway-bench"])
        .arg(env::current_exe()?)
        .args(env::args_os().skip(1))
        .env(RAISED, "1")
        .status()?;
    if status.success() {
        return Ok(());
    }
    Err(format!("with {files} open files: {status}").into())
}

/// A ringway on loopback; it ends with this.
struct Server {
    process: Child,
    address: SocketAddr,
    folder: PathBuf,
}

impl Server {
    fn start(program: &Path, connections: usize) -> Result<Self, Failure> {
        let folder = env::temp_dir().join(format!("ringway-bench-{}", std::process::id()));
        fs::create_dir_all(&folder)?;
        let (config, out) = (folder.join("ringway.toml"), folder.join("out"));
        let text = format!(
            "[web]\nlisten = \"127.0.0.1:0\"\ntls = \"on\"\nconnections_max = {}\n\
             handshakes_per_second_per_source = 1000000\n[media]\nbrowser_port = 0\n\
             [log]\nlevel = \"warn\"\n",
            connections + 1000
        );
        fs::write(&config, text)?;
        let process = Command::new(program)
            .arg("--config")
            .arg(&config)
            .stdout(fs::File::create(&out)?)
            .stdin(Stdio::null())
            .spawn()
            .map_err(|error| format!("cannot start {}: {error}", program.display()))?;
        let mut server = Self {
            process,
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            folder,
        };
        let patience = now() + PATIENCE;
        while now() < patience {
            let text = fs::read_to_string(&out)?;
            let said = text.lines().find_map(|line| line.split("https://").nth(1));
            if let Some(address) = said.and_then(|text| text.trim_end_matches('/').parse().ok()) {
                server.address = address;
                return Ok(server);
            }
            if let Some(status) = server.process.try_wait()? {
                return Err(format!("ringway has ended: {status}").into());
            }
            sleep(Duration::from_millis(20));
        }
        Err("ringway does not say where it listens".into())
    }

    fn memory(&self) -> Result<Memory, Failure> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id()))?;
        let bytes = |key: &str| -> Result<u64, Failure> {
            let line = status.lines().find_map(|line| line.strip_prefix(key));
            let number = line.and_then(|line| line.split_whitespace().next());
            Ok(number.ok_or("no such line in /proc")?.parse::<u64>()? * 1024)
        };
        Ok(Memory {
            anonymous: bytes("RssAnon:")?,
            resident: bytes("VmRSS:")?,
        })
    }

    /// CPU time of all its threads.
    fn cpu(&self) -> Result<Duration, Failure> {
        let mut total = 0;
        for task in fs::read_dir(format!("/proc/{}/task", self.process.id()))? {
            let times = fs::read_to_string(task?.path().join("schedstat"))?;
            let first = times.split_whitespace().next();
            total += first.ok_or("no times in /proc")?.parse::<u64>()?;
        }
        Ok(Duration::from_nanos(total))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself; there is nobody to tell.
        drop(self.process.kill());
        drop(self.process.wait());
        drop(fs::remove_dir_all(&self.folder));
    }
}

struct Memory {
    anonymous: u64,
    resident: u64,
}

/// Opens the connections with these numbers.
fn open(
    server: &Server,
    config: &Arc<ClientConfig>,
    first: usize,
    end: usize,
    threads: u32,
) -> Result<Vec<Client>, Failure> {
    let (next, clients) = (AtomicUsize::new(first), Mutex::new(Vec::new()));
    let work = || -> Result<(), String> {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= end {
                return Ok(());
            }
            let client = connect(server.address, config, number)
                .map_err(|error| format!("connection {number}: {error}"))?;
            let mut clients = clients.lock().unwrap_or_else(PoisonError::into_inner);
            clients.push(client);
        }
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let outcome = |worker: thread::ScopedJoinHandle<'_, Result<(), String>>| {
            let ended = worker.join();
            ended.unwrap_or_else(|_| Err("a thread has failed".to_owned()))
        };
        workers.into_iter().try_for_each(outcome)
    })?;
    Ok(clients.into_inner().unwrap_or_else(PoisonError::into_inner))
}

fn connect(to: SocketAddr, config: &Arc<ClientConfig>, number: usize) -> Result<Client, Failure> {
    let host = u8::try_from(2 + number / PER_SOURCE)?;
    let from = SocketAddr::from((Ipv4Addr::new(127, 0, 0, host), 0));
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind(&SockAddr::from(from))?;
    socket.connect(&SockAddr::from(to))?;
    socket.set_read_timeout(Some(PATIENCE))?;
    let name = ServerName::from(to.ip());
    let tls = ClientConnection::new(Arc::clone(config), name)?;
    let mut client = StreamOwned::new(tls, TcpStream::from(socket));
    let request = format!(
        "GET /ws HTTP/1.1\r\nHost: {to}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Protocol: sip\r\n\r\n"
    );
    client.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    let mut byte = [0];
    while !answer.ends_with(b"\r\n\r\n") {
        client.read_exact(&mut byte)?;
        answer.extend(byte);
    }
    if answer.starts_with(b"HTTP/1.1 101 ") {
        Ok(client)
    } else {
        Err(String::from_utf8_lossy(&answer).into_owned().into())
    }
}

/// How many are still open: nothing has come, or nothing but frames.
fn alive(clients: &mut [Client]) -> Result<usize, Failure> {
    let mut count = 0;
    for client in clients {
        client.sock.set_nonblocking(true)?;
        let mut byte = [0];
        match client.sock.peek(&mut byte) {
            Ok(0) => {}
            Ok(_) => count += 1,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => count += 1,
            Err(_) => {}
        }
    }
    Ok(count)
}

fn client_config() -> Result<ClientConfig, Failure> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate))
        .with_no_client_auth();
    Ok(config)
}

/// The server is our own child: its certificate is not looked at.
#[derive(Debug)]
struct AnyCertificate;

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        aws_lc_rs::default_provider()
            .signature_verification_algorithms
            .supported_schemes()
    }
}
