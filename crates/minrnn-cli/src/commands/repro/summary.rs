//! Rows of a table: the runs of each together, the paper's numbers beside ours.

use super::experiment::{Better, Column, Experiment, Row};
use super::outcome::Done;

/// A row with its runs.
pub(super) struct Summary<'a> {
    pub(super) row: &'a Row,
    /// The row's, with the device where there are results of both.
    pub(super) title: String,
    pub(super) runs: Vec<&'a Done>,
}

/// Rows that have a run, in the order of the experiment; those of the CPU behind, where runs of both devices are two results.
pub(super) fn all<'a>(experiment: &'a Experiment, done: &'a [Done]) -> Vec<Summary<'a>> {
    let of = |row: &'a Row, on: &dyn Fn(&Done) -> bool, device: &str| {
        let is = |d: &&Done| d.outcome.row == row.name && on(d);
        Summary {
            row,
            title: titled(experiment, row, device),
            runs: done.iter().filter(is).collect(),
        }
    };
    let rows = experiment.row.iter();
    let rows: Vec<Summary> = match experiment.by_device {
        false => rows.map(|row| of(row, &|_| true, "")).collect(),
        true => ["cuda", "cpu"]
            .into_iter()
            .flat_map(|device| {
                let on = move |d: &Done| d.outcome.device == device;
                let rows = experiment.row.iter();
                rows.map(move |row| of(row, &on, device))
            })
            .collect(),
    };
    rows.into_iter().filter(|s| !s.runs.is_empty()).collect()
}

/// What a row is called: with its device, where there may be results of both.
pub(super) fn titled(experiment: &Experiment, row: &Row, device: &str) -> String {
    match experiment.by_device && device == "cpu" {
        true => format!("{}, CPU", row.title),
        false => row.title.clone(),
    }
}

impl Summary<'_> {
    /// What the title has of the device.
    pub(super) fn on(&self) -> &str {
        self.title
            .strip_prefix(self.row.title.as_str())
            .unwrap_or_default()
    }

    /// A figure of all of its runs.
    pub(super) fn values(&self, key: &str) -> Vec<f64> {
        self.runs.iter().filter_map(|d| d.get(key)).collect()
    }

    pub(super) fn mean(&self, key: &str) -> Option<f64> {
        mean(&self.values(key))
    }

    /// `1.4873`, of several runs with their deviation.
    pub(super) fn cell(&self, column: &Column) -> String {
        let values = self.values(&column.key);
        let Some(mean) = mean(&values) else {
            return String::new();
        };
        match deviation(&values) {
            Some(d) => format!(
                "{} ± {}",
                figure(mean, column.digits),
                figure(d, column.digits)
            ),
            None => figure(mean, column.digits),
        }
    }

    /// The verdict over all of its runs: `holds`, `2 of 3 hold`.
    pub(super) fn verdict(&self) -> String {
        let models: Vec<bool> = self
            .runs
            .iter()
            .filter_map(|d| d.outcome.model.as_ref().map(|m| m.holds))
            .collect();
        match (models.len(), models.iter().filter(|h| **h).count()) {
            (0, _) => String::new(),
            (n, hold) if n == hold => "holds".into(),
            (n, hold) => format!("{hold} of {n} hold"),
        }
    }

    /// How each figure stands to the paper's: one that falls short is said to.
    pub(super) fn against(&self, experiment: &Experiment) -> String {
        let held = experiment.column.iter().filter_map(|column| {
            let (better, paper) = (column.better?, self.row.paper.get(&column.key)?);
            let ours = self.mean(&column.key)?;
            let ahead = match better {
                Better::Lower => paper - ours,
                Better::Higher => ours - paper,
            };
            let by = figure(ahead.abs(), column.digits);
            Some(match ahead {
                a if a >= 0.0 => format!("{} reached, by {by}", column.title),
                _ => format!("{} **short by {by}**", column.title),
            })
        });
        held.collect::<Vec<_>>().join("; ")
    }
}

/// A number with so many digits behind the point; very small ones as powers of ten.
pub(super) fn figure(value: f64, digits: usize) -> String {
    let small = value != 0.0 && value.abs() < 0.5 * 0.1_f64.powi(digits as i32);
    match small {
        true => format!("{value:.1e}"),
        false => format!("{value:.digits$}"),
    }
}

/// As the experiment's file has it.
pub(super) fn plain(value: f64) -> String {
    format!("{value}")
}

fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// Of a sample.
fn deviation(values: &[f64]) -> Option<f64> {
    let mean = mean(values).filter(|_| values.len() > 1)?;
    let squares: f64 = values.iter().map(|v| (v - mean) * (v - mean)).sum();
    Some((squares / (values.len() - 1) as f64).sqrt())
}
