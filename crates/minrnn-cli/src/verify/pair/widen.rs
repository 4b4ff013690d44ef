//! The same graph in float64: what a file means, apart from how f32 rounds it.
//!
//! Weights keep their f32 values. `Sigmoid`, `Softplus` and `Erf`, which the engine has for f32 alone, are written out by
//! their definitions.

use minrnn_onnx::ir::{Attr, DType, Graph, Model, Node, Tensor, TensorData, ValueInfo};

/// The model in float64.
///
/// # Errors
/// What keeps a graph from being widened, in words.
pub(super) fn widen(model: &Model) -> Result<Model, String> {
    let mut wide = model.clone();
    graph(&mut wide.graph)?;
    Ok(wide)
}

fn graph(g: &mut Graph) -> Result<(), String> {
    g.value_info.clear();
    let infos = g.inputs.iter_mut().chain(&mut g.outputs);
    infos.for_each(info);
    for t in &mut g.initializers {
        tensor(t)?;
    }
    let nodes = std::mem::take(&mut g.nodes);
    for mut node in nodes {
        attributes(&mut node)?;
        match node.op_type.as_str() {
            "Sigmoid" | "Softplus" | "Erf" => written_out(&node, g),
            _ => g.nodes.push(node),
        }
    }
    Ok(())
}

fn narrow(dtype: DType) -> bool {
    matches!(dtype, DType::F32 | DType::F16)
}

fn info(v: &mut ValueInfo) {
    if v.dtype.is_some_and(narrow) {
        v.dtype = Some(DType::F64);
    }
}

fn tensor(t: &mut Tensor) -> Result<(), String> {
    if !narrow(t.dtype) {
        return Ok(());
    }
    let TensorData::Bytes(bytes) = &t.data else {
        return Err(format!("the values of `{}` are in another file", t.name));
    };
    let values: Vec<u8> = match t.to_f32() {
        Some(v) => v.iter().flat_map(|x| f64::from(*x).to_le_bytes()).collect(),
        None => bytes
            .chunks_exact(2)
            .flat_map(|c| half([c[0], c[1]]).to_le_bytes())
            .collect(),
    };
    t.data = TensorData::Bytes(values);
    t.dtype = DType::F64;
    Ok(())
}

/// The value of an f16: sign, 5 bits of exponent, 10 bits of fraction.
fn half(bytes: [u8; 2]) -> f64 {
    let bits = u16::from_le_bytes(bytes);
    let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
    let (exponent, fraction) = (i32::from(bits >> 10 & 31), f64::from(bits & 1023));
    sign * match exponent {
        0 => fraction * f64::powi(2.0, -24),
        31 if fraction == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        e => (1024.0 + fraction) * f64::powi(2.0, e - 25),
    }
}

fn attributes(node: &mut Node) -> Result<(), String> {
    let wide = i64::from(DType::F64.code());
    let is_narrow = |code: i64| {
        i32::try_from(code)
            .ok()
            .and_then(DType::from_code)
            .is_some_and(narrow)
    };
    // LayerNormalization computes its mean in the type that `stash_type` says, f32 if it says nothing.
    if node.op_type == "LayerNormalization" {
        node.attributes.retain(|(name, _)| name != "stash_type");
        node.attributes.push(("stash_type".into(), Attr::Int(wide)));
    }
    if node.op_type == "ConstantOfShape" && node.attr("value").is_none() {
        node.attributes.push((
            "value".into(),
            Attr::Tensor(Tensor::f32("", vec![1], &[0.0])),
        ));
    }
    for (name, attr) in &mut node.attributes {
        match attr {
            Attr::Int(code)
                if matches!(
                    (node.op_type.as_str(), name.as_str()),
                    ("Cast", "to") | (_, "dtype")
                ) && is_narrow(*code) =>
            {
                *code = wide
            }
            Attr::Tensor(t) => tensor(t)?,
            Attr::Float(v) if node.op_type == "Constant" => {
                let mut t = Tensor::f32("", vec![], &[*v]);
                tensor(&mut t)?;
                (*name, *attr) = ("value".into(), Attr::Tensor(t));
            }
            Attr::Floats(v) if node.op_type == "Constant" => {
                let mut t = Tensor::f32("", vec![v.len() as i64], v);
                tensor(&mut t)?;
                (*name, *attr) = ("value".into(), Attr::Tensor(t));
            }
            Attr::Graph(body) => graph(body)?,
            Attr::Graphs(bodies) => bodies.iter_mut().try_for_each(graph)?,
            _ => {}
        }
    }
    Ok(())
}

