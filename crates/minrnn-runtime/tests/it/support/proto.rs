//! ONNX files as plain values, written to bytes by hand: tests may break any part of them.
//! Field numbers are those of onnx.proto.

#[derive(Debug, Clone, PartialEq)]
pub enum Dim {
    N(i64),
    S(&'static str),
    None,
}

pub const F32: i32 = 1;
pub const I64: i32 = 7;
pub const F64: i32 = 11;

#[derive(Debug, Clone)]
pub struct Port {
    pub name: String,
    pub elem: i32,
    pub dims: Vec<Dim>,
}

#[derive(Debug, Clone)]
pub struct Tensor {
    pub name: String,
    pub dims: Vec<i64>,
    pub elem: i32,
    pub raw: Vec<u8>,
    pub external: bool,
    /// What stands in `external_data`; then it is external as well.
    pub entries: Vec<(String, String)>,
    pub floats: Vec<f32>,
}

#[derive(Debug, Clone)]
pub enum Attr {
    Int(i64),
    Ints(Vec<i64>),
    Graph(Graph),
    Tensor(Tensor),
    /// Fields of the attribute behind its name.
    Raw(Vec<u8>),
}

#[derive(Debug, Clone)]
pub struct Node {
    pub op: String,
    pub domain: String,
    pub inputs: Vec<String>,
    pub outputs: Vec<String>,
    pub attrs: Vec<(String, Attr)>,
}

#[derive(Debug, Clone, Default)]
pub struct Graph {
    pub inputs: Vec<Port>,
    pub outputs: Vec<Port>,
    pub nodes: Vec<Node>,
    pub weights: Vec<Tensor>,
    /// Fields that stand behind all others, in bytes.
    pub tail: Vec<u8>,
}

#[derive(Debug, Clone)]
pub struct File {
    pub graph: Graph,
    pub props: Vec<(String, String)>,
    pub opset: i64,
}

impl Tensor {
    pub fn f32(name: &str, dims: &[i64], values: &[f32]) -> Self {
        let raw = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        Self {
            name: name.into(),
            dims: dims.into(),
            elem: F32,
            raw,
            external: false,
            entries: vec![],
            floats: vec![],
        }
    }

