//! Graphs whose nodes, constants or shapes are broken: refused before an engine sees them.

use minrnn_runtime::Model;

use super::breaches::{breach, spec};
use crate::support::proto::{Attr, Dim, File, Node, Tensor};

/// Structural defects, the engine's known panics and aborts among them.
#[test]
fn defects_of_the_graph() {
    breach("output `values`", "produced by no node", |f| {
        f.graph.nodes.retain(|n| n.outputs != ["values"]);
    });
    breach("output `values`", "twice", |f| {
        let again = f.output("values").clone();
        f.graph.outputs.push(again);
    });
    breach("/MatMul", "which nothing before it produces", |f| {
        f.node("MatMul").inputs[0] = "gone".into()
    });
    breach("/MatMul", "which nothing before it produces", |f| {
        let last = f.graph.nodes.last().unwrap().outputs[0].clone();
        f.node("MatMul").inputs[0] = last;
    });
    breach("/MatMul", "has no output", |f| {
        f.node("MatMul").outputs[0].clear()
    });
    breach("node output", "twice", |f| {
        f.node("Neg").outputs[0] = "v1".into()
    });
    let here = "operator `LinearAttention` of domain `` is one that this runtime and tract do not have; run a form of the export without it, such as scan";
    breach("/LinearAttention", here, |f| {
        f.node("MatMul").op = "LinearAttention".into()
    });
    breach("/RNN", "operator `RNN`", |f| {
        f.node("MatMul").op = "RNN".into()
    });
    breach("/GRU", "GRU has 2 inputs", |f| {
        f.node("MatMul").op = "GRU".into()
    });
    breach("/MatMul", "of domain `com.microsoft`", |f| {
        f.node("MatMul").domain = "com.microsoft".into()
    });
    breach("opset_import", "is 29", |f| f.opset = 29);
    breach("opset_import", "is 12", |f| f.opset = 12);
    breach("/Concat", "attribute `axis` is out of range", |f| {
        f.node("Concat").attrs[0].1 = Attr::Int(1 << 40);
    });
    breach("/Concat", "has no attribute `body`", |f| {
        f.node("Concat")
            .attrs
            .push(("body".into(), Attr::Graph(Default::default())));
    });
    breach("/Concat", "twice", |f| {
        f.node("Concat").attrs.push(("axis".into(), Attr::Int(0)))
    });
    breach("/Slice", "a step of 0", |f| {
        f.graph.weights.push(Tensor::i64("none", &[0]));
        f.node("Slice").inputs.push("none".into());
    });
    breach("/Slice", "an axis out of range", |f| {
        let axis = f.node("Slice").inputs[3].clone();
        let at = f.graph.weights.iter().position(|w| w.name == axis).unwrap();
        f.graph.weights[at] = Tensor::i64(&axis, &[9]);
    });
}

#[test]
fn pads_must_be_seen() {
    let pad = |pads: &'static str, values: Option<[i64; 4]>| {
        move |f: &mut File| {
            f.graph
                .weights
                .extend(values.map(|v| Tensor::i64("pads", &v)));
            f.graph.nodes.push(Node {
                op: "Pad".into(),
                domain: String::new(),
                inputs: vec!["state.0.h".into(), pads.into()],
                outputs: vec!["padded".into()],
                attrs: vec![],
            });
        }
    };
    breach(
        "/Pad",
        "negative, huge or computed",
        pad("pads", Some([0, 0, 0, -1])),
    );
    breach(
        "/Pad",
        "negative, huge or computed",
        pad("pads", Some([0, 0, 0, 1 << 50])),
    );
    breach("/Pad", "negative, huge or computed", pad("features", None));
    let mut file = spec().file();
    pad("pads", Some([0, 1, 0, 2]))(&mut file);
    Model::from_bytes(&file.to_bytes())
        .unwrap()
        .prepare(2, 3)
        .unwrap();
}

#[test]
fn constants_that_ask_for_the_whole_memory() {
    for op in ["ConstantOfShape", "Expand"] {
        breach(&format!("/{op}"), "asks for a tensor", |f| {
            f.graph
                .weights
                .push(Tensor::i64("huge", &[1 << 20, 1 << 20]));
            let inputs = if op == "Expand" {
                vec!["state.0.h", "huge"]
            } else {
                vec!["huge"]
            };
            f.graph.nodes.push(Node {
                op: op.into(),
                domain: String::new(),
                inputs: inputs.into_iter().map(String::from).collect(),
                outputs: vec!["big".into()],
                attrs: vec![],
            });
        });
    }
}

