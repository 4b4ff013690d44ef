//! Values of the oracle.

use crate::graph::Span;

/// B, T and channels of a value; T is 1 where there is no time axis. What is computed from parameters alone has its rows in the place of B.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) batch: usize,
    pub(super) time: usize,
    pub(super) width: usize,
}

impl Shape {
    pub(super) fn of(span: Span, width: usize, batch: usize, time: usize) -> Self {
        let (batch, time) = match span {
            Span::Model { rows } => (rows, 1),
            Span::Row => (batch, 1),
            Span::Step => (batch, time),
        };
        Self { batch, time, width }
    }
    pub(super) fn rows(self) -> usize {
        self.batch * self.time
    }
    pub(super) fn len(self) -> usize {
        self.batch * self.time * self.width
    }
}

/// A value `[B, T, width]`, row-major, perhaps with a bound on what an f32 engine may differ from it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Tensor {
    /// Values.
    pub data: Vec<f64>,
    /// For each value, how far an f32 engine may be off (empty: not asked for). First order in the unit roundoff; functions such
    /// as exp are taken to be right within 4 units.
    pub bound: Vec<f64>,
    pub(super) width: usize,
}

impl Tensor {
    pub(super) fn new(data: Vec<f64>, bound: Vec<f64>, width: usize) -> Self {
        Self { data, bound, width }
    }
    pub(super) fn rows(&self) -> usize {
        self.data.len() / self.width.max(1)
    }
    /// Bound at `i`, 0 where none is carried.
    pub(super) fn err(&self, i: usize) -> f64 {
        self.bound.get(i).copied().unwrap_or(0.0)
    }
    /// A bound that is no number (0 times infinity) says nothing, which is what an infinite one says; a value that is none keeps it.
    pub(super) fn settle_bounds(&mut self) {
        for (bound, value) in self.bound.iter_mut().zip(&self.data) {
            if bound.is_nan() && !value.is_nan() {
                *bound = f64::INFINITY;
            }
        }
    }
    /// Rounded to f32.
    pub fn to_f32(&self) -> Vec<f32> {
        self.data.iter().map(|x| *x as f32).collect()
    }
}
