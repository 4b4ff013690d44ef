//! The operators that are known: parameters with their element types, attributes, from which opset on.

mod params;
mod table;

use super::infer::{Call, Found, Inputs};
use super::types::{Fault, fault};
use super::{OPSETS, Rule};
use crate::ir::{DType, Node};
use params::{Attribute, Kind, Of, Param, Set};

/// Results of a node, from its inputs.
type Infer = fn(&Call) -> Found;

/// One version of an operator.
pub(super) struct Signature {
    op: &'static str,
    /// The opset that brought this version.
    since: i64,
    inputs: &'static [Param],
    outputs: &'static [Param],
    variables: &'static [Set],
    attributes: &'static [Attribute],
    /// `None` for Scan, whose body is walked.
    pub(super) infer: Option<Infer>,
}

/// The operator as it is in that opset.
pub(super) fn find(op: &str, opset: i64) -> Option<&'static Signature> {
    let versions = table::TABLE.iter().filter(|s| s.op == op);
    versions
        .filter(|s| OPSETS.contains(&opset) && s.since <= opset)
        .max_by_key(|s| s.since)
}

/// An operator of `com.microsoft`.
pub(super) fn find_microsoft(op: &str) -> Option<&'static Signature> {
    table::MICROSOFT.iter().find(|s| s.op == op)
}

/// First opset of an operator, if it is known at all.
pub(super) fn first(op: &str) -> Option<i64> {
    let versions = table::TABLE.iter().filter(|s| s.op == op);
    versions.map(|s| s.since).min()
}

/// Names of all operators that are known.
pub(super) fn names() -> std::collections::BTreeSet<&'static str> {
    table::TABLE.iter().map(|s| s.op).collect()
}

fn param(params: &[Param], i: usize) -> Option<&Param> {
    params.get(i).or_else(|| {
        params
            .last()
            .filter(|p| matches!(p.kind, Kind::Many | Kind::Mixed))
    })
}

/// As many values as there are parameters, and those that must be there named.
fn count(what: &str, given: &[String], params: &[Param]) -> Result<(), Fault> {
    let least = params.iter().filter(|p| p.kind != Kind::Optional).count();
    let unlimited = params
        .last()
        .is_some_and(|p| matches!(p.kind, Kind::Many | Kind::Mixed));
    let got = given.len();
    if got < least || (!unlimited && got > params.len()) {
        let wanted = match params.len() {
            _ if unlimited => format!("at least {least}"),
            most if most == least => least.to_string(),
            most => format!("{least} to {most}"),
        };
        return fault(Rule::Arity, format!("has {got} {what}(s), wanted {wanted}"));
    }
    let left_out = given.iter().enumerate().find(|(i, name)| {
        name.is_empty() && param(params, *i).is_some_and(|p| p.kind != Kind::Optional)
    });
    match left_out {
        Some((i, _)) => fault(
            Rule::Arity,
            format!("{what} {i} is left out, but must be there"),
        ),
        None => Ok(()),
    }
}

impl Signature {
    /// Whether a node has the right inputs, outputs and attributes.
    pub(super) fn fits(&self, node: &Node) -> Result<(), Fault> {
        count("input", &node.inputs, self.inputs)?;
        count("output", &node.outputs, self.outputs)?;
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

    /// Element types of the inputs must fit; gives those of the results, where the inputs tell.
    pub(super) fn types(
        &self,
        inputs: Inputs,
        outputs: usize,
        opset: i64,
    ) -> Result<Vec<Option<DType>>, Fault> {
        let mut bound: [Option<(DType, usize)>; 3] = [None; 3];
        for (i, input) in inputs.iter().enumerate() {
            let dtype = input.as_ref().and_then(|info| info.ty.dtype);
            let (Some(param), Some(d)) = (param(self.inputs, i), dtype) else {
                continue;
            };
            let set = self.set(param);
            if !set.contains(d, opset) {
                let words = set.words(opset);
                return fault(Rule::Type, format!("input {i} is of {d}, wanted {words}"));
            }
            let Of::Variable(v) = param.of else { continue };
            match bound[v] {
                _ if param.kind == Kind::Mixed => {}
                None => bound[v] = Some((d, i)),
                Some((other, first)) if other != d => {
                    let detail = format!("input {i} is of {d}, input {first} is of {other}");
                    return fault(Rule::Type, detail);
                }
                Some(_) => {}
            }
        }
        let of = |i: usize| match param(self.outputs, i)? {
            Param {
                kind: Kind::Mixed, ..
            } => None,
            Param {
                of: Of::Variable(v),
                ..
            } => bound[*v].map(|(d, _)| d),
            Param {
                of: Of::Set(set), ..
            } => {
                let mut types = set.types(opset);
                types.next().filter(|_| types.next().is_none())
            }
        };
        Ok((0..outputs).map(of).collect())
    }

    /// The element type of a result must be one that the operator gives.
    pub(super) fn gives(&self, i: usize, dtype: DType, opset: i64) -> Result<(), Fault> {
        match param(self.outputs, i).map(|p| self.set(p)) {
            Some(set) if !set.contains(dtype, opset) => {
                let words = set.words(opset);
                let detail = format!("output {i} would be of {dtype}, wanted {words}");
                fault(Rule::Type, detail)
            }
            _ => Ok(()),
        }
    }

    fn set(&self, param: &Param) -> Set {
        match param.of {
            Of::Variable(v) => self.variables[v],
            Of::Set(set) => set,
        }
    }

    /// Everything in one line, for comparison with the standard's own tables.
    pub(super) fn describe(&self, opset: i64) -> Description {
        let params = |params: &[Param]| {
            let one = |p: &Param| {
                let kind = match p.kind {
                    Kind::Required => "required",
                    Kind::Optional => "optional",
                    Kind::Many | Kind::Mixed => "many",
                };
                let types = self.set(p).types(opset).map(DType::code).collect();
                (kind, types)
            };
            params.iter().map(one).collect()
        };
        Description {
            since: self.since,
            inputs: params(self.inputs),
            outputs: params(self.outputs),
            attributes: self.attributes.to_vec(),
        }
    }
}

/// One version of an operator, as the checker knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Description {
    /// The opset that brought this version.
    pub since: i64,
    /// `required`, `optional` or `many`, and the codes of the element types.
    pub inputs: Vec<(&'static str, Vec<i32>)>,
    /// As `inputs`.
    pub outputs: Vec<(&'static str, Vec<i32>)>,
    /// Name, type in the words of the format, whether it must be there.
    pub attributes: Vec<(&'static str, &'static str, bool)>,
}
