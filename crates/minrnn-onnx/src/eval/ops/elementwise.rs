//! Operators between elements, with broadcasting.

use super::activation::keep_nan;
use super::{Array, Call, Done, Fault, Kind, Op, alike, broadcast, op, repeat, smooth, sources};
use crate::eval::number::wrap;
use crate::ir::DType;

pub(super) const OPS: &[Op] = &[
    smooth("Add", 7, |c| binary(c, |a, b| a + b, |a, b| Ok(a + b))),
    smooth("Sub", 7, |c| binary(c, |a, b| a - b, |a, b| Ok(a - b))),
    smooth("Mul", 7, |c| {
        binary(c, |a, b| a * b, |a, b| Ok(a.wrapping_mul(b)))
    }),
    smooth("Div", 7, |c| {
        binary(c, |a, b| a / b, |a, b| a.checked_div(b).ok_or_else(by_zero))
    }),
    smooth("Min", 7, |c| fold(c, min, i128::min)),
    smooth("Max", 7, |c| fold(c, max, i128::max)),
    smooth("Sum", 7, |c| fold(c, |a, b| a + b, |a, b| a + b)),
    smooth("Mean", 7, mean),
    smooth("Pow", 7, power),
    op("Mod", 10, Kind::Steps, modulo),
    smooth("Equal", 7, |c| compare(c, |o| o.is_some_and(|o| o.is_eq()))),
    smooth("Less", 7, |c| compare(c, |o| o.is_some_and(|o| o.is_lt()))),
    smooth("LessOrEqual", 12, |c| {
        compare(c, |o| o.is_some_and(|o| o.is_le()))
    }),
    smooth("Greater", 7, |c| {
        compare(c, |o| o.is_some_and(|o| o.is_gt()))
    }),
    smooth("GreaterOrEqual", 12, |c| {
        compare(c, |o| o.is_some_and(|o| o.is_ge()))
    }),
    smooth("And", 7, |c| logic(c, true, |a, b| a & b)),
    smooth("Or", 7, |c| logic(c, true, |a, b| a | b)),
    smooth("Xor", 7, |c| logic(c, true, |a, b| a ^ b)),
    smooth("Not", 7, |c| invert(c, true)),
    smooth("BitwiseAnd", 18, |c| logic(c, false, |a, b| a & b)),
    smooth("BitwiseOr", 18, |c| logic(c, false, |a, b| a | b)),
    smooth("BitwiseXor", 18, |c| logic(c, false, |a, b| a ^ b)),
    smooth("BitwiseNot", 18, |c| invert(c, false)),
    smooth("BitShift", 11, shift),
    smooth("Where", 9, choose),
    smooth("Clip", 7, clip),
];

fn by_zero() -> Fault {
    Fault::Value("an integer divided by 0".into())
}

fn min(a: f64, b: f64) -> f64 {
    keep_nan(a, keep_nan(b, a.min(b)))
}

fn max(a: f64, b: f64) -> f64 {
    keep_nan(a, keep_nan(b, a.max(b)))
}

fn no_bool(x: &Array) -> Result<(), Fault> {
    match x.dtype() {
        DType::Bool => Err(Fault::Type("is of type bool, wanted numbers".into())),
        _ => Ok(()),
    }
}

/// Positions of both in their common shape.
struct Pairs {
    dims: Vec<usize>,
    a: Vec<usize>,
    b: Vec<usize>,
}

fn pairs(call: &Call, a: &Array, b: &Array) -> Result<Pairs, Fault> {
    let dims = broadcast(&[a.dims(), b.dims()])?;
    call.room(&dims)?;
    let (a, b) = (sources(a.dims(), &dims), sources(b.dims(), &dims));
    Ok(Pairs { dims, a, b })
}

fn two(
    call: &Call,
    x: &Array,
    y: &Array,
    f: impl Fn(f64, f64) -> f64,
    i: impl Fn(i128, i128) -> Result<i128, Fault>,
) -> Result<Array, Fault> {
    alike(x, y)?;
    no_bool(x)?;
    let p = pairs(call, x, y)?;
    let at = p.a.iter().zip(&p.b);
    Ok(match (x.floats(), y.floats(), x.ints(), y.ints()) {
        (Some(x_), Some(y_), ..) => {
            let all = at.map(|(a, b)| f(x_[*a], y_[*b])).collect();
            Array::of_floats(x.dtype(), p.dims, all)
        }
        (.., Some(x_), Some(y_)) => {
            let all: Result<_, _> = at.map(|(a, b)| i(x_[*a], y_[*b])).collect();
            Array::of_ints(x.dtype(), p.dims, all?)
        }
        _ => return Err(Fault::Type("floats beside integers".into())),
    })
}

