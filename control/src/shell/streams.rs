//! TCP and TLS towards carriers: connections that we open, and listeners for those that they open.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use rustls_pki_types::ServerName;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_rustls::{TlsAcceptor, TlsConnector};
use tracing::{debug, warn};

use super::admission::{Admission, SourceLimits};
use super::arrival::Arrival;
use super::clock;
use super::stream::{Manners, StreamQueue, StreamReceiver, serve};
use super::supervise::or_panicked;
use crate::config::SipConfig;
use crate::engine::input::Peer;
use crate::limits::{
    STRANGER_STREAMS_MAX, STRANGER_STREAMS_PER_SOURCE_MAX, STREAM_CONNECT_WITHIN,
    STREAM_HANDSHAKE_WITHIN, STREAM_UNCONFIRMED_MAX, STREAMS_PER_SECOND_PER_SOURCE,
    TRUNK_STREAMS_MAX, TRUNK_STREAMS_PER_SOURCE_MAX,
};
use crate::sip::Transport;

/// Waiting connections that the kernel keeps.
const BACKLOG: u32 = 256;
/// Pause after a failed accept: without descriptors it fails again at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Silence after which the kernel asks whether the other end is there.
const PROBE_AFTER: Duration = Duration::from_secs(60);

/// Names one connection: a peer may have one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct StreamId(u64);

impl StreamId {
    /// One that was never used.
    fn next() -> Self {
        static LAST: AtomicU64 = AtomicU64::new(0);
        Self(LAST.fetch_add(1, Ordering::Relaxed))
    }
}

/// The connections that stand or are being opened, and the means to open more.
pub(super) struct Streams {
    open: BTreeMap<Peer, (StreamId, StreamQueue)>,
    arrivals: mpsc::Sender<Arrival>,
    /// The addresses that TCP and TLS connections are opened from; unspecified ones leave it to the
    /// kernel.
    local: [Option<IpAddr>; 2],
    /// For each trunk that is spoken to over TLS.
    connectors: Vec<Option<TlsConnector>>,
    doors: Doors,
}

impl Streams {
    pub(super) fn new(
        arrivals: mpsc::Sender<Arrival>,
        sip: &SipConfig,
        connectors: Vec<Option<TlsConnector>>,
        doors: Doors,
    ) -> Self {
        Self {
            open: BTreeMap::new(),
            arrivals,
            local: [sip.listen_tcp, sip.listen_tls].map(|listener| listener.map(|at| at.ip())),
            connectors,
            doors,
        }
    }

    /// Carriers connect from these addresses from now on.
    pub(super) fn set_sources(&self, sources: Vec<IpAddr>) {
        *self.doors.sources() = sources;
    }

    /// Opens a connection. Its end, be it before it stands, is told as an arrival.
    pub(super) fn connect(&mut self, peer: Peer, trunk: usize, name: &str) {
        let Some((transport, address)) = peer.on_trunk_side() else {
            return;
        };
        let id = StreamId::next();
        let (queue, receiver) = StreamQueue::new();
        self.open.insert(peer, (id, queue.clone()));
        let [tcp, tls] = self.local;
        let (local, tls) = match transport {
            Transport::Udp | Transport::Tcp => (tcp, None),
            Transport::Tls => {
                let connector = self.connectors.get(trunk).cloned().flatten();
                (
                    tls,
                    Some((connector, ServerName::try_from(name.to_owned()).ok())),
                )
            }
        };
        let connect = Connect {
            id,
            peer,
            address,
            local: local.filter(|ip| !ip.is_unspecified()),
            tls,
            queue,
            arrivals: self.arrivals.clone(),
        };
        tokio::spawn(connect.run(receiver));
    }

    /// A connection that a carrier opened.
    pub(super) fn opened(&mut self, peer: Peer, id: StreamId, queue: StreamQueue) {
        self.open.insert(peer, (id, queue));
    }

    /// A connection has ended. False if the peer has another one by now.
    pub(super) fn closed(&mut self, peer: Peer, id: StreamId) -> bool {
        let current = self.open.get(&peer).is_some_and(|(open, _)| *open == id);
        if current {
            self.open.remove(&peer);
        }
        current
    }

