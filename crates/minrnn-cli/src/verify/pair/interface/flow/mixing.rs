//! Operators that mix entries along an axis: it holds no rows, whatever it is called.
//!
//! That an axis is mixed does not make it time (channels are mixed too), so it decides nothing but what an axis is not.

use minrnn_onnx::ir::{Attr, Node};

use super::value::{Axis, Value, place};
use super::{Meaning, Walk, Weight};

impl Walk<'_> {
    /// Notes the axes that an operator mixes.
    pub(super) fn mixing(&mut self, node: &Node, x: &[Value]) {
        let none = Value::default();
        let at = |i: usize| x.get(i).unwrap_or(&none);
        match node.op_type.as_str() {
            "Conv" | "ConvInteger" | "ConvTranspose" => self.windows(node, at(0), Some(at(1))),
            "QLinearConv" => self.windows(node, at(0), Some(at(3))),
            "MaxPool" | "AveragePool" | "LpPool" => self.windows(node, at(0), None),
            "GlobalAveragePool" | "GlobalMaxPool" | "GlobalLpPool" => {
                let axes = at(0).axes.iter().flatten().skip(2);
                axes.for_each(|axis| self.mixed(node, axis));
            }
            "Attention" | "MultiHeadAttention" | "GroupQueryAttention" => {
                // Without keys of its own (one packed input), the first one has them.
                let keys = if at(1).axes.is_some() && node.domain != "com.microsoft"
                    || node.op_type != "Attention"
                {
                    at(1)
                } else {
                    at(0)
                };
                let time = if keys.rank() == Some(4) { 2 } else { 1 };
                if let Some(axis) = keys.axis(time) {
                    self.mixed(node, axis);
                }
            }
            "MatMul" | "MatMulInteger" => self.contracted(node, [at(0), at(1)]),
            "QLinearMatMul" => self.contracted(node, [at(0), at(3)]),
            "Einsum" => self.summed(node, x),
            "Trilu" => {
                let axes = at(0).axes.iter().flatten().rev().take(2);
                axes.for_each(|axis| self.mixed(node, axis));
            }
            "Softmax" | "LogSoftmax" if self.opset >= 13 => {
                let rank = at(0).rank().unwrap_or(0);
                let axis = place(node.int("axis").unwrap_or(-1), rank);
                if let Some(axis) = axis.and_then(|a| at(0).axis(a)) {
                    self.mixed(node, axis);
                }
            }
            _ => {}
        }
    }

    /// An axis that is one axis of each input it comes from, not several that were made one.
    fn mixed(&mut self, node: &Node, axis: &Axis) {
        let mut inputs: Vec<usize> = axis.origins.iter().map(|(input, _)| *input).collect();
        inputs.dedup();
        if inputs.len() == axis.origins.len() {
            self.clue(node, Some(axis), Meaning::Time, Weight::Mixes);
        }
    }

    /// Windows of more than one entry, over `[rows, channels, ..]`.
    fn windows(&mut self, node: &Node, x: &Value, kernel: Option<&Value>) {
        let shape = node.ints("kernel_shape");
        for (i, axis) in x.axes.iter().flatten().skip(2).enumerate() {
            let size = match shape {
                Some(shape) => shape.get(i).copied(),
                None => kernel.and_then(|k| k.axis(i + 2)?.size),
            };
            if size != Some(1) {
                self.mixed(node, axis);
            }
        }
    }

    /// The axes over which a product sums. One that is as long as an axis of a known size is no free one.
    fn contracted(&mut self, node: &Node, [a, b]: [&Value; 2]) {
        let (Some(x), Some(y)) = (&a.axes, &b.axes) else {
            return;
        };
        let inner = match y.len() {
            0 => None,
            1 => y.first(),
            n => y.get(n - 2),
        };
        if let (Some(p), Some(q)) = (x.last(), inner)
            && p.size.is_none()
            && q.size.is_none()
        {
            self.mixed(node, p);
            self.mixed(node, q);
        }
    }

    /// The letters of an `Einsum` that two terms have and the result lacks.
    fn summed(&mut self, node: &Node, x: &[Value]) {
        let Some(Attr::Str(text)) = node.attr("equation") else {
            return;
        };
        let text = String::from_utf8_lossy(text).replace(' ', "");
        let Some((left, right)) = text.split_once("->") else {
            return;
        };
        let terms: Vec<&str> = left.split(',').collect();
        if text.contains('.') || terms.len() != x.len() {
            return;
        }
        let mut letters: Vec<char> = left.chars().filter(char::is_ascii_alphabetic).collect();
        letters.sort_unstable();
        letters.dedup();
        for letter in letters.into_iter().filter(|c| !right.contains(*c)) {
            let of = |(term, v): (&&str, &Value)| {
                v.axis(term.chars().position(|c| c == letter)?).cloned()
            };
            let all: Vec<Axis> = terms.iter().zip(x).filter_map(of).collect();
            if all.len() > 1 && all.iter().all(|a| a.size.is_none()) {
                all.iter().for_each(|axis| self.mixed(node, axis));
            }
        }
    }
}
