//! Charts in SVG.

use std::fmt::Write as _;

use super::{escape, grouped};
use crate::Failure;
use crate::report::StepRow;

/// Measures of a chart, in units of its view box.
const WIDTH: f64 = 480.0;
/// For the longest name of a target.
const NAME_WIDTH: f64 = 108.0;
const VALUE_WIDTH: f64 = 140.0;
const BAR_HEIGHT: f64 = 22.0;
const BAR_PITCH: f64 = 34.0;
const COLOURS: usize = 4;

/// One bar; `range` is drawn over its end.
pub(super) struct Bar<'a> {
    pub(super) name: &'a str,
    pub(super) value: Option<f64>,
    pub(super) range: Option<(f64, f64)>,
    pub(super) note: &'a str,
}

/// A chart of bars from zero.
pub(super) fn bars<'a>(
    page: &mut String,
    title: &str,
    unit: &str,
    bars: impl Iterator<Item = Bar<'a>>,
) -> Result<(), Failure> {
    let bars: Vec<_> = bars.collect();
    let ends = bars
        .iter()
        .flat_map(|bar| [bar.value, bar.range.map(|range| range.1)]);
    let most = ends.flatten().fold(0.0, f64::max).max(f64::MIN_POSITIVE);
    let scale = (WIDTH - NAME_WIDTH - VALUE_WIDTH) / most;
    let height = BAR_PITCH * f64::from(u32::try_from(bars.len())?);
    writeln!(
        page,
        "<figure><h3>{}, {}</h3><svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\">",
        escape(title),
        escape(unit)
    )?;
    let mut top = 4.0;
    for (index, bar) in bars.iter().enumerate() {
        let (colour, middle) = (index % COLOURS, top + BAR_HEIGHT / 2.0);
        let text = middle + 5.0;
        writeln!(
            page,
            "<text x=\"0\" y=\"{text}\">{}</text>",
            escape(bar.name)
        )?;
        let width = bar.value.unwrap_or_default() * scale;
        writeln!(
            page,
            "<rect x=\"{NAME_WIDTH}\" y=\"{top}\" width=\"{width:.1}\" height=\"{BAR_HEIGHT}\" \
             rx=\"2\" fill=\"var(--c{colour})\"/>"
        )?;
        let mut end = width;
        if let Some((low, high)) = bar.range {
            let (from, to) = (NAME_WIDTH + low * scale, NAME_WIDTH + high * scale);
            writeln!(
                page,
                "<path class=\"range\" d=\"M{from:.1} {middle}H{to:.1}\"/>"
            )?;
            end = end.max(high * scale);
        }
        let label = match bar.value {
            Some(value) if value < 10.0 => format!("{value:.2}"),
            Some(value) => grouped(value),
            None => "not measured".to_owned(),
        };
        let x = NAME_WIDTH + end + 6.0;
        writeln!(
            page,
            "<text x=\"{x:.1}\" y=\"{text}\">{label} <tspan class=\"soft\">{}</tspan></text>",
            escape(bar.note)
        )?;
        top += BAR_PITCH;
    }
    page.push_str("</svg></figure>\n");
    Ok(())
}

/// Round numbers from zero to `most`, a handful of them.
fn ticks(most: f64) -> impl Iterator<Item = f64> {
    let power = 10_f64.powf((most / 5.0).log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|part| part * power);
    let step = step
        .into_iter()
        .find(|step| most / step <= 6.0)
        .unwrap_or(most);
    std::iter::successors(Some(0.0), move |tick| Some(tick + step))
        .take_while(move |tick| *tick <= most)
}

const CURVE_WIDTH: f64 = 980.0;
const CURVE_HEIGHT: f64 = 300.0;
const MARGIN: f64 = 46.0;

/// Offered against forwarded rate, of every step: what becomes of a target under overload.
pub(super) fn curves(page: &mut String, steps: &[StepRow]) -> Result<(), Failure> {
    let most_offered = steps
        .iter()
        .map(|step| step.offered_pps)
        .fold(0.0, f64::max);
    let most_forwarded = steps
        .iter()
        .map(|step| step.forwarded_pps)
        .fold(0.0, f64::max);
    if most_offered <= 0.0 || most_forwarded <= 0.0 {
        return Ok(());
    }
    let x = |pps: f64| MARGIN + pps / most_offered * (CURVE_WIDTH - 2.0 * MARGIN);
    let y = |pps: f64| CURVE_HEIGHT - MARGIN - pps / most_forwarded * (CURVE_HEIGHT - 2.0 * MARGIN);
    writeln!(
        page,
        "<figure><h3>Offered and forwarded, thousand packets/s, every step</h3>\
         <svg viewBox=\"0 0 {CURVE_WIDTH} {CURVE_HEIGHT}\" role=\"img\">"
    )?;
    let (end_x, bottom) = (x(most_offered), y(0.0));
    for pps in ticks(most_forwarded) {
        let at_y = y(pps);
        writeln!(
            page,
            "<path class=\"axis\" d=\"M{MARGIN} {at_y:.1}H{end_x:.1}\"/>\
             <text class=\"soft\" x=\"4\" y=\"{:.1}\">{:.0}</text>",
            at_y + 4.0,
            pps / 1000.0
        )?;
    }
    for pps in ticks(most_offered) {
        let (at_x, at_y, label) = (x(pps), bottom + 18.0, pps / 1000.0);
        writeln!(
            page,
            "<text class=\"soft\" text-anchor=\"middle\" x=\"{at_x:.1}\" y=\"{at_y:.1}\">\
             {label:.0}</text>"
        )?;
    }
    let whole = most_offered.min(most_forwarded);
    let (to_x, to_y, below) = (x(whole), y(whole), bottom + 36.0);
    writeln!(
        page,
        "<path class=\"whole\" d=\"M{MARGIN} {bottom:.1}L{to_x:.1} {to_y:.1}\"/>\
         <text class=\"soft\" text-anchor=\"end\" x=\"{end_x:.1}\" y=\"{below:.1}\">offered; \
         dashed: all of it forwarded</text>"
    )?;
    let targets = targets(steps);
    let mut left = MARGIN;
    for (index, target) in targets.iter().enumerate() {
        let colour = index % COLOURS;
        for step in steps.iter().filter(|step| step.target == *target) {
            let (at_x, at_y) = (x(step.offered_pps), y(step.forwarded_pps));
            writeln!(
                page,
                "<circle cx=\"{at_x:.1}\" cy=\"{at_y:.1}\" r=\"4\" fill=\"var(--c{colour})\" \
                 fill-opacity=\"0.75\"/>"
            )?;
        }
        let text = left + 14.0;
        writeln!(
            page,
            "<circle cx=\"{left}\" cy=\"16\" r=\"5\" fill=\"var(--c{colour})\"/>\
             <text x=\"{text}\" y=\"21\">{}</text>",
            escape(target)
        )?;
        left += 130.0;
    }
    page.push_str("</svg></figure>\n");
    Ok(())
}

/// In the order of their first step.
fn targets(steps: &[StepRow]) -> Vec<&str> {
    let mut targets: Vec<&str> = Vec::new();
    for step in steps {
        if !targets.contains(&step.target.as_str()) {
            targets.push(&step.target);
        }
    }
    targets
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_few_and_round() {
        assert_eq!(
            ticks(427.0).collect::<Vec<_>>(),
            [0.0, 100.0, 200.0, 300.0, 400.0]
        );
        for most in [0.9, 3.0, 1_657_943.0] {
            assert!((3..=8).contains(&ticks(most).count()), "{most}");
        }
    }
}
