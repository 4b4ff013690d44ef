//! Operators along or over whole axes.

use super::layout::one_axis;
use super::{Call, Found, axes, axis};
use crate::check::Expr;
use crate::check::types::{Extent, Info};

/// ReduceMean and its like: axes as an attribute, or from the opset of the operator's change as an input.
pub(in crate::check) fn reduce(call: &Call) -> Found {
    let keep = call.flag("keepdims", true)?;
    let noop = call.flag("noop_with_empty_axes", false)?;
    let given = match call.node.ints("axes") {
        Some(given) => Some(given.to_vec()),
        None => call.numbers(1)?,
    };
    let Some(dims) = call.dims(0) else {
        return call.unknown();
    };
    let gone = match given {
        Some(given) if !given.is_empty() => axes(&given, dims.len())?,
        None if call.given(1) && keep => return call.shaped(vec![None; dims.len()]),
        None if call.given(1) => return call.unknown(),
        _ if noop => vec![],
        _ => (0..dims.len()).collect(),
    };
    let one = |(i, d): (usize, &Extent)| match (gone.contains(&i), keep) {
        (false, _) => Some(d.clone()),
        (true, true) => Some(Some(Expr::number(1))),
        (true, false) => None,
    };
    call.shaped(dims.iter().enumerate().filter_map(one).collect())
}

/// CumSum, CumProd: the axis is an input.
pub(in crate::check) fn along(call: &Call) -> Found {
    call.flag("exclusive", false)?;
    call.flag("reverse", false)?;
    call.rank(1, 0)?;
    let at = call.content(1).and_then(|c| c.first()?.as_number());
    if let (Some(dims), Some(at)) = (call.dims(0), at) {
        axis(at, dims.len())?;
    }
    same_as_first(call)
}

pub(in crate::check) fn softmax(call: &Call) -> Found {
    one_axis(call, -1)?;
    same_as_first(call)
}

fn same_as_first(call: &Call) -> Found {
    Ok(vec![Info::new(
        call.out[0],
        call.dims(0).map(<[_]>::to_vec),
    )])
}
