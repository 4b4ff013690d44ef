//! What a file may ask for: known before the engine sees it, refused by name.

use minrnn_runtime::{ErrorKind, Model, Options};

use crate::support::build::{Form, Spec};
use crate::support::features;
use crate::support::proto::{Attr, File, Graph, Node, Tensor, bytes, num};

#[track_caller]
fn refused(place: &str, words: &str, change: impl FnOnce(&mut File)) {
    let mut file = Spec::gated(Form::Scan).file();
    change(&mut file);
    let error = Model::from_bytes(&file.to_bytes()).expect_err("must be refused");
    assert_eq!(error.kind(), ErrorKind::Contract, "{error}");
    assert!(error.place().is_some_and(|p| p.contains(place)), "{error}");
    assert!(error.to_string().contains(words), "{error}");
}

fn node(op: &str, inputs: &[&str], output: &str, attrs: &[(&str, Attr)]) -> Node {
    Node {
        op: op.into(),
        domain: String::new(),
        inputs: inputs.iter().map(|i| (*i).to_owned()).collect(),
        outputs: vec![output.into()],
        attrs: attrs
            .iter()
            .map(|(k, a)| ((*k).to_owned(), a.clone()))
            .collect(),
    }
}

/// Each doubles the one before it; forty of them are a terabyte.
#[test]
fn doubling_by_concat() {
    refused("node `/Concat", "bytes at once", |f| {
        f.graph.nodes.push(node("Tanh", &["state.0.h"], "x0", &[]));
        for i in 0..40 {
            let (from, to) = (format!("x{i}"), format!("x{}", i + 1));
            let axis = [("axis", Attr::Int(1))];
            f.graph
                .nodes
                .push(node("Concat", &[&from, &from], &to, &axis));
        }
    });
}

#[test]
fn outer_products() {
    for (op, words) in [("Add", "bytes at once"), ("MatMul", "bytes at once")] {
        refused(&format!("node `/{op}"), words, |f| {
            let (n, column, row) = (1 << 15, "column", "row");
            f.graph
                .weights
                .push(Tensor::f32(column, &[n, 1], &vec![0.5; n as usize]));
            f.graph
                .weights
                .push(Tensor::f32(row, &[1, n], &vec![0.5; n as usize]));
            f.graph.nodes.push(node(op, &[column, row], "big", &[]));
        });
    }
}

/// A file of 1 MB whose weights are multiplied with each other two hundred times.
#[test]
fn work_without_memory() {
    refused("node `/MatMul", "operations", |f| {
        let n = 400;
        f.graph
            .weights
            .push(Tensor::f32("w0", &[n, n], &vec![0.5; (n * n) as usize]));
        for i in 0..200 {
            let (from, to) = (format!("w{i}"), format!("w{}", i + 1));
            f.graph.nodes.push(node("MatMul", &[&from, "w0"], &to, &[]));
        }
    });
}

#[test]
fn sizes_that_are_computed() {
    // The batch to the eighth power, times a constant.
    refused("node `/Expand", "bytes at once", |f| {
        f.graph
            .weights
            .push(Tensor::i64("much", &[1 << 14, 1 << 14]));
        f.graph.weights.push(Tensor::i64("first", &[0]));
        f.graph
            .nodes
            .push(node("Shape", &["state.0.h"], "shape", &[]));
        f.graph
            .nodes
            .push(node("Mul", &["shape", "much"], "more", &[]));
        f.graph.weights.push(Tensor::f32("one", &[1, 1], &[1.0]));
        f.graph
            .nodes
            .push(node("Expand", &["one", "more"], "big", &[]));
    });
    refused("node `/Mul", "out of reach", |f| {
        f.graph
            .weights
            .push(Tensor::i64("much", &[i64::MAX, i64::MAX]));
        f.graph
            .nodes
            .push(node("Shape", &["state.0.h"], "shape", &[]));
        f.graph
            .nodes
            .push(node("Mul", &["shape", "much"], "more", &[]));
    });
    refused("node `/Expand", "depends on values", |f| {
        f.graph.nodes.push(node(
            "Cast",
            &["state.0.h"],
            "whole",
            &[("to", Attr::Int(7))],
        ));
        f.graph.weights.push(Tensor::i64("none", &[0]));
        f.graph
            .nodes
            .push(node("Gather", &["whole", "none"], "rows", &[]));
        f.graph.weights.push(Tensor::i64("flat", &[-1]));
        f.graph
            .nodes
            .push(node("Reshape", &["rows", "flat"], "shape", &[]));
        f.graph.weights.push(Tensor::f32("one", &[1], &[1.0]));
        f.graph
            .nodes
            .push(node("Expand", &["one", "shape"], "big", &[]));
    });
}

