//! Products and reductions.

use crate::proto::DataType;

use super::{Call, Fact, Found, axes, axis, broadcast};

fn product(a: &Fact, b: &Fact, elem: DataType) -> Found {
    let wrong = || format!("{:?} and {:?} do not fit", a.dims, b.dims);
    let (Some((outer_a, [m, k])), Some((outer_b, [l, n]))) = (
        a.dims.split_last_chunk::<2>(),
        b.dims.split_last_chunk::<2>(),
    ) else {
        return Err(wrong());
    };
    if k != l {
        return Err(wrong());
    }
    let mut dims = broadcast(outer_a, outer_b)?;
    dims.extend([m, n]);
    Ok(vec![Fact::new(elem, dims)])
}

pub(super) fn matmul(call: &Call) -> Found {
    let (a, b) = (call.get(0)?, call.get(1)?);
    if a.elem != b.elem || !a.is_float() {
        return Err("takes floats of one type".into());
    }
    product(a, b, a.elem)
}

pub(super) fn matmul_integer(call: &Call) -> Found {
    let (a, b) = (call.get(0)?, call.get(1)?);
    let byte = |f: &Fact| matches!(f.elem, DataType::Int8 | DataType::Uint8);
    if !byte(a) || !byte(b) {
        return Err("takes bytes".into());
    }
    for (zero, of) in [(2, a), (3, b)] {
        if let Some(zero) = call.option(zero)
            && (zero.elem != of.elem || !zero.dims.is_empty())
        {
            return Err("has a zero point that is no single byte of its type".into());
        }
    }
    product(a, b, DataType::Int32)
}

pub(super) fn gemm(call: &Call) -> Found {
    let (a, b) = (call.get(0)?, call.get(1)?);
    let ([m, k], [l, n]) = (a.dims.as_slice(), b.dims.as_slice()) else {
        return Err("takes matrices".into());
    };
    let (m, k) = if call.flag("transA", false)? {
        (k, m)
    } else {
        (m, k)
    };
    let (l, n) = if call.flag("transB", false)? {
        (n, l)
    } else {
        (l, n)
    };
    if k != l || a.elem != b.elem || !a.is_float() {
        return Err(format!("{:?} and {:?} do not fit", a.dims, b.dims));
    }
    let dims = vec![*m, *n];
    if let Some(c) = call.option(2)
        && (c.elem != a.elem || broadcast(&dims, &c.dims)? != dims)
    {
        return Err("adds what does not fit".into());
    }
    call.one(a.elem, dims)
}

/// Input `[B, C, L]`, weight `[M, C / group, K]`: `[B, M, (L + pads - K) / stride + 1]`.
pub(super) fn conv(call: &Call) -> Found {
    let (x, w) = (call.get(0)?, call.get(1)?);
    let ([batch, channels, len], [outputs, each, kernel]) = (x.dims.as_slice(), w.dims.as_slice())
    else {
        return Err("takes one axis of steps".into());
    };
    let wrong = || format!("{:?} and {:?} do not fit", x.dims, w.dims);
    let group = usize::try_from(call.int("group").unwrap_or(1)).unwrap_or(0);
    let fits = group > 0
        && each.checked_mul(group) == Some(*channels)
        && outputs.is_multiple_of(group)
        && x.elem == w.elem
        && x.is_float();
    if !fits
        || call
            .list("kernel_shape")
            .is_some_and(|k| k != [*kernel as i64])
    {
        return Err(wrong());
    }
    if call.list("dilations").is_some_and(|d| d != [1]) {
        return Err("takes steps apart".into());
    }
    let stride = match call.list("strides") {
        None => 1,
        Some([n]) => usize::try_from(*n)
            .ok()
            .filter(|n| *n > 0)
            .ok_or("has no stride")?,
        Some(_) => return Err("has several strides".into()),
    };
    let pads = match call.list("pads") {
        None => [0, 0],
        Some([a, b]) => [*a, *b].map(|n| usize::try_from(n).unwrap_or(usize::MAX)),
        Some(_) => return Err("has other pads than two".into()),
    };
    let long = pads.iter().fold(*len, |n, p| n.saturating_add(*p));
    let room = long.checked_sub(*kernel).ok_or_else(wrong)?;
    call.one(x.elem, vec![*batch, *outputs, room / stride + 1])
}

pub(super) fn softmax(call: &Call) -> Found {
    let x = call.get(0)?;
    call.axis(-1, x.dims.len())?;
    if !x.is_float() {
        return Err("takes floats".into());
    }
    call.one(x.elem, x.dims.clone())
}

pub(super) fn layer_norm(call: &Call) -> Found {
    let x = call.get(0)?;
    call.axis(-1, x.dims.len())?;
    for at in 1..call.inputs.len() {
        let Some(weight) = call.option(at) else {
            continue;
        };
        if weight.elem != x.elem || broadcast(&x.dims, &weight.dims)? != x.dims {
            return Err(format!("scales {:?} by {:?}", x.dims, weight.dims));
        }
    }
    if !x.is_float() || call.int("stash_type").is_some_and(|t| t != 1) {
        return Err("takes floats and computes in f32".into());
    }
    call.one(x.elem, x.dims.clone())
}

/// Sums along an axis that is a number.
pub(super) fn sums(call: &Call) -> Found {
    let (x, along) = (call.get(0)?, call.get(1)?);
    let number = along.ints.as_deref().filter(|_| along.dims.is_empty());
    let Some([at]) = number else {
        return Err("sums along what is no number".into());
    };
    axis(*at, x.dims.len())?;
    if x.elem != DataType::Float {
        return Err("sums numbers of another type than f32".into());
    }
    call.one(x.elem, x.dims.clone())
}

/// Axes are an attribute, and an input from opset 18 on (ReduceSum: 13).
pub(super) fn reduce(call: &Call) -> Found {
    let x = call.get(0)?;
    let rank = x.dims.len();
    let by_input = call.opset >= 18 || call.node.op_type == "ReduceSum";
    let given = match (call.list("axes"), call.option(1)) {
        (Some(a), None) if !by_input => Some(a),
        (None, Some(_)) if by_input => Some(call.ints(1)?),
        (None, None) => None,
        _ => return Err("has its axes where its opset has none".into()),
    };
    let noop = call.flag("noop_with_empty_axes", false)?;
    let along = match given {
        Some(a) if !a.is_empty() => axes(a, rank)?,
        _ if noop => return Err("reduces nothing".into()),
        _ => (0..rank).collect(),
    };
    let keep = call.flag("keepdims", true)?;
    // A mean or a largest value of nothing is none.
    if along.iter().any(|a| x.dims[*a] == 0) || x.elem == DataType::Bool {
        return Err(format!("reduces axes {along:?} of {:?}", x.dims));
    }
    let size = |(i, d): (usize, &usize)| match along.contains(&i) {
        true => keep.then_some(1),
        false => Some(*d),
    };
    call.one(x.elem, x.dims.iter().enumerate().filter_map(size).collect())
}
