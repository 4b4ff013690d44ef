//! What lies between a, b, h0 and h is held to the recurrence: metadata that name other tensors are refused, and a formula of
//! another form that computes the same is taken.

use minrnn_runtime::{ErrorKind, Execution, Model, Options};

use crate::support::build::{Form, Spec};
use crate::support::proto::{Attr, File, Node, Tensor};
use crate::support::random::Random;
use crate::support::{features, random_state, same_bits};

const FORMS: [Form; 3] = [Form::Step, Form::Scan, Form::KoggeStone(8)];

fn node(op: &str, inputs: &[&str], output: &str) -> Node {
    Node {
        op: op.into(),
        domain: String::new(),
        inputs: inputs.iter().map(|i| (*i).to_owned()).collect(),
        outputs: vec![output.into()],
        attrs: vec![],
    }
}

type Names = serde_json::Value;

/// The file of that form, its names changed.
fn changed(spec: &Spec, change: impl FnOnce(&mut File, &mut Names)) -> File {
    let mut file = spec.file();
    let at = file
        .props
        .iter()
        .position(|(k, _)| k == "minrnn.recurrences")
        .unwrap();
    let mut all: Names = serde_json::from_str(&file.props[at].1).unwrap();
    change(&mut file, &mut all);
    file.prop("minrnn.recurrences", &all.to_string());
    file
}

/// Refused in every execution, with `words`.
#[track_caller]
fn refused(file: &File, words: &str) {
    let all = [
        Options::default(),
        Options::with_plans(1),
        Options::referee(),
    ];
    let here = if cfg!(feature = "tract") { 3 } else { 1 };
    for options in &all[..here] {
        let opened = Model::from_bytes_with(&file.to_bytes(), options);
        let error = opened.map(drop).expect_err("must be refused");
        assert_eq!(error.kind(), ErrorKind::Contract, "{error}");
        assert_eq!(
            error.place(),
            Some("metadata `minrnn.recurrences`"),
            "{error}"
        );
        assert!(error.to_string().contains(words), "{error}");
    }
}

fn name(all: &Names, key: &str) -> String {
    all[0][key].as_str().unwrap().to_owned()
}

/// The graph reads `changed`, which `op` makes of the tensor that the metadata name.
fn behind(file: &mut File, all: &Names, key: &str, ops: &[(&str, &[f32])]) {
    let own = name(all, key);
    let made = file
        .graph
        .nodes
        .iter()
        .position(|n| n.outputs.contains(&own));
    let at = made.map_or(0, |i| i + 1);
    for reader in &mut file.graph.nodes[at..] {
        for input in reader.inputs.iter_mut().filter(|i| **i == own) {
            *input = format!("changed{}", ops.len());
        }
    }
    let mut from = own;
    for (i, (op, constant)) in ops.iter().enumerate() {
        let to = format!("changed{}", i + 1);
        let with = format!("constant{}", i + 1);
        let inputs = match constant {
            [] => vec![from.as_str()],
            values => {
                file.graph
                    .weights
                    .push(Tensor::f32(&with, &[values.len() as i64], values));
                vec![from.as_str(), with.as_str()]
            }
        };
        file.graph.nodes.insert(at + i, node(op, &inputs, &to));
        from = to;
    }
}

#[test]
fn a_and_b_swapped() {
    for form in FORMS {
        let file = changed(&Spec::gated(form), |_, all| {
            let (a, b) = (all[0]["a"].clone(), all[0]["b"].clone());
            (all[0]["a"], all[0]["b"]) = (b, a);
        });
        refused(&file, "is not h0 * a + b step by step");
    }
}

#[test]
fn a_part_that_is_changed_before_it_is_used() {
    let ops: [(&str, &[f32]); 5] = [
        ("Add", &[1.0]),
        ("Mul", &[0.5]),
        ("Mul", &[1.0, 1.0, 1.0, 1.0, 1.0, 1.001]),
        ("Neg", &[]),
        ("Sigmoid", &[]),
    ];
    for form in FORMS {
        for key in ["a", "b", "h0"] {
            for op in ops {
                let file = changed(&Spec::gated(form), |file, all| {
                    behind(file, all, key, &[op])
                });
                refused(&file, "is not h0 * a + b step by step");
            }
        }
    }
}

#[test]
fn what_computes_the_same_in_another_form_is_taken() {
    let ops: [&[(&str, &[f32])]; 4] = [
        &[("Mul", &[1.0])],
        &[("Add", &[0.0])],
        &[("Neg", &[]), ("Neg", &[])],
        &[("Mul", &[4.0]), ("Mul", &[0.25])],
    ];
    for form in FORMS {
        let spec = Spec::gated(form);
        let time = if form == Form::Step { 1 } else { 5 };
        let mut random = Random::new(9);
        let data = random.values(2 * time * spec.width);
        let state = random_state(&spec.model(), 2, &mut random);
        let input = features(&data, 2, time, spec.width);
        let (want, _) = spec.model().run(input, &state).unwrap();
        for key in ["a", "b", "h0"] {
            for ops in ops {
                let file = changed(&spec, |file, all| behind(file, all, key, ops));
                let model = Model::from_bytes(&file.to_bytes()).unwrap();
                let (got, _) = model.run(input, &state).unwrap();
                if model.execution() == Execution::Exact {
                    same_bits(&format!("{form:?} {key}"), &got.values, &want.values);
                }
            }
        }
    }
}

