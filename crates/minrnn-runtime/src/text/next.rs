//! From logits to text: choose a token, read it, and see whether the text is over.

use super::pieces::Pieces;
use super::sample::Sampler;
use super::stops::Stops;
use super::vocabulary::Codec;
use crate::error::{Error, Result};

/// A text in the making.
#[derive(Debug, Clone)]
pub struct Continuation {
    sampler: Sampler,
    pieces: Pieces,
    stops: Stops,
    end: Option<u32>,
    /// Numbers that are no tokens, once they are known.
    gaps: Option<Vec<u32>>,
}

/// What became of one token.
#[derive(Debug, Clone, PartialEq)]
pub struct Taken {
    /// The token, which the model is fed next.
    pub id: u32,
    /// The text that is certain with it; empty where it is no whole character, or may be the beginning of a text that ends.
    pub text: String,
    /// Why the text is over, if it is.
    pub over: Option<Over>,
}

/// Why a text is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Over {
    /// The model chose the token that ends texts, which is not part of the text.
    Token(u32),
    /// The model wrote this text, which is not part of the text.
    Stop(String),
}

impl Continuation {
    /// Behind the tokens `prompt`; over at the token `end`, or once one of the texts `stops` was written, which in the prompt ends nothing.
    ///
    /// # Errors
    /// [`Error::Input`] for an empty text in `stops`.
    pub fn new(
        sampler: Sampler,
        prompt: &[u32],
        stops: Vec<String>,
        end: Option<u32>,
    ) -> Result<Self> {
        if stops.iter().any(String::is_empty) {
            let what = "has an empty text, which would end everything before it begins";
            return Err(Error::input("stop", what, "leave it out"));
        }
        Ok(Self {
            sampler,
            pieces: Pieces::after(prompt),
            stops: Stops::new(stops),
            end,
            gaps: None,
        })
    }

    /// Chooses the next token by its logits. Numbers that `codec` does not know, behind its last token or between two, are never chosen;
    /// it is the same codec each time.
    ///
    /// # Errors
    /// [`Error::Input`] for logits that are not finite, or fewer than there are tokens; a codec that knows no token.
    pub fn take(&mut self, codec: &dyn Codec, logits: &[f32]) -> Result<Taken> {
        let known = codec.tokens();
        let Some(logits) = logits.get(..known).filter(|l| !l.is_empty()) else {
            let what = format!("are {}, and there are {known} tokens", logits.len());
            return Err(Error::input("logits", what, "give those of one step"));
        };
        if let Some(value) = logits.iter().find(|v| !v.is_finite()) {
            let mend = "its weights are so large that float32 overflows; take a checkpoint from before the training diverged";
            return Err(Error::input("logits", format!("hold {value}"), mend));
        }
        let id = self.choose(codec, logits)?;
        let (mut text, mut over) = (String::new(), None);
        if self.end == Some(id) {
            over = Some(Over::Token(id));
        } else {
            for c in self.pieces.take(codec, id)?.chars() {
                let found = self.stops.take(c);
                text.push_str(&found.shown);
                if let Some(stop) = found.stop {
                    over = Some(Over::Stop(stop));
                    break;
                }
            }
        }
        Ok(Taken { id, text, over })
    }

    /// The next token, none of those that there are not.
    fn choose(&mut self, codec: &dyn Codec, logits: &[f32]) -> Result<u32> {
        let all = 0..logits.len() as u32;
        let gaps = self
            .gaps
            .get_or_insert_with(|| all.filter(|id| !codec.knows(*id)).collect());
        if gaps.is_empty() {
            return Ok(self.sampler.choose(logits) as u32);
        }
        if gaps.len() == logits.len() {
            let what = format!("has no token among the numbers 0 to {}", gaps.len() - 1);
            return Err(Error::input("vocabulary", what, "use that of the model"));
        }
        let mut left = logits.to_vec();
        for id in gaps {
            left[*id as usize] = f32::NEG_INFINITY;
        }
        Ok(self.sampler.choose(&left) as u32)
    }

    /// What was held back, once nothing follows. Empty where a text of `stops` ended it.
    ///
    /// # Errors
    /// Those of [`Codec::decode`].
    pub fn rest(&mut self, codec: &dyn Codec) -> Result<String> {
        let mut rest = self.stops.rest();
        rest.push_str(&self.pieces.rest(codec)?);
        Ok(rest)
    }
}
