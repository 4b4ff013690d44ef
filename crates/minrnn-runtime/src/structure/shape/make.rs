//! Operators that make values out of shapes and attributes.

use crate::proto::DataType;

use super::{Call, Fact, Found, broadcast};

pub(super) fn shape(call: &Call) -> Found {
    let dims = &call.get(0)?.dims;
    let rank = dims.len() as i64;
    let bound = |name: &str, default: i64| {
        let n = call.int(name).unwrap_or(default);
        let n = if n < 0 { n.saturating_add(rank) } else { n };
        n.clamp(0, rank) as usize
    };
    if call.opset < 15 && (call.int("start").is_some() || call.int("end").is_some()) {
        return Err("has no start and end before opset 15".into());
    }
    let (start, end) = (bound("start", 0), bound("end", rank));
    let ints = dims.get(start..end).unwrap_or_default();
    Ok(vec![Fact::vector(ints.iter().map(|d| *d as i64).collect())])
}

pub(super) fn constant(call: &Call) -> Found {
    let [attr] = call.node.attribute.as_slice() else {
        return Err("has not exactly one value".into());
    };
    let fact = match attr.name.as_str() {
        "value" => {
            let data = attr.t.as_ref().ok_or("has no value")?;
            Fact::of(data).ok_or("has a value of no known shape")?
        }
        "value_int" => Fact::new(DataType::Int64, vec![]).with(Some(vec![attr.i])),
        "value_ints" => Fact::vector(attr.ints.clone()),
        "value_float" => Fact::new(DataType::Float, vec![]),
        _ => Fact::new(DataType::Float, vec![attr.floats.len()]),
    };
    Ok(vec![fact])
}

/// A shape as it is asked for.
fn asked(call: &Call, at: usize) -> Result<Vec<usize>, String> {
    let dims = call.ints(at)?;
    let sizes = dims.iter().map(|d| usize::try_from(*d).ok());
    let sizes: Option<Vec<usize>> = sizes.collect();
    sizes
        .filter(|s| s.len() <= 8)
        .ok_or_else(|| format!("asks for a tensor of shape {dims:?}"))
}

pub(super) fn fill(call: &Call) -> Found {
    let dims = asked(call, 0)?;
    let Some(attr) = call.node.attribute.first() else {
        return call.one(DataType::Float, dims);
    };
    let value = attr.t.as_ref().and_then(Fact::of);
    let value = value.filter(|v| v.volume() == 1);
    let value = value.ok_or("has a value that is not a single one")?;
    let count = super::volume(&dims);
    let each = value.ints.and_then(|v| v.first().copied());
    let few = count <= super::MAX_CONTENT as u64 && dims.len() <= 1;
    let ints = each.filter(|_| few).map(|v| vec![v; count as usize]);
    Ok(vec![Fact::new(value.elem, dims).with(ints)])
}

pub(super) fn expand(call: &Call) -> Found {
    let x = call.get(0)?;
    call.one(x.elem, broadcast(&x.dims, &asked(call, 1)?)?)
}

/// Each axis so many times, one behind the other.
pub(super) fn tile(call: &Call) -> Found {
    let (x, times) = (call.get(0)?, call.ints(1)?);
    let wrong = || format!("repeats {:?} by {times:?}", x.dims);
    if times.len() != x.dims.len() {
        return Err(wrong());
    }
    let pairs = x.dims.iter().zip(times);
    let dims = pairs.map(|(dim, n)| dim.checked_mul(usize::try_from(*n).ok().filter(|n| *n > 0)?));
    let dims: Option<Vec<usize>> = dims.collect();
    call.one(x.elem, dims.ok_or_else(wrong)?)
}
