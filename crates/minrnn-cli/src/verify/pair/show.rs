//! What a comparison of two files found, for people: text, Markdown, a picture.

use comfy_table::{Cell, Color, Table};

use super::report::{Pair, Report};
use crate::table::table;
use crate::verify::picture::{self, Curve};

impl Report {
    /// For a terminal; what does not hold is red where there are colours.
    pub(crate) fn text(&self, colour: bool) -> String {
        let pairs: Vec<String> = self.pairs.iter().map(|pair| pair.text(colour)).collect();
        let (verdict, engines) = self.verdict();
        let verdict = match colour && !self.holds {
            true => format!("\u{1b}[31m{verdict}\u{1b}[39m"),
            false => verdict.to_owned(),
        };
        format!("{}\n{verdict}{engines}\n", pairs.join("\n"))
    }

    /// The same as Markdown. `picture`: the name of the file with [`Self::picture`], beside it.
    pub(crate) fn markdown(&self, picture: Option<&str>) -> String {
        let pairs = self.pairs.iter().map(Pair::markdown).collect::<String>();
        let picture = picture.map(picture::markdown).unwrap_or_default();
        let (verdict, engines) = self.verdict();
        let verdict = match self.holds {
            true => verdict.to_owned(),
            false => format!("**{verdict}**"),
        };
        format!("# Verification\n\n{verdict}{engines}\n\n{picture}{pairs}")
    }

    /// How far each tensor is off, against T, as an SVG.
    pub(crate) fn picture(&self) -> anyhow::Result<String> {
        let many = self.pairs.len() > 1;
        let mut curves = vec![];
        for (i, pair) in self.pairs.iter().enumerate() {
            let of = if many {
                format!("{}: ", i + 1)
            } else {
                String::new()
            };
            for row in pair.rows.iter().filter(|r| !r.errors_by_length.is_empty()) {
                curves.push(Curve {
                    name: format!("{of}{}, {}, {}", row.who(), row.check, row.tensor),
                    errors: row.errors_by_length.clone(),
                    holds: row.holds,
                });
            }
        }
        picture::svg(&curves)
    }
}

impl Pair {
    fn text(&self, colour: bool) -> String {
        let mut text = format!("{} against {}\n", self.first, self.second);
        if !self.rows.is_empty() {
            text.push_str(&format!("{}\n", self.table(colour)));
        }
        text + &self.remarks()
    }

    /// The same as Markdown.
    fn markdown(&self) -> String {
        let mut table = self.table(false);
        table.load_style(comfy_table::presets::ASCII_MARKDOWN);
        let table = match self.rows.is_empty() {
            true => String::new(),
            false => format!("{table}\n\n"),
        };
        let (first, second) = (&self.first, &self.second);
        format!("## {first} against {second}\n\n{table}{}\n", self.remarks())
    }

    /// Where it fails, and what is said of the whole, a line each.
    fn remarks(&self) -> String {
        let mut text = String::new();
        for row in self.rows.iter().filter(|r| !r.holds) {
            if let Some(w) = &row.worst {
                let place = format!(
                    "- {}, {}, `{}`: worst at {:?} ({}): {} against {}",
                    row.who(),
                    row.check,
                    row.tensor,
                    w.index,
                    w.case,
                    w.first,
                    w.second
                );
                text.push_str(&format!(
                    "{place}; {} of {} values fail\n",
                    row.failing, row.values
                ));
            }
        }
        for row in self.rows.iter().filter(|r| !r.holds) {
            if let Some(said) = &row.said {
                text.push_str(&format!("- {}, {}: {said}\n", row.who(), row.check));
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

    fn table(&self, colour: bool) -> Table {
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
                (true, _) if r.is_open() => Cell::new("cannot be told"),
                (true, _) if r.is_outgrown() => {
                    Cell::new(format!("to T = {}", r.grows.unwrap_or_default()))
                }
                (true, _) if r.is_untold() => Cell::new("cannot be told"),
                (true, _) => Cell::new("yes"),
                (_, true) if colour => Cell::new("NO").fg(Color::Red),
                (_, true) => Cell::new("NO"),
                _ => Cell::new("engine"),
            };
            let cells = [
                r.who(),
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
    } else if x.is_nan() {
        "-".into()
    } else {
        format!("{x:.1e}")
    }
}

#[cfg(test)]
mod tests {
    use super::super::report::Row;
    use super::*;
    use crate::verify::picture::ByLength;
    use crate::verify::who::Who;

    fn row(holds: bool, decides: bool) -> Row {
        Row {
            check: "whole".into(),
            by: "judge".into(),
            version: "1".into(),
            tensor: "y".into(),
            cases: 3,
            values: 12,
            failing: usize::from(!holds),
            max_abs: 0.5,
            max_ulp: 7,
            tolerance: 1e-6,
            of_tolerance: 5e5,
            min_tolerance: 0.5,
            worst: None,
            zeros: [0.0, 0.25],
            on_edge: 0,
            argmax: None,
            holds,
            errors_by_length: ByLength::default(),
            decides,
            untold: 0,
            still: false,
            no_number: 0,
            nowhere: None,
            beyond: 0,
            outside: None,
            tipped: 0,
            open: false,
            grows: None,
            said: None,
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
            asked: vec![],
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
