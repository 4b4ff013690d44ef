//! Operators that give a meaning to axes: what they walk along, and what they do for each row.

use std::collections::BTreeSet;

use minrnn_onnx::ir::{Attr, Graph, Node};

use super::value::{Axis, Number, Tag, Value, place};
use super::{Meaning, Walk, Weight};
use Meaning::{Rows, Time};

impl<'a> Walk<'a> {
    /// The results of an operator that walks along an axis, or has bodies; `None` for any other.
    pub(super) fn recurrence(&mut self, node: &'a Node, x: &[Value]) -> Option<Vec<Value>> {
        let none = Value::default();
        let at = |i: usize| x.get(i).unwrap_or(&none);
        Some(match node.op_type.as_str() {
            "RNN" | "GRU" | "LSTM" => self.cell(node, x),
            "Scan" if self.opset >= 9 => self.scan(node, x),
            "Loop" => self.repeat(node, x),
            "If" => self.branches(node),
            "CumSum" | "CumProd" => {
                let axis = at(1).known().and_then(|v| v.first().copied());
                let along = axis.zip(at(0).rank()).and_then(|(a, rank)| place(a, rank));
                if let Some(along) = along {
                    self.clue(node, at(0).axis(along), Time, Weight::Sum);
                }
                vec![at(0).along()]
            }
            "ReverseSequence" => {
                let of = |name: &str, usual: i64| node.int(name).unwrap_or(usual);
                let rank = at(0).rank().unwrap_or(0);
                let axes = [of("time_axis", 0), of("batch_axis", 1)].map(|a| place(a, rank));
                self.meaning(node, at(0), (axes[0], axes[1]), Weight::Strong);
                self.lengths_of(at(1), axes[0].and_then(|a| at(0).axis(a)));
                vec![at(0).along()]
            }
            "LinearAttention" => {
                self.meaning(node, at(0), (Some(1), Some(0)), Weight::Strong);
                let out = [at(0).axis(0), at(0).axis(1)].map(|a| a.cloned().unwrap_or_default());
                let [rows, time] = out;
                let y = Value::new(vec![rows, time, Axis::default()]);
                vec![y, next(at(3), at(3).axes.clone())]
            }
            "CausalConvWithState" => {
                self.meaning(node, at(0), (Some(2), Some(0)), Weight::Strong);
                vec![at(0).along(), next(at(3), at(3).axes.clone())]
            }
            "Attention" | "MultiHeadAttention" | "GroupQueryAttention" => {
                let time = if at(0).rank() == Some(4) { 2 } else { 1 };
                self.meaning(node, at(0), (Some(time), Some(0)), Weight::Weak);
                vec![at(0).along()]
            }
            "Conv" | "ConvInteger" | "QLinearConv" | "ConvTranspose" | "MaxPool"
            | "AveragePool" | "LpPool" => self.window(node, x),
            _ => return None,
        })
    }

    fn meaning(
        &mut self,
        node: &Node,
        x: &Value,
        (time, rows): (Option<usize>, Option<usize>),
        weight: Weight,
    ) {
        for (axis, meaning) in [(time, Time), (rows, Rows)] {
            self.clue(node, axis.and_then(|a| x.axis(a)), meaning, weight);
        }
    }