    /// Sends a message, if the connection stands or is being opened.
    pub(super) fn send(&self, peer: Peer, message: Bytes) {
        match self.open.get(&peer) {
            Some((_, queue)) => queue.send(message),
            None => debug!(?peer, "no connection any more"),
        }
    }

    /// Closes a connection once everything before is sent.
    pub(super) fn close(&self, peer: Peer) {
        if let Some((_, queue)) = self.open.get(&peer) {
            queue.close();
        }
    }

    /// Closes all.
    pub(super) fn close_all(&self) {
        for (_, queue) in self.open.values() {
            queue.close();
        }
    }
}

/// A connection that is to be opened.
struct Connect {
    id: StreamId,
    peer: Peer,
    address: SocketAddr,
    local: Option<IpAddr>,
    /// For TLS: the means, and the name that the certificate must have.
    tls: Option<(Option<TlsConnector>, Option<ServerName<'static>>)>,
    queue: StreamQueue,
    arrivals: mpsc::Sender<Arrival>,
}

impl Connect {
    async fn run(self, receiver: StreamReceiver) {
        let (id, peer, arrivals) = (self.id, self.peer, self.arrivals.clone());
        if let Err(why) = or_panicked(self.open_and_serve(receiver)).await {
            warn!(?peer, why, "a connection to a carrier has ended");
        }
        if arrivals
            .send(Arrival::StreamClosed { peer, id })
            .await
            .is_err()
        {
            debug!("the brain has stopped");
        }
    }

    async fn open_and_serve(self, receiver: StreamReceiver) {
        let peer = self.peer;
        let connecting = timeout(STREAM_CONNECT_WITHIN, connect(self.address, self.local));
        let stream = tokio::select! {
            connected = connecting => match connected {
                Ok(Ok(stream)) => stream,
                Ok(Err(error)) => {
                    return warn!(?peer, %error, "cannot connect to a carrier");
                }
                Err(_) => return warn!(?peer, "a carrier does not answer: no connection"),
            },
            () = receiver.overflowed() => return warn!(?peer, "too much waits for a connection"),
        };
        let Some((connector, name)) = self.tls else {
            return serve_ours(self.id, peer, self.queue, self.arrivals, stream, receiver).await;
        };
        let (Some(connector), Some(name)) = (connector, name) else {
            return warn!(?peer, "a carrier has no name that a certificate can have");
        };
        match timeout(STREAM_HANDSHAKE_WITHIN, connector.connect(name, stream)).await {
            Ok(Ok(stream)) => {
                serve_ours(self.id, peer, self.queue, self.arrivals, stream, receiver).await;
            }
            Ok(Err(error)) => warn!(?peer, %error, "no TLS with a carrier"),
            Err(_) => warn!(?peer, "a carrier does not answer: no TLS"),
        }
    }
}

async fn serve_ours<S>(
    id: StreamId,
    peer: Peer,
    outgoing: StreamQueue,
    arrivals: mpsc::Sender<Arrival>,
    stream: S,
    receiver: StreamReceiver,
) where
    S: AsyncRead + AsyncWrite + Send,
{
    let opened = Arrival::StreamOpened { peer, id, outgoing };
    if arrivals.send(opened).await.is_err() {
        return;
    }
    debug!(?peer, "connected to a carrier");
    let ending = serve(stream, peer, receiver, &arrivals, Manners::new(true)).await;
    debug!(?peer, ?ending, "connection to a carrier closed");
}

async fn connect(address: SocketAddr, local: Option<IpAddr>) -> io::Result<TcpStream> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    if let Some(ip) = local {
        socket.bind(SocketAddr::new(ip, 0))?;
    }
    let stream = socket.connect(address).await?;
    set_options(&stream)?;
    Ok(stream)
}

/// Messages leave at once, and an end that has gone away is noticed.
fn set_options(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let socket = SockRef::from(stream);
    socket.set_tcp_user_timeout(Some(STREAM_UNCONFIRMED_MAX))?;
    let keep_alive = socket2::TcpKeepalive::new()
        .with_time(PROBE_AFTER)
        .with_interval(PROBE_AFTER / 4);
    socket.set_tcp_keepalive(&keep_alive)
}

