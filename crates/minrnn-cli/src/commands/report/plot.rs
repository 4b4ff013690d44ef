//! Small plots as SVG in a page: a few lines, dots or bars each. Colours are signs, for which the page's style has the colours of the day
//! and of the night.

use anyhow::{Context, Result};
use plotters::coord::Shift;
use plotters::coord::ranged1d::{Ranged, ValueFormatter};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::html::escape;
use super::numbers::short;

/// Columns and rows of a plot: at 400 px of a page a label is 10 px high.
const SIZE: (u32, u32) = (460, 270);
const FONT: (&str, u32) = ("sans-serif", 15);
/// Points of a curve; of more, neighbours become one, their mean.
const POINTS: usize = 360;

/// What the style sheet colours: see `page.css`.
const INK: RGBColor = RGBColor(1, 1, 1);
const FAINT: RGBColor = RGBColor(2, 2, 2);
const COLOURS: [RGBColor; 3] = [RGBColor(3, 3, 3), RGBColor(4, 4, 4), RGBColor(5, 5, 5)];

/// Whether values are so far apart that a logarithm tells more.
pub(super) fn far_apart(points: &[(f64, f64)]) -> bool {
    let (low, high) = points.iter().fold((f64::INFINITY, 0.0_f64), |(l, h), p| {
        (l.min(p.1), h.max(p.1))
    });
    low > 0.0 && high / low > 60.0
}

/// How a series is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    /// A line through the means of neighbours.
    Line,
    /// A line through a dot for each point.
    Dotted,
    /// Dots alone.
    Dots,
    /// A bar from 0 to each point, as wide as the distance of the first two.
    Bars,
}

/// Some points that belong together.
#[derive(Debug, Clone)]
pub(super) struct Series {
    pub(super) name: String,
    pub(super) mark: Mark,
    pub(super) points: Vec<(f64, f64)>,
}

/// A plot.
#[derive(Debug, Clone, Default)]
pub(super) struct Plot {
    /// For readers that cannot see it.
    pub(super) label: String,
    pub(super) x: String,
    pub(super) y: String,
    /// Values upward on a logarithmic axis, where all of them are above 0.
    pub(super) log: bool,
    /// Values upward that are never above: nor does the axis go there.
    pub(super) most: Option<f64>,
    /// A line where both are equal.
    pub(super) diagonal: bool,
    pub(super) series: Vec<Series>,
}

impl Plot {
    /// The plot; none where there is no point to draw.
    ///
    /// # Errors
    /// None that input could bring about: what the drawing says that it cannot do.
    pub(super) fn svg(&self) -> Result<Option<String>> {
        let mut plot = self.clone();
        for series in &mut plot.series {
            series
                .points
                .retain(|(x, y)| x.is_finite() && y.is_finite());
            if series.mark == Mark::Line {
                series.points = thinned(&series.points);
            }
        }
        plot.series.retain(|series| !series.points.is_empty());
        if plot.series.is_empty() {
            return Ok(None);
        }
        let mut text = String::new();
        plot.draw(&mut text).context("drawing a plot of the page")?;
        Ok(Some(plot.inline(&text)))
    }

    /// As an element of a page: it scales, and is named for those who cannot see it.
    fn inline(&self, svg: &str) -> String {
        let begin = svg.find('>').map_or(0, |at| at + 1);
        format!(
            "<svg viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{}\">{}",
            SIZE.0,
            SIZE.1,
            escape(&self.label),
            &svg[begin..]
        )
    }

    fn points(&self) -> impl Iterator<Item = (f64, f64)> {
        self.series.iter().flat_map(|s| s.points.iter().copied())
    }

