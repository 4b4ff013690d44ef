//! What the operations are on one row, once more and as plainly as can be: one value after the other, no vectors, no packing.
//! Written from the law of [`crate::kernels`], not from its code.

use crate::kernels::{self, Cpu, Unary};

/// Partial results of a sum.
const PARTS: usize = 16;

/// One row times a matrix `[K, N]`: each column is a chain of fused multiply-adds from +0, k ascending.
pub(super) fn product(x: &[f32], weights: &[f32], out: &mut [f32]) {
    let n = out.len();
    for (column, out) in out.iter_mut().enumerate() {
        let mut sum = 0.0f32;
        for (k, v) in x.iter().enumerate() {
            sum = v.mul_add(weights[k * n + column], sum);
        }
        *out = sum;
    }
}

/// Each entry the sum of products over the kernel, from its first entry on, every operation rounded; zeros behind the input.
pub(super) fn convolution(x: &[f32], kernel: &[f32], stride: usize, out: &mut [f32]) {
    for (at, out) in out.iter_mut().enumerate() {
        let mut sum = 0.0f32;
        for (k, w) in kernel.iter().enumerate() {
            sum += x.get(at * stride + k).unwrap_or(&0.0) * w;
        }
        *out = sum;
    }
}

/// One row of bytes times a matrix of bytes, each around its zero point. i64: no sum of a file that can be opened leaves it.
pub(super) fn product_int(x: &[u8], x_zero: u8, weights: &[u8], w_zero: u8, out: &mut [i32]) {
    let n = out.len();
    for (column, out) in out.iter_mut().enumerate() {
        let term = |(k, v): (usize, &u8)| {
            let w = weights[k * n + column];
            (i64::from(*v) - i64::from(x_zero)) * (i64::from(w) - i64::from(w_zero))
        };
        // ONNX: the result is that of 32-bit arithmetic.
        *out = x.iter().enumerate().map(term).sum::<i64>() as i32;
    }
}

/// The sum of a row: partial result i takes the values i, i + 16 and so on; then each the one 8 places on, 4, 2, 1.
pub(super) fn sum(x: &[f32]) -> f32 {
    let mut parts = [0.0f32; PARTS];
    for (i, v) in x.iter().enumerate() {
        parts[i % PARTS] += v;
    }
    let mut half = PARTS / 2;
    while half > 0 {
        for i in 0..half {
            parts[i] += parts[i + half];
        }
        half /= 2;
    }
    parts[0]
}

/// Shares of `e^x`, from the first value on.
pub(super) fn softmax(x: &mut [f32]) {
    let most = extreme(x, true);
    let below: Vec<f32> = x.iter().map(|v| v - most).collect();
    kernels::unary(Cpu::scalar(), Unary::Exp, &below, x);
    let mut sum = 0.0f32;
    for v in x.iter() {
        sum += v;
    }
    for v in x.iter_mut() {
        *v /= sum;
    }
}

/// The largest or the smallest value, which no order changes. NaN where one is.
pub(super) fn extreme(x: &[f32], largest: bool) -> f32 {
    let mut found = if largest {
        f32::NEG_INFINITY
    } else {
        f32::INFINITY
    };
    for v in x {
        if v.is_nan() {
            return *v;
        }
        if (largest && *v > found) || (!largest && *v < found) {
            found = *v;
        }
    }
    found
}

/// The same of complex numbers, `[re | im]` in the channels.
pub(super) fn complex(a: &[f32], b: &[f32], h0: &[f32], out: &mut [f32]) {
    let n = h0.len() / 2;
    let mut h = h0.to_vec();
    for ((a, b), out) in a
        .chunks(2 * n)
        .zip(b.chunks(2 * n))
        .zip(out.chunks_mut(2 * n))
    {
        for c in 0..n {
            let (re, im) = (h[c], h[n + c]);
            out[c] = re * a[c] - im * a[n + c] + b[c];
            out[n + c] = re * a[n + c] + im * a[c] + b[n + c];
        }
        h.copy_from_slice(out);
    }
}

/// `h[t] = h[t-1] * a[t] + b[t]`, two roundings, for one row of the batch: a, b, out `[T, D]`, h0 `[D]`.
pub(super) fn recurrence(a: &[f32], b: &[f32], h0: &[f32], out: &mut [f32]) {
    let d = h0.len();
    for (channel, start) in h0.iter().enumerate() {
        let mut h = *start;
        for at in (channel..out.len()).step_by(d) {
            let decayed = h * a[at];
            h = decayed + b[at];
            out[at] = h;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_product_is_a_chain_from_the_first_k() {
        // 2^24 + 1 - 2^24: the chain loses the one, another order would not.
        let big = 16_777_216.0;
        let mut out = [0.0; 2];
        product(&[1.0, 1.0, 1.0], &[big, 1.0, 1.0, 2.0, -big, 3.0], &mut out);
        assert_eq!(out, [0.0, 6.0]);
    }

    #[test]
    fn bytes_count_from_their_zero_points() {
        let mut out = [0; 2];
        product_int(&[0, 255], 128, &[255, 0, 3, 9], 7, &mut out);
        assert_eq!(out, [-128 * 248 - 127 * 4, 128 * 7 + 127 * 2]);
    }

    #[test]
    fn a_sum_has_sixteen_parts() {
        let mut x = [0.0; 17];
        (x[0], x[1], x[16]) = (16_777_216.0, 1.0, 1.0);
        // In one chain the ones vanish one by one; as parts 0 and 1 they still do, the tie going to even.
        assert_eq!(sum(&x), 16_777_216.0);
        (x[2], x[16]) = (1.0, 0.0);
        // Part 1 and part 2 meet only with part 0: first 2 joins 0 (even), then 1.
        assert_eq!(sum(&x), 16_777_216.0);
        (x[0], x[1], x[2], x[3]) = (16_777_216.0, 1.0, 0.0, 1.0);
        // Part 3 joins part 1 before that joins part 0.
        assert_eq!(sum(&x), 16_777_218.0);
    }

    #[test]
    fn a_recurrence_rounds_twice() {
        let a = 1.0 + f32::EPSILON;
        let b = -(a * a);
        let mut out = [0.0; 2];
        recurrence(&[a, 1.0], &[b, 5.0], &[a], &mut out);
        assert_eq!(out, [0.0, 5.0]);
        assert_ne!(a.mul_add(a, b), 0.0);
    }
}
