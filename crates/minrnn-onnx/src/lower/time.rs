//! Lengths: the batch, the sequence, and what it is padded to, as numbers where they are fixed and as nodes where not.
//!
//! Nodes are made when first needed, once for the whole model, in the scope `/time`.

use std::collections::BTreeMap;

use crate::build::{Builder, TO_END, Val};
use crate::export::{ExportOptions, Form, Lowering};
use crate::ir::Dim;

/// Steps in a block.
pub(super) const BLOCK: i64 = 16;

/// A length: a number, or a vector of one i64.
#[derive(Debug, Clone, Copy)]
pub(super) enum Len {
    Fixed(i64),
    Node(Val),
}

impl Len {
    fn val(self, b: &mut Builder) -> Val {
        match self {
            Self::Fixed(n) => b.i64s(&[n]),
            Self::Node(v) => v,
        }
    }
}

/// A value that is computed once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Shape,
    Batch,
    SeqLen,
    /// Sequence length plus a number.
    SeqLenPlus(i64),
    /// Blocks at a level, rounded up.
    Blocks(usize),
    /// Those blocks in steps.
    Padded(usize),
    /// Filler `[B, count, width]` with the bits of its f32.
    Filler(i64, i64, u32),
    /// A one that fails beyond the longest sequence.
    Guard,
}

pub(super) struct Time {
    batch: Option<i64>,
    seq_len: Option<i64>,
    form: Form,
    lowering: Lowering,
    max_seq_len: i64,
    data: Option<Val>,
    made: BTreeMap<Key, Val>,
}

