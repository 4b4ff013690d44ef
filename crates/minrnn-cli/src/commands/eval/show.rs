//! Figures as tables for people.

use std::fmt::Write as _;

use super::report::{Class, Entry, OfClasses, Report, Shown, Value};
use crate::table::{grouped, table, wide};
use crate::training::percent;

/// Classes that a table shows; of more those with the most targets.
const CLASSES: usize = 24;
/// Classes of a confusion matrix; of more there is a list of the most frequent confusions.
const MATRIX: usize = 12;
/// Lines of that list.
const CONFUSIONS: usize = 10;

pub(super) fn text(report: &Report) -> String {
    let mut text = head(report);
    let _ = writeln!(text, "{}", overall(&report.figures));
    // Forms of one export have the same figures, or the table above shows that they have not.
    match report.figures.first().map(|f| &f.kind) {
        Some(Shown::Classes(classes)) => text.push_str(&of_classes(classes)),
        Some(Shown::Values { targets }) => text.push_str(&of_values(targets)),
        None => {}
    }
    text
}

fn head(report: &Report) -> String {
    let (model, data) = (&report.model, &report.data);
    let part = match data.split {
        "whole" => "all of it".to_owned(),
        part => format!("{part} part"),
    };
    let file = data
        .path
        .as_ref()
        .map_or(String::new(), |p| format!(" {p}"));
    let number = |n: u64| grouped(usize::try_from(n).unwrap_or(usize::MAX));
    format!(
        "{} on {}{file}, {part}: {} of {} windows, {} targets\n",
        model.path,
        data.task,
        number(data.windows),
        number(data.windows_in_part),
        number(data.targets)
    )
}

/// A line for each engine and form.
fn overall(all: &[Entry]) -> comfy_table::Table {
    let unit = all.first().map_or("", |e| e.loss_unit);
    let mut header = vec![String::new(), format!("loss, {unit}")];
    if let Some(Shown::Classes(classes)) = all.first().map(|e| &e.kind) {
        header.push("accuracy".into());
        header.extend(classes.of_text().map(|(name, _)| name.to_owned()));
        header.push("macro F1".into());
    }
    let rows = all.iter().map(|entry| {
        let who = match entry.form {
            Some(form) => format!("{}, {form}", entry.engine),
            None => entry.engine.to_owned(),
        };
        let mut row = vec![who, number(entry.loss)];
        if let Shown::Classes(classes) = &entry.kind {
            row.push(percent(classes.accuracy));
            row.extend(classes.of_text().map(|(_, figure)| number(figure)));
            row.push(number(classes.mean.f1));
        }
        row
    });
    let columns = 1..header.len();
    wide(header, rows, columns)
}

fn of_classes(all: &OfClasses) -> String {
    let mut order: Vec<usize> = (0..all.classes.len()).collect();
    if order.len() > CLASSES {
        order.sort_by_key(|i| std::cmp::Reverse(all.classes[*i].targets));
        order.truncate(CLASSES);
        order.sort_unstable();
    }
    let row = |c: &Class| {
        [
            shown(&c.name),
            c.targets.to_string(),
            c.predicted.to_string(),
            number(c.precision),
            number(c.recall),
            number(c.f1),
        ]
    };
    let sum = |of: fn(&Class) -> u64| all.classes.iter().map(of).sum::<u64>().to_string();
    let mean = [
        "macro".to_owned(),
        sum(|c| c.targets),
        sum(|c| c.predicted),
        number(all.mean.precision),
        number(all.mean.recall),
        number(all.mean.f1),
    ];
    let header = ["class", "targets", "predicted", "precision", "recall", "F1"];
    let rows = order.iter().map(|i| row(&all.classes[*i])).chain([mean]);
    let mut text = format!("{}\n", table(header, rows, &[1, 2, 3, 4, 5]));
    if order.len() < all.classes.len() {
        let _ = writeln!(
            text,
            "{} of {} classes, those with the most targets; --json has all.",
            order.len(),
            all.classes.len()
        );
    }
    text.push_str(&undefined(all));
    text.push_str(&confusion(all));
    text
}

