//! The rows of candle and of tract: the trainer's engine, and the untouched files.

use std::collections::BTreeMap;

use anyhow::Result;
use minrnn_model::graph::{Graph, OutputKind};
use minrnn_model::ruler::ACROSS;
use minrnn_model::trial::{Case, Outcome, Truth, join};
use minrnn_onnx::export::Weights;

use super::engine::{Engine, Numbers, Symbolic, Tract, truth};
use super::forms::{CANDLE, Errors, Forms, Steps, TRACT};
use super::report::Tally;
use super::{Grade, Row, exact, grade, plan};

const SINGLE_ROW: &str = "one row: tract picks matrix kernels by width and CPU for a single row, so step and scan agree within rounding only";

const ACROSS_ENGINES: &str = "a step form is what the others are measured by; it is itself held to four times the tolerance that the other engine's steps give";

/// Why models of one channel are not exact.
const ONE_CHANNEL: &str =
    "a value of one channel: how tract sums and rounds it depends on the number of rows";

/// Why means over rows of broken vectors are not exact.
const ATTENTION: &str =
    "attention: tract adds over as many rows as there are, those that are not seen too";
const RAGGED: &str = "a mean over channels that are no multiple of 4: tract adds them in another order for another number of rows";

/// Why f16 is not exact.
const F16: &str = "tract sums products of f16 in another order for another number of rows";

/// Why a cell that is one operator is not exact.
const OPERATOR: &str = "GRU or LSTM as one operator: tract adds and rounds inside of it in another order than the step, so that it is held to four times the tolerance that the steps give";

/// Why tract does not compute a row alike beside any others, or in a step, where it does not. `operators`: whether the form scan has
/// cells that are one operator.
pub(super) fn unlike(graph: &Graph, weights: &Weights, operators: bool) -> Option<&'static str> {
    match weights {
        _ if operators => Some(OPERATOR),
        Weights::F16 => Some(F16),
        _ if plan::attends(graph) => Some(ATTENTION),
        _ if plan::has_one_channel(graph) => Some(ONE_CHANNEL),
        _ => plan::has_ragged_mean(graph).then_some(RAGGED),
    }
}

/// The rows, in the order of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Name {
    CandleWhole,
    CandleSteps,
    Step,
    Scan,
    Parallel,
    ParallelInChunks,
    ParallelThenStep,
    ScanToStep,
    ChunksToStep,
    OneRowToStep,
}

impl Name {
    /// Engine, form, and what they are held to.
    fn words(self) -> [&'static str; 3] {
        match self {
            Self::CandleWhole => [CANDLE, "whole", ORACLE],
            Self::CandleSteps => [CANDLE, "step by step", ORACLE],
            Self::Step => [TRACT, "step", ORACLE],
            Self::Scan => [TRACT, "scan", ORACLE],
            Self::Parallel => [TRACT, "parallel", ORACLE],
            Self::ParallelInChunks => [TRACT, "parallel in chunks", ORACLE],
            Self::ParallelThenStep => [TRACT, "parallel, then step", ORACLE],
            Self::ScanToStep => [TRACT, "scan", STEP],
            Self::ChunksToStep => [TRACT, "scan in chunks", STEP],
            Self::OneRowToStep => [TRACT, "scan, one row", STEP],
        }
    }
}

const ORACLE: &str = "oracle";
const STEP: &str = "step";

/// The rows in the making, by name: those of which a case ran.
pub(super) struct Tallies {
    /// Of models that give logits.
    classes: Option<usize>,
    /// Why tract does not compute a row with the same bits beside any others, where it does not.
    unlike: Option<&'static str>,
    rows: BTreeMap<Name, Tally>,
}

impl Tallies {
    pub(super) fn new(graph: &Graph, unlike: Option<&'static str>) -> Self {
        let output = graph.output();
        Self {
            classes: (output.kind == OutputKind::Logits).then(|| graph.width(output.value)),
            unlike,
            rows: BTreeMap::new(),
        }
    }