    fn draw(&self, text: &mut String) -> Result<()> {
        let root = SVGBackend::with_string(text, SIZE).into_drawing_area();
        let bars = self.series.iter().any(|s| s.mark == Mark::Bars);
        let (mut x, mut y) = (
            range(self.points().map(|p| p.0)),
            range(self.points().map(|p| p.1)),
        );
        if self.diagonal {
            x = (x.0.min(y.0), x.1.max(y.1));
            y = x;
        }
        if bars {
            let half = self.series.iter().map(Series::step).fold(0.0, f64::max) / 2.0;
            x = (x.0 - half, x.1 + half);
            y.0 = 0.0;
        }
        let (x, mut y) = (spread(x, 0.0), (y, spread(y, 0.06)));
        if let Some(most) = self.most {
            y.1.1 = y.1.1.min(most);
        }
        let legend = u32::from(self.series.len() > 1) * 20;
        let mut builder = ChartBuilder::on(&root);
        builder
            .margin_top(8 + legend)
            .margin_right(14)
            .margin_left(4)
            .margin_bottom(4)
            .x_label_area_size(40)
            .y_label_area_size(62);
        let lowest = self.points().map(|p| p.1).fold(f64::INFINITY, f64::min);
        if self.log && lowest > 0.0 {
            let (low, high) = (y.0.0 / 1.2, y.0.1 * 1.2);
            let chart = builder.build_cartesian_2d(x.0..x.1, (low..high).log_scale())?;
            self.fill(chart, (x, low, (x.1 - x.0, 0.0)))?;
        } else {
            let from = if bars { 0.0 } else { y.1.0 };
            let chart = builder.build_cartesian_2d(x.0..x.1, from..y.1.1)?;
            self.fill(chart, (x, from, (x.1 - x.0, y.1.1 - from)))?;
        }
        if legend > 0 {
            self.legend(&root)?;
        }
        root.present()?;
        Ok(())
    }

    fn fill<'a, Y>(
        &self,
        mut chart: ChartContext<
            'a,
            SVGBackend<'a>,
            Cartesian2d<plotters::coord::types::RangedCoordf64, Y>,
        >,
        (x, floor, sizes): ((f64, f64), f64, (f64, f64)),
    ) -> Result<()>
    where
        Y: Ranged<ValueType = f64> + ValueFormatter<f64>,
    {
        chart
            .configure_mesh()
            .x_desc(&self.x)
            .y_desc(&self.y)
            .x_labels(6)
            .y_labels(6)
            .x_label_formatter(&|v| tick(*v, sizes.0))
            .y_label_formatter(&|v| tick(*v, sizes.1))
            .label_style(TextStyle::from(FONT.into_font()).color(&INK))
            .axis_desc_style(TextStyle::from(FONT.into_font()).color(&INK))
            .axis_style(FAINT)
            .bold_line_style(FAINT.mix(0.5))
            .light_line_style(TRANSPARENT)
            .draw()?;
        if self.diagonal {
            chart.draw_series(LineSeries::new(
                [(x.0, x.0), (x.1, x.1)],
                FAINT.stroke_width(2),
            ))?;
        }
        for (i, series) in self.series.iter().enumerate() {
            let colour = COLOURS[i % COLOURS.len()];
            let points = || series.points.iter().copied();
            match series.mark {
                Mark::Line | Mark::Dotted => {
                    chart.draw_series(LineSeries::new(points(), colour.stroke_width(2)))?;
                }
                Mark::Dots | Mark::Bars => {}
            }
            match series.mark {
                Mark::Dotted => {
                    chart.draw_series(points().map(|p| Circle::new(p, 3, colour.filled())))?;
                }
                Mark::Dots => {
                    let style = colour.mix(0.5).filled();
                    chart.draw_series(points().map(|p| Circle::new(p, 2, style)))?;
                }
                Mark::Bars => {
                    let half = series.step() / 2.0;
                    let bar = |(x, y): (f64, f64)| {
                        Rectangle::new([(x - half, floor), (x + half, y)], colour.filled())
                    };
                    chart.draw_series(points().map(bar))?;
                }
                Mark::Line => {}
            }
        }
        Ok(())
    }

    /// Names above the plot, side by side.
    fn legend(&self, area: &DrawingArea<SVGBackend, Shift>) -> Result<()> {
        let mut at = 66;
        for (i, series) in self.series.iter().enumerate() {
            let style = TextStyle::from(FONT.into_font())
                .color(&INK)
                .pos(Pos::new(HPos::Left, VPos::Center));
            area.draw(&Circle::new(
                (at, 14),
                4,
                COLOURS[i % COLOURS.len()].filled(),
            ))?;
            area.draw(&Text::new(series.name.clone(), (at + 10, 14), style))?;
            at += 32 + 8 * i32::try_from(series.name.chars().count()).unwrap_or(0);
        }
        Ok(())
    }
}

impl Series {
    /// The distance of the first two points.
    fn step(&self) -> f64 {
        match self.points.as_slice() {
            [a, b, ..] => b.0 - a.0,
            _ => 1.0,
        }
    }
}

/// A number on an axis that is so long: what is left of a sum of tenths is 0, and neighbours are told apart.
fn tick(v: f64, size: f64) -> String {
    let apart = (size / 8.0).log10().floor();
    match v.abs() {
        near if near < 1e-9 * size => short(0.0),
        size if (1e-3..1e6).contains(&size) && (size >= 1e4 && apart < 2.0 || apart < -3.0) => {
            let places = (-apart).clamp(0.0, 12.0) as usize;
            let text = format!("{v:.places$}");
            match text.contains('.') {
                true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
                false => text,
            }
        }
        _ => short(v),
    }
}

