//! `ringway-bench failover`: from the INVITE of a browser to the INVITE at the second target of a
//! trunk, if the first one does not take the call; and the same for the next call, which finds the
//! first one marked down.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use bytes::Bytes;
use clap::Args;
use control::sip::digest::{self, Challenge};
use control::sip::{HeaderName, Message, Method};
use tokio::net::UdpSocket;
use tokio::time::timeout;

use crate::Failure;
use crate::clock::now;
use crate::proxy::target::Target;
use crate::websocket::WebSocket;

/// Longer than any failover: timer B.
const PATIENCE: Duration = Duration::from_secs(40);
/// Longest datagram that is looked at.
const DATAGRAM_BYTES_MAX: usize = 8192;
const PASSWORD: &str = "a password of the bench";
const OFFER: &str = include_str!("../../tests/fixtures/chromium_offer_audio.sdp");

/// Arguments of `ringway-bench failover`.
#[derive(Args)]
pub(crate) struct FailoverArguments {
    /// Calls after the first, whose median is shown.
    #[arg(long, default_value_t = 9, value_parser = clap::value_parser!(u32).range(1..=100))]
    calls: u32,
    /// The ringway that is measured. Default: the one beside this program.
    #[arg(long)]
    ringway: Option<PathBuf>,
}

/// How the first target fails.
#[derive(Clone, Copy, Debug)]
enum Fault {
    /// There is no fault: what a call takes without one.
    None,
    /// It gets the INVITE and says nothing.
    Silent,
    /// It answers 503.
    Unavailable,
    /// Nothing listens at its TCP port.
    Refused,
}

impl Fault {
    const ALL: [Self; 4] = [Self::None, Self::Silent, Self::Unavailable, Self::Refused];

    const fn label(self) -> &'static str {
        match self {
            Self::None => "takes the call",
            Self::Silent => "is silent (UDP, failover_after_s = 1)",
            Self::Unavailable => "answers 503 (UDP)",
            Self::Refused => "refuses the connection (TCP)",
        }
    }
}

/// # Errors
/// Ringway does not start, or a call does not reach the second target.
#[expect(clippy::print_stdout, reason = "the report of a command")]
pub(crate) fn run(arguments: &FailoverArguments) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    println!(
        "{:<40}{:>14}{:>20}",
        "the first target", "first call", "next (median)"
    );
    for fault in Fault::ALL {
        let (first, mut next) = runtime.block_on(measure(arguments, fault))?;
        next.sort();
        let median = next.get(next.len() / 2).copied().unwrap_or_default();
        let ms = |time: Duration| format!("{:.1} ms", time.as_secs_f64() * 1e3);
        println!("{:<40}{:>14}{:>20}", fault.label(), ms(first), ms(median));
    }
    Ok(())
}

async fn measure(
    arguments: &FailoverArguments,
    fault: Fault,
) -> Result<(Duration, Vec<Duration>), Failure> {
    let first = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let second = Second::bind(fault).await?;
    let transport = match fault {
        Fault::Refused => "tcp",
        Fault::None | Fault::Silent | Fault::Unavailable => "udp",
    };
    let trunk = format!(
        "target = [\"{}\", \"{}\"]\ntransport = \"{transport}\"\nfailover_after_s = 1\n\
         down_for_s = 600",
        first.local_addr()?,
        second.address()?,
    );
    let lines = format!(
        "[lines]\ndomain = \"lines.test\"\n[[line]]\nnumber = \"1001\"\npassword = \"{PASSWORD}\""
    );
    let target = Target::ringway(None, &trunk, &lines, arguments.ringway.clone())?;
    let mut browser = Browser::log_in(target.address()).await?;
    let mut times = Vec::new();
    for number in 0..=arguments.calls {
        let began = now();
        browser.call(number).await?;
        let reached = match fault {
            Fault::None => take(&first, 486, "INVITE").await?,
            Fault::Silent | Fault::Refused => second.take().await?,
            Fault::Unavailable => {
                // The first has asked for a pause by then, if it is not the first call.
                if number == 0 {
                    take(&first, 503, "INVITE").await?;
                }
                second.take().await?
            }
        };
        times.push(reached - began);
        browser.take_refusal().await?;
    }
    let mut times = times.into_iter();
    let first = times.next().ok_or("no call was made")?;
    Ok((first, times.collect()))
}

/// The second target, which is there.
enum Second {
    Udp(UdpSocket),
    Tcp(tokio::net::TcpListener, tokio::sync::Mutex<Option<Stream>>),
}

/// A connection of ringway to the second target.
struct Stream {
    stream: tokio::net::TcpStream,
    framer: control::sip::framing::Framer,
}

impl Second {
    async fn bind(fault: Fault) -> Result<Self, Failure> {
        let any = (Ipv4Addr::LOCALHOST, 0);
        Ok(match fault {
            Fault::Refused => {
                let listener = tokio::net::TcpListener::bind(any).await?;
                Self::Tcp(listener, tokio::sync::Mutex::default())
            }
            Fault::None | Fault::Silent | Fault::Unavailable => {
                Self::Udp(UdpSocket::bind(any).await?)
            }
        })
    }

    fn address(&self) -> Result<SocketAddr, Failure> {
        Ok(match self {
            Self::Udp(socket) => socket.local_addr()?,
            Self::Tcp(listener, _) => listener.local_addr()?,
        })
    }

