//! What a comparison of two files found.

use minrnn_model::compare::{Comparison, Worst};
use serde::Serialize;

use super::case::Ran;
use super::tensor::Tensor;
use super::yardstick::{Yardstick, tensors};
use super::{case::Case, case::Two, yardstick};
use crate::table::table;
use crate::verify::bisect::Culprit;

/// The whole report, schema `minrnn.verify.pair/1`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Report {
    pub(crate) schema: &'static str,
    /// Whether all pairs hold.
    pub(crate) holds: bool,
    pub(crate) pairs: Vec<Pair>,
}

/// Two files.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Pair {
    /// `sequence against step`, or `file against file`.
    pub(crate) mode: &'static str,
    pub(crate) first: String,
    pub(crate) second: String,
    pub(crate) holds: bool,
    pub(crate) rows: Vec<Row>,
    pub(crate) bisect: Option<Culprit>,
    pub(crate) notes: Vec<String>,
}

/// One tensor in one check, over many cases.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Row {
    pub(crate) check: &'static str,
    pub(crate) tensor: String,
    pub(crate) cases: usize,
    pub(crate) values: usize,
    pub(crate) failing: usize,
    /// `null` in JSON where values are not comparable.
    pub(crate) max_abs: f64,
    pub(crate) max_ulp: u64,
    /// The tolerance of the worst case.
    pub(crate) tolerance: f64,
    /// Smallest absolute tolerance by which all would pass; `null` in JSON: none.
    pub(crate) min_tolerance: f64,
    pub(crate) worst: Option<Place>,
    /// Shares of values that are exactly 0, in the first and the second file.
    pub(crate) zeros: [f64; 2],
    pub(crate) holds: bool,
}

/// A value that differs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Place {
    pub(crate) case: String,
    pub(crate) batch: usize,
    pub(crate) time: usize,
    pub(crate) index: Vec<usize>,
    pub(crate) first: f64,
    pub(crate) second: f64,
}

/// A check in the making: one row for each tensor.
#[derive(Debug)]
pub(crate) struct Check {
    name: &'static str,
    rows: Vec<(Row, Comparison, [usize; 2])>,
}

impl Check {
    pub(crate) fn new(name: &'static str, two: &Two) -> Self {
        let row = |tensor: String| {
            let row = Row {
                check: name,
                tensor,
                cases: 0,
                values: 0,
                failing: 0,
                max_abs: 0.0,
                max_ulp: 0,
                tolerance: 0.0,
                min_tolerance: 0.0,
                worst: None,
                zeros: [0.0; 2],
                holds: false,
            };
            (row, Comparison::default(), [0; 2])
        };
        Self {
            name,
            rows: yardstick::names(two).into_iter().map(row).collect(),
        }
    }

    /// Compares whole tensors of one case; a tensor that one file does not have is left out.
    pub(crate) fn add(&mut self, case: &Case, first: &Ran, second: &Ran, yard: &Yardstick) {
        let pairs = tensors(first).zip(tensors(second)).enumerate();
        for (i, (a, b)) in pairs {
            if let (Some(a), Some(b)) = (a, b) {
                let tolerance = yard.tolerance(case, i, a.largest().max(b.largest()));
                self.compare(i, case, (a, b), tolerance);
            }
        }
    }

    fn compare(&mut self, i: usize, case: &Case, (a, b): (&Tensor, &Tensor), tolerance: f64) {
        let (row, all, zeros) = &mut self.rows[i];
        row.cases += 1;
        let mut c = Comparison::default();
        if a.shape == b.shape {
            a.values
                .iter()
                .zip(&b.values)
                .for_each(|(x, y)| c.push(*x, *y, tolerance));
        } else {
            // Tensors of different shapes have no values in common; one comparison that fails stands for them.
            c.push(f64::NAN, 0.0, tolerance);
        }
        for (n, t) in zeros.iter_mut().zip([a, b]) {
            *n += t.values.iter().filter(|v| **v == 0.0).count();
        }
        let worse = row.worst.is_none() || c.max_abs > all.max_abs;
        if let (Some(Worst { index, got, want }), true) = (&c.worst, worse) {
            let index = if a.shape == b.shape {
                a.index(*index)
            } else {
                vec![]
            };
            row.worst = Some(Place {
                case: case.name(),
                batch: case.batch,
                time: case.time,
                index,
                first: *got,
                second: *want,
            });
            row.tolerance = tolerance;
        } else if row.worst.is_none() {
            row.tolerance = row.tolerance.max(tolerance);
        }
        all.merge(&c);
    }

    /// The rows of tensors that were compared.
    pub(crate) fn rows(self) -> Vec<Row> {
        let name = self.name;
        let row = |(row, c, zeros): (Row, Comparison, [usize; 2])| Row {
            check: name,
            values: c.count,
            failing: c.failing,
            max_abs: c.max_abs,
            max_ulp: c.max_ulp,
            min_tolerance: c.min_tolerance,
            zeros: zeros.map(|n| n as f64 / c.count.max(1) as f64),
            holds: c.holds(),
            ..row
        };
        self.rows
            .into_iter()
            .filter(|(r, ..)| r.cases > 0)
            .map(row)
            .collect()
    }
}

impl Report {
    pub(crate) fn new(pairs: Vec<Pair>) -> Self {
        let holds = !pairs.is_empty() && pairs.iter().all(|p| p.holds);
        Self {
            schema: "minrnn.verify.pair/1",
            holds,
            pairs,
        }
    }

    /// For a terminal.
    pub(crate) fn text(&self) -> String {
        let pairs: Vec<String> = self.pairs.iter().map(Pair::text).collect();
        let verdict = if self.holds {
            "Everything holds."
        } else {
            "SOMETHING DOES NOT HOLD."
        };
        format!("{}\n{verdict}\n", pairs.join("\n"))
    }
}

impl Pair {
    fn text(&self) -> String {
        let mut text = format!("{} against {}\n", self.first, self.second);
        if !self.rows.is_empty() {
            text.push_str(&format!("{}\n", self.table()));
        }
        for row in self.rows.iter().filter(|r| !r.holds) {
            if let Some(w) = &row.worst {
                let place = format!(
                    "- {}, `{}`: worst at {:?} ({}): {} against {}",
                    row.check, row.tensor, w.index, w.case, w.first, w.second
                );
                text.push_str(&format!(
                    "{place}; {} of {} values fail\n",
                    row.failing, row.values
                ));
            }
        }
        for note in &self.notes {
            text.push_str(&format!("- {note}\n"));
        }
        if let Some(culprit) = &self.bisect {
            text.push_str(&culprit.text());
        }
        text
    }

    fn table(&self) -> comfy_table::Table {
        let header = [
            "check",
            "tensor",
            "cases",
            "max abs",
            "tolerance",
            "would pass at",
            "zeros",
            "holds",
        ];
        let rows = self.rows.iter().map(|r| {
            let [a, b] = r.zeros.map(|z| format!("{:.1} %", 100.0 * z));
            [
                r.check.into(),
                r.tensor.clone(),
                r.cases.to_string(),
                number(r.max_abs),
                number(r.tolerance),
                number(r.min_tolerance),
                if a == b { a } else { format!("{a} : {b}") },
                if r.holds { "yes" } else { "NO" }.into(),
            ]
        });
        table(header, rows, &[2, 3, 4, 5, 6])
    }
}

pub(crate) fn number(x: f64) -> String {
    if x == 0.0 {
        "0".into()
    } else {
        format!("{x:.1e}")
    }
}
