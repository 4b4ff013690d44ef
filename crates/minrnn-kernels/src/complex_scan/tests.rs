//! The kernel and the passes against the definition.

use candle_core::{Device, Tensor, Var};

use super::{by_doubling, complex_scan, slow};

fn values(n: usize, seed: u64) -> Vec<f64> {
    let mut state = seed;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 40) as f64 / f64::from(1 << 24) * 1.8 - 0.9
    };
    (0..n).map(|_| next()).collect()
}

fn flat(x: &Tensor) -> Vec<f64> {
    x.flatten_all().unwrap().to_vec1().unwrap()
}

#[track_caller]
fn close(what: &str, got: &[f64], want: &[f64]) {
    assert_eq!(got.len(), want.len(), "{what}");
    for (g, w) in got.iter().zip(want) {
        assert!((g - w).abs() <= 1e-11 * (1.0 + w.abs()), "{what}: {g} {w}");
    }
}

#[test]
fn values_and_gradients_are_those_of_the_definition() {
    for dims in [[1, 1, 2], [2, 7, 6], [3, 20, 2]] {
        let [b, t, d] = dims;
        let (a_, b_, h_) = (values(b * t * d, 1), values(b * t * d, 2), values(b * d, 3));
        let dh = values(b * t * d, 4);
        let want = slow::complex_scan(&a_, &b_, &h_, dims);
        let (da, db, dh0) = slow::complex_scan_grad(&a_, &h_, &want, &dh, dims);
        let device = Device::Cpu;
        let var = |v: &[f64], shape: &[usize]| {
            Var::from_tensor(&Tensor::from_slice(v, shape, &device).unwrap()).unwrap()
        };
        let (a, b_var, h0) = (
            var(&a_, &[b, t, d]),
            var(&b_, &[b, t, d]),
            var(&h_, &[b, d]),
        );
        let weights = Tensor::from_slice(&dh, (b, t, d), &device).unwrap();
        for (name, f) in [
            ("kernel", complex_scan as fn(&Tensor, &Tensor, &Tensor) -> _),
            ("passes", by_doubling),
        ] {
            let h = f(&a, &b_var, &h0).unwrap();
            close(name, &flat(&h), &want);
            let grads = (h * &weights)
                .unwrap()
                .sum_all()
                .unwrap()
                .backward()
                .unwrap();
            let of = |v: &Var| flat(grads.get(v).unwrap());
            close(&format!("{name}, a"), &of(&a), &da);
            close(&format!("{name}, b"), &of(&b_var), &db);
            close(&format!("{name}, h0"), &of(&h0), &dh0);
        }
    }
}

#[test]
fn gradients_of_the_definition_are_slopes() {
    let dims = [1, 5, 4];
    let (a, b, h0, dh) = (values(20, 5), values(20, 6), values(4, 7), values(20, 8));
    let loss = |a: &[f64], b: &[f64], h0: &[f64]| -> f64 {
        let h = slow::complex_scan(a, b, h0, dims);
        h.iter().zip(&dh).map(|(h, w)| h * w).sum()
    };
    let h = slow::complex_scan(&a, &b, &h0, dims);
    let (da, db, dh0) = slow::complex_scan_grad(&a, &h0, &h, &dh, dims);
    let step = 1e-6;
    for (which, gradient) in [&da, &db, &dh0].into_iter().enumerate() {
        for (i, g) in gradient.iter().enumerate() {
            let moved = |by: f64| {
                let mut x = [a.clone(), b.clone(), h0.clone()];
                x[which][i] += by;
                loss(&x[0], &x[1], &x[2])
            };
            let slope = (moved(step) - moved(-step)) / (2.0 * step);
            assert!((slope - g).abs() < 1e-8, "{which} {i}: {slope} {g}");
        }
    }
}

#[test]
fn chunks_give_the_same_bits_and_odd_widths_are_refused() {
    let device = Device::Cpu;
    let rand = |shape: (usize, usize, usize)| Tensor::randn(0f32, 0.5, shape, &device).unwrap();
    let (a, b) = (rand((2, 9, 6)), rand((2, 9, 6)));
    let h0 = Tensor::zeros((2, 6), candle_core::DType::F32, &device).unwrap();
    let h = complex_scan(&a, &b, &h0).unwrap();
    let part = |x: &Tensor, from: usize, len: usize| x.narrow(1, from, len).unwrap();
    let first = complex_scan(&part(&a, 0, 4), &part(&b, 0, 4), &h0).unwrap();
    let state = part(&first, 3, 1).squeeze(1).unwrap();
    let second = complex_scan(&part(&a, 4, 5), &part(&b, 4, 5), &state).unwrap();
    let joined = Tensor::cat(&[first, second], 1).unwrap();
    let bits = |x: &Tensor| -> Vec<f32> { x.flatten_all().unwrap().to_vec1().unwrap() };
    assert_eq!(bits(&joined), bits(&h));
    let odd = rand((1, 2, 3));
    let e = complex_scan(
        &odd,
        &odd,
        &Tensor::zeros((1, 3), candle_core::DType::F32, &device).unwrap(),
    );
    assert!(e.unwrap_err().to_string().contains("D even"));
}
