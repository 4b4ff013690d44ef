//! Results moved by some last places, as engines that add in other orders, or compute functions otherwise, round them.

use super::array::Array;
use super::budget::{Meter, mix};
use super::number::unit;
use crate::ir::Node;

/// Operators whose results engines round differently: those that add up, and functions that no standard rounds.
const ROUNDS: [&str; 53] = [
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
    "CumProd",
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

/// Operators whose results are sums of products or of entries: what is rounded is as large as their terms.
const SUMS: [&str; 9] = [
    "Attention",
    "Conv",
    "ConvTranspose",
    "CumSum",
    "Einsum",
    "Gemm",
    "MatMul",
    "ReduceMean",
    "ReduceSum",
];

/// How many terms come to a value of a node, whose largest input has `read` values, at the least.
fn terms(node: &Node, first: Option<&Array>, read: usize, outputs: usize) -> usize {
    let inner = match node.op_type.as_str() {
        "MatMul" | "Gemm" => first.and_then(|a| a.dims().iter().rev().take(2).max().copied()),
        // Each is a sum of all before it.
        "CumSum" | "CumProd" => first.and_then(|a| a.dims().iter().max().copied()),
        _ => None,
    };
    inner.unwrap_or(read / outputs.max(1)).max(1)
}

/// A result of a node, moved where the run asks it: each value up or down by up to the last place, times the root of how many values
/// come to one. The last place of a sum is that of its row, root mean square, where terms cancelled in it.
pub(super) fn moved(
    node: &Node,
    (first, read): (Option<&Array>, usize),
    result: Array,
    meter: &Meter,
) -> Array {
    if !ROUNDS.contains(&node.op_type.as_str()) {
        return result;
    }
    let (Some(number), Some(values)) = (meter.moves(), result.floats()) else {
        return result;
    };
    let terms = terms(node, first, read, values.len()) as f64;
    let by = unit(result.dtype()) * terms.sqrt();
    let width = result.dims().last().copied().unwrap_or(1).max(1);
    let sums = SUMS.contains(&node.op_type.as_str());
    let row = |i: usize| -> f64 {
        let row = &values[i / width * width..][..width];
        let squares: f64 = row.iter().map(|v| v * v).sum();
        (squares / width as f64).sqrt()
    };
    let rows: Vec<f64> = match sums {
        true => (0..values.len()).step_by(width).map(row).collect(),
        false => vec![],
    };
    let one = |(i, v): (usize, &f64)| {
        let chance = mix(number ^ i as u64) as f64 / u64::MAX as f64;
        let peers = rows.get(i / width).copied().filter(|r| r.is_finite());
        v + by * v.abs().max(peers.unwrap_or(0.0)) * (2.0 * chance - 1.0)
    };
    let all = values.iter().enumerate().map(one).collect();
    result.with(all)
}
