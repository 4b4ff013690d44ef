use super::*;
use crate::builder::{Builder, ScanBody};
use crate::ir::{Attr, DType, Dim, Model, Node, Tensor, ValueInfo};

fn dims() -> Vec<Dim> {
    vec![Dim::symbol("batch"), Dim::symbol("seq_len"), Dim::Fixed(4)]
}

fn model(b: Builder) -> Model {
    let graph = b.finish().unwrap();
    Model {
        ir_version: 8,
        opsets: vec![(String::new(), 17)],
        graph,
        ..Model::default()
    }
}

/// `y = x W + x`, with a Scan `h` over it: right as it is.
fn good() -> Model {
    let mut b = Builder::new("g");
    let x = b.input("x", DType::F32, dims());
    let h0 = b.input("h0", DType::F32, vec![Dim::symbol("batch"), Dim::Fixed(4)]);
    let w = b.param(Tensor::f32("w", vec![4, 4], &[0.25; 16]));
    let y = b.matmul(x, w);
    let y = b.add(y, x);
    let step = vec![Dim::Unknown, Dim::Fixed(4)];
    let h = b.scan(
        &[(h0, step.clone())],
        &[(x, step.clone()), (y, step.clone())],
        1,
        |b, h, x| {
            let m = b.mul(h[0], x[0]);
            let next = b.add(m, x[1]);
            ScanBody {
                states: vec![next],
                outputs: vec![(next, step.clone())],
            }
        },
    );
    b.output(
        "last",
        h[0],
        DType::F32,
        vec![Dim::symbol("batch"), Dim::Fixed(4)],
    );
    b.output("h", h[1], DType::F32, dims());
    model(b)
}

