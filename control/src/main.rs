//! `ringway`: arguments, configuration, start.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};
use clap_complete::Shell;
use control::config::Config;
use control::host::{Purpose, Verdict};
use control::{explain, host, shell};

/// Memory that a burst of calls took goes back to the system within seconds, whichever thread had
/// asked for it; and messages, which cross threads, cost less than with the C library's.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// The configuration file of the package.
const INSTALLED: &str = "/etc/ringway/ringway.toml";

/// A WebRTC edge for carriers: SIP over WebSocket and DTLS-SRTP on one side, SIP over UDP and RTP
/// on the other. Without --config: a gateway if OUTBOUND_PROXY is in the environment, else what
/// /etc/ringway/ringway.toml says, else a demo on this machine.
#[derive(Debug, Parser)]
#[command(name = "ringway", version)]
struct Arguments {
    /// Configuration file (TOML)
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Says whether a configuration is valid, and prints what would be in effect
    CheckConfig {
        /// Configuration file (TOML); without one, what a start without --config would take
        file: Option<PathBuf>,
    },
    /// Calls the echo line through the daemon that runs on this machine with the configuration of
    /// --config, as a browser would: WebSocket, ICE, DTLS, SRTP. Prints one line; the exit status is
    /// 1 if anything of it fails. Without --config: with what a start without it would take
    Selftest {
        /// Number of the line that calls; the first one of the configuration unless given
        #[arg(long, value_name = "NUMBER")]
        line: Option<String>,
    },
    /// Writes the manual page and the completions of shells, for packages
    #[command(hide = true)]
    Generate {
        /// Folder that they are written to
        folder: PathBuf,
    },
    /// Looks at this host
    Host {
        #[command(subcommand)]
        command: HostCommand,
    },
    /// Says how SIP messages are understood, header by header, or why and where they are refused;
    /// the exit status is 1 if one is refused. Secrets are not repeated
    Explain {
        /// Files with one message each; - is standard input
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// The files are session descriptions
        #[arg(long)]
        sdp: bool,
        /// Print a JSON array
        #[arg(long)]
        json: bool,
        /// Take line feeds for CRLF also in a file that has carriage returns elsewhere
        #[arg(long)]
        crlf: bool,
    },
}

#[derive(Debug, Subcommand)]
enum HostCommand {
    /// Says what this host has and lacks for the configuration of --config (without: for what
    /// would start), and what mends it; the exit status is 1 if calls cannot be carried, 2 if the
    /// configuration cannot be read
    Check {
        /// Print a JSON array
        #[arg(long)]
        json: bool,
    },
}

/// Exit status of what was asked in a way that cannot be answered, as for unknown arguments.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome = match (arguments.command, arguments.config) {
        (Some(Command::CheckConfig { file }), config) => check_config(file.or(config).as_deref()),
        (
            Some(Command::Explain {
                files,
                sdp,
                json,
                crlf,
            }),
            _,
        ) => match explain(&files, sdp, json, crlf) {
            Ok(true) => Ok(()),
            Ok(false) => return ExitCode::FAILURE,
            Err(message) => Err(message),
        },
        (Some(Command::Selftest { line }), file) => selftest(file.as_deref(), line.as_deref()),
        (Some(Command::Generate { folder }), _) => {
            generate(&folder).map_err(|error| format!("{}: {error}", folder.display()))
        }
        (Some(Command::Host { command }), file) => {
            let HostCommand::Check { json } = command;
            match check_host(file.as_deref(), json) {
                Ok(status) => return status,
                Err(message) => Err(message),
            }
        }
        (None, file) => run(file.as_deref()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            // Nobody is left to be told when standard error is closed.
            drop(writeln!(io::stderr(), "ringway: {message}"));
            ExitCode::FAILURE
        }
    }
}

