//! The canonical text: what changes it and what does not.

use minrnn_model::config::ModelConfig;
use minrnn_model::model::Model as Source;
use minrnn_model::params::Params;
use proptest::prelude::*;

use super::canonical;
use super::shuffle::{Dice, random, shuffled};
use crate::export::{ExportOptions, Form, Lowering, export_graph};
use crate::ir::{Attr, Graph, Model, Tensor, TensorData};

pub(crate) fn export(cell: &str, form: Form, lowering: Lowering) -> Model {
    let text = format!(
        "width = 4\nlayers = 2\n[input]\nvocab = 5\n[head]\nwidth = 5\n[conv]\nkernel = 3\n[cell]\nkind = '{cell}'\n"
    );
    let config: ModelConfig = toml::from_str(&text).unwrap();
    let source = Source::from_config(&config).unwrap();
    let params = Params::init(source.graph(), 1);
    let options = ExportOptions {
        form,
        lowering,
        target: lowering.target(),
        max_seq_len: 256,
        ..ExportOptions::default()
    };
    export_graph(source.graph(), &params, &options).unwrap()
}

pub(crate) fn exports() -> Vec<Model> {
    let mut all = vec![];
    for cell in ["min_gru", "min_lstm"] {
        all.extend(Form::ALL.map(|form| export(cell, form, Lowering::Blocked)));
        all.push(export(cell, Form::Parallel, Lowering::KoggeStone));
    }
    all
}

#[track_caller]
fn same(a: &Model, b: &Model) {
    let (a, b) = (canonical(a), canonical(b));
    let differ = a.lines().zip(b.lines()).find(|(a, b)| a != b);
    assert!(a == b, "{differ:?}\n{a}\n{b}");
}

#[test]
fn names_and_order_of_our_exports_are_of_no_consequence() {
    for (i, model) in exports().iter().enumerate() {
        for seed in 0..6 {
            let other = shuffled(model, seed * 100 + i as u64);
            assert_ne!(other.graph, model.graph);
            same(model, &other);
        }
    }
}

/// Something small that changes what a graph computes or shows, at a place given by the dice.
fn change(g: &mut Graph, dice: &mut Dice) -> bool {
    let node = dice.below(g.nodes.len().max(1));
    let Some(n) = g.nodes.get_mut(node) else {
        return false;
    };
    match dice.below(5) {
        0 => n.attributes.push(("extra".into(), Attr::Int(1))),
        1 => n.op_type.push('X'),
        2 => match n.inputs.as_mut_slice() {
            [a, .., b] if a != b && !same_constant(a, b, &g.initializers) => std::mem::swap(a, b),
            _ => return false,
        },
        3 => match g.initializers.first_mut().map(|t| &mut t.data) {
            Some(TensorData::Bytes(b)) if !b.is_empty() => b[0] ^= 0x40,
            _ => return false,
        },
        _ => {
            let body = n.attributes.iter_mut().find_map(|(_, a)| match a {
                Attr::Graph(g) => Some(g),
                _ => None,
            });
            return body.is_some_and(|g| change(g, dice));
        }
    }
    true
}

/// Equal constants may change places.
fn same_constant(a: &str, b: &str, all: &[Tensor]) -> bool {
    let data = |n: &str| all.iter().find(|t| t.name == n).map(|t| &t.data);
    data(a).is_some() && data(a) == data(b)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn names_and_order_of_any_graph_are_of_no_consequence(model in random(), seed in any::<u64>()) {
        let other = shuffled(&model, seed);
        prop_assert_eq!(canonical(&model), canonical(&other));
    }

    #[test]
    fn a_change_changes_the_text(seed in any::<u64>(), which in 0..4usize) {
        let forms = [Form::Parallel, Form::Scan, Form::Step];
        let lowering = if which == 3 { Lowering::KoggeStone } else { Lowering::Blocked };
        let model = export("min_gru", forms[which % 3], lowering);
        let mut other = model.clone();
        if change(&mut other.graph, &mut Dice(seed)) {
            prop_assert_ne!(canonical(&model), canonical(&shuffled(&other, seed)));
        }
    }

    /// Of random graphs, where attributes and operators change.
    #[test]
    fn a_change_of_any_graph_changes_the_text(model in random(), seed in any::<u64>()) {
        let mut other = model.clone();
        let mut dice = Dice(seed);
        let at = dice.below(other.graph.nodes.len());
        other.graph.nodes[at].attributes[0].1 = Attr::Int(7);
        prop_assert_ne!(canonical(&model), canonical(&shuffled(&other, seed)));
    }
}
