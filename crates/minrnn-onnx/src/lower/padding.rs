//! Padding to whole blocks, and back.

use super::time::{Key, Len, Time};
use crate::builder::{Builder, TO_END, Val};
use crate::choices::{Form, Lowering};

impl Time {
    /// The model's input as the lowering needs it. `blocked`: padded with zeros (`width`: of features; `None`: token ids, whose
    /// 0 is a token of every model). `kogge-stone`: guarded against sequences that are too long.
    pub(super) fn prepare_input(&mut self, b: &mut Builder, x: Val, width: Option<i64>) -> Val {
        let doubling = matches!(
            self.lowering,
            Lowering::KoggeStone | Lowering::KoggeStoneConcat
        );
        if self.form == Form::Parallel && doubling {
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
            return self.block - 1;
        };
        for _ in 0..level {
            steps = (steps + self.block - 1) / self.block;
        }
        (self.block - steps % self.block) % self.block
    }

    /// Zeros `[B, count, width]`.
    pub(super) fn filler(&mut self, b: &mut Builder, count: i64, width: i64) -> Val {
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

    /// `x [B, T, 1]` padded with ones to whole blocks.
    pub(super) fn pad_ones(&mut self, b: &mut Builder, x: Val) -> Val {
        let missing = self.missing(0);
        if missing == 0 {
            return x;
        }
        let ones = self.ones(b, missing);
        self.fill(b, x, ones, 0)
    }

    /// The same, padded with a row `[B, 1, width]` again and again.
    pub(super) fn pad_like(
        &mut self,
        b: &mut Builder,
        x: Val,
        level: usize,
        width: i64,
        row: Val,
    ) -> Val {
        let missing = self.missing(level);
        if missing == 0 {
            return x;
        }
        let dims = self.with_batch(b, &[missing, width]);
        let filler = b.expand(row, dims);
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

    /// Step T-1 of each row, or its last one where rows have lengths; with its axis. `x [B, T', width]`.
    pub(super) fn last_step(&mut self, b: &mut Builder, x: Val, width: i64) -> Val {
        if self.lengths.is_some() {
            return self.at_end(b, x, -1, 1, width);
        }
        if !self.is_padded() {
            return b.slice_at(x, -1, TO_END, 1);
        }
        let start = self.seq_len_plus(b, -1).val(b);
        let end = self.seq_len(b).val(b);
        b.slice(x, start, end, 1)
    }

    /// Entries T to T+lag of a window `[B, lag + T', width]`: its last `lag` before padding.
    pub(super) fn window_end(&mut self, b: &mut Builder, window: Val, lag: i64, width: i64) -> Val {
        if self.lengths.is_some() {
            return self.at_end(b, window, 0, lag, width);
        }
        if !self.is_padded() {
            return b.slice_at(window, -lag, TO_END, 1);
        }
        let start = self.seq_len(b).val(b);
        let end = self.seq_len_plus(b, lag).val(b);
        b.slice(window, start, end, 1)
    }

    /// Entries `length + first ..` of each row, `count` of them. Padding is cut off before, so that a length beyond T finds
    /// nothing: an error of the engine.
    fn at_end(&mut self, b: &mut Builder, x: Val, first: i64, count: i64, width: i64) -> Val {
        let extra = if first < 0 { 0 } else { count };
        let x = if self.is_padded() {
            let (start, end) = (b.i64s(&[0]), self.seq_len_plus(b, extra).val(b));
            b.slice(x, start, end, 1)
        } else {
            x
        };
        let indices = self.make(b, Key::Ends(first, count, width), |t, b| {
            let lengths = t.lengths.expect("asked for where rows have lengths");
            let rows = b.unsqueeze(lengths, 1);
            let rows = b.unsqueeze(rows, 2);
            let steps: Vec<i64> = (first..first + count).collect();
            let steps = b.i64_table(&[1, count, 1], &steps);
            let at = b.add(rows, steps);
            let shape = b.i64s(&[1, 1, width]);
            b.expand(at, shape)
        });
        // A Reshape lays out one value behind the other.
        let x = match self.strided_gather {
            true => x,
            false => b.reshape(x, &[0, 0, width]),
        };
        b.gather_elements(x, indices, 1)
    }

    /// Ones `[B, count, 1]`.
    pub(super) fn ones(&mut self, b: &mut Builder, count: i64) -> Val {
        self.make(b, Key::Ones(count), |t, b| {
            let row = b.f32_filled(&[1, count, 1], 1.0);
            let dims = t.with_batch(b, &[1, 1]);
            b.expand(row, dims)
        })
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
