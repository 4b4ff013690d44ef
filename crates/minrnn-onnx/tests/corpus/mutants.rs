//! Random changes of good graphs. Most break a rule, some do not.

use minrnn_onnx::ir::{Attr, DType, Dim, Graph, Model, Node};

/// Numbers that look random, the same from the same seed (SplitMix64).
pub(crate) struct Draw(pub(crate) u64);

impl Draw {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `n`; 0 if there is nothing below.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }
}

/// `base` with one to three changes.
pub(crate) fn mutant(base: &Model, draw: &mut Draw) -> Model {
    let mut model = base.clone();
    for _ in 0..1 + draw.below(3) {
        if draw.below(12) == 0 {
            file(&mut model, draw);
        } else {
            graph(&mut model.graph, draw);
        }
    }
    model
}

fn file(m: &mut Model, draw: &mut Draw) {
    match draw.below(4) {
        0 => m.ir_version = [0, 3, 4, 7, 9, 14, 15][draw.below(7)],
        1 => m.opsets[0].1 = 1 + draw.below(30) as i64,
        2 => m.opsets.push((String::new(), 13 + draw.below(16) as i64)),
        _ => m.graph.doc.push('x'),
    }
}

/// A name that occurs in the graph.
fn some_name(g: &Graph, draw: &mut Draw) -> String {
    let names: Vec<&String> = g
        .nodes
        .iter()
        .flat_map(|n| n.inputs.iter().chain(&n.outputs))
        .chain(g.initializers.iter().map(|t| &t.name))
        .collect();
    match draw.below(12) {
        0 => String::new(),
        1 => "nowhere".into(),
        _ if names.is_empty() => String::new(),
        _ => names[draw.below(names.len())].clone(),
    }
}

fn some_type(draw: &mut Draw) -> DType {
    DType::ALL[draw.below(DType::ALL.len())]
}

fn graph(g: &mut Graph, draw: &mut Draw) {
    let name = some_name(g, draw);
    match draw.below(10) {
        0 if !g.nodes.is_empty() => drop(g.nodes.remove(draw.below(g.nodes.len()))),
        1 if !g.nodes.is_empty() => {
            let twice = g.nodes[draw.below(g.nodes.len())].clone();
            g.nodes.insert(draw.below(g.nodes.len()), twice);
        }
        2 if g.nodes.len() > 1 => {
            let (a, b) = (draw.below(g.nodes.len()), draw.below(g.nodes.len()));
            g.nodes.swap(a, b);
        }
        3 if !g.initializers.is_empty() => initializer(g, name, draw),
        4 => {
            let values = match draw.below(3) {
                0 => &mut g.inputs,
                1 => &mut g.value_info,
                _ => &mut g.outputs,
            };
            if values.is_empty() {
                return;
            }
            let i = draw.below(values.len());
            match draw.below(5) {
                0 => drop(values.remove(i)),
                1 => values[i].name = name,
                2 => values[i].dtype = Some(some_type(draw)),
                3 => values[i].dims = None,
                _ => dims(values[i].dims.get_or_insert_default(), draw),
            }
        }
        _ if !g.nodes.is_empty() => {
            let i = draw.below(g.nodes.len());
            node(&mut g.nodes[i], name, draw);
        }
        _ => g.name.clear(),
    }
}

fn dims(dims: &mut Vec<Dim>, draw: &mut Draw) {
    let dim = match draw.below(4) {
        0 => Dim::Unknown,
        1 => Dim::symbol("other"),
        _ => Dim::Fixed(draw.below(9) as i64),
    };
    let i = draw.below(dims.len() + 1);
    match draw.below(3) {
        0 => dims.insert(i, dim),
        1 if i < dims.len() => drop(dims.remove(i)),
        _ if i < dims.len() => dims[i] = dim,
        _ => dims.push(dim),
    }
}

fn initializer(g: &mut Graph, name: String, draw: &mut Draw) {
    let i = draw.below(g.initializers.len());
    match draw.below(6) {
        0 => drop(g.initializers.remove(i)),
        1 => g.initializers[i].name = name,
        2 => g.initializers[i].dtype = some_type(draw),
        3 => g.initializers[i].dims.push([-1, 0, 1, 2][draw.below(4)]),
        4 => drop(g.initializers[i].dims.pop()),
        // The same bytes as entries of another value: shapes and axes go wrong.
        _ => {
            let t = &mut g.initializers[i];
            if let (DType::I64, Some(values)) = (t.dtype, t.to_i64()) {
                let changed: Vec<i64> = values
                    .iter()
                    .map(|v| v.wrapping_add([-1, 1, 7][draw.below(3)]))
                    .collect();
                *t = minrnn_onnx::ir::Tensor::i64(t.name.clone(), t.dims.clone(), &changed);
            }
        }
    }
}

const OPERATORS: &[&str] = &[
    "Add",
    "MatMul",
    "Concat",
    "Split",
    "Slice",
    "Reshape",
    "Squeeze",
    "Unsqueeze",
    "Gather",
    "ReduceMean",
    "Pad",
    "Expand",
    "Transpose",
    "Softmax",
    "Where",
    "Cast",
    "Less",
    "Range",
    "ConstantOfShape",
    "CumSum",
    "Gemm",
    "Tile",
    "QuantizeLinear",
    "DequantizeLinear",
    "LayerNormalization",
    "Flatten",
    "Shape",
    "Identity",
    "NoSuchOperator",
];

fn node(n: &mut Node, name: String, draw: &mut Draw) {
    let (i, o) = (draw.below(n.inputs.len()), draw.below(n.outputs.len()));
    match draw.below(11) {
        0 | 1 if !n.inputs.is_empty() => n.inputs[i] = name,
        2 if !n.inputs.is_empty() => drop(n.inputs.remove(i)),
        3 => n.inputs.insert(i, name),
        4 if !n.outputs.is_empty() => n.outputs[o] = name,
        5 => n.outputs.push(name),
        6 => n.op_type = OPERATORS[draw.below(OPERATORS.len())].into(),
        7 if n.inputs.len() > 1 => n.inputs.rotate_left(1),
        8 => n.attributes.push((
            ["axis", "axes", "keepdims", "to"][draw.below(4)].into(),
            Attr::Int(draw.below(5) as i64 - 2),
        )),
        9 => drop(n.attributes.pop()),
        _ => {
            let count = n.attributes.len();
            if let Some((_, attr)) = n.attributes.get_mut(draw.below(count)) {
                attribute(attr, draw);
            }
        }
    }
}

fn attribute(attr: &mut Attr, draw: &mut Draw) {
    match attr {
        Attr::Int(n) => *n = draw.below(9) as i64 - 4,
        Attr::Ints(v) => match draw.below(3) {
            0 => v.push(draw.below(5) as i64 - 2),
            1 => drop(v.pop()),
            _ => v.iter_mut().for_each(|n| *n -= 1),
        },
        Attr::Graph(g) => graph(g, draw),
        other => *other = Attr::Int(1),
    }
}
