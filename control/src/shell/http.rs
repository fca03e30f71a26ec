//! The listener for browsers: HTTP/1.1 with or without TLS, and the way from there to a WebSocket.

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{self, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tracing::{debug, warn};

use super::admission::{Admission, Admitted, SourceLimits};
use super::arrival::Arrival;
use super::bearer::{self, Unauthorized};
use super::origins::RefusedOrigins;
use super::page::{self, Answer, Condition, Pages};
use super::supervise::Supervisor;
use super::upgrade::{self, Refusal};
use super::web_tls::WebTls;
use super::websocket::{self, Connection, Traffic};
use super::{clock, source};
use crate::config::{Config, Origins, ProxiesConfig, ProxyHeader};
use crate::engine::input::ConnectionId;
use crate::limits::{
    HTTP_CONNECTION_WITHIN, HTTP_HANDSHAKE_WITHIN, HTTP_HEAD_BYTES_MAX, HTTP_HEADERS_MAX,
    RETRY_AFTER_S, TLS_HANDSHAKES_MAX, WEBSOCKET_MESSAGE_WITHIN,
};
use crate::token::Tokens;

/// What all connections of browsers share.
#[derive(Debug)]
pub(super) struct Web {
    pages: Pages,
    path: String,
    origins: Origins,
    refused_origins: RefusedOrigins,
    proxies: Option<ProxiesConfig>,
    messages_per_second: u32,
    /// Places for TLS handshakes under way.
    tls_handshakes: Semaphore,
    traffic: Arc<Traffic>,
    tokens: Option<Arc<Tokens>>,
    token_cookie: Option<String>,
    admission: Arc<Admission>,
    arrivals: mpsc::Sender<Arrival>,
    next_connection: AtomicU64,
    draining: AtomicBool,
    supervisor: Arc<Supervisor>,
    /// Life of a connection that becomes no WebSocket.
    pub(super) http_within: Duration,
    /// Time for a message on a WebSocket from its first byte to its last.
    pub(super) message_within: Duration,
}

/// One TCP connection of a browser.
#[derive(Debug)]
struct Visitor {
    web: Arc<Web>,
    remote: SocketAddr,
    /// It comes through a trusted hop, which says in each request for whom.
    is_forwarded: bool,
    local: bool,
    secure: bool,
    admitted: Arc<Admitted>,
}

impl Web {
    pub(super) fn new(
        config: &Config,
        tokens: Option<Arc<Tokens>>,
        arrivals: mpsc::Sender<Arrival>,
        supervisor: Arc<Supervisor>,
    ) -> Self {
        let web = &config.web;
        let limits = SourceLimits {
            connections_max: web.connections_per_source_max,
            connections_per_second: web.handshakes_per_second_per_source,
            messages_per_second: web.messages_per_second_per_source,
        };
        let admission = Admission::new(web.connections_max, limits);
        Self {
            pages: Pages::new(config),
            path: web.path.clone(),
            origins: web.origins.clone(),
            refused_origins: RefusedOrigins::default(),
            proxies: web.proxies.clone(),
            messages_per_second: web.messages_per_second,
            tls_handshakes: Semaphore::new(TLS_HANDSHAKES_MAX),
            traffic: Arc::default(),
            tokens,
            token_cookie: web.token.as_ref().and_then(|token| token.cookie.clone()),
            admission: Arc::new(admission),
            arrivals,
            next_connection: AtomicU64::new(1),
            draining: AtomicBool::new(false),
            supervisor,
            http_within: HTTP_CONNECTION_WITHIN,
            message_within: WEBSOCKET_MESSAGE_WITHIN,
        }
    }

    /// How the hop at this address says for whom it speaks; `None` if it is no hop of ours.
    fn hop(&self, ip: IpAddr) -> Option<ProxyHeader> {
        let proxies = self.proxies.as_ref()?;
        proxies.trusts(ip).then_some(proxies.header)
    }

    /// From now on `/health` says 503 and no new WebSocket is opened.
    pub(super) fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }
}

