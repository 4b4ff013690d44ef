//! Why a model cannot be exported.

use std::path::PathBuf;

use crate::builder::BuildError;
use crate::check::CheckError;

/// Why a model cannot be exported.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// An option that makes no file.
    #[error("option {option}: {what}")]
    Option {
        /// Which.
        option: &'static str,
        /// What is wrong, with what would be right.
        what: String,
    },
    /// Parameters that do not belong to the graph.
    #[error("{}: {what}", named(name))]
    Param {
        /// Which; empty if it is about all of them.
        name: String,
        /// What is wrong.
        what: String,
    },
    /// A file, read back, says of itself what no export says.
    #[error("metadata `{key}` {what}")]
    Metadata {
        /// The key.
        key: &'static str,
        /// What is wrong.
        what: String,
    },
    /// More weights than one file can hold.
    #[error(
        "the weights take {bytes} bytes, and an ONNX file ends at 2 GiB; put them into a file beside it (external or shared)"
    )]
    TooLarge {
        /// Bytes of all parameters.
        bytes: u64,
    },
    /// Names of the model clash with each other or with the contract's.
    #[error("cannot name the graph's values: {0}")]
    Name(#[from] BuildError),
    /// The written graph breaks a rule of ONNX: a defect of this exporter, caught before a file was written.
    #[error("the exported graph is not valid: {0}")]
    Check(#[from] CheckError),
    /// What was chosen is not for the target.
    #[error(
        "the target {target} cannot run what was chosen (another target, lowering, opset or form would do): {source}"
    )]
    Target {
        /// Its name.
        target: &'static str,
        /// The rules of its profile that are broken.
        source: CheckError,
    },
    /// The oracle refused to make the golden trace.
    #[error("cannot make the golden trace: {0}")]
    Golden(#[source] minrnn_model::ModelError),
    /// Another export writes into the folder.
    #[error(
        "another export is being written into {}; wait for its end, or choose another folder",
        dir.display()
    )]
    Busy {
        /// The folder.
        dir: PathBuf,
    },
    /// Something of somebody's is where the mark of an export is to be.
    #[error(
        "{} is in the place of the mark of an export and is none, which would be an empty file; move it away, or choose another folder",
        path.display()
    )]
    NotOurs {
        /// Where.
        path: PathBuf,
    },
    /// A file could not be written.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// Where.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
}

/// A parameter in a message.
fn named(name: &str) -> String {
    match name {
        "" => "the parameters".to_owned(),
        name => format!("parameter `{name}`"),
    }
}

impl ExportError {
    pub(crate) fn io(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io {
            action,
            path,
            source,
        }
    }
}
