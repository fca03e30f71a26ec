//! `ringway-bench report`: one HTML page from files of `media --json` and `cost --json`, with everything in it: no
//! script, nothing loaded, light or dark as the reader's system is.

mod chart;
mod markdown;

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Deserialize;

use crate::Failure;
use crate::cost;
use crate::report::{About, Row, about_path, note, optional};
use chart::{Bar, bars, curves};

/// A load average above this says that the machine was not quiet.
const BUSY_LOAD_MIN: f64 = 0.5;
const STYLE: &str = include_str!("page/style.css");

#[derive(Args, Clone, Debug)]
pub(crate) struct ReportArguments {
    /// Files that `media --json` or `cost --json` wrote.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// The page.
    #[arg(long, short, default_value = "bench/results/report.html")]
    output: PathBuf,
    /// Write the tables here too, in Markdown.
    #[arg(long)]
    markdown: Option<PathBuf>,
}

/// One file, with what lies beside it.
struct Run {
    rows: Vec<Row>,
    about: About,
}

/// Draws the page.
///
/// # Errors
/// A file that cannot be read, or is none of ours.
pub(crate) fn run(arguments: &ReportArguments) -> Result<(), Failure> {
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n\
         <title>Ringway: measurements</title>\n<style>{STYLE}</style>\n<main>\n\
         <h1>Ringway: measurements</h1>\n"
    );
    let mut tables = String::new();
    for path in &arguments.files {
        match read(path)? {
            (Rows::Rates(rows), about) => {
                markdown::rates(&mut tables, &rows, &about)?;
                section(&mut page, &Run { rows, about })?;
            }
            (Rows::Bars(rows), about) => {
                markdown::bars(&mut tables, &rows, &about)?;
                bars_section(&mut page, &rows, &about)?;
            }
        }
    }
    page.push_str("</main></html>\n");
    fs::write(&arguments.output, page)?;
    if let Some(path) = &arguments.markdown {
        fs::write(path, tables)?;
    }
    note(&format!("wrote {}", arguments.output.display()));
    Ok(())
}

/// What a file holds: that of `media --json`, or that of `cost --json`.
#[derive(Deserialize)]
#[serde(untagged)]
enum Rows {
    Rates(Vec<Row>),
    Bars(Vec<cost::Row>),
}

fn read(path: &Path) -> Result<(Rows, About), Failure> {
    let text = fs::read_to_string(path).map_err(|why| format!("{}: {why}", path.display()))?;
    let rows = serde_json::from_str(&text).map_err(|why| format!("{}: {why}", path.display()))?;
    let beside = fs::read_to_string(about_path(path)).unwrap_or_default();
    let about = serde_json::from_str(&beside).unwrap_or_default();
    Ok((rows, about))
}

fn bars_section(page: &mut String, rows: &[cost::Row], about: &About) -> Result<(), Failure> {
    page.push_str(
        "<section><h2>What calls cost one worker</h2>\n<div class=\"wide\"><table>\
         <tr><th>what<th>measured<th>bar<th></tr>\n",
    );
    for row in rows {
        let (mark, text) = if row.met {
            ("met", "✓ met")
        } else {
            ("missed", "✗ missed")
        };
        writeln!(
            page,
            "<tr><td>{}<td>{}<td>{} {}<td class=\"{mark}\">{text}</tr>",
            escape(&row.what.replace('_', " ")),
            amount(row.value),
            escape(&row.must_be),
            amount(row.bar)
        )?;
    }
    page.push_str("</table></div>\n");
    environment(page, about)?;
    page.push_str("</section>\n");
    Ok(())
}

