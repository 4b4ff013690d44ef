use candle_core::{DType, Device, Tensor};
use proptest::prelude::*;

use super::{min_lstm, slow};
use crate::Candidate;
use crate::testing::{Case, Rng, check_chunks, refusal, values};

type Kind = (Candidate, bool);

const KINDS: [Kind; 4] = [
    (Candidate::G, true),
    (Candidate::G, false),
    (Candidate::Linear, true),
    (Candidate::Linear, false),
];

/// Pre-activations in `[-top, top]`.
fn case(rng: &mut Rng, [b, t, d]: [usize; 3], kind: Kind, top: f64) -> Case<'static> {
    Case {
        op: match kind {
            (Candidate::G, true) => &|x| min_lstm(&x[0], &x[1], Candidate::G, true),
            (Candidate::G, false) => &|x| min_lstm(&x[0], &x[1], Candidate::G, false),
            (Candidate::Linear, true) => &|x| min_lstm(&x[0], &x[1], Candidate::Linear, true),
            (Candidate::Linear, false) => &|x| min_lstm(&x[0], &x[1], Candidate::Linear, false),
        },
        inputs: vec![
            rng.input(&[b, t, 3 * d], -top, top),
            rng.input(&[b, d], -3.0, 2.0),
        ],
        cotangent: rng.input(&[b, t, d], -1.0, 2.0),
        tolerance: [4e-6, 1e-13],
    }
}

fn against_twin(case: &Case<'_>, (kind, normalize): Kind, dims: [usize; 3]) {
    let (pqv, h0) = (&case.inputs[0].data, &case.inputs[1].data);
    let h = slow::min_lstm(pqv, h0, kind, normalize, dims);
    let (dpqv, dh0) = slow::min_lstm_grad(pqv, h0, kind, normalize, &case.cotangent.data, dims);
    case.check(&h, &[dpqv, dh0]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10))]

    #[test]
    fn equals_its_twin(b in 1usize..4, t in 1usize..30, d in 1usize..60, big: bool, seed: u64) {
        for kind in KINDS {
            let case = case(&mut Rng(seed), [b, t, d], kind, if big { 200.0 } else { 4.0 });
            against_twin(&case, kind, [b, t, d]);
        }
    }

    #[test]
    fn chunks_give_the_same_bits(t in 1usize..50, d in 1usize..40, chunks in prop::collection::vec(1usize..20, 1..5), seed: u64) {
        for kind in KINDS {
            let case = case(&mut Rng(seed), [2, t, d], kind, 5.0);
            let [pqv, h0] = [0, 1].map(|i| case.inputs[i].tensor(DType::F32));
            check_chunks(t, &h0, &chunks, |from, steps, state| {
                min_lstm(&pqv.narrow(1, from, steps)?, state, kind.0, kind.1)
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
fn normalised_gates_are_right_at_every_corner() {
    // f/(f+i) = 1 / (1 + (1 + e^-p) / (1 + e^-q)), here by logarithms in float64.
    let softplus = |x: f64| x.max(0.0) + libm::log1p(libm::exp(-x.abs()));
    let corners = [
        -3e38, -1e4, -200.0, -104.0, -88.0, -1.0, 0.0, 1.0, 88.0, 200.0, 3e38,
    ];
    for p in corners {
        for q in corners {
            let [p32, q32] = [p as f32, q as f32];
            let x = Tensor::new(&[[[p32, q32, 2.5f32]]], &Device::Cpu).unwrap();
            let h0 = Tensor::new(&[[-1.5f32]], &Device::Cpu).unwrap();
            let got = values(&min_lstm(&x, &h0, Candidate::Linear, true).unwrap())[0];
            let odds = softplus(-p) - softplus(-q);
            let input = 1.0 / (1.0 + libm::exp(-odds));
            let input = if odds.is_nan() { 0.5 } else { input };
            let forget = if odds.is_nan() {
                0.5
            } else {
                1.0 / (1.0 + libm::exp(odds))
            };
            let want = forget * -1.5 + input * 2.5;
            assert!(
                (got - want).abs() < 1e-6,
                "p {p}, q {q}: got {got}, want {want}"
            );
        }
    }
}

#[test]
fn nan_stays_visible() {
    for at in 0..3 {
        for kind in KINDS {
            let mut x = [0.5f32; 3];
            x[at] = f32::NAN;
            let x = Tensor::new(&[[x]], &Device::Cpu).unwrap();
            let h0 = Tensor::new(&[[1f32]], &Device::Cpu).unwrap();
            let h = min_lstm(&x, &h0, kind.0, kind.1).unwrap();
            assert!(values(&h)[0].is_nan(), "NaN at {at}, {kind:?}");
        }
    }
}

#[test]
fn refuses_what_does_not_fit() {
    let f = |dims: &[usize]| Tensor::zeros(dims, DType::F32, &Device::Cpu).unwrap();
    let run = |x: &Tensor, h0: &Tensor| refusal(min_lstm(x, h0, Candidate::G, true));
    assert!(run(&f(&[2, 0, 6]), &f(&[2, 2])).contains("at least 1"));
    assert!(run(&f(&[2, 3, 5]), &f(&[2, 2])).contains("multiple of 3"));
    assert!(run(&f(&[2, 3, 6]), &f(&[2, 3])).contains("`h0`"));
    assert!(run(&f(&[2, 3, 6]).to_dtype(DType::U32).unwrap(), &f(&[2, 2])).contains("U32"));
}
