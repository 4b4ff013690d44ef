//! Uses of every operator, right as they are: operator, opsets, inputs, attributes, outputs.

use std::ops::RangeInclusive;

use minrnn_onnx::ir::{Attr, Model};

use super::one::{int, ints, one, tensor, text};

type Good = (
    &'static str,
    RangeInclusive<i64>,
    &'static str,
    Vec<(&'static str, Attr)>,
    &'static str,
);

/// Name and graph, one for each opset of each use.
pub(crate) fn models() -> Vec<(String, Model)> {
    let all = unary()
        .into_iter()
        .chain(binary())
        .chain(layout())
        .chain(over_axes())
        .chain(special());
    all.enumerate()
        .flat_map(|(i, (op, opsets, inputs, attributes, outputs))| {
            opsets.map(move |v| {
                (
                    format!("{i}-{op}-{v}"),
                    one(op, v, inputs, &attributes, outputs),
                )
            })
        })
        .collect()
}

fn unary() -> Vec<Good> {
    let floats = [
        "Sigmoid",
        "Tanh",
        "Exp",
        "Cos",
        "Sin",
        "Log",
        "Sqrt",
        "Erf",
        "Reciprocal",
        "Floor",
        "Ceil",
        "Softplus",
        "Round",
    ];
    let mut all: Vec<Good> = floats
        .iter()
        .flat_map(|op| {
            [
                (*op, 13..=28, "f32[B,3]", vec![], "f32[B,3]"),
                (*op, 22..=28, "bf16[B,3]", vec![], "bf16[B,3]"),
                (*op, 13..=28, "f16[2]", vec![], "f16[2]"),
            ]
        })
        .collect();
    for op in ["Neg", "Abs", "Sign", "Relu"] {
        all.push((op, 14..=28, "i32[B,3]", vec![], "i32[B,3]"));
        all.push((op, 13..=28, "f64[]", vec![], "f64[]"));
    }
    all.extend([
        (
            "Gelu",
            20..=28,
            "f32[2]",
            vec![("approximate", text("tanh"))],
            "f32[2]",
        ),
        (
            "Swish",
            24..=28,
            "f32[2]",
            vec![("alpha", Attr::Float(2.0))],
            "f32[2]",
        ),
        ("Identity", 13..=28, "bool[2]", vec![], "bool[2]"),
        ("Not", 13..=28, "bool[B]", vec![], "bool[B]"),
        ("Clip", 13..=28, "i8[B] i8[]=0 -", vec![], "i8[B]"),
        ("Clip", 13..=28, "f32[B] - f32[]", vec![], "f32[B]"),
        ("Cast", 13..=28, "f32[B]", vec![("to", int(10))], "f16[B]"),
        (
            "Cast",
            19..=28,
            "f32[B]",
            vec![("to", int(17)), ("saturate", int(0))],
            "f8e4m3fn[B]",
        ),
        (
            "Cast",
            24..=28,
            "f32[B]",
            vec![("to", int(24)), ("round_mode", text("down"))],
            "f8e8m0[B]",
        ),
    ]);
    all
}

fn binary() -> Vec<Good> {
    let mut all: Vec<Good> = vec![
        ("Pow", 13..=28, "f32[B,1] i64[3]", vec![], "f32[B,3]"),
        (
            "Where",
            13..=28,
            "bool[B,1] f32[3] f32[]",
            vec![],
            "f32[B,3]",
        ),
        ("Equal", 13..=28, "bool[B] bool[B]", vec![], "bool[B]"),
        ("And", 13..=28, "bool[B] bool[1]", vec![], "bool[B]"),
        ("Or", 13..=28, "bool[B] bool[1]", vec![], "bool[B]"),
        ("Xor", 13..=28, "bool[B] bool[1]", vec![], "bool[B]"),
        ("Min", 13..=28, "u8[B] u8[] u8[2,1]", vec![], "u8[2,B]"),
        ("Max", 13..=28, "f32[B]", vec![], "f32[B]"),
    ];
    for op in ["Add", "Sub", "Mul", "Div"] {
        all.push((op, 13..=28, "i64[B,1,4] i64[5,1]", vec![], "i64[B,5,4]"));
        all.push((op, 14..=28, "i8[B] i8[B]", vec![], "i8[B]"));
    }
    for op in ["Less", "LessOrEqual", "Greater", "GreaterOrEqual", "Equal"] {
        all.push((op, 13..=28, "f32[B,1] f32[4]", vec![], "bool[B,4]"));
        all.push((op, 16..=28, "bf16[2] bf16[2]", vec![], "bool[2]"));
    }
    all
}

fn layout() -> Vec<Good> {
    vec![
        (
            "MatMul",
            13..=28,
            "f32[B,T,3] f32[3,4]",
            vec![],
            "f32[B,T,4]",
        ),
        ("MatMul", 13..=28, "f32[3] f32[2,3,4]", vec![], "f32[2,4]"),
        (
            "MatMulInteger",
            13..=28,
            "u8[B,3] i8[3,4] u8[] i8[4]",
            vec![],
            "i32[B,4]",
        ),
        (
            "Gemm",
            13..=28,
            "f32[3,B] f32[4,3] f32[4]",
            vec![("transA", int(1)), ("transB", int(1))],
            "f32[B,4]",
        ),
        ("Gather", 13..=28, "f32[5,3] i64[B,T]", vec![], "f32[B,T,3]"),
        (
            "Gather",
            13..=28,
            "f32[5,3] i32[]=-1",
            vec![("axis", int(1))],
            "f32[5]",
        ),
        (
            "GatherElements",
            13..=28,
            "f32[B,3] i64[B,1]",
            vec![("axis", int(-1))],
            "f32[B,1]",
        ),
        (
            "GatherND",
            13..=28,
            "f32[B,3,4] i64[B,2,1]",
            vec![("batch_dims", int(1))],
            "f32[B,2,4]",
        ),
        (
            "Slice",
            13..=28,
            "f32[B,6] i64[1]=1 i64[1]=-1 i64[1]=1 i64[1]=1",
            vec![],
            "f32[B,4]",
        ),
        (
            "Slice",
            13..=28,
            "f32[6] i32[1]=4 i32[1]=0 i32[1]=0 i32[1]=-2",
            vec![],
            "f32[2]",
        ),
        (
            "Split",
            13..=17,
            "f32[B,6]",
            vec![("axis", int(1))],
            "f32[B,2] f32[B,2] f32[B,2]",
        ),
        (
            "Split",
            13..=28,
            "f32[B,6] i64[2]=1,5",
            vec![("axis", int(-1))],
            "f32[B,1] f32[B,5]",
        ),
        (
            "Split",
            18..=28,
            "f32[B,5]",
            vec![("axis", int(1)), ("num_outputs", int(2))],
            "f32[B,3] f32[B,2]",
        ),
        (
            "Concat",
            13..=28,
            "f32[B,1] f32[B,2]",
            vec![("axis", int(1))],
            "f32[B,3]",
        ),
        (
            "Reshape",
            13..=28,
            "f32[B,6] i64[3]=0,-1,2",
            vec![],
            "f32[B,3,2]",
        ),
        (
            "Reshape",
            14..=28,
            "f32[0,6] i64[2]=3,0",
            vec![("allowzero", int(1))],
            "f32[3,0]",
        ),
        (
            "Flatten",
            13..=28,
            "f32[2,5,B]",
            vec![("axis", int(2))],
            "f32[10,B]",
        ),
        ("Squeeze", 13..=28, "f32[B,1] i64[1]=-1", vec![], "f32[B]"),
        ("Squeeze", 13..=28, "f32[2,1]", vec![], "f32[2]"),
        (
            "Unsqueeze",
            13..=28,
            "f32[B] i64[2]=0,2",
            vec![],
            "f32[1,B,1]",
        ),
        (
            "Transpose",
            13..=28,
            "f32[B,2,3]",
            vec![("perm", ints(&[2, 0, 1]))],
            "f32[3,B,2]",
        ),
        ("Transpose", 13..=28, "f32[B,2]", vec![], "f32[2,B]"),
        (
            "Expand",
            13..=28,
            "f32[B,1] i64[3]=2,1,4",
            vec![],
            "f32[2,B,4]",
        ),
        ("Tile", 13..=28, "f32[2,3] i64[2]=2,1", vec![], "f32[4,3]"),
        ("Shape", 13..=28, "f32[B,2]", vec![], "i64[2]"),
        (
            "Shape",
            15..=28,
            "f32[B,2,4]",
            vec![("start", int(-2)), ("end", int(9))],
            "i64[2]",
        ),
        ("Size", 13..=28, "f32[B,2]", vec![], "i64[]"),
        (
            "Pad",
            13..=28,
            "f32[2,3] i64[4]=1,0,0,-1 f32[]",
            vec![("mode", text("constant"))],
            "f32[3,2]",
        ),
        (
            "Pad",
            18..=28,
            "f32[2,3] i64[2]=1,2 - i64[1]=-1",
            vec![("mode", text("edge"))],
            "f32[2,6]",
        ),
        (
            "Pad",
            19..=28,
            "f32[2,3] i64[4]=1,0,0,1",
            vec![("mode", text("wrap"))],
            "f32[3,4]",
        ),
    ]
}

fn over_axes() -> Vec<Good> {
    let mut all: Vec<Good> = vec![];
    for op in ["ReduceMean", "ReduceProd", "ReduceMax", "ReduceMin"] {
        all.push((
            op,
            13..=17,
            "f32[B,3]",
            vec![("axes", ints(&[-1]))],
            "f32[B,1]",
        ));
        all.push((
            op,
            18..=28,
            "f32[B,3] i64[1]=-1",
            vec![("keepdims", int(0))],
            "f32[B]",
        ));
        all.push((
            op,
            18..=28,
            "i32[B,3]",
            vec![("noop_with_empty_axes", int(1))],
            "i32[B,3]",
        ));
        all.push((op, 13..=28, "f32[B,3]", vec![], "f32[1,1]"));
    }
    all.extend([
        (
            "ReduceSum",
            13..=28,
            "f32[B,3] i64[1]=1",
            vec![],
            "f32[B,1]",
        ),
        (
            "ReduceMax",
            20..=28,
            "bool[B,3] i64[1]=1",
            vec![],
            "bool[B,1]",
        ),
        (
            "CumSum",
            13..=28,
            "f32[B,3] i32[]=1",
            vec![("reverse", int(1))],
            "f32[B,3]",
        ),
        (
            "CumProd",
            26..=28,
            "f32[B,3] i64[]=0",
            vec![("exclusive", int(1))],
            "f32[B,3]",
        ),
        (
            "Softmax",
            13..=28,
            "f32[B,3]",
            vec![("axis", int(0))],
            "f32[B,3]",
        ),
        ("LogSoftmax", 13..=28, "f64[B,3]", vec![], "f64[B,3]"),
        (
            "LayerNormalization",
            17..=28,
            "f16[B,T,3] f16[3] f16[3]",
            vec![("axis", int(-1))],
            "f16[B,T,3] f32[B,T,1] f32[B,T,1]",
        ),
        (
            "LayerNormalization",
            17..=28,
            "f32[B,2,3] f32[2,3]",
            vec![("axis", int(1))],
            "f32[B,2,3]",
        ),
        (
            "RMSNormalization",
            23..=28,
            "f16[B,3] f16[3]",
            vec![("epsilon", Attr::Float(1e-5))],
            "f16[B,3]",
        ),
    ]);
    all
}

fn special() -> Vec<Good> {
    vec![
        (
            "QuantizeLinear",
            13..=28,
            "f32[B,3] f32[]",
            vec![],
            "u8[B,3]",
        ),
        (
            "QuantizeLinear",
            13..=28,
            "f32[B,3] f32[3] i8[3]",
            vec![("axis", int(1))],
            "i8[B,3]",
        ),
        (
            "QuantizeLinear",
            21..=28,
            "f32[4,6] f32[4,2]",
            vec![
                ("axis", int(1)),
                ("block_size", int(3)),
                ("output_dtype", int(3)),
            ],
            "i8[4,6]",
        ),
        (
            "DequantizeLinear",
            13..=28,
            "i8[3,4] f32[3] i8[3]",
            vec![("axis", int(0))],
            "f32[3,4]",
        ),
        (
            "DequantizeLinear",
            19..=28,
            "u8[3,4] f16[]",
            vec![],
            "f16[3,4]",
        ),
        (
            "DequantizeLinear",
            21..=28,
            "i4[6,4] f32[2,4]",
            vec![("axis", int(0)), ("block_size", int(3))],
            "f32[6,4]",
        ),
        (
            "DequantizeLinear",
            23..=28,
            "i8[3,4] f32[]",
            vec![("output_dtype", int(10))],
            "f16[3,4]",
        ),
        (
            "DynamicQuantizeLinear",
            13..=28,
            "f32[B,3]",
            vec![],
            "u8[B,3] f32[] u8[]",
        ),
        (
            "Constant",
            13..=28,
            "",
            vec![("value_ints", ints(&[1, 2]))],
            "i64[2]",
        ),
        (
            "Constant",
            13..=28,
            "",
            vec![("value", Attr::Tensor(tensor("", "bool[1,2]=1,0")))],
            "bool[1,2]",
        ),
        (
            "ConstantOfShape",
            13..=28,
            "i64[2]=3,4",
            vec![("value", Attr::Tensor(tensor("", "i8[1]=-1")))],
            "i8[3,4]",
        ),
        ("ConstantOfShape", 13..=28, "i64[2]", vec![], "f32[M,N]"),
        (
            "Range",
            13..=28,
            "i64[]=1 i64[]=8 i64[]=3",
            vec![],
            "i64[3]",
        ),
        ("Range", 13..=28, "f32[] f32[] f32[]", vec![], "f32[N]"),
        (
            "LinearAttention",
            27..=28,
            "f32[B,T,8] f32[B,T,4] f32[B,T,6] f32[B,2,2,3] f32[B,T,2]",
            vec![
                ("q_num_heads", int(4)),
                ("kv_num_heads", int(2)),
                ("update_rule", text("gated")),
            ],
            "f32[B,T,12] f32[B,2,2,3]",
        ),
        (
            "LinearAttention",
            27..=28,
            "f16[B,T,4] f16[B,T,4] f16[B,T,4]",
            vec![
                ("q_num_heads", int(4)),
                ("kv_num_heads", int(4)),
                ("update_rule", text("linear")),
                ("scale", Attr::Float(1.0)),
            ],
            "f16[B,T,4] f16[B,4,1,1]",
        ),
        (
            "CausalConvWithState",
            27..=28,
            "f32[B,3,T] f32[3,1,4] f32[3] f32[B,3,3]",
            vec![("activation", text("silu"))],
            "f32[B,3,T] f32[B,3,3]",
        ),
        (
            "Conv",
            13..=28,
            "f32[B,3,9] f32[3,1,4]",
            vec![("group", int(3)), ("kernel_shape", ints(&[4]))],
            "f32[B,3,6]",
        ),
        (
            "GRU",
            13..=28,
            "f32[T,B,5] f32[1,12,5] f32[1,12,4] f32[1,24] - f32[1,B,4]",
            vec![("hidden_size", int(4)), ("linear_before_reset", int(1))],
            "f32[T,1,B,4] f32[1,B,4]",
        ),
        (
            "GRU",
            22..=28,
            "bf16[T,B,5] bf16[2,12,5] bf16[2,12,4] - i32[B]",
            vec![("direction", text("bidirectional"))],
            "bf16[T,2,B,4] bf16[2,B,4]",
        ),
        (
            "LSTM",
            13..=28,
            "f16[T,B,3] f16[1,8,3] f16[1,8,2] f16[1,16] i32[B] f16[1,B,2] f16[1,B,2] f16[1,6]",
            vec![("direction", text("reverse"))],
            "f16[T,1,B,2] f16[1,B,2] f16[1,B,2]",
        ),
        (
            "LSTM",
            14..=28,
            "f32[B,T,3] f32[1,8,3] f32[1,8,2]",
            vec![("hidden_size", int(2)), ("layout", int(1))],
            "f32[B,T,1,2]",
        ),
    ]
}
