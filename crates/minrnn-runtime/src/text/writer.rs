//! An export that writes.

use std::path::Path;
use std::sync::Arc;

use super::next::{Continuation, Over};
use super::sample::{Sampler, Sampling};
use super::vocabulary::{Codec, Vocabulary, fits};
use crate::error::{Error, Result};
use crate::info::Head;
use crate::input::Input;
use crate::model::Model;
use crate::options::Options;
use crate::session::Session;

/// How a text is written.
#[derive(Debug, Clone, PartialEq)]
pub struct Writing {
    /// How a token is chosen.
    pub sampling: Sampling,
    /// Decides what is drawn: the same seed, the same text.
    pub seed: u64,
    /// Tokens to write, at most.
    pub most: usize,
    /// Texts at which it is over; they are not given, and in the prompt they end nothing.
    pub stop: Vec<String>,
}

impl Default for Writing {
    /// 200 tokens by the model's own probabilities.
    fn default() -> Self {
        Self {
            sampling: Sampling {
                temperature: 1.0,
                ..Sampling::default()
            },
            seed: 0,
            most: 200,
            stop: vec![],
        }
    }
}

/// A text model: its step file, the sequence file that takes a prompt at once, and its tokens.
#[derive(Debug)]
pub struct Writer<C = Vocabulary> {
    session: Session,
    sequence: Option<Model>,
    codec: C,
}

impl Writer {
    /// The export in a folder: its files by their usual names, `model.step.onnx` and, if it is there, `model.parallel.onnx` or
    /// `model.scan.onnx` for prompts.
    ///
    /// # Errors
    /// Those of [`Model::open`] and [`Vocabulary::of_export`]; [`Error::Input`] for a model that writes no text.
    pub fn open(folder: impl AsRef<Path>) -> Result<Self> {
        let folder = folder.as_ref();
        let options = Options::default();
        let open =
            |form: &str| Model::open_with(folder.join(format!("model.{form}.onnx")), &options);
        let step = open("step")?;
        let there = |form: &&str| folder.join(format!("model.{form}.onnx")).is_file();
        let sequence = ["parallel", "scan"].into_iter().find(there);
        let sequence = sequence.map(open).transpose()?;
        let vocabulary = Vocabulary::of_export(folder, &step)?;
        Self::new(Arc::new(step), sequence, vocabulary)
    }
}

impl<C: Codec> Writer<C> {
    /// Of a step file, a sequence file of the same model if prompts are to be read at once, and tokens.
    ///
    /// # Errors
    /// [`Error::Input`] for files that are not these, or a model that does not predict the next of these tokens.
    pub fn new(step: Arc<Model>, sequence: Option<Model>, codec: C) -> Result<Self> {
        fits(&codec, &step)?;
        if step.info().head != Head::PerStep {
            let what = format!("{} answers once a sequence", step.file());
            return Err(Error::input(
                "head",
                what,
                "give a model that predicts the next token",
            ));
        }
        Ok(Self {
            session: Session::new(step, 1)?,
            sequence,
            codec,
        })
    }

    /// The tokens.
    pub fn codec(&self) -> &C {
        &self.codec
    }

    /// The stream, to save its state or to go on from another one.
    pub fn session(&mut self) -> &mut Session {
        &mut self.session
    }

    /// A text that begins with the prompt, piece by piece; the prompt is not given again. The stream goes on where it is: behind what was
    /// written before, or at the initial state after [`Session::reset`].
    ///
    /// # Errors
    /// [`Error::Input`] for an empty prompt, for characters that the model does not know, and for options out of their range.
    pub fn write(&mut self, prompt: &str, how: &Writing) -> Result<Text<'_, C>> {
        let ids = self.codec.encode(prompt)?;
        if ids.is_empty() {
            let what = "is empty, and the model goes on from what it has read";
            return Err(Error::input("prompt", what, "give at least one character"));
        }
        let end = self.session.model().info().end_of_stream;
        let sampler = Sampler::of(how.sampling, how.seed)?;
        Ok(Text {
            next: Continuation::new(sampler, &ids, how.stop.clone(), end)?,
            feed: ids.iter().map(|id| i64::from(*id)).collect(),
            left: how.most,
            over: None,
            done: false,
            writer: self,
        })
    }

    /// Takes tokens in, and gives the logits of the next one.
    fn feed(&mut self, ids: &[i64]) -> Result<Vec<f32>> {
        let output = match (&self.sequence, ids) {
            (None, _) | (_, [_]) => {
                let mut last = None;
                for id in ids {
                    last = Some(self.session.step_tokens(&[*id])?);
                }
                last.map_or(vec![], |output| output.values)
            }
            (Some(sequence), _) => {
                let (batch, time) = (1, ids.len());
                self.session
                    .prefill(sequence, Input::Tokens { ids, batch, time })?
                    .values
            }
        };
        let width = self.session.model().info().output.width;
        Ok(output[output.len().saturating_sub(width)..].to_vec())
    }
}

/// A text that is written as it is asked for.
#[derive(Debug)]
pub struct Text<'a, C = Vocabulary> {
    writer: &'a mut Writer<C>,
    next: Continuation,
    /// What the model has not read yet.
    feed: Vec<i64>,
    left: usize,
    over: Option<Over>,
    done: bool,
}

impl<C> Text<'_, C> {
    /// Why the text is over; `None` while it is not, and where it is as long as it may be.
    pub fn over(&self) -> Option<&Over> {
        self.over.as_ref()
    }
}

impl<C: Codec> Text<'_, C> {
    fn piece(&mut self) -> Result<String> {
        let mut text = String::new();
        while text.is_empty() && self.left > 0 && self.over.is_none() {
            let logits = self.writer.feed(&self.feed)?;
            let taken = self.next.take(&self.writer.codec, &logits)?;
            self.left -= 1;
            self.feed = vec![i64::from(taken.id)];
            text = taken.text;
            self.over = taken.over;
        }
        if self.left == 0 || self.over.is_some() {
            self.done = true;
            text.push_str(&self.next.rest(&self.writer.codec)?);
        }
        Ok(text)
    }
}

impl<C: Codec> Iterator for Text<'_, C> {
    type Item = Result<String>;

    /// Text that is not empty, but perhaps the last one; after an error nothing.
    fn next(&mut self) -> Option<Result<String>> {
        if self.done {
            return None;
        }
        let piece = self.piece();
        self.done |= piece.is_err();
        match piece {
            Ok(text) if text.is_empty() => None,
            other => Some(other),
        }
    }
}
