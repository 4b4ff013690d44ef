//! Results moved by some last places, as engines that add in other orders, or compute functions otherwise, round them.

use super::array::Array;
use super::budget::{Meter, mix};
use super::number::unit;
use crate::ir::Node;

/// Operators whose results engines round differently: those that add up, and functions that no standard rounds.
const ROUNDS: [&str; 52] = [
    "Acos",
    "Acosh",
    "Asin",
    "Asinh",
    "Atan",
    "Atanh",
    "Attention",
    "AveragePool",
    "BatchNormalization",
    "Celu",
    "Conv",
    "ConvTranspose",
    "Cos",
    "Cosh",
    "CumSum",
    "Einsum",
    "Elu",
    "Erf",
    "Exp",
    "GRU",
    "Gelu",
    "Gemm",
    "GlobalAveragePool",
    "GlobalLpPool",
    "GroupNormalization",
    "InstanceNormalization",
    "LSTM",
    "LayerNormalization",
    "Log",
    "LogSoftmax",
    "LpNormalization",
    "LpPool",
    "MatMul",
    "Mean",
    "MeanVarianceNormalization",
    "Mish",
    "Pow",
    "RMSNormalization",
    "RNN",
    "ReduceL1",
    "ReduceL2",
    "ReduceLogSum",
    "ReduceLogSumExp",
    "ReduceMean",
    "ReduceProd",
    "ReduceSum",
    "ReduceSumSquare",
    "Selu",
    "Sigmoid",
    "Softmax",
    "Softplus",
    "Tanh",
];

/// A result of a node, moved where the run asks it: each value up or down by up to the last place, times the root of how many values
/// come to one.
pub(super) fn moved(node: &Node, read: usize, result: Array, meter: &Meter) -> Array {
    if !ROUNDS.contains(&node.op_type.as_str()) {
        return result;
    }
    let (Some(number), Some(values)) = (meter.moves(), result.floats()) else {
        return result;
    };
    let terms = (read / values.len().max(1)).max(1) as f64;
    let by = unit(result.dtype()) * terms.sqrt();
    let one = |(i, v): (usize, &f64)| {
        let chance = mix(number ^ i as u64) as f64 / u64::MAX as f64;
        v + by * v * (2.0 * chance - 1.0)
    };
    let all = values.iter().enumerate().map(one).collect();
    result.with(all)
}
