use candle_core::{DType, Device, Tensor};
use proptest::prelude::*;

use super::embedding;
use crate::testing::{Case, Rng, refusal};

fn check(rng: &mut Rng, n: usize, v: usize, m: usize) {
    let ids: Vec<u32> = (0..n).map(|_| rng.below(v) as u32).collect();
    let tensor = Tensor::from_slice(&ids, n, &Device::Cpu).unwrap();
    let case = Case {
        op: &|x| embedding(&x[0], &tensor),
        inputs: vec![rng.input(&[v, m], -1.0, 2.0)],
        cotangent: rng.input(&[n, m], -1.0, 2.0),
        tolerance: [4e-6, 1e-13],
    };
    let (mut y, mut grad) = (vec![], vec![0.0; v * m]);
    for (place, &id) in ids.iter().enumerate() {
        for c in 0..m {
            y.push(case.inputs[0].data[id as usize * m + c]);
            grad[id as usize * m + c] += case.cotangent.data[place * m + c];
        }
    }
    case.check(&y, &[grad]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn equals_its_definition(n in 1usize..100, v in 1usize..40, m in 1usize..90, seed: u64) {
        check(&mut Rng(seed), n, v, m);
    }
}

#[test]
fn equals_its_definition_on_large_inputs() {
    for (n, v, m) in [(5000, 3, 70), (3, 9000, 5), (2, 2, 20_000), (2000, 1, 100)] {
        check(&mut Rng(7), n, v, m);
    }
}

#[test]
fn refuses_an_id_that_is_not_in_the_table() {
    let table = Tensor::zeros((3, 2), DType::F32, &Device::Cpu).unwrap();
    let ids = Tensor::new(&[0u32, 2, 3], &Device::Cpu).unwrap();
    let text = refusal(embedding(&table, &ids));
    assert!(
        text.contains("`ids`[2] is 3, but must be below 3"),
        "{text}"
    );
}

#[test]
fn refuses_what_does_not_fit() {
    let f = |dims: &[usize]| Tensor::zeros(dims, DType::F32, &Device::Cpu).unwrap();
    let ids = Tensor::new(&[0u32, 1], &Device::Cpu).unwrap();
    assert!(refusal(embedding(&f(&[3, 2]), &f(&[2]))).contains("U32"));
    assert!(refusal(embedding(&f(&[3]), &ids)).contains("`table`"));
    let square = ids.unsqueeze(0).unwrap();
    assert!(refusal(embedding(&f(&[3, 2]), &square)).contains("`ids`"));
}
