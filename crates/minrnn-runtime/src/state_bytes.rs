//! States as bytes: a safetensors file, and the format of earlier versions, which is read still.

mod before;
mod file;

use crate::error::{Error, Result};
use crate::state::State;

/// What both formats call themselves.
const SCHEMA: &str = "minrnn.state/1";

impl State {
    /// The state as the bytes of a safetensors file: one f32 tensor `[rows, shape..]` a state, and in the header's
    /// `__metadata__` what it belongs to, with a sha256 over all of it (`docs/runtime.md`, "Saved states").
    /// The same state gives the same bytes on any machine.
    pub fn to_bytes(&self) -> Vec<u8> {
        file::write(self)
    }

    /// Reads what [`State::to_bytes`] wrote, this version's or an earlier one's, and files of the same layout that others made.
    /// Whether it fits a model is asked where it is used; [`crate::Model::state_from_bytes`] also puts its tensors in the
    /// model's order.
    ///
    /// # Errors
    /// [`Error::Input`] for anything else, also for a single changed bit.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let read = match bytes.strip_prefix(before::MAGIC) {
            Some(body) => before::read(bytes, body),
            None => file::read(bytes),
        };
        read.map_err(|what| Error::input("state bytes", what, "save the state again"))
    }
}
