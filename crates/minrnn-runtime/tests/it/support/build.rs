//! Small recurrent models in all three forms, after the contract in `crates/README.md`.

use super::proto::{Attr, Dim, F32, File, Graph, I64, Node, Port, Tensor};
use super::random::Random;

/// Far end of a slice.
const END: i64 = i64::MAX;

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Form {
    Step,
    Scan,
    /// Doubling, right up to that many steps.
    KoggeStone(usize),
}

#[derive(Debug, Clone)]
pub struct Spec {
    pub form: Form,
    /// Token ids below this; `None`: features.
    pub vocab: Option<usize>,
    /// `a` and `b` are the two halves of the features as they are; the output is h.
    pub raw: bool,
    /// A causal convolution over three steps before the cell.
    pub conv: bool,
    /// Only the last step has an output.
    pub last: bool,
    pub width: usize,
    pub d: usize,
    pub c: usize,
    pub batch: Option<i64>,
    pub seq_len: Option<i64>,
    pub init: Option<Vec<f32>>,
    pub seed: u64,
}

impl Spec {
    pub fn raw(form: Form, d: usize) -> Self {
        Self {
            raw: true,
            width: 2 * d,
            d,
            c: d,
            ..Self::gated(form)
        }
    }

    /// Widths that take the same matrix kernel for any number of rows from two on.
    pub fn gated(form: Form) -> Self {
        Self {
            form,
            vocab: None,
            raw: false,
            conv: false,
            last: false,
            width: 5,
            d: 6,
            c: 4,
            batch: None,
            seq_len: None,
            init: None,
            seed: 7,
        }
    }

    pub fn with(&self, form: Form) -> Self {
        Self {
            form,
            ..self.clone()
        }
    }

    pub fn file(&self) -> File {
        Builder::new(self).file()
    }

    pub fn bytes(&self) -> Vec<u8> {
        self.file().to_bytes()
    }

    /// The file in tract, untouched.
    #[cfg(feature = "tract")]
    pub fn portable(&self) -> minrnn_runtime::Model {
        let options = minrnn_runtime::Options::with_plans(8);
        minrnn_runtime::Model::from_bytes_with(&self.bytes(), &options).expect("a good file")
    }

    pub fn model(&self) -> minrnn_runtime::Model {
        minrnn_runtime::Model::from_bytes(&self.bytes()).expect("a good file")
    }

    /// The weight `name` of the file: the same in all forms.
    pub fn weight(&self, name: &str) -> Vec<f32> {
        let file = self.file();
        let tensor = file
            .graph
            .weights
            .iter()
            .find(|t| t.name == name)
            .expect("a weight");
        tensor
            .raw
            .chunks_exact(4)
            .map(|b| f32::from_le_bytes(b.try_into().unwrap()))
            .collect()
    }
}

struct Builder<'a> {
    spec: &'a Spec,
    graph: Graph,
    random: Random,
    count: usize,
}

impl<'a> Builder<'a> {
    fn new(spec: &'a Spec) -> Self {
        Self {
            spec,
            graph: Graph::default(),
            random: Random::new(spec.seed),
            count: 0,
        }
    }

    fn step(&self) -> bool {
        self.spec.form == Form::Step
    }

    fn op_as(&mut self, op: &str, inputs: &[&str], out: &str, attrs: &[(&str, Attr)]) -> String {
        self.graph.nodes.push(Node {
            op: op.into(),
            domain: String::new(),
            inputs: inputs.iter().map(|s| s.to_string()).collect(),
            outputs: vec![out.into()],
            attrs: attrs
                .iter()
                .map(|(k, v)| (k.to_string(), v.clone()))
                .collect(),
        });
        out.into()
    }

    fn op(&mut self, op: &str, inputs: &[&str]) -> String {
        self.count += 1;
        let out = format!("v{}", self.count);
        self.op_as(op, inputs, &out, &[])
    }

    fn concat(&mut self, a: &str, b: &str) -> String {
        self.count += 1;
        let out = format!("v{}", self.count);
        self.op_as("Concat", &[a, b], &out, &[("axis", Attr::Int(1))])
    }

    fn ints(&mut self, values: &[i64]) -> String {
        self.count += 1;
        let name = format!("k{}", self.count);
        self.graph.weights.push(Tensor::i64(&name, values));
        name
    }

    fn slice(&mut self, x: &str, from: i64, to: i64, axis: i64) -> String {
        let (from, to, axis) = (self.ints(&[from]), self.ints(&[to]), self.ints(&[axis]));
        self.op("Slice", &[x, &from, &to, &axis])
    }

    fn with_axis(&mut self, op: &str, x: &str) -> String {
        let axis = self.ints(&[1]);
        self.op(op, &[x, &axis])
    }

