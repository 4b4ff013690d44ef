//! Whether this machine computes what it should: the golden trace of an export, replayed.

mod golden;

use std::path::Path;

use self::golden::{Golden, refuse};
use crate::error::{Error, Result};
use crate::external;
use crate::info::{Dtype, Form};
use crate::kernels::{Cpu, Kernels};
use crate::model::Model;
use crate::options::Execution;

/// The name of the trace in the folder of an export.
const GOLDEN: &str = "golden.safetensors";

/// What [`Model::self_check`] found. [`SelfCheck::holds`] sums it up, `Display` prints all of it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct SelfCheck {
    /// Version of this crate.
    pub version: &'static str,
    /// The file that was run.
    pub file: String,
    /// Its form.
    pub form: Form,
    /// The type of its weights.
    pub dtype: Dtype,
    /// Who computed.
    pub execution: Execution,
    /// With which instructions: see [`Model::kernels`].
    pub kernels: &'static str,
    /// What this machine has of the instructions that kernels are written for.
    pub cpu_features: Vec<&'static str>,
    /// How many values were compared with the trace.
    pub values: usize,
    /// The largest distance from the trace.
    pub worst: f64,
    /// The largest distance as a part of what is allowed: the trace's own bound, but at most 1e-4 of the largest magnitude in
    /// that tensor, and 5e-2 where weights are narrow. Right engines are below 1, mostly far below.
    pub worst_of_allowed: f64,
    /// The tensor in which that was.
    pub worst_in: String,
    /// Values whose bits differ from those of [`Kernels::Scalar`]: none, on a sound machine. `None` in portable execution.
    pub other_bits: Option<usize>,
}

impl SelfCheck {
    /// Whether all values are within their bounds, and all bits those of the scalar kernels.
    pub fn holds(&self) -> bool {
        self.values > 0 && self.worst_of_allowed <= 1.0 && self.other_bits.is_none_or(|n| n == 0)
    }
}

impl std::fmt::Display for SelfCheck {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let verdict = if self.holds() { "holds" } else { "FAILS" };
        let execution = match self.execution {
            Execution::Exact => "exact",
            Execution::Portable => "portable",
            Execution::Referee => "referee",
        };
        writeln!(f, "self check {verdict}: {}", self.file)?;
        writeln!(
            f,
            "  minrnn-runtime {}, {execution} execution, kernels {}, cpu {}",
            self.version,
            self.kernels,
            self.cpu_features.join(" ")
        )?;
        writeln!(
            f,
            "  {} form, weights of {}: {} values, at most {:.1e} from the trace ({:.1e} of what is allowed, in {})",
            self.form.as_str(),
            self.dtype.as_str(),
            self.values,
            self.worst,
            self.worst_of_allowed,
            self.worst_in
        )?;
        match self.other_bits {
            None => write!(f, "  {execution} execution is not held to scalar code"),
            Some(n) => write!(f, "  {n} values with other bits than plain scalar code"),
        }
    }
}

impl Model {
    /// Replays the golden trace that lies beside the file (`golden.safetensors`, from a float64 computation), and in exact
    /// execution also compares the kernels in use with plain scalar code, bit for bit. For the start of a service, or a new
    /// kind of machine.
    ///
    /// # Errors
    /// [`Error::Input`] if the model was not opened from a path; else as [`Model::self_check_with`].
    pub fn self_check(&self) -> Result<SelfCheck> {
        let path = Path::new(self.file());
        if !path.is_file() {
            let mend = "open the model from its folder, or give the trace to `self_check_with`";
            return Err(Error::input("golden", "the model is no file", mend));
        }
        let path = path.with_file_name(GOLDEN);
        let bytes = external::plain(&path);
        self.self_check_with(&bytes.map_err(|source| Error::Read { file: path, source })?)
    }

    /// [`Model::self_check`] with the bytes of the trace.
    ///
    /// # Errors
    /// [`Error::Input`] for a trace that is damaged, of another model, or too short for a file with a fixed batch or T; else as
    /// [`Model::run`].
    pub fn self_check_with(&self, golden: &[u8]) -> Result<SelfCheck> {
        let golden = Golden::read(golden, self)?;
        let mut check = SelfCheck {
            version: env!("CARGO_PKG_VERSION"),
            file: self.file().to_owned(),
            form: self.info().form,
            dtype: self.info().dtype,
            execution: self.execution(),
            kernels: self.kernels(),
            cpu_features: features(),
            values: 0,
            worst: 0.0,
            worst_of_allowed: 0.0,
            worst_in: String::new(),
            other_bits: self.exact().map(|_| 0),
        };
        for prefix in ["initial", "given"] {
            let found = golden.replay(self, prefix, None)?;
            for (name, values) in &found {
                golden.compare(&mut check, self.info(), &format!("{prefix}.{name}"), values)?;
            }
            if let Some(other_bits) = &mut check.other_bits {
                let plain = golden.replay(self, prefix, Cpu::of(Kernels::Scalar))?;
                let pairs = found
                    .iter()
                    .zip(&plain)
                    .flat_map(|(a, b)| a.1.iter().zip(&b.1));
                // The sign of a zero is open, as everywhere.
                *other_bits += pairs.filter(|(a, b)| a != b).count();
            }
        }
        if check.values == 0 {
            let what = "has nothing that this file could be compared with";
            return Err(refuse(what));
        }
        Ok(check)
    }
}

/// The instructions that matter here and that this machine has.
fn features() -> Vec<&'static str> {
    let all = Kernels::ALL.into_iter().skip(1);
    all.filter(|k| k.available()).map(Kernels::as_str).collect()
}
