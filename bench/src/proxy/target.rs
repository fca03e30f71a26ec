//! The programs that are measured, each pinned to one core, on loopback.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use std::{env, fs};

use crate::Failure;
use crate::clock::{now, sleep};

/// Time for a target to begin.
const PATIENCE: Duration = Duration::from_secs(20);

/// A target; it ends with this.
pub(crate) struct Target {
    process: Child,
    folder: PathBuf,
    address: SocketAddr,
}

impl Target {
    /// Ringway with a trunk of these keys, on whatever core.
    pub(crate) fn ringway(
        core: Option<usize>,
        trunk: &str,
        more: &str,
        program: Option<PathBuf>,
    ) -> Result<Self, Failure> {
        let program = match program {
            Some(program) => program,
            None => env::current_exe()?.with_file_name("ringway"),
        };
        let (folder, address, sip) = (folder()?, free_tcp()?, free_udp()?);
        let file = folder.join("ringway.toml");
        let tcp = free_tcp()?;
        let text = format!(
            "[web]\nlisten = \"{address}\"\ntls = \"off\"\nconnections_max = 4000\n\
             connections_per_source_max = 4000\nhandshakes_per_second_per_source = 1000000\n\
             messages_per_second = 1000000\nmessages_per_second_per_source = 1000000\n\
             [sip]\nlisten = \"{sip}\"\nlisten_tcp = \"{tcp}\"\n[media]\nbrowser_port = 0\nflows_max = 16384\n\
             [log]\nlevel = \"error\"\n\
             [[trunk]]\nname = \"carrier\"\ndomain = \"example.test\"\n{trunk}\n{more}\n"
        );
        fs::write(&file, text)?;
        let program = program.display().to_string();
        let arguments = [program.as_str(), "--config", &file.display().to_string()];
        Self::start(core, &arguments, folder, address)
    }

    pub(super) fn kamailio(core: usize, registrar: SocketAddr) -> Result<Self, Failure> {
        let (folder, address, sip) = (folder()?, free_tcp()?, free_udp()?);
        let file = folder.join("kamailio.cfg");
        fs::write(&file, kamailio_configuration(address, sip, registrar))?;
        let (file, run) = (file.display().to_string(), folder.display().to_string());
        let arguments = [
            "kamailio", "-f", &file, "-DD", "-E", "-m", "256", "-M", "16", "-Y", &run,
            // Its fast allocator, as for production: Debian's default, the one for debugging, takes
            // two thirds of the time here.
            "-x", "fm", "-X", "fm",
        ];
        let started = Self::start(Some(core), &arguments, folder, address);
        started.map_err(|error| format!("{error}; tests/install.sh bench installs it").into())
    }

    fn start(
        core: Option<usize>,
        arguments: &[&str],
        folder: PathBuf,
        address: SocketAddr,
    ) -> Result<Self, Failure> {
        let log = fs::File::create(folder.join("log"))?;
        let pinned: Vec<String> = match core {
            Some(core) => ["taskset", "-c", &core.to_string()]
                .map(str::to_owned)
                .into(),
            None => Vec::new(),
        };
        let mut words = pinned
            .iter()
            .map(String::as_str)
            .chain(arguments.iter().copied());
        let process = Command::new(words.next().ok_or("no program")?)
            .args(words)
            // Its children belong to it.
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .map_err(|error| format!("{} does not start: {error}", arguments.join(" ")))?;
        let mut target = Self {
            process,
            folder,
            address,
        };
        let patience = now() + PATIENCE;
        while now() < patience {
            if TcpStream::connect(address).is_ok() {
                return Ok(target);
            }
            if let Some(status) = target.process.try_wait()? {
                let log = fs::read_to_string(target.folder.join("log")).unwrap_or_default();
                return Err(format!("{} has ended: {status}\n{log}", arguments.join(" ")).into());
            }
            sleep(Duration::from_millis(20));
        }
        Err(format!("{} does not listen", arguments.join(" ")).into())
    }

    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its resident memory.
    pub(crate) fn rss_kb(&self) -> Result<u64, Failure> {
        // With taskset in front it is still the same process.
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id()))?;
        let line = status.lines().find(|line| line.starts_with("VmRSS:"));
        let number = line.and_then(|line| line.split_whitespace().nth(1));
        Ok(number.ok_or("no VmRSS in /proc")?.parse()?)
    }

    /// CPU time of all threads of all its processes.
    pub(crate) fn cpu(&self) -> Result<Duration, Failure> {
        let group = self.process.id().to_string();
        let mut total = 0;
        for process in fs::read_dir("/proc")?.flatten() {
            let path = process.path();
            if group_of(&path).as_deref() != Some(group.as_str()) {
                continue;
            }
            for task in fs::read_dir(path.join("task"))
                .into_iter()
                .flatten()
                .flatten()
            {
                let times = fs::read_to_string(task.path().join("schedstat"));
                let times = times.unwrap_or_default();
                let first = times.split_whitespace().next();
                total += first.and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
            }
        }
        Ok(Duration::from_nanos(total))
    }
}

