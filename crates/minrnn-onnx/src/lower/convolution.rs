//! Convolutions whose taps are values, and limits of counts.
//!
//! A sequence is one operator Conv with as many groups as channels, in blocks: each of its outputs is a block of steps, its kernel the
//! taps as a matrix of blocks, whose rows are the taps moved on by a step, and its stride a block. So it is a product of matrices to every
//! engine. The matrix follows from parameters alone: engines make it once, when they read the file. With resets within sequences each
//! tap stands by itself.

use minrnn_model::graph::{Graph, Node, Op, State, Value};

use super::Lower;
use super::time::{Len, Time};
use crate::builder::{Builder, Val};
use crate::choices::{ExportError, ExportOptions, Form};
use crate::ir::{Attr, DType};

/// Steps of a block.
const BLOCK: i64 = 32;

/// Taps that are written one by one where there are resets, at most: each is some six nodes.
const STEPPED: usize = 4096;

/// Whether the options know convolutions.
///
/// # Errors
/// A fixed length beyond the longest that the model takes; resets within sequences of a convolution of very many taps.
pub(crate) fn check(graph: &Graph, options: &ExportOptions) -> Result<(), ExportError> {
    let fixed = options.seq_len.filter(|_| options.form != Form::Step);
    if let (Some(time), Some(longest), false) = (fixed, graph.longest(), options.reset)
        && time > longest
    {
        return Err(ExportError::Option {
            option: "seq_len",
            what: format!("is {time}, and the model takes {longest} steps; choose at most as many"),
        });
    }
    if !options.reset || options.form == Form::Step {
        return Ok(());
    }
    let taps = |n: &&Node| {
        let lag = n.op.state().and_then(|s| graph.state_spec(s).lag());
        matches!(n.op, Op::Conv { .. }) && lag.is_some_and(|lag| lag >= STEPPED)
    };
    match graph.nodes().iter().find(taps) {
        None => Ok(()),
        Some(node) => Err(ExportError::Option {
            option: "reset",
            what: format!(
                "is written for convolutions of up to {STEPPED} taps in whole sequences, and `{}` has more; export the form step with it, or leave it out",
                node.scope
            ),
        }),
    }
}

/// Stride, zeros behind the input, groups, and the kernel's length.
fn conv(b: &mut Builder, [x, w]: [Val; 2], [stride, behind, groups, len]: [i64; 4]) -> Val {
    let attributes = vec![
        ("dilations", Attr::Ints(vec![1])),
        ("group", Attr::Int(groups)),
        ("kernel_shape", Attr::Ints(vec![len])),
        ("pads", Attr::Ints(vec![0, behind])),
        ("strides", Attr::Ints(vec![stride])),
    ];
    b.node("Conv", &[x, w], attributes)
}

impl Lower<'_> {
    /// `y[t] = sum_j taps[j] * x[t - j]`.
    pub(super) fn convolution(&mut self, state: State, x: Value, taps: Value) -> Val {
        let (width, lag) = {
            let spec = self.graph.state_spec(state);
            (spec.width as i64, spec.lag().unwrap_or(1) as i64)
        };
        let taps = self.matrix(taps);
        let x = self.value(x);
        self.b.enter("conv");
        if self.resets.is_some() && !self.is_step() {
            let y = self.tap_by_tap(state, x, taps);
            self.b.leave();
            return y;
        }
        let window = self.window(state, x);
        let turned = self.b.transpose(window, &[0, 2, 1]);
        let places = self.b.i64_falling(lag + 1);
        let oldest_first = self.b.gather(taps, places, 0);
        let y = match self.is_step() {
            true => {
                let w = self.b.transpose(oldest_first, &[1, 0]);
                let w = self.b.unsqueeze(w, 1);
                let y = conv(&mut self.b, [turned, w], [1, 0, width, lag + 1]);
                self.b.squeeze(y, 2)
            }
            false => {
                let w = blocks(&mut self.b, oldest_first, lag, width);
                let y = conv(
                    &mut self.b,
                    [turned, w],
                    [BLOCK, BLOCK - 1, width, lag + BLOCK],
                );
                let b = &mut self.b;
                let parts = b.reshape(y, &[0, width, BLOCK, -1]);
                let parts = b.transpose(parts, &[0, 3, 2, 1]);
                let steps = b.reshape(parts, &[0, -1, width]);
                let (start, end) = (b.i64s(&[0]), self.time.present(b).val(b));
                b.slice(steps, start, end, 1)
            }
        };
        self.b.leave();
        y
    }

    /// The same, each tap by itself: what it reaches may be before a reset.
    fn tap_by_tap(&mut self, state: State, x: Val, taps: Val) -> Val {
        let lag = self.graph.state_spec(state).lag().unwrap_or(1);
        let rows = self.b.split(taps, lag + 1, 0);
        let mut sum = None;
        for by in (0..=lag).rev() {
            let past = self.delay(state, by, x);
            let term = self.b.mul(past, rows[by]);
            sum = Some(match sum {
                None => term,
                Some(sum) => self.b.add(sum, term),
            });
        }
        sum.expect("there is a tap for each row and the present one")
    }

    /// 1 for each step; a number beyond `most` finds no entry of a table: an error of the engine. What follows a row's end is
    /// counted too: a file refuses rather too much.
    pub(super) fn limit(&mut self, x: Value, most: usize) -> Val {
        let mut count = self.value(x);
        self.b.enter("limit");
        let (step, padded) = (self.is_step(), self.time.is_padded());
        if padded {
            count = self.time.cut(&mut self.b, count);
        }
        let b = &mut self.b;
        let count = b.squeeze(count, if step { 1 } else { 2 });
        let at = b.cast(count, DType::I64);
        let table = b.f32_filled(&[most as i64 + 1, 1], 1.0);
        let mut inside = b.gather(table, at, 0);
        if padded {
            inside = self.time.pad_ones(b, inside);
        }
        self.b.leave();
        inside
    }
}

/// The kernel `[D K, 1, lag + K]` of blocks of K outputs: that of the output k of a block is the taps, the oldest row's first, k steps on.
/// Row after row of one entry less than they are repeated in moves them on.
fn blocks(b: &mut Builder, oldest_first: Val, lag: i64, width: i64) -> Val {
    let zeros = b.f32_filled(&[2 * BLOCK - 2, width], 0.0);
    let line = b.concat(&[oldest_first, zeros], 0);
    let len = lag + 2 * BLOCK - 1;
    let times = b.i64s(&[BLOCK, 1]);
    let lines = b.node("Tile", &[line, times], vec![]);
    let lines = b.slice_at(lines, 0, BLOCK * (len - 1), 0);
    let rows = b.reshape(lines, &[BLOCK, len - 1, width]);
    let rows = b.slice_at(rows, 0, lag + BLOCK, 1);
    let rows = b.transpose(rows, &[2, 0, 1]);
    b.reshape(rows, &[width * BLOCK, 1, lag + BLOCK])
}

impl Time {
    /// Steps of values inside, padding too.
    fn present(&mut self, b: &mut Builder) -> Len {
        match self.is_padded() {
            true => self.padded(b, 0),
            false => self.seq_len(b),
        }
    }
}
