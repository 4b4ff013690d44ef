//! The recurrences that a file names are held against its graph: the engine puts an operation of its own in their place.

use minrnn_runtime::{ErrorKind, Model};

use crate::support::build::{Form, Spec};
use crate::support::proto::{Attr, File, Node, Tensor};

const FORMS: [Form; 3] = [Form::Step, Form::Scan, Form::KoggeStone(8)];

/// The names as they stand in the file.
fn names(file: &File) -> serde_json::Value {
    let (_, text) = file
        .props
        .iter()
        .find(|(k, _)| k == "minrnn.recurrences")
        .unwrap();
    serde_json::from_str(text).unwrap()
}

/// The file of that form with the recurrences changed is refused with `words` at them.
#[track_caller]
fn refused(form: Form, words: &str, change: impl FnOnce(&mut File, &mut serde_json::Value)) {
    let mut file = Spec::gated(form).file();
    let mut all = names(&file);
    change(&mut file, &mut all);
    file.prop("minrnn.recurrences", &all.to_string());
    let error = Model::from_bytes(&file.to_bytes()).expect_err("must be refused");
    assert_eq!(error.kind(), ErrorKind::Contract, "{error}");
    assert_eq!(
        error.place(),
        Some("metadata `minrnn.recurrences`"),
        "{error}"
    );
    assert!(error.to_string().contains(words), "{form:?}: {error}");
}

fn node(op: &str, inputs: &[&str], output: &str) -> Node {
    Node {
        op: op.into(),
        domain: String::new(),
        inputs: inputs.iter().map(|i| (*i).to_owned()).collect(),
        outputs: vec![output.into()],
        attrs: vec![],
    }
}

/// A tensor of the shape of `of` behind it, that also reads `other`.
fn behind(file: &mut File, of: &str, name: &str) {
    file.graph.nodes.push(node("Tanh", &[of], name));
}

#[test]
fn a_part_that_depends_on_h_is_a_cycle() {
    for form in FORMS {
        for key in ["a", "b"] {
            refused(form, "a cycle", |file, all| {
                let h = all[0]["h"].as_str().unwrap().to_owned();
                behind(file, &h, "late");
                all[0][key] = "late".into();
            });
        }
        refused(form, "h0 `late` depends on h", |file, all| {
            let last = all[0]["h_last"].as_str().unwrap().to_owned();
            let last = if matches!(form, Form::Scan) {
                all[0]["h"].as_str().unwrap().to_owned()
            } else {
                last
            };
            behind(file, &last, "late");
            all[0]["h0"] = "late".into();
        });
    }
}

#[test]
fn h_as_a_part_of_itself() {
    for form in FORMS {
        for key in ["a", "b", "h0"] {
            refused(form, "a cycle", |_, all| all[0][key] = all[0]["h"].clone());
        }
    }
}

#[test]
fn h_must_depend_on_all_parts() {
    for form in FORMS {
        for key in ["a", "b", "h0"] {
            let words = format!("does not depend on {key} `other`");
            refused(form, &words, |file, all| {
                let name = all[0][key].as_str().unwrap().to_owned();
                // The same values, which nothing reads.
                file.graph
                    .nodes
                    .insert(0, node("Identity", &["state.0.h"], "of_state"));
                let from = if key == "h0" {
                    "of_state".to_owned()
                } else {
                    name
                };
                let at = file
                    .graph
                    .nodes
                    .iter()
                    .position(|n| n.outputs.contains(&from));
                let at = at.map_or(1, |i| i + 1);
                file.graph.nodes.insert(at, node("Tanh", &[&from], "other"));
                all[0][key] = "other".into();
            });
        }
        refused(form, "does not depend on", |_, all| {
            all[0]["h"] = all[0]["a"].clone();
            all[0]["a"] = all[0]["b"].clone();
        });
        refused(form, "does not depend on a `out.weight`", |_, all| {
            all[0]["a"] = "out.weight".into();
        });
    }
}

