//! Convolutions: sums over windows, of floats or integers.

use super::product::less_zero;
use super::window::{Window, pads, positive, spatial};
use super::{Array, Call, Done, Fault, Op, smooth};
use crate::ir::DType;

pub(super) const OPS: &[Op] = &[
    smooth("Conv", 7, |c| {
        super::alike(c.x(0)?, c.x(1)?)?;
        Ok(vec![conv(c, c.x(0)?, c.x(1)?, 2)?])
    }),
    smooth("ConvInteger", 10, conv_integer),
    smooth("ConvTranspose", 7, conv_transpose),
    smooth("QLinearConv", 10, qlinear),
];

fn groups(call: &Call) -> Result<usize, Fault> {
    match call.opt_size("group")?.unwrap_or(1) {
        0 => Err(Fault::attribute("group", "is 0")),
        n => Ok(n),
    }
}

fn kernel_shape(call: &Call, w: &[usize]) -> Result<(), Fault> {
    let fits = |k: &[i64]| {
        k.len() == w.len() && k.iter().zip(w).all(|(k, w)| usize::try_from(*k) == Ok(*w))
    };
    match call.opt_ints("kernel_shape")? {
        Some(k) if !fits(k) => Err(Fault::attribute(
            "kernel_shape",
            format!("{k:?}, the weights are {w:?}"),
        )),
        _ => Ok(()),
    }
}

fn conv(call: &Call, x: &Array, w: &Array, bias: usize) -> Result<Array, Fault> {
    let (batch, channels, size) = spatial(x)?;
    let group = groups(call)?;
    let (m, c, kernel) = spatial(w)?;
    kernel_shape(call, kernel)?;
    if kernel.len() != size.len()
        || c.checked_mul(group) != Some(channels)
        || !m.is_multiple_of(group)
    {
        return Err(Fault::Shape(format!(
            "weights {:?} in {group} groups for {:?}",
            w.dims(),
            x.dims()
        )));
    }
    let window = Window::new(call, size, kernel.to_vec(), true, false)?;
    let bias = call.opt(bias);
    if bias.is_some_and(|b| b.dims() != [m]) {
        return Err(Fault::Shape(format!("a bias for {m} channels")));
    }
    let dims = [&[batch, m][..], &window.output[..]].concat();
    let total = call.room(&dims)?;
    let (taps, area): (usize, usize) = (kernel.iter().product(), size.iter().product());
    call.room(&window.output)?;
    call.spend(&[total, taps, c])?;
    let places = window.places();
    let covers: Vec<Vec<(usize, usize)>> = places.iter().map(|p| window.covers(size, p)).collect();
    // (batch, filter, window) to the pairs of elements that it sums.
    let each = (0..batch).flat_map(|b| (0..m).map(move |f| (b, f)));
    let each = each.flat_map(|(b, f)| covers.iter().map(move |cover| (b, f, cover)));
    let pairs = |b: usize, f: usize, i: usize| {
        let channel = f / (m / group) * c + i;
        ((b * channels + channel) * area, (f * c + i) * taps)
    };
    Ok(match (x.floats(), w.floats(), x.ints(), w.ints()) {
        (Some(x_), Some(w_), ..) => {
            let bias = bias.map(Array::as_floats);
            let one = |(b, f, cover): (usize, usize, &Vec<(usize, usize)>)| {
                let start = bias.as_ref().map_or(0.0, |b| b[f]);
                let sum = (0..c).map(|i| {
                    let (from, by) = pairs(b, f, i);
                    cover
                        .iter()
                        .map(|(p, k)| x_[from + p] * w_[by + k])
                        .sum::<f64>()
                });
                sum.sum::<f64>() + start
            };
            Array::of_floats(x.dtype(), dims, each.map(one).collect())
        }
        (.., Some(x_), Some(w_)) => {
            let bias = bias.and_then(Array::ints);
            let one = |(b, f, cover): (usize, usize, &Vec<(usize, usize)>)| {
                let sum = (0..c).map(|i| {
                    let (from, by) = pairs(b, f, i);
                    cover
                        .iter()
                        .map(|(p, k)| x_[from + p] * w_[by + k])
                        .sum::<i128>()
                });
                sum.sum::<i128>() + bias.map_or(0, |b| b[f])
            };
            Array::of_ints(DType::I32, dims, each.map(one).collect())
        }
        _ => return Err(Fault::Type("floats beside integers".into())),
    })
}

fn conv_integer(call: &Call) -> Done {
    let x = less_zero(call, call.x(0)?, call.opt(2), 0)?;
    let w = call.x(1)?;
    let w = less_zero(call, w, call.opt(3), w.dims().len().saturating_sub(1))?;
    Ok(vec![conv(call, &x, &w, usize::MAX)?])
}

