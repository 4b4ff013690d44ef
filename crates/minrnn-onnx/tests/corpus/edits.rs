//! Good exports with one thing changed.

use minrnn_onnx::check::Rule;
use minrnn_onnx::export::{Form, Lowering};
use minrnn_onnx::ir::{Attr, DType, Dim, Graph, Model, Node, Tensor, ValueInfo};

use super::{Case, export};

type Edit = (&'static str, Rule, fn(&mut Model));

pub(crate) fn cases() -> Vec<Case> {
    let parallel = export(Form::Parallel, Lowering::Blocked);
    let scan = export(Form::Scan, Lowering::Blocked);
    let make = |base: &Model, (name, rule, edit): Edit| {
        let mut model = base.clone();
        edit(&mut model);
        assert!(model != *base, "{name} changes nothing");
        Case { name, rule, model }
    };
    let mut all: Vec<Case> = whole_file()
        .into_iter()
        .chain(names())
        .map(|e| make(&parallel, e))
        .collect();
    all.extend(
        types()
            .into_iter()
            .chain(nodes())
            .map(|e| make(&parallel, e)),
    );
    all.extend(scans().into_iter().map(|e| make(&scan, e)));
    all
}

/// The first node of that operator.
fn node<'a>(m: &'a mut Model, op: &str) -> &'a mut Node {
    m.graph.nodes.iter_mut().find(|n| n.op_type == op).unwrap()
}

fn scan_body(m: &mut Model) -> &mut Graph {
    match &mut node(m, "Scan")
        .attributes
        .iter_mut()
        .find(|(n, _)| n == "body")
        .unwrap()
        .1
    {
        Attr::Graph(g) => g,
        other => panic!("{other:?}"),
    }
}

/// The first output of the first node of that operator.
fn result(m: &mut Model, op: &str) -> String {
    node(m, op).outputs[0].clone()
}

fn whole_file() -> Vec<Edit> {
    use Rule::{Metadata, Version};
    vec![
        ("no version of the format", Version, |m| m.ir_version = 0),
        (
            "a version of the format before constants were free",
            Version,
            |m| m.ir_version = 3,
        ),
        (
            "a version of the format that is not out yet",
            Version,
            |m| m.ir_version = 99,
        ),
        ("no opset", Version, |m| m.opsets.clear()),
        ("an opset of another domain only", Version, |m| {
            m.opsets[0].0 = "org.example".into()
        }),
        ("opset twice", Version, |m| {
            m.opsets.push((String::new(), 17))
        }),
        ("opset twice under both names", Version, |m| {
            m.opsets.push(("ai.onnx".into(), 16))
        }),
        ("opset 99", Version, |m| m.opsets[0].1 = 99),
        ("opset 6", Version, |m| m.opsets[0].1 = 6),
        ("a key of metadata twice", Metadata, |m| {
            let first = m.metadata[0].clone();
            m.metadata.push(first);
        }),
        ("metadata without a key", Metadata, |m| {
            m.metadata.push((String::new(), "x".into()))
        }),
    ]
}

