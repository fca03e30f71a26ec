//! `[sip]`, and what TLS of a `[[trunk]]` relies on.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::{HostPort, Secret};
use crate::sip::Transport;

/// `[sip]`: the trunk side of signalling.
#[derive(Clone, Debug)]
pub struct SipConfig {
    /// The UDP socket.
    pub listen: SocketAddr,
    /// What Via and Contact show to carriers. Default: `listen`, and its port.
    pub advertise: HostPort,
    /// Key of the tokens that carriers bring back, at least [`super::FLOW_SECRET_LENGTH_MIN`] characters.
    /// With the same one, tokens outlive a restart and are shared by several nodes. Default:
    /// random.
    pub flow_secret: Option<Secret>,
    /// The TCP listener; `None` means no TCP.
    pub listen_tcp: Option<SocketAddr>,
    /// The TLS listener; `None` means no TLS.
    pub listen_tls: Option<SocketAddr>,
    /// Our identity over TLS, for peers that connect and trunks that ask. `None` with `listen_tls`: a
    /// certificate that is made at start, which nobody can check, for those who connect.
    pub certificate: Option<CertificateFiles>,
    /// PEM file of the authorities of which those who connect over TLS need a certificate; `None`:
    /// they need none.
    pub client_ca: Option<PathBuf>,
    /// The DNS servers that are asked where trunks are; none: those of the system.
    pub resolvers: Vec<SocketAddr>,
}

impl SipConfig {
    /// What Via and Contact show to carriers that are spoken to like this: the host of `advertise`
    /// with the port of the listener.
    #[must_use]
    pub fn advertise_of(&self, transport: Transport) -> HostPort {
        let listener = match transport {
            Transport::Udp => None,
            Transport::Tcp => self.listen_tcp,
            Transport::Tls => self.listen_tls,
        };
        let port = listener.map_or(self.advertise.port, |address| address.port());
        HostPort {
            host: self.advertise.host.clone(),
            port,
        }
    }

    /// True if carriers can be reached, and reach us, like this.
    #[must_use]
    pub const fn speaks(&self, transport: Transport) -> bool {
        match transport {
            Transport::Udp => true,
            Transport::Tcp => self.listen_tcp.is_some(),
            Transport::Tls => self.listen_tls.is_some(),
        }
    }
}

/// A certificate and its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFiles {
    /// PEM file of the certificate, followed by its intermediates.
    pub certificate: PathBuf,
    /// PEM file of its private key (PKCS #8, PKCS #1 or SEC 1).
    pub private_key: PathBuf,
}

/// Whose certificates are believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// Those of the authorities that this system believes.
    System,
    /// Those of the authorities in this PEM file.
    Authorities(PathBuf),
    /// Anybody's: TLS without knowing with whom.
    Anybody,
}