    pub fn i64(name: &str, values: &[i64]) -> Self {
        let raw = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        let dims = vec![values.len() as i64];
        Self {
            name: name.into(),
            dims,
            elem: I64,
            raw,
            external: false,
            entries: vec![],
            floats: vec![],
        }
    }
}

fn varint(out: &mut Vec<u8>, mut n: u64) {
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

pub fn num(out: &mut Vec<u8>, field: u64, n: i64) {
    varint(out, field << 3);
    varint(out, n as u64);
}

pub fn bytes(out: &mut Vec<u8>, field: u64, data: &[u8]) {
    varint(out, field << 3 | 2);
    varint(out, data.len() as u64);
    out.extend_from_slice(data);
}

fn text(out: &mut Vec<u8>, field: u64, data: &str) {
    bytes(out, field, data.as_bytes());
}

impl Port {
    fn write(&self) -> Vec<u8> {
        let mut shape = vec![];
        for dim in &self.dims {
            let mut d = vec![];
            match dim {
                Dim::N(n) => num(&mut d, 1, *n),
                Dim::S(s) => text(&mut d, 2, s),
                Dim::None => {}
            }
            bytes(&mut shape, 1, &d);
        }
        let mut tensor = vec![];
        num(&mut tensor, 1, self.elem.into());
        bytes(&mut tensor, 2, &shape);
        let mut ty = vec![];
        bytes(&mut ty, 1, &tensor);
        let mut out = vec![];
        text(&mut out, 1, &self.name);
        bytes(&mut out, 2, &ty);
        out
    }
}

impl Tensor {
    fn write(&self) -> Vec<u8> {
        let mut out = vec![];
        self.dims.iter().for_each(|d| num(&mut out, 1, *d));
        num(&mut out, 2, self.elem.into());
        if !self.floats.is_empty() {
            let data: Vec<u8> = self.floats.iter().flat_map(|v| v.to_le_bytes()).collect();
            bytes(&mut out, 4, &data);
        }
        text(&mut out, 8, &self.name);
        if !self.raw.is_empty() {
            bytes(&mut out, 9, &self.raw);
        }
        let mut entries = self.entries.clone();
        if self.external {
            entries.push(("location".into(), "../../secret".into()));
        }
        for (key, value) in &entries {
            let mut entry = vec![];
            text(&mut entry, 1, key);
            text(&mut entry, 2, value);
            bytes(&mut out, 13, &entry);
        }
        if !entries.is_empty() {
            num(&mut out, 14, 1);
        }
        out
    }
}

impl Node {
    fn write(&self, at: usize) -> Vec<u8> {
        let mut out = vec![];
        self.inputs.iter().for_each(|n| text(&mut out, 1, n));
        self.outputs.iter().for_each(|n| text(&mut out, 2, n));
        text(&mut out, 3, &format!("/{}_{at}", self.op));
        text(&mut out, 4, &self.op);
        for (name, attr) in &self.attrs {
            let mut a = vec![];
            text(&mut a, 1, name);
            let kind = match attr {
                Attr::Raw(fields) => {
                    a.extend_from_slice(fields);
                    bytes(&mut out, 5, &a);
                    continue;
                }
                Attr::Int(i) => {
                    num(&mut a, 3, *i);
                    2
                }
                Attr::Tensor(t) => {
                    bytes(&mut a, 5, &t.write());
                    4
                }
                Attr::Graph(g) => {
                    bytes(&mut a, 6, &g.write());
                    5
                }
                Attr::Ints(all) => {
                    all.iter().for_each(|i| num(&mut a, 8, *i));
                    7
                }
            };
            num(&mut a, 20, kind);
            bytes(&mut out, 5, &a);
        }
        text(&mut out, 7, &self.domain);
        out
    }
}

impl Graph {
    fn write(&self) -> Vec<u8> {
        let mut out = vec![];
        self.nodes
            .iter()
            .enumerate()
            .for_each(|(i, n)| bytes(&mut out, 1, &n.write(i)));
        text(&mut out, 2, "g");
        self.weights
            .iter()
            .for_each(|t| bytes(&mut out, 5, &t.write()));
        self.inputs
            .iter()
            .for_each(|p| bytes(&mut out, 11, &p.write()));
        self.outputs
            .iter()
            .for_each(|p| bytes(&mut out, 12, &p.write()));
        out.extend_from_slice(&self.tail);
        out
    }
}

impl File {
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = vec![];
        num(&mut out, 1, 8);
        let mut opset = vec![];
        text(&mut opset, 1, "");
        num(&mut opset, 2, self.opset);
        bytes(&mut out, 8, &opset);
        bytes(&mut out, 7, &self.graph.write());
        for (key, value) in &self.props {
            let mut entry = vec![];
            text(&mut entry, 1, key);
            text(&mut entry, 2, value);
            bytes(&mut out, 14, &entry);
        }
        out
    }

    pub fn prop(&mut self, key: &str, value: &str) {
        self.props.retain(|(k, _)| k != key);
        self.props.push((key.into(), value.into()));
    }

    pub fn input(&mut self, name: &str) -> &mut Port {
        self.graph
            .inputs
            .iter_mut()
            .find(|p| p.name == name)
            .expect("an input of the test model")
    }

    pub fn output(&mut self, name: &str) -> &mut Port {
        self.graph
            .outputs
            .iter_mut()
            .find(|p| p.name == name)
            .expect("an output of the test model")
    }

    pub fn node(&mut self, op: &str) -> &mut Node {
        self.graph
            .nodes
            .iter_mut()
            .find(|n| n.op == op)
            .expect("a node of the test model")
    }
}
