use proptest::prelude::*;

use super::super::{Cpu, Rows, RowsMut, max, min, recurrence, sum};
use super::{Random, SIZES, assert_same, same};

/// The definition: 16 parts, then the tree.
fn twin(x: &[f32], start: f32, f: fn(f32, f32) -> f32) -> f32 {
    let mut parts = [start; 16];
    for (i, &v) in x.iter().enumerate() {
        parts[i % 16] = f(parts[i % 16], v);
    }
    for half in [8, 4, 2, 1] {
        for i in 0..half {
            parts[i] = f(parts[i], parts[i + half]);
        }
    }
    parts[0]
}

fn larger(a: f32, b: f32) -> f32 {
    if a.is_nan() || a > b { a } else { b }
}

fn smaller(a: f32, b: f32) -> f32 {
    if a.is_nan() || a < b { a } else { b }
}

fn check(x: &[f32]) {
    let expected = [
        twin(x, 0.0, |a, b| a + b),
        twin(x, f32::NEG_INFINITY, larger),
        twin(x, f32::INFINITY, smaller),
    ];
    for cpu in Cpu::all() {
        let got = [sum(cpu, x), max(cpu, x), min(cpu, x)];
        assert_same(&got, &expected, format!("{} of {}", cpu.name(), x.len()));
    }
}

#[test]
fn reductions_are_their_definition() {
    let mut random = Random(1);
    for n in SIZES {
        check(&random.values(n));
    }
    check(&[]);
    check(&[-0.0]);
    let mut nan = random.values(40);
    nan[21] = f32::NAN;
    check(&nan);
    assert!(max(Cpu::detect(), &nan).is_nan() && min(Cpu::detect(), &nan).is_nan());
}

#[test]
fn sums_are_near_the_exact_ones() {
    let x = Random(2).values(1000);
    let exact: f64 = x.iter().map(|&v| f64::from(v)).sum();
    let size: f64 = x.iter().map(|&v| f64::from(v).abs()).sum();
    let error = (f64::from(sum(Cpu::detect(), &x)) - exact).abs();
    // 1000 / 16 additions to a part, then four.
    assert!(
        error <= 67.0 * f64::from(f32::EPSILON) / 2.0 * size,
        "{error}"
    );
}

#[test]
fn the_recurrence_is_its_definition_in_any_cutting() {
    for width in SIZES {
        let time = 7;
        let mut random = Random(width as u64);
        let (a, b) = (random.values(time * width), random.values(time * width));
        let start = random.values(width);
        let (mut h, mut expected) = (start.clone(), Vec::new());
        for t in 0..time {
            for i in 0..width {
                let product = h[i] * a[t * width + i];
                h[i] = product + b[t * width + i];
            }
            expected.extend_from_slice(&h);
        }
        for cpu in Cpu::all() {
            let (mut state, mut out) = (start.clone(), vec![0.0; time * width]);
            recurrence(
                cpu,
                &mut state,
                Rows::dense(&a, time),
                Rows::dense(&b, time),
                RowsMut::dense(&mut out, time),
            );
            assert_same(&out, &expected, cpu.name());
            assert_same(&state, &h, cpu.name());
            let mut state = start.clone();
            for t in 0..time {
                let at = t * width..(t + 1) * width;
                let mut out = vec![0.0; width];
                let (a, b) = (Rows::one(&a[at.clone()]), Rows::one(&b[at.clone()]));
                recurrence(cpu, &mut state, a, b, RowsMut::one(&mut out));
                assert_same(&out, &expected[at], cpu.name());
            }
        }
    }
}

/// A fused step would differ here: the product needs its own rounding.
#[test]
fn the_product_of_the_recurrence_is_rounded() {
    let (h, a) = (1.0 + f32::EPSILON, 1.0 + f32::EPSILON);
    let b = -(h * a);
    assert!(h.mul_add(a, b) != 0.0);
    for cpu in Cpu::all() {
        let (mut state, mut out) = ([h; 19], [1.0; 19]);
        let (a, b) = ([a; 19], [b; 19]);
        recurrence(
            cpu,
            &mut state,
            Rows::one(&a),
            Rows::one(&b),
            RowsMut::one(&mut out),
        );
        assert!(out.iter().all(|&v| same(v, 0.0)), "{}", cpu.name());
    }
}

proptest! {
    #[test]
    fn reductions_of_any_row_are_their_definition(x in prop::collection::vec(any::<f32>(), 0..70)) {
        check(&x);
    }
}
