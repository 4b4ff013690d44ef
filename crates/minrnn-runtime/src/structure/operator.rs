//! The operators that minrnn's exporter may write and tract runs without state, chance or surprise: what they take, what
//! they give, what they may be told. Everything else in a file of ours is refused by name.

use crate::proto::AttributeType;
use crate::proto::{AttributeProto, NodeProto};

use super::shape::Rule;
use crate::metadata::short;

/// One operator.
pub(super) struct Operator {
    name: &'static str,
    /// Fewest and most inputs. Those beyond the fewest may be left out by an empty name.
    inputs: (usize, usize),
    outputs: (usize, usize),
    attributes: &'static [(&'static str, AttributeType)],
    /// What it computes the shapes by.
    pub(super) rule: Rule,
}

const MANY: usize = usize::MAX;
const INT: AttributeType = AttributeType::Int;
const INTS: AttributeType = AttributeType::Ints;
const FLOAT: AttributeType = AttributeType::Float;

macro_rules! operators {
    ($($name:literal $least:literal..=$most:tt -> $out:tt {$($attr:ident: $kind:ident),*} $rule:expr;)*) => {
        static OPERATORS: &[Operator] = &[$(Operator {
            name: $name,
            inputs: ($least, $most),
            outputs: (1, $out),
            attributes: &[$((stringify!($attr), $kind)),*],
            rule: $rule,
        }),*];
    };
}

const TENSOR: AttributeType = AttributeType::Tensor;
const FLOATS: AttributeType = AttributeType::Floats;
const TEXT: AttributeType = AttributeType::String;
const GRAPH: AttributeType = AttributeType::Graph;

operators! {
    "Abs" 1..=1 -> 1 {} Rule::Unary;
    "Add" 2..=2 -> 1 {} Rule::Arithmetic;
    "And" 2..=2 -> 1 {} Rule::Logic;
    "Cast" 1..=1 -> 1 {to: INT} Rule::Cast;
    "Ceil" 1..=1 -> 1 {} Rule::Unary;
    "Clip" 1..=3 -> 1 {} Rule::Clip;
    "Concat" 1..=MANY -> 1 {axis: INT} Rule::Concat;
    "Constant" 0..=0 -> 1 {value: TENSOR, value_int: INT, value_ints: INTS, value_float: FLOAT, value_floats: FLOATS} Rule::Constant;
    "ConstantOfShape" 1..=1 -> 1 {value: TENSOR} Rule::Fill;
    "Div" 2..=2 -> 1 {} Rule::Arithmetic;
    "Equal" 2..=2 -> 1 {} Rule::Compare;
    "Erf" 1..=1 -> 1 {} Rule::Unary;
    "Exp" 1..=1 -> 1 {} Rule::Unary;
    "Expand" 2..=2 -> 1 {} Rule::Expand;
    "Floor" 1..=1 -> 1 {} Rule::Unary;
    "Gather" 2..=2 -> 1 {axis: INT} Rule::Gather;
    "GatherElements" 2..=2 -> 1 {axis: INT} Rule::GatherElements;
    "Gemm" 2..=3 -> 1 {alpha: FLOAT, beta: FLOAT, transA: INT, transB: INT} Rule::Gemm;
    "Greater" 2..=2 -> 1 {} Rule::Compare;
    "GreaterOrEqual" 2..=2 -> 1 {} Rule::Compare;
    "Identity" 1..=1 -> 1 {} Rule::Same;
    "LayerNormalization" 2..=3 -> 1 {axis: INT, epsilon: FLOAT, stash_type: INT} Rule::LayerNorm;
    "Less" 2..=2 -> 1 {} Rule::Compare;
    "LessOrEqual" 2..=2 -> 1 {} Rule::Compare;
    "Log" 1..=1 -> 1 {} Rule::Unary;
    "LogSoftmax" 1..=1 -> 1 {axis: INT} Rule::Softmax;
    "MatMul" 2..=2 -> 1 {} Rule::MatMul;
    "MatMulInteger" 2..=4 -> 1 {} Rule::MatMulInteger;
    "Max" 1..=MANY -> 1 {} Rule::Arithmetic;
    "Min" 1..=MANY -> 1 {} Rule::Arithmetic;
    "Mul" 2..=2 -> 1 {} Rule::Arithmetic;
    "Neg" 1..=1 -> 1 {} Rule::Unary;
    "Not" 1..=1 -> 1 {} Rule::Logic;
    "Or" 2..=2 -> 1 {} Rule::Logic;
    "Pad" 2..=4 -> 1 {mode: TEXT} Rule::Pad;
    "Pow" 2..=2 -> 1 {} Rule::Arithmetic;
    "RMSNormalization" 2..=2 -> 1 {axis: INT, epsilon: FLOAT, stash_type: INT} Rule::LayerNorm;
    "Reciprocal" 1..=1 -> 1 {} Rule::Unary;
    "ReduceMax" 1..=2 -> 1 {axes: INTS, keepdims: INT, noop_with_empty_axes: INT} Rule::Reduce;
    "ReduceMean" 1..=2 -> 1 {axes: INTS, keepdims: INT, noop_with_empty_axes: INT} Rule::Reduce;
    "ReduceMin" 1..=2 -> 1 {axes: INTS, keepdims: INT, noop_with_empty_axes: INT} Rule::Reduce;
    "ReduceSum" 1..=2 -> 1 {axes: INTS, keepdims: INT, noop_with_empty_axes: INT} Rule::Reduce;
    "Relu" 1..=1 -> 1 {} Rule::Unary;
    "Reshape" 2..=2 -> 1 {allowzero: INT} Rule::Reshape;
    "Round" 1..=1 -> 1 {} Rule::Unary;
    "Scan" 1..=MANY -> MANY {body: GRAPH, num_scan_inputs: INT, scan_input_axes: INTS, scan_output_axes: INTS,
        scan_input_directions: INTS, scan_output_directions: INTS} Rule::Scan;
    "Shape" 1..=1 -> 1 {start: INT, end: INT} Rule::Shape;
    "Sigmoid" 1..=1 -> 1 {} Rule::Unary;
    "Sign" 1..=1 -> 1 {} Rule::Unary;
    "Slice" 3..=5 -> 1 {} Rule::Slice;
    "Softmax" 1..=1 -> 1 {axis: INT} Rule::Softmax;
    "Softplus" 1..=1 -> 1 {} Rule::Unary;
    "Split" 1..=2 -> MANY {axis: INT, num_outputs: INT} Rule::Split;
    "Sqrt" 1..=1 -> 1 {} Rule::Unary;
    "Squeeze" 2..=2 -> 1 {} Rule::Squeeze;
    "Sub" 2..=2 -> 1 {} Rule::Arithmetic;
    "Tanh" 1..=1 -> 1 {} Rule::Unary;
    "Transpose" 1..=1 -> 1 {perm: INTS} Rule::Transpose;
    "Unsqueeze" 2..=2 -> 1 {} Rule::Unsqueeze;
    "Where" 3..=3 -> 1 {} Rule::Where;
    "Xor" 2..=2 -> 1 {} Rule::Logic;
}

