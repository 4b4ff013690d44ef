//! Arithmetic of the engine, written once for all instruction sets.
//!
//! # The law
//! Every result is defined on one row by a fixed sequence of IEEE 754 operations on f32. It depends neither on the
//! instruction set, nor on the number of rows in a call, nor on how the caller cuts rows into blocks or threads: lanes
//! never exchange values except in the fixed trees of [`reduce`]. Products accumulate over k in ascending order with
//! fused multiply-adds; where "fused" is not said, each operation rounds. Only the sign and payload of a NaN are open.
//!
//! Nothing here allocates but the packing of weights. Shapes are the caller's promise: a wrong one panics.

mod aligned;
mod attend;
mod binary;
mod blocking;
mod bytes;
mod bytes_tile;
mod convolution;
mod cpu;
mod half;
mod lanes;
mod math;
mod matrix;
mod recurrence;
mod reduce;
mod rows;
mod scan;
mod tile;
mod unary;

#[cfg(test)]
mod tests;

pub(crate) use attend::{Attend, attend};
pub(crate) use binary::{Binary, Operand, binary};
pub(crate) use bytes::MatrixU8;
pub(crate) use convolution::convolution;
pub(crate) use cpu::Cpu;
pub use cpu::Kernels;
pub(crate) use half::round_to_f16;
pub(crate) use matrix::Matrix;
pub(crate) use recurrence::{complex, largest, recurrence};
pub(crate) use reduce::{Reduction, reduce};
#[cfg(test)]
use reduce::{max, min, sum};
pub(crate) use rows::{Rows, RowsMut};
pub(crate) use scan::{Decay, Scan, scan};
pub(crate) use unary::{Unary, unary};
