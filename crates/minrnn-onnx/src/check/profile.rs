//! What an engine can run rightly: rules beyond the standard's, each there for a trap that was met.
//!
//! A file that keeps the standard may still be refused by an engine, end its process, or be computed wrongly without a word.
//! The export holds every file to the profile of its target; `docs/export.md` prints the rules.

use super::{CheckError, Problem, Rule, Types};
use crate::choices::Target;
use crate::ir::{DType, Graph, Model, Node, TensorData, is_standard};

/// One rule of some targets.
#[derive(Debug, Clone, Copy)]
pub struct Trap {
    /// Its name.
    pub name: &'static str,
    /// Whom it concerns.
    pub targets: &'static [Target],
    /// What happens where it is broken.
    pub why: &'static str,
    test: fn(&Place) -> Option<String>,
}

/// A node with what is around it.
struct Place<'a> {
    model: &'a Model,
    graph: &'a Graph,
    types: Option<&'a Types>,
    node: &'a Node,
    /// Whether it is in the body of a Scan.
    body: bool,
    target: Target,
}

use Target::{Candle, OnnxRuntime, OpenVino, Rten, Tract, Web};

/// All rules.
pub static TRAPS: &[Trap] = &[
    Trap {
        name: "operator",
        targets: &[Candle, Tract, Rten],
        why: "the engine has no such operator",
        test: |p| {
            let known = match p.target {
                Candle => CANDLE,
                Tract => TRACT,
                _ => RTEN,
            };
            let op = p.node.op_type.as_str();
            (!known.split_ascii_whitespace().any(|k| k == op))
                .then(|| format!("has no operator {op}"))
        },
    },
    Trap {
        name: "domain",
        targets: &[Candle, OpenVino, Tract, Rten],
        why: "the engine has no operators of ONNX Runtime's own (`com.microsoft`)",
        test: |p| {
            let (domain, op) = (&p.node.domain, &p.node.op_type);
            (!is_standard(domain)).then(|| format!("has no operator {op} of `{domain}`"))
        },
    },
    Trap {
        name: "pad-reflect-only",
        targets: &[Candle],
        why: "candle-onnx pads by reflection only, and takes two inputs only",
        test: |p| (p.node.op_type == "Pad").then(|| "pads by reflection only; use Concat".into()),
    },
    Trap {
        name: "pad-negative",
        targets: &[Tract],
        why: "tract reads a negative pad as a huge number, and the process ends",
        test: |p| {
            let pads = p.input_ints("Pad", 1)?;
            pads.iter()
                .any(|n| *n < 0)
                .then(|| "ends the process at a negative pad; use Slice".into())
        },
    },
    Trap {
        name: "pad-axes",
        targets: &[Rten],
        why: "rten's Pad has no input `axes`",
        test: |p| {
            let axes = p.node.op_type == "Pad" && p.node.inputs.len() > 3;
            axes.then(|| "has no Pad with axes; pad every axis".into())
        },
    },
    Trap {
        name: "one-axis",
        targets: &[Candle],
        why: "candle-onnx inserts several axes in the reverse order: silently wrong",
        test: |p| {
            let axes = p.input_ints("Unsqueeze", 1)?;
            (axes.len() > 1)
                .then(|| "inserts several axes in the wrong order; one at a time".into())
        },
    },
    Trap {
        name: "mean-axes-attribute",
        targets: &[Candle],
        why: "candle-onnx reads the axes of ReduceMean from the attribute only, else it reduces all: silently wrong",
        test: |p| {
            let input = p.node.op_type == "ReduceMean" && p.node.inputs.len() > 1;
            input.then(|| "ignores the axes of ReduceMean given as an input; use opset 17".into())
        },
    },
    Trap {
        name: "logsumexp-axes",
        targets: &[OpenVino],
        why: "OpenVINO ignores the axes of these reductions before opset 18: silently wrong",
        test: |p| {
            let op = p.node.op_type.as_str();
            let old = ["ReduceLogSumExp", "ReduceLogSum", "ReduceL1"].contains(&op)
                && p.node.attr("axes").is_some();
            old.then(|| format!("ignores the axes attribute of {op}; use opset 18"))
        },
    },
    Trap {
        name: "softplus",
        targets: &[Tract],
        why: "tract's Softplus is infinite above 88.7",
        test: |p| {
            (p.node.op_type == "Softplus")
                .then(|| "overflows in Softplus; use Relu(x) + Log(1 + Exp(-Abs(x)))".into())
        },
    },
    Trap {
        name: "integer-mod",
        targets: &[Tract],
        why: "tract folds Mod of integers that come of a shape with the sign of the dividend",
        test: |p| (p.node.op_type == "Mod").then(|| "folds Mod with another sign; use Div".into()),
    },
    Trap {
        name: "cumsum-axis",
        targets: &[Tract],
        why: "tract refuses an axis of CumSum that is a vector of one number",
        test: |p| {
            let axis = p.constant("CumSum", 1)?;
            (!axis.dims.is_empty()).then(|| "wants the axis of CumSum as a number of rank 0".into())
        },
    },
    Trap {
        name: "slice-within",
        targets: &[Tract],
        why: "tract does not stop a Slice at the end of a dimension with a name",
        test: slice_within,
    },
    Trap {
        name: "bf16",
        targets: &[Candle, Tract, Rten],
        why: "the engine has no bf16",
        test: |p| {
            let bf16 = |name: &String| {
                let tensor = p.model.graph.initializers.iter().find(|t| t.name == *name);
                tensor.is_some_and(|t| t.dtype == DType::BF16)
            };
            let found = p.node.inputs.iter().find(|i| bf16(i))?;
            Some(format!(
                "has no bf16, which `{found}` is of; use f16 or f32"
            ))
        },
    },
    Trap {
        name: "external-data",
        targets: &[Candle, Web],
        why: "the engine reads one file",
        test: |p| {
            let outside = |name: &String| {
                let tensor = p.graph.initializers.iter().find(|t| t.name == *name);
                tensor.is_some_and(|t| matches!(t.data, TensorData::External(_)))
            };
            let found = p.node.inputs.iter().find(|i| outside(i))?;
            Some(format!(
                "reads one file, and `{found}` is in another; export it inline"
            ))
        },
    },
    Trap {
        name: "state-first",
        targets: &[OpenVino],
        why: "OpenVINO computes a Scan wrongly, without a word, where the state is the second factor of a product",
        test: |p| {
            let second = p.body
                && p.node.op_type == "Mul"
                && p.node.inputs.get(1) == p.graph.inputs.first().map(|v| &v.name);
            second.then(|| {
                "computes a product with the state as second factor wrongly; put it first".into()
            })
        },
    },
    Trap {
        name: "opset",
        targets: &[OnnxRuntime, Web, Tract, Candle, OpenVino, Rten],
        why: "the engine refuses newer operator sets, or runs what it does not know",
        test: |p| {
            // Only once a file: at its first node.
            let first = p.model.graph.nodes.first().map(|n| &n.name) == Some(&p.node.name);
            let last = last_opset(p.target);
            let opset = p.model.opset().filter(|o| first && *o > last)?;
            Some(format!("knows opsets up to {last}, this is {opset}"))
        },
    },
];