    fn weight(&mut self, name: &str, dims: &[usize]) -> String {
        let n = dims.iter().product();
        let values: Vec<f32> = (0..n).map(|_| self.random.value()).collect();
        let dims: Vec<i64> = dims.iter().map(|d| *d as i64).collect();
        self.graph.weights.push(Tensor::f32(name, &dims, &values));
        name.into()
    }

    fn port(&self, name: &str, elem: i32, time: bool, rest: &[usize]) -> Port {
        let fixed = |n: Option<i64>, s| n.map_or(Dim::S(s), Dim::N);
        let mut dims = vec![fixed(self.spec.batch, "batch")];
        if time {
            dims.push(fixed(self.spec.seq_len, "seq_len"));
        }
        dims.extend(rest.iter().map(|n| Dim::N(*n as i64)));
        Port {
            name: name.into(),
            elem,
            dims,
        }
    }

    fn file(mut self) -> File {
        let spec = self.spec;
        let x = self.data();
        let x = if spec.conv { self.conv(&x) } else { x };
        let (a, b) = self.gates(&x);
        let state = self.port("state.0.h", F32, false, &[spec.d]);
        self.graph.inputs.push(state);
        let (h, h_last) = self.recurrence(&a, &b);
        self.head(&h);
        self.op_as("Identity", &[&h_last], "next_state.0.h", &[]);
        if spec.conv {
            let port = self.port("next_state.0.conv", F32, false, &[2, spec.width]);
            self.graph.outputs.push(port);
        }
        let port = self.port("next_state.0.h", F32, false, &[spec.d]);
        self.graph.outputs.push(port);
        let props = self.props(&[&a, &b, "state.0.h", &h, &h_last]);
        File {
            graph: self.graph,
            props,
            opset: 17,
        }
    }

    fn data(&mut self) -> String {
        let (spec, time) = (self.spec, !self.step());
        match spec.vocab {
            Some(vocab) => {
                let port = self.port("input_ids", I64, time, &[]);
                self.graph.inputs.push(port);
                let table = self.weight("embedding", &[vocab, spec.width]);
                self.op("Gather", &[&table, "input_ids"])
            }
            None => {
                let port = self.port("features", F32, time, &[spec.width]);
                self.graph.inputs.push(port);
                "features".into()
            }
        }
    }

    fn conv(&mut self, x: &str) -> String {
        let port = self.port("state.0.conv", F32, false, &[2, self.spec.width]);
        self.graph.inputs.push(port);
        let x = if self.step() {
            self.with_axis("Unsqueeze", x)
        } else {
            x.into()
        };
        let all = self.concat("state.0.conv", &x);
        let mut sum = String::new();
        for j in 0..3 {
            let w = self.weight(&format!("conv.{j}"), &[self.spec.width]);
            let tap = self.slice(&all, j, if j == 2 { END } else { j - 2 }, 1);
            let tap = if self.step() {
                self.with_axis("Squeeze", &tap)
            } else {
                tap
            };
            let term = self.op("Mul", &[&tap, &w]);
            sum = if j == 0 {
                term
            } else {
                self.op("Add", &[&sum, &term])
            };
        }
        let next = self.slice(&all, -2, END, 1);
        self.op_as("Identity", &[&next], "next_state.0.conv", &[]);
        sum
    }

    fn gates(&mut self, x: &str) -> (String, String) {
        let (w, d) = (self.spec.width, self.spec.d);
        if self.spec.raw {
            return (
                self.slice(x, 0, d as i64, -1),
                self.slice(x, d as i64, END, -1),
            );
        }
        let wz = self.weight("z.weight", &[w, d]);
        let bz = self.weight("z.bias", &[d]);
        let wc = self.weight("c.weight", &[w, d]);
        let k = self.op("MatMul", &[x, &wz]);
        let k = self.op("Add", &[&k, &bz]);
        let minus = self.op("Neg", &[&k]);
        let a = self.op("Sigmoid", &[&minus]);
        let z = self.op("Sigmoid", &[&k]);
        let c = self.op("MatMul", &[x, &wc]);
        let b = self.op("Mul", &[&z, &c]);
        (a, b)
    }

    fn recurrence(&mut self, a: &str, b: &str) -> (String, String) {
        match self.spec.form {
            Form::Step => {
                let m = self.op("Mul", &["state.0.h", a]);
                let h = self.op("Add", &[&m, b]);
                (h.clone(), h)
            }
            Form::Scan => self.scan(a, b),
            Form::KoggeStone(longest) => self.doubling(a, b, longest),
        }
    }

