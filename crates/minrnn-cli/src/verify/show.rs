//! A report for people: text (the whole table where there is room for it, else one that fits), Markdown, a picture.

use anyhow::Result;
use comfy_table::presets::{ASCII_MARKDOWN, UTF8_FULL_CONDENSED};
use comfy_table::{Cell, CellAlignment, Color, ColumnConstraint, ContentArrangement, Table};

use super::picture::{self, Curve};
use super::report::{Report, Row};
use super::who::Who;

/// Columns that the small table needs; narrower terminals get a line for each row.
const SMALL: usize = 72;

const HEADER: [&str; 10] = [
    "engine",
    "form",
    "against",
    "grade",
    "cases",
    "max abs",
    "max ulp",
    "would pass at",
    "argmax",
    "holds",
];

impl Report {
    /// The rows as a table for people, failures first: as wide as it gets, without colours.
    pub fn table(&self) -> Table {
        whole(self, false)
    }

    /// Table, remarks and verdict, for a terminal of `width` columns (none: as wide as it gets), `NO` in red if `colour`.
    pub fn text(&self, width: Option<usize>, colour: bool) -> String {
        text(self, width, colour)
    }

    /// The table and the notes as Markdown. `picture`: the name of the file with [`Self::picture`], beside it.
    pub fn markdown(&self, picture: Option<&str>) -> String {
        let mut table = self.table();
        table.load_style(ASCII_MARKDOWN);
        let verdict = match self.holds {
            true => self.verdict().to_owned(),
            false => format!("**{}**", self.verdict()),
        };
        let notes: String = self.remarks().iter().map(|n| format!("- {n}\n")).collect();
        let picture = picture.map(picture::markdown).unwrap_or_default();
        format!("# Verification\n\n{verdict}\n\n{table}\n\n{picture}{notes}")
    }

    /// How far each row is off, against T, as an SVG.
    ///
    /// # Errors
    /// What cannot be drawn; no report is known of which that is so.
    pub fn picture(&self) -> Result<String> {
        let rows = self.rows.iter().filter(|r| !r.errors_by_length.is_empty());
        let curves = rows.map(|r| Curve {
            name: format!("{} {} against {}", r.engine, r.form, r.against),
            errors: r.errors_by_length.clone(),
            holds: r.holds,
        });
        picture::svg(&curves.collect::<Vec<_>>())
    }

    /// Notes of rows, failures first, and of the whole, each once.
    pub fn remarks(&self) -> Vec<String> {
        let mut all: Vec<String> = vec![];
        let rows = self.failures_first().filter_map(|r| {
            r.note
                .as_ref()
                .map(|n| format!("{} {}: {n}", r.engine, r.form))
        });
        let who: Vec<String> = self.engines.iter().map(Who::to_string).collect();
        let who = (!who.is_empty()).then(|| format!("by {}", who.join(", ")));
        for note in rows.chain(self.notes.iter().cloned()).chain(who) {
            if !all.contains(&note) {
                all.push(note);
            }
        }
        all
    }
}

/// Every column.
fn whole(report: &Report, colour: bool) -> Table {
    let mut table = plain();
    table.set_header(HEADER);
    for r in report.failures_first() {
        let cells = [
            r.engine.clone(),
            r.form.clone(),
            r.against.clone(),
            r.grade.name().into(),
            r.cases.to_string(),
            number(r.max_abs),
            ulps(r.max_ulp),
            number(r.min_tolerance),
            r.argmax_agreement
                .map_or("-".into(), |a| format!("{:.3} %", a * 100.0)),
        ];
        let verdict = verdict(r, colour);
        table.add_row(cells.map(Cell::new).into_iter().chain([verdict]));
    }
    numbers(&mut table, 4..9, colour)
}

/// The columns that say most, in `width` columns of the terminal.
fn small(report: &Report, width: usize, colour: bool) -> Table {
    let mut table = plain();
    table
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(u16::try_from(width).unwrap_or(u16::MAX));
    table.set_header([
        "what",
        "against",
        "grade",
        "cases",
        "max abs",
        "passes at",
        "holds",
    ]);
    for r in report.failures_first() {
        let cells = [
            format!("{} {}", r.engine, r.form),
            r.against.clone(),
            r.grade.name().into(),
            r.cases.to_string(),
            number(r.max_abs),
            number(r.min_tolerance),
        ];
        let verdict = verdict(r, colour);
        table.add_row(cells.map(Cell::new).into_iter().chain([verdict]));
    }
    // Words may be broken between lines, numbers may not.
    for column in table.column_iter_mut().skip(2) {
        column.set_constraint(ColumnConstraint::ContentWidth);
    }
    numbers(&mut table, 3..6, colour)
}

/// A line for each row, for terminals that no table fits.
fn lines(report: &Report, colour: bool) -> String {
    let one = |r: &Row| {
        let holds = match (r.holds, colour) {
            (true, _) => "yes",
            (false, _) if !r.decides => "engine",
            (false, false) => "NO ",
            (false, true) => "\u{1b}[31mNO\u{1b}[39m ",
        };
        format!(
            "{holds} {} {} against {} ({}): {}, passes at {}\n",
            r.engine,
            r.form,
            r.against,
            r.grade.name(),
            number(r.max_abs),
            number(r.min_tolerance)
        )
    };
    report.failures_first().map(one).collect()
}

