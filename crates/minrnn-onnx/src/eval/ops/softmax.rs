//! Softmax, LogSoftmax, Hardmax: along an axis, before opset 13 over all axes from it on.

use super::{Call, Done, Groups, Kind, Op, op, smooth};

pub(super) const OPS: &[Op] = &[
    smooth("Softmax", 7, |c| lines(c, softmax)),
    smooth("LogSoftmax", 7, |c| lines(c, log_softmax)),
    op("Hardmax", 7, Kind::Chooses, |c| lines(c, hardmax)),
];

fn lines(call: &Call, f: impl Fn(&[f64]) -> Vec<f64>) -> Done {
    let (x, v) = (call.x(0)?, call.floats(0)?);
    let rank = x.dims().len();
    let old = call.opset < 13;
    let given = call.int("axis", if old { 1 } else { -1 })?;
    let axes = match old {
        // The axis may be one past the last: then every element is alone.
        true if given == rank as i64 => vec![],
        true => (super::axis(given, rank)?..rank).collect(),
        false => vec![super::axis(given, rank)?],
    };
    let g = Groups::new(call, x.dims(), &axes)?;
    let mut out = vec![0.0; v.len()];
    for b in &g.begins {
        let line: Vec<f64> = g.of(*b).map(|i| v[i]).collect();
        g.of(*b).zip(f(&line)).for_each(|(i, y)| out[i] = y);
    }
    Ok(vec![x.with(out)])
}

fn top(v: &[f64]) -> f64 {
    v.iter().fold(f64::NEG_INFINITY, |m, x| m.max(*x))
}

pub(super) fn softmax(v: &[f64]) -> Vec<f64> {
    let top = top(v);
    let e: Vec<f64> = v.iter().map(|x| (x - top).exp()).collect();
    let sum: f64 = e.iter().sum();
    e.iter().map(|x| x / sum).collect()
}

pub(super) fn log_softmax(v: &[f64]) -> Vec<f64> {
    let top = top(v);
    let sum: f64 = v.iter().map(|x| (x - top).exp()).sum();
    v.iter().map(|x| x - top - sum.ln()).collect()
}

/// 1 at the first largest.
fn hardmax(v: &[f64]) -> Vec<f64> {
    let top = top(v);
    let first = v.iter().position(|x| *x == top);
    (0..v.len())
        .map(|i| f64::from(u8::from(Some(i) == first)))
        .collect()
}
