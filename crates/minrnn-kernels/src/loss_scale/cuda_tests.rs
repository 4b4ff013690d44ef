#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

use super::LossScale;
use super::cuda::{NUMBERS, Step, looked, read, step};
use crate::Elem;
use crate::adamw::cuda::{Norm, Trouble, norm, read_latch, scratch_len};
use crate::cuda::testing::{Bench, Buffer};
use crate::testing::Rng;

/// Steps of a norm and what follows it, over gradients that a test gives.
struct Run<'a> {
    bench: &'a Bench,
    block: Buffer<'a>,
    latch: Buffer<'a>,
    control: Buffer<'a>,
    numbers: Buffer<'a>,
    report: Buffer<'a>,
}

impl<'a> Run<'a> {
    fn new(bench: &'a Bench, first: LossScale) -> Self {
        let words = first.words().map(f64::from);
        let numbers: Vec<u32> = (0..4 * NUMBERS as u32).collect();
        Self {
            bench,
            block: bench.put(Elem::F32, &words),
            latch: bench.integers(&[0; 4]),
            control: bench.integers(&[0; 16]),
            numbers: bench.integers(&numbers),
            report: bench.empty(Elem::F32, 2),
        }
    }

    /// A step with this number whose unscaled gradient is `grad`, and whose loss is `loss`.
    fn step(&self, number: u32, grad: &[f64], loss: f64, clip_norm: Option<f64>) {
        let gpu = &self.bench.gpu;
        let mut control = vec![7, 0, number, 1];
        control.extend([99; 12]);
        self.control.view().write(gpu, &control).unwrap();
        let scale = self.block.view().slice(0, 1).unwrap();
        let times = f64::from(scale.read::<f32>(gpu).unwrap()[0]);
        let scaled: Vec<f64> = grad.iter().map(|g| g * times).collect();
        let grads = self.bench.put(Elem::F32, &scaled);
        let segments = self.bench.integers(&[0, grad.len() as u32]);
        let loss = self.bench.put(Elem::F32, &[loss]);
        let scratch = self.bench.scratch(scratch_len(gpu, grad.len()));
        let p = Norm {
            grads: grads.view(),
            segments: segments.view(),
            loss: Some(loss.view()),
            clip_norm,
            scratch: scratch.view(),
            scale: Some(scale),
            report: self.report.view(),
            latch: self.latch.view(),
            control: self.control.view(),
        };
        norm(gpu, &p).unwrap();
        let p = Step {
            block: self.block.view(),
            latch: self.latch.view(),
            control: self.control.view(),
            numbers: self.numbers.view(),
        };
        step(gpu, &p).unwrap();
    }

    fn trouble(&self) -> Option<(u64, Option<usize>, Trouble)> {
        read_latch(self.latch.bits().try_into().unwrap())
    }

    /// Whether kernels behind leave their memory as it is.
    fn left_out(&self) -> bool {
        self.latch.bits()[3] != 0
    }
}

#[test]
fn the_norm_is_that_of_the_gradients_without_the_factor() {
    let Some(bench) = Bench::new("loss scale") else {
        return;
    };
    for scale in [1.0, 4096.0, (1u64 << 40) as f32] {
        let first = LossScale {
            scale,
            ..LossScale::default()
        };
        let run = Run::new(&bench, first);
        let (grad, each) = ([3.0, 4.0], 1.0 / f64::from(scale));
        run.step(0, &grad, 1.0, None);
        assert_eq!(run.report.values(), [5.0, each]);
        run.step(1, &grad, 1.0, Some(2.5));
        assert_eq!(run.report.values(), [5.0, 0.5 * each]);
        run.step(2, &grad, 1.0, Some(10.0));
        assert_eq!(run.report.values(), [5.0, each]);
        assert!(!run.left_out());
    }
}

