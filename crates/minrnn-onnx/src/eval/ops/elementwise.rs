//! Elementwise operators, with broadcasting.

use super::{Array, Call, Data, Done, strides};

pub(super) fn apply(call: &Call) -> Option<Done> {
    let op = call.node.op_type.as_str();
    if let Some(done) = unary(op, call) {
        return Some(Ok(vec![done]));
    }
    let binary: fn(&str, &Array, &Array) -> Result<Array, String> = match op {
        "Add" | "Sub" | "Mul" | "Div" | "Min" | "Max" => arithmetic,
        "Equal" | "Less" | "LessOrEqual" | "Greater" | "GreaterOrEqual" | "And" | "Or" | "Xor" => {
            compare
        }
        "Pow" => power,
        "Where" => return Some(choose(call)),
        "Clip" => return Some(clip(call)),
        _ => return None,
    };
    let mut all = (1..call.inputs.len()).map(|i| call.x(i));
    let result = all.try_fold(call.x(0).clone(), |a, b| binary(op, &a, b));
    Some(result.map(|one| vec![one]))
}

fn unary(op: &str, call: &Call) -> Option<Array> {
    let x = call.opt(0)?;
    if op == "Identity" {
        return Some(x.clone());
    }
    let alpha = call.float("alpha", 1.0);
    let tanh = call.word("approximate", "none") == "tanh";
    let float = |v: f32| {
        Some(match op {
            "Neg" => -v,
            "Abs" => v.abs(),
            "Sign" if v == 0.0 || v.is_nan() => v,
            "Sign" => v.signum(),
            "Relu" => v.max(0.0),
            "Sigmoid" => 1.0 / (1.0 + (-v).exp()),
            "Tanh" => v.tanh(),
            "Exp" => v.exp(),
            "Log" => v.ln(),
            "Sqrt" => v.sqrt(),
            "Reciprocal" => 1.0 / v,
            "Round" => v.round_ties_even(),
            "Floor" => v.floor(),
            "Ceil" => v.ceil(),
            "Softplus" => v.max(0.0) + (-v.abs()).exp().ln_1p(),
            "Swish" => v / (1.0 + (-alpha * v).exp()),
            "Gelu" if tanh => {
                let inner = (2.0 / std::f32::consts::PI).sqrt() * (v + 0.044_715 * v * v * v);
                0.5 * v * (1.0 + inner.tanh())
            }
            "Gelu" => 0.5 * v * (1.0 + erf(v / std::f32::consts::SQRT_2)),
            "Erf" => erf(v),
            _ => return None,
        })
    };
    let int = |v: i64| {
        Some(match op {
            "Neg" => v.wrapping_neg(),
            "Abs" => v.wrapping_abs(),
            "Sign" => v.signum(),
            "Relu" => v.max(0),
            "Not" => 1 - v,
            _ => return None,
        })
    };
    let data = match &x.data {
        Data::Floats(v) => Data::Floats(v.iter().map(|v| float(*v)).collect::<Option<_>>()?),
        Data::Ints(v) => Data::Ints(v.iter().map(|v| int(*v)).collect::<Option<_>>()?),
    };
    // Nothing in it: whether the operator is one of these has not been asked.
    (x.len() > 0 || float(1.0).or(int(1).map(|_| 0.0)).is_some())
        .then(|| Array::of(x.dtype, &x.dims, data))
}

/// By a series, which is exact enough for f32.
fn erf(x: f32) -> f32 {
    let x = f64::from(x).clamp(-4.0, 4.0);
    // erf x = 2/sqrt(pi) * e^(-x^2) * sum 2^n x^(2n+1) / (1 * 3 * .. * (2n+1)): all terms of one sign.
    let (mut term, mut sum) = (x, x);
    for n in 1..200 {
        term *= 2.0 * x * x / f64::from(2 * n + 1);
        sum += term;
    }
    (std::f64::consts::FRAC_2_SQRT_PI * (-x * x).exp() * sum) as f32
}

pub(super) fn broadcast_dims(a: &[usize], b: &[usize]) -> Result<Vec<usize>, String> {
    let rank = a.len().max(b.len());
    let at = |d: &[usize], i: usize| {
        if i + d.len() < rank {
            1
        } else {
            d[i + d.len() - rank]
        }
    };
    (0..rank)
        .map(|i| match (at(a, i), at(b, i)) {
            (x, y) if x == y => Ok(x),
            (1, y) => Ok(y),
            (x, 1) => Ok(x),
            _ => Err(format!("{a:?} and {b:?} do not broadcast")),
        })
        .collect()
}

pub(super) fn repeat(x: &Array, dims: &[usize]) -> Array {
    if x.dims == dims {
        return x.clone();
    }
    let (from, to) = (strides(&x.dims), strides(dims));
    let shift = dims.len() - x.dims.len();
    let source = |flat: usize| {
        (0..x.dims.len())
            .map(|i| match x.dims[i] {
                1 => 0,
                _ => flat / to[i + shift] % dims[i + shift] * from[i],
            })
            .sum()
    };
    x.pick(dims.to_vec(), (0..dims.iter().product()).map(source))
}

