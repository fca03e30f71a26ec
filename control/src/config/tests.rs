use super::*;

mod acme;
mod environment;
mod limits;
mod numbers;
mod transports;

const NO_ENVIRONMENT: &dyn Fn(&str) -> Option<String> = &|_| None;

const CARRIER: &str = r#"
[web]
listen = ["0.0.0.0:443", "127.0.0.1:8080"]
origins = ["https://Phone.example.com"]

[sip]
listen = "192.0.2.10:5060"

[media]
browser_advertise = "198.51.100.7"
rtp_port_min = 10001
rtp_port_max = 10020
browser_port = 3478
cores = [2, 3]

[[trunk]]
name = "carrier"
target = "sbc.example.com"
route = "192.0.2.99:5070"
codecs = ["pcma", "OPUS"]

[[realm]]
domain = "Example.com"
trunk = "carrier"

[[line]]
number = "1001"
password = "correct horse"
"#;

fn load(text: &str) -> Result<Config, ConfigError> {
    Config::parse("ringway.toml", text, NO_ENVIRONMENT)
}

fn refusal(text: &str) -> String {
    load(text).unwrap_err().to_string()
}

#[test]
fn fills_in_defaults_that_belong_together() {
    let config = load(CARRIER).unwrap();
    assert!(config.web.listen[0].secure && !config.web.listen[1].secure);
    assert_eq!(config.web.certificate, Certificate::SelfSigned);
    assert_eq!(
        config.web.origins,
        Origins::SameAnd(vec!["https://phone.example.com".into()])
    );
    assert_eq!(
        config.sip.as_ref().unwrap().advertise.to_string(),
        "192.0.2.10:5060"
    );
    let media = &config.media;
    assert!(media.browser_bind.is_unspecified());
    assert_eq!(media.trunk_bind.to_string(), "192.0.2.10");
    assert_eq!(media.trunk_advertise, media.trunk_bind);
    assert_eq!(media.cores, [Some(2), Some(3)]);
    assert_eq!(config.trunks[0].domain, "sbc.example.com");
    assert_eq!(config.trunks[0].codecs, ["PCMA", "opus"]);
    assert_eq!(config.lines.realm, "ringway.local");
    assert_eq!(config.lines.entries[0].name, "1001");
}

#[test]
fn splits_rtp_ports_between_workers_in_pairs() {
    let media = load(CARRIER).unwrap().media;
    assert_eq!(
        media.rtp_ports,
        PortRange {
            first: 10_002,
            last: 10_019
        }
    );
    assert_eq!(
        media.rtp_ports_of(0),
        Some(PortRange {
            first: 10_002,
            last: 10_009
        })
    );
    assert_eq!(
        media.rtp_ports_of(1),
        Some(PortRange {
            first: 10_010,
            last: 10_017
        })
    );
    assert_eq!(media.rtp_ports_of(2), None);
}

#[test]
fn sends_domains_to_their_trunk() {
    let config = load(CARRIER).unwrap();
    assert_eq!(config.trunk_of_domain("EXAMPLE.com"), Some(0));
    assert_eq!(config.trunk_of_domain("other.example"), None);
    let without_realm: String = CARRIER.replace("[[realm]]", "[lines]").replace(
        "domain = \"Example.com\"\ntrunk = \"carrier\"",
        "domain = \"own.example\"",
    );
    let config = load(&without_realm).unwrap();
    assert_eq!(config.trunk_of_domain("other.example"), Some(0));
    assert_eq!(config.trunk_of_domain("own.example"), None);
}

#[test]
fn names_the_key_that_was_meant() {
    assert_eq!(
        refusal("[log]\nlevel = \"info\"\n\n\n# here\n[media]\nbrowser_advertize = \"::1\"\n"),
        "unknown key `browser_advertize` in [media] at ringway.toml line 7: \
         did you mean `browser_advertise`?"
    );
    assert_eq!(
        refusal("[wev]\n"),
        "unknown key `wev` in [wev] at ringway.toml line 1: did you mean `web`?"
    );
    let trunk = "[sip]\nlisten = \"192.0.2.1:5060\"\n[[trunk]]\nname = \"a\"\ntarget = \"b\"\n";
    assert_eq!(
        refusal(&format!("{trunk}codec = []\n")),
        "unknown key `codec` in [[trunk]] at ringway.toml line 6: did you mean `codecs`?"
    );
    assert!(refusal("zzzzzzzz = 1").contains("valid here are server, web, sip"));
}

