//! The options of the task.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::data::{CsvFormat, Delimiter, LabelKind, LabelScope};

/// Options of [`Sequences`](super::Sequences).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SequencesOptions {
    /// `.npz` or `.safetensors` with `x`/`features`, `y`/`labels`/`targets` and optionally `lengths`/`lens`; `.npy` of the features; or `.csv`, or with
    /// the feature `parquet` of this crate `.parquet`.
    pub path: PathBuf,
    /// With `.npy`: the file of the labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels_path: Option<PathBuf>,
    /// With `.npy`: the file of the lengths.
    #[serde(default, alias = "lens_path", skip_serializing_if = "Option::is_none")]
    pub lengths_path: Option<PathBuf>,
    /// With `.npz` and `.safetensors`: arrays that nothing uses; `*` stands for all others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ignore_arrays: Vec<String>,
    /// With `.csv`: the column that tells which sequence a row belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id_column: Option<String>,
    /// With `.csv`: the columns of the features.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub feature_columns: Vec<String>,
    /// With `.csv`: the column of the label, or the columns of the real targets.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub target_columns: Vec<String>,
    /// With `.csv`: the column that says when a row was. It is no feature: rows of a sequence are held to its order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_column: Option<String>,
    /// With `.csv`: columns that nothing uses; `*` stands for all others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ignore_columns: Vec<String>,
    /// With `.csv`: what stands between the cells of a row; by default a comma.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delimiter: Option<Delimiter>,
    /// With `.csv`: whether the first row names the columns; by default it does, else they are called 1, 2, 3, ..
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<bool>,
    /// With arrays: whether only the rows of a batch are read, in the place of the whole files before.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub from_disk: bool,
    /// With states that are carried on: T, steps of a piece of a sequence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seq_len: Option<usize>,
    /// Whether labels are classes or real numbers.
    pub target: LabelKind,
    /// Whether there is a label for each step or for each sequence.
    pub per: LabelScope,
    /// Number of classes; by default the largest label in the file plus one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub classes: Option<usize>,
    /// Names of the classes in the order of their numbers; by default the labels themselves, sorted, if they are texts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub class_names: Vec<String>,
    /// Whether `class_names` are what labels were called before: then a number is no place among names that are not of digits.
    #[serde(skip)]
    pub(crate) labels_were_names: bool,
    /// Of real targets: whether the model computes in units of their standard deviation from their mean, and its last operation leads
    /// back to those of the data. By default it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub normalize_targets: Option<bool>,
    /// The part of the sequences that is kept for validation.
    #[serde(default = "tenth")]
    pub validation_fraction: f64,
    /// The part of the sequences that is kept for the final test.
    #[serde(default)]
    pub test_fraction: f64,
    /// Decides which sequences go into which part; apart from the training seed, so that runs stay comparable.
    #[serde(default)]
    pub split_seed: u64,
    /// All sequences are the test part, and the training part too.
    #[serde(skip)]
    pub(crate) whole: bool,
}

impl SequencesOptions {
    /// How its CSV file is written.
    pub fn format(&self) -> CsvFormat {
        CsvFormat {
            delimiter: self.delimiter.unwrap_or_default(),
            header: self.header.unwrap_or(true),
        }
    }
}

fn tenth() -> f64 {
    0.1
}
