//! Operators that pick entries by index.

use super::layout::one_axis;
use super::{Call, Found, dims_text};
use crate::check::types::{Fault, Info, extent_text, fault, same};
use crate::check::{Expr, Rule};

/// Indices that are known must lie in `-size..size`.
fn within(indices: &[Expr], size: Option<i64>) -> Result<(), Fault> {
    let Some(size) = size else { return Ok(()) };
    let numbers = indices.iter().filter_map(Expr::as_number);
    match numbers.clone().find(|i| *i < -size || *i >= size) {
        Some(i) => fault(
            Rule::Shape,
            format!("index {i} is not in an axis of {size}"),
        ),
        None => Ok(()),
    }
}

pub(in crate::check) fn gather(call: &Call) -> Found {
    if call.get(0).and_then(Info::rank) == Some(0) {
        return fault(Rule::Shape, "a number has no axis to gather from");
    }
    let along = one_axis(call, 0)?;
    let (Some(data), Some(indices), Some(along)) = (call.dims(0), call.dims(1), along) else {
        return call.unknown();
    };
    if let Some(known) = call.content(1) {
        within(known, data[along].as_ref().and_then(Expr::as_number))?;
    }
    let mut found = call.shaped([&data[..along], indices, &data[along + 1..]].concat())?;
    // From a vector, by one index or a vector of them.
    if let (Some(entries), Some(at), 1) = (call.content(0), call.content(1), data.len()) {
        let count = entries.len() as i64;
        let pick = |i: &Expr| {
            let i = i.as_number()?;
            let i = if i < 0 { i + count } else { i };
            entries.get(usize::try_from(i).ok()?).cloned()
        };
        found[0].content = at.iter().map(pick).collect();
    }
    Ok(found)
}

pub(in crate::check) fn gather_elements(call: &Call) -> Found {
    let along = one_axis(call, 0)?;
    let (Some(data), Some(indices)) = (call.dims(0), call.dims(1)) else {
        return Ok(vec![Info::new(
            call.out[0],
            call.dims(1).map(<[_]>::to_vec),
        )]);
    };
    if data.len() != indices.len() {
        return fault(
            Rule::Shape,
            format!(
                "data {} and indices {} differ in rank",
                dims_text(data),
                dims_text(indices)
            ),
        );
    }
    if let (Some(known), Some(along)) = (call.content(1), along) {
        within(known, data[along].as_ref().and_then(Expr::as_number))?;
    }
    call.shaped(indices.to_vec())
}

pub(in crate::check) fn gather_nd(call: &Call) -> Found {
    let (Some(data), Some(indices)) = (call.dims(0), call.dims(1)) else {
        return call.unknown();
    };
    let batch = usize::try_from(call.int("batch_dims", 0)).unwrap_or(usize::MAX);
    let (Some((last, outer)), true) = (indices.split_last(), batch < data.len().min(indices.len()))
    else {
        let (data, indices) = (dims_text(data), dims_text(indices));
        return fault(
            Rule::Shape,
            format!("batch_dims {batch} does not fit data {data} and indices {indices}"),
        );
    };
    for (i, (a, b)) in data.iter().zip(indices).enumerate().take(batch) {
        if same(a, b).is_none() {
            let (a, b) = (extent_text(a), extent_text(b));
            return fault(Rule::Shape, format!("batch dimension {i} is {a} and {b}"));
        }
    }
    let Some(depth) = last.as_ref().and_then(Expr::as_number) else {
        return call.unknown();
    };
    let depth = usize::try_from(depth).unwrap_or(usize::MAX);
    match data.get(batch.saturating_add(depth)..) {
        Some(rest) if depth > 0 => call.shaped([outer, rest].concat()),
        _ => fault(
            Rule::Shape,
            format!("indices of {depth} entries for data {}", dims_text(data)),
        ),
    }
}
