//! Each way in which a file can break the contract, and what is said about it.

use minrnn_runtime::{Error, ErrorKind, Model};

use crate::support::build::{Form, Spec};
use crate::support::proto::{Attr, Dim, F64, File, I64, Node, Tensor};

fn spec() -> Spec {
    Spec {
        conv: true,
        ..Spec::gated(Form::Scan)
    }
}

fn error(file: &File) -> Error {
    match Model::from_bytes(&file.to_bytes()) {
        Err(error) => error,
        Ok(_) => panic!("the file was taken"),
    }
}

/// `change` must be refused as a breach at `place` with `words` in its text.
#[track_caller]
fn breach(place: &str, words: &str, change: impl FnOnce(&mut File)) {
    breach_of(&spec(), place, words, change);
}

#[track_caller]
fn breach_of(spec: &Spec, place: &str, words: &str, change: impl FnOnce(&mut File)) {
    let mut file = spec.file();
    change(&mut file);
    let error = error(&file);
    let text = error.to_string();
    assert_eq!(error.kind(), ErrorKind::Contract, "{text}");
    assert!(
        error.place().is_some_and(|p| p.contains(place)),
        "place: {text}"
    );
    assert!(text.contains(words), "words: {text}");
}

#[test]
fn the_untouched_files_are_taken() {
    for form in [Form::Step, Form::Scan, Form::KoggeStone(32)] {
        for conv in [false, true] {
            for vocab in [None, Some(3)] {
                let spec = Spec {
                    conv,
                    vocab,
                    ..Spec::gated(form)
                };
                let model = spec.model();
                assert_eq!(model.info().states.len(), 1 + usize::from(conv));
                model.prepare(2, 1).expect("a plan");
            }
        }
    }
}

#[test]
fn a_file_of_somebody_else() {
    let mut file = spec().file();
    file.props.clear();
    file.prop("author", "somebody");
    let error = error(&file);
    assert_eq!(error.kind(), ErrorKind::Foreign);
    assert!(error.to_string().contains("not a minrnn export"), "{error}");
}

#[test]
fn no_onnx_at_all() {
    let whole = spec().bytes();
    let error = Model::from_bytes(&whole[..whole.len() / 2]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Load, "{error}");
    let error = Model::from_bytes(b"PK\x03\x04 not a model").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Load, "{error}");
    assert_eq!(
        Model::from_bytes(&[]).unwrap_err().kind(),
        ErrorKind::Foreign
    );
    let error = Model::open("no/such/file.onnx").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Read);
    // With the cause, in one line.
    let cause = std::fs::read("no/such/file.onnx").unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("cannot read no/such/file.onnx: {cause}")
    );
}

#[test]
fn errors_name_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("model.scan.onnx");
    let mut file = spec().file();
    std::fs::write(&path, file.to_bytes()).unwrap();
    assert_eq!(
        Model::open(&path).unwrap().file(),
        path.display().to_string()
    );
    file.prop("minrnn.head", "both");
    std::fs::write(&path, file.to_bytes()).unwrap();
    let text = Model::open(&path).unwrap_err().to_string();
    assert!(
        text.contains("model.scan.onnx") && text.contains("minrnn.head"),
        "{text}"
    );
}

#[test]
fn each_key_of_the_metadata_is_needed() {
    for (key, _) in spec().file().props {
        breach(&key, "is missing", |f| f.props.retain(|(k, _)| *k != key));
        breach(&key, "twice", |f| f.props.push((key.clone(), "1".into())));
    }
}

