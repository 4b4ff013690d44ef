//! Microseconds of a step, by way: `cargo test ... -- --ignored --nocapture --test-threads=1 steps_by_time`.

#![allow(clippy::print_stderr, reason = "a measurement is printed")]

use super::cuda::{Grads, Inputs, Outputs, Way, backward_by, forward_by, has_alone};
use super::{Feedback, Size};
use crate::Elem;
use crate::cuda::{Gpu, Result, Timer};
use crate::recurrence::sweep::Tensor;

const ROUNDS: usize = 5;

struct Set {
    kind: Feedback,
    size: Size,
    /// x, weight, bias, h, saved, dh, dx, dmoved, before.
    all: Vec<Tensor>,
}

impl Set {
    fn new(gpu: &Gpu, kind: Feedback, size: Size) -> Result<Self> {
        let (d, columns) = (size.channels, kind.parts() * size.channels);
        let bound = 1.0 / (d as f64).sqrt();
        let lens = [
            (size.packed(kind), 1.5),
            (d * columns, bound),
            (columns, 1.0),
            (size.states(), 1.0),
            (size.saved(kind), 1.0),
            (size.states(), 1.0),
            (size.packed(kind), 1.0),
            (size.packed(kind), 1.0),
            (size.states(), 1.0),
        ];
        let all = lens
            .iter()
            .zip(1..)
            .map(|((len, most), seed)| Tensor::random(gpu, *len, Elem::F32, [-most, *most], seed));
        Ok(Self {
            kind,
            size,
            all: all.collect::<Result<_>>()?,
        })
    }

    fn run(&self, gpu: &Gpu, way: Way, back: bool) -> Result<()> {
        let view = |i: usize| self.all[i].view();
        let inputs = Inputs {
            x: view(0),
            weight: view(1),
            bias: Some(view(2)),
            h0: None,
            c0: None,
        };
        let (kind, size) = (self.kind, self.size);
        if !back {
            let to = Outputs {
                h: view(3),
                saved: Some(view(4)),
                last: None,
            };
            return forward_by(gpu, kind, &inputs, size, &to, way);
        }
        let to = Grads {
            x: view(6),
            moved: (kind == Feedback::Gru).then(|| view(7)),
            before: view(8),
            h0: None,
            c0: None,
        };
        let given = [view(3), view(4), view(5)];
        backward_by(gpu, kind, &inputs, size, given, &to, way)
    }
}

/// Median microseconds of a step.
fn time(gpu: &Gpu, set: &Set, way: Way, back: bool) -> Result<f64> {
    set.run(gpu, way, back)?;
    let mut timer = Timer::new(gpu);
    for _ in 0..ROUNDS {
        timer.mark()?;
        set.run(gpu, way, back)?;
        timer.mark()?;
    }
    let mut times = timer.pairs()?;
    times.sort_by(f32::total_cmp);
    Ok(f64::from(times[ROUNDS / 2]) * 1e3 / set.size.time as f64)
}

#[test]
#[ignore = "a measurement"]
fn steps_by_time() {
    let gpu = match Gpu::new(0) {
        Ok(gpu) => gpu,
        Err(error) => return eprintln!("feedback: not run: {error}"),
    };
    for [batch, time_, channels] in [
        [64, 1024, 64],
        [512, 256, 64],
        [64, 512, 128],
        [64, 512, 256],
        [64, 512, 384],
        [64, 512, 512],
    ] {
        let size = Size {
            batch,
            time: time_,
            channels,
        };
        for kind in [Feedback::Gru, Feedback::Lstm] {
            let set = Set::new(&gpu, kind, size).unwrap();
            let mut ways = vec![Way::Cluster(2), Way::Cluster(8)];
            if has_alone(size) {
                ways.push(Way::Alone);
            }
            for way in ways {
                let [there, back] = [false, true].map(|back| time(&gpu, &set, way, back).unwrap());
                eprintln!(
                    "{kind:?} {batch}, {time_}, {channels} {way:?}: {there:.3} us a step forward, {back:.3} backward"
                );
            }
        }
    }
}
