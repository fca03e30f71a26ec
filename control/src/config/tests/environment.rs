//! Starting by the environment alone, and the environment over a file.

use std::net::IpAddr;

use super::*;
use crate::config::ConfigSource;
use crate::sip::Transport;

const FILE: &str = "[web]\nlisten = [\"192.0.2.10:443\", \"127.0.0.1:8080\"]\n\
    [sip]\nlisten = \"192.0.2.10:5060\"\nlisten_tcp = \"192.0.2.10:5060\"\n\
    [[trunk]]\nname = \"carrier\"\ntarget = \"sbc.example.com\"\n";

/// A host with one address of each kind, and with loopback; nothing leads to 203.0.113.0.
fn host(other: Option<IpAddr>) -> Option<IpAddr> {
    let own = match other {
        Some(ip) if ip.to_string() == "203.0.113.0" => return None,
        Some(ip) if ip.is_loopback() => "127.0.0.1",
        Some(IpAddr::V6(_)) => "2001:db8::10",
        Some(IpAddr::V4(_)) | None => "192.0.2.10",
    };
    Some(own.parse().unwrap())
}

fn start_on(
    host: &dyn Fn(Option<IpAddr>) -> Option<IpAddr>,
    variables: &[(&str, &str)],
) -> Result<Config, String> {
    let env = |name: &str| {
        let found = variables.iter().find(|(other, _)| *other == name);
        found.map(|(_, value)| (*value).to_owned())
    };
    let passwords = ["first".to_owned(), "second".to_owned()];
    Config::without_file(passwords, host, &env).map_err(|error| error.to_string())
}

/// Starts without a file.
fn start(variables: &[(&str, &str)]) -> Result<Config, String> {
    start_on(&host, variables)
}

/// Starts with a file under the environment.
fn start_with(text: &str, variables: &[(&str, &str)]) -> Result<Config, String> {
    let env = |name: &str| {
        let found = variables.iter().find(|(other, _)| *other == name);
        found.map(|(_, value)| (*value).to_owned())
    };
    Config::parse("ringway.toml", text, &env).map_err(|error| error.to_string())
}

#[track_caller]
fn refused(variables: &[(&str, &str)], parts: &[&str]) {
    let error = start(variables).unwrap_err();
    for part in parts {
        assert!(error.contains(part), "{part:?} is not in: {error}");
    }
}

fn listeners(config: &Config) -> Vec<(String, bool)> {
    let listeners = config.web.listen.iter();
    listeners
        .map(|l| (l.address.to_string(), l.secure))
        .collect()
}

#[test]
fn ux_g2_a_registrar_alone_is_a_gateway() {
    let config = start(&[("OUTBOUND_PROXY", "sip.example.net")]).unwrap();
    assert!(!config.demo && config.lines.entries.is_empty() && config.realms.is_empty());
    assert_eq!(config.source, ConfigSource::Environment);
    assert_eq!(listeners(&config), [("0.0.0.0:8443".to_owned(), true)]);
    let sip = config.sip.as_ref().unwrap();
    assert_eq!(sip.listen.to_string(), "192.0.2.10:5060");
    assert_eq!((sip.listen_tcp, sip.listen_tls), (None, None));
    assert_eq!(config.media.browser_advertise.to_string(), "192.0.2.10");
    assert_eq!(config.media.trunk_advertise.to_string(), "192.0.2.10");
    let [trunk] = config.trunks.as_slice() else {
        panic!("{:?}", config.trunks);
    };
    assert_eq!(
        (trunk.domain.as_str(), trunk.transport),
        ("sip.example.net", Transport::Udp)
    );
    assert!(!trunk.targets[0].has_port, "SRV records come first");
    assert!(trunk.account.is_none() && trunk.call_route.is_none());
    assert_eq!(config.trunk_of_domain("sip.example.net"), Some(0));
    // The output of check-config is a file with the same meaning.
    let again = load(&config.effective()).unwrap();
    assert_eq!(again.effective(), config.effective());
}

