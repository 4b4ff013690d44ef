use super::cuda::{Grads, Inputs, Rows, backward, forward, scratch_len};
use super::tests::{data, draw, size};
use super::{Mask, Size, slow};
use crate::Elem;
use crate::cuda::Precision;
use crate::cuda::testing::{Bench, Buffer, TYPES, rounded, rounding};
use crate::norm::cuda as norm;

/// B, T, heads, channels of a head, lag, whether rows before the run are there: all borders of tiles, of windows and of widths.
const CASES: [([usize; 5], bool); 26] = [
    ([1, 1, 1, 8, 1], false),
    ([2, 2, 3, 8, 4], false),
    ([1, 63, 1, 16, 62], false),
    ([2, 64, 3, 16, 63], false),
    ([1, 65, 1, 64, 64], false),
    ([2, 200, 3, 64, 200], false),
    ([1, 200, 1, 100, 199], false),
    ([1, 256, 2, 128, 255], false),
    ([1, 200, 1, 64, 0], false),
    ([2, 200, 1, 64, 4], false),
    ([1, 200, 3, 8, 64], false),
    ([1, 130, 1, 100, 17], false),
    // Heads that do not begin at multiples of 16 bytes.
    ([2, 70, 3, 1, 69], false),
    ([1, 129, 2, 5, 30], false),
    ([1, 66, 2, 33, 66], false),
    ([1, 40, 1, 65, 9], false),
    ([1, 300, 1, 32, 128], false),
    // A run that goes on.
    ([2, 1, 3, 8, 1], true),
    ([2, 5, 3, 8, 40], true),
    ([1, 64, 1, 64, 63], true),
    ([3, 65, 2, 64, 64], true),
    ([2, 130, 1, 16, 17], true),
    ([1, 200, 1, 100, 4], true),
    ([3, 70, 1, 128, 90], true),
    ([2, 33, 2, 5, 15], true),
    ([1, 128, 1, 64, 300], true),
];

/// y, sums, dq, dkv of the twin, from what the memory of a type holds.
fn twin(data: &[Vec<f64>; 5], size: Size, past: bool, mask: Option<&Mask>) -> [Vec<f64>; 4] {
    let [q, kv, n, window, dy] = data;
    let window = past.then_some(&window[..]);
    let given = slow::Inputs { q, kv, n, window };
    let (y, sums) = slow::attend(&given, size, mask);
    let (dq, dkv) = slow::attend_grad(&given, size, mask, dy);
    [y, sums, dq, dkv]
}

struct Kind {
    elem: Elem,
    precision: Precision,
    dropout: f64,
}

/// Seed and step where the kernels read them.
fn control(bench: &Bench) -> Buffer<'_> {
    let draw = draw();
    let mut control = [0u32; 16];
    control[..4].copy_from_slice(&[
        draw.seed as u32,
        (draw.seed >> 32) as u32,
        draw.step as u32,
        (draw.step >> 32) as u32,
    ]);
    bench.integers(&control)
}

fn mask_of<'a>(kind: &Kind, control: &'a Buffer<'_>) -> norm::Mask<'a> {
    norm::Mask {
        p: kind.dropout,
        site: draw().site as u32,
        control: control.view(),
    }
}

/// Runs both passes into poisoned memory.
fn run<'a>(
    bench: &'a Bench,
    data: &[Vec<f64>; 5],
    (size, past): (Size, bool),
    kind: &Kind,
) -> Vec<Buffer<'a>> {
    let (gpu, elem) = (&bench.gpu, kind.elem);
    let [q, kv, dy] = [0, 1, 4].map(|i| bench.put(elem, &data[i]));
    let n = bench.put(Elem::F32, &data[2]);
    let window = past.then(|| bench.put(Elem::F32, &data[3]));
    let control = control(bench);
    let mask = (kind.dropout > 0.0).then(|| mask_of(kind, &control));
    let given = |scratch| Inputs {
        q: Rows::alone(q.view(), size.channels),
        kv: Rows::alone(kv.view(), 2 * size.channels),
        n: n.view(),
        window: window.as_ref().map(Buffer::view),
        mask,
        scratch,
        precision: kind.precision,
        size,
    };
    let len = |backward| scratch_len(size, elem, past, backward);
    let (y, sums) = (
        bench.empty(elem, size.values()),
        bench.empty(Elem::F32, size.sums()),
    );
    let scratch = bench.scratch(len(false));
    forward(gpu, &given(scratch.view()), y.view(), Some(sums.view())).unwrap();
    scratch.bits();
    let alone = bench.empty(elem, size.values());
    forward(gpu, &given(scratch.view()), alone.view(), None).unwrap();
    assert_eq!(alone.bits(), y.bits());
    let (dq, dkv) = (
        bench.empty(elem, size.values()),
        bench.empty(elem, 2 * size.values()),
    );
    let scratch = bench.scratch(len(true));
    let grads = Grads {
        y: y.view(),
        sums: sums.view(),
        dy: dy.view(),
        dq: Rows::alone(dq.view(), size.channels),
        dkv: Rows::alone(dkv.view(), 2 * size.channels),
    };
    backward(gpu, &given(scratch.view()), &grads).unwrap();
    scratch.bits();
    vec![y, sums, dq, dkv]
}

