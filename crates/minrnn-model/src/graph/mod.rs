//! The graph: one description of a model, read by every interpreter.
//!
//! Values are `[B, T, width]` (or `[B, width]` after [`Op::Last`]); B and T are implied. A node has one value. States carry
//! what must be remembered between steps; parameters carry their role. A *region* marks the nodes of a layer for which an
//! interpreter may have a faster whole; the nodes stay the definition.

mod affine;
mod build;
mod check;
mod op;

#[cfg(test)]
mod tests;

use std::ops::Range;

pub use affine::Denormalisation;
pub use op::{Binary, Op, Unary};

use crate::params::ParamSpec;

/// A value of the graph: the result of the node with the same index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Value(pub(crate) usize);

/// A parameter of the graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Param(pub(crate) usize);

/// A state of the graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct State(pub(crate) usize);

macro_rules! index {
    ($($t:ty),*) => {$(impl $t {
        /// Position in the graph's list.
        pub fn index(self) -> usize { self.0 }
        /// The one at `index` of the graph's list.
        pub fn at(index: usize) -> Self { Self(index) }
    })*};
}
index!(Value, Param, State);

/// What goes into a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input {
    /// Token ids `[B, T]`, each below `vocab`.
    Tokens {
        /// V, the number of tokens.
        vocab: usize,
    },
    /// Real-valued features `[B, T, width]`.
    Features {
        /// F, features a step.
        width: usize,
    },
}

/// What an output means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutputKind {
    /// Unnormalised log-probabilities over classes.
    Logits,
    /// Real values.
    Values,
}

impl OutputKind {
    /// The name of the output tensor in exported files.
    pub fn tensor_name(self) -> &'static str {
        match self {
            Self::Logits => "logits",
            Self::Values => "values",
        }
    }
}

/// The output of a graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Output {
    /// The value that leaves the graph.
    pub value: Value,
    /// What it means.
    pub kind: OutputKind,
}

/// Where a state begins when the caller has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StateInit {
    /// All zeros.
    Zero,
    /// A learned vector `[width]`.
    Learned(Param),
}

/// A state: what an operation remembers from one step to the next, always f32 outside of the oracle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateSpec {
    /// `{block}.{name}`, e.g. `0.h`; exported as `state.0.h` and `next_state.0.h`.
    pub name: String,
    /// Channels.
    pub width: usize,
    /// How many past steps it holds; `None` for a recurrence, whose state is its last output.
    pub lag: Option<usize>,
    /// Where it begins.
    pub init: StateInit,
}

impl StateSpec {
    /// Shape without the batch: `[width]`, or `[lag, width]`.
    pub fn shape(&self) -> Vec<usize> {
        match self.lag {
            None => vec![self.width],
            Some(lag) => vec![lag, self.width],
        }
    }
    /// Values a row of the batch has.
    pub fn len(&self) -> usize {
        self.width * self.lag.unwrap_or(1)
    }
    /// Whether a row holds nothing (a convolution over one step).
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Name of the state's input in exported files.
    pub fn input_name(&self) -> String {
        format!("state.{}", self.name)
    }
    /// Name of the state's output in exported files.
    pub fn output_name(&self) -> String {
        format!("next_state.{}", self.name)
    }
}

/// One operation with its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// What it does.
    pub op: Op,
    /// Its arguments, all earlier nodes.
    pub inputs: Vec<Value>,
    /// Channels of its value.
    pub width: usize,
    /// Whether its value has a time axis (`false` after [`Op::Last`]).
    pub timed: bool,
    /// Dotted scope, e.g. `layers.0.rnn`.
    pub scope: String,
}

