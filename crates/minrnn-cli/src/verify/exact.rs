//! The files in the runtime's own executor: all forms bit for bit alike. These rows never stand alone: the rows of tract hold
//! the untouched files, lowered recurrences and all, to the oracle.

use anyhow::Result;
use minrnn_model::graph::Graph;
use minrnn_onnx::export::Stored;

use super::case::Case;
use super::contract::Export;
use super::engine::{Engine, Outcome, Tract, Truth};
use super::grade;
use super::report::{Grade, Row, Tally};

/// The forms of an export, and what was found of each.
pub(super) struct Exact<'a> {
    step: Option<Tract<'a>>,
    sequences: Vec<Sequence<'a>>,
    near: Tally,
    notes: Vec<String>,
    pieces: bool,
}

struct Sequence<'a> {
    tract: Tract<'a>,
    whole: Tally,
    chunks: Tally,
}

impl<'a> Exact<'a> {
    pub(super) fn open(export: &Export, graph: &'a Graph, stored: &Stored) -> Result<Self> {
        let mut notes = vec![];
        let mut open = |form: &str| -> Result<Option<Tract<'a>>> {
            let Some(model) = export.load(form)? else {
                return Ok(None);
            };
            if let Some(why) = model.not_exact_because() {
                notes.push(format!("{form} is not computed exactly: {why}"));
                return Ok(None);
            }
            Ok(Some(Tract::new(graph, &stored.ports, model)))
        };
        let step = open("step")?;
        let mut sequences = vec![];
        for form in ["scan", "parallel"] {
            if let Some(tract) = open(form)? {
                let tally = |form: String| Tally::new("minrnn", form, "step", Grade::Exact);
                sequences.push(Sequence {
                    tract,
                    whole: tally(form.to_owned()),
                    chunks: tally(format!("{form} in chunks")),
                });
            }
        }
        Ok(Self {
            step,
            sequences,
            near: Tally::new("minrnn", "step", "oracle", Grade::Portable),
            notes,
            pieces: export.fixed().1.is_none(),
        })
    }

    /// Runs a case in every form. `tolerances`: of the steps against the oracle.
    pub(super) fn run(
        &mut self,
        graph: &Graph,
        case: &Case,
        truth: &Truth,
        tolerances: &[f64],
    ) -> Result<()> {
        let Some(step) = &self.step else {
            return Ok(());
        };
        let step: Outcome = step.stream(case)?;
        grade::portable(&mut self.near, case, &step, truth, tolerances);
        for sequence in &mut self.sequences {
            let whole = sequence.tract.run(case)?;
            grade::exact(&mut sequence.whole, case, &whole, &step);
            if self.pieces {
                let chunks = sequence.tract.run_pieces(graph, case, &case.pieces)?;
                grade::exact(&mut sequence.chunks, case, &chunks, &step);
            }
        }
        Ok(())
    }

    pub(super) fn rows(self) -> (Vec<Row>, Vec<String>) {
        let sequences = self.sequences.into_iter();
        let tallies = sequences.flat_map(|s| [s.whole, s.chunks]);
        let all = std::iter::once(self.near).chain(tallies);
        let seen = all.filter(|t| t.cases() > 0).map(Tally::row);
        (seen.collect(), self.notes)
    }
}
