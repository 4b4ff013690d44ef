//! Arithmetic on shapes: vectors of int64 that depend on B and T alone.

use tract_onnx::pb::NodeProto;
use tract_onnx::prelude::{TDim, ToDim};

use super::{Compiler, Outcome, int};
use crate::engine::value::{Elem, Value};

impl<'a> Compiler<'a> {
    pub(super) fn shape(&mut self, node: &'a NodeProto) -> Outcome<'a> {
        let x = self.flow(node, 0)?;
        if int(node, "start").is_some() || int(node, "end").is_some() {
            return Err("Shape with a start or an end".into());
        }
        let lead = [Some(self.b.clone()), x.extent.clone()];
        let dims = x.dims.iter().map(|d| TDim::Val(*d as i64));
        Ok(vec![Value::Ints(
            lead.into_iter().flatten().chain(dims).collect(),
        )])
    }

    /// The input as integers, if it is a constant or arithmetic on shapes.
    pub(super) fn ints(&self, node: &NodeProto, at: usize) -> Result<Option<Vec<TDim>>, String> {
        Ok(match self.operand(node, at)? {
            Value::Ints(ints) => Some(ints),
            Value::Const(c) if c.elem == Elem::I64 && c.dims.len() <= 1 => {
                let numbers = c.i64s().ok_or("a constant without its values")?;
                Some(numbers.iter().map(|n| n.to_dim()).collect())
            }
            _ => None,
        })
    }

    /// The input as numbers that depend on nothing.
    pub(super) fn numbers(&self, node: &NodeProto, at: usize) -> Result<Vec<i64>, String> {
        let ints = self.ints(node, at)?.ok_or("computed positions")?;
        ints.iter()
            .map(|d| d.to_i64().map_err(|_| "computed positions".into()))
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
        let at = |v: &[TDim], i: usize| v[if v.len() == 1 { 0 } else { i }].clone();
        let one = |i: usize| dim(node.op_type.as_str(), at(&a, i), at(&b, i));
        let result: Result<Vec<_>, String> = (0..long).map(one).collect();
        Ok(Some(Value::Ints(result?)))
    }
}

fn dim(op: &str, a: TDim, b: TDim) -> Result<TDim, String> {
    let number = |d: &TDim| d.to_i64().ok();
    if let (Some(a), Some(b)) = (number(&a), number(&b)) {
        let value = match op {
            "Add" => a.checked_add(b),
            "Sub" => a.checked_sub(b),
            "Mul" => a.checked_mul(b),
            "Div" if a >= 0 && b > 0 => Some(a / b),
            _ => None,
        };
        return value
            .map(TDim::Val)
            .ok_or_else(|| format!("{op} of {a} and {b}"));
    }
    // Far below what arithmetic on symbols may overflow with.
    let small = |d: &TDim| number(d).is_none_or(|n| n.unsigned_abs() < 1 << 24);
    if !small(&a) || !small(&b) || a.to_string().len() + b.to_string().len() > 200 {
        return Err(format!("{op} of unusual dimensions"));
    }
    match (op, number(&b)) {
        ("Add", _) => Ok((a + b).simplify()),
        ("Sub", _) => Ok((a - b).simplify()),
        ("Mul", Some(n)) => Ok((a * n).simplify()),
        ("Div", Some(n)) if n > 0 => Ok((a / n.unsigned_abs()).simplify()),
        _ => Err(format!("{op} of dimensions")),
    }
}
