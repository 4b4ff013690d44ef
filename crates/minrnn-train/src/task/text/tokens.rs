//! The file of a text task as tokens.

use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::TextOptions;
use crate::data::{Vocabulary, read_data};
use crate::error::{Result, TrainError};

/// What a token of the file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TextTokens {
    /// A character of UTF-8.
    Characters,
    /// A byte, whatever the file is.
    Bytes,
    /// Token numbers as u16, little-endian, nothing else in the file.
    U16,
    /// The same as u32.
    U32,
}

/// A file that was read.
pub(super) struct Tokens {
    pub(super) ids: Vec<u32>,
    /// What they stand for; `None` for numbers of which nobody said it.
    pub(super) vocabulary: Option<Vocabulary>,
    /// V.
    pub(super) count: usize,
    pub(super) warnings: Vec<String>,
}

/// What the options say that tokens are.
pub(in crate::task) enum Kind {
    Characters,
    Bytes,
    /// Pieces of a tokenizer.
    Pieces(Vocabulary),
    /// Numbers of so many bytes each, below `count`; what they stand for, if somebody says it.
    Numbers {
        width: usize,
        pieces: Option<Vocabulary>,
        count: usize,
    },
}

/// # Errors
/// [`TrainError::Config`] for options that contradict each other; a tokenizer that cannot be read.
pub(in crate::task) fn kind(options: &TextOptions) -> Result<Kind> {
    let TextOptions {
        tokens,
        tokenizer,
        vocab_size,
        carried,
        ..
    } = options;
    let numbers = matches!(tokens, Some(TextTokens::U16 | TextTokens::U32));
    if vocab_size.is_some() && !numbers {
        let message = "is of files of token numbers (tokens = \"u16\" or \"u32\"); leave it out: how many tokens there are follows from the text";
        return Err(TrainError::config("vocab_size", message));
    }
    let pieces = match carried {
        Some(carried) => Some(carried.clone()),
        None => tokenizer.as_deref().map(open).transpose()?,
    };
    match (tokens, pieces) {
        (Some(TextTokens::U16), pieces) => numbered(2, pieces, *vocab_size),
        (Some(TextTokens::U32), pieces) => numbered(4, pieces, *vocab_size),
        (Some(_), Some(_)) => {
            let message = "would change nothing: `tokens` says that tokens are characters or bytes; leave one of the two out";
            Err(TrainError::config("tokenizer", message))
        }
        (Some(TextTokens::Bytes), None) => Ok(Kind::Bytes),
        (None, Some(pieces)) => Ok(Kind::Pieces(pieces)),
        (None | Some(TextTokens::Characters), None) => Ok(Kind::Characters),
    }
}

/// Reads the file as the options say.
pub(super) fn read(options: &TextOptions) -> Result<Tokens> {
    let path = &options.path;
    match kind(options)? {
        Kind::Numbers {
            width,
            pieces,
            count,
        } => of_numbers(path, width, pieces, count),
        Kind::Bytes => {
            let bytes = read_data(path).map_err(TrainError::io("read", path))?;
            Ok(of(
                bytes.into_iter().map(u32::from).collect(),
                Vocabulary::bytes(),
            ))
        }
        Kind::Pieces(pieces) => of_pieces(&read_text(path)?, pieces),
        Kind::Characters => {
            let text = read_text(path)?;
            let vocabulary = Vocabulary::of_text(&text);
            Ok(of(vocabulary.encode(&text)?, vocabulary))
        }
    }
}

fn of(ids: Vec<u32>, vocabulary: Vocabulary) -> Tokens {
    Tokens {
        ids,
        count: vocabulary.len(),
        vocabulary: Some(vocabulary),
        warnings: vec![],
    }
}

fn open(path: &Path) -> Result<Vocabulary> {
    let file = read_data(path).map_err(TrainError::io("read", path))?;
    let vocabulary = Vocabulary::tokenizer(Arc::from(file));
    vocabulary.map_err(|e| TrainError::data(path, "", e.to_string()))
}

/// How much of a text is held to what its tokens say, bytes.
const HELD: usize = 64 << 10;

fn of_pieces(text: &str, pieces: Vocabulary) -> Result<Tokens> {
    let mut end = HELD.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let begin = &text[..end];
    let back = pieces.decode(&pieces.encode(begin)?)?;
    let mut tokens = of(pieces.encode(text)?, pieces);
    if back != begin {
        let both = back.chars().zip(begin.chars());
        let same = both.take_while(|(a, b)| a == b).count();
        tokens.warnings.push(format!(
            "the tokenizer loses some of the text: what its tokens say differs from character {} on; the model will never write what is lost",
            same + 1
        ));
    }
    Ok(tokens)
}