#[test]
fn ux_g2_every_form_of_a_registrar_is_understood() {
    let forms = [
        ("host.example", "host.example", Transport::Udp),
        ("host.example:5070", "host.example:5070", Transport::Udp),
        ("192.0.2.99", "192.0.2.99:5060", Transport::Udp),
        ("[2001:db8::9]:5070", "[2001:db8::9]:5070", Transport::Udp),
        ("2001:db8::9", "[2001:db8::9]:5060", Transport::Udp),
        (
            "udp://host.example:5070",
            "host.example:5070",
            Transport::Udp,
        ),
        ("tcp://host.example", "host.example", Transport::Tcp),
        (
            "TLS://host.example:5071",
            "host.example:5071",
            Transport::Tls,
        ),
        ("tls://192.0.2.99", "192.0.2.99:5061", Transport::Tls),
        ("sips:host.example", "host.example", Transport::Tls),
        (
            "host.example:5070;transport=tcp",
            "host.example:5070",
            Transport::Tcp,
        ),
        (
            "sip:host.example:5070;transport=TCP",
            "host.example:5070",
            Transport::Tcp,
        ),
        (
            "<sip:host.example;lr;transport=udp>",
            "host.example",
            Transport::Udp,
        ),
        (" sip:host.example ", "host.example", Transport::Udp),
    ];
    for (text, target, transport) in forms {
        let config = start(&[("OUTBOUND_PROXY", text)]).unwrap();
        let trunk = &config.trunks[0];
        assert_eq!(trunk.targets[0].to_string(), target, "{text}");
        assert_eq!(trunk.transport, transport, "{text}");
        let sip = config.sip.as_ref().unwrap();
        assert!(sip.speaks(transport), "{text}");
        assert_eq!(sip.listen.is_ipv6(), target.starts_with('['), "{text}");
        let again = load(&config.effective()).unwrap();
        assert_eq!(again.effective(), config.effective(), "{text}");
    }
}

#[test]
fn ux_g2_what_is_no_registrar_is_refused_with_the_forms() {
    for text in [
        "host:70000",
        "host:0",
        "http://host",
        "[::1",
        "a b",
        "sip:user:secret@host",
        "host;transport=sctp",
        "tcp://host;transport=udp",
        "host;maddr=192.0.2.1",
        "::",
    ] {
        let error = start(&[("OUTBOUND_PROXY", text)]).unwrap_err();
        let form = "`host:port`, `[IPv6]:port`, a domain with SRV records, `udp://host:port`";
        assert!(error.starts_with("OUTBOUND_PROXY cannot be `"), "{error}");
        assert!(error.contains(form), "{error}");
        assert!(!error.contains("secret"), "{error}");
    }
    refused(
        &[("OUTBOUND_PROXY", "host;maddr=192.0.2.1")],
        &["`maddr` is not supported"],
    );
}

#[test]
fn ux_g2_calls_have_a_route_of_their_own_with_account_and_numbers() {
    let route = "0100@192.0.2.78:5080;auth=joe:s3cret:x;cli=16046288900";
    let config = start(&[("OUTBOUND_PROXY", "192.0.2.77"), ("OUTBOUND_ROUTE", route)]).unwrap();
    let trunk = &config.trunks[0];
    assert_eq!(trunk.targets[0].to_string(), "192.0.2.77:5060");
    assert_eq!(trunk.domain, "192.0.2.77");
    assert!(trunk.route.is_none());
    assert_eq!(
        trunk.call_route.as_ref().unwrap().to_string(),
        "192.0.2.78:5080"
    );
    assert_eq!(trunk.called_number.as_deref(), Some("0100"));
    assert_eq!(trunk.caller_number.as_deref(), Some("16046288900"));
    let account = trunk.account.as_ref().unwrap();
    assert_eq!(
        (account.username.as_str(), account.password.expose()),
        ("joe", "s3cret:x")
    );
    assert!(account.register_expires.is_none());
    let printed = config.effective();
    for line in [
        "call_route = \"192.0.2.78:5080\"",
        "caller_number = \"16046288900\"",
        "called_number = \"0100\"",
        "username = \"joe\"",
    ] {
        assert!(printed.contains(line), "{line}");
    }
    assert!(!printed.contains("s3cret") && !format!("{config:?}").contains("s3cret"));
    assert_eq!(load(&printed).unwrap().effective(), printed);
}