#[test]
fn says_which_key_is_missing() {
    let text = "[[trunk]]\nname = \"a\"\n";
    assert_eq!(
        refusal(text),
        "key `target` is missing in [[trunk]] at ringway.toml line 1: it has no default"
    );
}

/// Each text is refused, in this line (0: none), with this in the message.
fn assert_refused(cases: &[(&str, usize, &str)]) {
    for (text, line, part) in cases {
        let message = refusal(text);
        assert!(message.contains(part), "{text}: {message}");
        assert!(
            *line == 0 || message.contains(&format!("line {line}:")),
            "{text}: {message}"
        );
    }
}

#[test]
fn refuses_nonsense_in_web_server_and_lines() {
    assert_refused(&[
        (
            "[web]\nlisten = \"localhost\"",
            2,
            "no address and port: `localhost`",
        ),
        ("[web]\nlisten = []", 2, "`listen` is empty"),
        ("[web]\nlisten = 8080", 2, "a text or a list of texts"),
        ("[web]\nlisten == 3", 2, "cannot understand"),
        ("[web]\ntls = \"maybe\"", 2, "unknown variant `maybe`"),
        ("[web]\ncertificate = \"a.pem\"", 2, "without `private_key`"),
        ("[web]\nprivate_key = \"a.pem\"", 2, "without `certificate`"),
        (
            "[web]\norigins = [\"example.com\"]",
            2,
            "no origin in `example.com`",
        ),
        ("[web]\npath = \"ws\"", 2, "`path` cannot be `ws`"),
        (
            "[web]\nmessages_per_second = 0",
            2,
            "`messages_per_second` is 0",
        ),
        (
            "[server]\nname = \"a\\r\\nVia: b\"",
            2,
            "use letters, digits",
        ),
        ("[server]\ncalls_max = 0", 2, "`calls_max` is 0"),
        (
            "[server]\ntransactions_max = 1000",
            2,
            "`transactions_max` is 1000",
        ),
        (
            "[server]\nfinished_transactions_max = 5000000",
            2,
            "it must be 1024 to 4194304",
        ),
        (
            "[[line]]\nnumber = \"9196\"\npassword = \"a\"",
            2,
            "in use already",
        ),
        (
            "[[line]]\nnumber = \"1\"\npassword = \"\"",
            2,
            "empty password",
        ),
        (
            "[[line]]\nnumber = \"a b\"\npassword = \"x\"",
            2,
            "`number` cannot be `a b`",
        ),
        (
            "[[line]]\nnumber = \"1\"\npassword = \"x\"\nname = \"a\\r\\nVia: b\"",
            4,
            "`name` has a control character",
        ),
    ]);
}

#[test]
fn suite_s14_the_tables_grow_with_the_calls() {
    let parse = |text: &str| {
        let config = Config::parse("test.toml", text, &|_| None);
        config.unwrap().server
    };
    let default = parse("");
    assert_eq!(default.calls_max, 20_000);
    assert_eq!(default.transactions.live, 131_072);
    assert_eq!(default.transactions.finished, 262_144);
    let large = parse("[server]\ncalls_max = 100000");
    assert_eq!(large.transactions.live, 400_000);
    let given = parse("[server]\ncalls_max = 100000\ntransactions_max = 2048");
    assert_eq!(given.transactions.live, 2048);
}

