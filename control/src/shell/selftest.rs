//! Carries a call of ringway's own to its echo line: sockets and the clock for [`crate::selftest`].

mod path;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crypto::random::Random;
use futures_util::{SinkExt as _, StreamExt as _};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{self, http::HeaderValue};
use tokio_tungstenite::{WebSocketStream, client_async};

use self::path::{Heard, Path};
use super::clock;
use super::tls::{Anybody, provider, read_chain};
use crate::config::{Config, Secret};
use crate::limits::{SELFTEST_ANSWER_BYTES_MAX, SELFTEST_STEP_WITHIN};
use crate::selftest::{Dialog, ECHO_PACKETS, LocalMedia, Plan, PlanError, RemoteMedia};
use crate::sip::{HeaderName, Message, Method};

/// A call that went as it should.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passed {
    line: String,
    echo: String,
    url: String,
    came_back: usize,
    round_trip: Duration,
    took: Duration,
}

impl fmt::Display for Passed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "passed in {:.1} s: {} called {} over {}, with ICE, DTLS and SRTP; {} of \
             {ECHO_PACKETS} packets came back, half of them within {:.1} ms",
            self.took.as_secs_f64(),
            self.line,
            self.echo,
            self.url,
            self.came_back,
            self.round_trip.as_secs_f64() * 1000.0,
        )
    }
}

/// Where it went wrong, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SelftestError(String);

impl fmt::Display for SelftestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "selftest failed: {}", self.0)
    }
}

impl std::error::Error for SelftestError {}

fn failed(why: impl fmt::Display) -> SelftestError {
    SelftestError(why.to_string())
}

/// Calls the echo through the daemon that runs with this configuration; as this line, or the first.
/// Without a configuration it is the demo's.
///
/// # Errors
/// The step that failed, and what may be the cause.
pub fn selftest(config: Option<&Config>, line: Option<&str>) -> Result<Passed, SelftestError> {
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_all().build().map_err(failed)?;
    runtime.block_on(async {
        match config {
            Some(config) => call(&Plan::new(config, line).map_err(failed)?).await,
            None => call(&demo_plan(line).await?).await,
        }
    })
}

/// One step, which may not take for ever.
async fn step<T, E: fmt::Display>(
    what: &str,
    doing: impl Future<Output = Result<T, E>>,
) -> Result<T, SelftestError> {
    match timeout(SELFTEST_STEP_WITHIN, doing).await {
        Ok(done) => done.map_err(|error| failed(format!("{what}: {error}"))),
        Err(_) => Err(failed(format!(
            "{what}: nothing within {} s",
            SELFTEST_STEP_WITHIN.as_secs()
        ))),
    }
}

async fn call(plan: &Plan) -> Result<Passed, SelftestError> {
    let began = clock::now();
    let what = format!("cannot connect to {} (does ringway run?)", plan.web.address);
    let stream = step(&what, TcpStream::connect(plan.web.address)).await?;
    let heard = if plan.web.secure {
        let stream = step("TLS", secure(plan, stream)).await?;
        Box::pin(talk(plan, stream)).await?
    } else {
        Box::pin(talk(plan, stream)).await?
    };
    Ok(Passed {
        line: plan.line.clone(),
        echo: plan.echo.clone(),
        url: plan.url(),
        came_back: heard.came_back,
        round_trip: heard.round_trip,
        took: clock::now() - began,
    })
}

/// TLS with whatever certificate; if the configuration names one, it has to be that.
async fn secure(
    plan: &Plan,
    stream: TcpStream,
) -> Result<tokio_rustls::client::TlsStream<TcpStream>, String> {
    let config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody(provider())))
        .with_no_client_auth();
    let name = ServerName::from(plan.web.address.ip());
    let stream = TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await
        .map_err(|error| error.to_string())?;
    if let Some(file) = &plan.certificate {
        let chain = read_chain(file).map_err(|error| error.to_string())?;
        let shown = stream.get_ref().1.peer_certificates();
        if shown.and_then(<[_]>::first) != chain.first() {
            return Err(format!(
                "the daemon shows another certificate than {}: send it SIGHUP, or start it again",
                file.display()
            ));
        }
    }
    Ok(stream)
}

