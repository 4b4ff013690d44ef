//! Minimal recurrent networks (minGRU, minLSTM; "Were RNNs All We Needed?", arXiv 2410.01201), described once.
//!
//! A model is traced into a [`graph::Graph`]: a list of primitive operations over values `[B, T, width]` in which no layer
//! ever sees B or T. Everything else reads that graph: the float64 [`oracle`] here, candle for training, ONNX for export.
//!
//! Letters: B batch, T time, D hidden channels, M model width, L layers, V vocabulary.
//!
//! ```
//! use minrnn_model::{config::ModelConfig, model::Model, params::Params};
//! let config: ModelConfig = toml::from_str(r#"
//!     width = 8
//!     layers = 1
//!     [input]
//!     vocab = 5
//!     [head]
//!     width = 5
//! "#).unwrap();
//! let model = Model::from_config(&config).unwrap();
//! let params = Params::init(model.graph(), 42);
//! assert_eq!(params.len(), model.graph().params().len());
//! ```

pub mod compare;
pub mod config;
#[cfg(test)]
mod config_tests;
#[cfg(test)]
mod fold_tests;
pub mod graph;
#[cfg(test)]
mod hyena_tests;
pub mod json;
#[cfg(test)]
mod law_tests;
pub mod layers;
#[cfg(test)]
mod mixer_tests;
pub mod model;
pub mod oracle;
pub mod params;
pub mod rng;
pub mod ruler;
mod spec;
pub mod stated;
pub mod testing;
pub mod trial;
pub mod usual;
pub mod vocabulary;

mod error;
pub use error::{ModelError, Result};
