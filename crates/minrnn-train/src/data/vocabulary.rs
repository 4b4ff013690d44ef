//! Tokens of a text and their numbers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use minrnn_model::vocabulary::Vocabulary as Plain;

use super::tokenizer::Tokenizer;
use crate::error::{Result, TrainError};

/// Reads a text as tokens, and tokens as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vocabulary(Kind);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    /// The place of a character is its number.
    Characters {
        tokens: Vec<String>,
        index: BTreeMap<char, u32>,
    },
    Bytes,
    Tokenizer(Tokenizer),
}

impl Vocabulary {
    /// The characters that occur in `text`, in the order of their code points.
    pub fn of_text(text: &str) -> Self {
        let chars: BTreeSet<char> = text.chars().collect();
        Self::of_chars(chars.into_iter())
    }

    /// The 256 bytes.
    pub fn bytes() -> Self {
        Self(Kind::Bytes)
    }

    /// The pieces of a `tokenizer.json`, given its content.
    ///
    /// # Errors
    /// [`TrainError::Config`] for what is no tokenizer.
    pub fn tokenizer(file: Arc<[u8]>) -> Result<Self> {
        Ok(Self(Kind::Tokenizer(Tokenizer::new(file)?)))
    }

    /// What a checkpoint or an export carries.
    ///
    /// # Errors
    /// As [`Vocabulary::from_tokens`] and [`Vocabulary::tokenizer`].
    pub fn of(plain: &Plain) -> Result<Self> {
        match plain {
            Plain::Characters(tokens) => Self::from_tokens(tokens),
            Plain::Bytes => Ok(Self::bytes()),
            Plain::Tokenizer(file) => Self::tokenizer(file.clone()),
        }
    }

    /// To be carried by a checkpoint or an export.
    pub fn plain(&self) -> Plain {
        match &self.0 {
            Kind::Characters { tokens, .. } => Plain::Characters(tokens.clone()),
            Kind::Bytes => Plain::Bytes,
            Kind::Tokenizer(tokenizer) => Plain::Tokenizer(tokenizer.file().clone()),
        }
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
        Self(Kind::Characters {
            tokens: chars.iter().map(char::to_string).collect(),
            index,
        })
    }

    /// The characters in order, where tokens are characters.
    pub fn characters(&self) -> Option<&[String]> {
        match &self.0 {
            Kind::Characters { tokens, .. } => Some(tokens),
            Kind::Bytes | Kind::Tokenizer(_) => None,
        }
    }

    /// V, how many tokens there are.
    pub fn len(&self) -> usize {
        match &self.0 {
            Kind::Characters { tokens, .. } => tokens.len(),
            Kind::Bytes => 256,
            Kind::Tokenizer(tokenizer) => tokenizer.len(),
        }
    }