fn section(page: &mut String, run: &Run) -> Result<(), Failure> {
    let Some(first) = run.rows.first() else {
        return Ok(());
    };
    writeln!(
        page,
        "<section><h2>{}, {}, {} B payload, {} calls, {} worker{}</h2>",
        escape(&first.direction),
        escape(&first.suite),
        first.payload_bytes,
        first.calls,
        first.workers,
        if first.workers == 1 { "" } else { "s" }
    )?;
    page.push_str("<div class=\"charts\">");
    let rate = run.rows.iter().map(|row| Bar {
        name: &row.target,
        value: Some(row.lossfree_pps_median / 1000.0),
        range: Some((row.lossfree_pps_min / 1000.0, row.lossfree_pps_max / 1000.0)),
        note: if row.generator_bound {
            "generator-bound"
        } else {
            ""
        },
    });
    bars(
        page,
        "Loss-free rate (loss under 0.1 %; line: all rounds)",
        "thousand packets/s",
        rate,
    )?;
    bars(
        page,
        "CPU per packet at half of it",
        "ns",
        plain(run, |row| row.cpu_ns_per_packet),
    )?;
    bars(
        page,
        "Latency p99 at half of it",
        "µs",
        plain(run, |row| row.latency_us_p99),
    )?;
    bars(
        page,
        "Forwarded at four times the rate",
        "of the rate",
        plain(run, |row| row.goodput_4x_ratio),
    )?;
    page.push_str("</div>");
    curves(page, &run.about.steps)?;
    table(page, run)?;
    environment(page, &run.about)?;
    page.push_str("</section>\n");
    Ok(())
}

fn plain<'a>(
    run: &'a Run,
    value: impl Fn(&Row) -> Option<f64> + 'a,
) -> impl Iterator<Item = Bar<'a>> {
    run.rows.iter().map(move |row| Bar {
        name: &row.target,
        value: value(row),
        range: None,
        note: "",
    })
}

fn table(page: &mut String, run: &Run) -> Result<(), Failure> {
    page.push_str(
        "<div class=\"wide\"><table><tr><th>target<th>loss-free packets/s<th>min to max\
         <th>to reflector\
         <th>to rtpengine<th>at 2×<th>at 4×<th>p50 µs<th>p99 µs<th>p99.9 µs<th>CPU ns\
         <th>remark</tr>\n",
    );
    let rate_of = |name: &str| {
        let row = run.rows.iter().find(|row| row.target == name);
        row.map(|row| row.lossfree_pps_median)
    };
    for row in &run.rows {
        let ratio = |name| optional(rate_of(name).map(|rate| row.lossfree_pps_median / rate), 2);
        let mut slowest = run.about.latency_us_p999.iter();
        let slowest = slowest.find(|(target, _)| *target == row.target);
        let cells = [
            escape(&row.target),
            grouped(row.lossfree_pps_median),
            format!(
                "{} to {}",
                grouped(row.lossfree_pps_min),
                grouped(row.lossfree_pps_max)
            ),
            ratio("reflector"),
            ratio("rtpengine"),
            optional(row.goodput_2x_ratio, 2),
            optional(row.goodput_4x_ratio, 2),
            optional(row.latency_us_p50, 0),
            optional(row.latency_us_p99, 0),
            optional(slowest.and_then(|(_, value)| *value), 0),
            optional(row.cpu_ns_per_packet, 0),
            if row.generator_bound {
                "generator-bound"
            } else {
                ""
            }
            .to_owned(),
        ];
        writeln!(page, "<tr><td>{}</tr>", cells.join("<td>"))?;
    }
    page.push_str("</table></div>\n");
    Ok(())
}

fn environment(page: &mut String, about: &About) -> Result<(), Failure> {
    let here = &about.environment;
    let maximum = format!(
        "{} packets/s evenly, {} in bursts",
        grouped(here.generator_pps_max),
        grouped(here.generator_pps_max_in_bursts)
    );
    if is_busy(&here.load) {
        page.push_str(
            "<p class=\"missed\">The machine was busy with something else: the figures say \
             little.</p>\n",
        );
    }
    let cpu = format!("{} × {}", here.cores, here.cpu);
    let rows = [
        ("date (UTC)", &here.date),
        ("command", &here.command),
        ("commit", &here.commit),
        ("kernel", &here.kernel),
        ("CPU", &cpu),
        ("core map", &here.core_map),
        ("network", &here.network),
        ("generator's maximum", &maximum),
        ("load of the machine before", &here.load),
    ];
    page.push_str("<details open><summary>Where and how</summary><dl>");
    for (name, value) in rows {
        writeln!(page, "<dt>{name}<dd>{}", escape(value))?;
    }
    for (name, value) in &here.settings {
        writeln!(page, "<dt>{}<dd>{}", escape(name), escape(value))?;
    }
    page.push_str("</dl></details>\n");
    Ok(())
}