    fn scan(&mut self, a: &str, b: &str) -> (String, String) {
        let row = |name: &str| Port {
            name: name.into(),
            elem: F32,
            dims: vec![Dim::None, Dim::N(self.spec.d as i64)],
        };
        let node = |op: &str, inputs: [&str; 2], out: &str| Node {
            op: op.into(),
            domain: String::new(),
            inputs: inputs
                .iter()
                .filter(|i| !i.is_empty())
                .map(|s| s.to_string())
                .collect(),
            outputs: vec![out.into()],
            attrs: vec![],
        };
        let body = Graph {
            inputs: vec![row("h_in"), row("a_t"), row("b_t")],
            outputs: vec![row("h_out"), row("y_t")],
            nodes: vec![
                node("Mul", ["h_in", "a_t"], "m_t"),
                node("Add", ["m_t", "b_t"], "h_out"),
                node("Identity", ["h_out", ""], "y_t"),
            ],
            weights: vec![],
            tail: vec![],
        };
        let attrs = [
            ("body", Attr::Graph(body)),
            ("num_scan_inputs", Attr::Int(2)),
            ("scan_input_axes", Attr::Ints(vec![1, 1])),
            ("scan_output_axes", Attr::Ints(vec![1])),
        ];
        self.op_as("Scan", &["state.0.h", a, b], "h_last", &attrs);
        self.graph
            .nodes
            .last_mut()
            .expect("just added")
            .outputs
            .push("h".into());
        ("h".into(), "h_last".into())
    }

    fn doubling(&mut self, a: &str, b: &str, longest: usize) -> (String, String) {
        let (mut p, mut s) = (a.to_string(), b.to_string());
        let mut d = 1;
        while d < longest as i64 {
            let (p0, p1) = (self.slice(&p, 0, d, 1), self.slice(&p, d, END, 1));
            let (s0, s1) = (self.slice(&s, 0, d, 1), self.slice(&s, d, END, 1));
            let (pd, sd) = (self.slice(&p, 0, -d, 1), self.slice(&s, 0, -d, 1));
            let s2 = self.op("Mul", &[&p1, &sd]);
            let s2 = self.op("Add", &[&s2, &s1]);
            let p2 = self.op("Mul", &[&p1, &pd]);
            s = self.concat(&s0, &s2);
            p = self.concat(&p0, &p2);
            d *= 2;
        }
        let h0 = self.with_axis("Unsqueeze", "state.0.h");
        let h = self.op("Mul", &[&p, &h0]);
        let h = self.op("Add", &[&h, &s]);
        let last = self.slice(&h, -1, END, 1);
        let last = self.with_axis("Squeeze", &last);
        (h, last)
    }

    fn head(&mut self, h: &str) {
        let spec = self.spec;
        let name = if spec.vocab.is_some() {
            "logits"
        } else {
            "values"
        };
        let mut h = h.to_string();
        if spec.last && !self.step() {
            h = self.slice(&h, -1, END, 1);
            h = self.with_axis("Squeeze", &h);
        }
        if spec.raw {
            self.op_as("Identity", &[&h], name, &[]);
        } else {
            let w = self.weight("out.weight", &[spec.d, spec.c]);
            self.op_as("MatMul", &[&h, &w], name, &[]);
        }
        let port = self.port(name, F32, !self.step() && !spec.last, &[spec.c]);
        self.graph.outputs.push(port);
    }

    fn props(&self, names: &[&str]) -> Vec<(String, String)> {
        let spec = self.spec;
        let (form, lowering) = match spec.form {
            Form::Step => ("step", "step"),
            Form::Scan => ("scan", "scan"),
            Form::KoggeStone(_) => ("parallel", "kogge-stone"),
        };
        let init = spec
            .init
            .as_ref()
            .map_or("\"zero\"".into(), |v| format!("{v:?}"));
        let mut states = String::new();
        if spec.conv {
            let w = spec.width;
            states = format!(
                r#"{{"input":"state.0.conv","output":"next_state.0.conv","shape":[2,{w}],"init":"zero"}},"#
            );
        }
        let d = spec.d;
        states += &format!(
            r#"{{"input":"state.0.h","output":"next_state.0.h","shape":[{d}],"init":{init}}}"#
        );
        let [a, b, h0, h, h_last] = names else {
            panic!("five names")
        };
        let recurrence =
            format!(r#"[{{"a":"{a}","b":"{b}","h0":"{h0}","h":"{h}","h_last":"{h_last}"}}]"#);
        let input = spec
            .vocab
            .map_or(format!(r#"{{"features":{}}}"#, spec.width), |v| {
                format!(r#"{{"vocab":{v}}}"#)
            });
        let mut props = vec![
            ("minrnn.contract", "1".to_string()),
            ("minrnn.form", form.into()),
            ("minrnn.lowering", lowering.into()),
            (
                "minrnn.head",
                if spec.last { "last" } else { "per_step" }.into(),
            ),
            ("minrnn.states", format!("[{states}]")),
            ("minrnn.recurrences", recurrence),
            ("minrnn.padded", "false".into()),
            ("minrnn.weights", format!("{:064x}", spec.seed)),
            ("minrnn.config", format!(r#"{{"input":{input}}}"#)),
        ];
        if let Form::KoggeStone(longest) = spec.form {
            props.push(("minrnn.max_seq_len", longest.to_string()));
        }
        props.into_iter().map(|(k, v)| (k.to_string(), v)).collect()
    }
}
