//! A step file with one operation or constant changed: the search must name that node.

use std::path::Path;

use minrnn_model::config::ModelConfig;
use minrnn_model::model::Model as Network;
use minrnn_model::params::Params;
use minrnn_model::rng::Rng;
use minrnn_onnx::export::{ExportOptions, Form, Lowering, export_graph};
use minrnn_onnx::ir::{Model, Tensor};
use serde_json::json;

use super::Culprit;
use crate::verify::pair::{By, Case, Kind, Reading, Request, Two};

fn network(i: usize) -> (Network, Params) {
    let gru = i.is_multiple_of(2);
    let mut config = json!({
        "input": if gru { json!({ "vocab": 11 }) } else { json!({ "features": 5 }) },
        "width": 6,
        "layers": 2,
        "norm": (["rms", "layer", "none"][i % 3]),
        "cell": { "kind": if gru { "min_gru" } else { "min_lstm" }, "expansion": 1.5 },
        "head": { "width": 4 },
    });
    if i >= 2 {
        config["conv"] = json!({ "kernel": 3 });
        config["mlp"] = json!({ "activation": "gelu" });
    }
    if i == 5 {
        config["head"]["steps"] = "last".into();
    }
    let config: ModelConfig = serde_json::from_value(config).unwrap();
    let model = Network::from_config(&config).unwrap();
    let mut params = Params::init(model.graph(), i as u64);
    let mut rng = Rng::named(i as u64, "bisect.params");
    for p in 0..params.len() {
        params
            .get_mut(p)
            .iter_mut()
            .for_each(|v| *v += 0.3 * rng.normal() as f32);
    }
    (model, params)
}

fn export(model: &Network, params: &Params, form: Form, lowering: Lowering) -> Model {
    let options = ExportOptions {
        form,
        lowering,
        target: lowering.target(),
        max_seq_len: 64,
        ..ExportOptions::default()
    };
    export_graph(model.graph(), params, &options).unwrap()
}

fn search(dir: &Path, first: &Model, second: &Model) -> Option<Culprit> {
    let (a, b) = (dir.join("a.onnx"), dir.join("b.onnx"));
    std::fs::write(&a, first.encode()).unwrap();
    std::fs::write(&b, second.encode()).unwrap();
    let request = Request::default();
    let two = Two::open(&a, &b, Kind::Step, &request).unwrap();
    super::pair(&two, &request, None).unwrap().culprit
}

/// Values of one tensor of a step file over some steps.
fn values(dir: &Path, first: &Model, second: &Model, tensor: &str) -> Vec<Vec<f64>> {
    let (a, b) = (dir.join("a.onnx"), dir.join("b.onnx"));
    std::fs::write(&a, first.encode()).unwrap();
    std::fs::write(&b, second.encode()).unwrap();
    let two = Two::open(&a, &b, Kind::Step, &Request::default()).unwrap();
    let mut rng = Rng::named(0, "bisect");
    let case = Case::random(&two, (3, super::STEPS), &mut rng).unwrap();
    let states = two.random_states((3, 8), &[], &mut rng).unwrap();
    (0..case.time)
        .map(|t| {
            two.step(By::Judge, &case, t, &states, &[tensor])
                .unwrap()
                .remove(0)
                .values(Reading::Exact)
        })
        .collect()
}

/// Another operator of the same shape; or a constant that it reads, a little changed.
fn corrupt(model: &mut Model, at: usize, rng: &mut Rng) -> bool {
    const TWINS: &[(&str, &str)] = &[
        ("Add", "Sub"),
        ("Sub", "Add"),
        ("Mul", "Add"),
        ("Div", "Mul"),
        ("Min", "Max"),
        ("Sigmoid", "Tanh"),
        ("Tanh", "Sigmoid"),
        ("Relu", "Neg"),
        ("Neg", "Identity"),
        ("Exp", "Tanh"),
        ("Abs", "Neg"),
        ("Sqrt", "Identity"),
        ("Identity", "Neg"),
    ];
    let node = &mut model.graph.nodes[at];
    let constant = node.inputs.iter().position(|n| {
        model
            .graph
            .initializers
            .iter()
            .any(|t| t.name == *n && t.to_f32().is_some())
    });
    if let (Some(k), true) = (
        constant,
        rng.below(2) == 0 || node.op_type == "MatMul" || node.op_type == "Gather",
    ) {
        let old = model
            .graph
            .initializers
            .iter()
            .find(|t| t.name == node.inputs[k])
            .unwrap();
        let values: Vec<f32> = old
            .to_f32()
            .unwrap()
            .iter()
            .map(|v| v * 1.001 + 1e-3)
            .collect();
        let new = Tensor::f32("changed", old.dims.clone(), &values);
        node.inputs[k] = "changed".into();
        model.graph.initializers.push(new);
        return true;
    }
    let Some((_, twin)) = TWINS.iter().find(|(op, _)| *op == node.op_type) else {
        return false;
    };
    node.op_type = (*twin).into();
    true
}

