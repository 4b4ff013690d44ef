//! An exported file, checked and ready to run.

mod open;
#[cfg(feature = "tract")]
mod portable;
mod run;

use std::sync::Arc;

#[cfg(feature = "tract")]
use self::portable::Portable;
use crate::error::Error;
use crate::exact::Exact;
use crate::info::{Dtype, Info, InputSpec};
use crate::limits::Limits;
use crate::options::Execution;
use crate::state::Layout;

/// One exported file. Immutable for its users: any number of threads may run it at once.
pub struct Model {
    info: Info,
    layout: Arc<Layout>,
    file: String,
    limits: Limits,
    runner: Runner,
}

/// Who runs the file.
enum Runner {
    Exact(Box<Exact>),
    #[cfg(feature = "tract")]
    Portable(Box<Portable>),
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Model")
            .field("file", &self.file)
            .field("info", &self.info)
            .finish_non_exhaustive()
    }
}

impl Model {
    /// What the file says about itself, checked.
    pub fn info(&self) -> &Info {
        &self.info
    }

    /// The path given to [`Model::open`] or [`Model::from_bytes_of`], or `<bytes>`.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// How the file is run.
    pub fn execution(&self) -> Execution {
        match &self.runner {
            Runner::Exact(_) => Execution::Exact,
            #[cfg(feature = "tract")]
            Runner::Portable(portable) => portable.execution(),
        }
    }

    /// Why the file is run portably although exact execution was asked for: the first tensor that the executor does not
    /// know, and what is unusual about it. Without the feature `tract` such a file is not opened.
    pub fn not_exact_because(&self) -> Option<&str> {
        match &self.runner {
            Runner::Exact(_) => None,
            #[cfg(feature = "tract")]
            Runner::Portable(portable) => portable.why(),
        }
    }

    /// What computes: `"avx512"`, `"avx2"` or `"scalar"` of this crate's kernels, or `"tract"`.
    pub fn kernels(&self) -> &'static str {
        match &self.runner {
            Runner::Exact(exact) => exact.cpu().name(),
            #[cfg(feature = "tract")]
            Runner::Portable(_) => "tract",
        }
    }

    /// How many plans are kept now; none in exact execution, which needs none.
    pub fn plans(&self) -> usize {
        match &self.runner {
            Runner::Exact(_) => 0,
            #[cfg(feature = "tract")]
            Runner::Portable(portable) => portable.plans(),
        }
    }

    pub(crate) fn layout(&self) -> &Arc<Layout> {
        &self.layout
    }

    /// The executor, if that runs the file.
    pub(crate) fn exact(&self) -> Option<&Exact> {
        match &self.runner {
            Runner::Exact(exact) => Some(exact),
            #[cfg(feature = "tract")]
            Runner::Portable(_) => None,
        }
    }

    /// Of a state, or of the output `name`, that is no number in `row`, at `step` where there are several.
    pub(crate) fn overflowed(&self, name: &str, row: usize, step: Option<usize>) -> Error {
        let step = step.map_or(String::new(), |t| format!(", step {t}"));
        Error::Run {
            file: self.file.clone(),
            what: format!("`{name}` is not finite in row {row}{step} (counted from 0)"),
            source: self.overflow().into(),
        }
    }

    /// Why a number of this file may be none, and what mends it.
    pub(crate) fn overflow(&self) -> String {
        let of = match self.info.input {
            InputSpec::Features { .. } => "features, states or weights of this size",
            InputSpec::Tokens { .. } => "states or weights of this size",
        };
        let units = match self.info.input {
            InputSpec::Features { .. } => "normalise the units of the features",
            InputSpec::Tokens { .. } => "take a checkpoint from before the training diverged",
        };
        let wider = match self.info.dtype {
            Dtype::F32 => "",
            _ => ", or export as f32 or bf16",
        };
        let dtype = self.info.dtype.as_str();
        format!("{of} overflow in the types of this file ({dtype}): {units}{wider}")
    }

    #[cfg(feature = "tract")]
    fn broken(&self, name: &str, what: String) -> Error {
        Error::Run {
            file: self.file.clone(),
            what: format!("{name} is not what the file declares"),
            source: what.into(),
        }
    }
}
