//! Arithmetic on shapes: vectors of int64 that depend on B and T alone.

use crate::proto::NodeProto;

use super::{Compiler, Outcome, int};
use crate::engine::length::Length;
use crate::engine::value::{Elem, Value};

impl<'a> Compiler<'a> {
    pub(super) fn shape(&mut self, node: &'a NodeProto) -> Outcome<'a> {
        let x = self.flow(node, 0)?;
        if int(node, "start").is_some() || int(node, "end").is_some() {
            return Err("Shape with a start or an end".into());
        }
        let lead = [Some(self.b.clone()), x.extent.clone()];
        let dims = x.dims.iter().map(|d| Length::of(*d as i64));
        Ok(vec![Value::Ints(
            lead.into_iter().flatten().chain(dims).collect(),
        )])
    }

    /// The input as integers, if it is a constant or arithmetic on shapes.
    pub(super) fn ints(&self, node: &NodeProto, at: usize) -> Result<Option<Vec<Length>>, String> {
        Ok(match self.operand(node, at)? {
            Value::Ints(ints) => Some(ints),
            Value::Const(c) if c.elem == Elem::I64 && c.dims.len() <= 1 => {
                let numbers = c.i64s().ok_or("a constant without its values")?;
                Some(numbers.iter().map(|n| Length::of(*n)).collect())
            }
            _ => None,
        })
    }

    /// The input as numbers that depend on nothing.
    pub(super) fn numbers(&self, node: &NodeProto, at: usize) -> Result<Vec<i64>, String> {
        let ints = self.ints(node, at)?.ok_or("computed positions")?;
        ints.iter()
            .map(|d| d.number().ok_or_else(|| "computed positions".into()))
            .collect()
    }

    /// Add, Sub, Mul and Div of shapes; `None` if an operand is none.
    pub(super) fn int_arithmetic(&self, node: &NodeProto) -> Result<Option<Value<'a>>, String> {
        if node.input.len() != 2 {
            return Ok(None);
        }
        let (Some(a), Some(b)) = (self.ints(node, 0)?, self.ints(node, 1)?) else {
            return Ok(None);
        };
        let long = a.len().max(b.len());
        if (a.len() != long && a.len() != 1) || (b.len() != long && b.len() != 1) {
            return Err("shapes of different lengths".into());
        }
        let at = |v: &[Length], i: usize| v[if v.len() == 1 { 0 } else { i }].clone();
        let one = |i: usize| length(node.op_type.as_str(), &at(&a, i), &at(&b, i));
        let result: Result<Vec<_>, String> = (0..long).map(one).collect();
        Ok(Some(Value::Ints(result?)))
    }
}

fn length(op: &str, a: &Length, b: &Length) -> Result<Length, String> {
    match (op, b.number()) {
        ("Add", _) => a.plus(b),
        ("Sub", _) => a.minus(b),
        ("Mul", Some(n)) => a.times(n),
        ("Div", Some(n)) => a.over(n),
        _ => Err(format!("{op} of dimensions")),
    }
}
