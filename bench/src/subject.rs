//! A target, in a process and network namespace of its own, asked line by line over its standard
//! input: to open and close calls, and what it has used.

mod ng;
mod reflector;
mod ringway;
mod rtpengine;
mod usage;

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use clap::Args;
use serde::{Deserialize, Serialize};

use crate::Failure;
use crate::scenario::{DEFAULT_IO, Scenario, Target};
use reflector::Reflecting;

pub(crate) use ringway::{CHURN_SLOTS, THREAD as RINGWAY_THREAD, master_key};
pub(crate) use usage::Usage;

/// What the process of a target is started with.
#[derive(Args, Clone, Debug)]
pub(crate) struct SubjectArguments {
    #[arg(value_enum)]
    pub(crate) target: Target,
    /// Where it receives.
    #[arg(long)]
    pub(crate) address: Ipv4Addr,
    /// Its CPU cores, one for each worker.
    #[arg(long, value_delimiter = ',')]
    pub(crate) cores: Vec<usize>,
    #[arg(long)]
    pub(crate) calls: u16,
    /// How ringway talks to the kernel.
    #[arg(long)]
    pub(crate) backend: Option<String>,
    /// How ringway sets up sockets and buffers.
    #[arg(long, default_value = DEFAULT_IO)]
    pub(crate) io: String,
}

/// What a target is asked.
#[derive(Serialize, Deserialize)]
pub(crate) enum Request {
    Open(OpenCall),
    Close {
        call: u16,
    },
    /// Set up and end so many calls, as fast as it goes.
    Churn {
        calls: u32,
        suite: String,
    },
    Usage,
}

/// A call that is to be set up.
#[derive(Serialize, Deserialize)]
pub(crate) struct OpenCall {
    pub(crate) call: u16,
    pub(crate) browser: SocketAddrV4,
    pub(crate) trunk: SocketAddrV4,
    /// Name of the suite.
    pub(crate) suite: String,
    /// Master key and salt that the browser sends with.
    pub(crate) browser_key: Vec<u8>,
}

/// What a target answers.
#[derive(Serialize, Deserialize)]
pub(crate) enum Reply {
    Ready,
    Opened(OpenedCall),
    Closed,
    Churned(Churned),
    Usage(Usage),
    Failed(String),
}

/// Calls that came and went.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Churned {
    pub(crate) calls: u32,
    pub(crate) seconds: f64,
}

/// A call that is set up.
#[derive(Serialize, Deserialize)]
pub(crate) struct OpenedCall {
    /// Where the browser has to send to.
    pub(crate) for_browser: SocketAddrV4,
    /// Where the trunk has to send to.
    pub(crate) for_trunk: SocketAddrV4,
    pub(crate) media: Processing,
    /// User fragment and password, where an ICE check must open the way.
    pub(crate) ice: Option<(String, String)>,
}

/// What a target does with the packets.
#[derive(Serialize, Deserialize)]
pub(crate) enum Processing {
    /// Nothing: they come back to their sender as they are.
    Reflected,
    /// Forwarded to the other side, towards the browser with this master key and salt.
    Forwarded {
        gateway_key: Vec<u8>,
        /// With SSRCs of the gateway's own.
        ssrc_rewritten: bool,
    },
}

/// One kind of target, within its process.
trait Subject {
    fn open(&mut self, call: &OpenCall) -> Result<OpenedCall, Failure>;
    fn close(&mut self, call: u16) -> Result<(), Failure>;
    fn usage(&mut self) -> Result<Usage, Failure>;
    /// Sets up and ends so many calls, of which none is open before.
    fn churn(&mut self, _calls: u32, _suite: &str) -> Result<Churned, Failure> {
        Err("this target cannot be asked for that".into())
    }
}

