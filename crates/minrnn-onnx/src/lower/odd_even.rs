//! The odd-even scan: of every pair of steps one, half as many steps a level, no work twice.
//!
//! Two steps are one step of twice the length: `P = a[1] * a[0]`, `H = b[0] * a[1] + b[1]` make a recurrence over pairs whose
//! values are those of the odd steps. Each even step follows from the odd one before it: `a[0] * h + b[0]`. With T free the
//! base is cut to one pair, so a sequence too long for the levels meets shapes that do not fit: an error in every engine.

use super::Lower;
use super::law::Steps;
use super::recur::Sequence;
use super::time::Len;
use crate::builder::{Builder, Val};

impl Lower<'_> {
    /// A linear recurrence `[B, T', D]`, T' even; gives `h [B, T', D]`.
    pub(super) fn odd_even(&mut self, s: &Sequence) -> Val {
        self.pairs(s.x[0], s.x[1], s.h0[0], s.width, 0)
    }

    fn pairs(&mut self, a: Val, b: Val, h0: Val, width: i64, level: usize) -> Val {
        self.b.enter(&format!("level{level}"));
        let h = if level + 1 == self.time.levels() {
            self.pair(a, b, h0)
        } else {
            self.halves(a, b, h0, width, level)
        };
        self.b.leave();
        h
    }

    /// One pair, `[B, 2, D]`.
    fn pair(&mut self, a: Val, b: Val, h0: Val) -> Val {
        let [a, b] = [a, b].map(|x| self.b.split(x, 2, 1));
        let begin = self.b.unsqueeze(h0, 1);
        let even = step(&mut self.b, begin, a[0], b[0]);
        let odd = step(&mut self.b, even, a[1], b[1]);
        self.b.concat(&[even, odd], 1)
    }

    fn halves(&mut self, a: Val, b: Val, h0: Val, width: i64, level: usize) -> Val {
        let count = match self.time.blocks(&mut self.b, level) {
            Len::Fixed(n) => n,
            Len::Node(_) => -1,
        };
        let [a, b] = [a, b].map(|x| {
            let pairs = self.b.reshape(x, &[0, count, 2, width]);
            let halves = self.b.split(pairs, 2, 2);
            [halves[0], halves[1]].map(|half| self.b.squeeze(half, 2))
        });
        let product = self.b.mul(a[0], a[1]);
        let end = step(&mut self.b, b[0], a[1], b[1]);
        let [product, end] =
            [product, end].map(|x| self.time.pad(&mut self.b, x, level + 1, width));
        let odd = self.pairs(product, end, h0, width, level + 1);
        let odd = self.time.unpad(&mut self.b, odd, level + 1);
        let first = self.b.unsqueeze(h0, 1);
        let rest = self.b.slice_at(odd, 0, -1, 1);
        let before = self.b.concat(&[first, rest], 1);
        let even = step(&mut self.b, before, a[0], b[0]);
        let [even, odd] = [even, odd].map(|x| self.b.unsqueeze(x, 2));
        let joined = self.b.concat(&[even, odd], 2);
        self.b.reshape(joined, &[0, -1, width])
    }
}

fn step(b: &mut Builder, h: Val, a: Val, x: Val) -> Val {
    Steps::Linear.step(b, &[h], &[a, x])[0]
}
