//! Operators over and along axes.

use super::{Array, Call, Done, Fault, Groups, Kind, Op, axes, axis, op, smooth};
use crate::eval::number::int_range;
use crate::ir::DType;

pub(super) const OPS: &[Op] = &[
    smooth("ReduceSum", 7, |c| reduce(c, 13, sum, Some(add))),
    smooth("ReduceMean", 7, |c| {
        reduce(c, 18, |v| sum(v) / v.len() as f64, Some(mean_ints))
    }),
    smooth("ReduceProd", 7, |c| {
        reduce(c, 18, |v| v.iter().product(), Some(multiply))
    }),
    smooth("ReduceMax", 7, |c| extreme(c, true)),
    smooth("ReduceMin", 7, |c| extreme(c, false)),
    smooth("ReduceL1", 7, |c| {
        reduce(
            c,
            18,
            |v| v.iter().map(|x| x.abs()).sum(),
            Some(|d, v| Ok(wrapped(d, v.iter().map(|n| n.abs())))),
        )
    }),
    smooth("ReduceL2", 7, |c| {
        reduce(c, 18, |v| squares(v).sqrt(), Some(root_of_squares))
    }),
    smooth("ReduceSumSquare", 7, |c| {
        reduce(
            c,
            18,
            squares,
            Some(|d, v| Ok(wrapped(d, v.iter().map(|n| n * n)))),
        )
    }),
    smooth("ReduceLogSum", 7, |c| {
        reduce(c, 18, |v| sum(v).ln(), Some(log_sum))
    }),
    smooth("ReduceLogSumExp", 7, |c| {
        reduce(c, 18, log_sum_exp, Some(log_sum_exp_ints))
    }),
    op("ArgMax", 7, Kind::Chooses, |c| arg(c, true)),
    op("ArgMin", 7, Kind::Chooses, |c| arg(c, false)),
    op("CumSum", 11, Kind::Inner, |c| {
        cumulate(c, 0, |a, b| a + b, |a, b| a + b)
    }),
    op("CumProd", 26, Kind::Inner, |c| {
        cumulate(c, 1, |a, b| a * b, |a, b| a.wrapping_mul(b))
    }),
];

/// Integers of a group to one.
type Ints = fn(DType, &[i128]) -> Result<i128, Fault>;

fn sum(v: &[f64]) -> f64 {
    v.iter().sum()
}

fn squares(v: &[f64]) -> f64 {
    v.iter().map(|x| x * x).sum()
}

fn wrapped(_: DType, v: impl Iterator<Item = i128>) -> i128 {
    v.fold(0, i128::wrapping_add)
}

fn add(d: DType, v: &[i128]) -> Result<i128, Fault> {
    Ok(wrapped(d, v.iter().copied()))
}

fn multiply(d: DType, v: &[i128]) -> Result<i128, Fault> {
    Ok(v.iter()
        .fold(1, |p, n| crate::eval::number::wrap(d, p.wrapping_mul(*n))))
}

/// Towards zero, as integers divide.
fn mean_ints(_: DType, v: &[i128]) -> Result<i128, Fault> {
    let total: i128 = v.iter().sum();
    total
        .checked_div(v.len() as i128)
        .ok_or_else(|| Fault::Value("the mean of no integers".into()))
}

fn root_of_squares(_: DType, v: &[i128]) -> Result<i128, Fault> {
    Ok((v.iter().map(|n| n * n).fold(0, i128::wrapping_add) as f64).sqrt() as i128)
}

fn log_sum(_: DType, v: &[i128]) -> Result<i128, Fault> {
    let total: i128 = v.iter().sum();
    match total > 0 {
        true => Ok((total as f64).ln() as i128),
        false => Err(Fault::Value(format!(
            "the logarithm of {total} as an integer"
        ))),
    }
}

fn log_sum_exp_ints(_: DType, v: &[i128]) -> Result<i128, Fault> {
    let all: Vec<f64> = v.iter().map(|n| *n as f64).collect();
    let one = log_sum_exp(&all);
    match one.is_finite() {
        true => Ok(one as i128),
        false => Err(Fault::Value("the logarithm of 0 as an integer".into())),
    }
}

