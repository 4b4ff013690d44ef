//! The doubling scan: after the pass with distance d, each step holds the product and the end of the last 2d steps.
//!
//! `A[t] <- A[t] * A[t-d]`, `B[t] <- B[t-d] * A[t] + B[t]`, where before the begin A = 1 and B = 0; at last
//! `h = A * h0 + B`. `kogge-stone` moves values by padding at the front, which needs no knowledge of T: it runs in tract with
//! a named T. `kogge-stone-concat` copies the first d steps (Slice and Concat): for engines without Pad; tract runs it with
//! a fixed T only, as its slices do not stop at a T below d.

use super::Lower;
use super::law::Steps;
use crate::builder::{Builder, TO_END, Val};
use crate::choices::Lowering;

impl Lower<'_> {
    /// `a`, `b [B, T, D]`; gives `h [B, T, D]`.
    pub(super) fn kogge_stone(&mut self, a: Val, b: Val, h0: Val) -> Val {
        let (mut product, mut end) = (a, b);
        let mut distance = 1;
        // The longest that the file says it takes: with T free that is at least 2.
        let longest = self
            .time
            .longest()
            .map_or(self.time.max_seq_len, |n| n as i64);
        while distance < longest {
            self.b.enter(&format!("pass{distance}"));
            (product, end) = match self.time.lowering {
                Lowering::KoggeStoneConcat => self.pass_concat(product, end, distance),
                _ => self.pass_pad(product, end, distance),
            };
            self.b.leave();
            distance *= 2;
        }
        let begin = self.b.unsqueeze(h0, 1);
        step(&mut self.b, begin, product, end)
    }

    fn pass_concat(&mut self, a: Val, b: Val, distance: i64) -> (Val, Val) {
        let g = &mut self.b;
        let [(a_first, a_early, a_late), (b_first, b_early, b_late)] = [a, b].map(|x| {
            let first = g.slice_at(x, 0, distance, 1);
            let early = g.slice_at(x, 0, -distance, 1);
            (first, early, g.slice_at(x, distance, TO_END, 1))
        });
        let late = step(g, b_early, a_late, b_late);
        let product = g.mul(a_early, a_late);
        (
            g.concat(&[a_first, product], 1),
            g.concat(&[b_first, late], 1),
        )
    }

    fn pass_pad(&mut self, a: Val, b: Val, distance: i64) -> (Val, Val) {
        let g = &mut self.b;
        let [a_early, b_early] = [(a, 1.0), (b, 0.0)].map(|(x, value)| {
            let moved = g.pad(x, &[0, distance, 0, 0, 0, 0], value);
            g.slice_at(moved, 0, -distance, 1)
        });
        (g.mul(a_early, a), step(g, b_early, a, b))
    }
}

fn step(b: &mut Builder, h: Val, a: Val, x: Val) -> Val {
    Steps::Linear.step(b, &[h], &[a, x])[0]
}