fn last_opset(target: Target) -> i64 {
    match target {
        OnnxRuntime => 28,
        Web => 26,
        // It was tested by its makers up to there.
        Tract => 18,
        // Reductions changed in 18, and it does not look at the version.
        Candle => 17,
        _ => 24,
    }
}

impl Place<'_> {
    /// A constant input of an operator.
    fn constant(&self, op: &str, input: usize) -> Option<&crate::ir::Tensor> {
        if self.node.op_type != op {
            return None;
        }
        let name = self.node.inputs.get(input)?;
        let all = self.graph.initializers.iter();
        all.chain(&self.model.graph.initializers)
            .find(|t| t.name == *name)
    }

    fn input_ints(&self, op: &str, input: usize) -> Option<Vec<i64>> {
        self.constant(op, input)?.to_i64()
    }
}

/// A constant end of a Slice that a named dimension may not reach.
fn slice_within(p: &Place) -> Option<String> {
    let (ends, axes) = (p.input_ints("Slice", 2)?, p.input_ints("Slice", 3)?);
    let dims = p.types?.get(&p.node.inputs[0])?.dims.as_ref()?;
    for (end, axis) in ends.iter().zip(axes) {
        let at = usize::try_from(axis).ok()?;
        let extent = dims.get(at)?.as_ref()?;
        let free = extent.as_number().is_none();
        if free
            && *end > 0
            && *end < i64::from(i32::MAX)
            && extent.lower_bound().is_none_or(|b| b < *end)
        {
            return Some(format!(
                "cuts `{extent}` at {end} without a look at its length; fix the length, or use another lowering"
            ));
        }
    }
    None
}

