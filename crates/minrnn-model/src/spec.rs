//! What a parameter is: name, shape, role, and the rule of its first values.

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
    /// The bias k of a gate `tanh(k)` such that a channel forgets with time scale tau (in steps), tau log-uniform in `[min, max]`:
    /// `k = artanh(exp(-1 / tau))`.
    SignedTimeScale {
        /// Shortest time scale, steps.
        min: f64,
        /// Longest time scale, steps.
        max: f64,
    },
    /// Normal with mean 0.
    Normal {
        /// Standard deviation.
        std: f64,
    },
    /// `ln(1 + c % count)` of channel c: logarithms of 1 to `count`, again and again.
    LogRange {
        /// How many.
        count: usize,
    },
    /// `y` with `ln(1 + e^y) = s`, s log-uniform in `[min, max]` and at least `floor`: what softplus makes a step size of.
    InverseSoftplus {
        /// Smallest step size.
        min: f64,
        /// Largest step size.
        max: f64,
        /// What smaller ones become; above 0.
        floor: f64,
    },
    /// `ln s`, s log-uniform in `[min, max]`.
    LogOfLogUniform {
        /// Smallest s; above 0.
        min: f64,
        /// Largest s.
        max: f64,
    },
    /// Imaginary parts of a diagonal state space, n = c % count of channel c: `pi n`, or with N = 2 count `N / pi (N / (2n + 1) - 1)`.
    Frequencies {
        /// How many.
        count: usize,
        /// Whether it is the second.
        inverse: bool,
    },
    /// `ln u`, u uniform in `[min, max]`.
    LogOfUniform {
        /// Smallest u; above 0.
        min: f64,
        /// Largest u.
        max: f64,
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

    pub(crate) fn value(&self, channel: usize, rng: &mut Rng) -> f64 {
        match self {
            Self::Constant(c) => *c,
            Self::Uniform { bound } => bound * (2.0 * rng.uniform() - 1.0),
            Self::TimeScale { min, max, sign } => {
                let tau = log_uniform(*min, *max, rng);
                -sign * libm::log(libm::expm1(1.0 / tau))
            }
            Self::SignedTimeScale { min, max } => {
                let rate = 1.0 / log_uniform(*min, *max, rng);
                // ln((1 + e) / (1 - e)) / 2, e = exp(-rate).
                0.5 * (libm::log1p(libm::exp(-rate)) - libm::log(-libm::expm1(-rate)))
            }
            Self::Normal { std } => std * rng.normal(),
            Self::LogRange { count } => libm::log((1 + channel % (*count).max(1)) as f64),
            Self::InverseSoftplus { min, max, floor } => {
                let step = log_uniform(*min, *max, rng).max(*floor);
                // ln(e^s - 1), without the difference of large numbers.
                step + libm::log(-libm::expm1(-step))
            }
            Self::LogOfLogUniform { min, max } => libm::log(log_uniform(*min, *max, rng)),
            Self::Frequencies { count, inverse } => {
                let (n, all) = ((channel % (*count).max(1)) as f64, 2.0 * *count as f64);
                match inverse {
                    false => std::f64::consts::PI * n,
                    true => all / std::f64::consts::PI * (all / (2.0 * n + 1.0) - 1.0),
                }
            }
            Self::LogOfUniform { min, max } => libm::log(min + (max - min) * rng.uniform()),
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

fn log_uniform(min: f64, max: f64, rng: &mut Rng) -> f64 {
    libm::exp(libm::log(min) + rng.uniform() * (libm::log(max) - libm::log(min)))
}
