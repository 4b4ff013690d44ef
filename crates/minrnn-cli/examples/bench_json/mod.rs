//! What `minrnn bench scan --json` writes, read back by the examples beside it.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value as Json;

/// The schema of [`Scan`].
pub(crate) const SCAN: &str = "minrnn.bench.scan/1";

/// Kernels of the recurrences on one GPU.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Scan {
    /// The GPU's name.
    pub(crate) device: String,
    /// A copy of 1 GiB, bytes read and written, GB/s.
    pub(crate) copy_gbps: f64,
    /// One for each kernel, shape and type.
    pub(crate) rows: Vec<Kernel>,
}

/// One kernel at one shape.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Kernel {
    /// `min_gru`, `min_lstm` or `linear_scan`.
    pub(crate) op: String,
    /// `shipped`, or `simple`: one thread a channel.
    pub(crate) rung: String,
    /// `forward` or `backward`.
    pub(crate) pass: String,
    /// B, T, D.
    pub(crate) shape: [usize; 3],
    /// `f32`, `bf16` or `f16`.
    pub(crate) dtype: String,
    /// Median, milliseconds.
    pub(crate) ms: f64,
    /// Bytes that must move, over the time.
    pub(crate) gbps: f64,
    /// Time of a copy of as many bytes over the kernel's time.
    pub(crate) copy_fraction: f64,
}

/// A file of one schema.
///
/// # Errors
/// A file that cannot be read, is no JSON, or has another schema or other fields.
pub(crate) fn read<T: DeserializeOwned>(path: &Path, schema: &str) -> Result<T> {
    let text = fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    parse(&text, schema).with_context(|| format!("in {}", path.display()))
}

/// A text of one schema.
///
/// # Errors
/// As [`read`].
pub(crate) fn parse<T: DeserializeOwned>(text: &str, schema: &str) -> Result<T> {
    let json: Json = serde_json::from_str(text).context("this is not JSON")?;
    match json.get("schema").and_then(Json::as_str) {
        Some(found) if found == schema => {}
        Some(found) => bail!("the schema is {found:?}, not {schema:?}"),
        None => bail!("there is no `schema`; {schema:?} is what `minrnn bench --json` writes"),
    }
    serde_json::from_value(json).with_context(|| format!("not as {schema} has it"))
}

impl Scan {
    /// A file of `minrnn bench scan`, with numbers that can be drawn and compared.
    ///
    /// # Errors
    /// As [`read`]; no rows; figures that are not positive.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let scan: Self = read(path, SCAN)?;
        scan.check()
            .with_context(|| format!("in {}", path.display()))?;
        Ok(scan)
    }

    /// Whether every figure is one.
    ///
    /// # Errors
    /// No rows; figures that are not positive.
    pub(crate) fn check(&self) -> Result<()> {
        let positive = |x: f64| x.is_finite() && x > 0.0;
        ensure!(positive(self.copy_gbps), "copy_gbps is {}", self.copy_gbps);
        ensure!(!self.rows.is_empty(), "there are no rows");
        for row in &self.rows {
            ensure!(
                [row.ms, row.gbps, row.copy_fraction]
                    .into_iter()
                    .all(positive)
                    && !row.shape.contains(&0),
                "{row:?}: figures are positive"
            );
        }
        Ok(())
    }
}
