//! The proof: an export's forms compute the same as each other, as the trainer, and as the float64 oracle.

pub(crate) mod against;
mod bisect;
mod case;
mod check;
pub(crate) mod contender;
mod contract;
mod course;
mod engine;
mod exact;
mod extras;
mod forms;
mod fresh;
mod golden;
mod grade;
mod heard;
pub(crate) mod pair;
mod picture;
mod plan;
mod probe;
mod report;
mod show;
mod who;

use anyhow::{Context, Result};
use minrnn_model::graph::Graph;
use minrnn_model::model::Model;
use minrnn_model::params::Params;
use minrnn_model::rng::Rng;
use minrnn_model::usual::usual;
use minrnn_onnx::export::{Stored, Weights};

use case::Case;
use course::Course;
use engine::{Engine, Numbers, Outcome, Symbolic, Tract, Truth, truth};
use forms::{Errors, Forms};
use report::Tally;

pub use check::{Check, Off};
pub(crate) use contract::graphs_below;
pub use contract::{ContractError, Export, OtherModel};
pub(crate) use heard::{FormHeard, forms_heard, heard};
pub use picture::ByLength;
pub(crate) use report::argmax;
pub use report::{Grade, Report, Row};
pub use who::Who;

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
    /// A few lengths, up to some blocks, in the place of all.
    pub quick: bool,
}

impl Options {
    /// What ten seconds allow: a few lengths, up to some blocks of the default lowering, and short probes. The checks are all made.
    pub fn quick() -> Self {
        Self {
            longest: Some(130),
            probe_steps: 1024,
            quick: true,
            ..Self::default()
        }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            seed: 0,
            longest: None,
            budget: 2e10,
            probe_steps: 65_536,
            quick: false,
        }
    }
}

/// Progress of a verification: work done, work in all, both in proportion to the time that it takes, and what is running.
pub type Observer<'a> = &'a mut dyn FnMut(usize, usize, &str);

const SINGLE_ROW: &str = "one row: tract picks matrix kernels by width and CPU for a single row, so step and scan agree within rounding only";

const ACROSS: &str = "a step form is what the others are measured by; it is itself held to four times the tolerance that the other engine's steps give";

const ANEW: &str = "the folder has no step form: how far steps are from the oracle is measured with one that was made anew of the same weights";

/// Why models of one channel are not exact.
const ONE_CHANNEL: &str =
    "a value of one channel: how tract sums and rounds it depends on the number of rows";

/// Why means over rows of broken vectors are not exact.
const RAGGED: &str = "a mean over channels that are no multiple of 4: tract adds them in another order for another number of rows";

/// Why f16 is not exact.
const F16: &str = "tract sums products of f16 in another order for another number of rows";

/// Whether an export is of a checkpoint: of its shapes, its configuration and its vocabulary.
///
/// # Errors
/// What differs.
pub fn belongs(
    export: &Export,
    model: &Model,
    vocabulary: Option<&[String]>,
) -> std::result::Result<(), OtherModel> {
    export.is_of(model)?;
    export.has_vocabulary(vocabulary)
}

