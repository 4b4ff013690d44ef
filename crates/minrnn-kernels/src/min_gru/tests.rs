use candle_core::{DType, Device, Tensor, Var};
use proptest::prelude::*;

use super::{min_gru, min_gru_backward, slow};
use crate::Candidate;
use crate::testing::{Case, Rng, check_chunks, close, refusal, same_bits, values};

const KINDS: [Candidate; 2] = [Candidate::G, Candidate::Linear];

/// Pre-activations in `[-top, top]`.
fn case(rng: &mut Rng, [b, t, d]: [usize; 3], kind: Candidate, top: f64) -> Case<'static> {
    Case {
        op: match kind {
            Candidate::G => &|x| min_gru(&x[0], &x[1], Candidate::G),
            Candidate::Linear => &|x| min_gru(&x[0], &x[1], Candidate::Linear),
        },
        inputs: vec![
            rng.input(&[b, t, 2 * d], -top, top),
            rng.input(&[b, d], -3.0, 2.0),
        ],
        cotangent: rng.input(&[b, t, d], -1.0, 2.0),
        tolerance: [4e-6, 1e-13],
    }
}

fn against_twin(case: &Case<'_>, kind: Candidate, dims: [usize; 3]) {
    let (kv, h0) = (&case.inputs[0].data, &case.inputs[1].data);
    let h = slow::min_gru(kv, h0, kind, dims);
    let (dkv, dh0) = slow::min_gru_grad(kv, h0, kind, &case.cotangent.data, dims);
    case.check(&h, &[dkv, dh0]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn equals_its_twin(b in 1usize..4, t in 1usize..40, d in 1usize..70, big: bool, seed: u64) {
        for kind in KINDS {
            let case = case(&mut Rng(seed), [b, t, d], kind, if big { 200.0 } else { 4.0 });
            against_twin(&case, kind, [b, t, d]);
        }
    }

    #[test]
    fn chunks_give_the_same_bits(t in 1usize..50, d in 1usize..40, chunks in prop::collection::vec(1usize..20, 1..5), seed: u64) {
        for kind in KINDS {
            let case = case(&mut Rng(seed), [2, t, d], kind, 5.0);
            let [kv, h0] = [0, 1].map(|i| case.inputs[i].tensor(DType::F32));
            check_chunks(t, &h0, &chunks, |from, steps, state| {
                min_gru(&kv.narrow(1, from, steps)?, state, kind)
            });
        }
    }
}

#[test]
fn equals_its_twin_on_long_and_wide_inputs() {
    for kind in KINDS {
        for dims in [[1, 1, 1], [2, 1000, 5], [3, 70, 100], [1, 2, 257]] {
            against_twin(&case(&mut Rng(7), dims, kind, 6.0), kind, dims);
        }
    }
}

#[test]
fn gradients_equal_finite_differences() {
    for kind in KINDS {
        let rng = &mut Rng(3);
        case(rng, [2, 6, 5], kind, 3.0).check_differences(rng);
    }
}

#[test]
fn a_closed_gate_keeps_its_state_for_ever() {
    let (t, d) = (100_000, 2);
    // k = -200: z is 0 and a is 1, exactly.
    let k = Tensor::full(-200f32, (1, t, d), &Device::Cpu).unwrap();
    let v = Tensor::full(3f32, (1, t, d), &Device::Cpu).unwrap();
    let h0 = Tensor::new(&[[0.7f32, -1.3]], &Device::Cpu).unwrap();
    let h = min_gru(&Tensor::cat(&[k, v], 2).unwrap(), &h0, Candidate::G).unwrap();
    let last = h.narrow(1, t - 1, 1).unwrap();
    assert_eq!(values(&last), values(&h0));
}

#[test]
fn equals_the_same_layer_of_candle_operations() {
    // Written with candle's own differentiable operations, step by step.
    let case = case(&mut Rng(5), [2, 7, 3], Candidate::Linear, 3.0);
    let run = |whole: bool| {
        let kv = Var::from_tensor(&case.inputs[0].tensor(DType::F64)).unwrap();
        let h0 = case.inputs[1].tensor(DType::F64);
        let h = if whole {
            min_gru(&kv, &h0, Candidate::Linear).unwrap()
        } else {
            let sigmoid = |x: &Tensor| (x.neg().unwrap().exp().unwrap() + 1.0).unwrap().recip();
            let (mut h, mut rows) = (h0, vec![]);
            for t in 0..7 {
                let row = kv.narrow(1, t, 1).unwrap().squeeze(1).unwrap();
                let (k, v) = (row.narrow(1, 0, 3).unwrap(), row.narrow(1, 3, 3).unwrap());
                let z = sigmoid(&k).unwrap();
                h = (&h + (z * (v - &h).unwrap()).unwrap()).unwrap();
                rows.push(h.clone());
            }
            Tensor::stack(&rows, 1).unwrap()
        };
        let weighted = (&h * case.cotangent.tensor(DType::F64)).unwrap();
        let grads = weighted.sum_all().unwrap().backward().unwrap();
        (values(&h), values(grads.get(&kv).unwrap()))
    };
    let ((h, dkv), (want, dwant)) = (run(true), run(false));
    close("h", &h, &want, 1e-13);
    close("gradient", &dkv, &dwant, 1e-13);
}

#[test]
fn nan_stays_visible() {
    let kv = Tensor::new(&[[[f32::NAN, 0.5]], [[0.5, f32::NAN]]], &Device::Cpu).unwrap();
    let h0 = Tensor::zeros((2, 1), DType::F32, &Device::Cpu).unwrap();
    let h = min_gru(&kv, &h0, Candidate::G).unwrap();
    assert!(values(&h).iter().all(|x| x.is_nan()));
}

#[test]
fn refuses_what_does_not_fit() {
    let zeros = |dims: &[usize], dtype| Tensor::zeros(dims, dtype, &Device::Cpu).unwrap();
    let f = |dims: &[usize]| zeros(dims, DType::F32);
    let run = |kv: &Tensor, h0: &Tensor| refusal(min_gru(kv, h0, Candidate::G));
    assert!(run(&f(&[2, 0, 4]), &f(&[2, 2])).contains("at least 1"));
    assert!(run(&f(&[2, 3, 5]), &f(&[2, 2])).contains("even"));
    assert!(run(&f(&[2, 3, 4]), &f(&[2, 4])).contains("`h0`"));
    assert!(run(&zeros(&[2, 3, 4], DType::F16), &f(&[2, 2])).contains("F16"));
    assert!(run(&zeros(&[2, 3, 4], DType::F64), &f(&[2, 2])).contains("as the other inputs"));
}

#[test]
fn the_backward_pass_alone_gives_the_gradients_of_the_tape() {
    let case = case(&mut Rng(9), [2, 7, 5], Candidate::G, 3.0);
    let [kv, h0] = [0, 1].map(|i| Var::from_tensor(&case.inputs[i].tensor(DType::F32)).unwrap());
    let dh = case.cotangent.tensor(DType::F32);
    let h = min_gru(&kv, &h0, Candidate::G).unwrap();
    let tape = (&h * &dh).unwrap().sum_all().unwrap().backward().unwrap();
    let (dkv, dh0) = min_gru_backward(&kv, &h0, Candidate::G, &h, &dh).unwrap();
    same_bits("kv", &dkv, tape.get(&kv).unwrap());
    same_bits("h0", &dh0, tape.get(&h0).unwrap());
    let short = dh.narrow(1, 0, 6).unwrap();
    let refused = min_gru_backward(&kv, &h0, Candidate::G, &h, &short);
    assert!(refusal(refused.map(|g| g.0)).contains("`dh`"));
}