/// Numbers of `width` bytes each, and how many tokens there are.
fn numbered(width: usize, pieces: Option<Vocabulary>, size: Option<usize>) -> Result<Kind> {
    let known = pieces.as_ref().map(Vocabulary::len);
    let count = match (size, known) {
        (Some(size), Some(known)) if size < known => {
            let message = format!("is {size}, and the tokenizer has {known} tokens");
            return Err(TrainError::config("vocab_size", message));
        }
        (Some(0), _) => {
            return Err(TrainError::config(
                "vocab_size",
                "is 0, expected at least 1",
            ));
        }
        (Some(size), _) | (None, Some(size)) => size,
        (None, None) => {
            let message = "is missing: a file of token numbers does not say how many tokens there are; give it, or their `tokenizer`";
            return Err(TrainError::config("vocab_size", message));
        }
    };
    Ok(Kind::Numbers {
        width,
        pieces,
        count,
    })
}

fn of_numbers(
    path: &Path,
    width: usize,
    vocabulary: Option<Vocabulary>,
    count: usize,
) -> Result<Tokens> {
    let bytes = read_data(path).map_err(TrainError::io("read", path))?;
    if !bytes.len().is_multiple_of(width) {
        let message = format!(
            "has {} bytes, which is no whole number of u{}",
            bytes.len(),
            8 * width
        );
        return Err(TrainError::data(path, "", message));
    }
    let number = |piece: &[u8]| piece.iter().rev().fold(0, |n, b| n << 8 | u32::from(*b));
    let ids: Vec<u32> = bytes.chunks_exact(width).map(number).collect();
    if let Some(at) = ids.iter().position(|id| *id as usize >= count) {
        let message = format!(
            "is {}, and there are {count} tokens, numbered from 0; is the file of u{} in little-endian order?",
            ids[at],
            8 * width
        );
        return Err(TrainError::data(
            path,
            format!("token {at} (byte {})", at * width),
            message,
        ));
    }
    let mut halves = Halves::default();
    halves.see(0, &ids);
    Ok(Tokens {
        warnings: halves.warning(width).into_iter().collect(),
        ids,
        vocabulary,
        count,
    })
}

/// Whether numbers of two bytes look like the halves of numbers of four: every second one is 0, as that above each small u32 is.
#[derive(Debug, Default)]
pub(in crate::task) struct Halves {
    tokens: usize,
    /// Whether there was another number than 0 at an even place, and at an odd one.
    others: [bool; 2],
}

impl Halves {
    /// Looks at the tokens from place `at` on.
    pub(in crate::task) fn see(&mut self, at: usize, ids: &[u32]) {
        self.tokens += ids.len();
        for (place, _) in (at..).zip(ids).filter(|(_, id)| **id != 0) {
            self.others[place % 2] = true;
        }
    }

    /// What to know of a file of numbers of `width` bytes.
    pub(in crate::task) fn warning(&self, width: usize) -> Option<String> {
        let looks = width == 2
            && self.tokens >= 4
            && self.tokens.is_multiple_of(2)
            && self.others == [true, false];
        looks.then(|| {
            "task.tokens is \"u16\", and every second token of the file is 0, as where u32 are read so: if the file is of u32, say task.tokens = \"u32\"".to_owned()
        })
    }
}

/// The file as text, or where it stops being UTF-8.
fn read_text(path: &Path) -> Result<String> {
    let mut bytes = read_data(path).map_err(TrainError::io("read", path))?;
    // A byte order mark says how the file is written, and is none of its characters.
    if bytes.starts_with("\u{feff}".as_bytes()) {
        bytes.drain(..3);
    }
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let line = 1 + error.as_bytes()[..at]
            .iter()
            .filter(|b| **b == b'\n')
            .count();
        no_text(path, at as u64, line)
    })
}

/// Where a file stops being UTF-8, and what would mend it.
pub(in crate::task) fn no_text(path: &Path, at: u64, line: usize) -> TrainError {
    let bin = path
        .extension()
        .is_some_and(|e| e.eq_ignore_ascii_case("bin"));
    let mend = match bin {
        true => "of token numbers say so: task.tokens = \"u16\" or \"u32\"",
        false => "convert the file first, or take its bytes: task.tokens = \"bytes\"",
    };
    TrainError::data(
        path,
        format!("byte {at} (line {line})"),
        format!("is not UTF-8; {mend}"),
    )
}