#[test]
fn the_factor_moves_as_its_definition_says() {
    let Some(bench) = Bench::new("loss scale") else {
        return;
    };
    for seed in 0..6 {
        let mut rng = Rng(seed);
        let mut want = LossScale {
            scale: 32.0,
            good: 0,
            interval: Some(1 + seed as u32 % 4),
        };
        let run = Run::new(&bench, want);
        let mut behind = 0u64;
        for number in 0..60 {
            let finite = rng.input(&[1], 0.0, 1.0).data[0] > 0.3;
            let grad = if finite { 0.5 } else { f64::INFINITY };
            let used = want.scale;
            run.step(number, &[1.0, grad], 1.0, None);
            let words = run.block.values();
            let Some(next) = want.after(finite) else {
                // As low as it goes: trouble, and nothing moves until the host has seen it.
                let trouble = Some((1 << 32 | u64::from(number), Some(0), Trouble::Gradient));
                assert_eq!(run.trouble(), trouble);
                run.step(number + 1, &[1.0, 1.0], 1.0, None);
                assert_eq!(run.block.values(), words);
                run.latch.view().fill(&bench.gpu, 0).unwrap();
                continue;
            };
            behind += u64::from(!finite);
            want = next;
            assert_eq!(run.trouble(), None);
            assert_eq!(run.left_out(), !finite);
            assert_eq!(read(&bench.gpu, run.block.view()).unwrap(), (want, behind));
            assert_eq!(words[3..5], [f64::from(used), f64::from(u8::from(!finite))]);
            // Of the update that it is, which the host numbered as if none had been left out.
            let row = behind.min(3) as u32 * NUMBERS as u32;
            let first = if finite && behind > 0 { row } else { 99 };
            assert_eq!(run.control.bits()[4], first, "step {number}");
            if number % 5 == 4 {
                looked(&bench.gpu, run.block.view()).unwrap();
                behind = 0;
            }
        }
    }
}

#[test]
fn a_loss_that_is_not_finite_and_a_fixed_factor_leave_no_step_out() {
    let Some(bench) = Bench::new("loss scale") else {
        return;
    };
    let moving = LossScale {
        scale: 1024.0,
        good: 3,
        interval: Some(10),
    };
    let run = Run::new(&bench, moving);
    let before = run.block.bits();
    run.step(5, &[f64::NAN], f64::NAN, None);
    let step = 1 << 32 | 5;
    assert_eq!(run.trouble(), Some((step, None, Trouble::Loss)));
    assert_eq!(run.block.bits(), before);
    let fixed = LossScale {
        interval: None,
        ..moving
    };
    let run = Run::new(&bench, fixed);
    run.step(5, &[f64::INFINITY], 1.0, None);
    assert_eq!(run.trouble(), Some((step, Some(0), Trouble::Gradient)));
    assert_eq!(read(&bench.gpu, run.block.view()).unwrap().0.scale, 1024.0);
}

/// Loss and gradient of both losses, unscaled and scaled: bits of f32.
fn losses(bench: &Bench, v: usize, scale: Option<f64>) -> [[Vec<u32>; 2]; 2] {
    use crate::{cross_entropy, mean_square};
    let n = 37;
    let y = Rng(5).input(&[n, v], -2.0, 2.0).data;
    let y = bench.put(Elem::F32, &y);
    let scale = scale.map(|scale| bench.put(Elem::F32, &[scale]));
    let targets: Vec<u32> = (0..n as u32).map(|r| r % v as u32).collect();
    let targets = bench.integers(&targets);
    let [first, second] =
        [(), ()].map(|()| (bench.empty(Elem::F32, 1), bench.empty(Elem::F32, n * v)));
    let scratch = bench.scratch(cross_entropy::cuda::scratch_len(&bench.gpu, n, v));
    let step = cross_entropy::cuda::Step {
        logits: y.view(),
        targets: targets.view(),
        weights: None,
        loss: first.0.view(),
        dlogits: Some(first.1.view()),
        scale: scale.as_ref().map(Buffer::view),
        scratch: scratch.view(),
        n,
        v,
    };
    cross_entropy::cuda::step(&bench.gpu, &step).unwrap();
    let scratch = bench.scratch(mean_square::cuda::scratch_len(&bench.gpu, n, v));
    let step = mean_square::cuda::Step {
        y: y.view(),
        targets: None,
        weights: None,
        loss: second.0.view(),
        dy: Some(second.1.view()),
        scale: scale.as_ref().map(Buffer::view),
        scratch: scratch.view(),
        n,
        w: v,
    };
    mean_square::cuda::step(&bench.gpu, &step).unwrap();
    [first, second].map(|(loss, grad)| [loss.bits(), grad.bits()])
}

#[test]
fn losses_are_without_the_factor_and_their_gradients_times_it() {
    let Some(bench) = Bench::new("loss scale") else {
        return;
    };
    // Rows through shared memory, and a block a row.
    for v in [65, 1000] {
        let plain = losses(&bench, v, None);
        let scaled = losses(&bench, v, Some(1024.0));
        for ([loss, grad], [other, times]) in plain.iter().zip(&scaled) {
            assert_eq!(loss, other);
            let wide =
                |bits: &Vec<u32>| bits.iter().map(|b| f32::from_bits(*b)).collect::<Vec<_>>();
            let (grad, times) = (wide(grad), wide(times));
            assert!(grad.iter().any(|g| *g != 0.0));
            assert!(
                grad.iter().zip(&times).all(|(g, t)| g * 1024.0 == *t),
                "{v} columns"
            );
        }
    }
}
