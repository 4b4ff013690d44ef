use std::cell::Cell;

use super::cuda::{Grads, Inputs, Out, Rows, Saved, backward, forward, scratch_len};
use super::{Size, slow};
use crate::Elem;
use crate::cuda::testing::{Bench, Buffer, TYPES, rounded};
use crate::testing::Rng;

/// `[B,T]`, channels of a head, heads of a group, groups, states, whether heads share their rate.
const CASES: [([usize; 2], [usize; 4], bool); 17] = [
    ([1, 1], [1, 1, 1, 1], false),
    ([2, 3], [1, 5, 1, 4], false),
    ([3, 70], [1, 33, 1, 16], false),
    ([2, 17], [1, 7, 1, 3], false),
    ([1, 128], [1, 40, 1, 17], false),
    ([2, 9], [4, 3, 2, 16], true),
    ([1, 150], [64, 1, 1, 64], true),
    ([2, 300], [16, 3, 1, 128], true),
    ([1, 20], [5, 2, 3, 130], true),
    ([1, 5], [1, 9, 1, 256], true),
    ([1, 7], [3, 2, 1, 5], false),
    ([2, 33], [8, 40, 1, 16], true),
    // Of the tiled kernels: one stretch, whole ones, a last one of a single step, segments, groups and a part of a block.
    ([2, 16], [1, 4, 1, 16], false),
    ([1, 48], [1, 132, 1, 16], false),
    ([3, 33], [1, 20, 2, 16], false),
    ([2, 145], [1, 36, 1, 16], false),
    ([1, 257], [1, 8, 3, 16], false),
];

fn size(
    ([batch, time], [head, heads, groups, states], shared): ([usize; 2], [usize; 4], bool),
) -> Size {
    Size {
        batch,
        time,
        channels: head * heads * groups,
        states,
        heads: heads * groups,
        groups,
        shared,
    }
}

/// What goes in, as it is in memory of a type.
struct Data {
    x: Vec<Vec<f64>>,
    dy: Vec<f64>,
    dlast: Vec<f64>,
    lens: Vec<u32>,
}

impl Data {
    fn new(size: Size, elem: Elem) -> Self {
        let rng = &mut Rng(size.wide() as u64);
        let inputs = super::tests::data(rng, size);
        let of = |i: usize| match i {
            1..=3 => rounded(elem, &inputs[i].data),
            _ => inputs[i].data.clone(),
        };
        let lens = (0..size.batch).map(|_| 1 + rng.below(size.time) as u32);
        Self {
            lens: lens.collect(),
            x: (0..7).map(of).collect(),
            dy: rounded(
                elem,
                &rng.input(&[size.rows(), size.channels], -1.0, 2.0).data,
            ),
            dlast: rng.input(&[size.batch, size.wide()], -1.0, 1.0).data,
        }
    }

    /// y, the last states, the marks; then all gradients.
    fn twin(&self, size: Size) -> Vec<Vec<f64>> {
        let x = &self.x;
        let i = slow::Inputs {
            step: &x[0],
            x: &x[1],
            b: &x[2],
            c: &x[3],
            log_rates: &x[4],
            skip: &x[5],
            h0: &x[6],
        };
        let (y, all) = slow::selective_scan(&i, size);
        let (mut last, mut dh) = (vec![], vec![0.0; all.len()]);
        for (sequence, len) in self.lens.iter().enumerate() {
            let end = (sequence * size.time + *len as usize - 1) * size.wide();
            last.extend(&all[end..][..size.wide()]);
            let d = &self.dlast[sequence * size.wide()..][..size.wide()];
            dh[end..][..size.wide()].copy_from_slice(d);
        }
        let g = slow::selective_scan_grad(&i, &all, &self.dy, Some(&dh), size);
        let marks = slow::marks(&all, size);
        vec![
            y,
            last,
            marks,
            g.step,
            g.x,
            g.b,
            g.c,
            g.log_rates,
            g.skip,
            g.h0,
        ]
    }
}

/// Types of the results of [`Data::twin`].
fn types(elem: Elem) -> [Elem; 10] {
    let f = Elem::F32;
    [elem, f, f, f, elem, elem, elem, f, f, f]
}

fn rows_of<'a>(buffer: &'a Buffer<'_>, stride: usize) -> Rows<'a> {
    Rows {
        view: buffer.view(),
        stride,
    }
}

