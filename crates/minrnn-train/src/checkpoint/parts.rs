//! Files of one checkpoint belong together: `trainer_state.json` says which files of tensors it was written beside, so that a run never goes on
//! with the weights of another one.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::Path;

use sha2::{Digest, Sha256};

use super::TrainerState;
use crate::error::{CheckpointProblem, Result, TrainError};

/// The digests of files that are read, by name.
pub(super) type Sums = BTreeMap<String, String>;

/// Name and bytes of a file.
pub(super) type File = (&'static str, Vec<u8>);

/// The state as it is written beside these files.
pub(super) fn beside(state: &TrainerState, files: &[File]) -> TrainerState {
    let tensors = files.iter().filter(|(name, _)| is_part(name));
    let parts = tensors.map(|(name, bytes)| ((*name).to_owned(), hex(&Sha256::digest(bytes))));
    TrainerState {
        parts: parts.collect(),
        ..state.clone()
    }
}

fn is_part(file: &str) -> bool {
    Path::new(file)
        .extension()
        .is_some_and(|e| e == "safetensors")
}

pub(super) fn hex(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Holds the files of `folder`, which were read, to what the state says of them, and takes that out of it.
///
/// # Errors
/// [`TrainError::Checkpoint`] with the file that is another one, or was not there.
pub(super) fn hold(folder: &Path, state: &mut TrainerState, found: &Sums) -> Result<()> {
    let parts = std::mem::take(&mut state.parts);
    // Older versions said nothing.
    if parts.is_empty() {
        return Ok(());
    }
    for (name, sum) in found {
        let message = match parts.get(name) {
            Some(said) if said == sum => continue,
            Some(said) => format!(
                "has sha256 {sum:.12}.., and trainer_state.json was written beside one of {said:.12}..: it is of another checkpoint, or was changed"
            ),
            None => {
                "trainer_state.json was written without one: it is of another checkpoint".to_owned()
            }
        };
        let message = format!(
            "{message}; put the files of one checkpoint together again, or begin a new run with these weights (`minrnn train --from`)"
        );
        let problem = CheckpointProblem::Malformed { message };
        return Err(TrainError::checkpoint(&folder.join(name), problem));
    }
    Ok(())
}

/// A reader that sums up what it reads.
pub(super) struct Summed<R> {
    inner: R,
    sum: Sha256,
}

impl<R: Read> Summed<R> {
    pub(super) fn new(inner: R) -> Self {
        Self {
            inner,
            sum: Sha256::new(),
        }
    }

    /// The digest of all that was read.
    pub(super) fn sum(self) -> String {
        hex(&self.sum.finalize())
    }
}

impl<R: Read> Read for Summed<R> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(to)?;
        self.sum.update(&to[..n]);
        Ok(n)
    }
}
