//! A batch on its way to the GPU.

use minrnn_kernels::cuda::{CudaError, Gpu};
use minrnn_model::graph::{Graph, Input, OutputKind, Span};

use super::machine::Machine;
use crate::error::{Result, TrainError};
use crate::tape::Space;

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

/// A batch on its way to the GPU.
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

    /// Puts them into the memory of a plan, as far as it reads them.
    pub(super) fn upload(&self, gpu: &Gpu, machine: &Machine) -> Result<()> {
        let used = |space: Space| {
            let launches = &machine.plan.launches;
            launches
                .iter()
                .flat_map(|l| l.places())
                .find(|p| p.space == space)
        };
        let words = |space: Space, values: &[u32]| -> Result<(), CudaError> {
            match used(space) {
                Some(place) => machine.view(place)?.write(gpu, values),
                None => Ok(()),
            }
        };
        let floats = |space: Space, values: &[f32]| -> Result<(), CudaError> {
            match used(space) {
                Some(place) => machine.view(place)?.write(gpu, values),
                None => Ok(()),
            }
        };
        words(Space::Ids, self.ids)?;
        floats(Space::Features, self.features)?;
        match self.wanted {
            Wanted::Classes(ids) => words(Space::Targets, ids)?,
            Wanted::Values(values) => floats(Space::TargetValues, values)?,
            Wanted::Zeros => {}
        }
        if let Some(weights) = self.weights {
            floats(Space::Weights, weights)?;
        }
        if let Some(lens) = self.lens {
            words(Space::Lens, lens)?;
        }
        Ok(())
    }
}
