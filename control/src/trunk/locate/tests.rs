use std::time::Duration;

use super::*;
use crate::trunk::dns::Answer;

const TTL: Duration = Duration::from_secs(60);

#[expect(
    clippy::disallowed_methods,
    reason = "a starting point for a fake clock"
)]
fn start() -> Instant {
    Instant::now()
}

/// A DNS, and a target that is looked up in it.
struct Lookup {
    now: Instant,
    cache: Cache,
    target: TargetConfig,
    means: Means,
    records: Vec<(String, RecordKind, Vec<Record>)>,
    asked: Vec<String>,
}

impl Lookup {
    fn of(target: &str, transport: Option<Transport>) -> Self {
        let default_port = transport.unwrap_or(Transport::Udp).default_port();
        Self {
            now: start(),
            cache: Cache::default(),
            target: TargetConfig::parse(target, default_port).unwrap(),
            means: Means {
                transport,
                spoken: Transport::ALL.to_vec(),
                ipv4: true,
            },
            records: Vec::new(),
            asked: Vec::new(),
        }
    }

    fn host(mut self, name: &str, addresses: &[&str]) -> Self {
        let ips = addresses.iter().map(|ip| ip.parse().unwrap());
        let records: Vec<Record> = ips.map(Record::Address).collect();
        for kind in [RecordKind::A, RecordKind::Aaaa] {
            self.records.push((name.to_owned(), kind, records.clone()));
        }
        self
    }

    fn srv(mut self, name: &str, servers: &[(u16, u16, &str)]) -> Self {
        let records = servers.iter().map(|(priority, port, target)| {
            Record::Srv(Srv {
                priority: *priority,
                weight: 0,
                port: *port,
                target: (*target).to_owned(),
            })
        });
        let entry = (name.to_owned(), RecordKind::Srv, records.collect());
        self.records.push(entry);
        self
    }

    fn naptr(mut self, name: &str, ways: &[(u16, &str, &str, &str)]) -> Self {
        let records = ways.iter().map(|(order, flags, services, replacement)| {
            Record::Naptr(Naptr {
                order: *order,
                preference: 0,
                flags: (*flags).to_owned(),
                services: (*services).to_owned(),
                replacement: (*replacement).to_owned(),
            })
        });
        let entry = (name.to_owned(), RecordKind::Naptr, records.collect());
        self.records.push(entry);
        self
    }

    fn spoken(mut self, transports: &[Transport]) -> Self {
        self.means.spoken = transports.to_vec();
        self
    }

    /// One step: what is known before the questions are answered that it leads to.
    fn step(&mut self) -> Located {
        let located = locate(self.now, &self.target, &self.means, &self.cache);
        self.cache.want(self.now, &located.wanted);
        for question in self.cache.due(self.now) {
            self.asked.push(question.to_string());
            let is_it = |(name, kind, _): &&(String, RecordKind, Vec<Record>)| {
                *name == question.name && *kind == question.kind
            };
            let answer = match self.records.iter().find(is_it) {
                Some((_, _, records)) => Answer::Records {
                    records: records.clone(),
                    ttl: TTL,
                },
                None => Answer::Nothing { ttl: None },
            };
            self.cache.answered(self.now, &question, answer);
        }
        located
    }

    fn run(&mut self) -> Located {
        for _ in 0..8 {
            if !self.step().is_waiting {
                break;
            }
        }
        self.step()
    }

    /// Where it is in the end, in the order in which one user tries it.
    fn found(&mut self) -> Vec<String> {
        let mut hops = self.run().hops;
        super::super::hop::order(&mut hops, "alice", |hop| hop);
        let text = |hop: &Hop| format!("{} {}", hop.transport, hop.address);
        hops.iter().map(text).collect()
    }
}

const UDP: Option<Transport> = Some(Transport::Udp);

#[test]
fn d1_an_address_needs_no_dns() {
    let mut lookup = Lookup::of("192.0.2.9", UDP);
    assert_eq!(lookup.found(), ["udp 192.0.2.9:5060"]);
    assert!(lookup.asked.is_empty());
    let mut lookup = Lookup::of("192.0.2.9", None);
    assert_eq!(lookup.found(), ["udp 192.0.2.9:5060"]);
    assert!(lookup.asked.is_empty());
}

