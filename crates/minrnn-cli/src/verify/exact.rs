//! The files in the runtime's own executor: all forms bit for bit alike, and alike with the runtime's referee, which shares
//! no compiler, order or vectors with it. These rows never stand alone: the rows of tract hold the untouched files, lowered
//! recurrences and all, to the oracle.

use anyhow::Result;
use minrnn_model::graph::Graph;
use minrnn_onnx::export::Stored;

use super::case::Case;
use super::contract::Export;
use super::engine::{Engine, Tract, Truth};
use super::report::{Grade, Row, Tally};
use super::{grade, work};

/// Multiply-adds that the referee's plain loops are given in one run; longer runs are left to the others.
const REFEREE: f64 = 3e8;
/// Longest sequence of the referee, which plans each length anew: past a block of the default lowering, and past two.
const LONGEST: usize = 33;

/// The forms of an export, and what was found of each.
pub(super) struct Exact<'a> {
    step: Option<Form<'a>>,
    sequences: Vec<Form<'a>>,
    near: Tally,
    notes: Vec<String>,
    pieces: bool,
}

struct Form<'a> {
    exact: Tract<'a>,
    /// None where it has no definition of an operator; a note says so.
    referee: Option<Tract<'a>>,
    whole: Tally,
    chunks: Tally,
    judged: Tally,
}

impl<'a> Exact<'a> {
    pub(super) fn open(export: &Export, graph: &'a Graph, stored: &Stored) -> Result<Self> {
        let mut notes = vec![];
        let mut open = |form: &str| -> Result<Option<Form<'a>>> {
            let Some(model) = export.load(form)? else {
                return Ok(None);
            };
            if let Some(why) = model.not_exact_because() {
                notes.push(format!("{form} is not computed exactly: {why}"));
                return Ok(None);
            }
            let referee = export.load_referee(form)?;
            if let Err(why) = &referee {
                notes.push(format!("{form} has no referee: {why}"));
            }
            let tract = |model| Tract::new(graph, &stored.ports, model);
            let tally = |form: String, against| Tally::new("minrnn", form, against, Grade::Exact);
            Ok(Some(Form {
                exact: tract(model),
                referee: referee.ok().map(tract),
                whole: tally(form.to_owned(), "step"),
                chunks: tally(format!("{form} in chunks"), "step"),
                judged: tally(form.to_owned(), "referee"),
            }))
        };
        let step = open("step")?;
        let mut sequences = vec![];
        for form in ["scan", "parallel"] {
            sequences.extend(open(form)?);
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
        let beyond = self.pieces && case.time > LONGEST
            || work(graph) * (case.batch * case.time) as f64 > REFEREE;
        let mut streamed = None;
        if let Some(form) = &mut self.step {
            let step = form.exact.stream(case)?;
            grade::portable(&mut self.near, case, &step, truth, tolerances);
            if let (false, Some(referee)) = (beyond, &form.referee) {
                grade::exact(&mut form.judged, case, &step, &referee.stream(case)?);
            }
            streamed = Some(step);
        }
        for form in &mut self.sequences {
            let whole = form.exact.run(case)?;
            if let (false, Some(referee)) = (beyond, &form.referee) {
                grade::exact(&mut form.judged, case, &whole, &referee.run(case)?);
            }
            let Some(step) = &streamed else {
                continue;
            };
            grade::exact(&mut form.whole, case, &whole, step);
            if self.pieces {
                let chunks = form.exact.run_pieces(graph, case, &case.pieces)?;
                grade::exact(&mut form.chunks, case, &chunks, step);
            }
        }
        Ok(())
    }

    pub(super) fn rows(self) -> (Vec<Row>, Vec<String>) {
        let forms = self.step.into_iter().chain(self.sequences);
        let tallies = forms.flat_map(|s| [s.whole, s.chunks, s.judged]);
        let all = std::iter::once(self.near).chain(tallies);
        let seen = all.filter(|t| t.cases() > 0).map(Tally::row);
        (seen.collect(), self.notes)
    }
}
