//! What the optimizer makes small. Where a model's last operation leads from normalised values back to the units of the data, that is
//! the squared error of the normalised values, so that rates and clipping mean the same whatever the units, and every value weighs the
//! same. What is reported of evaluations is always in the units of the data, of the whole graph.

use std::borrow::Cow;

use minrnn_model::graph::{Graph, Param};
use minrnn_model::params::Role;

use crate::task::{Batch, Targets};

/// The graph that is trained, and how targets are brought to its units.
#[derive(Debug)]
pub(super) struct Aim {
    graph: Graph,
    /// Mean and standard deviation of each value, where they are normalised.
    units: Option<Vec<(f64, f64)>>,
}

impl Aim {
    pub(super) fn new(graph: &Graph) -> Self {
        let (Some(end), Some(inner)) = (graph.denormalisation(), graph.normalised()) else {
            return Self {
                graph: graph.clone(),
                units: None,
            };
        };
        let numbers = |param: Option<Param>, absent: f64| {
            let width = graph.width(end.value);
            match param.map(|p| &graph.param_spec(p).role) {
                Some(Role::Buffer { values }) => values.iter().map(|v| f64::from(*v)).collect(),
                _ => vec![absent; width],
            }
        };
        let (mean, std) = (numbers(end.shift, 0.0), numbers(end.scale, 1.0));
        Self {
            graph: inner,
            units: Some(mean.into_iter().zip(std).collect()),
        }
    }

    /// What runs in a training step; its parameters are those of the whole graph.
    pub(super) fn graph(&self) -> &Graph {
        &self.graph
    }

    /// The batch with targets in the units of [`Self::graph`]'s values.
    pub(super) fn batch<'a>(&self, batch: &'a Batch) -> Cow<'a, Batch> {
        let (
            Some(units),
            Targets::Values {
                values,
                width,
                per_step,
            },
        ) = (&self.units, &batch.targets)
        else {
            return Cow::Borrowed(batch);
        };
        let counts = |row: usize| batch.weights.as_ref().is_none_or(|w| w[row] != 0.0);
        let normal = |(i, value): (usize, &f32)| {
            // Padding stays 0: it must stay finite to weigh nothing.
            if !counts(i / width) {
                return 0.0;
            }
            let (mean, std) = units.get(i % width).copied().unwrap_or((0.0, 1.0));
            ((f64::from(*value) - mean) / std) as f32
        };
        Cow::Owned(Batch {
            targets: Targets::Values {
                values: values.iter().enumerate().map(normal).collect(),
                width: *width,
                per_step: *per_step,
            },
            ..batch.clone()
        })
    }
}
