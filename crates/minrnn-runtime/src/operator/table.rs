//! The operators, a line each: name; fewest and most inputs; most outputs; attributes; by which rule its shapes are made; what exact
//! execution makes of it; who computes it for the referee. In order of their names.

use super::{Judge, Meaning, Operator, Rule};
use crate::kernels::{Binary, Reduction, Unary};
use crate::proto::AttributeType;

pub(super) const MANY: usize = usize::MAX;
const INT: AttributeType = AttributeType::Int;
const INTS: AttributeType = AttributeType::Ints;
const FLOAT: AttributeType = AttributeType::Float;
const TENSOR: AttributeType = AttributeType::Tensor;
const FLOATS: AttributeType = AttributeType::Floats;
const TEXT: AttributeType = AttributeType::String;
const GRAPH: AttributeType = AttributeType::Graph;

macro_rules! operators {
    ($($name:literal $least:literal..=$most:tt -> $out:tt {$($attr:ident: $kind:ident),*}
        $rule:ident, $meaning:ident $(($function:ident))?, $judge:ident;)*) => {
        pub(super) static OPERATORS: &[Operator] = &[$(Operator {
            name: $name,
            inputs: ($least, $most),
            outputs: (1, $out),
            attributes: &[$((stringify!($attr), $kind)),*],
            rule: Rule::$rule,
            meaning: operators!(@ $meaning $($function)?),
            judge: Judge::$judge,
        }),*];
    };
    (@ Unary $function:ident) => { Meaning::Unary(Unary::$function) };
    (@ Binary $function:ident) => { Meaning::Binary(Binary::$function) };
    (@ Reduce $function:ident) => { Meaning::Reduce(Reduction::$function) };
    (@ $meaning:ident) => { Meaning::$meaning };
}

