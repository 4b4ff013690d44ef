//! The operators that minrnn's exporter may write and that run without state, chance or surprise: what they take, what they give,
//! what they may be told, and what each reader of a graph makes of them. Everything else in a file of ours is refused by name.
//!
//! A new operator is a line in [`table`]; beyond that, what has a new [`Rule`] or [`Meaning`] says so in `structure::shape` or
//! in `engine::compile`.

mod table;

use self::table::{MANY, OPERATORS};
use crate::kernels::{Binary, Reduction, Unary};
use crate::metadata::short;
use crate::proto::{AttributeProto, AttributeType, NodeProto};

/// One operator.
pub(crate) struct Operator {
    pub(crate) name: &'static str,
    /// Fewest and most inputs. Those beyond the fewest may be left out by an empty name.
    inputs: (usize, usize),
    outputs: (usize, usize),
    attributes: &'static [(&'static str, AttributeType)],
    pub(crate) rule: Rule,
    pub(crate) meaning: Meaning,
    #[cfg_attr(
        not(any(feature = "tract", test)),
        expect(dead_code, reason = "there is no referee")
    )]
    pub(crate) judge: Judge,
}

/// How an operator makes its shapes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rule {
    Unary,
    Same,
    Arithmetic,
    Compare,
    Logic,
    Where,
    Clip,
    Cast,
    Softmax,
    LayerNorm,
    Reduce,
    CumSum,
    Shape,
    Constant,
    Fill,
    Expand,
    Tile,
    Reshape,
    Squeeze,
    Unsqueeze,
    Transpose,
    Pad,
    Concat,
    Slice,
    Split,
    Gather,
    GatherElements,
    MatMul,
    MatMulInteger,
    Gemm,
    Conv,
    Cell,
    Scan,
}

/// What exact execution makes of an operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// Value by value.
    Unary(Unary),
    /// Value by value; of shapes, arithmetic on lengths.
    Binary(Binary),
    /// Over the last axis.
    Reduce(Reduction),
    Identity,
    Shape,
    MatMul,
    MatMulInteger,
    /// Of a window, by taps that are a constant.
    Conv,
    Gather,
    GatherElements,
    Cast,
    Split,
    Slice,
    Concat,
    /// Axes of one entry put in or taken out.
    Squeeze,
    Expand,
    Tile,
    Reshape,
    /// Of a constant.
    Transpose,
    /// Sums up to each step.
    CumSum,
    /// A body once a step.
    Scan,
    /// Nothing: a file with it is no exact one.
    Unknown,
}

/// Who computes an operator for the referee.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Judge {
    /// tract: it moves values, compares them, counts, or rounds once as IEEE 754 has it.
    Tract,
    /// A plain loop of this crate: the result would hang on tract's choice of kernels.
    Ours,
    /// The referee refuses it.
    Nobody,
}

/// All of them.
#[cfg(feature = "tract")]
pub(crate) fn all() -> impl Iterator<Item = &'static Operator> {
    OPERATORS.iter()
}

/// The operator of that name.
pub(crate) fn find(name: &str) -> Option<&'static Operator> {
    let at = OPERATORS.binary_search_by_key(&name, |o| o.name).ok()?;
    OPERATORS.get(at)
}

/// What exact execution makes of the operator of that name.
pub(crate) fn meaning(name: &str) -> Meaning {
    find(name).map_or(Meaning::Unknown, |o| o.meaning)
}

impl Operator {
    /// Holds a node against it: how many inputs and outputs, which attributes of which types.
    pub(crate) fn fits(&self, node: &NodeProto) -> Result<(), String> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_order() {
        assert!(OPERATORS.is_sorted_by_key(|o| o.name));
        assert!(find("Add").is_some() && find("Xor").is_some() && find("Mod").is_none());
    }

    #[test]
    fn what_is_computed_exactly_has_a_judge() {
        for operator in OPERATORS {
            let exact = operator.meaning != Meaning::Unknown;
            assert!(
                !exact || operator.judge != Judge::Nobody,
                "{} is compiled, and nobody holds it to anything",
                operator.name
            );
        }
    }
}
