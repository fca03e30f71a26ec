//! Where a trunk is.

use std::net::{IpAddr, SocketAddr};

use super::{ConfigError, HostPort, TrunkConfig};

/// One place where a trunk is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetConfig {
    /// Its host and port.
    pub place: HostPort,
    /// Lower comes first. Default: its place in the list, from 0.
    pub priority: u16,
    /// Share of the users among targets with the same priority (RFC 2782). Default 0.
    pub weight: u16,
}

/// One address that requests to a trunk can be sent to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hop {
    /// The address.
    pub address: SocketAddr,
    /// The host and port that it is an address of.
    pub place: HostPort,
    /// Lower comes first.
    pub priority: u16,
    /// Share of the users among those with the same priority.
    pub weight: u16,
}

impl From<HostPort> for TargetConfig {
    /// The only target.
    fn from(place: HostPort) -> Self {
        Self {
            place,
            priority: 0,
            weight: 0,
        }
    }
}

impl TargetConfig {
    fn hop(&self, address: SocketAddr) -> Hop {
        Hop {
            address,
            place: self.place.clone(),
            priority: self.priority,
            weight: self.weight,
        }
    }
}

impl TrunkConfig {
    /// Fills in `hops` and `sources` with the addresses that `look_up` finds.
    pub(super) fn set_hops(
        &mut self,
        look_up: &dyn Fn(&HostPort) -> Result<Vec<SocketAddr>, ConfigError>,
    ) -> Result<(), ConfigError> {
        let mut hops = Vec::new();
        for target in &self.targets {
            let addresses = look_up(&target.place)?;
            hops.extend(addresses.into_iter().map(|address| target.hop(address)));
        }
        let mut sources: Vec<IpAddr> = hops.iter().map(|hop: &Hop| hop.address.ip()).collect();
        if let Some(route) = &self.route {
            let addresses = look_up(route)?;
            sources.extend(addresses.iter().map(SocketAddr::ip));
            let route = TargetConfig::from(route.clone());
            hops = addresses.into_iter().map(|a| route.hop(a)).collect();
        }
        sources.sort_unstable();
        sources.dedup();
        self.sources = sources;
        self.hops = hops;
        Ok(())
    }
}
