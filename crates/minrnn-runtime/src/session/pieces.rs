//! Prompts: a sequence file runs them in pieces, and the session goes on behind.

use super::Session;
use crate::error::{Error, Result};
use crate::info::Head;
use crate::input::{Input, Output};
use crate::model::Model;
use crate::state::State;

/// The longest piece in which [`Session::prefill`] runs a prompt.
const LONGEST_PIECE: usize = 512;
/// The shortest; what is left after that goes through the step model.
const SHORTEST_PIECE: usize = 16;

impl Session {
    fn step_from(&self, input: &Input<'_>, state: &State) -> Result<(Output, State)> {
        self.model.run(*input, state)
    }

    /// Runs a prompt through `sequence`, a `parallel` or `scan` file of the same model, from this session's state, and
    /// goes on behind it. The output is the prompt's: `[batch, T, C]`, or `[batch, C]` for a head of the last step.
    ///
    /// The prompt is cut into pieces of 512, 256, .. 16 steps, none longer than `sequence` takes, and what is left is
    /// stepped: so that prompts of all lengths share six plans, and no prompt is too long. A file with a fixed T runs
    /// in pieces of that length.
    ///
    /// # Errors
    /// [`Error::Input`] if `sequence` is a step file or of another model, or for a prompt neither model takes; else as
    /// [`Model::run`].
    pub fn prefill(&mut self, sequence: &Model, input: Input<'_>) -> Result<Output> {
        self.check_pair(sequence)?;
        input.check_values(sequence.info())?;
        input.check_values(self.model.info())?;
        crate::input::check_batch(input.batch(), sequence.info())?;
        self.state.check(self.model.layout(), input.batch())?;
        let mut all = Pieces::new(sequence.info().head, input.batch(), input.time());
        let mut state = None;
        let mut from = 0;
        while from < input.time() {
            let now = state.as_ref().unwrap_or(&self.state);
            let piece = piece(sequence, input.time() - from);
            let part = input.steps(from, piece.unwrap_or(1));
            let (output, next) = match piece {
                Some(_) => sequence.run(part.as_input(), now)?,
                None => self.step_from(&part.as_input(), now)?,
            };
            all.add(from, piece.unwrap_or(1), output);
            from += piece.unwrap_or(1);
            state = Some(next);
        }
        if let Some(state) = state {
            self.state = state;
        }
        Ok(all.output)
    }

    fn check_pair(&self, sequence: &Model) -> Result<()> {
        let refuse = |what: &str| {
            let what = format!("{} {what}", sequence.file());
            Err(Error::input(
                "prefill",
                what,
                "give the parallel or scan file of the same export",
            ))
        };
        let (a, b) = (sequence.info(), self.model.info());
        if !a.form.is_sequence() {
            return refuse("is a step file");
        }
        if sequence.layout() != self.model.layout() {
            return refuse("is of another model");
        }
        if a.output != b.output || a.head != b.head {
            return refuse("has another output than the step file");
        }
        Ok(())
    }
}

/// The length of the next piece of `left` steps; `None`: step.
fn piece(sequence: &Model, left: usize) -> Option<usize> {
    if let Some(fixed) = sequence.info().seq_len {
        return (fixed <= left).then_some(fixed);
    }
    let longest = sequence.info().max_seq_len.unwrap_or(LONGEST_PIECE);
    let fits = |n: &usize| *n <= left && *n <= longest;
    let sizes = std::iter::successors(Some(LONGEST_PIECE), |n| Some(n / 2));
    sizes.take_while(|n| *n >= SHORTEST_PIECE).find(fits)
}

/// The outputs of consecutive pieces, put together.
struct Pieces {
    head: Head,
    batch: usize,
    time: usize,
    output: Output,
}

impl Pieces {
    fn new(head: Head, batch: usize, time: usize) -> Self {
        Self {
            head,
            batch,
            time,
            output: Output {
                values: Vec::new(),
                shape: Vec::new(),
            },
        }
    }

    /// Adds the `len` steps from `from` on.
    fn add(&mut self, from: usize, len: usize, piece: Output) {
        if self.head == Head::Last {
            self.output = piece;
            return;
        }
        let width = piece.values.len() / (self.batch * len);
        self.output.shape = vec![self.batch, self.time, width];
        self.output
            .values
            .resize(self.batch * self.time * width, 0.0);
        let rows = self.output.values.chunks_exact_mut(self.time * width);
        for (to, values) in rows.zip(piece.values.chunks_exact(len * width)) {
            to[from * width..(from + len) * width].copy_from_slice(values);
        }
    }
}
