//! What stands in the place of an operator: the product of the input, and a Scan whose body is one step.

use super::{Cell, Writer, int, ints, list};
use crate::proto::{
    AttributeProto, AttributeType, DataType, Dimension, GraphProto, NodeProto, TensorShapeProto,
    TensorType, TypeProto, ValueInfoProto,
};

/// Which operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Parts r, z, n; the standard's order is z, r, n.
    Gru,
    /// Parts i, f, g, o; the standard's order is i, o, f, g.
    Lstm,
}

impl Kind {
    /// Of a node that means what a Scan of ours does.
    pub(super) fn of(node: &NodeProto) -> Option<Self> {
        match node.op_type.as_str() {
            "GRU" if ints(node, "linear_before_reset").is_some_and(|(i, _)| i == 1) => {
                Some(Self::Gru)
            }
            "LSTM" => Some(Self::Lstm),
            _ => None,
        }
    }

    pub(super) fn states(self) -> usize {
        match self {
            Self::Gru => 1,
            Self::Lstm => 2,
        }
    }

    /// Where our parts are in the standard's order.
    fn order(self) -> &'static [i64] {
        match self {
            Self::Gru => &[1, 0, 2],
            Self::Lstm => &[0, 2, 3, 1],
        }
    }
}

/// Writes the nodes.
pub(super) fn write(cell: &Cell<'_>, w: &mut Writer) {
    let order = cell.kind.order();
    let parts = order.len() as i64;
    let [input, own] = [cell.w, cell.r].map(|matrix| {
        let whole = w.squeezed(matrix);
        let turned = w.node("Transpose", &[&whole], vec![list("perm", vec![1, 0])]);
        w.ordered(&turned, order, cell.channels, 1)
    });
    let biases = cell.bias.map(|bias| {
        let whole = w.squeezed(bias);
        let behind: Vec<i64> = order.iter().map(|i| i + parts).collect();
        let first = w.ordered(&whole, order, cell.channels, 0);
        [first, w.ordered(&whole, &behind, cell.channels, 0)]
    });
    let mut x = w.op("MatMul", &[cell.x, &input]);
    if let Some([first, _]) = &biases {
        x = w.op("Add", &[&x, first]);
    }
    let body = body(cell, w, &own, biases.as_ref().map(|b| b[1].as_str()));
    let graph = AttributeProto {
        name: "body".to_owned(),
        r#type: AttributeType::Graph as i32,
        g: Some(body),
        ..AttributeProto::default()
    };
    let inputs = cell.first.iter().copied().chain([x.as_str()]);
    let outputs = cell.last.iter().copied().chain([cell.all]);
    let scan = NodeProto {
        input: inputs.map(str::to_owned).collect(),
        output: outputs.map(str::to_owned).collect(),
        name: w.fresh(),
        op_type: "Scan".to_owned(),
        attribute: vec![
            graph,
            int("num_scan_inputs", 1),
            list("scan_input_axes", vec![1]),
            list("scan_output_axes", vec![1]),
        ],
        ..NodeProto::default()
    };
    w.nodes.push(scan);
}

fn body(cell: &Cell<'_>, w: &mut Writer, own: &str, bias: Option<&str>) -> GraphProto {
    let (d, parts) = (cell.channels, cell.kind.order().len() as i64);
    let [zero, one] = [0.0, 1.0].map(|n| w.number(n));
    let outer = std::mem::take(&mut w.nodes);
    let states: Vec<String> = cell.first.iter().map(|_| w.fresh()).collect();
    let x = w.fresh();
    let mut moved = w.op("MatMul", &[&states[0], own]);
    if let Some(bias) = bias {
        moved = w.op("Add", &[&moved, bias]);
    }
    let cut = |w: &mut Writer, of: &str| -> Vec<String> {
        let part = |i: i64| w.slice(of, [i * d, (i + 1) * d], 1);
        (0..parts).map(part).collect()
    };
    let (x_parts, m_parts) = (cut(w, &x), cut(w, &moved));
    let mut gates = Gates { w, zero, one };
    let next = match cell.kind {
        Kind::Gru => gates.gru(&x_parts, &m_parts, &states[0]),
        Kind::Lstm => gates.lstm(&x_parts, &m_parts, &states[1]),
    };
    // What is gathered is a value of its own: tract would give the state the axis of the steps too.
    let gathered = w.op("Identity", &[&next[0]]);
    let value = |name: &String, width: i64| ValueInfoProto {
        name: name.clone(),
        r#type: Some(row(width)),
    };
    let inputs = states.iter().map(|s| value(s, d));
    let outputs = next.iter().chain([&gathered]).map(|o| value(o, d));
    GraphProto {
        name: "body".to_owned(),
        input: inputs.chain([value(&x, parts * d)]).collect(),
        output: outputs.collect(),
        node: std::mem::replace(&mut w.nodes, outer),
        ..GraphProto::default()
    }
}

/// f32 `[B, width]`.
fn row(width: i64) -> TypeProto {
    let dim = vec![Dimension::Unknown, Dimension::Value(width)];
    TypeProto {
        tensor_type: Some(TensorType {
            elem_type: DataType::Float as i32,
            shape: Some(TensorShapeProto { dim }),
        }),
    }
}

struct Gates<'w> {
    w: &'w mut Writer,
    zero: String,
    one: String,
}

impl Gates<'_> {
    /// As the exporter writes it: `e^min(s, 0) / (1 + e^-|s|)`.
    fn sigmoid(&mut self, x: &str, moved: &str) -> String {
        let (zero, one, w) = (self.zero.clone(), self.one.clone(), &mut *self.w);
        let sum = w.op("Add", &[x, moved]);
        let low = w.op("Min", &[&sum, &zero]);
        let numerator = w.op("Exp", &[&low]);
        let size = w.op("Abs", &[&sum]);
        let minus = w.op("Neg", &[&size]);
        let e = w.op("Exp", &[&minus]);
        let denominator = w.op("Add", &[&e, &one]);
        w.op("Div", &[&numerator, &denominator])
    }

    fn gru(&mut self, x: &[String], moved: &[String], h: &str) -> Vec<String> {
        let [r, z] = [0, 1].map(|i| self.sigmoid(&x[i], &moved[i]));
        let w = &mut *self.w;
        let past = w.op("Mul", &[&r, &moved[2]]);
        let sum = w.op("Add", &[&x[2], &past]);
        let n = w.op("Tanh", &[&sum]);
        let apart = w.op("Sub", &[h, &n]);
        let kept = w.op("Mul", &[&apart, &z]);
        vec![w.op("Add", &[&kept, &n])]
    }

    fn lstm(&mut self, x: &[String], moved: &[String], c: &str) -> Vec<String> {
        let [i, f, o] = [0, 1, 3].map(|at| self.sigmoid(&x[at], &moved[at]));
        let w = &mut *self.w;
        let sum = w.op("Add", &[&x[2], &moved[2]]);
        let g = w.op("Tanh", &[&sum]);
        let kept = w.op("Mul", &[&f, c]);
        let new = w.op("Mul", &[&i, &g]);
        let c = w.op("Add", &[&kept, &new]);
        let y = w.op("Tanh", &[&c]);
        vec![w.op("Mul", &[&o, &y]), c]
    }
}
