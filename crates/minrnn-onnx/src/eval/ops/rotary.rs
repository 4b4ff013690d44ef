//! RotaryEmbedding, of the standard and of `com.microsoft`.

use super::{Array, Call, Done, Fault, Kind, Op, microsoft, smooth};

pub(super) const OPS: &[Op] = &[
    smooth("RotaryEmbedding", 23, |c| {
        let positions = match c.opt(3) {
            Some(_) => Some(c.sizes(3)?),
            None => None,
        };
        rotate(c, [1, 2], positions, false)
    }),
    microsoft("RotaryEmbedding", Kind::Smooth, |c| {
        if c.flag("is_packed_batching", false)? {
            return Err(Fault::attribute("is_packed_batching", "1 is not evaluated"));
        }
        let scale = c.float("scale", 1.0)?;
        if scale != 1.0 {
            return Err(Fault::attribute("scale", "other than 1 is not evaluated"));
        }
        rotate(c, [2, 3], Some(c.sizes(1)?), true)
    }),
];

/// Positions: one for each row and time; with `counted`, one number is where every row begins.
fn rotate(call: &Call, caches: [usize; 2], positions: Option<Vec<usize>>, counted: bool) -> Done {
    let (x, v) = (call.x(0)?, call.floats(0)?);
    let heads = call.opt_size("num_heads")?.unwrap_or(0);
    let part = call.opt_size("rotary_embedding_dim")?.unwrap_or(0);
    let interleaved = call.flag("interleaved", false)?;
    let (cos, sin) = (call.floats(caches[0])?, call.floats(caches[1])?);
    let dims = call.x(caches[0])?.dims();
    if dims != call.x(caches[1])?.dims() {
        return Err(Fault::input(
            caches[1],
            "has another shape than the cosines",
        ));
    }
    let half = dims.last().copied().unwrap_or(0);
    let (batch, time, heads, width, by_head) = match *x.dims() {
        [_, h, _, _] if heads != 0 && heads != h => {
            return Err(Fault::attribute(
                "num_heads",
                format!("{heads}, the input has {h}"),
            ));
        }
        [b, h, t, w] => (b, t, h, w, true),
        [b, t, w] => {
            // Microsoft's takes the width of a head from the caches where no heads are given.
            let heads = if heads == 0 && counted && part == 0 && half > 0 {
                w / (2 * half)
            } else {
                heads
            };
            if heads == 0 || !w.is_multiple_of(heads) {
                return Err(Fault::attribute(
                    "num_heads",
                    format!("{heads} heads of {w}"),
                ));
            }
            (b, t, heads, w / heads, false)
        }
        _ => {
            return Err(Fault::input(
                0,
                format!("{:?}, wanted 3 or 4 axes", x.dims()),
            ));
        }
    };
    let part = if part == 0 { width } else { part };
    if part > width || !part.is_multiple_of(2) || half != part / 2 {
        return Err(Fault::Shape(format!(
            "{part} of {width} turned by {half} angles"
        )));
    }
    let angle = |b: usize, t: usize| -> Result<usize, Fault> {
        let (row, rows) = match &positions {
            Some(p) if counted && p.len() == 1 => (p[0].saturating_add(t), dims.first().copied()),
            Some(p) => (
                *p.get(b * time + t).unwrap_or(&usize::MAX),
                dims.first().copied(),
            ),
            None if dims == [batch, time, half] => (b * time + t, Some(batch * time)),
            None => {
                return Err(Fault::input(
                    caches[0],
                    "wanted [batch, time, half] without positions",
                ));
            }
        };
        match rows {
            Some(rows) if row < rows && (positions.is_none() || dims.len() == 2) => Ok(row * half),
            _ => Err(Fault::Value(format!("no angle for row {b} at {t}"))),
        }
    };
    if positions
        .as_ref()
        .is_some_and(|p| p.len() != batch * time && !(counted && p.len() == 1))
    {
        return Err(Fault::Shape(
            "positions are not one for each row and time".into(),
        ));
    }
    let mut out = v.to_vec();
    for b in 0..batch {
        for t in 0..time {
            let at = angle(b, t)?;
            for h in 0..heads {
                let begin = width
                    * if by_head {
                        (b * heads + h) * time + t
                    } else {
                        (b * time + t) * heads + h
                    };
                for i in 0..half {
                    let (one, two) = if interleaved {
                        (2 * i, 2 * i + 1)
                    } else {
                        (i, half + i)
                    };
                    let (a, b) = (v[begin + one], v[begin + two]);
                    let (c, s) = (cos[at + i], sin[at + i]);
                    out[begin + one] = c * a - s * b;
                    out[begin + two] = s * a + c * b;
                }
            }
        }
    }
    Ok(vec![Array::of_floats(x.dtype(), x.dims().to_vec(), out)])
}
