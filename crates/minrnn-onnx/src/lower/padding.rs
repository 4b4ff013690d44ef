//! Padding to whole blocks, and back.

use super::time::{BLOCK, Key, Len, Time};
use crate::build::{Builder, TO_END, Val};
use crate::export::{Form, Lowering};

impl Time {
    /// The model's input as the lowering needs it. `blocked`: padded with zeros (`width`: of features; `None`: token ids, whose
    /// 0 is a token of every model). `kogge-stone`: guarded against sequences that are too long.
    pub(super) fn prepare_input(&mut self, b: &mut Builder, x: Val, width: Option<i64>) -> Val {
        if self.form == Form::Parallel && self.lowering == Lowering::KoggeStone {
            return b.at_root("time", |b| self.guard_input(b, x, width));
        }
        if !self.is_padded() {
            return x;
        }
        b.at_root("time", |b| {
            let missing = self.missing(0);
            let filler = match width {
                Some(width) => self.filler(b, missing, width),
                None => {
                    let zeros = b.i64_filled(&[1, missing], 0);
                    let dims = self.with_batch(b, &[1]);
                    b.expand(zeros, dims)
                }
            };
            self.fill(b, x, filler, 0)
        })
    }

    /// Steps to add at a level: as many as are missing where that is known, else as many as can be.
    fn missing(&self, level: usize) -> i64 {
        let Some(mut steps) = self.seq_len else {
            return BLOCK - 1;
        };
        for _ in 0..level {
            steps = (steps + BLOCK - 1) / BLOCK;
        }
        (BLOCK - steps % BLOCK) % BLOCK
    }

    /// Zeros `[B, count, width]`.
    fn filler(&mut self, b: &mut Builder, count: i64, width: i64) -> Val {
        self.make(b, Key::Filler(count, width), |t, b| {
            let row = b.f32_filled(&[1, count, width], 0.0);
            let dims = t.with_batch(b, &[1, 1]);
            b.expand(row, dims)
        })
    }

    /// `x` with the filler after it, cut to whole blocks.
    fn fill(&mut self, b: &mut Builder, x: Val, filler: Val, level: usize) -> Val {
        let long = b.concat(&[x, filler], 1);
        if self.seq_len.is_some() {
            return long;
        }
        let (start, end) = (b.i64s(&[0]), self.padded(b, level).val(b));
        b.slice(long, start, end, 1)
    }

    /// `x [B, steps, width]` padded to whole blocks of a level. Nothing before the padding depends on what it holds.
    pub(super) fn pad(&mut self, b: &mut Builder, x: Val, level: usize, width: i64) -> Val {
        let missing = self.missing(level);
        if missing == 0 {
            return x;
        }
        let filler = self.filler(b, missing, width);
        self.fill(b, x, filler, level)
    }

    /// The first `steps(level)` steps of what was padded at that level.
    pub(super) fn unpad(&mut self, b: &mut Builder, x: Val, level: usize) -> Val {
        if self.seq_len.is_some() && self.missing(level) == 0 {
            return x;
        }
        let (start, end) = (b.i64s(&[0]), self.steps(b, level).val(b));
        b.slice(x, start, end, 1)
    }

    /// The sequence without padding.
    pub(super) fn cut(&mut self, b: &mut Builder, x: Val) -> Val {
        if self.is_padded() {
            self.unpad(b, x, 0)
        } else {
            x
        }
    }

    /// Step T-1, with its axis.
    pub(super) fn last_step(&mut self, b: &mut Builder, x: Val) -> Val {
        if !self.is_padded() {
            return b.slice_at(x, -1, TO_END, 1);
        }
        let start = self.seq_len_plus(b, -1).val(b);
        let end = self.seq_len(b).val(b);
        b.slice(x, start, end, 1)
    }

    /// Entries T to T+lag of a window `[B, lag + T, width]`: its last `lag` before padding.
    pub(super) fn window_end(&mut self, b: &mut Builder, window: Val, lag: i64) -> Val {
        if !self.is_padded() {
            return b.slice_at(window, -lag, TO_END, 1);
        }
        let start = self.seq_len(b).val(b);
        let end = self.seq_len_plus(b, lag).val(b);
        b.slice(window, start, end, 1)
    }

    /// The input times ones, as many as the longest sequence has steps: a longer one finds too few, and that is an error of
    /// the engine. Where T is fixed there is nothing to guard.
    fn guard_input(&mut self, b: &mut Builder, x: Val, width: Option<i64>) -> Val {
        let Len::Node(time) = self.seq_len(b) else {
            return x;
        };
        // A table of one would be repeated for any T.
        let longest = self.max_seq_len.max(2);
        let (one, dims) = match width {
            None => (b.i64_filled(&[1, 1], 1), vec![1, longest]),
            Some(_) => (b.f32_filled(&[1, 1, 1], 1.0), vec![1, longest, 1]),
        };
        let dims = b.i64s(&dims);
        let table = b.expand(one, dims);
        let start = b.i64s(&[0]);
        let ones = b.slice(table, start, time, 1);
        b.mul(x, ones)
    }
}