    fn at(&mut self, name: Name) -> &mut Tally {
        let unlike = self.unlike;
        self.rows.entry(name).or_insert_with(|| {
            let [engine, form, against] = name.words();
            let tally = |grade| Tally::new(engine, form, against, grade);
            let portable = tally(Grade::Portable);
            match (name, unlike) {
                (Name::ScanToStep | Name::ChunksToStep, None) => tally(Grade::Exact),
                (Name::ScanToStep | Name::ChunksToStep, Some(why)) => portable.because(why),
                (Name::CandleSteps | Name::Step, _) => portable.because(ACROSS_ENGINES),
                (Name::OneRowToStep, _) => portable.because(SINGLE_ROW),
                (Name::Scan, Some(OPERATOR)) => portable.because(OPERATOR),
                _ => portable,
            }
        })
    }

    /// A run held to the oracle.
    fn near(&mut self, name: Name, case: &Case, got: &Outcome, truth: &Truth, tolerances: &[f64]) {
        let classes = self.classes;
        let tally = self.at(name);
        grade::portable(tally, case, got, truth, tolerances);
        if let Some(classes) = classes {
            tally.agreement(&got.output, &truth.output, classes);
        }
    }

    /// A run held to the steps: bit for bit, where tract computes rows alike.
    fn same(&mut self, name: Name, case: &Case, got: &Outcome, step: &Outcome, tolerances: &[f64]) {
        match self.unlike {
            None => grade::exact(self.at(name), case, got, step),
            Some(_) => grade::portable(self.at(name), case, got, &step.widen(), tolerances),
        }
    }

    pub(super) fn rows(self) -> impl Iterator<Item = Row> {
        self.rows.into_values().map(Tally::row)
    }
}

/// A case, and what runs it.
pub(super) struct Trial<'a> {
    pub(super) graph: &'a Graph,
    pub(super) numbers: Numbers<'a>,
    pub(super) forms: &'a Forms<'a>,
    pub(super) case: &'a Case,
}

/// What a case is held to: what is true, and how far from it each engine may be.
struct Measure {
    truth: Truth,
    tract: Vec<f64>,
    candle: Vec<f64>,
    /// Of a step form: it has no step form to be measured by but the other engine's.
    apart: Vec<f64>,
}

impl Trial<'_> {
    /// Runs the case in every engine and form.
    pub(super) fn add(
        &self,
        errors: &mut Errors,
        tallies: &mut Tallies,
        exact: &mut exact::Exact,
    ) -> Result<()> {
        let (graph, case) = (self.graph, self.case);
        let (truth, moved) = truth_and_moved(graph, self.numbers, case)?;
        let moved = errors.moved(case, &moved);
        let steps = self.forms.steps(graph, case)?;
        errors.learn(&steps, case, &truth);
        let m = self.measure(errors, &steps, truth, &moved);
        exact.run(graph, case, &m.truth, &m.apart)?;
        if let Some(engine) = &self.forms.candle {
            tallies.near(
                Name::CandleWhole,
                case,
                &engine.run(case)?,
                &m.truth,
                &m.candle,
            );
        }
        if let Some(steps) = &steps.candle {
            tallies.near(Name::CandleSteps, case, steps, &m.truth, &across(&m.tract));
        }
        if let Some(step) = &steps.tract {
            tallies.near(Name::Step, case, step, &m.truth, &m.apart);
        }
        self.parallel(&m, tallies)?;
        self.scan(&m, steps.tract.as_ref(), tallies)
    }

    fn measure(&self, errors: &Errors, steps: &Steps, truth: Truth, moved: &[f64]) -> Measure {
        let of = |engine| errors.tolerances(engine, self.case, &truth);
        let tract = widened(of(TRACT), moved);
        let candle = match steps.candle {
            Some(_) => of(CANDLE),
            // Longer than it was given step by step: no nearer than the other engine's steps.
            None => larger(of(CANDLE), &of(TRACT)),
        };
        let apart = match self.forms.candle.is_some() {
            true => across(&candle),
            false => across(&moved_only(&truth, moved)),
        };
        Measure {
            tract,
            candle,
            apart,
            truth,
        }
    }

    fn parallel(&self, m: &Measure, tallies: &mut Tallies) -> Result<()> {
        let (graph, case, forms) = (self.graph, self.case, self.forms);
        let Some(parallel) = &forms.parallel else {
            return Ok(());
        };
        let mut near = |name, got: &Outcome| tallies.near(name, case, got, &m.truth, &m.tract);
        near(Name::Parallel, &forms.whole(parallel, case)?);
        if forms.pieces {
            let chunks = Symbolic(parallel).run_pieces(graph, case, &case.pieces)?;
            near(Name::ParallelInChunks, &chunks);
        }
        if let (true, Some(step)) = (forms.pieces && case.time > 1, &forms.step) {
            let both = prefill_then_step(graph, parallel, step, case)?;
            near(Name::ParallelThenStep, &both);
        }
        Ok(())
    }

    /// Of one row alone, tract's kernels are others.
    fn scan(&self, m: &Measure, steps: Option<&Outcome>, tallies: &mut Tallies) -> Result<()> {
        let (graph, case, forms) = (self.graph, self.case, self.forms);
        let Some(scan) = &forms.scan else {
            return Ok(());
        };
        let whole = forms.whole(scan, case)?;
        let tolerances = match tallies.unlike {
            Some(OPERATOR) => across(&m.tract),
            _ => m.tract.clone(),
        };
        tallies.near(Name::Scan, case, &whole, &m.truth, &tolerances);
        let Some(step) = steps else {
            return Ok(());
        };
        if case.batch == 1 {
            let tally = tallies.at(Name::OneRowToStep);
            grade::portable(tally, case, &whole, &step.widen(), &tolerances);
            return Ok(());
        }
        tallies.same(Name::ScanToStep, case, &whole, step, &tolerances);
        if forms.pieces {
            let chunks = Symbolic(scan).run_pieces(graph, case, &case.pieces)?;
            tallies.same(Name::ChunksToStep, case, &chunks, step, &tolerances);
        }
        Ok(())
    }
}

