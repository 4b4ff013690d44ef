//! The table. A row holds until the next row of its operator; `T`, `U`, `V` are the sets in brackets.

use super::Signature;
use super::params::*;
use crate::check::infer;
use crate::ir::DType;

macro_rules! table {
    ($name:ident; $($op:literal $since:literal ($($input:expr),*) -> ($($output:expr),*) [$($set:expr),*] {$($attr:expr),*} $infer:expr;)*) => {
        pub(super) static $name: &[Signature] = &[$(Signature {
            op: $op,
            since: $since,
            inputs: &[$($input),*],
            outputs: &[$($output),*],
            variables: &[$($set),*],
            attributes: &[$($attr),*],
            infer: $infer,
        }),*];
    };
}

const F32: Set = only(&[DType::F32]);
const LN_STASH: Set = only(&[DType::F32, DType::BF16]);
const I32: Set = only(&[DType::I32]);
const U8: Set = only(&[DType::U8]);
const RANGED: Set = only(&[DType::F32, DType::F64, DType::I16, DType::I32, DType::I64]);
const RANGED_27: Set = only(&[
    DType::F32,
    DType::F64,
    DType::F16,
    DType::BF16,
    DType::I16,
    DType::I32,
    DType::I64,
]);
const TENSOR: &str = "TENSOR";
const GRAPH: &str = "GRAPH";

// Of ONNX Runtime's own operators those that an export has, in version 1 of their set.
#[rustfmt::skip]
table! {
    MICROSOFT;
    "LinearAttention" 1 (T, T, T, opt(U), opt(T), opt(T)) -> (T, U) [FLOAT_16_32, FLOAT_16_32] {
        needed(int("q_num_heads")), needed(int("kv_num_heads")), int("chunk_size"), float("scale"), text("update_rule")
    } Some(infer::shared_attention);
}