fn binary(
    call: &Call,
    f: impl Fn(f64, f64) -> f64,
    i: impl Fn(i128, i128) -> Result<i128, Fault>,
) -> Done {
    Ok(vec![two(call, call.x(0)?, call.x(1)?, f, i)?])
}

fn fold(call: &Call, f: impl Fn(f64, f64) -> f64, i: impl Fn(i128, i128) -> i128) -> Done {
    let all = call.all()?;
    no_bool(all[0])?;
    let rest = all[1..].iter();
    let sum = rest.copied().try_fold(all[0].clone(), |sum, x| {
        two(call, &sum, x, &f, |a, b| Ok(i(a, b)))
    });
    Ok(vec![sum?])
}

fn mean(call: &Call) -> Done {
    call.floats(0)?;
    let count = call.arity() as f64;
    let sum = fold(call, |a, b| a + b, |a, b| a + b)?;
    Ok(sum.iter().map(|s| s.map(|v| v / count, |n| n)).collect())
}

/// The exponent may be of another type; the result has that of the base.
fn power(call: &Call) -> Done {
    let (x, y) = (call.x(0)?, call.x(1)?);
    if call.opset < 12 {
        alike(x, y)?;
    }
    no_bool(x)?;
    no_bool(y)?;
    let p = pairs(call, x, y)?;
    let at = p.a.iter().zip(&p.b);
    let one = match (x.floats(), x.ints(), y.ints()) {
        (Some(v), ..) => {
            let e = y.as_floats();
            Array::of_floats(
                x.dtype(),
                p.dims,
                at.map(|(a, b)| v[*a].powf(e[*b])).collect(),
            )
        }
        (_, Some(v), Some(e)) => {
            let all: Result<_, _> = at.map(|(a, b)| whole_power(v[*a], e[*b])).collect();
            Array::of_ints(x.dtype(), p.dims, all?)
        }
        (_, Some(v), None) => {
            let e = y.as_floats();
            let all: Result<_, _> = at.map(|(a, b)| whole((v[*a] as f64).powf(e[*b]))).collect();
            Array::of_ints(x.dtype(), p.dims, all?)
        }
        _ => return Err(Fault::Type("is no number".into())),
    };
    Ok(vec![one])
}

fn whole(v: f64) -> Result<i128, Fault> {
    match v.is_finite() {
        true => Ok(v as i128),
        false => Err(Fault::Value("a power that is no integer".into())),
    }
}

fn whole_power(base: i128, exponent: i128) -> Result<i128, Fault> {
    match u32::try_from(exponent) {
        Ok(e) => Ok(base.wrapping_pow(e)),
        Err(_) if exponent < 0 => whole((base as f64).powi(exponent.max(-1_000_000) as i32)),
        Err(_) => Err(Fault::Value(format!("a power of {exponent}"))),
    }
}

fn modulo(call: &Call) -> Done {
    let fmod = call.flag("fmod", false)?;
    if call.x(0)?.is_float() && !fmod && call.opset < 28 {
        let what = "must be 1 for floats before opset 28";
        return Err(Fault::attribute("fmod", what));
    }
    // Without `fmod` the sign is that of the divisor, as in Python.
    let int = |a: i128, b: i128| match (b, fmod) {
        (0, _) => Err(by_zero()),
        (b, true) => Ok(a % b),
        (b, false) => Ok((a % b + b) % b),
    };
    let float = |a: f64, b: f64| match a % b {
        r if fmod => r,
        0.0 => 0f64.copysign(b),
        r if (r < 0.0) != (b < 0.0) => r + b,
        r => r,
    };
    binary(call, float, int)
}

fn compare(call: &Call, f: impl Fn(Option<std::cmp::Ordering>) -> bool) -> Done {
    let (x, y) = (call.x(0)?, call.x(1)?);
    alike(x, y)?;
    let p = pairs(call, x, y)?;
    let at = p.a.iter().zip(&p.b);
    let all: Vec<bool> = match (x.floats(), y.floats(), x.ints(), y.ints()) {
        (Some(x), Some(y), ..) => at.map(|(a, b)| f(x[*a].partial_cmp(&y[*b]))).collect(),
        (.., Some(x), Some(y)) => at.map(|(a, b)| f(Some(x[*a].cmp(&y[*b])))).collect(),
        _ => return Err(Fault::Type("floats beside integers".into())),
    };
    Ok(vec![Array::of_bools(p.dims, all.into_iter())])
}

