//! The operators GRU and LSTM written out as the Scan that the same model has in other files: the same products, gates and order of
//! operations, so that a step has the same bits whichever of the two a file has. Exact execution and the referee read this graph; tract
//! by itself runs the operators as they stand.
//!
//! Only what the exporter writes around them is read so: the time put first before, and back behind.

mod body;

use std::collections::{BTreeMap, BTreeSet};

use crate::proto::{AttributeProto, AttributeType, DataType, GraphProto, NodeProto, TensorProto};

use body::Kind;

/// The graph without these operators; `None` where it has none that is read so.
pub(crate) fn written_out(graph: &GraphProto) -> Option<GraphProto> {
    if !graph.node.iter().any(|n| Kind::of(n).is_some()) {
        return None;
    }
    let around = Around::of(graph);
    let mut made = GraphProto {
        node: vec![],
        ..graph.clone()
    };
    let mut instead: BTreeMap<usize, Vec<NodeProto>> = BTreeMap::new();
    let mut gone = BTreeSet::new();
    for (at, node) in graph.node.iter().enumerate() {
        let Some(kind) = Kind::of(node) else { continue };
        let cell = around.cell(kind, node)?;
        gone.extend(cell.behind.iter().copied());
        let mut writer = Writer::new(graph, &node.output[0])?;
        body::write(&cell, &mut writer);
        made.initializer.append(&mut writer.constants);
        instead.insert(at, writer.nodes);
    }
    for (at, node) in graph.node.iter().enumerate() {
        match instead.remove(&at) {
            Some(nodes) => made.node.extend(nodes),
            None if gone.contains(&at) => {}
            None => made.node.push(node.clone()),
        }
    }
    Some(made)
}

/// A cell and what it reads and gives, batch first.
struct Cell<'a> {
    kind: Kind,
    /// D.
    channels: i64,
    /// `[B, T, M]`.
    x: &'a str,
    /// The standard's: `[1, P D, M]`, `[1, P D, D]`, `[1, 2 P D]`.
    w: &'a str,
    r: &'a str,
    bias: Option<&'a str>,
    /// `[B, D]` each.
    first: Vec<&'a str>,
    last: Vec<&'a str>,
    /// `[B, T, D]`.
    all: &'a str,
    /// The nodes that bring the results into this order.
    behind: Vec<usize>,
}

/// Who makes a value, and who reads it.
struct Around<'a> {
    graph: &'a GraphProto,
    makers: BTreeMap<&'a str, usize>,
    readers: BTreeMap<&'a str, Vec<usize>>,
}

impl<'a> Around<'a> {
    fn of(graph: &'a GraphProto) -> Self {
        let (mut makers, mut readers) = (BTreeMap::new(), BTreeMap::<_, Vec<usize>>::new());
        for (at, node) in graph.node.iter().enumerate() {
            makers.extend(node.output.iter().map(|o| (o.as_str(), at)));
            for input in &node.input {
                readers.entry(input.as_str()).or_default().push(at);
            }
        }
        Self {
            graph,
            makers,
            readers,
        }
    }

    fn cell(&self, kind: Kind, node: &'a NodeProto) -> Option<Cell<'a>> {
        let channels = ints(node, "hidden_size")?.0;
        let input = |at: usize| {
            let name = node.input.get(at).map_or("", String::as_str);
            (!name.is_empty()).then_some(name)
        };
        let x = self.before(input(0)?, turned)?;
        let states = 5..5 + kind.states();
        let first = states.map(|at| self.before(input(at)?, |n| n.op_type == "Unsqueeze"));
        let first: Option<Vec<&str>> = first.collect();
        let squeezed = |n: &NodeProto| n.op_type == "Squeeze";
        let (squeeze, squeezed_y) = self.behind(node.output.first()?, squeezed)?;
        let (turn, all) = self.behind(squeezed_y, turned)?;
        let mut behind = vec![squeeze, turn];
        let mut last = vec![];
        for at in 1..=kind.states() {
            let (squeeze, name) = self.behind(node.output.get(at)?, squeezed)?;
            behind.push(squeeze);
            last.push(name);
        }
        Some(Cell {
            kind,
            channels,
            x,
            w: input(1)?,
            r: input(2)?,
            bias: input(3),
            first: first?,
            last,
            all,
            behind,
        })
    }

    /// What the node before a value reads, if it is such a node.
    fn before(&self, name: &str, such: impl Fn(&NodeProto) -> bool) -> Option<&'a str> {
        let node = &self.graph.node[*self.makers.get(name)?];
        such(node).then(|| node.input.first().map(String::as_str))?
    }

