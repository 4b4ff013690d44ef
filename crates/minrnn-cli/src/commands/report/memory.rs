//! Gates, states and the memory of channels as plots and a table.

use anyhow::Result;

use super::histogram::Histogram;
use super::html::{self, Cell, details, figure, grid, number, text};
use super::inside::{Inside, NEVER, Recurrence};
use super::numbers::short;
use super::plot::{Mark, Plot, Series, far_apart};
use crate::table::grouped;

/// Recurrences with plots; more have their row in the table.
const DRAWN: usize = 12;

pub(super) fn section(inside: &Inside) -> Result<String> {
    let all = &inside.recurrences;
    if all.is_empty() {
        return Ok(html::note(
            "The model has no recurrence: nothing in it has a gate that keeps a state.",
        ));
    }
    let mut out = String::from(
        "<p>Each channel of a recurrence is <code>h[t] = a[t]·h[t−1] + b[t]</code>: <code>a</code> is the share of its state that it keeps (of minGRU and minLSTM the forget gate, of a state space the decay), <code>b</code> what it takes in. A channel that keeps <code>a</code> on average remembers about <code>1 / (1 − a)</code> steps.</p>\n",
    );
    out.push_str(&html::note(&format!(
        "Measured in float64 on {} windows, {} steps. Plots leave out the outermost 0.1 % of the values at each end.",
        inside.windows,
        grouped(usize::try_from(inside.steps).unwrap_or(usize::MAX))
    )));
    let rows: Vec<Vec<Cell>> = all.iter().map(row).collect();
    let header = [
        "recurrence",
        "channels",
        "mean a",
        "a below 0.1",
        "a above 0.9",
        "memory: shortest",
        "median",
        "longest",
        "h, 1 % to 99 %",
    ];
    out.push_str(&html::table(&header, &rows));
    for (i, found) in all.iter().take(DRAWN).enumerate() {
        let plots = grid(&drawn(found)?);
        // The first and the last are open: they differ most.
        let open = i == 0 || i + 1 == all.len().min(DRAWN);
        let body = details(&found.scope, &plots);
        out.push_str(&match open {
            true => body.replacen("<details>", "<details open>", 1),
            false => body,
        });
    }
    if all.len() > DRAWN {
        out.push_str(&html::note(&format!(
            "The first {DRAWN} of {} recurrences are drawn.",
            all.len()
        )));
    }
    Ok(out)
}

fn row(found: &Recurrence) -> Vec<Cell> {
    let memory = found.memory();
    let at = |share: f64| memory.get(((memory.len() - 1) as f64 * share).round() as usize);
    let steps = |share: f64| number(at(share).map_or(String::new(), |m| said(*m)));
    let percent = |share: f64| number(format!("{:.1} %", 100.0 * share));
    let state = format!(
        "{} to {}",
        short(found.state.quantile(0.01)),
        short(found.state.quantile(0.99))
    );
    vec![
        text(&found.scope),
        number(grouped(found.channels)),
        number(format!("{:.3}", found.keep.mean())),
        percent(found.keep.share_below(0.1)),
        percent(1.0 - found.keep.share_below(0.9)),
        steps(0.0),
        steps(0.5),
        steps(1.0),
        number(state),
    ]
}

/// Steps of a memory.
fn said(steps: f64) -> String {
    match steps {
        s if s >= NEVER => "never forgets".into(),
        s if s >= 100.0 => short(s.round()),
        s => format!("{s:.1}"),
    }
}

fn drawn(found: &Recurrence) -> Result<Vec<String>> {
    let mut figures = vec![];
    let memory = found.memory();
    let last = (memory.len().max(2) - 1) as f64;
    let points = memory.iter().enumerate();
    let points: Vec<(f64, f64)> = points.map(|(i, m)| (100.0 * i as f64 / last, *m)).collect();
    let plot = Plot {
        label: format!("Memory of the channels of {}", found.scope),
        x: "channels, % from the shortest".into(),
        y: "memory, steps".into(),
        log: far_apart(&points),
        series: vec![Series {
            name: String::new(),
            mark: Mark::Line,
            points,
        }],
        ..Plot::default()
    };
    figures.extend(
        plot.svg()?
            .map(|svg| figure(&svg, "Memory of each channel, sorted.")),
    );
    let histograms: [(&Histogram, &str, &str); 3] = [
        (
            &found.keep,
            "a, kept",
            "What is kept of the state at a step.",
        ),
        (&found.add, "b, taken in", "What is taken in at a step."),
        (&found.state, "h, state", "The state."),
    ];
    for (histogram, axis, caption) in histograms {
        let plot = Plot {
            label: format!("{caption} {}", found.scope),
            x: axis.into(),
            y: "share, %".into(),
            series: vec![Series {
                name: String::new(),
                mark: Mark::Bars,
                points: histogram
                    .bars()
                    .iter()
                    .map(|(x, y)| (*x, 100.0 * y))
                    .collect(),
            }],
            ..Plot::default()
        };
        figures.extend(plot.svg()?.map(|svg| figure(&svg, caption)));
    }
    Ok(figures)
}
