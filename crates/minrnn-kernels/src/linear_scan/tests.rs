use candle_core::{DType, Device, Tensor};
use proptest::prelude::*;

use super::{linear_scan, slow};
use crate::testing::{Case, Rng, check_chunks, refusal};

/// Coefficients in `[0, top]`, where the recurrence is used.
fn case(rng: &mut Rng, [b, t, d]: [usize; 3], top: f64) -> Case<'static> {
    Case {
        op: &|x| linear_scan(&x[0], &x[1], &x[2]),
        inputs: vec![
            rng.input(&[b, t, d], 0.0, top),
            rng.input(&[b, t, d], -2.0, 3.0),
            rng.input(&[b, d], -3.0, 2.0),
        ],
        cotangent: rng.input(&[b, t, d], -1.0, 2.0),
        tolerance: [4e-6, 1e-13],
    }
}

fn against_twin(case: &Case<'_>, dims: [usize; 3]) {
    let [a, b, h0] = [0, 1, 2].map(|i| &case.inputs[i].data[..]);
    let h = slow::linear_scan(a, b, h0, dims);
    let (da, db, dh0) = slow::linear_scan_grad(a, h0, &h, &case.cotangent.data, dims);
    case.check(&h, &[da, db, dh0]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn equals_its_twin(b in 1usize..4, t in 1usize..40, d in 1usize..70, seed: u64) {
        let case = case(&mut Rng(seed), [b, t, d], 1.0);
        against_twin(&case, [b, t, d]);
    }

    #[test]
    fn chunks_give_the_same_bits(t in 1usize..50, d in 1usize..40, chunks in prop::collection::vec(1usize..20, 1..5), seed: u64) {
        let case = case(&mut Rng(seed), [2, t, d], 1.2);
        let [a, b, h0] = [0, 1, 2].map(|i| case.inputs[i].tensor(DType::F32));
        check_chunks(t, &h0, &chunks, |from, steps, state| {
            linear_scan(&a.narrow(1, from, steps)?, &b.narrow(1, from, steps)?, state)
        });
    }
}

#[test]
fn equals_its_twin_on_long_and_wide_inputs() {
    for dims in [
        [1, 1, 1],
        [2, 1000, 5],
        [3, 70, 100],
        [1, 2, 257],
        [17, 2, 600],
    ] {
        against_twin(&case(&mut Rng(7), dims, 1.0), dims);
    }
}

#[test]
fn gradients_equal_finite_differences() {
    let rng = &mut Rng(3);
    case(rng, [2, 6, 5], 1.0).check_differences(rng);
}

#[test]
fn multiplies_then_adds_with_two_roundings() {
    // (1 + 2^-12)^2 rounds to 1 + 2^-11; a fused multiply-add would keep the 2^-24.
    let x = 1.0f32 + 2f32.powi(-12);
    let one = |x: f32| Tensor::full(x, (1, 1, 1), &Device::Cpu).unwrap();
    let h = linear_scan(&one(x), &one(-1.0), &one(x).squeeze(0).unwrap()).unwrap();
    let got = h.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    assert_eq!(got, [2f32.powi(-11)]);
}

#[test]
fn goes_through_long_sequences_forward_and_backward() {
    let (t, d) = (20_000, 3);
    let case = case(&mut Rng(11), [1, t, d], 1.0);
    let [a, b, h0] = [0, 1, 2].map(|i| &case.inputs[i].data[..]);
    let h = slow::linear_scan(a, b, h0, [1, t, d]);
    let got = linear_scan(
        &case.inputs[0].tensor(DType::F64),
        &case.inputs[1].tensor(DType::F64),
        &case.inputs[2].tensor(DType::F64),
    );
    crate::testing::close("h", &crate::testing::values(&got.unwrap()), &h, 1e-13);
}

#[test]
fn refuses_what_does_not_fit() {
    let zeros = |dims: &[usize], dtype| Tensor::zeros(dims, dtype, &Device::Cpu).unwrap();
    let f = |dims: &[usize]| zeros(dims, DType::F32);
    let (x, h0) = (f(&[2, 3, 4]), f(&[2, 4]));
    let empty = f(&[2, 0, 4]);
    assert!(refusal(linear_scan(&empty, &empty, &h0)).contains("at least 1"));
    assert!(refusal(linear_scan(&h0, &x, &h0)).contains("linear_scan: `a`"));
    assert!(refusal(linear_scan(&x, &f(&[2, 3, 5]), &h0)).contains("`b`"));
    assert!(refusal(linear_scan(&x, &x, &f(&[4, 2]))).contains("`h0`"));
    assert!(refusal(linear_scan(&x, &zeros(&[2, 3, 4], DType::F64), &h0)).contains("F64"));
    let half = zeros(&[2, 3, 4], DType::BF16);
    assert!(refusal(linear_scan(&half, &half, &h0)).contains("BF16"));
}