/// Larger values stand at the edge: the extent of an axis has to be a number.
const LARGEST: f64 = 1e300;

fn range(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let values = values.map(|v| v.clamp(-LARGEST, LARGEST));
    values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| {
        (low.min(v), high.max(v))
    })
}

/// With room at both ends; never empty.
fn spread((low, high): (f64, f64), share: f64) -> (f64, f64) {
    let room = (high - low) * share;
    match low < high {
        true => (low - room, high + room),
        false => {
            let room = 0.5 * low.abs().max(1e-6);
            (low - room, high + room)
        }
    }
}

/// At most [`POINTS`] points: of each stretch the mean.
fn thinned(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let size = points.len().div_ceil(POINTS).max(1);
    let mean = |part: &[(f64, f64)]| {
        let sum = part.iter().fold((0.0, 0.0), |s, p| (s.0 + p.0, s.1 + p.1));
        (sum.0 / part.len() as f64, sum.1 / part.len() as f64)
    };
    points.chunks(size).map(mean).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plot(mark: Mark, points: &[(f64, f64)]) -> Plot {
        Plot {
            label: "a <b>".into(),
            x: "x".into(),
            y: "y".into(),
            series: vec![Series {
                name: "s".into(),
                mark,
                points: points.to_vec(),
            }],
            ..Plot::default()
        }
    }

    #[test]
    fn a_plot_is_an_element_that_scales() {
        let svg = plot(Mark::Dots, &[(0.0, 1.0), (1.0, f64::NAN), (2.0, 3.0)]);
        let svg = svg.svg().unwrap().unwrap();
        assert_eq!(svg.matches("<circle").count(), 2, "{svg}");
        assert!(
            svg.starts_with(
                "<svg viewBox=\"0 0 460 270\" role=\"img\" aria-label=\"a &lt;b&gt;\">"
            )
        );
        assert!(!svg.contains("NaN") && !svg.contains("http"), "{svg}");
    }

    #[test]
    fn one_point_equal_points_and_none_are_drawn() {
        for mark in [Mark::Line, Mark::Dotted, Mark::Dots, Mark::Bars] {
            for log in [false, true] {
                let huge = &[(1.0, 1e308), (2.0, -1e308), (3.0, 1.0)][..];
                let equal = &[(1.0, 2.0), (2.0, 2.0)][..];
                for points in [&[(1.0, 2.0)][..], equal, &[(0.0, 0.0)], huge] {
                    let plot = Plot {
                        log,
                        ..plot(mark, points)
                    };
                    let svg = plot.svg().unwrap().unwrap();
                    assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
                }
            }
            assert_eq!(plot(mark, &[]).svg().unwrap(), None);
        }
    }

    #[test]
    fn neighbours_on_an_axis_are_told_apart() {
        let ticks = |values: &[f64], size: f64| -> Vec<String> {
            values.iter().map(|v| tick(*v, size)).collect()
        };
        let rates = ticks(&[0.003, 0.0025, 0.002, 0.0015, 0.001, 5e-4, 0.0], 0.0027);
        assert_eq!(
            rates,
            ["0.003", "0.0025", "0.002", "0.0015", "0.001", "5e-4", "0"]
        );
        assert_eq!(
            ticks(&[12_480.0, 12_500.0, 12_520.0], 60.0),
            ["12480", "12500", "12520"]
        );
        assert_eq!(
            ticks(&[10_000.0, 20_000.0, 12_500.0], 2e4),
            ["10k", "20k", "12.5k"]
        );
        assert_eq!(ticks(&[0.25, 1e-17, 250.0], 250.0), ["0.25", "0", "250"]);
    }

    #[test]
    fn an_axis_does_not_go_beyond_what_there_is() {
        let accuracy = Plot {
            most: Some(100.0),
            ..plot(Mark::Dotted, &[(1.0, 100.0), (2.0, 100.0)])
        };
        let svg = accuracy.svg().unwrap().unwrap();
        assert!(svg.contains("\n100\n") && !svg.contains("\n120\n"), "{svg}");
    }

    #[test]
    fn a_long_curve_is_its_means() {
        let points: Vec<_> = (0..7200)
            .map(|i| (f64::from(i), f64::from(i % 2)))
            .collect();
        let thin = thinned(&points);
        assert_eq!(thin.len(), 360);
        assert_eq!(thin[0], (9.5, 0.5));
    }
}