fn log_sum_exp(v: &[f64]) -> f64 {
    let top = v.iter().fold(f64::NEG_INFINITY, |m, x| m.max(*x));
    if !top.is_finite() {
        // Nothing, or only -inf: log 0. With +inf in it: +inf. What is no number stays so.
        return v.iter().fold(top, |m, x| if x.is_nan() { *x } else { m });
    }
    v.iter().map(|x| (x - top).exp()).sum::<f64>().ln() + top
}

/// The axes that go; `None`: nothing is done.
fn gone(call: &Call, input_since: i64) -> Result<Option<Vec<usize>>, Fault> {
    let rank = call.x(0)?.dims().len();
    let (given, noop) = match call.opset < input_since {
        true => (call.opt_ints("axes")?.map(<[i64]>::to_vec), false),
        false => (call.opt_i64s(1)?, call.flag("noop_with_empty_axes", false)?),
    };
    Ok(match given {
        Some(all) if !all.is_empty() => Some(axes(&all, rank)?),
        _ if noop => None,
        _ => Some((0..rank).collect()),
    })
}

fn kept(call: &Call, x: Array, gone: &[usize]) -> Result<Array, Fault> {
    if call.flag("keepdims", true)? {
        return Ok(x);
    }
    let kept = (0..x.dims().len()).filter(|a| !gone.contains(a));
    Ok(x.shaped(kept.map(|a| x.dims()[a]).collect()))
}

fn reduce(call: &Call, since: i64, float: impl Fn(&[f64]) -> f64, int: Option<Ints>) -> Done {
    let x = call.x(0)?;
    let gone = gone(call, since)?;
    // Nothing reduced is still a function of each element: of one, in a group of its own.
    let gone = gone.unwrap_or_default();
    let noop = gone.is_empty() && !x.dims().is_empty();
    if noop
        && matches!(
            call.node.op_type.as_str(),
            "ReduceSum" | "ReduceMean" | "ReduceProd" | "ReduceMax" | "ReduceMin"
        )
    {
        call.flag("keepdims", true)?;
        return Ok(vec![x.clone()]);
    }
    let g = Groups::new(call, x.dims(), &gone)?;
    let result = match (x.floats(), x.ints()) {
        (Some(v), _) => {
            let one = |b: &usize| float(&g.of(*b).map(|i| v[i]).collect::<Vec<_>>());
            Array::of_floats(
                x.dtype(),
                g.dims.clone(),
                g.begins.iter().map(one).collect(),
            )
        }
        (_, Some(v)) => {
            let int = int.ok_or_else(|| Fault::input(0, "is no float"))?;
            if x.dtype() == DType::Bool {
                return Err(Fault::input(0, "is a boolean"));
            }
            let one = |b: &usize| int(x.dtype(), &g.of(*b).map(|i| v[i]).collect::<Vec<_>>());
            let all: Result<_, _> = g.begins.iter().map(one).collect();
            Array::of_ints(x.dtype(), g.dims.clone(), all?)
        }
        _ => return Err(Fault::input(0, "is no number")),
    };
    Ok(vec![kept(call, result, &gone)?])
}

