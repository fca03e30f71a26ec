//! A DNS made of a table.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use control::trunk::dns::{Answer, Naptr, Question, Record, RecordKind, Srv};

/// Its records, and what it was asked.
#[derive(Debug, Default)]
pub struct Dns {
    records: BTreeMap<(RecordKind, String), Vec<Record>>,
    /// How long its records may be believed.
    pub ttl: Duration,
    /// True: it answers nothing at all.
    pub is_down: bool,
    /// Names whose servers have an answer that they cannot give (SERVFAIL).
    pub failing: Vec<String>,
    /// What it was asked, in order.
    pub asked: Vec<Question>,
}

impl Dns {
    /// The host has these addresses, and no others.
    pub fn host(&mut self, name: &str, addresses: &[&str]) {
        let ip = |text: &&str| -> IpAddr { text.parse().expect("an address") };
        for (kind, ipv4) in [(RecordKind::A, true), (RecordKind::Aaaa, false)] {
            let ips = addresses.iter().map(ip).filter(|ip| ip.is_ipv4() == ipv4);
            let records = ips.map(Record::Address).collect();
            self.records.insert((kind, name.to_owned()), records);
        }
    }

    /// A service has these servers, and no others: priority, weight, port, host.
    pub fn service(&mut self, name: &str, servers: &[(u16, u16, u16, &str)]) {
        let server = |(priority, weight, port, target): &(u16, u16, u16, &str)| {
            let target = format!("{}.", target.trim_end_matches('.'));
            Record::Srv(Srv {
                priority: *priority,
                weight: *weight,
                port: *port,
                target,
            })
        };
        let records = servers.iter().map(server).collect();
        let name = name.to_owned();
        self.records.insert((RecordKind::Srv, name), records);
    }

    /// A domain takes these transports, and no others: order, services, name of the service.
    pub fn domain(&mut self, name: &str, transports: &[(u16, &str, &str)]) {
        let transport = |(order, services, replacement): &(u16, &str, &str)| {
            Record::Naptr(Naptr {
                order: *order,
                preference: 10,
                flags: "s".to_owned(),
                services: (*services).to_owned(),
                replacement: format!("{replacement}."),
            })
        };
        let records = transports.iter().map(transport).collect();
        let name = name.to_owned();
        self.records.insert((RecordKind::Naptr, name), records);
    }

    pub(crate) fn answer(&mut self, question: &Question) -> Answer {
        self.asked.push(question.clone());
        if self.is_down {
            return Answer::Failed("request timed out".to_owned());
        }
        let name = question.name.trim_end_matches('.').to_owned();
        if self.failing.contains(&name) {
            return Answer::Failed("server failure".to_owned());
        }
        let records = self.records.get(&(question.kind, name));
        let ttl = self.ttl;
        match records.filter(|records| !records.is_empty()).cloned() {
            Some(records) => Answer::Records { records, ttl },
            None => Answer::Nothing { ttl: Some(ttl) },
        }
    }
}
