//! A model to ONNX: in each form one graph, with the metadata by which a runtime understands it.
//!
//! ```
//! use minrnn_model::{config::ModelConfig, model::Model, params::Params};
//! use minrnn_onnx::export::{ExportOptions, Form, export_graph};
//! let config: ModelConfig =
//!     toml::from_str("width = 8\nlayers = 1\n[input]\nvocab = 5\n[head]\nwidth = 5\n").unwrap();
//! let model = Model::from_config(&config).unwrap();
//! let params = Params::init(model.graph(), 1);
//! let options = ExportOptions { form: Form::Step, config: model.config().clone(), ..ExportOptions::default() };
//! let step = export_graph(model.graph(), &params, &options).unwrap();
//! assert_eq!(step.metadata("minrnn.form"), Some("step"));
//! let file: Vec<u8> = step.encode();
//! assert!(!file.is_empty());
//! ```

mod averaged;
mod card;
mod contract;
mod deviation;
mod expect;
mod files;
mod golden;
mod json;
mod lock;
mod manifest;
mod metadata;
mod names;
mod notes;
mod read;
#[cfg(test)]
mod tests;
mod weights;
mod words;

pub(crate) use crate::choices::Store;
pub use crate::choices::{
    Activations, Choices, ExportError, ExportOptions, Form, Lowering, Port, StateLayout,
    StateNames, Target, Weights, most_steps, ports,
};
pub use averaged::{AverageRule, Averaged};
pub use card::card_of;
pub use deviation::{deviation, is_of_this_version};
pub use expect::{Outline, differing, outline, tied};
pub use files::{DirOptions, Exported, Placement, Written, write_export};
pub use golden::{allowed as golden_bounds, widen as widen_golden_bounds};
pub use lock::is_unfinished;
pub use names::{vocabulary_mark, vocabulary_sha256};
pub use notes::other_text;
pub(crate) use read::bytes as bytes_beside;
pub use read::{Stored, options, read};
pub use weights::weights_sha256;

use minrnn_model::graph::Graph;
use minrnn_model::params::Params;

use crate::check;
use crate::ir::{MICROSOFT, Model};
use crate::lower;

/// The oldest version of the file format that goes with an opset, but none before 8.
fn ir_version(opset: i64) -> i64 {
    match opset {
        ..=18 => 8,
        19..=20 => 9,
        21..=22 => 10,
        23 => 11,
        24 => 12,
        25..=27 => 13,
        _ => 14,
    }
}

/// The operator sets of a graph: the standard's, and where it has an operator of ONNX Runtime's own, theirs.
fn opsets(graph: &crate::ir::Graph, opset: i64) -> Vec<(String, i64)> {
    let standard = (String::new(), opset);
    let theirs = graph.nodes.iter().any(|n| n.domain == MICROSOFT);
    let theirs = theirs.then(|| (MICROSOFT.to_owned(), 1));
    std::iter::once(standard).chain(theirs).collect()
}

/// Exports a graph in one form. Equal arguments give equal models, and these equal bytes.
///
/// Inputs, outputs, states and metadata are those of the contract in `crates/README.md`. Every parameter that an
/// operation reads is an initializer under its own name, in the type that `options.weights` says; a learned initial state
/// is in the metadata.
///
/// # Errors
/// Options that make no file, parameters that do not fit the graph or are not finite, names that clash. The checker runs
/// on the result, with the rules of the target; what it finds is an error too.
pub fn export_graph(
    graph: &Graph,
    params: &Params,
    options: &ExportOptions,
) -> Result<Model, ExportError> {
    options.validate()?;
    weights::fits(graph, params)?;
    let store = Store::plan(graph, params, &options.weights, None)?;
    weights::small_enough(&store)?;
    render(
        graph,
        params,
        &store,
        &weights_sha256(graph, params),
        options,
    )
}

/// The file of one form; `weights` is the hash of all parameters.
fn render(
    graph: &Graph,
    params: &Params,
    store: &Store,
    weights: &str,
    options: &ExportOptions,
) -> Result<Model, ExportError> {
    options.validate()?;
    let options = &options.fitting(graph);
    lower::check(graph, options)?;
    let ports = ports(graph, options)?;
    let names = names::names(graph, &options.config)?;
    let lowered = lower::lower(graph, params, store, &ports, options);
    let metadata = metadata::metadata(graph, params, &ports, weights, &names, options, &lowered);
    let lowered_graph = lowered.builder.finish()?;
    let mut model = Model {
        ir_version: ir_version(options.opset),
        opsets: opsets(&lowered_graph, options.opset),
        producer: deviation::PRODUCER.to_owned(),
        producer_version: deviation::VERSION.to_owned(),
        metadata,
        graph: lowered_graph,
        ..Model::default()
    };
    let types = check::check(&model)?;
    let target = options.target;
    check::conform(&model, &types, target).map_err(|source| ExportError::Target {
        target: target.name(),
        source,
    })?;
    notes::describe(
        &mut model.graph,
        graph,
        params,
        &ports,
        &names,
        options.form,
    );
    model.graph.value_info = notes::value_info(&model.graph, &types);
    Ok(model)
}
