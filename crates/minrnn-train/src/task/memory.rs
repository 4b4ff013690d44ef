//! How much memory the data of a task takes, before it is read.

use std::path::Path;

use super::disk::least;
use super::sequences::read::array_files;
use super::{SequencesOptions, TaskConfig};
#[cfg(feature = "parquet")]
use crate::data::parquet_rows;
use crate::data::{LabelScope, count_rows, rows_on_disk, unpacked};
use crate::error::{Result, TrainError};

impl TaskConfig {
    /// The least that reading the files of the task takes, bytes: arrays and texts are there twice, as they are in the file and as
    /// numbers; rows of a CSV, and of arrays on disk, are read one by one. 0 for what is not known before.
    ///
    /// # Errors
    /// [`TrainError::Io`] for a file that cannot be read.
    pub fn reading(&self) -> Result<u64> {
        let kept = self.kept()?;
        let by_rows = matches!(self, Self::Sequences(o) if o.from_disk || ["csv", "parquet"].contains(&&*ending(&o.path)));
        Ok(if by_rows {
            kept
        } else {
            kept.saturating_mul(2)
        })
    }

    /// The least that is there as long as the task is, bytes.
    ///
    /// # Errors
    /// As [`TaskConfig::reading`].
    pub(crate) fn kept(&self) -> Result<u64> {
        match self {
            Self::SelectiveCopying(_) | Self::FormalLanguage(_) => Ok(0),
            Self::Text(options) if options.from_disk => Ok(least(size(&options.path)?)),
            Self::Text(options) => size(&options.path),
            Self::Sequences(options) if options.from_disk => {
                let rows = rows_on_disk(&array_files(options)).unwrap_or(0);
                Ok(least_of_arrays(rows as u64))
            }
            Self::Sequences(options) => match ending(&options.path).as_str() {
                "npz" | "safetensors" => unpacked(&options.path, &options.ignore_arrays),
                "npy" => arrays(options),
                "csv" => numbers(options, count_rows(&options.path, options.format())?),
                #[cfg(feature = "parquet")]
                "parquet" => numbers(options, parquet_rows(&options.path)?),
                _ => Ok(0),
            },
        }
    }

    /// The most that the numbers of a CSV take, bytes: each has a character of its own and one behind it. What needs no counting of rows
    /// is known without going through the file.
    fn most(&self) -> Result<Option<u64>> {
        match self {
            Self::Sequences(o) if ending(&o.path) == "csv" && o.path.is_file() => {
                Ok(Some(size(&o.path)?.div_ceil(2).saturating_mul(4)))
            }
            _ => Ok(None),
        }
    }

    /// Refuses files whose reading takes more than `memory` bytes.
    pub(super) fn check_reading(&self, memory: Option<u64>) -> Result<()> {
        let Some(limit) = memory else {
            return Ok(());
        };
        if self.most()?.is_some_and(|most| most <= limit) {
            return Ok(());
        }
        let needed = self.reading()?;
        if needed <= limit {
            return Ok(());
        }
        let path = match self {
            Self::Text(options) => &options.path,
            Self::Sequences(options) => &options.path,
            Self::SelectiveCopying(_) | Self::FormalLanguage(_) => return Ok(()),
        };
        let message = format!(
            "its data need at least {} of memory, and {} are available",
            crate::memory::bytes(needed),
            crate::memory::bytes(limit)
        );
        Err(TrainError::data(path, "", message))
    }
}

/// The least that arrays on disk with so many sequences take: lengths, the parts that they are in, an order, and pieces on the way.
fn least_of_arrays(rows: u64) -> u64 {
    rows.saturating_mul(32).saturating_add(8 << 20)
}

/// Bytes of a file for each array.
fn arrays(options: &SequencesOptions) -> Result<u64> {
    let others = options.labels_path.iter().chain(&options.lengths_path);
    let mut bytes = size(&options.path)?;
    for path in others {
        bytes = bytes.saturating_add(size(path)?);
    }
    Ok(bytes)
}

/// Bytes of the numbers in so many rows of a table, 4 each.
fn numbers(options: &SequencesOptions, rows: u64) -> Result<u64> {
    let labels = match options.per {
        LabelScope::Step => options.target_columns.len(),
        LabelScope::Sequence => 0,
    };
    let columns = (options.feature_columns.len() + labels) as u64;
    Ok(rows.saturating_mul(4).saturating_mul(columns))
}

/// Bytes of a plain file; of others nothing is known.
fn size(path: &Path) -> Result<u64> {
    let about = std::fs::metadata(path).map_err(TrainError::io("read", path))?;
    Ok(about.len())
}

