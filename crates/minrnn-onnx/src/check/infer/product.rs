//! Matrix products.

use super::elementwise::{broadcast, broadcast_to};
use super::{Call, Found};
use crate::check::Rule;
use crate::check::types::{Extent, Fault, Info, extent_text, fault, same};

fn inner(a: &Extent, b: &Extent) -> Result<(), Fault> {
    if same(a, b).is_some() {
        return Ok(());
    }
    let (a, b) = (extent_text(a), extent_text(b));
    fault(
        Rule::Shape,
        format!("the left has {a} columns, the right {b} rows"),
    )
}

pub(in crate::check) fn matmul(call: &Call) -> Found {
    for i in 0..2 {
        if call.get(i).and_then(Info::rank) == Some(0) {
            return fault(Rule::Shape, "a number is no matrix");
        }
    }
    let (Some(a), Some(b)) = (call.dims(0), call.dims(1)) else {
        return call.unknown();
    };
    // A vector takes part as a row on the left, as a column on the right.
    let (Some((k_a, rows)), Some(last_b)) = (a.split_last(), b.last()) else {
        return fault(Rule::Shape, "a number is no matrix");
    };
    let (k_b, columns) = if b.len() == 1 {
        (last_b, None)
    } else {
        (&b[b.len() - 2], Some(last_b.clone()))
    };
    inner(k_a, k_b)?;
    let (row, batch_a) = rows
        .split_last()
        .map_or((None, &[][..]), |(row, batch)| (Some(row.clone()), batch));
    let mut dims = broadcast(batch_a, &b[..b.len().saturating_sub(2)])?;
    dims.extend(row);
    dims.extend(columns);
    call.shaped(dims)
}

/// Zero points are one number, or one for each row (left) or column (right).
pub(in crate::check) fn matmul_integer(call: &Call) -> Found {
    let found = matmul(call)?;
    for (zero, of, back) in [(2, 0, 2), (3, 1, 1)] {
        let (Some([length]), Some(dims)) = (call.dims(zero), call.dims(of)) else {
            continue;
        };
        let each = dims.len().checked_sub(back).map(|i| &dims[i]);
        let single = length.as_ref().and_then(|e| e.as_number()) == Some(1);
        if !single && each.is_none_or(|d| same(length, d).is_none()) {
            let (length, dims) = (extent_text(length), super::dims_text(dims));
            return fault(
                Rule::Shape,
                format!("{length} zero points (input {zero}) for {dims}"),
            );
        }
    }
    Ok(found)
}

pub(in crate::check) fn gemm(call: &Call) -> Found {
    call.rank(0, 2)?;
    call.rank(1, 2)?;
    let (Some([a0, a1]), Some([b0, b1])) = (call.dims(0), call.dims(1)) else {
        return call.unknown();
    };
    let swap = |turned, x, y| if turned { (y, x) } else { (x, y) };
    let (m, k_a) = swap(call.flag("transA", false)?, a0, a1);
    let (k_b, n) = swap(call.flag("transB", false)?, b0, b1);
    inner(k_a, k_b)?;
    let dims = vec![m.clone(), n.clone()];
    if let Some(c) = call.dims(2) {
        broadcast_to(c, &dims, "C")?;
    }
    call.shaped(dims)
}
