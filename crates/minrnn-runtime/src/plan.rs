//! tract behind a wall: plans for a batch and a length, a few of them kept, and no panic that passes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tract_onnx::prelude::tract_itertools::Itertools;
use tract_onnx::prelude::*;
use tract_onnx::tract_hir::infer::InferenceModelExt;

use crate::contract::{BATCH, SEQ_LEN};
use crate::error::{Cause, Error, Result};
use crate::exact::words;
use crate::info::Info;
use crate::{panics, referee};

/// What a plan is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Key {
    /// One batch and one length: the fast plans.
    Fixed { batch: usize, time: usize },
    /// Any batch, any length.
    Symbolic,
}

/// A graph that tract can run.
pub(crate) type Plan = Arc<TypedRunnableModel>;

/// The parsed graph of one file, and the plans made of it.
pub(crate) struct Engine {
    file: String,
    graph: InferenceModel,
    /// At most `capacity`, the one used last at the end.
    plans: Mutex<Vec<(Key, Plan)>>,
    capacity: usize,
    /// Whether tract may rewrite the graph.
    rewritten: bool,
}

impl Engine {
    /// Lets tract parse a graph that has passed all checks of this crate.
    pub(crate) fn new(
        file: &str,
        model: &tract_onnx::pb::ModelProto,
        capacity: usize,
    ) -> Result<Self> {
        Self::parse(file, model, capacity, None)
    }

    /// The same graph with the operations of [`referee`], not rewritten.
    pub(crate) fn referee(
        file: &str,
        model: &tract_onnx::pb::ModelProto,
        capacity: usize,
        info: &Info,
    ) -> Result<Self> {
        Self::parse(file, model, capacity, Some(info))
    }

    fn parse(
        file: &str,
        model: &tract_onnx::pb::ModelProto,
        capacity: usize,
        referee: Option<&Info>,
    ) -> Result<Self> {
        // tract would unify the declared type of each inner tensor with what it finds; it finds all of them by itself.
        let parse = || {
            let onnx = referee.map_or_else(tract_onnx::onnx, |_| referee::parser());
            let mut parsed = onnx.with_ignore_value_info(true).parse(model, None)?;
            if parsed.unresolved_inputs.is_empty() {
                if let Some(info) = referee {
                    referee::replace(&mut parsed, model, info)?;
                }
                return Ok(parsed.model);
            }
            let names = parsed.unresolved_inputs.iter().join(", ");
            Err(TractError::msg(format!("nothing produces {names}")))
        };
        let graph = caught(parse).map_err(|source| Error::Load {
            file: file.into(),
            what: "the engine does not take the graph".into(),
            source,
        })?;
        Ok(Self {
            file: file.into(),
            graph,
            plans: Mutex::default(),
            capacity: capacity.max(1),
            rewritten: referee.is_none(),
        })
    }

    /// The plan for `key`, from the cache or made now. Two threads that want the same new plan may both make it; the
    /// lock is never held while a plan is made.
    pub(crate) fn plan(&self, key: Key) -> Result<Plan> {
        if let Some(plan) = self.cached(key) {
            return Ok(plan);
        }
        let plan = caught(|| self.make(key)).map_err(|source| Error::Load {
            file: self.file.clone(),
            what: format!("the engine cannot make a plan for {}", key.words()),
            source,
        })?;
        let mut plans = self.plans.lock().unwrap_or_else(PoisonError::into_inner);
        plans.retain(|(k, _)| *k != key);
        while plans.len() >= self.capacity {
            plans.remove(0);
        }
        plans.push((key, plan.clone()));
        Ok(plan)
    }

    fn cached(&self, key: Key) -> Option<Plan> {
        let mut plans = self.plans.lock().unwrap_or_else(PoisonError::into_inner);
        let at = plans.iter().position(|(k, _)| *k == key)?;
        let hit = plans.remove(at);
        let plan = hit.1.clone();
        plans.push(hit);
        Some(plan)
    }

    /// How many plans are kept now.
    pub(crate) fn kept(&self) -> usize {
        self.plans
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .len()
    }

    fn make(&self, key: Key) -> TractResult<Plan> {
        let mut graph = self.graph.clone();
        if let Key::Fixed { batch, time } = key {
            let values = HashMap::from([
                (graph.symbols.sym(BATCH), batch.to_dim()),
                (graph.symbols.sym(SEQ_LEN), time.to_dim()),
            ]);
            InferenceModelExt::set_symbols(&mut graph, &values)?;
        }
        if self.rewritten {
            return graph.into_optimized()?.into_runnable();
        }
        graph.into_typed()?.into_runnable()
    }

    /// Runs `plan` from nothing but its inputs: a new tract state each call, because a kept one carries the hidden
    /// state of a `Scan` along and ignores the initial state that it is given.
    pub(crate) fn run(&self, plan: &Plan, key: Key, inputs: TVec<TValue>) -> Result<TVec<TValue>> {
        caught(|| plan.run(inputs)).map_err(|source| Error::Run {
            file: self.file.clone(),
            what: format!("the engine failed on {}", key.words()),
            source,
        })
    }
}

impl Key {
    fn words(self) -> String {
        match self {
            Self::Fixed { batch, time } => format!("batch {batch}, T = {time}"),
            Self::Symbolic => "any batch and length".into(),
        }
    }
}

/// Runs `f` and makes an error of a panic. tract's models are rebuilt or dropped after one, never used again half
/// made: plans are immutable, and a failed run drops its own state.
pub(crate) fn caught<T>(f: impl FnOnce() -> TractResult<T>) -> std::result::Result<T, Cause> {
    match panics::catch(f) {
        Ok(Ok(value)) => Ok(value),
        // The whole chain in one line: the outermost context alone says nothing to a user.
        Ok(Err(error)) => Err(format!("{error:#}").into()),
        Err(payload) => Err(format!("panic in the engine: {}", words(&*payload)).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_an_error_with_its_message() {
        let said = caught::<()>(|| panic!("rank {}", 3)).expect_err("a panic is no value");
        assert_eq!(said.to_string(), "panic in the engine: rank 3");
        let said = caught::<()>(|| panic!("plain")).expect_err("a panic is no value");
        assert_eq!(said.to_string(), "panic in the engine: plain");
    }

    #[test]
    fn plans_are_shared_by_threads() {
        fn shared<T: Send + Sync>() {}
        shared::<Engine>();
        shared::<Plan>();
    }
}
