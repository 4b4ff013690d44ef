//! Normalisations.
//!
//! What subtracts a mean may be rounded inside, as engines do: a value that is its own mean (one entry, T = 1) leaves what subtracting
//! rounds, up to `1 / sqrt(epsilon)` times as large.

use super::{Array, Call, Done, Fault, Groups, Op, axes, rank, repeat, smooth};
use crate::ir::DType;

pub(super) const OPS: &[Op] = &[
    smooth("BatchNormalization", 7, batch),
    smooth("InstanceNormalization", 7, instance),
    smooth("LayerNormalization", 17, layer),
    smooth("RMSNormalization", 23, rms),
    smooth("GroupNormalization", 18, group),
    smooth("LpNormalization", 7, lp),
    smooth("MeanVarianceNormalization", 9, mean_variance),
    smooth("LRN", 7, lrn),
];

fn mean(v: &[f64]) -> f64 {
    v.iter().sum::<f64>() / v.len() as f64
}

/// The mean of a line as an engine may have it: in a run whose results are moved, off by last places of what it adds up. Of a line in
/// which nothing varies that is all that is left of a value less its mean.
fn mean_within(call: &Call, x: &Array, line: &[f64]) -> f64 {
    let dtype = match x.dtype() {
        DType::F64 => DType::F64,
        _ => DType::F32,
    };
    let slip = call.slip(dtype, line.len());
    let squares = || line.iter().map(|v| v * v).sum::<f64>() / line.len() as f64;
    match slip == 0.0 {
        true => mean(line),
        false => mean(line) + slip * squares().sqrt(),
    }
}

fn variance(v: &[f64], mean: f64) -> f64 {
    v.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / v.len() as f64
}

/// One number for each channel, axis 1, spread over `dims`.
fn channels(call: &Call, i: usize, dims: &[usize]) -> Result<Vec<f64>, Fault> {
    let (one, count) = (call.floats(i)?, dims.get(1).copied().unwrap_or(1));
    if one.len() != count {
        return Err(Fault::input(
            i,
            format!("{} values for {count} channels", one.len()),
        ));
    }
    let inner: usize = dims.iter().skip(2).product();
    let total = dims.iter().product::<usize>();
    Ok((0..total).map(|at| one[at / inner % count]).collect())
}

fn batch(call: &Call) -> Done {
    let (x, v) = (call.x(0)?, call.floats(0)?);
    rank(x, 1)?;
    let epsilon = call.float("epsilon", 1e-5)?;
    let momentum = call.float("momentum", 0.9)?;
    if call.opset < 9 && !call.flag("spatial", true)? {
        return Err(Fault::attribute("spatial", "0 is not evaluated"));
    }
    let training = call.opset >= 14 && call.flag("training_mode", false)?;
    let [scale, bias, mut means, mut variances] = [1, 2, 3, 4].map(|i| channels(call, i, x.dims()));
    let (scale, bias) = (scale?, bias?);
    let mut running = vec![];
    if training {
        let on: Vec<usize> = (0..x.dims().len()).filter(|a| *a != 1).collect();
        let g = Groups::new(call, x.dims(), &on)?;
        let lines: Vec<Vec<f64>> = g
            .begins
            .iter()
            .map(|b| g.of(*b).map(|i| v[i]).collect())
            .collect();
        let now: Vec<f64> = lines.iter().map(|l| mean(l)).collect();
        let spread: Vec<f64> = lines
            .iter()
            .zip(&now)
            .map(|(l, m)| variance(l, *m))
            .collect();
        for (i, now) in [(3, &now), (4, &spread)] {
            let old = call.floats(i)?.iter().zip(now);
            let next = old
                .map(|(o, n)| o * momentum + n * (1.0 - momentum))
                .collect();
            running.push(call.x(i)?.with(next));
        }
        let inner: usize = x.dims().iter().skip(2).product();
        let over = |one: &[f64]| Ok((0..v.len()).map(|at| one[at / inner % one.len()]).collect());
        (means, variances) = (over(&now), over(&spread));
    }
    let (means, variances) = (means?, variances?);
    let one = |i: usize| {
        let root = (variances[i] + epsilon).sqrt();
        placed(call, x, v[i], (means[i], root), (scale[i], bias[i]))
    };
    let y = x.with((0..v.len()).map(one).collect());
    Ok(std::iter::once(y).chain(running).collect())
}

