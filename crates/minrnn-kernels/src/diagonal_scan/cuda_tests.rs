use super::cuda::{Grads, Inputs, Out, Saved, backward, forward, forward_scratch_len, scratch_len};
use super::{EVERY, Size, slow, tests::slow_inputs};
use crate::Elem;
use crate::cuda::testing::{Bench, Buffer, TYPES, rounded};
use crate::testing::Rng;

/// Sequences, steps, channels, complex states: every tile, channels that fill no block, stretches that end anywhere.
const CASES: [[usize; 4]; 11] = [
    [1, 1, 1, 1],
    [2, 3, 5, 2],
    [3, 70, 33, 8],
    [2, EVERY + 1, 7, 3],
    [1, 2 * EVERY, 40, 9],
    [2, 150, 3, 16],
    [2, 200, 20, 32],
    [1, 3 * EVERY - 3, 9, 33],
    [2, 20, 5, 64],
    [1, 75, 3, 65],
    [1, 5, 2, 128],
];

const NAMES: [&str; 10] = [
    "y",
    "last",
    "marks",
    "dx",
    "dlog_step",
    "dlog_rates",
    "dfrequencies",
    "dreadout",
    "dskip",
    "dh0",
];

/// What goes in, as it is in memory of a type.
struct Data {
    x: Vec<Vec<f64>>,
    dy: Vec<f64>,
    dlast: Vec<f64>,
    lens: Vec<u32>,
}

impl Data {
    fn new(size: Size, elem: Elem) -> Self {
        let rng = &mut Rng(size.state() as u64);
        let inputs = super::tests::data(rng, size);
        let of = |i: usize| match i {
            0 => rounded(elem, &inputs[i].data),
            _ => inputs[i].data.clone(),
        };
        let lens = (0..size.batch).map(|_| 1 + rng.below(size.time) as u32);
        let dims = [size.rows(), size.channels];
        Self {
            lens: lens.collect(),
            x: (0..7).map(of).collect(),
            dy: rounded(elem, &rng.input(&dims, -1.0, 2.0).data),
            dlast: rng.input(&[size.batch, size.state()], -1.0, 1.0).data,
        }
    }

    /// The results in the order of [`NAMES`].
    fn twin(&self, size: Size) -> Vec<Vec<f64>> {
        let i = slow_inputs(&self.x);
        let (y, all) = slow::diagonal_scan(&i, size);
        let (mut last, mut dh) = (vec![], vec![0.0; all.len()]);
        let state = size.state();
        for (sequence, len) in self.lens.iter().enumerate() {
            let end = (sequence * size.time + *len as usize - 1) * state;
            last.extend(&all[end..][..state]);
            dh[end..][..state].copy_from_slice(&self.dlast[sequence * state..][..state]);
        }
        let g = slow::diagonal_scan_grad(&i, &all, &self.dy, Some(&dh), size);
        let marks = slow::marks(&all, size);
        vec![
            y,
            last,
            marks,
            g.x,
            g.log_step,
            g.log_rates,
            g.frequencies,
            g.readout,
            g.skip,
            g.h0,
        ]
    }
}

/// Types of the results of [`Data::twin`].
fn types(elem: Elem) -> [Elem; 10] {
    let f = Elem::F32;
    [elem, f, f, elem, f, f, f, f, f, f]
}

fn inputs<'a>(x: &'a [Buffer<'_>], size: Size) -> Inputs<'a> {
    Inputs {
        x: x[0].view(),
        log_step: x[1].view(),
        log_rates: x[2].view(),
        frequencies: x[3].view(),
        readout: x[4].view(),
        skip: x[5].view(),
        h0: Some(x[6].view()),
        size,
    }
}

fn run<'a>(
    bench: &'a Bench,
    data: &Data,
    size: Size,
    elem: Elem,
    want: &[Vec<f64>],
) -> Vec<Buffer<'a>> {
    let gpu = &bench.gpu;
    let put = |i: usize| match i {
        0 => bench.put(elem, &data.x[i]),
        _ => bench.put(Elem::F32, &data.x[i]),
    };
    let x: Vec<Buffer<'_>> = (0..7).map(put).collect();
    let lens = bench.integers(&data.lens);
    let dy = bench.put(elem, &data.dy);
    let dlast = bench.put(Elem::F32, &data.dlast);
    let out: Vec<Buffer<'_>> = types(elem)
        .iter()
        .zip(want)
        .map(|(elem, want)| bench.empty(*elem, want.len()))
        .collect();
    let scratch = bench.scratch(forward_scratch_len(size));
    let inputs = inputs(&x, size);
    let to = Out {
        y: out[0].view(),
        last: Some((out[1].view(), Some(lens.view()))),
        marks: Some(out[2].view()),
    };
    forward(gpu, &inputs, &to, scratch.view()).unwrap();
    let saved = Saved {
        marks: Some(out[2].view()),
        dy: dy.view(),
        last: Some((dlast.view(), Some(lens.view()))),
    };
    let to = Grads {
        x: out[3].view(),
        log_step: out[4].view(),
        log_rates: out[5].view(),
        frequencies: out[6].view(),
        readout: out[7].view(),
        skip: out[8].view(),
        h0: Some(out[9].view()),
    };
    let scratch = bench.scratch(scratch_len(size));
    backward(gpu, &inputs, &saved, &to, scratch.view()).unwrap();
    out
}

#[test]
fn equals_its_twin_on_a_gpu() {
    let Some(bench) = Bench::new("diagonal_scan") else {
        return;
    };
    for (i, [batch, time, channels, pairs]) in CASES.into_iter().enumerate() {
        let size = Size {
            batch,
            time,
            channels,
            pairs,
        };
        for elem in TYPES {
            let data = Data::new(size, elem);
            let want = data.twin(size);
            bench.same_twice(|| {
                let got = run(&bench, &data, size, elem, &want);
                for ((got, want), name) in got.iter().zip(&want).zip(NAMES) {
                    if !want.is_empty() {
                        got.close(&format!("case {i}, {name}"), want, 5e-5);
                    }
                }
                got
            });
        }
    }
}

#[test]
fn refuses_what_does_not_fit_on_a_gpu() {
    let Some(bench) = Bench::new("diagonal_scan") else {
        return;
    };
    let good = Size {
        batch: 2,
        time: 9,
        channels: 4,
        pairs: 3,
    };
    let data = Data::new(good, Elem::F32);
    let x: Vec<Buffer<'_>> = data.x.iter().map(|x| bench.put(Elem::F32, x)).collect();
    let y = bench.empty(Elem::F32, good.rows() * good.channels);
    let scratch = bench.scratch(forward_scratch_len(good));
    let refused = |size: Size| {
        let out = Out {
            y: y.view(),
            last: None,
            marks: None,
        };
        forward(&bench.gpu, &inputs(&x, size), &out, scratch.view()).map_err(|e| e.to_string())
    };
    refused(good).unwrap();
    let error = refused(Size { pairs: 129, ..good }).unwrap_err();
    assert!(error.contains("256 are the most"), "{error}");
    let error = refused(Size { time: 0, ..good }).unwrap_err();
    assert!(error.contains("t is 0"), "{error}");
    let error = refused(Size { time: 10, ..good }).unwrap_err();
    assert!(error.contains("`x`"), "{error}");
    let error = refused(Size { pairs: 4, ..good }).unwrap_err();
    assert!(error.contains("`log_rates`"), "{error}");
}