#[test]
fn h0_comes_from_a_state() {
    refused(Form::Step, "depends on no state input", |_, all| {
        all[0]["h0"] = all[0]["a"].clone();
    });
}

#[test]
fn h_last_comes_from_h_or_with_it() {
    for form in FORMS {
        refused(form, "comes neither from h", |_, all| {
            all[0]["h_last"] = "state.0.h".into();
        });
    }
}

#[test]
fn two_recurrences_share_no_result() {
    for form in FORMS {
        refused(form, "is a result of 0 as well", |_, all| {
            let first = all[0].clone();
            all.as_array_mut().unwrap().push(first);
        });
    }
    refused(
        Form::Scan,
        "h_last `h_last` is a result of 0 as well",
        |file, all| {
            behind(file, "h", "again");
            let mut second = all[0].clone();
            second["h"] = "again".into();
            all.as_array_mut().unwrap().push(second);
        },
    );
}

#[test]
fn shapes_and_types() {
    for form in FORMS {
        // Both outputs of the step are of the state's shape, those of sequences are not.
        if !matches!(form, Form::Step) {
            refused(form, "not f32 [2, 6]", |_, all| {
                all[0]["h_last"] = all[0]["h"].clone()
            });
            // One step of all.
            refused(form, "0.a `squeezed`", |file, all| {
                let [a, b] = ["a", "b"].map(|k| all[0][k].as_str().unwrap().to_owned());
                file.graph.weights.push(Tensor::i64("all_axes", &[1]));
                let made = |n: &Node| n.outputs.contains(&a) || n.outputs.contains(&b);
                let at = file.graph.nodes.iter().rposition(made).unwrap();
                let mut mean = node("ReduceMean", &[&a], "squeezed");
                mean.attrs = vec![("axes".into(), Attr::Ints(vec![1]))];
                let again = node("Mul", &["squeezed", &b], "wider");
                file.graph.nodes.insert(at + 1, mean);
                file.graph.nodes.insert(at + 2, again);
                for later in &mut file.graph.nodes[at + 3..] {
                    later
                        .inputs
                        .iter_mut()
                        .filter(|i| **i == a)
                        .for_each(|i| *i = "wider".into());
                }
                all[0]["a"] = "squeezed".into();
            });
        }
        // An axis more, which the graph takes away again.
        refused(form, "h0 `taller`", |file, all| {
            let h0 = all[0]["h0"].as_str().unwrap().to_owned();
            file.graph.weights.push(Tensor::i64("second", &[1]));
            let nodes = &mut file.graph.nodes;
            let made = nodes.iter().position(|n| n.outputs.contains(&h0));
            let at = made.map_or(0, |i| i + 1);
            let readers = nodes[at..].iter_mut().flat_map(|n| &mut n.inputs);
            readers
                .filter(|i| **i == h0)
                .for_each(|i| *i = "back".into());
            nodes.insert(at, node("Unsqueeze", &[&h0, "second"], "taller"));
            nodes.insert(at + 1, node("Squeeze", &["taller", "second"], "back"));
            all[0]["h0"] = "taller".into();
        });
    }
}

#[test]
fn h_depends_on_nothing_else() {
    for form in FORMS {
        // The engine would make h = h * a + a of it, though h depends on all that is named.
        for (key, other) in [("a", "b"), ("b", "a")] {
            refused(form, "depends on more than a, b and h0", |_, all| {
                all[0][key] = all[0][other].clone();
            });
        }
    }
    // A later tensor with more in it.
    refused(
        Form::Step,
        "depends on more than a, b and h0",
        |file, all| {
            let [h, b] = ["h", "b"].map(|k| all[0][k].as_str().unwrap().to_owned());
            behind(file, &b, "of_b");
            behind(file, &h, "of_h");
            file.graph.nodes.push(node("Add", &["of_h", "of_b"], "sum"));
            all[0]["b"] = "of_b".into();
            for key in ["h", "h_last"] {
                all[0][key] = "sum".into();
            }
        },
    );
}