#[test]
fn an_operator_that_no_recurrence_has_is_named() {
    for form in FORMS {
        let file = changed(&Spec::gated(form), |file, all| {
            behind(file, all, "a", &[("Softmax", &[])]);
        });
        refused(&file, "operator `Softmax` is none of a recurrence");
    }
}

#[test]
fn h_of_other_steps() {
    for form in [Form::Scan, Form::KoggeStone(8)] {
        // h before each step: h0, then all but the last.
        let file = changed(&Spec::gated(form), |file, all| {
            let (h, h0) = (name(all, "h"), name(all, "h0"));
            for (name, value) in [("zero", 0), ("one", 1), ("minus", -1), ("end", i64::MAX)] {
                file.graph.weights.push(Tensor::i64(name, &[value]));
            }
            let nodes = &mut file.graph.nodes;
            nodes.push(node("Slice", &[&h, "zero", "minus", "one"], "all_but_last"));
            nodes.push(node("Unsqueeze", &[&h0, "one"], "first"));
            let mut joined = node("Concat", &["first", "all_but_last"], "before");
            joined.attrs = vec![("axis".into(), Attr::Int(1))];
            nodes.push(joined);
            nodes.push(node(
                "Slice",
                &["before", "minus", "end", "one"],
                "before_last",
            ));
            nodes.push(node("Squeeze", &["before_last", "one"], "before_row"));
            all[0]["h"] = "before".into();
            all[0]["h_last"] = "before_row".into();
        });
        refused(&file, "is not h0 * a + b step by step");
        // The state before the last step.
        let file = changed(&Spec::gated(form), |file, all| {
            let h = name(all, "h");
            for (name, value) in [("one", 1), ("minus", -1), ("minus_two", -2)] {
                file.graph.weights.push(Tensor::i64(name, &[value]));
            }
            let nodes = &mut file.graph.nodes;
            nodes.push(node("Slice", &[&h, "minus_two", "minus", "one"], "early"));
            nodes.push(node("Squeeze", &["early", "one"], "early_row"));
            all[0]["h_last"] = "early_row".into();
        });
        refused(&file, "is not the state after the last step");
    }
}

#[test]
fn rows_and_channels_exchanged() {
    // Two rows of two channels: the shapes do not show it.
    for form in FORMS {
        let spec = Spec {
            d: 2,
            batch: Some(2),
            ..Spec::gated(form)
        };
        let file = changed(&spec, |file, all| {
            let h0 = name(all, "h0");
            for reader in &mut file.graph.nodes {
                let inputs = reader.inputs.iter_mut();
                inputs
                    .filter(|i| **i == h0)
                    .for_each(|i| *i = "turned".into());
            }
            file.graph
                .nodes
                .insert(0, node("Transpose", &[&h0], "turned"));
        });
        refused(&file, "is not h0 * a + b step by step");
    }
}

#[test]
fn the_parts_of_a_scan_in_another_order() {
    let file = changed(&Spec::gated(Form::Scan), |file, _| {
        file.node("Scan").inputs.swap(1, 2);
    });
    refused(&file, "is not h0 * a + b step by step");
    for (at, op) in [(0, "Add"), (1, "Mul"), (1, "Sub"), (2, "Neg")] {
        let file = changed(&Spec::gated(Form::Scan), |file, _| {
            let Attr::Graph(body) = &mut file.node("Scan").attrs[0].1 else {
                panic!("the body comes first")
            };
            body.nodes[at].op = op.into();
        });
        refused(&file, "");
    }
}

/// Nearly as many recurrences as nodes, each of which needs all before it.
#[test]
fn recurrences_that_share_their_nodes_end_soon() {
    let file = changed(&Spec::gated(Form::Step), |file, all| {
        let h = name(all, "h");
        let (mut from, mut more) = (h, vec![]);
        for i in 0..1500 {
            let to = format!("again{i}");
            file.graph.nodes.push(node("Identity", &[&from], &to));
            let mut one = all[0].clone();
            (one["h"], one["h_last"]) = (to.clone().into(), to.clone().into());
            more.push(one);
            from = to;
        }
        all.as_array_mut().unwrap().extend(more);
    });
    let begin = std::time::Instant::now();
    let _ = Model::from_bytes(&file.to_bytes());
    assert!(begin.elapsed().as_secs() < 5, "{:?}", begin.elapsed());
}
