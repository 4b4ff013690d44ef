//! GRU and LSTM on the CPU, f32, over memory of the caller: groups of sequences, each by one thread through all steps. The matrix is packed
//! once, for all steps. What a sequence gives hangs on nothing else, so no bit depends on groups or threads.

mod gates;
mod gru;
mod lstm;

use std::ops::Range;

use super::{Feedback, Size, saved as kept};
use crate::dispatch::Level;
use crate::parallel::each_rows;
use crate::product::{Operand, Panels};

/// Most sequences of a group: what a thread holds of a step stays in its second cache.
const GROUP: usize = 48;

/// What a cell reads, as the twin's [`slow::Inputs`](super::slow::Inputs).
#[derive(Debug, Clone, Copy)]
pub struct Inputs<'a> {
    /// Products of the input with their bias, `[B,T,P D]`.
    pub x: &'a [f32],
    /// Matrix of the state, `[D,P D]`.
    pub weight: &'a [f32],
    /// Its bias, `[P D]`.
    pub bias: Option<&'a [f32]>,
    /// h before the first step, `[B,D]`; absent: zeros.
    pub h0: Option<&'a [f32]>,
    /// c before the first step, `[B,D]`; absent: zeros, or a GRU.
    pub c0: Option<&'a [f32]>,
}

/// Gradients to be written, as the twin's [`slow::Grads`](super::slow::Grads).
#[derive(Debug)]
pub struct Grads<'a> {
    /// `[B,T,P D]`.
    pub x: &'a mut [f32],
    /// `[B,T,P D]`; of an LSTM empty: it is that of x.
    pub moved: &'a mut [f32],
    /// h before each step, `[B,T,D]`.
    pub before: &'a mut [f32],
    /// `[B,D]`; empty: not wanted.
    pub h0: &'a mut [f32],
    /// `[B,D]`; empty: not wanted, or a GRU.
    pub c0: &'a mut [f32],
}

/// Rows of one sequence in a step, D channels a part.
struct Step<'a> {
    x: &'a [f32],
    moved: &'a [f32],
    h: &'a mut [f32],
    c: &'a mut [f32],
    /// Empty: not kept.
    saved: &'a mut [f32],
}

/// The same backwards.
struct Back<'a> {
    saved: &'a [f32],
    /// h and c before the step.
    h: &'a [f32],
    c: &'a [f32],
    /// In: the gradient of h after the step. Out: that of h before it, but for what comes through the product.
    dh: &'a mut [f32],
    dc: &'a mut [f32],
    dx: &'a mut [f32],
    dmoved: &'a mut [f32],
}

/// How many sequences a group has.
fn group(batch: usize) -> usize {
    batch.div_ceil(rayon::current_num_threads()).clamp(1, GROUP)
}

fn lengths(kind: Feedback, i: &Inputs<'_>, size: Size) {
    let (d, columns) = (size.channels, kind.parts() * size.channels);
    assert_eq!(i.x.len(), size.packed(kind), "x of {size:?}");
    assert_eq!(i.weight.len(), d * columns, "weight of {size:?}");
    assert!(
        i.bias.is_none_or(|b| b.len() == columns),
        "bias of {size:?}"
    );
    let states = [i.h0, i.c0].into_iter().flatten();
    states.for_each(|s| assert_eq!(s.len(), size.state(), "a first state of {size:?}"));
}

/// The first values of some sequences, `[rows,D]`.
fn begin(state: Option<&[f32]>, rows: &Range<usize>, d: usize) -> Vec<f32> {
    match state {
        Some(state) => state[rows.start * d..rows.end * d].to_vec(),
        None => vec![0.0; rows.len() * d],
    }
}

