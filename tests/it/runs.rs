//! Cases in the runtime.

use minrnn_model::graph::Input as Takes;
use minrnn_model::rng::Rng;
use minrnn_model::trial::{Case, carried, steps};
use minrnn_runtime::{Error, Extras, Input, InputSpec, Model, Output, Session, State};

/// Random values, from the initial states.
pub(crate) fn drawn(input: InputSpec, size: (usize, usize), rng: &mut Rng) -> Case {
    let input = match input {
        InputSpec::Tokens { vocab } => Takes::Tokens {
            vocab: vocab.unwrap_or(2),
        },
        InputSpec::Features { width } => Takes::Features { width },
    };
    Case::of(input, size, rng)
}

/// The case in one call, its lengths and resets with it.
pub(crate) fn run(model: &Model, case: &Case, state: &State) -> Result<(Output, State), Error> {
    let (batch, time) = (case.batch, case.time);
    let ids = ids(case);
    let input = match case.ids.is_empty() {
        false => Input::Tokens {
            ids: &ids,
            batch,
            time,
        },
        true => Input::Features {
            values: &case.features,
            batch,
            time,
            width: case.features.len() / (batch * time),
        },
    };
    let lengths = case.lengths.as_ref();
    let lengths: Option<Vec<i64>> = lengths.map(|l| l.iter().map(|n| *n as i64).collect());
    if lengths.is_none() && case.reset.is_none() {
        return model.run(input, state);
    }
    let extras = Extras {
        lengths: lengths.as_deref(),
        reset: case.reset.as_deref(),
    };
    model.run_with(input, &extras, state)
}

/// The case step by step: the outputs of each step, and the last states.
pub(crate) fn streamed(model: &Model, case: &Case, state: State) -> (Vec<Vec<f32>>, State) {
    carried(steps(case.time, 1), state, |(from, to), state| {
        let (out, next) = run(model, &case.cut(from, to, None), &state)?;
        Ok::<_, Error>((out.values, next))
    })
    .unwrap()
}

/// The next step of a session.
pub(crate) fn next(session: &mut Session, step: &Case) -> Output {
    match step.ids.is_empty() {
        false => session.step_tokens(&ids(step)),
        true => session.step_features(&step.features),
    }
    .unwrap()
}

fn ids(case: &Case) -> Vec<i64> {
    case.ids.iter().map(|id| i64::from(*id)).collect()
}