fn names() -> Vec<Edit> {
    use Rule::{Declared, DimName, Name, Order, Shape, Ssa, Undefined};
    vec![
        ("a graph without a name", Name, |m| m.graph.name.clear()),
        ("a node without a name", Name, |m| {
            node(m, "MatMul").name.clear()
        }),
        ("an initializer without a name", Name, |m| {
            m.graph.initializers.push(Tensor::f32("", vec![], &[1.0]))
        }),
        ("an input without a name", Name, |m| {
            m.graph.inputs.push(ValueInfo::new("", DType::F32, vec![]))
        }),
        ("one name for two values", Ssa, |m| {
            let first = result(m, "MatMul");
            node(m, "Slice").outputs[0] = first;
        }),
        ("a value called as an input", Ssa, |m| {
            let input = m.graph.inputs[0].name.clone();
            node(m, "Neg").outputs[0] = input;
        }),
        ("an initializer twice", Ssa, |m| {
            let first = m.graph.initializers[0].clone();
            m.graph.initializers.push(first);
        }),
        ("an input twice", Ssa, |m| {
            let first = m.graph.inputs[0].clone();
            m.graph.inputs.push(first);
        }),
        ("an initializer called as an input", Ssa, |m| {
            let mut first = m.graph.initializers[0].clone();
            first.name = m.graph.inputs[1].name.clone();
            m.graph.initializers.push(first);
        }),
        ("an output twice", Ssa, |m| {
            let first = m.graph.outputs[0].clone();
            m.graph.outputs.push(first);
        }),
        ("a value that nobody computes", Undefined, |m| {
            node(m, "MatMul").inputs[0] = "nowhere".into()
        }),
        ("an output that nobody computes", Undefined, |m| {
            m.graph.outputs[0].name = "nowhere".into()
        }),
        ("an output without a name", Undefined, |m| {
            m.graph.outputs[0].name.clear()
        }),
        ("a node before what it reads", Order, |m| {
            m.graph.nodes.reverse()
        }),
        ("a node that reads itself", Order, |m| {
            let own = result(m, "MatMul");
            node(m, "MatMul").inputs[0] = own;
        }),
        ("a dimension with a dash", DimName, |m| {
            m.graph.inputs[0].dims = Some(vec![Dim::symbol("batch-size"), Dim::symbol("seq_len")]);
        }),
        ("a negative dimension of an input", Shape, |m| {
            m.graph.inputs[0].dims.as_mut().unwrap()[0] = Dim::Fixed(-2);
        }),
        ("an input without a shape", Declared, |m| {
            m.graph.inputs[0].dims = None
        }),
        ("an input without a type", Declared, |m| {
            m.graph.inputs[0].dtype = None
        }),
        ("an output without a shape", Declared, |m| {
            m.graph.outputs[0].dims = None
        }),
    ]
}

fn types() -> Vec<Edit> {
    use Rule::{Constant, Declared, Type};
    vec![
        ("an output of another type", Declared, |m| {
            m.graph.outputs[0].dtype = Some(DType::F64)
        }),
        ("an output of another rank", Declared, |m| {
            m.graph.outputs[0].dims = Some(vec![Dim::Fixed(5)])
        }),
        ("an output of another size", Declared, |m| {
            *m.graph.outputs[0]
                .dims
                .as_mut()
                .unwrap()
                .last_mut()
                .unwrap() = Dim::Fixed(6);
        }),
        ("an output of another named dimension", Declared, |m| {
            m.graph.outputs[0].dims.as_mut().unwrap()[1] = Dim::symbol("batch");
        }),
        ("a value declared with another type", Declared, |m| {
            let name = result(m, "MatMul");
            m.graph
                .value_info
                .push(ValueInfo::new(name, DType::I64, vec![Dim::Unknown; 3]));
        }),
        ("a value declared with another rank", Declared, |m| {
            let name = result(m, "MatMul");
            m.graph
                .value_info
                .push(ValueInfo::new(name, DType::F32, vec![Dim::Unknown]));
        }),
        ("ids of floats", Type, |m| {
            m.graph.inputs[0].dtype = Some(DType::F32)
        }),
        ("a state of f64", Type, |m| {
            m.graph.inputs[1].dtype = Some(DType::F64)
        }),
        ("a weight of f64", Type, |m| {
            let name = node(m, "MatMul").inputs[1].clone();
            let w = m
                .graph
                .initializers
                .iter_mut()
                .find(|t| t.name == name)
                .unwrap();
            let count = w.len().unwrap();
            *w = Tensor::bytes(name, DType::F64, w.dims.clone(), vec![0; 8 * count]);
        }),
        ("an initializer with too few bytes", Constant, |m| {
            m.graph.initializers[0].dims[0] += 1;
        }),
        ("an initializer with a negative dimension", Constant, |m| {
            m.graph.initializers[0].dims[0] = -5;
        }),
    ]
}

