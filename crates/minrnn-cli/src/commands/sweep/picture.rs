//! The picture of a sweep: the lowest validation loss of each run against each key.

use anyhow::{Context, Result};
use plotters::coord::Shift;
use plotters::prelude::*;

use super::show::Row;

/// Columns and rows of a key's panel.
const PANEL: (u32, u32) = (420, 300);
const COLUMNS: usize = 2;
const FONT: (&str, u32) = ("sans-serif", 13);
/// A span of numbers is drawn on a logarithmic axis from this ratio on.
const WIDE: f64 = 30.0;

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// The picture as SVG, a panel a key; runs without a loss are not in it. Values that are no numbers are drawn in the order of
/// their texts.
///
/// # Errors
/// None that input could bring about: what the drawing says that it cannot do.
pub(super) fn svg(keys: &[String], rows: &[Row]) -> Result<String> {
    let mut text = String::new();
    draw(&mut text, keys, rows).context("drawing the picture of the sweep")?;
    Ok(text)
}

fn draw(text: &mut String, keys: &[String], rows: &[Row]) -> Result<()> {
    let columns = keys.len().clamp(1, COLUMNS);
    let lines = keys.len().div_ceil(columns).max(1);
    let size = (PANEL.0 * columns as u32, PANEL.1 * lines as u32);
    let root = SVGBackend::with_string(text, size).into_drawing_area();
    root.fill(&WHITE)?;
    let losses: Vec<Option<f64>> = rows.iter().map(loss).collect();
    for (i, area) in root
        .split_evenly((lines, columns))
        .iter()
        .enumerate()
        .take(keys.len())
    {
        let values: Vec<&str> = rows.iter().map(|r| r.values[i].as_str()).collect();
        panel(area, &keys[i], &Axis::of(&values), &losses)?;
    }
    root.present()?;
    Ok(())
}

fn loss(row: &Row) -> Option<f64> {
    row.outcome
        .best
        .as_ref()
        .map(|b| b.loss)
        .filter(|l| l.is_finite())
}

/// Where the values of a key stand, and what is written there.
struct Axis {
    places: Vec<f64>,
    range: (f64, f64),
    log: bool,
    /// Values that are no numbers, at 0, 1, ..
    words: Vec<String>,
}

impl Axis {
    fn of(values: &[&str]) -> Self {
        let numbers: Option<Vec<f64>> = values.iter().map(|v| v.parse().ok()).collect();
        match numbers {
            Some(numbers) => Self::numbers(numbers),
            None => Self::words(values),
        }
    }

    fn numbers(places: Vec<f64>) -> Self {
        let low = places.iter().copied().fold(f64::INFINITY, f64::min);
        let high = places.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let log = low > 0.0 && high / low >= WIDE;
        let range = match log {
            true => (low / 1.3, high * 1.3),
            false => padded(low, high),
        };
        Self {
            places,
            range,
            log,
            words: vec![],
        }
    }

    fn words(values: &[&str]) -> Self {
        let mut words: Vec<String> = values.iter().map(|v| (*v).to_owned()).collect();
        words.sort();
        words.dedup();
        let place = |v: &&str| words.iter().position(|w| w == v).unwrap_or_default() as f64;
        Self {
            places: values.iter().map(place).collect(),
            range: (-0.5, words.len() as f64 - 0.5),
            log: false,
            words,
        }
    }

    fn label(&self, x: f64) -> String {
        if self.words.is_empty() {
            return match self.log || x != 0.0 && x.abs() < 0.01 {
                true => format!("{x:.0e}"),
                false => format!("{}", (x * 1e3).round() / 1e3),
            };
        }
        let whole = x.round();
        let word = (x - whole).abs() < 0.01 && whole >= 0.0;
        word.then(|| self.words.get(whole as usize).cloned())
            .flatten()
            .unwrap_or_default()
    }
}

/// A range with room around it.
fn padded(low: f64, high: f64) -> (f64, f64) {
    let room = match high > low {
        true => (high - low) * 0.06,
        false => low.abs().max(1.0) * 0.06,
    };
    (low - room, high + room)
}

fn panel(area: &Area, key: &str, axis: &Axis, losses: &[Option<f64>]) -> Result<()> {
    let seen = || losses.iter().flatten().copied();
    let (low, high) = (
        seen().fold(f64::INFINITY, f64::min),
        seen().fold(f64::NEG_INFINITY, f64::max),
    );
    let losses_range = match low <= high {
        true => padded(low, high),
        false => (0.0, 1.0),
    };
    let mut builder = ChartBuilder::on(area);
    builder
        .margin(12)
        .x_label_area_size(40)
        .y_label_area_size(60);
    let points = axis.places.iter().zip(losses);
    let points: Vec<(f64, f64)> = points.filter_map(|(x, l)| Some((*x, (*l)?))).collect();
    let (from, to) = axis.range;
    // The two axes are two types.
    macro_rules! draw {
        ($x:expr) => {{
            let mut chart = builder.build_cartesian_2d($x, losses_range.0..losses_range.1)?;
            chart
                .configure_mesh()
                .x_desc(key)
                .y_desc("lowest validation loss")
                .x_labels(match axis.words.len() {
                    0 => 6,
                    n => 2 * n + 1,
                })
                .x_label_formatter(&|x| axis.label(*x))
                .label_style(FONT)
                .bold_line_style(BLACK.mix(0.12))
                .light_line_style(TRANSPARENT)
                .draw()?;
            chart.draw_series(
                points
                    .iter()
                    .map(|p| Circle::new(*p, 4, BLUE.mix(0.6).filled())),
            )?;
        }};
    }
    match axis.log {
        true => draw!((from..to).log_scale()),
        false => draw!(from..to),
    }
    Ok(())
}