    /// RNN, GRU, LSTM: X `[T, B, ..]`, or with `layout` 1 `[B, T, ..]`; states `[directions, B, H]`, or `[B, directions, H]`.
    fn cell(&mut self, node: &Node, x: &[Value]) -> Vec<Value> {
        let none = Value::default();
        let at = |i: usize| x.get(i).unwrap_or(&none);
        let rows_first = node.int("layout").unwrap_or(0) == 1;
        let (time, rows) = if rows_first { (1, 0) } else { (0, 1) };
        self.meaning(node, at(0), (Some(time), Some(rows)), Weight::Strong);
        for i in [5, 6] {
            let rows = if rows_first { 0 } else { 1 };
            self.clue(node, at(i).axis(rows), Rows, Weight::Strong);
        }
        self.clue(node, at(4).axis(0), Rows, Weight::Strong);
        self.lengths_of(at(4), at(0).axis(time));
        let pick = |i: usize| at(0).axis(i).cloned().unwrap_or_default();
        let both = matches!(node.attr("direction"), Some(Attr::Str(s)) if s == b"bidirectional");
        let directions = Axis::sized(if both { 2 } else { 1 });
        let width = node.int("hidden_size").map_or(Axis::default(), Axis::sized);
        let (t, b) = (pick(time), pick(rows));
        let all = if rows_first {
            vec![b.clone(), t, directions.clone(), width.clone()]
        } else {
            vec![t, directions.clone(), b.clone(), width.clone()]
        };
        let last = if rows_first {
            vec![b, directions, width]
        } else {
            vec![directions, b, width]
        };
        let end = |state: &Value| next(state, Some(last.clone()));
        vec![Value::new(all), end(at(5)), end(at(6))]
    }

    /// An input that says how long each row is, along the axis that an operator walks.
    fn lengths_of(&mut self, x: &Value, along: Option<&Axis>) {
        let is = |tag: &Tag| match tag {
            Tag::Is(i) => Some(*i),
            Tag::Next(_) => None,
        };
        let origins = along.map(|axis| axis.origins.clone()).unwrap_or_default();
        for input in x.tags.iter().filter_map(is) {
            self.lengths.entry(input).or_default().extend(&origins);
        }
    }

    fn scan(&mut self, node: &'a Node, x: &[Value]) -> Vec<Value> {
        let (Some(Attr::Graph(body)), Some(scanned)) =
            (node.attr("body"), node.int("num_scan_inputs"))
        else {
            return vec![];
        };
        let Some(states) = usize::try_from(scanned)
            .ok()
            .and_then(|n| x.len().checked_sub(n))
        else {
            return vec![];
        };
        let along = node.ints("scan_input_axes").unwrap_or_default();
        let mut given: Vec<Value> = x[..states].to_vec();
        let mut walked = Axis::default();
        for (i, v) in x[states..].iter().enumerate() {
            let Some(axes) = &v.axes else {
                given.push(Value::default());
                continue;
            };
            let Some(axis) = place(along.get(i).copied().unwrap_or(0), axes.len()) else {
                given.push(Value::default());
                continue;
            };
            self.clue(node, axes.get(axis), Time, Weight::Strong);
            walked.origins.extend(&axes[axis].origins);
            let mut rest = axes.clone();
            rest.remove(axis);
            given.push(Value::new(rest));
        }
        let begin: Vec<Value> = x[..states].to_vec();
        let made = self.body(body, given);
        let places = node.ints("scan_output_axes").unwrap_or_default();
        let one = |(i, v): (usize, Value)| match i.checked_sub(states) {
            None => carried(&begin[i], &v),
            Some(k) => stacked(&v, places.get(k).copied().unwrap_or(0), &walked),
        };
        made.into_iter().enumerate().map(one).collect()
    }

    /// `Loop`: time, where it runs as often as an axis is long.
    fn repeat(&mut self, node: &'a Node, x: &[Value]) -> Vec<Value> {
        let Some(Attr::Graph(body)) = node.attr("body") else {
            return vec![];
        };
        let count = x.first().and_then(|v| v.numbers.as_ref()?.first().cloned());
        let walked = match count {
            Some(Number::Length(axis)) => axis,
            _ => Axis::default(),
        };
        self.clue(node, Some(&walked), Time, Weight::Strong);
        let begin: Vec<Value> = x.get(2..).unwrap_or_default().to_vec();
        let mut given = vec![Value::new(vec![]), Value::new(vec![])];
        // What the first round begins with need not be what the next ones do: only its axes.
        given.extend(begin.iter().map(|v| Value {
            numbers: None,
            ..v.clone()
        }));
        let made = self.body(body, given);
        let one = |(i, v): (usize, Value)| match begin.get(i) {
            Some(begin) => carried(begin, &v),
            None => stacked(&v, 0, &walked),
        };
        made.into_iter().skip(1).enumerate().map(one).collect()
    }

