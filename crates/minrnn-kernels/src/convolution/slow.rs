//! The convolution as it is defined, in float64, one product after the other.

use super::Size;

/// Calls `f(output, tap, x or Err(window))`, indices of elements, for every product of the sums. Rows that there are not have none.
fn each_product(size: Size, windowed: bool, mut f: impl FnMut(usize, usize, Result<usize, usize>)) {
    let Size {
        batch,
        time,
        channels: d,
        taps,
    } = size;
    let lag = taps - 1;
    for sequence in 0..batch {
        for t in 0..time {
            for j in 0..taps {
                for c in 0..d {
                    let out = (sequence * time + t) * d + c;
                    match t.checked_sub(j) {
                        Some(from) => f(out, j * d + c, Ok((sequence * time + from) * d + c)),
                        None if windowed => {
                            f(out, j * d + c, Err((sequence * lag + lag + t - j) * d + c));
                        }
                        None => {}
                    }
                }
            }
        }
    }
}

/// y `[B,T,D]` of x `[B,T,D]`, a window `[B,taps-1,D]` before the begin (absent: zeros) and taps `[taps,D]`.
///
/// # Panics
/// If a slice is not as long as `size` says.
pub fn convolution(x: &[f64], window: Option<&[f64]>, taps: &[f64], size: Size) -> Vec<f64> {
    let mut y = vec![0.0; x.len()];
    let before = window.unwrap_or_default();
    each_product(size, window.is_some(), |out, tap, from| {
        y[out] += taps[tap] * from.map_or_else(|w| before[w], |i| x[i]);
    });
    y
}

/// The gradients of x and of the taps, given the gradient `dy` of y. The window has none.
///
/// # Panics
/// If a slice is not as long as `size` says.
pub fn convolution_grad(
    x: &[f64],
    window: Option<&[f64]>,
    taps: &[f64],
    dy: &[f64],
    size: Size,
) -> [Vec<f64>; 2] {
    let (mut dx, mut dtaps) = (vec![0.0; x.len()], vec![0.0; taps.len()]);
    let before = window.unwrap_or_default();
    each_product(size, window.is_some(), |out, tap, from| match from {
        Ok(i) => {
            dx[i] += dy[out] * taps[tap];
            dtaps[tap] += dy[out] * x[i];
        }
        Err(w) => dtaps[tap] += dy[out] * before[w],
    });
    [dx, dtaps]
}
