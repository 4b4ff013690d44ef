//! Operations that know time: the recurrence, delays, last steps, and the states they leave.

use super::tensor::{Shape, Tensor};
use super::{Run, UNIT};

fn resets(run: &Run, row: usize, t: usize) -> bool {
    run.reset.is_some_and(|r| r[row * run.time + t])
}

/// Length of a row.
fn len(run: &Run, row: usize) -> usize {
    run.lens.map_or(run.time, |l| l[row])
}

/// `h[t] = a[t] * h[t-1] + b[t]`; at a reset the state is its initial value again. The bound follows
/// `E[t] = a E[t-1] + |h[t-1]| da + db + u (2 |a h| + |b|)`.
pub(super) fn recur(
    shape: Shape,
    a: &Tensor,
    b: &Tensor,
    first: &[f64],
    begin: &[f64],
    run: &Run,
) -> Tensor {
    let d = shape.width;
    let mut data = vec![0.0; shape.len()];
    let mut bound = vec![0.0; if run.bounds { shape.len() } else { 0 }];
    for row in 0..shape.batch {
        let mut h = first[row * d..(row + 1) * d].to_vec();
        let mut e = vec![0.0; d];
        for t in 0..shape.time {
            if resets(run, row, t) {
                h.copy_from_slice(&begin[row * d..(row + 1) * d]);
                e.fill(0.0);
            }
            let at = (row * shape.time + t) * d;
            for c in 0..d {
                let (i, product) = (at + c, a.data[at + c] * h[c]);
                if run.bounds {
                    e[c] = (a.data[i].abs() + a.err(i)) * e[c]
                        + h[c].abs() * a.err(i)
                        + b.err(i)
                        + UNIT * (2.0 * product.abs() + b.data[i].abs())
                        + f64::from(f32::MIN_POSITIVE);
                    bound[i] = e[c];
                }
                h[c] = product + b.data[i];
                data[i] = h[c];
            }
        }
    }
    Tensor::new(data, bound, d)
}

/// `y[t] = x[t - by]`; before the row's begin (or its last reset) rows of the state.
pub(super) fn delay(
    shape: Shape,
    x: &Tensor,
    by: usize,
    first: &[f64],
    begin: &[f64],
    run: &Run,
) -> Tensor {
    let (d, time) = (shape.width, shape.time);
    let lag = first.len() / (shape.batch * d).max(1);
    let mut y = Tensor::new(Vec::with_capacity(shape.len()), vec![], d);
    for row in 0..shape.batch {
        let mut start = None;
        for t in 0..time {
            if resets(run, row, t) {
                start = Some(t);
            }
            let since = t - start.unwrap_or(0);
            if since >= by {
                let at = (row * time + t - by) * d;
                y.data.extend_from_slice(&x.data[at..at + d]);
                y.bound.extend_from_slice(if run.bounds {
                    &x.bound[at..at + d]
                } else {
                    &[]
                });
            } else {
                let state = if start.is_some() { begin } else { first };
                let at = (row * lag + lag + since - by) * d;
                y.data.extend_from_slice(&state[at..at + d]);
                y.bound
                    .extend(std::iter::repeat_n(0.0, if run.bounds { d } else { 0 }));
            }
        }
    }
    y
}

/// The last step of each row.
pub(super) fn last(shape: Shape, x: &Tensor, run: &Run) -> Tensor {
    let d = shape.width;
    let mut y = Tensor::new(Vec::with_capacity(shape.len()), vec![], d);
    for row in 0..shape.batch {
        let at = (row * run.time + len(run, row) - 1) * d;
        y.data.extend_from_slice(&x.data[at..at + d]);
        y.bound.extend_from_slice(if run.bounds {
            &x.bound[at..at + d]
        } else {
            &[]
        });
    }
    y
}

/// The state after each row's end: the last value of a recurrence, the last `lag` inputs of a delay.
pub(super) fn next_state(
    source: &Tensor,
    lag: Option<usize>,
    first: &[f64],
    begin: &[f64],
    run: &Run,
) -> Tensor {
    let d = source.width;
    let shape = Shape {
        batch: run.batch,
        time: run.time,
        width: d,
    };
    let Some(lag) = lag else {
        return last(Shape { time: 1, ..shape }, source, run);
    };
    // Delayed by j = lag-1 .. 0, read at the last step: the last `lag` inputs, oldest first.
    let steps: Vec<Tensor> = (0..lag)
        .rev()
        .map(|by| last(shape, &delay(shape, source, by, first, begin, run), run))
        .collect();
    let mut y = Tensor::new(Vec::with_capacity(run.batch * lag * d), vec![], d);
    for row in 0..run.batch {
        for step in &steps {
            y.data.extend_from_slice(&step.data[row * d..(row + 1) * d]);
            y.bound.extend_from_slice(if run.bounds {
                &step.bound[row * d..(row + 1) * d]
            } else {
                &[]
            });
        }
    }
    y
}
