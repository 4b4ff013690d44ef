//! Pad: values around.

use super::{Array, Call, Done, Fault, Op, axes, smooth, strides};

pub(super) const OPS: &[Op] = &[smooth("Pad", 7, pad)];

/// For each position of `dims` where it comes from, axis by axis: outside of `from` it is `None`.
pub(super) fn moved(
    from: &[usize],
    dims: &[usize],
    source: impl Fn(usize, i64) -> Option<i64>,
) -> Vec<Option<usize>> {
    if dims.contains(&0) {
        return vec![];
    }
    let steps = strides(from);
    let mut all: Vec<Option<usize>> = vec![Some(0)];
    for (a, d) in dims.iter().enumerate() {
        let inside = |p: usize| {
            let at = source(a, p as i64)?;
            let at = usize::try_from(at).ok().filter(|i| *i < from[a])?;
            Some(at * steps[a] as usize)
        };
        let along: Vec<Option<usize>> = (0..*d).map(inside).collect();
        let mut next = Vec::with_capacity(all.len() * d);
        for base in &all {
            next.extend(along.iter().map(|p| Some((*base)? + (*p)?)));
        }
        all = next;
    }
    all
}

fn pad(call: &Call) -> Done {
    let x = call.x(0)?;
    let rank = x.dims().len();
    let (pads, on, value) = if call.opset < 11 {
        let pads = call
            .opt_ints("pads")?
            .ok_or_else(|| Fault::attribute("pads", "is missing"))?;
        let value = Array::of_floats(x.dtype(), vec![], vec![call.float("value", 0.0)?]);
        (pads.to_vec(), None, Some(value))
    } else {
        let on = if call.opset >= 18 {
            call.opt_i64s(3)?
        } else {
            None
        };
        (call.i64s(1)?, on, call.opt(2).cloned())
    };
    let on = match on {
        Some(all) => axes(&all, rank)?,
        None => (0..rank).collect(),
    };
    if pads.len() != 2 * on.len() {
        return Err(Fault::input(
            1,
            format!("{} widths for {} axes", pads.len(), on.len()),
        ));
    }
    if let Some(v) = &value {
        super::alike(x, v)?;
        if v.len() != 1 {
            return Err(Fault::input(2, "wanted one value"));
        }
    }
    let mode = call.word("mode", "constant")?;
    let (mut before, mut dims) = (vec![0i64; rank], x.dims().to_vec());
    for (i, a) in on.iter().enumerate() {
        before[*a] = pads[i];
        let size = (dims[*a] as i64)
            .checked_add(pads[i])
            .and_then(|n| n.checked_add(pads[on.len() + i]));
        dims[*a] = size
            .and_then(|n| usize::try_from(n).ok())
            .ok_or_else(|| Fault::Shape(format!("axis {a} would be cut to less than nothing")))?;
    }
    if mode != "constant" && x.is_empty() && !dims.contains(&0) {
        return Err(Fault::Shape(format!(
            "{:?} has nothing to pad with",
            x.dims()
        )));
    }
    if !matches!(mode, "constant" | "edge" | "reflect") && (mode != "wrap" || call.opset < 19) {
        return Err(super::wrong_word("mode", mode));
    }
    call.room(&dims)?;
    let from = moved(x.dims(), &dims, |a, p| {
        let (i, n) = (p.saturating_sub(before[a]), x.dims()[a] as i64);
        Some(match mode {
            "edge" => i.clamp(0, n - 1),
            "wrap" => i.rem_euclid(n),
            "reflect" if n > 1 => {
                let around = i.rem_euclid(2 * (n - 1));
                around.min(2 * (n - 1) - around)
            }
            "reflect" => 0,
            _ => i,
        })
    });
    Ok(vec![x.pick_or(value.as_ref(), dims, from.into_iter())])
}
