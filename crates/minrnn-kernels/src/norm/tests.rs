use super::Kind;
use super::cuda::{
    Backward, Branch, BranchGrad, Forward, Mask, add_dropout, add_dropout_backward, backward,
    forward, scratch_len,
};
use crate::Elem;
use crate::cuda::testing::{Bench, Buffer, TYPES, rounded, rounding};
use crate::testing::Rng;
use crate::{layer_norm, rms_norm};

const EPS: f64 = 1e-5;
const CONTROL: [u32; 16] = [7, 1, 3, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// Philox4x32-10, written down a second time.
fn philox(mut c: [u32; 4], mut k: [u32; 2]) -> [u32; 4] {
    for _ in 0..10 {
        let (a, b) = (u64::from(c[0]) * 0xD251_1F53, u64::from(c[2]) * 0xCD9E_8D57);
        c = [
            (b >> 32) as u32 ^ c[1] ^ k[0],
            b as u32,
            (a >> 32) as u32 ^ c[3] ^ k[1],
            a as u32,
        ];
        k = [
            k[0].wrapping_add(0x9E37_79B9),
            k[1].wrapping_add(0xBB67_AE85),
        ];
    }
    c
}

/// The mask of n elements with [`CONTROL`].
pub(crate) fn mask(n: usize, p: f64, site: u32) -> Vec<f64> {
    let keep = f64::from((1.0 / (1.0 - p)) as f32);
    let of = |i: usize| {
        let place = (i / 4) as u64 | u64::from(site) << 40;
        let counter = [place as u32, (place >> 32) as u32, CONTROL[2], CONTROL[3]];
        let bits = philox(counter, [CONTROL[0], CONTROL[1]])[i % 4];
        if bits < (p * 4_294_967_296.0) as u32 {
            0.0
        } else {
            keep
        }
    };
    (0..n).map(of).collect()
}

pub(crate) fn control(bench: &Bench) -> Buffer<'_> {
    bench.integers(&CONTROL)
}

struct Case {
    kind: Kind,
    stream: Elem,
    compute: Elem,
    rows: usize,
    width: usize,
    branch: bool,
    p: f64,
}

struct Inputs {
    x: Vec<f64>,
    a: Vec<f64>,
    weight: Vec<f64>,
    bias: Vec<f64>,
    dy: Vec<f64>,
    dsum: Vec<f64>,
    mask: Vec<f64>,
}

impl Case {
    fn inputs(&self) -> Inputs {
        let (n, rng) = (self.rows * self.width, &mut Rng(self.width as u64));
        let mut draw = |elem, n: usize, lo, hi| rounded(elem, &rng.input(&[n], lo, hi).data);
        Inputs {
            x: draw(self.stream, n, -1.0, 2.0),
            a: draw(self.compute, n, -2.0, 1.0),
            weight: draw(Elem::F32, self.width, 0.5, 2.0),
            bias: draw(Elem::F32, self.width, -1.0, 1.5),
            dy: draw(self.compute, n, -1.0, 2.0),
            dsum: draw(self.stream, n, -1.0, 1.0),
            mask: if self.p == 0.0 {
                vec![1.0; n]
            } else {
                mask(n, self.p, 5)
            },
        }
    }

