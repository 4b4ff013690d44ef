//! What is found of each engine and form, as data.

use serde::{Deserialize, Serialize};

use crate::verify::FormHeard;
use crate::verify::contender::Roster;
use crate::verify::pair::{Heard, Row};

/// Schema `minrnn.bench.engines/1`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Matrix {
    pub(super) schema: String,
    /// The version of the judge.
    pub(super) judge: String,
    /// The longest sequence that was run.
    pub(super) longest: usize,
    pub(super) engines: Vec<Engine>,
    /// Engines that were not here.
    pub(super) absent: Vec<String>,
    pub(super) rows: Vec<FileRow>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Engine {
    pub(super) name: String,
    pub(super) version: String,
}

/// A file in every engine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct FileRow {
    pub(super) model: String,
    pub(super) form: String,
    pub(super) dtype: String,
    /// In the order of the engines.
    pub(super) results: Vec<Found>,
}

/// A file in an engine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Found {
    pub(super) verdict: Verdict,
    /// Largest error of outputs, in units of the tolerance.
    pub(super) error: Option<f64>,
    /// And of states, where they end and where they are given back.
    pub(super) state: Option<f64>,
    /// Of logits: the share of rows whose largest value is at the same place.
    pub(super) argmax: Option<f64>,
    pub(super) why: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Verdict {
    Right,
    Wrong,
    /// It says that it does not run the file, or some case of it.
    Refused,
    /// It is not for such files.
    None,
}

impl Matrix {
    pub(super) fn new(roster: &Roster, longest: usize) -> Self {
        let engines = roster.who().into_iter();
        Self {
            schema: SCHEMA.into(),
            judge: env!("CARGO_PKG_VERSION").into(),
            longest,
            engines: engines
                .map(|(name, version)| Engine { name, version })
                .collect(),
            absent: roster
                .absent()
                .iter()
                .map(|(name, _)| (*name).to_owned())
                .collect(),
            rows: vec![],
        }
    }

    pub(super) fn add(&mut self, model: &str, form: FormHeard) {
        let of = |engine: &Engine| {
            let heard = form.heard.iter().find(|h| h.who.name == engine.name);
            heard.map_or_else(Found::none, Found::of)
        };
        self.rows.push(FileRow {
            model: model.to_owned(),
            results: self.engines.iter().map(of).collect(),
            form: form.form,
            dtype: form.dtype,
        });
    }

    /// Whether no engine is wrong.
    pub(super) fn all_right(&self) -> bool {
        let mut all = self.rows.iter().flat_map(|r| &r.results);
        all.all(|f| f.verdict != Verdict::Wrong)
    }
}

pub(super) const SCHEMA: &str = "minrnn.bench.engines/1";

/// Names of what files of minrnn give beside states.
const OUTPUTS: [&str; 2] = ["logits", "values"];

impl Found {
    fn none() -> Self {
        Self {
            verdict: Verdict::None,
            error: None,
            state: None,
            argmax: None,
            why: None,
        }
    }

    fn of(heard: &Heard) -> Self {
        let is_output = |r: &&Row| OUTPUTS.contains(&r.tensor.as_str());
        let worst = |rows: &mut dyn Iterator<Item = &Row>| {
            let parts = rows.map(|r| r.of_tolerance).filter(|p| !p.is_nan());
            parts.reduce(f64::max).filter(|p| p.is_finite())
        };
        let rows = || heard.rows.iter();
        let wrong = rows().find(|r| !r.holds);
        let verdict = match (wrong, heard.refused.is_empty(), rows().next()) {
            (Some(_), ..) => Verdict::Wrong,
            (None, true, Some(_)) => Verdict::Right,
            _ => Verdict::Refused,
        };
        let off = |r: &Row| {
            let off = format!(
                "`{}` is {:.1e} times as far off as is allowed",
                r.tensor, r.of_tolerance
            );
            r.said.clone().unwrap_or(off)
        };
        let said = wrong.map(off);
        Self {
            verdict,
            error: worst(&mut rows().filter(is_output)),
            state: worst(&mut rows().filter(|r| !is_output(r))),
            argmax: rows().filter(is_output).find_map(|r| r.argmax),
            why: said.or_else(|| heard.refused.first().cloned()),
        }
    }
}