/// Both in their common shape.
fn together(a: &Array, b: &Array) -> Result<(Array, Array), String> {
    let dims = broadcast_dims(&a.dims, &b.dims)?;
    Ok((repeat(a, &dims), repeat(b, &dims)))
}

fn same_type(a: &Array, b: &Array) -> Result<(), String> {
    match a.dtype == b.dtype {
        true => Ok(()),
        false => Err(format!("{} beside {}", a.dtype, b.dtype)),
    }
}

fn arithmetic(op: &str, a: &Array, b: &Array) -> Result<Array, String> {
    same_type(a, b)?;
    let (a, b) = together(a, b)?;
    let data = match (&a.data, &b.data) {
        (Data::Floats(x), Data::Floats(y)) => {
            let one = |(a, b): (&f32, &f32)| match op {
                "Add" => a + b,
                "Sub" => a - b,
                "Mul" => a * b,
                "Div" => a / b,
                "Min" => a.min(*b),
                _ => a.max(*b),
            };
            Data::Floats(x.iter().zip(y).map(one).collect())
        }
        _ => {
            let one = |(a, b): (&i64, &i64)| match op {
                "Add" => Ok(a.wrapping_add(*b)),
                "Sub" => Ok(a.wrapping_sub(*b)),
                "Mul" => Ok(a.wrapping_mul(*b)),
                "Div" if *b == 0 => Err("division by 0".to_owned()),
                "Div" => Ok(a.wrapping_div(*b)),
                "Min" => Ok(*a.min(b)),
                _ => Ok(*a.max(b)),
            };
            let all: Result<_, _> = a.ints().iter().zip(b.ints()).map(one).collect();
            Data::Ints(all?)
        }
    };
    Ok(Array::of(a.dtype, &a.dims, data))
}

fn compare(op: &str, a: &Array, b: &Array) -> Result<Array, String> {
    same_type(a, b)?;
    let (a, b) = together(a, b)?;
    let truth = |a: Option<std::cmp::Ordering>| match op {
        "Equal" => a.is_some_and(|o| o.is_eq()),
        "Less" => a.is_some_and(|o| o.is_lt()),
        "LessOrEqual" => a.is_some_and(|o| o.is_le()),
        "Greater" => a.is_some_and(|o| o.is_gt()),
        _ => a.is_some_and(|o| o.is_ge()),
    };
    Ok(match (&a.data, &b.data) {
        (Data::Floats(x), Data::Floats(y)) => Array::bool(
            &a.dims,
            x.iter().zip(y).map(|(x, y)| truth(x.partial_cmp(y))),
        ),
        _ => {
            let one = |(x, y): (&i64, &i64)| match op {
                "And" => x & y != 0,
                "Or" => x | y != 0,
                "Xor" => x != y,
                _ => truth(Some(x.cmp(y))),
            };
            Array::bool(&a.dims, a.ints().iter().zip(b.ints()).map(one))
        }
    })
}

/// The exponent may be of another type.
fn power(_: &str, a: &Array, b: &Array) -> Result<Array, String> {
    let (a, b) = together(a, b)?;
    let exponents: Vec<f64> = match &b.data {
        Data::Floats(v) => v.iter().map(|v| f64::from(*v)).collect(),
        Data::Ints(v) => v.iter().map(|v| *v as f64).collect(),
    };
    let data = match &a.data {
        Data::Floats(v) => {
            let each = v.iter().zip(&exponents);
            Data::Floats(each.map(|(v, e)| f64::from(*v).powf(*e) as f32).collect())
        }
        Data::Ints(v) => {
            let each = v.iter().zip(&exponents);
            Data::Ints(each.map(|(v, e)| (*v as f64).powf(*e) as i64).collect())
        }
    };
    Ok(Array::of(a.dtype, &a.dims, data))
}

fn choose(call: &Call) -> Done {
    let (c, x, y) = (call.x(0), call.x(1), call.x(2));
    same_type(x, y)?;
    let dims = broadcast_dims(&broadcast_dims(&c.dims, &x.dims)?, &y.dims)?;
    let [c, x, y] = [c, x, y].map(|a| repeat(a, &dims));
    let count = x.len();
    let from = |i: usize| if c.ints()[i] != 0 { i } else { count + i };
    let flat = |a: &Array| a.shaped(vec![a.len()]);
    let both = super::concat(&[&flat(&x), &flat(&y)], 0);
    Ok(vec![both.pick(dims, (0..count).map(from))])
}

fn clip(call: &Call) -> Done {
    let bound = |x: Array, i: usize, op: &str| match call.opt(i) {
        Some(limit) => arithmetic(op, &x, limit),
        None => Ok(x),
    };
    let low = bound(call.x(0).clone(), 1, "Max")?;
    Ok(vec![bound(low, 2, "Min")?])
}
