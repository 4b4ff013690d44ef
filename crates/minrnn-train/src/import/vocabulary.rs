//! Characters by token number, from the JSON files that training scripts write.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json};

use super::tokenizer;

/// Entries in which scripts keep the list, or the numbers, beside other things.
pub(super) const KEYS: [&str; 6] = ["itos", "stoi", "chars", "characters", "vocab", "vocabulary"];
/// The same in other scripts, by these words on both sides of `2` or `_to_`.
const SIDES: [&[&str]; 2] = [
    &["idx", "ix", "id", "int", "index", "i"],
    &["char", "ch", "character", "token", "tok", "str", "s"],
];
const WANTED: &str = "expected a JSON list of characters, an object from characters to their numbers or from numbers to characters, \
                      or one of them as itos, stoi, chars or vocab of an object";
/// Where such files say how many characters there are.
const SIZE: &str = "vocab_size";

/// The characters of a vocabulary from JSON: a list in order, an object from characters to numbers `0..n` or from numbers to characters, or
/// an object with one of these in `itos`, `stoi`, `chars`, `characters`, `vocab` or `vocabulary` (in several of them: the same). A byte order mark is skipped. `tokenizer.json` of the
/// tokenizers library is read if its tokens are characters and nothing of it changes a text.
///
/// # Errors
/// In words: no such JSON, a name that stands there twice, numbers that are not `0..n`, tokens that are no characters, lists that contradict each other.
pub fn vocabulary(json: &str) -> Result<Vec<String>, String> {
    let json = json.strip_prefix('\u{feff}').unwrap_or(json);
    let value = minrnn_model::json::from_str(json).map_err(|e| format!("{WANTED}: {e}"))?;
    let Json::Object(map) = &value else {
        return list(&value);
    };
    if map.get("model").is_some_and(Json::is_object) {
        return tokenizer::characters(map);
    }
    match named(map)? {
        Some((_, words)) => Ok(words),
        None => numbers(map),
    }
}

/// What stands under one of `KEYS`; where it stands there in several ways, they say the same.
/// A number there, or under `vocab_size`, is how many they are.
pub(super) fn named(map: &Map<String, Json>) -> Result<Option<(&str, Vec<String>)>, String> {
    let mut found: Option<(&str, Vec<String>)> = None;
    let others = map.keys().map(String::as_str).filter(|key| is_table(key));
    for key in KEYS.into_iter().chain(others) {
        let words = match map.get(key) {
            Some(inner @ Json::Array(_)) => list(inner),
            Some(Json::Object(inner)) => numbers(inner),
            Some(Json::String(_) | Json::Bool(_)) => Err(WANTED.into()),
            None | Some(Json::Null | Json::Number(_)) => continue,
        };
        let words = words.map_err(|e| format!("`{key}`: {e}"))?;
        match &found {
            None => found = Some((key, words)),
            Some((first, other)) => same(first, other, key, &words)?,
        }
    }
    let Some((first, words)) = &found else {
        return Ok(None);
    };
    for key in KEYS.into_iter().chain([SIZE]) {
        let said = map.get(key).filter(|n| n.is_number());
        if let Some(said) = said.filter(|n| n.as_u64() != Some(words.len() as u64)) {
            return Err(format!(
                "`{key}` is {said}, and `{first}` has {} characters; leave the wrong one out",
                words.len()
            ));
        }
    }
    Ok(found)
}

/// `idx2char`, `char_to_ix`.
pub(super) fn is_table(key: &str) -> bool {
    let sides = key.split_once("_to_").or_else(|| key.split_once('2'));
    let [numbers, words] = SIDES;
    sides.is_some_and(|(a, b)| {
        numbers.contains(&a) && words.contains(&b) || words.contains(&a) && numbers.contains(&b)
    })
}

pub(super) fn same(first: &str, a: &[String], second: &str, b: &[String]) -> Result<(), String> {
    if a == b {
        return Ok(());
    }
    let at = a.iter().zip(b).take_while(|(a, b)| a == b).count();
    let say = |words: &[String]| match words.get(at) {
        Some(word) => format!("{word:?}"),
        None => "nothing".into(),
    };
    Err(format!(
        "`{first}` and `{second}` contradict each other: token {at} is {} in one and {} in the other; leave the wrong one out",
        say(a),
        say(b)
    ))
}

fn list(value: &Json) -> Result<Vec<String>, String> {
    let items = value.as_array().ok_or(WANTED)?;
    let text = |(i, item): (usize, &Json)| match item.as_str() {
        Some(text) => Ok(text.to_owned()),
        None => Err(format!("entry {i} of the list is {item}, which is no text")),
    };
    items.iter().enumerate().map(text).collect()
}

