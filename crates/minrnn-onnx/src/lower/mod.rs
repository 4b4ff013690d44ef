//! From the model's graph to ONNX nodes: one match over its operations, primitives only.
//!
//! What fused regions mean is said by their nodes, so regions are not looked at. Operators are those that every engine
//! was found to run rightly: no Softplus, no Mod, no LayerNormalization, one axis at a time.

mod blocked;
mod delay;
mod elementwise;
mod kogge_stone;
mod padding;
mod recur;
mod sigmoid;
mod time;

use std::collections::BTreeMap;

use minrnn_model::graph::{Graph, Input, Node, Op, Param, StateSpec, Value};
use minrnn_model::params::Params;

use crate::build::{Builder, Val};
use crate::export::{ExportOptions, Form};
use crate::ir::{DType, Dim, Tensor};
use time::Time;

/// The lowered graph, with what a reader must know about it.
#[derive(Debug)]
pub(crate) struct Lowered {
    pub(crate) builder: Builder,
    /// In the order of the states.
    pub(crate) recurrences: Vec<Recurrence>,
    /// Whether values inside have a longer T than the input.
    pub(crate) padded: bool,
    /// The longest T that the graph takes.
    pub(crate) max_seq_len: Option<usize>,
}

/// Where a lowered recurrence is in the graph.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Recurrence {
    pub(crate) a: Val,
    pub(crate) b: Val,
    pub(crate) h0: Val,
    pub(crate) h: Val,
    pub(crate) h_last: Val,
}

/// Lowers `graph`; parameters and options must fit it.
pub(crate) fn lower(graph: &Graph, params: &Params, options: &ExportOptions) -> Lowered {
    let mut l = Lower::new(graph, params, options);
    for node in graph.nodes() {
        let value = l.in_scope(&node.scope, |l| l.node(node));
        l.values.push(value);
    }
    l.output();
    let (padded, max_seq_len) = (l.time.is_padded(), l.time.longest());
    Lowered {
        builder: l.b,
        recurrences: l.recurrences,
        padded,
        max_seq_len,
    }
}

/// `layers.0.rnn.cell` as a path: `layers.0/rnn/cell`.
fn scope_path(scope: &str) -> String {
    let mut path = String::new();
    for part in scope.split('.') {
        let number = !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        if !path.is_empty() {
            path.push(if number { '.' } else { '/' });
        }
        path.push_str(part);
    }
    path
}

/// State of one lowering.
struct Lower<'a> {
    b: Builder,
    graph: &'a Graph,
    options: &'a ExportOptions,
    time: Time,
    data: Val,
    params: Vec<Option<Val>>,
    /// Rows of parameters `[rows, width]`, each `[1, width]`.
    rows: BTreeMap<Param, Vec<Val>>,
    /// Inputs of the states.
    states: Vec<Val>,
    /// Past and present inputs of a delay's state, `[B, lag + T, width]`.
    windows: BTreeMap<usize, Val>,
    /// `1 + exp(-|x|)` by the node of x.
    denominators: BTreeMap<Value, Val>,
    /// Equal parts of a value, by node and count.
    parts: BTreeMap<(Value, usize), Vec<Val>>,
    /// By node of the graph.
    values: Vec<Val>,
    recurrences: Vec<Recurrence>,
    /// Last states of recurrences, by state.
    last_states: BTreeMap<usize, Val>,
}

impl<'a> Lower<'a> {
    fn new(graph: &'a Graph, params: &Params, options: &'a ExportOptions) -> Self {
        let mut b = Builder::new("minrnn");
        let time = Time::new(options);
        let mut dims = vec![time.batch_dim()];
        if options.form != Form::Step {
            dims.push(time.seq_len_dim());
        }
        let data = match graph.input() {
            Input::Tokens { .. } => b.input("input_ids", DType::I64, dims),
            Input::Features { width } => {
                dims.push(Dim::Fixed(width as i64));
                b.input("features", DType::F32, dims)
            }
        };
        let states = graph
            .states()
            .iter()
            .map(|s| b.input(&s.input_name(), DType::F32, state_dims(&time, s)))
            .collect();
        let used = |i: usize| {
            graph
                .nodes()
                .iter()
                .any(|n| n.op.param().is_some_and(|p| p.index() == i))
        };
        let constant = |(i, spec): (usize, &minrnn_model::params::ParamSpec)| {
            let dims = spec.shape.iter().map(|d| *d as i64).collect();
            used(i).then(|| b.param(Tensor::f32(spec.name.clone(), dims, params.get(i))))
        };
        let params = graph.params().iter().enumerate().map(constant).collect();
        Self {
            b,
            graph,
            options,
            time,
            data,
            params,
            rows: BTreeMap::new(),
            states,
            windows: BTreeMap::new(),
            denominators: BTreeMap::new(),
            parts: BTreeMap::new(),
            values: vec![],
            recurrences: vec![],
            last_states: BTreeMap::new(),
        }
    }

