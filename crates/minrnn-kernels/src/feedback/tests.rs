use super::{Feedback, Size, cpu, slow};
use crate::dispatch::Level;
use crate::testing::{Rng, close};

pub(super) const KINDS: [Feedback; 2] = [Feedback::Gru, Feedback::Lstm];

/// x, weight, bias, h0, c0, and the gradient of h.
#[derive(Clone)]
pub(super) struct Data {
    pub(super) kind: Feedback,
    pub(super) size: Size,
    pub(super) values: [Vec<f64>; 6],
}

impl Data {
    pub(super) fn new(kind: Feedback, [batch, time, channels]: [usize; 3], seed: u64) -> Self {
        let size = Size {
            batch,
            time,
            channels,
        };
        let rng = &mut Rng(seed);
        let mut some = |len: usize, most: f64| rng.input(&[len], -most, most).data;
        let columns = kind.parts() * channels;
        let bound = 1.0 / (channels as f64).sqrt();
        let c0 = if kind == Feedback::Lstm {
            size.state()
        } else {
            0
        };
        // Every second one without a bias and begun with zeros.
        let has = usize::from(seed.is_multiple_of(2));
        let values = [
            some(size.packed(kind), 1.5),
            some(channels * columns, bound),
            some(has * columns, 1.0),
            some(has * size.state(), 1.0),
            some(has * c0, 1.0),
            some(size.states(), 1.0),
        ];
        Self { kind, size, values }
    }

    fn inputs(&self) -> slow::Inputs<'_> {
        let [x, weight, bias, h0, c0, _] = &self.values;
        slow::Inputs {
            x,
            weight,
            bias,
            h0,
            c0,
        }
    }

    pub(super) fn twin(&self) -> (slow::Output, slow::Grads) {
        let out = slow::forward(self.kind, &self.inputs(), self.size);
        let grads = slow::backward(self.kind, &self.inputs(), &out, &self.values[5], self.size);
        (out, grads)
    }

    /// h, what is saved, the last c; gradients of x, of the product, what was before, gradients of h0 and c0.
    fn run(&self) -> [Vec<f32>; 8] {
        let narrow = self
            .values
            .each_ref()
            .map(|v| -> Vec<f32> { v.iter().map(|v| *v as f32).collect() });
        let [x, weight, bias, h0, c0, dh] = &narrow;
        fn some(x: &[f32]) -> Option<&[f32]> {
            (!x.is_empty()).then_some(x)
        }
        let inputs = cpu::Inputs {
            x,
            weight,
            bias: some(bias),
            h0: some(h0),
            c0: some(c0),
        };
        let (kind, size) = (self.kind, self.size);
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
        let mut all = lens.map(|len| vec![f32::NAN; len]);
        let [h, saved, last, dx, moved, before, dh0, dc0] = &mut all;
        cpu::forward(kind, &inputs, size, h, saved, last);
        let to = cpu::Grads {
            x: dx,
            moved,
            before,
            h0: dh0,
            c0: dc0,
        };
        cpu::backward(kind, &inputs, size, [h, saved, dh], to);
        let mut alone = vec![f32::NAN; h.len()];
        cpu::forward(kind, &inputs, size, &mut alone, &mut [], &mut []);
        assert!(alone == *h, "{kind:?}: other bits where nothing is saved");
        all
    }
}

fn wide(x: &[f32]) -> Vec<f64> {
    x.iter().map(|v| f64::from(*v)).collect()
}

fn each(f: impl Fn(&Data)) {
    let sizes = [
        [1, 1, 1],
        [3, 20, 5],
        [2, 70, 33],
        [101, 3, 12],
        [7, 2, 300],
    ];
    for (seed, size) in sizes.into_iter().enumerate() {
        for kind in KINDS {
            f(&Data::new(kind, size, seed as u64));
        }
    }
}

