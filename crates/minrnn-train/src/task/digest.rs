//! What tells data apart: hashes of what training and validation read.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::sequences::source::{Piece as Rows, Source};
use crate::error::Result;

/// sha256, hex, of the content of a task's parts: of what is read from files, not of their paths or formats.
/// Two tasks of one kind with equal hashes give the same samples where their options are the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataDigest {
    /// Of what the optimizer sees.
    pub train: String,
    /// Of what chooses the best checkpoint.
    pub validation: String,
}

/// A hash over values, each with its length before it, so that no two contents make the same bytes.
pub(super) struct Hasher(Sha256);

impl Hasher {
    pub(super) fn new(kind: &str) -> Self {
        let mut hasher = Self(Sha256::new());
        hasher.text(kind);
        hasher
    }

    pub(super) fn number(&mut self, value: u64) {
        self.0.update(value.to_le_bytes());
    }

    pub(super) fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.0.update(text.as_bytes());
    }

    /// The bits of float32 or u32 values.
    pub(super) fn words(&mut self, words: impl ExactSizeIterator<Item = u32>) {
        self.begin(words.len());
        self.more(words);
    }

    /// The same of values that come in parts, `len` of them in all: this says how many, [`Hasher::more`] which.
    fn begin(&mut self, len: usize) {
        self.number(len as u64);
    }

    fn more(&mut self, words: impl Iterator<Item = u32>) {
        let bytes: Vec<u8> = words.flat_map(u32::to_le_bytes).collect();
        self.0.update(&bytes);
    }

    pub(super) fn finish(self) -> String {
        let hex = |byte: &u8| format!("{byte:02x}");
        self.0.finalize().iter().map(hex).collect()
    }
}

/// The sequences `part` of a set, in this order.
///
/// # Errors
/// Those of files that sequences are read from.
pub(super) fn of_sequences(set: &Source, part: &[usize]) -> Result<String> {
    let mut hasher = Hasher::new("sequences");
    hasher.number(set.width() as u64);
    hasher.number(part.len() as u64);
    let mut turn = set.turn();
    for i in part {
        hasher.begin(set.steps(*i) * set.width());
        turn.features(*i, &mut |_, values| {
            hasher.more(values.iter().map(|v| v.to_bits()));
            Ok(())
        })?;
        if let Some(width) = set.targets() {
            hasher.number(width as u64);
        }
        hasher.begin(set.rows(*i) * set.targets().unwrap_or(1));
        turn.labels(*i, &mut |_, labels| {
            match labels {
                Rows::Classes(ids) => hasher.more(ids.iter().copied()),
                Rows::Values(values, _) => hasher.more(values.iter().map(|v| v.to_bits())),
            }
            Ok(())
        })?;
    }
    Ok(hasher.finish())
}
