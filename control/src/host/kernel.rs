//! The distribution, the kernel, what it allows, and its clock.

use dataplane::config::BackendChoice;
use dataplane::limits::KERNEL_MIN;

use super::{Facts, Finding, NoIoUring, Purpose};
use crate::config::Config;

/// The oldest Debian that ringway is tested on.
const DEBIAN_MIN: u32 = 12;

const CONTENT: &str = "or be content with recvmmsg and sendmmsg: `backend = \"mmsg\"` in [media]";

pub(super) fn os(facts: &Facts) -> Finding {
    let Some(os) = &facts.os else {
        return Finding::skipped("os", "there is no /etc/os-release");
    };
    let finding = Finding::ok("os", &os.name, format!("Debian {DEBIAN_MIN} or newer"));
    let is_old = os
        .version
        .parse()
        .is_ok_and(|version: u32| version < DEBIAN_MIN);
    if os.id == "debian" && is_old {
        return finding.warning("upgrade Debian: ringway is not tested on this release");
    }
    finding
}

/// True if the kernel is known to be older than workers need for io_uring.
fn is_too_old(facts: &Facts) -> bool {
    let version = facts.kernel.as_deref().and_then(dataplane::kernel_version);
    version.is_some_and(|version| version < KERNEL_MIN)
}

pub(super) fn kernel(facts: &Facts, config: &Config) -> Finding {
    let Some(release) = &facts.kernel else {
        return Finding::skipped("kernel", "/proc/sys/kernel/osrelease cannot be read");
    };
    let (major, minor) = KERNEL_MIN;
    let finding = Finding::ok(
        "kernel",
        format!("Linux {release}"),
        format!("Linux {major}.{minor} or newer"),
    );
    let upgrade = format!(
        "install a newer kernel (on Debian: `apt install linux-image-amd64`, then reboot), {CONTENT}"
    );
    match config.media.backend {
        _ if !is_too_old(facts) => finding,
        BackendChoice::Mmsg => finding,
        BackendChoice::Auto => finding.warning(upgrade),
        BackendChoice::Uring => finding.stopping(upgrade),
    }
}

pub(super) fn io_uring(facts: &Facts, config: &Config) -> Finding {
    const NAME: &str = "io_uring";
    if config.media.backend == BackendChoice::Mmsg {
        return Finding::skipped(NAME, "`backend = \"mmsg\"` in [media] does without it");
    }
    if is_too_old(facts) {
        return Finding::skipped(NAME, "the kernel is too old for it");
    }
    let disabled = facts.io_uring.disabled.filter(|disabled| *disabled > 0);
    let setting = disabled.map(|disabled| format!("kernel.io_uring_disabled = {disabled}"));
    // A check by root may do what the daemon's user may not.
    let only_privileged = setting
        .as_deref()
        .filter(|_| facts.purpose == Purpose::Check);
    let is = match (&facts.io_uring.tried, &setting, only_privileged) {
        (Ok(()), _, None) => "allowed".to_owned(),
        (Ok(()), _, Some(setting)) => format!("allowed to privileged processes only ({setting})"),
        (Err(NoIoUring::NoMemory), ..) => "there is no memory for it".to_owned(),
        (Err(_), Some(setting), _) => format!("forbidden ({setting})"),
        (Err(NoIoUring::Forbidden(why)), None, _) => format!("forbidden ({why})"),
        (Err(NoIoUring::Other(why)), None, _) => why.clone(),
    };
    let is_well = is == "allowed";
    let finding = Finding::ok(NAME, is, "allowed: media workers forward packets by it");
    if is_well {
        return finding;
    }
    let allow = match (&facts.io_uring.tried, &setting) {
        (Err(NoIoUring::NoMemory), _) => {
            "`LimitMEMLOCK=infinity` in [Service] of the unit, in a shell `ulimit -l unlimited`, \
             or more memory for the container"
        }
        (_, Some(_)) => {
            "`sysctl -w kernel.io_uring_disabled=0`, with `kernel.io_uring_disabled = 0` in \
             /etc/sysctl.d/60-ringway.conf for the next boot"
        }
        (_, None) => {
            "allow the system calls io_uring_setup, io_uring_enter and io_uring_register in the \
             seccomp profile of the container, or in SystemCallFilter= of the unit"
        }
    };
    let cure = format!("{allow}; {CONTENT}");
    if config.media.backend == BackendChoice::Uring && facts.io_uring.tried.is_err() {
        return finding.stopping(cure);
    }
    finding.warning(cure)
}

pub(super) fn clock(facts: &Facts) -> Finding {
    const NAME: &str = "clock";
    match &facts.clock_in_step {
        Err(why) => Finding::skipped(NAME, why),
        Ok(true) => Finding::ok(NAME, "held in step", "held in step by a time service"),
        Ok(false) => Finding::ok(
            NAME,
            "not held in step by any time service",
            "held in step: logs, tokens and certificates go by it",
        )
        .warning(
            "`apt install chrony`, and wait until `chronyc tracking` says \"Leap status: Normal\"",
        ),
    }
}
