//! What the channels of inputs and outputs are called, as the model's configuration says.

use minrnn_model::graph::{Graph, Input, OutputKind};
use minrnn_model::vocabulary::{BYTES, Vocabulary};
use serde_json::{Value as Json, json};
use sha2::{Digest, Sha256};

use super::ExportError;
use super::weights::hex;

/// A list of names and what it is of: `features`, `classes` or `targets`.
pub(super) type Named = (&'static str, Vec<String>);

/// The lists that the configuration has, features first.
///
/// # Errors
/// A list that is not one text for each channel.
pub(super) fn names(graph: &Graph, config: &Json) -> Result<Vec<Named>, ExportError> {
    let output = graph.output();
    let of = match output.kind {
        OutputKind::Logits => "classes",
        OutputKind::Values => "targets",
    };
    let features = match graph.input() {
        Input::Features { width } => Some(("features", "/input/names", width)),
        Input::Tokens { .. } => None,
    };
    let head = (of, "/head/names", graph.width(output.value));
    let mut all = vec![];
    for (key, place, width) in features.into_iter().chain([head]) {
        let Some(given) = config.pointer(place).filter(|v| !v.is_null()) else {
            continue;
        };
        let list: Option<Vec<String>> = serde_json::from_value(given.clone()).ok();
        match list.filter(|l| l.len() == width) {
            Some(list) => all.push((key, list)),
            None => {
                let place = place.trim_start_matches('/').replace('/', ".");
                return Err(ExportError::Option {
                    option: "config",
                    what: format!("{place} must be {width} names, one for each of the {key}"),
                });
            }
        }
    }
    Ok(all)
}

/// As entries of a JSON object.
pub(super) fn entries(names: &[Named]) -> impl Iterator<Item = (String, Json)> {
    names
        .iter()
        .map(|(key, list)| ((*key).to_owned(), json!(list)))
}

/// What files say of the vocabulary (`minrnn.vocabulary`): [`vocabulary_sha256`] of characters, the word `bytes`, or the sha256 of the
/// tokenizer's file, in lower-case hex.
pub fn vocabulary_mark(vocabulary: &Vocabulary) -> String {
    match vocabulary {
        Vocabulary::Characters(words) => vocabulary_sha256(words),
        Vocabulary::Bytes => BYTES.to_owned(),
        Vocabulary::Tokenizer(file) => hex(&Sha256::digest(file)),
    }
}

/// The hash that files have of a vocabulary of characters, in lower-case hex: sha256 over all entries in order, of each the
/// number of its bytes in UTF-8 as u64, little-endian, then these bytes.
pub fn vocabulary_sha256(words: &[String]) -> String {
    let mut hash = Sha256::new();
    for word in words {
        hash.update((word.len() as u64).to_le_bytes());
        hash.update(word.as_bytes());
    }
    hex(&hash.finalize())
}
