//! Times at the language model's size beside a copy: `cargo test ... -- --ignored --nocapture --test-threads=1 norms_by_time`.

#![allow(clippy::print_stderr, reason = "a measurement is printed")]

use super::Kind;
use super::cuda::{Backward, Branch, BranchGrad, Forward, Mask, backward, forward, scratch_len};
use crate::Elem;
use crate::cuda::{Gpu, Memory, Result, Timer};
use crate::recurrence::sweep::Tensor;

const ROWS: usize = 16_384;
const WIDTH: usize = 384;
const SETS: usize = 6;
const ROUNDS: usize = 9;

/// x and its gradient in f32; branch, y and their gradients in the type of a case.
struct Set {
    stream: [Tensor; 3],
    narrow: [Tensor; 4],
}

impl Set {
    fn new(gpu: &Gpu, elem: Elem) -> Result<Self> {
        let n = ROWS * WIDTH;
        let make = |elem, seed| Tensor::random(gpu, n, elem, [-1.0, 1.0], seed);
        Ok(Self {
            stream: [
                make(Elem::F32, 1)?,
                make(Elem::F32, 2)?,
                make(Elem::F32, 3)?,
            ],
            narrow: [
                make(elem, 4)?,
                make(elem, 5)?,
                make(elem, 6)?,
                make(elem, 7)?,
            ],
        })
    }
}

type Run<'a> = &'a dyn Fn(&Set) -> Result<()>;

#[test]
#[ignore = "a measurement"]
fn norms_by_time() {
    let gpu = match Gpu::new(0) {
        Ok(gpu) => gpu,
        Err(error) => return eprintln!("norm: not run: {error}"),
    };
    for elem in [Elem::Bf16, Elem::F32] {
        measure(&gpu, elem).unwrap();
    }
}

fn measure(gpu: &Gpu, elem: Elem) -> Result<()> {
    let sets: Vec<Set> = (0..SETS)
        .map(|_| Set::new(gpu, elem))
        .collect::<Result<_>>()?;
    let part = |len| Tensor::random(gpu, len, Elem::F32, [0.5, 1.5], 8);
    let (weight, stats, sums) = (part(WIDTH)?, part(2 * ROWS)?, [part(WIDTH)?, part(WIDTH)?]);
    let scratch = Tensor::new(gpu, scratch_len(gpu, ROWS, WIDTH), Elem::F32)?;
    let control = Memory::from_slice(gpu, &[7u32; 16])?;
    let mask = Some(Mask {
        p: 0.2,
        site: 1,
        control: control.all(Elem::U32)?,
    });
    let (rows, width) = (ROWS, WIDTH);
    let there = |set: &Set| {
        let branch = Some(Branch {
            a: set.narrow[0].view(),
            dropout: mask,
            sum: set.stream[1].view(),
        });
        let given = Forward {
            kind: Kind::Rms,
            x: set.stream[0].view(),
            branch,
            weight: weight.view(),
            bias: None,
            eps: 1e-5,
            y: set.narrow[1].view(),
            stats: stats.view(),
            rows,
            width,
        };
        forward(gpu, &given)
    };
    let back = |set: &Set| {
        let branch = Some(BranchGrad {
            da: set.narrow[3].view(),
            dropout: mask,
            sums: Some(sums[1].view()),
        });
        let given = Backward {
            kind: Kind::Rms,
            s: set.stream[0].view(),
            weight: weight.view(),
            stats: stats.view(),
            dy: set.narrow[2].view(),
            dsum: Some(set.stream[1].view()),
            ds: set.stream[2].view(),
            branch,
            dweight: sums[0].view(),
            dbias: None,
            scratch: scratch.view(),
            rows,
            width,
        };
        backward(gpu, &given)
    };
    let copy = |set: &Set| set.stream[1].view().copy_from(gpu, set.stream[0].view());
    let runs: [(&str, usize, Run<'_>); 3] = [
        ("forward", 8 + 2 * elem.size(), &there),
        ("backward", 12 + 2 * elem.size(), &back),
        ("copy", 8, &copy),
    ];
    for (name, bytes, run) in runs {
        run(&sets[0])?;
        let mut graph = gpu.capture(|| (0..2 * SETS).try_for_each(|i| run(&sets[i % SETS])))?;
        let mut timer = Timer::new(gpu);
        graph.launch()?;
        for _ in 0..ROUNDS {
            timer.mark()?;
            graph.launch()?;
            timer.mark()?;
        }
        let mut times = timer.pairs()?;
        times.sort_by(f32::total_cmp);
        let us = f64::from(times[ROUNDS / 2]) * 1e3 / (2 * SETS) as f64;
        let gbps = (bytes * ROWS * WIDTH) as f64 / us / 1e3;
        eprintln!("norm {elem:?} {name}: {us:.1} us, {gbps:.0} GB/s");
    }
    Ok(())
}
