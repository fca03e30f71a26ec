//! `ringway-bench srtp`: what protecting and unprotecting one packet costs, beside libsrtp2 and
//! beside the bare ciphers.
//!
//! All subjects work in the same buffers, in turns of one batch; a round visits every suite, size
//! and operation, and the rounds follow each other. The value of a round is the median of its
//! batches, so that what else runs on the machine weighs little; reported are the median, the
//! smallest and the largest round.

mod bare;
mod batch;
mod footprint;
mod ringway;
mod table;

#[cfg(feature = "libsrtp")]
mod libsrtp2;

use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use crypto::keys::SrtpProfile;

use crate::Failure;
use batch::Batch;
use table::{Measurement, Table};

/// Suites that are measured: all but those without a cipher, which are for tests.
const SUITES: &[SrtpProfile] = &[
    SrtpProfile::AesCm128HmacSha1_80,
    SrtpProfile::AesCm128HmacSha1_32,
    SrtpProfile::AesCm192HmacSha1_80,
    SrtpProfile::AesCm192HmacSha1_32,
    SrtpProfile::AesCm256HmacSha1_80,
    SrtpProfile::AesCm256HmacSha1_32,
    SrtpProfile::AeadAes128Gcm,
    SrtpProfile::AeadAes256Gcm,
];

/// RTP payloads: a video slice's end, 20 ms of G.711, 60 ms of G.711, a full video packet.
const PAYLOAD_BYTES: &[usize] = &[20, 160, 480, 1200];

/// Rounds before the first that counts: caches, branch predictors and clock rates settle.
const WARM_UP_ROUNDS: u32 = 1;

#[derive(Args)]
pub(crate) struct SrtpArguments {
    /// Rounds, of which the median is reported.
    #[arg(long, default_value_t = 11, value_parser = clap::value_parser!(u32).range(5..))]
    rounds: u32,
    /// Batches of 32 packets for each number of a round.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=500))]
    batches: u32,
    /// Write the rows here too, as an array.
    #[arg(long)]
    json: Option<PathBuf>,
}

/// What is done to the packets of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Operation {
    Protect,
    Unprotect,
    /// Unprotecting packets whose tag is wrong and whose header is the expected next one.
    Refuse,
    /// Making the contexts of both directions from their master keys.
    SetUp,
}

impl Operation {
    const fn label(self) -> &'static str {
        match self {
            Self::Protect => "protect",
            Self::Unprotect => "unprotect",
            Self::Refuse => "refuse_forged",
            Self::SetUp => "set_up_pair",
        }
    }
}

/// What is measured. Each has one context a direction for each suite.
trait Subject {
    fn name(&self) -> &'static str;

    /// The sequence number of its last packet.
    fn sequence(&mut self) -> &mut u16;

    /// Protects every packet.
    fn protect(&mut self, batch: &mut Batch) -> Result<(), Failure>;

    /// Unprotects every packet, all of which are authentic.
    fn unprotect(&mut self, batch: &mut Batch) -> Result<(), Failure>;

    /// Unprotects every packet, all of which are forged. `None`: it has nothing to refuse with.
    fn refuse(&mut self, batch: &mut Batch) -> Option<Result<(), Failure>>;

    /// Makes so many pairs of contexts and returns how long that took for each, in nanoseconds;
    /// without throwing them away. `None`: it has no contexts.
    fn set_up_ns(&self, pairs: u32) -> Option<Result<f64, Failure>>;
}

/// The contexts of all subjects for one suite.
struct Field {
    suite: SrtpProfile,
    subjects: Vec<Box<dyn Subject>>,
}

impl Field {
    fn new(suite: SrtpProfile) -> Result<Self, Failure> {
        let subjects: Vec<Box<dyn Subject>> = vec![
            Box::new(ringway::Ringway::new(suite)?),
            #[cfg(feature = "libsrtp")]
            Box::new(libsrtp2::Libsrtp2::new(suite)?),
            Box::new(bare::Bare::new(suite)?),
        ];
        Ok(Self { suite, subjects })
    }
}

/// Measures, prints, and writes the rows.
pub(crate) fn run(arguments: &SrtpArguments) -> Result<(), Failure> {
    let mut fields = Vec::new();
    for suite in SUITES {
        fields.push(Field::new(*suite)?);
    }
    let mut table = Table::default();
    for round in 0..WARM_UP_ROUNDS + arguments.rounds {
        for field in &mut fields {
            for measurement in measure_round(field, arguments.batches)? {
                if round >= WARM_UP_ROUNDS {
                    table.add(measurement);
                }
            }
        }
    }
    let footprints = footprint::measure(SUITES)?;
    table::print(&table, &footprints, arguments.rounds);
    match &arguments.json {
        Some(path) => table::write_json(path, &table, &footprints),
        None => Ok(()),
    }
}

fn measure_round(field: &mut Field, batches: u32) -> Result<Vec<Measurement>, Failure> {
    let mut measurements = Vec::new();
    for payload_bytes in PAYLOAD_BYTES {
        for operation in [Operation::Protect, Operation::Unprotect, Operation::Refuse] {
            let mut batch = Batch::new(*payload_bytes, field.suite.rtp_tag_bytes());
            let mut times: Vec<Vec<f64>> = vec![Vec::new(); field.subjects.len()];
            for _ in 0..batches {
                for (subject, times) in field.subjects.iter_mut().zip(&mut times) {
                    if let Some(ns) = time_batch(subject.as_mut(), operation, &mut batch)? {
                        times.push(ns);
                    }
                }
            }
            for (subject, mut times) in field.subjects.iter().zip(times) {
                if let Some(ns_per_packet) = median(&mut times) {
                    measurements.push(Measurement {
                        subject: subject.name(),
                        suite: field.suite,
                        operation,
                        payload_bytes: *payload_bytes,
                        ns_per_packet,
                    });
                }
            }
        }
    }
    for subject in &field.subjects {
        let mut times = Vec::new();
        for _ in 0..batches.min(32) {
            if let Some(ns) = subject.set_up_ns(16) {
                times.push(ns?);
            }
        }
        if let Some(ns_per_packet) = median(&mut times) {
            measurements.push(Measurement {
                subject: subject.name(),
                suite: field.suite,
                operation: Operation::SetUp,
                payload_bytes: 0,
                ns_per_packet,
            });
        }
    }
    Ok(measurements)
}

/// Prepares the batch, which does not count, and lets the subject work on it, which does. Returns
/// nanoseconds per packet.
#[expect(clippy::disallowed_methods, reason = "the shell reads the clock")]
fn time_batch(
    subject: &mut dyn Subject,
    operation: Operation,
    batch: &mut Batch,
) -> Result<Option<f64>, Failure> {
    batch.number(subject.sequence());
    if operation != Operation::Protect {
        subject.protect(batch)?;
    }
    if operation == Operation::Refuse {
        batch.forge();
    }
    let begun = Instant::now();
    match operation {
        Operation::Protect => subject.protect(batch)?,
        Operation::Unprotect => subject.unprotect(batch)?,
        Operation::Refuse => match subject.refuse(batch) {
            Some(done) => done?,
            None => return Ok(None),
        },
        Operation::SetUp => return Ok(None),
    }
    let ns = begun.elapsed().as_secs_f64() * 1e9;
    Ok(Some(ns / f64::from(batch::PACKETS)))
}

/// The middle one; of an even count the upper of the two. `None` of none.
fn median(values: &mut [f64]) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}
