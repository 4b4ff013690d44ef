//! Why a file cannot be imported.

use std::fmt;
use std::path::{Path, PathBuf};

/// A file that cannot be imported; nothing was written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[error("cannot import {}: {problem}", path.display())]
pub struct ImportError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub problem: ImportProblem,
}

/// What is wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportProblem {
    /// The system refused it.
    #[error("cannot read it: {source}")]
    Io {
        /// The system's reason.
        source: std::io::Error,
    },
    /// It is of no known format, or damaged.
    #[error("{message}")]
    Format {
        /// What was found, where, and what would mend it.
        message: String,
    },
    /// A pickle that is damaged, or asks for more than weights.
    #[error("data.pkl, byte {at}: {message}")]
    Pickle {
        /// Offset in the pickle.
        at: usize,
        /// What was found.
        message: String,
    },
    /// One tensor cannot be used.
    #[error("tensor `{tensor}` {message}")]
    Tensor {
        /// Its name in the file.
        tensor: String,
        /// What was found and what was expected.
        message: String,
    },
    /// The names do not make a model of the layout that they are of.
    #[error(
        "the tensors are no whole model of the layout `{layout}`{}{}",
        List("missing", missing),
        List("unexpected", unexpected)
    )]
    Names {
        /// Name of the layout.
        layout: &'static str,
        /// Tensors that the layout has and the file has not, sorted.
        missing: Vec<String>,
        /// Tensors of the file that the layout has not, sorted.
        unexpected: Vec<String>,
    },
    /// A model that minrnn has no equal of.
    #[error("{what} is not supported: {message}")]
    Unsupported {
        /// What.
        what: String,
        /// Why, and what would mend it.
        message: String,
    },
    /// Something that the file does not say.
    #[error("{what}; say which with {flag}")]
    Ambiguous {
        /// What is open, and the choices.
        what: String,
        /// The flag that settles it.
        flag: &'static str,
    },
    /// An option that does not fit the file.
    #[error("{flag}: {message}")]
    Option {
        /// The flag.
        flag: &'static str,
        /// What was given and what is possible.
        message: String,
    },
    /// The configuration that was found makes no model.
    #[error(transparent)]
    Model(#[from] minrnn_model::ModelError),
}

/// Result with an [`ImportProblem`].
pub(super) type Result<T, E = ImportProblem> = std::result::Result<T, E>;

impl ImportProblem {
    pub(super) fn format(message: impl Into<String>) -> Self {
        Self::Format {
            message: message.into(),
        }
    }
    pub(super) fn tensor(tensor: &str, message: impl Into<String>) -> Self {
        Self::Tensor {
            tensor: tensor.to_owned(),
            message: message.into(),
        }
    }
    pub(super) fn option(flag: &'static str, message: impl Into<String>) -> Self {
        Self::Option {
            flag,
            message: message.into(),
        }
    }
    pub(super) fn at(self, path: &Path) -> ImportError {
        ImportError {
            path: path.to_path_buf(),
            problem: self,
        }
    }
}

/// Writes `; word: names`, at most eight of them, unless there is none.
struct List<'a>(&'a str, &'a [String]);

impl fmt::Display for List<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 8;
        if self.1.is_empty() {
            return Ok(());
        }
        write!(f, "; {}: ", self.0)?;
        for (i, name) in self.1.iter().take(SHOWN).enumerate() {
            write!(f, "{}`{name}`", if i > 0 { ", " } else { "" })?;
        }
        match self.1.len().saturating_sub(SHOWN) {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}