/// The operator of that name.
pub(super) fn find(name: &str) -> Option<&'static Operator> {
    let at = OPERATORS.binary_search_by_key(&name, |o| o.name).ok()?;
    OPERATORS.get(at)
}

impl Operator {
    /// Holds a node against it: how many inputs and outputs, which attributes of which types.
    pub(super) fn fits(&self, node: &NodeProto) -> Result<(), String> {
        let (least, most) = self.inputs;
        let given = node.input.len();
        if given < least || given > most || node.input.iter().take(least).any(String::is_empty) {
            return Err(format!(
                "{} has {given} inputs, or leaves one out",
                self.name
            ));
        }
        if most == MANY && node.input.iter().any(String::is_empty) {
            return Err(format!("{} leaves out an input", self.name));
        }
        let outputs = node.output.len();
        if outputs > self.outputs.1 || node.output.iter().any(String::is_empty) {
            return Err(format!(
                "{} has {outputs} outputs, or leaves one out",
                self.name
            ));
        }
        node.attribute.iter().try_for_each(|a| self.told(a))
    }

    fn told(&self, attr: &AttributeProto) -> Result<(), String> {
        let Some((_, kind)) = self.attributes.iter().find(|(n, _)| *n == attr.name) else {
            let name = short(&attr.name);
            return Err(format!("{} has no attribute `{name}`", self.name));
        };
        if attr.r#type == *kind as i32 {
            return Ok(());
        }
        let wanted = kind.as_str_name();
        Err(format!("attribute `{}` is not of type {wanted}", attr.name))
    }
}

/// Every value field that is set must be the one that the type names: readers that look at different fields would read
/// different values.
pub(super) fn one_value(attr: &AttributeProto) -> Result<(), String> {
    use AttributeType::*;
    let set = [
        (Float, attr.f != 0.0),
        (Int, attr.i != 0),
        (String, !attr.s.is_empty()),
        (Tensor, attr.t.is_some()),
        (Graph, attr.g.is_some()),
        (SparseTensor, attr.sparse_tensor),
        (Floats, !attr.floats.is_empty()),
        (Ints, !attr.ints.is_empty()),
        (Strings, !attr.strings.is_empty()),
        (Tensors, !attr.tensors.is_empty()),
        (Graphs, !attr.graphs.is_empty()),
        (SparseTensors, attr.sparse_tensors > 0),
        (TypeProtos, attr.type_protos > 0),
    ];
    let name = short(&attr.name);
    if !attr.ref_attr_name.is_empty() {
        return Err(format!("attribute `{name}` refers to one of a function"));
    }
    if let Some((kind, _)) = set.iter().find(|(k, set)| *set && *k as i32 != attr.r#type) {
        let found = AttributeType::try_from(attr.r#type).map_or("no type", |t| t.as_str_name());
        let what = format!(
            "attribute `{name}` is {found} and holds {}",
            kind.as_str_name()
        );
        return Err(what);
    }
    if matches!(
        AttributeType::try_from(attr.r#type),
        Ok(SparseTensor | SparseTensors | Tensors | Graphs | TypeProto | TypeProtos)
    ) {
        return Err(format!(
            "attribute `{name}` is of a type that no operator takes"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_order() {
        assert!(OPERATORS.is_sorted_by_key(|o| o.name));
        assert!(find("Add").is_some() && find("Xor").is_some() && find("Mod").is_none());
    }
}
