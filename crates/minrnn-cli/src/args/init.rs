//! `minrnn init`.

use std::path::PathBuf;

use clap::ValueEnum;
use minrnn_train::data::Delimiter;

use super::numbers::delimiter;

/// Print a training configuration that fits a file, with a comment for each key.
///
/// It looks at sizes, columns or arrays, classes or values and lengths, and opens the file as a training would; what it chose stands in the comments, and is a beginning: change it.
/// `minrnn init csv pump.csv > train.toml`, then `minrnn train train.toml`. Without FILE: an example, for a file that is named in it.
#[derive(Debug, clap::Args)]
pub(crate) struct Init {
    /// What the model learns from
    #[arg(value_name = "KIND")]
    pub(crate) kind: InitKind,
    /// The file
    #[arg(value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// Of a CSV file: the column that tells which sequence a row belongs to [default: guessed]
    #[arg(long, value_name = "NAME", requires = "file")]
    pub(crate) id_column: Option<String>,
    /// Of a CSV file: the column that is to be predicted; may be repeated [default: guessed]
    #[arg(long, value_name = "NAME", requires = "file")]
    pub(crate) target_column: Vec<String>,
    /// Of a CSV file: what stands between the cells of a row: , ; | or tab [default: guessed]
    #[arg(long, value_name = "CHAR", requires = "file", value_parser = delimiter)]
    pub(crate) delimiter: Option<Delimiter>,
    /// Of a CSV file: whether its first row names the columns [default: guessed]
    #[arg(long, value_name = "true|false", requires = "file")]
    pub(crate) header: Option<bool>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum InitKind {
    /// A text, of which the next character is predicted
    Text,
    /// Sequences with labels, a row a step
    Csv,
    /// Sequences with labels as NumPy arrays, or as tensors of a .safetensors file
    Npz,
}