/// Nodes for `f(x)`, each with a name made from that of the value they make.
struct Writer<'a> {
    graph: &'a mut Graph,
    base: &'a str,
    made: usize,
}

impl Writer<'_> {
    fn op(&mut self, op_type: &str, inputs: &[&str]) -> String {
        self.made += 1;
        let name = format!("{}/float64.{}", self.base, self.made);
        self.named(op_type, inputs, name.clone());
        name
    }

    fn named(&mut self, op_type: &str, inputs: &[&str], output: String) {
        self.graph.nodes.push(Node {
            op_type: op_type.into(),
            name: output.clone(),
            inputs: inputs.iter().map(|i| (*i).to_owned()).collect(),
            outputs: vec![output],
            ..Node::default()
        });
    }

    fn number(&mut self, value: f64) -> String {
        self.made += 1;
        let name = format!("{}/float64.{}", self.base, self.made);
        let bytes = value.to_le_bytes().to_vec();
        self.graph
            .initializers
            .push(Tensor::bytes(&*name, DType::F64, vec![], bytes));
        name
    }
}

/// `Sigmoid`, `Softplus` or `Erf` in primitives.
fn written_out(node: &Node, graph: &mut Graph) {
    let (Some(x), Some(y)) = (node.inputs.first(), node.outputs.first()) else {
        graph.nodes.push(node.clone());
        return;
    };
    let w = &mut Writer {
        graph,
        base: y,
        made: 0,
    };
    match node.op_type.as_str() {
        // 1 / (1 + e^-x): e^-x = inf gives 0, as it should.
        "Sigmoid" => {
            let minus = w.op("Neg", &[x]);
            let e = w.op("Exp", &[&minus]);
            let one = w.number(1.0);
            let sum = w.op("Add", &[&e, &one]);
            w.named("Div", &[&one, &sum], y.clone());
        }
        // max(x, 0) + ln(1 + e^-|x|): no overflow.
        "Softplus" => {
            let size = w.op("Abs", &[x]);
            let minus = w.op("Neg", &[&size]);
            let e = w.op("Exp", &[&minus]);
            let one = w.number(1.0);
            let sum = w.op("Add", &[&e, &one]);
            let log = w.op("Log", &[&sum]);
            let high = w.op("Relu", &[x]);
            w.named("Add", &[&high, &log], y.clone());
        }
        _ => erf(w, x, y),
    }
}

/// `erf(x) = 2/sqrt(pi) e^(-x^2) x sum_n (2 x^2)^n / (1 3 5 .. (2n+1))`: all terms of one sign, so nothing cancels. Beyond
/// |x| = 6, where erf is 1 to the last bit of f64, x is taken as 6, for which 140 terms are enough.
fn erf(w: &mut Writer, x: &str, y: &str) {
    let (low, high, one) = (w.number(-6.0), w.number(6.0), w.number(1.0));
    let small = w.op("Max", &[x, &low]);
    let x = w.op("Min", &[&small, &high]);
    let square = w.op("Mul", &[&x, &x]);
    let two = w.number(2.0);
    let twice = w.op("Mul", &[&square, &two]);
    let zero = w.op("Sub", &[&x, &x]);
    // The innermost sum is 1, in the shape of x.
    let mut sum = w.op("Exp", &[&zero]);
    for n in (1..=140).rev() {
        let odd = w.number(1.0 / f64::from(2 * n + 1));
        let factor = w.op("Mul", &[&twice, &odd]);
        let term = w.op("Mul", &[&factor, &sum]);
        sum = w.op("Add", &[&term, &one]);
    }
    let minus = w.op("Neg", &[&square]);
    let bell = w.op("Exp", &[&minus]);
    let scale = w.number(std::f64::consts::FRAC_2_SQRT_PI);
    let odd = w.op("Mul", &[&x, &scale]);
    let outer = w.op("Mul", &[&odd, &bell]);
    w.named("Mul", &[&outer, &sum], y.to_owned());
}
