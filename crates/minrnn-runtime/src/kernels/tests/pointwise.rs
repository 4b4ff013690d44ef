use super::super::{Binary, Cpu, Operand, Unary, binary, round_to_f16, unary};
use super::{Random, SIZES, assert_same, special};

const ALL: [Unary; 16] = [
    Unary::Neg,
    Unary::Abs,
    Unary::Sqrt,
    Unary::Reciprocal,
    Unary::Exp,
    Unary::Log,
    Unary::Erf,
    Unary::Tanh,
    Unary::Sigmoid,
    Unary::Relu,
    Unary::Softplus,
    Unary::Floor,
    Unary::Ceil,
    Unary::Round,
    Unary::Sin,
    Unary::Cos,
];

/// All exponents, the range where functions bend, and the special values.
fn inputs() -> Vec<f32> {
    let mut random = Random(17);
    let mut all = special();
    all.extend((0..200_000).map(|_| random.pattern()));
    for scale in [1.0, 4.0, 20.0, 110.0] {
        all.extend((0..50_000).map(|_| scale * random.value()));
    }
    all
}

fn apply(cpu: Cpu, op: Unary, x: &[f32]) -> Vec<f32> {
    let mut out = vec![7.0; x.len()];
    unary(cpu, op, x, &mut out);
    out
}

/// In f64, or exactly; rounding to f32 is what a perfect function would do.
fn exact(op: Unary, v: f32) -> f64 {
    let x = f64::from(v);
    match op {
        Unary::Neg => -x,
        Unary::Abs => x.abs(),
        Unary::Sqrt => x.sqrt(),
        Unary::Reciprocal => 1.0 / x,
        Unary::Exp => libm::exp(x),
        Unary::Log => libm::log(x),
        Unary::Erf => libm::erf(x),
        Unary::Tanh => libm::tanh(x),
        Unary::Sigmoid if x < 0.0 => libm::exp(x) / (1.0 + libm::exp(x)),
        Unary::Sigmoid => 1.0 / (1.0 + libm::exp(-x)),
        Unary::Softplus => x.max(0.0) + libm::log1p(libm::exp(-x.abs())) + 0.0 * x.clamp(-1.0, 0.0),
        Unary::Relu if x <= 0.0 => 0.0,
        Unary::Relu => x,
        Unary::Floor => x.floor(),
        Unary::Ceil => x.ceil(),
        Unary::Round => x.round_ties_even(),
        Unary::Sin => libm::sin(x),
        Unary::Cos => libm::cos(x),
    }
}

/// Distance in units of the last place of the exact result; those of subnormal numbers are 2^-149.
fn ulps(got: f32, exact: f64) -> f64 {
    let rounded = exact as f32;
    if super::same(got, rounded) {
        return 0.0;
    }
    if !got.is_finite() || !rounded.is_finite() {
        return f64::INFINITY;
    }
    let exponent = libm::ilogb(exact).max(-126);
    (f64::from(got) - exact).abs() / libm::ldexp(1.0, exponent - 23)
}

fn worst(op: Unary) -> (f64, f32) {
    let x = inputs();
    let got = apply(Cpu::detect(), op, &x);
    let mut worst = (0.0, 0.0);
    for (&x, &g) in x.iter().zip(&got) {
        let error = ulps(g, exact(op, x));
        if error > worst.0 {
            worst = (error, x);
        }
    }
    worst
}

#[test]
fn functions_are_exact_or_near() {
    let bound = |op| match op {
        Unary::Exp => 1.0,
        Unary::Log => 0.9,
        Unary::Erf => 1.1,
        Unary::Tanh => 1.5,
        Unary::Sigmoid => 2.2,
        Unary::Softplus => 1.7,
        Unary::Sin | Unary::Cos => 0.6,
        _ => 0.0,
    };
    let all = ALL.map(|op| (op, worst(op), bound(op)));
    let far = all.iter().any(|(_, (error, _), bound)| error > bound);
    assert!(!far, "(function, (worst ULP, at), bound): {all:?}");
}

#[test]
fn functions_are_the_same_on_all_instruction_sets() {
    let x = inputs();
    for op in ALL {
        let expected = apply(Cpu::all()[0], op, &x);
        for cpu in Cpu::all() {
            assert_same(
                &apply(cpu, op, &x),
                &expected,
                format!("{op:?} {}", cpu.name()),
            );
        }
    }
}

/// A tail goes through the same steps as a whole vector.
#[test]
fn a_value_alone_is_the_value_in_a_row() {
    for op in ALL {
        for cpu in Cpu::all() {
            for n in SIZES {
                let x = Random(n as u64).values(n);
                let all = apply(cpu, op, &x);
                let alone: Vec<_> = x.iter().flat_map(|&v| apply(cpu, op, &[v])).collect();
                assert_same(&all, &alone, format!("{op:?} {} of {n}", cpu.name()));
            }
        }
    }
}

