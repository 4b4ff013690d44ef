//! Graphs that hold every rule, and graphs that break one each: for the checker here and for that of the standard.

#![allow(
    clippy::unwrap_used,
    dead_code,
    reason = "made of constants, for a test and an example that each use a part"
)]

pub(crate) mod broken_nodes;
pub(crate) mod edits;
pub(crate) mod good_nodes;
pub(crate) mod laxer;
pub(crate) mod mutants;
pub(crate) mod one;

use minrnn_model::config::ModelConfig;
use minrnn_model::model;
use minrnn_model::params::Params;
use minrnn_onnx::check::Rule;
use minrnn_onnx::export::{ExportOptions, Form, Lowering, export_graph};
use minrnn_onnx::ir::Model;

/// A graph that breaks one rule.
pub(crate) struct Case {
    /// What is wrong.
    pub(crate) name: &'static str,
    /// The rule.
    pub(crate) rule: Rule,
    /// The graph.
    pub(crate) model: Model,
}

const CONFIG: &str = "width = 4\nlayers = 1\n[input]\nvocab = 5\n[cell]\nexpansion = 1.5\n[conv]\nkernel = 3\n[mlp]\nexpansion = 2.0\n[head]\nwidth = 5\nbias = true";

/// One small model in one form.
pub(crate) fn export(form: Form, lowering: Lowering) -> Model {
    let config: ModelConfig = toml::from_str(CONFIG).unwrap();
    let model = model::Model::from_config(&config).unwrap();
    let params = Params::init(model.graph(), 3);
    let options = ExportOptions {
        form,
        lowering,
        target: lowering.target(),
        max_seq_len: 256,
        ..ExportOptions::default()
    };
    export_graph(model.graph(), &params, &options).unwrap()
}

/// All forms and lowerings, by name.
pub(crate) fn exports() -> Vec<(&'static str, Model)> {
    vec![
        ("blocked", export(Form::Parallel, Lowering::Blocked)),
        ("kogge-stone", export(Form::Parallel, Lowering::KoggeStone)),
        ("scan", export(Form::Scan, Lowering::Blocked)),
        ("step", export(Form::Step, Lowering::Blocked)),
    ]
}

/// Every broken graph, in a fixed order.
pub(crate) fn broken() -> Vec<Case> {
    let mut all = edits::cases();
    all.extend(broken_nodes::cases());
    all
}

/// Random changes of exports and of graphs of one node.
pub(crate) fn random(count: usize, seed: u64) -> impl Iterator<Item = Model> {
    let mut draw = mutants::Draw(seed);
    let exports = exports();
    let nodes = good_nodes::models();
    (0..count).map(move |i| {
        let base = match i % 2 {
            0 => &exports[draw.below(exports.len())].1,
            _ => &nodes[draw.below(nodes.len())].1,
        };
        mutants::mutant(base, &mut draw)
    })
}
