//! The configuration: one TOML file, read once at start and checked as a whole.
//!
//! [`Config::load`] reads a file and lays the environment over it; [`Config::without_file`] is what
//! runs without one: the gateway that the environment describes, or the demo. What comes out is complete and consistent: defaults are filled in, addresses
//! are concrete, names that point at something point at something that exists. The rest of the
//! program never looks at the file or the environment.
//!
//! Every key, its meaning, unit and default are listed in `control/config/ringway.toml`. These
//! variables of the environment win over the file (`environment`):
//!
//! | Variable | Key |
//! |---|---|
//! | `OUTBOUND_PROXY` | `target`, `transport` of the first `[[trunk]]`; makes one named `outbound` if there is none |
//! | `OUTBOUND_ROUTE` | `call_route` of that trunk, its account, `caller_number` and `called_number` |
//! | `MIN_RTP_PORT`, `MAX_RTP_PORT` | `[media] rtp_port_min`, `rtp_port_max` |
//! | `HTTPS_PORT`, `WSS_PORT` | the ports of `[web] listen` with TLS |
//! | `RTPP_LOG_LEVEL` | `[log] level` |

mod account;
mod acme;
mod check;
mod dtmf;
mod effective;
mod environment;
mod error;
mod file;
mod host_port;
mod limits;
mod numbers;
mod proxies;
mod refer;
mod secret;
mod sip;
mod target;
#[cfg(test)]
mod tests;
mod token;
mod trunk;
mod warnings;
mod web;

use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use dataplane::config::{BackendChoice, IoConfig};

use crate::sip::transaction::TransactionLimits;

use self::environment::Environment;

pub use account::AccountConfig;
pub use acme::AcmeConfig;
pub use dtmf::Dtmf;
pub use error::ConfigError;
pub use file::HostAddress;
pub use host_port::HostPort;
pub use limits::LimitsConfig;
pub use numbers::{NumberForm, NumbersConfig};
pub use proxies::{ProxiesConfig, ProxyHeader};
pub use refer::ReferPolicy;
pub use secret::Secret;
pub use sip::{CertificateFiles, SipConfig, Trust};
pub use target::TargetConfig;
pub use token::{TokenConfig, TokenKey, TokenRequired};
pub use trunk::{CallPolicy, TrunkConfig};
pub use web::{Certificate, HostCertificate, Origins, WebConfig, WebListener};

/// Everything that an operator can choose.
#[derive(Clone, Debug)]
pub struct Config {
    /// True when there is no file and no registrar: the web phone shows the lines and their
    /// passwords.
    pub demo: bool,
    /// Where all this was read.
    pub source: ConfigSource,
    /// `[server]`
    pub server: ServerConfig,
    /// `[web]`: where browsers come in.
    pub web: WebConfig,
    /// `[sip]`: the UDP socket towards carriers; `None` means that there is no trunk side.
    pub sip: Option<SipConfig>,
    /// `[media]`: addresses, ports and cores of the data plane.
    pub media: MediaConfig,
    /// `[log]`
    pub log: LogConfig,
    /// `[[trunk]]`: carriers. Not empty only if `sip` is given.
    pub trunks: Vec<TrunkConfig>,
    /// `[[realm]]`: which browsers belong to which carrier.
    pub realms: Vec<RealmConfig>,
    /// `[lines]` and `[[line]]`: the built-in registrar.
    pub lines: LinesConfig,
}

/// Where a configuration comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfigSource {
    /// This file, under the environment.
    File(String),
    /// The environment alone.
    Environment,
    /// Nothing but, perhaps, a few variables of the environment: the demo.
    Demo,
}

impl std::fmt::Display for ConfigSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(name) => f.write_str(name),
            Self::Environment => f.write_str("the environment, without a file"),
            Self::Demo => f.write_str("the demo, without a file"),
        }
    }
}

/// `[server]`
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// Shown in `User-Agent` and `Server`. Default `ringway`.
    pub name: String,
    /// Calls at a time; beyond it, 503. Default 20,000.
    pub calls_max: usize,
    /// SIP transactions at a time. Default 131,072 live ones (at least four a call) and 262,144 that
    /// wait for repetitions only.
    pub transactions: TransactionLimits,
}