#[test]
fn ux_g2_a_number_that_replaces_what_is_dialled_is_warned_of() {
    let route = |route| {
        let variables = [("OUTBOUND_PROXY", "192.0.2.77"), ("OUTBOUND_ROUTE", route)];
        start(&variables).unwrap().warnings()
    };
    assert!(route("192.0.2.78;cli=1604").is_empty());
    let warnings = route("0100@192.0.2.78");
    assert!(warnings[0].contains("`called_number`"), "{warnings:?}");
    assert!(
        route("0100@192.0.2.78;auth=joe:s3cret").is_empty(),
        "ringway answers"
    );
}

#[test]
fn ux_g2_a_part_of_a_route_that_cannot_be_honoured_is_refused_by_name() {
    let example = "200110508667@b2bua.org;cli=16046288900;rid=-1;expires=30;np_expires=5;ash=N%3AV";
    refused(
        &[("OUTBOUND_ROUTE", example)],
        &["OUTBOUND_ROUTE: `rid` is not supported: "],
    );
    for part in [
        "credit-time",
        "expires",
        "np_expires",
        "nr_expires",
        "ash",
        "op",
        "rtpp",
        "cnam",
        "gt",
        "hs_scodes",
        "forward_on_fail",
        "whatever",
    ] {
        let route = format!("host.example;auth=joe:s3cret;{part}=1x");
        let error = start(&[("OUTBOUND_ROUTE", &route)]).unwrap_err();
        let name = format!("OUTBOUND_ROUTE: `{part}` is not supported: ");
        assert!(error.starts_with(&name), "{error}");
        assert!(!error.contains("s3cret"), "{error}");
    }
    for (route, part) in [
        ("host.example;auth=nopass", "`auth=nopass` is not supported"),
        ("host.example;auth=joe", "write `auth=user:password`"),
        ("host.example;auth=:s3cret", "write `auth=user:password`"),
        ("@host.example", "`cld without a number` is not supported"),
        (
            "host.example;cli=",
            "`cli without a number` is not supported",
        ),
        ("host.example;cli=a b", "`cli` is no number"),
        ("a b@host.example", "`cld` is no number"),
        ("sip-ua", "`sip-ua` is not supported"),
        ("host.example;;cli=1", "empty part"),
        ("host.example:x", "write `[called number@]host[:port]"),
        (
            "host.example;transport=sctp",
            "`transport` is not supported",
        ),
        ("tcp://host.example;transport=udp", "names two transports"),
    ] {
        let error = start(&[("OUTBOUND_ROUTE", route)]).unwrap_err();
        assert!(error.contains(part), "{route}: {error}");
        assert!(!error.contains("s3cret"), "{error}");
    }
    let media = start(&[("OUTBOUND_ROUTE", "192.0.2.78;rtpp=1")]);
    assert!(media.is_ok(), "that is so anyway");
}

#[test]
fn ux_g2_a_route_alone_gives_the_demo_a_way_out() {
    let config = start(&[("OUTBOUND_ROUTE", "192.0.2.78:5080;transport=tcp")]).unwrap();
    assert!(config.demo && config.lines.entries.len() == 2);
    assert_eq!(listeners(&config), [("127.0.0.1:8080".to_owned(), false)]);
    let trunk = &config.trunks[0];
    assert!(trunk.targets.is_empty());
    assert_eq!(
        (trunk.domain.as_str(), trunk.transport),
        ("192.0.2.78", Transport::Tcp)
    );
    assert_eq!(
        trunk.call_route.as_ref().unwrap().to_string(),
        "192.0.2.78:5080"
    );
    assert_eq!(
        config.sip.unwrap().listen_tcp.unwrap().to_string(),
        "192.0.2.10:5060"
    );
}