/// Either way round.
fn numbers(map: &Map<String, Json>) -> Result<Vec<String>, String> {
    let one = |(key, value): (&String, &Json)| match (value.as_u64(), value.as_str()) {
        (Some(number), _) => Some((number, key.clone())),
        (_, Some(text)) => Some((key.parse().ok()?, text.to_owned())),
        _ => None,
    };
    // As `parse` reads them, and nobody writes them: `04` and `+4` beside a 4.
    let other = |(key, value): &(&String, &Json)| {
        value.is_string() && key.parse::<u64>().is_ok_and(|n| n.to_string() != **key)
    };
    if let Some((key, _)) = map.iter().find(other) {
        return Err(format!(
            "`{key}` is not how a number is written; write it without a sign or zeros before it"
        ));
    }
    let found: Option<Vec<(u64, String)>> = map.iter().map(one).collect();
    let found = found.filter(|f| !f.is_empty()).ok_or(WANTED)?;
    let count = found.len();
    let by_number: BTreeMap<u64, String> = found.into_iter().collect();
    match by_number.keys().copied().eq(0..count as u64) {
        true => Ok(by_number.into_values().collect()),
        false => Err(format!("the numbers are not 0 to {}", count - 1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_write_characters_is_read() {
        for json in [
            r#"["b", "a"]"#,
            "\u{feff}[\"b\", \"a\"]",
            r#"{"a": 1, "b": 0}"#,
            r#"{"0": "b", "1": "a"}"#,
            r#"{"itos": ["b", "a"]}"#,
            r#"{"idx2char": ["b", "a"], "char2idx": {"a": 1, "b": 0}}"#,
            r#"{"ix_to_char": {"0": "b", "1": "a"}, "chars": ["b", "a"], "name2": ["x"]}"#,
            r#"{"itos": {"1": "a", "0": "b"}, "stoi": {"a": 1, "b": 0}}"#,
            r#"{"stoi": {"a": 1, "b": 0}, "vocab_size": 2}"#,
            r#"{"chars": ["b", "a"], "n": 2}"#,
            r#"{"vocab": {"a": 1, "b": 0}}"#,
            r#"{"version": "1.0", "model": {"type": "WordLevel", "vocab": {"a": 1, "b": 0}}}"#,
        ] {
            assert_eq!(vocabulary(json).unwrap(), ["b", "a"], "{json}");
        }
    }

    #[test]
    fn digits_are_characters_too() {
        assert_eq!(vocabulary(r#"{"1": 0, "0": 1}"#).unwrap(), ["1", "0"]);
        assert_eq!(vocabulary(r#"{"1": "0", "0": "1"}"#).unwrap(), ["1", "0"]);
    }

    #[test]
    fn what_is_no_list_of_characters_is_refused_by_what_it_is() {
        for (json, wanted) in [
            (r#"{"a": 1, "b": 1}"#, "the numbers are not 0 to 1"),
            (r#"{"a": 2, "b": 0}"#, "the numbers are not 0 to 1"),
            (r#"["a", 1]"#, "entry 1 of the list is 1"),
            ("[1]", "entry 0 of the list is 1"),
            ("7", "expected a JSON list"),
            ("{}", "expected a JSON list"),
            (r#"["a""#, "line 1"),
            (r#"{"a": 0, "a": 1}"#, "`a` stands there twice"),
            (
                r#"{"itos": ["a", "b"], "stoi": {"a": 1, "b": 0}}"#,
                "`itos` and `stoi` contradict each other: token 0 is \"a\" in one and \"b\" in the other",
            ),
            (
                r#"{"chars": ["a", "b"], "vocab": ["a"]}"#,
                "token 1 is \"b\" in one and nothing in the other",
            ),
            (
                r#"{"itos": ["a", "b"], "stoi": {"a": 1, "b": 1}}"#,
                "`stoi`: the numbers are not 0 to 1",
            ),
            ("", "line 1"),
            (
                r#"{"model": {"type": "BPE", "vocab": {"a": 0, "th": 1}, "merges": []}}"#,
                "tokenizer.json (BPE) whose tokens are longer than characters, such as \"th\"",
            ),
            (
                r#"{"model": {"type": "Unigram", "vocab": [["a", -1.5]]}}"#,
                "tokenizer.json (Unigram)",
            ),
            (
                r#"{"itos": ["a", "b"], "vocab_size": 3}"#,
                "`vocab_size` is 3, and `itos` has 2 characters",
            ),
            (
                r#"{"itos": ["a", "b"], "vocab": 1}"#,
                "`vocab` is 1, and `itos` has 2 characters",
            ),
            (
                r#"{"chars": ["a", "b"], "idx2char": {"0": "b", "1": "a"}}"#,
                "`chars` and `idx2char` contradict each other: token 0 is \"a\" in one and \"b\" in the other",
            ),
            (
                r#"{"chars": ["a", "b"], "char_to_ix": {"b": 0, "a": 1}}"#,
                "`chars` and `char_to_ix` contradict each other",
            ),
            (
                r#"{"0": "a", "01": "b"}"#,
                "`01` is not how a number is written",
            ),
            (
                r#"{"itos": {"0": "a", "+1": "b"}}"#,
                "`itos`: `+1` is not how a number is written",
            ),
            (
                r#"{"itos": ["a", "b"], "chars": "ba"}"#,
                "`chars`: expected a JSON list",
            ),
        ] {
            let error = vocabulary(json).unwrap_err();
            assert!(error.contains(wanted), "{json}: {error}");
        }
    }
}