    /// Whether there is no token.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What a token is, in words for people: `character`, `byte` or `token`.
    pub fn unit(&self) -> &'static str {
        match &self.0 {
            Kind::Characters { .. } => "character",
            Kind::Bytes => "byte",
            Kind::Tokenizer(_) => "token",
        }
    }

    /// The token that is called so: a character, a byte as a character of ASCII, a tokenizer's own name.
    pub fn token(&self, text: &str) -> Option<u32> {
        match &self.0 {
            Kind::Characters { tokens, .. } => {
                tokens.iter().position(|t| t == text).map(|i| i as u32)
            }
            Kind::Bytes => match text.as_bytes() {
                [one] => Some(u32::from(*one)),
                _ => None,
            },
            Kind::Tokenizer(tokenizer) => tokenizer.token(text),
        }
    }

    /// What a token is called; `None` for a number without one.
    pub fn name(&self, id: u32) -> Option<String> {
        match &self.0 {
            Kind::Characters { tokens, .. } => tokens.get(id as usize).cloned(),
            Kind::Bytes => u8::try_from(id).ok().map(|b| match b {
                b' '..=b'~' => char::from(b).to_string(),
                _ => format!("0x{b:02x}"),
            }),
            Kind::Tokenizer(tokenizer) => tokenizer.name(id),
        }
    }

    /// Whether a number is that of a token. A tokenizer's may have gaps.
    pub fn has(&self, id: u32) -> bool {
        match &self.0 {
            Kind::Characters { .. } | Kind::Bytes => (id as usize) < self.len(),
            Kind::Tokenizer(tokenizer) => tokenizer.has(id),
        }
    }

    /// The numbers of the tokens of `text`.
    ///
    /// # Errors
    /// [`TrainError::Config`] at the first character that is not in the vocabulary.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>> {
        let index = match &self.0 {
            Kind::Characters { index, .. } => index,
            Kind::Bytes => return Ok(text.bytes().map(u32::from).collect()),
            Kind::Tokenizer(tokenizer) => return tokenizer.encode(text),
        };
        let unknown = |i: usize, c: char| {
            TrainError::config(
                "text",
                format!("character {c:?} at position {i} is not in the vocabulary"),
            )
        };
        text.chars()
            .enumerate()
            .map(|(i, c)| index.get(&c).copied().ok_or_else(|| unknown(i, c)))
            .collect()
    }

    /// The text of tokens that follow each other. Bytes that are no character become U+FFFD.
    ///
    /// # Errors
    /// [`TrainError::Config`] at the first number that is no token.
    pub fn decode(&self, ids: &[u32]) -> Result<String> {
        let beyond = |id: &u32| {
            TrainError::config(
                "ids",
                format!("{id} is not below the vocabulary's size {}", self.len()),
            )
        };
        match &self.0 {
            Kind::Characters { tokens, .. } => {
                let token = |id: &u32| {
                    let found = tokens.get(*id as usize).map(String::as_str);
                    found.ok_or_else(|| beyond(id))
                };
                ids.iter().map(token).collect()
            }
            Kind::Bytes => {
                let byte = |id: &u32| u8::try_from(*id).map_err(|_| beyond(id));
                let bytes = ids.iter().map(byte).collect::<Result<Vec<u8>>>()?;
                Ok(String::from_utf8_lossy(&bytes).into_owned())
            }
            Kind::Tokenizer(tokenizer) => tokenizer.decode(ids),
        }
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
            prop_assert!(vocabulary.characters().unwrap().is_sorted());
            prop_assert_eq!(Vocabulary::of(&vocabulary.plain()).unwrap(), vocabulary);
        }
    }

    #[test]
    fn strangers_are_refused_by_name() {
        let vocabulary = Vocabulary::of_text("banana");
        assert_eq!(vocabulary.characters().unwrap(), ["a", "b", "n"]);
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

    #[test]
    fn bytes_are_their_own_numbers() {
        let bytes = Vocabulary::bytes();
        assert_eq!(bytes.encode("aé").unwrap(), [97, 0xc3, 0xa9]);
        assert_eq!(bytes.decode(&[97, 0xc3, 0xa9, 0xff]).unwrap(), "aé\u{fffd}");
        assert!(
            bytes
                .decode(&[256])
                .unwrap_err()
                .to_string()
                .contains("size 256")
        );
        assert_eq!(
            (bytes.len(), bytes.token("a"), bytes.token("é")),
            (256, Some(97), None)
        );
        assert_eq!(
            (bytes.name(10), bytes.name(65)),
            (Some("0x0a".into()), Some("A".into()))
        );
        assert_eq!(Vocabulary::of(&bytes.plain()).unwrap(), bytes);
    }

    /// Words and what stands between them, with room between the numbers.
    const WORDS: &str = r#"{"version": "1.0", "truncation": {"direction": "Right", "max_length": 3, "strategy": "LongestFirst", "stride": 0},
        "padding": null, "added_tokens": [{"id": 4, "content": "<end>", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true}],
        "normalizer": null, "pre_tokenizer": {"type": "Split", "pattern": {"Regex": "[a-z]+"}, "behavior": "Isolated", "invert": false},
        "post_processor": null, "decoder": {"type": "Fuse"},
        "model": {"type": "WordLevel", "vocab": {"?": 0, "sea": 1, " ": 2, "the": 3}, "unk_token": "?"}}"#;

    #[test]
    fn a_tokenizer_reads_whole_texts_by_its_file() {
        let words = Vocabulary::tokenizer(Arc::from(WORDS.as_bytes())).unwrap();
        // Its truncation is of batches: nothing is cut.
        assert_eq!(
            words.encode("the sea the sea").unwrap(),
            [3, 2, 1, 2, 3, 2, 1]
        );
        assert_eq!(words.encode("the sand<end>").unwrap(), [3, 2, 0, 4]);
        assert_eq!(words.decode(&[3, 2, 1, 4]).unwrap(), "the sea<end>");
        assert_eq!(
            (words.len(), words.token("<end>"), words.name(1)),
            (5, Some(4), Some("sea".into()))
        );
        assert!(
            words
                .decode(&[5])
                .unwrap_err()
                .to_string()
                .contains("5 is no token")
        );
        assert_eq!(Vocabulary::of(&words.plain()).unwrap(), words);
        let other = Vocabulary::tokenizer(Arc::from(WORDS.replace("sea", "sand").as_bytes()));
        assert_ne!(other.unwrap(), words);
        // Numbers that the library would change without a word.
        for (from, to, why) in [
            (
                "\"id\": 4",
                "\"id\": 9",
                "has the number 9, and the tokenizers library gives it 4",
            ),
            ("\"the\": 3", "\"the\": 4", "has the number 4 twice"),
        ] {
            let file = WORDS.replace(from, to);
            let refused = Vocabulary::tokenizer(Arc::from(file.as_bytes())).unwrap_err();
            assert!(refused.to_string().contains(why), "{refused}");
        }
        let merges = r#"{"version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null, "pre_tokenizer": null,
            "post_processor": null, "decoder": null, "model": {"type": "BPE", "dropout": 0.5, "unk_token": null, "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": ["a b"]}}"#;
        let chance = Vocabulary::tokenizer(Arc::from(merges.as_bytes())).unwrap_err();
        assert!(chance.to_string().contains("by chance"), "{chance}");
        let fixed = merges.replace("0.5", "null");
        let fixed = Vocabulary::tokenizer(Arc::from(fixed.as_bytes())).unwrap();
        assert_eq!(fixed.encode("ab").unwrap(), [2]);
        let none = Vocabulary::tokenizer(Arc::from(*b"{}"))
            .unwrap_err()
            .to_string();
        assert!(none.contains("is no tokenizer.json"), "{none}");
    }
}