#[test]
fn ux_g2_a_carrier_on_this_machine_keeps_its_port() {
    let config = start(&[("OUTBOUND_PROXY", "127.0.0.1")]).unwrap();
    assert_eq!(
        config.sip.as_ref().unwrap().listen.to_string(),
        "127.0.0.1:5062"
    );
    assert_eq!(config.media.trunk_bind.to_string(), "127.0.0.1");
    assert_eq!(config.media.browser_bind.to_string(), "192.0.2.10");
    let elsewhere = start(&[("OUTBOUND_PROXY", "127.0.0.1:5090")]).unwrap();
    assert_eq!(elsewhere.sip.unwrap().listen.to_string(), "127.0.0.1:5060");
}

#[test]
fn ux_g2_a_host_without_a_network_says_so() {
    let error = start_on(&|_| None, &[("OUTBOUND_PROXY", "sip.example.net")]).unwrap_err();
    assert!(error.contains("no route to the carrier"), "{error}");
    refused(
        &[("OUTBOUND_ROUTE", "203.0.113.0")],
        &["no route to the carrier"],
    );
    // One interface towards the carrier, and no default route: it is for browsers, too.
    let towards = |other: Option<IpAddr>| other.map(|_| "10.0.0.1".parse().unwrap());
    let config = start_on(&towards, &[("OUTBOUND_PROXY", "10.0.0.2")]).unwrap();
    assert_eq!(config.media.browser_advertise.to_string(), "10.0.0.1");
}

#[test]
fn ux_g2_the_line_of_sippys_container_starts() {
    let line = [
        ("OUTBOUND_PROXY", "192.0.2.77"),
        ("OUTBOUND_ROUTE", "192.0.2.78;auth=joe:s3cret"),
        ("MIN_RTP_PORT", "16000"),
        ("MAX_RTP_PORT", "24000"),
        ("RTPP_LOG_LEVEL", "DBUG"),
        ("RTPP_NODEBUG", "1"),
        ("WSS_PORT", "9876"),
        ("HTTPS_PORT", "443"),
    ];
    let config = start(&line).unwrap();
    let expected = [
        ("0.0.0.0:443".to_owned(), true),
        ("0.0.0.0:9876".to_owned(), true),
    ];
    assert_eq!(listeners(&config), expected);
    assert_eq!(config.log.level, LogLevel::Debug);
    assert_eq!(config.media.rtp_ports.first, 16_000);
    // Its usual place lies among the RTP ports.
    assert_eq!(config.media.browser_port, 24_001);
}

#[test]
fn ux_g2_levels_and_ports_are_checked() {
    for (text, level) in [
        ("dbug", LogLevel::Debug),
        ("INFO", LogLevel::Info),
        ("WARN", LogLevel::Warn),
        ("ERR", LogLevel::Error),
        ("CRIT", LogLevel::Error),
    ] {
        assert_eq!(start(&[("RTPP_LOG_LEVEL", text)]).unwrap().log.level, level);
    }
    refused(
        &[("RTPP_LOG_LEVEL", "loud")],
        &["RTPP_LOG_LEVEL", "`loud`", "DBUG, INFO"],
    );
    refused(&[("RTPP_NODEBUG", "yes")], &["RTPP_NODEBUG", "0 or 1"]);
    assert!(start(&[("RTPP_NODEBUG", "0")]).is_ok());
    refused(&[("WSS_PORT", "0")], &["WSS_PORT is 0"]);
    refused(&[("HTTPS_PORT", "x")], &["HTTPS_PORT is no port", "`x`"]);
}

