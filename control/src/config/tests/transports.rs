//! TCP and TLS of `[sip]` and `[[trunk]]`.

use super::{load, refusal};
use crate::config::{Config, Trust};
use crate::sip::Transport;

const SIP: &str = "[sip]\nlisten = \"192.0.2.1:5060\"\n";
const TCP: &str = "listen_tcp = \"192.0.2.1:5070\"\n";
const TLS: &str = "listen_tls = \"192.0.2.1:5061\"\ncertificate = \"c.pem\"\n\
                   private_key = \"k.pem\"\n";

fn trunk(keys: &str) -> String {
    format!("[[trunk]]\nname = \"a\"\ntarget = \"192.0.2.9\"\n{keys}\n")
}

fn address_of_trunk(config: &Config) -> String {
    config.trunks[0].targets[0].place.to_string()
}

#[test]
fn a_trunk_is_spoken_to_over_tcp_or_tls() {
    let tcp = load(&format!("{SIP}{TCP}{}", trunk("transport = \"tcp\""))).unwrap();
    assert_eq!(address_of_trunk(&tcp), "192.0.2.9:5060");
    let sip = tcp.sip.as_ref().unwrap();
    let advertise = |transport| sip.advertise_of(transport).to_string();
    assert_eq!(advertise(Transport::Tcp), "192.0.2.1:5070");
    assert_eq!(advertise(Transport::Udp), "192.0.2.1:5060");

    let keys = "transport = \"tls\"\nca = \"carrier.pem\"";
    let tls = load(&format!("{SIP}{TLS}{}", trunk(keys))).unwrap();
    assert_eq!(address_of_trunk(&tls), "192.0.2.9:5061");
    assert_eq!(
        tls.trunks[0].trust,
        Trust::Authorities("carrier.pem".into())
    );
    let certificate = tls.sip.unwrap().certificate.unwrap();
    assert_eq!(certificate.private_key, std::path::Path::new("k.pem"));
}

#[test]
fn c16_large_requests_go_over_tcp_where_a_trunk_over_udp_says_so() {
    let over_tcp = |keys: &str| {
        let config = load(&format!("{SIP}{TCP}{}", trunk(keys))).unwrap();
        let again = load(&config.effective()).unwrap();
        assert_eq!(
            again.trunks[0].tcp_for_large,
            config.trunks[0].tcp_for_large
        );
        config.trunks[0].tcp_for_large
    };
    assert!(!over_tcp(""));
    assert!(!over_tcp("tcp_for_large = false\ntransport = \"tcp\""));
    assert!(over_tcp("tcp_for_large = true"));
    assert!(over_tcp("tcp_for_large = true\ntransport = \"auto\""));
}

#[test]
fn tls_is_verified_unless_the_file_says_otherwise() {
    let trust = |keys: &str| {
        let text = format!(
            "{SIP}{TLS}{}",
            trunk(&format!("transport = \"tls\"\n{keys}"))
        );
        load(&text).unwrap().trunks[0].trust.clone()
    };
    assert_eq!(trust(""), Trust::System);
    assert_eq!(trust("verify = true"), Trust::System);
    assert_eq!(trust("verify = false"), Trust::Anybody);
}

#[test]
fn refuses_transports_without_what_they_need() {
    for (text, part) in [
        (
            format!("{SIP}{}", trunk("transport = \"tcp\"")),
            "trunk `a` is spoken to over tcp, but `listen_tcp` in [sip] is missing",
        ),
        (
            format!("{SIP}{TCP}{}", trunk("transport = \"tls\"")),
            "trunk `a` is spoken to over tls, but `listen_tls` in [sip] is missing",
        ),
        (
            format!("{SIP}listen_tls = \"192.0.2.1:5061\""),
            "`listen_tls` needs `certificate` and `private_key` in [sip]",
        ),
        (
            format!("{SIP}certificate = \"c.pem\""),
            "`certificate` and `private_key` belong together",
        ),
        (
            format!("{SIP}client_ca = \"c.pem\""),
            "`client_ca` is for `listen_tls`",
        ),
        (
            format!("{SIP}{TLS}listen_tcp = \"192.0.2.1:5061\""),
            "`listen_tcp` and `listen_tls` are the same",
        ),
        (
            format!("{SIP}listen_tcp = \"[2001:db8::1]:5060\""),
            "both must be IPv4, or both IPv6",
        ),
        (
            format!("{SIP}{}", trunk("tcp_for_large = true")),
            "trunk `a` has `tcp_for_large`, but `listen_tcp` in [sip] is missing",
        ),
        (
            format!(
                "{SIP}{TCP}{}",
                trunk("transport = \"tcp\"\ntcp_for_large = true")
            ),
            "`tcp_for_large` is for trunks over UDP",
        ),
        (
            format!("{SIP}{}", trunk("verify = false")),
            "`verify` is for trunks over TLS",
        ),
        (
            format!("{SIP}{}", trunk("ca = \"c.pem\"")),
            "`ca` is for trunks over TLS",
        ),
        (
            format!(
                "{SIP}{TLS}{}",
                trunk("transport = \"tls\"\nca = \"c.pem\"\nverify = false")
            ),
            "`ca` says nothing with `verify = false`",
        ),
    ] {
        let message = refusal(&text);
        assert!(message.contains(part), "{message}");
    }
}