#[test]
fn d1_a_port_that_is_given_skips_srv_and_naptr() {
    for transport in [UDP, None] {
        let mut lookup = Lookup::of("a.test:5070", transport)
            .host("a.test", &["192.0.2.1"])
            .srv("_sip._udp.a.test", &[(1, 5060, "b.test.")]);
        assert_eq!(lookup.found(), ["udp 192.0.2.1:5070"]);
        assert_eq!(lookup.asked, ["A of a.test"]);
    }
}

#[test]
fn d1_srv_names_hosts_and_ports_by_priority() {
    let mut lookup = Lookup::of("a.test", UDP)
        .srv(
            "_sip._udp.a.test",
            &[(20, 5080, "two.test."), (10, 5070, "one.test.")],
        )
        .host("one.test.", &["192.0.2.1"])
        .host("two.test.", &["192.0.2.2"])
        .host("a.test", &["192.0.2.99"]);
    let found = lookup.found();
    assert_eq!(found, ["udp 192.0.2.1:5070", "udp 192.0.2.2:5080"]);
}

#[test]
fn d1_all_addresses_of_a_server_come_before_those_of_the_next() {
    let mut lookup = Lookup::of("a.test", UDP)
        .srv(
            "_sip._udp.a.test",
            &[(10, 5060, "one.test."), (20, 5060, "two.test.")],
        )
        .host("one.test.", &["192.0.2.9", "192.0.2.8", "192.0.2.7"])
        .host("two.test.", &["192.0.2.1", "192.0.2.2"]);
    let found = lookup.found();
    assert_eq!(found.len(), 5);
    assert!(
        found[..3]
            .iter()
            .all(|hop| hop > &"udp 192.0.2.3".to_owned())
    );
}

#[test]
fn d1_without_srv_the_host_itself_is_asked_for_at_the_default_port() {
    for (transport, found) in [
        (Transport::Udp, "udp 192.0.2.1:5060"),
        (Transport::Tcp, "tcp 192.0.2.1:5060"),
        (Transport::Tls, "tls 192.0.2.1:5061"),
    ] {
        let mut lookup = Lookup::of("a.test", Some(transport)).host("a.test", &["192.0.2.1"]);
        assert_eq!(lookup.found(), [found]);
    }
}

#[test]
fn d1_each_transport_has_its_own_service() {
    for (transport, name) in [
        (Transport::Udp, "SRV of _sip._udp.a.test"),
        (Transport::Tcp, "SRV of _sip._tcp.a.test"),
        (Transport::Tls, "SRV of _sips._tcp.a.test"),
    ] {
        let mut lookup = Lookup::of("a.test", Some(transport));
        lookup.run();
        assert_eq!(lookup.asked, [name, "A of a.test"]);
    }
}

#[test]
fn d1_a_service_that_does_not_exist_is_not_looked_for_elsewhere() {
    let mut lookup = Lookup::of("a.test", UDP)
        .srv("_sip._udp.a.test", &[(0, 0, ".")])
        .host("a.test", &["192.0.2.1"]);
    let located = lookup.run();
    assert!(located.is_off && located.hops.is_empty());
    assert_eq!(lookup.asked, ["SRV of _sip._udp.a.test"]);
}

#[test]
fn d1_naptr_chooses_the_transport_among_those_that_are_spoken() {
    let ways: [(u16, &str, &str, &str); 4] = [
        (5, "u", "E2U+sip", "x.test."),
        (10, "s", "SIPS+D2T", "_sips._tcp.b.test."),
        (20, "S", "sip+d2t", "_sip._tcp.b.test."),
        (30, "s", "SIP+D2U", "_sip._udp.b.test."),
    ];
    for (spoken, found) in [
        (Transport::ALL.as_slice(), "tls 192.0.2.1:5061"),
        (&[Transport::Udp, Transport::Tcp], "tcp 192.0.2.1:5062"),
        (&[Transport::Udp], "udp 192.0.2.1:5063"),
    ] {
        let mut lookup = Lookup::of("a.test", None)
            .spoken(spoken)
            .naptr("a.test", &ways)
            .srv("_sips._tcp.b.test.", &[(0, 5061, "one.test.")])
            .srv("_sip._tcp.b.test.", &[(0, 5062, "one.test.")])
            .srv("_sip._udp.b.test.", &[(0, 5063, "one.test.")])
            .host("one.test.", &["192.0.2.1"]);
        assert_eq!(lookup.found(), [found]);
    }
}