/// Table, remarks and verdict.
fn text(report: &Report, width: Option<usize>, colour: bool) -> String {
    let full = whole(report, colour);
    let needed = full.lines().map(|l| visible(&l)).max().unwrap_or(0);
    let mut text = match width {
        Some(width) if width < SMALL => lines(report, colour),
        Some(width) if width < needed => format!("{}\n", small(report, width, colour)),
        _ => format!("{full}\n"),
    };
    for remark in report.remarks() {
        text.push_str(&format!("- {remark}\n"));
    }
    if width.is_some_and(|w| w < needed) {
        text.push_str(&format!(
            "- columns are left out here: --report and --json have all, as have terminals of {needed} columns\n"
        ));
    }
    let verdict = match (report.holds, colour) {
        (true, _) => report.verdict().to_owned(),
        (false, false) => report.verdict().to_uppercase(),
        (false, true) => format!("\u{1b}[31m{}\u{1b}[39m", report.verdict().to_uppercase()),
    };
    text = text + &verdict + "\n";
    let engines = report.wrong_engines();
    if !engines.is_empty() {
        let engines = engines.join(", ");
        let which = match report.files_hold() {
            true => "not the files",
            false => "besides",
        };
        text.push_str(&format!("An engine is wrong, {which}: {engines}.\n"));
    }
    text
}

fn plain() -> Table {
    let mut table = Table::new();
    table
        .load_style(UTF8_FULL_CONDENSED)
        .set_content_arrangement(ContentArrangement::Disabled);
    table
}

fn verdict(row: &Row, colour: bool) -> Cell {
    let cell = Cell::new(match (row.holds, row.decides) {
        (true, _) => "yes",
        (false, true) => "NO",
        (false, false) => "engine",
    });
    match (row.holds || !row.decides, colour) {
        (false, true) => cell.fg(Color::Red),
        _ => cell,
    }
}

/// Right-aligned; styled by what the caller says alone, wherever it goes.
fn numbers(table: &mut Table, columns: std::ops::Range<usize>, colour: bool) -> Table {
    for column in columns {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    match colour {
        true => table.enforce_styling(),
        false => table.force_no_tty(),
    };
    table.clone()
}

/// Characters of a line that are seen: what a style writes is not.
fn visible(line: &str) -> usize {
    let mut count = 0;
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match c {
            '\u{1b}' => {
                chars.by_ref().find(|c| *c == 'm');
            }
            _ => count += 1,
        }
    }
    count
}

fn number(x: f64) -> String {
    if x == 0.0 {
        "0".into()
    } else {
        format!("{x:.1e}")
    }
}

fn ulps(n: u64) -> String {
    if n > 1 << 30 {
        "> 2^30".into()
    } else {
        n.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::Grade;

    fn report() -> Report {
        let row = |form: &str, holds| Row {
            engine: "tract".into(),
            form: form.into(),
            against: "golden file".into(),
            grade: Grade::Portable,
            cases: 37,
            max_abs: 1.3e-7,
            max_ulp: 1 << 40,
            min_tolerance: 1.3e-7,
            argmax_agreement: Some(1.0),
            errors_by_length: Default::default(),
            holds,
            decides: true,
            note: (!holds).then(|| "fails first at B=1".into()),
        };
        let rows = vec![
            row("parallel with lengths and resets", true),
            row("step by step, gates to ±200", true),
            row("scan", false),
        ];
        Report::new(rows, vec!["a note".into()])
    }

    #[test]
    fn a_table_fits_its_terminal_and_breaks_no_number() {
        let widest = whole(&report(), false).lines().map(|l| visible(&l)).max();
        assert!(widest > Some(120));
        for width in 72..140 {
            for colour in [false, true] {
                let text = report().text(Some(width), colour);
                let table = text.lines().take_while(|l| !l.starts_with('-'));
                for line in table {
                    assert!(visible(line) <= width, "{width}: {line}");
                }
                for word in ["1.3e-7", "portable", "37"] {
                    assert!(text.contains(word), "{width}: {word}\n{text}");
                }
            }
        }
        let text = report().text(Some(50), false);
        assert!(
            text.starts_with("NO  tract scan against golden file (portable): 1.3e-7"),
            "{text}"
        );
    }

    #[test]
    fn failures_come_first_and_are_red_where_colours_are() {
        let plain = report().text(None, false);
        assert!(!plain.contains('\u{1b}'));
        let rows: Vec<&str> = plain.lines().filter(|l| l.contains("tract")).collect();
        assert!(
            rows[0].contains("scan") && rows[0].contains("NO"),
            "{plain}"
        );
        assert!(report().remarks()[0].starts_with("tract scan: fails"));
        let coloured = report().text(None, true);
        let red = coloured.lines().filter(|l| l.contains('\u{1b}')).count();
        assert_eq!(red, 2, "the row and the verdict: {coloured:?}");
        let bare: String = strip(&coloured);
        assert_eq!(bare, plain, "colours change nothing else");
        assert_eq!(report().text(None, false), plain);
    }

    fn strip(text: &str) -> String {
        let mut parts = text.split('\u{1b}');
        let first = parts.next().unwrap().to_owned();
        parts.fold(first, |all, part| {
            all + part.split_once('m').map_or("", |(_, rest)| rest)
        })
    }
}
