//! Operators that make values from attributes or shapes, and Cast.

use super::layout::negative;
use super::{Call, Found, MAX_CONTENT};
use crate::check::types::{Info, fault};
use crate::check::{Expr, Rule};
use crate::ir::{Attr, DType, Tensor, TensorData};

/// Entries of an integer or boolean tensor.
fn integers(tensor: &Tensor) -> Option<Vec<i64>> {
    let TensorData::Bytes(bytes) = &tensor.data else {
        return None;
    };
    match tensor.dtype {
        DType::I64 => tensor.to_i64(),
        DType::I32 => Some(
            bytes
                .chunks_exact(4)
                .map(|c| i64::from(i32::from_le_bytes([c[0], c[1], c[2], c[3]])))
                .collect(),
        ),
        DType::Bool | DType::U8 => Some(bytes.iter().map(|b| i64::from(*b)).collect()),
        DType::I8 => Some(bytes.iter().map(|b| i64::from(*b as i8)).collect()),
        _ => None,
    }
}

/// The type of a constant.
pub(in crate::check) fn constant(tensor: &Tensor) -> Info {
    let dims = tensor.dims.iter().map(|d| Some(Expr::number(*d))).collect();
    let mut info = Info::new(Some(tensor.dtype), Some(dims));
    let short = |d: &i64| (0..=MAX_CONTENT as i64).contains(d);
    if tensor.dims.len() <= 1 && tensor.dims.iter().all(short) && tensor.validate().is_ok() {
        info.content =
            integers(tensor).map(|values| values.into_iter().map(Expr::number).collect());
    }
    info
}

pub(in crate::check) fn constant_node(call: &Call) -> Found {
    let [(name, attr)] = call.node.attributes.as_slice() else {
        let got = call.node.attributes.len();
        return fault(
            Rule::Attribute,
            format!("has {got} of its value attributes, wanted one"),
        );
    };
    let single = |dtype| Info::new(Some(dtype), Some(vec![]));
    let vector = |dtype, n: usize| {
        let count = Some(Expr::number(n as i64));
        Info::new(Some(dtype), Some(vec![count]))
    };
    let numbers =
        |v: &[i64]| (v.len() <= MAX_CONTENT).then(|| v.iter().copied().map(Expr::number).collect());
    let info = match attr {
        Attr::Tensor(t) => {
            if let Err(problem) = t.validate() {
                return fault(Rule::Constant, format!("{name}: {problem}"));
            }
            constant(t)
        }
        Attr::Int(n) => Info {
            content: numbers(&[*n]),
            ..single(DType::I64)
        },
        Attr::Ints(v) => Info {
            content: numbers(v),
            ..vector(DType::I64, v.len())
        },
        Attr::Float(_) => single(DType::F32),
        Attr::Floats(v) => vector(DType::F32, v.len()),
        Attr::Str(_) => single(DType::Str),
        Attr::Strs(v) => vector(DType::Str, v.len()),
        _ => Info::default(),
    };
    Ok(vec![info])
}

pub(in crate::check) fn constant_of_shape(call: &Call) -> Found {
    call.rank(0, 1)?;
    let mut dtype = DType::F32;
    let mut fill = None;
    if let Some(Attr::Tensor(t)) = call.node.attr("value") {
        if let Err(problem) = t.validate() {
            return fault(Rule::Constant, format!("value: {problem}"));
        }
        if t.len().ok() != Some(1) {
            return fault(
                Rule::Attribute,
                format!("value has the shape {:?}, wanted one entry", t.dims),
            );
        }
        dtype = t.dtype;
        fill = integers(t).and_then(|v| v.first().copied());
    }
    let Some(shape) = call.content(0) else {
        let rank = call.dims(0).and_then(|d| d.first()?.as_ref()?.as_number());
        let rank = rank.and_then(|n| usize::try_from(n).ok());
        let dims = rank.filter(|n| *n <= MAX_CONTENT).map(|n| vec![None; n]);
        return Ok(vec![Info::new(Some(dtype), dims)]);
    };
    negative(shape)?;
    let mut info = Info::new(Some(dtype), Some(shape.iter().cloned().map(Some).collect()));
    let count = match shape {
        [] => Some(1),
        [n] => n.as_number().and_then(|n| usize::try_from(n).ok()),
        _ => None,
    };
    info.content = fill
        .zip(count.filter(|n| *n <= MAX_CONTENT))
        .map(|(v, n)| vec![Expr::number(v); n]);
    Ok(vec![info])
}

pub(in crate::check) fn range(call: &Call) -> Found {
    (0..3).try_for_each(|i| call.rank(i, 0))?;
    let entry = |i: usize| call.content(i).and_then(<[_]>::first);
    let step = entry(2).and_then(Expr::as_number);
    if step == Some(0) {
        return fault(Rule::Shape, "a range in steps of 0 does not end");
    }
    let (start, limit) = (entry(0), entry(1));
    let ends = start.zip(limit).zip(step);
    let count = ends.and_then(|((start, limit), step)| {
        let (way, step) = if step > 0 {
            (limit.sub(start)?, step)
        } else {
            (start.sub(limit)?, step.checked_neg()?)
        };
        if way.at_most(&Expr::number(0)) {
            return Some(Expr::number(0));
        }
        way.add(&Expr::number(step - 1))?.div(&Expr::number(step))
    });
    let mut info = Info::new(call.out[0], Some(vec![count.clone()]));
    let known = count
        .and_then(|c| c.as_number())
        .filter(|n| (0..=MAX_CONTENT as i64).contains(n));
    info.content = known.zip(start.zip(step)).and_then(|(n, (start, step))| {
        (0..n)
            .map(|i| start.add(&Expr::number(i.checked_mul(step)?)))
            .collect()
    });
    Ok(vec![info])
}

pub(in crate::check) fn cast(call: &Call) -> Found {
    call.flag("saturate", true)?;
    call.word("round_mode", &["up", "down", "nearest"])?;
    let code = call.int("to", 0);
    let Some(to) = i32::try_from(code).ok().and_then(DType::from_code) else {
        return fault(Rule::Attribute, format!("to {code} is no element type"));
    };
    let mut info = Info::new(Some(to), call.dims(0).map(<[_]>::to_vec));
    let numbers: Option<Vec<i64>> = call
        .content(0)
        .and_then(|c| c.iter().map(Expr::as_number).collect());
    info.content = match to {
        DType::I64 => call.content(0).map(<[_]>::to_vec),
        DType::I32 => numbers
            .filter(|v| v.iter().all(|n| i32::try_from(*n).is_ok()))
            .map(|v| v.into_iter().map(Expr::number).collect()),
        DType::Bool => numbers.map(|v| {
            v.into_iter()
                .map(|n| Expr::number(i64::from(n != 0)))
                .collect()
        }),
        _ => None,
    };
    Ok(vec![info])
}
