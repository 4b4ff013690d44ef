use candle_core::{Device, Tensor, Var};

use super::{sigmoid, slow};
use crate::testing::{close, values};

#[test]
fn value_and_slope_equal_the_twin_on_both_sides() {
    let x: Vec<f32> = (-900..=900).map(|i| 0.1 * i as f32).collect();
    let var = Var::from_slice(&x, x.len(), &Device::Cpu).unwrap();
    let cotangent: Vec<f32> = x.iter().map(|x| 1.5 + x.sin()).collect();
    let cotangent = Tensor::new(cotangent, &Device::Cpu).unwrap();
    let y = sigmoid(&var).unwrap();
    let grads = (&y * &cotangent)
        .unwrap()
        .sum_all()
        .unwrap()
        .backward()
        .unwrap();
    let twins = x.iter().map(|x| slow::sigmoid(f64::from(*x)));
    let (want, slopes): (Vec<_>, Vec<_>) = twins.unzip();
    let want_dx: Vec<_> = slopes
        .iter()
        .zip(values(&cotangent))
        .map(|(s, c)| s * c)
        .collect();
    // Relative accuracy: a gate that is nearly closed is as right as an open one.
    for (what, got, want) in [
        ("y", values(&y), want),
        ("dx", values(grads.get(&var).unwrap()), want_dx),
    ] {
        for (i, (g, w)) in got.iter().zip(&want).enumerate() {
            if w.abs() > 1e-37 {
                close(&format!("{what} at {}", x[i]), &[g / w], &[1.0], 2e-6);
            }
        }
    }
}

#[test]
fn gates_close() {
    let x = Tensor::new(&[-200f32, -40.0, 40.0, 200.0], &Device::Cpu).unwrap();
    let y = values(&sigmoid(&x).unwrap());
    assert!(
        y[0] < 1e-37 && (y[1] / 4.248_354_255_291_589e-18 - 1.0).abs() < 1e-5,
        "{y:?}"
    );
    assert_eq!(&y[2..], [1.0, 1.0]);
}
