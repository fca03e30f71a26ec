//! Asks the DNS where trunks are.
//!
//! Nothing is kept between two questions: what the answers are worth, and for how long, the brain
//! knows; and `/etc/resolv.conf` and `/etc/hosts` count as they are at that moment.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{
    ConnectionConfig, NameServerConfig, ResolverConfig, ResolverOpts, ServerOrderingStrategy,
};
use hickory_resolver::lookup::Lookup;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::rr::{RData, Record as WireRecord, RecordType};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tracing::debug;

use super::arrival::Arrival;
use super::fault;
use super::supervise::or_panicked;
use crate::config::SipConfig;
use crate::limits::{ALIASES_PER_ANSWER_MAX, DNS_ANSWER_WITHIN, DNS_TRY_WITHIN};
use crate::trunk::dns::{Answer, Naptr, Question, Record, RecordKind, Srv};

/// Who is asked where nobody is named (resolv.conf(5)).
const THIS_HOST: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 53);

/// The means to ask.
#[derive(Clone, Debug)]
pub(super) struct Dns {
    /// None: those of the system.
    servers: Vec<SocketAddr>,
    arrivals: mpsc::Sender<Arrival>,
}

impl Dns {
    pub(super) fn new(sip: &SipConfig, arrivals: mpsc::Sender<Arrival>) -> Self {
        Self {
            servers: sip.resolvers.clone(),
            arrivals,
        }
    }

    /// Asks; the answer, or that there is none, comes as an arrival.
    pub(super) fn ask(&self, question: Question) {
        let dns = self.clone();
        tokio::spawn(async move {
            let answering = async {
                fault::check_name("dns");
                dns.answer(&question).await
            };
            // The brain is answered in any case.
            let answer = or_panicked(answering).await.unwrap_or_else(Answer::Failed);
            debug!(%question, ?answer, "the DNS was asked");
            let resolved = Arrival::Resolved { question, answer };
            if dns.arrivals.send(resolved).await.is_err() {
                debug!("the brain has stopped");
            }
        });
    }

    async fn answer(&self, question: &Question) -> Answer {
        let resolver = match self.resolver() {
            Ok(resolver) => resolver,
            Err(error) => return Answer::Failed(error.to_string()),
        };
        let kind = match question.kind {
            RecordKind::Naptr => RecordType::NAPTR,
            RecordKind::Srv => RecordType::SRV,
            RecordKind::A => RecordType::A,
            RecordKind::Aaaa => RecordType::AAAA,
        };
        let asked = Box::pin(resolver.lookup(question.name.as_str(), kind));
        match timeout(DNS_ANSWER_WITHIN, asked).await {
            Ok(Ok(lookup)) => answer_of(&lookup, kind),
            Ok(Err(NetError::Dns(DnsError::NoRecordsFound(nothing)))) => Answer::Nothing {
                ttl: nothing.negative_ttl.map(seconds),
            },
            Ok(Err(error)) => Answer::Failed(error.to_string()),
            Err(_) => Answer::Failed(NetError::Timeout.to_string()),
        }
    }

    fn resolver(&self) -> Result<TokioResolver, NetError> {
        let provider = TokioRuntimeProvider::default();
        let of = |servers: &[SocketAddr]| {
            let servers = servers.iter().map(|server| name_server(*server));
            let config = ResolverConfig::from_parts(None, Vec::new(), servers.collect());
            TokioResolver::builder_with_config(config, provider.clone())
        };
        let mut builder = if self.servers.is_empty() {
            TokioResolver::builder(provider.clone()).unwrap_or_else(|error| {
                debug!(%error, "no /etc/resolv.conf: this host is asked");
                of(&[THIS_HOST])
            })
        } else {
            of(&self.servers)
        };
        set_options(builder.options_mut());
        builder.build()
    }
}

/// A server over UDP, and over TCP for what does not fit.
fn name_server(server: SocketAddr) -> NameServerConfig {
    let connection = |mut connection: ConnectionConfig| {
        connection.port = server.port();
        connection
    };
    let connections = vec![
        connection(ConnectionConfig::udp()),
        connection(ConnectionConfig::tcp()),
    ];
    NameServerConfig::new(server.ip(), true, connections)
}

fn set_options(options: &mut ResolverOpts) {
    options.cache_size = 0;
    options.timeout = DNS_TRY_WITHIN;
    options.attempts = 1;
    // In the order in which the operator has them.
    options.server_ordering_strategy = ServerOrderingStrategy::UserProvidedOrder;
    options.preserve_intermediates = true;
}

/// The records of a kind, and how long they may be believed, the aliases to them included.
fn answer_of(lookup: &Lookup, kind: RecordType) -> Answer {
    let records = lookup.answers();
    let aliases = records
        .iter()
        .filter(|record| record.record_type() == RecordType::CNAME);
    if aliases.count() > ALIASES_PER_ANSWER_MAX {
        return Answer::Failed("too many aliases".to_owned());
    }
    let ttl = records.iter().map(|record| record.ttl).min();
    let ttl = seconds(ttl.unwrap_or_default());
    let of_kind = records
        .iter()
        .filter(|record| record.record_type() == kind)
        .filter_map(record_of);
    let records: Vec<Record> = of_kind.collect();
    if records.is_empty() {
        return Answer::Nothing { ttl: Some(ttl) };
    }
    Answer::Records { records, ttl }
}

fn record_of(record: &WireRecord) -> Option<Record> {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the DNS has dozens of kinds of records; these are asked for"
    )]
    match &record.data {
        RData::A(ip) => Some(Record::Address(ip.0.into())),
        RData::AAAA(ip) => Some(Record::Address(ip.0.into())),
        RData::SRV(srv) => Some(Record::Srv(Srv {
            priority: srv.priority,
            weight: srv.weight,
            port: srv.port,
            target: srv.target.to_string(),
        })),
        RData::NAPTR(naptr) => Some(Record::Naptr(Naptr {
            order: naptr.order,
            preference: naptr.preference,
            flags: String::from_utf8_lossy(&naptr.flags).into_owned(),
            services: String::from_utf8_lossy(&naptr.services).into_owned(),
            replacement: naptr.replacement.to_string(),
        })),
        _ => None,
    }
}

fn seconds(ttl: u32) -> Duration {
    Duration::from_secs(ttl.into())
}

#[cfg(test)]
mod tests;