#[test]
fn refuses_nonsense_in_media() {
    assert_refused(&[
        (
            "[media]\nbrowser_bind = \"a\"",
            2,
            "`browser_bind` is no IP address",
        ),
        (
            "[media]\nbrowser_advertise = \"0.0.0.0\"",
            2,
            "nobody can send to",
        ),
        (
            "[media]\nbrowser_port = 65535\ncores = 2",
            2,
            "leaves no ports for 2 workers",
        ),
        ("[media]\nbrowser_port = 70000", 2, "a number up to 65535"),
        (
            "[media]\nrtp_port_min = 100\nrtp_port_max = 100",
            3,
            "hold no pair",
        ),
        ("[media]\ncores = 0", 2, "asks for 0 workers"),
        ("[media]\ncores = 65", 2, "asks for 65 workers"),
        ("[media]\ncores = [1, 1]", 2, "names a core twice"),
        (
            "[media]\ncores = \"all\"",
            2,
            "a number of workers or a list of core numbers",
        ),
        (
            "[media]\nflows_max = 16385",
            2,
            "a worker has at most 16384",
        ),
        ("[media]\nsilent_after_s = 0", 2, "`silent_after_s` is 0"),
        (
            "[media]\nheld_silent_after_s = 59",
            2,
            "`held_silent_after_s` is 59",
        ),
        (
            "[media]\nbackend = \"epoll\"",
            2,
            "\"auto\", \"uring\" or \"mmsg\"",
        ),
        ("[media]\ntrunk_dscp = 64", 2, "0 to 63"),
        ("[media]\nbrowser_video_dscp = 64", 2, "0 to 63"),
    ]);
}

#[test]
fn refuses_nonsense_in_sip_trunks_and_realms() {
    let sip = "[sip]\nlisten = \"192.0.2.1:5060\"\n";
    let trunk = "[[trunk]]\nname = \"a\"\ntarget = \"b\"\n";
    assert_refused(&[
        ("[sip]\nlisten = \"5060\"", 2, "no address and port: `5060`"),
        (&format!("{sip}advertise = \"a b\""), 3, "no host and port"),
        (&format!("{sip}{trunk}{trunk}"), 7, "two trunks named `a`"),
        (
            &format!("{sip}{trunk}codecs = [\"PCNU\"]"),
            6,
            "did you mean `PCMU`?",
        ),
        (&format!("{sip}{trunk}codecs = []"), 6, "`codecs` is empty"),
        (
            &format!("{sip}{trunk}route = \":\""),
            6,
            "`route` is no host and port",
        ),
        (
            &format!("{sip}{trunk}[[realm]]\ndomain = \"c\"\ntrunk = \"x\""),
            8,
            "no trunk named",
        ),
        (
            &format!("{sip}{trunk}[[realm]]\ndomain = \"ringway.local\"\ntrunk = \"a\""),
            0,
            "give [lines] another domain",
        ),
    ]);
}

#[test]
fn insists_on_addresses_that_others_can_reach() {
    let message = refusal("[web]\nlisten = \"0.0.0.0:443\"");
    assert!(
        message.contains("`browser_advertise` is missing"),
        "{message}"
    );
    let message = refusal("[sip]\nlisten = \"0.0.0.0:5060\"");
    assert!(
        message.contains("which carriers cannot send to"),
        "{message}"
    );
    let message = refusal("[[trunk]]\nname = \"a\"\ntarget = \"b\"");
    assert!(
        message.contains("`listen` in [sip] is missing"),
        "{message}"
    );
    let message = refusal("[media]\nbrowser_port = 10000");
    assert!(
        message.contains("in the range of the RTP ports"),
        "{message}"
    );

    let nat = "[sip]\nlisten = \"0.0.0.0:5060\"\nadvertise = \"198.51.100.7:5060\"";
    assert_eq!(
        load(nat).unwrap().media.trunk_advertise.to_string(),
        "198.51.100.7"
    );
}

