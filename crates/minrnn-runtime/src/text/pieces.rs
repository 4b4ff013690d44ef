//! Text from tokens, as they come: of some tokens only several together are a character.

use super::vocabulary::Codec;
use crate::error::Result;

/// No character has more bytes, and so none is made of more tokens.
const LONGEST: usize = 4;
/// Tokens before the next ones that may change what these are read as: a space in front of a word.
const CONTEXT: usize = 8;

/// Tokens of which the text was given, and those of which it was not.
#[derive(Debug, Clone, Default)]
pub struct Pieces {
    ids: Vec<u32>,
    /// How many of them were given.
    given: usize,
}

impl Pieces {
    /// Behind these tokens, whose text is known.
    pub fn after(ids: &[u32]) -> Self {
        let ids = ids[ids.len().saturating_sub(CONTEXT)..].to_vec();
        Self {
            given: ids.len(),
            ids,
        }
    }

    /// One more token: the text that is whole with it, perhaps none. Bytes that are no character, and that no further one makes one,
    /// are U+FFFD.
    ///
    /// # Errors
    /// Those of [`Codec::decode`].
    pub fn take(&mut self, codec: &dyn Codec, id: u32) -> Result<String> {
        self.ids.push(id);
        let text = self.waiting(codec)?;
        let unfinished = text.is_empty() || text.ends_with('\u{fffd}');
        if unfinished && self.ids.len() - self.given < LONGEST {
            return Ok(String::new());
        }
        // What was just read is what the next is read behind.
        let from = self.ids.len().saturating_sub(CONTEXT).min(self.given);
        self.ids.drain(..from);
        self.given = self.ids.len();
        Ok(text)
    }

    /// What no further token makes whole.
    ///
    /// # Errors
    /// Those of [`Codec::decode`].
    pub fn rest(&mut self, codec: &dyn Codec) -> Result<String> {
        let text = self.waiting(codec)?;
        self.given = self.ids.len();
        Ok(text)
    }

    /// The text of the tokens that were not given, as it reads behind the others.
    fn waiting(&self, codec: &dyn Codec) -> Result<String> {
        if self.given == self.ids.len() {
            return Ok(String::new());
        }
        let before = codec.decode(&self.ids[..self.given])?;
        let all = codec.decode(&self.ids)?;
        let both = before.char_indices().zip(all.chars());
        let same = both.take_while(|((_, a), b)| a == b);
        let same = same.last().map_or(0, |((at, c), _)| at + c.len_utf8());
        Ok(all[same..].to_owned())
    }
}