/// The process group in `/proc/PID/stat`: the third field behind the name.
fn group_of(process: &Path) -> Option<String> {
    let text = fs::read_to_string(process.join("stat")).ok()?;
    let (_, fields) = text.rsplit_once(')')?;
    fields.split_whitespace().nth(2).map(str::to_owned)
}

impl Drop for Target {
    fn drop(&mut self) {
        let group = format!("-{}", self.process.id());
        for signal in ["-TERM", "-KILL"] {
            // It may have ended by itself; there is nobody to tell.
            drop(
                Command::new("kill")
                    .args([signal, "--", &group])
                    .stderr(Stdio::null())
                    .status(),
            );
            sleep(Duration::from_millis(300));
        }
        drop(self.process.wait());
        drop(fs::remove_dir_all(&self.folder));
    }
}

fn folder() -> Result<PathBuf, Failure> {
    let name = format!("ringway-bench-proxy-{}", std::process::id());
    let folder = env::temp_dir().join(name);
    fs::create_dir_all(&folder)?;
    Ok(folder)
}

fn free_tcp() -> Result<SocketAddr, Failure> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

fn free_udp() -> Result<SocketAddr, Failure> {
    Ok(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

/// A registrar's edge as its documentation shows it: Path with the browser's address, transactions
/// for everything, no log. One process reads TCP, one UDP: there is one core.
fn kamailio_configuration(web: SocketAddr, sip: SocketAddr, registrar: SocketAddr) -> String {
    format!(
        r#"#!KAMAILIO
debug=-1
log_stderror=yes
fork=yes
children=1
tcp_children=1
listen=udp:{sip}
listen=tcp:{web}
tcp_accept_no_cl=yes
tcp_max_connections=4096
tcp_connection_lifetime=3600
mpath="/usr/lib/x86_64-linux-gnu/kamailio/modules/:/usr/lib/aarch64-linux-gnu/kamailio/modules/"
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "rr.so"
loadmodule "pv.so"
loadmodule "maxfwd.so"
loadmodule "textops.so"
loadmodule "siputils.so"
loadmodule "nathelper.so"
loadmodule "path.so"
loadmodule "xhttp.so"
loadmodule "websocket.so"
modparam("path", "use_received", 1)
modparam("websocket", "keepalive_mechanism", 0)
event_route[xhttp:request] {{
  if ($hdr(Upgrade) =~ "websocket") {{ ws_handle_handshake(); exit; }}
  xhttp_reply("404", "Not Found", "", "");
}}
request_route {{
  if (!mf_process_maxfwd_header("10")) {{ sl_send_reply("483", "Too Many Hops"); exit; }}
  if (is_method("CANCEL")) {{ if (t_check_trans()) {{ t_relay(); }} exit; }}
  t_check_trans();
  force_rport();
  if (is_method("REGISTER")) {{ add_path_received(); }}
  else if (!is_method("MESSAGE")) {{ record_route(); }}
  $du = "sip:{registrar}";
  if (!t_relay()) {{ sl_reply_error(); }}
}}
"#
    )
}
