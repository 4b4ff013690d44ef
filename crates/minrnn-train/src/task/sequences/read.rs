//! The files of sequences.

use std::io::Read;
use std::path::Path;

use super::SequencesOptions;
use super::source::Source;
#[cfg(feature = "parquet")]
use crate::data::read_parquet;
use crate::data::{
    ArrayFiles, CsvColumns, CsvFormat, Delimiter, DiskSet, LabelKind, NAMED_ARRAYS, read_arrays,
    read_csv,
};
use crate::error::{Result, TrainError};

/// Reads the files in the format that the ending of the path says.
pub(super) fn read(options: &SequencesOptions) -> Result<Source> {
    let ending = options
        .path
        .extension()
        .and_then(|e| e.to_str())
        .unwrap_or_default()
        .to_ascii_lowercase();
    if ending == "parquet" && !cfg!(feature = "parquet") {
        let message = "ends in '.parquet', which this program was built without: build it with --features parquet, or give the table as .csv";
        return Err(TrainError::config("path", message));
    }
    if !["npy", "npz", "safetensors", "csv", "parquet"].contains(&ending.as_str()) {
        let message = match ending.as_str() {
            "" => "has no ending, expected .npy, .npz, .safetensors, .csv or .parquet".to_owned(),
            other => {
                format!("ends in '.{other}', expected .npy, .npz, .safetensors, .csv or .parquet")
            }
        };
        return Err(TrainError::config("path", message));
    }
    refuse_unused(options, &ending)?;
    match ending.as_str() {
        "csv" | "parquet" => {
            let Some(id) = options.id_column.clone() else {
                return Err(TrainError::config(
                    "id_column",
                    "is missing: which column tells the sequences apart?",
                ));
            };
            let columns = CsvColumns {
                id,
                features: options.feature_columns.clone(),
                labels: options.target_columns.clone(),
                time: options.time_column.clone(),
                ignored: options.ignore_columns.clone(),
                format: options.format(),
            };
            let (target, per) = (options.target, options.per);
            #[cfg(feature = "parquet")]
            if ending == "parquet" {
                return read_parquet(&options.path, &columns, target, per).map(Source::Memory);
            }
            check_separator(&options.path, options.format())?;
            read_csv(&options.path, &columns, target, per).map(Source::Memory)
        }
        _ => {
            let (files, target, per) = (array_files(options), options.target, options.per);
            match options.from_disk {
                true => DiskSet::open(&files, target, per).map(|set| Source::Disk(Box::new(set))),
                false => read_arrays(&files, target, per).map(Source::Memory),
            }
        }
    }
}

/// Where the arrays of a task are.
pub(in crate::task) fn array_files(options: &SequencesOptions) -> ArrayFiles {
    ArrayFiles {
        features: options.path.clone(),
        labels: options.labels_path.clone(),
        lengths: options.lengths_path.clone(),
        ignored: options.ignore_arrays.clone(),
    }
}

/// Says what is wrong with a first line that cannot name columns. What is no plain file cannot be read twice.
fn check_separator(path: &Path, format: CsvFormat) -> Result<()> {
    let about = std::fs::metadata(path).map_err(TrainError::io("read", path))?;
    if !about.is_file() {
        return Ok(());
    }
    let file = std::fs::File::open(path).map_err(TrainError::io("read", path))?;
    let mut begin = vec![];
    let read = file.take(FIRST).read_to_end(&mut begin);
    read.map_err(TrainError::io("read", path))?;
    let begin = begin.strip_prefix("\u{feff}".as_bytes()).unwrap_or(&begin);
    if begin.iter().all(u8::is_ascii_whitespace) && (begin.len() as u64) < FIRST {
        let message = match format.header {
            true => "is empty; its first row names the columns",
            false => "is empty",
        };
        return Err(TrainError::data(path, "", message));
    }
    let mut lines = begin.split(|b| *b == b'\n' || *b == b'\r');
    let first = lines.find(|line| !line.is_empty()).unwrap_or_default();
    let found = Delimiter::of(begin);
    match found.filter(|_| !first.contains(&format.delimiter.byte())) {
        Some(found) => {
            let message = format!(
                "its columns seem to be separated by \"{}\", not by \"{}\"; say it by task.delimiter = \"{}\"",
                found.written(),
                format.delimiter.written(),
                found.written()
            );
            Err(TrainError::data(path, "row 1", message))
        }
        None => Ok(()),
    }
}

/// Bytes of a CSV file that are looked at for its separator.
const FIRST: u64 = 1 << 16;

/// An option that the format does not use is a misunderstanding.
fn refuse_unused(options: &SequencesOptions, ending: &str) -> Result<()> {
    let (npy, csv) = (ending == "npy", ["csv", "parquet"].contains(&ending));
    let values = options.target == LabelKind::Values;
    let given = [
        ("labels_path", options.labels_path.is_some() && !npy),
        ("lengths_path", options.lengths_path.is_some() && !npy),
        (
            "ignore_arrays",
            !options.ignore_arrays.is_empty() && !NAMED_ARRAYS.contains(&ending),
        ),
        ("from_disk", options.from_disk && csv),
        ("ignore_columns", !options.ignore_columns.is_empty() && !csv),
        ("id_column", options.id_column.is_some() && !csv),
        ("time_column", options.time_column.is_some() && !csv),
        ("delimiter", options.delimiter.is_some() && ending != "csv"),
        ("header", options.header.is_some() && ending != "csv"),
        (
            "feature_columns",
            !options.feature_columns.is_empty() && !csv,
        ),
        ("target_columns", !options.target_columns.is_empty() && !csv),
        ("classes", options.classes.is_some() && values),
        ("class_names", !options.class_names.is_empty() && values),
        (
            "normalize_targets",
            options.normalize_targets.is_some() && !values,
        ),
    ];
    match given.iter().find(|(_, unused)| *unused) {
        Some((field, _)) => Err(TrainError::config(
            *field,
            "is not used with this file and target; remove it",
        )),
        None => Ok(()),
    }
}
