//! What a comparison of two files found.

use serde::Serialize;

use crate::table::table;
use crate::verify::bisect::Culprit;

/// The whole report, schema `minrnn.verify.pair/2`.
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
    /// Those that fail first.
    pub(crate) rows: Vec<Row>,
    pub(crate) bisect: Option<Culprit>,
    pub(crate) notes: Vec<String>,
    /// Who computed the rows: the judge, then the engines.
    pub(crate) judge: Who,
    pub(crate) engines: Vec<Who>,
}

/// A judge or an engine.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Who {
    pub(crate) name: String,
    pub(crate) version: String,
}

/// One tensor in one check, over many cases.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Row {
    pub(crate) check: String,
    /// `judge`, or the engine that is held to it.
    pub(crate) by: String,
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
    /// Values that hang on a decision within rounding; of them one quantum is allowed.
    pub(crate) on_edge: usize,
    pub(crate) holds: bool,
    /// Whether the verdict hangs on it: an engine that nobody asked for may be wrong without the files being so.
    pub(crate) decides: bool,
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

impl Report {
    pub(crate) fn new(pairs: Vec<Pair>) -> Self {
        let holds = !pairs.is_empty() && pairs.iter().all(|p| p.holds);
        Self {
            schema: "minrnn.verify.pair/2",
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
        let mut text = format!("{}\n{verdict}\n", pairs.join("\n"));
        let wrong: Vec<&Row> = self
            .pairs
            .iter()
            .flat_map(|p| &p.rows)
            .filter(|r| !r.holds && !r.decides)
            .collect();
        if let Some(row) = wrong.first() {
            text.push_str(&format!(
                "An engine is wrong, not the files: {} (its rows are marked `engine`).\n",
                row.by
            ));
        }
        text
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
                    "- {}, {}, `{}`: worst at {:?} ({}): {} against {}",
                    row.by, row.check, row.tensor, w.index, w.case, w.first, w.second
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
            "by",
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
            let holds = match (r.holds, r.decides) {
                (true, _) => "yes",
                (_, true) => "NO",
                _ => "engine",
            };
            [
                r.by.clone(),
                r.check.clone(),
                r.tensor.clone(),
                r.cases.to_string(),
                number(r.max_abs),
                number(r.tolerance),
                number(r.min_tolerance),
                if a == b { a } else { format!("{a} : {b}") },
                holds.into(),
            ]
        });
        table(header, rows, &[3, 4, 5, 6, 7])
    }
}

pub(crate) fn number(x: f64) -> String {
    if x == 0.0 {
        "0".into()
    } else {
        format!("{x:.1e}")
    }
}