/// Small for the steps that are tried at opening, the square of them for the many that are run.
#[cfg(feature = "tract")]
#[test]
fn what_grows_faster_than_the_input() {
    let mut file = Spec::gated(Form::Scan).file();
    let at = file.graph.nodes.len();
    file.graph.weights.push(Tensor::i64("last", &[-1]));
    let perm = [("perm", Attr::Ints(vec![0, 2, 1]))];
    file.graph
        .nodes
        .push(node("Transpose", &["v1"], "twice", &perm));
    file.graph
        .nodes
        .push(node("MatMul", &["v1", "twice"], "square", &[]));
    assert_eq!(file.graph.nodes.len(), at + 2);
    // Exact execution never looks at nodes that no output needs.
    let options = minrnn_runtime::Options::with_plans(2);
    let model = Model::from_bytes_with(&file.to_bytes(), &options).unwrap();
    let run = |time: usize| {
        let state = model.initial_state(1).unwrap();
        let width = 5;
        model.run(features(&vec![0.5; time * width], 1, time, width), &state)
    };
    assert!(run(20).is_ok());
    // 20,000 steps are 400 million values and five times as many products.
    let error = run(20_000).map(drop).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Contract, "{error}");
    assert!(error.to_string().contains("Options::memory"), "{error}");
}

#[test]
fn the_limit_can_be_raised() {
    let mut file = Spec::gated(Form::Scan).file();
    file.graph
        .weights
        .push(Tensor::i64("shape", &[3 << 10, 4 << 10]));
    file.graph.weights.push(Tensor::f32("one", &[1, 1], &[1.0]));
    file.graph
        .nodes
        .push(node("Expand", &["one", "shape"], "big", &[]));
    let bytes = file.to_bytes();
    let mut options = Options::default();
    options.memory = 32 << 20;
    let error = Model::from_bytes_with(&bytes, &options).unwrap_err();
    for named in ["Options::memory", "--memory"] {
        assert!(error.to_string().contains(named), "{error}");
    }
    options.memory = 64 << 20;
    Model::from_bytes_with(&bytes, &options).expect("48 MiB are within 64");
    Model::from_bytes(&bytes).expect("and within what is usual");
}

#[test]
fn states_larger_than_the_file() {
    let spec = Spec {
        d: 100,
        ..Spec::gated(Form::Scan)
    };
    let mut file = spec.file();
    let shape = 1 << 20;
    file.prop(
        "minrnn.states",
        &format!(
            r#"[{{"input":"state.0.h","output":"next_state.0.h","shape":[{shape}],"init":"zero"}}]"#
        ),
    );
    for port in [
        file.input("state.0.h").clone(),
        file.output("next_state.0.h").clone(),
    ] {
        assert_eq!(port.dims.len(), 2);
    }
    use crate::support::proto::Dim;
    file.input("state.0.h").dims[1] = Dim::N(shape);
    file.output("next_state.0.h").dims[1] = Dim::N(shape);
    let mut options = Options::default();
    options.memory = 1 << 20;
    let error = Model::from_bytes_with(&file.to_bytes(), &options).unwrap_err();
    assert_eq!(error.place(), Some("metadata `minrnn.states`"), "{error}");
    assert!(error.to_string().contains("--memory"), "{error}");
}

/// A window is as long as its model says, whatever its weights are: 4 MB in a file of a few KB.
#[test]
fn windows_larger_than_the_file() {
    let mut file = Spec::gated(Form::Scan).file();
    let window = 1 << 20;
    use crate::support::proto::{Dim, Port};
    let port = |name: &str| Port {
        name: name.into(),
        elem: 1,
        dims: vec![Dim::S("batch"), Dim::N(window)],
    };
    file.graph.inputs.push(port("state.1.w"));
    file.graph.outputs.push(port("next_state.1.w"));
    let h = &["state.1.w"];
    file.graph
        .nodes
        .push(node("Identity", h, "next_state.1.w", &[]));
    let state = |at: &str, n: i64| {
        format!(
            r#"{{"input":"state.{at}","output":"next_state.{at}","shape":[{n}],"init":"zero"}}"#
        )
    };
    let d = Spec::gated(Form::Scan).d as i64;
    let both = format!("[{},{}]", state("0.h", d), state("1.w", window));
    file.prop("minrnn.states", &both);
    let bytes = file.to_bytes();
    crate::support::taken(&bytes);
    let mut options = Options::default();
    options.memory = 1 << 20;
    let error = Model::from_bytes_with(&bytes, &options).unwrap_err();
    assert_eq!(error.place(), Some("metadata `minrnn.states`"), "{error}");
}

#[test]
fn empty_messages_and_deep_ones() {
    let mut tail = vec![];
    (0..400_000).for_each(|_| bytes(&mut tail, 1, &[]));
    refused("file", "bytes of memory", |f| f.graph.tail = tail);
    refused("file", "nests more than", |f| {
        let mut body = Graph::default();
        for _ in 0..20 {
            let scan = node("Scan", &[], "y", &[("body", Attr::Graph(body))]);
            body = Graph {
                nodes: vec![scan],
                ..Graph::default()
            };
        }
        f.graph.nodes.extend(body.nodes);
    });
}