/// Opens the WebSocket, and makes the call.
async fn talk<S>(plan: &Plan, stream: S) -> Result<Heard, SelftestError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut request = plan.url().into_client_request().map_err(failed)?;
    let protocol = HeaderValue::from_static("sip");
    request
        .headers_mut()
        .insert("Sec-WebSocket-Protocol", protocol);
    let opening = step("WebSocket", client_async(request, stream));
    let (socket, _) = opening.await?;
    let mut random = Random::from_system().map_err(failed)?;
    let local = LocalMedia::new(&mut random);
    let mut caller = Caller {
        socket,
        dialog: Dialog::new(plan, random),
        plan,
    };
    let certificate = crypto::dtls::Certificate::generate().map_err(failed)?;
    let accepted = caller
        .invite(&local.offer(&certificate.fingerprint()))
        .await?;
    let heard = match RemoteMedia::read(accepted.body()).map_err(failed) {
        Ok(remote) => hear_the_echo(plan, &certificate, &local, remote).await,
        Err(error) => Err(error),
    };
    let ended = caller.hang_up(&accepted).await;
    let heard = heard?;
    ended?;
    Ok(heard)
}

async fn hear_the_echo(
    plan: &Plan,
    certificate: &crypto::dtls::Certificate,
    local: &LocalMedia,
    remote: RemoteMedia,
) -> Result<Heard, SelftestError> {
    let to = std::net::SocketAddr::new(plan.media, remote.port);
    let path = Path::open(to).await.map_err(failed)?;
    let what = format!("no answer to ICE checks from UDP {to} (is there a firewall between?)");
    step(&what, path.check(local, &remote)).await?;
    let keys = step("DTLS", path.agree_on_keys(certificate, remote.fingerprints)).await?;
    let heard = step("media", path.speak(local, &keys)).await?;
    if heard.came_back < usize::from(ECHO_PACKETS) {
        let (came, sent) = (heard.came_back, ECHO_PACKETS);
        return Err(failed(format!("media: {came} of {sent} packets came back")));
    }
    Ok(heard)
}

