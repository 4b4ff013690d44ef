//! The operators that are known: how many inputs and outputs, which attributes, in which opsets.

use super::infer::{self, Infer};
use super::types::{Fault, fault};
use super::{OPSETS, Rule};
use crate::ir::Node;

/// An attribute: name, type in the words of the format, whether it must be there.
type Attribute = (&'static str, &'static str, bool);

pub(super) struct Signature {
    op: &'static str,
    /// Last opset in which it is as described.
    until: i64,
    inputs: (usize, usize),
    outputs: (usize, usize),
    attributes: &'static [Attribute],
    /// `None` for Scan, whose body is walked.
    pub(super) infer: Option<Infer>,
}

const MANY: usize = usize::MAX;
const ANY_OPSET: i64 = i64::MAX;

macro_rules! table {
    ($($op:literal $until:ident ($in0:expr, $in1:expr) ($out0:expr, $out1:expr) [$($attr:expr),*] $infer:expr;)*) => {
        static TABLE: &[Signature] = &[$(Signature {
            op: $op,
            until: $until,
            inputs: ($in0, $in1),
            outputs: ($out0, $out1),
            attributes: &[$($attr),*],
            infer: $infer,
        }),*];
    };
}

const UNTIL_17: i64 = 17;
const AXIS: Attribute = ("axis", "INT", false);

table! {
    "Neg" ANY_OPSET (1, 1) (1, 1) [] Some(infer::signed_unary);
    "Abs" ANY_OPSET (1, 1) (1, 1) [] Some(infer::numeric_unary);
    "Relu" ANY_OPSET (1, 1) (1, 1) [] Some(infer::signed_unary);
    "Sigmoid" ANY_OPSET (1, 1) (1, 1) [] Some(infer::float_unary);
    "Tanh" ANY_OPSET (1, 1) (1, 1) [] Some(infer::float_unary);
    "Exp" ANY_OPSET (1, 1) (1, 1) [] Some(infer::float_unary);
    "Sqrt" ANY_OPSET (1, 1) (1, 1) [] Some(infer::float_unary);
    "Erf" ANY_OPSET (1, 1) (1, 1) [] Some(infer::numeric_unary);
    "Identity" ANY_OPSET (1, 1) (1, 1) [] Some(infer::identity);
    "Add" ANY_OPSET (2, 2) (1, 1) [] Some(infer::arithmetic);
    "Sub" ANY_OPSET (2, 2) (1, 1) [] Some(infer::arithmetic);
    "Mul" ANY_OPSET (2, 2) (1, 1) [] Some(infer::arithmetic);
    "Div" ANY_OPSET (2, 2) (1, 1) [] Some(infer::arithmetic);
    "Min" ANY_OPSET (1, MANY) (1, 1) [] Some(infer::arithmetic);
    "MatMul" ANY_OPSET (2, 2) (1, 1) [] Some(infer::matmul);
    "Gather" ANY_OPSET (2, 2) (1, 1) [AXIS] Some(infer::gather);
    "Slice" ANY_OPSET (3, 5) (1, 1) [] Some(infer::slice);
    "Split" UNTIL_17 (1, 2) (1, MANY) [AXIS] Some(infer::split);
    "Concat" ANY_OPSET (1, MANY) (1, 1) [("axis", "INT", true)] Some(infer::concat);
    "Reshape" ANY_OPSET (2, 2) (1, 1) [("allowzero", "INT", false)] Some(infer::reshape);
    "Squeeze" ANY_OPSET (1, 2) (1, 1) [] Some(infer::squeeze);
    "Unsqueeze" ANY_OPSET (2, 2) (1, 1) [] Some(infer::unsqueeze);
    "Expand" ANY_OPSET (2, 2) (1, 1) [] Some(infer::expand);
    "Shape" ANY_OPSET (1, 1) (1, 1) [] Some(infer::shape);
    "Pad" UNTIL_17 (2, 3) (1, 1) [("mode", "STRING", false)] Some(infer::pad);
    "ReduceMean" UNTIL_17 (1, 1) (1, 1) [("axes", "INTS", false), ("keepdims", "INT", false)] Some(infer::reduce_mean);
    "Scan" ANY_OPSET (1, MANY) (1, MANY) [
        ("body", "GRAPH", true),
        ("num_scan_inputs", "INT", true),
        ("scan_input_axes", "INTS", false),
        ("scan_output_axes", "INTS", false),
        ("scan_input_directions", "INTS", false),
        ("scan_output_directions", "INTS", false)
    ] None;
}

/// The operator as it is in that opset.
pub(super) fn find(op: &str, opset: i64) -> Option<&'static Signature> {
    TABLE
        .iter()
        .find(|s| s.op == op && opset >= *OPSETS.start() && opset <= s.until)
}

impl Signature {
    /// Whether a node has the right inputs, outputs and attributes.
    pub(super) fn fits(&self, node: &Node) -> Result<(), Fault> {
        count("input", node.inputs.len(), self.inputs)?;
        count("output", node.outputs.len(), self.outputs)?;
        if node.inputs.iter().take(self.inputs.0).any(String::is_empty) {
            return fault(
                Rule::Arity,
                format!("its first {} input(s) must be there", self.inputs.0),
            );
        }
        if node
            .outputs
            .iter()
            .take(self.outputs.0)
            .any(String::is_empty)
        {
            return fault(
                Rule::Arity,
                format!("its first {} output(s) must be there", self.outputs.0),
            );
        }
        for (i, (name, attr)) in node.attributes.iter().enumerate() {
            let Some((_, kind, _)) = self.attributes.iter().find(|(n, _, _)| n == name) else {
                return fault(
                    Rule::Attribute,
                    format!("{} has no attribute `{name}` in this opset", self.op),
                );
            };
            if *kind != attr.kind() {
                return fault(
                    Rule::Attribute,
                    format!("`{name}` is of type {}, wanted {kind}", attr.kind()),
                );
            }
            if node.attributes[..i].iter().any(|(n, _)| n == name) {
                return fault(Rule::Attribute, format!("`{name}` is given twice"));
            }
        }
        match self
            .attributes
            .iter()
            .find(|(name, _, needed)| *needed && node.attr(name).is_none())
        {
            Some((name, _, _)) => fault(
                Rule::Attribute,
                format!("the attribute `{name}` is missing"),
            ),
            None => Ok(()),
        }
    }
}

fn count(kind: &str, got: usize, (least, most): (usize, usize)) -> Result<(), Fault> {
    if (least..=most).contains(&got) {
        return Ok(());
    }
    let wanted = match most {
        MANY => format!("at least {least}"),
        most if most == least => least.to_string(),
        most => format!("{least} to {most}"),
    };
    fault(Rule::Arity, format!("has {got} {kind}(s), wanted {wanted}"))
}
