//! What the tokens of a text model are: read from `manifest.json`, held to the file.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::external;
use crate::info::InputSpec;
use crate::model::Model;

/// Turns text into tokens, and tokens into text.
///
/// [`Vocabulary`] is one for models of characters and of bytes. For a model whose export has a `tokenizer.json`, implement it with the
/// `tokenizers` crate, which this one does not depend on: `docs/runtime.md` has the lines.
pub trait Codec {
    /// V, how many tokens there are.
    fn tokens(&self) -> usize;

    /// Whether a number below [`Codec::tokens`] is that of a token: a tokenizer's numbers may have gaps. A number without one is never
    /// chosen.
    fn knows(&self, id: u32) -> bool {
        (id as usize) < self.tokens()
    }

    /// The tokens of a text.
    ///
    /// # Errors
    /// [`Error::Input`] for what no token stands for.
    fn encode(&self, text: &str) -> Result<Vec<u32>>;

    /// The text of tokens that follow each other. What is no whole character becomes U+FFFD.
    ///
    /// # Errors
    /// [`Error::Input`] for a token that there is not.
    fn decode(&self, ids: &[u32]) -> Result<String>;
}

/// The tokens of a model that reads characters, or bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vocabulary(Kind);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    /// The character of each token, and the token of each.
    Characters(Vec<char>, BTreeMap<char, u32>),
    Bytes,
}

/// A list of characters takes some bytes each; a device or a pipe may have no end.
const MOST: usize = 64 << 20;
const MANIFEST: &str = "manifest.json";

impl Vocabulary {
    /// The 256 bytes.
    pub fn bytes() -> Self {
        Self(Kind::Bytes)
    }

    /// Token i is the i-th character.
    ///
    /// # Errors
    /// [`Error::Input`] for a character that stands there twice.
    pub fn characters(all: impl IntoIterator<Item = char>) -> Result<Self> {
        let all: Vec<char> = all.into_iter().collect();
        let mut number = BTreeMap::new();
        for (i, c) in (0..).zip(&all) {
            if let Some(first) = number.insert(*c, i) {
                let what = format!("{c:?} is entry {first} and entry {i}");
                return Err(Error::input("vocabulary", what, "give each character once"));
            }
        }
        Ok(Self(Kind::Characters(all, number)))
    }

    /// That of the export in `folder`, of which `model` is a file: what its `manifest.json` says, held to the file (`minrnn.vocabulary`).
    ///
    /// # Errors
    /// [`Error::Read`]; [`Error::Contract`] for a manifest without a vocabulary, with another one than the file's, or with a
    /// `tokenizer.json`, for which [`Codec`] is to be implemented.
    pub fn of_export(folder: impl AsRef<Path>, model: &Model) -> Result<Self> {
        let path = folder.as_ref().join(MANIFEST);
        let fail = |what: &str, mend: &str| Error::Contract {
            file: path.display().to_string(),
            place: "vocabulary".into(),
            what: what.into(),
            mend: mend.into(),
        };
        let bytes = external::plain(&path).map_err(|source| Error::Read {
            file: path.clone(),
            source,
        })?;
        if bytes.len() > MOST {
            return Err(fail("is in a file of more than 64 MiB", "export again"));
        }
        let json: Value = serde_json::from_slice(&bytes)
            .map_err(|e| fail(&format!("is not to be read: {e}"), "export again"))?;
        let (vocabulary, says) = match &json["vocabulary"] {
            Value::Null => {
                return Err(fail(
                    "is not there, so that the model is no text model",
                    "give it token ids or features (`Session`)",
                ));
            }
            Value::Object(_) => {
                return Err(fail(
                    "is a tokenizer.json, which this crate does not read",
                    "implement `text::Codec` with the crate tokenizers, and use `Writer::new`",
                ));
            }
            Value::String(word) if word == "bytes" => (Self::bytes(), "bytes".to_owned()),
            Value::Array(list) => {
                let words = list
                    .iter()
                    .map(Value::as_str)
                    .collect::<Option<Vec<&str>>>();
                let chars = words
                    .as_ref()
                    .and_then(|w| w.iter().map(|w| single(w)).collect());
                let (Some(words), Some(chars)) = (words, chars) else {
                    return Err(fail(
                        "has an entry that is not one character",
                        "export again",
                    ));
                };
                let chars: Vec<char> = chars;
                let vocabulary =
                    Self::characters(chars).map_err(|e| fail(&e.to_string(), "export again"))?;
                (vocabulary, digest(&words))
            }
            _ => {
                return Err(fail(
                    "is neither a list nor a word that is known",
                    "use a runtime of the exporter's version",
                ));
            }
        };
        let info = model.info();
        // Files of older versions do not say it.
        if info.vocabulary.as_ref().is_some_and(|own| *own != says) {
            let what = format!("is not the one that {} was exported with", model.file());
            return Err(fail(&what, "take both files from one export"));
        }
        vocabulary.fits(model)?;
        Ok(vocabulary)
    }