    fn check(&self, bench: &Bench) {
        let i = self.inputs();
        let add = |(x, (a, m)): (&f64, (&f64, &f64))| if self.branch { x + a * m } else { *x };
        let pairs = i.a.iter().zip(&i.mask);
        let s: Vec<f64> = i.x.iter().zip(pairs).map(add).collect();
        let s = rounded(self.stream, &s);
        let layer = self.kind == Kind::Layer;
        let y = match self.kind {
            Kind::Rms => rms_norm::slow::rms_norm(&s, &i.weight, EPS),
            Kind::Layer => layer_norm::slow::layer_norm(&s, &i.weight, &i.bias, EPS),
        };
        let (dx, dw, db) = match self.kind {
            Kind::Rms => {
                let (dx, dw) = rms_norm::slow::rms_norm_grad(&s, &i.weight, EPS, &i.dy);
                (dx, dw, vec![])
            }
            Kind::Layer => layer_norm::slow::layer_norm_grad(&s, &i.weight, EPS, &i.dy),
        };
        let ds: Vec<f64> = dx.iter().zip(&i.dsum).map(|(a, b)| a + b).collect();
        let da: Vec<f64> = ds.iter().zip(&i.mask).map(|(a, b)| a * b).collect();
        // The stream's rounding of s and ds shows in what follows from them.
        let off = 6e-6 + rounding(self.stream);
        let control = control(bench);
        let dropout = (self.p > 0.0).then(|| Mask {
            p: self.p,
            site: 5,
            control: control.view(),
        });
        let (n, gpu) = (self.rows * self.width, &bench.gpu);
        let put = |elem, x: &[f64]| bench.put(elem, x);
        bench.same_twice(|| {
            let (x, a) = (put(self.stream, &i.x), put(self.compute, &i.a));
            let (weight, bias) = (put(Elem::F32, &i.weight), put(Elem::F32, &i.bias));
            let (sum, y_out) = (bench.empty(self.stream, n), bench.empty(self.compute, n));
            let stats = bench.empty(Elem::F32, 2 * self.rows);
            let branch = Branch {
                a: a.view(),
                dropout,
                sum: sum.view(),
            };
            forward(
                gpu,
                &Forward {
                    kind: self.kind,
                    x: x.view(),
                    branch: self.branch.then_some(branch),
                    weight: weight.view(),
                    bias: layer.then(|| bias.view()),
                    eps: EPS,
                    y: y_out.view(),
                    stats: stats.view(),
                    rows: self.rows,
                    width: self.width,
                },
            )
            .unwrap();
            y_out.close(
                "y",
                &y,
                6e-6 + if self.branch {
                    rounding(self.stream)
                } else {
                    0.0
                },
            );
            let s_in = if self.branch { &sum } else { &x };
            if self.branch {
                sum.close("sum", &s, rounding(self.stream));
            }
            let dy = put(self.compute, &i.dy);
            let ds_out = put(self.stream, &i.dsum);
            let (dw_out, db_out) = (
                bench.empty(Elem::F32, self.width),
                bench.empty(Elem::F32, self.width),
            );
            let da_out = bench.empty(self.compute, n);
            let sums_out = bench.empty(Elem::F32, self.width);
            let scratch = bench.scratch(scratch_len(gpu, self.rows, self.width));
            backward(
                gpu,
                &Backward {
                    kind: self.kind,
                    s: s_in.view(),
                    weight: weight.view(),
                    stats: stats.view(),
                    dy: dy.view(),
                    dsum: Some(ds_out.view()),
                    ds: ds_out.view(),
                    branch: self.branch.then(|| BranchGrad {
                        da: da_out.view(),
                        dropout,
                        sums: Some(sums_out.view()),
                    }),
                    dweight: dw_out.view(),
                    dbias: layer.then(|| db_out.view()),
                    scratch: scratch.view(),
                    rows: self.rows,
                    width: self.width,
                },
            )
            .unwrap();
            ds_out.close("ds", &ds, off);
            dw_out.close("dweight", &dw, off);
            if self.branch {
                da_out.close("da", &da, off);
                let (values, mut sums) = (da_out.values(), vec![0.0; self.width]);
                for row in values.chunks_exact(self.width) {
                    sums.iter_mut().zip(row).for_each(|(s, v)| *s += v);
                }
                sums_out.close("sums", &sums, 2e-6);
            }
            if layer {
                db_out.close("dbias", &db, off);
            }
            vec![y_out, ds_out, dw_out, stats]
        });
    }
}

/// Each kind, once plain and once with a branch and dropout, in one mixture of types.
fn check(bench: &Bench, rows: usize, width: usize, stream: Elem, compute: Elem) {
    for kind in [Kind::Rms, Kind::Layer] {
        for (branch, p) in [(false, 0.0), (true, 0.0), (true, 0.25)] {
            Case {
                kind,
                stream,
                compute,
                rows,
                width,
                branch,
                p,
            }
            .check(bench);
        }
    }
}