#[test]
fn equals_its_twin() {
    each(|data| {
        let (out, grads) = data.twin();
        let [h, saved, last, dx, moved, before, dh0, dc0] = data.run();
        let what = |name: &str| format!("{:?} {:?} {name}", data.kind, data.size);
        let lstm = data.kind == Feedback::Lstm;
        let moved = if lstm { dx.clone() } else { moved };
        for (name, got, want) in [
            ("h", &h, &out.h),
            ("saved", &saved, &out.saved),
            ("dx", &dx, &grads.x),
            ("dmoved", &moved, &grads.moved),
            ("before", &before, &grads.before),
            ("dh0", &dh0, &grads.h0),
            ("dc0", &dc0, &grads.c0),
        ] {
            close(&what(name), &wide(got), want, 1e-5);
        }
        let (d, steps) = (data.size.channels, data.size.time);
        let ends = saved.chunks_exact(5 * d).skip(steps - 1).step_by(steps);
        let ends: Vec<f32> = ends.flat_map(|s| &s[4 * d..]).copied().collect();
        assert!(!lstm || last == ends, "{}", what("the last c"));
    });
}

#[test]
fn any_number_of_threads_and_any_vectors_give_the_same_bits() {
    each(|data| {
        let got = data.run();
        for level in Level::all() {
            assert!(level.forced(|| data.run()) == got, "{level:?}");
        }
        for threads in [1, 2, 5] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
            assert!(pool.unwrap().install(|| data.run()) == got, "{threads}");
        }
    });
}

/// A sequence in two pieces, the states carried over, and a row alone: the same bits.
#[test]
fn pieces_and_rows_alone_give_the_same_bits() {
    for kind in KINDS {
        let data = Data::new(kind, [2, 9, 20], 4);
        let whole = data.run();
        let (size, columns) = (data.size, kind.parts() * 20);
        let cut = |from: usize, to: usize, row: usize, h0: &[f32], c0: &[f32]| {
            let mut part = data.clone();
            part.size = Size {
                batch: 1,
                time: to - from,
                ..size
            };
            let steps = |v: &[f64], width: usize| {
                v[(row * 9 + from) * width..(row * 9 + to) * width].to_vec()
            };
            part.values[0] = steps(&data.values[0], columns);
            part.values[5] = steps(&data.values[5], 20);
            part.values[3] = wide(h0);
            part.values[4] = wide(c0);
            part.run()
        };
        for row in 0..2 {
            let first = |i: usize| -> Vec<f32> {
                let all = data.values[i].iter().map(|v| *v as f32);
                all.skip(row * 20).take(20).collect()
            };
            let one = cut(0, 4, row, &first(3), &first(4));
            let two = cut(4, 9, row, &one[0][3 * 20..], &one[2]);
            let joined = [&one[0][..], &two[0][..]].concat();
            assert_eq!(joined, whole[0][row * 180..][..180], "{kind:?} {row}");
        }
    }
}

#[test]
fn gradients_of_the_definition_are_slopes() {
    for kind in KINDS {
        let data = Data::new(kind, [2, 5, 3], 2);
        let (_, grads) = data.twin();
        let columns = kind.parts() * 3;
        let mut weight = vec![0.0; 3 * columns];
        let mut bias = vec![0.0; columns];
        for (before, moved) in grads.before.chunks(3).zip(grads.moved.chunks(columns)) {
            for (to, before) in weight.chunks_mut(columns).zip(before) {
                to.iter_mut().zip(moved).for_each(|(w, m)| *w += before * m);
            }
            bias.iter_mut().zip(moved).for_each(|(b, m)| *b += m);
        }
        let all = [&grads.x, &weight, &bias, &grads.h0, &grads.c0];
        let loss = |data: &Data| -> f64 {
            let out = slow::forward(kind, &data.inputs(), data.size);
            out.h.iter().zip(&data.values[5]).map(|(h, d)| h * d).sum()
        };
        for (which, grad) in all.into_iter().enumerate() {
            assert_eq!(grad.len(), data.values[which].len(), "{kind:?} {which}");
            let slopes: Vec<f64> = (0..grad.len())
                .map(|at| {
                    let moved = |by: f64| {
                        let mut data = data.clone();
                        data.values[which][at] += by;
                        loss(&data)
                    };
                    (moved(1e-5) - moved(-1e-5)) / 2e-5
                })
                .collect();
            if !grad.is_empty() {
                close(&format!("{kind:?} {which}"), grad, &slopes, 1e-8);
            }
        }
    }
}
