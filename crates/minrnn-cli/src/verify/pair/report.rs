//! What a comparison of two files found.

use comfy_table::{Cell, Color};
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

    /// For a terminal; what does not hold is red where there are colours.
    pub(crate) fn text(&self, colour: bool) -> String {
        let pairs: Vec<String> = self.pairs.iter().map(|pair| pair.text(colour)).collect();
        let verdict = match (self.holds, colour) {
            (true, _) => "Everything holds.",
            (false, false) => "SOMETHING DOES NOT HOLD.",
            (false, true) => "\u{1b}[31mSOMETHING DOES NOT HOLD.\u{1b}[39m",
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
    fn text(&self, colour: bool) -> String {
        let mut text = format!("{} against {}\n", self.first, self.second);
        if !self.rows.is_empty() {
            text.push_str(&format!("{}\n", self.table(colour)));
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

    fn table(&self, colour: bool) -> comfy_table::Table {
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
        let mut table = table(header, [], &[3, 4, 5, 6, 7]);
        if colour {
            table.enforce_styling();
        }
        for r in &self.rows {
            let [a, b] = r.zeros.map(|z| format!("{:.1} %", 100.0 * z));
            let holds = match (r.holds, r.decides) {
                (true, _) => Cell::new("yes"),
                (_, true) if colour => Cell::new("NO").fg(Color::Red),
                (_, true) => Cell::new("NO"),
                _ => Cell::new("engine"),
            };
            let cells = [
                r.by.clone(),
                r.check.clone(),
                r.tensor.clone(),
                r.cases.to_string(),
                number(r.max_abs),
                number(r.tolerance),
                number(r.min_tolerance),
                if a == b { a } else { format!("{a} : {b}") },
            ];
            table.add_row(cells.map(Cell::new).into_iter().chain([holds]));
        }
        table
    }
}

pub(crate) fn number(x: f64) -> String {
    if x == 0.0 {
        "0".into()
    } else {
        format!("{x:.1e}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(holds: bool, decides: bool) -> Row {
        Row {
            check: "whole".into(),
            by: "judge".into(),
            tensor: "y".into(),
            cases: 3,
            values: 12,
            failing: usize::from(!holds),
            max_abs: 0.5,
            max_ulp: 7,
            tolerance: 1e-6,
            min_tolerance: 0.5,
            worst: None,
            zeros: [0.0, 0.25],
            on_edge: 0,
            holds,
            decides,
        }
    }

    #[test]
    fn what_does_not_hold_is_red_where_colours_are() {
        let report = Report::new(vec![Pair {
            mode: "file against file",
            first: "a.onnx".into(),
            second: "b.onnx".into(),
            holds: false,
            rows: vec![row(false, true), row(false, false), row(true, true)],
            bisect: None,
            notes: vec![],
            judge: Who {
                name: "judge".into(),
                version: "1".into(),
            },
            engines: vec![],
        }]);
        let plain = report.text(false);
        assert!(!plain.contains('\u{1b}'), "{plain:?}");
        let coloured = report.text(true);
        let red: Vec<&str> = coloured.lines().filter(|l| l.contains("\u{1b}[")).collect();
        assert_eq!(red.len(), 2, "the row and the verdict: {coloured:?}");
        assert!(
            red[0].contains("NO") && red[1].contains("DOES NOT HOLD"),
            "{red:?}"
        );
        let bare: String = coloured
            .split('\u{1b}')
            .enumerate()
            .map(|(i, part)| match i {
                0 => part,
                _ => part.split_once('m').map_or("", |(_, rest)| rest),
            })
            .collect();
        assert_eq!(bare, plain, "colours change nothing else");
    }
}
