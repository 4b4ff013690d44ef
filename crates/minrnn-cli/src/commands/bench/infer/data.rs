//! The inputs of both engines, from one seed.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use minrnn_model::rng::Rng;
use minrnn_runtime::{Info, Input, InputSpec};

use super::case::Case;

/// Inputs of a step file that are there to be fed one after the other.
const POOL: usize = 16;

/// What goes in, and the sizes of a call.
#[derive(Debug)]
pub(super) struct Data {
    /// Token ids `[calls, batch, time]`; empty of a model of features.
    ids: Vec<i64>,
    /// Features `[calls, batch, time, width]`; empty of a model of tokens.
    features: Vec<f32>,
    /// F; 0 of a model of tokens.
    pub(super) width: usize,
    /// How many different calls there are: one of a sequence file.
    pub(super) calls: usize,
    pub(super) batch: usize,
    pub(super) time: usize,
}

impl Data {
    /// Random tokens below the vocabulary's size, or features of mean 0 and variance 1.
    pub(super) fn new(info: &Info, case: Case) -> Self {
        let calls = if case.step { POOL } else { 1 };
        let mut rng = Rng::named(0, "bench infer");
        let count = calls * case.batch * case.seq_len;
        let (mut ids, mut features, mut width) = (vec![], vec![], 0);
        match info.input {
            InputSpec::Tokens { vocab } => {
                let words = vocab.unwrap_or(1).max(1);
                ids.extend((0..count).map(|_| rng.below(words) as i64));
            }
            InputSpec::Features { width: given } => {
                width = given;
                features.extend((0..count * width).map(|_| rng.normal() as f32));
            }
        }
        Self {
            ids,
            features,
            width,
            calls,
            batch: case.batch,
            time: case.seq_len,
        }
    }

    /// The input of call `at`, from the beginning again after the last one.
    pub(super) fn input(&self, at: usize) -> Input<'_> {
        let (at, rows) = (at % self.calls, self.batch * self.time);
        let (batch, time, width) = (self.batch, self.time, self.width);
        if width == 0 {
            let ids = &self.ids[at * rows..(at + 1) * rows];
            return Input::Tokens { ids, batch, time };
        }
        Input::Features {
            values: &self.features[at * rows * width..(at + 1) * rows * width],
            batch,
            time,
            width,
        }
    }

    /// Everything as little-endian numbers, for the other engine.
    pub(super) fn write(&self, folder: &Path) -> Result<PathBuf> {
        let path = folder.join("input.bin");
        let mut bytes: Vec<u8> = self.ids.iter().flat_map(|id| id.to_le_bytes()).collect();
        bytes.extend(self.features.iter().flat_map(|x| x.to_le_bytes()));
        std::fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(path)
    }
}
