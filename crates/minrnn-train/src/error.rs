//! What can go wrong while training, with the place where it went wrong.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::memory::{Memory, bytes};

/// Result with [`TrainError`].
pub type Result<T, E = TrainError> = std::result::Result<T, E>;

/// An error of this crate: what, where, and what would mend it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// An option has a value that cannot be used.
    #[error("option `{field}`: {message}")]
    Config {
        /// Name of the option.
        field: String,
        /// What was found and what is allowed.
        message: String,
    },
    /// A data file does not hold what it should.
    #[error("{}{}: {message}", path.display(), Place(place))]
    Data {
        /// The file.
        path: PathBuf,
        /// Row, column, array or byte within the file; empty for the file as a whole.
        place: String,
        /// What was found and what was expected.
        message: String,
    },
    /// A checkpoint cannot be used.
    #[error("checkpoint {}: {problem}", path.display())]
    Checkpoint {
        /// The folder of the checkpoint, or the file in it.
        path: PathBuf,
        /// What is wrong with it.
        problem: CheckpointProblem,
    },
    /// A checkpoint and a configuration mean different models or different data.
    #[error("checkpoint {} and the configuration do not belong together:{}\n{mend}", path.display(), Lines(differences))]
    Differs {
        /// The folder of the checkpoint.
        path: PathBuf,
        /// All that differs.
        differences: Vec<Difference>,
        /// What would mend it.
        mend: &'static str,
    },
    /// Tensors given by the caller do not fit the place they are meant for.
    #[error("tensor `{tensor}`: {message}")]
    Tensor {
        /// Name of the tensor.
        tensor: String,
        /// What was found and what was expected.
        message: String,
    },
    /// A number became infinite or NaN.
    #[error(
        "{what} at step {step} is not finite; a smaller learning rate or gradient clipping usually mends it"
    )]
    NonFinite {
        /// The quantity, with the name of its tensor.
        what: String,
        /// The training step, counted from 0.
        step: u64,
    },
    /// A parameter received no gradient: the graph from it to the loss is cut.
    #[error(
        "parameter `{tensor}` received no gradient at step {step}: it does not reach the loss, or an operation on the way has no backward pass"
    )]
    NoGradient {
        /// Name of the parameter.
        tensor: String,
        /// The training step, counted from 0.
        step: u64,
    },
    /// The configuration makes no model, or parameters do not fit it.
    #[error(transparent)]
    Model(#[from] minrnn_model::ModelError),
    /// The tensor library failed.
    #[error(transparent)]
    Candle(#[from] candle_core::Error),
    /// The tape has no launches for something in the model.
    #[error(transparent)]
    Tape(#[from] crate::tape::Unknown),
    /// The GPU refused something.
    #[cfg(feature = "cuda")]
    #[error(transparent)]
    Cuda(#[from] minrnn_kernels::cuda::CudaError),
    /// A run needs more memory than there is.
    #[error("{needs}; {} are available", bytes(*limit))]
    Memory {
        /// What it needs.
        needs: Memory,
        /// Bytes that it may take.
        limit: u64,
    },
    /// The file system failed.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried: "read", "write", ...
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The reason given by the system.
        source: std::io::Error,
    },
}

/// One thing in which a checkpoint and a configuration differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Dotted key of the configuration, or what it is about: `vocabulary`, `data`.
    pub what: String,
    /// Both sides.
    pub message: String,
}

/// Why a checkpoint cannot be used.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointProblem {
    /// There is no checkpoint, or one of its files is missing.
    #[error("`{file}` is missing; a checkpoint is a folder with config.json and model.safetensors")]
    MissingFile {
        /// Name of the missing file or folder.
        file: String,
    },
    /// Tensors that the model needs are not in the file.
    #[error("missing tensors: {}", List(names))]
    MissingTensors {
        /// Their names, sorted.
        names: Vec<String>,
    },
    /// Tensors that the model does not know.
    #[error("tensors that the model does not have: {}", List(names))]
    ExtraTensors {
        /// Their names, sorted.
        names: Vec<String>,
    },
    /// A tensor has another shape than the model needs.
    #[error("tensor `{tensor}` has shape {found:?}, the model needs {wanted:?}")]
    WrongShape {
        /// Name of the tensor.
        tensor: String,
        /// Shape in the file.
        found: Vec<usize>,
        /// Shape in the model.
        wanted: Vec<usize>,
    },
    /// A tensor is not stored as float32.
    #[error("tensor `{tensor}` has dtype {found}, only F32 is stored in checkpoints")]
    WrongDtype {
        /// Name of the tensor.
        tensor: String,
        /// Dtype in the file.
        found: String,
    },
    /// A file is shorter than its header says.
    #[error("the file is cut off: {what} needs {needed} bytes, the file has {found}")]
    Truncated {
        /// What did not fit.
        what: String,
        /// Bytes needed from the start of the file.
        needed: u64,
        /// Bytes in the file.
        found: u64,
    },
    /// A file is not of its format.
    #[error("{message}")]
    Malformed {
        /// What was found, with its line where the file is text.
        message: String,
    },
    /// A weight is infinite or NaN.
    #[error("tensor `{tensor}` has {value} at index {index}; weights must be finite")]
    NonFinite {
        /// Name of the tensor.
        tensor: String,
        /// Flat index of the first such value.
        index: usize,
        /// The value.
        value: f32,
    },
    /// What has the name of the checkpoint, or of a folder that a save goes through, is no folder.
    #[error(
        "{what} has the name of a folder that a save makes and replaces; move it away, or choose another folder"
    )]
    InTheWay {
        /// What it is: a file, a link, ...
        what: &'static str,
    },
    /// The folder holds files and is no checkpoint, so it is not replaced.
    #[error("the folder holds `{file}` and is no checkpoint; choose a new or an empty folder")]
    ForeignFile {
        /// Name of the first such file.
        file: String,
    },
}

