//! Pooling.

use super::window::{LARGE, Window, spatial};
use super::{Array, Call, Done, Fault, Kind, Op, op, smooth};

pub(super) const OPS: &[Op] = &[
    op("MaxPool", 7, Kind::Chooses, max_pool),
    smooth("AveragePool", 7, average),
    smooth("LpPool", 7, lp),
    smooth("GlobalMaxPool", 7, |c| {
        global(c, |v| v.iter().fold(f64::NEG_INFINITY, |m, x| m.max(*x)))
    }),
    smooth("GlobalAveragePool", 7, |c| {
        global(c, |v| v.iter().sum::<f64>() / v.len() as f64)
    }),
    smooth("GlobalLpPool", 7, |c| {
        let p = c.int("p", 2)? as f64;
        global(c, |v| {
            v.iter().map(|x| x.abs().powf(p)).sum::<f64>().powf(1.0 / p)
        })
    }),
];

fn global(call: &Call, f: impl Fn(&[f64]) -> f64) -> Done {
    let (x, v) = (call.x(0)?, call.floats(0)?);
    let (n, c, size) = spatial(x)?;
    let area: usize = size.iter().product();
    let dims = [&[n, c][..], &vec![1; size.len()][..]].concat();
    let all = (0..n * c)
        .map(|i| f(&v[i * area..(i + 1) * area]))
        .collect();
    Ok(vec![Array::of_floats(x.dtype(), dims, all)])
}

fn window(
    call: &Call,
    size: &[usize],
    dilated_since: i64,
    ceil_since: i64,
) -> Result<Window, Fault> {
    let kernel = call.opt_ints("kernel_shape")?.unwrap_or(&[]);
    let sizes: Option<Vec<usize>> = kernel
        .iter()
        .map(|d| usize::try_from(*d).ok().filter(|d| (1..LARGE).contains(d)))
        .collect();
    let sizes = sizes.filter(|k| k.len() == size.len());
    let sizes = sizes.ok_or_else(|| {
        Fault::attribute(
            "kernel_shape",
            format!("{kernel:?} for {} axes", size.len()),
        )
    })?;
    let ceil = call.opset >= ceil_since && call.flag("ceil_mode", false)?;
    Window::new(call, size, sizes, call.opset >= dilated_since, ceil)
}

/// Every window: the flat positions that it covers in a plane, with their places in the kernel.
fn windows(
    call: &Call,
    w: &Window,
    size: &[usize],
    planes: usize,
) -> Result<Vec<Vec<(usize, usize)>>, Fault> {
    let count = call.room(&w.output)?;
    call.spend(&[&[count, planes.max(1)][..], &w.kernel[..]].concat())?;
    Ok(w.places().iter().map(|p| w.covers(size, p)).collect())
}

fn max_pool(call: &Call) -> Done {
    let x = call.x(0)?;
    let (n, c, size) = spatial(x)?;
    let w = window(call, size, 10, 10)?;
    let by_column = match call.opset >= 8 {
        true => call.flag("storage_order", false)?,
        false => false,
    };
    let area: usize = size.iter().product();
    let covers = windows(call, &w, size, n * c)?;
    let larger = |a: usize, b: usize| match (x.floats(), x.ints()) {
        (Some(v), _) => v[a] > v[b] || v[a].is_nan() && !v[b].is_nan(),
        (_, Some(v)) => v[a] > v[b],
        _ => false,
    };
    let mut places = vec![];
    for plane in 0..n * c {
        for cover in &covers {
            let mut all = cover.iter().map(|(p, _)| plane * area + p);
            let first = all
                .next()
                .ok_or_else(|| Fault::Shape("a window that covers nothing".into()))?;
            places.push(all.fold(first, |m, i| if larger(i, m) { i } else { m }));
        }
    }
    let dims = [&[n, c][..], &w.output[..]].concat();
    let index = |flat: usize| {
        if !by_column {
            return flat as i64;
        }
        // Within a plane the first spatial axis counts fastest.
        let (mut rest, mut all) = (flat % area, vec![]);
        for d in size.iter().rev() {
            all.push(rest % d);
            rest /= d;
        }
        let own = all
            .iter()
            .zip(size.iter().rev())
            .fold(0, |at, (p, d)| at * d + p);
        (flat / area * area + own) as i64
    };
    let indices = Array::of_i64s(dims.clone(), places.iter().map(|p| index(*p)));
    Ok(vec![x.pick(dims, places.into_iter()), indices])
}

fn average(call: &Call) -> Done {
    let (x, v) = (call.x(0)?, call.floats(0)?);
    let (n, c, size) = spatial(x)?;
    let w = window(call, size, 19, 10)?;
    let with_pads = call.flag("count_include_pad", false)?;
    let area: usize = size.iter().product();
    let covers = windows(call, &w, size, n * c)?;
    // With padding counted, what lies in it counts, but not what lies beyond it.
    let counted: Vec<f64> = w
        .places()
        .iter()
        .zip(&covers)
        .map(|(at, cover)| match with_pads {
            false => cover.len() as f64,
            true => (0..size.len())
                .map(|i| {
                    let begin = (at[i] * w.strides[i]) as i64 - w.before[i];
                    let inside = |j: &usize| {
                        size[i] as i64 + w.after[i] > begin + (j * w.dilations[i]) as i64
                    };
                    (0..w.kernel[i]).filter(inside).count() as f64
                })
                .product(),
        })
        .collect();
    let mut out = vec![];
    for plane in 0..n * c {
        for (cover, count) in covers.iter().zip(&counted) {
            out.push(cover.iter().map(|(p, _)| v[plane * area + p]).sum::<f64>() / count);
        }
    }
    let dims = [&[n, c][..], &w.output[..]].concat();
    Ok(vec![Array::of_floats(x.dtype(), dims, out)])
}

fn lp(call: &Call) -> Done {
    let (x, v) = (call.x(0)?, call.floats(0)?);
    let (n, c, size) = spatial(x)?;
    let w = window(call, size, 18, 18)?;
    let p = call.int("p", 2)? as f64;
    let area: usize = size.iter().product();
    let covers = windows(call, &w, size, n * c)?;
    let mut out = vec![];
    for plane in 0..n * c {
        for cover in &covers {
            let sum: f64 = cover
                .iter()
                .map(|(at, _)| v[plane * area + at].abs().powf(p))
                .sum();
            out.push(sum.powf(1.0 / p));
        }
    }
    let dims = [&[n, c][..], &w.output[..]].concat();
    Ok(vec![Array::of_floats(x.dtype(), dims, out)])
}
