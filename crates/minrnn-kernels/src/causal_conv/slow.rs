//! The causal convolution as it is defined, in float64.

/// The gradients of a convolution, one for each input.
#[derive(Debug, Clone, PartialEq)]
pub struct Gradients {
    /// Of x, `[B,T,M]`.
    pub x: Vec<f64>,
    /// Of the state, `[B,k-1,M]`.
    pub state: Vec<f64>,
    /// Of the weight, `[k,M]`.
    pub weight: Vec<f64>,
    /// Of the bias, `[M]`.
    pub bias: Vec<f64>,
}

/// Calls `f(output index, tap index, Ok(x index) or Err(state index))` for every product of the sum.
fn each_product(
    [b, t, m]: [usize; 3],
    k: usize,
    mut f: impl FnMut(usize, usize, Result<usize, usize>),
) {
    for sequence in 0..b {
        for step in 0..t {
            for j in 0..k {
                for c in 0..m {
                    let out = (sequence * t + step) * m + c;
                    let from = if step + j < k - 1 {
                        Err((sequence * (k - 1) + step + j) * m + c)
                    } else {
                        Ok((sequence * t + step + j + 1 - k) * m + c)
                    };
                    f(out, j * m + c, from);
                }
            }
        }
    }
}

/// y `[B,T,M]` from x `[B,T,M]`, state `[B,k-1,M]`, weight `[k,M]`, bias `[M]`; `dims` is `[B,T,M]`.
///
/// # Panics
/// If a slice is not as long as `dims` says.
pub fn causal_conv(
    x: &[f64],
    state: &[f64],
    weight: &[f64],
    bias: Option<&[f64]>,
    dims: [usize; 3],
) -> Vec<f64> {
    let mut y = vec![0.0; x.len()];
    each_product(dims, weight.len() / dims[2], |out, tap, from| {
        y[out] += weight[tap] * from.map_or_else(|s| state[s], |i| x[i]);
    });
    if let Some(bias) = bias {
        for (i, y) in y.iter_mut().enumerate() {
            *y += bias[i % dims[2]];
        }
    }
    y
}

/// The gradients, given the gradient `dy` of the result.
///
/// # Panics
/// If a slice is not as long as `dims` says.
pub fn causal_conv_grad(
    x: &[f64],
    state: &[f64],
    weight: &[f64],
    dy: &[f64],
    dims: [usize; 3],
) -> Gradients {
    let mut grads = Gradients {
        x: vec![0.0; x.len()],
        state: vec![0.0; state.len()],
        weight: vec![0.0; weight.len()],
        bias: vec![0.0; dims[2]],
    };
    each_product(dims, weight.len() / dims[2], |out, tap, from| match from {
        Ok(i) => {
            grads.x[i] += dy[out] * weight[tap];
            grads.weight[tap] += dy[out] * x[i];
        }
        Err(s) => {
            grads.state[s] += dy[out] * weight[tap];
            grads.weight[tap] += dy[out] * state[s];
        }
    });
    for (i, dy) in dy.iter().enumerate() {
        grads.bias[i % dims[2]] += dy;
    }
    grads
}
