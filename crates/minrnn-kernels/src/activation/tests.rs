use candle_core::{DType, Device, Result, Tensor, Var};

use super::{Activation, cpu, gelu_erf, gelu_tanh, silu, slow, softplus};
use crate::testing::{Case, Rng, close, refusal, values};

type Pair = (fn(&Tensor) -> Result<Tensor>, fn(f64) -> (f64, f64));

const ALL: [Pair; 4] = [
    (gelu_erf, slow::gelu_erf),
    (gelu_tanh, slow::gelu_tanh),
    (silu, slow::silu),
    (softplus, slow::softplus),
];

fn case<'a>(
    rng: &mut Rng,
    op: &'a (dyn Fn(&[Tensor]) -> Result<Tensor> + Sync),
    dims: &[usize],
    size: f64,
) -> Case<'a> {
    Case {
        op,
        inputs: vec![rng.input(dims, -size, size)],
        cotangent: rng.input(dims, -1.0, 2.0),
        tolerance: [1e-6, 1e-13],
    }
}

#[test]
fn equal_their_twins() {
    for (fast, twin) in ALL {
        let op = move |x: &[Tensor]| fast(&x[0]);
        for (dims, size) in [
            (&[1][..], 1.0),
            (&[7, 13], 4.0),
            (&[3, 100, 67], 9.0),
            (&[3, 700], 200.0),
        ] {
            let case = case(&mut Rng(5), &op, dims, size);
            let pairs = case.inputs[0].data.iter().zip(&case.cotangent.data);
            let (y, dx): (Vec<_>, Vec<_>) =
                pairs.map(|(&x, &dy)| (twin(x).0, twin(x).1 * dy)).unzip();
            case.check(&y, &[dx]);
        }
    }
}

#[test]
fn gradients_equal_finite_differences() {
    for (fast, _) in ALL {
        let op = move |x: &[Tensor]| fast(&x[0]);
        let rng = &mut Rng(3);
        case(rng, &op, &[4, 6], 3.0).check_differences(rng);
    }
}

#[test]
fn small_tails_keep_their_relative_accuracy() {
    for (fast, twin) in ALL {
        for i in 1..60 {
            let x = -0.1 * f64::from(i);
            let x = f64::from(x as f32);
            let y = fast(&Tensor::new(&[x as f32], &Device::Cpu).unwrap()).unwrap();
            // The tanh twin itself loses 1 + tanh to cancellation far out: it is float64.
            close(&format!("at {x}"), &values(&y), &[twin(x).0], 1e-5);
        }
    }
}

#[test]
fn gates_equal_their_twins() {
    for n in [1, 7, 40_000] {
        let rng = &mut Rng(n as u64);
        let [a, x, dy] = [3.0, 8.0, 1.0].map(|s| {
            let values = rng.input(&[n], -s, 2.0 * s).data;
            values.iter().map(|v| *v as f32).collect::<Vec<f32>>()
        });
        for kind in [Activation::GeluErf, Activation::GeluTanh, Activation::Silu] {
            let twin = |i: usize| slow::activation(kind, f64::from(x[i]));
            let (mut y, mut da, mut dx) = (vec![f32::NAN; n], dy.clone(), x.clone());
            cpu::gate(kind, &a, &x, &mut y);
            cpu::gate_backward(kind, &a, &mut da, &mut dx);
            for i in 0..n {
                let ((value, slope), a, dy) = (twin(i), f64::from(a[i]), f64::from(dy[i]));
                for (got, want) in [
                    (y[i], a * value),
                    (da[i], dy * value),
                    (dx[i], dy * a * slope),
                ] {
                    let off = (f64::from(got) - want).abs();
                    assert!(
                        off <= 2e-6 * (1.0 + want.abs()),
                        "{kind:?} {i}: {got} {want}"
                    );
                }
            }
        }
    }
}

#[test]
fn stay_finite_for_every_finite_input() {
    for (fast, twin) in ALL {
        for x in [
            f32::MIN,
            -1e20,
            -1e10,
            -200.0,
            -0.0,
            200.0,
            1e10,
            1e20,
            f32::MAX,
        ] {
            let var = Var::from_tensor(&Tensor::new(&[x], &Device::Cpu).unwrap()).unwrap();
            let y = fast(&var).unwrap();
            let grads = y.sum_all().unwrap().backward().unwrap();
            let (y, slope) = (values(&y)[0], values(grads.get(&var).unwrap())[0]);
            let (want, want_slope) = if x > 0.0 {
                (f64::from(x), 1.0)
            } else {
                (0.0, 0.0)
            };
            let want = if x == 0.0 { twin(0.0).0 } else { want };
            assert!((y - want).abs() <= 6e-8 * want, "at {x}: {y}");
            let want_slope = if x == 0.0 { 0.5 } else { want_slope };
            assert!((slope - want_slope).abs() < 1e-7, "slope at {x}: {slope}");
        }
        let nan = fast(&Tensor::new(&[f32::NAN], &Device::Cpu).unwrap()).unwrap();
        assert!(values(&nan)[0].is_nan());
    }
}

#[test]
fn refuse_what_does_not_fit() {
    for (fast, _) in ALL {
        let empty = Tensor::zeros((2, 0), DType::F32, &Device::Cpu).unwrap();
        assert!(refusal(fast(&empty)).contains("at least 1"));
        let half = Tensor::zeros(3, DType::F16, &Device::Cpu).unwrap();
        assert!(refusal(fast(&half)).contains("F16"));
    }
}