/// The process of a target: answers until its standard input ends.
#[expect(clippy::print_stdout, reason = "the answers go there")]
pub(crate) fn serve(arguments: &SubjectArguments) -> Result<(), Failure> {
    let mut subject: Box<dyn Subject> = match arguments.target {
        Target::Ringway => Box::new(ringway::Ringway::start(arguments)?),
        Target::Rtpengine => Box::new(rtpengine::Rtpengine::start(arguments)?),
        Target::Reflector => Box::new(Reflecting::start(arguments, reflector::by_batches)?),
        Target::WholeReflector => Box::new(Reflecting::start(arguments, reflector::by_runs)?),
        Target::UringReflector => Box::new(Reflecting::start(arguments, reflector::by_ring)?),
    };
    println!("{}", serde_json::to_string(&Reply::Ready)?);
    for line in std::io::stdin().lines() {
        let reply = match serde_json::from_str(&line?)? {
            Request::Open(call) => subject.open(&call).map(Reply::Opened),
            Request::Close { call } => subject.close(call).map(|()| Reply::Closed),
            Request::Churn { calls, suite } => subject.churn(calls, &suite).map(Reply::Churned),
            Request::Usage => subject.usage().map(Reply::Usage),
        };
        let reply = reply.unwrap_or_else(|failure| Reply::Failed(failure.to_string()));
        println!("{}", serde_json::to_string(&reply)?);
    }
    Ok(())
}

/// The other end: a target as the generator sees it.
pub(crate) struct SubjectProcess {
    child: Child,
    requests: Option<ChildStdin>,
    replies: BufReader<ChildStdout>,
}

impl SubjectProcess {
    /// Starts a target by this command (which runs this program where the target belongs).
    pub(crate) fn start(
        mut command: Command,
        target: Target,
        address: Ipv4Addr,
        scenario: &Scenario,
        backend: Option<&str>,
    ) -> Result<Self, Failure> {
        let cores: Vec<_> = scenario
            .worker_cores()
            .map(|core| core.to_string())
            .collect();
        command
            .args(["subject", target.label(), "--address", &address.to_string()])
            .args(["--cores", &cores.join(",")])
            .args(["--calls", &scenario.calls.to_string()])
            .args(["--io", &scenario.io]);
        if let Some(backend) = backend {
            command.args(["--backend", backend]);
        }
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let requests = child.stdin.take();
        let replies = BufReader::new(child.stdout.take().ok_or("no output")?);
        let mut process = Self {
            child,
            requests,
            replies,
        };
        let reply = process.read()?;
        let Reply::Ready = reply else {
            return Err(unexpected(target, &reply));
        };
        Ok(process)
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn open(&mut self, call: OpenCall) -> Result<OpenedCall, Failure> {
        let reply = self.ask(&Request::Open(call))?;
        let Reply::Opened(opened) = reply else {
            return Err(unexpected("open", &reply));
        };
        Ok(opened)
    }

    pub(crate) fn close(&mut self, call: u16) -> Result<(), Failure> {
        let reply = self.ask(&Request::Close { call })?;
        let Reply::Closed = reply else {
            return Err(unexpected("close", &reply));
        };
        Ok(())
    }

    pub(crate) fn churn(&mut self, calls: u32, suite: &str) -> Result<Churned, Failure> {
        let suite = suite.to_owned();
        let reply = self.ask(&Request::Churn { calls, suite })?;
        let Reply::Churned(churned) = reply else {
            return Err(unexpected("churn", &reply));
        };
        Ok(churned)
    }

    pub(crate) fn usage(&mut self) -> Result<Usage, Failure> {
        let reply = self.ask(&Request::Usage)?;
        let Reply::Usage(usage) = reply else {
            return Err(unexpected("usage", &reply));
        };
        Ok(usage)
    }

    fn ask(&mut self, request: &Request) -> Result<Reply, Failure> {
        let requests = self.requests.as_mut().ok_or("the target is gone")?;
        writeln!(requests, "{}", serde_json::to_string(request)?)?;
        self.read()
    }

    fn read(&mut self) -> Result<Reply, Failure> {
        let mut line = String::new();
        if self.replies.read_line(&mut line)? == 0 {
            return Err("the target has ended".into());
        }
        Ok(serde_json::from_str(&line)?)
    }
}

impl Drop for SubjectProcess {
    fn drop(&mut self) {
        // The end of its input ends it.
        self.requests = None;
        let _ended = self.child.wait();
    }
}

fn unexpected(what: impl std::fmt::Display, reply: &Reply) -> Failure {
    match reply {
        Reply::Failed(why) => format!("{what}: {why}").into(),
        Reply::Ready | Reply::Opened(_) | Reply::Closed | Reply::Churned(_) | Reply::Usage(_) => {
            format!("{what}: unexpected answer").into()
        }
    }
}
