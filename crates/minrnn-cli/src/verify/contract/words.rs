//! What a manifest says of the tokens: a list, a word, or the file of a tokenizer beside it.

use std::path::Path;
use std::sync::Arc;

use minrnn_model::vocabulary::{TOKENIZER, Vocabulary};
use minrnn_train::data::Vocabulary as Reader;
use serde::Deserialize;
use serde_json::{Value as Json, json};

use super::beside::Beside;
use super::folder::{is_own, must_be, read, sha256};
use super::{Result, broken, chain};
use crate::verify::{Check, Off};

/// The vocabulary as it stands in a manifest.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub(super) enum Words {
    Known(Vocabulary),
    File(Beside),
}

impl Words {
    /// The tokens, from the folder where they are a file.
    pub(super) fn open(self, dir: &Path, off: &Off) -> Result<Vocabulary> {
        let beside = match self {
            Self::Known(vocabulary) => return Ok(vocabulary),
            Self::File(beside) => beside,
        };
        let path = dir.join(&beside.file);
        if beside.file != TOKENIZER || !is_own(dir, &beside.file) {
            let what = format!("vocabulary: {}, {TOKENIZER}", must_be(dir, &beside.file));
            return Err(broken(path, what));
        }
        let file = read(&path)?;
        let found = sha256(&file);
        off.hold(Check::Hashes, || match found == beside.sha256 {
            true => Ok(()),
            false => {
                let what = format!(
                    "has sha256 {found}, and by the manifest {}: it was changed, or is of another export; export again",
                    beside.sha256
                );
                Err(broken(&path, what))
            }
        })?;
        Ok(Vocabulary::Tokenizer(Arc::from(file)))
    }
}

/// Whether a model of so many tokens can have this vocabulary. Of a tokenizer's it may have more, to be of a round number.
pub(super) fn fits(words: &Vocabulary, tokens: Option<u64>) -> std::result::Result<(), String> {
    let takes = tokens.map_or("no tokens".into(), |n| format!("{n} tokens"));
    let reader = || Reader::of(words).map_err(|e| chain(&e));
    let entries = match words {
        Vocabulary::Characters(words) => words.len(),
        Vocabulary::Bytes => 256,
        Vocabulary::Tokenizer(_) => {
            let known = reader()?.len();
            if tokens.is_some_and(|n| n >= known as u64) {
                return Ok(());
            }
            known
        }
    };
    if tokens != Some(entries as u64) {
        return Err(format!(
            "vocabulary has {entries} entries, and the model takes {takes}; export again"
        ));
    }
    reader().map(drop)
}

/// What is done to a text before it goes in.
pub(super) fn preprocessing(words: &Vocabulary) -> Json {
    match words {
        Vocabulary::Characters(_) => json!({ "kind": "characters", "unknown": "refuse" }),
        Vocabulary::Bytes => json!({ "kind": "bytes" }),
        Vocabulary::Tokenizer(_) => json!({ "kind": "tokenizer" }),
    }
}

/// How the vocabulary of an export differs from that of a checkpoint.
pub(super) fn apart(own: &Vocabulary, wanted: &Vocabulary) -> String {
    let (Some(own), Some(wanted)) = (own.characters(), wanted.characters()) else {
        return match (own.unit(), wanted.unit()) {
            ("token", "token") => "has another tokenizer.json than the checkpoint".into(),
            (own, wanted) => format!("has a vocabulary of {own}s, and the checkpoint of {wanted}s"),
        };
    };
    let pairs = own.iter().zip(wanted);
    match pairs.clone().position(|(a, b)| a != b) {
        Some(at) => {
            let count = pairs.filter(|(a, b)| a != b).count();
            format!(
                "says that token {at} is {:?}, and the checkpoint {:?} ({count} of {} entries differ)",
                own[at],
                wanted[at],
                own.len()
            )
        }
        None => format!(
            "has {} entries in its vocabulary, and the checkpoint {}",
            own.len(),
            wanted.len()
        ),
    }
}
