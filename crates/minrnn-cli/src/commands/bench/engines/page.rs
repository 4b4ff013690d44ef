//! The matrix as a section of `docs/engines.md`.

use anyhow::{Result, bail};

use super::matrix::{FileRow, Found, Matrix, Verdict};

pub(super) const BEGIN: &str = "<!-- table: engines -->";
pub(super) const END: &str = "<!-- /table -->";

/// A page with the section in the place of the one that it has.
///
/// # Errors
/// A page without the two marks.
pub(super) fn put(page: &str, section: &str) -> Result<String> {
    let marks = page.split_once(BEGIN);
    let Some((before, Some(at))) = marks.map(|(a, rest)| (a, rest.find(END).map(|i| &rest[i..])))
    else {
        bail!("it has no lines `{BEGIN}` and `{END}`, between which the tables go");
    };
    Ok(format!("{before}{BEGIN}\n{section}{at}"))
}

/// Versions, a table by engine and form, and one of all files for each form.
pub(super) fn section(matrix: &Matrix) -> String {
    let mut text = format!(
        "\nJudge {}, T up to {}. Errors are the largest of all values, in units of what is allowed (1: just within).\n\n",
        matrix.judge, matrix.longest
    );
    text.push_str(&summary(matrix));
    let mut reasons: Vec<&str> = vec![];
    for form in forms(matrix) {
        text.push_str(&format!(
            "\n### {form}\n\n{}",
            files(matrix, form, &mut reasons)
        ));
    }
    if !reasons.is_empty() {
        text.push('\n');
    }
    for (i, why) in reasons.iter().enumerate() {
        text.push_str(&format!("{}. {}\n", i + 1, plain(why)));
    }
    if !matrix.absent.is_empty() {
        text.push_str(&format!("\nNot here: {}.\n", matrix.absent.join(", ")));
    }
    text.push('\n');
    text
}

fn forms(matrix: &Matrix) -> Vec<&str> {
    let mut all: Vec<&str> = vec![];
    for row in &matrix.rows {
        if !all.contains(&row.form.as_str()) {
            all.push(&row.form);
        }
    }
    all
}

/// One line for each engine and form.
fn summary(matrix: &Matrix) -> String {
    let mut text = line(&[
        "engine",
        "form",
        "right",
        "refused",
        "wrong",
        "largest error",
        "of states",
        "argmax",
    ]);
    text.push_str("|---|---|---:|---:|---:|---:|---:|---:|\n");
    for (i, engine) in matrix.engines.iter().enumerate() {
        for form in forms(matrix) {
            let found: Vec<&Found> = matrix
                .rows
                .iter()
                .filter(|r| r.form == form)
                .filter_map(|r| r.results.get(i))
                .collect();
            let count = |v: Verdict| found.iter().filter(|f| f.verdict == v).count().to_string();
            let right = || found.iter().filter(|f| f.verdict != Verdict::Refused);
            let most =
                |of: fn(&Found) -> Option<f64>| right().filter_map(|f| of(f)).reduce(f64::max);
            let argmax = right().filter_map(|f| f.argmax).reduce(f64::min);
            text.push_str(&line(&[
                &format!("{} {}", engine.name, engine.version),
                form,
                &count(Verdict::Right),
                &count(Verdict::Refused),
                &count(Verdict::Wrong),
                &number(most(|f| f.error)),
                &number(most(|f| f.state)),
                &argmax.map_or("-".into(), |a| format!("{:.2} %", 100.0 * a)),
            ]));
        }
    }
    text
}

/// The files of a form: the larger error of outputs and states, or why there is none.
fn files<'a>(matrix: &'a Matrix, form: &str, reasons: &mut Vec<&'a str>) -> String {
    let engines = matrix.engines.iter().map(|e| e.name.as_str());
    let head: Vec<&str> = ["model", "type"].into_iter().chain(engines).collect();
    let mut text = line(&head);
    let rule = format!("|---|---|{}\n", "---:|".repeat(matrix.engines.len()));
    text.push_str(&rule);
    for row in matrix.rows.iter().filter(|r| r.form == form) {
        text.push_str(&file(row, reasons));
    }
    text
}

fn file<'a>(row: &'a FileRow, reasons: &mut Vec<&'a str>) -> String {
    let mut cells = vec![row.model.clone(), row.dtype.clone()];
    for found in &row.results {
        let mark = found.why.as_deref().map(|why| {
            let known = reasons.iter().position(|r| *r == why);
            known.unwrap_or_else(|| {
                reasons.push(why);
                reasons.len() - 1
            }) + 1
        });
        let mark = mark.map_or(String::new(), |n| format!(" ({n})"));
        let both = found.error.into_iter().chain(found.state);
        cells.push(match found.verdict {
            Verdict::Right => number(both.reduce(f64::max)),
            Verdict::Wrong => format!("**wrong**{mark}"),
            Verdict::Refused => format!("refused{mark}"),
            Verdict::None => "-".into(),
        });
    }
    let cells: Vec<&str> = cells.iter().map(String::as_str).collect();
    line(&cells)
}

fn line(cells: &[&str]) -> String {
    format!("| {} |\n", cells.join(" | "))
}

fn number(x: Option<f64>) -> String {
    match x {
        None => "-".into(),
        Some(x) if x < 0.001 => "0".into(),
        Some(x) if x < 10.0 => format!("{x:.3}"),
        Some(x) => format!("{x:.1e}"),
    }
}

/// Words of an engine, without marks of Markdown.
fn plain(why: &str) -> String {
    let mark = |c: char| "|<>*_[]".contains(c);
    why.chars()
        .flat_map(|c| mark(c).then_some('\\').into_iter().chain([c]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::matrix::SCHEMA;
    use super::*;
    use crate::verify::contender::NAMES;

    const PAGE: &str = include_str!("../../../../../../docs/engines.md");
    const DATA: &str = include_str!("../../../../../../docs/engines.json");

    #[test]
    fn the_page_shows_the_figures_that_are_kept() {
        let matrix: Matrix = serde_json::from_str(DATA).unwrap();
        assert_eq!(matrix.schema, SCHEMA);
        assert_eq!(
            put(PAGE, &section(&matrix)).unwrap(),
            PAGE,
            "minrnn bench engines --out docs/engines.md --json docs/engines.json makes both"
        );
        let engines = matrix.engines.iter().map(|e| e.name.as_str());
        let all: Vec<&str> = engines
            .chain(matrix.absent.iter().map(String::as_str))
            .collect();
        for name in NAMES {
            assert!(
                all.contains(&name),
                "{name} has a column, or is said not to be here"
            );
        }
        // Workers of their own too.
        for name in all {
            assert!(PAGE.contains(&format!("`{name}`")), "{name} is described");
        }
    }

    #[test]
    fn a_page_without_marks_is_left_as_it_is() {
        assert!(put("text", "x").is_err());
        assert!(put(&format!("{END}{BEGIN}"), "x").is_err());
        let page = format!("a\n{BEGIN}\nold\n{END}\nb\n");
        let new = put(&page, "new\n").unwrap();
        assert_eq!(new, format!("a\n{BEGIN}\nnew\n{END}\nb\n"));
        assert_eq!(put(&new, "new\n").unwrap(), new);
    }

    #[test]
    fn numbers_are_short() {
        let shown = [None, Some(0.0), Some(0.123_456), Some(1e6)].map(number);
        assert_eq!(shown, ["-", "0", "0.123", "1.0e6"]);
        assert_eq!(plain("a|b <c>"), "a\\|b \\<c\\>");
    }
}
