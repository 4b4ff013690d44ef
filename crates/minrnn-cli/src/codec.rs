//! The vocabulary of a model of ours as the runtime's text reads it.

use minrnn_model::vocabulary::Vocabulary as Plain;
use minrnn_runtime::text::Codec;
use minrnn_runtime::{Error, Result};
use minrnn_train::TrainError;
use minrnn_train::data::Vocabulary;

/// Characters, bytes, or the pieces of a tokenizer.
#[derive(Debug, Clone)]
pub(crate) struct Words(pub(crate) Vocabulary);

impl Words {
    pub(crate) fn of(plain: &Plain) -> std::result::Result<Self, TrainError> {
        Vocabulary::of(plain).map(Self)
    }

    /// What a text goes on from that has no beginning: a line break, or the first token.
    pub(crate) fn first(&self) -> u32 {
        let line = self.0.encode("\n").unwrap_or_default();
        let mut all = 0..self.0.len() as u32;
        let first = line
            .first()
            .copied()
            .or_else(|| all.find(|id| self.0.has(*id)));
        first.unwrap_or(0)
    }
}

fn failed(error: &TrainError) -> Error {
    Error::Input {
        place: "text".into(),
        what: error.to_string(),
        mend: "use the vocabulary of the model".into(),
    }
}

impl Codec for Words {
    fn tokens(&self) -> usize {
        self.0.len()
    }

    fn knows(&self, id: u32) -> bool {
        self.0.has(id)
    }

    fn encode(&self, text: &str) -> Result<Vec<u32>> {
        self.0.encode(text).map_err(|e| failed(&e))
    }

    fn decode(&self, ids: &[u32]) -> Result<String> {
        self.0.decode(ids).map_err(|e| failed(&e))
    }
}
