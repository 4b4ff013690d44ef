//! `tokenizer.json` of the tokenizers library, where it does to a text what is done here: each character is looked up, and what comes
//! out is joined. Whatever else such a file says would make other tokens of a text, or other text of tokens, and is refused by name.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json};

use super::lists::{KEYS, named, same};

/// What a tokenizer has. `truncation` and `padding` are of batches: no token means anything else by them.
const KNOWN: [&str; 9] = [
    "version",
    "truncation",
    "padding",
    "added_tokens",
    "normalizer",
    "pre_tokenizer",
    "post_processor",
    "decoder",
    "model",
];

type Result<T> = std::result::Result<T, String>;

/// The characters by their numbers.
///
/// # Errors
/// In words: a part that is not done here, tokens that are no characters, lists that contradict each other.
pub(super) fn characters(file: &Map<String, Json>) -> Result<Vec<String>> {
    let kind = file["model"]["type"].as_str();
    read(file, kind).map_err(|why| {
        format!(
            "a tokenizer.json ({}) {why}; leave --vocab out: the model takes token ids, and the tokenizer stays beside it",
            kind.unwrap_or("of an unknown kind")
        )
    })
}

fn read(file: &Map<String, Json>, kind: Option<&str>) -> Result<Vec<String>> {
    let known = |key: &String| KNOWN.contains(&key.as_str()) || KEYS.contains(&key.as_str());
    if let Some(key) = file.keys().find(|key| !known(key)) {
        return Err(format!("with `{key}`, which is not known here"));
    }
    let part = |key: &str| file.get(key).unwrap_or(&Json::Null);
    let model = part("model");
    let entries = entries(model, kind)?;
    plain(model, kind)?;
    normalizer(part("normalizer"))?;
    let bytes = byte_level(part("pre_tokenizer"), part("decoder"))?;
    post_processor(part("post_processor"))?;
    let mut by_number = BTreeMap::new();
    for (token, number) in entries {
        let text = if bytes {
            of_byte(token)?
        } else {
            token.clone()
        };
        if let Some(other) = by_number.insert(number, text) {
            return Err(format!(
                "whose model.vocab has the number {number} twice, of {token:?} and of {other:?}"
            ));
        }
    }
    add(&mut by_number, part("added_tokens"))?;
    let words = in_order(by_number)?;
    if let Some((key, other)) = named(file)? {
        same("model.vocab", &words, key, &other)?;
    }
    Ok(words)
}

/// The list of a model that can be one of characters.
fn entries<'a>(model: &'a Json, kind: Option<&str>) -> Result<Vec<(&'a String, u64)>> {
    let Some(vocab) = model["vocab"].as_object() else {
        return Err(
            "without a list of tokens and their numbers, and a vocabulary here is of characters"
                .into(),
        );
    };
    if !matches!(kind, Some("BPE" | "WordLevel")) {
        return Err("that cuts texts in another way than into characters".into());
    }
    let number = |(token, number): (&'a String, &Json)| match number.as_u64() {
        Some(number) => Ok((token, number)),
        None => Err(format!(
            "whose token {token:?} has {number}, which is no number of a token"
        )),
    };
    vocab.iter().map(number).collect()
}

/// Nothing is joined, and no character is written with marks.
fn plain(model: &Json, kind: Option<&str>) -> Result<()> {
    if kind == Some("BPE") && model["merges"].as_array().is_some_and(|m| !m.is_empty()) {
        let long = |token: &&String| token.chars().count() != 1;
        let longer = model["vocab"].as_object().and_then(|v| v.keys().find(long));
        return Err(match longer {
            Some(token) => longer_than_characters(token),
            None => "with merges, whose tokens model.vocab lacks".into(),
        });
    }
    for mark in ["continuing_subword_prefix", "end_of_word_suffix"] {
        if model[mark].as_str().is_some_and(|text| !text.is_empty()) {
            return Err(format!(
                "with model.{mark} {}, which is not done here",
                model[mark]
            ));
        }
    }
    Ok(())
}

fn longer_than_characters(token: &str) -> String {
    format!(
        "whose tokens are longer than characters, such as {token:?}, and a vocabulary here is of characters"
    )
}

/// A part and those of its sequences, each with the name of its type.
fn steps<'a>(part: &'a Json, found: &mut Vec<(&'a str, &'a Json)>) {
    if part.is_null() {
        return;
    }
    match part["type"].as_str() {
        Some("Sequence") => {
            let lists = part.as_object().into_iter().flat_map(Map::values);
            for step in lists.filter_map(Json::as_array).flatten() {
                steps(step, found);
            }
        }
        kind => found.push((kind.unwrap_or("of an unknown kind"), part)),
    }
}

fn all_steps(part: &Json) -> Vec<(&str, &Json)> {
    let mut found = vec![];
    steps(part, &mut found);
    found
}

