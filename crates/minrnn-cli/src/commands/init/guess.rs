//! What a CSV is taken for.

use minrnn_train::data::CsvFormat;

/// What a file is taken for.
pub(super) struct Guess {
    pub(super) id: String,
    pub(super) features: Vec<String>,
    pub(super) targets: Vec<String>,
    pub(super) ignored: Vec<String>,
    pub(super) classes: bool,
    pub(super) per_step: bool,
    pub(super) sequences: usize,
    pub(super) longest: usize,
    /// The clock whose order the rows are in.
    pub(super) time: Option<String>,
    pub(super) format: CsvFormat,
    /// Which columns are left out, and why, where that is not plain.
    pub(super) notes: Vec<String>,
    /// Whether a file was looked at, and whether it has more rows than that.
    pub(super) seen: bool,
    pub(super) cut: bool,
}
