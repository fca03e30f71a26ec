//! What is measured: which traffic, how much of it, and through what.

use std::fmt;
use std::time::Duration;

use clap::{Args, ValueEnum};
use crypto::keys::SrtpProfile;
use dataplane::config::IoConfig;
use dataplane::io::affinity;
use serde::{Deserialize, Serialize};

use crate::Failure;

/// The traffic and the resources of one measurement.
#[derive(Args, Clone, Debug)]
pub(crate) struct Scenario {
    /// Which way the packets go: towards the browser they are encrypted.
    #[arg(long, value_enum, default_value_t = Direction::Duplex)]
    pub(crate) direction: Direction,
    /// Protection of the browser side, by its name in SDES.
    #[arg(long, default_value = "AES_CM_128_HMAC_SHA1_80", value_parser = parse_suite)]
    pub(crate) suite: SrtpProfile,
    /// RTP payload of each packet: 160 is 20 ms of G.711, 80 about 20 ms of Opus, 1200 video.
    #[arg(long, default_value_t = 160, value_parser = clap::value_parser!(u16).range(16..=1400))]
    pub(crate) payload_bytes: u16,
    /// Packets of one call that follow each other, as those of a video frame do. Without it: 8 for
    /// payloads above 1000 bytes, else 1.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) burst: Option<u16>,
    /// Calls that are up at the same time.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u16).range(1..=8000))]
    pub(crate) calls: u16,
    /// Workers of each target.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) workers: u16,
    /// First CPU core of the targets; each further worker takes the next one.
    #[arg(long, default_value_t = 1)]
    pub(crate) worker_core: usize,
    /// CPU core of the load generator: another one.
    #[arg(long, default_value_t = 0)]
    pub(crate) generator_core: usize,
    /// Workers beyond the last CPU core begin again with the first one, and may share that of the
    /// generator: shows that everything works where there are too few, and no rate. Such results
    /// are marked as bound by the generator.
    #[arg(long)]
    pub(crate) share_cores: bool,
    /// How ringway sets up sockets and buffers, where not by default: `no-huge-pages`,
    /// `no-segmentation`, `no-receive-offload`, `connect`, `no-register`, `no-gather`,
    /// `zero-copy`, `busy-poll-us=N`, several with `+` between them.
    #[arg(long, default_value = DEFAULT_IO)]
    pub(crate) io: String,
}

/// Nothing differs from the default.
pub(crate) const DEFAULT_IO: &str = "default";

/// What `--io` asks for.
///
/// # Errors
/// A word that is none of those.
pub(crate) fn read_io(text: &str) -> Result<IoConfig, Failure> {
    let mut io = IoConfig::default();
    for word in text.split('+') {
        match word.split_once('=').unwrap_or((word, "")) {
            (DEFAULT_IO, "") => {}
            ("no-huge-pages", "") => io.huge_pages = false,
            ("no-segmentation", "") => io.segmentation_offload = false,
            ("no-receive-offload", "") => io.receive_offload = false,
            ("connect", "") => io.connect_trunks = true,
            ("no-register", "") => io.register_trunks = false,
            ("no-gather", "") => io.gather = false,
            ("zero-copy", "") => io.zero_copy = true,
            ("busy-poll-us", time) => io.busy_poll = Some(Duration::from_micros(time.parse()?)),
            _ => return Err(format!("--io: {word} is not known").into()),
        }
    }
    Ok(io)
}

/// Payloads above this are video, which comes in bursts.
const VIDEO_BYTES_MIN: u16 = 1000;
const VIDEO_BURST_PACKETS: u16 = 8;

impl Scenario {
    pub(crate) fn burst(&self) -> u16 {
        let video = self.payload_bytes > VIDEO_BYTES_MIN;
        self.burst
            .unwrap_or(if video { VIDEO_BURST_PACKETS } else { 1 })
    }

