//! Functions of one element.

use super::{Array, Call, Done, Fault, Kind, Op, alike, broadcast, op, repeat, smooth};

pub(super) const OPS: &[Op] = &[
    smooth("Relu", 7, |c| {
        numbers(c, |v| keep_nan(v, v.max(0.0)), |n| n.max(0))
    }),
    smooth("Neg", 7, |c| numbers(c, |v| -v, |n| -n)),
    smooth("Abs", 7, |c| numbers(c, f64::abs, i128::abs)),
    op("Sign", 9, Kind::Steps, |c| numbers(c, sign, i128::signum)),
    op("Floor", 7, Kind::Steps, |c| floats(c, f64::floor)),
    op("Ceil", 7, Kind::Steps, |c| floats(c, f64::ceil)),
    op("Round", 11, Kind::Steps, |c| {
        floats(c, f64::round_ties_even)
    }),
    smooth("Sigmoid", 7, |c| floats(c, sigmoid)),
    smooth("Tanh", 7, |c| floats(c, f64::tanh)),
    smooth("Exp", 7, |c| floats(c, f64::exp)),
    smooth("Log", 7, |c| floats(c, f64::ln)),
    smooth("Sqrt", 7, |c| floats(c, f64::sqrt)),
    smooth("Reciprocal", 7, |c| floats(c, |v| 1.0 / v)),
    smooth("Erf", 9, |c| floats(c, libm::erf)),
    smooth("Sin", 7, |c| floats(c, f64::sin)),
    smooth("Cos", 7, |c| floats(c, f64::cos)),
    smooth("Tan", 7, |c| floats(c, f64::tan)),
    smooth("Asin", 7, |c| floats(c, f64::asin)),
    smooth("Acos", 7, |c| floats(c, f64::acos)),
    smooth("Atan", 7, |c| floats(c, f64::atan)),
    smooth("Sinh", 9, |c| floats(c, f64::sinh)),
    smooth("Cosh", 9, |c| floats(c, f64::cosh)),
    smooth("Asinh", 9, |c| floats(c, libm::asinh)),
    smooth("Acosh", 9, |c| floats(c, libm::acosh)),
    smooth("Atanh", 9, |c| floats(c, libm::atanh)),
    smooth("Softplus", 7, |c| floats(c, softplus)),
    smooth("Softsign", 7, |c| floats(c, |v| v / (1.0 + v.abs()))),
    smooth("Mish", 18, |c| floats(c, |v| v * softplus(v).tanh())),
    smooth("HardSwish", 14, |c| {
        floats(c, |v| v * hard_sigmoid(v, 1.0 / 6.0, 0.5))
    }),
    smooth("Swish", 24, |c| {
        with_alpha(c, 1.0, |v, a| v * sigmoid(a * v))
    }),
    smooth("LeakyRelu", 7, |c| with_alpha(c, 0.01, leaky)),
    smooth("Elu", 7, |c| with_alpha(c, 1.0, elu)),
    smooth("Celu", 12, |c| {
        with_alpha(c, 1.0, |v, a| v.max(0.0) + (a * (v / a).exp_m1()).min(0.0))
    }),
    op("ThresholdedRelu", 10, Kind::Steps, |c| {
        with_alpha(c, 1.0, |v, a| if v > a { v } else { 0.0 })
    }),
    smooth("Selu", 7, selu),
    smooth("HardSigmoid", 7, |c| {
        let (a, b) = (c.float("alpha", 0.2)?, c.float("beta", 0.5)?);
        floats(c, |v| hard_sigmoid(v, a, b))
    }),
    op("Shrink", 9, Kind::Steps, shrink),
    smooth("Gelu", 20, gelu),
    smooth("PRelu", 7, prelu),
    smooth("SwiGLU", 28, swiglu),
    op("IsNaN", 9, Kind::Smooth, |c| truths(c, f64::is_nan)),
    op("IsInf", 10, Kind::Smooth, |c| {
        let (low, high) = (
            c.flag("detect_negative", true)?,
            c.flag("detect_positive", true)?,
        );
        truths(c, |v| {
            v == f64::INFINITY && high || v == f64::NEG_INFINITY && low
        })
    }),
];

fn floats(call: &Call, f: impl Fn(f64) -> f64) -> Done {
    let v = call.floats(0)?;
    Ok(vec![call.x(0)?.with(v.iter().map(|x| f(*x)).collect())])
}

