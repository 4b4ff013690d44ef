//! The blocked scan: sequential over the C steps of a block, parallel over the blocks; the blocks' ends again by blocks, or by
//! the operator Scan (`blocked-scan`).
//!
//! Of every block, `P = a_C .. a_1` and `H`, its end when it begins with zero, make a recurrence over blocks, C times
//! shorter: `end[n] = P[n] * end[n-1] + H[n]`. It is solved in the same way, down to a single block. With the block's true
//! begin known, a second pass over its steps gives h; closer to the sequential result than `P * begin + H` would be.
//!
//! The base is cut to one block, so a sequence too long for the levels leaves C ends for more than C blocks: shapes that do
//! not fit, an error in every engine. (A Reshape to one block would be one too, but not where T is a symbol: there an engine
//! refuses it for every T.)

use super::Lower;
use super::recur::{scan, step};
use super::time::Len;
use crate::builder::Val;
use crate::choices::Lowering;

impl Lower<'_> {
    /// `a`, `b [B, T', D]`, T' a multiple of the block; gives `h [B, T', D]`.
    pub(super) fn blocked(&mut self, a: Val, b: Val, h0: Val, width: i64) -> Val {
        self.level(a, b, h0, width, 0)
    }

    /// `a`, `b` of the steps of one level, padded.
    fn level(&mut self, a: Val, b: Val, h0: Val, width: i64, level: usize) -> Val {
        self.b.enter(&format!("level{level}"));
        let h = if level + 1 == self.time.levels() {
            self.base(a, b, h0)
        } else {
            self.blocks(a, b, h0, width, level)
        };
        self.b.leave();
        h
    }

    /// One block, `[B, C, D]`.
    fn base(&mut self, a: Val, b: Val, h0: Val) -> Val {
        let [a, b] = [a, b].map(|x| self.b.split(x, self.time.block as usize, 1));
        let mut h = self.b.unsqueeze(h0, 1);
        let all: Vec<Val> = std::iter::zip(a, b)
            .map(|(a, b)| {
                h = step(&mut self.b, h, a, b);
                h
            })
            .collect();
        self.b.concat(&all, 1)
    }

    /// Many blocks: their begins from the level above, then a pass through all at once.
    fn blocks(&mut self, a: Val, b: Val, h0: Val, width: i64, level: usize) -> Val {
        let count = match self.time.blocks(&mut self.b, level) {
            Len::Fixed(n) => n,
            Len::Node(_) => -1,
        };
        let shape = [0, count, self.time.block, width];
        let [a, b] = [a, b].map(|x| {
            let blocks = self.b.reshape(x, &shape);
            self.b.split(blocks, self.time.block as usize, 2)
        });
        let mut h = self.begins(&a, &b, h0, width, level);
        let all: Vec<Val> = std::iter::zip(a, b)
            .map(|(a, b)| {
                h = step(&mut self.b, h, a, b);
                h
            })
            .collect();
        let joined = self.b.concat(&all, 2);
        self.b.reshape(joined, &[0, -1, width])
    }

    /// The begins of all blocks, `[B, blocks, 1, D]`: h0, then the ends of all but the last.
    fn begins(&mut self, a: &[Val], b: &[Val], h0: Val, width: i64, level: usize) -> Val {
        let (mut product, mut end) = (a[0], b[0]);
        for (a, b) in a.iter().zip(b).skip(1) {
            end = step(&mut self.b, end, *a, *b);
            product = self.b.mul(product, *a);
        }
        let [product, end] = [product, end].map(|x| self.b.squeeze(x, 2));
        let ends = if self.time.lowering == Lowering::BlockedScan {
            self.b.enter("carry");
            let (ends, _) = scan(&mut self.b, h0, product, end, width);
            self.b.leave();
            ends
        } else {
            let [product, end] =
                [product, end].map(|x| self.time.pad(&mut self.b, x, level + 1, width));
            let ends = self.level(product, end, h0, width, level + 1);
            self.time.unpad(&mut self.b, ends, level + 1)
        };
        let first = self.b.unsqueeze(h0, 1);
        let rest = self.b.slice_at(ends, 0, -1, 1);
        let begins = self.b.concat(&[first, rest], 1);
        self.b.unsqueeze(begins, 2)
    }
}