#[test]
fn refuses_addresses_of_families_that_cannot_meet() {
    let v6 = "[sip]\nlisten = \"[2001:db8::1]:5060\"\n";
    let v4 = "[sip]\nlisten = \"192.0.2.1:5060\"\n";
    let trunk = |target: &str| format!("[[trunk]]\nname = \"a\"\ntarget = \"{target}\"\n");
    for (sip, target) in [
        (v6, "192.0.2.9"),
        (v4, "[2001:db8::9]"),
        (v4, "2001:db8::9"),
    ] {
        let message = refusal(&format!("{sip}{}", trunk(target)));
        assert!(message.contains("trunk `a` is at"), "{message}");
    }
    let routed = format!("{v4}{}route = \"[2001:db8::9]\"", trunk("192.0.2.9"));
    assert!(refusal(&routed).contains("trunk `a` is at"));
    assert!(load(&format!("{v4}{}", trunk("192.0.2.9"))).is_ok());
    assert!(load(&format!("{v4}{}", trunk("sbc.example.com"))).is_ok());
    assert_refused(&[
        (
            "[media]\nbrowser_bind = \"192.0.2.1\"\nbrowser_advertise = \"2001:db8::1\"",
            3,
            "cannot be reached at 2001:db8::1",
        ),
        (
            "[sip]\nlisten = \"[::]:5060\"\nadvertise = \"192.0.2.1\"",
            3,
            "[::]:5060 cannot be reached at 192.0.2.1",
        ),
        (
            "[media]\nbrowser_bind = \"::\"\nbrowser_advertise = \"192.0.2.1\"",
            3,
            "cannot be reached at 192.0.2.1",
        ),
        (
            "[media]\ntrunk_bind = \"192.0.2.1\"\ntrunk_advertise = \"2001:db8::1\"",
            3,
            "cannot be reached at 2001:db8::1",
        ),
    ]);
}

#[test]
fn an_ipv6_trunk_has_a_domain_that_fits_into_a_uri() {
    let text = "[sip]\nlisten = \"[2001:db8::1]:5060\"\n\
                [[trunk]]\nname = \"a\"\ntarget = \"[2001:db8::9]:5070\"\n";
    let config = load(text).unwrap();
    assert_eq!(config.trunks[0].domain, "[2001:db8::9]");
    let env = |name: &str| (name == "OUTBOUND_PROXY").then(|| "[2001:db8::7]".to_owned());
    let config = Config::parse("ringway.toml", text, &env).unwrap();
    assert_eq!(config.trunks[0].domain, "[2001:db8::7]");
    assert!(load(&config.effective()).is_ok(), "{}", config.effective());
}

#[test]
fn carriers_are_told_the_port_that_is_listened_on() {
    let nat = "[sip]\nlisten = \"0.0.0.0:5070\"\nadvertise = \"198.51.100.7\"";
    let advertise = load(nat).unwrap().sip.unwrap().advertise;
    assert_eq!(advertise.to_string(), "198.51.100.7:5070");
    assert_refused(&[(
        "[sip]\nlisten = \"192.0.2.1:0\"",
        2,
        "`listen` of [sip] has port 0",
    )]);
}

#[test]
fn refuses_what_would_silently_do_nothing_in_web() {
    let files = "certificate = \"a.pem\"\nprivate_key = \"b.pem\"";
    assert_refused(&[
        ("[web]\npath = \"/health\"", 2, "a page of its own"),
        ("[web]\npath = \"/config.json\"", 2, "a page of its own"),
        ("[web]\npath = \"/index.html\"", 2, "a page of its own"),
        (&format!("[web]\n{files}"), 2, "no listener uses TLS"),
        (
            "[web]\nlisten = [\"127.0.0.1:80\", \"127.0.0.1:80\"]",
            2,
            "names 127.0.0.1:80 twice",
        ),
        (
            "[web]\norigins = [\"https://*.example.com\"]",
            2,
            "no origin",
        ),
        ("[web]\norigins = [\"https://a.example?b\"]", 2, "no origin"),
        ("[web]\norigins = [\"https://a.example:0\"]", 2, "no origin"),
    ]);
    assert!(load(&format!("[web]\ntls = \"on\"\n{files}")).is_ok());
}