fn ending(path: &Path) -> String {
    let ending = path.extension().and_then(|e| e.to_str());
    ending.unwrap_or_default().to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    /// The numbers of a CSV, never more than there are.
    #[test]
    fn rows_of_a_csv_are_counted_before_they_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("rows.csv");
        let task = |per: &str| -> TaskConfig {
            let text = format!(
                "kind = 'sequences'\npath = '{}'\nid_column = 'id'\nfeature_columns = ['a', 'b', 'c']\ntarget_columns = ['y']\n\
                 ignore_columns = ['*']\ntarget = 'values'\nper = '{per}'",
                path.display()
            );
            toml::from_str(&text).unwrap()
        };
        let long = "said \"\"twice\"\", in one line";
        for (end, last, note) in [
            ("\n", "\n", "-"),
            ("\r\n", "", "-"),
            ("\r", "", "-"),
            ("\n\n", "", long),
        ] {
            let mut text = format!("id,a,b,c,y,\"{}\"{end}", "a long name ".repeat(20));
            let rows: Vec<String> = (0..1000)
                .map(|i| format!("{},{i},0.5,-1e-3,{},\"{note}\"", i / 10, 1000 + i / 10))
                .collect();
            text += &rows.join(end);
            std::fs::write(&path, text + last).unwrap();
            for (per, columns) in [("step", 4), ("sequence", 3)] {
                let (kept, wanted) = (task(per).kept().unwrap(), 4 * 1000 * columns);
                assert_eq!(kept, wanted, "{end:?}");
                assert_eq!(task(per).reading().unwrap(), kept);
            }
            let task = task("sequence");
            let error = task.open_within(0, Some(2000)).unwrap_err().to_string();
            let wanted = "rows.csv: its data need at least ";
            assert!(
                error.contains(wanted) && error.ends_with(" and 2.0 kB are available"),
                "{error}"
            );
            assert!(task.open_within(0, Some(4 * 3000)).is_ok());
        }
        // Rows that grow behind the beginning: as many as there are, however long.
        let rows = |count: usize, note: &str| -> String {
            (0..count)
                .map(|i| format!("{i},1,2,3,4,{note}\n"))
                .collect()
        };
        let text = format!(
            "id,a,b,c,y,note\n{}{}",
            rows(100_000, ""),
            rows(1000, &"x".repeat(2000))
        );
        std::fs::write(&path, text).unwrap();
        assert_eq!(task("step").kept().unwrap(), 4 * 4 * 101_000);
        std::fs::write(&path, "id,a,b,c,y").unwrap();
        assert_eq!(task("step").reading().unwrap(), 0);
        std::fs::write(&path, "").unwrap();
        assert_eq!(task("step").reading().unwrap(), 0);
    }

    /// Files without an end of a row, of more bytes than any disk here has.
    #[test]
    fn a_row_without_end_is_refused_before_it_is_in_memory() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("rows.csv");
        let text = format!(
            "kind = 'sequences'\npath = '{}'\nid_column = 'id'\nfeature_columns = ['a']\ntarget_columns = ['y']\ntarget = 'values'\nper = 'step'",
            path.display()
        );
        let task: TaskConfig = toml::from_str(&text).unwrap();
        for (begin, row) in [
            ("", 1),
            ("id,a,y\n", 2),
            ("id,a,y\nn,1,2\nn,3,4\nn,\"5", 4),
            ("id,a,y\r\n\r\nn,1,2\r\n\"n", 4),
        ] {
            let mut file = std::fs::File::create(&path).unwrap();
            file.write_all(begin.as_bytes()).unwrap();
            // A hole, which takes no place on a disk.
            file.set_len(20 << 30).unwrap();
            let wanted = format!("rows.csv, row {row}: is longer than 16 MiB");
            for memory in [None, Some(1 << 30), Some(1 << 50)] {
                let error = task.open_within(0, memory).unwrap_err().to_string();
                assert!(error.contains(&wanted), "{error}");
                assert!(error.contains("a quote is not closed"), "{error}");
            }
        }
    }

    /// An archive of a megabyte's worth of zeros, in a kilobyte.
    #[test]
    fn an_archive_is_measured_unpacked_and_before_it_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("zeros.npz");
        let mut archive = zip::ZipWriter::new(std::fs::File::create(&path).unwrap());
        let options = zip::write::SimpleFileOptions::default();
        let arrays = [
            ("x", "(1000, 250)", 1_000_000),
            ("y", "(1000,)", 4000),
            // Nothing reads it.
            ("more", "(1000, 500)", 2_000_000),
        ];
        for (name, shape, size) in arrays {
            archive.start_file(format!("{name}.npy"), options).unwrap();
            let header = format!("{{'descr': '<i4', 'fortran_order': False, 'shape': {shape}, }}");
            archive.write_all(b"\x93NUMPY\x01\x00").unwrap();
            archive
                .write_all(&(header.len() as u16).to_le_bytes())
                .unwrap();
            archive.write_all(header.as_bytes()).unwrap();
            archive.write_all(&vec![0; size]).unwrap();
        }
        archive.finish().unwrap();
        assert!(size(&path).unwrap() < 7000);
        let text = format!(
            "kind = 'sequences'\npath = '{}'\ntarget = 'classes'\nper = 'sequence'\nclasses = 2\nignore_arrays = ['more']",
            path.display()
        );
        let config: TaskConfig = toml::from_str(&text).unwrap();
        let needed = config.reading().unwrap();
        assert!((2_008_000..2_009_000).contains(&needed), "{needed}");
        let error = config
            .open_within(0, Some(2_000_000))
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("zeros.npz: its data need at least 2.0 MB of memory, and 2.0 MB are"),
            "{error}"
        );
        assert!(config.open_within(0, Some(needed)).is_ok());
        let text = toml::from_str::<TaskConfig>("kind = 'text'\npath = '/nowhere'\nseq_len = 2");
        assert!(
            text.unwrap()
                .open_within(0, Some(1))
                .unwrap_err()
                .to_string()
                .contains("/nowhere")
        );
    }
}