fn as_i64(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

impl Time {
    pub(super) fn new(options: &ExportOptions) -> Self {
        Self {
            batch: options.batch.map(as_i64),
            seq_len: options.seq_len.map(as_i64),
            form: options.form,
            lowering: options.lowering,
            max_seq_len: as_i64(options.seq_len.unwrap_or(options.max_seq_len)),
            data: None,
            made: BTreeMap::new(),
        }
    }

    pub(super) fn batch_dim(&self) -> Dim {
        self.batch.map_or_else(|| Dim::symbol("batch"), Dim::Fixed)
    }

    pub(super) fn seq_len_dim(&self) -> Dim {
        self.seq_len.map_or_else(|| Dim::symbol("seq_len"), Dim::Fixed)
    }

    /// The value whose first two dimensions are batch and sequence length.
    pub(super) fn read(&mut self, data: Val) {
        self.data = Some(data);
    }

    fn is_blocked(&self) -> bool {
        self.form == Form::Parallel && self.lowering == Lowering::Blocked
    }

    pub(super) fn is_padded(&self) -> bool {
        self.is_blocked() && self.seq_len.is_none_or(|t| t % BLOCK != 0)
    }

    /// How often blocks are made of blocks: the least number with `16^levels >= longest`.
    pub(super) fn levels(&self) -> usize {
        let mut reach = BLOCK;
        let mut levels = 1;
        while reach < self.max_seq_len {
            reach = reach.saturating_mul(BLOCK);
            levels += 1;
        }
        levels
    }

    /// The longest sequence that the graph takes; none: no limit.
    pub(super) fn longest(&self) -> Option<usize> {
        let longest = match (self.form, self.seq_len, self.lowering) {
            (Form::Parallel, Some(t), _) => t,
            (Form::Parallel, None, Lowering::KoggeStone) => self.max_seq_len,
            (Form::Parallel, None, Lowering::Blocked) => BLOCK.saturating_pow(self.levels() as u32),
            _ => return None,
        };
        usize::try_from(longest).ok()
    }

    pub(super) fn max_seq_len(&self) -> i64 {
        self.max_seq_len
    }

    pub(super) fn fixed_seq_len(&self) -> Option<i64> {
        self.seq_len
    }

    fn make(&mut self, b: &mut Builder, key: Key, body: impl FnOnce(&mut Self, &mut Builder) -> Val) -> Val {
        if let Some(made) = self.made.get(&key) {
            return *made;
        }
        let val = b.at_root("time", |b| body(self, b));
        self.made.insert(key, val);
        val
    }

    fn dim(&mut self, b: &mut Builder, key: Key, index: i64) -> Val {
        self.make(b, key, |t, b| {
            let data = t.data.expect("the input is the graph's first node");
            let shape = t.make(b, Key::Shape, |_, b| b.shape(data));
            b.slice_at(shape, index, index + 1, 0)
        })
    }

    fn batch(&mut self, b: &mut Builder) -> Len {
        match self.batch {
            Some(n) => Len::Fixed(n),
            None => Len::Node(self.dim(b, Key::Batch, 0)),
        }
    }

    fn seq_len(&mut self, b: &mut Builder) -> Len {
        match self.seq_len {
            Some(n) => Len::Fixed(n),
            None => Len::Node(self.dim(b, Key::SeqLen, 1)),
        }
    }

    fn seq_len_plus(&mut self, b: &mut Builder, n: i64) -> Len {
        match self.seq_len(b) {
            len if n == 0 => len,
            Len::Fixed(t) => Len::Fixed(t + n),
            Len::Node(t) => Len::Node(self.make(b, Key::SeqLenPlus(n), |_, b| {
                let by = b.i64s(&[n.abs()]);
                if n < 0 { b.sub(t, by) } else { b.add(t, by) }
            })),
        }
    }

    /// Steps before padding at a level: the sequence at level 0, the blocks of the level below else.
    pub(super) fn steps(&mut self, b: &mut Builder, level: usize) -> Len {
        match level.checked_sub(1) {
            None => self.seq_len(b),
            Some(below) => self.blocks(b, below),
        }
    }

    /// Blocks at a level: `(steps + 15) / 16`. Not by Mod: one engine folds it with the other sign.
    pub(super) fn blocks(&mut self, b: &mut Builder, level: usize) -> Len {
        match self.steps(b, level) {
            Len::Fixed(n) => Len::Fixed((n + BLOCK - 1) / BLOCK),
            Len::Node(steps) => Len::Node(self.make(b, Key::Blocks(level), |_, b| {
                let (fill, block) = (b.i64s(&[BLOCK - 1]), b.i64s(&[BLOCK]));
                let up = b.add(steps, fill);
                b.div(up, block)
            })),
        }
    }

    /// Steps after padding at a level.
    fn padded(&mut self, b: &mut Builder, level: usize) -> Len {
        match self.blocks(b, level) {
            Len::Fixed(n) => Len::Fixed(n * BLOCK),
            Len::Node(blocks) => Len::Node(self.make(b, Key::Padded(level), |_, b| {
                let block = b.i64s(&[BLOCK]);
                b.mul(blocks, block)
            })),
        }
    }

    /// `[B, rest..]` as a vector of i64.
    fn with_batch(&mut self, b: &mut Builder, rest: &[i64]) -> Val {
        match self.batch(b) {
            Len::Fixed(n) => b.i64s(&[&[n], rest].concat()),
            Len::Node(batch) => {
                let rest = b.i64s(rest);
                b.concat(&[batch, rest], 0)
            }
        }
    }

    /// The model's input, padded with zeros (`width`: of features; `None`: token ids, whose 0 is a token of every model).
    pub(super) fn pad_input(&mut self, b: &mut Builder, x: Val, width: Option<i64>) -> Val {
        if !self.is_padded() {
            return x;
        }
        b.at_root("time", |b| {
            let missing = self.missing(0);
            let filler = match width {
                Some(width) => self.filler(b, missing, width, 0.0),
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
        let Some(mut steps) = self.seq_len else { return BLOCK - 1 };
        for _ in 0..level {
            steps = (steps + BLOCK - 1) / BLOCK;
        }
        (BLOCK - steps % BLOCK) % BLOCK
    }

    fn filler(&mut self, b: &mut Builder, count: i64, width: i64, value: f32) -> Val {
        self.make(b, Key::Filler(count, width, value.to_bits()), |t, b| {
            let row = b.f32_filled(&[1, count, width], value);
            let dims = t.with_batch(b, &[1, 1]);
            b.expand(row, dims)
        })
    }

    /// `x` with the filler after it, cut to whole blocks.
    fn fill(&mut self, b: &mut Builder, x: Val, filler: Val, level: usize) -> Val {
        let long = b.concat(&[x, filler], 1);
        match self.padded(b, level) {
            Len::Fixed(_) => long,
            Len::Node(end) => {
                let start = b.i64s(&[0]);
                b.slice(long, start, end, 1)
            }
        }
    }

    /// `x [B, steps, width]` padded to whole blocks of a level.
    pub(super) fn pad(&mut self, b: &mut Builder, x: Val, level: usize, width: i64, value: f32) -> Val {
        let missing = self.missing(level);
        if missing == 0 {
            return x;
        }
        let filler = self.filler(b, missing, width, value);
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

    /// The first steps of `x`, as many as the padded sequence has.
    pub(super) fn whole(&mut self, b: &mut Builder, x: Val) -> Val {
        match self.padded(b, 0) {
            Len::Fixed(_) => x,
            Len::Node(end) => {
                let start = b.i64s(&[0]);
                b.slice(x, start, end, 1)
            }
        }
    }

    /// The sequence without padding.
    pub(super) fn cut(&mut self, b: &mut Builder, x: Val) -> Val {
        if self.is_padded() { self.unpad(b, x, 0) } else { x }
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

    /// `[1]` with a one, made so that a sequence beyond the longest is an error of the engine: `1 + (T-1) / longest` values
    /// cannot be one. Without a free length there is nothing to guard.
    pub(super) fn guard(&mut self, b: &mut Builder) -> Option<Val> {
        let Len::Node(last) = self.seq_len_plus(b, -1) else { return None };
        Some(self.make(b, Key::Guard, |t, b| {
            let (longest, one) = (b.i64s(&[t.max_seq_len]), b.i64s(&[1]));
            let beyond = b.div(last, longest);
            let count = b.add(beyond, one);
            let single = b.f32_filled(&[1], 1.0);
            let guarded = b.reshape_to(single, count);
            b.slice_at(guarded, 0, 1, 0)
        }))
    }
}
