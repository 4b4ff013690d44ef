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

mod card;
mod error;
mod files;
mod golden;
mod json;
mod manifest;
mod metadata;
mod options;
#[cfg(test)]
mod tests;
mod weights;

pub use error::ExportError;
pub use files::{DirOptions, Exported, write_export};
pub use options::{ExportOptions, Form, Lowering};
pub use weights::weights_sha256;

use minrnn_model::graph::Graph;
use minrnn_model::params::Params;

use crate::check;
use crate::ir::Model;
use crate::lower;

/// Version of the file format that goes with opset 17.
const IR_VERSION: i64 = 8;

/// Exports a graph in one form. Equal arguments give equal models, and these equal bytes.
///
/// Inputs, outputs, states and metadata are those of the contract in `crates/README.md`. Every parameter that an
/// operation reads is an initializer under its own name, f32; a learned initial state is in the metadata.
///
/// # Errors
/// Options that make no file, parameters that do not fit the graph or are not finite, names that clash. The checker runs
/// on the result; what it finds is an error too.
pub fn export_graph(
    graph: &Graph,
    params: &Params,
    options: &ExportOptions,
) -> Result<Model, ExportError> {
    options.validate()?;
    weights::fits(graph, params)?;
    let lowered = lower::lower(graph, params, options);
    let metadata = metadata::metadata(graph, params, options, &lowered);
    let model = Model {
        ir_version: IR_VERSION,
        opsets: vec![(String::new(), options.opset)],
        producer: "minrnn".to_owned(),
        producer_version: env!("CARGO_PKG_VERSION").to_owned(),
        metadata,
        graph: lowered.builder.finish()?,
        ..Model::default()
    };
    check::check(&model)?;
    Ok(model)
}
