//! From the file as written to a configuration that can be relied on.

mod account;
mod acme;
mod calls;
mod limits;
mod media;
mod numbers;
mod server;
mod sip;
mod timers;
mod token;
mod trunks;
mod web;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use toml::Spanned;

use super::environment::Environment;
use super::error::line_of;
use super::file::{self, At, File};
use super::{
    Config, ConfigError, ConfigSource, HostPort, LineConfig, LinesConfig, LogConfig, LogFormat,
    LogLevel, RealmConfig, TrunkConfig, WebConfig,
};

const WEB_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);
const SIP_PORT: u16 = 5060;

/// The text that was read, for messages.
pub(super) struct Source<'a> {
    pub(super) name: &'a str,
    pub(super) text: &'a str,
}

impl Source<'_> {
    /// Something is wrong with this value.
    fn error<T>(&self, at: &Spanned<T>, what: impl Into<String>, remedy: &str) -> ConfigError {
        let line = line_of(self.text, at.span().start);
        ConfigError::new(what, remedy).at(self.name, Some(line))
    }

    /// Something is wrong with what is not there.
    fn missing(&self, what: impl Into<String>, remedy: &str) -> ConfigError {
        let error = ConfigError::new(what, remedy);
        if self.name.is_empty() {
            error
        } else {
            error.at(self.name, None)
        }
    }

    fn positive<T: Copy + PartialEq + From<u8>>(
        &self,
        key: &str,
        value: &At<T>,
        default: T,
    ) -> Result<T, ConfigError> {
        match value {
            None => Ok(default),
            Some(at) if *at.get_ref() == T::from(0) => {
                Err(self.error(at, format!("`{key}` is 0"), "it must be at least 1"))
            }
            Some(at) => Ok(*at.get_ref()),
        }
    }

    fn ip(&self, key: &str, value: &At<String>) -> Result<Option<IpAddr>, ConfigError> {
        let parse = |at: &Spanned<String>| {
            at.get_ref().parse().map_err(|_| {
                let what = format!("`{key}` is no IP address: `{}`", at.get_ref());
                self.error(at, what, "write for example `192.0.2.10`, without a port")
            })
        };
        value.as_ref().map(parse).transpose()
    }

    fn host_port(
        &self,
        key: &str,
        at: &Spanned<String>,
        default_port: u16,
    ) -> Result<HostPort, ConfigError> {
        HostPort::parse(at.get_ref(), default_port).ok_or_else(|| {
            let what = format!("`{key}` is no host and port: `{}`", at.get_ref());
            self.error(at, what, "write for example `sbc.example.com:5060`")
        })
    }

    /// A word that ends up in SIP headers and log lines.
    fn word(&self, key: &str, at: &Spanned<String>) -> Result<String, ConfigError> {
        let text = at.get_ref();
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-._+*#".contains(&b);
        if text.is_empty() || !text.bytes().all(allowed) {
            let what = format!("`{key}` cannot be `{text}`");
            return Err(self.error(at, what, "use letters, digits and - . _ + * # only"));
        }
        Ok(text.clone())
    }
}

pub(super) fn check(
    file: File,
    source: &Source<'_>,
    environment: &Environment,
) -> Result<Config, ConfigError> {
    let web = web::web(&file.web, source, environment)?;
    let mut trunks: Vec<TrunkConfig> = Vec::new();
    for entry in &file.trunk {
        let trunk = trunks::trunk(entry, source)?;
        if trunks.iter().any(|other| other.name == trunk.name) {
            let what = format!("there are two trunks named `{}`", trunk.name);
            return Err(source.error(&entry.name, what, "give each a name of its own"));
        }
        trunks.push(trunk);
    }
    environment.trunk(&mut trunks)?;
    let sip = sip::sip(&file.sip, source, !trunks.is_empty())?;
    if let Some(sip) = &sip {
        trunks::check_families(&trunks, sip.listen, source)?;
        trunks::check_transports(&trunks, sip, source)?;
    }
    let media = media::media(&file.media, source, &web, sip.as_ref(), environment)?;
    let realms = trunks::realms(&file.realm, source, &trunks)?;
    let lines = lines(&file.lines, file.line, source, &realms, &web)?;
    account::check_lines(&file.trunk, &lines, source)?;
    let server = server::server(&file.server, source)?;
    limits::check_calls_max(&file.trunk, server.calls_max, source)?;
    let log = LogConfig {
        level: environment
            .log_level
            .or(file.log.level)
            .unwrap_or(LogLevel::Info),
        format: file.log.format.unwrap_or(LogFormat::Text),
    };
    Ok(Config {
        demo: false,
        source: ConfigSource::Demo,
        server,
        web,
        sip,
        media,
        log,
        trunks,
        realms,
        lines,
    })
}

