//! Operators that move values or surround them.

use super::{Call, Fact, Found, axes, axis};

pub(super) fn reshape(call: &Call) -> Found {
    let x = call.get(0)?;
    let asked = call.ints(1)?;
    if call.flag("allowzero", false)? || asked.len() > 8 {
        return Err(format!("has a shape of zeros or too long: {asked:?}"));
    }
    let wrong = || format!("cannot make {asked:?} of {:?}", x.dims);
    let mut dims = Vec::new();
    let mut free = None;
    for (i, d) in asked.iter().enumerate() {
        dims.push(match *d {
            0 => *x.dims.get(i).ok_or_else(wrong)?,
            -1 if free.is_none() => {
                free = Some(i);
                1
            }
            d => usize::try_from(d).map_err(|_| wrong())?,
        });
    }
    let (volume, rest) = (x.volume(), super::volume(&dims));
    if let Some(at) = free {
        if rest == 0 || volume % rest != 0 {
            return Err(wrong());
        }
        dims[at] = usize::try_from(volume / rest).map_err(|_| wrong())?;
    } else if rest != volume {
        return Err(wrong());
    }
    let ints = x.ints.clone().filter(|_| dims.len() <= 1);
    Ok(vec![Fact::new(x.elem, dims).with(ints)])
}

pub(super) fn squeeze(call: &Call) -> Found {
    let x = call.get(0)?;
    let gone = axes(call.ints(1)?, x.dims.len())?;
    if gone.iter().any(|a| x.dims[*a] != 1) {
        return Err(format!("drops axes {gone:?} of {:?}", x.dims));
    }
    let kept = x.dims.iter().enumerate();
    let kept = kept.filter(|(i, _)| !gone.contains(i)).map(|(_, d)| *d);
    Ok(vec![Fact::new(x.elem, kept.collect()).with(x.ints.clone())])
}

pub(super) fn unsqueeze(call: &Call) -> Found {
    let x = call.get(0)?;
    let new = call.ints(1)?;
    let rank = x.dims.len() + new.len();
    if rank > 8 {
        return Err(format!("makes {rank} dimensions"));
    }
    let new = axes(new, rank)?;
    let mut old = x.dims.iter();
    let dims = (0..rank).map(|i| match new.contains(&i) {
        true => 1,
        false => old.next().copied().unwrap_or(1),
    });
    let dims: Vec<usize> = dims.collect();
    let ints = x.ints.clone().filter(|_| rank <= 1);
    Ok(vec![Fact::new(x.elem, dims).with(ints)])
}

pub(super) fn transpose(call: &Call) -> Found {
    let x = call.get(0)?;
    let rank = x.dims.len();
    let order: Vec<usize> = match call.list("perm") {
        None => (0..rank).rev().collect(),
        Some(perm) => {
            axes(perm, rank)?;
            perm.iter()
                .map(|a| axis(*a, rank))
                .collect::<Result<_, _>>()?
        }
    };
    if order.len() != rank || call.list("perm").is_some_and(|p| p.iter().any(|a| *a < 0)) {
        return Err(format!("perm is no order of {rank} axes"));
    }
    call.one(x.elem, order.iter().map(|a| x.dims[*a]).collect())
}

pub(super) fn pad(call: &Call) -> Found {
    let x = call.get(0)?;
    let mode = call.node.attribute.iter().find(|a| a.name == "mode");
    if mode.is_some_and(|m| m.s != b"constant") {
        return Err("pads with something other than a constant".into());
    }
    if let Some(value) = call.option(2)
        && (value.elem != x.elem || value.volume() != 1)
    {
        return Err("pads with what is no single value of its type".into());
    }
    let rank = x.dims.len();
    let along: Vec<usize> = match call.option(3) {
        None => (0..rank).collect(),
        Some(_) if call.opset < 18 => return Err("has no axes before opset 18".into()),
        Some(_) => {
            let given = call.ints(3)?;
            axes(given, rank)?;
            given
                .iter()
                .map(|a| axis(*a, rank))
                .collect::<Result<_, _>>()?
        }
    };
    let pads = call.ints(1)?;
    if pads.len() != 2 * along.len() {
        return Err(format!(
            "has {} widths for {} axes",
            pads.len(),
            along.len()
        ));
    }
    let mut dims = x.dims.clone();
    for (i, a) in along.iter().enumerate() {
        let sides = [pads[i], pads[along.len() + i]].map(|n| usize::try_from(n).ok());
        let whole = sides
            .into_iter()
            .try_fold(dims[*a], |n, side| n.checked_add(side?));
        dims[*a] = whole.ok_or("has widths that are negative, huge or computed")?;
    }
    call.one(x.elem, dims)
}