fn env(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn run(file: Option<&Path>) -> Result<(), String> {
    shell::run(configuration(file)?).map_err(|error| error.to_string())
}

/// The file that is named, else the carrier that the environment names, else the file of the
/// package, else the demo.
fn configuration(file: Option<&Path>) -> Result<Config, String> {
    let names_carrier = |name| env(name).is_some_and(|value| !value.trim().is_empty());
    let by_environment = ["OUTBOUND_PROXY", "OUTBOUND_ROUTE"]
        .iter()
        .any(|name| names_carrier(name));
    let installed =
        || Some(PathBuf::from(INSTALLED)).filter(|file| !by_environment && file.is_file());
    let config = match file.map(Path::to_owned).or_else(installed) {
        Some(file) => Config::load(&file, &env),
        None => {
            let passwords = shell::demo_passwords().map_err(|error| error.to_string())?;
            Config::without_file(passwords, &shell::host_address, &env)
        }
    };
    config.map_err(|error| error.to_string())
}

/// Prints what this host has and lacks.
fn check_host(file: Option<&Path>, json: bool) -> Result<ExitCode, String> {
    let config = match configuration(file) {
        Ok(config) => config,
        Err(message) => {
            drop(writeln!(io::stderr(), "ringway: {message}"));
            return Ok(ExitCode::from(USAGE));
        }
    };
    let findings = shell::check_host(&config, Purpose::Check);
    let mut out = io::stdout().lock();
    finished(if json {
        let written = serde_json::to_writer_pretty(&mut out, &findings);
        written
            .map_err(io::Error::from)
            .and_then(|()| writeln!(out))
    } else {
        write!(out, "{}", host::Report(&findings))
    })?;
    let fails = findings
        .iter()
        .any(|finding| finding.verdict == Verdict::Failure);
    Ok(if fails {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

/// Writes `ringway.1` and what three shells complete arguments with.
fn generate(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let mut command = Arguments::command();
    clap_mangen::generate_to(command.clone(), folder)?;
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        clap_complete::generate_to(shell, &mut command, "ringway", folder)?;
    }
    Ok(())
}

/// Calls the echo of the daemon that runs with this configuration.
fn selftest(file: Option<&Path>, line: Option<&str>) -> Result<(), String> {
    let config = configuration(file)?;
    // The passwords of the demo are new at each start: the page of the one that runs has them.
    let config = Some(&config).filter(|config| !config.demo);
    let passed = shell::selftest(config, line).map_err(|error| error.to_string())?;
    finished(writeln!(io::stdout(), "selftest {passed}"))
}

fn check_config(file: Option<&Path>) -> Result<(), String> {
    let config = configuration(file)?;
    let mut out = io::stdout().lock();
    let written = writeln!(out, "{} is valid\n\n{}", config.source, config.effective());
    let mut warnings = config.warnings().into_iter();
    finished(
        written.and_then(|()| warnings.try_for_each(|text| writeln!(out, "# warning: {text}"))),
    )
}

/// Whoever reads standard output may stop when it has seen enough (`| head`).
fn finished(written: io::Result<()>) -> Result<(), String> {
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.to_string()),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Prints what files mean; true if none is refused.
fn explain(files: &[PathBuf], sdp: bool, json: bool, crlf: bool) -> Result<bool, String> {
    let explained = files.iter().map(|file| {
        let bytes = read(file).map_err(|error| format!("{}: {error}", file.display()))?;
        let is_pasted = !bytes.contains(&b'\r') && bytes.contains(&b'\n');
        if is_pasted && !crlf {
            let name = file.display();
            drop(writeln!(
                io::stderr(),
                "{name}: line feeds alone are taken for CRLF"
            ));
        }
        let bytes = if crlf || is_pasted {
            with_crlf(&bytes)
        } else {
            bytes
        };
        let explanation = if sdp {
            explain::session_description(&bytes)
        } else {
            explain::message(&bytes.into())
        };
        Ok((file.display().to_string(), explanation))
    });
    let explained: Vec<_> = explained.collect::<Result<_, String>>()?;
    finished(print_explained(&explained, json))?;
    Ok(explained
        .iter()
        .all(|(_, explanation)| explanation.is_accepted()))
}

fn print_explained(explained: &[(String, explain::Explanation)], json: bool) -> io::Result<()> {
    let mut out = io::stdout().lock();
    if json {
        let row = |(file, explanation): &(String, _)| serde_json::json!({ "file": file, "explanation": explanation });
        let rows: Vec<_> = explained.iter().map(row).collect();
        serde_json::to_writer_pretty(&mut out, &rows)?;
        return writeln!(out);
    }
    for (index, (file, explanation)) in explained.iter().enumerate() {
        if explained.len() > 1 {
            let gap = if index == 0 { "" } else { "\n" };
            writeln!(out, "{gap}== {file}")?;
        }
        write!(out, "{explanation}")?;
    }
    Ok(())
}

fn read(file: &Path) -> io::Result<Vec<u8>> {
    if file != Path::new("-") {
        return fs::read(file);
    }
    let mut bytes = Vec::new();
    io::stdin().read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Puts a carriage return in front of each line feed that has none.
fn with_crlf(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() + bytes.len() / 16);
    for byte in bytes {
        if *byte == b'\n' && out.last() != Some(&b'\r') {
            out.push(b'\r');
        }
        out.push(*byte);
    }
    out
}
