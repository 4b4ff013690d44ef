//! Attention over a window, and rows of a table by computed numbers: a fixed number of nodes, over the steps before padding, as a padded
//! step may have a number that no table has a row for.

use minrnn_model::graph::{Graph, Node, Op, Param, Span, State};

use super::Lower;
use crate::builder::Val;
use crate::choices::{ExportOptions, Form, most_steps};
use crate::ir::{Attr, DType};

/// Added to the score of a row that is not seen: its exponential is 0.
const HIDDEN: f32 = -1e30;

impl Lower<'_> {
    /// Row of a table for each token, or for each computed number.
    pub(super) fn rows_by(&mut self, node: &Node, table: Param) -> Val {
        let ids = self.value(node.inputs[0]);
        match node.inputs[0].index() {
            0 => self.embed(table, ids),
            _ => self.table_rows(node, table, ids),
        }
    }

    /// Row of a table for each number `[B, T, 1]`; those of padding are zeros. Beyond the table most engines have an error; of those that
    /// take another row without a word all outputs are NaN, as the root of a number below 0 is.
    fn table_rows(&mut self, node: &Node, table: Param, at: Val) -> Val {
        let timed = node.span == Span::Step && !self.is_step();
        let at = if timed {
            self.time.cut(&mut self.b, at)
        } else {
            at
        };
        let last = self.graph.param_spec(table).shape[0] - 1;
        let b = &mut self.b;
        let last = b.f32(last as f32);
        let left = b.sub(last, at);
        let within = b.mul(left, at);
        let root = b.sqrt(within);
        let nothing = b.sub(root, root);
        let at = b.squeeze(at, if timed { 2 } else { 1 });
        let ids = b.cast(at, DType::I64);
        let rows = self.embed(table, ids);
        let rows = self.b.add(rows, nothing);
        match timed {
            true => self.padded(rows, node.width),
            false => rows,
        }
    }

    /// `[B, T, width]` with as many steps as other values have.
    fn padded(&mut self, x: Val, width: usize) -> Val {
        match self.time.is_padded() {
            true => self.time.pad(&mut self.b, x, 0, width as i64),
            false => x,
        }
    }

    pub(super) fn attend(&mut self, node: &Node, state: State, heads: usize) -> Val {
        let (d, lag) = (node.width as i64, self.graph.state_spec(state).lag());
        let (h, p) = (heads as i64, d / heads as i64);
        let mut x = [0, 1].map(|i| self.value(node.inputs[i]));
        if !self.is_step() {
            x = x.map(|x| self.time.cut(&mut self.b, x));
        }
        let [q, kv] = x;
        let window = self.window(state, kv);
        let hidden = self.hidden(node, lag.unwrap_or(1));
        let b = &mut self.b;
        let kv = b.split(window, 2, 2);
        let [k, v] = [kv[0], kv[1]].map(|x| b.reshape(x, &[0, 0, h, p]));
        let k = b.transpose(k, &[0, 2, 3, 1]);
        let v = b.transpose(v, &[0, 2, 1, 3]);
        let scale = b.f32((1.0 / libm::sqrt(p as f64)) as f32);
        let q = b.mul(q, scale);
        let step = self.options.form == Form::Step;
        let q = if step {
            b.reshape(q, &[0, h, 1, p])
        } else {
            let q = b.reshape(q, &[0, 0, h, p]);
            b.transpose(q, &[0, 2, 1, 3])
        };
        let scores = b.matmul(q, k);
        let scores = b.add(scores, hidden);
        let weights = b.node("Softmax", &[scores], vec![("axis", Attr::Int(-1))]);
        let y = b.matmul(weights, v);
        if step {
            return b.reshape(y, &[0, d]);
        }
        let y = b.transpose(y, &[0, 2, 1, 3]);
        let y = b.reshape(y, &[0, 0, d]);
        self.padded(y, node.width)
    }

    /// `[B, 1, T, lag + T]` (step: `[B, 1, 1, lag + 1]`): 0 where a step sees a row, else a number that makes its weight 0. Once for all
    /// attentions of as many rows.
    fn hidden(&mut self, node: &Node, lag: usize) -> Val {
        let key = (node.inputs[2], lag);
        if let Some(made) = self.hidden.get(&key) {
            return *made;
        }
        let n = self.value(node.inputs[2]);
        let hidden = match self.is_step() {
            true => self.hidden_of_step(n, lag as i64),
            false => self.hidden_of_steps(n, lag as i64),
        };
        let b = &mut self.b;
        let numbers = b.cast(hidden, DType::F32);
        let by = b.f32(HIDDEN);
        let added = b.mul(numbers, by);
        let added = b.unsqueeze(added, 1);
        self.hidden.insert(key, added);
        added
    }

    /// Rows that are older than the begin.
    fn hidden_of_step(&mut self, n: Val, lag: i64) -> Val {
        let b = &mut self.b;
        let one = b.f32(-1.0);
        let before = b.add(n, one);
        let before = b.unsqueeze(before, 2);
        let ages = b.f32_range(&[1, 1, lag + 1], lag, -1);
        b.node("Less", &[before, ages], vec![])
    }

    /// The same, those beyond the window, and those that come later.
    fn hidden_of_steps(&mut self, n: Val, lag: i64) -> Val {
        let most = self.time.most();
        let n = self.time.cut(&mut self.b, n);
        let (rows, columns) = (
            self.b.f32_range(&[1, most, 1], 0, 1),
            self.b.f32_range(&[1, 1, lag + most], -lag, 1),
        );
        let (mut rows, mut columns) = (rows, columns);
        if self.time.seq_len.is_none() {
            // A longer sequence finds too few: an error of the engine.
            let start = self.b.i64s(&[0]);
            let end = self.time.seq_len(&mut self.b).val(&mut self.b);
            rows = self.b.slice(rows, start, end, 1);
            let end = self.time.seq_len_plus(&mut self.b, lag).val(&mut self.b);
            columns = self.b.slice(columns, start, end, 2);
        }
        let b = &mut self.b;
        let ages = b.sub(rows, columns);
        let zero = b.f32(0.0);
        let late = b.node("Less", &[ages, zero], vec![]);
        let (one, most) = (b.f32(-1.0), b.f32(lag as f32));
        let before = b.add(n, one);
        let before = b.min(before, most);
        let early = b.node("Less", &[before, ages], vec![]);
        b.node("Or", &[late, early], vec![])
    }
}

/// Whether a graph has an attention.
pub(super) fn attends(graph: &Graph) -> Option<&Node> {
    let mut nodes = graph.nodes().iter();
    nodes.find(|n| matches!(n.op, Op::Attend { .. }))
}

/// Whether a file of that fixed length can be.
pub(super) fn fits(graph: &Graph, options: &ExportOptions) -> Result<(), String> {
    match (most_steps(graph), options.seq_len) {
        (Some(most), Some(t)) if t > most && options.form != Form::Step => Err(format!(
            "is {t}, and the model takes up to {most} steps at once: its positions, or twice its window (64 at least)"
        )),
        _ => Ok(()),
    }
}
