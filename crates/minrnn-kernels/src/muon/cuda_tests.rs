#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

use super::cuda::{Matrix, Update, scratch_len, update};
use super::slow;
use super::tests::SIZES;
use crate::Elem;
use crate::cuda::Precision;
use crate::cuda::testing::{Bench, Buffer, rounded};
use crate::testing::Rng;

const BETA: f64 = 0.95;
const DECAY: f64 = 0.1;
const LR: f32 = 0.02;
const SCALE: f64 = 1.7;
const CLIP: f64 = 0.5;

/// What a step makes of a matrix: values and momentum.
fn twin([w, g, m]: [&[f64]; 3], size: [usize; 2], decay: f64) -> [Vec<f64>; 2] {
    let g: Vec<f64> = g.iter().map(|g| g * CLIP).collect();
    let pairs = m.iter().zip(&g);
    let m: Vec<f64> = pairs.map(|(m, g)| m + (1.0 - BETA) * (g - m)).collect();
    let pairs = m.iter().zip(&g);
    let u: Vec<f64> = pairs.map(|(m, g)| g + BETA * (m - g)).collect();
    let lr = f64::from(LR);
    let steps = slow::orthogonal(&u, size).into_iter();
    let w = w.iter().zip(steps);
    [
        w.map(|(w, x)| (1.0 - lr * decay) * w - lr * SCALE * x)
            .collect(),
        m,
    ]
}

/// A group of matrices; the results, and those of the definition.
fn check(bench: &Bench, size: [usize; 2], count: usize, shadow: Option<Elem>) {
    let len = size[0] * size[1];
    let rng = &mut Rng(21);
    let mut draw = |s: f64| rounded(Elem::F32, &rng.input(&[len], -s, s).data);
    let given: Vec<[Vec<f64>; 3]> = (0..count).map(|_| [1.0, 2.0, 0.5].map(&mut draw)).collect();
    let decay = |i: usize| if i == 0 { DECAY } else { 0.0 };
    bench.same_twice(|| {
        let buffers: Vec<[Buffer<'_>; 3]> = given
            .iter()
            .map(|all| [0, 1, 2].map(|k: usize| bench.put(Elem::F32, &all[k])))
            .collect();
        let shadows: Vec<Buffer<'_>> = (0..count)
            .map(|_| bench.empty(shadow.unwrap_or(Elem::F32), len))
            .collect();
        let matrices: Vec<Matrix<'_>> = (0..count)
            .map(|i| Matrix {
                params: buffers[i][0].view(),
                grads: buffers[i][1].view(),
                momentum: buffers[i][2].view(),
                shadow: shadow.map(|_| shadows[i].view()),
                weight_decay: decay(i),
            })
            .collect();
        let report = bench.put(Elem::F32, &[9.0, CLIP]);
        let mut control = vec![0u32; 16];
        control[7] = LR.to_bits();
        let (control, latch) = (bench.integers(&control), bench.integers(&[0; 4]));
        let scratch = bench.scratch(scratch_len(size, count));
        let p = Update {
            size,
            matrices: &matrices,
            momentum: BETA,
            scale: SCALE,
            precision: Precision::F32,
            scratch: scratch.view(),
            report: report.view(),
            latch: latch.view(),
            control: control.view(),
        };
        update(&bench.gpu, &p).unwrap();
        for (i, [w, g, m]) in given.iter().enumerate() {
            let [want_w, want_m] = twin([w, g, m], size, decay(i));
            buffers[i][0].close("values", &want_w, 3e-6);
            buffers[i][2].close("momentum", &want_m, 1e-6);
            if let Some(elem) = shadow {
                assert_eq!(shadows[i].values(), rounded(elem, &buffers[i][0].values()));
            }
        }
        let before: Vec<Vec<u32>> = buffers.iter().flatten().map(Buffer::bits).collect();
        latch.view().write(&bench.gpu, &[1u32, 0, 1, 2]).unwrap();
        update(&bench.gpu, &p).unwrap();
        let after: Vec<Vec<u32>> = buffers.iter().flatten().map(Buffer::bits).collect();
        assert_eq!(after, before, "trouble changes nothing");
        drop(matrices);
        buffers.into_iter().flatten().collect()
    });
}

#[test]
fn a_step_is_that_of_its_definition_and_stops_at_trouble() {
    let Some(bench) = Bench::new("muon") else {
        return;
    };
    for size in SIZES {
        for (count, shadow) in [(1, None), (3, Some(Elem::Bf16)), (2, Some(Elem::F16))] {
            check(&bench, size, count, shadow);
        }
    }
}
