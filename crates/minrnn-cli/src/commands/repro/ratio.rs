//! Quotients of two rows' figures, both of one device.

use super::experiment::{Experiment, Ratio};
use super::outcome::Done;
use super::summary::{self, Summary, figure, plain};
use crate::table::wide;

/// The table of all of them; one that no device has both sides of is not measured.
pub(super) fn said(experiment: &Experiment, done: &[Done]) -> String {
    let all = summary::all(experiment, done);
    let mut rows = vec![];
    for ratio in &experiment.ratio {
        let mut measured = measured(ratio, &all);
        if measured.is_empty() {
            measured.push((ratio.title.clone(), "not measured".into()));
        }
        let paper = ratio.paper.map_or(String::new(), plain);
        let cells = |(title, ours)| vec![title, ours, paper.clone()];
        rows.extend(measured.into_iter().map(cells));
    }
    if rows.is_empty() {
        return String::new();
    }
    let header = vec!["quotient".into(), "ours".into(), experiment.beside.clone()];
    let mut table = wide(header, rows, 1..3);
    table.load_style(comfy_table::presets::ASCII_MARKDOWN);
    format!("{table}\n\n")
}

/// Titles and quotients, one for each device that has both sides.
fn measured(ratio: &Ratio, all: &[Summary]) -> Vec<(String, String)> {
    let value = |s: &Summary| s.mean(&ratio.key);
    let quotient = |of: &Summary| {
        let mut others = all.iter().filter(|s| s.row.name == ratio.to);
        let to = others.find(|s| s.on() == of.on()).and_then(value)?;
        let title = format!("{}{}", ratio.title, of.on());
        Some((title, figure(value(of)? / to, 2)))
    };
    let numerators = all.iter().filter(|s| s.row.name == ratio.of);
    numerators.filter_map(quotient).collect()
}
