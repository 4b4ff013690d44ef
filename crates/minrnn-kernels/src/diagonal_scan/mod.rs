//! The diagonal state space (S4D, arXiv 2206.11893): discretisation, recurrence of complex numbers and readout in one pass, forward and
//! backward, real in, real out, with memory for the states of some steps only.
//!
//! [`slow`] is the definition, `cpu` the kernel, `cuda` with `diagonal_scan.cu` that for CUDA.

pub mod cpu;
#[cfg(feature = "cuda")]
pub mod cuda;
#[cfg(feature = "cuda")]
#[cfg(test)]
mod cuda_tests;
mod operation;
mod size;
pub mod slow;
#[cfg(test)]
mod tests;

use candle_core::{Result, Tensor};

pub use size::{EVERY, Size};

use crate::KernelError;
use crate::tensors::Input;
use operation::Operation;

const OP: &str = "diagonal_scan";

/// States of a channel, as real numbers, that kernels for GPUs take.
pub const MOST_STATES_ON_GPU: usize = 256;

/// What a diagonal scan reads: f32 or f64, all alike; on a GPU f32.
#[derive(Debug, Clone, Copy)]
pub struct Inputs<'a> {
    /// `[B,T,D]`.
    pub x: &'a Tensor,
    /// `log_dt`, `[D]`.
    pub log_step: &'a Tensor,
    /// `A_log`, `[D N/2]`.
    pub log_rates: &'a Tensor,
    /// `A_im`, `[D N/2]`.
    pub frequencies: &'a Tensor,
    /// C, `[re | im]`, `[D N]`.
    pub readout: &'a Tensor,
    /// D of the papers, `[D]`.
    pub skip: &'a Tensor,
    /// The state before the first step, `[re | im]`, `[B,D N]`.
    pub h0: &'a Tensor,
}

/// The diagonal scan: with A = -exp(A_log) + i A_im and the step size s = exp(log_dt) of channel d,
/// `h[n] = exp(s A[n]) h[n] + (exp(s A[n]) - 1) / A[n] x`, `y = 2 re sum_n C[n] h[n] + skip x`, n < N / 2.
///
/// `states`: N, even; `lens`: how many steps of each sequence count for its last state, 1 to T, `[B]`; absent: all T.
/// The results are y, `[B,T,D]`, and the last states, `[B,D N]`. What follows from parameters is computed in float64; each step multiplies,
/// rounds, adds, rounds, so a sequence cut into chunks with the state carried over gives the same bits. Gradients for all inputs; states that
/// the backward pass needs are computed again from every [`EVERY`]th, and gradients of parameters are summed in a fixed order.
///
/// # Errors
/// [`KernelError`] on other shapes, an empty dimension (T = 0 too), another element type or device, odd states, lengths that are none, on
/// a GPU more than [`MOST_STATES_ON_GPU`] states.
pub fn diagonal_scan(
    inputs: &Inputs<'_>,
    states: usize,
    lens: Option<&[u32]>,
) -> Result<(Tensor, Tensor)> {
    let size = size_of(inputs, states)?;
    check_lens(lens, size)?;
    let op = Operation {
        size,
        lens: lens.map(<[u32]>::to_vec),
    };
    op.run(inputs)
}

fn size_of(i: &Inputs<'_>, states: usize) -> Result<Size> {
    let x = Input::float(OP, "x", i.x)?;
    let (batch, time, channels) = x.dims3("[B,T,D]")?;
    if states == 0 || !states.is_multiple_of(2) {
        return Err(bad_states(states, "they come in pairs [re | im]"));
    }
    if i.x.device().is_cuda() && states > MOST_STATES_ON_GPU {
        let problem =
            format!("kernels for GPUs take {MOST_STATES_ON_GPU} at most; run it on the CPU");
        return Err(bad_states(states, &problem));
    }
    let size = Size {
        batch,
        time,
        channels,
        pairs: states / 2,
    };
    let of = format!("D = {channels}, N = {states}");
    let checked = [
        ("log_step", i.log_step, "[D]"),
        ("log_rates", i.log_rates, "[D N/2]"),
        ("frequencies", i.frequencies, "[D N/2]"),
        ("readout", i.readout, "[D N]"),
        ("skip", i.skip, "[D]"),
    ];
    for ((name, tensor, shape), len) in checked.into_iter().zip(size.parameters()) {
        let input = Input::float(OP, name, tensor)?.like(x)?;
        input.shaped(&[len], &format!("{shape}, {of}"))?;
    }
    let h0 = Input::float(OP, "h0", i.h0)?.like(x)?;
    h0.shaped(&[batch, size.state()], &format!("[B,D N], {of}"))?;
    Ok(size)
}

fn bad_states(states: usize, problem: &str) -> candle_core::Error {
    bad_value("states", format!("are {states}, but {problem}"))
}

fn check_lens(lens: Option<&[u32]>, size: Size) -> Result<()> {
    let fits = |len: &u32| (1..=size.time).contains(&(*len as usize));
    match lens {
        Some(lens) if lens.len() != size.batch || !lens.iter().all(fits) => {
            let problem = format!(
                "must be B = {} numbers from 1 to T = {}, got {lens:?}",
                size.batch, size.time
            );
            Err(bad_value("lens", problem))
        }
        _ => Ok(()),
    }
}

fn bad_value(input: &'static str, problem: String) -> candle_core::Error {
    KernelError::Value {
        op: OP,
        input,
        problem,
    }
    .into()
}
