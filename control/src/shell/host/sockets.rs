//! Which ports are taken, and by whom.

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};

use super::files::Root;
use crate::config::Config;
use crate::host::{OWN_NAME, Process, Protocol};

/// State of a TCP socket that listens, in `/proc/net/tcp`.
const LISTENS: &str = "0A";

/// Binds a socket as the daemon will, and lets go of it.
pub(super) fn try_bind(protocol: Protocol, address: SocketAddr) -> io::Result<()> {
    match protocol {
        Protocol::Tcp => TcpListener::bind(address).map(drop),
        Protocol::Udp => UdpSocket::bind(address).map(drop),
    }
}

/// A socket of this network namespace.
#[derive(Clone, Copy, Debug)]
struct Entry {
    address: SocketAddr,
    inode: u64,
}

/// The process that has this address, as far as the rights of this one let see it.
pub(super) fn holder(root: &Root, protocol: Protocol, address: SocketAddr) -> Option<Process> {
    let mut entries = entries(root, protocol);
    entries.retain(|entry| meets(entry.address, address));
    // The very address goes first.
    entries.sort_by_key(|entry| entry.address != address);
    entries
        .iter()
        .find_map(|entry| process_with(root, entry.inode))
}

/// RTP ports that other programs have.
pub(super) fn taken_rtp(root: &Root, config: &Config) -> Vec<(u16, Option<Process>)> {
    let media = &config.media;
    if config.sip.is_none() {
        return Vec::new();
    }
    let mut taken = entries(root, Protocol::Udp);
    taken.retain(|entry| {
        let port = entry.address.port();
        let ours = SocketAddr::new(media.trunk_bind, port);
        media.rtp_ports.contains(port) && meets(entry.address, ours)
    });
    taken.sort_by_key(|entry| entry.address.port());
    let holders = taken.iter().map(|entry| {
        let holder = process_with(root, entry.inode);
        (entry.address.port(), holder)
    });
    let is_other = |holder: &Option<Process>| holder.as_ref().is_none_or(|p| p.name != OWN_NAME);
    holders.filter(|(_, holder)| is_other(holder)).collect()
}

/// Do two sockets with these addresses get in each other's way? One on `::` may have IPv4, too.
fn meets(a: SocketAddr, b: SocketAddr) -> bool {
    let same_family = a.is_ipv4() == b.is_ipv4();
    let (any_a, any_b) = (a.ip().is_unspecified(), b.ip().is_unspecified());
    let meet = match same_family {
        true => a.ip() == b.ip() || any_a || any_b,
        false => (any_a && a.is_ipv6()) || (any_b && b.is_ipv6()),
    };
    a.port() == b.port() && meet
}

fn entries(root: &Root, protocol: Protocol) -> Vec<Entry> {
    let files = match protocol {
        Protocol::Tcp => ["proc/net/tcp", "proc/net/tcp6"],
        Protocol::Udp => ["proc/net/udp", "proc/net/udp6"],
    };
    let texts = files.into_iter().filter_map(|file| root.text(file));
    let mut entries = Vec::new();
    for text in texts {
        let lines = text.lines().skip(1);
        entries.extend(lines.filter_map(|line| {
            let mut fields = line.split_whitespace().skip(1);
            let address = address(fields.next()?)?;
            let state = fields.nth(1)?;
            let inode = fields.nth(5)?.parse().ok()?;
            let is_bound = protocol == Protocol::Udp || state == LISTENS;
            is_bound.then_some(Entry { address, inode })
        }));
    }
    entries
}

/// `0100007F:1F90`: the address as words of this machine in hexadecimal, and the port.
fn address(text: &str) -> Option<SocketAddr> {
    let (ip, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let word = |at: usize| {
        let digits = ip.get(at * 8..at * 8 + 8)?;
        Some(u32::from_str_radix(digits, 16).ok()?.to_ne_bytes())
    };
    let ip: IpAddr = if ip.len() == 8 {
        Ipv4Addr::from(word(0)?).into()
    } else {
        let words = [word(0)?, word(1)?, word(2)?, word(3)?];
        let bytes: [u8; 16] = words.concat().try_into().ok()?;
        Ipv6Addr::from(bytes).into()
    };
    Some(SocketAddr::new(ip, port))
}

/// The process that has a socket open. Those of other users are hidden from all but root.
fn process_with(root: &Root, inode: u64) -> Option<Process> {
    let target = format!("socket:[{inode}]");
    let pids = root.names("proc").into_iter();
    let mut pids = pids.filter_map(|name| name.parse::<u32>().ok());
    let pid = pids.find(|pid| {
        let folder = root.path(&format!("proc/{pid}/fd"));
        let files = fs::read_dir(folder).into_iter().flatten().flatten();
        let mut links = files.filter_map(|file| fs::read_link(file.path()).ok());
        links.any(|link| link.as_os_str() == target.as_str())
    })?;
    let name = root.text(&format!("proc/{pid}/comm"));
    Some(Process {
        pid,
        name: name.unwrap_or_default(),
    })
}
