//! Fourier transforms, as the sums that define them, and the windows before them.

use std::f64::consts::TAU;

use super::cast::cast;
use super::{Array, Call, Done, Fault, Groups, Op, axis, smooth};
use crate::ir::DType;

pub(super) const OPS: &[Op] = &[
    smooth("DFT", 17, dft),
    smooth("STFT", 17, stft),
    smooth("BlackmanWindow", 17, |c| {
        window(c, |t| 0.42 - 0.5 * t.cos() + 0.08 * (2.0 * t).cos())
    }),
    smooth("HammingWindow", 17, |c| {
        window(c, |t| 25.0 / 46.0 - 21.0 / 46.0 * t.cos())
    }),
    smooth("HannWindow", 17, |c| window(c, |t| 0.5 - 0.5 * t.cos())),
];

type Complex = (f64, f64);

/// `sum x[n] e^(sign * i * tau * k * n / N)` for the first `bins` values of k.
fn transform(x: &[Complex], sign: f64, bins: usize) -> Vec<Complex> {
    let n = x.len();
    let one = |k: usize| {
        x.iter()
            .enumerate()
            .fold((0.0, 0.0), |(re, im), (i, (a, b))| {
                let (s, c) = (sign * TAU * ((k * i) % n) as f64 / n as f64).sin_cos();
                (re + a * c - b * s, im + a * s + b * c)
            })
    };
    (0..bins).map(one).collect()
}

/// Whether the values are complex, from the last axis.
fn is_complex(x: &Array) -> Result<bool, Fault> {
    match x.dims() {
        [_, .., 1] => Ok(false),
        [_, .., 2] => Ok(true),
        dims => Err(Fault::input(
            0,
            format!("{dims:?}, wanted [.., 1] or [.., 2]"),
        )),
    }
}

/// A length that may be left out.
fn length(call: &Call, i: usize) -> Result<Option<usize>, Fault> {
    let given = call.opt(i).map(|_| call.one_i64(i)).transpose()?;
    let size = |n: i64| usize::try_from(n).ok().filter(|n| *n > 0);
    let good = |n: i64| size(n).ok_or_else(|| Fault::input(i, format!("{n} is no length")));
    given.map(good).transpose()
}

fn dft(call: &Call) -> Done {
    let (x, v) = (call.x(0)?, call.floats(0)?);
    let rank = x.dims().len();
    let given = match call.opset < 20 {
        true => call.int("axis", 1)?,
        false => call
            .opt(2)
            .map(|_| call.one_i64(2))
            .transpose()?
            .unwrap_or(-2),
    };
    let at = axis(given, rank)?;
    let (inverse, onesided) = (call.flag("inverse", false)?, call.flag("onesided", false)?);
    let complex = is_complex(x)?;
    if at + 1 == rank || (onesided && complex != inverse) {
        return Err(Fault::Shape(
            "an axis or a side that the transform does not have".into(),
        ));
    }
    let size = x.dims()[at];
    let back = inverse && onesided;
    let usual = if back {
        2 * size.saturating_sub(1)
    } else {
        size
    };
    let n = length(call, 1)?.unwrap_or(usual);
    let bins = if onesided && !inverse { n / 2 + 1 } else { n };
    let mut dims = x.dims().to_vec();
    dims[at] = bins;
    dims[rank - 1] = if back { 1 } else { 2 };
    let total = call.room(&dims)?;
    call.spend(&[total, n])?;
    let parts = if complex { 2 } else { 1 };
    let from = Groups::new(call, x.dims(), &[at, rank - 1])?;
    let to = Groups::new(call, &dims, &[at, rank - 1])?;
    let mut out = vec![0.0; total];
    for (b, o) in from.begins.iter().zip(&to.begins) {
        let at: Vec<usize> = from.of(*b).collect();
        let value = |i: usize| match at.chunks(parts).nth(i) {
            Some([re]) => (v[*re], 0.0),
            Some([re, im, ..]) => (v[*re], v[*im]),
            _ => (0.0, 0.0),
        };
        // The other side of a one-sided spectrum is its mirror.
        let whole = |i: usize| match back && i > n / 2 {
            true => (value(n - i).0, -value(n - i).1),
            false => value(i),
        };
        let line: Vec<Complex> = (0..n).map(whole).collect();
        let scale = if inverse { 1.0 / n as f64 } else { 1.0 };
        let made = transform(&line, if inverse { 1.0 } else { -1.0 }, bins);
        let flat = made.iter().flat_map(|(re, im)| match back {
            true => vec![re * scale],
            false => vec![re * scale, im * scale],
        });
        to.of(*o).zip(flat).for_each(|(i, y)| out[i] = y);
    }
    Ok(vec![Array::of_floats(x.dtype(), dims, out)])
}

fn stft(call: &Call) -> Done {
    let (x, v) = (call.x(0)?, call.floats(0)?);
    let complex = is_complex(x)?;
    let [batch, size, parts] = *x.dims() else {
        return Err(Fault::input(0, "wanted [batch, length, 1 or 2]"));
    };
    let step = length(call, 1)?.ok_or_else(|| Fault::input(1, "is missing"))?;
    let window = call.opt(2).map(|_| call.floats(2)).transpose()?;
    let given = length(call, 3)?.or(window.map(<[f64]>::len));
    let n = given.unwrap_or(size);
    let onesided = call.flag("onesided", true)?;
    if n == 0 || n > size || window.is_some_and(|w| w.len() != n) || (onesided && complex) {
        return Err(Fault::Shape(format!(
            "frames of {n} in {size} values, with that window"
        )));
    }
    let frames = (size - n) / step + 1;
    let bins = if onesided { n / 2 + 1 } else { n };
    let dims = vec![batch, frames, bins, 2];
    let total = call.room(&dims)?;
    call.spend(&[total, n])?;
    let mut out = Vec::with_capacity(total);
    for b in 0..batch {
        for f in 0..frames {
            let value = |i: usize| {
                let at = (b * size + f * step + i) * parts;
                let w = window.map_or(1.0, |w| w[i]);
                (v[at] * w, if complex { v[at + 1] * w } else { 0.0 })
            };
            let line: Vec<Complex> = (0..n).map(value).collect();
            let made = transform(&line, -1.0, bins);
            out.extend(made.into_iter().flat_map(|(re, im)| [re, im]));
        }
    }
    Ok(vec![Array::of_floats(x.dtype(), dims, out)])
}

fn window(call: &Call, f: impl Fn(f64) -> f64) -> Done {
    let size = call.one_i64(0)?;
    let size = usize::try_from(size).map_err(|_| Fault::input(0, "is negative"))?;
    let periodic = call.flag("periodic", true)?;
    let dtype = call.dtype("output_datatype")?.unwrap_or(DType::F32);
    call.room(&[size])?;
    let period = if periodic {
        size as f64
    } else {
        size as f64 - 1.0
    };
    let one = |i: usize| f(TAU * i as f64 / period);
    let all = Array::of_floats(DType::F64, vec![size], (0..size).map(one).collect());
    Ok(vec![cast(&all, dtype)?])
}