    /// `If`: what both branches agree on, with all that each of them says.
    fn branches(&mut self, node: &'a Node) -> Vec<Value> {
        let graph = |name: &str| match node.attr(name) {
            Some(Attr::Graph(g)) => Some(&**g),
            _ => None,
        };
        let mut both = vec![];
        for name in ["then_branch", "else_branch"] {
            let body: Option<&'a Graph> = graph(name);
            both.push(body.map(|b| self.body(b, vec![])).unwrap_or_default());
        }
        let (second, first) = (
            both.pop().unwrap_or_default(),
            both.pop().unwrap_or_default(),
        );
        first
            .into_iter()
            .zip(second)
            .map(|(a, b)| either(a, b))
            .collect()
    }

    /// Windows over `[rows, channels, ..]`; along one axis that is perhaps time.
    fn window(&mut self, node: &Node, x: &[Value]) -> Vec<Value> {
        let Some(axes) = x.first().and_then(|v| v.axes.clone()) else {
            return vec![];
        };
        if let ([rows, _, time], true) = (axes.as_slice(), node.op_type.contains("Conv")) {
            let kernel = x.get(if node.op_type == "QLinearConv" { 3 } else { 1 });
            let wide = kernel.and_then(|k| k.axis(2)?.size) != Some(1);
            self.clue(node, Some(rows), Rows, Weight::Weak);
            if wide {
                self.clue(node, Some(time), Time, Weight::Weak);
            }
        }
        // Windows over an axis of a fixed size are a width more often than time: what is left of it says nothing.
        let over = |a: &Axis| {
            let mut a = a.resized();
            a.origins.retain(|o| !self.fixed.contains(o));
            a
        };
        let one = |(i, a): (usize, &Axis)| match i {
            0 => a.clone(),
            1 if node.op_type.contains("Conv") => Axis::default(),
            1 => a.clone(),
            _ => over(a),
        };
        vec![Value::new(axes.iter().enumerate().map(one).collect())]
    }
}

/// What a recurrence makes of its state.
fn next(state: &Value, axes: Option<Vec<Axis>>) -> Value {
    let next = |tag: &Tag| match tag {
        Tag::Is(i) | Tag::Next(i) => Tag::Next(*i),
    };
    Value {
        axes,
        numbers: None,
        tags: state.tags.iter().map(next).collect(),
    }
}

/// A value that goes from one round to the next.
fn carried(begin: &Value, made: &Value) -> Value {
    let axes = match (&begin.axes, &made.axes) {
        (Some(a), Some(b)) if a.len() == b.len() => Some(
            a.iter()
                .zip(b)
                .map(|(a, b)| Axis::together([a, b].into_iter()))
                .collect(),
        ),
        (None, known) | (known, None) => known.clone(),
        _ => None,
    };
    let mut value = next(begin, axes);
    value.tags.extend(&made.tags);
    value
}

fn stacked(one: &Value, at: i64, walked: &Axis) -> Value {
    let axes = one.axes.as_ref().and_then(|axes| {
        let at = place(at, axes.len() + 1)?;
        let mut axes = axes.clone();
        axes.insert(at, walked.clone());
        Some(axes)
    });
    Value::default().with(axes)
}

fn either(a: Value, b: Value) -> Value {
    let axes = match (a.axes, b.axes) {
        (Some(a), Some(b)) if a.len() == b.len() => {
            let one = |(a, b): (&Axis, &Axis)| {
                let origins: BTreeSet<_> = a.origins.union(&b.origins).copied().collect();
                let size = a.size.filter(|_| a.size == b.size);
                Axis { origins, size }
            };
            Some(a.iter().zip(&b).map(one).collect())
        }
        _ => None,
    };
    Value {
        axes,
        numbers: None,
        tags: a.tags.union(&b.tags).copied().collect(),
    }
}