operators! {
    "Abs" 1..=1 -> 1 {} Unary, Unary(Abs), Tract;
    "Add" 2..=2 -> 1 {} Arithmetic, Binary(Add), Tract;
    "And" 2..=2 -> 1 {} Logic, Unknown, Tract;
    "Cast" 1..=1 -> 1 {to: INT} Cast, Cast, Tract;
    "Ceil" 1..=1 -> 1 {} Unary, Unary(Ceil), Tract;
    "Clip" 1..=3 -> 1 {} Clip, Unknown, Tract;
    "Concat" 1..=MANY -> 1 {axis: INT} Concat, Concat, Tract;
    "Constant" 0..=0 -> 1 {value: TENSOR, value_int: INT, value_ints: INTS, value_float: FLOAT, value_floats: FLOATS}
        Constant, Unknown, Tract;
    "ConstantOfShape" 1..=1 -> 1 {value: TENSOR} Fill, Unknown, Tract;
    "Conv" 2..=2 -> 1 {dilations: INTS, group: INT, kernel_shape: INTS, pads: INTS, strides: INTS} Conv, Conv, Ours;
    "Cos" 1..=1 -> 1 {} Unary, Unary(Cos), Ours;
    "CumSum" 2..=2 -> 1 {} CumSum, CumSum, Tract;
    "Div" 2..=2 -> 1 {} Arithmetic, Binary(Div), Tract;
    "Equal" 2..=2 -> 1 {} Compare, Unknown, Tract;
    "Erf" 1..=1 -> 1 {} Unary, Unary(Erf), Ours;
    "Exp" 1..=1 -> 1 {} Unary, Unary(Exp), Ours;
    "Expand" 2..=2 -> 1 {} Expand, Expand, Tract;
    "Floor" 1..=1 -> 1 {} Unary, Unary(Floor), Tract;
    "GRU" 3..=6 -> 2 {hidden_size: INT, linear_before_reset: INT} Cell, Unknown, Nobody;
    "Gather" 2..=2 -> 1 {axis: INT} Gather, Gather, Tract;
    "GatherElements" 2..=2 -> 1 {axis: INT} GatherElements, GatherElements, Tract;
    "Gemm" 2..=3 -> 1 {alpha: FLOAT, beta: FLOAT, transA: INT, transB: INT} Gemm, Unknown, Nobody;
    "Greater" 2..=2 -> 1 {} Compare, Unknown, Tract;
    "GreaterOrEqual" 2..=2 -> 1 {} Compare, Unknown, Tract;
    "Identity" 1..=1 -> 1 {} Same, Identity, Tract;
    "LSTM" 3..=7 -> 3 {hidden_size: INT} Cell, Unknown, Nobody;
    "LayerNormalization" 2..=3 -> 1 {axis: INT, epsilon: FLOAT, stash_type: INT} LayerNorm, Unknown, Nobody;
    "Less" 2..=2 -> 1 {} Compare, Unknown, Tract;
    "LessOrEqual" 2..=2 -> 1 {} Compare, Unknown, Tract;
    "Log" 1..=1 -> 1 {} Unary, Unary(Log), Ours;
    "LogSoftmax" 1..=1 -> 1 {axis: INT} Softmax, Unknown, Nobody;
    "MatMul" 2..=2 -> 1 {} MatMul, MatMul, Ours;
    "MatMulInteger" 2..=4 -> 1 {} MatMulInteger, MatMulInteger, Ours;
    "Max" 1..=MANY -> 1 {} Arithmetic, Binary(Max), Tract;
    "Min" 1..=MANY -> 1 {} Arithmetic, Binary(Min), Tract;
    "Mul" 2..=2 -> 1 {} Arithmetic, Binary(Mul), Tract;
    "Neg" 1..=1 -> 1 {} Unary, Unary(Neg), Tract;
    "Not" 1..=1 -> 1 {} Logic, Unknown, Tract;
    "Or" 2..=2 -> 1 {} Logic, Unknown, Tract;
    "Pad" 2..=4 -> 1 {mode: TEXT} Pad, Unknown, Tract;
    "Pow" 2..=2 -> 1 {} Arithmetic, Unknown, Nobody;
    "RMSNormalization" 2..=2 -> 1 {axis: INT, epsilon: FLOAT, stash_type: INT} LayerNorm, Unknown, Nobody;
    "Reciprocal" 1..=1 -> 1 {} Unary, Unary(Reciprocal), Tract;
    "ReduceMax" 1..=2 -> 1 {axes: INTS, keepdims: INT, noop_with_empty_axes: INT} Reduce, Reduce(Max), Ours;
    "ReduceMean" 1..=2 -> 1 {axes: INTS, keepdims: INT, noop_with_empty_axes: INT} Reduce, Reduce(Mean), Ours;
    "ReduceMin" 1..=2 -> 1 {axes: INTS, keepdims: INT, noop_with_empty_axes: INT} Reduce, Reduce(Min), Ours;
    "ReduceSum" 1..=2 -> 1 {axes: INTS, keepdims: INT, noop_with_empty_axes: INT} Reduce, Reduce(Sum), Ours;
    "Relu" 1..=1 -> 1 {} Unary, Unary(Relu), Tract;
    "Reshape" 2..=2 -> 1 {allowzero: INT} Reshape, Reshape, Tract;
    "Round" 1..=1 -> 1 {} Unary, Unary(Round), Tract;
    "Scan" 1..=MANY -> MANY {body: GRAPH, num_scan_inputs: INT, scan_input_axes: INTS, scan_output_axes: INTS,
        scan_input_directions: INTS, scan_output_directions: INTS} Scan, Scan, Tract;
    "Shape" 1..=1 -> 1 {start: INT, end: INT} Shape, Shape, Tract;
    "Sigmoid" 1..=1 -> 1 {} Unary, Unary(Sigmoid), Ours;
    "Sign" 1..=1 -> 1 {} Unary, Unknown, Nobody;
    "Sin" 1..=1 -> 1 {} Unary, Unary(Sin), Ours;
    "Slice" 3..=5 -> 1 {} Slice, Slice, Tract;
    "Softmax" 1..=1 -> 1 {axis: INT} Softmax, Unknown, Ours;
    "Softplus" 1..=1 -> 1 {} Unary, Unary(Softplus), Ours;
    "Split" 1..=2 -> MANY {axis: INT, num_outputs: INT} Split, Split, Tract;
    "Sqrt" 1..=1 -> 1 {} Unary, Unary(Sqrt), Tract;
    "Squeeze" 2..=2 -> 1 {} Squeeze, Squeeze, Tract;
    "Sub" 2..=2 -> 1 {} Arithmetic, Binary(Sub), Tract;
    "Tanh" 1..=1 -> 1 {} Unary, Unary(Tanh), Ours;
    "Tile" 2..=2 -> 1 {} Tile, Tile, Tract;
    "Transpose" 1..=1 -> 1 {perm: INTS} Transpose, Transpose, Tract;
    "Unsqueeze" 2..=2 -> 1 {} Unsqueeze, Squeeze, Tract;
    "Where" 3..=3 -> 1 {} Where, Unknown, Tract;
    "Xor" 2..=2 -> 1 {} Logic, Unknown, Nobody;
}
