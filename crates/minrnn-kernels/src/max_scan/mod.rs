//! `h[t] = max(h[t-1], b[t])`, elementwise over channels: the largest so far, of the law Max.
//!
//! [`slow`] is the definition, `cpu.rs` the kernel, `cuda.rs` with `max_scan.cu` that for CUDA. Candle computes it by operations of its own.

pub mod cpu;
#[cfg(feature = "cuda")]
pub mod cuda;
#[cfg(feature = "cuda")]
#[cfg(test)]
mod cuda_tests;
pub mod slow;
#[cfg(test)]
mod tests;
