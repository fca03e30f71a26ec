//! The measurements: for the operator to read, for other programs to read, and against what we
//! promise.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use crypto::keys::SrtpProfile;
use serde::Serialize;

use super::footprint::Footprint;
use super::{Operation, PAYLOAD_BYTES, SUITES};
use crate::Failure;

/// What one round gave for one subject, suite, operation and size.
#[derive(Clone, Copy, Debug)]
pub(super) struct Measurement {
    pub(super) subject: &'static str,
    pub(super) suite: SrtpProfile,
    pub(super) operation: Operation,
    /// 0 where no packet plays a part.
    pub(super) payload_bytes: usize,
    pub(super) ns_per_packet: f64,
}

/// One line of the JSON report. For `set_up_pair` a "packet" is a pair of contexts.
#[derive(Clone, Copy, Debug, Serialize)]
struct Row {
    subject: &'static str,
    suite: &'static str,
    op: &'static str,
    payload_bytes: usize,
    ns_per_packet_median: f64,
    ns_per_packet_min: f64,
    ns_per_packet_max: f64,
}

type Key = (&'static str, &'static str, Operation, usize);

/// All rounds.
#[derive(Debug, Default)]
pub(super) struct Table {
    rounds: BTreeMap<Key, Vec<f64>>,
}

impl Table {
    pub(super) fn add(&mut self, new: Measurement) {
        let key = (
            new.subject,
            new.suite.label(),
            new.operation,
            new.payload_bytes,
        );
        let values = self.rounds.entry(key).or_default();
        let place = values.partition_point(|value| *value < new.ns_per_packet);
        values.insert(place, new.ns_per_packet);
    }

    /// Median, smallest and largest round.
    fn row(&self, key: Key) -> Option<Row> {
        let values = self.rounds.get(&key)?;
        let (subject, suite, operation, payload_bytes) = key;
        Some(Row {
            subject,
            suite,
            op: operation.label(),
            payload_bytes,
            ns_per_packet_median: *values.get(values.len() / 2)?,
            ns_per_packet_min: *values.first()?,
            ns_per_packet_max: *values.last()?,
        })
    }

    fn median(
        &self,
        subject: &'static str,
        suite: SrtpProfile,
        operation: Operation,
        bytes: usize,
    ) -> Option<f64> {
        self.row((subject, suite.label(), operation, bytes))
            .map(|row| row.ns_per_packet_median)
    }

    /// Time of one subject as a multiple of that of another.
    fn ratio(
        &self,
        (above, below): (&'static str, &'static str),
        suite: SrtpProfile,
        operation: Operation,
        bytes: usize,
    ) -> Option<f64> {
        let above = self.median(above, suite, operation, bytes)?;
        Some(above / self.median(below, suite, operation, bytes)?)
    }
}

/// Prints every row, the footprints, and which promises are kept.
#[expect(clippy::print_stdout, reason = "the report is the program's output")]
pub(super) fn print(table: &Table, footprints: &[Footprint], rounds: u32) {
    println!(
        "ns per packet, median (min-max) of {rounds} rounds; hardware AES: {}\n",
        aes()
    );
    println!(
        "{:<32}{:<14}{:>6}  {:>20}{:>23}{:>20}{:>7}{:>9}",
        "suite", "operation", "bytes", "ringway", "libsrtp2", "bare", "/bare", "libsrtp/"
    );
    for suite in SUITES {
        for operation in [Operation::Protect, Operation::Unprotect, Operation::Refuse] {
            for bytes in PAYLOAD_BYTES {
                println!("{}", line(table, *suite, operation, *bytes));
            }
        }
        println!("{}", line(table, *suite, Operation::SetUp, 0));
    }
    println!(
        "\n{:<32}{:<11}{:<10}{:>8}{:>8}{:>8}{:>8}",
        "context", "subject", "", "sources", "inline", "heap", "bytes"
    );
    for footprint in footprints {
        println!(
            "{:<32}{:<11}{:<10}{:>8}{:>8}{:>8}{:>8}",
            footprint.suite,
            footprint.subject,
            footprint.context,
            footprint.sources,
            footprint.inline_bytes,
            or_dash(footprint.heap_bytes.map(|bytes| bytes.to_string())),
            or_dash(footprint.bytes().map(|bytes| bytes.to_string())),
        );
    }
    println!();
    for promise in promises(table, footprints) {
        println!("{promise}");
    }
}

fn aes() -> &'static str {
    match aes::hardware_accelerated() {
        true => "yes",
        false => "no",
    }
}

fn line(table: &Table, suite: SrtpProfile, operation: Operation, bytes: usize) -> String {
    let cell = |subject| {
        or_dash(
            table
                .row((subject, suite.label(), operation, bytes))
                .map(|row| {
                    format!(
                        "{:.0} ({:.0}-{:.0})",
                        row.ns_per_packet_median, row.ns_per_packet_min, row.ns_per_packet_max
                    )
                }),
        )
    };
    let ratio = |pair| {
        let ratio = table.ratio(pair, suite, operation, bytes);
        or_dash(ratio.map(|ratio| format!("{ratio:.2}")))
    };
    format!(
        "{:<32}{:<14}{:>6}  {:>20}{:>23}{:>20}{:>7}{:>9}",
        suite.label(),
        operation.label(),
        bytes,
        cell("ringway"),
        cell("libsrtp2"),
        cell("bare"),
        ratio(("ringway", "bare")),
        ratio(("libsrtp2", "ringway")),
    )
}