fn check(bench: &Bench, seed: u64, case: (Size, bool), kind: &Kind) {
    let (size, past) = case;
    let mut data = data(seed, size, past);
    for i in [0, 1, 4] {
        data[i] = rounded(kind.elem, &data[i]);
    }
    let mask = (kind.dropout > 0.0).then(|| Mask::new(draw(), kind.dropout, size));
    // The window is read as the type has it.
    let mut seen = data.clone();
    seen[3] = rounded(kind.elem, &data[3]);
    let want = twin(&seen, size, past, mask.as_ref());
    // Weights are rounded to the type before they are summed, the gradient of scores too.
    let tolerance = match (kind.elem, kind.precision) {
        (Elem::F32, Precision::F32) => 6e-6,
        (Elem::F32, Precision::Tf32) => 3e-3,
        (Elem::F16, _) => 3e-3,
        _ => 2e-2,
    };
    let got = run(bench, &data, case, kind);
    for (got, (want, what)) in got.iter().zip(want.iter().zip(["y", "sums", "dq", "dkv"])) {
        // Gradients of scores are differences, which may cancel: what goes in is about 1.
        let largest = want.iter().fold(1.0, |m: f64, x| m.max(x.abs()));
        let near = (tolerance + rounding(kind.elem)) * largest;
        let off = got.values().into_iter().zip(want).map(|(got, want)| {
            let off = (got - want).abs();
            if off.is_nan() { f64::INFINITY } else { off }
        });
        let off = off.fold(0.0, f64::max);
        let Kind {
            elem,
            precision,
            dropout,
        } = kind;
        assert!(
            off <= near,
            "{what} {size:?}, past {past}, {elem:?} {precision:?}, dropout {dropout}: off by {off:e}, allowed {near:e}"
        );
    }
    bench.same_twice(|| run(bench, &data, case, kind));
}

fn kinds(dropout: f64) -> Vec<Kind> {
    let kind = |(elem, precision)| Kind {
        elem,
        precision,
        dropout,
    };
    let all = TYPES.map(|elem| (elem, Precision::F32)).into_iter();
    all.chain([(Elem::F32, Precision::Tf32)])
        .map(kind)
        .collect()
}

#[test]
fn equals_its_twin() {
    let Some(bench) = Bench::new("attend") else {
        return;
    };
    for (seed, (sizes, past)) in CASES.into_iter().enumerate() {
        for kind in kinds(0.0) {
            check(&bench, seed as u64, (size(sizes), past), &kind);
        }
    }
}

#[test]
fn has_the_dropout_of_its_twin() {
    let Some(bench) = Bench::new("attend, dropout") else {
        return;
    };
    for (seed, (sizes, past)) in CASES.into_iter().enumerate() {
        for kind in kinds(0.3) {
            check(&bench, 50 + seed as u64, (size(sizes), past), &kind);
        }
    }
}

/// q and kv in one memory, and their gradients: the bits of those apart.
#[test]
fn side_by_side_gives_the_same_bits() {
    let Some(bench) = Bench::new("attend, packed") else {
        return;
    };
    for (sizes, past) in [
        ([2, 130, 3, 64, 129], false),
        ([2, 70, 2, 16, 20], true),
        ([1, 33, 2, 5, 30], false),
    ] {
        for kind in kinds(0.3) {
            packed(&bench, (size(sizes), past), &kind);
        }
    }
}