/// The engines that a target stands for. A file with Scan is for those that have it.
fn engines(target: Target, model: &Model) -> Vec<Target> {
    if target != Target::Portable {
        return vec![target];
    }
    let scan = model.graph.nodes.iter().any(|n| n.op_type == "Scan");
    let all = Target::ALL.into_iter().filter(|t| *t != Target::Portable);
    // Whether weights lie beside the graph is the caller's choice.
    let outside = outside(model);
    let runs = |t: &Target| {
        let scans = !scan || t.choices().forms.contains(&crate::choices::Form::Scan);
        scans && (!outside || t.choices().external)
    };
    all.filter(runs).collect()
}

fn outside(model: &Model) -> bool {
    let mut all = model.graph.initializers.iter();
    all.any(|t| matches!(t.data, TensorData::External(_)))
}

/// Holds a model to the rules of a target; `types` are those that [`super::check`] found.
///
/// # Errors
/// The nodes that break them, each with the rule and the engine.
pub fn conform(model: &Model, types: &Types, target: Target) -> Result<(), CheckError> {
    let mut problems = vec![];
    for engine in engines(target, model) {
        let traps: Vec<&Trap> = TRAPS
            .iter()
            .filter(|t| t.targets.contains(&engine))
            .collect();
        visit(
            model,
            &model.graph,
            Some(types),
            false,
            engine,
            &traps,
            &mut problems,
        );
    }
    if problems.is_empty() {
        Ok(())
    } else {
        Err(CheckError { problems })
    }
}

fn visit(
    model: &Model,
    graph: &Graph,
    types: Option<&Types>,
    body: bool,
    target: Target,
    traps: &[&Trap],
    problems: &mut Vec<Problem>,
) {
    for (i, node) in graph.nodes.iter().enumerate() {
        let place = Place {
            model,
            graph,
            types,
            node,
            body,
            target,
        };
        for trap in traps {
            if let Some(what) = (trap.test)(&place) {
                problems.push(Problem {
                    rule: Rule::Profile,
                    place: node.name.clone(),
                    detail: format!("{} {what} (rule {})", target.name(), trap.name),
                });
            }
        }
        for (position, (_, inner)) in node.subgraphs().enumerate() {
            let types = types.and_then(|t| t.subgraph(i, position));
            visit(
                model,
                inner,
                types,
                node.op_type == "Scan",
                target,
                traps,
                problems,
            );
        }
    }
}

const CANDLE: &str = "Add Sub Mul Div Pow Exp Equal Not MatMul Reshape LogSoftmax Softmax Transpose Dropout MaxPool AveragePool BatchNormalization Squeeze ConstantOfShape Unsqueeze Clip Gather GatherElements Shape Size Sqrt Range Greater Less LessOrEqual GreaterOrEqual Log Min Where Conv Concat Abs Cos Sin Neg Erf Tanh Sigmoid Gelu Relu PRelu Ceil Floor Constant Cast CumSum Flatten Identity If Pad Slice ReduceMax ReduceMean ReduceMin Split Expand Tile ReduceSum ReduceL2 RandomUniform RandomNormal ArgMin ArgMax LeakyRelu Gemm LSTM RNN Xor And Or Sign Selu OneHot HardSwish Resize Trilu ScatterND";