fn or_dash(text: Option<String>) -> String {
    text.unwrap_or_else(|| "-".to_owned())
}

/// The largest (or smallest) of some values; `None` if one was not measured.
fn worst(values: impl IntoIterator<Item = Option<f64>>, pick: fn(f64, f64) -> f64) -> Option<f64> {
    values
        .into_iter()
        .reduce(|one, other| Some(pick(one?, other?)))
        .flatten()
}

/// One line for each promise: what was promised, what was measured, whether it is kept.
fn promises(table: &Table, footprints: &[Footprint]) -> Vec<String> {
    let both = [Operation::Protect, Operation::Unprotect];
    let bare = |suite, bytes| {
        let ratios = both.map(|op| table.ratio(("ringway", "bare"), suite, op, bytes));
        worst(ratios, f64::max)
    };
    let libsrtp = |suite| {
        let ratios = both.map(|op| table.ratio(("libsrtp2", "ringway"), suite, op, 160));
        worst(ratios, f64::min)
    };
    let refusing = |is_gcm| dearest_refusal(table, is_gcm);
    let set_up = worst(
        SUITES
            .iter()
            .map(|suite| table.median("ringway", *suite, Operation::SetUp, 0)),
        f64::max,
    );
    let (cm, gcm) = (SrtpProfile::AesCm128HmacSha1_80, SrtpProfile::AeadAes128Gcm);
    let context = |is_gcm| largest_context(footprints, is_gcm);
    vec![
        at_most("AES_CM_128_80, 160 B: times bare", bare(cm, 160), 1.35),
        at_least(
            "AES_CM_128_80, 160 B: times as fast as libsrtp2",
            libsrtp(cm),
            6.0,
        ),
        at_most("AEAD_AES_128_GCM, 160 B: times bare", bare(gcm, 160), 1.5),
        at_least(
            "AEAD_AES_128_GCM, 160 B: times as fast as libsrtp2",
            libsrtp(gcm),
            4.0,
        ),
        at_most("AES_CM_128_80, 1200 B: times bare", bare(cm, 1200), 1.15),
        at_most(
            "AEAD_AES_128_GCM, 1200 B: times bare",
            bare(gcm, 1200),
            1.15,
        ),
        at_most(
            "refusing as a part of accepting, any CM suite and size",
            refusing(false),
            1.0,
        ),
        at_most(
            "refusing as a part of accepting, any GCM suite and size",
            refusing(true),
            1.0,
        ),
        at_most(
            "context for one source, any CM suite: bytes",
            context(false),
            1024.0,
        ),
        at_most(
            "context for one source, any GCM suite: bytes",
            context(true),
            1536.0,
        ),
        at_most(
            "set-up of a pair of contexts, any suite: ns",
            set_up,
            5000.0,
        ),
    ]
}

/// What refusing a packet costs as a part of what accepting one costs.
fn dearest_refusal(table: &Table, is_gcm: bool) -> Option<f64> {
    let suites = SUITES
        .iter()
        .filter(|suite| suite.label().contains("GCM") == is_gcm);
    let sizes = suites.flat_map(|suite| PAYLOAD_BYTES.iter().map(move |bytes| (suite, bytes)));
    let ratios = sizes.map(|(suite, bytes)| {
        let refuse = table.median("ringway", *suite, Operation::Refuse, *bytes)?;
        Some(refuse / table.median("ringway", *suite, Operation::Unprotect, *bytes)?)
    });
    worst(ratios, f64::max)
}

fn largest_context(footprints: &[Footprint], is_gcm: bool) -> Option<f64> {
    let ours = footprints.iter().filter(|footprint| {
        footprint.subject == "ringway"
            && footprint.sources == 1
            && footprint.suite.contains("GCM") == is_gcm
    });
    let bytes = ours.map(|footprint| {
        let bytes = u32::try_from(footprint.bytes()?).ok()?;
        Some(f64::from(bytes))
    });
    worst(bytes, f64::max)
}

fn at_most(what: &str, measured: Option<f64>, limit: f64) -> String {
    promise(what, measured, "at most", limit, |measured| {
        measured <= limit
    })
}

fn at_least(what: &str, measured: Option<f64>, limit: f64) -> String {
    promise(what, measured, "at least", limit, |measured| {
        measured >= limit
    })
}

fn promise(
    what: &str,
    measured: Option<f64>,
    bound: &str,
    limit: f64,
    kept: impl Fn(f64) -> bool,
) -> String {
    let answer = match measured {
        None => "not measured: build with --features libsrtp".to_owned(),
        Some(measured) if kept(measured) => format!("{measured:.2}: reached"),
        Some(measured) => format!("{measured:.2}: MISSED"),
    };
    format!("{what}, {bound} {limit}: {answer}")
}

/// A row of either shape, its fields in the order of their declaration.
#[derive(Serialize)]
#[serde(untagged)]
enum JsonRow<'a> {
    Time(Row),
    Context(&'a Footprint),
}

/// Writes all rows as a JSON array; the footprints are rows of their own shape.
pub(super) fn write_json(
    path: &Path,
    table: &Table,
    footprints: &[Footprint],
) -> Result<(), Failure> {
    let times = table.rounds.keys().filter_map(|key| table.row(*key));
    let rows: Vec<JsonRow<'_>> = times
        .map(JsonRow::Time)
        .chain(footprints.iter().map(JsonRow::Context))
        .collect();
    let mut file = std::fs::File::create(path)?;
    serde_json::to_writer_pretty(&mut file, &rows)?;
    file.write_all(b"\n")?;
    Ok(())
}
