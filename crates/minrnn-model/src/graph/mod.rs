//! The graph: one description of a model, read by every interpreter.
//!
//! Values are `[B, T, width]` (or `[B, width]` after [`Op::Last`], or `[rows, width]` where they are computed from parameters alone:
//! [`Span`]); B and T are implied. A node has one value. States carry what must be remembered between steps: the last value of a feedback
//! operation, or a window, the last rows of an input. Parameters carry their role. A *region* marks the nodes of a layer for which an
//! interpreter may have a faster whole; the nodes stay the definition.
//!
//! | file | what |
//! |---|---|
//! | `op`, `functions` | the primitives |
//! | `shape` | what each takes, and the shape of its result |
//! | `convolution` | of convolutions and limits: their shapes, their short names, the longest sequence |
//! | `state`, `begun` | states; those that somebody makes up |
//! | `fold` | feedback of any kind, step by step |
//! | `fused` | layers, and what an interpreter may run as a whole |
//! | `build`, `write` | tracing; short names for what layers write most |
//! | `check`, `limits`, `uses` | what a finished graph must keep; what any may hold; what parameters are read as |

mod affine;
mod begun;
mod build;
mod check;
mod convolution;
mod fold;
mod functions;
mod fused;
mod hidden;
mod limits;
mod op;
mod shape;
mod state;
mod uses;

#[cfg(test)]
mod tests;
mod write;

pub use affine::Denormalisation;
pub use fold::{FoldNodes, FoldState};
pub use functions::{Binary, Unary};
pub use fused::{Candidate, Fused, Layer, Region};
pub use op::{Law, Op, Reduction};
pub use state::{Holds, StateInit, StateSpec};
pub use uses::Use;

use crate::spec::ParamSpec;

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

/// What axes a value has before its channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Span {
    /// `[rows, width]`: computed from parameters alone, the same for every sequence and step.
    Model {
        /// Rows.
        rows: usize,
    },
    /// `[B, width]`: one row a sequence (after [`Op::Last`]).
    Row,
    /// `[B, T, width]`: one row a step.
    Step,
}

impl Span {
    /// Whether it is computed from parameters alone.
    pub fn is_model(self) -> bool {
        matches!(self, Self::Model { .. })
    }
    /// Rows of the value in a run of B sequences and T steps.
    pub fn rows(self, batch: usize, time: usize) -> usize {
        match self {
            Self::Model { rows } => rows,
            Self::Row => batch,
            Self::Step => batch * time,
        }
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
    /// Axes of its value before the channels.
    pub span: Span,
    /// Dotted scope, e.g. `layers.0.rnn`.
    pub scope: String,
}

/// A traced model. See the module's documentation.
#[derive(Debug, Clone, PartialEq)]
pub struct Graph {
    input: Input,
    nodes: Vec<Node>,
    params: Vec<ParamSpec>,
    states: Vec<StateSpec>,
    regions: Vec<Region>,
    folds: Vec<FoldNodes>,
    output: Option<Output>,
    scope: Vec<String>,
    /// The present block: its index, and how many scopes lead to it.
    block: Option<(usize, usize)>,
    /// The node that the fold in the making begins with.
    folding: Option<usize>,
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
        self.span(self.output().value) != Span::Step
    }
    /// The parameter that a value is, if it is one as it stands.
    pub fn as_param(&self, value: Value) -> Option<Param> {
        match self.node(value).op {
            Op::Param { param } => Some(param),
            _ => None,
        }
    }
    /// The row of a parameter that a value is, if it is one as it stands.
    pub fn as_row(&self, value: Value) -> Option<(Param, usize)> {
        let node = self.node(value);
        match node.op {
            Op::Row { row } => self.as_param(node.inputs[0]).map(|param| (param, row)),
            _ if node.span == (Span::Model { rows: 1 }) => self.as_param(value).map(|p| (p, 0)),
            _ => None,
        }
    }
    /// The matrix by which a product multiplies what depends on the input, if it is a parameter as it stands.
    pub fn weight(&self, node: &Node) -> Option<Param> {
        match node.op {
            Op::MatMul { .. } if !node.span.is_model() => self
                .as_param(node.inputs[1])
                .filter(|p| self.param_spec(*p).shape.len() == 2),
            _ => None,
        }
    }
    /// The most steps from the begin on, or from a reset: rows of the shortest table that is read by a computed number, such as one of
    /// positions, or the least limit of a count. `None`: any.
    pub fn longest(&self) -> Option<usize> {
        let table = |n: &Node| match n.op {
            Op::Embed { table } if n.inputs != [Value(0)] => Some(self.param_spec(table).shape[0]),
            Op::Limit { most } => Some(most),
            _ => None,
        };
        self.nodes.iter().filter_map(table).min()
    }
    /// How many sites of dropout there are ([`Op::drops`]).
    pub fn dropout_sites(&self) -> usize {
        self.sites_before(self.nodes.len())
    }
    /// How many of them stand before node `end`: which number its own site has.
    pub fn sites_before(&self, end: usize) -> usize {
        let before = self.nodes[..end].iter();
        before.filter(|n| n.op.drops().is_some()).count()
    }
    /// The value whose last step (or last rows) the state holds after a run.
    pub fn state_source(&self, state: State) -> Value {
        let of = |i: usize| match self.nodes[i].op {
            Op::Recur { state: s, .. } | Op::Fold { state: s } if s == state => Some(Value(i)),
            Op::Delay { state: s, .. } | Op::Conv { state: s } if s == state => {
                Some(self.nodes[i].inputs[0])
            }
            Op::Attend { state: s, .. } if s == state => Some(self.nodes[i].inputs[1]),
            _ => None,
        };
        (0..self.nodes.len())
            .find_map(of)
            .expect("a checked graph uses every state")
    }
}
