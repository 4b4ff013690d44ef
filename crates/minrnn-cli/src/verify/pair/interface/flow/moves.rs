//! Where each operator takes the axes of what it reads.

use minrnn_onnx::ir::Node;

use super::cut::{along, concat, gather, resized, slice, split_axis, without_numbers};
use super::layout::{expand, filled, flatten, reshape, squeeze, transpose, unsqueeze};
use super::number::{choose, constant, shape, two};
use super::product::{broadcast, einsum, gemm, ones_behind, product, reduce};
use super::value::{Axes, Axis, Value};

/// Values of an operator; none for one that is not known.
pub(super) fn apply(node: &Node, x: &[Value]) -> Vec<Value> {
    let none = Value::default();
    let at = |i: usize| x.get(i).unwrap_or(&none);
    let first = at(0);
    let moved = |axes: Axes| vec![first.with(axes)];
    match node.op_type.as_str() {
        "Constant" => vec![constant(node)],
        "Shape" => vec![shape(node, first)],
        "Identity" | "Cast" | "CastLike" => vec![first.clone()],
        "Transpose" => moved(transpose(node, first)),
        "Squeeze" => moved(squeeze(node, x)),
        "Unsqueeze" => moved(unsqueeze(node, x)),
        "Reshape" => moved(reshape(node, first, at(1))),
        "Flatten" => moved(flatten(node, first)),
        "Expand" => moved(expand(first, at(1))),
        "ConstantOfShape" => vec![filled(node, first)],
        "Range" => vec![Value::new(vec![Axis::default()])],
        "Size" => vec![Value::new(vec![])],
        "Concat" => vec![concat(node, x)],
        "Split" => {
            let part = first.with(
                first
                    .axes
                    .as_ref()
                    .and_then(|a| resized(a, split_axis(node))),
            );
            vec![without_numbers(part); node.outputs.len()]
        }
        "Slice" => vec![slice(node, x)],
        "Gather" => vec![gather(node, first, at(1))],
        "Where" => {
            let numbers = choose(first, at(1), at(2));
            vec![Value {
                numbers,
                ..Value::default().with(broadcast(x))
            }]
        }
        "MatMul" | "MatMulInteger" | "MatMulNBits" => vec![product(node, first, at(1))],
        "QLinearMatMul" => vec![product(node, first, at(3))],
        "Gemm" => vec![gemm(node, first, at(1))],
        "Einsum" => vec![Value::default().with(einsum(node, x))],
        op if PICKS.contains(&op) => vec![along(first); node.outputs.len()],
        op if op.starts_with("Reduce") || op == "ArgMax" || op == "ArgMin" => {
            vec![Value::default().with(reduce(node, x))]
        }
        "GlobalAveragePool" | "GlobalMaxPool" | "GlobalLpPool" => {
            vec![Value::default().with(first.axes.as_ref().map(|a| ones_behind(a, 2)))]
        }
        op if TOGETHER.contains(&op) => vec![Value {
            numbers: two(op, first, at(1)),
            ..Value::default().with(broadcast(x))
        }],
        op if SAME.contains(&op) => vec![first.along(); node.outputs.len()],
        "Pad" | "Tile" | "Resize" | "Upsample" | "TopK" | "Compress" => {
            vec![along(first); node.outputs.len()]
        }
        _ => vec![],
    }
}

/// Operators of one tensor that keep its shape.
const SAME: &[&str] = &[
    "Abs",
    "Acos",
    "Acosh",
    "Asin",
    "Asinh",
    "Atan",
    "Atanh",
    "BatchNormalization",
    "BitwiseNot",
    "Ceil",
    "Celu",
    "Clip",
    "Cos",
    "Cosh",
    "CumSum",
    "CumProd",
    "DequantizeLinear",
    "Dropout",
    "DynamicQuantizeLinear",
    "Elu",
    "Erf",
    "Exp",
    "FastGelu",
    "Floor",
    "Gelu",
    "GroupNormalization",
    "HardSigmoid",
    "HardSwish",
    "Hardmax",
    "InstanceNormalization",
    "IsInf",
    "IsNaN",
    "LRN",
    "LayerNormalization",
    "LeakyRelu",
    "Log",
    "LogSoftmax",
    "LpNormalization",
    "MeanVarianceNormalization",
    "Mish",
    "Neg",
    "Not",
    "QuantizeLinear",
    "QuickGelu",
    "RMSNormalization",
    "Reciprocal",
    "Relu",
    "RotaryEmbedding",
    "Round",
    "ScatterElements",
    "ScatterND",
    "Selu",
    "Shrink",
    "Sigmoid",
    "Sign",
    "SimplifiedLayerNormalization",
    "Sin",
    "Sinh",
    "SkipLayerNormalization",
    "SkipSimplifiedLayerNormalization",
    "Softmax",
    "Softplus",
    "Softsign",
    "Sqrt",
    "Swish",
    "Tan",
    "Tanh",
    "TensorScatter",
    "ThresholdedRelu",
    "Trilu",
];

/// Operators whose inputs are broadcast.
const TOGETHER: &[&str] = &[
    "Add",
    "And",
    "BiasGelu",
    "BitShift",
    "BitwiseAnd",
    "BitwiseOr",
    "BitwiseXor",
    "Div",
    "Equal",
    "Greater",
    "GreaterOrEqual",
    "Less",
    "LessOrEqual",
    "Max",
    "Mean",
    "Min",
    "Mod",
    "Mul",
    "Or",
    "PRelu",
    "Pow",
    "Sub",
    "Sum",
    "Xor",
];

/// Operators that pick entries along an axis.
const PICKS: &[&str] = &["GatherElements"];
