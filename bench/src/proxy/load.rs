//! Browsers: WebSocket connections that send a request when the last one is answered.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::time::timeout;

use super::target::Target;
use crate::Failure;
use crate::clock::now;
use crate::websocket::WebSocket;

/// An answer that takes longer fails the measurement.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the browsers send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    Register,
    Message,
}

impl Method {
    /// Registration comes first: who is not registered sends no messages.
    pub(super) const ALL: [Self; 2] = [Self::Register, Self::Message];

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Register => "REGISTER",
            Self::Message => "MESSAGE",
        }
    }
}

/// What one step has shown.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    messages: u64,
    took: Duration,
    /// CPU time of the target.
    cpu: Duration,
    /// Part of its core that the generator used.
    pub(super) generator_busy: f64,
}

impl Step {
    pub(super) fn per_second(&self) -> f64 {
        count(self.messages) / self.took.as_secs_f64()
    }

    pub(super) fn cpu_us(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / count(self.messages.max(1))
    }
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn count(messages: u64) -> f64 {
    messages as f64
}

/// All connections.
pub(super) struct Browsers(Vec<Browser>);

impl Browsers {
    pub(super) async fn connect(to: SocketAddr, connections: u16) -> Result<Self, Failure> {
        let mut browsers = Vec::new();
        for number in 0..connections {
            browsers.push(Browser::connect(to, number).await?);
        }
        Ok(Self(browsers))
    }

    /// Lets every connection send one request after the other for so long.
    pub(super) async fn send(
        &mut self,
        method: Method,
        time: Duration,
        target: &Target,
    ) -> Result<Step, Failure> {
        let (own, cpu, began) = (own_cpu()?, target.cpu()?, now());
        let until = began + time;
        let mut tasks = tokio::task::JoinSet::new();
        for mut browser in self.0.drain(..) {
            tasks.spawn(async move {
                let messages = browser.send(method, until).await;
                (browser, messages)
            });
        }
        let mut total = 0;
        while let Some(ended) = tasks.join_next().await {
            let (browser, messages) = ended?;
            total += messages?;
            self.0.push(browser);
        }
        let took = now() - began;
        let busy = (own_cpu()? - own).as_secs_f64() / took.as_secs_f64();
        Ok(Step {
            messages: total,
            took,
            cpu: target.cpu()?.saturating_sub(cpu),
            generator_busy: busy,
        })
    }
}

/// CPU time of this thread, which is browsers and registrar.
fn own_cpu() -> Result<Duration, Failure> {
    let times = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    let first = times.split_whitespace().next().ok_or("no times in /proc")?;
    Ok(Duration::from_nanos(first.parse()?))
}

struct Browser {
    socket: WebSocket,
    number: u16,
    sequence: u32,
}

impl Browser {
    async fn connect(to: SocketAddr, number: u16) -> Result<Self, Failure> {
        Ok(Self {
            socket: WebSocket::connect(to).await?,
            number,
            sequence: 0,
        })
    }

    async fn send(&mut self, method: Method, until: Instant) -> Result<u64, String> {
        let mut answered = 0;
        while now() < until {
            self.sequence += 1;
            let (call_id, request) = self.request(method);
            let exchange = self.exchange(&request, &call_id, method);
            match timeout(PATIENCE, exchange).await {
                Ok(Ok(())) => answered += 1,
                Ok(Err(error)) => return Err(format!("{}: {error}", method.as_str())),
                Err(_) => return Err(format!("{}: no answer", method.as_str())),
            }
        }
        Ok(answered)
    }

    /// As JsSIP writes it. A registration keeps its Call-ID, a message has one of its own.
    fn request(&self, method: Method) -> (String, String) {
        let (number, sequence) = (self.number, self.sequence);
        let host = format!("h{number}.invalid");
        let (uri, call_id, rest) = match method {
            Method::Register => (
                "sip:example.test".to_owned(),
                format!("registration-{number}"),
                format!(
                    "Contact: <sip:u{number}@{host};transport=ws>;+sip.ice;reg-id=1;\
                     +sip.instance=\"<urn:uuid:00000000-0000-4000-8000-{number:012}>\";expires=600\
                     \r\nExpires: 600\r\nSupported: path,gruu,outbound\r\nContent-Length: 0\r\n\r\n"
                ),
            ),
            Method::Message => (
                "sip:4711@example.test".to_owned(),
                format!("message-{number}-{sequence}"),
                "Content-Type: text/plain\r\nContent-Length: 12\r\n\r\nhello, world".to_owned(),
            ),
        };
        let to = match method {
            Method::Register => format!("u{number}"),
            Method::Message => "4711".to_owned(),
        };
        let method = method.as_str();
        let request = format!(
            "{method} {uri} SIP/2.0\r\n\
             Via: SIP/2.0/WS {host};branch=z9hG4bK{method}{number}x{sequence}\r\n\
             Max-Forwards: 69\r\nTo: <sip:{to}@example.test>\r\n\
             From: \"User {number}\" <sip:u{number}@example.test>;tag=t{number}\r\n\
             Call-ID: {call_id}\r\nCSeq: {sequence} {method}\r\n\
             Allow: INVITE,ACK,CANCEL,BYE,UPDATE,MESSAGE,OPTIONS,REFER,INFO,NOTIFY\r\n\
             User-Agent: JsSIP 3.13.8\r\n{rest}"
        );
        (call_id, request)
    }

    async fn exchange(
        &mut self,
        request: &str,
        call_id: &str,
        method: Method,
    ) -> Result<(), Failure> {
        self.socket.send(request.as_bytes()).await?;
        let cseq = format!("CSeq: {} {}\r\n", self.sequence, method.as_str());
        loop {
            let answer = self.socket.next_message().await?;
            let text = String::from_utf8_lossy(&answer);
            let is_its = text.contains(&cseq) && text.contains(call_id);
            if text.starts_with("SIP/2.0 200 ") && is_its {
                return Ok(());
            }
            if !text.starts_with("SIP/2.0 1") {
                return Err(text.into_owned().into());
            }
        }
    }
}
