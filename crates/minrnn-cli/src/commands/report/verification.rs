//! The table of a verification, from what `minrnn verify --json FILE` wrote.

use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use super::html::{self, Cell, number, text};
use super::numbers::short;
use crate::files;
use crate::verify::Export;

const MOST: u64 = 1 << 26;
const SCHEMA: &str = "minrnn.verify/1";

/// A report.
#[derive(Debug, Deserialize)]
pub(super) struct Verification {
    pub(super) holds: bool,
    rows: Vec<Row>,
    #[serde(default)]
    notes: Vec<String>,
    /// Hash of the manifest of the export that was verified.
    #[serde(default)]
    manifest_sha256: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Row {
    engine: String,
    form: String,
    against: String,
    grade: String,
    cases: u64,
    /// None where values are not comparable.
    max_abs: Option<f64>,
    holds: bool,
    #[serde(default = "yes")]
    decides: bool,
    #[serde(default)]
    note: Option<String>,
}

fn yes() -> bool {
    true
}

impl Verification {
    pub(super) fn read(path: &Path) -> Result<Self> {
        let what = || {
            format!(
                "{} is no report of `minrnn verify EXPORT --json FILE`",
                path.display()
            )
        };
        let text = files::read_text(path, MOST)?;
        let schema: Schema = serde_json::from_str(&text).with_context(what)?;
        if schema.schema != SCHEMA {
            bail!(
                "{}: its schema is {:?}, expected {SCHEMA:?}, which `minrnn verify EXPORT --json FILE` writes",
                path.display(),
                schema.schema
            );
        }
        serde_json::from_str(&text).with_context(what)
    }

    /// Why it is not of these files. Reports of older versions do not say of which they are.
    pub(super) fn other(&self, export: &Export) -> Option<String> {
        let said = self.manifest_sha256.as_deref()?;
        (said != export.manifest_sha256())
            .then(|| "it is of other files than those of the export".into())
    }

    pub(super) fn section(&self) -> String {
        let failing = self.rows.iter().filter(|row| !row.holds).count();
        let verdict = match (self.holds, failing) {
            (true, 0) => "Everything holds.".to_owned(),
            (true, n) => {
                format!("Everything that decides holds; {n} rows of other engines do not.")
            }
            (false, n) => format!("{n} of {} rows do not hold.", self.rows.len()),
        };
        let class = if self.holds { "good" } else { "bad" };
        let mut out = format!("<p class=\"{class}\">{}</p>\n", html::escape(&verdict));
        let order = [false, true];
        let rows = order
            .iter()
            .flat_map(|holds| self.rows.iter().filter(move |row| row.holds == *holds));
        let rows: Vec<Vec<Cell>> = rows.map(Row::cells).collect();
        let header = [
            "what ran",
            "against",
            "grade",
            "cases",
            "largest difference",
            "holds",
        ];
        out.push_str(&html::table(&header, &rows));
        if self.manifest_sha256.is_none() {
            out.push_str(&html::note(
                "The report does not say of which files it is: verify again to know.",
            ));
        }
        if !self.notes.is_empty() {
            let notes: String = self.notes.iter().map(|note| html::note(note)).collect();
            out.push_str(&html::details("What was covered, and what was not", &notes));
        }
        out
    }
}

#[derive(Deserialize)]
struct Schema {
    #[serde(default)]
    schema: String,
}

impl Row {
    fn cells(&self) -> Vec<Cell> {
        let mark = match (self.holds, self.decides) {
            (true, _) => "<span class=\"good\">yes</span>".to_owned(),
            (false, true) => "<span class=\"bad\">no</span>".to_owned(),
            (false, false) => "<span class=\"bad\">no</span>, and decides nothing".to_owned(),
        };
        let why = match (&self.note, self.holds) {
            (Some(note), false) => format!("{mark}: {}", html::escape(note)),
            _ => mark,
        };
        vec![
            text(format!("{}, {}", self.engine, self.form)),
            text(&self.against),
            text(&self.grade),
            number(self.cases.to_string()),
            number(self.max_abs.map_or("not comparable".into(), short)),
            Cell::Markup(why),
        ]
    }
}
