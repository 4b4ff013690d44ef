//! A batch on its way to a plan.

use minrnn_kernels::Elem;
use minrnn_model::graph::{Graph, Input, OutputKind, Span};

use super::options::{Carry, Options, Recompute, Target};
use super::place::{Place, Space};
use super::state_rows::all_states;
use crate::error::{Result, TrainError};
use crate::optim::Room;
use crate::task::{Batch, Input as Given, Targets};

/// What the output is compared with.
#[derive(Debug, Clone, Copy)]
pub enum Wanted<'a> {
    /// Class numbers, `[rows]`.
    Classes(&'a [u32]),
    /// Values, `[rows, C]`.
    Values(&'a [f32]),
    /// Zeros.
    Zeros,
}

/// A batch on its way to a plan.
#[derive(Debug, Clone, Copy)]
pub struct Inputs<'a> {
    /// B.
    pub batch: usize,
    /// T.
    pub time: usize,
    /// Token ids `[B,T]`.
    pub ids: &'a [u32],
    /// Features `[B,T,F]`.
    pub features: &'a [f32],
    /// Targets.
    pub wanted: Wanted<'a>,
    /// Weights of the targets, `[rows]`.
    pub weights: Option<&'a [f32]>,
    /// Lengths `[B]`, each 1 to T.
    pub lens: Option<&'a [u32]>,
}

impl Inputs<'_> {
    /// Whether they are of this graph.
    ///
    /// # Errors
    /// [`TrainError::Tensor`] naming the first one that does not fit.
    pub(super) fn check(&self, graph: &Graph) -> Result<()> {
        let (rows, output) = {
            let node = graph.node(graph.output().value);
            let steps = if node.span == Span::Step {
                self.time
            } else {
                1
            };
            (self.batch * steps, node.width)
        };
        let size = |name: &str, got: usize, wanted: usize| {
            if got == wanted {
                return Ok(());
            }
            let message = format!("has {got} values, expected {wanted}");
            Err(TrainError::tensor(name, message))
        };
        let below = |name: &str, ids: &[u32], limit: usize| match ids
            .iter()
            .position(|id| *id as usize >= limit)
        {
            Some(at) => {
                let message = format!("value {at} is {}, expected below {limit}", ids[at]);
                Err(TrainError::tensor(name, message))
            }
            None => Ok(()),
        };
        if self.batch == 0 || self.time == 0 {
            return Err(TrainError::tensor("input", "is empty"));
        }
        let steps = self.batch * self.time;
        match graph.input() {
            Input::Tokens { vocab } => {
                size("input", self.ids.len(), steps)?;
                below("input", self.ids, vocab)?;
            }
            Input::Features { width } => size("input", self.features.len(), steps * width)?,
        }
        match (self.wanted, graph.output().kind) {
            (Wanted::Classes(ids), OutputKind::Logits) => {
                size("targets", ids.len(), rows)?;
                below("targets", ids, output)?;
            }
            (Wanted::Values(values), OutputKind::Values) => {
                size("targets", values.len(), rows * output)?;
            }
            (Wanted::Zeros, OutputKind::Values) => {}
            (_, kind) => {
                let message = format!("do not fit the model's output, {kind:?}");
                return Err(TrainError::tensor("targets", message));
            }
        }
        if let Some(weights) = self.weights {
            size("weights", weights.len(), rows)?;
        }
        if let Some(lens) = self.lens {
            size("lengths", lens.len(), self.batch)?;
            if lens.iter().any(|l| *l == 0 || *l as usize > self.time) {
                return Err(TrainError::tensor(
                    "lengths",
                    format!("must be 1 to {}", self.time),
                ));
            }
        }
        Ok(())
    }

    /// All states of their rows in a space.
    pub(super) fn states(&self, graph: &Graph, space: Space) -> Place {
        all_states(graph, self.batch, space)
    }

    /// Whether so many values are the states of their rows.
    ///
    /// # Errors
    /// [`TrainError::Tensor`] with both numbers.
    pub(super) fn check_carried(&self, graph: &Graph, found: usize) -> Result<()> {
        let wanted = self.states(graph, Space::Carried).len;
        if found == wanted {
            return Ok(());
        }
        let message = format!(
            "the states that were kept have {found} values, those of this batch have {wanted}; begin anew where the batch changes"
        );
        Err(TrainError::tensor("states", message))
    }

    /// The plan that runs them.
    pub(super) fn options(
        &self,
        compute: Elem,
        train: bool,
        update: Option<Room>,
        has_last: bool,
    ) -> Options {
        Options {
            batch: self.batch,
            time: self.time,
            compute,
            train,
            update,
            input_gradient: false,
            target: match self.wanted {
                Wanted::Classes(_) => Target::Classes,
                Wanted::Values(_) => Target::Values,
                Wanted::Zeros => Target::Zeros,
            },
            weights: self.weights.is_some(),
            lens: self.lens.is_some() && has_last,
            carry: Carry::None,
            recompute: Recompute::Large,
        }
    }
}

impl<'a> Inputs<'a> {
    /// Those of a batch of a task, without resets.
    ///
    /// # Errors
    /// Those of [`Batch::validate`].
    pub fn of(batch: &'a Batch) -> Result<Self> {
        batch.validate()?;
        let (ids, features): (&[u32], &[f32]) = match &batch.input {
            Given::Tokens { ids } => (ids, &[]),
            Given::Features { values, .. } => (&[], values),
        };
        Ok(Self {
            batch: batch.batch,
            time: batch.time,
            ids,
            features,
            wanted: match &batch.targets {
                Targets::Classes { ids, .. } => Wanted::Classes(ids),
                Targets::Values { values, .. } => Wanted::Values(values),
            },
            weights: batch.weights.as_deref(),
            lens: batch.lens.as_deref(),
        })
    }
}