#[test]
fn origins_are_written_as_browsers_send_them() {
    let text = "[web]\norigins = [\"https://A.example:443\", \"http://[2001:db8::1]:80\", \
                \"https://b.example:8443\", \"http://c.example:443\"]";
    let expected = [
        "https://a.example",
        "http://[2001:db8::1]",
        "https://b.example:8443",
        "http://c.example:443",
    ];
    let expected = expected.map(str::to_owned).to_vec();
    assert_eq!(load(text).unwrap().web.origins, Origins::SameAnd(expected));
}

#[test]
fn refuses_a_data_plane_without_room_for_one_call() {
    assert_refused(&[("[media]\nflows_max = 1", 2, "a call has two flows")]);
}

#[test]
fn refuses_a_sip_port_among_the_rtp_ports() {
    let sip = "[sip]\nlisten = \"192.0.2.1:10060\"\n";
    assert!(refusal(sip).contains("port 10060 of [sip] lies in the range of the RTP ports"));
    assert!(load(&format!("{sip}[media]\ntrunk_bind = \"192.0.2.2\"")).is_ok());
}

#[test]
fn names_each_codec_once() {
    let text = "[sip]\nlisten = \"192.0.2.1:5060\"\n[[trunk]]\nname = \"a\"\n\
                target = \"b\"\ncodecs = [\"PCMU\", \"opus\", \"pcmu\"]";
    assert_eq!(load(text).unwrap().trunks[0].codecs, ["PCMU", "opus"]);
}

#[test]
fn empty_variables_of_the_environment_count_as_unset() {
    let env = |_: &str| Some(String::new());
    let config = Config::parse("ringway.toml", CARRIER, &env).unwrap();
    assert_eq!(config.media.rtp_ports.first, 10_002);
}

#[test]
fn environment_wins_over_the_file() {
    let env = |name: &str| match name {
        "OUTBOUND_PROXY" => Some("sip:192.0.2.77;lr".to_owned()),
        "OUTBOUND_ROUTE" => Some("192.0.2.78:5080".to_owned()),
        "MIN_RTP_PORT" => Some("12000".to_owned()),
        "MAX_RTP_PORT" => Some("12099".to_owned()),
        _ => None,
    };
    let config = Config::parse("ringway.toml", CARRIER, &env).unwrap();
    assert_eq!(
        config.trunks[0].targets[0].place.to_string(),
        "192.0.2.77:5060"
    );
    assert_eq!(config.trunks[0].domain, "192.0.2.77");
    let route = config.trunks[0].route.as_ref().unwrap();
    assert_eq!(route.to_string(), "192.0.2.99:5070", "all but calls");
    let route = config.trunks[0].call_route.as_ref().unwrap();
    assert_eq!(route.to_string(), "192.0.2.78:5080");
    assert_eq!(
        config.media.rtp_ports,
        PortRange {
            first: 12_000,
            last: 12_099
        }
    );

    let text = "[sip]\nlisten = \"192.0.2.10:5060\"";
    let config = Config::parse("ringway.toml", text, &env).unwrap();
    assert_eq!(config.trunks[0].name, "outbound");
}

