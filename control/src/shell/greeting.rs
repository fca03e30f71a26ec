//! What the log says once everything runs: where the page is, who can log in, what to open, what to
//! do next.

use std::net::SocketAddr;

use crate::config::{Certificate, Config, WebListener};

/// The lines of the greeting, ten at most. `listeners` and `media` are the sockets as they are
/// bound: those of the web phone, and those for the media of browsers.
pub(super) fn lines(
    config: &Config,
    listeners: &[WebListener],
    media: &[SocketAddr],
) -> Vec<String> {
    let version = env!("CARGO_PKG_VERSION");
    let what = if config.demo && !config.trunks.is_empty() {
        "the demo, as no configuration file is given; its lines call out by OUTBOUND_ROUTE"
            .to_owned()
    } else if config.demo {
        "the demo, as no configuration file is given".to_owned()
    } else {
        let source = &config.source;
        format!("configured by {source}; `check-config` and level \"debug\" show the whole")
    };
    let mut lines = vec![format!("ringway {version}: {what}")];
    let pages: Vec<String> = listeners
        .iter()
        .map(|listener| page(config, *listener))
        .collect();
    lines.push(format!("web phone: {}", pages.join(", ")));
    lines.extend(certificate(config, listeners));
    lines.extend(accounts(config));
    lines.extend(ports(config, listeners, media));
    lines.push(format!("next: {}", next(config)));
    lines
}

/// The address of the page on this listener.
fn page(config: &Config, listener: WebListener) -> String {
    let mut address = listener.address;
    if address.ip().is_unspecified() {
        address.set_ip(config.media.browser_advertise);
    }
    let scheme = if listener.secure { "https" } else { "http" };
    let here = if address.ip().is_loopback() {
        " (from this machine only)"
    } else {
        ""
    };
    format!("{scheme}://{address}/{here}")
}

fn certificate(config: &Config, listeners: &[WebListener]) -> Option<String> {
    if !listeners.iter().any(|listener| listener.secure) {
        return None;
    }
    let acme = config.web.acme.as_ref();
    let whose = match (&config.web.certificate, acme) {
        (Certificate::Files { certificate, .. }, None) => format!("{}", certificate.display()),
        (Certificate::Files { certificate, .. }, Some(acme)) => {
            format!(
                "{}; {} by ACME",
                certificate.display(),
                acme.domains.join(", ")
            )
        }
        (Certificate::SelfSigned, Some(acme)) => format!(
            "{} by ACME; until the first one is there self-signed, and browsers warn",
            acme.domains.join(", ")
        ),
        (Certificate::SelfSigned, None) => "self-signed, so the browser warns: go on there, or \
            give one by `certificate` or [web.acme]"
            .to_owned(),
    };
    Some(format!("certificate: {whose}"))
}

/// Who can log in. Lines are people: but for the demo's, their numbers are not for the log.
fn accounts(config: &Config) -> Vec<String> {
    let mut lines = Vec::new();
    let own = &config.lines;
    if config.demo {
        let numbers: Vec<&str> = own
            .entries
            .iter()
            .map(|line| line.number.as_str())
            .collect();
        lines.push(format!(
            "lines: {}; the page shows their passwords",
            numbers.join(" and ")
        ));
    } else if !own.entries.is_empty() {
        let (count, domain) = (own.entries.len(), &own.domain);
        lines.push(format!("lines: {count}, in the domain {domain}"));
    }
    if let Some(echo) = own.echo.as_ref().filter(|_| !own.entries.is_empty()) {
        lines.push(format!("echo: lines that call {echo} hear themselves"));
    }
    if !config.trunks.is_empty() {
        let name =
            |trunk: &crate::config::TrunkConfig| format!("{} ({})", trunk.name, trunk.domain);
        let names: Vec<String> = config.trunks.iter().map(name).collect();
        lines.push(format!("trunks: {}", names.join(", ")));
    }
    lines
}

/// Which ports a firewall must let through.
fn ports(config: &Config, listeners: &[WebListener], media: &[SocketAddr]) -> Vec<String> {
    let numbers = |addresses: &mut dyn Iterator<Item = SocketAddr>| {
        let ports: Vec<String> = addresses.map(|at| at.port().to_string()).collect();
        ports.join(", ")
    };
    let media = numbers(&mut media.iter().copied());
    let mut open = listeners
        .iter()
        .map(|listener| listener.address)
        .filter(|address| !address.ip().is_loopback())
        .peekable();
    let mut lines = Vec::new();
    lines.push(if open.peek().is_none() {
        format!("ports: none to open, this is for this machine only; media comes to UDP {media}")
    } else {
        let web = numbers(&mut open);
        format!("ports to open for browsers: TCP {web} (page, SIP) and UDP {media} (media)")
    });
    if let Some(sip) = &config.sip {
        let mut signalling = format!("UDP {}", sip.listen.port());
        for listener in [sip.listen_tcp, sip.listen_tls].into_iter().flatten() {
            signalling.push_str(&format!(", TCP {}", listener.port()));
        }
        let rtp = config.media.rtp_ports;
        let (first, last) = (rtp.first, rtp.last);
        lines.push(format!(
            "ports to open for carriers: {signalling} (SIP) and UDP {first} to {last} (media)"
        ));
    }
    lines
}