fn body(m: &mut Model) -> &mut crate::ir::Graph {
    match &mut m.graph.nodes[2].attributes[0].1 {
        Attr::Graph(g) => g,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_good_graph_passes() {
    let types = check(&good()).unwrap();
    assert_eq!(types.get("h").unwrap().to_string(), "f32[batch,seq_len,4]");
    assert_eq!(types.get("last").unwrap().to_string(), "f32[batch,4]");
    assert_eq!(
        types
            .subgraph(2, 0)
            .unwrap()
            .get("/body/Mul")
            .unwrap()
            .to_string(),
        "f32[batch,4]"
    );
}

/// Each case breaks one rule of the good graph; the checker must name that rule and that place.
#[test]
fn each_broken_rule_is_named() {
    type Change = fn(&mut Model);
    let cases: &[(&str, Rule, &str, Change)] = &[
        ("no format version", Rule::Version, "model", |m| {
            m.ir_version = 0
        }),
        ("no opset", Rule::Version, "model", |m| m.opsets.clear()),
        ("unknown opset", Rule::Version, "model", |m| {
            m.opsets[0].1 = 99
        }),
        ("opset twice", Rule::Version, "model", |m| {
            m.opsets.push(("ai.onnx".into(), 17))
        }),
        ("metadata twice", Rule::Metadata, "metadata", |m| {
            m.metadata = vec![("k".into(), "1".into()), ("k".into(), "2".into())]
        }),
        ("metadata without key", Rule::Metadata, "metadata", |m| {
            m.metadata = vec![(String::new(), "1".into())]
        }),
        ("graph without name", Rule::Name, "graph", |m| {
            m.graph.name.clear()
        }),
        ("node without name", Rule::Name, "node 1 (Add)", |m| {
            m.graph.nodes[1].name.clear()
        }),
        (
            "initializer without name",
            Rule::Name,
            "initializer ",
            |m| m.graph.initializers.push(Tensor::f32("", vec![], &[1.0])),
        ),
        ("value written twice", Rule::Ssa, "/again", |m| {
            let node = Node {
                name: "/again".into(),
                ..m.graph.nodes[1].clone()
            };
            m.graph.nodes.push(node);
        }),
        ("shadowed in a sub-graph", Rule::Ssa, "/body/Mul", |m| {
            let g = body(m);
            g.nodes[0].outputs[0] = "w".into();
            g.nodes[1].inputs[0] = "w".into();
        }),
        (
            "input also an initializer",
            Rule::Ssa,
            "initializer x",
            |m| m.graph.initializers.push(Tensor::f32("x", vec![], &[1.0])),
        ),
        ("output listed twice", Rule::Ssa, "output h", |m| {
            let h = m.graph.outputs[1].clone();
            m.graph.outputs.push(h);
        }),
        ("wrong order", Rule::Order, "/Add", |m| {
            m.graph.nodes.swap(0, 1)
        }),
        ("undefined input", Rule::Undefined, "/Add", |m| {
            m.graph.nodes[1].inputs[1] = "nowhere".into()
        }),
        ("undefined output", Rule::Undefined, "output nowhere", |m| {
            m.graph.outputs[0].name = "nowhere".into()
        }),
        ("unknown operator", Rule::Operator, "/Add", |m| {
            m.graph.nodes[1].op_type = "Plus".into()
        }),
        ("operator of another domain", Rule::Operator, "/Add", |m| {
            m.graph.nodes[1].domain = "org.example".into()
        }),
        ("too many inputs", Rule::Arity, "/Add", |m| {
            m.graph.nodes[1].inputs.push("x".into())
        }),
        ("empty input", Rule::Arity, "/Add", |m| {
            m.graph.nodes[1].inputs[0].clear()
        }),
        ("no output", Rule::Arity, "/Scan", |m| {
            m.graph.nodes[2].outputs.clear()
        }),
        ("body with an input too few", Rule::Arity, "/Scan", |m| {
            drop(body(m).inputs.pop())
        }),
        ("unknown attribute", Rule::Attribute, "/Add", |m| {
            m.graph.nodes[1]
                .attributes
                .push(("broadcast".into(), Attr::Int(1)))
        }),
        ("attribute of another type", Rule::Attribute, "/Scan", |m| {
            m.graph.nodes[2].attributes[1].1 = Attr::Float(2.0)
        }),
        ("missing attribute", Rule::Attribute, "/Scan", |m| {
            drop(m.graph.nodes[2].attributes.remove(1))
        }),
        ("attribute twice", Rule::Attribute, "/Scan", |m| {
            let twice = m.graph.nodes[2].attributes[1].clone();
            m.graph.nodes[2].attributes.push(twice);
        }),
        ("mixed element types", Rule::Type, "/MatMul", |m| {
            m.graph.initializers[0] = Tensor::i64("w", vec![4, 4], &[1; 16]);
        }),
        ("inner dimensions differ", Rule::Shape, "/MatMul", |m| {
            m.graph.initializers[0] = Tensor::f32("w", vec![5, 4], &[1.0; 20])
        }),
        ("shapes that do not broadcast", Rule::Shape, "/Add", |m| {
            m.graph.initializers[0] = Tensor::f32("w", vec![4, 3], &[1.0; 12])
        }),
        (
            "names that are not equal dimensions",
            Rule::Shape,
            "/Scan",
            |m| {
                m.graph.inputs[1].dims = Some(vec![Dim::symbol("other"), Dim::Fixed(4)]);
                body(m).nodes[0].inputs[0] = "/body/input".into();
            },
        ),
        ("too few values", Rule::Constant, "initializer w", |m| {
            m.graph.initializers[0].dims = vec![4, 5]
        }),
        ("output of another type", Rule::Declared, "output h", |m| {
            m.graph.outputs[1].dtype = Some(DType::F64)
        }),
        ("output of another rank", Rule::Declared, "output h", |m| {
            m.graph.outputs[1].dims = Some(vec![Dim::Fixed(4)])
        }),
        (
            "output of another size",
            Rule::Declared,
            "output last",
            |m| {
                m.graph.outputs[0].dims = Some(vec![Dim::symbol("batch"), Dim::Fixed(5)]);
            },
        ),
        (
            "output of another name",
            Rule::Declared,
            "output last",
            |m| {
                m.graph.outputs[0].dims = Some(vec![Dim::symbol("seq_len"), Dim::Fixed(4)]);
            },
        ),
        ("input without a shape", Rule::Declared, "input x", |m| {
            m.graph.inputs[0].dims = None
        }),
        ("wrong note", Rule::Declared, "value /Add", |m| {
            m.graph
                .value_info
                .push(ValueInfo::new("/Add", DType::F32, vec![Dim::Fixed(1)]));
        }),
        (
            "body declared wrongly",
            Rule::Declared,
            "input /body/state",
            |m| {
                body(m).inputs[0].dims = Some(vec![Dim::Unknown, Dim::Fixed(5)]);
            },
        ),
        ("dimension with a dash", Rule::DimName, "input h0", |m| {
            m.graph.inputs[1].dims = Some(vec![Dim::symbol("batch-size"), Dim::Fixed(4)]);
        }),
    ];
    for (what, rule, place, change) in cases {
        let mut m = good();
        change(&mut m);
        let error = check(&m).expect_err(what);
        let found = error
            .problems
            .iter()
            .any(|p| p.rule == *rule && p.place == *place);
        assert!(found, "{what}: wanted {rule:?} at {place}, got {error}");
    }
}

/// A node on `x [batch, seq_len, 4]` with constants, and what is wrong with it.
#[test]
fn wrong_shapes_are_named() {
    type Make = fn(&mut Builder, crate::builder::Val);
    let cases: &[(&str, Make)] = &[
        ("cannot be cut", |b, x| drop(b.split(x, 3, 2))),
        ("no axis 3", |b, x| drop(b.split(x, 2, 3))),
        ("no axis 5", |b, x| _ = b.slice_at(x, 0, 1, 5)),
        ("no axis -4", |b, x| _ = b.reduce_mean(x, -4)),
        ("only one of 1", |b, x| _ = b.squeeze(x, 1)),
        ("cannot fill", |b, _| {
            let c = b.f32_filled(&[2, 3], 0.0);
            _ = b.reshape(c, &[4, -1]);
        }),
        ("two dimensions are -1", |b, x| _ = b.reshape(x, &[-1, -1])),
        ("keeps nothing", |b, x| _ = b.reshape(x, &[0, 0, 0, 0])),
        ("pads for rank", |b, x| _ = b.pad(x, &[1, 1], 0.0)),
        ("those before", |b, x| {
            let y = b.slice_at(x, 0, 2, 2);
            b.concat(&[x, y], 1);
        }),
        ("has rank", |b, x| {
            let y = b.unsqueeze(x, 0);
            b.concat(&[x, y], 1);
        }),
        ("do not fit", |b, x| {
            let y = b.i64s(&[3]);
            b.expand(x, y);
        }),
    ];
    for (detail, make) in cases {
        let mut b = Builder::new("g");
        let x = b.input("x", DType::F32, dims());
        make(&mut b, x);
        b.output("y", x, DType::F32, dims());
        let error = check(&model(b)).expect_err(detail);
        assert!(
            error
                .problems
                .iter()
                .any(|p| p.rule == Rule::Shape && p.detail.contains(detail)),
            "{detail}: {error}"
        );
    }
}

/// Padding to a multiple, splitting into chunks, and slicing back: the declared `seq_len` is shown, not believed.
#[test]
fn dimensions_are_followed_through_padding() {
    let build = |declared: Dim| {
        let mut b = Builder::new("g");
        let x = b.input("x", DType::F32, dims());
        let shape = b.shape(x);
        let time = b.slice_at(shape, 1, 2, 0);
        let (fifteen, sixteen) = (b.i64s(&[15]), b.i64s(&[16]));
        let up = b.add(time, fifteen);
        let chunks = b.div(up, sixteen);
        let padded_time = b.mul(chunks, sixteen);
        let batch = b.slice_at(shape, 0, 1, 0);
        let ones = b.i64s(&[1, 1]);
        let target = b.concat(&[batch, ones], 0);
        let filler = b.f32_filled(&[1, 15, 4], 0.0);
        let filler = b.expand(filler, target);
        let padded = b.concat(&[x, filler], 1);
        let zero = b.i64s(&[0]);
        let padded = b.slice(padded, zero, padded_time, 1);
        let blocks = b.reshape(padded, &[0, -1, 16, 4]);
        let parts = b.split(blocks, 16, 2);
        let joined = b.concat(&parts, 2);
        let flat = b.reshape(joined, &[0, -1, 4]);
        let y = b.slice(flat, zero, time, 1);
        b.output(
            "y",
            y,
            DType::F32,
            vec![Dim::symbol("batch"), declared, Dim::Fixed(4)],
        );
        model(b)
    };
    let types = check(&build(Dim::symbol("seq_len"))).unwrap();
    assert_eq!(
        types.get("/Reshape").unwrap().to_string(),
        "f32[batch,((seq_len+15)/16),16,4]"
    );
    assert_eq!(types.get("y").unwrap().to_string(), "f32[batch,seq_len,4]");
    let error = check(&build(Dim::symbol("batch"))).unwrap_err();
    assert_eq!(error.problems[0].rule, Rule::Declared);
}