/// `[media]`: the data plane.
#[derive(Clone, Debug)]
pub struct MediaConfig {
    /// Address of the browser-facing sockets. Default: the address of the first web listener.
    pub browser_bind: IpAddr,
    /// Address in ICE candidates; differs from `browser_bind` behind 1:1 NAT. Never unspecified.
    pub browser_advertise: IpAddr,
    /// UDP port of the first worker; worker `n` has `browser_port + n`. 0 takes free ports.
    /// Default 20000; 0 in the demo.
    pub browser_port: u16,
    /// Address of the trunk-facing sockets. Default: the address of `[sip] listen`, else
    /// `browser_bind`.
    pub trunk_bind: IpAddr,
    /// Address in the SDP for carriers. Never unspecified. Default: `trunk_bind`.
    pub trunk_advertise: IpAddr,
    /// Trunk-facing ports of all workers: an even first and an odd last port, as RTP and RTCP come
    /// in pairs. Default 10000 to 19999.
    pub rtp_ports: PortRange,
    /// One entry per worker: the core that it is pinned to, or `None`. Default: one, not pinned.
    pub cores: Vec<Option<usize>>,
    /// Flows (half calls) of each worker, at least 2. Default 2048.
    pub flows_max: usize,
    /// A flow without an authentic packet for this long ends its call. Default 60 s.
    pub silent_after: Duration,
    /// The same for the flow of a carrier on hold, which need not send (RFC 3264 section 8.4).
    /// Default: `None`, for ever.
    pub held_silent_after: Option<Duration>,
    /// Which way packets take between the workers and the kernel. Default: io_uring if allowed.
    pub backend: BackendChoice,
    /// How the media sockets are set up.
    pub io: IoConfig,
}

/// UDP ports in pairs: `first` is even, `last` is odd and greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortRange {
    /// An even port.
    pub first: u16,
    /// An odd port, greater than `first`.
    pub last: u16,
}

/// `[log]`
#[derive(Clone, Debug)]
pub struct LogConfig {
    /// Default `info`.
    pub level: LogLevel,
    /// Default `text`.
    pub format: LogFormat,
}

/// How much is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// We stop.
    Error,
    /// Somebody should look.
    Warn,
    /// Calls begin and end.
    Info,
    /// Details of calls, with addresses and numbers.
    Debug,
    /// Packets.
    Trace,
}

/// How a log line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}

/// `[[realm]]`: browsers whose address of record has this domain belong to this trunk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RealmConfig {
    /// Domain in the address of record, in lower case.
    pub domain: String,
    /// Index in [`Config::trunks`].
    pub trunk: usize,
    /// How registrations reach the carrier. Default `contact`.
    pub registration: Registration,
    /// With `path`: what becomes of a browser that does not know Path. Default `contact`.
    pub without_path: WithoutPath,
    /// What registrations ask the carrier for at least, in whole seconds; then refreshes are
    /// answered here while more than half of it is left. Only in Contact mode. Default: what the
    /// browser asks for, and every refresh goes to the carrier.
    pub upstream_expires: Option<Duration>,
    /// A browser that has been away for so long is unregistered at the carrier, which must take
    /// that without credentials. Default: its registration stays until it expires.
    pub unregister_after: Option<Duration>,
}

/// How the registration of a browser reaches a carrier.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Registration {
    /// The Contact is replaced by our own, with a token that stands for the browser.
    #[default]
    Contact,
    /// The Contact stays, and our Path (RFC 3327) names the browser's connection.
    Path,
}

/// What becomes of a REGISTER without `Supported: path` in a realm with `registration = "path"`
/// (RFC 3327 section 5.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WithoutPath {
    /// It is passed on in Contact mode.
    #[default]
    Contact,
    /// It gets our Path all the same.
    Add,
    /// 421 Extension Required.
    Refuse,
}

/// `[lines]`: the built-in registrar, for browsers that have no carrier.
#[derive(Clone, Debug)]
pub struct LinesConfig {
    /// Domain of the lines' addresses of record, in lower case. Default `ringway.local`.
    pub domain: String,
    /// Other domains that mean the same lines, in lower case. The addresses that `[web]` listens on
    /// always do: clients take the server's address for the domain.
    pub aliases: Vec<String>,
    /// Digest realm. Default: `domain`.
    pub realm: String,
    /// Whether SHA-256 is offered beside MD5 (RFC 8760). Default off: browsers' SIP stacks know MD5
    /// only and look at one challenge, SIP.js at the first and JsSIP at the last.
    pub sha256: bool,
    /// The number that plays back what it hears. Default 9196; `None` (`""` in the file) for none.
    pub echo: Option<String>,
    /// `[[line]]`
    pub entries: Vec<LineConfig>,
}

impl LinesConfig {
    /// Is this the domain of the lines, or another name of it?
    #[must_use]
    pub fn has_domain(&self, domain: &str) -> bool {
        let is_it = |name: &String| name.eq_ignore_ascii_case(domain);
        is_it(&self.domain) || self.aliases.iter().any(is_it)
    }
}

/// `[[line]]`: one user of the built-in registrar.
#[derive(Clone, Debug)]
pub struct LineConfig {
    /// User part of its address of record; unique.
    pub number: String,
    /// Its digest password.
    pub password: Secret,
    /// Display name. Default: `number`.
    pub name: String,
}

/// Fewest characters of `flow_secret`.
pub const FLOW_SECRET_LENGTH_MIN: usize = 16;