fn packed(bench: &Bench, (size, past): (Size, bool), kind: &Kind) {
    let (gpu, elem, d) = (&bench.gpu, kind.elem, size.channels);
    let data = data(11, size, past);
    let apart = run(bench, &data, (size, past), kind);
    let rows = data[0].chunks(d).zip(data[1].chunks(2 * d));
    let x: Vec<f64> = rows.flat_map(|(q, kv)| [q, kv].concat()).collect();
    let (x, n, dy) = (
        bench.put(elem, &x),
        bench.put(Elem::F32, &data[2]),
        bench.put(elem, &data[4]),
    );
    let window = past.then(|| bench.put(Elem::F32, &data[3]));
    let control = control(bench);
    let scratch = bench.scratch(scratch_len(size, elem, past, true));
    let [q, kv] = Rows::packed(x.view(), d);
    let given = Inputs {
        q,
        kv,
        n: n.view(),
        window: window.as_ref().map(Buffer::view),
        mask: Some(mask_of(kind, &control)),
        scratch: scratch.view(),
        precision: kind.precision,
        size,
    };
    let (y, sums, dx) = (
        bench.empty(elem, size.values()),
        bench.empty(Elem::F32, size.sums()),
        bench.empty(elem, 3 * size.values()),
    );
    forward(gpu, &given, y.view(), Some(sums.view())).unwrap();
    let [dq, dkv] = Rows::packed(dx.view(), d);
    let grads = Grads {
        y: y.view(),
        sums: sums.view(),
        dy: dy.view(),
        dq,
        dkv,
    };
    backward(gpu, &given, &grads).unwrap();
    assert_eq!([y.bits(), sums.bits()], [apart[0].bits(), apart[1].bits()]);
    let (dq, dkv) = (apart[2].bits(), apart[3].bits());
    let rows = dq.chunks(d).zip(dkv.chunks(2 * d));
    let want: Vec<u32> = rows.flat_map(|(q, kv)| [q, kv].concat()).collect();
    assert_eq!(dx.bits(), want, "{size:?} {past} {elem:?}");
}

#[test]
fn memory_that_is_not_aligned_is_read_element_by_element() {
    let Some(bench) = Bench::new("attend, shifted") else {
        return;
    };
    let bench = bench.shifted(1);
    for (sizes, past) in [([2, 70, 2, 64, 69], false), ([2, 70, 2, 16, 20], true)] {
        for kind in kinds(0.3) {
            check(&bench, 9, (size(sizes), past), &kind);
        }
    }
}

/// Scores of hundreds: exponentials neither overflow nor are all 0.
#[test]
fn large_scores_stay_finite() {
    let Some(bench) = Bench::new("attend, large") else {
        return;
    };
    let size = size([1, 130, 1, 64, 129]);
    let mut data = data(4, size, false);
    data[0].iter_mut().for_each(|q| *q *= 40.0);
    for kind in kinds(0.0) {
        let got = run(&bench, &data, (size, false), &kind);
        let finite = |b: &Buffer<'_>| b.values().iter().all(|v| v.is_finite());
        assert!(got.iter().all(finite), "{:?}", kind.elem);
    }
}

#[test]
fn what_does_not_fit_is_refused_by_name() {
    let Some(bench) = Bench::new("attend, refusals") else {
        return;
    };
    let refused = |sizes: [usize; 5], heads: usize| {
        let mut size = size(sizes);
        size.heads = heads;
        let buffer = |len: usize| bench.put(Elem::F32, &vec![0.0; len]);
        let (q, kv, n) = (
            buffer(size.values()),
            buffer(2 * size.values()),
            buffer(size.batch * size.time),
        );
        let (y, scratch) = (buffer(size.values()), bench.scratch(4));
        let given = Inputs {
            q: Rows::alone(q.view(), size.channels),
            kv: Rows::alone(kv.view(), 2 * size.channels),
            n: n.view(),
            window: None,
            mask: None,
            scratch: scratch.view(),
            precision: Precision::F32,
            size,
        };
        forward(&bench.gpu, &given, y.view(), None)
            .unwrap_err()
            .to_string()
    };
    let wide = refused([1, 2, 1, 130, 1], 1);
    assert!(
        wide.contains("heads of 130 channels, more than 128"),
        "{wide}"
    );
    let odd = refused([1, 2, 1, 7, 1], 2);
    assert!(odd.contains("cannot cut 7 channels into 2 heads"), "{odd}");
}
