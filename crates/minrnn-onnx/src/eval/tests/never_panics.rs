//! Whatever a node asks for, it is evaluated or refused.

use proptest::prelude::*;

use super::nodes::model;
use crate::eval::{Array, Inputs, Limits, OPSETS, Session, operators};
use crate::ir::{Attr, DType, Node};

/// Numbers in a row from a seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % sides
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.roll(all.len())]
    }
}

const TYPES: &[DType] = &[
    DType::F32,
    DType::F32,
    DType::F32,
    DType::F64,
    DType::F16,
    DType::BF16,
    DType::I64,
    DType::I64,
    DType::I32,
    DType::I8,
    DType::U8,
    DType::U64,
    DType::Bool,
];

const NAMES: &[&str] = &[
    "activation",
    "activation_alpha",
    "activations",
    "alpha",
    "allowzero",
    "approximate",
    "auto_pad",
    "axes",
    "axis",
    "batch_axis",
    "batch_dims",
    "beta",
    "bias",
    "block_size",
    "blocksize",
    "ceil_mode",
    "clip",
    "count_include_pad",
    "detect_negative",
    "dilations",
    "direction",
    "epsilon",
    "equation",
    "exclusive",
    "fmod",
    "group",
    "hidden_size",
    "input_forget",
    "interleaved",
    "is_causal",
    "k",
    "keepdims",
    "kernel_shape",
    "kv_num_heads",
    "lambd",
    "largest",
    "layout",
    "left_window_size",
    "linear_before_reset",
    "mode",
    "momentum",
    "noop_with_empty_axes",
    "num_groups",
    "num_heads",
    "num_outputs",
    "output_padding",
    "output_shape",
    "p",
    "pads",
    "perm",
    "q_num_heads",
    "qk_matmul_output_mode",
    "ratio",
    "reduction",
    "reverse",
    "rotary_embedding_dim",
    "scale",
    "select_last_index",
    "size",
    "softcap",
    "sorted",
    "split",
    "start",
    "end",
    "stash_type",
    "storage_order",
    "strides",
    "time_axis",
    "to",
    "training_mode",
    "transA",
    "update_rule",
    "upper",
    "value",
    "starts",
    "ends",
    "periodic",
    "output_datatype",
    "dilation",
];

const WORDS: &[&str] = &[
    "reverse",
    "bidirectional",
    "tanh",
    "reflect",
    "edge",
    "wrap",
    "SAME_UPPER",
    "SAME_LOWER",
    "VALID",
    "add",
    "mul",
    "max",
    "gated",
    "delta",
    "linear",
    "circular",
    "CRD",
    "ij,jk->ik",
    "...i,...i->...",
    "ii->i",
    "i,j",
    "LEFT",
    "silu",
    "é->",
];

fn array(dice: &mut Dice) -> Array {
    let rank = dice.of(&[0, 1, 1, 2, 2, 3, 3, 3, 4, 4, 5]);
    let dims: Vec<usize> = (0..rank)
        .map(|_| dice.of(&[0, 1, 1, 2, 2, 2, 3, 4]))
        .collect();
    let count: usize = dims.iter().product();
    let dtype = dice.of(TYPES);
    if dtype.is_float() {
        let ends = [
            0.0,
            -0.0,
            1.0,
            -1.5,
            2.0,
            3.0,
            1e30,
            -1e30,
            f64::NAN,
            f64::INFINITY,
            f64::NEG_INFINITY,
            0.25,
        ];
        let v: Vec<f64> = (0..count).map(|_| dice.of(&ends)).collect();
        return Array::from_floats(dtype, &dims, &v).unwrap();
    }
    let low = if dtype.is_signed() { -1 } else { 0 };
    let mut v: Vec<i128> = (0..count)
        .map(|_| dice.of(&[0, 1, 1, 2, 3, 100, low]).into())
        .collect();
    match dtype {
        DType::Bool => v.iter_mut().for_each(|n| *n = (*n).min(1)),
        DType::I64 if dice.roll(8) == 0 => v
            .iter_mut()
            .for_each(|n| *n = dice.of(&[i64::MIN, i64::MAX, -1]).into()),
        _ => {}
    }
    Array::from_ints(dtype, &dims, &v).unwrap()
}

fn attribute(dice: &mut Dice) -> Attr {
    const INTS: &[i64] = &[0, 0, 1, 1, 1, 2, 3, -1, -2, i64::MAX, i64::MIN, 10, 11];
    match dice.roll(8) {
        0 => Attr::Float(dice.of(&[0.0, 1.0, -1.0, 0.5, f32::NAN])),
        1 => Attr::Str(dice.of(WORDS).as_bytes().to_vec()),
        2..4 => Attr::Ints((0..dice.roll(5)).map(|_| dice.of(INTS)).collect()),
        4 => Attr::Floats((0..dice.roll(3)).map(|_| 0.5).collect()),
        _ => Attr::Int(dice.of(INTS)),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Every operator, with any inputs and attributes, in any opset.
    #[test]
    fn no_node_makes_the_evaluator_panic(seed: u64) {
        let mut dice = Dice(seed);
        for (domain, op) in operators() {
            let inputs: Vec<Option<Array>> = (0..dice.roll(8)).map(|_| (dice.roll(8) > 0).then(|| array(&mut dice))).collect();
            let attributes = (0..dice.roll(4)).map(|_| (dice.of(NAMES).to_owned(), attribute(&mut dice))).collect();
            let node = Node {
                op_type: op.into(),
                domain: domain.into(),
                inputs: inputs.iter().enumerate().map(|(i, x)| x.as_ref().map_or(String::new(), |_| format!("x{i}"))).collect(),
                outputs: (0..=dice.roll(3)).map(|i| format!("y{i}")).collect(),
                attributes,
                ..Node::default()
            };
            let opset = OPSETS.start() + dice.roll(22) as i64;
            let Ok(session) = Session::open(&model(node, opset), None) else { continue };
            let given = inputs.into_iter().enumerate().filter_map(|(i, x)| Some((format!("x{i}"), x?)));
            let limits = Limits { operations: 1_000_000, bytes: 4_000_000 };
            let _ = session.run(&given.collect::<Inputs>(), &limits);
        }
    }
}
