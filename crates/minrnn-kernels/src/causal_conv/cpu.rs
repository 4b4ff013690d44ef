//! The causal convolution on the CPU. It has no recurrence: rows are independent.

use super::Size;
use crate::dispatch::Level;
use crate::math::Float;
use crate::parallel::{each_row, each_rows_summed, sum_rows};

/// The inputs; the last row of `weight` is the bias if `bias`.
pub(super) struct Inputs<'a, T> {
    pub(super) x: &'a [T],
    pub(super) state: &'a [T],
    pub(super) weight: &'a [T],
    pub(super) bias: bool,
    pub(super) size: Size,
}

impl<'a, T: Float> Inputs<'a, T> {
    /// Row `s` of `state` followed by `x`, of one sequence.
    #[inline(always)]
    fn input(&self, sequence: usize, s: usize) -> &'a [T] {
        let Size { t, m, k, .. } = self.size;
        if s < k - 1 {
            &self.state[(sequence * (k - 1) + s) * m..][..m]
        } else {
            &self.x[(sequence * t + s + 1 - k) * m..][..m]
        }
    }

    #[inline(always)]
    fn tap(&self, j: usize) -> &'a [T] {
        &self.weight[j * self.size.m..][..self.size.m]
    }
}

/// `to = w * x`.
#[inline(always)]
fn product<T: Float>(to: &mut [T], w: &[T], x: &[T]) {
    for ((to, &w), &x) in to.iter_mut().zip(w).zip(x) {
        *to = w * x;
    }
}

/// `to = to + w * x`.
#[inline(always)]
fn add_product<T: Float>(to: &mut [T], w: &[T], x: &[T]) {
    for ((to, &w), &x) in to.iter_mut().zip(w).zip(x) {
        *to += w * x;
    }
}

/// `to = to + x`.
#[inline(always)]
fn add<T: Float>(to: &mut [T], x: &[T]) {
    for (to, &x) in to.iter_mut().zip(x) {
        *to += x;
    }
}

pub(super) fn values<T: Float>(level: Level, input: &Inputs<'_, T>) -> Vec<T> {
    let Size { b, t, m, k } = input.size;
    let mut y = vec![T::ZERO; b * t * m];
    each_row(
        level,
        &mut y,
        m,
        #[inline(always)]
        |row, y| {
            let (sequence, step) = (row / t, row % t);
            product(y, input.tap(0), input.input(sequence, step));
            for j in 1..k {
                add_product(y, input.tap(j), input.input(sequence, step + j));
            }
            if input.bias {
                add(y, input.tap(k));
            }
        },
    );
    y
}

/// The gradient of row `s` of `state` followed by `x`: what the outputs that read it send back.
#[inline(always)]
fn input_gradient<T: Float>(
    input: &Inputs<'_, T>,
    dy: &[T],
    sequence: usize,
    s: usize,
    to: &mut [T],
) {
    let Size { t, m, k, .. } = input.size;
    for j in 0..k {
        if j <= s && s - j < t {
            add_product(to, input.tap(j), &dy[(sequence * t + s - j) * m..][..m]);
        }
    }
}

/// The gradients of `x`, `state` and `weight` (with the bias as its last row).
pub(super) fn gradients<T: Float>(level: Level, input: &Inputs<'_, T>, dy: &[T]) -> [Vec<T>; 3] {
    let Size { b, t, m, k } = input.size;
    let mut dx = vec![T::ZERO; b * t * m];
    each_row(
        level,
        &mut dx,
        m,
        #[inline(always)]
        |row, to| input_gradient(input, dy, row / t, row % t + k - 1, to),
    );
    let mut dstate = vec![T::ZERO; b * (k - 1) * m];
    each_row(
        level,
        &mut dstate,
        m,
        #[inline(always)]
        |row, to| input_gradient(input, dy, row / (k - 1), row % (k - 1), to),
    );
    let dweight = sum_rows(
        level,
        b * t,
        input.weight.len(),
        #[inline(always)]
        |rows, dw| {
            for row in rows {
                let dy = &dy[row * m..][..m];
                for (j, dw) in dw.chunks_exact_mut(m).enumerate() {
                    if j < k {
                        add_product(dw, dy, input.input(row / t, row % t + j));
                    } else {
                        add(dw, dy);
                    }
                }
            }
        },
    );
    [dx, dstate, dweight]
}