    /// Waits for an INVITE, answers it with 486 and returns when it came.
    async fn take(&self) -> Result<Instant, Failure> {
        let (listener, open) = match self {
            Self::Udp(socket) => return take(socket, 486, "INVITE").await,
            Self::Tcp(listener, open) => (listener, open),
        };
        let mut open = open.lock().await;
        if open.is_none() {
            let (stream, _) = timeout(PATIENCE, listener.accept()).await??;
            *open = Some(Stream {
                stream,
                framer: control::sip::framing::Framer::new(),
            });
        }
        let stream = open.as_mut().ok_or("no connection")?;
        timeout(PATIENCE, stream.take()).await?
    }
}

impl Stream {
    async fn take(&mut self) -> Result<Instant, Failure> {
        use control::sip::framing::Frame;
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let mut buffer = Vec::new();
        loop {
            let frame = self.framer.next_frame();
            let frame = frame.map_err(|error| format!("{error:?}"))?;
            if let Some(Frame::Message(bytes)) = frame {
                if let Some(answer) = refusal(bytes, 486, "INVITE") {
                    let came = now();
                    self.stream.write_all(&answer).await?;
                    return Ok(came);
                }
                continue;
            }
            buffer.clear();
            if self.stream.read_buf(&mut buffer).await? == 0 {
                return Err("ringway closes the connection".into());
            }
            self.framer.push(&buffer);
        }
    }
}

/// Waits for a request of this method, answers it and returns when it came.
async fn take(socket: &UdpSocket, status: u16, method: &str) -> Result<Instant, Failure> {
    let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
    loop {
        let (length, from) = timeout(PATIENCE, socket.recv_from(&mut buffer)).await??;
        let datagram = Bytes::copy_from_slice(buffer.get(..length).unwrap_or_default());
        if let Some(answer) = refusal(datagram, status, method) {
            let came = now();
            socket.send_to(&answer, from).await?;
            return Ok(came);
        }
    }
}

/// The answer to a request of this method; a 503 asks for a pause.
fn refusal(bytes: Bytes, status: u16, method: &str) -> Option<Bytes> {
    let request = Message::parse(bytes).ok()?;
    if !request.is_request() || request.method().as_str() != method {
        return None;
    }
    let mut response = Message::response_to(&request, status, None);
    response.set_to_tag("target");
    if status == 503 {
        response.push(HeaderName::RetryAfter, "600");
    }
    Some(response.to_bytes())
}

/// A line of ringway.
struct Browser(WebSocket);

impl Browser {
    async fn log_in(to: SocketAddr) -> Result<Self, Failure> {
        let mut browser = Self(WebSocket::connect(to).await?);
        let mut register = request(Method::Register, "sip:lines.test", "registration", 1);
        register.push(HeaderName::Expires, "600");
        browser.0.send(&register.to_bytes()).await?;
        let challenge = browser.response().await?;
        let value = challenge.header(HeaderName::WwwAuthenticate);
        let asked = value.and_then(Challenge::parse).ok_or("no challenge")?;
        let uri = "sip:lines.test";
        let method = Method::Register;
        let given = digest::answer(&asked, "1001", PASSWORD, &method, uri, 1, "bench");
        let given = given.ok_or("a challenge that cannot be answered")?;
        let mut again = request(Method::Register, uri, "registration", 2);
        again.push(HeaderName::Expires, "600");
        again.push(HeaderName::Authorization, given.to_string());
        browser.0.send(&again.to_bytes()).await?;
        match browser.response().await?.status() {
            Some(200) => Ok(browser),
            other => Err(format!("the line is not registered: {other:?}").into()),
        }
    }

    async fn call(&mut self, number: u32) -> Result<(), Failure> {
        let call_id = format!("call-{number}");
        let mut invite = request(Method::Invite, "sip:4711@lines.test", &call_id, 1);
        invite.set_body("application/sdp", Bytes::from_static(OFFER.as_bytes()));
        self.0.send(&invite.to_bytes()).await
    }

    /// The call was refused by the second target, as it is made to be.
    async fn take_refusal(&mut self) -> Result<(), Failure> {
        loop {
            match self.response().await?.status() {
                Some(100..=199) => {}
                Some(486) => return Ok(()),
                other => return Err(format!("the call ends with {other:?}").into()),
            }
        }
    }

    async fn response(&mut self) -> Result<Message, Failure> {
        let bytes = timeout(PATIENCE, self.0.next_message()).await??;
        let parsed = Message::parse(Bytes::from(bytes));
        parsed.map_err(|error| format!("{error}").into())
    }
}

fn request(method: Method, uri: &str, call_id: &str, number: u32) -> Message {
    let name = method.as_str().to_owned();
    let to = if method == Method::Register {
        "<sip:1001@lines.test>".to_owned()
    } else {
        format!("<{uri}>")
    };
    let mut request = Message::request(method, uri);
    let via = format!("SIP/2.0/WS h.invalid;branch=z9hG4bK{call_id}{number}");
    request.push(HeaderName::Via, via);
    request.push(HeaderName::MaxForwards, "69");
    request.push(HeaderName::To, to);
    request.push(HeaderName::From, "<sip:1001@lines.test>;tag=bench");
    request.push(HeaderName::CallId, call_id);
    request.push(HeaderName::CSeq, format!("{number} {name}"));
    request.push(HeaderName::Contact, "<sip:1001@h.invalid;transport=ws>");
    request
}
