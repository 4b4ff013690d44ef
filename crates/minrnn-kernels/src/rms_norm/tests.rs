use candle_core::{DType, Device, Tensor};
use proptest::prelude::*;

use super::{rms_norm, slow};
use crate::testing::{Case, Rng, refusal};

const EPS: f64 = 1e-5;

fn case(rng: &mut Rng, dims: &[usize], size: f64) -> Case<'static> {
    let width = dims[dims.len() - 1];
    Case {
        op: &|x| rms_norm(&x[0], &x[1], EPS),
        inputs: vec![
            rng.input(dims, -size, 2.0 * size),
            rng.input(&[width], 0.5, 2.0),
        ],
        cotangent: rng.input(dims, -1.0, 2.0),
        tolerance: [3e-6, 1e-13],
    }
}

fn against_twin(case: &Case<'_>) {
    let (x, w) = (&case.inputs[0].data, &case.inputs[1].data);
    let (dx, dw) = slow::rms_norm_grad(x, w, EPS, &case.cotangent.data);
    case.check(&slow::rms_norm(x, w, EPS), &[dx, dw]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    // Differences are measured by the largest gradient: of a few values all may be what cancellation leaves.
    fn equals_its_twin(n in 8usize..50, m in 4usize..90, size in 0.1f64..100.0, seed: u64) {
        against_twin(&case(&mut Rng(seed), &[n, m], size));
    }
}

#[test]
fn equals_its_twin_on_many_and_wide_rows() {
    for dims in [&[3, 700, 33][..], &[2, 9000], &[2100, 17], &[5]] {
        against_twin(&case(&mut Rng(7), dims, 1.0));
    }
}

#[test]
fn gradients_equal_finite_differences() {
    let rng = &mut Rng(3);
    case(rng, &[4, 6], 1.0).check_differences(rng);
}

#[test]
fn a_row_of_zeros_is_finite() {
    let x = Tensor::zeros((1, 4), DType::F32, &Device::Cpu).unwrap();
    let y = rms_norm(&x, &Tensor::ones(4, DType::F32, &Device::Cpu).unwrap(), EPS).unwrap();
    assert_eq!(y.to_vec2::<f32>().unwrap(), [[0.0; 4]]);
}

#[test]
fn refuses_what_does_not_fit() {
    let f = |dims: &[usize]| Tensor::zeros(dims, DType::F32, &Device::Cpu).unwrap();
    assert!(refusal(rms_norm(&f(&[2, 3]), &f(&[2]), EPS)).contains("`weight`"));
    assert!(refusal(rms_norm(&f(&[0, 3]), &f(&[3]), EPS)).contains("at least 1"));
    assert!(refusal(rms_norm(&f(&[2, 3]), &f(&[3]), 0.0)).contains("`eps`"));
    assert!(refusal(rms_norm(&f(&[2, 3]), &f(&[3]), f64::NAN)).contains("`eps`"));
}