/// Verifies an export against its model. `params` are the trainer's, for instance of the checkpoint; with those of the files
/// ([`Export::params`]) the files are verified by themselves.
///
/// # Errors
/// [`ContractError`] where a file breaks its contract, [`OtherModel`] where the export is of another model or other weights; an
/// engine that fails to run. What does not hold is no error: it is in the report.
pub fn verify(
    export: &Export,
    model: &Model,
    params: &Params,
    options: &Options,
    mut observe: Observer,
) -> Result<Report> {
    let graph = model.graph();
    let Held {
        stored,
        rows: held,
        notes: told,
    } = hold(export, model, params)?;
    export.ends_where_it_says(graph, plan::affordable(graph, options))?;
    if export.off().nothing_runs() {
        return Ok(Report::new(held, told));
    }
    let usual = usual(graph, &stored.params);
    let usual = usual.as_ref();
    let rounding = stored.weights.rounding(graph);
    let wide = stored.params.to_f64();
    let truths = Numbers {
        params: &wide,
        rounding: rounding.as_ref(),
    };
    let (limit, mut notes) = plan::longest(export, graph, options);
    let forms = Forms::open(export, graph, &stored, rounding.is_none(), limit)?;
    let mut exact = exact::Exact::open(export, graph, &stored)?;
    let cases = plan::cases(
        export,
        graph,
        usual,
        (limit, options.quick),
        &mut Rng::named(options.seed, "verify"),
    );
    let unlike = match stored.weights {
        Weights::F16 => Some(F16),
        _ if plan::has_one_channel(graph) => Some(ONE_CHANNEL),
        _ => plan::has_ragged_mean(graph).then_some(RAGGED),
    };
    let mut tallies = Tallies::new(graph.output().kind, unlike);
    let mut errors = Errors::default();
    let calibration = plan::calibration(export, graph, usual, (options.seed, options.quick));
    let work = |case: &Case| course::all_forms(case, plan::is_planned(case.time, limit));
    let mut course = Course::new(
        &mut observe,
        [
            calibration.iter().map(course::single_steps).sum(),
            cases.iter().map(work).sum(),
            course::probe(options.probe_steps) * probe::count(graph),
        ],
    );
    for case in &calibration {
        course.begin(course::single_steps(case), "measuring the error of steps");
        let truth = truth(graph, truths, case, false)?;
        errors.learn(&forms.steps(graph, case)?, case, &truth);
    }
    for case in &cases {
        course.begin(work(case), &case.name());
        run_case(
            graph,
            truths,
            &forms,
            case,
            &mut errors,
            &mut tallies,
            &mut exact,
        )
        .with_context(|| case.name())?;
    }
    let mut rows = held;
    notes.extend(told);
    let on = |check| !export.off().has(check);
    let known = golden::known(export, graph, (&stored.ports, rounding.is_some()))?;
    if on(Check::Portable) {
        rows.extend(forms.golden(&known)?);
        rows.extend(tallies.rows());
    }
    if on(Check::Exact) {
        rows.extend(exact.golden(&known)?);
        let (exact_rows, unknown) = exact.rows();
        rows.extend(exact_rows);
        notes.extend(unknown);
    }
    if on(Check::Extras) {
        let seed = options.seed;
        rows.extend(extras::rows(graph, truths, &forms, &errors, usual, seed)?);
    }
    if forms.anew.is_some() {
        notes.push(ANEW.into());
    }
    if usual.is_some() {
        notes.push("features are drawn as the model normalises them, some raw and some a hundred times as far out besides; tolerances are measured for each kind".into());
    }
    if stored.weights != Weights::F32 {
        notes.push(format!(
            "weights are {}: the oracle has them as they are stored{}",
            stored.weights.name(),
            if rounding.is_some() {
                ", and rounds arguments of products as the files do; tolerances have, for each tensor, what that rounding moved"
            } else {
                ""
            }
        ));
    }
    if on(Check::Probes) {
        rows.extend(probe::rows(graph, options, &mut |work, what| {
            course.begin(work, what)
        })?);
    }
    course.end();
    notes.push(format!(
        "{} cases, T = 1 to {limit}, seed {}",
        cases.len(),
        options.seed
    ));
    Ok(Report::new(rows, notes))
}

/// Verifies what needs no engine: the contract of the files, their weights, their graphs and the golden trace. [`verify`] begins
/// with it.
///
/// # Errors
/// As [`verify`].
pub fn verify_files(export: &Export, model: &Model, params: &Params) -> Result<Report> {
    let held = hold(export, model, params)?;
    Ok(Report::new(held.rows, held.notes))
}

/// What the files hold, and what was found of it.
struct Held {
    stored: Stored,
    rows: Vec<Row>,
    notes: Vec<String>,
}

fn hold(export: &Export, model: &Model, params: &Params) -> Result<Held> {
    let graph = model.graph();
    export.is_of(model)?;
    let stored = export.stored(model)?;
    export.agrees(model, &stored)?;
    export.holds_weights(graph, &stored, params)?;
    let rounding = stored.weights.rounding(graph);
    let wide = stored.params.to_f64();
    let numbers = Numbers {
        params: &wide,
        rounding: rounding.as_ref(),
    };
    let (mut rows, mut notes) = (vec![], vec![]);
    if !export.off().has(Check::Golden) {
        let originals = export.originals(graph, params);
        let (golden, bounds) = golden::row(export, graph, &stored, numbers, originals)?;
        rows.push(golden);
        notes.extend(bounds);
    }
    if !export.off().has(Check::Graphs) {
        let (graphs, remarks) = fresh::graphs(export, graph, &stored)?;
        rows.extend(graphs);
        notes.splice(0..0, remarks);
    }
    notes.extend(export.untied());
    Ok(Held {
        stored,
        rows,
        notes,
    })
}

