//! Lists of characters in JSON: in order, by number, or under a name of a script.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json};

/// Entries in which scripts keep the list, or the numbers, beside other things.
pub(super) const KEYS: [&str; 6] = ["itos", "stoi", "chars", "characters", "vocab", "vocabulary"];
/// The same in other scripts, by these words on both sides of `2` or `_to_`.
const SIDES: [&[&str]; 2] = [
    &["idx", "ix", "id", "int", "index", "i"],
    &["char", "ch", "character", "token", "tok", "str", "s"],
];
pub(super) const WANTED: &str = "expected a JSON list of characters, an object from characters to their numbers or from numbers to characters, \
                      or one of them as itos, stoi, chars or vocab of an object";
/// Where such files say how many characters there are.
const SIZE: &str = "vocab_size";

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
fn is_table(key: &str) -> bool {
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

/// A list in order.
pub(super) fn list(value: &Json) -> Result<Vec<String>, String> {
    let items = value.as_array().ok_or(WANTED)?;
    let text = |(i, item): (usize, &Json)| match item.as_str() {
        Some(text) => Ok(text.to_owned()),
        None => Err(format!("entry {i} of the list is {item}, which is no text")),
    };
    items.iter().enumerate().map(text).collect()
}

/// An object of numbers and characters, either way round.
pub(super) fn numbers(map: &Map<String, Json>) -> Result<Vec<String>, String> {
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