impl TrainError {
    /// An unusable option.
    pub(crate) fn config(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Config {
            field: field.into(),
            message: message.into(),
        }
    }

    /// A data file with a fault at `place` (empty: the whole file).
    pub(crate) fn data(path: &Path, place: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Data {
            path: path.to_path_buf(),
            place: place.into(),
            message: message.into(),
        }
    }

    /// A fault of a checkpoint or of one of its files.
    pub(crate) fn checkpoint(path: &Path, problem: CheckpointProblem) -> Self {
        Self::Checkpoint {
            path: path.to_path_buf(),
            problem,
        }
    }

    /// A tensor that does not fit.
    pub(crate) fn tensor(tensor: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Tensor {
            tensor: tensor.into(),
            message: message.into(),
        }
    }

    /// For `map_err` on file operations.
    pub(crate) fn io(
        action: &'static str,
        path: &Path,
    ) -> impl FnOnce(std::io::Error) -> Self + use<> {
        let path = path.to_path_buf();
        move |source| Self::Io {
            action,
            path,
            source,
        }
    }
}

/// Writes ", place" unless the place is empty.
struct Place<'a>(&'a str);

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            Ok(())
        } else {
            write!(f, ", {}", self.0)
        }
    }
}

/// One difference a line.
struct Lines<'a>(&'a [Difference]);

impl fmt::Display for Lines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Difference { what, message } in self.0 {
            write!(f, "\n  {what}: {message}")?;
        }
        Ok(())
    }
}

/// Names in backticks, at most eight of them.
struct List<'a>(&'a [String]);

impl fmt::Display for List<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 8;
        for (i, name) in self.0.iter().take(SHOWN).enumerate() {
            let comma = if i > 0 { ", " } else { "" };
            write!(f, "{comma}`{name}`")?;
        }
        match self.0.len().saturating_sub(SHOWN) {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}