/// Did the last minute before have more than half a core's worth of other work?
fn is_busy(load: &str) -> bool {
    let last_minute = load.split(' ').next().and_then(|text| text.parse().ok());
    last_minute.is_some_and(|load: f64| load > BUSY_LOAD_MIN)
}

/// A whole number with a narrow space between thousands.
pub(crate) fn grouped(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (index, digit) in digits.char_indices() {
        let left = digits.len() - index;
        if index > 0 && left.is_multiple_of(3) && !text.ends_with('-') {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// A measured value: small ones with a fraction, large ones in groups.
fn amount(value: f64) -> String {
    if value.abs() < 100.0 && value.fract() != 0.0 {
        format!("{value:.2}")
    } else {
        grouped(value)
    }
}

/// Text that is no markup.
pub(crate) fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_names_every_target_and_holds_no_foreign_markup() {
        let row = |target: &str| Row {
            target: target.to_owned(),
            direction: "duplex".to_owned(),
            suite: "<script>".to_owned(),
            payload_bytes: 160,
            calls: 200,
            workers: 1,
            lossfree_pps_median: 2e5,
            lossfree_pps_min: 1e5,
            lossfree_pps_max: 3e5,
            goodput_2x_ratio: Some(0.5),
            goodput_4x_ratio: None,
            latency_us_p50: Some(1.0),
            latency_us_p99: Some(2.0),
            cpu_ns_per_packet: Some(3.0),
            generator_bound: true,
        };
        let run = Run {
            rows: vec![row("one"), row("two")],
            about: About::default(),
        };
        let (mut page, mut tables) = (String::new(), String::new());
        markdown::rates(&mut tables, &run.rows, &run.about).unwrap();
        assert!(
            tables.contains("| one (generator-bound) | 200\u{202f}000 ("),
            "{tables}"
        );
        section(&mut page, &run).unwrap();
        assert!(page.contains(">one<") && page.contains(">two<"));
        assert!(page.contains("generator-bound") && !page.contains("<script>"));
    }

    #[test]
    fn thousands_stand_apart_and_a_busy_machine_is_told() {
        assert_eq!(grouped(1_234_567.4), "1\u{202f}234\u{202f}567");
        assert_eq!(
            (grouped(999.0), grouped(-1000.0)),
            ("999".to_owned(), "-1\u{202f}000".to_owned())
        );
        assert!(
            is_busy("2.10 1.00 0.50 1/200 77") && !is_busy("0.11 9.0 9.0 1/200 77") && !is_busy("")
        );
    }

    #[test]
    fn a_bar_is_said_to_be_met_or_missed_and_reads_as_it_was_written() {
        let row = |met| cost::Row {
            what: "memory".to_owned(),
            value: 7.0,
            bar: 6.5,
            must_be: "at most".to_owned(),
            met,
        };
        let text = serde_json::to_string(&[row(true), row(false)]).unwrap();
        let Rows::Bars(rows) = serde_json::from_str(&text).unwrap() else {
            panic!("read as rates")
        };
        let (mut page, mut tables) = (String::new(), String::new());
        markdown::bars(&mut tables, &rows, &About::default()).unwrap();
        assert!(
            tables.contains("| memory | 7 | at most 6.50: missed |"),
            "{tables}"
        );
        bars_section(&mut page, &rows, &About::default()).unwrap();
        assert!(
            page.contains("✓ met") && page.contains("✗ missed") && page.contains("at most 6.50")
        );
    }
}
