//! From the name of a target to addresses (RFC 3263 section 4): a walk over what the DNS has said
//! so far, which also tells what to ask it.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use super::cache::{Cache, Look};
use super::dns::{Naptr, Question, Record, RecordKind, Srv};
use super::hop::Hop;
use super::select::Rank;
use crate::config::TargetConfig;
use crate::limits::{ADDRESSES_PER_TRUNK_MAX, QUESTIONS_PER_TARGET_MAX};
use crate::sip::Transport;

/// How a trunk may be reached.
#[derive(Clone, Debug)]
pub(super) struct Means {
    /// How it is spoken to; `None` if its domain chooses.
    pub(super) transport: Option<Transport>,
    /// What it may choose among.
    pub(super) spoken: Vec<Transport>,
    /// Which addresses can be reached: IPv4 ones, or IPv6 ones.
    pub(super) ipv4: bool,
}

/// What is known of one target.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Located {
    /// Where it is.
    pub(super) hops: Vec<Hop>,
    /// The questions whose answers lead there.
    pub(super) wanted: BTreeSet<Question>,
    /// Not all have had an answer.
    pub(super) is_waiting: bool,
    /// Its domain says that it has no such service.
    pub(super) is_off: bool,
    /// Something could not be found out, or not again.
    pub(super) trouble: Option<String>,
}

/// Which transport is tried first where a domain has servers for several, but no NAPTR.
const PREFERRED: [Transport; 3] = [Transport::Tls, Transport::Tcp, Transport::Udp];

/// Finds what is known of a target.
pub(super) fn locate(now: Instant, target: &TargetConfig, means: &Means, cache: &Cache) -> Located {
    let mut walk = Walk {
        now,
        cache,
        target,
        means,
        located: Located::default(),
    };
    walk.target();
    walk.located.hops.truncate(ADDRESSES_PER_TRUNK_MAX);
    if walk.located.hops.is_empty() && !walk.located.is_waiting && !walk.located.is_off {
        let reason = || "the name has no address".to_owned();
        walk.located.trouble.get_or_insert_with(reason);
    }
    walk.located
}

struct Walk<'a> {
    now: Instant,
    cache: &'a Cache,
    target: &'a TargetConfig,
    means: &'a Means,
    located: Located,
}

impl<'a> Walk<'a> {
    fn target(&mut self) {
        let place = &self.target.place;
        // "If TARGET is a numeric IP address, the client uses UDP for a SIP URI" (section 4.1), and
        // so with an explicit port.
        let transport = self.means.transport.unwrap_or(Transport::Udp);
        if let Some(address) = place.literal() {
            return self.reach(transport, address, None);
        }
        if !self.target.has_port
            && let Some((transport, servers)) = self.service()
        {
            return self.servers(transport, &servers);
        }
        for ip in self.addresses(&place.host) {
            self.reach(transport, SocketAddr::new(ip, place.port), None);
        }
    }

    /// The transport, and the servers of the domain for it: none if they are not known yet. `None`
    /// if it has no SRV records.
    fn service(&mut self) -> Option<(Transport, Vec<Srv>)> {
        let host = self.target.place.host.as_str();
        let of = |transport: Transport| (transport, service_name(transport, host));
        let ways: Vec<(Transport, String)> = match self.means.transport {
            Some(transport) => vec![of(transport)],
            None => match self.chosen_by_domain(host) {
                None => return Some((Transport::Udp, Vec::new())),
                Some(chosen) if chosen.is_empty() => {
                    let is_spoken = |transport: &Transport| self.means.spoken.contains(transport);
                    PREFERRED.into_iter().filter(is_spoken).map(of).collect()
                }
                Some(chosen) => chosen,
            },
        };
        // All are asked for at once; the first that has servers is it.
        let found = ways
            .into_iter()
            .map(|(transport, name)| (transport, self.srv(name)));
        let found: Vec<(Transport, Option<Vec<Srv>>)> = found.collect();
        for (transport, servers) in found {
            match servers {
                None => return Some((transport, Vec::new())),
                Some(servers) if servers.is_empty() => {}
                Some(servers) => return Some((transport, servers)),
            }
        }
        None
    }