#[test]
fn equals_its_twin_at_every_width() {
    let Some(bench) = Bench::new("norm") else {
        return;
    };
    for (rows, width) in [
        (37, 128),
        (21, 256),
        (19, 384),
        (9, 512),
        (11, 768),
        (5, 1024),
        (7, 1536),
    ] {
        check(&bench, rows, width, Elem::F32, Elem::Bf16);
    }
    for (rows, width) in [
        (3, 2048),
        (2, 8192),
        (2, 16_384),
        (2, 16_400),
        (600, 4),
        (300, 6),
    ] {
        check(&bench, rows, width, Elem::F32, Elem::F32);
    }
    for (rows, width) in [(33, 65), (5, 333), (3, 2047), (2, 2051)] {
        check(&bench, rows, width, Elem::F32, Elem::F32);
    }
}

#[test]
fn equals_its_twin_at_a_usual_size() {
    let Some(bench) = Bench::new("norm") else {
        return;
    };
    check(&bench, 6000, 384, Elem::F32, Elem::Bf16);
}

#[test]
fn equals_its_twin_in_every_type() {
    let Some(bench) = Bench::new("norm") else {
        return;
    };
    for compute in TYPES {
        for stream in [Elem::F32, compute] {
            check(&bench, 18, 96, stream, compute);
            check(&bench, 6, 37, stream, compute);
        }
    }
    check(&bench.shifted(1), 5, 384, Elem::F32, Elem::Bf16);
}

#[test]
fn a_row_far_from_zero_keeps_its_variance() {
    let Some(bench) = Bench::new("norm") else {
        return;
    };
    let x = [1000.0, 1000.25, 999.75, 1000.5];
    let (x_in, y, stats) = (
        bench.put(Elem::F32, &x),
        bench.empty(Elem::F32, 4),
        bench.empty(Elem::F32, 2),
    );
    let (weight, bias) = (
        bench.put(Elem::F32, &[1.0; 4]),
        bench.put(Elem::F32, &[0.0; 4]),
    );
    forward(
        &bench.gpu,
        &Forward {
            kind: Kind::Layer,
            x: x_in.view(),
            branch: None,
            weight: weight.view(),
            bias: Some(bias.view()),
            eps: EPS,
            y: y.view(),
            stats: stats.view(),
            rows: 1,
            width: 4,
        },
    )
    .unwrap();
    y.close(
        "y",
        &layer_norm::slow::layer_norm(&x, &[1.0; 4], &[0.0; 4], EPS),
        1e-5,
    );
}

#[test]
fn dropout_with_and_without_a_sum() {
    let Some(bench) = Bench::new("add_dropout") else {
        return;
    };
    let shifted = Bench::new("add_dropout").map(|b| b.shifted(3));
    for (bench, n) in [(Some(&bench), 4103), (shifted.as_ref(), 1029)] {
        let Some(bench) = bench else { continue };
        for (stream, compute) in
            [(0, 0), (0, 1), (0, 2), (1, 1), (2, 2)].map(|(s, c)| (TYPES[s], TYPES[c]))
        {
            let rng = &mut Rng(5);
            let (x, a) = (
                rounded(stream, &rng.input(&[n], -1.0, 1.0).data),
                rounded(compute, &rng.input(&[n], -1.0, 1.0).data),
            );
            let keep = mask(n, 0.4, 9);
            let control = control(bench);
            let dropout = Some(Mask {
                p: 0.4,
                site: 9,
                control: control.view(),
            });
            let sum: Vec<f64> = (0..n).map(|i| x[i] + a[i] * keep[i]).collect();
            let alone: Vec<f64> = (0..n).map(|i| a[i] * keep[i]).collect();
            let back: Vec<f64> = (0..n).map(|i| x[i] * keep[i]).collect();
            let (x_in, a_in) = (bench.put(stream, &x), bench.put(compute, &a));
            let (one, da) = (bench.empty(stream, n), bench.empty(compute, n));
            add_dropout(&bench.gpu, None, a_in.view(), dropout, one.view(), n).unwrap();
            add_dropout_backward(&bench.gpu, x_in.view(), dropout, da.view(), n).unwrap();
            add_dropout(
                &bench.gpu,
                Some(x_in.view()),
                a_in.view(),
                dropout,
                x_in.view(),
                n,
            )
            .unwrap();
            one.close("alone", &alone, 1e-7);
            da.close("da", &back, 1e-7);
            x_in.close("sum", &sum, 1e-7);
            add_dropout(&bench.gpu, None, a_in.view(), None, one.view(), n).unwrap();
            assert_eq!(one.values(), a);
        }
    }
}
