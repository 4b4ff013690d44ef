//! Pieces of words: a `tokenizer.json` of the tokenizers library.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value as Json;

use crate::error::{Result, TrainError};

/// A tokenizer with the file that it was read from.
#[derive(Clone)]
pub(super) struct Tokenizer {
    tokenizer: Arc<tokenizers::Tokenizer>,
    file: Arc<[u8]>,
    tokens: usize,
}

impl std::fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Tokenizer({} tokens)", self.tokens)
    }
}

/// What it makes of a text follows from its file.
impl PartialEq for Tokenizer {
    fn eq(&self, other: &Self) -> bool {
        self.file == other.file
    }
}

impl Eq for Tokenizer {}

fn fail(what: &str, error: &(dyn std::error::Error + 'static)) -> TrainError {
    TrainError::config("tokenizer", format!("{what}: {error}"))
}

/// The library gives added tokens numbers of its own where the file has others, with a line in a log alone; a model that was trained
/// with the file's would read and write other tokens.
fn check_numbers(tokenizer: &tokenizers::Tokenizer, file: &[u8]) -> Result<()> {
    let json: Json = serde_json::from_slice(file).map_err(|e| fail("is no JSON", &e))?;
    for added in json["added_tokens"].as_array().into_iter().flatten() {
        let (Some(text), Some(number)) = (added["content"].as_str(), added["id"].as_u64()) else {
            continue;
        };
        let found = tokenizer.token_to_id(text).map(u64::from);
        if found != Some(number) {
            let found = found.map_or("none".to_owned(), |n| n.to_string());
            let message = format!(
                "says that its added token {text:?} has the number {number}, and the tokenizers library gives it {found}; number added tokens behind all others, without gaps"
            );
            return Err(TrainError::config("tokenizer", message));
        }
    }
    let mut names = BTreeMap::new();
    for (name, number) in tokenizer
        .get_vocab(true)
        .into_iter()
        .collect::<BTreeMap<_, _>>()
    {
        if let Some(other) = names.insert(number, name.clone()) {
            let message = format!("has the number {number} twice, of {other:?} and of {name:?}");
            return Err(TrainError::config("tokenizer", message));
        }
    }
    Ok(())
}

/// Merges that are left out by chance make another text of the same words each time.
fn check_chance(file: &[u8]) -> Result<()> {
    let json: Json = serde_json::from_slice(file).map_err(|e| fail("is no JSON", &e))?;
    match json["model"]["dropout"].as_f64().filter(|p| *p > 0.0) {
        Some(p) => {
            let message = format!(
                "leaves merges out by chance (model.dropout is {p}), and a text would have other tokens each time; write null there"
            );
            Err(TrainError::config("tokenizer", message))
        }
        None => Ok(()),
    }
}

impl Tokenizer {
    /// # Errors
    /// [`TrainError::Config`] for a file that is no tokenizer, or has no token.
    pub(super) fn new(file: Arc<[u8]>) -> Result<Self> {
        let read = tokenizers::Tokenizer::from_bytes(&file[..]);
        let mut tokenizer =
            read.map_err(|e| fail("is no tokenizer.json that is known here", &*e))?;
        // They are of batches: a text would be cut short, or filled up, without a word.
        tokenizer
            .with_truncation(None)
            .map_err(|e| fail("has a truncation that cannot be left out", &*e))?
            .with_padding(None);
        check_numbers(&tokenizer, &file)?;
        check_chance(&file)?;
        let Some(largest) = tokenizer.get_vocab(true).into_values().max() else {
            return Err(TrainError::config("tokenizer", "has no token"));
        };
        Ok(Self {
            tokenizer: Arc::new(tokenizer),
            file,
            // Numbers may have gaps.
            tokens: largest as usize + 1,
        })
    }

    pub(super) fn file(&self) -> &Arc<[u8]> {
        &self.file
    }

    pub(super) fn len(&self) -> usize {
        self.tokens
    }

    /// Nothing is added in front or behind.
    pub(super) fn encode(&self, text: &str) -> Result<Vec<u32>> {
        let encoding = self.tokenizer.encode_fast(text, false);
        let encoding = encoding.map_err(|e| fail("cannot read the text", &*e))?;
        Ok(encoding.get_ids().to_vec())
    }

    /// Tokens for programs, such as the end of a text, are written out too.
    pub(super) fn decode(&self, ids: &[u32]) -> Result<String> {
        if let Some(id) = ids.iter().find(|id| !self.has(**id)) {
            return Err(TrainError::config(
                "ids",
                format!("{id} is no token of the tokenizer"),
            ));
        }
        self.tokenizer
            .decode(ids, false)
            .map_err(|e| fail("cannot write the text", &*e))
    }

    pub(super) fn has(&self, id: u32) -> bool {
        self.tokenizer.id_to_token(id).is_some()
    }

    pub(super) fn token(&self, text: &str) -> Option<u32> {
        self.tokenizer.token_to_id(text)
    }

    pub(super) fn name(&self, id: u32) -> Option<String> {
        self.tokenizer.id_to_token(id)
    }
}
