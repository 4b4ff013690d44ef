//! What a run must fit.

use super::{Data, Run, Weights};
use crate::error::{ModelError, Result};
use crate::graph::{Graph, Input};

pub(super) fn check(graph: &Graph, params: Weights, run: &Run) -> Result<()> {
    let fail = |what: String| Err(ModelError::input(what));
    let (batch, time) = (run.batch, run.time);
    if batch == 0 || time == 0 {
        return fail(format!(
            "a run needs at least one row and one step, got B={batch}, T={time}"
        ));
    }
    match (graph.input(), run.data) {
        (Input::Tokens { vocab }, Data::Tokens(ids)) => {
            if ids.len() != batch * time {
                return fail(format!(
                    "input_ids has {} values, wanted B*T = {}",
                    ids.len(),
                    batch * time
                ));
            }
            if let Some(i) = ids.iter().position(|id| *id as usize >= vocab) {
                return fail(format!(
                    "input_ids[{i}] is {}, the vocabulary has {vocab} tokens",
                    ids[i]
                ));
            }
        }
        (Input::Features { width }, Data::Features(x)) => {
            if x.len() != batch * time * width {
                return fail(format!(
                    "features has {} values, wanted B*T*F = {}",
                    x.len(),
                    batch * time * width
                ));
            }
        }
        (Input::Tokens { .. }, _) => return fail("the model takes token ids, not features".into()),
        (Input::Features { .. }, _) => {
            return fail("the model takes features, not token ids".into());
        }
    }
    if params.len() != graph.params().len() {
        return fail(format!(
            "{} parameters given, the model has {}",
            params.len(),
            graph.params().len()
        ));
    }
    for (i, spec) in graph.params().iter().enumerate() {
        let count = params.len_of(i);
        if count != spec.len() {
            return fail(format!(
                "parameter `{}` has {count} values, wanted {}",
                spec.name,
                spec.len()
            ));
        }
    }
    if let Some(states) = run.states {
        let fits = states.len() == graph.states().len()
            && states
                .iter()
                .zip(graph.states())
                .all(|(v, s)| v.len() == s.len() * batch);
        if !fits {
            return fail("the states given do not fit the model's states".into());
        }
    }
    if run
        .lens
        .is_some_and(|l| l.len() != batch || l.iter().any(|n| !(1..=time).contains(n)))
    {
        return fail(format!(
            "lens must have B = {batch} values between 1 and T = {time}"
        ));
    }
    if run.reset.is_some_and(|r| r.len() != batch * time) {
        return fail(format!("reset must have B*T = {} values", batch * time));
    }
    Ok(())
}