/// Accepts connections for ever.
pub(super) async fn listen(web: Arc<Web>, listener: Arc<TcpListener>, tls: Option<Arc<WebTls>>) {
    loop {
        let (stream, remote) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                // No descriptors left, usually: wait for some to be closed.
                warn!(%error, "cannot accept connections of browsers");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let admitted = match web.hop(remote.ip()) {
            Some(_) => web.admission.admit_hop(),
            None => web.admission.admit(remote.ip(), clock::now()),
        };
        match admitted {
            Ok(admitted) => {
                let web = Arc::clone(&web);
                tokio::spawn(greet(web, stream, remote, tls.clone(), admitted));
            }
            Err(reason) => {
                debug!(%remote, ?reason, "connection refused");
                if tls.is_none() {
                    turn_away(&stream);
                }
            }
        }
    }
}

/// Says in plain HTTP that there is no room, as far as that can be said without waiting.
fn turn_away(stream: &TcpStream) {
    const ANSWER: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\n\
        Content-Length: 0\r\nConnection: close\r\n\r\n";
    if let Err(error) = stream.try_write(ANSWER) {
        debug!(%error, "cannot turn a connection away");
    }
}

async fn greet(
    web: Arc<Web>,
    mut stream: TcpStream,
    mut remote: SocketAddr,
    tls: Option<Arc<WebTls>>,
    admitted: Admitted,
) {
    let here = stream.local_addr();
    let here_is_local = here.is_ok_and(|here| here.ip().is_loopback());
    let hop = web.hop(remote.ip());
    let local = hop.is_none() && remote.ip().is_loopback() && here_is_local;
    if let Err(error) = stream.set_nodelay(true) {
        debug!(%remote, %error, "cannot set TCP_NODELAY");
    }
    if hop == Some(ProxyHeader::ProxyProtocol) {
        let header = source::read_proxy_header(&mut stream);
        match tokio::time::timeout(HTTP_HANDSHAKE_WITHIN, header).await {
            Ok(Ok(Some(client))) => remote = client,
            Ok(Ok(None)) => {}
            Ok(Err(error)) => return debug!(%remote, %error, "PROXY protocol"),
            Err(_) => return debug!(%remote, "the PROXY protocol header took too long"),
        }
        if let Err(reason) = admitted.attribute(remote.ip(), clock::now()) {
            debug!(%remote, ?reason, "connection refused");
            if tls.is_none() {
                turn_away(&stream);
            }
            return;
        }
    }
    let secure = tls.is_some();
    let visitor = Arc::new(Visitor {
        web,
        remote,
        is_forwarded: hop == Some(ProxyHeader::XForwardedFor),
        local,
        secure,
        admitted: Arc::new(admitted),
    });
    let Some(tls) = tls else {
        return serve(visitor, stream).await;
    };
    let web = Arc::clone(&visitor.web);
    let handshake = async {
        // Held to the end of the handshake; the semaphore is never closed.
        let _place = web.tls_handshakes.acquire().await;
        tls.accept(stream).await
    };
    match tokio::time::timeout(HTTP_HANDSHAKE_WITHIN, handshake).await {
        Ok(Ok(Some(stream))) => serve(visitor, stream).await,
        Ok(Ok(None)) => debug!(%remote, "an ACME authority looked"),
        Ok(Err(error)) => debug!(%remote, %error, "TLS handshake failed"),
        Err(_) => debug!(%remote, "TLS handshake took too long"),
    }
}

async fn serve<S>(visitor: Arc<Visitor>, stream: S)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let remote = visitor.remote;
    let within = visitor.web.http_within;
    let service = service_fn(move |request| {
        let answer = answer(&visitor, request);
        async move { Ok::<_, Infallible>(answer) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HTTP_HANDSHAKE_WITHIN)
        .max_buf_size(HTTP_HEAD_BYTES_MAX)
        .max_headers(HTTP_HEADERS_MAX)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    match tokio::time::timeout(within, connection).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => debug!(%remote, %error, "HTTP connection ended"),
        Err(_) => debug!(%remote, "HTTP connection took too long"),
    }
}

fn answer(visitor: &Arc<Visitor>, request: Request<Incoming>) -> Answer {
    let web = &visitor.web;
    let path = request.uri().path();
    let draining = web.draining.load(Ordering::Relaxed);
    let is_websocket_path = path == web.path || path == "/";
    if upgrade::is_wanted(request.headers()) {
        if !is_websocket_path {
            return page::text(
                StatusCode::NOT_FOUND,
                "there is no WebSocket at this path\n",
            );
        }
        if draining {
            return page::text(StatusCode::SERVICE_UNAVAILABLE, "draining\n");
        }
        return open_websocket(visitor, request);
    }
    if path == web.path && path != "/" {
        return upgrade_required("this is a WebSocket; the web phone is at /\n");
    }
    web.pages.answer(
        request.method(),
        path,
        request.headers(),
        visitor.local,
        if draining {
            Condition::Draining
        } else {
            web.supervisor
                .missing()
                .map_or(Condition::Whole, Condition::Missing)
        },
    )
}

