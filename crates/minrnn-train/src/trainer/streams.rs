//! Streams side by side, whose states a training carries from step to step.

use std::collections::BTreeMap;
use std::path::Path;

use super::carried::{named, ordered};
use super::config::TrainOptions;
use super::{Trainer, TrainerState};
use crate::checkpoint::{Checkpoint, StreamPlace, TensorData};
use crate::error::{CheckpointProblem, Result, TrainError};
use crate::tape::Carry;
use crate::task::{Batch, Piece, Split, Task};

/// Where a new run begins, if it carries states.
pub(super) fn first(options: &TrainOptions, task: &dyn Task) -> Result<Option<StreamPlace>> {
    if !options.carry_state {
        return Ok(None);
    }
    Ok(Some(StreamPlace {
        pass: 0,
        at: 0,
        streams: options.batch,
        steps: task.longest()?,
    }))
}

/// The begin of the pass after that of a place.
pub(super) fn next_pass(place: StreamPlace) -> StreamPlace {
    StreamPlace {
        pass: place.pass + 1,
        at: 0,
        ..place
    }
}

impl Trainer {
    /// The batch of the next step, and where its states begin: the samples from `first` on, or the next piece of each stream.
    pub(super) fn next_batch(
        &mut self,
        first: u64,
        place: &mut Option<StreamPlace>,
    ) -> Result<Batch> {
        let Some(place) = place else {
            return (self.task).batch(Split::Train, first, self.config.train.batch);
        };
        let StreamPlace {
            pass, at, streams, ..
        } = *place;
        let piece = Piece { pass, at, streams };
        self.backend.carry(match self.task.begins(piece) {
            true => Carry::Begin,
            false => Carry::On,
        });
        let batch = self.task.pieces(piece)?;
        place.at += 1;
        if Some(place.at) == self.task.pass(streams) {
            *place = next_pass(*place);
        }
        Ok(batch)
    }

    /// The states that the next step goes on from, by name; `None` where it begins anew.
    pub(super) fn carried(&self) -> Result<Option<BTreeMap<String, TensorData>>> {
        match self.state.streams {
            Some(StreamPlace { at: 1.., .. }) => {
                Ok(Some(named(self.model.graph(), self.backend.states()?)))
            }
            _ => Ok(None),
        }
    }

    /// Goes on in the streams of a checkpoint, or begins their next pass where batch, window or data are others now. What is to be
    /// known about it is given back.
    pub(super) fn resume_streams(
        &mut self,
        checkpoint: &Checkpoint,
        old: &TrainerState,
        same_data: bool,
        path: &Path,
    ) -> Result<Option<String>> {
        let (Some(old), Some(new)) = (old.streams, self.state.streams) else {
            return Ok(None);
        };
        if !same_data || (old.streams, old.steps) != (new.streams, new.steps) {
            self.state.streams = Some(StreamPlace {
                pass: old.pass + 1,
                ..new
            });
            return Ok((old.at > 0).then(|| {
                "batch, window or data are others, so that the states of the checkpoint are carried no further: a new pass over the streams begins".into()
            }));
        }
        self.state.streams = Some(old);
        if old.at == 0 {
            return Ok(None);
        }
        let missing = || {
            let file = "states.safetensors".to_owned();
            TrainError::checkpoint(path, CheckpointProblem::MissingFile { file })
        };
        let found = checkpoint.states.as_ref().ok_or_else(missing)?;
        let states = ordered(self.model.graph(), found, old.streams, path)?;
        self.backend.set_states(&states)?;
        Ok(None)
    }
}
