//! Labelled sequences of a CSV file: the page that a guess becomes.

use anyhow::{Result, bail};
use minrnn_train::data::{CsvFormat, csv_columns, csv_rows};

use super::columns::{Columns, ROWS};
use super::format;
use super::guess::Guess;
use super::write::{Page, Sizes, Value, parts, rest};
use crate::args::Init;

/// The file, and what is to be said of it.
pub(super) fn configuration(args: &Init) -> Result<(String, Vec<String>)> {
    let Some(path) = &args.file else {
        return Ok((page("pump.csv", &example()), vec![]));
    };
    if path
        .extension()
        .is_some_and(|e| e.eq_ignore_ascii_case("parquet"))
    {
        bail!(
            "{} is Parquet, and `minrnn init` guesses from CSV; `minrnn init csv` without a file writes the same keys, of which path, id_column, feature_columns, target_columns and ignore_columns are yours to fill in",
            path.display()
        );
    }
    let format = format::of(path, args)?;
    let table = Columns {
        path,
        header: format.header,
        names: csv_columns(path, format)?,
        rows: csv_rows(path, format, ROWS + 1)?,
    };
    if table.rows.is_empty() {
        bail!(
            "{}: there are no rows below the first one, which names the columns",
            path.display()
        );
    }
    let guess = Guess {
        format,
        ..table.guess(args)?
    };
    Ok((page(&path.display().to_string(), &guess), guess.notes))
}

fn example() -> Guess {
    let names = |all: &[&str]| all.iter().map(|n| (*n).to_owned()).collect();
    Guess {
        id: "run".into(),
        features: names(&["flow", "pressure"]),
        targets: names(&["level"]),
        ignored: vec![],
        time: Some("time".into()),
        format: CsvFormat::default(),
        notes: vec![],
        classes: false,
        per_step: true,
        sequences: 100,
        longest: 64,
        seen: false,
        cut: false,
    }
}

fn page(path: &str, guess: &Guess) -> String {
    const TABLE: &str = "task.sequences";
    let mut page = Page::default();
    page.note("Labels of sequences, a row a step: `minrnn train` with this file, then `minrnn eval` with the run.");
    if guess.seen {
        page.note("Which column is what was guessed: hold it against your data.");
    }
    guess.notes.iter().for_each(|note| page.note(note));
    page.table("task");
    page.key(TABLE, "kind", Value::Text("sequences"), "");
    page.key(TABLE, "path", Value::Text(path), "");
    let more = if guess.cut { "at least " } else { "" };
    let why = match guess.seen {
        true => format!(
            "{more}{} sequences, the longest of {} steps",
            guess.sequences, guess.longest
        ),
        false => "an example, as all columns here".to_owned(),
    };
    page.key(TABLE, "id_column", Value::Text(&guess.id), &why);
    page.key(TABLE, "feature_columns", Value::Texts(&guess.features), "");
    page.key(TABLE, "target_columns", Value::Texts(&guess.targets), "");
    if let Some(time) = &guess.time {
        page.key(TABLE, "time_column", Value::Text(time), "");
    }
    if !guess.ignored.is_empty() {
        let why =
            "clocks, counters, constants and texts; move one to feature_columns if it is a feature";
        page.key(TABLE, "ignore_columns", Value::Texts(&guess.ignored), why);
    }
    format::keys(&mut page, TABLE, guess.format);
    let target = if guess.classes { "classes" } else { "values" };
    page.key(TABLE, "target", Value::Text(target), "");
    let (per, why) = match guess.per_step {
        true if !guess.seen => ("step", ""),
        true => ("step", "the label changes within sequences"),
        false => (
            "sequence",
            "the label is the same in all rows of a sequence",
        ),
    };
    page.key(TABLE, "per", Value::Text(per), why);
    let evaluates = parts(&mut page, guess.sequences);
    let sizes = Sizes {
        width: 64,
        longest: guess.longest,
        steps: 1000,
        batch: (guess.sequences / 4).clamp(1, 16),
        evaluates,
    };
    rest(&mut page, &sizes);
    page.finish()
}

#[cfg(test)]
#[path = "csv_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "left_out_tests.rs"]
mod left_out_tests;
