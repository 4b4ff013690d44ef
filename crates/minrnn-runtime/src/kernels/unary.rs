//! Functions of one value.

use pulp::{Simd, WithSimd};

use super::cpu::Cpu;
use super::lanes::{self, Lanewise, map};
use super::math;

/// A function of one value: the ONNX operator of this name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unary {
    Neg,
    Abs,
    Sqrt,
    Reciprocal,
    Exp,
    Log,
    Erf,
    Tanh,
    Sigmoid,
    /// v where above zero or NaN, +0 else.
    Relu,
    Softplus,
    Floor,
    Ceil,
    /// Ties to even.
    Round,
    /// Of radians, as all angles are.
    Sin,
    Cos,
}

macro_rules! lanewise {
    ($($name:ident($simd:ident, $v:ident) $body:expr;)*) => {$(
        #[derive(Clone, Copy)]
        struct $name;

        impl Lanewise for $name {
            #[inline(always)]
            fn apply<S: Simd>(self, $simd: S, $v: S::f32s) -> S::f32s {
                $body
            }
        }
    )*};
}

lanewise! {
    Neg(simd, v) simd.neg_f32s(v);
    Abs(simd, v) lanes::abs(simd, v);
    Sqrt(simd, v) simd.sqrt_f32s(v);
    Reciprocal(simd, v) simd.div_f32s(simd.splat_f32s(1.0), v);
    Exp(simd, v) math::exp(simd, v);
    Log(simd, v) math::log(simd, v);
    Erf(simd, v) math::erf(simd, v);
    Tanh(simd, v) math::tanh(simd, v);
    Sigmoid(simd, v) math::sigmoid(simd, v);
    Relu(simd, v) relu(simd, v);
    Softplus(simd, v) math::softplus(simd, v);
    Floor(simd, v) floor(simd, v);
    Ceil(simd, v) simd.neg_f32s(floor(simd, simd.neg_f32s(v)));
    Round(simd, v) lanes::round(simd, v);
}

#[inline(always)]
fn relu<S: Simd>(simd: S, v: S::f32s) -> S::f32s {
    let zero = simd.splat_f32s(0.0);
    simd.select_f32s(simd.less_than_or_equal_f32s(v, zero), zero, v)
}

#[inline(always)]
fn floor<S: Simd>(simd: S, v: S::f32s) -> S::f32s {
    let rounded = lanes::round(simd, v);
    let below = simd.sub_f32s(rounded, simd.splat_f32s(1.0));
    simd.select_f32s(simd.greater_than_f32s(rounded, v), below, rounded)
}

struct Map<'a, F> {
    f: F,
    x: &'a [f32],
    out: &'a mut [f32],
}

impl<F: Lanewise> WithSimd for Map<'_, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        map(simd, self.f, self.x, self.out);
    }
}

/// Calls `$run` with the function of the operator as `$f`; `$else` for those that are no function of lanes.
macro_rules! with_function {
    ($op:expr, $f:ident => $run:expr, else $else:expr) => {
        with_function!(@ $op, $f, $run, $else, Neg Abs Sqrt Reciprocal Exp Log Erf Tanh Sigmoid Relu Softplus Floor Ceil Round)
    };
    (@ $op:expr, $f:ident, $run:expr, $else:expr, $($name:ident)*) => {
        match $op {
            $(Unary::$name => { let $f = $name; $run })*
            Unary::Sin | Unary::Cos => $else,
        }
    };
}

/// out = op(x); both of one length.
pub(crate) fn unary(cpu: Cpu, op: Unary, x: &[f32], out: &mut [f32]) {
    assert_eq!(x.len(), out.len(), "{op:?}");
    with_function!(op, f => cpu.run(Map { f, x, out }), else one_by_one(op, x, out));
}

/// Angles of any size, reduced in f64 by plain operations: one value after the other, the same bits everywhere.
fn one_by_one(op: Unary, x: &[f32], out: &mut [f32]) {
    let f = match op {
        Unary::Sin => libm::sinf,
        _ => libm::cosf,
    };
    out.iter_mut().zip(x).for_each(|(out, x)| *out = f(*x));
}
