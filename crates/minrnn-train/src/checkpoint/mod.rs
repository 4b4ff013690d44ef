//! A checkpoint is a folder:
//!
//! | file | content |
//! |---|---|
//! | `config.json` | what the model was made from |
//! | `model.safetensors` | parameters and buffers, float32, in order of name; in the metadata the sha256 of `tokenizer.json`, where there is one |
//! | `optimizer.safetensors` | what its rule remembers, of AdamW the moments `first.<name>`, `second.<name>`, of Muon `momentum.<name>`, and the step count in the metadata; may be absent |
//! | `trainer_state.json` | [`TrainerState`]; may be absent |
//! | `states.safetensors` | states that a training carries from step to step, by their names; may be absent |
//! | `training.safetensors` | the weights that the optimizer goes on with, where those of `model.safetensors` are their average; may be absent |
//! | `vocabulary.json` | the list of tokens, or the word `bytes`; may be absent |
//! | `tokenizer.json` | in its place, where tokens are pieces of words: the tokenizer's file, byte for byte |
//!
//! The same content gives the same bytes. The folder is replaced as a whole ([`replace`] says how), so that a crash at
//! any moment leaves the old or the new one.

mod files;
mod load;
mod parts;
mod replace;
mod siblings;
mod tensor;
mod tensors;
mod trainer;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

pub(crate) use load::params_of;
pub use load::{load_model, model_config, take_model};
use minrnn_model::vocabulary::Vocabulary;
pub use tensor::TensorData;
pub use trainer::{BestMetric, ScaleState, StreamPlace, TrainerState};

use crate::error::{CheckpointProblem, Result, TrainError};
use crate::optim::OptimizerState;

/// The content of a checkpoint.
#[derive(Debug, Clone, PartialEq)]
pub struct Checkpoint {
    /// What the model was made from.
    pub config: serde_json::Value,
    /// Parameters and buffers by name.
    pub params: BTreeMap<String, TensorData>,
    /// State of the optimizer, to go on training.
    pub optimizer: Option<OptimizerState>,
    /// State of the loop, to go on training.
    pub trainer: Option<TrainerState>,
    /// Parameters that the optimizer goes on with, where [`Checkpoint::params`] are their average.
    pub raw: Option<BTreeMap<String, TensorData>>,
    /// States that the next step begins with, `[B, ..]` by name, where a training carries them.
    pub states: Option<BTreeMap<String, TensorData>>,
    /// Tokens of a text model, by number.
    pub vocabulary: Option<Vocabulary>,
}

impl Checkpoint {
    /// Writes the folder `path`, replacing a checkpoint that is there. Readers may read meanwhile; a second writer may not,
    /// and to keep it away is the caller's part.
    ///
    /// # Errors
    /// [`TrainError::Checkpoint`] if a weight is not finite, if states contradict each other, or for what
    /// [`Checkpoint::check_place`] refuses (files of others in a checkpoint move along); [`TrainError::Tensor`] if shape and data of a tensor disagree; [`TrainError::Io`].
    pub fn save(&self, path: &Path) -> Result<()> {
        let files = files::encode(self, path)?;
        replace::replace(path, &files, &mut |_| Ok(()))
    }

    /// Whether [`Checkpoint::save`] would find its place at `path` free, to be asked before hours of work.
    ///
    /// # Errors
    /// [`TrainError::Checkpoint`] if a link, a file or a folder of others has its name or that of a folder beside it
    /// through which a save goes; [`TrainError::Io`].
    pub fn check_place(path: &Path) -> Result<()> {
        replace::check_replaceable(path)
    }

    /// Reads the folder `path`; where a crash left only the finished new folder beside it, reads that. A training may
    /// replace the folder meanwhile: what is given is one whole checkpoint, the old or the new one.
    ///
    /// # Errors
    /// [`TrainError::Checkpoint`] naming the file, the tensor or the line; [`TrainError::Io`].
    pub fn load(path: &Path) -> Result<Self> {
        replace::read_whole(path, |folder| files::decode(folder, true))
    }

    /// Whether [`Checkpoint::load`] finds a folder to read for `path`, in its place or just beside.
    pub fn is_there(path: &Path) -> bool {
        replace::is_there(path)
    }

    /// The same without what only training needs: the optimizer is `None`, and so is a trainer state that is no good.
    ///
    /// # Errors
    /// As [`Checkpoint::load`].
    pub fn load_weights(path: &Path) -> Result<Self> {
        replace::read_whole(path, |folder| files::decode(folder, false))
    }

    /// Whether [`Checkpoint::raw`] is there, which is not read with the weights alone.
    ///
    /// # Errors
    /// As [`Checkpoint::load`].
    pub fn has_raw(path: &Path) -> Result<bool> {
        replace::read_whole(path, |folder| Ok(folder.join(files::RAW).is_file()))
    }

    /// Whether the parameters are those of a model: every name there, no other, the same shapes. `path` is for messages.
    ///
    /// # Errors
    /// [`TrainError::Checkpoint`] listing all missing or all extra tensors, or with both shapes of the first that differs.
    pub fn check_against<S: AsRef<str>>(
        &self,
        path: &Path,
        wanted: &[(S, Vec<usize>)],
    ) -> Result<()> {
        let problem = |problem| Err(TrainError::checkpoint(path, problem));
        let names: BTreeSet<&str> = wanted.iter().map(|(name, _)| name.as_ref()).collect();
        let missing: Vec<String> = names
            .iter()
            .filter(|n| !self.params.contains_key(**n))
            .map(|n| (*n).to_owned())
            .collect();
        if !missing.is_empty() {
            return problem(CheckpointProblem::MissingTensors { names: missing });
        }
        let extra: Vec<String> = self
            .params
            .keys()
            .filter(|n| !names.contains(n.as_str()))
            .cloned()
            .collect();
        if !extra.is_empty() {
            return problem(CheckpointProblem::ExtraTensors { names: extra });
        }
        for (name, shape) in wanted {
            let found = &self.params[name.as_ref()].shape;
            if found != shape {
                let (tensor, found, wanted) =
                    (name.as_ref().to_owned(), found.clone(), shape.clone());
                return problem(CheckpointProblem::WrongShape {
                    tensor,
                    found,
                    wanted,
                });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
