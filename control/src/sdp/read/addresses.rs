//! Where the media of a carrier's m-line go: `c=` and `a=rtcp` lines.

use std::net::{IpAddr, SocketAddr};

use super::Scope;
use crate::sdp::model::{Direction, Refusal, RemoteMedia};

/// The addresses of the `c=` lines that hold for an m-line.
fn connections(scope: &Scope<'_>) -> Vec<Option<IpAddr>> {
    let (line, session) = (scope.line, scope.session);
    let (first, further) = match &line.connection {
        Some(first) => (Some(first), &line.further_connections),
        None => (session.connection.as_ref(), &session.further_connections),
    };
    let all = first.into_iter().chain(further);
    all.map(|value| parse_connection(value)).collect()
}

/// Where a carrier wants the packets of an m-line.
pub(super) fn read(
    scope: &Scope<'_>,
    local: Option<IpAddr>,
    media: &mut RemoteMedia,
) -> Result<(), Refusal> {
    let refuse = |text: &str| Refusal::new(488, 301, text);
    let connections = connections(scope);
    if connections.is_empty() {
        return Err(refuse("SDP without c= line"));
    }
    let addresses = || connections.iter().copied().flatten();
    // RFC 6157: a peer of the other family cannot be sent to.
    let reachable = |address: &IpAddr| {
        let is_ours = local.is_none_or(|local| local.is_ipv4() == address.is_ipv4());
        is_ours || address.is_unspecified()
    };
    let address = match addresses().find(reachable) {
        Some(address) => address,
        None if addresses().next().is_none() => {
            return Err(refuse("c= must hold an IPv4 or IPv6 address"));
        }
        None => return Err(refuse("c= holds an address of the other IP version")),
    };
    if address.is_multicast() {
        return Err(refuse("c= must hold a unicast address"));
    }
    // RFC 3264 section 8.4: the hold of RFC 2543. The peer does not want to receive.
    if address.is_unspecified() {
        media.direction = media.direction.intersect(Direction::SendOnly);
        return Ok(());
    }
    let rtp = SocketAddr::new(address, scope.line.port);
    media.rtp = Some(rtp);
    media.rtcp = scope
        .own("rtcp")
        .find_map(|value| parse_rtcp(value, address))
        .or_else(|| {
            rtp.port()
                .checked_add(1)
                .map(|port| SocketAddr::new(address, port))
        });
    Ok(())
}

/// `IN IP4 192.0.2.1/127`
fn parse_connection(value: &str) -> Option<IpAddr> {
    let address = value.split_whitespace().nth(2)?;
    let address: IpAddr = address.split('/').next()?.parse().ok()?;
    // An IPv4 address in the clothes of IPv6 is reached by IPv4.
    Some(address.to_canonical())
}

/// `53020` or `53020 IN IP6 2001:db8::1` (RFC 3605 section 2.1).
fn parse_rtcp(value: &str, rtp_address: IpAddr) -> Option<SocketAddr> {
    let (port, connection) = value.split_once(' ').unwrap_or((value, ""));
    let port = port.parse().ok().filter(|&port: &u16| port != 0)?;
    let address = parse_connection(connection)
        .filter(|address| !address.is_unspecified() && address.is_ipv4() == rtp_address.is_ipv4());
    Some(SocketAddr::new(address.unwrap_or(rtp_address), port))
}