fn trunk_at(target: &str, keys: &str) -> String {
    format!("{SIP}[[trunk]]\nname = \"a\"\ntarget = {target}\n{keys}\n")
}

#[test]
fn a_trunk_has_one_target_or_a_list() {
    let list = "[\"192.0.2.9\", { host = \"192.0.2.8:5070\", weight = 3 }, \
                { host = \"192.0.2.7\", priority = 0 }]";
    let config = load(&trunk_at(
        list,
        "failover_after_s = 4\ndown_for_s = 90\nprobe_s = 20",
    ))
    .unwrap();
    let trunk = &config.trunks[0];
    assert_eq!(trunk.domain, "192.0.2.9", "of the first");
    let targets: Vec<_> = trunk
        .targets
        .iter()
        .map(|target| (target.place.to_string(), target.priority, target.weight))
        .collect();
    assert_eq!(
        targets,
        [
            ("192.0.2.9:5060".to_owned(), 0, 0),
            ("192.0.2.8:5070".to_owned(), 1, 3),
            ("192.0.2.7:5060".to_owned(), 0, 0)
        ]
    );
    assert_eq!(trunk.failover_after.as_secs(), 4);
    assert_eq!(trunk.down_for.as_secs(), 90);
    // What it says of itself means the same.
    let again = load(&config.effective()).unwrap();
    assert_eq!(again.trunks[0].targets.len(), 3);
    assert_eq!(again.trunks[0].targets[1], trunk.targets[1]);
    assert_eq!(again.trunks[0].down_for, trunk.down_for);
    assert_eq!(
        again.trunks[0].probe,
        Some(std::time::Duration::from_secs(20))
    );
}

#[test]
fn d1_a_port_that_is_given_is_told_from_the_default_one() {
    let list = "[\"one.test\", \"two.test:5060\", \"192.0.2.9\"]";
    let config = load(&trunk_at(list, "route = \"proxy.test\"")).unwrap();
    let trunk = &config.trunks[0];
    let has_port: Vec<bool> = trunk.targets.iter().map(|target| target.has_port).collect();
    assert_eq!(has_port, [false, true, false]);
    assert!(trunk.targets.iter().all(|target| target.place.port == 5060));
    assert!(!trunk.route.as_ref().unwrap().has_port);
    // What it says of itself means the same.
    let again = load(&config.effective()).unwrap();
    assert_eq!(again.trunks[0].targets[0].place, trunk.targets[0].place);
    let again = again.trunks[0].targets.iter().map(|target| target.has_port);
    assert_eq!(again.collect::<Vec<bool>>()[..2], [false, true]);
}

#[test]
fn d1_a_trunk_may_leave_its_transport_to_its_domain() {
    let keys = "transport = \"auto\"\nca = \"carrier.pem\"";
    let config = load(&trunk_at("\"carrier.test\"", keys)).unwrap();
    let trunk = &config.trunks[0];
    assert!(trunk.transport_by_dns);
    assert_eq!(trunk.transport, Transport::Udp);
    assert_eq!(trunk.trust, Trust::Authorities("carrier.pem".into()));
    assert!(config.effective().contains("transport = \"auto\""));
    let config = load(&trunk_at("\"carrier.test\"", "")).unwrap();
    assert!(!config.trunks[0].transport_by_dns, "it is UDP unless given");
}

#[test]
fn d1_dns_servers_can_be_named() {
    let servers = "resolvers = [\"192.0.2.53\", \"[2001:db8::53]:5353\"]\n";
    let config = load(&format!("{SIP}{servers}")).unwrap();
    let resolvers = config.sip.as_ref().unwrap().resolvers.iter();
    let resolvers: Vec<String> = resolvers.map(ToString::to_string).collect();
    assert_eq!(resolvers, ["192.0.2.53:53", "[2001:db8::53]:5353"]);
    let again = load(&config.effective()).unwrap();
    assert_eq!(again.sip.unwrap().resolvers, config.sip.unwrap().resolvers);
    for (value, word) in [
        ("\"dns.test\"", "no address: `dns.test`"),
        ("\"192.0.2.53:0\"", "no address"),
    ] {
        let message = refusal(&format!("{SIP}resolvers = {value}"));
        assert!(message.contains(word), "{message}");
    }
    let many = ["\"192.0.2.53\""; 9].join(", ");
    let message = refusal(&format!("{SIP}resolvers = [{many}]"));
    assert!(message.contains("more than 8"), "{message}");
}

#[test]
fn refuses_targets_that_make_no_sense() {
    for (target, keys, word) in [
        ("[]", "", "`target` is empty"),
        ("[\"a b\"]", "", "`target` is no host and port: `a b`"),
        ("[{ host = \"a\", prio = 1 }]", "", "prio"),
        ("\"a\"", "failover_after_s = 33", "more than 32"),
        ("\"a\"", "down_for_s = 0", "`down_for_s` is 0"),
        ("\"a\"", "probe_s = 5", "`probe_s` cannot be 5"),
    ] {
        let message = refusal(&trunk_at(target, keys));
        assert!(message.contains(word), "{message}");
    }
    let many = vec!["\"192.0.2.9\""; 17].join(", ");
    let message = refusal(&trunk_at(&format!("[{many}]"), ""));
    assert!(message.contains("more than 16"), "{message}");
}