/// `saturate(round(conv * (scale_x * scale_w / scale_y)) + zero_y)`
fn qlinear(call: &Call) -> Done {
    let x = less_zero(call, call.x(0)?, call.opt(2), 0)?;
    let w = call.x(3)?;
    let w = less_zero(call, w, call.opt(5), w.dims().len().saturating_sub(1))?;
    let sums = conv(call, &x, &w, 8)?;
    let (scale_x, scale_y) = (call.one_float(1)?, call.one_float(6)?);
    let scale_w = call.floats(4)?;
    let (m, inner): (usize, usize) = (sums.dims()[1], sums.dims()[2..].iter().product());
    if scale_w.len() != 1 && scale_w.len() != m {
        return Err(Fault::input(
            4,
            format!("{} scales for {m} channels", scale_w.len()),
        ));
    }
    let zero = call.x(7)?;
    let at =
        |i: usize| scale_x * scale_w[if scale_w.len() == 1 { 0 } else { i / inner % m }] / scale_y;
    Ok(vec![super::quantize::requantize(&sums, at, zero)?])
}

fn conv_transpose(call: &Call) -> Done {
    let (x, w) = (call.x(0)?, call.x(1)?);
    super::alike(x, w)?;
    let (v, weights) = (call.floats(0)?, call.floats(1)?);
    let (batch, channels, size) = spatial(x)?;
    let group = groups(call)?;
    let (c, m, kernel) = spatial(w)?;
    kernel_shape(call, kernel)?;
    let n = size.len();
    if kernel.len() != n || c != channels || !c.is_multiple_of(group) {
        return Err(Fault::Shape(format!(
            "weights {:?} in {group} groups for {:?}",
            w.dims(),
            x.dims()
        )));
    }
    let (by, dilations) = (
        positive(call, "strides", n)?,
        positive(call, "dilations", n)?,
    );
    let extra = call
        .opt_ints("output_padding")?
        .map_or(vec![0; n], <[i64]>::to_vec);
    let wanted = call.opt_ints("output_shape")?;
    let (given, auto) = pads(call, n)?;
    if extra.len() != n || wanted.is_some_and(|w| w.len() != n) {
        return Err(Fault::attribute(
            "output_padding",
            "is not one for each axis",
        ));
    }
    let (mut before, after) = given.clone().unwrap_or((vec![0; n], vec![0; n]));
    let mut output = vec![];
    for i in 0..n {
        let extent = (kernel[i].saturating_sub(1)).saturating_mul(dilations[i]) as i64 + 1;
        let full = (size[i] as i64 - 1)
            .saturating_mul(by[i] as i64)
            .saturating_add(extent)
            .saturating_add(extra[i]);
        let out = match wanted {
            Some(w) => w[i],
            None if given.is_none() => size[i].saturating_mul(by[i]) as i64,
            None => full - before[i] - after[i],
        };
        if wanted.is_some() || given.is_none() {
            let pad = full.saturating_sub(out).max(0);
            before[i] = if auto == "SAME_UPPER" {
                pad / 2
            } else {
                pad - pad / 2
            };
        }
        output.push(
            usize::try_from(out)
                .map_err(|_| Fault::Shape("nothing is left of the output".into()))?,
        );
    }
    let outputs = m
        .checked_mul(group)
        .ok_or_else(|| Fault::Shape("too many channels".into()))?;
    let dims = [&[batch, outputs][..], &output[..]].concat();
    let total = call.room(&dims)?;
    let (area, taps, wide): (usize, usize, usize) = (
        size.iter().product(),
        kernel.iter().product(),
        output.iter().product(),
    );
    call.room(size)?;
    call.spend(&[batch, channels, area, m, taps])?;
    let bias = call.opt(2).map(Array::as_floats);
    if bias.as_ref().is_some_and(|b| b.len() != outputs) {
        return Err(Fault::input(2, format!("a bias for {outputs} channels")));
    }
    let mut out: Vec<f64> = (0..total)
        .map(|i| bias.as_ref().map_or(0.0, |b| b[i / wide % outputs]))
        .collect();
    // The windows of the convolution that this is the transpose of: they cover the output.
    let window = Window {
        kernel: kernel.to_vec(),
        strides: by,
        dilations,
        before,
        after,
        output: size.to_vec(),
    };
    for (at, place) in window.places().iter().enumerate() {
        let cover = window.covers(&output, place);
        for b in 0..batch {
            for i in 0..channels {
                let x = v[(b * channels + i) * area + at];
                let first = i / (channels / group) * m;
                for f in 0..m {
                    let (to, from) = ((b * outputs + first + f) * wide, (i * m + f) * taps);
                    cover
                        .iter()
                        .for_each(|(p, k)| out[to + p] += x * weights[from + k]);
                }
            }
        }
    }
    Ok(vec![Array::of_floats(x.dtype(), dims, out)])
}
