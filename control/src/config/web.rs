//! `[web]`

use std::net::SocketAddr;
use std::path::PathBuf;

use super::{AcmeConfig, ProxiesConfig, TokenConfig};

/// `[web]`: the web phone and the SIP WebSocket, on one port.
#[derive(Clone, Debug)]
pub struct WebConfig {
    /// Listening sockets, at least one. Default `127.0.0.1:8080`.
    pub listen: Vec<WebListener>,
    /// The certificate of the listeners that are secure.
    pub certificate: Certificate,
    /// `[[web.host]]`: certificates for names of their own.
    pub hosts: Vec<HostCertificate>,
    /// `[web.acme]`: a certificate that is obtained by ringway itself; without `certificate`, it is
    /// also what clients get that ask for no name that is known.
    pub acme: Option<AcmeConfig>,
    /// PEM file of those who may certify clients; with it, who has no certificate gets no TLS.
    pub client_authorities: Option<PathBuf>,
    /// Origins that may open a WebSocket.
    pub origins: Origins,
    /// Path of the WebSocket; `/` is accepted beside it. Default `/ws`.
    pub path: String,
    /// Most WebSocket and HTTP connections at a time. Default 10 000.
    pub connections_max: usize,
    /// Most of them from one IP address. Default 1000 (offices sit behind one address).
    pub connections_per_source_max: usize,
    /// New connections per second from one IP address, with a burst of the same size. Default 50.
    pub handshakes_per_second_per_source: u32,
    /// SIP messages per second on one connection, with a burst of twice as many. Default 100.
    pub messages_per_second: u32,
    /// The same for all connections of one IP address together. Default 1000.
    pub messages_per_second_per_source: u32,
    /// Hops in front of us; `None`: connections come from where they seem to come from.
    pub proxies: Option<ProxiesConfig>,
    /// `[web.token]`: `None` means that tokens are not looked at.
    pub token: Option<TokenConfig>,
}

/// One listening socket for browsers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WebListener {
    /// Where it listens.
    pub address: SocketAddr,
    /// True: https and wss. `tls = "auto"` (the default) means: unless the address is loopback.
    pub secure: bool,
}

/// Where the certificate of the secure listeners comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Certificate {
    /// Made at start, valid for the listening addresses; browsers warn about it.
    SelfSigned,
    /// PEM files.
    Files {
        /// The certificate, followed by its intermediates.
        certificate: PathBuf,
        /// Its private key (PKCS #8, PKCS #1 or SEC 1).
        private_key: PathBuf,
    },
}

/// `[[web.host]]`: what browsers are shown that ask for one of these names (SNI).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostCertificate {
    /// Host names; `*.example.com` stands for one label in front.
    pub names: Vec<String>,
    /// The certificate, followed by its intermediates.
    pub certificate: PathBuf,
    /// Its private key.
    pub private_key: PathBuf,
}

/// Which pages may open a WebSocket (RFC 6455 section 10.2). A client that sends no `Origin` is
/// no browser and always may.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origins {
    /// `origins = ["*"]`
    Any,
    /// Pages of this server itself (same host and port), and these, as `scheme://host[:port]` in
    /// lower case.
    SameAnd(Vec<String>),
    /// Pages of this server itself and of any other server on loopback addresses of the browser's
    /// machine: the demo's, which is reached over loopback only.
    SameAndLoopback,
}