    fn in_scope<T>(&mut self, scope: &str, body: impl FnOnce(&mut Self) -> T) -> T {
        if scope.is_empty() {
            return body(self);
        }
        self.b.enter(&scope_path(scope));
        let result = body(self);
        self.b.leave();
        result
    }

    fn is_step(&self) -> bool {
        self.options.form == Form::Step
    }

    /// The axis of the channels.
    fn channels(&self, node: &Node) -> i64 {
        if node.timed && !self.is_step() { 2 } else { 1 }
    }

    fn param(&self, param: Param) -> Val {
        self.params[param.index()]
            .expect("every parameter that an operation reads is an initializer")
    }

    fn node(&mut self, node: &Node) -> Val {
        let x: Vec<Val> = node.inputs.iter().map(|v| self.values[v.index()]).collect();
        match node.op {
            Op::Input => self.input(),
            Op::Embed { table } => {
                let table = self.param(table);
                self.b.gather(table, x[0], 0)
            }
            Op::MatMul { weight } => {
                let weight = self.param(weight);
                self.b.matmul(x[0], weight)
            }
            Op::AddVec { param, row } => {
                let row = self.row(param, row);
                self.b.add(x[0], row)
            }
            Op::MulVec { param, row } => {
                let row = self.row(param, row);
                self.b.mul(x[0], row)
            }
            Op::Unary(f) => self.unary(f, node.inputs[0], x[0]),
            Op::Binary(f) => self.binary(f, x[0], x[1]),
            Op::Affine { mul, add } => self.affine(x[0], mul as f32, add as f32),
            Op::Mean => {
                let axis = self.channels(node);
                self.b.reduce_mean(x[0], axis)
            }
            Op::Narrow { start, len } => self.narrow(node, x[0], start, len),
            Op::Concat => {
                let axis = self.channels(node);
                self.b.concat(&x, axis)
            }
            Op::Delay { state, by } => self.delay(state, by, x[0]),
            Op::Recur { state } => self.recur(state, x[0], x[1], node.width),
            Op::Dropout { .. } => x[0],
            Op::Last => self.last(node.inputs[0], x[0]),
        }
    }

    /// The input; where the lowering needs a multiple of its block, padded here, once for the whole model: the model is
    /// causal, so what comes after the sequence's end changes nothing before it.
    fn input(&mut self) -> Val {
        if self.is_step() {
            return self.data;
        }
        self.time.read(self.data);
        match self.graph.input() {
            Input::Tokens { .. } => self.time.prepare_input(&mut self.b, self.data, None),
            Input::Features { width } => {
                self.time
                    .prepare_input(&mut self.b, self.data, Some(width as i64))
            }
        }
    }

    /// The last step of each row.
    fn last(&mut self, of: Value, x: Val) -> Val {
        if self.is_step() || !self.graph.node(of).timed {
            return x;
        }
        let last = self.time.last_step(&mut self.b, x);
        self.b.squeeze(last, 1)
    }

    fn output(&mut self) {
        let output = self.graph.output();
        let node = self.graph.node(output.value);
        let mut value = self.values[output.value.index()];
        let mut dims = vec![self.time.batch_dim()];
        if node.timed && !self.is_step() {
            dims.push(self.time.seq_len_dim());
            value = self.b.at_root("output", |b| self.time.cut(b, value));
        }
        dims.push(Dim::Fixed(node.width as i64));
        self.b
            .output(output.kind.tensor_name(), value, DType::F32, dims);
        self.state_outputs();
    }
}

/// `[batch, D]` or `[batch, lag, D]`.
fn state_dims(time: &Time, state: &StateSpec) -> Vec<Dim> {
    std::iter::once(time.batch_dim())
        .chain(state.shape().into_iter().map(|d| Dim::Fixed(d as i64)))
        .collect()
}
