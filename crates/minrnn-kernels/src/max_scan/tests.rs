use super::{cpu, slow};
use crate::Size;
use crate::dispatch::Level;
use crate::testing::{Rng, close};

/// b with values that come again, h0, and the gradient of h.
pub(super) fn data(size: Size, seed: u64) -> [Vec<f64>; 3] {
    let rng = &mut Rng(seed);
    let Size { b, t, d } = size;
    let mut values = rng.input(&[b, t, d], -2.0, 2.0).data;
    values
        .iter_mut()
        .for_each(|v| *v = (*v * 8.0).round() / 8.0);
    [
        values,
        rng.input(&[b, d], -3.0, 0.0).data,
        rng.input(&[b, t, d], -1.0, 1.0).data,
    ]
}

fn narrow(x: &[f64]) -> Vec<f32> {
    x.iter().map(|v| *v as f32).collect()
}

fn wide(x: &[f32]) -> Vec<f64> {
    x.iter().map(|v| f64::from(*v)).collect()
}

/// h, and the gradients of b and h0.
fn run([b, h0, dh]: &[Vec<f64>; 3], size: Size) -> [Vec<f32>; 3] {
    let [b, h0, dh] = [b, h0, dh].map(|x| narrow(x));
    let (mut h, mut db) = (vec![f32::NAN; b.len()], vec![f32::NAN; b.len()]);
    let mut dh0 = vec![f32::NAN; h0.len()];
    cpu::forward(&b, &h0, &mut h, size);
    cpu::backward([&b, &h0, &h, &dh], [&mut db, &mut dh0], size);
    [h, db, dh0]
}

#[test]
fn equals_its_twin_with_any_number_of_threads() {
    for (i, (b, t, d)) in [(1, 1, 1), (3, 20, 5), (2, 300, 70)]
        .into_iter()
        .enumerate()
    {
        let size = Size { b, t, d };
        let data = data(size, i as u64);
        let got = run(&data, size);
        let [b, h0, dh] = &data;
        let h = slow::max_scan(b, h0, size.dims());
        let (db, dh0) = slow::max_scan_grad(b, h0, &h, dh, size.dims());
        for (what, got, want) in [
            ("h", &got[0], h),
            ("db", &got[1], db),
            ("dh0", &got[2], dh0),
        ] {
            close(what, &wide(got), &want, 1e-6);
        }
        for level in Level::all() {
            assert!(level.forced(|| run(&data, size)) == got, "{level:?}");
        }
        for threads in [1, 3] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
            assert!(
                pool.unwrap().install(|| run(&data, size)) == got,
                "{threads}"
            );
        }
    }
}

#[test]
fn gradients_of_the_definition_are_slopes() {
    let size = Size { b: 2, t: 9, d: 3 };
    let rng = &mut Rng(4);
    // Values that differ by more than the step.
    let b = rng.input(&[2, 9, 3], -1.0, 1.0).data;
    let [_, h0, dh] = data(size, 4);
    let h = slow::max_scan(&b, &h0, size.dims());
    let (db, dh0) = slow::max_scan_grad(&b, &h0, &h, &dh, size.dims());
    let loss = |b: &[f64], h0: &[f64]| -> f64 {
        let h = slow::max_scan(b, h0, size.dims());
        h.iter().zip(&dh).map(|(h, d)| h * d).sum()
    };
    let slope = |at: usize, of_b: bool| {
        let moved = |by: f64| {
            let (mut b, mut h0) = (b.clone(), h0.clone());
            let x = if of_b { &mut b } else { &mut h0 };
            x[at] += by;
            loss(&b, &h0)
        };
        (moved(1e-6) - moved(-1e-6)) / 2e-6
    };
    for (grads, of_b) in [(&db, true), (&dh0, false)] {
        for (i, g) in grads.iter().enumerate() {
            assert!((slope(i, of_b) - g).abs() < 1e-8, "{of_b} {i}");
        }
    }
}

/// Where both are equal the gradient is b's; what is no number stays none.
#[test]
fn ties_are_the_argument_s_and_no_number_stays_none() {
    let size = Size { b: 1, t: 4, d: 1 };
    let all = [vec![1.0, 1.0, 0.0, 1.0], vec![1.0], vec![1.0; 4]];
    let [h, db, dh0] = run(&all, size);
    assert_eq!(h, [1.0; 4]);
    assert_eq!(db, [1.0, 2.0, 0.0, 1.0]);
    assert_eq!(dh0, [0.0]);
    let none = [vec![1.0, f64::NAN, 2.0, 3.0], vec![0.0], vec![1.0; 4]];
    let [h, ..] = run(&none, size);
    assert!(h[0] == 1.0 && h[1..].iter().all(|h| h.is_nan()), "{h:?}");
}
