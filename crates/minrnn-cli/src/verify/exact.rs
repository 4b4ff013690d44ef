//! The files in the runtime's own executor: all forms bit for bit alike, and alike with the runtime's referee, which shares
//! no compiler, order or vectors with it. These rows never stand alone: the rows of tract hold the untouched files, lowered
//! recurrences and all, to the oracle.

use anyhow::Result;
use minrnn_model::graph::Graph;
use minrnn_model::trial::{Case, Source, Truth};
use minrnn_onnx::export::Stored;

use super::contract::Export;
use super::engine::{Engine, Tract};
use super::fresh::fresh;
use super::golden::Known;
use super::plan::work;
use super::report::{Grade, Row, Tally};
use super::{grade, rewind};

/// Multiply-adds that the referee's plain loops are given in one run; longer runs are left to the others.
const REFEREE: f64 = 3e8;
/// Lengths of the referee, which plans each anew: one step and two, within a block of the default lowering, past one, past two.
const JUDGED: [usize; 5] = [1, 2, 5, 17, 33];

/// The forms of an export, and what was found of each.
pub(super) struct Exact<'a> {
    step: Option<Form<'a>>,
    sequences: Vec<Form<'a>>,
    near: Tally,
    /// A new export of the same weights, where products are narrow: the tolerance of the oracle is as wide as what they round.
    renewed: Option<(&'static str, Tract<'a>, Tally)>,
    /// What should be there and is not.
    missing: Vec<Row>,
    notes: Vec<String>,
    pieces: bool,
}

struct Form<'a> {
    name: &'static str,
    exact: Tract<'a>,
    /// None where it has no definition of an operator; a note says so.
    referee: Option<Tract<'a>>,
    whole: Tally,
    chunks: Tally,
    judged: Tally,
}

impl<'a> Exact<'a> {
    pub(super) fn open(export: &Export, graph: &'a Graph, stored: &Stored) -> Result<Self> {
        let (mut notes, mut missing) = (vec![], vec![]);
        let mut open = |form: &'static str| -> Result<Option<Form<'a>>> {
            let Some(model) = export.load(form)? else {
                return Ok(None);
            };
            if let Some(why) = model.not_exact_because() {
                // Files that nobody changed are as a new export is.
                let new = fresh(export, graph, stored, form)?;
                match new.is_some_and(|new| new.exact().is_some()) {
                    false => notes.push(format!("{form} is not computed exactly: {why}")),
                    true => missing.push(Tally::new("minrnn", form, "step", Grade::Exact).missing(
                        format!("it is not computed exactly, as a new export is: {why}"),
                    )),
                }
                return Ok(None);
            }
            let referee = export.load_referee(form)?;
            if let Err(why) = &referee {
                let new = fresh(export, graph, stored, form)?;
                match new.is_some_and(|new| new.has_referee()) {
                    false => notes.push(format!("{form} has no referee: {why}")),
                    true => missing.push(
                        Tally::new("minrnn", form, "referee", Grade::Exact)
                            .missing(format!("it has no referee, as a new export has: {why}")),
                    ),
                }
            }
            let tract = |model| Tract::new(graph, &stored.ports, model);
            let tally = |form: String, against| Tally::new("minrnn", form, against, Grade::Exact);
            Ok(Some(Form {
                name: form,
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
        let first = match (&step, sequences.first()) {
            (Some(_), _) => Some("step"),
            (None, first) => first.map(|form| form.name),
        };
        let narrow = stored.weights.rounding(graph).is_some();
        let mut renewed = None;
        if let Some(form) = first.filter(|_| narrow) {
            let new = fresh(export, graph, stored, form)?;
            renewed = new.and_then(|new| new.exact()).map(|model| {
                let tally = Tally::new("minrnn", form, "new export", Grade::Exact);
                (form, Tract::new(graph, &stored.ports, model), tally)
            });
        }
        Ok(Self {
            step,
            sequences,
            renewed,
            missing,
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
        let beyond = self.pieces && !JUDGED.contains(&case.time)
            || work(graph) * (case.batch * case.time) as f64 > REFEREE;
        let mut streamed = None;
        if let Some(form) = &mut self.step {
            let step = form.exact.stream(case)?;
            grade::portable(&mut self.near, case, &step, truth, tolerances);
            if let (false, Some(referee)) = (beyond, &form.referee) {
                grade::exact(&mut form.judged, case, &step, &referee.stream(case)?);
            }
            if let (false, Some(("step", new, tally))) = (beyond, &mut self.renewed) {
                grade::exact(tally, case, &step, &new.stream(case)?);
            }
            streamed = Some(step);
        }
        for form in &mut self.sequences {
            let whole = form.exact.run(case)?;
            if let (false, Some(referee)) = (beyond, &form.referee) {
                grade::exact(&mut form.judged, case, &whole, &referee.run(case)?);
            }
            if let (false, Some((name, new, tally))) = (beyond, &mut self.renewed)
                && *name == form.name
            {
                grade::exact(tally, case, &whole, &new.run(case)?);
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

    /// The golden trace in all forms, each value within the bound that others hold their engines to.
    pub(super) fn golden(&self, all: &[Known]) -> Result<Vec<Row>> {
        let mut rows = vec![];
        for form in self.sequences.iter().chain(&self.step) {
            let name = format!("{}, golden trace", form.name);
            let mut tally = Tally::new("minrnn", name, "its bounds", Grade::Bound);
            for known in all {
                let got = match form.name {
                    "step" => form.exact.stream(&known.case)?,
                    _ => form.exact.run(&known.case)?,
                };
                grade::golden(&mut tally, &got, known);
            }
            rows.push(tally);
        }
        let seen = rows.into_iter().filter(|t| t.cases() > 0);
        Ok(seen.map(Tally::row).collect())
    }

    /// The step form, back to a state and on again.
    pub(super) fn rewound(&self, source: Source, seed: u64) -> Result<Option<Row>> {
        let step = self.step.as_ref();
        step.map(|form| rewind::row("minrnn", &form.exact, source, seed))
            .transpose()
    }

    pub(super) fn rows(self) -> (Vec<Row>, Vec<String>) {
        let forms = self.step.into_iter().chain(self.sequences);
        let tallies = forms.flat_map(|s| [s.whole, s.chunks, s.judged]);
        let renewed = self.renewed.map(|(_, _, tally)| tally);
        let all = std::iter::once(self.near).chain(tallies).chain(renewed);
        let seen = all.filter(|t| t.cases() > 0).map(Tally::row);
        (seen.chain(self.missing).collect(), self.notes)
    }
}
