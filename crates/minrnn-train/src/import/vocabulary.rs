//! Characters by token number, from the JSON files that training scripts write.

use serde_json::Value as Json;

use super::lists::{WANTED, list, named, numbers};
use super::tokenizer;

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
