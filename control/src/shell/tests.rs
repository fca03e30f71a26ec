//! The shell with real sockets on loopback and a stand-in for the brain.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use super::arrival::Arrival;
use super::drive::Driver;
use super::http::Web;
use super::supervise::Supervisor;
use super::web_tls::WebTls;
use super::{Brain, clock, http, udp};
use crate::config::Config;
use crate::engine::input::{Input, Peer};
use crate::engine::output::Output;
use crate::health::Part;
use crate::limits::{OUTGOING_BYTES_MAX, WEBSOCKET_MESSAGE_BYTES_MAX};
use crate::token::Tokens;

mod frames;

/// Nothing on loopback takes this long.
const PATIENCE: Duration = Duration::from_secs(10);

/// Says what it hears to whom it hears it from; `close` closes, `binary` and `flood` are answered
/// with what they name.
#[derive(Debug, Default)]
struct Parrot {
    outputs: VecDeque<Output>,
    stopped: bool,
}

impl Brain for Parrot {
    fn calls(&self) -> usize {
        0
    }

    fn handle_input(&mut self, _now: Instant, input: Input) {
        match input {
            Input::Message { peer, bytes } => self.hear(peer, bytes),
            Input::Stop => self.stopped = true,
            Input::ConnectionOpened { .. }
            | Input::ConnectionClosed { .. }
            | Input::StreamOpened { .. }
            | Input::StreamClosed { .. }
            | Input::StreamBroken { .. }
            | Input::Resolved { .. }
            | Input::Media(_)
            | Input::Part { .. }
            | Input::Late { .. }
            | Input::Handshake(_) => {}
        }
    }

    fn handle_timeout(&mut self, _now: Instant) {}

    fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        None
    }

    fn is_stopped(&self) -> bool {
        self.stopped
    }
}

impl Parrot {
    fn hear(&mut self, peer: Peer, bytes: Bytes) {
        match (&*bytes, peer) {
            (b"close", Peer::WebSocket(connection)) => {
                self.outputs.push_back(Output::Close {
                    connection,
                    code: 1002,
                    reason: "asked",
                });
            }
            (b"binary", _) => {
                let bytes = Bytes::from_static(b"\xFF\xFE");
                self.outputs.push_back(Output::Send { peer, bytes });
            }
            (b"flood", _) => {
                let bytes = Bytes::from(vec![b'x'; WEBSOCKET_MESSAGE_BYTES_MAX / 2]);
                for _ in 0..=OUTGOING_BYTES_MAX / bytes.len() {
                    self.outputs.push_back(Output::Send {
                        peer,
                        bytes: bytes.clone(),
                    });
                }
            }
            _ => self.outputs.push_back(Output::Send { peer, bytes }),
        }
    }
}

fn supervisor(arrivals: &mpsc::Sender<Arrival>) -> Arc<Supervisor> {
    Arc::new(Supervisor::new(arrivals.clone()))
}

struct Server {
    address: SocketAddr,
    arrivals: mpsc::Sender<Arrival>,
    driver: JoinHandle<bool>,
}

async fn start(config: &Config, tls: Option<Arc<WebTls>>) -> Server {
    start_with(config, tls, |_| ()).await
}

/// As `start`, with other deadlines.
async fn start_with(
    config: &Config,
    tls: Option<Arc<WebTls>>,
    change: impl FnOnce(&mut Web),
) -> Server {
    let (arrivals, receiver) = mpsc::channel(16);
    let tokens = config.web.token.as_ref();
    let tokens =
        tokens.map(|token| Arc::new(Tokens::new(token, &|path| std::fs::read(path)).unwrap()));
    let mut web = Web::new(config, tokens, arrivals.clone(), supervisor(&arrivals));
    change(&mut web);
    let web = Arc::new(web);
    let listener = Arc::new(TcpListener::bind("127.0.0.1:0").await.unwrap());
    let address = listener.local_addr().unwrap();
    tokio::spawn(http::listen(Arc::clone(&web), listener, tls));
    let driver = Driver::new(Parrot::default(), web, None, Vec::new(), None);
    let driver = tokio::spawn(driver.drive(receiver));
    Server {
        address,
        arrivals,
        driver,
    }
}

fn configuration(text: &str) -> Config {
    Config::parse("test.toml", text, &|_| None).unwrap()
}