/// Who may connect: carriers have room that strangers cannot take.
#[derive(Clone, Debug)]
pub(super) struct Doors {
    carriers: Arc<Admission>,
    strangers: Arc<Admission>,
    sources: Arc<Mutex<Vec<IpAddr>>>,
}

impl Doors {
    /// Everybody is a stranger, until [`Streams::set_sources`].
    pub(super) fn new() -> Self {
        let door = |max, connections_max| {
            let limits = SourceLimits {
                connections_max,
                connections_per_second: STREAMS_PER_SECOND_PER_SOURCE,
                // Carriers' messages are not counted: the brain reads them as fast as it can.
                messages_per_second: u32::MAX,
            };
            Arc::new(Admission::new(max, limits))
        };
        Self {
            carriers: door(TRUNK_STREAMS_MAX, TRUNK_STREAMS_PER_SOURCE_MAX),
            strangers: door(STRANGER_STREAMS_MAX, STRANGER_STREAMS_PER_SOURCE_MAX),
            sources: Arc::default(),
        }
    }

    fn door(&self, ip: IpAddr) -> &Arc<Admission> {
        if self.sources().contains(&ip.to_canonical()) {
            &self.carriers
        } else {
            &self.strangers
        }
    }

    /// A panic while they are held leaves them whole.
    fn sources(&self) -> MutexGuard<'_, Vec<IpAddr>> {
        self.sources.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Binds a listener.
pub(super) fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Accepts connections for ever; with `tls`, over TLS.
pub(super) async fn listen(
    listener: Arc<TcpListener>,
    tls: Option<TlsAcceptor>,
    doors: Doors,
    arrivals: mpsc::Sender<Arrival>,
) {
    loop {
        let (stream, remote) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                debug!(%error, "cannot accept a connection of a carrier");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let admitted = match doors.door(remote.ip()).admit(remote.ip(), clock::now()) {
            Ok(admitted) => admitted,
            Err(overload) => {
                debug!(%remote, ?overload, "a connection on the trunk side is refused");
                continue;
            }
        };
        if let Err(error) = set_options(&stream) {
            debug!(%remote, %error, "the connection broke at once");
            continue;
        }
        let (tls, arrivals) = (tls.clone(), arrivals.clone());
        tokio::spawn(async move {
            accepted(stream, remote, tls, arrivals).await;
            drop(admitted);
        });
    }
}

async fn accepted(
    stream: TcpStream,
    remote: SocketAddr,
    tls: Option<TlsAcceptor>,
    arrivals: mpsc::Sender<Arrival>,
) {
    let remote = SocketAddr::new(remote.ip().to_canonical(), remote.port());
    let Some(tls) = tls else {
        return serve_theirs(Peer::Tcp(remote), stream, arrivals).await;
    };
    match timeout(STREAM_HANDSHAKE_WITHIN, tls.accept(stream)).await {
        Ok(Ok(stream)) => serve_theirs(Peer::Tls(remote), stream, arrivals).await,
        Ok(Err(error)) => debug!(%remote, %error, "no TLS on the trunk side"),
        Err(_) => debug!(%remote, "no TLS on the trunk side: the other end is silent"),
    }
}

async fn serve_theirs<S>(peer: Peer, stream: S, arrivals: mpsc::Sender<Arrival>)
where
    S: AsyncRead + AsyncWrite + Send,
{
    let id = StreamId::next();
    let (outgoing, receiver) = StreamQueue::new();
    let opened = Arrival::StreamOpened { peer, id, outgoing };
    if arrivals.send(opened).await.is_err() {
        return;
    }
    debug!(?peer, "connection on the trunk side");
    let serving = serve(stream, peer, receiver, &arrivals, Manners::new(false));
    let ending = or_panicked(serving).await;
    debug!(?peer, ?ending, "connection on the trunk side closed");
    if arrivals
        .send(Arrival::StreamClosed { peer, id })
        .await
        .is_err()
    {
        debug!("the brain has stopped");
    }
}

#[cfg(test)]
mod tests;