fn next(config: &Config) -> String {
    let own = &config.lines;
    if config.demo {
        let line = own.entries.first().map_or("", |line| &line.number);
        let echo = own.echo.as_deref().unwrap_or_default();
        return format!("open the page, log in as {line} with one click, and call {echo}");
    }
    if !own.entries.is_empty() {
        return "open the page and log in as one of the lines".to_owned();
    }
    match config.trunks.first() {
        Some(trunk) => format!(
            "open the page and log in as the carrier's user@{}",
            trunk.domain
        ),
        None => "add a [[line]] or a [[trunk]]: nobody can log in yet".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn greeting(config: &Config) -> String {
        let media = ["192.0.2.7:20000".parse().unwrap()];
        let lines = lines(config, &config.web.listen, &media);
        assert!(lines.len() <= 10, "{lines:#?}");
        lines.join("\n")
    }

    #[track_caller]
    fn says(text: &str, parts: &[&str]) {
        for part in parts {
            assert!(text.contains(part), "{part:?} is not in:\n{text}");
        }
    }

    #[test]
    fn ux_start_the_demo_says_what_to_do() {
        let passwords = ["first".to_owned(), "second".to_owned()];
        let text = greeting(&Config::without_file(passwords, &|_| None, &|_| None).unwrap());
        says(
            &text,
            &[
                "http://127.0.0.1:8080/",
                "lines: 1001 and 1002",
                "9196",
                "none to open",
                "next: open the page, log in as 1001",
            ],
        );
        assert!(
            !text.contains("first") && !text.contains("certificate"),
            "{text}"
        );
    }

    #[test]
    fn ux_g2_the_first_line_says_what_configured_it() {
        let start = |name: &'static str| {
            let env = |asked: &str| (asked == name).then(|| "192.0.2.9".to_owned());
            let host = |_| Some("192.0.2.7".parse().unwrap());
            let passwords = ["first".to_owned(), "second".to_owned()];
            greeting(&Config::without_file(passwords, &host, &env).unwrap())
        };
        let by_environment = "configured by the environment, without a file";
        says(
            &start("OUTBOUND_PROXY"),
            &[by_environment, "https://192.0.2.7:8443/"],
        );
        let demo = "the demo, as no configuration file is given; its lines call out";
        says(
            &start("OUTBOUND_ROUTE"),
            &[demo, "trunks: outbound (192.0.2.9)"],
        );
        let file = Config::parse("/etc/a.toml", "", &|_| None).unwrap();
        says(&greeting(&file), &["configured by /etc/a.toml;"]);
    }

    #[test]
    fn ux_start_a_gateway_says_ports_and_certificate() {
        let text = "[web]\nlisten = [\"192.0.2.7:8443\", \"127.0.0.1:8080\"]\n\
            [sip]\nlisten = \"192.0.2.7:5060\"\nlisten_tcp = \"192.0.2.7:5070\"\n\
            [[trunk]]\nname = \"carrier\"\ntarget = \"192.0.2.9\"\ndomain = \"example.com\"\n";
        let with_line = format!("{text}[[line]]\nnumber = \"4711\"\npassword = \"secret\"\n");
        let config = |text: &str| Config::parse("test.toml", text, &|_| None).unwrap();
        let alone = greeting(&config(text));
        says(
            &alone,
            &[
                "https://192.0.2.7:8443/, http://127.0.0.1:8080/ (from this machine only)",
                "self-signed, so the browser warns",
                "TCP 8443 (page, SIP) and UDP 20000 (media)",
                "UDP 5060, TCP 5070 (SIP) and UDP 10000 to 19999",
                "trunks: carrier (example.com)",
                "user@example.com",
            ],
        );
        assert!(!alone.contains("echo"), "{alone}");
        let with_line = greeting(&config(&with_line));
        says(
            &with_line,
            &["lines: 1, in the domain ringway.local", "9196"],
        );
        assert!(!with_line.contains("4711") && !with_line.contains("secret"));
    }
}
