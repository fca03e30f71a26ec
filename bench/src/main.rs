//! `ringway-bench`: measures what this machine carries, before traffic goes on it.

mod calls;
mod check;
mod clock;
mod connections;
mod cost;
mod course;
mod environment;
mod failover;
mod generator;
mod media;
mod network;
mod options;
mod page;
mod proxy;
mod report;
mod scenario;
mod search;
mod sip;
mod soak;
mod srtp;
mod step;
mod stream;
mod subject;
mod syscalls;
mod traffic;
mod websocket;
mod wire;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// What any part of a measurement can fail with: for the operator to read.
type Failure = Box<dyn std::error::Error>;

#[derive(Parser)]
#[command(version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Finds the highest packet rate that comes through without loss, what is left of it at twice
    /// and four times that rate, and the latency at half of it.
    Media(Box<media::MediaArguments>),
    /// Measures what calls cost: a packet's CPU time by the number of calls, memory of a call, and
    /// how fast calls come and go.
    Cost(Box<cost::CostArguments>),
    /// Compares settings of the sockets and buffers of ringway, in turns at one rate.
    Options(Box<options::OptionsArguments>),
    /// Draws results of `media --json` on one HTML page.
    Report(page::ReportArguments),
    /// Lets calls come and go under load, and watches memory and loss.
    Soak(Box<soak::SoakArguments>),
    /// Measures what protecting and unprotecting one packet costs, beside the bare ciphers and, with
    /// `--features libsrtp`, beside libsrtp2.
    Srtp(srtp::SrtpArguments),
    /// Measures what parsing, editing and printing SIP messages costs, next to rsip.
    Sip(sip::SipArguments),
    /// Measures requests per second through the edge proxy, next to Kamailio.
    Proxy(proxy::ProxyArguments),
    /// Measures how long a call takes that the first target of a trunk does not take.
    Failover(failover::FailoverArguments),
    /// Measures how many calls a second ringway sets up and ends, and what each costs it.
    Calls(calls::CallsArguments),
    /// Measures the memory of idle WSS connections to ringway, and how fast they open.
    Connections(connections::ConnectionsArguments),
    /// The process of one target; the others start it.
    #[command(hide = true)]
    Subject(subject::SubjectArguments),
}

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Media(arguments) => media::run(&arguments),
        Command::Cost(arguments) => cost::run(&arguments),
        Command::Options(arguments) => options::run(&arguments),
        Command::Report(arguments) => page::run(&arguments),
        Command::Soak(arguments) => soak::run(&arguments),
        Command::Srtp(arguments) => srtp::run(&arguments),
        Command::Sip(arguments) => sip::run(&arguments),
        Command::Proxy(arguments) => proxy::run(&arguments),
        Command::Failover(arguments) => failover::run(&arguments),
        Command::Calls(arguments) => calls::run(&arguments),
        Command::Connections(arguments) => connections::run(&arguments),
        Command::Subject(arguments) => subject::serve(&arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            report::complain(failure.as_ref());
            ExitCode::FAILURE
        }
    }
}
