//! The linear recurrence and the fused layers of minrnn as candle custom operations.
//!
//! Every function takes and gives [`candle_core::Tensor`]s and has a backward pass for every float
//! input; [`candle_core::Tensor::backward`] reaches whatever lies behind. Letters: B batch, T time, D hidden
//! channels, M model width, N rows, V vocabulary, k taps.
//!
//! | operation | what | instead of |
//! |---|---|---|
//! | [`linear_scan()`] | `h[t] = a[t] * h[t-1] + b[t]` | a chain of T small tensors |
//! | [`complex_scan()`] | the same of complex numbers, channels `[re \| im]` | the same |
//! | [`min_gru()`], [`min_lstm()`] | gates, candidate and recurrence in one pass | some ten operations |
//! | [`selective_scan()`] | decay, outer product, recurrence and readout of a selective state space | some ten operations, of which each keeps the states of all steps |
//! | [`diagonal_scan()`] | discretisation, complex recurrence and readout of a diagonal state space | the same |
//! | [`attend`], of slices | causal attention of heads over a window, scores never in memory | tensors of T x T scores |
//! | [`convolution`], of slices | depthwise convolution of as many taps as steps, by Fourier transforms | products with patches of the input |
//! | [`causal_conv()`], [`causal_conv_state`] | depthwise convolution with a state | grouped `conv1d`, one group after the other |
//! | [`rms_norm()`], [`layer_norm()`] | normalisation | candle-nn's, whose fast forms drop the gradient |
//! | [`embedding()`], [`bias_add()`] | rows by index; a bias | gradients in one pass, the same on every run |
//! | [`cross_entropy()`] | weighted mean loss | some ten passes over the logits |
//! | [`dropout()`] | masks by counter, the same on every device | masks from a generator with a state |
//! | [`gelu_erf`], [`gelu_tanh`], [`silu`], [`softplus`] | activations | several passes each |
//!
//! Three things hold for all of them:
//! - **The same bits** with any number of threads, on any CPU of one kind of arithmetic (no fused
//!   multiply-add, no reordered sum), and however a sequence is cut into chunks.
//! - **A slow twin**: the public `slow` module of an operation says in plain float64 loops what it
//!   computes, forward and backward; the kernels are tested against it.
//! - **Refusals by name**: other shapes, types or devices give a [`KernelError`].
//!
//! On the CPU kernels are in f32 (for work) and f64 (for checks). With the feature `cuda` most operations have kernels for
//! NVIDIA GPUs beside them (f32, bf16, f16), in a module `cuda` with safe wrappers over memory that the caller planned, and
//! every function here takes tensors on a GPU in f32, the recurrences also in bf16 and f16; of what only the GPU's memory knows
//! (ids, targets) nothing is checked there, and what is wrong gives NaN. What a layer is called, [`Candidate`] for one, is said
//! by `minrnn-model`.
//!
//! ```
//! use candle_core::{Device, Tensor, Var};
//! use minrnn_kernels::{Candidate, min_gru};
//!
//! # fn main() -> candle_core::Result<()> {
//! let (b, t, d) = (2, 5, 3);
//! let kv = Var::randn(0f32, 1., (b, t, 2 * d), &Device::Cpu)?;
//! let h0 = Tensor::zeros((b, d), candle_core::DType::F32, &Device::Cpu)?;
//! let h = min_gru(&kv, &h0, Candidate::G)?;
//! assert_eq!(h.dims(), [b, t, d]);
//!
//! // The same sequence in two chunks, the state carried over: the same bits.
//! let first = min_gru(&kv.narrow(1, 0, 2)?, &h0, Candidate::G)?;
//! let state = first.narrow(1, 1, 1)?.squeeze(1)?;
//! let second = min_gru(&kv.narrow(1, 2, 3)?, &state, Candidate::G)?;
//! let chunks = Tensor::cat(&[first, second], 1)?;
//! assert_eq!(chunks.flatten_all()?.to_vec1::<f32>()?, h.flatten_all()?.to_vec1::<f32>()?);
//!
//! let grads = h.sqr()?.sum_all()?.backward()?;
//! assert_eq!(grads.get(&kv).map(|g| g.dims()), Some(kv.dims()));
//! # Ok(())
//! # }
//! ```

pub mod activation;
#[cfg(feature = "cuda")]
pub mod adamw;
pub mod attend;
pub mod bias_add;
#[cfg(feature = "cuda")]
mod bridge;
pub mod causal_conv;
pub mod column_sum;
pub mod complex_scan;
pub mod convolution;
pub mod cross_entropy;
#[cfg(feature = "cuda")]
pub mod cuda;
pub mod diagonal_scan;
mod dispatch;
pub mod dropout;
mod elem;
pub mod elementwise;
pub mod embedding;
mod error;
pub mod feedback;
pub mod layer_norm;
pub mod linear_scan;
pub mod loss_scale;
mod math;
pub mod max_scan;
pub mod mean_square;
pub mod min_gru;
pub mod min_lstm;
pub mod muon;
pub mod norm;
#[cfg(all(feature = "cuda", cuda_on_demand))]
pub mod on_demand;
mod parallel;
pub mod product;
pub mod recurrence;
pub mod rms_norm;
pub mod selective_scan;
mod tensors;
#[cfg(test)]
mod testing;

pub use activation::{gelu_erf, gelu_tanh, sigmoid, silu, softplus};
pub use bias_add::bias_add;
pub use causal_conv::{causal_conv, causal_conv_state};
pub use complex_scan::complex_scan;
pub use cross_entropy::cross_entropy;
pub use diagonal_scan::diagonal_scan;
pub use dropout::dropout;
pub use elem::Elem;
pub use embedding::embedding;
pub use error::KernelError;
pub use layer_norm::layer_norm;
pub use linear_scan::{linear_scan, linear_scan_backward};
pub use min_gru::{min_gru, min_gru_backward};
pub use min_lstm::{min_lstm, min_lstm_backward};
pub use minrnn_model::layers::Candidate;
pub use recurrence::Size;
pub use rms_norm::rms_norm;
pub use selective_scan::selective_scan;
