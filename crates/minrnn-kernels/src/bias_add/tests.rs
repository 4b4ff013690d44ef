use candle_core::{DType, Device, Tensor};
use proptest::prelude::*;

use super::bias_add;
use crate::testing::{Case, Rng, refusal};

fn check(rng: &mut Rng, dims: &[usize]) {
    let width = dims[dims.len() - 1];
    let case = Case {
        op: &|x| bias_add(&x[0], &x[1]),
        inputs: vec![rng.input(dims, -1.0, 2.0), rng.input(&[width], -1.0, 2.0)],
        cotangent: rng.input(dims, -1.0, 2.0),
        tolerance: [2e-6, 1e-13],
    };
    let (x, bias, dy) = (
        &case.inputs[0].data,
        &case.inputs[1].data,
        &case.cotangent.data,
    );
    let y: Vec<f64> = (0..x.len()).map(|i| x[i] + bias[i % width]).collect();
    let mut dbias = vec![0.0; width];
    for (i, dy) in dy.iter().enumerate() {
        dbias[i % width] += dy;
    }
    case.check(&y, &[dy.clone(), dbias]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn equals_its_definition(n in 1usize..200, m in 1usize..90, seed: u64) {
        check(&mut Rng(seed), &[n, m]);
    }
}

#[test]
fn equals_its_definition_on_many_and_wide_rows() {
    for dims in [&[3, 700, 33][..], &[2, 9000], &[20_000, 2], &[5]] {
        check(&mut Rng(7), dims);
    }
}

#[test]
fn refuses_what_does_not_fit() {
    let f = |dims: &[usize]| Tensor::zeros(dims, DType::F32, &Device::Cpu).unwrap();
    assert!(refusal(bias_add(&f(&[2, 3]), &f(&[2]))).contains("`bias`"));
    assert!(refusal(bias_add(&f(&[2, 0]), &f(&[0]))).contains("at least 1"));
    assert!(refusal(bias_add(&f(&[]), &f(&[1]))).contains("`x`"));
}