async fn server() -> Server {
    start(&configuration(""), None).await
}

impl Server {
    /// Sends these lines as an HTTP request and returns the answer; the server closes.
    async fn ask(&self, lines: &[&str]) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let request = format!("{}\r\nConnection: close\r\n\r\n", lines.join("\r\n"));
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        timeout(PATIENCE, stream.read_to_end(&mut answer))
            .await
            .unwrap()
            .unwrap();
        String::from_utf8(answer).unwrap()
    }

    /// Tries a WebSocket handshake with these header lines beside the usual ones, and returns the
    /// head of the answer.
    async fn knock(&self, path: &str, lines: &[&str]) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let mut request = format!(
            "GET {path} HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\n\
             Connection: keep-alive, Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
            self.address
        );
        for line in lines {
            request.push_str(line);
            request.push_str("\r\n");
        }
        request.push_str("\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        while !answer.contains("\r\n\r\n") {
            let byte = timeout(PATIENCE, stream.read_u8()).await.unwrap().unwrap();
            answer.push(char::from(byte));
        }
        answer
    }

    async fn connect(&self) -> WebSocketStream<TcpStream> {
        open(
            TcpStream::connect(self.address).await.unwrap(),
            "ws",
            self.address,
        )
        .await
        .unwrap()
    }

    async fn stop(self) {
        self.arrivals.send(Arrival::Stop).await.unwrap();
        assert!(timeout(PATIENCE, self.driver).await.unwrap().unwrap());
    }
}

async fn open<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    scheme: &str,
    address: SocketAddr,
) -> Result<WebSocketStream<S>, Error> {
    let mut request = format!("{scheme}://{address}/ws")
        .into_client_request()
        .unwrap();
    request
        .headers_mut()
        .insert("Sec-WebSocket-Protocol", "sip".parse().unwrap());
    let (socket, answer) = timeout(PATIENCE, client_async(request, stream))
        .await
        .unwrap()?;
    assert_eq!(answer.headers()["sec-websocket-protocol"], "sip");
    Ok(socket)
}

async fn next<S: AsyncRead + AsyncWrite + Unpin>(socket: &mut WebSocketStream<S>) -> Message {
    timeout(PATIENCE, socket.next())
        .await
        .unwrap()
        .unwrap()
        .unwrap()
}

/// The status that the server closes with, whatever it says before.
async fn close_code(socket: &mut WebSocketStream<TcpStream>) -> u16 {
    loop {
        if let Message::Close(frame) = next(socket).await {
            return frame.unwrap().code.into();
        }
    }
}

