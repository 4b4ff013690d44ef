//! Selective scans whose heads have one decay each (Mamba-2) as the operator LinearAttention of `com.microsoft`: one node, in sequences
//! and in steps.
//!
//! Its gated rule `S = exp(g) S + k v^T`, `o = scale q^T S` with a head of the state for each head of the scan, `q = c`, `k = b` (both shared
//! by the heads of a group), `v = s x`, `g = s A` and a scale of 1 is the scan without its skip `D x`, which stays outside. The decay goes in
//! as its logarithm, so that nothing is lost of it. The operator has the state as `[B, heads, N, P]`; the file has it as all others do,
//! `[B, D N]`, head by head, channel by channel.

use minrnn_model::graph::{Binary, Fused, Graph, Node, Op, Reduction, Region, State, Unary, Value};

use super::Lower;
use super::time::{Key, Time};
use crate::builder::{Builder, Val};
use crate::choices::{ExportError, ExportOptions, Form, Lowering};
use crate::ir::{Attr, MICROSOFT};

/// Where the operator's arguments and its result are in the graph.
struct Heads {
    /// `s A`, the logarithm of the decay, `[.., heads]`.
    decay: Value,
    /// `s x`, `[.., D]`.
    fed: Value,
    /// `[.., G N]`
    b: Value,
    /// `[.., G N]`
    c: Value,
    /// The recurrence.
    h: Value,
    state: State,
    /// The readout, `[.., D]`.
    y: Value,
    heads: usize,
    states: usize,
    channels: usize,
    groups: usize,
}

/// Regions that are the operator.
fn regions(graph: &Graph) -> impl Iterator<Item = &Region> {
    let heads = |r: &&Region| matches!(r.fused, Fused::SelectiveScan { shared: true, .. });
    graph.regions().iter().filter(heads)
}

/// Whether every recurrence of a graph is in such a region, or whether some are.
fn covered(graph: &Graph) -> (bool, bool) {
    let inside = |i: usize| regions(graph).any(|r| r.nodes.contains(&i));
    let all = graph.nodes().iter().enumerate();
    let recurrences = all.filter(|(_, n)| matches!(n.op, Op::Recur { .. }));
    let (mut every, mut some) = (true, false);
    for (i, _) in recurrences {
        every &= inside(i);
        some |= inside(i);
    }
    (every, some)
}

impl Lowering {
    /// The first opset that has the operators that this lowering makes of a graph.
    pub fn opset_of(self, graph: &Graph) -> i64 {
        match self {
            // That of `com.microsoft` is in no opset of the standard.
            Self::LinearAttention if covered(graph).0 => Self::Blocked.opset(),
            other => other.opset(),
        }
    }

    /// Whether the recurrences of a graph can be lowered so.
    pub fn takes(self, graph: &Graph) -> bool {
        let options = ExportOptions {
            lowering: self,
            opset: self.opset_of(graph),
            ..ExportOptions::default()
        };
        super::check(graph, &options).is_ok()
    }

    /// Whether it makes the form `step` of a graph too, which is otherwise the same for all lowerings.
    pub fn is_of_steps(self, graph: &Graph) -> bool {
        self == Self::LinearAttention && covered(graph).1
    }
}

/// What the operator cannot do.
///
/// # Errors
/// A selective scan in which every state has a decay of its own, a target that is neither ONNX Runtime nor made of it.
pub(super) fn check(graph: &Graph, options: &ExportOptions) -> Result<(), ExportError> {
    let fail = |option, what: String| Err(ExportError::Option { option, what });
    let own = |r: &&Region| matches!(r.fused, Fused::SelectiveScan { shared: false, .. });
    if let Some(region) = graph.regions().iter().find(own) {
        let scope = &graph.node(region.outputs[0]).scope;
        return fail(
            "lowering",
            format!(
                "linear-attention has one value a head, and `{scope}` (mamba) has a decay for each of its states: heads of one channel, \
                 which took twice the time of a Scan in ONNX Runtime; choose blocked, or the form scan. mamba2 has heads for it"
            ),
        );
    }
    let opset = options.lowering.opset_of(graph);
    if options.opset < opset {
        let what = format!("is {}; linear-attention needs {opset}", options.opset);
        return fail("opset", what);
    }
    Ok(())
}

impl Heads {
    /// The parts of a region, found by what its nodes are.
    fn of(graph: &Graph, region: &Region) -> Self {
        let Fused::SelectiveScan {
            states,
            head_channels,
            groups,
            ..
        } = region.fused
        else {
            unreachable!("only selective scans are asked for");
        };
        let node = |v: Value| graph.node(v);
        let source = |v: Value| match node(v).op {
            Op::Repeat { .. } => node(v).inputs[0],
            _ => v,
        };
        let find = |wanted: &dyn Fn(&Node) -> bool| {
            let mut all = region.nodes.clone().map(|i| graph.value_at(i));
            all.find(|v| wanted(node(*v)))
                .expect("a selective scan has a recurrence and its readout")
        };
        let h = find(&|n| matches!(n.op, Op::Recur { .. }));
        let y = find(&|n| {
            let sum = matches!(
                n.op,
                Op::Reduce {
                    kind: Reduction::Sum,
                    ..
                }
            );
            sum && node(n.inputs[0]).inputs.contains(&h)
        });
        let (a, x) = (source(node(h).inputs[0]), node(h).inputs[1]);
        assert_eq!(
            node(a).op,
            Op::Unary(Unary::Exp),
            "a decay is an exponential"
        );
        assert_eq!(node(x).op, Op::Binary(Binary::Mul), "an outer product");
        Self {
            decay: node(a).inputs[0],
            fed: source(node(x).inputs[0]),
            b: region.inputs[2],
            c: region.inputs[3],
            h,
            state: node(h).op.state().expect("a recurrence has a state"),
            y,
            heads: graph.width(region.inputs[0]),
            states,
            channels: head_channels,
            groups,
        }
    }
}