/// Other names of the domain of the lines: those that are given, and the addresses of `[web]`.
fn aliases(
    given: &[Spanned<String>],
    source: &Source<'_>,
    realms: &[RealmConfig],
    web: &WebConfig,
) -> Result<Vec<String>, ConfigError> {
    let is_of_realm = |name: &str| realms.iter().any(|realm| realm.domain == name);
    let mut aliases: Vec<String> = Vec::new();
    for at in given {
        let alias = source.word("aliases", at)?.to_ascii_lowercase();
        if is_of_realm(&alias) {
            let what = format!("`{alias}` is the domain of a realm and of the built-in lines");
            return Err(source.error(at, what, "take it out of `aliases`"));
        }
        aliases.push(alias);
    }
    let listening = web.listen.iter().map(|listener| listener.address.ip());
    for address in listening.filter(|address| !address.is_unspecified()) {
        let name = match address {
            IpAddr::V4(address) => address.to_string(),
            IpAddr::V6(address) => format!("[{address}]"),
        };
        if !aliases.contains(&name) && !is_of_realm(&name) {
            aliases.push(name);
        }
    }
    Ok(aliases)
}

fn lines(
    lines: &file::Lines,
    entries: Vec<file::Line>,
    source: &Source<'_>,
    realms: &[RealmConfig],
    web: &WebConfig,
) -> Result<LinesConfig, ConfigError> {
    let domain = match &lines.domain {
        Some(at) => source.word("domain", at)?.to_ascii_lowercase(),
        None => "ringway.local".to_owned(),
    };
    if realms.iter().any(|realm| realm.domain == domain) {
        let what = format!("`{domain}` is the domain of a realm and of the built-in lines");
        return Err(match &lines.domain {
            Some(at) => source.error(at, what, "give [lines] another domain"),
            None => source.missing(what, "give [lines] another domain"),
        });
    }
    let realm = match &lines.realm {
        Some(at) => source.word("realm", at)?,
        None => domain.clone(),
    };
    let aliases = aliases(&lines.aliases, source, realms, web)?;
    let echo = match &lines.echo {
        None => Some("9196".to_owned()),
        Some(at) if at.get_ref().is_empty() => None,
        Some(at) => Some(source.word("echo", at)?),
    };
    let mut checked: Vec<LineConfig> = Vec::new();
    for line in entries {
        let number = source.word("number", &line.number)?;
        if echo.as_ref() == Some(&number) || checked.iter().any(|other| other.number == number) {
            let what = format!("the number `{number}` is in use already");
            return Err(source.error(&line.number, what, "give each line its own"));
        }
        if line.password.expose().is_empty() {
            let what = format!("line `{number}` has an empty password");
            return Err(source.error(&line.number, what, "choose one"));
        }
        // It is shown to those who are called, in a header.
        if let Some(at) = line.name.as_ref()
            && at.get_ref().chars().any(char::is_control)
        {
            return Err(source.error(at, "`name` has a control character", "take it out"));
        }
        let name = line
            .name
            .map_or_else(|| number.clone(), Spanned::into_inner);
        checked.push(LineConfig {
            number,
            password: line.password,
            name,
        });
    }
    Ok(LinesConfig {
        domain,
        aliases,
        realm,
        sha256: lines.sha256,
        echo,
        entries: checked,
    })
}