/// Everything that [`Data::twin`] gives; `over`: the gradients of the step sizes and of x in the memory of the step sizes and of dy.
fn run<'a>(
    bench: &'a Bench,
    data: &Data,
    (size, elem): (Size, Elem),
    want: &[Vec<f64>],
    over: bool,
) -> Vec<Buffer<'a>> {
    let gpu = &bench.gpu;
    let put = |i: usize| match i {
        1..=3 => bench.put(elem, &data.x[i]),
        _ => bench.put(Elem::F32, &data.x[i]),
    };
    let mut x: Vec<Buffer<'_>> = (0..7).map(put).collect();
    let lens = bench.integers(&data.lens);
    let dy = bench.put(elem, &data.dy);
    let dlast = bench.put(Elem::F32, &data.dlast);
    let mut out: Vec<Buffer<'_>> = types(elem)
        .iter()
        .zip(want)
        .map(|(elem, want)| bench.empty(*elem, want.len()))
        .collect();
    let scratch = bench.scratch(scratch_len(size));
    let inputs = Inputs {
        step: rows_of(&x[0], size.heads),
        x: rows_of(&x[1], size.channels),
        b: rows_of(&x[2], size.read()),
        c: rows_of(&x[3], size.read()),
        log_rates: x[4].view(),
        skip: x[5].view(),
        h0: Some(x[6].view()),
        size,
    };
    let to = Out {
        y: out[0].view(),
        last: Some((out[1].view(), Some(lens.view()))),
        marks: Some(out[2].view()),
    };
    forward(gpu, &inputs, &to).unwrap();
    let saved = Saved {
        marks: Some(out[2].view()),
        dy: dy.view(),
        last: Some((dlast.view(), Some(lens.view()))),
    };
    let (dstep, dx) = match over {
        true => (&x[0], &dy),
        false => (&out[3], &out[4]),
    };
    let to = Grads {
        step: rows_of(dstep, size.heads),
        x: rows_of(dx, size.channels),
        b: rows_of(&out[5], size.read()),
        c: rows_of(&out[6], size.read()),
        log_rates: out[7].view(),
        skip: out[8].view(),
        h0: Some(out[9].view()),
    };
    backward(gpu, &inputs, &saved, &to, scratch.view()).unwrap();
    if over {
        out[3] = x.swap_remove(0);
        out[4] = dy;
    }
    out
}

#[test]
fn gradients_over_what_they_are_read_from_have_the_same_bits_on_a_gpu() {
    let Some(bench) = Bench::new("selective_scan") else {
        return;
    };
    for case in CASES {
        let size = size(case);
        for elem in TYPES {
            let data = Data::new(size, elem);
            let want = data.twin(size);
            let over = Cell::new(false);
            bench.same_twice(|| run(&bench, &data, (size, elem), &want, over.replace(true)));
        }
    }
}

#[test]
fn equals_its_twin_on_a_gpu() {
    let Some(bench) = Bench::new("selective_scan") else {
        return;
    };
    const NAMES: [&str; 10] = [
        "y",
        "last",
        "marks",
        "dstep",
        "dx",
        "db",
        "dc",
        "dlog_rates",
        "dskip",
        "dh0",
    ];
    for (i, case) in CASES.into_iter().enumerate() {
        let size = size(case);
        for elem in TYPES {
            let data = Data::new(size, elem);
            let want = data.twin(size);
            bench.same_twice(|| {
                let got = run(&bench, &data, (size, elem), &want, false);
                for ((got, want), name) in got.iter().zip(&want).zip(NAMES) {
                    if !want.is_empty() {
                        got.close(&format!("case {i}, {name}"), want, 3e-5);
                    }
                }
                got
            });
        }
    }
}

#[test]
fn refuses_what_does_not_fit_on_a_gpu() {
    let Some(bench) = Bench::new("selective_scan") else {
        return;
    };
    let good = size(CASES[5]);
    let data = Data::new(good, Elem::F32);
    let x: Vec<Buffer<'_>> = data.x.iter().map(|x| bench.put(Elem::F32, x)).collect();
    let y = bench.empty(Elem::F32, good.rows() * good.channels);
    let refused = |size: Size| {
        let row = |i: usize, stride: usize| Rows {
            view: x[i].view(),
            stride,
        };
        let inputs = Inputs {
            step: row(0, size.heads),
            x: row(1, size.channels),
            b: row(2, size.read()),
            c: row(3, size.read()),
            log_rates: x[4].view(),
            skip: x[5].view(),
            h0: None,
            size,
        };
        let out = Out {
            y: y.view(),
            last: None,
            marks: None,
        };
        forward(&bench.gpu, &inputs, &out).map_err(|e| e.to_string())
    };
    refused(good).unwrap();
    let error = refused(Size {
        states: 300,
        ..good
    })
    .unwrap_err();
    assert!(error.contains("256 states are the most"), "{error}");
    let error = refused(Size { time: 0, ..good }).unwrap_err();
    assert!(error.contains("t is 0"), "{error}");
    let error = refused(Size { heads: 5, ..good }).unwrap_err();
    assert!(error.contains("must divide"), "{error}");
    let error = refused(Size { time: 10, ..good }).unwrap_err();
    assert!(error.contains("`x`"), "{error}");
}
