//! Functions of two values.

use pulp::{Simd, WithSimd};

use super::cpu::Cpu;
use super::lanes::{Lanewise, Lanewise2, map, map_in_place, map2};

/// A function of two values: the ONNX operator of this name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Binary {
    Add,
    Sub,
    Mul,
    Div,
    /// NaN where one is NaN; of -0 and +0 the second.
    Min,
    /// NaN where one is NaN; of -0 and +0 the second.
    Max,
}

/// One side of a binary operation.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Operand<'a> {
    /// A value for each of the output.
    Slice(&'a [f32]),
    /// One value for all.
    Scalar(f32),
}

macro_rules! lanewise2 {
    ($($name:ident($simd:ident, $a:ident, $b:ident) $body:expr;)*) => {$(
        #[derive(Clone, Copy)]
        pub(super) struct $name;

        impl Lanewise2 for $name {
            #[inline(always)]
            fn apply<S: Simd>(self, $simd: S, $a: S::f32s, $b: S::f32s) -> S::f32s {
                $body
            }
        }
    )*};
}

lanewise2! {
    Add(simd, a, b) simd.add_f32s(a, b);
    Sub(simd, a, b) simd.sub_f32s(a, b);
    Mul(simd, a, b) simd.mul_f32s(a, b);
    Div(simd, a, b) simd.div_f32s(a, b);
    Min(simd, a, b) {
        let r = simd.select_f32s(simd.less_than_f32s(a, b), a, b);
        simd.select_f32s(simd.equal_f32s(a, a), r, a)
    };
    Max(simd, a, b) {
        let r = simd.select_f32s(simd.greater_than_f32s(a, b), a, b);
        simd.select_f32s(simd.equal_f32s(a, a), r, a)
    };
}

/// The function with its first value held.
#[derive(Clone, Copy)]
struct First<F>(F, f32);

/// The function with its second value held.
#[derive(Clone, Copy)]
struct Second<F>(F, f32);

impl<F: Lanewise2> Lanewise for First<F> {
    #[inline(always)]
    fn apply<S: Simd>(self, simd: S, v: S::f32s) -> S::f32s {
        self.0.apply(simd, simd.splat_f32s(self.1), v)
    }
}

impl<F: Lanewise2> Lanewise for Second<F> {
    #[inline(always)]
    fn apply<S: Simd>(self, simd: S, v: S::f32s) -> S::f32s {
        self.0.apply(simd, v, simd.splat_f32s(self.1))
    }
}

struct Map2<'a, F> {
    f: F,
    a: Operand<'a>,
    b: Operand<'a>,
    out: &'a mut [f32],
}

impl<F: Lanewise2> WithSimd for Map2<'_, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { f, a, b, out } = self;
        match (a, b) {
            (Operand::Slice(a), Operand::Slice(b)) => map2(simd, f, a, b, out),
            (Operand::Slice(a), Operand::Scalar(b)) => map(simd, Second(f, b), a, out),
            (Operand::Scalar(a), Operand::Slice(b)) => map(simd, First(f, a), b, out),
            (Operand::Scalar(a), Operand::Scalar(b)) => {
                out.fill(a);
                map_in_place(simd, Second(f, b), out);
            }
        }
    }
}

/// Calls `$run` with the function of the operator as `$f`.
macro_rules! with_function {
    ($op:expr, $f:ident => $run:expr) => {
        match $op {
            Binary::Add => {
                let $f = Add;
                $run
            }
            Binary::Sub => {
                let $f = Sub;
                $run
            }
            Binary::Mul => {
                let $f = Mul;
                $run
            }
            Binary::Div => {
                let $f = Div;
                $run
            }
            Binary::Min => {
                let $f = Min;
                $run
            }
            Binary::Max => {
                let $f = Max;
                $run
            }
        }
    };
}

/// out = op(a, b); slices are as long as the output.
pub(crate) fn binary(cpu: Cpu, op: Binary, a: Operand<'_>, b: Operand<'_>, out: &mut [f32]) {
    for side in [a, b] {
        if let Operand::Slice(s) = side {
            assert_eq!(s.len(), out.len(), "{op:?}");
        }
    }
    with_function!(op, f => cpu.run(Map2 { f, a, b, out }));
}
