//! The picture of a report: how far each engine and form is off, against T.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use serde::Serialize;

/// Largest absolute difference of all cases of a length, by T in steps; not finite where values are not comparable (`null` in
/// JSON).
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
#[serde(transparent)]
pub struct ByLength(BTreeMap<usize, f64>);

impl ByLength {
    /// Takes in a difference at a length.
    pub(super) fn add(&mut self, time: usize, error: f64) {
        let most = self.0.entry(time).or_insert(0.0);
        // A comparison with what is no number is no comparison: it stays.
        *most = match most.is_nan() || error.is_nan() {
            true => f64::NAN,
            false => most.max(error),
        };
    }

    /// Takes in those of another tensor.
    pub(super) fn merge(&mut self, other: &Self) {
        for (time, error) in &other.0 {
            self.add(*time, *error);
        }
    }

    /// Whether no length is known.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// T and the difference, the shortest first.
    pub fn iter(&self) -> impl Iterator<Item = (usize, f64)> {
        self.0.iter().map(|(time, error)| (*time, *error))
    }
}

/// One curve of the picture.
#[derive(Debug, Clone)]
pub(crate) struct Curve {
    pub(crate) name: String,
    pub(crate) errors: ByLength,
    pub(crate) holds: bool,
}

/// Columns and rows of the picture; the legend stands on its right.
const SIZE: (u32, u32) = (1080, 560);
const LEGEND: u32 = 360;
/// Rows between two lines of the legend.
const LINE: i32 = 18;
const FONT: (&str, u32) = ("sans-serif", 13);
/// What a difference of 0 is drawn as, in units of the smallest that is drawn.
const FLOOR: f64 = 0.1;

/// The picture as SVG: T and differences on logarithmic axes, those of 0 at the bottom. Curves that are 0 at each length are one
/// line at the bottom and are named together.
///
/// # Errors
/// None that input could bring about: what the drawing says that it cannot do.
pub(crate) fn svg(curves: &[Curve]) -> Result<String> {
    let mut text = String::new();
    draw(&mut text, curves).context("drawing the picture of the report")?;
    Ok(text)
}

/// The lines of a report that show the picture.
pub(crate) fn markdown(file: &str) -> String {
    format!(
        "![Largest absolute difference against T, a curve for each engine and form]({file})\n\n"
    )
}

