//! From the model's graph to ONNX nodes: one match over its operations, primitives only.
//!
//! What fused regions mean is said by their nodes, so regions are not looked at. Operators are those that every engine
//! was found to run rightly: no Softplus, no Mod, no LayerNormalization, one axis at a time.

mod attend;
mod blocked;
mod cells;
mod channels;
mod convolution;
mod delay;
mod elementwise;
mod fold;
mod heads;
mod kogge_stone;
mod law;
mod linear_attention;
mod model;
mod odd_even;
mod padding;
mod recur;
mod resets;
mod sigmoid;
mod states;
mod time;
mod weights;

use std::collections::BTreeMap;

use minrnn_model::graph::{Fused, Graph, Input, Law, Node, Op, Param, Region, Span, Use, Value};
use minrnn_model::params::Params;

use crate::builder::{Builder, Val};
use crate::choices::{ExportOptions, Form, Lowering, Port, Store};
use crate::ir::{Attr, DType, Dim};
pub(crate) use law::check;
use resets::Resets;
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
    pub(crate) law: Law,
    /// What the state is multiplied by; of Max, where there are resets, what is added to it.
    pub(crate) a: Option<Val>,
    pub(crate) b: Val,
    pub(crate) h0: Val,
    pub(crate) h: Val,
    pub(crate) h_last: Val,
}

/// Lowers `graph`; parameters and options must fit it.
pub(crate) fn lower(
    graph: &Graph,
    params: &Params,
    store: &Store,
    ports: &[Port],
    options: &ExportOptions,
) -> Lowered {
    let mut l = Lower::new(graph, params, store, ports, options);
    let mut end = 0;
    for (i, node) in graph.nodes().iter().enumerate() {
        if let Some(region) = l.cell_at(i) {
            l.cell(region);
            end = region.nodes.end;
        }
        if i < end {
            continue;
        }
        if let Some(fold) = graph.fold_at(i).filter(|_| !l.is_step()) {
            l.fold(fold);
            end = fold.nodes.end;
        }
        if i < end {
            continue;
        }
        if let Some((region, last)) = l.heads_at(i) {
            // Of the others it makes what it reads.
            if last {
                let result = l.heads(region);
                l.values[i] = Some(result);
            }
            continue;
        }
        let value = match l.norm_at(i) {
            Some((region, Some(fused))) => Some(l.in_scope(&node.scope, |l| l.norm(region, fused))),
            // Only the region's result is read from outside.
            Some((_, None)) => None,
            None if deferred(node) => None,
            None => Some(l.in_scope(&node.scope, |l| l.node(node))),
        };
        l.values[i] = value;
    }
    l.output();
    let (padded, max_seq_len) = (l.time.is_padded(), l.longest());
    Lowered {
        builder: l.b,
        recurrences: l.recurrences,
        padded,
        max_seq_len,
    }
}

/// Whether a node is made where it is first read: what is computed from parameters alone, and repeats, which elementwise operations
/// read without making them.
fn deferred(node: &Node) -> bool {
    node.span.is_model() || matches!(node.op, Op::Repeat { .. })
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
    /// By parameter: its values, then their scales if it is quantised; empty where no operation reads it.
    params: Vec<Vec<Val>>,
    /// By parameter: what it is read as.
    uses: Vec<Use>,
    /// bf16 parameters as f32.
    wide: BTreeMap<Param, Val>,
    /// Rows of values `[rows, width]` that are computed from parameters alone, each `[1, width]`.
    rows: BTreeMap<Value, Vec<Val>>,
    /// How states go in and out.
    ports: Vec<Port>,
    /// States that go in, `[B, D]` or `[B, lag, W]`.
    states: Vec<Val>,
    /// The input `reset`.
    resets: Option<Resets>,
    /// Past and present inputs of a delay's state, `[B, lag + T, width]`.
    windows: BTreeMap<usize, Val>,
    /// What is added to scores of attention, by the node of its number of steps and by rows before the present one.
    hidden: BTreeMap<(Value, usize), Val>,
    /// `1 + exp(-|x|)` by the node of x.
    denominators: BTreeMap<Value, Val>,
    /// Equal parts of a value, by node and count.
    parts: BTreeMap<(Value, usize), Vec<Val>>,
    /// By node of the graph, as far as they are made.
    values: Vec<Option<Val>>,
    recurrences: Vec<Recurrence>,
    /// Whether nodes are made in a Scan's body: of one step.
    in_body: bool,
    /// Last states of recurrences, by state.
    last_states: BTreeMap<usize, Val>,
}