#[test]
fn ux_g2_ports_for_browsers_replace_those_with_tls() {
    let over = |text: &str, variables: &[(&str, &str)]| start_with(text, variables);
    let one = over(FILE, &[("WSS_PORT", "9876")]).unwrap();
    let expected = [
        ("192.0.2.10:9876".to_owned(), true),
        ("127.0.0.1:8080".to_owned(), false),
    ];
    assert_eq!(listeners(&one), expected);
    let same = over(FILE, &[("WSS_PORT", "443"), ("HTTPS_PORT", "443")]).unwrap();
    assert_eq!(listeners(&same), listeners(&over(FILE, &[]).unwrap()));
    // The demo, and a file for this machine alone, have none with TLS: then these are it.
    let demo = start(&[("HTTPS_PORT", "8443")]).unwrap();
    assert!(demo.demo);
    assert_eq!(listeners(&demo), [("127.0.0.1:8443".to_owned(), true)]);
    let off = over("[web]\ntls = \"off\"", &[("HTTPS_PORT", "8443")]).unwrap_err();
    assert!(
        off.contains("HTTPS_PORT") && off.contains("tls = \"off\""),
        "{off}"
    );
    let both = "[web]\nlisten = [\"192.0.2.10:443\", \"127.0.0.1:8080\"]";
    assert!(
        over(both, &[("WSS_PORT", "8080")]).is_ok(),
        "another address"
    );
}

#[test]
fn ux_g2_the_environment_lies_over_the_trunk_of_a_file() {
    let carrier = [
        ("OUTBOUND_PROXY", "tcp://192.0.2.77"),
        ("OUTBOUND_ROUTE", "192.0.2.78"),
    ];
    let config = start_with(FILE, &carrier).unwrap();
    let trunk = &config.trunks[0];
    assert_eq!(
        (trunk.name.as_str(), trunk.transport),
        ("carrier", Transport::Tcp)
    );
    assert_eq!(trunk.domain, "192.0.2.77");
    assert_eq!(
        trunk.call_route.as_ref().unwrap().to_string(),
        "192.0.2.78:5060"
    );
    assert_eq!(config.source, ConfigSource::File("ringway.toml".to_owned()));
    let error = |variables: &[(&str, &str)], text: &str| start_with(text, variables).unwrap_err();
    let tls = error(&[("OUTBOUND_PROXY", "tls://192.0.2.77")], FILE);
    assert!(tls.contains("`listen_tls` in [sip] is missing"), "{tls}");
    let other = error(&[("OUTBOUND_ROUTE", "192.0.2.78;transport=tcp")], FILE);
    assert!(other.contains("OUTBOUND_ROUTE: `transport=tcp`"), "{other}");
    let account = format!("{FILE}username = \"t1\"\npassword = \"pw\"\n");
    let two = error(
        &[("OUTBOUND_ROUTE", "192.0.2.78;auth=joe:s3cret")],
        &account,
    );
    assert!(
        two.contains("`auth`") && two.contains("`username = \"t1\"`"),
        "{two}"
    );
    assert!(!two.contains("s3cret") && !two.contains("pw"), "{two}");
    let family = error(&[("OUTBOUND_ROUTE", "[2001:db8::1]")], FILE);
    assert!(family.contains("both must be IPv4"), "{family}");
    let calls_only = start_with(
        "[sip]\nlisten = \"192.0.2.10:5060\"",
        &[("OUTBOUND_ROUTE", "192.0.2.78")],
    );
    assert!(calls_only.unwrap().trunks[0].targets.is_empty());
}

#[test]
fn ux_g2_a_trunk_without_registrar_is_for_calls() {
    let trunk = |keys: &str| {
        let head = "[sip]\nlisten = \"192.0.2.10:5060\"\n[[trunk]]\nname = \"a\"\ntarget = []\n";
        load(&format!("{head}{keys}"))
    };
    let config = trunk("call_route = \"192.0.2.78\"").unwrap();
    assert_eq!(config.trunks[0].domain, "192.0.2.78");
    let error = trunk("").unwrap_err().to_string();
    assert!(error.contains("`target` is empty"), "{error}");
    let account =
        "call_route = \"192.0.2.78\"\nusername = \"t\"\npassword = \"p\"\nregister = true";
    let error = trunk(account).unwrap_err().to_string();
    assert!(error.contains("`register` needs a registrar"), "{error}");
}
