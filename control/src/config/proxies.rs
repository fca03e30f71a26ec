//! Load balancers and TLS terminators in front of us.

use std::net::IpAddr;

use ipnet::IpNet;

/// Hops that are believed when they say for whom they speak.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxiesConfig {
    /// Their addresses, at least one.
    pub trusted: Vec<IpNet>,
    /// How they say it.
    pub header: ProxyHeader,
}

/// How a hop says for whom it speaks. Only one is looked at: the other would be the client's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProxyHeader {
    /// The HTTP header X-Forwarded-For.
    #[default]
    XForwardedFor,
    /// The PROXY protocol, version 1 or 2, in front of everything else.
    ProxyProtocol,
}

impl ProxiesConfig {
    /// Tells whether this is a hop of ours.
    #[must_use]
    pub fn trusts(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        self.trusted.iter().any(|net| net.contains(&ip))
    }
}
