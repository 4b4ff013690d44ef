//! Reductions over a row in a fixed order: 16 running sums, then pairs of them.

use super::Float;

const LANES: usize = 16;

#[inline(always)]
fn fold<T: Float>(mut lanes: [T; LANES], f: impl Fn(T, T) -> T) -> T {
    let mut half = LANES / 2;
    while half > 0 {
        for i in 0..half {
            lanes[i] = f(lanes[i], lanes[i + half]);
        }
        half /= 2;
    }
    lanes[0]
}

/// The sum of `f(x)`.
#[inline(always)]
pub(crate) fn sum<T: Float>(x: &[T], f: impl Fn(T) -> T) -> T {
    let mut lanes = [T::ZERO; LANES];
    let (chunks, rest) = x.as_chunks::<LANES>();
    for c in chunks {
        for i in 0..LANES {
            lanes[i] += f(c[i]);
        }
    }
    for (lane, &x) in lanes.iter_mut().zip(rest) {
        *lane += f(x);
    }
    fold(lanes, |a, b| a + b)
}

/// The sum of `f(x, y)` over two rows of one length.
#[inline(always)]
pub(crate) fn sum2<T: Float>(x: &[T], y: &[T], f: impl Fn(T, T) -> T) -> T {
    let mut lanes = [T::ZERO; LANES];
    let ((xs, x_rest), (ys, y_rest)) = (x.as_chunks::<LANES>(), y.as_chunks::<LANES>());
    for (x, y) in xs.iter().zip(ys) {
        for i in 0..LANES {
            lanes[i] += f(x[i], y[i]);
        }
    }
    for (lane, (&x, &y)) in lanes.iter_mut().zip(x_rest.iter().zip(y_rest)) {
        *lane += f(x, y);
    }
    fold(lanes, |a, b| a + b)
}

/// The sum of `f(x, y, z)` over three rows of one length.
#[inline(always)]
pub(crate) fn sum3<T: Float>(x: &[T], y: &[T], z: &[T], f: impl Fn(T, T, T) -> T) -> T {
    let mut lanes = [T::ZERO; LANES];
    let (xs, x_rest) = x.as_chunks::<LANES>();
    let (ys, y_rest) = y.as_chunks::<LANES>();
    let (zs, z_rest) = z.as_chunks::<LANES>();
    for ((x, y), z) in xs.iter().zip(ys).zip(zs) {
        for i in 0..LANES {
            lanes[i] += f(x[i], y[i], z[i]);
        }
    }
    let rest = x_rest.iter().zip(y_rest).zip(z_rest);
    for (lane, ((&x, &y), &z)) in lanes.iter_mut().zip(rest) {
        *lane += f(x, y, z);
    }
    fold(lanes, |a, b| a + b)
}

/// The largest element; NaN is passed over, and shows in what is computed from the row later.
#[inline(always)]
pub(crate) fn max<T: Float>(x: &[T]) -> T {
    let pick = |a: T, b: T| if b > a { b } else { a };
    let mut lanes = [T::of(f64::NEG_INFINITY); LANES];
    let (chunks, rest) = x.as_chunks::<LANES>();
    for c in chunks {
        for i in 0..LANES {
            lanes[i] = pick(lanes[i], c[i]);
        }
    }
    for (lane, &x) in lanes.iter_mut().zip(rest) {
        *lane = pick(*lane, x);
    }
    fold(lanes, pick)
}
