//! Lengths: the batch, the sequence, and what it is padded to, as numbers where they are fixed and as nodes where not.
//!
//! Nodes are made when first needed, once for the whole model, in the scope `/time`.

use std::collections::BTreeMap;

use crate::builder::{Builder, Val};
use crate::choices::{ExportOptions, Form, Lowering};
use crate::ir::Dim;

/// A length: a number, or a vector of one i64.
#[derive(Debug, Clone, Copy)]
pub(super) enum Len {
    Fixed(i64),
    Node(Val),
}

impl Len {
    pub(super) fn val(self, b: &mut Builder) -> Val {
        match self {
            Self::Fixed(n) => b.i64s(&[n]),
            Self::Node(v) => v,
        }
    }
}

/// A value that is computed once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    Shape,
    Batch,
    SeqLen,
    /// Sequence length plus a number.
    SeqLenPlus(i64),
    /// Blocks at a level, rounded up.
    Blocks(usize),
    /// Those blocks in steps.
    Padded(usize),
    /// Zeros `[B, count, width]`.
    Filler(i64, i64),
    /// Ones `[B, count, 1]`.
    Ones(i64),
    /// Whether a step is before its row's end, `[B, T, 1]`.
    Live,
    /// Indices of each row's last entries: first after its end, count, width.
    Ends(i64, i64, i64),
}

pub(super) struct Time {
    batch: Option<i64>,
    pub(super) seq_len: Option<i64>,
    pub(super) form: Form,
    pub(super) lowering: Lowering,
    pub(super) max_seq_len: i64,
    /// Steps in a block, where the lowering has blocks.
    pub(super) block: i64,
    /// The input `lengths`.
    pub(super) lengths: Option<Val>,
    /// See [`crate::choices::Choices`].
    pub(super) strided_gather: bool,
    data: Option<Val>,
    made: BTreeMap<Key, Val>,
}

fn as_i64(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

impl Time {
    /// `longest`: steps that the model takes, if not any number of them.
    pub(super) fn new(options: &ExportOptions, longest: Option<usize>) -> Self {
        let free = options.max_seq_len.min(longest.unwrap_or(usize::MAX));
        Self {
            batch: options.batch.map(as_i64),
            seq_len: options.seq_len.map(as_i64),
            form: options.form,
            lowering: options.lowering,
            max_seq_len: as_i64(options.seq_len.unwrap_or(free)),
            block: match options.lowering {
                Lowering::OddEven => 2,
                _ => as_i64(options.block),
            },
            lengths: None,
            strided_gather: options.target.choices().strided_gather,
            data: None,
            made: BTreeMap::new(),
        }
    }

    /// The longest sequence before padding.
    pub(super) fn most(&self) -> i64 {
        self.max_seq_len
    }

    pub(super) fn batch_dim(&self) -> Dim {
        self.batch.map_or_else(|| Dim::symbol("batch"), Dim::Fixed)
    }

    pub(super) fn seq_len_dim(&self) -> Dim {
        self.seq_len
            .map_or_else(|| Dim::symbol("seq_len"), Dim::Fixed)
    }

    /// The value whose first two dimensions are batch and sequence length.
    pub(super) fn read(&mut self, data: Val) {
        self.data = Some(data);
    }

    pub(super) fn is_padded(&self) -> bool {
        let blocks = matches!(
            self.lowering,
            Lowering::Blocked | Lowering::BlockedScan | Lowering::OddEven
        );
        self.form == Form::Parallel && blocks && self.seq_len.is_none_or(|t| t % self.block != 0)
    }

    /// How often blocks are made of blocks: the least number with `block^levels >= longest`; where T is free at least two, as
    /// a single level would have no shapes that refuse a sequence too long. `blocked-scan` has blocks and a Scan above them.
    pub(super) fn levels(&self) -> usize {
        let (mut reach, mut levels) = if self.seq_len.is_some() {
            (self.block, 1)
        } else {
            (self.block * self.block, 2)
        };
        while reach < self.max_seq_len && !(self.lowering == Lowering::BlockedScan && levels == 2) {
            reach = reach.saturating_mul(self.block);
            levels += 1;
        }
        levels
    }

    /// The longest sequence that the graph takes; none: no limit.
    pub(super) fn longest(&self) -> Option<usize> {
        let longest = match (self.form, self.seq_len, self.lowering) {
            (Form::Parallel, Some(t), _) => t,
            (Form::Parallel, None, Lowering::KoggeStone | Lowering::KoggeStoneConcat) => {
                self.max_seq_len.max(2)
            }
            (Form::Parallel, None, Lowering::Blocked | Lowering::OddEven) => {
                self.block.saturating_pow(self.levels() as u32)
            }
            _ => return None,
        };
        usize::try_from(longest).ok()
    }

    pub(super) fn made(&self, key: Key) -> Option<Val> {
        self.made.get(&key).copied()
    }

    pub(super) fn make(
        &mut self,
        b: &mut Builder,
        key: Key,
        body: impl FnOnce(&mut Self, &mut Builder) -> Val,
    ) -> Val {
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

    pub(super) fn seq_len(&mut self, b: &mut Builder) -> Len {
        match self.seq_len {
            Some(n) => Len::Fixed(n),
            None => Len::Node(self.dim(b, Key::SeqLen, 1)),
        }
    }

    pub(super) fn seq_len_plus(&mut self, b: &mut Builder, n: i64) -> Len {
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

    /// Blocks at a level: `(steps + block - 1) / block`. Not by Mod: one engine folds it with the other sign.
    pub(super) fn blocks(&mut self, b: &mut Builder, level: usize) -> Len {
        match self.steps(b, level) {
            Len::Fixed(n) => Len::Fixed((n + self.block - 1) / self.block),
            Len::Node(steps) => Len::Node(self.make(b, Key::Blocks(level), |t, b| {
                let (fill, block) = (b.i64s(&[t.block - 1]), b.i64s(&[t.block]));
                let up = b.add(steps, fill);
                b.div(up, block)
            })),
        }
    }

    /// Steps after padding at a level. The base has one block, whatever comes.
    pub(super) fn padded(&mut self, b: &mut Builder, level: usize) -> Len {
        if level + 1 == self.levels() {
            return Len::Fixed(self.block);
        }
        match self.blocks(b, level) {
            Len::Fixed(n) => Len::Fixed(n * self.block),
            Len::Node(blocks) => Len::Node(self.make(b, Key::Padded(level), |t, b| {
                let block = b.i64s(&[t.block]);
                b.mul(blocks, block)
            })),
        }
    }

    /// `[B, rest..]` as a vector of i64.
    pub(super) fn with_batch(&mut self, b: &mut Builder, rest: &[i64]) -> Val {
        match self.batch(b) {
            Len::Fixed(n) => b.i64s(&[&[n], rest].concat()),
            Len::Node(batch) => {
                let rest = b.i64s(rest);
                b.concat(&[batch, rest], 0)
            }
        }
    }
}
