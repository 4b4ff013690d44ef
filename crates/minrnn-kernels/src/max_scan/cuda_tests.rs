use super::cuda::{Backward, backward, forward};
use super::{slow, tests::data};
use crate::cuda::testing::{Bench, Buffer};
use crate::{Elem, Size};

/// Few and many channels, fewer steps than pieces, pieces without steps.
const SIZES: [(usize, usize, usize); 7] = [
    (1, 1, 1),
    (2, 7, 3),
    (3, 64, 32),
    (2, 257, 4),
    (1, 1000, 1),
    (2, 100, 70),
    (1, 4097, 33),
];

fn f32s<'a>(bench: &'a Bench, values: &[f64]) -> Buffer<'a> {
    bench.put(Elem::F32, values)
}

#[test]
fn equals_its_twin_on_a_gpu() {
    let Some(bench) = Bench::new("max_scan") else {
        return;
    };
    for (i, (b, t, d)) in SIZES.into_iter().enumerate() {
        let size = Size { b, t, d };
        let [x, h0, dh] = data(size, i as u64);
        for given in [true, false] {
            let first = if given {
                h0.clone()
            } else {
                vec![0.0; h0.len()]
            };
            let h = slow::max_scan(&x, &first, size.dims());
            let (db, dh0) = slow::max_scan_grad(&x, &first, &h, &dh, size.dims());
            let want = [h, db, dh0];
            bench.same_twice(|| {
                let [x, first, dh] = [&x, &first, &dh].map(|values| f32s(&bench, values));
                let out: Vec<Buffer<'_>> = (want.iter())
                    .map(|want| bench.empty(Elem::F32, want.len()))
                    .collect();
                let h0 = given.then(|| first.view());
                forward(&bench.gpu, x.view(), h0, out[0].view(), size).unwrap();
                let grads = Backward {
                    b: x.view(),
                    h0,
                    h: out[0].view(),
                    dh: dh.view(),
                    db: out[1].view(),
                    dh0: Some(out[2].view()),
                };
                backward(&bench.gpu, &grads, size).unwrap();
                for ((got, want), name) in out.iter().zip(&want).zip(["h", "db", "dh0"]) {
                    got.close(&format!("{size:?}, {name}"), want, 1e-5);
                }
                out
            });
        }
    }
}

#[test]
fn refuses_what_does_not_fit_on_a_gpu() {
    let Some(bench) = Bench::new("max_scan") else {
        return;
    };
    let x = bench.empty(Elem::F32, 12);
    let refused = |b: usize, t: usize, d: usize| {
        let size = Size { b, t, d };
        let error = forward(&bench.gpu, x.view(), None, x.view(), size);
        error.unwrap_err().to_string()
    };
    assert!(refused(2, 0, 3).contains("t is 0"));
    assert!(refused(2, 3, 3).contains("`b`"));
}
