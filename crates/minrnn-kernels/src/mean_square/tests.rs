use super::cuda::{Step, scratch_len, step};
use crate::Elem;
use crate::cuda::testing::{Bench, TYPES, rounded};
use crate::testing::Rng;

fn check(bench: &Bench, n: usize, w: usize, elem: Elem, out: Option<Elem>, with: bool) {
    let (rng, gpu, all) = (&mut Rng((n * w) as u64), &bench.gpu, n * w);
    let y = rounded(elem, &rng.input(&[all], -1.0, 2.0).data);
    let targets = if with {
        rng.input(&[all], -2.0, 1.0).data
    } else {
        vec![0.0; all]
    };
    let mut weight = || {
        if rng.below(3) == 0 {
            0.0
        } else {
            rng.real(0.1, 2.0)
        }
    };
    let weights: Vec<f64> = if with {
        (1..n).map(|_| weight()).chain([1.5]).collect()
    } else {
        vec![1.0; n]
    };
    let by = weights.iter().sum::<f64>() * w as f64;
    let apart: Vec<f64> = y.iter().zip(&targets).map(|(y, t)| y - t).collect();
    let loss = (0..all)
        .map(|i| apart[i] * apart[i] * weights[i / w])
        .sum::<f64>()
        / by;
    let grad: Vec<f64> = (0..all)
        .map(|i| 2.0 * apart[i] * weights[i / w] / by)
        .collect();
    bench.same_twice(|| {
        let (y, targets) = (bench.put(elem, &y), bench.put(Elem::F32, &targets));
        let (weights, found) = (bench.put(Elem::F32, &weights), bench.empty(Elem::F32, 1));
        let (dy, scratch) = (
            bench.empty(out.unwrap_or(elem), all),
            bench.scratch(scratch_len(gpu, n, w)),
        );
        let mut p = Step {
            y: y.view(),
            targets: with.then(|| targets.view()),
            weights: with.then(|| weights.view()),
            loss: found.view(),
            dy: None,
            scale: None,
            scratch: scratch.view(),
            n,
            w,
        };
        step(gpu, &p).unwrap();
        found.close("loss alone", &[loss], 1e-6);
        p.dy = Some(if out.is_some() { dy.view() } else { y.view() });
        step(gpu, &p).unwrap();
        found.close("loss", &[loss], 1e-6);
        let dy = if out.is_some() { dy } else { y };
        dy.close("dy", &grad, 1e-6);
        vec![found, dy]
    });
}

#[test]
fn equals_its_definition() {
    let Some(bench) = Bench::new("mean_square") else {
        return;
    };
    for (n, w) in [(1, 1), (33, 3), (1000, 5), (2, 4001), (700, 1)] {
        for with in [false, true] {
            check(&bench, n, w, Elem::F32, None, with);
            check(&bench, n, w, Elem::Bf16, Some(Elem::F32), with);
        }
    }
    for elem in TYPES {
        for out in TYPES {
            if elem == Elem::F32 || out == elem || out == Elem::F32 {
                check(&bench, 100, 7, elem, Some(out), true);
            }
        }
    }
    check(&bench.shifted(1), 100, 7, Elem::F16, None, true);
}

#[test]
fn weights_of_zero_give_zero() {
    let Some(bench) = Bench::new("mean_square") else {
        return;
    };
    let (y, weights) = (
        bench.put(Elem::F32, &[1.0, -2.0]),
        bench.put(Elem::F32, &[0.0, 0.0]),
    );
    let (loss, scratch) = (
        bench.empty(Elem::F32, 1),
        bench.scratch(scratch_len(&bench.gpu, 2, 1)),
    );
    let p = Step {
        y: y.view(),
        targets: None,
        weights: Some(weights.view()),
        loss: loss.view(),
        dy: Some(y.view()),
        scale: None,
        scratch: scratch.view(),
        n: 2,
        w: 1,
    };
    step(&bench.gpu, &p).unwrap();
    assert_eq!((loss.values()[0], y.values()), (0.0, vec![0.0, -0.0]));
}