#[rustfmt::skip]
table! {
    TABLE;
    "Neg" 13 (T) -> (T) [FLOAT_SIGNED] {} Some(infer::same_shape);
    "Abs" 13 (T) -> (T) [NUMBER] {} Some(infer::same_shape);
    "Sign" 13 (T) -> (T) [NUMBER] {} Some(infer::same_shape);
    "Relu" 13 (T) -> (T) [FLOAT] {} Some(infer::same_shape);
    "Relu" 14 (T) -> (T) [FLOAT_SIGNED] {} Some(infer::same_shape);
    "Sigmoid" 13 (T) -> (T) [FLOAT] {} Some(infer::same_shape);
    "Tanh" 13 (T) -> (T) [FLOAT] {} Some(infer::same_shape);
    "Exp" 13 (T) -> (T) [FLOAT] {} Some(infer::same_shape);
    "Log" 13 (T) -> (T) [FLOAT] {} Some(infer::same_shape);
    "Sin" 7 (T) -> (T) [FLOAT_OLD] {} Some(infer::same_shape);
    "Sin" 22 (T) -> (T) [FLOAT] {} Some(infer::same_shape);
    "Cos" 7 (T) -> (T) [FLOAT_OLD] {} Some(infer::same_shape);
    "Cos" 22 (T) -> (T) [FLOAT] {} Some(infer::same_shape);
    "Sqrt" 13 (T) -> (T) [FLOAT] {} Some(infer::same_shape);
    "Erf" 13 (T) -> (T) [FLOAT] {} Some(infer::same_shape);
    "Reciprocal" 13 (T) -> (T) [FLOAT] {} Some(infer::same_shape);
    "Floor" 13 (T) -> (T) [FLOAT] {} Some(infer::same_shape);
    "Ceil" 13 (T) -> (T) [FLOAT] {} Some(infer::same_shape);
    "Round" 11 (T) -> (T) [FLOAT_OLD] {} Some(infer::same_shape);
    "Round" 22 (T) -> (T) [FLOAT] {} Some(infer::same_shape);
    "Softplus" 1 (T) -> (T) [FLOAT_OLD] {} Some(infer::same_shape);
    "Softplus" 22 (T) -> (T) [FLOAT] {} Some(infer::same_shape);
    "Gelu" 20 (T) -> (T) [FLOAT] {text("approximate")} Some(infer::gelu);
    "Swish" 24 (T) -> (T) [FLOAT] {float("alpha")} Some(infer::same_shape);
    "Identity" 13 (T) -> (T) [ALL] {} Some(infer::identity);
    "Not" 1 (T) -> (T) [BOOL] {} Some(infer::not);
    "Clip" 13 (T, opt(T), opt(T)) -> (T) [NUMBER] {} Some(infer::clip);
    "Cast" 13 (T) -> (U) [ALL_REAL, ALL_REAL] {needed(int("to"))} Some(infer::cast);
    "Cast" 19 (T) -> (U) [ALL_REAL, ALL_REAL] {needed(int("to")), int("saturate")} Some(infer::cast);
    "Cast" 24 (T) -> (U) [ALL_REAL, ALL_REAL]
        {needed(int("to")), int("saturate"), text("round_mode")} Some(infer::cast);

    "Add" 13 (T, T) -> (T) [MATH] {} Some(infer::arithmetic);
    "Add" 14 (T, T) -> (T) [NUMBER] {} Some(infer::arithmetic);
    "Sub" 13 (T, T) -> (T) [MATH] {} Some(infer::arithmetic);
    "Sub" 14 (T, T) -> (T) [NUMBER] {} Some(infer::arithmetic);
    "Mul" 13 (T, T) -> (T) [MATH] {} Some(infer::arithmetic);
    "Mul" 14 (T, T) -> (T) [NUMBER] {} Some(infer::arithmetic);
    "Div" 13 (T, T) -> (T) [MATH] {} Some(infer::arithmetic);
    "Div" 14 (T, T) -> (T) [NUMBER] {} Some(infer::arithmetic);
    "Pow" 13 (T, U) -> (T) [POWERS, NUMBER_OLD] {} Some(infer::pow);
    "Pow" 15 (T, U) -> (T) [POWERS, NUMBER] {} Some(infer::pow);
    "Min" 13 (many(T)) -> (T) [NUMBER] {} Some(infer::arithmetic);
    "Max" 13 (many(T)) -> (T) [NUMBER] {} Some(infer::arithmetic);
    "Equal" 13 (T, T) -> (is(BOOL)) [NUMBER_BOOL] {} Some(infer::compare);
    "Equal" 19 (T, T) -> (is(BOOL)) [REAL] {} Some(infer::compare);
    "Less" 13 (T, T) -> (is(BOOL)) [NUMBER] {} Some(infer::compare);
    "LessOrEqual" 12 (T, T) -> (is(BOOL)) [NUMBER_OLD] {} Some(infer::compare);
    "LessOrEqual" 16 (T, T) -> (is(BOOL)) [NUMBER] {} Some(infer::compare);
    "Greater" 13 (T, T) -> (is(BOOL)) [NUMBER] {} Some(infer::compare);
    "GreaterOrEqual" 12 (T, T) -> (is(BOOL)) [NUMBER_OLD] {} Some(infer::compare);
    "GreaterOrEqual" 16 (T, T) -> (is(BOOL)) [NUMBER] {} Some(infer::compare);
    "And" 7 (T, T) -> (T) [BOOL] {} Some(infer::compare);
    "Or" 7 (T, T) -> (T) [BOOL] {} Some(infer::compare);
    "Xor" 7 (T, T) -> (T) [BOOL] {} Some(infer::compare);
    "Where" 9 (is(BOOL), T, T) -> (T) [ANY_OLD] {} Some(infer::choose);
    "Where" 16 (is(BOOL), T, T) -> (T) [ANY] {} Some(infer::choose);

    "MatMul" 13 (T, T) -> (T) [MATH] {} Some(infer::matmul);
    "MatMulInteger" 10 (T, U, opt(T), opt(U)) -> (is(I32)) [BYTE, BYTE] {} Some(infer::matmul_integer);
    "Gemm" 13 (T, T, opt(T)) -> (T) [MATH]
        {float("alpha"), float("beta"), int("transA"), int("transB")} Some(infer::gemm);
    "Conv" 11 (T, T, opt(T)) -> (T) [FLOAT_OLD] {text("auto_pad"), ints("dilations"), int("group"), ints("kernel_shape"), ints("pads"), ints("strides")} Some(infer::conv);
    "Conv" 22 (T, T, opt(T)) -> (T) [FLOAT] {text("auto_pad"), ints("dilations"), int("group"), ints("kernel_shape"), ints("pads"), ints("strides")} Some(infer::conv);
    "Gather" 13 (T, is(INDEX)) -> (T) [ANY] {int("axis")} Some(infer::gather);
    "GatherElements" 13 (T, is(INDEX)) -> (T) [ANY] {int("axis")} Some(infer::gather_elements);
    "GatherND" 13 (T, is(I64)) -> (T) [ANY] {int("batch_dims")} Some(infer::gather_nd);
    "Slice" 13 (T, U, U, opt(U), opt(U)) -> (T) [ANY, INDEX] {} Some(infer::slice);
    "Split" 13 (T, opt(is(I64))) -> (many(T)) [ANY] {int("axis")} Some(infer::split);
    "Split" 18 (T, opt(is(I64))) -> (many(T)) [ANY] {int("axis"), int("num_outputs")} Some(infer::split);
    "Concat" 13 (many(T)) -> (T) [ANY] {needed(int("axis"))} Some(infer::concat);
    "Reshape" 13 (T, is(I64)) -> (T) [ALL] {} Some(infer::reshape);
    "Reshape" 14 (T, is(I64)) -> (T) [ALL] {int("allowzero")} Some(infer::reshape);
    "Flatten" 13 (T) -> (T) [ANY] {int("axis")} Some(infer::flatten);
    "Flatten" 21 (T) -> (T) [ALL] {int("axis")} Some(infer::flatten);
    "Squeeze" 13 (T, opt(is(I64))) -> (T) [ANY] {} Some(infer::squeeze);
    "Squeeze" 21 (T, opt(is(I64))) -> (T) [ALL] {} Some(infer::squeeze);
    "Unsqueeze" 13 (T, is(I64)) -> (T) [ANY] {} Some(infer::unsqueeze);
    "Unsqueeze" 21 (T, is(I64)) -> (T) [ALL] {} Some(infer::unsqueeze);
    "Transpose" 13 (T) -> (T) [ANY] {ints("perm")} Some(infer::transpose);
    "Transpose" 21 (T) -> (T) [ALL] {ints("perm")} Some(infer::transpose);
    "Expand" 13 (T, is(I64)) -> (T) [ANY] {} Some(infer::expand);
    "Tile" 13 (T, is(I64)) -> (T) [ANY] {} Some(infer::tile);
    "Shape" 13 (T) -> (is(I64)) [ALL] {} Some(infer::shape);
    "Shape" 15 (T) -> (is(I64)) [ALL] {int("start"), int("end")} Some(infer::shape);
    "Size" 13 (T) -> (is(I64)) [ALL] {} Some(infer::size);
    "Pad" 13 (T, is(I64), opt(T)) -> (T) [ANY] {text("mode")} Some(infer::pad);
    "Pad" 18 (T, is(I64), opt(T), opt(is(INDEX))) -> (T) [ANY] {text("mode")} Some(infer::pad);
    "Pad" 21 (T, is(I64), opt(T), opt(is(INDEX))) -> (T) [ALL] {text("mode")} Some(infer::pad);

    "ReduceMean" 13 (T) -> (T) [MATH] {ints("axes"), int("keepdims")} Some(infer::reduce);
    "ReduceMean" 18 (T, opt(is(I64))) -> (T) [MATH] {int("keepdims"), int("noop_with_empty_axes")} Some(infer::reduce);
    "ReduceProd" 13 (T) -> (T) [MATH] {ints("axes"), int("keepdims")} Some(infer::reduce);
    "ReduceProd" 18 (T, opt(is(I64))) -> (T) [MATH] {int("keepdims"), int("noop_with_empty_axes")} Some(infer::reduce);
    "ReduceMax" 13 (T) -> (T) [REDUCED] {ints("axes"), int("keepdims")} Some(infer::reduce);
    "ReduceMax" 18 (T, opt(is(I64))) -> (T) [REDUCED] {int("keepdims"), int("noop_with_empty_axes")} Some(infer::reduce);
    "ReduceMax" 20 (T, opt(is(I64))) -> (T) [REDUCED_BOOL]
        {int("keepdims"), int("noop_with_empty_axes")} Some(infer::reduce);
    "ReduceMin" 13 (T) -> (T) [REDUCED] {ints("axes"), int("keepdims")} Some(infer::reduce);
    "ReduceMin" 18 (T, opt(is(I64))) -> (T) [REDUCED] {int("keepdims"), int("noop_with_empty_axes")} Some(infer::reduce);
    "ReduceMin" 20 (T, opt(is(I64))) -> (T) [REDUCED_BOOL]
        {int("keepdims"), int("noop_with_empty_axes")} Some(infer::reduce);
    "ReduceSum" 13 (T, opt(is(I64))) -> (T) [MATH] {int("keepdims"), int("noop_with_empty_axes")} Some(infer::reduce);
    "CumSum" 11 (T, is(INDEX)) -> (T) [MATH_OLD] {int("exclusive"), int("reverse")} Some(infer::along);
    "CumSum" 14 (T, is(INDEX)) -> (T) [MATH] {int("exclusive"), int("reverse")} Some(infer::along);
    "CumProd" 26 (T, is(INDEX)) -> (T) [MATH] {int("exclusive"), int("reverse")} Some(infer::along);
    "Softmax" 13 (T) -> (T) [FLOAT] {int("axis")} Some(infer::softmax);
    "LogSoftmax" 13 (T) -> (T) [FLOAT] {int("axis")} Some(infer::softmax);
    "LayerNormalization" 17 (T, T, opt(T)) -> (T, opt(is(LN_STASH)), opt(is(LN_STASH))) [FLOAT]
        {int("axis"), float("epsilon"), int("stash_type")} Some(infer::layer_normalization);
    "RMSNormalization" 23 (T, U) -> (U) [FLOAT, FLOAT]
        {int("axis"), float("epsilon"), int("stash_type")} Some(infer::rms_normalization);

    "QuantizeLinear" 13 (T, is(F32), opt(U)) -> (U) [only(&[DType::F32, DType::I32]), BYTE] {int("axis")} Some(infer::quantize);
    "QuantizeLinear" 19 (T, T, opt(U)) -> (U) [SCALED, BYTE_F8] {int("axis"), int("saturate")} Some(infer::quantize);
    "QuantizeLinear" 21 (T, T, opt(U)) -> (U) [SCALED, QUANT_21]
        {int("axis"), int("saturate"), int("block_size"), int("output_dtype")} Some(infer::quantize);
    "QuantizeLinear" 23 (T, V, opt(U)) -> (U) [SCALED, QUANT_23, SCALED]
        {int("axis"), int("saturate"), int("block_size"), int("output_dtype"), int("precision")} Some(infer::quantize);
    "QuantizeLinear" 24 (T, V, opt(U)) -> (U) [SCALED, QUANT_23, SCALED_E8]
        {int("axis"), int("saturate"), int("block_size"), int("output_dtype"), int("precision")} Some(infer::quantize);
    "QuantizeLinear" 25 (T, V, opt(U)) -> (U) [SCALED, QUANT_25, SCALED_E8]
        {int("axis"), int("saturate"), int("block_size"), int("output_dtype"), int("precision")} Some(infer::quantize);
    "DequantizeLinear" 13 (T, is(F32), opt(T)) -> (is(F32)) [BYTE_I32] {int("axis")} Some(infer::dequantize);
    "DequantizeLinear" 19 (T, U, opt(T)) -> (U) [BYTE_I32_F8, FLOAT_16_32] {int("axis")} Some(infer::dequantize);
    "DequantizeLinear" 21 (T, U, opt(T)) -> (U) [QUANT_21_I32, FLOAT_16_32]
        {int("axis"), int("block_size")} Some(infer::dequantize);
    "DequantizeLinear" 23 (T, U, opt(T)) -> (V) [QUANT_23_I32, FLOAT_16_32, FLOAT_16_32]
        {int("axis"), int("block_size"), int("output_dtype")} Some(infer::dequantize);
    "DequantizeLinear" 24 (T, U, opt(T)) -> (V) [QUANT_23_I32, SCALE_E8, FLOAT_16_32]
        {int("axis"), int("block_size"), int("output_dtype")} Some(infer::dequantize);
    "DequantizeLinear" 25 (T, U, opt(T)) -> (V) [QUANT_25_I32, SCALE_E8, FLOAT_16_32]
        {int("axis"), int("block_size"), int("output_dtype")} Some(infer::dequantize);
    "DynamicQuantizeLinear" 11 (is(F32)) -> (is(U8), is(F32), is(U8)) [] {} Some(infer::dynamic_quantize);

    "Constant" 13 () -> (T) [ALL] {
        ("value", TENSOR, false), int("value_int"), ints("value_ints"), float("value_float"),
        ("value_floats", "FLOATS", false), text("value_string"), ("value_strings", "STRINGS", false)
    } Some(infer::constant_node);
    "ConstantOfShape" 9 (is(I64)) -> (T) [FILL_OLD] {("value", TENSOR, false)} Some(infer::constant_of_shape);
    "ConstantOfShape" 20 (is(I64)) -> (T) [ALL_NUMBER_BOOL] {("value", TENSOR, false)} Some(infer::constant_of_shape);
    "Range" 11 (T, T, T) -> (T) [RANGED] {} Some(infer::range);
    "Range" 27 (T, T, T) -> (T) [RANGED_27] {int("stash_type")} Some(infer::range);
    "LinearAttention" 27 (T, T, T, opt(U), opt(T), opt(T)) -> (T, U) [FLOAT_16_32, FLOAT_16_32] {
        needed(int("q_num_heads")), needed(int("kv_num_heads")), int("chunk_size"), float("scale"), text("update_rule")
    } Some(infer::linear_attention);
    "CausalConvWithState" 27 (T, T, opt(T), opt(T)) -> (T, T) [FLOAT_16_32] {text("activation")} Some(infer::causal_conv);
    "GRU" 7 (T, T, T, opt(T), opt(U), opt(T)) -> (opt(T), opt(T)) [FLOAT_OLD, I32] {
        ("activation_alpha", "FLOATS", false), ("activation_beta", "FLOATS", false), ("activations", "STRINGS", false), float("clip"),
        text("direction"), int("hidden_size"), int("linear_before_reset")
    } Some(infer::recurrent);
    "GRU" 14 (T, T, T, opt(T), opt(U), opt(T)) -> (opt(T), opt(T)) [FLOAT_OLD, I32] {
        ("activation_alpha", "FLOATS", false), ("activation_beta", "FLOATS", false), ("activations", "STRINGS", false), float("clip"),
        text("direction"), int("hidden_size"), int("linear_before_reset"), int("layout")
    } Some(infer::recurrent);
    "GRU" 22 (T, T, T, opt(T), opt(U), opt(T)) -> (opt(T), opt(T)) [FLOAT, I32] {
        ("activation_alpha", "FLOATS", false), ("activation_beta", "FLOATS", false), ("activations", "STRINGS", false), float("clip"),
        text("direction"), int("hidden_size"), int("linear_before_reset"), int("layout")
    } Some(infer::recurrent);
    "LSTM" 7 (T, T, T, opt(T), opt(U), opt(T), opt(T), opt(T)) -> (opt(T), opt(T), opt(T)) [FLOAT_OLD, I32] {
        ("activation_alpha", "FLOATS", false), ("activation_beta", "FLOATS", false), ("activations", "STRINGS", false), float("clip"),
        text("direction"), int("hidden_size"), int("input_forget")
    } Some(infer::recurrent);
    "LSTM" 14 (T, T, T, opt(T), opt(U), opt(T), opt(T), opt(T)) -> (opt(T), opt(T), opt(T)) [FLOAT_OLD, I32] {
        ("activation_alpha", "FLOATS", false), ("activation_beta", "FLOATS", false), ("activations", "STRINGS", false), float("clip"),
        text("direction"), int("hidden_size"), int("input_forget"), int("layout")
    } Some(infer::recurrent);
    "LSTM" 22 (T, T, T, opt(T), opt(U), opt(T), opt(T), opt(T)) -> (opt(T), opt(T), opt(T)) [FLOAT, I32] {
        ("activation_alpha", "FLOATS", false), ("activation_beta", "FLOATS", false), ("activations", "STRINGS", false), float("clip"),
        text("direction"), int("hidden_size"), int("input_forget"), int("layout")
    } Some(infer::recurrent);
    "Scan" 11 (mixed(T)) -> (mixed(T)) [ANY_OLD] {
        ("body", GRAPH, true), needed(int("num_scan_inputs")), ints("scan_input_axes"), ints("scan_output_axes"),
        ints("scan_input_directions"), ints("scan_output_directions")
    } None;
    "Scan" 16 (mixed(T)) -> (mixed(T)) [ALL] {
        ("body", GRAPH, true), needed(int("num_scan_inputs")), ints("scan_input_axes"), ints("scan_output_axes"),
        ints("scan_input_directions"), ints("scan_output_directions")
    } None;
}