/// What is 0/0.
fn undefined(all: &OfClasses) -> String {
    let count = |of: fn(&&Class) -> bool| all.classes.iter().filter(of).count();
    let (never, without) = (
        count(|c| c.predicted == 0 && c.targets > 0),
        count(|c| c.targets == 0 && c.predicted > 0),
    );
    let absent = count(|c| c.targets == 0 && c.predicted == 0);
    let mut words = vec![];
    if never > 0 {
        words.push(format!(
            "precision of {never} classes that were never predicted"
        ));
    }
    if without > 0 {
        words.push(format!("recall of {without} classes without a target"));
    }
    let mut text = String::new();
    if !words.is_empty() {
        let _ = writeln!(text, "0/0 counts as 0: {}.", words.join(", "));
    }
    if absent > 0 {
        let _ = writeln!(
            text,
            "{absent} classes have no target and were never predicted: they are not in the macro averages."
        );
    }
    text
}

fn confusion(all: &OfClasses) -> String {
    let names: Vec<String> = all.classes.iter().map(|c| shown(&c.name)).collect();
    if let Some(matrix) = all.confusion.matrix.as_ref().filter(|m| m.len() <= MATRIX) {
        let header = std::iter::once("target \\ predicted".to_owned()).chain(names.clone());
        let row = |(name, row): (&String, &Vec<u64>)| {
            let counts = row.iter().map(u64::to_string);
            std::iter::once(name.clone()).chain(counts).collect()
        };
        let rows = names.iter().zip(matrix).map(row);
        return format!("{}\n", wide(header.collect(), rows, 1..names.len() + 1));
    }
    let mut wrong: Vec<(usize, usize, u64)> = pairs(all);
    wrong.retain(|(target, predicted, n)| target != predicted && *n > 0);
    wrong.sort_by_key(|(target, predicted, n)| (std::cmp::Reverse(*n), *target, *predicted));
    if wrong.is_empty() {
        return String::new();
    }
    let rows = wrong.iter().take(CONFUSIONS);
    let rows = rows.map(|(t, p, n)| [names[*t].clone(), names[*p].clone(), n.to_string()]);
    let header = ["most often wrong: target", "predicted", "times"];
    format!("{}\n", table(header, rows, &[2]))
}

fn pairs(all: &OfClasses) -> Vec<(usize, usize, u64)> {
    if let Some(pairs) = &all.confusion.pairs {
        return pairs.clone();
    }
    let rows = all.confusion.matrix.iter().flatten().enumerate();
    rows.flat_map(|(t, row)| row.iter().enumerate().map(move |(p, n)| (t, p, *n)))
        .collect()
}

fn of_values(all: &[Value]) -> String {
    let row = |v: &Value| {
        [
            v.name.clone(),
            number(v.mae),
            number(v.rmse),
            v.r2.map_or("-".into(), number),
        ]
    };
    let rows = all.iter().map(row);
    format!(
        "{}\n",
        table(["target", "MAE", "RMSE", "R²"], rows, &[1, 2, 3])
    )
}

/// Blanks and line breaks are classes of a text.
fn shown(name: &str) -> String {
    let plain = !name.is_empty() && name.trim() == name && !name.contains(char::is_control);
    if plain {
        name.to_owned()
    } else {
        format!("{name:?}")
    }
}

/// Five digits that mean something.
fn number(value: f64) -> String {
    let size = value.abs();
    match size {
        0.0 => "0".into(),
        _ if !(1e-4..1e9).contains(&size) => format!("{value:.4e}"),
        _ => {
            let before = size.log10().floor() as i32;
            let digits = usize::try_from(4 - before).unwrap_or(0);
            format!("{value:.digits$}")
        }
    }
}