#[test]
fn defects_of_scan() {
    let scan = |name: &'static str, to: Attr| {
        move |f: &mut File| {
            let attrs = &mut f.node("Scan").attrs;
            attrs
                .iter_mut()
                .find(|(k, _)| k == name)
                .expect("an attribute")
                .1 = to;
        }
    };
    breach(
        "/Scan",
        "num_scan_inputs",
        scan("num_scan_inputs", Attr::Int(1 << 32)),
    );
    breach(
        "/Scan",
        "num_scan_inputs",
        scan("num_scan_inputs", Attr::Int(-1)),
    );
    breach(
        "/Scan",
        "num_scan_inputs",
        scan("num_scan_inputs", Attr::Int(0)),
    );
    breach(
        "/Scan",
        "scan_input_axes",
        scan("scan_input_axes", Attr::Ints(vec![1, 1 << 40])),
    );
    breach(
        "/Scan",
        "scan_input_axes",
        scan("scan_input_axes", Attr::Ints(vec![1])),
    );
    breach(
        "/Scan",
        "scan_output_axes",
        scan("scan_output_axes", Attr::Ints(vec![1; 5])),
    );
    breach("/Scan", "not of type GRAPH", scan("body", Attr::Int(1)));
    breach(
        "/Scan",
        "differ in the number",
        scan("body", Attr::Graph(Default::default())),
    );
    breach("/Scan", "differ in the number", |f| {
        f.node("Scan").inputs.truncate(2)
    });
    breach("body output `h_out`", "produced by no node", |f| {
        let attrs = &mut f.node("Scan").attrs;
        let Attr::Graph(body) = &mut attrs[0].1 else {
            panic!("the body comes first")
        };
        body.nodes.clear();
    });
}

#[test]
fn defects_of_the_data() {
    let weight = |change: fn(&mut Tensor)| {
        move |f: &mut File| {
            change(
                f.graph
                    .weights
                    .iter_mut()
                    .find(|w| w.name == "z.weight")
                    .expect("a weight"),
            );
        }
    };
    let at = "initializer `z.weight`";
    breach(
        at,
        "keeps its data in",
        weight(|w| {
            w.external = true;
            w.raw.clear();
        }),
    );
    breach(
        at,
        "in the file as well as beside it",
        weight(|w| w.external = true),
    );
    breach(at, "data of another length", weight(|w| w.raw.truncate(4)));
    breach(at, "data of another length", weight(|w| w.raw.clear()));
    breach(at, "data of another length", weight(|w| w.dims[0] += 1));
    breach(at, "has dimensions", weight(|w| w.dims[0] = -5));
    breach(
        at,
        "has dimensions",
        weight(|w| w.dims = vec![1 << 33, 1 << 33]),
    );
    breach(at, "has dimensions", weight(|w| w.dims = vec![1; 9]));
    breach(at, "data type 8", weight(|w| w.elem = 8));
    breach(at, "data type 9999", weight(|w| w.elem = 9999));
    breach(at, "twice", weight(|w| w.floats = vec![1.0; 30]));
    breach("initializer `features`", "a graph input as well", |f| {
        f.graph.weights.push(Tensor::f32("features", &[1], &[1.0]));
    });
    breach("initializer `z.bias`", "stands there twice", |f| {
        f.graph.weights.push(Tensor::f32("z.bias", &[1], &[1.0]));
    });
    breach("/Constant", "data of another length", |f| {
        let mut value = Tensor::i64("", &[1, 2, 3]);
        value.dims = vec![7];
        f.graph.nodes.push(Node {
            op: "Constant".into(),
            domain: String::new(),
            inputs: vec![],
            outputs: vec!["k".into()],
            attrs: vec![("value".into(), Attr::Tensor(value))],
        });
    });
}

/// Shapes are known before the engine sees a graph.
#[test]
fn a_graph_whose_shapes_do_not_fit() {
    breach("/MatMul", "do not fit", |f| {
        f.node("MatMul").inputs[0] = "state.0.h".into();
    });
    breach("output `values`", "is declared as", |f| {
        f.output("values").dims[2] = Dim::N(3);
    });
}
