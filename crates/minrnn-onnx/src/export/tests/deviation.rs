//! A file against the graph that this version writes: whatever was chosen it is the same, and whatever is changed it is not.

use std::collections::BTreeMap;

use minrnn_model::model::Model as Network;
use minrnn_model::params::Params;

use super::models::{CONFIGS, export, model, sequence_options};
use crate::export::{
    Activations, ExportOptions, Form, Lowering, StateLayout, StateNames, Target, Weights,
    deviation, is_of_this_version, options, read,
};
use crate::ir::{self, Attr, Tensor};
use crate::text::shuffle::shuffled;

/// By what the file tells of itself, as a verification does it.
fn found(file: &ir::Model, model: &Network) -> Option<String> {
    let stored = read(file, model.graph(), std::path::Path::new(".")).unwrap();
    let told = options(file).unwrap();
    deviation(file, model.graph(), &stored.params, &told).unwrap()
}

fn choices(params: &Params, model: &Network) -> Vec<ExportOptions> {
    let base = ExportOptions {
        max_seq_len: 256,
        target: Target::OnnxRuntime,
        ..ExportOptions::default()
    };
    let mut all: Vec<ExportOptions> = sequence_options(model.graph())
        .into_iter()
        .map(|(_, o)| o)
        .collect();
    for block in [2, 3, 5, 32] {
        for lowering in [Lowering::Blocked, Lowering::BlockedScan] {
            let base = base.clone();
            all.push(ExportOptions {
                block,
                lowering,
                ..base.clone()
            });
            all.push(ExportOptions {
                block,
                lowering,
                seq_len: Some(7),
                batch: Some(2),
                ..base
            });
        }
    }
    let largest: BTreeMap<String, f32> = model
        .graph()
        .params()
        .iter()
        .map(|s| (s.name.clone(), 3.1))
        .collect();
    assert_eq!(largest.len(), params.len());
    for weights in [
        Weights::F16,
        Weights::Bf16,
        Weights::Int8(Activations::Row),
        Weights::Int8(Activations::Static(largest)),
    ] {
        all.push(ExportOptions {
            weights,
            ..base.clone()
        });
    }
    for form in Form::ALL {
        let base = ExportOptions {
            form,
            ..base.clone()
        };
        all.push(ExportOptions {
            reset: true,
            lengths: form != Form::Step,
            ..base.clone()
        });
        all.push(ExportOptions {
            fused_norms: true,
            opset: 23,
            ..base.clone()
        });
        all.push(ExportOptions {
            state_layout: StateLayout::Stacked,
            state_names: StateNames::Icefall,
            opset: 13,
            ..base
        });
    }
    all
}

#[test]
fn an_export_is_the_graph_that_this_version_writes_whatever_was_chosen() {
    let mut seen = 0;
    for (name, _) in CONFIGS {
        let (model, params) = model(name);
        for o in choices(&params, &model) {
            let Ok(file) = crate::export::export_graph(model.graph(), &params, &o) else {
                continue;
            };
            seen += 1;
            assert!(is_of_this_version(&file));
            assert_eq!(found(&file, &model), None, "{name} {o:?}");
        }
    }
    assert!(seen > 100, "{seen}");
}

#[test]
fn names_order_and_texts_are_of_no_consequence() {
    let (model, params) = model("gru");
    for (seed, form) in (0u64..).zip(Form::ALL) {
        let file = export(&model, &params, |o| o.form = form);
        let mut other = shuffled(&file, seed);
        // Parameters keep their names: what a file has under them is held to the weights.
        let names = renamed(&file, &other, &model);
        for name in all_names(&mut other.graph) {
            if let Some(own) = names.get(name.as_str()) {
                *name = own.clone();
            }
        }
        other.graph.value_info.clear();
        other.graph.doc = "another text".into();
        other
            .graph
            .initializers
            .push(Tensor::f32("of no use", vec![1], &[1.0]));
        assert_ne!(other.graph.nodes, file.graph.nodes);
        assert_eq!(found(&other, &model), None);
    }
}

