//! Rows with lengths of their own, and steps at which states begin anew: for files that take such.

use anyhow::Result;
use minrnn_model::graph::Graph;
use minrnn_model::rng::Rng;
use minrnn_model::trial::{Case, Draw, Outcome, Source};
use minrnn_runtime as runtime;

use super::engine::{Numbers, Tract};
use super::forms::{Errors, Forms, TRACT};
use super::grade;
use super::portable::{truth_and_moved, widened};
use super::report::{Row, Tally};
use crate::verify::Grade;

const BATCH: usize = 3;

/// One row for each form that takes lengths or resets.
pub(super) fn rows(
    source: Source,
    numbers: Numbers,
    forms: &Forms,
    errors: &mut Errors,
    seed: u64,
) -> Result<Vec<Row>> {
    let graph = source.graph;
    let all = [
        ("parallel", &forms.parallel),
        ("scan", &forms.scan),
        ("step", &forms.step),
    ];
    let mut rows = vec![];
    for (name, form) in all {
        let Some(tract) = form else { continue };
        let info = tract.info();
        let what = match (info.lengths, info.reset) {
            (false, false) => continue,
            (true, false) => "lengths",
            (false, true) => "resets",
            (true, true) => "lengths and resets",
        };
        let mut tally = Tally::new(
            "tract",
            format!("{name} with {what}"),
            "oracle",
            Grade::Portable,
        );
        let times = match info.seq_len {
            Some(t) => vec![t],
            None => vec![1, 5, 33, 70],
        };
        let most = [info.max_seq_len, graph.longest()]
            .into_iter()
            .flatten()
            .min();
        let times = times
            .into_iter()
            .map(|t| most.map_or(t, |most| t.min(most)));
        let mut rng = Rng::named(seed, "extras");
        let most = source.graph.longest().unwrap_or(usize::MAX);
        for time in times.into_iter().filter(|t| *t <= most) {
            let batch = info.batch.unwrap_or(BATCH);
            let case = source.case((batch, time), true, Draw::Usual, &mut rng)?;
            let case = with_extras(case, info, &mut rng);
            let (mut want, moved) = truth_and_moved(graph, numbers, &case)?;
            let moved = errors.moved(&case, &moved);
            let tolerances = widened(errors.tolerances(TRACT, &case, &want), &moved);
            let mut got = run(graph, tract, &case)?;
            within(graph, &case, &mut got.output, 0.0f32);
            within(graph, &case, &mut want.output, 0.0f64);
            grade::portable(&mut tally, &case, &got, &want, &tolerances);
        }
        rows.push(tally.row());
    }
    Ok(rows)
}

/// The same case with lengths and resets at random, where the file takes them.
fn with_extras(mut case: Case, info: &runtime::Info, rng: &mut Rng) -> Case {
    case.lengths = info.lengths.then(|| {
        let one = |_| 1 + rng.below(case.time);
        (0..case.batch).map(one).collect()
    });
    let count = case.batch * case.time;
    case.reset = info
        .reset
        .then(|| (0..count).map(|_| rng.below(6) == 0).collect());
    case
}

fn run(graph: &Graph, tract: &Tract, case: &Case) -> Result<Outcome> {
    if tract.info().form.is_sequence() {
        return tract.run_with(case);
    }
    // A step has no length.
    let rows = Case {
        lengths: None,
        ..case.clone()
    };
    rows.in_pieces(graph, &vec![1; case.time], |step| tract.run_with(step))
}

/// What stands behind a row's end means nothing.
fn within<T: Copy>(graph: &Graph, case: &Case, output: &mut [T], nothing: T) {
    let Some(lengths) = case.lengths.as_ref().filter(|_| !graph.is_last_step()) else {
        return;
    };
    let width = graph.width(graph.output().value);
    for (row, length) in output.chunks_exact_mut(case.time * width).zip(lengths) {
        row[length * width..].fill(nothing);
    }
}