/// A name of a dimension is read as arithmetic by the engine, one call deeper with each bracket.
#[test]
fn brackets_in_the_name_of_a_dimension() {
    use crate::support::proto::Dim;
    let deep: &'static str = "((((((((((((((((((((((((";
    refused("/Scan", "no name or number", |f| {
        let Attr::Graph(body) = &mut f.node("Scan").attrs[0].1 else {
            panic!("the body comes first")
        };
        body.inputs[0].dims[0] = Dim::S(deep);
    });
}

#[test]
fn parts_that_no_export_has() {
    let sparse = |number| {
        let mut tail = vec![];
        bytes(&mut tail, number, &[]);
        tail
    };
    refused("graph", "sparse", |f| f.graph.tail = sparse(15));
    let of_model = |number: u64| {
        let mut all = Spec::gated(Form::Scan).bytes();
        bytes(&mut all, number, &[]);
        Model::from_bytes(&all).unwrap_err().to_string()
    };
    assert!(of_model(25).contains("functions"), "{}", of_model(25));
    assert!(of_model(20).contains("training_info"), "{}", of_model(20));
    assert!(
        of_model(7).contains("graph: stands there twice"),
        "{}",
        of_model(7)
    );
}

/// Two readers of such an attribute read two values.
#[test]
fn attributes_of_two_values() {
    let mut both = vec![];
    num(&mut both, 3, 1);
    num(&mut both, 8, 2);
    num(&mut both, 20, 2);
    refused("/Concat", "is INT and holds INTS", |f| {
        let concat = node(
            "Concat",
            &["state.0.h"],
            "x",
            &[("axis", Attr::Raw(both.clone()))],
        );
        f.graph.nodes.push(concat);
    });
    let mut wrong = vec![];
    num(&mut wrong, 3, 1);
    num(&mut wrong, 20, 7);
    refused("/Concat", "is INTS and holds INT", |f| {
        let concat = node(
            "Concat",
            &["state.0.h"],
            "x",
            &[("axis", Attr::Raw(wrong.clone()))],
        );
        f.graph.nodes.push(concat);
    });
    let mut refers = vec![];
    bytes(&mut refers, 21, b"axis");
    num(&mut refers, 20, 2);
    refused("/Concat", "refers to one of a function", |f| {
        let concat = node(
            "Concat",
            &["state.0.h"],
            "x",
            &[("axis", Attr::Raw(refers.clone()))],
        );
        f.graph.nodes.push(concat);
    });
}

/// Wherever a tensor stands, one field of values, as long as its dimensions say.
#[test]
fn tensors_of_two_values() {
    let dual = || {
        let mut tensor = Tensor::f32("t", &[2], &[1.0, 2.0]);
        tensor.floats = vec![9.0, 9.0];
        tensor
    };
    let constant = |t| node("Constant", &[], "k", &[("value", Attr::Tensor(t))]);
    refused("initializer `t`", "twice, in different fields", |f| {
        f.graph.weights.push(dual())
    });
    refused("/Constant", "twice, in different fields", |f| {
        f.graph.nodes.push(constant(dual()))
    });
    refused("body node `/Constant", "twice, in different fields", |f| {
        let Attr::Graph(body) = &mut f.node("Scan").attrs[0].1 else {
            panic!("the body comes first")
        };
        body.nodes.push(constant(dual()));
    });
    // In a function, where the published file of 2026 had it: functions are refused as a whole.
    let mut function = vec![];
    bytes(&mut function, 1, b"f");
    let mut all = Spec::gated(Form::Scan).bytes();
    bytes(&mut all, 25, &function);
    let error = Model::from_bytes(&all).unwrap_err();
    assert_eq!(error.place(), Some("functions"));
}

/// Nothing in it, and yet a dimension that no sum can hold. A mutant found it.
#[test]
fn empty_tensors_of_endless_dimensions() {
    refused("node `/Expand", "makes a tensor of shape", |f| {
        f.graph.weights.push(Tensor::i64("shape", &[i64::MAX, 0]));
        f.graph.weights.push(Tensor::f32("one", &[1, 1], &[1.0]));
        f.graph
            .nodes
            .push(node("Expand", &["one", "shape"], "big", &[]));
    });
}

/// A reduction over an axis that is not there: the engine panics over it.
#[test]
fn axes_that_are_not_there() {
    for (op, axis) in [("ReduceMean", 7), ("ReduceMax", 2), ("ReduceMin", -3)] {
        let axes: &[(&str, Attr)] = &[("axes", Attr::Ints(vec![axis]))];
        refused(&format!("/{op}"), "axis", |f| {
            f.graph.nodes.push(node(op, &["state.0.h"], "x", axes));
        });
    }
}
