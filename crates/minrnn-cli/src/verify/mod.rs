//! The proof: an export's forms compute the same as each other, as the trainer, and as the float64 oracle.

mod case;
mod contract;
mod engine;
mod golden;
mod grade;
mod probe;
mod report;

use anyhow::{Context, Result};
use minrnn_model::graph::{Graph, Op};
use minrnn_model::model::Model;
use minrnn_model::params::Params;
use minrnn_model::rng::Rng;

use case::Case;
use engine::{Candle, Engine, Outcome, Symbolic, Tract, Truth, truth};
use grade::StepErrors;
use report::Tally;

pub use contract::{ContractError, Export};
pub(crate) use report::argmax;
pub use report::{Grade, Report, Row};

/// How much is verified.
#[derive(Debug, Clone)]
pub struct Options {
    /// Seed of inputs, states and chunkings.
    pub seed: u64,
    /// Longest sequence; `None`: the longest that the files take.
    pub longest: Option<usize>,
    /// Multiply-adds that one run over the longest sequence may cost; longer lengths are left out, and the report says so.
    pub budget: f64,
    /// Steps of the probes with extreme gates.
    pub probe_steps: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            seed: 0,
            longest: None,
            budget: 2e10,
            probe_steps: 65_536,
        }
    }
}

/// Progress of a verification: cases done, cases in all, what is running.
pub type Observer<'a> = &'a mut dyn FnMut(usize, usize, &str);

const SINGLE_ROW: &str = "one row: tract picks matrix kernels by width and CPU for a single row, so step and scan agree within rounding only";

const ACROSS: &str = "a step form is what the others are measured by; it is itself held to four times the tolerance that the other engine's steps give";

/// Verifies an export against its model. `params` are the trainer's, for instance of the checkpoint; with those of the files
/// ([`Export::params`]) the files are verified by themselves.
///
/// # Errors
/// [`ContractError`] where a file breaks its contract; an engine that fails to run. What does not hold is no error: it is in the report.
pub fn verify(
    export: &Export,
    model: &Model,
    params: &Params,
    options: &Options,
    observe: Observer,
) -> Result<Report> {
    let graph = model.graph();
    if export.params(model)? != *params {
        let what = "holds other weights than the checkpoint; export the checkpoint again".into();
        return Err(ContractError {
            file: export.dir().to_path_buf(),
            what,
        }
        .into());
    }
    let forms = Forms::open(export, graph, params)?;
    let (limit, mut notes) = longest(export, graph, options);
    let cases = cases(
        export,
        graph,
        limit,
        &mut Rng::named(options.seed, "verify"),
    );
    let total = cases.len() + probe::count(graph);
    let truths = params.to_f64();
    let mut tallies = Tallies::new(graph.output().kind);
    let mut errors = Errors::default();
    observe(0, total, "measuring the error of steps");
    for case in &calibration(export, graph, options.seed) {
        let truth = truth(graph, &truths, case, false)?;
        errors.learn(&forms.steps(graph, case)?, case, &truth);
    }
    for (i, case) in cases.iter().enumerate() {
        observe(i, total, &case.name());
        run_case(graph, &truths, &forms, case, &mut errors, &mut tallies)
            .with_context(|| case.name())?;
    }
    let mut rows = vec![golden::row(export, graph, &truths)?];
    rows.extend(tallies.rows());
    rows.extend(probe::rows(graph, options, &mut |i, what| {
        observe(cases.len() + i, total, what)
    })?);
    observe(total, total, "done");
    notes.push(format!(
        "{} cases, T = 1 to {limit}, seed {}",
        cases.len(),
        options.seed
    ));
    Ok(Report::new(rows, notes))
}

/// All that runs; an export may lack forms.
struct Forms<'a> {
    candle: Candle<'a>,
    parallel: Option<Tract<'a>>,
    scan: Option<Tract<'a>>,
    step: Option<Tract<'a>>,
    /// Whether sequence files take pieces: not if their length is fixed.
    pieces: bool,
}

/// Step-by-step runs of a case: candle's, and the step file's.
struct Steps {
    candle: Outcome,
    tract: Option<Outcome>,
}