fn logic(call: &Call, boolean: bool, f: impl Fn(i128, i128) -> i128) -> Done {
    let (x, y) = (call.x(0)?, call.x(1)?);
    alike(x, y)?;
    if (x.dtype() == DType::Bool) != boolean {
        return Err(Fault::input(0, format!("is of type {}", x.dtype())));
    }
    let (a, b) = (call.ints(0)?, call.ints(1)?);
    let p = pairs(call, x, y)?;
    let all = p.a.iter().zip(&p.b).map(|(i, j)| f(a[*i], b[*j])).collect();
    Ok(vec![Array::of_ints(x.dtype(), p.dims, all)])
}

fn invert(call: &Call, boolean: bool) -> Done {
    let (x, v) = (call.x(0)?, call.ints(0)?);
    if (x.dtype() == DType::Bool) != boolean {
        return Err(Fault::input(0, format!("is of type {}", x.dtype())));
    }
    let one = |n: &i128| if boolean { 1 - n } else { !n };
    Ok(vec![Array::of_ints(
        x.dtype(),
        x.dims().to_vec(),
        v.iter().map(one).collect(),
    )])
}

fn shift(call: &Call) -> Done {
    let dtype = call.x(0)?.dtype();
    let bits = dtype.bits().unwrap_or(8) as i128;
    if call.x(0)?.is_float() || !dtype.is_unsigned() && call.opset < 28 {
        let what = "wanted integers, unsigned ones before opset 28";
        return Err(Fault::input(0, what));
    }
    let left = match call.word("direction", "")? {
        "LEFT" => true,
        "RIGHT" => false,
        word => return Err(super::wrong_word("direction", word)),
    };
    let one = |a: i128, b: i128| {
        Ok(match b {
            // Only what the extension of the sign gives.
            b if (b < 0 || b >= bits) && !left && a < 0 => -1,
            b if b < 0 || b >= bits => 0,
            b if left => wrap(dtype, a << b),
            b => a >> b,
        })
    };
    binary(call, |a, _| a, one)
}

fn choose(call: &Call) -> Done {
    let (c, x, y) = (call.x(0)?, call.x(1)?, call.x(2)?);
    alike(x, y)?;
    if c.dtype() != DType::Bool {
        return Err(Fault::input(0, "is no boolean"));
    }
    let truth = call.ints(0)?;
    let dims = broadcast(&[c.dims(), x.dims(), y.dims()])?;
    call.room(&dims)?;
    let [c, a, b] = [c, x, y].map(|v| sources(v.dims(), &dims));
    let each = c.iter().zip(a.iter().zip(&b));
    Ok(vec![match (x.floats(), y.floats(), x.ints(), y.ints()) {
        (Some(x_), Some(y_), ..) => {
            let all = each.map(|(c, (a, b))| if truth[*c] != 0 { x_[*a] } else { y_[*b] });
            Array::of_floats(x.dtype(), dims, all.collect())
        }
        (.., Some(x_), Some(y_)) => {
            let all = each.map(|(c, (a, b))| if truth[*c] != 0 { x_[*a] } else { y_[*b] });
            Array::of_ints(x.dtype(), dims, all.collect())
        }
        _ => return Err(Fault::Type("floats beside integers".into())),
    }])
}

/// From the upper bound down, so that the upper one wins where they cross.
fn clip(call: &Call) -> Done {
    let x = call.x(0)?;
    no_bool(x)?;
    if call.opset < 11 {
        let low = call.float("min", f32::MIN)?;
        let high = call.float("max", f32::MAX)?;
        let v = call.floats(0)?.iter();
        return Ok(vec![
            x.with(v.map(|v| keep_nan(*v, v.max(low).min(high))).collect()),
        ]);
    }
    let bound = |i: usize| -> Result<Option<Array>, Fault> {
        let Some(limit) = call.opt(i) else {
            return Ok(None);
        };
        match limit.len() {
            1 => repeat(call, &limit.shaped(vec![]), x.dims()).map(Some),
            _ => Err(Fault::input(i, "wanted one number")),
        }
    };
    let mut result = x.clone();
    if let Some(low) = bound(1)? {
        result = two(call, &result, &low, max, |a, b| Ok(a.max(b)))?;
    }
    if let Some(high) = bound(2)? {
        result = two(call, &result, &high, min, |a, b| Ok(a.min(b)))?;
    }
    Ok(vec![result])
}