/// The inputs of a convolution in memory of the caller.
#[derive(Debug, Clone, Copy)]
pub struct Given<'a> {
    /// `[B,T,M]`.
    pub x: &'a [f32],
    /// `[B,k-1,M]`; zeros without.
    pub state: Option<&'a [f32]>,
    /// `[k,M]`.
    pub weight: &'a [f32],
    /// B, T, M, k.
    pub size: Size,
}

impl<'a> Given<'a> {
    /// Row `s` of the state followed by x, of one sequence; `None`: zeros.
    #[inline(always)]
    fn input(&self, sequence: usize, s: usize) -> Option<&'a [f32]> {
        let Size { t, m, k, .. } = self.size;
        match s.checked_sub(k - 1) {
            Some(s) => Some(&self.x[(sequence * t + s) * m..][..m]),
            None => Some(&self.state?[(sequence * (k - 1) + s) * m..][..m]),
        }
    }

    #[inline(always)]
    fn tap(&self, j: usize) -> &'a [f32] {
        &self.weight[j * self.size.m..][..self.size.m]
    }

    /// What the outputs that read row `s` of the state followed by x send back.
    #[inline(always)]
    fn sent_back(&self, dy: &[f32], sequence: usize, s: usize, to: &mut [f32]) {
        let Size { t, m, k, .. } = self.size;
        let mut first = true;
        for j in 0..k.min(s + 1) {
            if s - j >= t {
                continue;
            }
            let dy = &dy[(sequence * t + s - j) * m..][..m];
            match first {
                true => product(to, self.tap(j), dy),
                false => add_product(to, self.tap(j), dy),
            }
            first = false;
        }
        if first {
            to.fill(0.0);
        }
    }
}

/// y `[B,T,M]`, with `bias` `[M]`.
pub fn forward(given: Given<'_>, bias: Option<&[f32]>, y: &mut [f32]) {
    let Size { t, m, k, .. } = given.size;
    each_row(
        Level::best(),
        y,
        m,
        #[inline(always)]
        |row, y| {
            let (sequence, step) = (row / t, row % t);
            match bias {
                Some(bias) => y.copy_from_slice(bias),
                None => y.fill(0.0),
            }
            for j in 0..k {
                if let Some(x) = given.input(sequence, step + j) {
                    add_product(y, given.tap(j), x);
                }
            }
        },
    );
}

/// Where the gradients of a convolution go; those of the state and the bias may be empty.
#[derive(Debug)]
pub struct Gradients<'a> {
    /// `[B,T,M]`.
    pub x: &'a mut [f32],
    /// `[B,k-1,M]`.
    pub state: &'a mut [f32],
    /// `[k,M]`.
    pub weight: &'a mut [f32],
    /// `[M]`.
    pub bias: &'a mut [f32],
}

/// The gradients from that of y; `work` is memory to work in.
pub fn backward(given: Given<'_>, dy: &[f32], to: Gradients<'_>, work: &mut Vec<f32>) {
    let Size { b, t, m, k } = given.size;
    let level = Level::best();
    each_row(
        level,
        to.state,
        m,
        #[inline(always)]
        |row, to| given.sent_back(dy, row / (k - 1), row % (k - 1), to),
    );
    each_rows_summed(
        level,
        b * t,
        b * t * m,
        [to.x],
        [to.weight, to.bias],
        false,
        work,
        #[inline(always)]
        |rows, [dx], sums| {
            for (row, dx) in rows.zip(dx.chunks_exact_mut(m)) {
                let (sequence, step) = (row / t, row % t);
                given.sent_back(dy, sequence, step + k - 1, dx);
                let dy = &dy[row * m..][..m];
                for (j, sum) in sums.chunks_exact_mut(m).enumerate() {
                    if j == k {
                        add(sum, dy);
                    } else if let Some(x) = given.input(sequence, step + j) {
                        add_product(sum, dy, x);
                    }
                }
            }
        },
    );
}
