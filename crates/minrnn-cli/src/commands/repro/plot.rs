//! Pictures of an experiment: curves along training, or figures against what their names end in.

use anyhow::{Context, Result};
use plotters::prelude::*;

use super::experiment::{Experiment, PlotSpec};
use super::outcome::Done;
use super::summary;

const SIZE: (u32, u32) = (760, 440);
const FONT: (&str, u32) = ("sans-serif", 14);
/// Colours of rows, in turn.
const COLOURS: [RGBColor; 8] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
    RGBColor(230, 159, 0),
    RGBColor(90, 90, 90),
    RGBColor(140, 60, 20),
];

/// A line: its name, its colour, its points.
pub(super) type Line = (String, usize, Vec<(f64, f64)>);

/// The picture; none where there is nothing to draw.
///
/// # Errors
/// None that input could bring about: what the drawing says that it cannot do.
pub(super) fn svg(
    experiment: &Experiment,
    spec: &PlotSpec,
    done: &[Done],
) -> Result<Option<String>> {
    let mut lines = match &spec.prefix {
        Some(_) => figures(experiment, spec, done),
        None => curves(experiment, done),
    };
    let fits = |v: f64, log: bool| v.is_finite() && (!log || v > 0.0);
    for (.., points) in &mut lines {
        points.retain(|(x, y)| fits(*x, spec.log_x) && fits(*y, spec.log_y));
    }
    lines.retain(|(.., points)| !points.is_empty());
    if lines.is_empty() {
        return Ok(None);
    }
    let mut text = String::new();
    draw(&mut text, spec, &lines).context("drawing a plot")?;
    Ok(Some(text))
}

/// The curve of each run, one colour a row.
fn curves(experiment: &Experiment, done: &[Done]) -> Vec<Line> {
    let mut lines = vec![];
    for (i, summary) in summary::all(experiment, done).iter().enumerate() {
        for (n, run) in summary.runs.iter().enumerate() {
            let points = run.outcome.curve.iter().map(|(x, y)| (*x as f64, *y));
            let name = if n == 0 {
                summary.title.clone()
            } else {
                String::new()
            };
            lines.push((name, i, points.collect()));
        }
    }
    lines
}

/// Means of the figures `{prefix}{number}` of each row that the picture is of.
pub(super) fn figures(experiment: &Experiment, spec: &PlotSpec, done: &[Done]) -> Vec<Line> {
    let prefix = spec.prefix.as_deref().unwrap_or_default();
    let ends = spec.ends.as_deref().unwrap_or_default();
    let mut all = summary::all(experiment, done);
    all.retain(|s| s.title.ends_with(ends));
    let mut lines = vec![];
    for (i, summary) in all.iter().enumerate() {
        let keys = summary.runs.iter().flat_map(|d| {
            let (a, b) = (&d.outcome.figures, &d.times.figures);
            a.keys().chain(b.keys()).cloned().collect::<Vec<_>>()
        });
        let point = |key: String| {
            let x: f64 = key.strip_prefix(prefix)?.parse().ok()?;
            Some((x, summary.mean(&key)?))
        };
        let mut points: Vec<(f64, f64)> = keys.filter_map(point).collect();
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        points.dedup_by(|a, b| a.0 == b.0);
        lines.push((summary.title.clone(), i, points));
    }
    lines
}

/// The ends of an axis with room around them.
fn ends(values: impl Iterator<Item = f64> + Clone, log: bool) -> (f64, f64) {
    let low = values.clone().fold(f64::INFINITY, f64::min);
    let high = values.fold(f64::NEG_INFINITY, f64::max);
    if log {
        return (low / 1.3, high * 1.3);
    }
    let room = match high > low {
        true => 0.05 * (high - low),
        false => low.abs().max(1.0) * 0.05,
    };
    (low - room, high + room)
}

fn draw(text: &mut String, spec: &PlotSpec, lines: &[Line]) -> Result<()> {
    let root = SVGBackend::with_string(text, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let points = lines.iter().flat_map(|l| l.2.iter());
    let (x0, x1) = ends(points.clone().map(|p| p.0), spec.log_x);
    let (y0, y1) = ends(points.map(|p| p.1), spec.log_y);
    let mut builder = ChartBuilder::on(&root);
    builder
        .margin(12)
        .x_label_area_size(44)
        .y_label_area_size(64);
    // The axes are four types.
    macro_rules! draw {
        ($x:expr, $y:expr) => {{
            let mut chart = builder.build_cartesian_2d($x, $y)?;
            chart
                .configure_mesh()
                .x_desc(spec.x.as_str())
                .y_desc(spec.y.as_str())
                .x_label_formatter(&|x| label(*x))
                .y_label_formatter(&|y| label(*y))
                .label_style(FONT)
                .bold_line_style(BLACK.mix(0.12))
                .light_line_style(TRANSPARENT)
                .draw()?;
            for (name, colour, points) in lines {
                let colour = COLOURS[colour % COLOURS.len()];
                let line = chart.draw_series(LineSeries::new(
                    points.iter().copied(),
                    colour.stroke_width(2),
                ))?;
                if !name.is_empty() {
                    line.label(name.as_str()).legend(move |(x, y)| {
                        PathElement::new([(x, y), (x + 16, y)], colour.stroke_width(2))
                    });
                }
                if points.len() < 30 {
                    chart
                        .draw_series(points.iter().map(|p| Circle::new(*p, 3, colour.filled())))?;
                }
            }
            chart
                .configure_series_labels()
                .label_font(FONT)
                .background_style(WHITE.mix(0.8))
                .border_style(BLACK.mix(0.2))
                .draw()?;
        }};
    }
    match (spec.log_x, spec.log_y) {
        (true, true) => draw!((x0..x1).log_scale(), (y0..y1).log_scale()),
        (true, false) => draw!((x0..x1).log_scale(), y0..y1),
        (false, true) => draw!(x0..x1, (y0..y1).log_scale()),
        (false, false) => draw!(x0..x1, y0..y1),
    }
    root.present()?;
    Ok(())
}

fn label(value: f64) -> String {
    match value.abs() {
        0.0 => "0".into(),
        v if v < 1e-3 => format!("{value:.0e}"),
        v if v >= 1e7 => format!("{value:.0e}"),
        _ => format!("{}", (value * 1e3).round() / 1e3),
    }
}