fn nodes() -> Vec<Edit> {
    use Rule::{Arity, Attribute, Operator, Shape};
    vec![
        ("an unknown operator", Operator, |m| {
            node(m, "MatMul").op_type = "MatrixProduct".into()
        }),
        (
            "an operator of a domain that is not imported",
            Operator,
            |m| node(m, "MatMul").domain = "org.example".into(),
        ),
        ("an operator of a domain that is imported", Operator, |m| {
            m.opsets.push(("org.example".into(), 1));
            node(m, "MatMul").domain = "org.example".into();
        }),
        ("an unknown attribute", Attribute, |m| {
            node(m, "MatMul")
                .attributes
                .push(("transB".into(), Attr::Int(1)))
        }),
        ("an attribute twice", Attribute, |m| {
            let n = node(m, "Concat");
            let first = n.attributes[0].clone();
            n.attributes.push(first);
        }),
        ("an attribute of another type", Attribute, |m| {
            node(m, "Concat").attributes[0].1 = Attr::Ints(vec![1])
        }),
        ("a missing attribute", Attribute, |m| {
            node(m, "Concat").attributes.clear()
        }),
        ("an input too many", Arity, |m| {
            let n = node(m, "MatMul");
            n.inputs.push(n.inputs[1].clone());
        }),
        ("an input too few", Arity, |m| {
            drop(node(m, "MatMul").inputs.pop())
        }),
        ("no output", Arity, |m| node(m, "Slice").outputs.clear()),
        ("a weight with another number of rows", Shape, |m| {
            let name = node(m, "MatMul").inputs[1].clone();
            let w = m
                .graph
                .initializers
                .iter_mut()
                .find(|t| t.name == name)
                .unwrap();
            w.dims[0] += 1;
            let count: i64 = w.dims.iter().product();
            *w = Tensor::f32(name, w.dims.clone(), &vec![0.5; count as usize]);
        }),
    ]
}

fn scans() -> Vec<Edit> {
    use Rule::{Arity, Attribute, Declared, Shape, Ssa, Undefined};
    vec![
        ("Scan without a body", Attribute, |m| {
            node(m, "Scan").attributes.retain(|(n, _)| n != "body")
        }),
        ("Scan with a body that is a number", Attribute, |m| {
            node(m, "Scan")
                .attributes
                .iter_mut()
                .find(|(n, _)| n == "body")
                .unwrap()
                .1 = Attr::Int(0);
        }),
        ("Scan over no input", Attribute, |m| {
            node(m, "Scan")
                .attributes
                .iter_mut()
                .find(|(n, _)| n == "num_scan_inputs")
                .unwrap()
                .1 = Attr::Int(0);
        }),
        ("Scan over more than its inputs", Attribute, |m| {
            node(m, "Scan")
                .attributes
                .iter_mut()
                .find(|(n, _)| n == "num_scan_inputs")
                .unwrap()
                .1 = Attr::Int(9);
        }),
        ("Scan over an axis that is not there", Shape, |m| {
            node(m, "Scan")
                .attributes
                .iter_mut()
                .find(|(n, _)| n == "scan_input_axes")
                .unwrap()
                .1 = Attr::Ints(vec![7, 7]);
        }),
        ("Scan with an axis too many", Attribute, |m| {
            node(m, "Scan")
                .attributes
                .iter_mut()
                .find(|(n, _)| n == "scan_input_axes")
                .unwrap()
                .1 = Attr::Ints(vec![1, 1, 1]);
        }),
        ("a body with an input too few", Arity, |m| {
            drop(scan_body(m).inputs.pop())
        }),
        ("a body with an output too few", Arity, |m| {
            drop(scan_body(m).outputs.pop())
        }),
        (
            "a body that writes a name of the graph around it",
            Ssa,
            |m| {
                let outer = m.graph.inputs[0].name.clone();
                let body = scan_body(m);
                let old = std::mem::replace(&mut body.nodes[0].outputs[0], outer.clone());
                for n in &mut body.nodes {
                    n.inputs
                        .iter_mut()
                        .filter(|i| **i == old)
                        .for_each(|i| *i = outer.clone());
                }
            },
        ),
        ("a body that reads what is not there", Undefined, |m| {
            scan_body(m).nodes[0].inputs[0] = "nowhere".into()
        }),
        ("a body with a state of another size", Declared, |m| {
            scan_body(m).inputs[0].dims = Some(vec![Dim::Unknown, Dim::Fixed(99)]);
        }),
        ("a body with a state of another type", Declared, |m| {
            scan_body(m).inputs[0].dtype = Some(DType::F64);
        }),
        ("a body whose output nobody computes", Undefined, |m| {
            scan_body(m).outputs[0].name = "nowhere".into()
        }),
        ("a body without a name", Rule::Name, |m| {
            scan_body(m).name.clear()
        }),
        ("a value of the body read outside", Undefined, |m| {
            let inner = scan_body(m).nodes[0].outputs[0].clone();
            let last = m.graph.nodes.len() - 1;
            m.graph.nodes[last].inputs[0] = inner;
        }),
    ]
}