#[tokio::test]
async fn w1_w2_selects_the_subprotocol_sip_and_nothing_else() {
    let server = server().await;
    let version = "Sec-WebSocket-Version: 13";
    for lines in [
        &["Sec-WebSocket-Protocol: sip"][..],
        &["Sec-WebSocket-Protocol: foo, SIP"],
        &[
            "Sec-WebSocket-Protocol: foo",
            "Sec-WebSocket-Protocol: bar ,\t sip",
        ],
    ] {
        let answer = server.knock("/ws", &[&[version], lines].concat()).await;
        assert!(answer.starts_with("HTTP/1.1 101 "), "{lines:?}: {answer}");
        assert!(
            answer.contains("\r\nsec-websocket-protocol: sip\r\n"),
            "{answer}"
        );
        assert!(answer.contains("\r\nsec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
    }
    for lines in [
        &[][..],
        &["Sec-WebSocket-Protocol: sipx"],
        &["Sec-WebSocket-Protocol: xsip,"],
    ] {
        let answer = server.knock("/ws", &[&[version], lines].concat()).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{lines:?}: {answer}");
    }
}

#[tokio::test]
async fn w3_w4_refuses_handshakes_with_the_status_that_says_why() {
    let server = server().await;
    let (version, sip) = ("Sec-WebSocket-Version: 13", "Sec-WebSocket-Protocol: sip");
    let answer = server
        .knock("/ws", &["Sec-WebSocket-Version: 8", sip])
        .await;
    assert!(answer.starts_with("HTTP/1.1 426 "), "{answer}");
    assert!(
        answer.contains("\r\nsec-websocket-version: 13\r\n"),
        "{answer}"
    );
    let answer = server
        .knock("/ws", &[version, sip, "Origin: https://evil.example"])
        .await;
    assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
    let answer = server.knock("/other", &[version, sip]).await;
    assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
    let same = format!("Origin: http://{}", server.address);
    let answer = server.knock("/", &[version, sip, &same]).await;
    assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
}

#[tokio::test]
async fn w21_the_handshake_is_answered_401_without_a_valid_token() {
    const SECRET: &str = "0123456789abcdef0123456789abcdef";
    let text = format!("[web.token]\nsecret = \"{SECRET}\"\ncookie = \"sip_token\"");
    let server = start(&configuration(&text), None).await;
    let token = |exp: u64| {
        let claims = serde_json::json!({ "sub": "alice@example.com", "exp": exp });
        let key = jsonwebtoken::EncodingKey::from_secret(SECRET.as_bytes());
        jsonwebtoken::encode(&jsonwebtoken::Header::default(), &claims, &key).unwrap()
    };
    let (good, old) = (token(clock::unix_seconds() + 60), token(1_000_000_000));
    let sip = ["Sec-WebSocket-Version: 13", "Sec-WebSocket-Protocol: sip"];
    let knock = async |path: &str, line: &str| {
        let lines = [sip[0], sip[1], line];
        let lines = if line.is_empty() { &lines[..2] } else { &lines };
        server.knock(path, lines).await
    };
    for (path, line) in [
        (format!("/ws?token={good}"), String::new()),
        (format!("/?x=1&access_token={good}"), String::new()),
        ("/ws".to_owned(), format!("Authorization: Bearer {good}")),
        ("/ws".to_owned(), format!("Cookie: a=b; sip_token={good}")),
    ] {
        let answer = knock(&path, &line).await;
        assert!(
            answer.starts_with("HTTP/1.1 101 "),
            "{path} {line}: {answer}"
        );
    }
    for (path, line, challenge) in [
        ("/ws".to_owned(), String::new(), "Bearer realm=\"ringway\""),
        (
            format!("/ws?token={old}"),
            String::new(),
            "Bearer realm=\"ringway\", error=\"invalid_token\"",
        ),
        (
            "/ws".to_owned(),
            format!("Authorization: Bearer {good}x"),
            "Bearer realm=\"ringway\", error=\"invalid_token\"",
        ),
    ] {
        let answer = knock(&path, &line).await;
        assert!(
            answer.starts_with("HTTP/1.1 401 "),
            "{path} {line}: {answer}"
        );
        let header = format!("\r\nwww-authenticate: {challenge}\r\n");
        assert!(answer.contains(&header), "{answer}");
    }
    // Where it is asked for in SIP, the handshake may go without; a wrong one never passes.
    let text = format!("{text}\nrequired = \"request\"");
    let server = start(&configuration(&text), None).await;
    assert!(server.knock("/ws", &sip).await.starts_with("HTTP/1.1 101 "));
    let answer = server.knock(&format!("/ws?token={old}"), &sip).await;
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
}

/// The status of a WebSocket handshake that begins with these bytes.
async fn knock_from_hop(
    server: &Server,
    held: &mut Vec<TcpStream>,
    first: &[u8],
    forwarded: &str,
) -> String {
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let request = format!(
        "GET /ws HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Protocol: sip\r\n{forwarded}\r\n",
        server.address
    );
    let bytes = [first, request.as_bytes()].concat();
    stream.write_all(&bytes).await.unwrap();
    let mut status = [0; 12];
    let read = timeout(PATIENCE, stream.read_exact(&mut status))
        .await
        .unwrap();
    // Held open: connections at a time are counted.
    held.push(stream);
    read.map_or_else(
        |_| "closed".to_owned(),
        |_| String::from_utf8(status.to_vec()).unwrap(),
    )
}

#[tokio::test]
async fn w25_limits_count_for_the_client_that_a_trusted_hop_names() {
    let mut held = Vec::new();
    let text = "[web]\nconnections_per_source_max = 1\ntrusted_proxies = [\"127.0.0.0/8\"]\n";
    let proxied = format!("{text}proxy_header = \"proxy-protocol\"");
    let server = start(&configuration(&proxied), None).await;
    let v1 = |ip: &str| format!("PROXY TCP4 {ip} 192.0.2.1 4000 443\r\n").into_bytes();
    for (first, status) in [
        (v1("203.0.113.1"), "HTTP/1.1 101"),
        (v1("203.0.113.2"), "HTTP/1.1 101"),
        (v1("203.0.113.1"), "HTTP/1.1 503"),
        // It must be there, and only once.
        (Vec::new(), "closed"),
        (
            [v1("203.0.113.3"), v1("203.0.113.4")].concat(),
            "HTTP/1.1 400",
        ),
    ] {
        let shown = String::from_utf8_lossy(&first).into_owned();
        assert_eq!(
            knock_from_hop(&server, &mut held, &first, "").await,
            status,
            "{shown}"
        );
    }

    let server = start(&configuration(text), None).await;
    for (forwarded, status) in [
        ("X-Forwarded-For: 203.0.113.1\r\n", "HTTP/1.1 101"),
        (
            "X-Forwarded-For: 203.0.113.9, 203.0.113.2\r\n",
            "HTTP/1.1 101",
        ),
        (
            "X-Forwarded-For: 198.51.100.1, 203.0.113.1\r\n",
            "HTTP/1.1 503",
        ),
    ] {
        let got = knock_from_hop(&server, &mut held, b"", forwarded).await;
        assert_eq!(got, status, "{forwarded}");
    }

    // Nobody is trusted: the header is the client's own.
    let server = start(
        &configuration("[web]\nconnections_per_source_max = 1"),
        None,
    )
    .await;
    let first = knock_from_hop(&server, &mut held, b"", "X-Forwarded-For: 203.0.113.1\r\n").await;
    let second = knock_from_hop(&server, &mut held, b"", "X-Forwarded-For: 203.0.113.2\r\n").await;
    assert_eq!((&*first, &*second), ("HTTP/1.1 101", "HTTP/1.1 503"));
}

#[tokio::test]
async fn w25_a_hop_on_this_machine_does_not_open_the_demo_to_its_clients() {
    let passwords = ["first-password".to_owned(), "second-password".to_owned()];
    let mut demo = Config::without_file(passwords, &|_| None, &|_| None).unwrap();
    let trusting = configuration("[web]\ntrusted_proxies = [\"127.0.0.1\"]");
    demo.web.proxies = trusting.web.proxies;
    let server = start(&demo, None).await;
    let answer = server
        .ask(&["GET /config.json HTTP/1.1", "Host: localhost"])
        .await;
    assert!(
        answer.starts_with("HTTP/1.1 200 ") && !answer.contains("password"),
        "{answer}"
    );
}

/// A flood from one address (bounded: 300 connections) must not keep another address out.
#[tokio::test]
async fn a_flood_of_handshakes_from_one_address_leaves_another_its_place() {
    let text = "[web]\nhandshakes_per_second_per_source = 5\nconnections_per_source_max = 20";
    let server = start(&configuration(text), None).await;
    let mut held = Vec::new();
    let mut opened = 0;
    for _ in 0..300 {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
        let Ok(stream) = socket.connect(server.address).await else {
            continue;
        };
        match timeout(PATIENCE, open(stream, "ws", server.address)).await {
            Ok(Ok(socket)) => {
                opened += 1;
                held.push(socket);
            }
            Ok(Err(_)) => {}
            Err(_) => panic!("neither accepted nor refused"),
        }
    }
    assert!((5..=20).contains(&opened), "{opened} of 300 got in");
    let mut socket = server.connect().await;
    socket.send(Message::text("REGISTER")).await.unwrap();
    assert_eq!(next(&mut socket).await, Message::text("REGISTER"));
}

#[tokio::test]
async fn w4_serves_pages_with_security_headers() {
    let server = server().await;
    let host = format!("Host: {}", server.address);
    let health = server.ask(&["GET /health HTTP/1.1", &host]).await;
    assert!(
        health.starts_with("HTTP/1.1 200 ") && health.ends_with("ok\n"),
        "{health}"
    );
    let page = server.ask(&["GET / HTTP/1.1", &host]).await;
    assert!(page.starts_with("HTTP/1.1 200 "), "{page}");
    for header in [
        "content-security-policy: default-src 'none'",
        &format!("connect-src 'self' ws://{0} wss://{0}", server.address),
        "permissions-policy: microphone",
    ] {
        assert!(page.contains(header), "{page}");
    }
    let strange = "Host: evil.example;script-src *";
    let page_of_stranger = server.ask(&["GET / HTTP/1.1", strange]).await;
    assert!(!page_of_stranger.contains("evil"), "{page_of_stranger}");
    let etag = page
        .lines()
        .find_map(|line| line.strip_prefix("etag: "))
        .unwrap();
    let again = format!("If-None-Match: {etag}");
    let unchanged = server.ask(&["GET / HTTP/1.1", &host, &again]).await;
    assert!(unchanged.starts_with("HTTP/1.1 304 "), "{unchanged}");
    let missing = server.ask(&["GET /../etc/passwd HTTP/1.1", &host]).await;
    assert!(missing.starts_with("HTTP/1.1 404 "), "{missing}");
    let post = server.ask(&["POST / HTTP/1.1", &host]).await;
    assert!(post.starts_with("HTTP/1.1 405 "), "{post}");
    let plain = server.ask(&["GET /ws HTTP/1.1", &host]).await;
    assert!(plain.starts_with("HTTP/1.1 426 "), "{plain}");
    let long = format!("X-Long: {}", "x".repeat(64 * 1024));
    let refused = server.ask(&["GET / HTTP/1.1", &host, &long]).await;
    assert!(refused.starts_with("HTTP/1.1 431 "), "{refused}");
}

#[tokio::test]
async fn shows_passwords_of_the_demo_to_this_machine_only() {
    let passwords = ["first-password".to_owned(), "second-password".to_owned()];
    let demo = Config::without_file(passwords, &|_| None, &|_| None).unwrap();
    let server = start(&demo, None).await;
    for (host, shown) in [
        ("127.0.0.1:8080", true),
        ("localhost", true),
        ("evil.example", false),
    ] {
        let host_line = format!("Host: {host}");
        let answer = server.ask(&["GET /config.json HTTP/1.1", &host_line]).await;
        let settings: serde_json::Value =
            serde_json::from_str(answer.split("\r\n\r\n").nth(1).unwrap()).unwrap();
        assert_eq!(settings["domain"], "ringway.local");
        assert_eq!(settings["echo"], "9196");
        assert_eq!(settings["websocket_path"], "/ws");
        assert_eq!(
            settings["lines"][1]["password"] == "second-password",
            shown,
            "{host}"
        );
        assert_eq!(answer.contains("password"), shown, "{host}");
    }

    let line = "[[line]]\nnumber = \"1\"\npassword = \"hidden-password\"";
    let server = start(&configuration(line), None).await;
    let answer = server
        .ask(&["GET /config.json HTTP/1.1", "Host: localhost"])
        .await;
    assert!(
        answer.starts_with("HTTP/1.1 200 ") && !answer.contains("hidden"),
        "{answer}"
    );
}

#[tokio::test]
async fn w6_w7_carries_text_binary_and_fragments() {
    let server = server().await;
    let mut socket = server.connect().await;
    socket.send(Message::text("héllo")).await.unwrap();
    assert_eq!(next(&mut socket).await, Message::text("héllo"));
    socket
        .send(Message::binary(&b"as binary"[..]))
        .await
        .unwrap();
    assert_eq!(next(&mut socket).await, Message::text("as binary"));
    socket.send(Message::text("binary")).await.unwrap();
    assert_eq!(next(&mut socket).await, Message::binary(&b"\xFF\xFE"[..]));

    let part = |code, last, text: &'static str| {
        Message::Frame(Frame::message(
            Bytes::from_static(text.as_bytes()),
            code,
            last,
        ))
    };
    socket
        .send(part(OpCode::Data(Data::Text), false, "one "))
        .await
        .unwrap();
    socket
        .send(Message::Ping(Bytes::from_static(b"between")))
        .await
        .unwrap();
    socket
        .send(part(OpCode::Data(Data::Continue), true, "message"))
        .await
        .unwrap();
    assert_eq!(
        next(&mut socket).await,
        Message::Pong(Bytes::from_static(b"between"))
    );
    assert_eq!(next(&mut socket).await, Message::text("one message"));
}

#[tokio::test]
async fn w19_answers_keep_alives_and_nothing_else() {
    let server = server().await;
    let mut socket = server.connect().await;
    socket.send(Message::text("\r\n")).await.unwrap();
    socket.send(Message::text("")).await.unwrap();
    socket.send(Message::text("\r\n\r\n")).await.unwrap();
    socket.send(Message::text("after")).await.unwrap();
    assert_eq!(next(&mut socket).await, Message::text("\r\n"));
    assert_eq!(next(&mut socket).await, Message::text("after"));
}

#[tokio::test]
async fn w10_closes_with_1009_when_a_message_is_too_big() {
    let server = server().await;
    let mut other = server.connect().await;
    let mut socket = server.connect().await;
    let fits = "x".repeat(WEBSOCKET_MESSAGE_BYTES_MAX);
    socket.send(Message::text(fits.clone())).await.unwrap();
    assert_eq!(next(&mut socket).await.len(), fits.len());
    socket.send(Message::text(fits + "x")).await.unwrap();
    assert_eq!(close_code(&mut socket).await, 1009);
    other.send(Message::text("still here")).await.unwrap();
    assert_eq!(next(&mut other).await, Message::text("still here"));
}

#[tokio::test]
async fn w6_closes_with_1007_when_text_is_not_utf_8() {
    let server = server().await;
    let mut socket = server.connect().await;
    let frame = Frame::message(Bytes::from_static(b"\xFF"), OpCode::Data(Data::Text), true);
    socket.send(Message::Frame(frame)).await.unwrap();
    assert_eq!(close_code(&mut socket).await, 1007);
}

#[tokio::test]
async fn w24_closes_with_1013_when_messages_are_not_read() {
    let server = server().await;
    let mut socket = server.connect().await;
    socket.send(Message::text("flood")).await.unwrap();
    assert_eq!(close_code(&mut socket).await, 1013);
}

#[tokio::test]
async fn closes_when_the_brain_says_so() {
    let server = server().await;
    let mut socket = server.connect().await;
    socket.send(Message::text("close")).await.unwrap();
    assert_eq!(close_code(&mut socket).await, 1002);
}

#[tokio::test]
async fn refuses_more_connections_than_a_source_may_have() {
    let server = start(
        &configuration("[web]\nconnections_per_source_max = 1"),
        None,
    )
    .await;
    let first = server.connect().await;
    let stream = TcpStream::connect(server.address).await.unwrap();
    let Err(Error::Http(answer)) = open(stream, "ws", server.address).await else {
        panic!("the second connection was not refused");
    };
    assert_eq!(answer.status(), 503);
    drop(first);
    // The server notices in its own time.
    let again = async {
        loop {
            let stream = TcpStream::connect(server.address).await.unwrap();
            if open(stream, "ws", server.address).await.is_ok() {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, again).await.unwrap();
}

#[tokio::test]
async fn gives_up_an_http_connection_that_does_not_read_but_no_websocket() {
    let within = Duration::from_millis(50);
    let server = start_with(&configuration(""), None, |web| web.http_within = within).await;
    let mut socket = server.connect().await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let request = format!("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", server.address);
    let ask_for_ever = async { while stream.write_all(request.as_bytes()).await.is_ok() {} };
    timeout(PATIENCE, ask_for_ever).await.unwrap();
    socket.send(Message::text("still here")).await.unwrap();
    assert_eq!(next(&mut socket).await, Message::text("still here"));
}

#[tokio::test]
async fn speaks_tls_with_a_certificate_of_its_own() {
    let config = configuration("[web]\ntls = \"on\"");
    let tls = WebTls::new(&config.web, &["localhost"], &[[127, 0, 0, 1].into()]).unwrap();
    let server = start(&config, Some(Arc::new(tls))).await;
    let mut socket = connect_tls(server.address).await;
    socket.send(Message::text("secret")).await.unwrap();
    assert_eq!(next(&mut socket).await, Message::text("secret"));
}

async fn connect_tls(
    address: SocketAddr,
) -> WebSocketStream<tokio_rustls::client::TlsStream<TcpStream>> {
    let client = super::web_tls::tests::client_that_trusts_anybody();
    let stream = TcpStream::connect(address).await.unwrap();
    let name = address.ip().into();
    let stream = TlsConnector::from(Arc::new(client))
        .connect(name, stream)
        .await
        .unwrap();
    open(stream, "wss", address).await.unwrap()
}

#[test]
fn says_which_certificate_file_is_wrong() {
    let refusal = |path: &str| {
        let text = format!("[web]\ntls = \"on\"\ncertificate = {path:?}\nprivate_key = {path:?}");
        let web = configuration(&text).web;
        WebTls::new(&web, &[], &[]).unwrap_err().to_string()
    };
    assert!(refusal("/nonexistent.pem").starts_with("cannot read /nonexistent.pem: "));
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    assert_eq!(refusal(path), format!("{path} holds no certificate"));
}

#[tokio::test]
async fn says_goodbye_when_the_process_stops() {
    let server = server().await;
    let mut socket = server.connect().await;
    socket.send(Message::text("hello")).await.unwrap();
    assert_eq!(next(&mut socket).await, Message::text("hello"));
    let client = tokio::spawn(async move { close_code(&mut socket).await });
    server.stop().await;
    assert_eq!(timeout(PATIENCE, client).await.unwrap().unwrap(), 1001);
}

#[tokio::test]
async fn health_says_503_while_draining() {
    let (arrivals, _receiver) = mpsc::channel(1);
    let web = Arc::new(Web::new(
        &configuration(""),
        None,
        arrivals.clone(),
        supervisor(&arrivals),
    ));
    let listener = Arc::new(TcpListener::bind("127.0.0.1:0").await.unwrap());
    let address = listener.local_addr().unwrap();
    tokio::spawn(http::listen(Arc::clone(&web), listener, None));
    web.drain();
    let server = Server {
        address,
        arrivals,
        driver: tokio::spawn(async { true }),
    };
    let health = server
        .ask(&["GET /health HTTP/1.1", "Host: localhost"])
        .await;
    assert!(health.starts_with("HTTP/1.1 503 "), "{health}");
    let sip = ["Sec-WebSocket-Version: 13", "Sec-WebSocket-Protocol: sip"];
    assert!(server.knock("/ws", &sip).await.starts_with("HTTP/1.1 503 "));
}

#[tokio::test]
async fn media_f1_health_says_503_while_a_part_is_missing() {
    let (arrivals, _receiver) = mpsc::channel(1);
    let supervisor = supervisor(&arrivals);
    let web = Web::new(
        &configuration(""),
        None,
        arrivals.clone(),
        Arc::clone(&supervisor),
    );
    let web = Arc::new(web);
    let listener = Arc::new(TcpListener::bind("127.0.0.1:0").await.unwrap());
    let address = listener.local_addr().unwrap();
    tokio::spawn(http::listen(Arc::clone(&web), listener, None));
    let server = Server {
        address,
        arrivals,
        driver: tokio::spawn(async { true }),
    };
    let question = ["GET /health HTTP/1.1", "Host: localhost"];
    assert!(server.ask(&question).await.starts_with("HTTP/1.1 200 "));
    supervisor.lost(Part::Handshakes, &"a test");
    let health = server.ask(&question).await;
    assert!(health.starts_with("HTTP/1.1 503 "), "{health}");
    assert!(health.contains("retry-after: 5"), "{health}");
    assert!(
        health.ends_with("the handshake thread is missing\n"),
        "{health}"
    );
    supervisor.is_back(Part::Handshakes);
    assert!(server.ask(&question).await.starts_with("HTTP/1.1 200 "));
}

#[tokio::test]
async fn carries_sip_over_udp_and_ignores_keep_alives() {
    let socket = Arc::new(udp::bind("127.0.0.1:0".parse().unwrap()).unwrap());
    let (arrivals, receiver) = mpsc::channel(16);
    tokio::spawn(udp::receive(Arc::clone(&socket), arrivals.clone()));
    let web = Arc::new(Web::new(
        &configuration(""),
        None,
        arrivals.clone(),
        supervisor(&arrivals),
    ));
    let address = socket.local_addr().unwrap();
    let driver = Driver::new(Parrot::default(), web, Some(socket), Vec::new(), None);
    tokio::spawn(driver.drive(receiver));

    let carrier = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    for datagram in ["\r\n\r\n", "", "OPTIONS"] {
        carrier.send_to(datagram.as_bytes(), address).await.unwrap();
    }
    let mut buffer = [0; 100];
    let (length, from) = timeout(PATIENCE, carrier.recv_from(&mut buffer))
        .await
        .unwrap()
        .unwrap();
    assert_eq!((&buffer[..length], from), (&b"OPTIONS"[..], address));
}