/// `(v - mean) / root * scale + bias`. Engines fuse it to `v k + (bias - mean k)` with `k = scale / root`: a run that measures them is rounded so,
/// in f32 at least. Of one entry too, whose mean is the entry and whose result is the bias.
fn placed(
    call: &Call,
    x: &Array,
    v: f64,
    (mean, root): (f64, f64),
    (scale, bias): (f64, f64),
) -> f64 {
    let dtype = match x.dtype() {
        DType::F64 => DType::F64,
        _ => DType::F32,
    };
    if !call.is_fused() {
        return (v - mean) / root * scale + bias;
    }
    let k = call.settle(dtype, scale / root);
    let rest = call.settle(dtype, bias - call.settle(dtype, mean * k));
    call.settle(dtype, call.settle(dtype, v * k) + rest)
}

/// Every group with mean 0 and variance 1, times a scale and with a bias for each entry.
fn standard(
    call: &Call,
    x: &Array,
    v: &[f64],
    gone: &[usize],
    (epsilon, scale, bias): (f64, &[f64], &[f64]),
) -> Result<Vec<f64>, Fault> {
    let g = Groups::new(call, x.dims(), gone)?;
    let mut out = vec![0.0; v.len()];
    for b in &g.begins {
        let line: Vec<f64> = g.of(*b).map(|i| v[i]).collect();
        let m = mean_within(call, x, &line);
        let root = (variance(&line, m) + epsilon).sqrt();
        for i in g.of(*b) {
            out[i] = placed(call, x, v[i], (m, root), (scale[i], bias[i]));
        }
    }
    Ok(out)
}

fn instance(call: &Call) -> Done {
    let (x, v) = (call.x(0)?, call.floats(0)?);
    let n = rank(x, 3)?;
    let epsilon = call.float("epsilon", 1e-5)?;
    let (scale, bias) = (channels(call, 1, x.dims())?, channels(call, 2, x.dims())?);
    let on: Vec<usize> = (2..n).collect();
    let y = standard(call, x, v, &on, (epsilon, &scale, &bias))?;
    Ok(vec![x.with(y)])
}

/// The type in which mean and variance are left.
fn stash(call: &Call) -> Result<DType, Fault> {
    match call.int("stash_type", 1)? {
        1 => Ok(DType::F32),
        10 => Ok(DType::F16),
        11 => Ok(DType::F64),
        16 => Ok(DType::BF16),
        n => Err(Fault::attribute("stash_type", format!("{n} is no float"))),
    }
}

fn from_axis(call: &Call) -> Result<Vec<usize>, Fault> {
    let rank = call.x(0)?.dims().len();
    Ok((call.axis(-1, rank)?..rank).collect())
}

fn layer(call: &Call) -> Done {
    let (x, v) = (call.x(0)?, call.floats(0)?);
    let epsilon = call.float("epsilon", 1e-5)?;
    let (gone, stash) = (from_axis(call)?, stash(call)?);
    let g = Groups::new(call, x.dims(), &gone)?;
    let scale = repeat(call, call.x(1)?, x.dims())?;
    let scale = scale.as_floats();
    let bias = call.opt(2).map(|b| repeat(call, b, x.dims())).transpose()?;
    let bias = bias.map(|b| b.as_floats());
    let (mut out, mut means, mut roots) = (vec![0.0; v.len()], vec![], vec![]);
    for b in &g.begins {
        let line: Vec<f64> = g.of(*b).map(|i| v[i]).collect();
        let m = mean_within(call, x, &line);
        let root = (variance(&line, m) + epsilon).sqrt();
        for i in g.of(*b) {
            let bias = bias.as_ref().map_or(0.0, |b| b[i]);
            out[i] = placed(call, x, v[i], (m, root), (scale[i], bias));
        }
        means.push(m);
        roots.push(1.0 / root);
    }
    let left = |v| Array::of_floats(stash, g.dims.clone(), v);
    Ok(vec![x.with(out), left(means), left(roots)])
}

fn rms(call: &Call) -> Done {
    let (x, v) = (call.x(0)?, call.floats(0)?);
    let epsilon = call.float("epsilon", 1e-5)?;
    let (gone, _) = (from_axis(call)?, stash(call)?);
    let g = Groups::new(call, x.dims(), &gone)?;
    let scale = repeat(call, call.x(1)?, x.dims())?;
    let s = scale.as_floats();
    let mut out = vec![0.0; v.len()];
    for b in &g.begins {
        let square = g.of(*b).map(|i| v[i] * v[i]).sum::<f64>() / g.inner.len() as f64;
        let root = (square + epsilon).sqrt();
        g.of(*b).for_each(|i| out[i] = v[i] / root * s[i]);
    }
    Ok(vec![Array::of_floats(
        scale.dtype(),
        x.dims().to_vec(),
        out,
    )])
}

