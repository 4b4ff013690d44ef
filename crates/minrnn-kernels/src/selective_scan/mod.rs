//! The selective state space (arXiv 2312.00752, 2405.21060): decay, outer product, recurrence and readout in one pass, forward and
//! backward, with memory for the states of some steps only.
//!
//! [`slow`] is the definition, `cpu` the kernel, `cuda` with `selective_scan.cu` that for CUDA.

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

pub use size::Size;

use crate::KernelError;
use crate::tensors::Input;
use operation::Operation;

const OP: &str = "selective_scan";

/// States of a channel that kernels for GPUs take.
pub const MOST_STATES_ON_GPU: usize = 256;

/// What a selective scan reads: f32 or f64, all alike; on a GPU f32.
#[derive(Debug, Clone, Copy)]
pub struct Inputs<'a> {
    /// Step sizes `[B,T,H]`; H divides D, and each holds for the D / H channels of a head.
    pub step: &'a Tensor,
    /// `[B,T,D]`.
    pub x: &'a Tensor,
    /// `[B,T,G N]`; G divides H, and each N hold for the channels of a group.
    pub b: &'a Tensor,
    /// `[B,T,G N]`.
    pub c: &'a Tensor,
    /// A_log, `[D N]`, or `[H]` where a head has one for all of its states.
    pub log_rates: &'a Tensor,
    /// D of the papers, `[H]`.
    pub skip: &'a Tensor,
    /// The state before the first step, `[B,D N]`.
    pub h0: &'a Tensor,
}

/// The selective scan: with A = -exp(A_log), head i and group g of channel d,
/// `h[d, n] = exp(step[i] A) h[d, n] + step[i] x[d] b[g, n]`, `y[d] = sum_n h[d, n] c[g, n] + skip[i] x[d]`.
///
/// `states`: N; `lens`: how many steps of each sequence count for its last state, 1 to T, `[B]`; absent: all T.
/// The results are y, `[B,T,D]`, and the last states, `[B,D N]`. Each step multiplies, rounds, adds, rounds, so a sequence cut into chunks
/// with the state carried over gives the same bits. Gradients for all inputs; states that the backward pass needs are computed again from
/// every [`Size::every`]th, and the gradients of b and c are summed in a fixed order.
///
/// # Errors
/// [`KernelError`] on other shapes, an empty dimension (T = 0 too), another element type or device, lengths
/// that are none, on a GPU more than [`MOST_STATES_ON_GPU`] states.
pub fn selective_scan(
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
    let like = |name: &'static str, tensor| Input::float(OP, name, tensor)?.like(x);
    let step = like("step", i.step)?;
    let (_, _, heads) = step.dims3("[B,T,H]")?;
    if channels % heads != 0 {
        return Err(step.bad_shape(format!("[B,T,H], H a divisor of D = {channels}")));
    }
    step.shaped(&[batch, time, heads], "[B,T,H]")?;
    let b = like("b", i.b)?;
    let (_, _, read) = b.dims3("[B,T,G N]")?;
    let groups = read.checked_div(states).filter(|g| g * states == read);
    let Some(groups) = groups.filter(|g| *g > 0 && heads % g == 0) else {
        return Err(b.bad_shape(format!(
            "[B,T,G N], N = {states}, G a divisor of H = {heads}"
        )));
    };
    b.shaped(&[batch, time, read], "[B,T,G N]")?;
    like("c", i.c)?.shaped(&[batch, time, read], "[B,T,G N] of b")?;
    let wide = channels * states;
    let rates = like("log_rates", i.log_rates)?;
    let shared = match rates.dims1("[D N] or [H]")? {
        len if len == wide => false,
        len if len == heads => true,
        _ => return Err(rates.bad_shape(format!("[D N] = [{wide}] or [H] = [{heads}]"))),
    };
    like("skip", i.skip)?.shaped(&[heads], "[H]")?;
    like("h0", i.h0)?.shaped(&[batch, wide], "[B,D N]")?;
    if i.x.device().is_cuda() && states > MOST_STATES_ON_GPU {
        let problem = format!(
            "are {states}, of which kernels for GPUs take {MOST_STATES_ON_GPU}; run it on the CPU"
        );
        return Err(bad_value("states", problem));
    }
    Ok(Size {
        batch,
        time,
        channels,
        states,
        heads,
        groups,
        shared,
    })
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
