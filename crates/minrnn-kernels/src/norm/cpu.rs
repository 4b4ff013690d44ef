//! Normalisation on the CPU with the residual sum before it, in one pass over memory of the caller.

use super::Kind;
use crate::column_sum::cpu::add_row;
use crate::dispatch::Level;
use crate::dropout::cpu::Mask;
use crate::math::{sum, sum2, sum3};
use crate::parallel::{CHUNK, each_rows, each_rows_summed};

/// The sum before a normalisation: `sum = x + mask a`.
#[derive(Debug)]
pub struct Branch<'a> {
    /// `[N,M]`.
    pub a: &'a [f32],
    /// Its dropout.
    pub mask: Option<Mask>,
    /// `[N,M]`.
    pub sum: &'a mut [f32],
}

/// A forward pass.
#[derive(Debug)]
pub struct Forward<'a> {
    /// Which normalisation.
    pub kind: Kind,
    /// `[N,M]`.
    pub x: &'a [f32],
    /// What is added to x first.
    pub branch: Option<Branch<'a>>,
    /// `[M]`.
    pub weight: &'a [f32],
    /// `[M]`.
    pub bias: Option<&'a [f32]>,
    /// Added to the mean square.
    pub eps: f64,
    /// `[N,M]`.
    pub y: &'a mut [f32],
    /// Of each row mean and inverse deviation, `[N,2]`.
    pub stats: &'a mut [f32],
}

/// Mean (0 for the root mean square) and inverse deviation of a row.
#[inline(always)]
fn moments(kind: Kind, row: &[f32], eps: f32) -> [f32; 2] {
    let n = row.len() as f32;
    let (mean, square) = match kind {
        Kind::Rms => (0.0, sum(row, |x| x * x) / n),
        Kind::Layer => {
            let mean = sum(row, |x| x) / n;
            (mean, sum(row, |x| (x - mean) * (x - mean)) / n)
        }
    };
    [mean, 1.0 / (square + eps).sqrt()]
}

/// Sums, statistics, and normalised rows.
pub fn forward(pass: Forward<'_>) {
    let Forward {
        kind,
        x,
        branch,
        weight,
        bias,
        eps,
        y,
        stats,
    } = pass;
    let (width, eps) = (weight.len(), eps as f32);
    let (a, mask, to) = match branch {
        Some(Branch { a, mask, sum }) => (Some(a), mask, sum),
        None => (None, None, &mut [][..]),
    };
    each_rows(
        Level::best(),
        x.len() / width,
        CHUNK.div_ceil(width),
        x.len(),
        [y, stats, to],
        #[inline(always)]
        |rows, [y, stats, sums]| {
            let outs = y.chunks_exact_mut(width).zip(stats.as_chunks_mut::<2>().0);
            for (i, (row, (y, stats))) in rows.zip(outs).enumerate() {
                let mut s = &x[row * width..][..width];
                if let Some(a) = a {
                    let to = &mut sums[i * width..][..width];
                    to.copy_from_slice(&a[row * width..][..width]);
                    if let Some(mask) = mask {
                        mask.apply(row * width, to);
                    }
                    add_row(to, s);
                    s = to;
                }
                let [mean, inverse] = moments(kind, s, eps);
                *stats = [mean, inverse];
                for ((y, &s), &w) in y.iter_mut().zip(s).zip(weight) {
                    *y = (s - mean) * inverse * w;
                }
                if let Some(bias) = bias {
                    add_row(y, bias);
                }
            }
        },
    );
}

/// A backward pass.
#[derive(Debug)]
pub struct Backward<'a> {
    /// Which normalisation.
    pub kind: Kind,
    /// What was normalised, `[N,M]`.
    pub s: &'a [f32],
    /// `[M]`.
    pub weight: &'a [f32],
    /// As [`forward`] wrote them.
    pub stats: &'a [f32],
    /// Gradient of y, `[N,M]`.
    pub dy: &'a [f32],
    /// Gradient of s, `[N,M]`.
    pub ds: &'a mut [f32],
    /// Whether it is added to what is there.
    pub add: bool,
    /// Gradient of the branch with its dropout, `[N,M]`, or empty.
    pub da: &'a mut [f32],
    /// The branch's dropout.
    pub mask: Option<Mask>,
    /// Sums of the columns of da, `[M]`, or empty.
    pub sums: &'a mut [f32],
    /// `[M]`.
    pub dweight: &'a mut [f32],
    /// `[M]`, or empty.
    pub dbias: &'a mut [f32],
}

/// All gradients; `work` is memory to work in.
pub fn backward(pass: Backward<'_>, work: &mut Vec<f32>) {
    let Backward {
        kind,
        s,
        weight,
        stats,
        dy,
        ds,
        add,
        da,
        mask,
        sums,
        dweight,
        dbias,
    } = pass;
    let width = weight.len();
    let (biased, summed) = (!dbias.is_empty(), !sums.is_empty());
    each_rows_summed(
        Level::best(),
        s.len() / width,
        s.len(),
        [ds, da],
        [dweight, dbias, sums],
        false,
        work,
        #[inline(always)]
        |rows, [ds, da], totals| {
            let (dweight, totals) = totals.split_at_mut(width);
            let (dbias, sums) = totals.split_at_mut(if biased { width } else { 0 });
            for (i, row) in rows.enumerate() {
                let s = &s[row * width..][..width];
                let dy = &dy[row * width..][..width];
                let ds = &mut ds[i * width..][..width];
                let (mean, inverse) = (stats[2 * row], stats[2 * row + 1]);
                gradient(kind, [s, weight, dy], [mean, inverse], ds, add);
                for ((dw, &s), &dy) in dweight.iter_mut().zip(s).zip(dy) {
                    *dw += (s - mean) * inverse * dy;
                }
                if biased {
                    add_row(dbias, dy);
                }
                if da.is_empty() {
                    continue;
                }
                let da = &mut da[i * width..][..width];
                da.copy_from_slice(ds);
                if let Some(mask) = mask {
                    mask.apply(row * width, da);
                }
                if summed {
                    add_row(sums, da);
                }
            }
        },
    );
}

/// `ds (+)= J^T dy` of one row.
#[inline(always)]
fn gradient(
    kind: Kind,
    [s, weight, dy]: [&[f32]; 3],
    [mean, inverse]: [f32; 2],
    ds: &mut [f32],
    add: bool,
) {
    let n = s.len() as f32;
    let along = sum3(s, weight, dy, |s, w, dy| (s - mean) * inverse * (w * dy)) / n;
    let level = match kind {
        Kind::Rms => 0.0,
        Kind::Layer => sum2(weight, dy, |w, dy| w * dy) / n,
    };
    for (((ds, &s), &w), &dy) in ds.iter_mut().zip(s).zip(weight).zip(dy) {
        let new = inverse * (w * dy - level - (s - mean) * inverse * along);
        *ds = if add { *ds + new } else { new };
    }
}