#[test]
fn refuses_nonsense_in_the_environment() {
    for (key, value, part) in [
        (
            "MIN_RTP_PORT",
            "many",
            "MIN_RTP_PORT is no port in the environment: `many`",
        ),
        (
            "MAX_RTP_PORT",
            "70000",
            "MAX_RTP_PORT is no port in the environment: `70000`",
        ),
        ("MAX_RTP_PORT", "9999", "hold no pair for each of 1 workers"),
        (
            "OUTBOUND_PROXY",
            "sip:a@b",
            "OUTBOUND_PROXY cannot be `…@b`",
        ),
        (
            "OUTBOUND_ROUTE",
            "192.0.2.1",
            "a trunk is configured, but `listen` in [sip] is missing",
        ),
    ] {
        let env = |name: &str| (name == key).then(|| value.to_owned());
        let message = Config::parse("ringway.toml", "", &env)
            .unwrap_err()
            .to_string();
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn demo_needs_no_file() {
    let passwords = ["first".to_owned(), "second".to_owned()];
    let config = Config::without_file(passwords, &|_| None, NO_ENVIRONMENT).unwrap();
    assert!(config.demo && config.trunks.is_empty() && config.sip.is_none());
    assert_eq!(config.web.listen[0].address.to_string(), "127.0.0.1:8080");
    assert!(!config.web.listen[0].secure);
    assert_eq!(config.media.browser_port, 0);
    assert_eq!(config.lines.echo.as_deref(), Some("9196"));
    let numbers: Vec<&str> = config
        .lines
        .entries
        .iter()
        .map(|l| l.number.as_str())
        .collect();
    assert_eq!(numbers, ["1001", "1002"]);
    assert_eq!(config.lines.entries[1].password.expose(), "second");
}

#[test]
fn never_prints_passwords() {
    let config = load(CARRIER).unwrap();
    assert!(!format!("{config:?}").contains("horse"));
    assert!(!config.effective().contains("horse"));
}

#[test]
fn effective_configuration_can_be_loaded_again() {
    let mut config = load(CARRIER).unwrap();
    config.web.listen.truncate(1);
    let text = config.effective();
    let again = load(&text).unwrap();
    assert_eq!(again.effective(), text);
}

#[test]
fn reference_file_is_valid_and_complete() {
    let text = include_str!("../../config/ringway.toml");
    let reference = load(text).unwrap();
    // Commented keys count too: every key of the effective configuration is explained there.
    for line in reference
        .effective()
        .lines()
        .filter(|line| line.contains(" = "))
    {
        let key = line.split(" = ").next().unwrap();
        assert!(
            text.contains(&format!("{key} = ")),
            "{key} is not in the reference"
        );
    }
}

#[test]
fn w21_tokens_need_a_key_that_is_long_enough() {
    let none = refusal("[web.token]\nissuer = \"me\"");
    assert!(none.contains("no key to check tokens with"), "{none}");
    let short = refusal("[web.token]\nsecret = \"short\"");
    assert!(short.contains("shorter than 32 bytes"), "{short}");
    let text = "[web.token]\nsecret = \"0123456789abcdef0123456789abcdef\"\n\
                public_key = \"key.pem\"\nissuer = \"me\"\nrequired = \"request\"";
    let config = load(text).unwrap();
    let token = config.web.token.as_ref().unwrap();
    assert_eq!(token.keys.len(), 2);
    assert_eq!(token.required, TokenRequired::Request);
    let effective = config.effective();
    assert!(effective.contains("issuer = \"me\"") && !effective.contains("0123456789"));
}

#[test]
fn says_which_file_cannot_be_read() {
    let error = Config::load(Path::new("/nonexistent/a.toml"), NO_ENVIRONMENT).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("cannot read /nonexistent/a.toml: ")
    );
}

#[test]
fn o1_a_flow_secret_that_can_be_guessed_is_refused_and_none_is_printed() {
    let with = |secret: &str| {
        let listen = "listen = \"192.0.2.10:5060\"";
        load(&format!("[sip]\n{listen}\nflow_secret = \"{secret}\"\n"))
    };
    let refusal = with("short").unwrap_err().to_string();
    assert!(refusal.contains("16 characters"), "{refusal}");
    let config = with("sixteen or more characters").unwrap();
    assert!(!format!("{config:?}").contains("sixteen"));
    assert!(!config.effective().contains("sixteen"));
}

#[test]
fn o2_a_realm_says_how_its_browsers_register() {
    let realm = "[[realm]]\ndomain = \"b.example\"\ntrunk = \"carrier\"\nregistration = \"path\"\n\
                 without_path = \"refuse\"\nupstream_expires_s = 3600\nunregister_after_s = 30\n";
    let config = load(&format!("{CARRIER}\n{realm}")).unwrap();
    let realm = config.realm_of_domain("B.example").unwrap();
    assert_eq!(realm.registration, Registration::Path);
    assert_eq!(realm.without_path, WithoutPath::Refuse);
    assert_eq!(realm.upstream_expires, Some(Duration::from_secs(3600)));
    assert_eq!(realm.unregister_after, Some(Duration::from_secs(30)));
    assert!(config.effective().contains("registration = \"path\""));
}
