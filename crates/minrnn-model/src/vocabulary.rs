//! What the tokens of a text model are, as data: what checkpoints and exports carry. No text is read with it here.

use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The tokens of a text model, by number. As JSON a list of characters, or the word `bytes`; a tokenizer is a file of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Vocabulary {
    /// Token i is the i-th character.
    Characters(Vec<String>),
    /// Token i is the byte i; there are 256.
    Bytes,
    /// Pieces of words: a `tokenizer.json` of the tokenizers library, byte for byte.
    Tokenizer(Arc<[u8]>),
}

/// The word for bytes.
pub const BYTES: &str = "bytes";
/// The name of a tokenizer's file, in a checkpoint and in an export.
pub const TOKENIZER: &str = "tokenizer.json";

impl Vocabulary {
    /// The characters, where it is of characters.
    pub fn characters(&self) -> Option<&[String]> {
        match self {
            Self::Characters(all) => Some(all),
            Self::Bytes | Self::Tokenizer(_) => None,
        }
    }

    /// The tokenizer's file, where it is one.
    pub fn tokenizer(&self) -> Option<&[u8]> {
        match self {
            Self::Tokenizer(file) => Some(file),
            Self::Characters(_) | Self::Bytes => None,
        }
    }

    /// What a token is, in words for people: `character`, `byte` or `token`.
    pub fn unit(&self) -> &'static str {
        match self {
            Self::Characters(_) => "character",
            Self::Bytes => "byte",
            Self::Tokenizer(_) => "token",
        }
    }
}

impl From<Vec<String>> for Vocabulary {
    fn from(characters: Vec<String>) -> Self {
        Self::Characters(characters)
    }
}

impl Serialize for Vocabulary {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Characters(all) => all.serialize(to),
            Self::Bytes => to.serialize_str(BYTES),
            Self::Tokenizer(_) => {
                let why = "a tokenizer is a file of its own, and no JSON value";
                Err(serde::ser::Error::custom(why))
            }
        }
    }
}

impl<'de> Deserialize<'de> for Vocabulary {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Tokens;

        impl<'de> de::Visitor<'de> for Tokens {
            type Value = Vocabulary;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "a list of characters, or the word `{BYTES}`")
            }

            fn visit_str<E: de::Error>(self, word: &str) -> Result<Vocabulary, E> {
                match word {
                    BYTES => Ok(Vocabulary::Bytes),
                    _ => Err(E::invalid_value(de::Unexpected::Str(word), &self)),
                }
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, mut list: A) -> Result<Vocabulary, A::Error> {
                let mut all = vec![];
                while let Some(word) = list.next_element()? {
                    all.push(word);
                }
                Ok(Vocabulary::Characters(all))
            }
        }

        from.deserialize_any(Tokens)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_a_list_or_a_word() {
        let words = Vocabulary::from(vec!["a".to_owned(), "é".to_owned()]);
        for (vocabulary, text) in [(words, "[\"a\",\"é\"]"), (Vocabulary::Bytes, "\"bytes\"")] {
            assert_eq!(serde_json::to_string(&vocabulary).unwrap(), text);
            let back: Vocabulary = serde_json::from_str(text).unwrap();
            assert_eq!(back, vocabulary);
        }
        let refused = serde_json::from_str::<Vocabulary>("\"words\"").unwrap_err();
        assert!(
            refused.to_string().contains("or the word `bytes`"),
            "{refused}"
        );
        let file = Vocabulary::Tokenizer(Arc::from(*b"{}"));
        assert!(serde_json::to_string(&file).is_err());
    }
}
