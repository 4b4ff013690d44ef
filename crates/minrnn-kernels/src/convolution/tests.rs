use super::{Size, cpu, slow};
use crate::dispatch::Level;
use crate::testing::{Rng, close};

/// One step; fewer and more steps than taps; channels beside a whole line; an odd number of sequences; several groups of pairs; transforms of odd
/// and of even powers, beyond the first cache too.
pub(super) const SIZES: [[usize; 4]; 9] = [
    [1, 1, 1, 2],
    [1, 1, 3, 9],
    [2, 5, 3, 4],
    [3, 9, 17, 9],
    [2, 30, 16, 65],
    [19, 7, 5, 6],
    [1, 130, 33, 130],
    [3, 700, 4, 600],
    [2, 40, 2, 1100],
];

pub(super) fn size([batch, time, channels, taps]: [usize; 4]) -> Size {
    Size {
        batch,
        time,
        channels,
        taps,
    }
}

/// x, window, taps and the gradient of y.
pub(super) fn data(size: Size, seed: u64) -> [Vec<f64>; 4] {
    let rng = &mut Rng(seed);
    let lens = [size.values(), size.window(), size.filter(), size.values()];
    lens.map(|len| rng.input(&[len], -1.0, 2.0).data)
}

fn narrow(values: &[f64]) -> Vec<f32> {
    values.iter().map(|v| *v as f32).collect()
}

/// y, and the gradients of x and of the taps.
fn by_kernel(data: &[Vec<f64>; 4], windowed: bool, size: Size) -> [Vec<f32>; 3] {
    let [x, window, taps, dy] = data.each_ref().map(|v| narrow(v));
    let given = cpu::Given {
        x: &x,
        window: windowed.then_some(&window[..]),
        taps: &taps,
        size,
    };
    // What was there before counts for nothing.
    let [mut y, mut dx] = [(); 2].map(|()| vec![f32::NAN; size.values()]);
    let mut dtaps = vec![f32::NAN; size.filter()];
    cpu::forward(given, &mut y);
    cpu::backward(given, &dy, [&mut dx, &mut dtaps], &mut vec![7.0; 3]);
    [y, dx, dtaps]
}

pub(super) fn by_definition(data: &[Vec<f64>; 4], windowed: bool, size: Size) -> [Vec<f64>; 3] {
    let [x, window, taps, dy] = data;
    let window = windowed.then_some(&window[..]);
    let [dx, dtaps] = slow::convolution_grad(x, window, taps, dy, size);
    [slow::convolution(x, window, taps, size), dx, dtaps]
}

#[test]
fn equals_its_twin() {
    for (i, sizes) in SIZES.into_iter().enumerate() {
        let size = size(sizes);
        let data = data(size, i as u64);
        for windowed in [false, true] {
            let want = by_definition(&data, windowed, size);
            let got = by_kernel(&data, windowed, size);
            for ((got, want), name) in got.iter().zip(&want).zip(["y", "dx", "dtaps"]) {
                let got: Vec<f64> = got.iter().map(|v| f64::from(*v)).collect();
                close(&format!("{name} of {size:?}, {windowed}"), &got, want, 2e-6);
            }
        }
    }
}

#[test]
fn any_number_of_threads_and_any_vectors_give_the_same_bits() {
    let bits = |all: [Vec<f32>; 3]| all.map(|v| v.iter().map(|v| v.to_bits()).collect::<Vec<_>>());
    for sizes in [[3, 9, 17, 9], [19, 300, 40, 300]] {
        let size = size(sizes);
        let data = data(size, 5);
        let want = bits(by_kernel(&data, true, size));
        for level in Level::all() {
            assert!(
                bits(level.forced(|| by_kernel(&data, true, size))) == want,
                "{level:?}"
            );
        }
        for threads in [1, 3] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
            let got = pool.unwrap().install(|| by_kernel(&data, true, size));
            assert!(bits(got) == want, "{threads} threads");
        }
    }
}

#[test]
fn gradients_of_the_definition_are_slopes() {
    let size = size([2, 5, 2, 4]);
    let all = data(size, 3);
    let [_, dx, dtaps] = by_definition(&all, true, size);
    let loss = |data: &[Vec<f64>; 4]| -> f64 {
        let [y, ..] = by_definition(data, true, size);
        y.iter().zip(&data[3]).map(|(y, d)| y * d).sum()
    };
    for (which, grads) in [(0, &dx), (2, &dtaps)] {
        for (i, grad) in grads.iter().enumerate() {
            let moved = |by: f64| {
                let mut data = all.clone();
                data[which][i] += by;
                loss(&data)
            };
            let slope = (moved(1e-4) - moved(-1e-4)) / 2e-4;
            assert!((slope - grad).abs() < 1e-7, "{which}, {i}: {slope}, {grad}");
        }
    }
}

/// A run that goes on from a window is the end of the longer one.
#[test]
fn the_window_is_what_was_before() {
    let whole = size([3, 20, 5, 9]);
    let all = data(whole, 8);
    let [y, ..] = by_kernel(&all, false, whole);
    let (cut, lag, d) = (12, whole.taps - 1, whole.channels);
    let rows = |from: usize, to: usize| -> Vec<f64> {
        let of = all[0].chunks_exact(whole.time * d);
        of.flat_map(|x| x[from * d..to * d].to_vec()).collect()
    };
    let rest = Size {
        time: whole.time - cut,
        ..whole
    };
    let piece = [
        rows(cut, whole.time),
        rows(cut - lag, cut),
        all[2].clone(),
        vec![0.0; rest.values()],
    ];
    let [got, ..] = by_kernel(&piece, true, rest);
    let want: Vec<f64> = (y.chunks_exact(whole.time * d))
        .flat_map(|y| y[cut * d..].iter().map(|v| f64::from(*v)))
        .collect();
    let got: Vec<f64> = got.iter().map(|v| f64::from(*v)).collect();
    close("the rest", &got, &want, 2e-6);
}