fn open_websocket(visitor: &Arc<Visitor>, request: Request<Incoming>) -> Answer {
    let web = &visitor.web;
    let (method, version) = (request.method(), request.version());
    let accept = match upgrade::check(method, version, request.headers(), &web.origins) {
        Ok(accept) => accept,
        Err(refusal) => {
            debug!(remote = %visitor.remote, ?refusal, "WebSocket refused");
            if refusal == Refusal::Origin {
                web.refused_origins.log(request.headers());
            }
            if refusal.status() == StatusCode::UPGRADE_REQUIRED {
                return upgrade_required(refusal.text());
            }
            return page::text(refusal.status(), refusal.text());
        }
    };
    let cookie = web.token_cookie.as_deref();
    let identity = match &web.tokens {
        Some(tokens) => bearer::identity(tokens, cookie, request.uri(), request.headers()),
        None => Ok(None),
    };
    let identity = match identity {
        Ok(identity) => identity,
        Err(reason) => {
            debug!(remote = %visitor.remote, ?reason, "WebSocket refused");
            return unauthorized(reason);
        }
    };
    let remote = match &web.proxies {
        Some(proxies) if visitor.is_forwarded => {
            source::forwarded_for(request.headers(), proxies, visitor.remote)
        }
        Some(_) | None => visitor.remote,
    };
    let source_rate = match visitor.admitted.attribute(remote.ip(), clock::now()) {
        Ok(rate) => rate,
        Err(reason) => {
            debug!(%remote, ?reason, "WebSocket refused");
            return too_many();
        }
    };
    let connection = Connection {
        id: ConnectionId(web.next_connection.fetch_add(1, Ordering::Relaxed)),
        remote,
        secure: visitor.secure,
        identity,
        arrivals: web.arrivals.clone(),
        messages_per_second: web.messages_per_second,
        message_within: web.message_within,
        source_rate,
        traffic: Arc::clone(&web.traffic),
    };
    let admitted = Arc::clone(&visitor.admitted);
    tokio::spawn(async move {
        match hyper::upgrade::on(request).await {
            Ok(upgraded) => websocket::serve(TokioIo::new(upgraded), connection).await,
            Err(error) => debug!(remote = %connection.remote, %error, "WebSocket did not open"),
        }
        drop(admitted);
    });
    let mut answer = Response::new(Full::new(Bytes::new()));
    *answer.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = answer.headers_mut();
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    headers.insert(
        header::SEC_WEBSOCKET_PROTOCOL,
        HeaderValue::from_static("sip"),
    );
    answer
}

/// 503: this source has as many connections as it may, or they come too fast.
fn too_many() -> Answer {
    let mut answer = page::text(
        StatusCode::SERVICE_UNAVAILABLE,
        "too many connections from this address\n",
    );
    answer
        .headers_mut()
        .insert(header::RETRY_AFTER, HeaderValue::from(RETRY_AFTER_S));
    answer
}

/// 401, with the challenge of RFC 6750 section 3.
fn unauthorized(reason: Unauthorized) -> Answer {
    let challenge = match reason {
        Unauthorized::Missing => "Bearer realm=\"ringway\"",
        Unauthorized::Refused(_) => "Bearer realm=\"ringway\", error=\"invalid_token\"",
    };
    let mut answer = page::text(
        StatusCode::UNAUTHORIZED,
        "a valid access token is needed to open a WebSocket here\n",
    );
    answer.headers_mut().insert(
        header::WWW_AUTHENTICATE,
        HeaderValue::from_static(challenge),
    );
    answer
}

/// 426, which names the version that is spoken here (RFC 6455 section 4.4).
fn upgrade_required(text: &'static str) -> Answer {
    let mut answer = page::text(StatusCode::UPGRADE_REQUIRED, text);
    let headers = answer.headers_mut();
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(
        header::SEC_WEBSOCKET_VERSION,
        HeaderValue::from_static("13"),
    );
    answer
}

/// Binds a listener.
pub(super) async fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    TcpListener::bind(address).await
}
