//! The same in short, as tables for a README.

use std::fmt::Write as _;

use super::{amount, grouped};
use crate::Failure;
use crate::cost;
use crate::report::{About, Row, optional};

/// Where and how, in one line.
fn origin(text: &mut String, about: &About) -> Result<(), Failure> {
    let here = &about.environment;
    let day = here.date.split(' ').next().unwrap_or_default();
    writeln!(
        text,
        "{day}, commit {}, {} × {}, Linux {}, {}:\n",
        here.commit, here.cores, here.cpu, here.kernel, here.network
    )?;
    Ok(())
}

pub(super) fn rates(text: &mut String, rows: &[Row], about: &About) -> Result<(), Failure> {
    let Some(first) = rows.first() else {
        return Ok(());
    };
    write!(
        text,
        "{} bytes, {}, {}, {} calls, workers: {}, ",
        first.payload_bytes, first.suite, first.direction, first.calls, first.workers
    )?;
    origin(text, about)?;
    text.push_str(
        "| Target | loss-free packets/s, median (min to max) | to reflector | to rtpengine | at 2× \
         | at 4× | p99 at half |\n|---|---|---|---|---|---|---|\n",
    );
    let rate_of = |name: &str| {
        let row = rows.iter().find(|row| row.target == name);
        row.map(|row| row.lossfree_pps_median)
    };
    for row in rows {
        let ratio = |name| optional(rate_of(name).map(|rate| row.lossfree_pps_median / rate), 2);
        let latency = row.latency_us_p99.map(|us| us / 1000.0);
        writeln!(
            text,
            "| {}{} | {} ({} to {}) | {} | {} | {} | {} | {} ms |",
            row.target,
            if row.generator_bound {
                " (generator-bound)"
            } else {
                ""
            },
            grouped(row.lossfree_pps_median),
            grouped(row.lossfree_pps_min),
            grouped(row.lossfree_pps_max),
            ratio("reflector"),
            ratio("rtpengine"),
            optional(row.goodput_2x_ratio, 2),
            optional(row.goodput_4x_ratio, 2),
            optional(latency, 1),
        )?;
    }
    text.push('\n');
    Ok(())
}

pub(super) fn bars(text: &mut String, rows: &[cost::Row], about: &About) -> Result<(), Failure> {
    text.push_str("What calls cost, ");
    origin(text, about)?;
    text.push_str("| What | measured | bar |\n|---|---|---|\n");
    for row in rows {
        writeln!(
            text,
            "| {} | {} | {} {}{} |",
            row.what.replace('_', " "),
            amount(row.value),
            row.must_be,
            amount(row.bar),
            if row.met { "" } else { ": missed" }
        )?;
    }
    text.push('\n');
    Ok(())
}
