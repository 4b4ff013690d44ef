//! Elementwise operators, with broadcasting.

use super::{Inputs, get, typed};
use crate::check::types::{Extent, Fault, Info, extent_text, fault};
use crate::check::{Expr, Rule};
use crate::ir::{DType, Node};

fn unary(inputs: Inputs, wanted: &str, fits: impl Fn(DType) -> bool) -> Result<Vec<Info>, Fault> {
    let dtype = typed(inputs, 0, wanted, fits)?;
    Ok(vec![Info::new(
        dtype,
        get(inputs, 0).and_then(|i| i.ty.dims.clone()),
    )])
}

pub(in crate::check) fn float_unary(_: &Node, inputs: Inputs) -> Result<Vec<Info>, Fault> {
    unary(inputs, "a float", DType::is_float)
}

pub(in crate::check) fn signed_unary(_: &Node, inputs: Inputs) -> Result<Vec<Info>, Fault> {
    unary(inputs, "a float or a signed integer", |d| {
        d.is_float() || d.is_signed()
    })
}

pub(in crate::check) fn numeric_unary(_: &Node, inputs: Inputs) -> Result<Vec<Info>, Fault> {
    unary(inputs, "a number", is_number)
}

pub(in crate::check) fn identity(_: &Node, inputs: Inputs) -> Result<Vec<Info>, Fault> {
    Ok(vec![get(inputs, 0).cloned().unwrap_or_default()])
}

fn is_number(d: DType) -> bool {
    d.is_float() || d.is_signed() || d.is_unsigned()
}

/// Add, Sub, Mul, Div, Min.
pub(in crate::check) fn arithmetic(node: &Node, inputs: Inputs) -> Result<Vec<Info>, Fault> {
    let mut dtype = None;
    for i in 0..inputs.len() {
        let this = typed(inputs, i, "a number", is_number)?;
        match (dtype, this) {
            (Some(a), Some(b)) if a != b => {
                return fault(
                    Rule::Type,
                    format!("input {i} is of {b}, the first is of {a}"),
                );
            }
            _ => dtype = dtype.or(this),
        }
    }
    let dims = inputs
        .iter()
        .map(|i| i.as_ref().and_then(|i| i.ty.dims.clone()))
        .collect::<Option<Vec<_>>>();
    let dims = match dims {
        Some(all) => Some(all.into_iter().try_fold(vec![], |a, b| broadcast(&a, &b))?),
        None => None,
    };
    let mut info = Info::new(dtype, dims);
    if let (Some(x), Some(y), 2) = (get(inputs, 0), get(inputs, 1), inputs.len()) {
        info.content = content(&node.op_type, x, y);
    }
    Ok(vec![info])
}

/// Shapes aligned at the end; a dimension of one entry is repeated.
pub(super) fn broadcast(a: &[Extent], b: &[Extent]) -> Result<Vec<Extent>, Fault> {
    let rank = a.len().max(b.len());
    let one = Some(Expr::number(1));
    let at = |dims: &[Extent], i: usize| {
        (i + dims.len())
            .checked_sub(rank)
            .map_or_else(|| one.clone(), |j| dims[j].clone())
    };
    (0..rank)
        .map(|i| {
            let (x, y) = (at(a, i), at(b, i));
            match (&x, &y) {
                _ if x == y => Ok(x),
                _ if x == one => Ok(y),
                _ if y == one => Ok(x),
                // Unknown beside a known one: a named dimension or a number above 1 is taken not to be repeated.
                (None, known) | (known, None) => Ok(known.clone()),
                _ => {
                    let text =
                        |d: &[Extent]| d.iter().map(extent_text).collect::<Vec<_>>().join(",");
                    let detail = format!(
                        "[{}] and [{}] do not fit in dimension {i} of {rank}",
                        text(a),
                        text(b)
                    );
                    fault(Rule::Shape, detail)
                }
            }
        })
        .collect()
}

/// Arithmetic on what shapes are computed from.
fn content(op: &str, x: &Info, y: &Info) -> Option<Vec<Expr>> {
    let (a, b) = (x.content.as_ref()?, y.content.as_ref()?);
    let apply = |a: &Expr, b: &Expr| match op {
        "Add" => a.add(b),
        "Sub" => a.sub(b),
        "Mul" => a.mul(b),
        "Div" => a.div(b),
        _ => None,
    };
    match (a.len(), b.len()) {
        (n, m) if n == m => a.iter().zip(b).map(|(a, b)| apply(a, b)).collect(),
        (_, 1) => a.iter().map(|a| apply(a, &b[0])).collect(),
        (1, _) => b.iter().map(|b| apply(&a[0], b)).collect(),
        _ => None,
    }
}