#[test]
fn the_changed_node_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let forms = [
        (Form::Parallel, Lowering::Blocked),
        (Form::Scan, Lowering::Blocked),
        (Form::Parallel, Lowering::KoggeStone),
    ];
    let (mut changed, mut exact) = (0, 0);
    for i in 0..6 {
        let (network, params) = network(i);
        let (form, lowering) = forms[i % 3];
        let sequence = export(&network, &params, form, lowering);
        let step = export(&network, &params, Form::Step, Lowering::Blocked);
        assert_eq!(
            search(dir.path(), &sequence, &step),
            None,
            "{form:?}, model {i}"
        );
        let mut rng = Rng::named(i as u64, "bisect.nodes");
        for _ in 0..7 {
            let mut bad = step.clone();
            let at = rng.below(bad.graph.nodes.len());
            if !corrupt(&mut bad, at, &mut rng) {
                continue;
            }
            let node = &bad.graph.nodes[at];
            let Some(found) = search(dir.path(), &sequence, &bad) else {
                let same = [&step, &bad]
                    .map(|model| values(dir.path(), &sequence, model, &node.outputs[0]));
                assert!(
                    same[0] == same[1],
                    "{} ({}) was not found",
                    node.name,
                    node.op_type
                );
                continue;
            };
            changed += 1;
            exact += usize::from(found.suspects == [node.name.clone()]);
            assert!(
                found.suspects.contains(&node.name),
                "{form:?}, {} ({}): {found:#?}",
                node.name,
                node.op_type
            );
            assert_eq!(found.kind, "meaning");
        }
    }
    assert!(changed >= 24, "{changed}");
    assert!(exact * 100 >= changed * 95, "{exact} of {changed}");
}

/// Values inside of a body are no inputs of the node, and the report says why it looks no further.
#[test]
fn a_body_is_no_list_of_constants() {
    use minrnn_onnx::ir::{Attr, DType, Dim, Graph, Node, ValueInfo};

    let node = |op: &str, inputs: &[&str], output: &str| Node {
        op_type: op.into(),
        name: format!("{output}_node"),
        inputs: inputs.iter().map(|n| (*n).to_owned()).collect(),
        outputs: vec![output.into()],
        ..Node::default()
    };
    let dims = || vec![Dim::symbol("batch"), Dim::symbol("time"), Dim::Fixed(2)];
    let graph = |factor: f32| {
        let body = |op: &str| Graph {
            nodes: vec![node("Mul", &["x", "k"], "inner"), node(op, &["inner"], "r")],
            outputs: vec![ValueInfo::new("r", DType::F32, dims())],
            ..Graph::default()
        };
        let mut both = node("If", &["c"], "y");
        both.attributes = [("then_branch", "Tanh"), ("else_branch", "Neg")]
            .map(|(name, op)| (name.to_owned(), Attr::Graph(Box::new(body(op)))))
            .into();
        let nil = Tensor::f32("nil", vec![], &[0.0]);
        let factor = Tensor::f32("k", vec![], &[factor]);
        Model {
            ir_version: 8,
            opsets: vec![(String::new(), 17)],
            graph: Graph {
                inputs: vec![ValueInfo::new("x", DType::F32, dims())],
                outputs: vec![ValueInfo::new("y", DType::F32, dims())],
                nodes: vec![node("Less", &["nil", "k"], "c"), both],
                initializers: vec![nil, factor],
                ..Graph::default()
            },
            ..Model::default()
        }
    };
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (dir.path().join("a.onnx"), dir.path().join("b.onnx"));
    std::fs::write(&a, graph(0.5).encode()).unwrap();
    std::fs::write(&b, graph(0.6).encode()).unwrap();
    let request = Request::default();
    let two = Two::open(&a, &b, Kind::Same, &request).unwrap();
    let found = super::pair(&two, &request, None).unwrap().culprit.unwrap();
    assert_eq!(found.operator, "If");
    let read: Vec<&str> = found.inputs.iter().map(|i| i.tensor.as_str()).collect();
    assert_eq!(read, ["c", "x", "k"]);
    let text = found.text();
    assert!(
        text.contains("it has a body, which is not looked into"),
        "{text}"
    );
}
