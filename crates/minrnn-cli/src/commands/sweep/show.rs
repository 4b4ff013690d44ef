//! A sweep as tables: for the terminal, as Markdown, as CSV.

use super::outcome::Outcome;
use crate::table::{escaped, quoted, wide};
use crate::training::{number, percent};

/// A run that is over.
#[derive(Debug)]
pub(super) struct Row {
    /// The name of its folder.
    pub(super) run: String,
    /// A value for each key.
    pub(super) values: Vec<String>,
    pub(super) outcome: Outcome,
}

/// From the lowest validation loss to the highest, then runs without one, then those that failed; else as they are numbered.
pub(super) fn rank(rows: &mut [Row]) {
    rows.sort_by(|a, b| {
        let failed = |r: &Row| r.outcome.failed.is_some();
        (failed(a).cmp(&failed(b))).then(a.outcome.rank().total_cmp(&b.outcome.rank()))
    });
}

fn header(keys: &[String]) -> Vec<String> {
    let results = [
        "best validation loss",
        "after step",
        "loss at the end",
        "accuracy at the end",
    ];
    let first = std::iter::once("run".to_owned());
    first
        .chain(keys.iter().cloned())
        .chain(results.map(str::to_owned))
        .collect()
}

/// Cells of a row; of a run that failed, `failed` in the place of its loss.
fn cells(row: &Row, loss: impl Fn(f64) -> String, share: impl Fn(f64) -> String) -> Vec<String> {
    let Outcome { best, failed, .. } = &row.outcome;
    let lowest = match (best, failed) {
        (_, Some(_)) => "failed".to_owned(),
        (Some(best), None) => loss(best.loss),
        (None, None) => String::new(),
    };
    let mut cells = vec![row.run.clone()];
    cells.extend(row.values.iter().cloned());
    cells.extend([
        lowest,
        best.as_ref().map_or(String::new(), |b| b.step.to_string()),
        row.outcome.loss.map_or(String::new(), loss),
        row.outcome.accuracy.map_or(String::new(), share),
    ]);
    cells
}

/// The table for people.
pub(super) fn table(keys: &[String], rows: &[Row]) -> comfy_table::Table {
    let right = 1..keys.len() + 5;
    wide(
        header(keys),
        rows.iter().map(|r| cells(r, number, percent)),
        right,
    )
}

/// Why runs failed, a line each.
pub(super) fn failures(rows: &[Row]) -> String {
    let line = |r: &Row| Some(format!("{}: {}\n", r.run, r.outcome.failed.as_ref()?));
    rows.iter().filter_map(line).collect()
}

/// The same as Markdown, with the picture.
pub(super) fn markdown(keys: &[String], rows: &[Row], picture: &str) -> String {
    let right = 1..keys.len() + 5;
    let plain = |cells: Vec<String>| cells.iter().map(|c| escaped(c)).collect::<Vec<_>>();
    let body = rows.iter().map(|r| plain(cells(r, number, percent)));
    let mut table = wide(plain(header(keys)), body, right);
    table.load_style(comfy_table::presets::ASCII_MARKDOWN);
    let failed = match failures(rows) {
        none if none.is_empty() => none,
        lines => format!(
            "\n{}",
            lines
                .lines()
                .map(|l| format!("- {}\n", escaped(l)))
                .collect::<String>()
        ),
    };
    format!("# Sweep\n\n![Lowest validation loss against each key]({picture})\n\n{table}\n{failed}")
}

/// The same as CSV, numbers with all their digits.
pub(super) fn csv(keys: &[String], rows: &[Row]) -> String {
    let line = |cells: Vec<String>| {
        let cells: Vec<String> = cells.iter().map(|c| quoted(c)).collect();
        format!("{}\n", cells.join(","))
    };
    let all = |x: f64| format!("{x:?}");
    let body = rows.iter().map(|r| line(cells(r, all, all)));
    std::iter::once(line(header(keys))).chain(body).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::sweep::outcome::Best;

    fn row(run: &str, value: &str, loss: Option<f64>, failed: Option<&str>) -> Row {
        let outcome = Outcome {
            set: vec![],
            best: loss.map(|loss| Best { loss, step: 20 }),
            loss,
            accuracy: None,
            failed: failed.map(str::to_owned),
            data: None,
        };
        Row {
            run: run.into(),
            values: vec![value.into()],
            outcome,
        }
    }

    #[test]
    fn the_lowest_loss_is_first_and_failures_last() {
        let mut rows = [
            row("000", "1", None, Some("loss is not finite")),
            row("001", "[1, 2]", Some(2.0), None),
            row("002", "\"a\"", None, None),
            row("003", "0.5", Some(0.1), None),
        ];
        rank(&mut rows);
        let keys = ["train.lr".to_owned()];
        let text = csv(&keys, &rows);
        assert_eq!(
            text,
            "run,train.lr,best validation loss,after step,loss at the end,accuracy at the end\n\
             003,0.5,0.1,20,0.1,\n001,\"[1, 2]\",2.0,20,2.0,\n002,\"\"\"a\"\"\",,,,\n000,1,failed,,,\n"
        );
        rows[1].values = vec!["\"a|<b>\"".into()];
        let text = markdown(&keys, &rows, "sweep.svg");
        assert!(text.contains("\"a\\|&lt;b>\""), "{text}");
        assert!(text.contains("- 000: loss is not finite\n"), "{text}");
    }
}