/// h of all steps, `[B,T,D]`. `saved`: what [`Size::saved`] says, or empty; `last`: c after the last step, `[B,D]`, or empty.
///
/// # Panics
/// If a slice is not as long as it says.
pub fn forward(
    kind: Feedback,
    i: &Inputs<'_>,
    size: Size,
    h: &mut [f32],
    saved: &mut [f32],
    last: &mut [f32],
) {
    lengths(kind, i, size);
    assert_eq!(h.len(), size.states(), "h of {size:?}");
    assert!(
        saved.is_empty() || saved.len() == size.saved(kind),
        "saved of {size:?}"
    );
    let Size {
        batch,
        time,
        channels: d,
    } = size;
    let columns = kind.parts() * d;
    let each = if saved.is_empty() { 0 } else { kept(kind) * d };
    let weight = Panels::new(operand(i.weight, false), d, columns);
    let level = Level::best();
    each_rows(
        level,
        batch,
        group(batch),
        size.packed(kind) * d,
        [h, saved, last],
        |rows, [h, saved, last]| {
            let mut now = begin(i.h0, &rows, d);
            let mut c = match kind {
                Feedback::Gru => vec![],
                Feedback::Lstm => begin(i.c0, &rows, d),
            };
            let mut moved = vec![0.0; rows.len() * columns];
            for t in 0..time {
                weight.product(&now, i.bias, &mut moved, false);
                for (row, now) in now.chunks_exact_mut(d).enumerate() {
                    let at = row * time + t;
                    let step = Step {
                        x: &i.x[(rows.start * time + at) * columns..][..columns],
                        moved: &moved[row * columns..][..columns],
                        h: now,
                        c: part(&mut c, row, d),
                        saved: &mut saved[at * each..][..each],
                    };
                    match kind {
                        Feedback::Gru => gru::step(step),
                        Feedback::Lstm => lstm::step(step),
                    }
                    h[at * d..][..d].copy_from_slice(now);
                }
            }
            if !last.is_empty() {
                last.copy_from_slice(&c);
            }
        },
    );
}

/// Gradients from what [`forward`] gave, h and what it saved, and the gradient of h, `[B,T,D]`.
///
/// # Panics
/// If a slice is not as long as it says.
pub fn backward(
    kind: Feedback,
    i: &Inputs<'_>,
    size: Size,
    [h, saved, dh]: [&[f32]; 3],
    to: Grads<'_>,
) {
    lengths(kind, i, size);
    assert_eq!(saved.len(), size.saved(kind), "saved of {size:?}");
    assert_eq!([h.len(), dh.len()], [size.states(); 2], "h of {size:?}");
    let Size {
        batch,
        time,
        channels: d,
    } = size;
    let (columns, each) = (kind.parts() * d, kept(kind) * d);
    let weight = Panels::new(operand(i.weight, true), columns, d);
    each_rows(
        Level::best(),
        batch,
        group(batch),
        size.packed(kind) * d,
        [to.x, to.moved, to.before, to.h0, to.c0],
        |rows, [dx, dmoved, before, dh0, dc0]| {
            let (first_h, first_c) = (begin(i.h0, &rows, d), begin(i.c0, &rows, d));
            let (mut later, mut later_c) = (vec![0.0; rows.len() * d], vec![0.0; rows.len() * d]);
            let mut moved = vec![0.0; rows.len() * columns];
            for t in (0..time).rev() {
                for (row, later) in later.chunks_exact_mut(d).enumerate() {
                    let at = row * time + t;
                    let whole = rows.start * time + at;
                    let grad = &dh[whole * d..][..d];
                    later.iter_mut().zip(grad).for_each(|(l, g)| *l += g);
                    let (h, c) = match t {
                        0 => (part_of(&first_h, row, d), part_of(&first_c, row, d)),
                        _ => (
                            &h[(whole - 1) * d..][..d],
                            // c is the last of what is saved.
                            &saved[whole * each - d..][..d],
                        ),
                    };
                    before[at * d..][..d].copy_from_slice(h);
                    let back = Back {
                        saved: &saved[whole * each..][..each],
                        h,
                        c,
                        dh: later,
                        dc: part(&mut later_c, row, d),
                        dx: &mut dx[at * columns..][..columns],
                        dmoved: part(&mut moved, row, columns),
                    };
                    match kind {
                        Feedback::Gru => gru::back(back),
                        Feedback::Lstm => lstm::back(back),
                    }
                    if !dmoved.is_empty() {
                        let to = &mut dmoved[at * columns..][..columns];
                        to.copy_from_slice(part_of(&moved, row, columns));
                    }
                }
                weight.product(&moved, None, &mut later, true);
            }
            if !dh0.is_empty() {
                dh0.copy_from_slice(&later);
            }
            if !dc0.is_empty() {
                dc0.copy_from_slice(&later_c);
            }
        },
    );
}

fn operand(values: &[f32], transposed: bool) -> Operand<'_> {
    Operand { values, transposed }
}

/// Row `row` of a matrix, or nothing of nothing.
fn part(values: &mut [f32], row: usize, width: usize) -> &mut [f32] {
    match values.is_empty() {
        true => values,
        false => &mut values[row * width..][..width],
    }
}

fn part_of(values: &[f32], row: usize, width: usize) -> &[f32] {
    &values[row * width..][..width]
}
