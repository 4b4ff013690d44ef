//! The vocabulary of an export against its model.

use std::collections::BTreeMap;

use minrnn_model::vocabulary::Vocabulary;

/// How many tokens a tokenizer has, only who reads it knows.
pub(super) fn fits(words: &Vocabulary, tokens: usize) -> Result<(), String> {
    match words {
        Vocabulary::Characters(words) => vocabulary(words, tokens),
        Vocabulary::Bytes if tokens != 256 => Err(format!(
            "is the 256 bytes, and the model has {tokens} tokens"
        )),
        Vocabulary::Bytes | Vocabulary::Tokenizer(_) => Ok(()),
    }
}

/// Each token of a model of characters is one character, and none stands there twice: else a text has no token ids, or several.
fn vocabulary(words: &[String], tokens: usize) -> Result<(), String> {
    if words.len() != tokens {
        return Err(format!(
            "has {} entries, the model {tokens} tokens",
            words.len()
        ));
    }
    let mut seen = BTreeMap::new();
    for (i, word) in words.iter().enumerate() {
        let first = *seen.entry(word).or_insert(i);
        let what = match word.chars().count() {
            0 => "is empty".to_owned(),
            1 if first == i => continue,
            1 => format!("is entry {first}, too"),
            _ => "is more than one character".to_owned(),
        };
        let shown: String = word.chars().take(20).collect();
        return Err(format!(
            "entry {i}, {shown:?}, {what}; each token must be a character of its own"
        ));
    }
    Ok(())
}