fn numbers(call: &Call, f: impl Fn(f64) -> f64, i: impl Fn(i128) -> i128) -> Done {
    let x = call.x(0)?;
    if x.dtype() == crate::ir::DType::Bool {
        return Err(Fault::input(0, "is of type bool, wanted a number"));
    }
    Ok(vec![x.map(f, i)])
}

fn with_alpha(call: &Call, default: f32, f: impl Fn(f64, f64) -> f64) -> Done {
    let alpha = call.float("alpha", default)?;
    floats(call, |v| f(v, alpha))
}

fn truths(call: &Call, f: impl Fn(f64) -> bool) -> Done {
    let v = call.floats(0)?.iter().map(|x| f(*x));
    Ok(vec![Array::of_bools(call.x(0)?.dims().to_vec(), v)])
}

/// `max` and `min` of Rust drop what is no number.
pub(super) fn keep_nan(v: f64, other: f64) -> f64 {
    if v.is_nan() { v } else { other }
}

fn sign(v: f64) -> f64 {
    if v == 0.0 || v.is_nan() {
        v
    } else {
        v.signum()
    }
}

pub(super) fn sigmoid(v: f64) -> f64 {
    match v >= 0.0 {
        true => 1.0 / (1.0 + (-v).exp()),
        false => keep_nan(v, v.exp() / (1.0 + v.exp())),
    }
}

pub(super) fn softplus(v: f64) -> f64 {
    keep_nan(v, v.max(0.0) + (-v.abs()).exp().ln_1p())
}

pub(super) fn hard_sigmoid(v: f64, alpha: f64, beta: f64) -> f64 {
    keep_nan(v, (alpha * v + beta).clamp(0.0, 1.0))
}

pub(super) fn leaky(v: f64, alpha: f64) -> f64 {
    if v < 0.0 { alpha * v } else { v }
}

pub(super) fn elu(v: f64, alpha: f64) -> f64 {
    if v < 0.0 { alpha * v.exp_m1() } else { v }
}

fn selu(call: &Call) -> Done {
    let alpha = call.float("alpha", 1.673_263_2)?;
    let gamma = call.float("gamma", 1.050_701)?;
    floats(call, |v| gamma * elu(v, alpha))
}

fn shrink(call: &Call) -> Done {
    let (bias, lambda) = (call.float("bias", 0.0)?, call.float("lambd", 0.5)?);
    let one = |v: f64| match v {
        v if v < -lambda => v + bias,
        v if v > lambda => v - bias,
        v => keep_nan(v, 0.0),
    };
    numbers(call, one, |n| one(n as f64) as i128)
}

fn gelu(call: &Call) -> Done {
    match call.word("approximate", "none")? {
        "none" => floats(call, |v| {
            0.5 * v * (1.0 + libm::erf(v / std::f64::consts::SQRT_2))
        }),
        "tanh" => floats(call, |v| {
            let inner = (2.0 / std::f64::consts::PI).sqrt() * (v + 0.044_715 * v * v * v);
            0.5 * v * (1.0 + inner.tanh())
        }),
        word => Err(super::wrong_word("approximate", word)),
    }
}

fn prelu(call: &Call) -> Done {
    let (x, slope) = (call.x(0)?, call.x(1)?);
    alike(x, slope)?;
    if broadcast(&[x.dims(), slope.dims()])? != x.dims() {
        return Err(Fault::input(1, "does not broadcast to input 0"));
    }
    let slope = repeat(call, slope, x.dims())?;
    Ok(vec![
        match (x.floats(), slope.floats(), x.ints(), slope.ints()) {
            (Some(v), Some(s), ..) => x.with(v.iter().zip(s).map(|(v, s)| leaky(*v, *s)).collect()),
            (.., Some(v), Some(s)) => {
                let one = |(v, s): (&i128, &i128)| if *v < 0 { v * s } else { *v };
                Array::of_ints(
                    x.dtype(),
                    x.dims().to_vec(),
                    v.iter().zip(s).map(one).collect(),
                )
            }
            _ => return Err(Fault::Type("is no number".into())),
        },
    ])
}

fn swiglu(call: &Call) -> Done {
    let (a, b) = (call.floats(0)?, call.floats(1)?);
    alike(call.x(0)?, call.x(1)?)?;
    if call.x(0)?.dims() != call.x(1)?.dims() {
        return Err(Fault::Shape("both inputs have one shape".into()));
    }
    let alpha = call.float("alpha", 1.0)?;
    let each = a.iter().zip(b).map(|(a, b)| a * sigmoid(alpha * a) * b);
    Ok(vec![call.x(0)?.with(each.collect())])
}