    /// The one node that reads a value, if it is such a node, and what it gives.
    fn behind(&self, name: &str, such: impl Fn(&NodeProto) -> bool) -> Option<(usize, &'a str)> {
        if self.graph.output.iter().any(|o| o.name == name) {
            return None;
        }
        let [at] = self.readers.get(name)?[..] else {
            return None;
        };
        let node = &self.graph.node[at];
        such(node).then(|| node.output.first().map(|o| (at, o.as_str())))?
    }
}

/// Whether a node exchanges time and batch.
fn turned(node: &NodeProto) -> bool {
    let order = ints(node, "perm").is_some_and(|(_, all)| all == [1, 0, 2]);
    node.op_type == "Transpose" && order
}

fn ints<'n>(node: &'n NodeProto, name: &str) -> Option<(i64, &'n [i64])> {
    let found = node.attribute.iter().find(|a| a.name == name)?;
    Some((found.i, &found.ints))
}

/// Nodes and constants in the making, under names that the file has not.
struct Writer {
    prefix: String,
    nodes: Vec<NodeProto>,
    constants: Vec<TensorProto>,
    count: usize,
}

impl Writer {
    fn new(graph: &GraphProto, of: &str) -> Option<Self> {
        let prefix = format!("{of} written out ");
        let tensors = graph.initializer.iter().map(|t| &t.name);
        let made = graph.node.iter().flat_map(|n| n.output.iter());
        let inner = graph.node.iter().flat_map(|n| &n.attribute);
        let inner = inner.filter_map(|a| a.g.as_ref()).flat_map(|g| &g.node);
        let inner = inner.flat_map(|n| n.output.iter());
        let mut names = tensors.chain(made).chain(inner);
        let taken = names.any(|n| n.starts_with(&prefix));
        (!taken).then_some(Self {
            prefix,
            nodes: vec![],
            constants: vec![],
            count: 0,
        })
    }

    /// A name that nothing has yet.
    fn fresh(&mut self) -> String {
        self.count += 1;
        format!("{}{}", self.prefix, self.count)
    }

    fn node(&mut self, op: &str, inputs: &[&str], attribute: Vec<AttributeProto>) -> String {
        let output = self.fresh();
        self.nodes.push(NodeProto {
            input: inputs.iter().map(|i| (*i).to_owned()).collect(),
            output: vec![output.clone()],
            name: output.clone(),
            op_type: op.to_owned(),
            attribute,
            ..NodeProto::default()
        });
        output
    }

    fn op(&mut self, op: &str, inputs: &[&str]) -> String {
        self.node(op, inputs, vec![])
    }

    fn constant(&mut self, tensor: TensorProto) -> String {
        let name = self.fresh();
        self.constants.push(TensorProto {
            name: name.clone(),
            ..tensor
        });
        name
    }

    fn i64s(&mut self, values: &[i64]) -> String {
        self.constant(TensorProto {
            dims: vec![values.len() as i64],
            data_type: DataType::Int64 as i32,
            int64_data: values.to_vec(),
            ..TensorProto::default()
        })
    }

    fn number(&mut self, value: f32) -> String {
        self.constant(TensorProto {
            data_type: DataType::Float as i32,
            float_data: vec![value],
            ..TensorProto::default()
        })
    }

    /// Entries `from..to` along an axis.
    fn slice(&mut self, x: &str, [from, to]: [i64; 2], axis: i64) -> String {
        let [from, to, axis] = [from, to, axis].map(|n| self.i64s(&[n]));
        self.op("Slice", &[x, &from, &to, &axis])
    }

    /// Parts of `channels` entries each, in another order, side by side.
    fn ordered(&mut self, x: &str, parts: &[i64], channels: i64, axis: i64) -> String {
        let part = |i: &i64| self.slice(x, [i * channels, (i + 1) * channels], axis);
        let parts: Vec<String> = parts.iter().map(part).collect();
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        self.node("Concat", &parts, vec![int("axis", axis)])
    }

    fn squeezed(&mut self, x: &str) -> String {
        let first = self.i64s(&[0]);
        self.op("Squeeze", &[x, &first])
    }
}

fn int(name: &str, i: i64) -> AttributeProto {
    AttributeProto {
        name: name.to_owned(),
        r#type: AttributeType::Int as i32,
        i,
        ..AttributeProto::default()
    }
}

fn list(name: &str, ints: Vec<i64>) -> AttributeProto {
    AttributeProto {
        name: name.to_owned(),
        r#type: AttributeType::Ints as i32,
        ints,
        ..AttributeProto::default()
    }
}