    pub(crate) fn suite_name(&self) -> &'static str {
        self.suite.sdes_name().unwrap_or(self.suite.label())
    }

    pub(crate) fn worker_cores(&self) -> impl Iterator<Item = usize> {
        let first = self.worker_core;
        let cores = if self.share_cores {
            affinity::allowed().len().max(1)
        } else {
            usize::MAX
        };
        (0..usize::from(self.workers)).map(move |index| (first + index) % cores)
    }

    /// # Errors
    /// A worker would share a core with the generator.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        let shared = self.worker_cores().any(|core| core == self.generator_core);
        if shared && !self.share_cores {
            return Err("the generator needs a CPU core that no worker has".into());
        }
        Ok(())
    }
}

fn parse_suite(name: &str) -> Result<SrtpProfile, String> {
    SrtpProfile::from_sdes_name(name).ok_or_else(|| {
        let known = SrtpProfile::ALL
            .iter()
            .filter_map(|suite| suite.sdes_name());
        format!("known are {}", known.collect::<Vec<_>>().join(", "))
    })
}

/// Which way the packets go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Direction {
    /// From trunk to browser: RTP becomes SRTP.
    Encrypt,
    /// From browser to trunk: SRTP becomes RTP.
    Decrypt,
    /// Both at the same time, as many packets each way.
    Duplex,
}

impl Direction {
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Encrypt => "encrypt",
            Self::Decrypt => "decrypt",
            Self::Duplex => "duplex",
        }
    }

    pub(crate) const fn ways(self) -> &'static [Way] {
        match self {
            Self::Encrypt => &[Way::ToBrowser],
            Self::Decrypt => &[Way::ToTrunk],
            Self::Duplex => &[Way::ToBrowser, Way::ToTrunk],
        }
    }
}

/// One of the two ways of a call's packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    ToBrowser,
    ToTrunk,
}

impl Way {
    pub(crate) const fn index(self) -> usize {
        match self {
            Self::ToBrowser => 0,
            Self::ToTrunk => 1,
        }
    }
}

/// What can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
pub(crate) enum Target {
    /// The data plane of this program.
    Ringway,
    /// rtpengine in user space (Debian package `rtpengine-daemon`).
    Rtpengine,
    /// A loop of recvmmsg(2) and sendmmsg(2) without any cryptography.
    Reflector,
    /// The same through io_uring.
    UringReflector,
    /// The loop with UDP receive and segmentation offload (`--receive-offload`).
    WholeReflector,
}

impl Target {
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Ringway => "ringway",
            Self::Rtpengine => "rtpengine",
            Self::Reflector => "reflector",
            Self::UringReflector => "uring-reflector",
            Self::WholeReflector => "whole-reflector",
        }
    }

    /// Must its calls be set up again after an overload? rtpengine 10.5 was seen to read nothing
    /// more from a port ("UDP receive queue exceeded 5 times: discarding packet" in its log);
    /// every later figure would be zero.
    pub(crate) const fn stays_overloaded(self) -> bool {
        matches!(self, Self::Rtpengine)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_shares_the_core_of_the_generator_only_when_it_may() {
        let scenario = |workers, share_cores| Scenario {
            direction: Direction::Duplex,
            suite: SrtpProfile::AesCm128HmacSha1_80,
            payload_bytes: 160,
            burst: None,
            calls: 1,
            workers,
            worker_core: 0,
            generator_core: 0,
            share_cores,
            io: DEFAULT_IO.to_owned(),
        };
        assert!(scenario(1, false).check().is_err());
        assert!(scenario(1, true).check().is_ok());
        let cores = affinity::allowed().len();
        assert!(scenario(64, true).worker_cores().all(|core| core < cores));
    }

    #[test]
    fn settings_are_read_by_name_and_others_refused() {
        let io = read_io("connect+busy-poll-us=50").unwrap();
        assert!(io.connect_trunks && io.huge_pages);
        assert_eq!(io.busy_poll, Some(Duration::from_micros(50)));
        assert_eq!(read_io(DEFAULT_IO).unwrap(), IoConfig::default());
        assert!(read_io("no-sense").is_err() && read_io("busy-poll-us=x").is_err());
    }
}
