use candle_core::{DType, Device, Tensor};
use proptest::prelude::*;

use super::{causal_conv, causal_conv_state, slow};
use crate::testing::{Case, Input, Rng, refusal, same_bits};

fn case(rng: &mut Rng, [b, t, m]: [usize; 3], k: usize, bias: bool) -> Case<'static> {
    let mut inputs = vec![
        rng.input(&[b, t, m], -1.0, 2.0),
        rng.input(&[k, m], -2.0, 1.0),
    ];
    if k > 1 {
        inputs.push(rng.input(&[b, k - 1, m], -2.0, 1.5));
    }
    if bias {
        inputs.push(rng.input(&[m], -1.0, 1.0));
    }
    Case {
        op: match (k > 1, bias) {
            (true, true) => &|x| causal_conv(&x[0], &x[2], &x[1], Some(&x[3])),
            (true, false) => &|x| causal_conv(&x[0], &x[2], &x[1], None),
            (false, true) => &|x| causal_conv(&x[0], &no_state(&x[0]), &x[1], Some(&x[2])),
            (false, false) => &|x| causal_conv(&x[0], &no_state(&x[0]), &x[1], None),
        },
        inputs,
        cotangent: rng.input(&[b, t, m], -1.0, 2.0),
        tolerance: [2e-6, 1e-13],
    }
}

/// The state of one tap.
fn no_state(x: &Tensor) -> Tensor {
    let (b, _, m) = x.dims3().unwrap();
    Tensor::zeros((b, 0, m), x.dtype(), x.device()).unwrap()
}

fn against_twin(case: &Case<'_>, dims: [usize; 3], k: usize, bias: bool) {
    let none = Input {
        data: vec![],
        dims: vec![],
    };
    let state = if k > 1 { &case.inputs[2] } else { &none };
    let (x, w) = (&case.inputs[0].data, &case.inputs[1].data);
    let b = bias.then(|| &case.inputs[case.inputs.len() - 1].data[..]);
    let grads = slow::causal_conv_grad(x, &state.data, w, &case.cotangent.data, dims);
    let mut want = vec![grads.x, grads.weight];
    if k > 1 {
        want.push(grads.state);
    }
    if bias {
        want.push(grads.bias);
    }
    case.check(&slow::causal_conv(x, &state.data, w, b, dims), &want);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn equals_its_twin(b in 1usize..4, t in 1usize..20, m in 1usize..50, k in 1usize..7, bias: bool, seed: u64) {
        against_twin(&case(&mut Rng(seed), [b, t, m], k, bias), [b, t, m], k, bias);
    }

    #[test]
    fn chunks_give_the_same_bits(t in 1usize..30, k in 1usize..7, chunks in prop::collection::vec(1usize..9, 1..5), seed: u64) {
        let (b, m) = (2, 5);
        let rng = &mut Rng(seed);
        let [x, state, w, bias] = [&[b, t, m][..], &[b, k - 1, m], &[k, m], &[m]]
            .map(|dims| rng.input(dims, -1.0, 2.0).tensor(DType::F32));
        let whole = causal_conv(&x, &state, &w, Some(&bias)).unwrap();
        let last = causal_conv_state(&x, &state).unwrap();
        let (mut from, mut state, mut parts) = (0, state, vec![]);
        for &steps in chunks.iter().chain(std::iter::repeat(&1)) {
            let steps = steps.min(t - from);
            if steps == 0 {
                break;
            }
            let part = x.narrow(1, from, steps).unwrap();
            parts.push(causal_conv(&part, &state, &w, Some(&bias)).unwrap());
            state = causal_conv_state(&part, &state).unwrap();
            from += steps;
        }
        same_bits("chunks", &Tensor::cat(&parts, 1).unwrap(), &whole);
        same_bits("state", &state, &last);
    }
}

#[test]
fn equals_its_twin_on_long_and_wide_inputs() {
    for (dims, k) in [([3, 700, 11], 4), ([1, 2, 9000], 3), ([2, 1000, 1], 5)] {
        against_twin(&case(&mut Rng(7), dims, k, true), dims, k, true);
    }
}

#[test]
fn gradients_equal_finite_differences() {
    let rng = &mut Rng(3);
    case(rng, [2, 3, 4], 4, true).check_differences(rng);
}

#[test]
fn the_state_is_the_last_inputs_also_of_short_sequences() {
    let state = Tensor::new(&[[[1f32], [2.], [3.]]], &Device::Cpu).unwrap();
    let x = |x: &[f32]| Tensor::from_slice(x, (1, x.len(), 1), &Device::Cpu).unwrap();
    let after = |steps: &[f32]| {
        let state = causal_conv_state(&x(steps), &state).unwrap();
        state.flatten_all().unwrap().to_vec1::<f32>().unwrap()
    };
    assert_eq!(after(&[4.]), [2., 3., 4.]);
    assert_eq!(after(&[4., 5., 6.]), [4., 5., 6.]);
    assert_eq!(after(&[4., 5., 6., 7.]), [5., 6., 7.]);
}

#[test]
fn refuses_what_does_not_fit() {
    let f = |dims: &[usize]| Tensor::zeros(dims, DType::F32, &Device::Cpu).unwrap();
    let (x, state, w) = (f(&[2, 5, 3]), f(&[2, 3, 3]), f(&[4, 3]));
    let run = |x: &Tensor, s: &Tensor, w: &Tensor| refusal(causal_conv(x, s, w, None));
    assert!(run(&f(&[2, 0, 3]), &state, &w).contains("at least 1"));
    assert!(run(&x, &f(&[2, 4, 3]), &w).contains("`state`"));
    assert!(run(&x, &state, &f(&[4, 5])).contains("`weight`"));
    assert!(run(&x, &state, &f(&[0, 3])).contains("at least 1"));
    let bias = f(&[4]);
    assert!(refusal(causal_conv(&x, &state, &w, Some(&bias))).contains("`bias`"));
    assert!(refusal(causal_conv_state(&x, &f(&[3, 3, 3]))).contains("`state`"));
}