const TRACT: &str = "Abs Acos Acosh Add And ArgMax ArgMin ArrayFeatureExtractor Asin Asinh Atan Atanh Attention AveragePool BatchNormalization BiasGelu BitShift BitwiseAnd BitwiseNot BitwiseOr BitwiseXor BlackmanWindow Cast CastLike CategoryMapper Ceil Celu Clip Compress Concat Constant ConstantLike ConstantOfShape Conv ConvInteger ConvTranspose Cos Cosh CumSum DFT DepthToSpace DequantizeLinear Div Dropout DynamicQuantizeLinear Einsum Elu Equal Erf Exp Expand EyeLike FastGelu Flatten Floor GRU Gather GatherBlockQuantized GatherElements GatherND Gelu Gemm GlobalAveragePool GlobalLpPool GlobalMaxPool Greater GreaterOrEqual GridSample GroupNormalization GroupQueryAttention HammingWindow HannWindow HardSigmoid HardSwish Hardmax Identity If InstanceNormalization IsInf IsNaN LRN LSTM LayerNormalization LeakyRelu Less LessOrEqual LinearClassifier LinearRegressor Log LogSoftmax LpNormalization MatMul MatMulInteger MatMulNBits Max MaxPool Mean MeanVarianceNormalization MelWeightMatrix Min Mish Mod Mul MultiHeadAttention Multinomial Neg NonMaxSuppression NonZero Normalizer Not OneHot Or PRelu Pad ParametricSoftplus Pow QLinearConv QLinearMatMul QuantizeLinear QuickGelu RMSNormalization RNN Range Reciprocal ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare Relu Reshape Resize RotaryEmbedding Round Rsqrt STFT ScaledTanh Scan Scatter ScatterElements ScatterND Selu Shape Shrink Sigmoid Sign SimplifiedLayerNormalization Sin Sinh Size SkipLayerNormalization SkipSimplifiedLayerNormalization Slice Softmax Softplus Softsign SpaceToDepth Split Sqrt Squeeze Sub Sum Swish Tan Tanh ThresholdedRelu Tile TopK Transpose TreeEnsembleClassifier Trilu Unsqueeze Where Xor";

const RTEN: &str = "Abs Acos Acosh Add And ArgMax ArgMin Asin Asinh Atan Atanh Attention AveragePool BatchNormalization BitCast Cast CastLike Ceil Clip Concat ConcatFromSequence ConstantOfShape Conv ConvInteger ConvTranspose Cos Cosh CumSum DFT DepthToSpace DequantizeLinear Div Dropout DynamicQuantizeLinear Einsum Elu Equal Erf Exp Expand EyeLike Flatten Floor GRU Gather GatherElements GatherND Gelu Gemm GlobalAveragePool GlobalMaxPool Greater GreaterOrEqual GridSample HardSigmoid HardSwish Identity If InstanceNormalization IsInf IsNaN LSTM LayerNormalization LeakyRelu Less LessOrEqual Log LogSoftmax Loop LpNormalization MatMul MatMulInteger Max MaxPool Mean Min Mod Mul Multinomial Neg NonMaxSuppression NonZero Not OneHot Or PRelu Pad Pow QuantizeLinear RMSNormalization Range Reciprocal ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare Relu Reshape Resize ReverseSequence RotaryEmbedding Round STFT ScatterElements ScatterND SequenceAt Shape Sigmoid Sign Sin Sinh Size Slice Softmax Softplus Softsign Split SplitToSequence Sqrt Squeeze Sub Sum Swish Tan Tanh Tile TopK Transpose Trilu Unsqueeze Upsample Where Xor";
