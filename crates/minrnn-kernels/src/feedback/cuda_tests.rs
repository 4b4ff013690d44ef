use super::cuda::{
    Grads, Inputs, Outputs, Way, backward, backward_by, forward, forward_by, has_alone,
    has_clusters,
};
use super::tests::{Data, KINDS};
use super::{Feedback, Size};
use crate::Elem;
use crate::cuda::testing::{Bench, Buffer, small};

/// Around every number of sequences of a cluster and of channels of a tile, and beyond the last.
const SIZES: [[usize; 3]; 23] = [
    [1, 1, 1],
    [3, 1, 8],
    [2, 2, 64],
    [2, 9, 4],
    [5, 50, 36],
    [7, 2, 3],
    [65, 33, 16],
    [64, 33, 64],
    [1, 33, 65],
    [7, 33, 100],
    [9, 2, 128],
    [2, 5, 129],
    [37, 3, 200],
    [2, 3, 256],
    [1, 2, 257],
    [17, 3, 380],
    [1, 33, 384],
    [65, 2, 384],
    [2, 3, 385],
    [17, 2, 460],
    [9, 2, 512],
    [7, 2, 513],
    [3, 2, 1030],
];

/// One of each kernel that is not plain alone.
const FEW: [[usize; 3]; 5] = [[2, 9, 4], [3, 3, 64], [3, 2, 100], [2, 2, 380], [9, 2, 5]];

struct OnGpu<'a> {
    bench: &'a Bench,
    kind: Feedback,
    size: Size,
    /// x, weight, bias, h0, c0 (empty: absent) and the gradient of h.
    given: [Buffer<'a>; 6],
}

impl<'a> OnGpu<'a> {
    fn new(bench: &'a Bench, data: &Data) -> Self {
        Self {
            bench,
            kind: data.kind,
            size: data.size,
            given: data.values.each_ref().map(|v| bench.put(Elem::F32, v)),
        }
    }

    fn inputs(&self) -> Inputs<'_> {
        let [x, weight, bias, h0, c0, _] = self.given.each_ref().map(Buffer::view);
        Inputs {
            x,
            weight,
            bias: (!bias.is_empty()).then_some(bias),
            h0: (!h0.is_empty()).then_some(h0),
            c0: (!c0.is_empty()).then_some(c0),
        }
    }

    /// h, what is saved, the last c; gradients of x, of the product, what was before, gradients of h0 and c0.
    fn run(&self, way: Way) -> Vec<Buffer<'a>> {
        let (kind, size, gpu) = (self.kind, self.size, &self.bench.gpu);
        let lstm = usize::from(kind == Feedback::Lstm);
        let lens = [
            size.states(),
            size.saved(kind),
            lstm * size.state(),
            size.packed(kind),
            (1 - lstm) * size.packed(kind),
            size.states(),
            size.state(),
            lstm * size.state(),
        ];
        let out: Vec<Buffer<'a>> = (lens.iter())
            .map(|len| self.bench.empty(Elem::F32, *len))
            .collect();
        let view = |i: usize| out[i].view();
        let opt = |i: usize| (lens[i] > 0).then(|| out[i].view());
        let inputs = self.inputs();
        let to = Outputs {
            h: view(0),
            saved: Some(view(1)),
            last: opt(2),
        };
        let given = [view(0), view(1), self.given[5].view()];
        let grads = Grads {
            x: view(3),
            moved: opt(4),
            before: view(5),
            h0: Some(view(6)),
            c0: opt(7),
        };
        forward_by(gpu, kind, &inputs, size, &to, way).unwrap();
        backward_by(gpu, kind, &inputs, size, given, &grads, way).unwrap();
        out
    }

    /// h where nothing else is wanted; absent: by the best way.
    fn alone(&self, way: Option<Way>) -> Buffer<'a> {
        let h = self.bench.empty(Elem::F32, self.size.states());
        let to = Outputs {
            h: h.view(),
            saved: None,
            last: None,
        };
        let (kind, gpu, inputs) = (self.kind, &self.bench.gpu, self.inputs());
        match way {
            None => forward(gpu, kind, &inputs, self.size, &to).unwrap(),
            Some(way) => forward_by(gpu, kind, &inputs, self.size, &to, way).unwrap(),
        }
        h
    }
}

/// The ways that a size has a kernel for.
fn ways(size: Size) -> Vec<Way> {
    let mut ways = vec![Way::Plain];
    if size.channels <= 512 {
        ways.extend([Way::Cluster(2), Way::Cluster(8)]);
    }
    if has_alone(size) {
        ways.push(Way::Alone);
    }
    ways
}