/// The signalling of the call.
struct Caller<'a, S> {
    socket: WebSocketStream<S>,
    dialog: Dialog<'a>,
    plan: &'a Plan,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Caller<'_, S> {
    /// Invites the echo, and logs in when it is asked to; returns the 200.
    async fn invite(&mut self, offer: &str) -> Result<Message, SelftestError> {
        let mut credentials = None;
        loop {
            let invite = self.dialog.invite(offer, credentials.as_deref());
            self.send(&invite).await?;
            let answer = self.answer(&Method::Invite).await?;
            let status = answer.status().unwrap_or_default();
            if status == 200 {
                let ack = self.dialog.in_dialog(&Method::Ack, &answer);
                self.send(&ack).await?;
                return Ok(answer);
            }
            let ack = self.dialog.ack_refusal(&answer);
            self.send(&ack).await?;
            if status != 407 || credentials.is_some() {
                return Err(failed(self.refusal(status, &answer)));
            }
            credentials = self.dialog.credentials(&answer);
            if credentials.is_none() {
                return Err(failed("the challenge for the line cannot be answered"));
            }
        }
    }

    /// What a refusal of the INVITE says, and what may have led to it.
    fn refusal(&self, status: u16, answer: &Message) -> String {
        let reason = answer.reason().unwrap_or_default();
        let warning = answer.header(HeaderName::Warning).unwrap_or_default();
        let (line, echo) = (&self.plan.line, &self.plan.echo);
        let hint = match status {
            401 | 403 | 407 => {
                " (does the daemon run with this configuration? It reads passwords at its start)"
            }
            503 => " (the log of the daemon says what is missing)",
            _ => "",
        };
        format!("the call of {line} to {echo} was refused: {status} {reason} {warning}{hint}")
    }

    async fn hang_up(&mut self, accepted: &Message) -> Result<(), SelftestError> {
        let bye = self.dialog.in_dialog(&Method::Bye, accepted);
        self.send(&bye).await?;
        let answer = self.answer(&Method::Bye).await?;
        match answer.status() {
            Some(200) => Ok(()),
            other => Err(failed(format!("BYE was answered {}", other.unwrap_or(0)))),
        }
    }

    async fn send(&mut self, message: &Message) -> Result<(), SelftestError> {
        let bytes = message.to_bytes();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        step(
            "WebSocket",
            self.socket.send(tungstenite::Message::text(text)),
        )
        .await
    }

    /// The final response to the last request with this method.
    async fn answer(&mut self, method: &Method) -> Result<Message, SelftestError> {
        let what = format!("no answer to {method}");
        let waiting = async {
            loop {
                let Some(frame) = self.socket.next().await else {
                    return Err("the WebSocket was closed".to_owned());
                };
                let bytes = match frame.map_err(|error| error.to_string())? {
                    tungstenite::Message::Text(text) => text.into(),
                    tungstenite::Message::Binary(bytes) => bytes,
                    tungstenite::Message::Close(frame) => {
                        let why = frame.map_or_else(String::new, |frame| frame.to_string());
                        return Err(format!("the WebSocket was closed: {why}"));
                    }
                    tungstenite::Message::Ping(_)
                    | tungstenite::Message::Pong(_)
                    | tungstenite::Message::Frame(_) => continue,
                };
                let Ok(message) = Message::parse(bytes) else {
                    continue;
                };
                let is_final = message.status().is_some_and(|status| status >= 200);
                if is_final && self.dialog.is_answer(&message, method) {
                    return Ok(message);
                }
            }
        };
        step(&what, waiting).await
    }
}

/// The demo shows the passwords of its lines to this machine.
async fn demo_plan(line: Option<&str>) -> Result<Plan, SelftestError> {
    let passwords = [String::new(), String::new()];
    let config = Config::without_file(passwords, &super::host_address, &|_| None);
    let mut config = config.map_err(failed)?;
    let address = config.web.listen.first().map(|listener| listener.address);
    let address = address.ok_or_else(|| failed(PlanError::NoLine))?;
    let what = format!("cannot connect to the demo at {address} (does it run? Else name --config)");
    let stream = step(&what, TcpStream::connect(address)).await?;
    let settings = step(&what, get(stream, address, "/config.json")).await?;
    let settings: serde_json::Value = serde_json::from_slice(&settings).map_err(failed)?;
    for entry in &mut config.lines.entries {
        let lines = settings.get("lines").and_then(serde_json::Value::as_array);
        let mut lines = lines.into_iter().flatten();
        let is_it =
            |shown: &&serde_json::Value| shown.get("number").is_some_and(|n| *n == *entry.number);
        let shown = lines.find(is_it).and_then(|shown| shown.get("password"));
        let password = shown.and_then(serde_json::Value::as_str);
        let password = password
            .ok_or_else(|| failed(format!("{address} is no demo: name its file with --config")))?;
        entry.password = Secret::from(password.to_owned());
    }
    Plan::new(&config, line).map_err(failed)
}

async fn get(
    stream: TcpStream,
    host: std::net::SocketAddr,
    path: &str,
) -> Result<bytes::Bytes, Box<dyn std::error::Error + Send + Sync>> {
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let request = hyper::Request::get(path)
        .header(hyper::header::HOST, host.to_string())
        .header(hyper::header::CONNECTION, "close")
        .body(Empty::<bytes::Bytes>::new())?;
    let answer = async move {
        let body = sender.send_request(request).await?.into_body();
        let body = Limited::new(body, SELFTEST_ANSWER_BYTES_MAX)
            .collect()
            .await?;
        Ok(body.to_bytes())
    };
    let (answer, _connection) = tokio::join!(answer, connection);
    answer
}
