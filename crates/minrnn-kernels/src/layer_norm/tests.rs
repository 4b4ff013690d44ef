use candle_core::{DType, Device, Tensor};
use proptest::prelude::*;

use super::{layer_norm, slow};
use crate::testing::{Case, Rng, close, refusal, values};

const EPS: f64 = 1e-5;

fn case(rng: &mut Rng, dims: &[usize], size: f64) -> Case<'static> {
    let width = dims[dims.len() - 1];
    Case {
        op: &|x| layer_norm(&x[0], &x[1], &x[2], EPS),
        inputs: vec![
            rng.input(dims, -size, 2.0 * size),
            rng.input(&[width], 0.5, 2.0),
            rng.input(&[width], -1.0, 1.5),
        ],
        cotangent: rng.input(dims, -1.0, 2.0),
        tolerance: [5e-6, 1e-12],
    }
}

fn against_twin(case: &Case<'_>) {
    let [x, w, b] = [0, 1, 2].map(|i| &case.inputs[i].data[..]);
    let (dx, dw, db) = slow::layer_norm_grad(x, w, EPS, &case.cotangent.data);
    case.check(&slow::layer_norm(x, w, b, EPS), &[dx, dw, db]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn equals_its_twin(n in 1usize..50, m in 3usize..90, size in 0.1f64..100.0, seed: u64) {
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
fn a_row_far_from_zero_keeps_its_variance() {
    // One pass over squares would lose it: 1000^2 has no room for 0.01 in f32.
    let x = Tensor::new(&[[1000f32, 1000.25, 999.75, 1000.5]], &Device::Cpu).unwrap();
    let (w, b) = (
        Tensor::ones(4, DType::F32, &Device::Cpu),
        Tensor::zeros(4, DType::F32, &Device::Cpu),
    );
    let y = layer_norm(&x, &w.unwrap(), &b.unwrap(), EPS).unwrap();
    let want = slow::layer_norm(&values(&x), &[1.0; 4], &[0.0; 4], EPS);
    close("y", &values(&y), &want, 1e-5);
}

#[test]
fn refuses_what_does_not_fit() {
    let f = |dims: &[usize]| Tensor::zeros(dims, DType::F32, &Device::Cpu).unwrap();
    let x = f(&[2, 3]);
    assert!(refusal(layer_norm(&x, &f(&[2]), &f(&[3]), EPS)).contains("`weight`"));
    assert!(refusal(layer_norm(&x, &f(&[3]), &f(&[1]), EPS)).contains("`bias`"));
    assert!(refusal(layer_norm(&x, &f(&[3]), &f(&[3]), -1.0)).contains("`eps`"));
}