/// A layer that an interpreter may run as a whole. The names say what the region's nodes compute; they are not another definition.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Fused {
    /// `x W (+ bias)`; parameters weight, then bias.
    Linear {
        /// Whether there is a bias.
        bias: bool,
    },
    /// Input `[k | v]`, one state.
    MinGru {
        /// The candidate's activation.
        candidate: crate::layers::Candidate,
    },
    /// Input `[p | q | v]`, one state.
    MinLstm {
        /// The candidate's activation.
        candidate: crate::layers::Candidate,
        /// Whether gates are normalised to a sum of 1.
        normalize: bool,
    },
    /// Depthwise causal convolution; parameters weight `[k, width]`, then bias; one state when k > 1.
    CausalConv {
        /// Steps it sees.
        kernel: usize,
        /// Whether there is a bias.
        bias: bool,
    },
    /// Parameter weight.
    RmsNorm {
        /// Added to the mean square.
        eps: f64,
    },
    /// Parameters weight, bias.
    LayerNorm {
        /// Added to the variance.
        eps: f64,
    },
    /// GELU by the error function.
    GeluErf,
    /// GELU by tanh.
    GeluTanh,
    /// `x * sigmoid(x)`.
    Silu,
}

/// The nodes of one fused layer.
#[derive(Debug, Clone, PartialEq)]
pub struct Region {
    /// What the nodes compute.
    pub fused: Fused,
    /// Arguments of the layer.
    pub inputs: Vec<Value>,
    /// Parameters made in the layer, in order.
    pub params: Vec<Param>,
    /// States made in the layer, in order.
    pub states: Vec<State>,
    /// The nodes, consecutive.
    pub nodes: Range<usize>,
    /// Results; nothing else of the region is used outside of it.
    pub outputs: Vec<Value>,
}

/// A traced model. See the module's documentation.
#[derive(Debug, Clone, PartialEq)]
pub struct Graph {
    input: Input,
    nodes: Vec<Node>,
    params: Vec<ParamSpec>,
    states: Vec<StateSpec>,
    regions: Vec<Region>,
    output: Option<Output>,
    scope: Vec<String>,
    block: Option<usize>,
}

impl Graph {
    /// What goes in.
    pub fn input(&self) -> Input {
        self.input
    }
    /// All nodes; the first is [`Op::Input`].
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }
    /// The node of a value.
    pub fn node(&self, value: Value) -> &Node {
        &self.nodes[value.0]
    }
    /// The value of the node at `index`.
    pub fn value_at(&self, index: usize) -> Value {
        assert!(
            index < self.nodes.len(),
            "node {index} of {}",
            self.nodes.len()
        );
        Value(index)
    }
    /// All parameters.
    pub fn params(&self) -> &[ParamSpec] {
        &self.params
    }
    /// One parameter.
    pub fn param_spec(&self, param: Param) -> &ParamSpec {
        &self.params[param.0]
    }
    /// All states, in the order in which exported files list them.
    pub fn states(&self) -> &[StateSpec] {
        &self.states
    }
    /// One state.
    pub fn state_spec(&self, state: State) -> &StateSpec {
        &self.states[state.0]
    }
    /// All regions; a region's nodes never overlap another's except by nesting, outer first.
    pub fn regions(&self) -> &[Region] {
        &self.regions
    }
    /// What comes out.
    ///
    /// # Panics
    /// Inside of the function that traces the graph, before it returned.
    pub fn output(&self) -> Output {
        self.output.expect("a traced graph has an output")
    }
    /// Whether the output is one row `[B, C]` a sequence, not one a step.
    pub fn is_last_step(&self) -> bool {
        !self.node(self.output().value).timed
    }
    /// How many [`Op::Dropout`] sites there are.
    pub fn dropout_sites(&self) -> usize {
        self.nodes
            .iter()
            .filter(|n| matches!(n.op, Op::Dropout { .. }))
            .count()
    }
    /// The value whose last step (or last rows) the state holds after a run.
    pub fn state_source(&self, state: State) -> Value {
        let of = |i: usize| match self.nodes[i].op {
            Op::Recur { state: s } if s == state => Some(Value(i)),
            Op::Delay { state: s, .. } if s == state => Some(self.nodes[i].inputs[0]),
            _ => None,
        };
        (0..self.nodes.len())
            .find_map(of)
            .expect("a checked graph uses every state")
    }
}
