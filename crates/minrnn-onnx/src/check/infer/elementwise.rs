//! Elementwise operators, with broadcasting.

use super::{Call, Found, content, dims_text};
use crate::check::types::{Extent, Fault, Info, fault};
use crate::check::{Expr, Rule};

pub(in crate::check) fn same_shape(call: &Call) -> Found {
    let dims = call.dims(0).map(<[_]>::to_vec);
    let mut info = Info::new(call.out[0], dims);
    if call.node.op_type == "Neg" {
        let zero = Expr::number(0);
        info.content = call
            .content(0)
            .and_then(|c| c.iter().map(|e| zero.sub(e)).collect());
    }
    Ok(vec![info])
}

pub(in crate::check) fn gelu(call: &Call) -> Found {
    call.word("approximate", &["none", "tanh"])?;
    same_shape(call)
}

pub(in crate::check) fn clip(call: &Call) -> Found {
    call.rank(1, 0)?;
    call.rank(2, 0)?;
    same_shape(call)
}

pub(in crate::check) fn identity(call: &Call) -> Found {
    Ok(vec![call.get(0).cloned().unwrap_or_default()])
}

pub(in crate::check) fn not(call: &Call) -> Found {
    let mut found = same_shape(call)?;
    let one = Expr::number(1);
    found[0].content = call
        .content(0)
        .and_then(|c| c.iter().map(|e| one.sub(e)).collect());
    Ok(found)
}

/// Shape of all inputs together.
fn broadcast_all(call: &Call) -> Result<Option<Vec<Extent>>, Fault> {
    let dims: Option<Vec<&[Extent]>> = (0..call.inputs.len()).map(|i| call.dims(i)).collect();
    let Some(dims) = dims else { return Ok(None) };
    let all = dims.into_iter().try_fold(vec![], |a, b| broadcast(&a, b))?;
    Ok(Some(all))
}

/// Entries are followed in numbers and vectors only.
fn with_content(info: Info, content: Option<Vec<Expr>>) -> Found {
    let fits = info.rank().is_some_and(|r| r <= 1);
    Ok(vec![Info {
        content: content.filter(|_| fits),
        ..info
    }])
}

/// Add, Sub, Mul, Div, Min, Max.
pub(in crate::check) fn arithmetic(call: &Call) -> Found {
    let info = Info::new(call.out[0], broadcast_all(call)?);
    let mut rest = (1..call.inputs.len()).map(|i| call.content(i));
    let content = call.content(0).and_then(|first| {
        rest.try_fold(first.to_vec(), |a, b| {
            content::arithmetic(&call.node.op_type, &a, b?)
        })
    });
    with_content(info, content)
}

pub(in crate::check) fn pow(call: &Call) -> Found {
    Ok(vec![Info::new(call.out[0], broadcast_all(call)?)])
}

/// Equal, Less, .., And, Or, Xor.
pub(in crate::check) fn compare(call: &Call) -> Found {
    let info = Info::new(call.out[0], broadcast_all(call)?);
    let both = call.content(0).zip(call.content(1));
    let content = both.and_then(|(a, b)| content::compare(&call.node.op_type, a, b));
    with_content(info, content)
}

/// Where.
pub(in crate::check) fn choose(call: &Call) -> Found {
    let info = Info::new(call.out[0], broadcast_all(call)?);
    let content = call
        .content(0)
        .zip(call.content(1))
        .zip(call.content(2))
        .and_then(|((c, x), y)| content::choose(c, x, y));
    with_content(info, content)
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
                    let (a, b) = (dims_text(a), dims_text(b));
                    let detail = format!("{a} and {b} do not fit in dimension {i} of {rank}");
                    fault(Rule::Shape, detail)
                }
            }
        })
        .collect()
}

/// `small` must be repeatable to the shape of `large`, which stays as it is.
pub(super) fn broadcast_to(small: &[Extent], large: &[Extent], what: &str) -> Result<(), Fault> {
    let both = broadcast(small, large)?;
    let grown =
        both.len() > large.len() || both.iter().zip(large).any(|(b, l)| b != l && l.is_some());
    if grown {
        let (small, large) = (dims_text(small), dims_text(large));
        let detail = format!("{what} {small} cannot be repeated to {large}");
        return fault(Rule::Shape, detail);
    }
    Ok(())
}