/// Scale and bias are one for each group in opset 18, one for each channel from 21 on.
fn group(call: &Call) -> Done {
    let (x, v) = (call.x(0)?, call.floats(0)?);
    rank(x, 2)?;
    let epsilon = call.float("epsilon", 1e-5)?;
    if call.opset >= 21 {
        stash(call)?;
    }
    let groups = call.opt_size("num_groups")?.unwrap_or(0);
    let (b, c) = (x.dims()[0], x.dims()[1]);
    if groups == 0 || !c.is_multiple_of(groups) {
        return Err(Fault::attribute(
            "num_groups",
            format!("{c} channels in {groups} groups"),
        ));
    }
    let inner: usize = x.dims()[2..].iter().product();
    let by_group = super::layout::shaped(x, vec![b, groups, c / groups * inner])?;
    let per = if call.opset >= 21 {
        x.dims().to_vec()
    } else {
        by_group.dims().to_vec()
    };
    let (scale, bias) = (channels(call, 1, &per)?, channels(call, 2, &per)?);
    let y = standard(call, &by_group, v, &[2], (epsilon, &scale, &bias))?;
    Ok(vec![x.with(y)])
}

fn lp(call: &Call) -> Done {
    let (x, v) = (call.x(0)?, call.floats(0)?);
    let at = call.axis(-1, x.dims().len())?;
    let p = call.int("p", 2)?;
    let g = Groups::new(call, x.dims(), &[at])?;
    let mut out = vec![0.0; v.len()];
    for b in &g.begins {
        let size = match p {
            1 => g.of(*b).map(|i| v[i].abs()).sum::<f64>(),
            2 => g.of(*b).map(|i| v[i] * v[i]).sum::<f64>().sqrt(),
            p => return Err(Fault::attribute("p", format!("is {p}, wanted 1 or 2"))),
        };
        // A line of zeros stays one.
        let by = if size == 0.0 { 1.0 } else { size };
        g.of(*b).for_each(|i| out[i] = v[i] / by);
    }
    Ok(vec![x.with(out)])
}

fn mean_variance(call: &Call) -> Done {
    let (x, v) = (call.x(0)?, call.floats(0)?);
    let on = axes(call.opt_ints("axes")?.unwrap_or(&[0, 2, 3]), x.dims().len())?;
    let g = Groups::new(call, x.dims(), &on)?;
    let mut out = vec![0.0; v.len()];
    for b in &g.begins {
        let line: Vec<f64> = g.of(*b).map(|i| v[i]).collect();
        let (m, root) = match call.is_fused() && line.len() > 1 {
            true => rounded_moments(call, x, &line),
            false => {
                let m = mean_within(call, x, &line);
                (m, variance(&line, m).sqrt())
            }
        };
        // The function that the standard gives adds this to the root.
        g.of(*b).for_each(|i| out[i] = (v[i] - m) / (root + 1e-9));
    }
    Ok(vec![x.with(out)])
}

/// Mean and root of the variance as the standard's function has them where each operation rounds: the mean of the squares less the square
/// of the mean, whose digits may all be rounding. A mean may be off by its last place; nothing is surer than that of the squares.
fn rounded_moments(call: &Call, x: &Array, line: &[f64]) -> (f64, f64) {
    let (dtype, eps) = match x.dtype() {
        DType::F64 => (DType::F64, f64::EPSILON),
        _ => (DType::F32, f64::from(f32::EPSILON)),
    };
    let settle = |v: f64| call.settle(dtype, v);
    let m = settle(settle(mean(line)) * (1.0 + eps));
    let squares: Vec<f64> = line.iter().map(|v| settle(v * v)).collect();
    let squares = settle(mean(&squares));
    let spread = settle(squares - settle(m * m)).abs();
    (m, settle(spread.max(eps * squares).sqrt()))
}

fn lrn(call: &Call) -> Done {
    let (x, v) = (call.x(0)?, call.floats(0)?);
    rank(x, 2)?;
    let (alpha, beta, bias) = (
        call.float("alpha", 1e-4)?,
        call.float("beta", 0.75)?,
        call.float("bias", 1.0)?,
    );
    let size = call.opt_size("size")?.filter(|n| *n > 0);
    let size = size.ok_or_else(|| Fault::attribute("size", "wanted a number above 0"))?;
    let c = x.dims()[1];
    let inner: usize = x.dims()[2..].iter().product();
    let one = |at: usize| {
        let (channel, rest) = (at / inner % c, at - at / inner % c * inner);
        let low = channel.saturating_sub((size - 1) / 2);
        let high = (channel + size / 2).min(c - 1);
        let squares: f64 = (low..=high).map(|k| v[rest + k * inner].powi(2)).sum();
        v[at] / (bias + alpha / size as f64 * squares).powf(beta)
    };
    call.spend(&[v.len(), size.min(c)])?;
    Ok(vec![x.with((0..v.len()).map(one).collect())])
}
