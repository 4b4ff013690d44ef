//! Reading of data files, and the random numbers and statistics that tasks need. No tensors here.

mod archive;
mod array;
mod bounded;
mod classes;
mod clock;
mod csv_features;
mod csv_format;
mod csv_quotes;
mod csv_records;
mod decimal;
mod moment;
mod npy;
mod npz;
mod npz_stored;
#[cfg(feature = "parquet")]
mod parquet;
mod plain;
mod rng;
mod rows;
mod safetensors;
mod sequences;
mod sequences_arrays;
mod sequences_csv;
mod sequences_disk;
mod sequences_npy;
mod statistics;
mod stored;
mod strangers;
mod tokenizer;
mod vocabulary;
pub(crate) mod zip_directory;

pub use archive::{NAMED_ARRAYS, named_arrays, read_named};
pub use array::{Array, Values};
pub(crate) use bounded::open_data;
pub use bounded::{read_at_most, read_data};
pub use clock::is_time;
pub use csv_features::{csv_columns, csv_rows, read_csv_features};
pub use csv_format::{CsvFormat, Delimiter};
pub use decimal::{whole, written_otherwise};
pub use moment::out_of_order;
pub use npy::read_npy;
pub use npz::{npz_arrays, read_npz, write_npz};
#[cfg(feature = "parquet")]
pub(crate) use parquet::{count_rows as parquet_rows, read_parquet};
pub(crate) use plain::Plain;
pub use rng::SampleRng;
pub use sequences::{Labels, SequenceSet};
pub(crate) use sequences_arrays::unpacked;
pub use sequences_arrays::{ARRAY_NAMES, ArrayFiles};
pub(crate) use sequences_csv::count_rows;
pub use sequences_csv::{CsvColumns, read_csv};
pub(crate) use sequences_disk::{DiskLabels, DiskSet, rows_on_disk};
pub use sequences_npy::{read_arrays, read_named_features};
pub use statistics::{Normalisation, Statistics};
pub(crate) use stored::Ahead;
pub use vocabulary::Vocabulary;

/// What the labels of a sequence file are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LabelKind {
    /// Class numbers 0, 1, 2, ..., or names; numbers that are all padded with zeros to one width (01, 02, 10) are names.
    Classes,
    /// Real numbers.
    Values,
}

/// What a label belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LabelScope {
    /// One label for each step.
    Step,
    /// One label for each sequence.
    Sequence,
}

/// A name that is to be ignored and that is not among `found`, with what there is.
fn absent(found: &[&str], ignored: &[String]) -> Option<String> {
    const SHOWN: usize = 16;
    let name = ignored
        .iter()
        .find(|name| *name != "*" && !found.contains(&name.as_str()))?;
    let more = match found.len().saturating_sub(SHOWN) {
        0 => String::new(),
        n => format!(" and {n} more"),
    };
    let shown: Vec<&str> = found.iter().copied().take(SHOWN).collect();
    Some(format!(
        "has '{name}', which the data do not have; they have {}{more}; remove it, or write it as it is there",
        shown.join(", ")
    ))
}

/// The names among `found` that are neither used nor ignored, in quotes, sorted, at most eight of them. `*` ignores all.
fn unused<'a>(
    found: impl Iterator<Item = &'a str>,
    used: impl Fn(&str) -> bool,
    ignored: &[String],
) -> Option<String> {
    const SHOWN: usize = 8;
    let known = |n: &str| used(n) || ignored.iter().any(|i| i == n || i == "*");
    let mut names: Vec<&str> = found.filter(|n| !known(n)).collect();
    names.sort_unstable();
    let mut list: Vec<String> = names.iter().take(SHOWN).map(|n| format!("'{n}'")).collect();
    if names.len() > SHOWN {
        list.push(format!("{} more", names.len() - SHOWN));
    }
    (!list.is_empty()).then(|| list.join(", "))
}
