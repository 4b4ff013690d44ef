use candle_core::{DType, Device, Tensor, Var};
use proptest::prelude::*;

use super::{cross_entropy, slow};
use crate::testing::{Case, Rng, refusal, values};

fn targets(rng: &mut Rng, n: usize, v: usize) -> Vec<u32> {
    (0..n).map(|_| rng.below(v) as u32).collect()
}

fn check(rng: &mut Rng, n: usize, v: usize, size: f64, weighted: bool) {
    let targets = targets(rng, n, v);
    let tensor = Tensor::from_slice(&targets, n, &Device::Cpu).unwrap();
    let logits = rng.input(&[n, v], -size, 2.0 * size);
    let weights = rng.input(&[n], 0.1, 2.0);
    let cotangent = rng.input(&[], 0.5, 2.0);
    let ones = vec![1.0; n];
    let w = if weighted { &weights.data } else { &ones };
    let want = slow::cross_entropy(&logits.data, &targets, w);
    let (dx, dw) = slow::cross_entropy_grad(&logits.data, &targets, w, cotangent.data[0]);
    let with = |x: &[Tensor]| cross_entropy(&x[0], &tensor, Some(&x[1]));
    let without = |x: &[Tensor]| cross_entropy(&x[0], &tensor, None);
    let tolerance = [5e-6, 1e-12];
    if weighted {
        let inputs = vec![logits, weights];
        Case {
            op: &with,
            inputs,
            cotangent,
            tolerance,
        }
        .check(&[want], &[dx, dw]);
    } else {
        let inputs = vec![logits];
        Case {
            op: &without,
            inputs,
            cotangent,
            tolerance,
        }
        .check(&[want], &[dx]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn equals_its_twin(n in 2usize..60, v in 2usize..90, size in 0.1f64..100.0, weighted: bool, seed: u64) {
        check(&mut Rng(seed), n, v, size, weighted);
    }
}

#[test]
fn equals_its_twin_on_many_and_wide_rows() {
    for (n, v) in [(3000, 7), (3, 9000), (1, 2)] {
        check(&mut Rng(7), n, v, 3.0, false);
    }
    check(&mut Rng(8), 3000, 7, 3.0, true);
}

#[test]
fn gradients_equal_finite_differences() {
    let rng = &mut Rng(3);
    let targets = Tensor::new(&[1u32, 0, 3, 2], &Device::Cpu).unwrap();
    let case = Case {
        op: &|x| cross_entropy(&x[0], &targets, Some(&x[1])),
        inputs: vec![rng.input(&[4, 5], -2.0, 2.0), rng.input(&[4], 0.5, 2.0)],
        cotangent: rng.input(&[], 0.5, 2.0),
        tolerance: [0.0; 2],
    };
    case.check_differences(rng);
}

#[test]
fn a_row_of_weight_zero_is_not_looked_at() {
    let logits = Tensor::new(&[[1f32, 2.], [f32::NAN, 7.], [0.5, -1.]], &Device::Cpu).unwrap();
    let logits = Var::from_tensor(&logits).unwrap();
    let targets = Tensor::new(&[1u32, 99, 0], &Device::Cpu).unwrap();
    let weights = Tensor::new(&[1f32, 0., 3.], &Device::Cpu).unwrap();
    let loss = cross_entropy(&logits, &targets, Some(&weights)).unwrap();
    let want = slow::cross_entropy(&[1., 2., 0.5, -1.], &[1, 0], &[1., 3.]);
    assert!((values(&loss)[0] - want).abs() < 1e-6);
    let grad = values(loss.backward().unwrap().get(&logits).unwrap());
    assert_eq!(grad[2..4], [0.0, 0.0]);
    assert!(grad.iter().all(|g| g.is_finite()));
}

#[test]
fn large_logits_neither_overflow_nor_vanish() {
    let logits = Tensor::new(&[[1e30f32, -1e30], [-200., 200.]], &Device::Cpu).unwrap();
    let targets = Tensor::new(&[0u32, 0], &Device::Cpu).unwrap();
    let loss = cross_entropy(&logits, &targets, None).unwrap();
    assert_eq!(values(&loss), [200.0]);
}

#[test]
fn nan_stays_visible() {
    let logits = Tensor::new(&[[1f32, f32::NAN], [1., 2.]], &Device::Cpu).unwrap();
    let targets = Tensor::new(&[0u32, 0], &Device::Cpu).unwrap();
    assert!(values(&cross_entropy(&logits, &targets, None).unwrap())[0].is_nan());
}

#[test]
fn refuses_what_does_not_fit() {
    let logits = Tensor::zeros((2, 3), DType::F32, &Device::Cpu).unwrap();
    let ids = |x: &[u32]| Tensor::from_slice(x, x.len(), &Device::Cpu).unwrap();
    let run = |t: &[u32], w: &[f32]| {
        let w = Tensor::from_slice(w, w.len(), &Device::Cpu).unwrap();
        refusal(cross_entropy(&logits, &ids(t), Some(&w)))
    };
    assert!(run(&[0, 3], &[1., 1.]).contains("`targets`[1] is 3, but must be below 3"));
    assert!(run(&[0, 1, 2], &[1., 1.]).contains("`targets`"));
    assert!(run(&[0, 1], &[1.]).contains("`weights`"));
    assert!(run(&[0, 1], &[0., 0.]).contains("all 0"));
    assert!(run(&[0, 1], &[1., -1.]).contains("not negative"));
    assert!(run(&[0, 1], &[f32::NAN, 1.]).contains("finite"));
    let row = logits.narrow(0, 0, 1).unwrap().squeeze(0).unwrap();
    assert!(refusal(cross_entropy(&row, &ids(&[0]), None)).contains("`logits`"));
}
