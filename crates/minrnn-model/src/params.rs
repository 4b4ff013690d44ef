//! Parameters: names, shapes, roles, first values.

use std::collections::BTreeMap;

use crate::error::{ModelError, Result};
use crate::graph::Graph;
use crate::rng::Rng;

/// A parameter of a graph. Its name is the tensor's name in checkpoints and the initializer's name in ONNX.
#[derive(Debug, Clone, PartialEq)]
pub struct ParamSpec {
    /// Dotted name, e.g. `layers.0.rnn.in.weight`.
    pub name: String,
    /// `[K, N]` for matrices (`x W`), `[k, M]` for convolutions, `[M]` for vectors.
    pub shape: Vec<usize>,
    /// What it is for.
    pub role: Role,
}

impl ParamSpec {
    /// Number of values.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }
    /// Never: dimensions are at least 1.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What a parameter is for.
#[derive(Debug, Clone, PartialEq)]
pub enum Role {
    /// Trained.
    Weight {
        /// First values.
        init: Init,
        /// Whether weight decay applies (as in the paper's code, never to gates, biases, norms and states).
        decay: bool,
    },
    /// Kept as it is, such as normalisation statistics.
    Buffer {
        /// Values.
        values: Vec<f32>,
    },
}

/// First values of a weight.
#[derive(Debug, Clone, PartialEq)]
pub enum Init {
    /// All the same.
    Constant(f64),
    /// Uniform in `[-bound, bound)`.
    Uniform {
        /// Largest magnitude.
        bound: f64,
    },
    /// The bias of a gate such that a channel forgets with time scale tau (in steps), tau log-uniform in `[min, max]`:
    /// `bias = sign * logit(exp(-1 / tau))`.
    TimeScale {
        /// Shortest time scale, steps.
        min: f64,
        /// Longest time scale, steps.
        max: f64,
        /// +1 for a gate that keeps, -1 for a gate that replaces.
        sign: f64,
    },
    /// Parts of the last axis, each with its own rule: `(length, rule)`.
    Parts(Vec<(usize, Init)>),
}

impl Init {
    /// PyTorch's default for a linear layer with `inputs` inputs: uniform in `1 / sqrt(inputs)`.
    pub fn linear(inputs: usize) -> Self {
        Self::Uniform {
            bound: 1.0 / libm::sqrt(inputs as f64),
        }
    }

    fn value(&self, channel: usize, rng: &mut Rng) -> f64 {
        match self {
            Self::Constant(c) => *c,
            Self::Uniform { bound } => bound * (2.0 * rng.uniform() - 1.0),
            Self::TimeScale { min, max, sign } => {
                let tau = libm::exp(
                    libm::log(*min) + rng.uniform() * (libm::log(*max) - libm::log(*min)),
                );
                -sign * libm::log(libm::expm1(1.0 / tau))
            }
            Self::Parts(parts) => {
                let mut at = channel;
                for (len, init) in parts {
                    if at < *len {
                        return init.value(at, rng);
                    }
                    at -= len;
                }
                0.0
            }
        }
    }
}

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