    /// The transports that the domain takes and we speak, best first, with the names of their
    /// servers (section 4.1). `None` if that is not known yet.
    fn chosen_by_domain(&mut self, host: &str) -> Option<Vec<(Transport, String)>> {
        let records = self.ask(host.to_owned(), RecordKind::Naptr)?;
        let naptr = |record: &'a Record| match record {
            Record::Naptr(naptr) => Some(naptr),
            Record::Srv(_) | Record::Address(_) => None,
        };
        // Sorted as they are: by order and preference.
        let ways = records.iter().filter_map(naptr).filter_map(transport_of);
        let is_spoken = |way: &(Transport, String)| self.means.spoken.contains(&way.0);
        Some(ways.filter(is_spoken).collect())
    }

    /// The servers with this service name. `None` if that is not known yet.
    fn srv(&mut self, name: String) -> Option<Vec<Srv>> {
        let records = self.ask(name, RecordKind::Srv)?;
        let srv = |record: &Record| match record {
            Record::Srv(srv) => Some(srv.clone()),
            Record::Naptr(_) | Record::Address(_) => None,
        };
        Some(records.iter().filter_map(srv).collect())
    }

    fn servers(&mut self, transport: Transport, servers: &[Srv]) {
        let is_none = |server: &Srv| server.target.is_empty() || server.target == ".";
        // "A Target of "." means that the service is decidedly not available at this domain."
        self.located.is_off = !servers.is_empty() && servers.iter().all(is_none);
        for server in servers.iter().filter(|server| !is_none(server)) {
            for ip in self.addresses(&server.target) {
                let address = SocketAddr::new(ip, server.port);
                self.reach(transport, address, Some(server));
            }
        }
    }

    fn addresses(&mut self, host: &str) -> Vec<IpAddr> {
        let kind = if self.means.ipv4 {
            RecordKind::A
        } else {
            RecordKind::Aaaa
        };
        let records = self.ask(host.to_owned(), kind).unwrap_or_default();
        let ip = |record: &Record| match record {
            Record::Address(ip) => Some(*ip),
            Record::Naptr(_) | Record::Srv(_) => None,
        };
        let family = |ip: &IpAddr| ip.is_ipv4() == self.means.ipv4;
        records.iter().filter_map(ip).filter(family).collect()
    }

    fn reach(&mut self, transport: Transport, address: SocketAddr, server: Option<&Srv>) {
        let hops = &mut self.located.hops;
        let is_it = |hop: &Hop| hop.transport == transport && hop.address == address;
        // A server at port 0 is nowhere.
        if hops.iter().any(is_it) || address.port() == 0 {
            return;
        }
        hops.push(Hop {
            transport,
            address,
            place: self.target.place.clone(),
            rank: Rank {
                priority: self.target.priority,
                weight: self.target.weight,
            },
            server: server.map(|server| format!("{}:{}", server.target, server.port)),
            server_rank: Rank {
                priority: server.map_or(0, |server| server.priority),
                weight: server.map_or(0, |server| server.weight),
            },
        });
    }

    /// The records that answer a question, which is wanted from now on. `None` if it was never
    /// answered: "if no SRV records were found" (section 4.2) is another thing, and what is found
    /// then may be a host that takes no calls, or a transport that is not protected.
    fn ask(&mut self, name: String, kind: RecordKind) -> Option<&'a [Record]> {
        let question = Question { name, kind };
        let wanted = &mut self.located.wanted;
        if wanted.len() >= QUESTIONS_PER_TARGET_MAX && !wanted.contains(&question) {
            let trouble = format!("more than {QUESTIONS_PER_TARGET_MAX} names lead to it");
            self.located.trouble = Some(trouble);
            return Some(&[]);
        }
        let look = self.cache.look(self.now, &question);
        let records = match look {
            Look::Waiting => {
                self.located.is_waiting = true;
                None
            }
            Look::Known(records) => Some(records),
            Look::Stale(records, reason) => {
                let trouble = format!("{question}: {reason}");
                self.located.trouble = Some(trouble);
                Some(records)
            }
            Look::Failed(reason) => {
                self.located.trouble = Some(format!("{question}: {reason}"));
                None
            }
        };
        wanted.insert(question);
        records
    }
}

/// What the servers of a domain are found by (RFC 3263 section 4.2). TLS is `sips` over TCP.
fn service_name(transport: Transport, host: &str) -> String {
    match transport {
        Transport::Udp => format!("_sip._udp.{host}"),
        Transport::Tcp => format!("_sip._tcp.{host}"),
        Transport::Tls => format!("_sips._tcp.{host}"),
    }
}

/// The transport that a NAPTR is for, and where its servers are listed. `None` if it is for another
/// service, or leads elsewhere than to SRV records.
fn transport_of(naptr: &Naptr) -> Option<(Transport, String)> {
    let is = |service: &str| naptr.services.eq_ignore_ascii_case(service);
    let transport = match () {
        () if is("SIP+D2U") => Transport::Udp,
        () if is("SIP+D2T") => Transport::Tcp,
        () if is("SIPS+D2T") => Transport::Tls,
        () => return None,
    };
    let leads_to_srv = naptr.flags.eq_ignore_ascii_case("s");
    let has_name = !naptr.replacement.is_empty() && naptr.replacement != ".";
    (leads_to_srv && has_name).then(|| (transport, naptr.replacement.clone()))
}

#[cfg(test)]
mod tests;