struct Tallies {
    logits: bool,
    /// Whether tract computes a row with the same bits beside any others.
    rows_alike: bool,
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
    /// `unlike`: why tract does not compute a row alike beside any others, where it does not.
    fn new(kind: minrnn_model::graph::OutputKind, unlike: Option<&str>) -> Self {
        let oracle = |engine, form: &str| Tally::new(engine, form, "oracle", Grade::Portable);
        let step = |form: &str, grade| Tally::new("tract", form, "step", grade);
        let alike = |form: &str| match unlike {
            None => step(form, Grade::Exact),
            Some(why) => step(form, Grade::Portable).because(why),
        };
        Self {
            rows_alike: unlike.is_none(),
            logits: kind == minrnn_model::graph::OutputKind::Logits,
            candle_whole: oracle("candle", "whole"),
            candle_step: oracle("candle", "step by step").because(ACROSS),
            step: oracle("tract", "step").because(ACROSS),
            scan: oracle("tract", "scan"),
            parallel: oracle("tract", "parallel"),
            parallel_chunks: oracle("tract", "parallel in chunks"),
            parallel_then_step: oracle("tract", "parallel, then step"),
            scan_step: alike("scan"),
            chunks_step: alike("scan in chunks"),
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
    numbers: Numbers,
    forms: &Forms,
    case: &Case,
    errors: &mut Errors,
    t: &mut Tallies,
    exact: &mut exact::Exact,
) -> Result<()> {
    let truth = truth_of(graph, numbers, case)?;
    let (truth, moved) = (truth.0, truth.1);
    let steps = forms.steps(graph, case)?;
    errors.learn(&steps, case, &truth);
    let tract = widened(errors.tract.tolerances(case, &truth), &moved);
    let candle = match steps.candle {
        Some(_) => errors.candle.tolerances(case, &truth),
        // Longer than it was given step by step: no nearer than the other engine's steps.
        None => larger(
            errors.candle.tolerances(case, &truth),
            &errors.tract.tolerances(case, &truth),
        ),
    };
    let apart = match forms.candle.is_some() {
        true => across(&candle),
        false => across(&moved_only(&truth, &moved)),
    };
    exact.run(graph, case, &truth, &apart)?;
    let classes = t.logits.then(|| graph.width(graph.output().value));
    let portable = |tally: &mut Tally, got: &Outcome, tolerances: &[f64]| {
        grade::portable(tally, case, got, &truth, tolerances);
        if let Some(classes) = classes {
            tally.agreement(&got.output, &truth.output, classes);
        }
    };
    // A step form has no step form to be measured by but the other engine's.
    if let Some(engine) = &forms.candle {
        portable(&mut t.candle_whole, &engine.run(case)?, &candle);
    }
    if let Some(steps) = &steps.candle {
        portable(&mut t.candle_step, steps, &across(&tract));
    }
    if let Some(step) = &steps.tract {
        portable(&mut t.step, step, &apart);
    }
    if let Some(parallel) = &forms.parallel {
        portable(&mut t.parallel, &forms.whole(parallel, case)?, &tract);
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
    let whole = forms.whole(scan, case)?;
    portable(&mut t.scan, &whole, &tract);
    let Some(step) = &steps.tract else {
        return Ok(());
    };
    if case.batch == 1 {
        grade::portable(&mut t.single, case, &whole, &grade::widen(step), &tract);
        return Ok(());
    }
    let same = |tally: &mut Tally, got: &Outcome| match t.rows_alike {
        true => grade::exact(tally, case, got, step),
        false => grade::portable(tally, case, got, &grade::widen(step), &tract),
    };
    same(&mut t.scan_step, &whole);
    if forms.pieces {
        let chunks = Symbolic(scan).run_pieces(graph, case, &case.pieces)?;
        same(&mut t.chunks_step, &chunks);
    }
    Ok(())
}

/// The oracle's values, and what the rounding of narrow products moved in each tensor.
fn truth_of(graph: &Graph, numbers: Numbers, case: &Case) -> Result<(Truth, Vec<f64>)> {
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

fn widened(tolerances: Vec<f64>, moved: &[f64]) -> Vec<f64> {
    tolerances.iter().zip(moved).map(|(t, m)| t + m).collect()
}

/// Where no other engine measures a step form: what the rounding moved, and the rounding of f32 itself.
fn moved_only(truth: &Truth, moved: &[f64]) -> Vec<f64> {
    let largest = |v: &Vec<f64>| v.iter().fold(0.0, |m: f64, x| m.max(x.abs()));
    let all = std::iter::once(&truth.output).chain(&truth.states);
    all.zip(moved)
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
        output: engine::join(graph, case.batch, parts),
        states: end.states,
    })
}

/// Tolerances for an engine's steps from another engine's errors. Engines sum in different orders, some with fused
/// multiply-adds, so one may be a few times as far off as another; a wrong operation is orders of magnitude off.
fn across(tolerances: &[f64]) -> Vec<f64> {
    tolerances.iter().map(|t| grade::ACROSS * t).collect()
}
