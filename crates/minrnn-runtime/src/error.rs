//! What can go wrong, each with its place and what would mend it. What an error says has its cause in it.

use std::path::PathBuf;

/// A cause of another library, kept as a source.
pub(crate) type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// Everything this crate refuses or fails at.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The file could not be read from disk.
    Read {
        /// The file that was asked for.
        file: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// An ONNX file that carries no `minrnn.*` metadata: not an export of minrnn.
    Foreign {
        /// The file, or `<bytes>`.
        file: String,
    },
    /// The file breaks the contract of an exported file.
    Contract {
        /// The file, or `<bytes>`.
        file: String,
        /// Where: a metadata key, a graph input or output, a node, an initializer.
        place: String,
        /// What is wrong there.
        what: String,
        /// What would mend it.
        mend: String,
    },
    /// The bytes are no ONNX model, or tract cannot make a plan of the graph.
    Load {
        /// The file, or `<bytes>`.
        file: String,
        /// What was being done.
        what: String,
        /// The engine's own words; a panic of the engine arrives here as well.
        source: Cause,
    },
    /// The caller's input or state does not fit the model. Nothing was run.
    Input {
        /// The input, state or argument by name.
        place: String,
        /// What is wrong with it.
        what: String,
        /// What would mend it.
        mend: String,
    },
    /// The engine failed, or returned something other than the file declares.
    Run {
        /// The file, or `<bytes>`.
        file: String,
        /// What was being run.
        what: String,
        /// The engine's own words; a panic of the engine arrives here as well.
        source: Cause,
    },
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Read { file, source } => write!(f, "cannot read {}: {source}", file.display()),
            Self::Foreign { file } => write!(
                f,
                "{file} is not a minrnn export: its metadata_props hold no `minrnn.*` key; export the model with minrnn, or run this file in another engine"
            ),
            Self::Contract {
                file,
                place,
                what,
                mend,
            } => write!(f, "{file}: {place}: {what}; {mend}"),
            Self::Input { place, what, mend } => write!(f, "{place}: {what}; {mend}"),
            Self::Load { file, what, source } | Self::Run { file, what, source } => {
                write!(f, "{file}: {what}: {source}")
            }
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Read { source, .. } => Some(source),
            Self::Load { source, .. } | Self::Run { source, .. } => Some(&**source),
            Self::Foreign { .. } | Self::Contract { .. } | Self::Input { .. } => None,
        }
    }
}

/// The kind of an [`Error`], for callers that branch on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The file could not be read.
    Read,
    /// Not a minrnn export.
    Foreign,
    /// The file contradicts its own metadata or the contract.
    Contract,
    /// Not ONNX, or not runnable by the engine.
    Load,
    /// The caller's values, lengths or states are refused.
    Input,
    /// The engine failed while running.
    Run,
}

impl Error {
    /// The kind, without the details.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Read { .. } => ErrorKind::Read,
            Self::Foreign { .. } => ErrorKind::Foreign,
            Self::Contract { .. } => ErrorKind::Contract,
            Self::Load { .. } => ErrorKind::Load,
            Self::Input { .. } => ErrorKind::Input,
            Self::Run { .. } => ErrorKind::Run,
        }
    }

    /// Where in the file or among the arguments: a metadata key, a tensor, a node. `None` where the whole file is meant.
    pub fn place(&self) -> Option<&str> {
        match self {
            Self::Contract { place, .. } | Self::Input { place, .. } => Some(place),
            _ => None,
        }
    }

    pub(crate) fn input(
        place: impl Into<String>,
        what: impl Into<String>,
        mend: impl Into<String>,
    ) -> Self {
        Self::Input {
            place: place.into(),
            what: what.into(),
            mend: mend.into(),
        }
    }
}

/// An error of JSON without the names that its parser has for types.
pub(crate) fn plain(error: &serde_json::Error) -> String {
    const WORDS: [(&str, &str); 6] = [
        ("a sequence", "a list"),
        ("a map", "an object"),
        ("usize", "a whole number of at least 0"),
        ("u64", "a whole number of at least 0"),
        ("f32", "a number"),
        ("unit", "nothing"),
    ];
    let mut text = error.to_string();
    for (rust, words) in WORDS {
        text = text.replace(rust, words);
    }
    if text.chars().count() > 200 {
        // Some of it is the file's own text.
        let end = text
            .chars()
            .rev()
            .take(40)
            .collect::<Vec<_>>()
            .into_iter()
            .rev();
        return text
            .chars()
            .take(150)
            .chain(" .. ".chars())
            .chain(end)
            .collect();
    }
    text
}

/// A breach of the contract, before the name of the file is put to it.
#[derive(Debug)]
pub(crate) struct Breach {
    pub(crate) place: String,
    pub(crate) what: String,
    pub(crate) mend: String,
}

/// What mends nearly every breach.
pub(crate) const EXPORT_AGAIN: &str = "export the model again with minrnn";

impl Breach {
    pub(crate) fn new(place: impl Into<String>, what: impl Into<String>) -> Self {
        Self {
            place: place.into(),
            what: what.into(),
            mend: EXPORT_AGAIN.into(),
        }
    }

    pub(crate) fn mend(mut self, mend: impl Into<String>) -> Self {
        self.mend = mend.into();
        self
    }

    pub(crate) fn of(self, file: &str) -> Error {
        Error::Contract {
            file: file.into(),
            place: self.place,
            what: self.what,
            mend: self.mend,
        }
    }
}