impl<'a> Forms<'a> {
    fn open(export: &Export, graph: &'a Graph, params: &Params) -> Result<Self> {
        let open = |form| anyhow::Ok(export.load(form)?.map(|m| Tract::new(graph, m)));
        Ok(Self {
            candle: Candle::new(graph, params)?,
            parallel: open("parallel")?,
            scan: open("scan")?,
            step: open("step")?,
            pieces: export.fixed().1.is_none(),
        })
    }

    fn steps(&self, graph: &Graph, case: &Case) -> Result<Steps> {
        let candle = self.candle.run_pieces(graph, case, &vec![1; case.time])?;
        let tract = self.step.as_ref().map(|s| s.stream(case)).transpose()?;
        Ok(Steps { candle, tract })
    }
}

/// How far each engine's steps are from the oracle.
#[derive(Default)]
struct Errors {
    tract: StepErrors,
    candle: StepErrors,
}

impl Errors {
    fn learn(&mut self, steps: &Steps, case: &Case, truth: &Truth) {
        self.candle.learn(case, &steps.candle, truth);
        // Without a step file, candle's steps are the measure.
        self.tract
            .learn(case, steps.tract.as_ref().unwrap_or(&steps.candle), truth);
    }
}

struct Tallies {
    logits: bool,
    candle_whole: Tally,
    candle_step: Tally,
    step: Tally,
    scan: Tally,
    parallel: Tally,
    parallel_chunks: Tally,
    parallel_then_step: Tally,
    scan_step: Tally,
    chunks_step: Tally,
    single: Tally,
}

impl Tallies {
    fn new(kind: minrnn_model::graph::OutputKind) -> Self {
        let oracle = |engine, form: &str| Tally::new(engine, form, "oracle", Grade::Portable);
        let step = |form: &str, grade| Tally::new("tract", form, "step", grade);
        Self {
            logits: kind == minrnn_model::graph::OutputKind::Logits,
            candle_whole: oracle("candle", "whole"),
            candle_step: oracle("candle", "step by step").because(ACROSS),
            step: oracle("tract", "step").because(ACROSS),
            scan: oracle("tract", "scan"),
            parallel: oracle("tract", "parallel"),
            parallel_chunks: oracle("tract", "parallel in chunks"),
            parallel_then_step: oracle("tract", "parallel, then step"),
            scan_step: step("scan", Grade::Exact),
            chunks_step: step("scan in chunks", Grade::Exact),
            single: step("scan, one row", Grade::Portable).because(SINGLE_ROW),
        }
    }

    fn rows(self) -> Vec<Row> {
        let all = [
            self.candle_whole,
            self.candle_step,
            self.step,
            self.scan,
            self.parallel,
            self.parallel_chunks,
            self.parallel_then_step,
            self.scan_step,
            self.chunks_step,
            self.single,
        ];
        all.into_iter()
            .filter(|t| t.cases() > 0)
            .map(Tally::row)
            .collect()
    }
}

