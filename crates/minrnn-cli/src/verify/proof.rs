//! The proof of an export: what its files hold, then every case in every engine and form.

use anyhow::{Context, Result};
use minrnn_model::model::Model;
use minrnn_model::params::Params;
use minrnn_model::rng::Rng;
use minrnn_model::trial::{Case, Source};
use minrnn_model::usual::{Usual, usual};
use minrnn_onnx::export::Weights;

use super::contract::Export;
use super::course::{self, Course};
use super::engine::Numbers;
use super::forms::{Errors, Forms, TRACT};
use super::hold::{Held, hold};
use super::portable::{self, Tallies, Trial};
use super::{Check, Observer, Options, Report, exact, extras, golden, plan, probe, range, rewind};

const ANEW: &str = "the folder has no step form: how far steps are from the oracle is measured with one that was made anew of the same weights";

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
        return Ok(Report::new(held, told).of(export));
    }
    let usual = usual(graph, &stored.params);
    let usual = usual.as_ref();
    let rounding = stored.weights.rounding(graph);
    let wide = stored.params.to_f64();
    let truths = Numbers {
        params: &wide,
        rounding: rounding.as_ref(),
    };
    let source = Source {
        graph,
        params: &wide,
        usual,
    };
    let (limit, mut notes) = plan::longest(export, graph, options);
    let forms = Forms::open(export, graph, &stored, rounding.is_none(), limit)?;
    let mut exact = exact::Exact::open(export, graph, &stored)?;
    let mut cases = plan::cases(
        export,
        source,
        (limit, options.quick),
        &mut Rng::named(options.seed, "verify"),
    )?;
    notes.extend(forms.left_out(&mut cases));
    let operators = export.told("scan")?.is_some_and(|(_, o)| o.fused_cells);
    let unlike = portable::unlike(graph, &stored.weights, operators);
    let mut tallies = Tallies::new(graph, unlike);
    let mut errors = Errors::default();
    let mut calibration = plan::calibration(export, source, (options.seed, options.quick))?;
    forms.left_out(&mut calibration);
    let rows = export.fixed().0;
    let work = |case: &Case| course::all_forms(case, plan::is_planned(case, rows, limit));
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
        let (truth, moved) = portable::truth_and_moved(graph, truths, case)?;
        errors.moved(case, &moved);
        errors.learn(&forms.steps(graph, case)?, case, &truth);
    }
    for case in &cases {
        course.begin(work(case), &case.name());
        let run = Trial {
            graph,
            numbers: truths,
            forms: &forms,
            case,
        };
        run.add(&mut errors, &mut tallies, &mut exact)
            .with_context(|| case.name())?;
    }
    let mut rows = held;
    notes.extend(told);
    let on = |check| !export.off().has(check);
    let known = golden::known(export, graph, (&stored.ports, rounding.is_some()))?;
    if on(Check::Portable) {
        rows.extend(forms.golden(&known)?);
        rows.extend(tallies.rows());
        if let Some(step) = &forms.step {
            rows.push(rewind::row(TRACT, step, source, options.seed)?);
        }
    }
    if on(Check::Exact) {
        rows.extend(exact.golden(&known)?);
        rows.extend(exact.rewound(source, options.seed)?);
        let (exact_rows, unknown) = exact.rows();
        rows.extend(exact_rows);
        notes.extend(unknown);
    }
    if let Some((row, note)) = range::row(&forms.named(), usual) {
        notes.push(note);
        rows.extend(on(Check::Portable).then_some(row));
    }
    if on(Check::Extras) {
        rows.extend(extras::rows(
            source,
            truths,
            &forms,
            &mut errors,
            options.seed,
        )?);
    }
    notes.extend(remarks(&forms, usual, &stored.weights, rounding.is_some()));
    notes.extend(denormal(&stored.params));
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
    Ok(Report::new(rows, notes).of(export))
}

/// What is to be said of how it was measured.
fn remarks(forms: &Forms, usual: Option<&Usual>, weights: &Weights, rounds: bool) -> Vec<String> {
    let mut notes = vec![];
    if forms.anew.is_some() {
        notes.push(ANEW.into());
    }
    if usual.is_some() {
        notes.push("features are drawn as the model normalises them, some raw and some a hundred times as far out besides; tolerances are measured for each kind".into());
    }
    if *weights != Weights::F32 {
        notes.push(format!(
            "weights are {}: the oracle has them as they are stored{}",
            weights.name(),
            match rounds {
                true => ", and rounds arguments of products as the files do; tolerances have, for each tensor, what that rounding moved",
                false => "",
            }
        ));
    }
    notes
}

/// Weights that some engines take for 0.
fn denormal(params: &Params) -> Option<String> {
    let all = (0..params.len()).flat_map(|i| params.get(i));
    let count = all.filter(|v| v.is_subnormal()).count();
    (count > 0).then(|| {
        format!(
            "{count} weights are denormal numbers (smaller than 1.2e-38, and not 0): tract and other engines take them for 0"
        )
    })
}
