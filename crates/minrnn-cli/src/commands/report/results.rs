//! Figures of the model on data: what `minrnn eval` measures, as tables and plots.

use std::fmt::Write as _;

use anyhow::Result;

use super::html::{self, Cell, grid, number, text};
use super::numbers::{digits, percent};
use super::predictions::{Predictions, plain};
use crate::commands::eval::{OfClasses, Report, Shown, Value};
use crate::table::grouped;

/// Classes of a matrix; of more there is a list of the most frequent confusions.
const MATRIX: usize = 24;
/// Rows of a table of classes, those with the most targets.
const CLASSES: usize = 32;
/// Lines of the list.
const CONFUSIONS: usize = 16;

pub(super) fn section(report: &Report, predictions: &Predictions) -> Result<String> {
    let data = &report.data;
    let part = match data.split {
        "whole" => "the file that was given".to_owned(),
        part => format!("the {part} part"),
    };
    let count = |n: u64| grouped(usize::try_from(n).unwrap_or(usize::MAX));
    let mut out = format!(
        "<p>On {}: {} of {} windows, {} targets.</p>\n",
        html::escape(&part),
        count(data.windows),
        count(data.windows_in_part),
        count(data.targets)
    );
    for note in report.notes() {
        out.push_str(&html::note(note));
    }
    out.push_str(&overall(report));
    match report.figures.first().map(|f| &f.kind) {
        Some(Shown::Classes(classes)) => out.push_str(&of_classes(classes)),
        Some(Shown::Values { targets }) => {
            out.push_str(&of_values(targets));
            let name = |c: usize| {
                targets
                    .get(c)
                    .map_or(String::new(), |v: &Value| plain(&v.name))
            };
            out.push_str(&grid(&predictions.figures(&name)?));
        }
        None => {}
    }
    Ok(out)
}

/// A row for each engine and form.
fn overall(report: &Report) -> String {
    let unit = report.figures.first().map_or("", |e| e.loss_unit);
    let loss = format!("loss, {unit}");
    let mut header = vec!["engine", &loss];
    if let Some(Shown::Classes(classes)) = report.figures.first().map(|f| &f.kind) {
        header.push("accuracy");
        header.extend(classes.of_text().map(|(name, _)| name));
        header.push("macro F1");
    }
    let row = |entry: &crate::commands::eval::Entry| {
        let who = match entry.form {
            Some(form) => format!("{}, {form}", entry.engine),
            None => entry.engine.to_owned(),
        };
        let mut row = vec![text(who), number(digits(entry.loss))];
        if let Shown::Classes(classes) = &entry.kind {
            row.push(number(percent(classes.accuracy)));
            row.extend(classes.of_text().map(|(_, figure)| number(digits(figure))));
            row.push(number(digits(classes.mean.f1)));
        }
        row
    };
    let rows: Vec<Vec<Cell>> = report.figures.iter().map(row).collect();
    html::table(&header, &rows)
}

fn of_classes(all: &OfClasses) -> String {
    let mut order: Vec<usize> = (0..all.classes.len()).collect();
    order.sort_by_key(|i| (std::cmp::Reverse(all.classes[*i].targets), *i));
    order.truncate(CLASSES);
    order.sort_unstable();
    let row = |i: &usize| {
        let c = &all.classes[*i];
        vec![
            Cell::Markup(html::name(&c.name)),
            number(c.targets.to_string()),
            number(c.predicted.to_string()),
            number(digits(c.precision)),
            number(digits(c.recall)),
            number(digits(c.f1)),
        ]
    };
    let rows: Vec<Vec<Cell>> = order.iter().map(row).collect();
    let header = ["class", "targets", "predicted", "precision", "recall", "F1"];
    let mut table = html::table(&header, &rows);
    if order.len() < all.classes.len() {
        let said = format!(
            "{} of {} classes, those with the most targets.",
            order.len(),
            all.classes.len()
        );
        table.push_str(&html::note(&said));
    }
    let title = "Precision, recall and F1 by class; 0/0 counts as 0";
    format!("{}{}", confusion(all), html::details(title, &table))
}

fn confusion(all: &OfClasses) -> String {
    match all.confusion.matrix.as_ref().filter(|m| m.len() <= MATRIX) {
        Some(matrix) => matrix_of(all, matrix),
        None => list(all),
    }
}

/// Rows are targets; a cell is as dark as its share of its row.
fn matrix_of(all: &OfClasses, matrix: &[Vec<u64>]) -> String {
    let names: Vec<String> = all.classes.iter().map(|c| html::name(&c.name)).collect();
    let seen = |i: &usize| all.classes[*i].targets + all.classes[*i].predicted > 0;
    let seen: Vec<usize> = (0..names.len()).filter(seen).collect();
    let mut out = String::from(
        "<h3>Confusion matrix</h3>\n<div class=\"scroll\" tabindex=\"0\"><table class=\"matrix\"><thead><tr><th>target ↓<br>predicted →</th>",
    );
    for i in &seen {
        let _ = write!(out, "<th class=\"n\" scope=\"col\">{}</th>", names[*i]);
    }
    out.push_str("</tr></thead>\n<tbody>\n");
    for t in &seen {
        let row = &matrix[*t];
        let _ = write!(out, "<tr><th scope=\"row\">{}</th>", names[*t]);
        let whole = row.iter().sum::<u64>().max(1) as f64;
        for p in &seen {
            let n = row[*p];
            let percent = (100.0 * n as f64 / whole).round();
            let class = match (n, t == p) {
                (0, _) => "n zero",
                (_, true) => "n right",
                (_, false) => "n wrong",
            };
            let _ = write!(
                out,
                "<td class=\"{class}\" style=\"--p:{percent}%\">{n}</td>"
            );
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody></table></div>\n");
    if seen.len() < names.len() {
        let absent = names.len() - seen.len();
        let said =
            format!("{absent} classes are left out: they have no target and were never predicted.");
        out.push_str(&html::note(&said));
    }
    out
}

fn list(all: &OfClasses) -> String {
    let mut wrong: Vec<(usize, usize, u64)> = match (&all.confusion.pairs, &all.confusion.matrix) {
        (Some(pairs), _) => pairs.clone(),
        (None, Some(matrix)) => {
            let rows = matrix.iter().enumerate();
            rows.flat_map(|(t, row)| row.iter().enumerate().map(move |(p, n)| (t, p, *n)))
                .collect()
        }
        (None, None) => vec![],
    };
    wrong.retain(|(t, p, n)| t != p && *n > 0);
    wrong.sort_by_key(|(t, p, n)| (std::cmp::Reverse(*n), *t, *p));
    if wrong.is_empty() {
        return html::note("No target was taken for another class.");
    }
    let name = |i: usize| Cell::Markup(html::name(&all.classes[i].name));
    let rows: Vec<Vec<Cell>> = wrong
        .iter()
        .take(CONFUSIONS)
        .map(|(t, p, n)| vec![name(*t), name(*p), number(n.to_string())])
        .collect();
    format!(
        "<h3>Most often wrong</h3>\n{}",
        html::table(&["target", "predicted", "times"], &rows)
    )
}

fn of_values(all: &[Value]) -> String {
    let row = |v: &Value| {
        vec![
            Cell::Markup(html::name(&v.name)),
            number(digits(v.mae)),
            number(digits(v.rmse)),
            number(v.r2.map_or("-".into(), digits)),
        ]
    };
    let rows: Vec<Vec<Cell>> = all.iter().map(row).collect();
    html::table(&["target", "MAE", "RMSE", "R²"], &rows)
}