/// Audio codecs that can be named in `codecs`, spelled as in `rtpmap`.
pub const CODECS: [&str; 4] = ["opus", "G722", "PCMU", "PCMA"];

impl Config {
    /// Reads `path` and lays the environment, as told by `env`, over it.
    ///
    /// # Errors
    /// The file cannot be read, is no TOML, has an unknown key, or a value makes no sense; the
    /// error says file, line and what was meant.
    pub fn load(path: &Path, env: &dyn Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path)
            .map_err(|error| ConfigError::unreadable(&name, &error))?;
        Self::parse(&name, &text, env)
    }

    /// As [`Config::load`], with the text of the file; `name` is for messages.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn parse(
        name: &str,
        text: &str,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, ConfigError> {
        let file = file::parse(name, text)?;
        let environment = Environment::read(env)?;
        let mut config = check::check(file, &check::Source { name, text }, &environment)?;
        config.source = ConfigSource::File(name.to_owned());
        Ok(config)
    }

    /// The configuration without a file. With `OUTBOUND_PROXY` in the environment it is a gateway in
    /// front of that carrier, for the carrier's users. Else it is the demo: on loopback, lines 1001
    /// and 1002 with these passwords and an echo line, which call out if there is an
    /// `OUTBOUND_ROUTE`.
    ///
    /// # Errors
    /// A variable of the environment makes no sense, or the host has no way to the carrier.
    pub fn without_file(
        passwords: [String; 2],
        host: HostAddress<'_>,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, ConfigError> {
        let environment = Environment::read(env)?;
        if !environment.has_proxy() {
            return Self::demo(passwords, host, &environment);
        }
        let source = check::Source { name: "", text: "" };
        let mut config = check::check(environment.gateway(host)?, &source, &environment)?;
        config.source = ConfigSource::Environment;
        Ok(config)
    }

    /// Media has the host's own address: Firefox sends no ICE check to a loopback candidate.
    fn demo(
        [first, second]: [String; 2],
        host: HostAddress<'_>,
        environment: &Environment,
    ) -> Result<Self, ConfigError> {
        let mut file = file::File::demo();
        if environment.has_carrier() {
            environment.listen_for_carrier(&mut file, host)?;
        }
        let source = check::Source { name: "", text: "" };
        let mut config = check::check(file, &source, environment)?;
        config.demo = true;
        config.web.origins = Origins::SameAndLoopback;
        if let Some(address) = host(None) {
            config.media.browser_bind = address;
            config.media.browser_advertise = address;
        }
        config.lines.entries = vec![
            LineConfig {
                number: "1001".into(),
                password: first.into(),
                name: "Alice".into(),
            },
            LineConfig {
                number: "1002".into(),
                password: second.into(),
                name: "Bob".into(),
            },
        ];
        Ok(config)
    }

    /// The index of the trunk that users of this domain belong to: the realm's, or the only trunk
    /// if there are no realms. `None` for the domain of our own lines and for strangers.
    #[must_use]
    pub fn trunk_of_domain(&self, domain: &str) -> Option<usize> {
        if let Some(realm) = self.realm_of_domain(domain) {
            return Some(realm.trunk);
        }
        let own = !self.lines.entries.is_empty() && self.lines.has_domain(domain);
        (self.trunks.len() == 1 && self.realms.is_empty() && !own).then_some(0)
    }

    /// The `[[realm]]` of this domain, if there is one.
    #[must_use]
    pub fn realm_of_domain(&self, domain: &str) -> Option<&RealmConfig> {
        let is_it = |realm: &&RealmConfig| realm.domain.eq_ignore_ascii_case(domain);
        self.realms.iter().find(is_it)
    }

    /// The configuration in effect as TOML, without secrets, for the log and `check-config`.
    #[must_use]
    pub fn effective(&self) -> String {
        effective::effective(self)
    }
}

impl MediaConfig {
    /// The trunk-facing ports of one worker: an equal share of the range, in whole pairs. `None`
    /// beyond the last worker.
    #[must_use]
    pub fn rtp_ports_of(&self, worker: usize) -> Option<PortRange> {
        let workers = self.cores.len();
        if worker >= workers {
            return None;
        }
        let share = self.rtp_ports.pairs() / workers;
        let first = usize::from(self.rtp_ports.first) + worker * share * 2;
        let last = first + share * 2 - 1;
        Some(PortRange {
            first: u16::try_from(first).ok()?,
            last: u16::try_from(last).ok()?,
        })
    }
}

impl PortRange {
    /// How many RTP/RTCP pairs it holds.
    #[must_use]
    pub fn pairs(&self) -> usize {
        (usize::from(self.last) + 1 - usize::from(self.first)) / 2
    }

    /// True if the port is one of the range.
    #[must_use]
    pub fn contains(&self, port: u16) -> bool {
        (self.first..=self.last).contains(&port)
    }
}
