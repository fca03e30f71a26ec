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
    config.trunks[0].hops[0].address.to_string()
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
    let hops: Vec<_> = trunk
        .hops
        .iter()
        .map(|hop| (hop.address.to_string(), hop.priority, hop.weight))
        .collect();
    assert_eq!(
        hops,
        [
            ("192.0.2.9:5060".to_owned(), 0, 0),
            ("192.0.2.8:5070".to_owned(), 1, 3),
            ("192.0.2.7:5060".to_owned(), 0, 0)
        ]
    );
    assert_eq!(trunk.sources.len(), 3);
    assert_eq!(trunk.failover_after.as_secs(), 4);
    assert_eq!(trunk.down_for.as_secs(), 90);
    // What it says of itself means the same.
    let again = load(&config.effective()).unwrap();
    assert_eq!(again.trunks[0].hops, trunk.hops);
    assert_eq!(again.trunks[0].down_for, trunk.down_for);
    assert_eq!(
        again.trunks[0].probe,
        Some(std::time::Duration::from_secs(20))
    );
}

#[test]
fn every_target_is_resolved_and_trusted() {
    let list = "[\"one.test\", \"two.test\"]";
    let mut config = load(&trunk_at(list, "")).unwrap();
    let resolver = |host: &str, port: u16| {
        let last = if host == "one.test" { 1 } else { 2 };
        Ok(vec![([192, 0, 2, last], port).into()])
    };
    config.resolve(&resolver).unwrap();
    let hops = &config.trunks[0].hops;
    let addresses: Vec<String> = hops.iter().map(|hop| hop.address.to_string()).collect();
    assert_eq!(addresses, ["192.0.2.1:5060", "192.0.2.2:5060"]);
    assert_eq!(config.trunks[0].sources.len(), 2);
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