fn run_case(
    graph: &Graph,
    params: &[Vec<f64>],
    forms: &Forms,
    case: &Case,
    errors: &mut Errors,
    t: &mut Tallies,
) -> Result<()> {
    let truth = truth(graph, params, case, false)?;
    let steps = forms.steps(graph, case)?;
    errors.learn(&steps, case, &truth);
    let tract = errors.tract.tolerances(case, &truth);
    let candle = errors.candle.tolerances(case, &truth);
    let classes = t.logits.then(|| graph.width(graph.output().value));
    let portable = |tally: &mut Tally, got: &Outcome, tolerances: &[f64]| {
        grade::portable(tally, case, got, &truth, tolerances);
        if let Some(classes) = classes {
            tally.agreement(&got.output, &truth.output, classes);
        }
    };
    portable(&mut t.candle_whole, &forms.candle.run(case)?, &candle);
    // A step form has no step form to be measured by but the other engine's.
    portable(&mut t.candle_step, &steps.candle, &across(&tract));
    if let Some(step) = &steps.tract {
        portable(&mut t.step, step, &across(&candle));
    }
    if let Some(parallel) = &forms.parallel {
        portable(&mut t.parallel, &parallel.run(case)?, &tract);
        if forms.pieces {
            portable(
                &mut t.parallel_chunks,
                &Symbolic(parallel).run_pieces(graph, case, &case.pieces)?,
                &tract,
            );
        }
        if let (true, Some(step)) = (forms.pieces && case.time > 1, &forms.step) {
            portable(
                &mut t.parallel_then_step,
                &prefill_then_step(graph, parallel, step, case)?,
                &tract,
            );
        }
    }
    let Some(scan) = &forms.scan else {
        return Ok(());
    };
    let whole = scan.run(case)?;
    portable(&mut t.scan, &whole, &tract);
    let Some(step) = &steps.tract else {
        return Ok(());
    };
    if case.batch == 1 {
        grade::portable(&mut t.single, case, &whole, &grade::widen(step), &tract);
        return Ok(());
    }
    grade::exact(&mut t.scan_step, case, &whole, step);
    if forms.pieces {
        grade::exact(
            &mut t.chunks_step,
            case,
            &Symbolic(scan).run_pieces(graph, case, &case.pieces)?,
            step,
        );
    }
    Ok(())
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
        output: engine::join(graph, case.batch, parts),
        states: end.states,
    })
}

/// Multiply-adds of one step of one row.
fn work(graph: &Graph) -> f64 {
    let of = |n: &minrnn_model::graph::Node| match n.op {
        Op::MatMul { weight } => graph.param_spec(weight).len(),
        _ => n.width,
    };
    graph.nodes().iter().map(of).sum::<usize>() as f64
}

/// The longest length to run, and what to say about it.
fn longest(export: &Export, graph: &Graph, options: &Options) -> (usize, Vec<String>) {
    if let Some(fixed) = export.fixed().1 {
        return (fixed, vec![format!("the files take T = {fixed} only")]);
    }
    let possible = export.longest().unwrap_or(65_536);
    let limit = options.longest.unwrap_or(possible).clamp(1, possible);
    let affordable = ((options.budget / (2.0 * work(graph))) as usize).max(1);
    if limit <= affordable {
        return (limit, vec![]);
    }
    let note = format!(
        "lengths from {} to {possible} were left out: they cost more than {:e} multiply-adds a run (--budget)",
        affordable + 1,
        options.budget
    );
    (affordable, vec![note])
}

/// Tolerances for an engine's steps from another engine's errors. Engines sum in different orders, some with fused
/// multiply-adds, so one may be a few times as far off as another; a wrong operation is orders of magnitude off.
fn across(tolerances: &[f64]) -> Vec<f64> {
    tolerances.iter().map(|t| 4.0 * t).collect()
}

/// Runs that only measure how far each engine's steps are from the oracle. Errors of a trained model have a long tail: a few
/// cases alone would sample it too thinly to compare one engine with another.
fn calibration(export: &Export, graph: &Graph, seed: u64) -> Vec<Case> {
    let mut rng = Rng::named(seed, "calibration");
    let batch = export.fixed().0.unwrap_or(8);
    (0..24)
        .map(|i| Case::random(graph, (batch, grade::SHORT), i % 2 == 0, &mut rng))
        .collect()
}

fn cases(export: &Export, graph: &Graph, limit: usize, rng: &mut Rng) -> Vec<Case> {
    let (batch, time) = export.fixed();
    let lengths = time.map_or_else(|| case::lengths(limit), |t| vec![t]);
    let mut all = vec![];
    for (i, time) in lengths.into_iter().enumerate() {
        all.push(Case::random(
            graph,
            (batch.unwrap_or(2), time),
            i % 3 != 2,
            rng,
        ));
        if batch.is_none() && [1, 2, 16, 33, 129].contains(&time) {
            all.push(Case::random(graph, (1, time), true, rng));
            all.push(Case::random(graph, (1, time), false, rng));
            all.push(Case::random(graph, (3, time), false, rng));
        }
    }
    all
}
