//! What the runtime finds between the tensors of a recurrence, for every lowering that it opens: right files are taken, and a
//! file of which one node of a recurrence computes something else is not.

use std::collections::BTreeSet;

use minrnn_model::config::ModelConfig;
use minrnn_model::model::Model;
use minrnn_model::params::Params;
use minrnn_model::rng::Rng;
use minrnn_onnx::export::{ExportOptions, Form, Lowering, export_graph};
use minrnn_onnx::ir;
use minrnn_runtime::ErrorKind;

const CONFIG: &str = "width = 3\nlayers = 2\nnorm = \"none\"\n[input]\nfeatures = 2\n[cell]\nexpansion = 2\n[head]\nwidth = 2\nkind = \"values\"";

/// Every lowering, with T free and fixed, plain and with lengths and resets.
fn exports() -> Vec<(String, ir::Model)> {
    let config: ModelConfig = toml::from_str(CONFIG).unwrap();
    let model = Model::from_config(&config).unwrap();
    let params = Params::init(model.graph(), 3);
    let mut all = vec![];
    let mut add = |what: String, options: &ExportOptions| {
        all.push((what, export_graph(model.graph(), &params, options).unwrap()));
    };
    let lowerings = Lowering::ALL
        .into_iter()
        .filter(|l| *l != Lowering::LinearAttention);
    for lowering in lowerings {
        for (block, max_seq_len) in [(4, 1), (4, 60), (3, 200)] {
            for seq_len in [None, Some(1), Some(37)] {
                for more in [false, true] {
                    let options = ExportOptions {
                        lowering,
                        target: lowering.target(),
                        block,
                        max_seq_len,
                        seq_len,
                        lengths: more,
                        reset: more,
                        batch: more.then_some(1),
                        ..ExportOptions::default()
                    };
                    add(
                        format!("{lowering:?} {block} {max_seq_len} {seq_len:?} {more}"),
                        &options,
                    );
                }
            }
        }
    }
    for form in [Form::Scan, Form::Step] {
        let options = ExportOptions {
            form,
            ..ExportOptions::default()
        };
        add(format!("{form:?}"), &options);
    }
    all
}

fn opened(file: &ir::Model) -> Result<(), minrnn_runtime::Error> {
    minrnn_runtime::Model::from_bytes(&file.encode()).map(drop)
}

fn recurrences(file: &ir::Model) -> Vec<[String; 5]> {
    let (_, text) = file
        .metadata
        .iter()
        .find(|(k, _)| k == "minrnn.recurrences")
        .unwrap();
    let all: serde_json::Value = serde_json::from_str(text).unwrap();
    let one = |r: &serde_json::Value| {
        ["a", "b", "h0", "h", "h_last"].map(|k| r[k].as_str().unwrap().to_owned())
    };
    all.as_array().unwrap().iter().map(one).collect()
}

/// Nodes that make `h` of `a`, `b` and `h0`.
fn between(file: &ir::Model, [a, b, h0, h, _]: &[String; 5]) -> BTreeSet<usize> {
    let mut found = BTreeSet::new();
    let mut open = vec![h.clone()];
    while let Some(name) = open.pop() {
        if [a, b, h0].contains(&&name) {
            continue;
        }
        let maker = file
            .graph
            .nodes
            .iter()
            .position(|n| n.outputs.contains(&name));
        if let Some(at) = maker.filter(|at| found.insert(*at)) {
            open.extend(file.graph.nodes[at].inputs.iter().cloned());
        }
    }
    found
}

#[test]
fn every_lowering_is_known() {
    for (what, file) in exports() {
        opened(&file).unwrap_or_else(|e| panic!("{what}: {e}"));
    }
}

#[test]
fn a_and_b_swapped_are_refused_in_every_lowering() {
    for (what, mut file) in exports() {
        let entry = file
            .metadata
            .iter_mut()
            .find(|(k, _)| k == "minrnn.recurrences")
            .unwrap();
        let swapped = entry
            .1
            .replace("\"a\":", "\"x\":")
            .replace("\"b\":", "\"a\":");
        entry.1 = swapped.replace("\"x\":", "\"b\":");
        let error = opened(&file).expect_err(&what);
        assert_eq!(error.kind(), ErrorKind::Contract, "{what}: {error}");
        assert!(
            error.to_string().contains("step by step"),
            "{what}: {error}"
        );
    }
}

