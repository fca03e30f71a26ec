//! The file as it is written: every key optional where it has a default, nothing checked yet but
//! its type.

use std::fmt;
use std::net::IpAddr;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, SeqAccess, Visitor};
use toml::Spanned;

use super::dtmf::Dtmf;
use super::numbers::NumbersFile;
use super::refer::ReferPolicy;
use super::{
    ConfigError, LogFormat, LogLevel, ProxyHeader, Registration, Secret, TokenRequired, WithoutPath,
};
use crate::sip::Transport;

/// The address by which this host reaches another, or everybody else if none is named. `None`: it
/// has no way there.
pub type HostAddress<'a> = &'a dyn Fn(Option<IpAddr>) -> Option<IpAddr>;

/// A value that remembers where it was written, for messages.
pub(super) type At<T> = Option<Spanned<T>>;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct File {
    pub(super) server: Server,
    pub(super) web: Web,
    pub(super) sip: Sip,
    pub(super) media: Media,
    pub(super) log: Log,
    pub(super) trunk: Vec<Trunk>,
    pub(super) realm: Vec<Realm>,
    pub(super) lines: Lines,
    pub(super) line: Vec<Line>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Server {
    pub(super) name: At<String>,
    pub(super) calls_max: At<usize>,
    pub(super) transactions_max: At<usize>,
    pub(super) finished_transactions_max: At<usize>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Web {
    pub(super) listen: At<OneOrMore>,
    pub(super) tls: Option<Tls>,
    pub(super) certificate: At<String>,
    pub(super) private_key: At<String>,
    pub(super) origins: At<Vec<String>>,
    pub(super) path: At<String>,
    pub(super) connections_max: At<usize>,
    pub(super) connections_per_source_max: At<usize>,
    pub(super) handshakes_per_second_per_source: At<u32>,
    pub(super) messages_per_second: At<u32>,
    pub(super) messages_per_second_per_source: At<u32>,
    pub(super) trusted_proxies: At<Vec<String>>,
    pub(super) proxy_header: At<ProxyHeader>,
    pub(super) client_authorities: At<String>,
    pub(super) host: Vec<Host>,
    pub(super) token: Option<Token>,
    pub(super) acme: Option<Acme>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Host {
    pub(super) names: Spanned<OneOrMore>,
    pub(super) certificate: String,
    pub(super) private_key: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Acme {
    pub(super) domains: Spanned<OneOrMore>,
    pub(super) contact: At<OneOrMore>,
    pub(super) directory: At<String>,
    pub(super) directory_ca: At<String>,
    pub(super) cache: At<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Token {
    pub(super) secret: At<Secrets>,
    pub(super) public_key: At<OneOrMore>,
    pub(super) claim: At<String>,
    pub(super) domain: At<String>,
    pub(super) issuer: At<String>,
    pub(super) audience: At<String>,
    pub(super) leeway_s: At<u64>,
    pub(super) cookie: At<String>,
    pub(super) required: Option<TokenRequired>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Tls {
    #[default]
    Auto,
    On,
    Off,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Sip {
    pub(super) listen: At<String>,
    pub(super) advertise: At<String>,
    pub(super) flow_secret: At<Secret>,
    pub(super) listen_tcp: At<String>,
    pub(super) listen_tls: At<String>,
    pub(super) certificate: At<String>,
    pub(super) private_key: At<String>,
    pub(super) client_ca: At<String>,
    pub(super) self_signed: bool,
    pub(super) resolvers: At<OneOrMore>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Media {
    pub(super) browser_bind: At<String>,
    pub(super) browser_advertise: At<String>,
    pub(super) browser_port: At<u16>,
    pub(super) trunk_bind: At<String>,
    pub(super) trunk_advertise: At<String>,
    pub(super) rtp_port_min: At<u16>,
    pub(super) rtp_port_max: At<u16>,
    pub(super) cores: At<Cores>,
    pub(super) flows_max: At<usize>,
    pub(super) silent_after_s: At<u64>,
    pub(super) held_silent_after_s: At<u64>,
    pub(super) backend: At<String>,
    pub(super) browser_dscp: At<u8>,
    pub(super) trunk_dscp: At<u8>,
    pub(super) browser_video_dscp: At<u8>,
    pub(super) trunk_video_dscp: At<u8>,
    pub(super) busy_poll_us: At<u32>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Log {
    pub(super) level: Option<LogLevel>,
    pub(super) format: Option<LogFormat>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Trunk {
    pub(super) name: Spanned<String>,
    pub(super) target: Spanned<Targets>,
    pub(super) route: At<String>,
    pub(super) call_route: At<String>,
    pub(super) caller_number: At<String>,
    pub(super) called_number: At<String>,
    pub(super) transport: At<TransportChoice>,
    pub(super) ca: At<String>,
    pub(super) verify: At<bool>,
    pub(super) tcp_for_large: At<bool>,
    #[serde(default)]
    pub(super) sips_as_sip: bool,
    pub(super) failover_after_s: At<u64>,
    pub(super) down_for_s: At<u64>,
    pub(super) probe_s: At<u64>,
    pub(super) domain: At<String>,
    pub(super) codecs: At<Vec<String>>,
    #[serde(default)]
    pub(super) video: bool,
    #[serde(default = "yes")]
    pub(super) telephone_event: bool,
    pub(super) username: At<String>,
    pub(super) auth_username: At<String>,
    pub(super) password: At<Secret>,
    pub(super) auth_realm: At<String>,
    pub(super) register: At<bool>,
    pub(super) calls_to: At<String>,
    pub(super) register_expires_s: At<u32>,
    pub(super) t1_ms: At<u64>,
    pub(super) t2_ms: At<u64>,
    pub(super) timer_b_s: At<u64>,
    pub(super) timer_c_s: At<u64>,
    pub(super) session_expires_s: At<u32>,
    pub(super) min_se_s: At<u32>,
    pub(super) media_networks: At<Vec<String>>,
    #[serde(default)]
    pub(super) media_asymmetric: bool,
    pub(super) pass_headers: At<Vec<String>>,
    #[serde(default = "yes")]
    pub(super) assert_identity: bool,
    pub(super) dtmf: Option<Dtmf>,
    pub(super) refer: Option<ReferPolicy>,
    pub(super) calls_max: At<usize>,
    pub(super) calls_per_second: At<u32>,
    pub(super) numbers: Option<NumbersFile>,
}

/// A transport, or the one that the trunk's domain chooses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum TransportChoice {
    Udp,
    Tcp,
    Tls,
    Auto,
}

impl TransportChoice {
    /// `None` for `auto`.
    pub(super) const fn fixed(self) -> Option<Transport> {
        match self {
            Self::Udp => Some(Transport::Udp),
            Self::Tcp => Some(Transport::Tcp),
            Self::Tls => Some(Transport::Tls),
            Self::Auto => None,
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Realm {
    pub(super) domain: Spanned<String>,
    pub(super) trunk: Spanned<String>,
    pub(super) registration: Option<Registration>,
    pub(super) without_path: Option<WithoutPath>,
    pub(super) upstream_expires_s: At<u32>,
    pub(super) unregister_after_s: At<u32>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Lines {
    pub(super) domain: At<String>,
    #[serde(default)]
    pub(super) aliases: Vec<Spanned<String>>,
    pub(super) realm: At<String>,
    pub(super) sha256: bool,
    pub(super) echo: At<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Line {
    pub(super) number: Spanned<String>,
    pub(super) password: Secret,
    pub(super) name: At<String>,
}

fn yes() -> bool {
    true
}

pub(super) fn parse(name: &str, text: &str) -> Result<File, ConfigError> {
    toml::from_str(text).map_err(|error| ConfigError::from_toml(name, text, &error))
}

impl File {
    /// What the demo differs in from an empty file.
    pub(super) fn demo() -> Self {
        let media = Media {
            browser_port: Some(written(0)),
            ..Media::default()
        };
        Self {
            media,
            ..Self::default()
        }
    }
}

/// A value that stands in no file.
pub(super) fn written<T>(value: T) -> Spanned<T> {
    Spanned::new(0..0, value)
}

/// One text, or a list of texts.
#[derive(Debug)]
pub(super) struct OneOrMore(pub(super) Vec<String>);

impl<'de> Deserialize<'de> for OneOrMore {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Texts;
        impl<'de> Visitor<'de> for Texts {
            type Value = OneOrMore;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text or a list of texts")
            }

            fn visit_str<E>(self, text: &str) -> Result<OneOrMore, E> {
                Ok(OneOrMore(vec![text.to_owned()]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<OneOrMore, A::Error> {
                let mut texts = Vec::new();
                while let Some(text) = list.next_element()? {
                    texts.push(text);
                }
                Ok(OneOrMore(texts))
            }
        }
        deserializer.deserialize_any(Texts)
    }
}

/// One secret, or a list of secrets.
#[derive(Debug)]
pub(super) struct Secrets(pub(super) Vec<Secret>);

impl<'de> Deserialize<'de> for Secrets {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let texts = OneOrMore::deserialize(deserializer)?;
        Ok(Self(texts.0.into_iter().map(Secret::from).collect()))
    }
}

/// One target, or a list of targets.
#[derive(Debug)]
pub(super) struct Targets(pub(super) Vec<Target>);

/// A target: its host and port, or a table with those and its rank.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) host: String,
    pub(super) priority: Option<u16>,
    pub(super) weight: u16,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TargetTable {
    host: String,
    priority: Option<u16>,
    #[serde(default)]
    weight: u16,
}

impl Target {
    fn plain(host: &str) -> Self {
        Self {
            host: host.to_owned(),
            priority: None,
            weight: 0,
        }
    }
}

impl<'de> Deserialize<'de> for Target {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextOrTable;
        impl<'de> Visitor<'de> for TextOrTable {
            type Value = Target;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a host and port, or a table with `host`, `priority` and `weight`")
            }

            fn visit_str<E>(self, text: &str) -> Result<Target, E> {
                Ok(Target::plain(text))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Target, A::Error> {
                let table = TargetTable::deserialize(MapAccessDeserializer::new(map))?;
                Ok(Target {
                    host: table.host,
                    priority: table.priority,
                    weight: table.weight,
                })
            }
        }
        deserializer.deserialize_any(TextOrTable)
    }
}

impl<'de> Deserialize<'de> for Targets {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrList;
        impl<'de> Visitor<'de> for OneOrList {
            type Value = Targets;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a host and port, or a list of them")
            }

            fn visit_str<E>(self, text: &str) -> Result<Targets, E> {
                Ok(Targets(vec![Target::plain(text)]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Targets, A::Error> {
                let mut targets = Vec::new();
                while let Some(target) = list.next_element()? {
                    targets.push(target);
                }
                Ok(Targets(targets))
            }
        }
        deserializer.deserialize_any(OneOrList)
    }
}

/// How many workers, or the cores that they are pinned to.
#[derive(Debug)]
pub(super) enum Cores {
    Count(u64),
    Pinned(Vec<usize>),
}

impl<'de> Deserialize<'de> for Cores {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Numbers;
        impl<'de> Visitor<'de> for Numbers {
            type Value = Cores;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of workers or a list of core numbers")
            }

            fn visit_i64<E: serde::de::Error>(self, count: i64) -> Result<Cores, E> {
                let unexpected = serde::de::Unexpected::Signed(count);
                let count = u64::try_from(count);
                count
                    .map(Cores::Count)
                    .map_err(|_| E::invalid_value(unexpected, &self))
            }

            fn visit_u64<E>(self, count: u64) -> Result<Cores, E> {
                Ok(Cores::Count(count))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Cores, A::Error> {
                let mut cores = Vec::new();
                while let Some(core) = list.next_element()? {
                    cores.push(core);
                }
                Ok(Cores::Pinned(cores))
            }
        }
        deserializer.deserialize_any(Numbers)
    }
}
