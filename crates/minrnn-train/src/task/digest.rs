//! What tells data apart: hashes of what training and validation read.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::data::{Labels, SequenceSet};

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
        self.number(words.len() as u64);
        let bytes: Vec<u8> = words.flat_map(u32::to_le_bytes).collect();
        self.0.update(&bytes);
    }

    pub(super) fn finish(self) -> String {
        let hex = |byte: &u8| format!("{byte:02x}");
        self.0.finalize().iter().map(hex).collect()
    }
}

/// The sequences `part` of a set, in this order.
pub(super) fn of_sequences(set: &SequenceSet, part: &[usize]) -> String {
    let mut hasher = Hasher::new("sequences");
    hasher.number(set.width as u64);
    hasher.number(part.len() as u64);
    for i in part {
        let labels = set.labels_of(*i);
        hasher.words(set.features_of(*i).iter().map(|v| v.to_bits()));
        match &set.labels {
            Labels::Classes(ids) => hasher.words(ids[labels].iter().copied()),
            Labels::Values { values, width } => {
                hasher.number(*width as u64);
                let all = &values[labels.start * width..labels.end * width];
                hasher.words(all.iter().map(|v| v.to_bits()));
            }
        }
    }
    hasher.finish()
}
