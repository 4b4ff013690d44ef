//! Long sequences in pieces that follow each other, side by side: rounds of sequences that begin together.

use std::cmp::Reverse;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use super::SequencesOptions;
use super::source::Source;
use crate::data::{LabelScope, SampleRng};
use crate::error::{Result, TrainError};
use crate::task::Piece;

/// # Errors
/// Pieces without a step, or of sequences with one target.
pub(super) fn check(options: &SequencesOptions) -> Result<()> {
    let refuse = |message: &str| Err(TrainError::config("seq_len", message));
    match (options.seq_len, options.per) {
        (Some(0), _) => refuse("is 0, expected at least 1"),
        (Some(_), LabelScope::Sequence) => refuse(
            "cuts sequences into pieces, and a target of the whole sequence (per = \"sequence\") is of none of them; leave it out, or give a target for each step",
        ),
        _ => Ok(()),
    }
}

/// Some steps of a sequence.
pub(super) type Steps = (usize, Range<usize>);

/// Sequences as streams. A round has as many of them as there are streams, which begin together, and is over when the longest is: so no
/// stream begins within a step, and what states begin with is learned on every engine. Sequences of a round are about as long as each
/// other; which of those of one length they are, and the order of the rounds, is drawn by chance for each pass.
#[derive(Debug)]
pub(super) struct Streams {
    /// T.
    pub(super) time: usize,
    seed: u64,
    /// Sequences of the training part by their steps and number, those with the most pieces first.
    longest: Vec<(usize, usize)>,
    /// The pass last asked for: a cache, never a state.
    drawn: Mutex<Option<Drawn>>,
}

/// A pass with so many streams.
#[derive(Debug)]
struct Drawn {
    pass: u64,
    streams: usize,
    /// As [`Streams::longest`], those with as many pieces in another order.
    all: Vec<(usize, usize)>,
    /// Numbers of the rounds in their order, and the step of the pass with which each begins.
    rounds: Vec<(usize, u64)>,
}

impl Streams {
    /// Of the sequences `part`.
    pub(super) fn new(set: &Source, part: &[usize], time: usize, seed: u64) -> Self {
        let mut longest: Vec<_> = part.iter().map(|i| (set.steps(*i), *i)).collect();
        longest.sort_by_key(|(steps, _)| Reverse(steps.div_ceil(time)));
        Self {
            time,
            seed,
            longest,
            drawn: Mutex::new(None),
        }
    }

    fn pieces(&self, (steps, _): (usize, usize)) -> u64 {
        steps.div_ceil(self.time) as u64
    }

    /// Steps of each round, the longest first.
    fn lens(&self, streams: usize) -> impl Iterator<Item = u64> {
        let rounds = self.longest.chunks(streams.max(1));
        rounds.map(|round| self.pieces(round[0]))
    }

    /// Steps of a pass; 0: there are fewer sequences than streams.
    pub(super) fn steps(&self, streams: usize) -> u64 {
        match self.longest.len() >= streams {
            true => self.lens(streams).sum(),
            false => 0,
        }
    }

    fn draw(&self, pass: u64, streams: usize) -> Drawn {
        let mut all = self.longest.clone();
        let mut rng = SampleRng::new(self.seed, "sequences streams", pass);
        for same in all.chunk_by_mut(|a, b| self.pieces(*a) == self.pieces(*b)) {
            rng.shuffle(same);
        }
        let lens: Vec<u64> = self.lens(streams).collect();
        let mut at = 0;
        let rounds = rng.permutation(lens.len()).into_iter().map(|round| {
            let begin = at;
            at += lens[round];
            (round, begin)
        });
        Drawn {
            pass,
            streams,
            rounds: rounds.collect(),
            all,
        }
    }

    /// Whether a round begins with a step.
    pub(super) fn begins(&self, piece: Piece) -> bool {
        self.of(piece, |drawn| {
            drawn.rounds.iter().any(|(_, begin)| *begin == piece.at)
        })
    }

    /// What `read` makes of the pass of a piece.
    fn of<T>(&self, piece: Piece, read: impl Fn(&Drawn) -> T) -> T {
        let mut cache = self.drawn.lock().unwrap_or_else(PoisonError::into_inner);
        let Piece { pass, streams, .. } = piece;
        let known = cache.take();
        let known = known.filter(|d| (d.pass, d.streams) == (pass, streams));
        let drawn = known.unwrap_or_else(|| self.draw(pass, streams));
        let result = read(&drawn);
        *cache = Some(drawn);
        result
    }

    /// The steps of each stream's piece; `None` behind the end of its sequence, or where a round has fewer sequences than streams.
    ///
    /// # Errors
    /// [`TrainError::Config`] for a piece beyond the end of a pass.
    pub(super) fn members(&self, piece: Piece) -> Result<Vec<Option<Steps>>> {
        let steps = self.steps(piece.streams);
        if piece.at >= steps {
            let message = format!(
                "step {} of a pass is asked for, and one with {} streams has {steps}",
                piece.at, piece.streams
            );
            return Err(TrainError::config("batch", message));
        }
        let of = |from: usize, (end, i): (usize, usize)| {
            (from < end).then(|| (i, from..end.min(from + self.time)))
        };
        Ok(self.of(piece, |drawn| {
            let next = drawn
                .rounds
                .partition_point(|(_, begin)| *begin <= piece.at);
            let (round, begin) = drawn.rounds[next - 1];
            let from = (piece.at - begin) as usize * self.time;
            let members = drawn.all.chunks(piece.streams).nth(round);
            let members = members.unwrap_or_default().iter();
            let mut members: Vec<_> = members.map(|m| of(from, *m)).collect();
            members.resize(piece.streams, None);
            members
        }))
    }
}
