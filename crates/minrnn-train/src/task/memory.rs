//! How much memory the data of a task takes, before it is read.

use std::path::Path;

use super::TaskConfig;
use crate::data::unpacked;
use crate::error::{Result, TrainError};

impl TaskConfig {
    /// The least that reading the files of the task takes, bytes: those of the largest arrays twice, as they are in the file
    /// and as numbers. 0 for what is not known before.
    ///
    /// # Errors
    /// [`TrainError::Io`] for a file that cannot be read.
    pub fn reading(&self) -> Result<u64> {
        let bytes = match self {
            Self::SelectiveCopying(_) => 0,
            Self::Text(options) => size(&options.path)?,
            Self::Sequences(options) => match ending(&options.path).as_str() {
                "npz" => unpacked(&options.path)?,
                "npy" => size(&options.path)?,
                _ => 0,
            },
        };
        Ok(bytes.saturating_mul(2))
    }

    /// Refuses files whose reading takes more than `memory` bytes.
    pub(super) fn check_reading(&self, memory: Option<u64>) -> Result<()> {
        let Some(limit) = memory else {
            return Ok(());
        };
        let needed = self.reading()?;
        if needed <= limit {
            return Ok(());
        }
        let path = match self {
            Self::Text(options) => &options.path,
            Self::Sequences(options) => &options.path,
            Self::SelectiveCopying(_) => return Ok(()),
        };
        let message = format!(
            "its data need at least {} of memory, and {} are available",
            crate::error::bytes(needed),
            crate::error::bytes(limit)
        );
        Err(TrainError::data(path, "", message))
    }
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

    /// An archive of a megabyte's worth of zeros, in a kilobyte.
    #[test]
    fn an_archive_is_measured_unpacked_and_before_it_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("zeros.npz");
        let mut archive = zip::ZipWriter::new(std::fs::File::create(&path).unwrap());
        let options = zip::write::SimpleFileOptions::default();
        for (name, shape, size) in [("x", "(1000, 250)", 1_000_000), ("y", "(1000,)", 4000)] {
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
        assert!(size(&path).unwrap() < 5000);
        let text = format!(
            "kind = 'sequences'\npath = '{}'\ntarget = 'classes'\nper = 'sequence'\nclasses = 2",
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