/// The largest or smallest; of nothing the other end of the type.
fn extreme(call: &Call, largest: bool) -> Done {
    let x = call.x(0)?;
    let Some(gone) = gone(call, 18)? else {
        call.flag("keepdims", true)?;
        return Ok(vec![x.clone()]);
    };
    if x.dtype() == DType::Bool && call.opset < 20 {
        return Err(Fault::input(0, "is a boolean, which came with opset 20"));
    }
    let g = Groups::new(call, x.dims(), &gone)?;
    let result = match (x.floats(), x.ints()) {
        (Some(v), _) => {
            let end = if largest {
                f64::NEG_INFINITY
            } else {
                f64::INFINITY
            };
            let pick = |m: f64, x: f64| match m.is_nan() || x.is_nan() {
                true => f64::NAN,
                false if largest => m.max(x),
                false => m.min(x),
            };
            let all = g
                .begins
                .iter()
                .map(|b| g.of(*b).fold(end, |m, i| pick(m, v[i])));
            Array::of_floats(x.dtype(), g.dims.clone(), all.collect())
        }
        (_, Some(v)) => {
            let (low, high) = int_range(x.dtype()).unwrap_or((0, 0));
            let end = if largest { low } else { high };
            let pick = |m: i128, n: i128| if largest { m.max(n) } else { m.min(n) };
            let all = g
                .begins
                .iter()
                .map(|b| g.of(*b).fold(end, |m, i| pick(m, v[i])));
            Array::of_ints(x.dtype(), g.dims.clone(), all.collect())
        }
        _ => return Err(Fault::input(0, "is no number")),
    };
    Ok(vec![kept(call, result, &gone)?])
}

fn arg(call: &Call, largest: bool) -> Done {
    let x = call.x(0)?;
    let at = call.axis(0, x.dims().len())?;
    let last = call.opset >= 12 && call.flag("select_last_index", false)?;
    let g = Groups::new(call, x.dims(), &[at])?;
    if g.inner.is_empty() {
        return Err(Fault::Shape("the largest of nothing".into()));
    }
    let better = |order: std::cmp::Ordering| match largest {
        true => order.is_gt() || last && order.is_eq(),
        false => order.is_lt() || last && order.is_eq(),
    };
    // What is no number counts as the extreme one, as in NumPy: the first of them wins.
    let floats = |a: f64, b: f64| match (a.is_nan(), b.is_nan()) {
        (_, true) => false,
        (true, false) => true,
        _ => better(a.total_cmp(&b)) && (a != b || last),
    };
    let one = |b: &usize| {
        let mut best = 0;
        let all: Vec<usize> = g.of(*b).collect();
        for i in 1..all.len() {
            let wins = match (x.floats(), x.ints()) {
                (Some(v), _) => {
                    floats(v[all[i]], v[all[best]]) || last && v[all[i]] == v[all[best]]
                }
                (_, Some(v)) => better(v[all[i]].cmp(&v[all[best]])),
                _ => false,
            };
            if wins {
                best = i;
            }
        }
        best as i64
    };
    let result = Array::of_i64s(g.dims.clone(), g.begins.iter().map(one));
    Ok(vec![kept(call, result, &[at])?])
}

fn cumulate(
    call: &Call,
    start: i8,
    float: impl Fn(f64, f64) -> f64,
    int: impl Fn(i128, i128) -> i128,
) -> Done {
    let x = call.x(0)?;
    let at = axis(call.one_i64(1)?, x.dims().len())?;
    let (exclusive, reverse) = (call.flag("exclusive", false)?, call.flag("reverse", false)?);
    let g = Groups::new(call, x.dims(), &[at])?;
    let lines = g.begins.iter().map(|b| {
        let mut line: Vec<usize> = g.of(*b).collect();
        if reverse {
            line.reverse();
        }
        line
    });
    Ok(vec![match (x.floats(), x.ints()) {
        (Some(v), _) => {
            let mut out = v.to_vec();
            for line in lines {
                let mut total = f64::from(start);
                for i in line {
                    let next = call.settle(x.dtype(), float(total, v[i]));
                    out[i] = if exclusive { total } else { next };
                    total = next;
                }
            }
            x.with(out)
        }
        (_, Some(v)) if x.dtype() != DType::Bool => {
            let mut out = v.to_vec();
            for line in lines {
                let mut total = i128::from(start);
                for i in line {
                    let next = crate::eval::number::wrap(x.dtype(), int(total, v[i]));
                    out[i] = if exclusive { total } else { next };
                    total = next;
                }
            }
            Array::of_ints(x.dtype(), x.dims().to_vec(), out)
        }
        _ => return Err(Fault::input(0, "is no number")),
    }])
}
