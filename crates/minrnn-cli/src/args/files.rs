//! ONNX files by themselves: `minrnn inspect` and `minrnn diff`.

use std::path::PathBuf;

/// Print an ONNX file as text.
///
/// The text is easy to read and to diff. The same model always gives the same text: one node a line, with inferred types; large tensors by hash. Any ONNX file
/// will do, not only those of minrnn.
#[derive(Debug, clap::Args)]
pub(crate) struct Inspect {
    /// The file
    #[arg(value_name = "MODEL.onnx")]
    pub(crate) file: PathBuf,
    /// Print what the graph computes, whatever it is called: the text does not change with names of inner values and nodes, nor with the order of independent nodes or of constants
    #[arg(long, conflicts_with = "json")]
    pub(crate) canonical: bool,
    /// Print a summary as JSON instead, schema minrnn.inspect/1: inputs, outputs, metadata, operators
    #[arg(long)]
    pub(crate) json: bool,
}

/// Compare two ONNX files: not their names and order, but what they compute.
///
/// Exit code 0 if they are the same up to names and order, 1 if not. Then: what differs in inputs, outputs, operator sets and metadata; how often operators are used;
/// the first place, from the inputs on, that one graph has and the other has not; or, if nothing else differs, the weights, with their largest difference.
#[derive(Debug, clap::Args)]
pub(crate) struct Diff {
    /// One file
    #[arg(value_name = "A.onnx")]
    pub(crate) left: PathBuf,
    /// The other
    #[arg(value_name = "B.onnx")]
    pub(crate) right: PathBuf,
    /// Print the differences as JSON, schema minrnn.diff/1
    #[arg(long)]
    pub(crate) json: bool,
}