/// The oracle's values, and what the rounding of narrow products moved in each tensor.
pub(super) fn truth_and_moved(
    graph: &Graph,
    numbers: Numbers,
    case: &Case,
) -> Result<(Truth, Vec<f64>)> {
    let own = truth(graph, numbers, case, false)?;
    let Some(_) = numbers.rounding else {
        let none = vec![0.0; 1 + own.states.len()];
        return Ok((own, none));
    };
    let plain = Numbers {
        rounding: None,
        ..numbers
    };
    let plain = truth(graph, plain, case, false)?;
    let moved = grade::moved(&own, &plain);
    Ok((own, moved))
}

fn larger(a: Vec<f64>, b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a.max(*b)).collect()
}

pub(super) fn widened(tolerances: Vec<f64>, moved: &[f64]) -> Vec<f64> {
    tolerances.iter().zip(moved).map(|(t, m)| t + m).collect()
}

/// Where no other engine measures a step form: what the rounding moved, and the rounding of f32 itself.
fn moved_only(truth: &Truth, moved: &[f64]) -> Vec<f64> {
    let largest = |v: &Vec<f64>| v.iter().fold(0.0, |m: f64, x| m.max(x.abs()));
    truth
        .tensors()
        .zip(moved)
        .map(|(v, m)| m + 4.0 * f64::from(f32::EPSILON) * largest(v))
        .collect()
}

/// The begin through the parallel form, up to 64 last steps through the step form.
fn prefill_then_step(
    graph: &Graph,
    parallel: &Tract,
    step: &Tract,
    case: &Case,
) -> Result<Outcome> {
    let at = case.time.saturating_sub(64).max(case.time / 2);
    let begin = Symbolic(parallel).run(&case.cut(0, at, case.states.clone()))?;
    let end = step.stream(&case.cut(at, case.time, Some(begin.states)))?;
    let parts = vec![(at, begin.output), (case.time - at, end.output)];
    Ok(Outcome {
        output: join(graph, case.batch, parts),
        states: end.states,
    })
}

/// Tolerances for an engine's steps from another engine's errors. Engines sum in different orders, some with fused
/// multiply-adds, so one may be a few times as far off as another; a wrong operation is orders of magnitude off.
fn across(tolerances: &[f64]) -> Vec<f64> {
    tolerances.iter().map(|t| ACROSS * t).collect()
}