    fn fits(&self, model: &Model) -> Result<()> {
        fits(self, model)
    }
}

/// Whether a model predicts the next of the codec's tokens, or more.
pub(super) fn fits(codec: &impl Codec, model: &Model) -> Result<()> {
    let info = model.info();
    let (known, width) = (codec.tokens(), info.output.width);
    let tokens = matches!(info.input, InputSpec::Tokens { .. });
    if tokens && info.output.name == "logits" && width >= known {
        return Ok(());
    }
    let what = match tokens {
        true => format!(
            "{} gives {width} {}, and there are {known} tokens",
            model.file(),
            info.output.name
        ),
        false => format!("{} takes features", model.file()),
    };
    Err(Error::input(
        "vocabulary",
        what,
        "give a model that predicts the next token",
    ))
}

fn single(word: &str) -> Option<char> {
    let mut all = word.chars();
    all.next().filter(|_| all.next().is_none())
}

/// As `minrnn.vocabulary` has it: sha256 over the entries, of each its length (u64, little-endian) before it.
fn digest(words: &[&str]) -> String {
    let mut hash = Sha256::new();
    for word in words {
        hash.update((word.len() as u64).to_le_bytes());
        hash.update(word.as_bytes());
    }
    hash.finalize().iter().map(|b| format!("{b:02x}")).collect()
}

fn unknown_token(id: u32, tokens: usize) -> Error {
    let what = format!("{id} is not below {tokens}, how many there are");
    Error::input("token", what, "decode what the model chose")
}

impl Codec for Vocabulary {
    fn tokens(&self) -> usize {
        match &self.0 {
            Kind::Characters(all, _) => all.len(),
            Kind::Bytes => 256,
        }
    }

    fn encode(&self, text: &str) -> Result<Vec<u32>> {
        let number = match &self.0 {
            Kind::Bytes => return Ok(text.bytes().map(u32::from).collect()),
            Kind::Characters(_, number) => number,
        };
        let one = |(at, c): (usize, char)| {
            number.get(&c).copied().ok_or_else(|| {
                let what = format!("the model has no character {c:?} (number {})", at + 1);
                Error::input("text", what, "write it with characters of the vocabulary")
            })
        };
        text.chars().enumerate().map(one).collect()
    }

    fn decode(&self, ids: &[u32]) -> Result<String> {
        match &self.0 {
            Kind::Characters(all, _) => {
                let one = |id: &u32| {
                    all.get(*id as usize)
                        .ok_or_else(|| unknown_token(*id, all.len()))
                };
                ids.iter().map(one).collect()
            }
            Kind::Bytes => {
                let one = |id: &u32| u8::try_from(*id).map_err(|_| unknown_token(*id, 256));
                let bytes = ids.iter().map(one).collect::<Result<Vec<u8>>>()?;
                Ok(String::from_utf8_lossy(&bytes).into_owned())
            }
        }
    }
}
