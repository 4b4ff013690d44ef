//! The blocked scan: sequential over the C steps of a block, parallel over the blocks; the blocks' ends again by blocks, or by
//! the operator Scan (`blocked-scan`).
//!
//! All steps of a block are one step (of a linear recurrence `P = a_C .. a_1` and `H`, the block's end when it begins with zero), and
//! these make a recurrence over blocks, C times shorter: `end[n] = P[n] * end[n-1] + H[n]`. It is solved in the same way, down to a single
//! block. With the block's true begin known, a second pass over its steps gives h; closer to the sequential result than
//! `P * begin + H` would be.
//!
//! The base is cut to one block, so a sequence too long for the levels leaves C ends for more than C blocks: shapes that do
//! not fit, an error in every engine. (A Reshape to one block would be one too, but not where T is a symbol: there an engine
//! refuses it for every T.)

use super::Lower;
use super::law::Steps;
use super::recur::{Sequence, scan};
use super::time::Len;
use crate::builder::Val;
use crate::choices::Lowering;

impl Lower<'_> {
    /// T a multiple of the block; gives `h [B, T, width]`.
    pub(super) fn blocked(&mut self, s: &Sequence) -> Vec<Val> {
        self.level(s, 0)
    }

    /// The steps of one level, padded.
    fn level(&mut self, s: &Sequence, level: usize) -> Vec<Val> {
        self.b.enter(&format!("level{level}"));
        let h = if level + 1 == self.time.levels() {
            self.base(s)
        } else {
            self.blocks(s, level)
        };
        self.b.leave();
        h
    }

    /// One block, `[B, C, width]`.
    fn base(&mut self, s: &Sequence) -> Vec<Val> {
        let block = self.time.block as usize;
        let x = s.x.iter().map(|x| self.b.split(*x, block, 1)).collect();
        let begin = s.h0.iter().map(|h| self.b.unsqueeze(*h, 1)).collect();
        let all = self.through(s, &each(x), begin);
        all.iter().map(|h| self.b.concat(h, 1)).collect()
    }

    /// Many blocks: their begins from the level above, then a pass through all at once.
    fn blocks(&mut self, s: &Sequence, level: usize) -> Vec<Val> {
        let count = match self.time.blocks(&mut self.b, level) {
            Len::Fixed(n) => n,
            Len::Node(_) => -1,
        };
        let (shape, block) = (
            [0, count, self.time.block, s.width],
            self.time.block as usize,
        );
        let cut = |x: &Val| {
            let blocks = self.b.reshape(*x, &shape);
            self.b.split(blocks, block, 2)
        };
        let x = each(s.x.iter().map(cut).collect());
        let begins = self.begins(s, &x, level);
        let all = self.through(s, &x, begins);
        let join = |h: &Vec<Val>| {
            let joined = self.b.concat(h, 2);
            self.b.reshape(joined, &[0, -1, s.width])
        };
        all.iter().map(join).collect()
    }

    /// The states after each of the steps `x`; for each part of the state.
    fn through(&mut self, s: &Sequence, x: &[Vec<Val>], begin: Vec<Val>) -> Vec<Vec<Val>> {
        let mut h = begin;
        let mut all = vec![];
        for x in x {
            h = s.steps.step(&mut self.b, &h, x);
            all.push(h.clone());
        }
        each(all)
    }

    /// The begins of all blocks, `[B, blocks, 1, width]`: h0, then the ends of all but the last.
    fn begins(&mut self, s: &Sequence, x: &[Vec<Val>], level: usize) -> Vec<Val> {
        let mut block = x[0].clone();
        for x in &x[1..] {
            block = s.steps.compose(&mut self.b, &block, x);
        }
        let mut above = Sequence {
            steps: s.steps,
            x: block.into_iter().map(|x| self.b.squeeze(x, 2)).collect(),
            h0: s.h0.clone(),
            width: s.width,
        };
        let ends = if self.time.lowering == Lowering::BlockedScan {
            self.b.enter("carry");
            let (ends, _) = scan(&mut self.b, &above);
            self.b.leave();
            ends
        } else {
            let nothing: Vec<Val> = match s.steps {
                Steps::Complex => s.h0.iter().map(|h| self.nothing(*h)).collect(),
                _ => vec![],
            };
            for (at, x) in above.x.iter_mut().enumerate() {
                let b = &mut self.b;
                *x = match nothing[..] {
                    [re, im] => {
                        let row = [re, im][at % 2];
                        self.time.pad_like(b, *x, level + 1, s.width, row)
                    }
                    _ => self.time.pad(b, *x, level + 1, s.width),
                };
            }
            let ends = self.level(&above, level + 1);
            let own = |end: Val| self.time.unpad(&mut self.b, end, level + 1);
            ends.into_iter().map(own).collect()
        };
        let begin = |(h0, ends): (&Val, Val)| {
            let first = self.b.unsqueeze(*h0, 1);
            let rest = self.b.slice_at(ends, 0, -1, 1);
            let begins = self.b.concat(&[first, rest], 1);
            self.b.unsqueeze(begins, 2)
        };
        s.h0.iter().zip(ends).map(begin).collect()
    }

    /// Zeros `[B, 1, width]` that are made of a state, for each part of it others: where T is fixed, tract takes two equal products for
    /// one, and then asks for the one that is gone ("eval() called on a Dummy op"). With equal real and imaginary parts there are such.
    fn nothing(&mut self, state: Val) -> Val {
        let size = self.b.abs(state);
        let below = self.b.neg(size);
        let zeros = self.b.relu(below);
        self.b.unsqueeze(zeros, 1)
    }
}

/// Rows to columns.
fn each(rows: Vec<Vec<Val>>) -> Vec<Vec<Val>> {
    let count = rows.first().map_or(0, Vec::len);
    (0..count)
        .map(|at| rows.iter().map(|row| row[at]).collect())
        .collect()
}