fn draw(text: &mut String, curves: &[Curve]) -> Result<()> {
    let root = SVGBackend::with_string(text, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let (left, right) = root.split_horizontally(SIZE.0 - LEGEND);
    let (zero, other): (Vec<&Curve>, Vec<&Curve>) = curves
        .iter()
        .partition(|c| c.errors.iter().all(|(_, e)| e == 0.0));
    plot(&left, &other, !zero.is_empty())?;
    legend(&right, &other, &zero)?;
    root.present()?;
    Ok(())
}

/// The lowest and the highest that is drawn, and the longest T.
fn bounds(curves: &[&Curve]) -> (f64, f64, f64) {
    let errors = || curves.iter().flat_map(|c| c.errors.iter()).map(|(_, e)| e);
    let seen = || errors().filter(|e| e.is_finite() && *e > 0.0);
    let low = seen().fold(f64::INFINITY, f64::min);
    let high = seen().fold(0.0, f64::max);
    let (low, high) = match low <= high {
        true => (low, high),
        false => (1e-8, 1e-6),
    };
    let times = curves.iter().flat_map(|c| c.errors.iter());
    let longest = times.map(|(t, _)| t).max().unwrap_or(1).max(2);
    (low * FLOOR, high * 10.0, longest as f64)
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

fn plot(area: &Area, curves: &[&Curve], zero: bool) -> Result<()> {
    let (low, high, longest) = bounds(curves);
    let mut chart = ChartBuilder::on(area)
        .margin(12)
        .x_label_area_size(36)
        .y_label_area_size(64)
        .build_cartesian_2d((1.0..longest).log_scale(), (low..high).log_scale())?;
    chart
        .configure_mesh()
        .x_desc("T, steps")
        .y_desc("largest absolute difference")
        .x_label_formatter(&|x| format!("{x:.0}"))
        .y_label_formatter(&|y| format!("{y:.0e}"))
        .label_style(FONT)
        .bold_line_style(BLACK.mix(0.12))
        .light_line_style(TRANSPARENT)
        .draw()?;
    if zero {
        let line = [(1.0, low), (longest, low)];
        chart.draw_series(LineSeries::new(line, BLACK.stroke_width(3)))?;
    }
    for (i, curve) in curves.iter().enumerate() {
        let at = |(time, error): (usize, f64)| {
            let error = if error.is_finite() { error } else { high };
            (time as f64, error.clamp(low, high))
        };
        let points = || curve.errors.iter().map(at);
        let style = colour(i).stroke_width(if curve.holds { 1 } else { 3 });
        chart.draw_series(LineSeries::new(points(), style))?;
        let dots = points().map(|point| Circle::new(point, 3, colour(i).filled()));
        chart.draw_series(dots)?;
    }
    Ok(())
}

/// Far enough from its neighbours; the tenth is like the first, and its place in the legend tells them apart.
fn colour(i: usize) -> PaletteColor<Palette9999> {
    Palette9999::pick(i)
}

fn legend(area: &Area, curves: &[&Curve], zero: &[&Curve]) -> Result<()> {
    let words = |text: &str, row: i32, colour: &RGBColor| {
        let style = TextStyle::from(FONT.into_font())
            .color(colour)
            .pos(Pos::new(HPos::Left, VPos::Center));
        area.draw(&Text::new(text.to_owned(), (28, 24 + row * LINE), style))
    };
    let mut row = 0;
    for (i, curve) in curves.iter().enumerate() {
        let y = 24 + row * LINE;
        area.draw(&Circle::new((16, y), 4, colour(i).filled()))?;
        match curve.holds {
            true => words(&curve.name, row, &BLACK)?,
            false => words(&format!("{}: does not hold", curve.name), row, &RED)?,
        }
        row += 1;
    }
    if !zero.is_empty() {
        let y = 24 + row * LINE;
        area.draw(&PathElement::new(
            vec![(8, y), (24, y)],
            BLACK.stroke_width(3),
        ))?;
        words("0 at every T:", row, &BLACK)?;
        for (i, curve) in zero.iter().enumerate() {
            words(&format!("  {}", curve.name), row + 1 + i as i32, &BLACK)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(name: &str, errors: &[(usize, f64)], holds: bool) -> Curve {
        let mut by = ByLength::default();
        errors.iter().for_each(|(t, e)| by.add(*t, *e));
        Curve {
            name: name.into(),
            errors: by,
            holds,
        }
    }

    #[test]
    fn the_largest_of_a_length_is_kept_and_no_number_stays() {
        let mut by = ByLength::default();
        for (time, error) in [(3, 0.5), (3, 0.25), (1, 0.0), (7, f64::NAN), (7, 1.0)] {
            by.add(time, error);
        }
        let text = serde_json::to_string(&by).unwrap();
        assert_eq!(text, r#"{"1":0.0,"3":0.5,"7":null}"#);
        let mut other = ByLength::default();
        other.add(3, 2.0);
        by.merge(&other);
        assert_eq!(by.iter().nth(1), Some((3, 2.0)));
    }

    #[test]
    fn curves_have_names_dots_and_a_floor() {
        let curves = [
            curve("tract step", &[(1, 1e-7), (16, 3e-7), (1024, 1e-6)], true),
            curve("my scan", &[(1, 0.0), (16, f64::NAN)], false),
            curve("minrnn scan", &[(1, 0.0), (16, 0.0)], true),
        ];
        let svg = svg(&curves).unwrap();
        assert_eq!(svg, super::svg(&curves).unwrap(), "the same bytes");
        for words in [
            "tract step",
            "my scan: does not hold",
            "0 at every T:",
            "minrnn scan",
        ] {
            assert!(svg.contains(words), "{words}: {svg}");
        }
        // Five dots of curves, two of the legend.
        assert_eq!(svg.matches("<circle").count(), 5 + 2);
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    }

    #[test]
    fn a_report_of_one_length_or_of_nothing_is_drawn() {
        for curves in [
            vec![],
            vec![curve("a", &[(1, 0.0)], true)],
            vec![curve("a", &[(1, 1.0)], true)],
        ] {
            assert!(svg(&curves).unwrap().ends_with("</svg>\n"));
        }
    }
}
