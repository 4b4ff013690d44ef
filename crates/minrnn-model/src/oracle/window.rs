//! What reads an input's past: delays, last steps, and the windows that are left. Every one costs O(T + lag) a row.

use super::Run;
use super::tensor::Tensor;

/// Whether a row begins anew before step t.
pub(super) fn resets(run: &Run, row: usize, t: usize) -> bool {
    run.reset.is_some_and(|r| r[row * run.time + t])
}

/// Length of a row.
pub(super) fn len(run: &Run, row: usize) -> usize {
    run.lens.map_or(run.time, |l| l[row])
}

/// A tensor that is written row by row.
struct Rows<'a> {
    y: Tensor,
    bounds: bool,
    x: &'a Tensor,
}

impl<'a> Rows<'a> {
    fn new(x: &'a Tensor, rows: usize, run: &Run) -> Self {
        let y = Tensor::new(Vec::with_capacity(rows * x.width), vec![], x.width);
        Self {
            y,
            bounds: run.bounds,
            x,
        }
    }

    /// Row `at` of the source.
    fn copy(&mut self, at: usize) {
        let range = at * self.x.width..(at + 1) * self.x.width;
        self.y.data.extend_from_slice(&self.x.data[range.clone()]);
        if self.bounds {
            self.y.bound.extend_from_slice(&self.x.bound[range]);
        }
    }

    /// Row `at` of a state, whose values are exact.
    fn state(&mut self, values: &[f64], at: usize) {
        let d = self.x.width;
        self.y.data.extend_from_slice(&values[at * d..(at + 1) * d]);
        if self.bounds {
            self.y.bound.extend(std::iter::repeat_n(0.0, d));
        }
    }
}

/// A window's state: rows of the batch, `lag` each.
#[derive(Clone, Copy)]
pub(super) struct Past<'a> {
    /// What the run begins with.
    first: &'a [f64],
    /// What a reset begins with.
    begin: &'a [f64],
    lag: usize,
}

impl<'a> Past<'a> {
    pub(super) fn of(first: &'a [f64], begin: &'a [f64], x: &Tensor, run: &Run) -> Self {
        let lag = first.len() / (run.batch * x.width).max(1);
        Self { first, begin, lag }
    }

    /// Rows that it holds.
    pub(super) fn lag(self) -> usize {
        self.lag
    }

    /// The values of the row that stands `before` steps before the begin.
    pub(super) fn row(self, row: usize, before: usize, width: usize) -> &'a [f64] {
        let at = (row * self.lag + self.lag - before) * width;
        &self.first[at..at + width]
    }
}

impl Past<'_> {
    /// The row that stands `before` steps before the begin, `start` being the step of the last reset, if there was one.
    fn write(self, to: &mut Rows, row: usize, before: usize, start: Option<usize>) {
        let values = if start.is_some() {
            self.begin
        } else {
            self.first
        };
        to.state(values, row * self.lag + self.lag - before);
    }
}

/// `y[t] = x[t - by]`; before the row's begin (or its last reset) rows of the state.
pub(super) fn delay(x: &Tensor, by: usize, first: &[f64], begin: &[f64], run: &Run) -> Tensor {
    let lag = first.len() / (run.batch * x.width).max(1);
    let past = Past { first, begin, lag };
    let mut y = Rows::new(x, run.batch * run.time, run);
    for row in 0..run.batch {
        let mut start = None;
        for t in 0..run.time {
            if resets(run, row, t) {
                start = Some(t);
            }
            let since = t - start.unwrap_or(0);
            match since.checked_sub(by) {
                Some(_) => y.copy(row * run.time + t - by),
                None => past.write(&mut y, row, by - since, start),
            }
        }
    }
    y.y
}

/// The last step of each row.
pub(super) fn last(x: &Tensor, run: &Run) -> Tensor {
    let mut y = Rows::new(x, run.batch, run);
    for row in 0..run.batch {
        y.copy(row * run.time + len(run, row) - 1);
    }
    y.y
}

/// The last `lag` inputs of each row, oldest first; before its begin (or its last reset) rows of the state.
pub(super) fn next(x: &Tensor, lag: usize, first: &[f64], begin: &[f64], run: &Run) -> Tensor {
    let past = Past { first, begin, lag };
    let mut y = Rows::new(x, run.batch * lag, run);
    for row in 0..run.batch {
        let end = len(run, row);
        let start = (0..end).rev().find(|t| resets(run, row, *t));
        let since = end - start.unwrap_or(0);
        for before in (1..=lag).rev() {
            match since.checked_sub(before) {
                Some(_) => y.copy(row * run.time + end - before),
                None => past.write(&mut y, row, before - since, start),
            }
        }
    }
    y.y
}
