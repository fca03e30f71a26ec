//! Does this host have what it takes? Rules that compare facts about it with the configuration.
//!
//! [`check`] is asked by `ringway host check` and by the daemon's start, so that both say the same
//! in the same words. The rules do no I/O: `shell::host` reads the facts.

mod certificates;
mod cores;
mod facts;
mod files;
mod finding;
mod kernel;
mod network;
mod ports;
mod ranges;
mod resources;
#[cfg(test)]
mod tests;

pub use facts::{
    Access, CertificateFact, CertificateUse, Cores, Facts, FileFact, Identity, Interface, IoUring,
    Limits, Listener, ListenerState, Memory, NoIoUring, Os, Ports, Process, Protocol, Purpose,
    Queues,
};
pub use finding::{Finding, Report, Verdict};
pub use ports::{OWN_NAME, listener};
pub use ranges::Ranges;

use crate::config::Config;

/// Every finding, in the order in which an operator would mend them.
#[must_use]
pub fn check(facts: &Facts, config: &Config) -> Vec<Finding> {
    let mut findings = vec![
        kernel::os(facts),
        kernel::kernel(facts, config),
        kernel::io_uring(facts, config),
    ];
    findings.extend(cores::cores(facts, config));
    findings.push(resources::open_files(facts, config));
    findings.push(resources::locked_memory(facts, config));
    findings.push(resources::memory(facts, config));
    findings.push(network::socket_queues(facts));
    findings.extend(network::nic_queues(facts, config));
    findings.extend(network::address(config));
    findings.extend(ports::rtp_ports(facts, config));
    findings.push(ports::port_slices(facts, config));
    findings.push(ports::reserved_ports(facts, config));
    let listeners = facts.ports.listeners.iter();
    findings.extend(listeners.map(|socket| listener(socket, facts.purpose)));
    findings.push(kernel::clock(facts));
    findings.extend(certificates::certificates(facts, config));
    findings.extend(files::files(facts));
    findings
}