impl<'a> Lower<'a> {
    fn new(
        graph: &'a Graph,
        params: &Params,
        store: &Store,
        ports: &[Port],
        options: &'a ExportOptions,
    ) -> Self {
        let mut b = Builder::with_opset("minrnn", options.opset);
        let mut time = Time::new(options, graph.longest());
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
        let states = states::inputs(&mut b, &time, ports, graph.states().len());
        if options.lengths {
            time.lengths = Some(b.input("lengths", DType::I64, vec![time.batch_dim()]));
        }
        let mut learned = BTreeMap::new();
        let resets = Resets::new(&mut b, &mut time, graph, params, options, &mut learned);
        let initializers = |i: usize| match learned.get(&Param::at(i)) {
            // An initial state that the resets read, and operations too.
            Some(own) => vec![*own],
            None => {
                let tensors = store.tensors(i, params);
                tensors.into_iter().map(|t| b.param(t)).collect()
            }
        };
        let params = (0..graph.params().len()).map(initializers).collect();
        Self {
            b,
            graph,
            options,
            time,
            data,
            params,
            uses: graph.uses(),
            wide: BTreeMap::new(),
            rows: BTreeMap::new(),
            ports: ports.to_vec(),
            states,
            resets,
            windows: BTreeMap::new(),
            hidden: BTreeMap::new(),
            denominators: BTreeMap::new(),
            parts: BTreeMap::new(),
            values: vec![None; graph.nodes().len()],
            recurrences: vec![],
            in_body: false,
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

    /// The longest sequence that the graph takes: where T is free, levels of blocks end it, and these are of recurrences.
    fn longest(&self) -> Option<usize> {
        if let (Some(most), false) = (crate::choices::most_steps(self.graph), self.is_step()) {
            return Some(
                self.options
                    .seq_len
                    .unwrap_or(self.options.max_seq_len)
                    .min(most),
            );
        }
        let blocks = matches!(self.options.lowering, Lowering::Blocked | Lowering::OddEven);
        if blocks && self.options.seq_len.is_none() && self.recurrences.is_empty() {
            return self.graph.longest();
        }
        let (free, longest) = (self.time.longest(), self.graph.longest());
        match self.is_step() {
            true => free,
            false => free.into_iter().chain(longest).min(),
        }
    }

    fn is_step(&self) -> bool {
        self.options.form == Form::Step || self.in_body
    }

    /// The axis of the channels.
    fn channels(&self, node: &Node) -> i64 {
        if node.span == Span::Step && !self.is_step() {
            2
        } else {
            1
        }
    }

    /// A value of the graph, made now if it was not before, in the scope of its own node.
    fn value(&mut self, value: Value) -> Val {
        if let Some(made) = self.values[value.index()] {
            return made;
        }
        let node = self.graph.node(value);
        let scope = match node.scope.as_str() {
            "" => vec![],
            scope => vec![scope_path(scope)],
        };
        let outer = self.b.exchange_scope(scope);
        let made = self.node(node);
        self.b.exchange_scope(outer);
        self.values[value.index()] = Some(made);
        made
    }

    fn param(&self, param: Param) -> Val {
        self.params[param.index()][0]
    }

    /// The scales of a quantised parameter.
    fn scales(&self, param: Param) -> Val {
        self.params[param.index()][1]
    }

    fn node(&mut self, node: &Node) -> Val {
        let axis = self.channels(node);
        match node.op {
            Op::Input => self.input(),
            Op::Param { param } => self.param(param),
            Op::Const { value } => self.b.f32(value as f32),
            Op::Row { row } => self.row(node.inputs[0], row),
            Op::Embed { table } => self.rows_by(node, table),
            Op::Attend { state, heads, .. } => self.attend(node, state, heads),
            Op::MatMul { transposed } => self.matmul(node, transposed),
            Op::Unary(f) => self.unary(f, node.inputs[0]),
            Op::Binary(f) => self.binary(f, node),
            Op::Affine { mul, add } => {
                let x = self.value(node.inputs[0]);
                self.affine(x, mul as f32, add as f32)
            }
            Op::Reduce { kind, group } => self.reduce(kind, node.inputs[0], group),
            Op::Repeat { block, times } => self.repeat(node.inputs[0], block, times),
            Op::Narrow { start, len } => self.narrow(node, start, len),
            Op::Concat => {
                let x: Vec<Val> = node.inputs.iter().map(|v| self.matrix(*v)).collect();
                self.b.concat(&x, axis)
            }
            Op::Delay { state, by } => {
                let x = self.value(node.inputs[0]);
                self.delay(state, by, x)
            }
            Op::Conv { state } => self.convolution(state, node.inputs[0], node.inputs[1]),
            Op::Limit { most } => self.limit(node.inputs[0], most),
            Op::Recur { state, law } => {
                let x: Vec<Val> = node.inputs.iter().map(|v| self.value(*v)).collect();
                self.recur(state, law, &x, node.width)
            }
            Op::Before { state } => self.before(state),
            Op::Fold { state } => self.after(state, node.inputs[0]),
            Op::Dropout { .. } => self.value(node.inputs[0]),
            Op::Last => {
                let x = self.value(node.inputs[0]);
                self.last(node.inputs[0], x)
            }
        }
    }

    /// Whether the node at `index` belongs to a norm that is one operator, and if it is the norm's result, which.
    fn norm_at(&self, index: usize) -> Option<(&'a Region, Option<Fused>)> {
        if !self.options.fused_norms {
            return None;
        }
        let single = |r: &&Region| match r.fused {
            Fused::LayerNorm { .. } => self.options.opset >= 17,
            Fused::RmsNorm { .. } => self.options.opset >= 23,
            _ => false,
        };
        let holds = |r: &&Region| r.nodes.contains(&index);
        let region = self.graph.regions().iter().filter(single).find(holds)?;
        let last = region.outputs[..] == [self.graph.value_at(index)];
        Some((region, last.then_some(region.fused)))
    }

    /// LayerNormalization or RMSNormalization over the channels.
    fn norm(&mut self, region: &Region, fused: Fused) -> Val {
        let x = self.value(region.inputs[0]);
        let params = region.params.iter().map(|p| self.param(*p));
        let inputs: Vec<Val> = std::iter::once(x).chain(params).collect();
        let (op, eps) = match fused {
            Fused::LayerNorm { eps } => ("LayerNormalization", eps),
            Fused::RmsNorm { eps } => ("RMSNormalization", eps),
            _ => unreachable!("only norms are asked for"),
        };
        let attributes = vec![
            ("axis", Attr::Int(-1)),
            ("epsilon", Attr::Float(eps as f32)),
        ];
        self.b.node(op, &inputs, attributes)
    }

    /// The input; where the lowering needs a multiple of its block, padded here, once for the whole model: the model is
    /// causal, so what comes after the sequence's end changes nothing before it.
    fn input(&mut self) -> Val {
        let step = self.is_step();
        if !step {
            self.time.read(self.data);
        }
        if let Some(mut resets) = self.resets.take() {
            resets.begin(&mut self.b, &mut self.time, step);
            self.resets = Some(resets);
        }
        if step {
            self.reset_states();
            return self.data;
        }
        match self.graph.input() {
            Input::Tokens { .. } => self.time.prepare_input(&mut self.b, self.data, None),
            Input::Features { width } => {
                self.time
                    .prepare_input(&mut self.b, self.data, Some(width as i64))
            }
        }
    }

    fn output(&mut self) {
        let output = self.graph.output();
        let node = self.graph.node(output.value);
        let mut value = self.value(output.value);
        let mut dims = vec![self.time.batch_dim()];
        if node.span == Span::Step && !self.is_step() {
            dims.push(self.time.seq_len_dim());
            value = self.b.at_root("output", |b| self.time.cut(b, value));
        }
        dims.push(Dim::Fixed(node.width as i64));
        self.b
            .output(output.kind.tensor_name(), value, DType::F32, dims);
        self.state_outputs();
    }
}