impl<'a> Lower<'a> {
    /// Whether the node at `index` belongs to a scan that is one operator, and if it is the scan's result, which.
    pub(super) fn heads_at(&self, index: usize) -> Option<(&'a Region, bool)> {
        let steps = self.options.form != Form::Scan;
        if !steps || self.options.lowering != Lowering::LinearAttention {
            return None;
        }
        let region = regions(self.graph).find(|r| r.nodes.contains(&index))?;
        Some((region, region.outputs[..] == [self.graph.value_at(index)]))
    }

    /// The region's result.
    pub(super) fn heads(&mut self, region: &Region) -> Val {
        let scan = Heads::of(self.graph, region);
        let scope = &self.graph.node(scan.h).scope;
        let y = self.in_scope(scope, |l| l.attention(&scan));
        self.values[scan.y.index()] = Some(y);
        let result = self.graph.node(region.outputs[0]);
        self.in_scope(&result.scope, |l| l.node(result))
    }

    /// The operator, with the state in its order; keeps the last state. Gives `[.., D]`.
    fn attention(&mut self, scan: &Heads) -> Val {
        let args = [scan.c, scan.b, scan.fed, scan.decay].map(|v| self.value(v));
        self.b.enter("scan");
        let args = match self.is_step() {
            true => args.map(|x| self.b.unsqueeze(x, 1)),
            false => args,
        };
        let [q, k, v, decay] = self.with_ends(args);
        let [heads, states, channels] = [scan.heads, scan.states, scan.channels].map(|n| n as i64);
        let past = self.states[scan.state.index()];
        let past = self.b.reshape(past, &[0, heads, channels, states]);
        let past = self.b.transpose(past, &[0, 1, 3, 2]);
        let attributes = vec![
            ("kv_num_heads", Attr::Int(heads)),
            ("q_num_heads", Attr::Int(scan.groups as i64)),
            ("scale", Attr::Float(1.0)),
            ("update_rule", Attr::Str(b"gated".to_vec())),
        ];
        let inputs = [q, k, v, past, decay];
        let results = self
            .b
            .node_of(MICROSOFT, "LinearAttention", &inputs, 2, attributes);
        let last = self.b.transpose(results[1], &[0, 1, 3, 2]);
        let last = self.b.reshape(last, &[0, heads * channels * states]);
        let y = match self.is_step() {
            true => self.b.squeeze(results[0], 1),
            false => results[0],
        };
        self.b.leave();
        self.last_states.insert(scan.state.index(), last);
        y
    }

    /// Where rows have lengths, steps after a row's end change no state: nothing is fed, and the decay is `exp(0)`. Where a state begins
    /// anew, its decay is `exp(-inf)`, which is 0.
    fn with_ends(&mut self, [q, k, mut v, mut decay]: [Val; 4]) -> [Val; 4] {
        if self.is_step() {
            return [q, k, v, decay];
        }
        let live = self
            .options
            .lengths
            .then(|| self.time.live(&mut self.b, decay));
        if let Some(live) = live {
            v = self.b.mul(v, live);
            decay = self.b.mul(decay, live);
        }
        if let Some(reset) = self.resets.as_ref().map(|r| r.reset()) {
            let b = &mut self.b;
            let begun = live.map_or(reset, |live| b.mul(reset, live));
            let one = b.f32(1.0);
            let kept = b.sub(one, begun);
            let kept = b.log(kept);
            decay = b.add(decay, kept);
        }
        [q, k, v, decay]
    }
}

impl Time {
    /// 1 in the steps of each row, 0 after its end: `[B, T, 1]`; `x [B, T, width]`. A length beyond T finds no step of that number: an error
    /// of the engine.
    fn live(&mut self, b: &mut Builder, x: Val) -> Val {
        if let Some(made) = self.made(Key::Live) {
            return made;
        }
        let numbers = b.at_root("time", |b| {
            let column = b.slice_at(x, 0, 1, 2);
            let shape = b.shape(column);
            let one = b.f32_filled(&[1, 1, 1], 1.0);
            let ones = b.expand(one, shape);
            b.cum_sum(ones, 1)
        });
        let end = self.last_step(b, numbers, 1);
        self.make(b, Key::Live, |_, b| {
            let left = b.sub(end, numbers);
            let one = b.f32(1.0);
            let left = b.add(left, one);
            let left = b.relu(left);
            b.min(left, one)
        })
    }
}