#[test]
fn values_of_the_metadata() {
    let cases = [
        ("minrnn.contract", "3", "version"),
        ("minrnn.form", "stepwise", "not one of parallel, scan, step"),
        ("minrnn.lowering", "loop", "not one of"),
        ("minrnn.lowering", "step", "no `scan` graph"),
        ("minrnn.head", "first", "not one of"),
        ("minrnn.padded", "yes", "not one of"),
        ("minrnn.max_seq_len", "0", "above 0"),
        ("minrnn.max_seq_len", "-4", "above 0"),
        ("minrnn.max_seq_len", "+4", "above 0"),
        ("minrnn.max_seq_len", "", "above 0"),
        ("minrnn.max_seq_len", "99999999999999999999999", "above 0"),
        ("minrnn.weights", "abc", "sha256"),
        ("minrnn.config", "[1]", "JSON object"),
        ("minrnn.config", "{", "does not parse"),
        ("minrnn.states", "{}", "does not parse"),
        ("minrnn.states", "[{}]", "does not parse"),
        ("minrnn.recurrences", "none", "does not parse"),
        (
            "minrnn.recurrences",
            r#"[{"a":"v1","b":"v1","h0":"v1","h":"v1","h_last":"gone"}]"#,
            "`gone`",
        ),
        (
            "minrnn.recurrences",
            r#"[{"a":"v1","b":"v1","h0":"v1","h":"v1"}]"#,
            "h_last",
        ),
    ];
    for (key, value, words) in cases {
        breach(key, words, |f| f.prop(key, value));
    }
    let spec = Spec {
        vocab: Some(5),
        ..Spec::gated(Form::Scan)
    };
    for vocab in ["0", "-3", "2.5", "\"many\""] {
        breach_of(&spec, "minrnn.config", "/input/vocab", |f| {
            f.prop(
                "minrnn.config",
                &format!(r#"{{"input":{{"vocab":{vocab}}}}}"#),
            );
        });
    }
}

#[test]
fn lengths_that_contradict_each_other() {
    let doubling = Spec::gated(Form::KoggeStone(8));
    breach_of(&doubling, "max_seq_len", "longest length", |f| {
        f.props.retain(|(k, _)| k != "minrnn.max_seq_len");
    });
    let fixed = Spec {
        seq_len: Some(9),
        ..doubling
    };
    breach_of(&fixed, "max_seq_len", "fixed to T = 9", |_| {});
}

fn states(f: &mut File, from: &str, to: &str) {
    let at = f
        .props
        .iter()
        .position(|(k, _)| k == "minrnn.states")
        .unwrap();
    let text = &mut f.props[at].1;
    assert!(text.contains(from), "{text}");
    *text = text.replace(from, to);
}

#[test]
fn states_of_the_metadata() {
    breach("minrnn.states", "empty or out of reach", |f| {
        states(f, "\"shape\":[6]", "\"shape\":[0]")
    });
    breach("minrnn.states", "empty or out of reach", |f| {
        states(f, "\"shape\":[6]", "\"shape\":[]")
    });
    breach("minrnn.states", "out of reach", |f| {
        states(f, "\"shape\":[6]", "\"shape\":[4294967296,4294967296]");
    });
    breach("minrnn.states", "does not parse", |f| {
        states(f, "\"shape\":[6]", "\"shape\":[-6]")
    });
    breach("minrnn.states", "not `zero`", |f| {
        states(f, "\"zero\"", "\"one\"")
    });
    breach("minrnn.states", "2 values, its shape 10", |f| {
        states(f, "\"zero\"", "[1,2]")
    });
    breach("minrnn.states", "twice", |f| {
        states(f, "next_state.0.h", "next_state.0.conv")
    });
    breach("minrnn.states", "does not parse", |f| {
        states(f, "\"init\"", "\"int\"")
    });
    breach("minrnn.states", "does not parse", |f| {
        states(f, "\"init\"", "\"lag\":1,\"init\"")
    });
    breach("input `state.0.h`", "minrnn.states` says [7]", |f| {
        states(f, "[6]", "[7]")
    });
    breach("input `state.1.h`", "missing in the graph", |f| {
        states(f, "\"state.0.h", "\"state.1.h")
    });
    breach("output `next_state.1.h`", "missing in the graph", |f| {
        states(f, "next_state.0.h", "next_state.1.h")
    });
    let counts = |f: &mut File, word: &str, init: &str| {
        let list = format!(
            r#"[{{"input":"state.0.conv","output":"next_state.0.conv","shape":[2,5],"init":"zero"}},
                {{"input":"state.0.h","output":"next_state.0.h","shape":[6],"init":{init},"counts":{word}}}]"#
        );
        f.prop("minrnn.states", &list);
    };
    breach("metadata `minrnn.states`", "counts is `false`", |f| {
        counts(f, "false", "\"zero\"");
    });
    breach(
        "metadata `minrnn.states`",
        "does not begin with zero",
        |f| {
            counts(f, "true", "[1, 1, 1, 1, 1, 1]");
        },
    );
    breach("metadata `minrnn.states`", "does not parse", |f| {
        counts(f, "1", "\"zero\"");
    });
    breach("input `features`", "calls it a state", |f| {
        states(f, "\"state.0.h\"", "\"features\"");
    });
}