fn normalizer(part: &Json) -> Result<()> {
    match all_steps(part).first() {
        None => Ok(()),
        Some((kind, _)) => Err(format!(
            "with the normalizer {kind}, which changes a text before it is looked up; that is not done here"
        )),
    }
}

/// Whether entries are bytes, in the letters that ByteLevel writes them with. Parts that only cut a text leave its characters what
/// they are: words of several characters have no entry of their own in such a list.
fn byte_level(before: &Json, after: &Json) -> Result<bool> {
    let [mut going_in, mut coming_out] = [false; 2];
    for (kind, part) in all_steps(before) {
        match kind {
            "ByteLevel" if part["add_prefix_space"] == false => going_in = true,
            "ByteLevel" => {
                return Err(
                    "with the pre_tokenizer ByteLevel and add_prefix_space, which puts a space before a text; that is not done here"
                        .into(),
                );
            }
            "Digits" | "UnicodeScripts" => {}
            "Split" | "Punctuation" if part["behavior"] != "Removed" => {}
            _ => {
                return Err(format!(
                    "with the pre_tokenizer {kind}, which leaves characters out or changes them; that is not done here"
                ));
            }
        }
    }
    for (kind, _) in all_steps(after) {
        match kind {
            "ByteLevel" => coming_out = true,
            "Fuse" => {}
            _ => {
                return Err(format!(
                    "with the decoder {kind}, which makes other text of tokens than to join them; that is not done here"
                ));
            }
        }
    }
    match going_in == coming_out {
        true => Ok(going_in),
        false => Err(
            "with ByteLevel as one of pre_tokenizer and decoder, and not as the other: what its entries stand for is not clear"
                .into(),
        ),
    }
}

/// Tokens that a text begins or ends with are no part of it. ByteLevel moves offsets alone.
fn post_processor(part: &Json) -> Result<()> {
    let all = all_steps(part);
    match all.iter().find(|(kind, _)| *kind != "ByteLevel") {
        None => Ok(()),
        Some((kind, _)) => Err(format!(
            "with the post_processor {kind}, which adds tokens to a text; that is not done here"
        )),
    }
}

/// The character of a byte in ByteLevel's letters. Bytes that print stand for themselves, the others for the letters from U+0100 on.
fn of_byte(token: &str) -> Result<String> {
    let mut letters = token.chars();
    let (Some(letter), None) = (letters.next(), letters.next()) else {
        return Err(longer_than_characters(token));
    };
    let prints = |b: &u8| matches!(*b, 33..=126 | 161..=172 | 174..=255);
    let byte = match u32::from(letter) {
        code @ 0..=255 => u8::try_from(code).ok().filter(prints),
        code => {
            let mut others = (0..=255u8).filter(|b| !prints(b));
            others.nth((code - 256) as usize)
        }
    };
    match byte {
        None => Err(format!("whose token {token:?} is no letter of ByteLevel")),
        Some(byte) if byte.is_ascii() => Ok(char::from(byte).to_string()),
        Some(byte) => Err(format!(
            "whose token {token:?} is the byte {byte:#04x}, which is no character by itself, and a vocabulary here is of characters"
        )),
    }
}

/// Added tokens are entries as the others.
fn add(by_number: &mut BTreeMap<u64, String>, added: &Json) -> Result<()> {
    let list = match added {
        Json::Null => return Ok(()),
        other => other.as_array().ok_or("whose added_tokens are no list")?,
    };
    for token in list {
        let (Some(number), Some(text)) = (token["id"].as_u64(), token["content"].as_str()) else {
            return Err(format!("whose added token {token} has no id and content"));
        };
        if let Some(flag) = ["lstrip", "rstrip", "single_word"]
            .iter()
            .find(|f| token[**f] == true)
        {
            return Err(format!(
                "whose added token {text:?} has {flag}, so that what stands beside it counts; that is not done here"
            ));
        }
        let elsewhere = by_number.iter().find(|(n, t)| **n != number && *t == text);
        if let Some((other, _)) = elsewhere {
            return Err(format!(
                "that contradicts itself: {text:?} has the number {number} in added_tokens and {other} elsewhere"
            ));
        }
        match by_number.insert(number, text.to_owned()) {
            Some(other) if other != text => {
                return Err(format!(
                    "that contradicts itself: the number {number} is {text:?} in added_tokens and {other:?} elsewhere"
                ));
            }
            _ => {}
        }
    }
    Ok(())
}

fn in_order(by_number: BTreeMap<u64, String>) -> Result<Vec<String>> {
    if let Some(token) = by_number.values().find(|t| t.chars().count() != 1) {
        return Err(longer_than_characters(token));
    }
    match by_number.keys().copied().eq(0..by_number.len() as u64) {
        true => Ok(by_number.into_values().collect()),
        false => Err(format!(
            "of {} tokens whose numbers are not 0 to {}",
            by_number.len(),
            by_number.len().saturating_sub(1)
        )),
    }
}

#[cfg(test)]
#[path = "tokenizer_tests.rs"]
mod tests;