/// The names that parameters have after shuffling, by value.
fn renamed(file: &ir::Model, other: &ir::Model, model: &Network) -> BTreeMap<String, String> {
    let mut names = BTreeMap::new();
    for spec in model.graph().params() {
        let Some(own) = file.graph.initializers.iter().find(|t| t.name == spec.name) else {
            continue;
        };
        let same = |t: &&Tensor| (t.dtype, &t.dims, &t.data) == (own.dtype, &own.dims, &own.data);
        let now = other.graph.initializers.iter().find(same).unwrap();
        names.insert(now.name.clone(), spec.name.clone());
    }
    names
}

fn all_names(g: &mut ir::Graph) -> Vec<&mut String> {
    let mut all: Vec<&mut String> = g.initializers.iter_mut().map(|t| &mut t.name).collect();
    for node in &mut g.nodes {
        all.extend(node.inputs.iter_mut());
        for (_, attr) in &mut node.attributes {
            if let Attr::Graph(inner) = attr {
                all.extend(all_names(inner));
            }
        }
    }
    all
}

/// Each constant that is no parameter, each attribute that is a number, each operator, each exchange of two inputs.
#[test]
fn no_change_of_a_node_or_a_constant_is_too_small() {
    let (model, params) = model("lstm");
    let specs = model.graph().params();
    for form in Form::ALL {
        let file = export(&model, &params, |o| {
            o.form = form;
            o.target = Target::OnnxRuntime;
            o.weights = Weights::Int8(Activations::Row);
        });
        let mut tried = 0;
        let mut differs = |change: &dyn Fn(&mut ir::Graph)| {
            let mut other = file.clone();
            change(&mut other.graph);
            if other != file {
                tried += 1;
                let what = found(&other, &model);
                assert!(what.is_some(), "{} {tried}", form.name());
            }
        };
        for at in 0..file.graph.initializers.len() {
            let t = &file.graph.initializers[at];
            let own = |s: &minrnn_model::params::ParamSpec| {
                t.name == s.name || t.name == format!("{}.scale", s.name)
            };
            if !specs.iter().any(own) {
                differs(&|g| {
                    if let ir::TensorData::Bytes(bytes) = &mut g.initializers[at].data {
                        bytes[0] ^= 1;
                    }
                });
            }
        }
        for at in (0..file.graph.nodes.len()).step_by(7) {
            differs(&|g| g.nodes[at].op_type = "Other".into());
            differs(&|g| {
                for (_, attr) in &mut g.nodes[at].attributes {
                    if let Attr::Int(n) = attr {
                        *n += 1;
                    }
                }
            });
        }
        assert!(tried > 10, "{tried}");
    }
}

#[test]
fn the_first_node_that_differs_is_named() {
    let (model, params) = model("gru");
    let mut file = export(&model, &params, |o| o.form = Form::Step);
    let name = |n: &ir::Node| n.name.clone();
    let at = file
        .graph
        .nodes
        .iter()
        .rposition(|n| n.op_type == "MatMul")
        .unwrap();
    let node = name(&file.graph.nodes[at]);
    file.graph.nodes[at].op_type = "Mul".into();
    let what = found(&file, &model).unwrap();
    assert!(
        what.starts_with(&format!("differs first at node `{node}`")),
        "{what}"
    );
    assert!(
        what.contains("= Mul(") && what.contains("this version writes"),
        "{what}"
    );
    // A constant beside the weight, of its values and its shape.
    let mut file = export(&model, &params, |o| o.form = Form::Step);
    let mut copy = file
        .graph
        .initializers
        .iter()
        .find(|t| t.name == "head.weight")
        .unwrap()
        .clone();
    copy.name = "beside".into();
    file.graph.initializers.push(copy);
    for name in file.graph.nodes.iter_mut().flat_map(|n| &mut n.inputs) {
        if name == "head.weight" {
            *name = "beside".into();
        }
    }
    let what = found(&file, &model).unwrap();
    assert_eq!(
        what,
        "reads `beside`, f32[4,5], where this version reads `head.weight`"
    );
    // Metadata that name another tensor of the same graph.
    let mut file = export(&model, &params, |_| {});
    let (_, value) = file
        .metadata
        .iter_mut()
        .find(|(k, _)| k == "minrnn.recurrences")
        .unwrap();
    *value = value.replacen("/layers.0/", "/layers.1/", 1);
    let what = found(&file, &model).unwrap();
    assert!(what.contains("names other tensors"), "{what}");
}
