//! What an export is made of before anything is written: options, the table of targets, how states become inputs and outputs, how
//! parameters become initializers, and what can be wrong with these. Lowerings and the writing of files stand on it.

mod error;
mod memory;
mod options;
mod ports;
pub(crate) mod store;
mod target;

pub use error::ExportError;
pub use memory::most_steps;
pub use options::{Activations, ExportOptions, Form, Lowering, StateLayout, StateNames, Weights};
pub use ports::{Port, ports};
pub(crate) use store::Store;
pub use target::{Choices, Target};
