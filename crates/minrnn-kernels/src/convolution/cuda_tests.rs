use super::Size;
use super::cuda::{Backward, backward, forward, scratch_len};
use super::tests::{SIZES, by_definition, data, size};
use crate::Elem;
use crate::cuda::testing::{Bench, TYPES, rounded};

fn check(bench: &Bench, size: Size, elem: Elem, windowed: bool) {
    let mut all = data(size, size.taps as u64);
    for values in [0, 3] {
        all[values] = rounded(elem, &all[values]);
    }
    let want = by_definition(&all, windowed, size);
    let [x, window, taps, dy] = &all;
    let what = |name: &str| format!("{name} of {size:?}, {windowed}");
    bench.same_twice(|| {
        let [x, dy] = [x, dy].map(|values| bench.put(elem, values));
        let [window, taps] = [window, taps].map(|values| bench.put(Elem::F32, values));
        let [y, dx] = [(); 2].map(|()| bench.empty(elem, size.values()));
        let dtaps = bench.empty(Elem::F32, size.filter());
        let scratch = bench.scratch(scratch_len(size));
        let window = windowed.then(|| window.view());
        let gpu = &bench.gpu;
        forward(gpu, x.view(), window, taps.view(), y.view(), size).unwrap();
        let grads = Backward {
            x: x.view(),
            window,
            taps: taps.view(),
            dy: dy.view(),
            dx: dx.view(),
            dtaps: dtaps.view(),
            scratch: scratch.view(),
        };
        backward(gpu, &grads, size).unwrap();
        y.close(&what("y"), &want[0], 3e-6);
        dx.close(&what("dx"), &want[1], 3e-6);
        dtaps.close(&what("dtaps"), &want[2], 3e-6);
        vec![y, dx, dtaps]
    });
}

#[test]
fn equals_its_twin_on_a_gpu() {
    let Some(bench) = Bench::new("convolution") else {
        return;
    };
    let more = [[17, 63, 32, 64], [2, 64, 31, 129], [33, 65, 1, 65]];
    for sizes in SIZES.into_iter().chain(more) {
        for elem in TYPES {
            for windowed in [false, true] {
                check(&bench, size(sizes), elem, windowed);
            }
        }
    }
    check(&bench.shifted(1), size([2, 70, 33, 70]), Elem::Bf16, true);
}

#[test]
fn refuses_what_does_not_fit_on_a_gpu() {
    let Some(bench) = Bench::new("convolution") else {
        return;
    };
    let [x, taps, y] = [12, 8, 12].map(|len| bench.empty(Elem::F32, len));
    let refused = |sizes: [usize; 4]| {
        let error = forward(
            &bench.gpu,
            x.view(),
            None,
            taps.view(),
            y.view(),
            size(sizes),
        );
        error.unwrap_err().to_string()
    };
    assert!(refused([3, 0, 4, 2]).contains("time is 0"));
    assert!(refused([3, 2, 4, 2]).contains("`x`"));
    assert!(refused([3, 1, 4, 3]).contains("`taps`"));
}
