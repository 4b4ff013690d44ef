//! Rows with lengths of their own, and steps at which states begin anew: for files that take such.

use anyhow::Result;
use minrnn_model::graph::{Graph, Input};
use minrnn_model::oracle::{self, Data};
use minrnn_model::rng::Rng;
use minrnn_model::usual::Usual;
use minrnn_runtime as runtime;

use super::case::{Case, Draw};
use super::engine::{Numbers, Outcome, Tract, Truth, join};
use super::forms::{Errors, Forms};
use super::grade;
use super::report::{Row, Tally};
use crate::verify::Grade;

const BATCH: usize = 3;

/// Lengths and resets of a case.
struct Extra {
    lengths: Option<Vec<usize>>,
    reset: Option<Vec<bool>>,
}

/// One row for each form that takes lengths or resets.
pub(super) fn rows(
    graph: &Graph,
    numbers: Numbers,
    forms: &Forms,
    errors: &Errors,
    usual: Option<&Usual>,
    seed: u64,
) -> Result<Vec<Row>> {
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
        let mut rng = Rng::named(seed, "extras");
        for time in times {
            let batch = info.batch.unwrap_or(BATCH);
            let case = Case::random(graph, (batch, time), true, &mut rng).drawn(Draw::Usual, usual);
            let extra = Extra::random(&case, info, &mut rng);
            let (truth, moved) = extra.truth(graph, numbers, &case)?;
            let tolerances = super::widened(errors.tract.tolerances(&case, &truth), &moved);
            let mut got = extra.run(graph, tract, &case)?;
            let mut want = truth;
            extra.within(graph, &case, &mut got.output, 0.0f32);
            extra.within(graph, &case, &mut want.output, 0.0f64);
            grade::portable(&mut tally, &case, &got, &want, &tolerances);
        }
        rows.push(tally.row());
    }
    Ok(rows)
}

impl Extra {
    fn random(case: &Case, info: &runtime::Info, rng: &mut Rng) -> Self {
        let lengths = info.lengths.then(|| {
            let one = |_| 1 + rng.below(case.time);
            (0..case.batch).map(one).collect()
        });
        let count = case.batch * case.time;
        let reset = info
            .reset
            .then(|| (0..count).map(|_| rng.below(6) == 0).collect());
        Self { lengths, reset }
    }

    /// The oracle, and what the rounding of narrow products moved.
    fn truth(&self, graph: &Graph, numbers: Numbers, case: &Case) -> Result<(Truth, Vec<f64>)> {
        let own = self.run_oracle(graph, numbers, case)?;
        let moved = match numbers.rounding {
            None => vec![0.0; 1 + own.states.len()],
            Some(_) => {
                let plain = Numbers {
                    rounding: None,
                    ..numbers
                };
                grade::moved(&own, &self.run_oracle(graph, plain, case)?)
            }
        };
        Ok((own, moved))
    }

    fn run_oracle(&self, graph: &Graph, numbers: Numbers, case: &Case) -> Result<Truth> {
        let data = match graph.input() {
            Input::Tokens { .. } => Data::Tokens(&case.ids),
            Input::Features { .. } => Data::Features(&case.features),
        };
        let wide = |v: &Vec<f32>| v.iter().map(|x| f64::from(*x)).collect();
        let states: Option<Vec<Vec<f64>>> =
            case.states.as_ref().map(|s| s.iter().map(wide).collect());
        let run = oracle::Run {
            states: states.as_deref(),
            lens: self.lengths.as_deref(),
            reset: self.reset.as_deref(),
            rounding: numbers.rounding,
            ..oracle::Run::new(case.batch, case.time, data)
        };
        let trace = oracle::run(graph, numbers.params, &run)?;
        Ok(Truth {
            output: trace.output.data,
            bound: vec![],
            states: trace.states.into_iter().map(|s| s.data).collect(),
        })
    }

    fn run(&self, graph: &Graph, tract: &Tract, case: &Case) -> Result<Outcome> {
        if tract.info().form.is_sequence() {
            let lengths: Option<Vec<i64>> = self
                .lengths
                .as_ref()
                .map(|l| l.iter().map(|n| *n as i64).collect());
            let extras = runtime::Extras {
                lengths: lengths.as_deref(),
                reset: self.reset.as_deref(),
            };
            return tract.run_with(case, &extras);
        }
        let (mut parts, mut states) = (vec![], case.states.clone());
        for t in 0..case.time {
            let now: Option<Vec<bool>> = self
                .reset
                .as_ref()
                .map(|r| super::case::cut(r, case.batch, case.time, t, t + 1));
            let extras = runtime::Extras {
                lengths: None,
                reset: now.as_deref(),
            };
            let out = tract.run_with(&case.cut(t, t + 1, states.take()), &extras)?;
            parts.push((1, out.output));
            states = Some(out.states);
        }
        Ok(Outcome {
            output: join(graph, case.batch, parts),
            states: states.unwrap_or_default(),
        })
    }

    /// What stands behind a row's end means nothing.
    fn within<T: Copy>(&self, graph: &Graph, case: &Case, output: &mut [T], nothing: T) {
        let Some(lengths) = self.lengths.as_ref().filter(|_| !graph.is_last_step()) else {
            return;
        };
        let width = graph.width(graph.output().value);
        for (row, length) in output.chunks_exact_mut(case.time * width).zip(lengths) {
            row[length * width..].fill(nothing);
        }
    }
}