#[test]
fn inputs_and_outputs_of_the_graph() {
    breach("input `state.0.conv`", "neither the data nor", |f| {
        f.prop(
            "minrnn.states",
            r#"[{"input":"state.0.h","output":"next_state.0.h","shape":[6],"init":"zero"}]"#,
        );
    });
    breach("graph inputs", "exactly one of", |f| {
        f.input("features").name = "x".into();
        for node in &mut f.graph.nodes {
            node.inputs
                .iter_mut()
                .filter(|i| *i == "features")
                .for_each(|i| *i = "x".into());
        }
    });
    breach("graph outputs", "exactly one of", |f| {
        f.graph.outputs.retain(|o| o.name != "values");
    });
    breach("output `next_state.0.h`", "missing in the graph", |f| {
        f.graph.outputs.retain(|o| o.name != "next_state.0.h");
    });
    breach("output `v1`", "neither the data nor", |f| {
        let mut extra = f.output("values").clone();
        extra.name = "v1".into();
        f.graph.outputs.push(extra);
    });
    breach("input `extra`", "neither the data nor", |f| {
        let mut extra = f.input("features").clone();
        extra.name = "extra".into();
        f.graph.inputs.push(extra);
    });
    breach("input `features`", "twice", |f| {
        let again = f.input("features").clone();
        f.graph.inputs.push(again);
    });
}

#[test]
fn types_ranks_and_widths() {
    breach("input `features`", "is INT64, not FLOAT", |f| {
        f.input("features").elem = I64
    });
    breach("input `state.0.h`", "is DOUBLE, not FLOAT", |f| {
        f.input("state.0.h").elem = F64
    });
    breach("output `values`", "is DOUBLE, not FLOAT", |f| {
        f.output("values").elem = F64
    });
    breach("output `next_state.0.h`", "not FLOAT", |f| {
        f.output("next_state.0.h").elem = 9999
    });
    breach("input `features`", "2 dimensions", |f| {
        let _ = f.input("features").dims.remove(1);
    });
    breach("output `values`", "2 dimensions", |f| {
        let _ = f.output("values").dims.remove(1);
    });
    breach("input `state.0.conv`", "2 dimensions", |f| {
        let _ = f.input("state.0.conv").dims.remove(1);
    });
    breach("input `features`", "no fixed last", |f| {
        f.input("features").dims[2] = Dim::None
    });
    breach("output `values`", "no fixed last", |f| {
        f.output("values").dims[2] = Dim::S("C")
    });
    breach("input `features`", "a dimension of -1", |f| {
        f.input("features").dims[2] = Dim::N(-1)
    });
    breach("input `features`", "a dimension of 0", |f| {
        f.input("features").dims[2] = Dim::N(0)
    });
    breach("input `features`", "must be `batch`", |f| {
        f.input("features").dims[0] = Dim::S("rows")
    });
    breach("input `features`", "must be `seq_len`", |f| {
        f.input("features").dims[1] = Dim::S("batch")
    });
    breach("input `features`", "must be `seq_len`", |f| {
        f.input("features").dims[1] = Dim::None
    });
    breach("input `state.0.h`", "elsewhere", |f| {
        f.input("state.0.h").dims[0] = Dim::N(3)
    });
    breach("output `values`", "elsewhere", |f| {
        f.output("values").dims[1] = Dim::N(3)
    });
    breach("input `state.0.h`", "minrnn.states` says", |f| {
        f.input("state.0.h").dims[1] = Dim::N(7)
    });
    breach("output `next_state.0.h`", "minrnn.states` says", |f| {
        f.output("next_state.0.h").dims[1] = Dim::None;
    });
    let step = Spec::gated(Form::Step);
    breach_of(&step, "input `features`", "2 dimensions", |f| {
        f.prop("minrnn.form", "scan");
        f.prop("minrnn.lowering", "scan");
    });
    let last = Spec {
        last: true,
        ..spec()
    };
    breach_of(&last, "output `values`", "2 dimensions", |f| {
        f.prop("minrnn.head", "per_step")
    });
}

#[test]
fn a_swapped_pair_of_states_is_seen_where_shapes_differ() {
    breach("input `state.0.h`", "dimensions", |f| {
        f.prop(
            "minrnn.states",
            r#"[{"input":"state.0.h","output":"next_state.0.h","shape":[2,5],"init":"zero"},
                {"input":"state.0.conv","output":"next_state.0.conv","shape":[6],"init":"zero"}]"#,
        );
    });
}

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
