//! One batch in plain vectors, row-major.

use crate::error::{Result, TrainError};

/// What goes into the model.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// Tokens `[B, T]`.
    Tokens {
        /// Token numbers; 0 behind the end of a sequence.
        ids: Vec<u32>,
    },
    /// Features `[B, T, F]`.
    Features {
        /// Features; 0 behind the end of a sequence.
        values: Vec<f32>,
        /// F.
        width: usize,
    },
}

/// What the model should say. `per_step`: for each step, `[B, T(, C)]`; else for each sequence, `[B(, C)]`.
#[derive(Debug, Clone, PartialEq)]
pub enum Targets {
    /// Class numbers `[B, T]` or `[B]`.
    Classes {
        /// Class numbers; 0 where the weight is 0.
        ids: Vec<u32>,
        /// Whether there is one for each step.
        per_step: bool,
    },
    /// Real numbers `[B, T, C]` or `[B, C]`.
    Values {
        /// Numbers; 0 where the weight is 0.
        values: Vec<f32>,
        /// C.
        width: usize,
        /// Whether there are some for each step.
        per_step: bool,
    },
}

/// A batch of `batch` sequences of `time` steps.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// B, at least 1.
    pub batch: usize,
    /// T, at least 1.
    pub time: usize,
    /// What goes in.
    pub input: Input,
    /// What should come out.
    pub targets: Targets,
    /// Weight of each step in loss and metrics, `[B, T]`; `None`: 1 everywhere. Only with targets for each step.
    pub weights: Option<Vec<f32>>,
    /// Length of each sequence, `[B]`, each 1 to T; `None`: all T.
    pub lens: Option<Vec<u32>>,
    /// Steps before which the state starts anew, `[B, T]`; `None`: nowhere.
    pub reset: Option<Vec<bool>>,
}

impl Batch {
    /// How many targets count: steps with a weight other than 0, or sequences.
    pub fn counted(&self) -> usize {
        match (&self.weights, self.per_step()) {
            (Some(weights), _) => weights.iter().filter(|w| **w != 0.0).count(),
            (None, true) => self.batch * self.time,
            (None, false) => self.batch,
        }
    }

    /// Whether there is a target for each step.
    pub fn per_step(&self) -> bool {
        match self.targets {
            Targets::Classes { per_step, .. } | Targets::Values { per_step, .. } => per_step,
        }
    }

    /// Checks that all sizes agree, for tasks written elsewhere.
    ///
    /// # Errors
    /// [`TrainError::Tensor`] naming the part that does not fit.
    pub fn validate(&self) -> Result<()> {
        let steps = self.batch * self.time;
        let rows = if self.per_step() { steps } else { self.batch };
        let size = |name: &str, found: usize, wanted: usize| {
            if found == wanted {
                Ok(())
            } else {
                Err(TrainError::tensor(
                    name,
                    format!("has {found} values, expected {wanted}"),
                ))
            }
        };
        if steps == 0 {
            return Err(TrainError::tensor(
                "batch",
                format!("is empty: B = {}, T = {}", self.batch, self.time),
            ));
        }
        match &self.input {
            Input::Tokens { ids } => size("input", ids.len(), steps)?,
            Input::Features { values, width } => size("input", values.len(), steps * width)?,
        }
        match &self.targets {
            Targets::Classes { ids, .. } => size("targets", ids.len(), rows)?,
            Targets::Values { values, width, .. } => size("targets", values.len(), rows * width)?,
        }
        if let Some(weights) = &self.weights {
            size(
                "weights",
                weights.len(),
                if self.per_step() { steps } else { 0 },
            )?;
        }
        if let Some(reset) = &self.reset {
            size("reset", reset.len(), steps)?;
        }
        let Some(lens) = &self.lens else {
            return Ok(());
        };
        size("lengths", lens.len(), self.batch)?;
        match lens
            .iter()
            .find(|len| !(1..=self.time).contains(&(**len as usize)))
        {
            Some(len) => Err(TrainError::tensor(
                "lengths",
                format!("has {len}, expected 1 to {}", self.time),
            )),
            None => Ok(()),
        }
    }
}
