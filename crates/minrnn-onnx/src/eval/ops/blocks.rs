//! Operators that move blocks, turn rows around, keep triangles or the middle.

use super::layout::{shaped, turned};
use super::{Call, Done, Fault, Op, axes, rank, smooth};

pub(super) const OPS: &[Op] = &[
    smooth("DepthToSpace", 7, depth_to_space),
    smooth("SpaceToDepth", 7, space_to_depth),
    smooth("ReverseSequence", 10, reverse_sequence),
    smooth("Trilu", 14, trilu),
    smooth("CenterCropPad", 18, crop),
];

/// `[b, c, h, w]` and the size of a block.
fn image(call: &Call) -> Result<([usize; 4], usize), Fault> {
    let x = call.x(0)?;
    let Ok(dims) = <[usize; 4]>::try_from(x.dims()) else {
        return Err(Fault::input(0, "wanted [N, C, H, W]"));
    };
    match call.opt_size("blocksize")? {
        Some(n) if n > 0 && n < 1 << 12 => Ok((dims, n)),
        _ => Err(Fault::attribute(
            "blocksize",
            "wanted a number from 1 to 4095",
        )),
    }
}

fn depth_to_space(call: &Call) -> Done {
    let ([b, c, h, w], n) = image(call)?;
    let mode = match call.opset < 11 {
        true => "DCR",
        false => call.word("mode", "DCR")?,
    };
    if !c.is_multiple_of(n * n) {
        return Err(Fault::Shape(format!("{c} channels in blocks of {n} x {n}")));
    }
    let d = c / (n * n);
    let (split, perm) = match mode {
        "DCR" => (vec![b, n, n, d, h, w], [0, 3, 4, 1, 5, 2]),
        "CRD" => (vec![b, d, n, n, h, w], [0, 1, 4, 2, 5, 3]),
        word => return Err(super::wrong_word("mode", word)),
    };
    let whole = turned(&shaped(call.x(0)?, split)?, &perm);
    Ok(vec![shaped(&whole, vec![b, d, h * n, w * n])?])
}

fn space_to_depth(call: &Call) -> Done {
    let ([b, c, h, w], n) = image(call)?;
    let mode = match call.opset < 28 {
        true => "DCR",
        false => call.word("mode", "DCR")?,
    };
    if !h.is_multiple_of(n) || !w.is_multiple_of(n) {
        return Err(Fault::Shape(format!("{h} x {w} in blocks of {n}")));
    }
    let x = shaped(call.x(0)?, vec![b, c, h / n, n, w / n, n])?;
    let perm = match mode {
        "DCR" => [0, 3, 5, 1, 2, 4],
        "CRD" => [0, 1, 3, 5, 2, 4],
        word => return Err(super::wrong_word("mode", word)),
    };
    Ok(vec![shaped(
        &turned(&x, &perm),
        vec![b, c * n * n, h / n, w / n],
    )?])
}

fn reverse_sequence(call: &Call) -> Done {
    let (x, lens) = (call.x(0)?, call.sizes(1)?);
    rank(x, 2)?;
    let (time, batch) = match (call.int("time_axis", 0)?, call.int("batch_axis", 1)?) {
        (0, 1) => (0, 1),
        (1, 0) => (1, 0),
        _ => {
            return Err(Fault::attribute(
                "time_axis",
                "time and batch are axes 0 and 1",
            ));
        }
    };
    if lens.len() != x.dims()[batch] || lens.iter().any(|l| *l > x.dims()[time]) {
        return Err(Fault::input(
            1,
            "is not one length for each row, within the time",
        ));
    }
    let inner: usize = x.dims()[2..].iter().product();
    let second = x.dims()[1];
    let from = |flat: usize| {
        let (i, j, k) = (flat / inner / second, flat / inner % second, flat % inner);
        let (t, b) = if time == 0 { (i, j) } else { (j, i) };
        let t = if t < lens[b] { lens[b] - 1 - t } else { t };
        let (i, j) = if time == 0 { (t, b) } else { (b, t) };
        (i * second + j) * inner + k
    };
    Ok(vec![x.pick(x.dims().to_vec(), (0..x.len()).map(from))])
}

fn trilu(call: &Call) -> Done {
    let x = call.x(0)?;
    let n = rank(x, 2)?;
    let k = call
        .opt(1)
        .map(|_| call.one_i64(1))
        .transpose()?
        .unwrap_or(0);
    let upper = call.flag("upper", true)?;
    let (rows, columns) = (x.dims()[n - 2], x.dims()[n - 1]);
    let keep = |flat: usize| {
        let (r, c) = ((flat / columns % rows) as i64, (flat % columns) as i64);
        let edge = r.saturating_add(k);
        if upper { c >= edge } else { c <= edge }
    };
    Ok(vec![x.pick_or(
        None,
        x.dims().to_vec(),
        (0..x.len()).map(|i| keep(i).then_some(i)),
    )])
}

/// Cut or padded with zeros around the middle.
fn crop(call: &Call) -> Done {
    let (x, sizes) = (call.x(0)?, call.sizes(1)?);
    let n = x.dims().len();
    let on = match call.opt_ints("axes")? {
        Some(all) => axes(all, n)?,
        None => (0..n).collect(),
    };
    if on.len() != sizes.len() {
        return Err(Fault::input(1, "is not one size for each axis"));
    }
    let (mut dims, mut shift) = (x.dims().to_vec(), vec![0i64; n]);
    for (a, size) in on.iter().zip(&sizes) {
        let (old, new) = (dims[*a] as i64, *size as i64);
        // The middle of an odd difference lies towards the begin.
        shift[*a] = if old > new {
            (old - new) / 2
        } else {
            -((new - old) / 2)
        };
        dims[*a] = *size;
    }
    call.room(&dims)?;
    let from = super::pad::moved(x.dims(), &dims, |a, p| Some(p + shift[a]));
    Ok(vec![x.pick_or(None, dims, from.into_iter())])
}
