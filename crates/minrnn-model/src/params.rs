//! Values of parameters: first ones, named ones.

use std::collections::BTreeMap;

use crate::error::{ModelError, Result};
use crate::graph::Graph;
use crate::rng::Rng;
pub use crate::spec::{Init, ParamSpec, Role};

/// Values of all parameters of a graph, in its order.
#[derive(Debug, Clone, PartialEq)]
pub struct Params {
    values: Vec<Vec<f32>>,
}

impl Params {
    /// First values from a seed; a parameter's values depend on the seed and its name only.
    pub fn init(graph: &Graph, seed: u64) -> Self {
        Self {
            values: graph
                .params()
                .iter()
                .map(|spec| first_values(spec, seed))
                .collect(),
        }
    }

    /// From named tensors `(shape, values)`.
    ///
    /// # Errors
    /// A tensor that is missing, of another shape, unknown to the graph, or not finite.
    pub fn from_named(
        graph: &Graph,
        mut named: BTreeMap<String, (Vec<usize>, Vec<f32>)>,
    ) -> Result<Self> {
        let mut values = Vec::with_capacity(graph.params().len());
        for spec in graph.params() {
            let fail = |what: String| {
                Err(ModelError::Param {
                    name: spec.name.clone(),
                    what,
                })
            };
            let Some((shape, data)) = named.remove(&spec.name) else {
                return fail(format!(
                    "is missing; the model wants it with shape {:?}",
                    spec.shape
                ));
            };
            if shape != spec.shape || data.len() != spec.len() {
                return fail(format!(
                    "has shape {shape:?}, the model wants {:?}",
                    spec.shape
                ));
            }
            if let Some(i) = data.iter().position(|v| !v.is_finite()) {
                return fail(format!("is not finite at flat index {i}"));
            }
            values.push(data);
        }
        match named.into_keys().next() {
            Some(name) => Err(ModelError::Param {
                name,
                what: "is unknown to the model".into(),
            }),
            None => Ok(Self { values }),
        }
    }

    /// By name: `(shape, values)`.
    pub fn to_named(&self, graph: &Graph) -> BTreeMap<String, (Vec<usize>, Vec<f32>)> {
        graph
            .params()
            .iter()
            .zip(&self.values)
            .map(|(s, v)| (s.name.clone(), (s.shape.clone(), v.clone())))
            .collect()
    }

    /// Number of parameters (tensors).
    pub fn len(&self) -> usize {
        self.values.len()
    }
    /// Whether the graph has none.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }
    /// Number of values in all.
    pub fn count(&self) -> usize {
        self.values.iter().map(Vec::len).sum()
    }
    /// Values of the parameter at `index`, row-major.
    pub fn get(&self, index: usize) -> &[f32] {
        &self.values[index]
    }
    /// The same, to change.
    pub fn get_mut(&mut self, index: usize) -> &mut [f32] {
        &mut self.values[index]
    }
    /// All values in the oracle's type.
    pub fn to_f64(&self) -> Vec<Vec<f64>> {
        self.values
            .iter()
            .map(|v| v.iter().map(|x| f64::from(*x)).collect())
            .collect()
    }
}

fn first_values(spec: &ParamSpec, seed: u64) -> Vec<f32> {
    let init = match &spec.role {
        Role::Buffer { values } => return values.clone(),
        Role::Weight { init, .. } => init,
    };
    let mut rng = Rng::named(seed, &spec.name);
    let last = spec.shape.last().copied().unwrap_or(1);
    (0..spec.len())
        .map(|i| init.value(i % last, &mut rng) as f32)
        .collect()
}
