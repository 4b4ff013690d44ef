//! Operators on single values.

use crate::proto::DataType;

use super::{Call, Fact, Found, broadcast};

/// Of floats, and of numbers that a shape is made of.
pub(super) fn unary(call: &Call) -> Found {
    let x = call.get(0)?;
    if x.elem == DataType::Bool {
        return Err("takes numbers".into());
    }
    call.one(x.elem, x.dims.clone())
}

pub(super) fn same(call: &Call) -> Found {
    Ok(vec![call.get(0)?.clone()])
}

/// All inputs are of one type and repeated to one shape.
fn together(call: &Call, from: usize) -> Result<(DataType, Vec<usize>), String> {
    let first = call.get(from)?;
    let mut dims = first.dims.clone();
    for at in from + 1..call.inputs.len() {
        let next = call.get(at)?;
        if next.elem != first.elem {
            return Err("its inputs are of different types".into());
        }
        dims = broadcast(&dims, &next.dims)?;
    }
    Ok((first.elem, dims))
}

pub(super) fn arithmetic(call: &Call) -> Found {
    let (elem, dims) = together(call, 0)?;
    if elem == DataType::Bool {
        return Err("takes numbers".into());
    }
    let whole = !call.get(0)?.is_float();
    let op = call.node.op_type.as_str();
    if op == "Pow" && whole {
        return Err("takes floats".into());
    }
    if op == "Div" && whole {
        // The engine divides by what it finds, and a 0 ends the run in a panic.
        let divisor = call.get(1)?.ints.as_deref();
        if divisor.is_none_or(|d| d.iter().any(|n| *n <= 0)) {
            return Err("divides integers by what is no number above 0".into());
        }
    }
    let mut found = Fact::new(elem, dims);
    if elem == DataType::Int64 && found.dims.len() <= 1 {
        let ints = content(call, op, found.volume())?;
        found = found.with(ints);
    }
    Ok(vec![found])
}

/// Numbers that shapes are made of, computed as the engine does; where it would overflow, refused.
fn content(call: &Call, op: &str, count: u64) -> Result<Option<Vec<i64>>, String> {
    let known: Option<Vec<&[i64]>> = call
        .inputs
        .iter()
        .map(|i| i.and_then(|f| f.ints.as_deref()))
        .collect();
    let Some(known) = known.filter(|_| count <= super::MAX_CONTENT as u64) else {
        return Ok(None);
    };
    let get = |all: &[i64], i: usize| if all.len() == 1 { all[0] } else { all[i] };
    let one = |a: i64, b: i64| match op {
        "Add" => a.checked_add(b),
        "Sub" => a.checked_sub(b),
        "Mul" => a.checked_mul(b),
        // Of negative numbers some engines round to the floor.
        "Div" if a >= 0 => a.checked_div(b),
        "Min" => Some(a.min(b)),
        "Max" => Some(a.max(b)),
        _ => None,
    };
    let entry = |i: usize| {
        let mut values = known.iter().map(|k| get(k, i));
        let first = values.next()?;
        values.try_fold(first, one)
    };
    let all: Option<Vec<i64>> = (0..count as usize).map(entry).collect();
    all.map(Some)
        .ok_or_else(|| "its numbers are out of reach".into())
}

pub(super) fn compare(call: &Call) -> Found {
    let (_, dims) = together(call, 0)?;
    call.one(DataType::Bool, dims)
}

pub(super) fn logic(call: &Call) -> Found {
    let (elem, dims) = together(call, 0)?;
    if elem != DataType::Bool {
        return Err("takes truth values".into());
    }
    call.one(elem, dims)
}

pub(super) fn choose(call: &Call) -> Found {
    let condition = call.get(0)?;
    if condition.elem != DataType::Bool {
        return Err("chooses by what are no truth values".into());
    }
    let (elem, dims) = together(call, 1)?;
    call.one(elem, broadcast(&condition.dims, &dims)?)
}

pub(super) fn clip(call: &Call) -> Found {
    let x = call.get(0)?;
    for bound in (1..3).filter_map(|i| call.option(i)) {
        if bound.elem != x.elem || !bound.dims.is_empty() {
            return Err("has a bound that is no number of its type".into());
        }
    }
    call.one(x.elem, x.dims.clone())
}

pub(super) fn cast(call: &Call) -> Found {
    let x = call.get(0)?;
    let to = call.int("to").and_then(|n| i32::try_from(n).ok());
    let to = to.and_then(|n| DataType::try_from(n).ok());
    use DataType::*;
    match to {
        Some(to @ (Float | Double | Float16 | Int64 | Int32 | Int8 | Uint8 | Bool)) => {
            let ints = x.ints.clone().filter(|_| to == Int64);
            Ok(vec![Fact::new(to, x.dims.clone()).with(ints)])
        }
        _ => Err("casts to a type that no export has".into()),
    }
}
