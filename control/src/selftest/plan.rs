//! Whom to call, as whom, and where.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::config::{Certificate, Config, LineConfig, Secret, WebListener};

/// The parts of a configuration that the call needs.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Where the WebSocket is, as seen from this machine.
    pub web: WebListener,
    /// Its path.
    pub path: String,
    /// PEM file of the certificate that the daemon should show.
    pub certificate: Option<std::path::PathBuf>,
    /// The number of the line that calls.
    pub line: String,
    /// Its password.
    pub password: Secret,
    /// The domain of the lines.
    pub domain: String,
    /// The number of the echo.
    pub echo: String,
    /// Where the media workers are bound, as seen from this machine.
    pub media: IpAddr,
}

/// Why there is nobody to call, or to call as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PlanError {
    /// The configuration has no line.
    NoLine,
    /// It has none with this number.
    NoSuchLine(String),
    /// It has no echo.
    NoEcho,
    /// Browsers need a certificate of their own.
    ClientCertificate,
    /// Browsers need an access token.
    Token,
}

impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoLine => f.write_str(
                "it calls the echo as a line, and the configuration has none: add a [[line]] with \
                 `number` and `password` for it",
            ),
            Self::NoSuchLine(number) => write!(f, "the configuration has no line {number}"),
            Self::NoEcho => f.write_str("`echo` in [lines] is empty: there is nobody to call"),
            Self::ClientCertificate => f.write_str(
                "browsers need certificates (`client_authorities` in [web]): it has none",
            ),
            Self::Token => f.write_str("browsers need access tokens ([web.token]): it has none"),
        }
    }
}

impl std::error::Error for PlanError {}

impl Plan {
    /// A call by this line, or by the first one.
    ///
    /// # Errors
    /// [`PlanError`]: the configuration lets nobody call the echo like that.
    pub fn new(config: &Config, line: Option<&str>) -> Result<Self, PlanError> {
        let web = &config.web;
        if web.client_authorities.is_some() {
            return Err(PlanError::ClientCertificate);
        }
        if web.token.is_some() {
            return Err(PlanError::Token);
        }
        let mut lines = config.lines.entries.iter();
        let is_meant = |entry: &&LineConfig| line.is_none_or(|number| entry.number == number);
        let entry = lines.find(is_meant).ok_or_else(|| match line {
            Some(number) => PlanError::NoSuchLine(number.to_owned()),
            None => PlanError::NoLine,
        })?;
        let listener = web.listen.first().copied().ok_or(PlanError::NoLine)?;
        let certificate = match &web.certificate {
            Certificate::Files { certificate, .. } => Some(certificate.clone()),
            Certificate::SelfSigned => None,
        };
        let address = listener.address;
        Ok(Self {
            web: WebListener {
                address: SocketAddr::new(from_here(address.ip()), address.port()),
                secure: listener.secure,
            },
            path: web.path.clone(),
            certificate: certificate.filter(|_| listener.secure),
            line: entry.number.clone(),
            password: entry.password.clone(),
            domain: config.lines.domain.clone(),
            echo: config.lines.echo.clone().ok_or(PlanError::NoEcho)?,
            media: from_here(config.media.browser_bind),
        })
    }

    /// The URL of the WebSocket.
    #[must_use]
    pub fn url(&self) -> String {
        let scheme = if self.web.secure { "wss" } else { "ws" };
        format!("{scheme}://{}{}", self.web.address, self.path)
    }
}

/// The address under which a process of this machine reaches a socket that is bound to `bound`.
fn from_here(bound: IpAddr) -> IpAddr {
    match (bound.is_unspecified(), bound.is_ipv4()) {
        (false, _) => bound,
        (true, true) => IpAddr::V4(Ipv4Addr::LOCALHOST),
        (true, false) => IpAddr::V6(Ipv6Addr::LOCALHOST),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> Config {
        Config::parse("test.toml", text, &|_| None).unwrap()
    }

    const LINES: &str = "[web]\nlisten = \"0.0.0.0:8443\"\n[media]\nbrowser_bind = \"0.0.0.0\"\n\
        browser_advertise = \"203.0.113.1\"\n\
        [[line]]\nnumber = \"1001\"\npassword = \"one-one-one-one\"\n\
        [[line]]\nnumber = \"1002\"\npassword = \"two-two-two-two\"\n";

    #[test]
    fn the_first_line_calls_the_echo_at_an_address_of_this_machine() {
        let planned = Plan::new(&config(LINES), None).unwrap();
        assert_eq!(planned.url(), "wss://127.0.0.1:8443/ws");
        assert_eq!(
            (planned.line.as_str(), planned.echo.as_str()),
            ("1001", "9196")
        );
        assert_eq!(planned.media, IpAddr::V4(Ipv4Addr::LOCALHOST));
        assert_eq!(planned.password.expose(), "one-one-one-one");
        let other = Plan::new(&config(LINES), Some("1002")).unwrap();
        assert_eq!(other.password.expose(), "two-two-two-two");
        assert!(!format!("{other:?}").contains("two-two"));
    }

    #[test]
    fn nobody_to_call_or_to_call_as_is_said() {
        let of = |text: &str, line| Plan::new(&config(text), line).unwrap_err();
        assert_eq!(
            of("[web]\nlisten = \"127.0.0.1:8080\"\n", None),
            PlanError::NoLine
        );
        let nobody = of(LINES, Some("1003"));
        assert_eq!(nobody.to_string(), "the configuration has no line 1003");
        let text = LINES.replace("[media]", "[lines]\necho = \"\"\n[media]");
        assert_eq!(of(&text, None), PlanError::NoEcho);
    }
}