/// The outputs of the untouched graph at the longest sequence and at a short one, on random input.
fn outputs(file: &ir::Model) -> Vec<f32> {
    let options = minrnn_runtime::Options::with_plans(2);
    let model = minrnn_runtime::Model::from_bytes_with(&file.encode(), &options).unwrap();
    let (batch, longest) = (
        model.info().batch.unwrap_or(2),
        model.info().longest().unwrap_or(50),
    );
    let mut all = vec![];
    for time in [model.info().seq_len.unwrap_or(3).min(longest), longest] {
        let mut rng = Rng::named(3, "formulas");
        let mut state = model.initial_state(batch).unwrap();
        let names: Vec<String> = state.names().map(String::from).collect();
        for name in names {
            let len = state.get(&name).unwrap().len();
            let values: Vec<f32> = (0..len).map(|_| rng.normal() as f32).collect();
            state.set(&name, &values).unwrap();
        }
        let values: Vec<f32> = (0..batch * time * 2).map(|_| rng.normal() as f32).collect();
        let input = minrnn_runtime::Input::Features {
            values: &values,
            batch,
            time,
            width: 2,
        };
        let (output, state) = model.run(input, &state).unwrap();
        all.extend(output.values);
        state
            .names()
            .for_each(|n| all.extend(state.get(n).unwrap()));
    }
    all
}

/// Refused; or, where the change is in values that nothing needs, the same as before.
fn refused_or_the_same(what: &str, right: &ir::Model, wrong: &ir::Model) -> bool {
    if opened(wrong).is_err() {
        return true;
    }
    let pairs: Vec<(f32, f32)> = outputs(right).into_iter().zip(outputs(wrong)).collect();
    assert!(
        pairs.iter().all(|(a, b)| (a - b).abs() < 1e-5),
        "{what} computes something else and is taken"
    );
    false
}

/// Products made sums, sums made products.
#[test]
fn one_wrong_node_is_refused_in_every_lowering() {
    let (mut tried, mut refused) = (0, 0);
    for (what, file) in exports() {
        // Small ones have all kinds of nodes.
        if file.graph.nodes.len() > 300 {
            continue;
        }
        for at in between(&file, &recurrences(&file)[0]) {
            let node = &file.graph.nodes[at];
            let other = match node.op_type.as_str() {
                "Mul" => "Add",
                "Add" => "Mul",
                _ => continue,
            };
            // What computes lengths is in the scope of the time.
            if node.name.starts_with("/time") {
                continue;
            }
            let mut wrong = file.clone();
            wrong.graph.nodes[at].op_type = other.into();
            tried += 1;
            let what = format!("{what}: {}", node.name);
            refused += usize::from(refused_or_the_same(&what, &file, &wrong));
        }
    }
    assert!(
        refused > 200 && refused * 4 > tried * 3,
        "{refused} of {tried}"
    );
}

#[test]
fn blocks_taken_at_other_steps_are_refused() {
    let (mut tried, mut refused) = (0, 0);
    for (what, file) in exports() {
        for at in between(&file, &recurrences(&file)[0]) {
            if file.graph.nodes[at].op_type != "Concat" || file.graph.nodes[at].inputs.len() != 2 {
                continue;
            }
            let mut wrong = file.clone();
            wrong.graph.nodes[at].inputs.reverse();
            tried += 1;
            let what = format!("{what}: {}", wrong.graph.nodes[at].name);
            refused += usize::from(refused_or_the_same(&what, &file, &wrong));
        }
    }
    assert!(
        refused > 30 && refused * 4 > tried * 3,
        "{refused} of {tried}"
    );
}

/// The layers of a model are lowered alike, and what is known of the first is taken for the others: only where it is true.
#[test]
fn a_layer_that_is_not_made_as_the_one_before_it_is_refused() {
    let mut alike = 0;
    for (what, file) in exports() {
        let all = recurrences(&file);
        let [a, b, ..] = &all[all.len() - 1];
        let mut file = file.clone();
        let entry = file.metadata.iter_mut();
        let entry = entry
            .into_iter()
            .find(|(k, _)| k == "minrnn.recurrences")
            .unwrap();
        let (first, last) = entry.1.split_at(entry.1.rfind('{').unwrap());
        let quoted = |name: &str| format!("\"{name}\"");
        let last = last
            .replace(&quoted(a), "\"?\"")
            .replace(&quoted(b), &quoted(a));
        entry.1 = format!("{first}{}", last.replace("\"?\"", &quoted(b)));
        let error = opened(&file).expect_err(&what);
        let place = format!("{}.h `", all.len() - 1);
        assert!(error.to_string().contains(&place), "{what}: {error}");
        alike += usize::from(all.len() > 1);
    }
    assert!(alike > 0, "models of several layers");
}
