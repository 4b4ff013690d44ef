//! Characters and their numbers.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::{Result, TrainError};

/// The characters of a text in the order of their code points; the place of a character is its number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vocabulary {
    tokens: Vec<String>,
    index: BTreeMap<char, u32>,
}

impl Vocabulary {
    /// The sorted characters that occur in `text`.
    pub fn of_text(text: &str) -> Self {
        let chars: BTreeSet<char> = text.chars().collect();
        Self::of_chars(chars.into_iter())
    }

    /// From the list in a checkpoint (`vocabulary.json`): one character each, all different.
    ///
    /// # Errors
    /// [`TrainError::Config`] if an entry is not one character or occurs twice.
    pub fn from_tokens(tokens: &[String]) -> Result<Self> {
        let wrong = |i: usize, why: &str| {
            TrainError::config("vocabulary", format!("entry {i}, {:?}, {why}", tokens[i]))
        };
        let mut chars = Vec::with_capacity(tokens.len());
        let mut seen = BTreeSet::new();
        for (i, token) in tokens.iter().enumerate() {
            let mut all = token.chars();
            let (Some(one), None) = (all.next(), all.next()) else {
                return Err(wrong(i, "is not one character"));
            };
            if !seen.insert(one) {
                return Err(wrong(i, "occurs twice"));
            }
            chars.push(one);
        }
        Ok(Self::of_chars(chars.into_iter()))
    }

    fn of_chars(chars: impl Iterator<Item = char>) -> Self {
        let chars: Vec<char> = chars.collect();
        let index = chars
            .iter()
            .enumerate()
            .map(|(i, c)| (*c, i as u32))
            .collect();
        Self {
            tokens: chars.iter().map(char::to_string).collect(),
            index,
        }
    }

    /// The characters in order.
    pub fn tokens(&self) -> &[String] {
        &self.tokens
    }

    /// How many characters there are.
    pub fn len(&self) -> usize {
        self.tokens.len()
    }

    /// Whether there is no character.
    pub fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }

    /// The numbers of the characters of `text`.
    ///
    /// # Errors
    /// [`TrainError::Config`] at the first character that is not in the vocabulary.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>> {
        let unknown = |i: usize, c: char| {
            TrainError::config(
                "text",
                format!("character {c:?} at position {i} is not in the vocabulary"),
            )
        };
        text.chars()
            .enumerate()
            .map(|(i, c)| self.index.get(&c).copied().ok_or_else(|| unknown(i, c)))
            .collect()
    }

    /// The text of `ids`.
    ///
    /// # Errors
    /// [`TrainError::Config`] at the first number that is not below [`Self::len`].
    pub fn decode(&self, ids: &[u32]) -> Result<String> {
        let token = |id: &u32| {
            self.tokens
                .get(*id as usize)
                .map(String::as_str)
                .ok_or_else(|| {
                    TrainError::config(
                        "ids",
                        format!("{id} is not below the vocabulary's size {}", self.len()),
                    )
                })
        };
        ids.iter().map(token).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn decode_undoes_encode(text in "\\PC{0,60}") {
            let vocabulary = Vocabulary::of_text(&text);
            let ids = vocabulary.encode(&text).unwrap();
            prop_assert_eq!(vocabulary.decode(&ids).unwrap(), text);
            prop_assert!(vocabulary.tokens().is_sorted());
            prop_assert_eq!(Vocabulary::from_tokens(vocabulary.tokens()).unwrap(), vocabulary);
        }
    }

    #[test]
    fn strangers_are_refused_by_name() {
        let vocabulary = Vocabulary::of_text("banana");
        assert_eq!(vocabulary.tokens(), ["a", "b", "n"]);
        let error = vocabulary.encode("bax").unwrap_err().to_string();
        assert!(error.contains("'x' at position 2"), "{error}");
        assert!(
            vocabulary
                .decode(&[3])
                .unwrap_err()
                .to_string()
                .contains("size 3")
        );
        for bad in [
            vec!["ab".to_owned()],
            vec![String::new()],
            vec!["a".to_owned(), "a".to_owned()],
        ] {
            assert!(Vocabulary::from_tokens(&bad).is_err());
        }
    }
}