fn bits(all: &[Buffer<'_>]) -> Vec<Vec<u32>> {
    all.iter().map(Buffer::bits).collect()
}

#[test]
fn equals_its_twin_on_a_gpu() {
    let Some(bench) = Bench::new("feedback") else {
        return;
    };
    let sizes = if small() { &FEW[..] } else { &SIZES[..] };
    for (seed, size) in sizes.iter().copied().enumerate() {
        for kind in KINDS {
            // Each of them with a bias and begun with values, and without.
            for seed in [2 * seed, 2 * seed + 1] {
                let data = Data::new(kind, size, seed as u64);
                let (out, grads) = data.twin();
                let (d, steps) = (data.size.channels, data.size.time);
                let ends = out.saved.chunks_exact(5 * d).skip(steps - 1).step_by(steps);
                let lstm = kind == Feedback::Lstm;
                let last: Vec<f64> = match lstm {
                    true => ends.flat_map(|s| &s[4 * d..]).copied().collect(),
                    false => vec![],
                };
                let moved = if lstm { vec![] } else { grads.moved };
                let want = [
                    ("h", out.h),
                    ("saved", out.saved),
                    ("the last c", last),
                    ("dx", grads.x),
                    ("dmoved", moved),
                    ("before", grads.before),
                    ("dh0", grads.h0),
                    ("dc0", grads.c0),
                ];
                let on = OnGpu::new(&bench, &data);
                for way in ways(data.size) {
                    let got = on.run(way);
                    for (got, (name, want)) in got.iter().zip(&want) {
                        let what = format!("{kind:?} {size:?} {way:?} {name}");
                        got.close(&what, want, 1e-5);
                    }
                    let (h, alone) = (got[0].bits(), on.alone(Some(way)).bits());
                    assert!(h == alone, "{kind:?} {size:?} {way:?}: other bits alone");
                    assert!(bits(&got) == bits(&on.run(way)), "twice");
                }
            }
        }
    }
}

/// However many sequences a cluster has, and chosen by the size.
#[test]
fn sequences_beside_each_other_give_the_same_bits_on_a_gpu() {
    let Some(bench) = Bench::new("feedback") else {
        return;
    };
    for kind in KINDS {
        for size in [
            [150, 3, 64],
            [70, 3, 100],
            [40, 3, 250],
            [20, 3, 384],
            [20, 2, 512],
        ] {
            let data = Data::new(kind, size, 4);
            let on = OnGpu::new(&bench, &data);
            let two = bits(&on.run(Way::Cluster(2)));
            let eight = bits(&on.run(Way::Cluster(8)));
            assert!(two == eight, "{kind:?} {size:?}");
            let best = match has_alone(data.size) {
                true => on.run(Way::Alone)[0].bits(),
                false => eight[0].clone(),
            };
            assert!(on.alone(None).bits() == best, "{kind:?} {size:?}");
        }
    }
}

/// A whole H100 or H200 has clusters of 16 blocks with all registers and most of the shared memory of a multiprocessor.
#[test]
fn a_large_gpu_takes_clusters() {
    let Some(bench) = Bench::new("feedback") else {
        return;
    };
    let gpu = &bench.gpu;
    if gpu.compute_capability().unwrap().0 != 9 || gpu.multiprocessors() < 100 {
        return;
    }
    for kind in KINDS {
        for channels in [1, 64, 128, 256, 384, 512] {
            let size = Size {
                batch: 64,
                time: 2,
                channels,
            };
            for rows in [2, 8] {
                let has = has_clusters(gpu, kind, size, rows);
                assert!(has, "{kind:?} {channels} channels, {rows} sequences");
            }
        }
    }
}

#[test]
fn a_captured_launch_replays() {
    let Some(bench) = Bench::new("feedback") else {
        return;
    };
    for kind in KINDS {
        let sizes = [[3, 5, 20], [9, 4, 384], [2, 3, 400]];
        for size in sizes.into_iter().take(if small() { 1 } else { 3 }) {
            let data = Data::new(kind, size, 6);
            let on = OnGpu::new(&bench, &data);
            let want = on.alone(None).bits();
            let h = bench.empty(Elem::F32, data.size.states());
            let to = Outputs {
                h: h.view(),
                saved: None,
                last: None,
            };
            let gpu = &bench.gpu;
            let mut graph = gpu
                .capture(|| forward(gpu, kind, &on.inputs(), data.size, &to))
                .unwrap();
            for _ in 0..2 {
                h.view().fill(gpu, 0xff).unwrap();
                graph.launch().unwrap();
                assert!(h.bits() == want, "{kind:?} {size:?}");
            }
        }
    }
}

#[test]
fn refuses_what_does_not_fit_on_a_gpu() {
    let Some(bench) = Bench::new("feedback") else {
        return;
    };
    let data = Data::new(Feedback::Gru, [2, 3, 4], 2);
    let on = OnGpu::new(&bench, &data);
    let (gpu, inputs) = (&bench.gpu, on.inputs());
    let h = bench.empty(Elem::F32, 24);
    let to = Outputs {
        h: h.view(),
        saved: None,
        last: None,
    };
    let refused = |kind: Feedback, i: &Inputs<'_>, size: Size, to: &Outputs<'_>| {
        let error = forward(gpu, kind, i, size, to);
        error.unwrap_err().to_string()
    };
    let none = Size {
        time: 0,
        ..data.size
    };
    assert!(refused(Feedback::Gru, &inputs, none, &to).contains("t is 0"));
    assert!(refused(Feedback::Lstm, &inputs, data.size, &to).contains("`x`"));
    let c0 = Inputs {
        c0: inputs.h0,
        ..inputs
    };
    assert!(refused(Feedback::Gru, &c0, data.size, &to).contains("`c0`"));
    let long = Outputs {
        saved: Some(h.view()),
        ..to
    };
    assert!(refused(Feedback::Gru, &inputs, data.size, &long).contains("`saved`"));
    let dx = bench.empty(Elem::F32, data.size.packed(Feedback::Gru));
    let saved = bench.empty(Elem::F32, data.size.saved(Feedback::Gru));
    let grads = Grads {
        x: dx.view(),
        moved: None,
        before: h.view(),
        h0: None,
        c0: None,
    };
    let given = [h.view(), saved.view(), h.view()];
    let error = backward(gpu, Feedback::Gru, &inputs, data.size, given, &grads);
    assert!(error.unwrap_err().to_string().contains("dmoved"));
}