#[test]
fn d1_nothing_is_chosen_before_the_domain_has_said_what_it_takes() {
    let mut lookup = Lookup::of("a.test", None);
    assert!(lookup.step().is_waiting);
    assert_eq!(lookup.asked, ["NAPTR of a.test"]);
}

#[test]
fn d1_without_naptr_the_transports_that_have_servers_are_used() {
    let mut lookup = Lookup::of("a.test", None)
        .srv("_sip._udp.a.test", &[(0, 5060, "one.test.")])
        .srv("_sip._tcp.a.test", &[(0, 5060, "one.test.")])
        .host("one.test.", &["192.0.2.1"]);
    assert_eq!(lookup.found(), ["tcp 192.0.2.1:5060"]);
    let mut lookup = Lookup::of("a.test", None).host("a.test", &["192.0.2.1"]);
    assert_eq!(lookup.found(), ["udp 192.0.2.1:5060"]);
}

#[test]
fn d1_a_transport_that_is_given_is_not_asked_for() {
    let mut lookup = Lookup::of("a.test", UDP).host("a.test", &["192.0.2.1"]);
    lookup.run();
    assert!(lookup.asked.iter().all(|asked| !asked.contains("NAPTR")));
}

#[test]
fn d1_only_addresses_of_the_family_that_is_listened_to_are_asked_for() {
    let addresses = ["192.0.2.1", "2001:db8::1"];
    let mut lookup = Lookup::of("a.test", UDP).host("a.test", &addresses);
    assert_eq!(lookup.found(), ["udp 192.0.2.1:5060"]);
    assert!(lookup.asked.contains(&"A of a.test".to_owned()));
    let mut lookup = Lookup::of("a.test", UDP).host("a.test", &addresses);
    lookup.means.ipv4 = false;
    assert_eq!(lookup.found(), ["udp [2001:db8::1]:5060"]);
    assert!(!lookup.asked.contains(&"A of a.test".to_owned()));
}

#[test]
fn d1_a_name_without_addresses_is_trouble() {
    let located = Lookup::of("a.test", UDP).run();
    assert_eq!(located.trouble.as_deref(), Some("the name has no address"));
}

#[test]
fn d1_names_and_addresses_are_bounded() {
    // Every server has 32 addresses.
    let servers: Vec<(u16, u16, String)> = (0..32)
        .map(|number| (number, 5060, format!("s{number}.test.")))
        .collect();
    let named: Vec<(u16, u16, &str)> = servers
        .iter()
        .map(|(priority, port, name)| (*priority, *port, name.as_str()))
        .collect();
    let ways: Vec<(u16, String)> = (0..32)
        .map(|order| (order, format!("_sip._udp.s{order}.test.")))
        .collect();
    let ways: Vec<(u16, &str, &str, &str)> = ways
        .iter()
        .map(|(order, name)| (*order, "s", "SIP+D2U", name.as_str()))
        .collect();
    let mut lookup = Lookup::of("a.test", None).naptr("a.test", &ways);
    for way in &ways {
        lookup = lookup.srv(way.3, &named);
    }
    for (number, (_, _, name)) in servers.iter().enumerate() {
        let ips: Vec<String> = (0..32).map(|n| format!("192.0.{number}.{n}")).collect();
        let ips: Vec<&str> = ips.iter().map(String::as_str).collect();
        lookup = lookup.host(name, &ips);
    }
    let located = lookup.run();
    assert_eq!(located.hops.len(), ADDRESSES_PER_TRUNK_MAX);
    assert_eq!(lookup.asked.len(), QUESTIONS_PER_TARGET_MAX);
    assert_eq!(
        located.trouble.as_deref(),
        Some("more than 48 names lead to it")
    );
}

#[test]
fn d1_a_certificate_is_for_the_domain_that_was_configured() {
    let mut lookup = Lookup::of("a.test", Some(Transport::Tls))
        .srv("_sips._tcp.a.test", &[(0, 5061, "one.test.")])
        .host("one.test.", &["192.0.2.1"]);
    let hop = lookup.run().hops.remove(0);
    assert_eq!(hop.certificate_name("domain.test"), "a.test");
    let hop = Lookup::of("192.0.2.9", Some(Transport::Tls))
        .run()
        .hops
        .remove(0);
    assert_eq!(hop.certificate_name("domain.test"), "domain.test");
}