#[test]
fn functions_keep_their_landmarks() {
    let inf = f32::INFINITY;
    let table: &[(Unary, f32, f32)] = &[
        (Unary::Exp, 0.0, 1.0),
        (Unary::Exp, -0.0, 1.0),
        (Unary::Exp, -inf, 0.0),
        (Unary::Exp, -104.0, 0.0),
        (Unary::Exp, 89.0, inf),
        (Unary::Exp, inf, inf),
        (Unary::Log, 1.0, 0.0),
        (Unary::Log, 0.0, -inf),
        (Unary::Log, -0.0, -inf),
        (Unary::Log, -1.0, f32::NAN),
        (Unary::Log, -inf, f32::NAN),
        (Unary::Log, inf, inf),
        (Unary::Erf, -0.0, -0.0),
        (Unary::Erf, 4.0, 1.0),
        (Unary::Erf, -inf, -1.0),
        (Unary::Tanh, -0.0, -0.0),
        (Unary::Tanh, 10.0, 1.0),
        (Unary::Tanh, -inf, -1.0),
        (Unary::Sigmoid, 0.0, 0.5),
        (Unary::Sigmoid, -inf, 0.0),
        (Unary::Sigmoid, 40.0, 1.0),
        (Unary::Sigmoid, inf, 1.0),
        (Unary::Softplus, -inf, 0.0),
        (Unary::Softplus, inf, inf),
        (Unary::Softplus, 0.0, std::f32::consts::LN_2),
        (Unary::Relu, -0.0, 0.0),
        (Unary::Relu, f32::NAN, f32::NAN),
        (Unary::Round, -0.5, -0.0),
        (Unary::Round, 2.5, 2.0),
        (Unary::Floor, -0.0, -0.0),
        (Unary::Ceil, -0.3, -0.0),
    ];
    for cpu in Cpu::all() {
        for &(op, x, expected) in table {
            let what = format!("{op:?}({x}) {}", cpu.name());
            assert_same(&apply(cpu, op, &[x; 17]), &[expected; 17], what);
        }
        for op in ALL {
            assert!(apply(cpu, op, &[f32::NAN])[0].is_nan(), "{op:?}");
        }
    }
}

fn twin(op: Binary, a: f32, b: f32) -> f32 {
    match op {
        Binary::Add => a + b,
        Binary::Sub => a - b,
        Binary::Mul => a * b,
        Binary::Div => a / b,
        Binary::Min if a.is_nan() || a < b => a,
        Binary::Max if a.is_nan() || a > b => a,
        Binary::Min | Binary::Max => b,
    }
}

#[test]
fn binary_functions_are_their_definition() {
    let mut random = Random(4);
    for op in [
        Binary::Add,
        Binary::Sub,
        Binary::Mul,
        Binary::Div,
        Binary::Min,
        Binary::Max,
    ] {
        for n in SIZES {
            // Values that collide, so that equal ones and zeros of both signs meet.
            let mut some = |_| match random.bits() % 4 {
                0 => 0.0,
                1 => -0.0,
                2 => random.value(),
                _ => random.pattern(),
            };
            let (a, b): (Vec<_>, Vec<_>) = (
                (0..n).map(&mut some).collect(),
                (0..n).map(&mut some).collect(),
            );
            let (p, q) = (some(0), some(0));
            for cpu in Cpu::all() {
                let sides = [
                    (Operand::Slice(&a), Operand::Slice(&b)),
                    (Operand::Slice(&a), Operand::Scalar(q)),
                    (Operand::Scalar(p), Operand::Slice(&b)),
                    (Operand::Scalar(p), Operand::Scalar(q)),
                ];
                for (i, (left, right)) in sides.into_iter().enumerate() {
                    let (l, r) = (
                        if i < 2 { None } else { Some(p) },
                        if i % 2 == 0 { None } else { Some(q) },
                    );
                    let expected: Vec<_> = (0..n)
                        .map(|j| twin(op, l.unwrap_or(a[j]), r.unwrap_or(b[j])))
                        .collect();
                    let mut out = vec![7.0; n];
                    binary(cpu, op, left, right, &mut out);
                    assert_same(&out, &expected, format!("{op:?} {} {i}", cpu.name()));
                }
            }
        }
    }
}

/// Rounding to a multiple of the spacing that binary16 has at this size.
fn to_f16(v: f32) -> f32 {
    let x = f64::from(v);
    if !x.is_finite() || x == 0.0 {
        return v;
    }
    let spacing = libm::ldexp(1.0, (libm::ilogb(x) - 10).max(-24));
    let r = (x / spacing).round_ties_even() * spacing;
    if r.abs() > 65504.0 {
        f32::INFINITY.copysign(v)
    } else {
        (r as f32).copysign(v)
    }
}

#[test]
fn halves_are_rounded_to_even() {
    let mut x = inputs();
    // All halves, and the middles between neighbours.
    for bits in 0..0x7c00_u32 {
        let half = |bits: u32| {
            let (e, m) = (bits >> 10, f64::from(bits & 0x3ff));
            match e {
                0 => m * libm::exp2(-24.0),
                _ => (1024.0 + m) * libm::ldexp(1.0, e as i32 - 25),
            }
        };
        let (a, b) = (half(bits), half(bits + 1));
        let middle = ((a + b) / 2.0) as f32;
        x.extend([
            a as f32,
            middle,
            middle.next_up(),
            middle.next_down(),
            -middle,
        ]);
    }
    let expected: Vec<_> = x.iter().map(|&v| to_f16(v)).collect();
    for cpu in Cpu::all() {
        let mut out = vec![0.0; x.len()];
        round_to_f16(cpu, &x, &mut out);
        assert_same(&out, &expected, cpu.name());
    }
}
