use super::cuda::{Correct, Step, correct, scratch_len, step};
use super::slow;
use crate::Elem;
use crate::cuda::testing::{Bench, TYPES, rounded};
use crate::testing::Rng;

struct Data {
    n: usize,
    v: usize,
    logits: Vec<f64>,
    targets: Vec<u32>,
    weights: Option<Vec<f64>>,
}

impl Data {
    fn new(n: usize, v: usize, elem: Elem, size: f64, weighted: bool) -> Self {
        let rng = &mut Rng((n + v) as u64);
        let mut weight = || {
            if rng.below(3) == 0 {
                0.0
            } else {
                rng.real(0.1, 2.0)
            }
        };
        let weights = weighted.then(|| (1..n).map(|_| weight()).chain([1.0]).collect());
        Self {
            n,
            v,
            logits: rounded(elem, &rng.input(&[n, v], -size, 2.0 * size).data),
            targets: (0..n).map(|_| rng.below(v) as u32).collect(),
            weights,
        }
    }

    /// Loss and gradient of the logits.
    fn want(&self) -> (f64, Vec<f64>) {
        let ones = vec![1.0; self.n];
        let weights = self.weights.as_ref().unwrap_or(&ones);
        let loss = slow::cross_entropy(&self.logits, &self.targets, weights);
        (
            loss,
            slow::cross_entropy_grad(&self.logits, &self.targets, weights, 1.0).0,
        )
    }

    fn check(&self, bench: &Bench, elem: Elem, out: Option<Elem>) {
        let ((loss, grad), gpu, n) = (self.want(), &bench.gpu, self.n * self.v);
        bench.same_twice(|| {
            let (logits, targets) = (bench.put(elem, &self.logits), bench.integers(&self.targets));
            let weights = self.weights.as_ref().map(|w| bench.put(Elem::F32, w));
            let scratch = bench.scratch(scratch_len(gpu, self.n, self.v));
            let (found, dlogits) = (
                bench.empty(Elem::F32, 1),
                bench.empty(out.unwrap_or(elem), n),
            );
            // None: in place.
            let to = if out.is_some() {
                dlogits.view()
            } else {
                logits.view()
            };
            let all = Step {
                logits: logits.view(),
                targets: targets.view(),
                weights: weights.as_ref().map(|w| w.view()),
                loss: found.view(),
                dlogits: None,
                scale: None,
                scratch: scratch.view(),
                n: self.n,
                v: self.v,
            };
            step(gpu, &all).unwrap();
            found.close("loss alone", &[loss], 3e-6);
            step(
                gpu,
                &Step {
                    dlogits: Some(to),
                    ..all
                },
            )
            .unwrap();
            found.close("loss", &[loss], 3e-6);
            let result = if out.is_some() { dlogits } else { logits };
            result.close("dlogits", &grad, 6e-6);
            vec![found, result]
        });
    }
}

#[test]
fn equals_its_twin() {
    let Some(bench) = Bench::new("cross_entropy") else {
        return;
    };
    for (n, v) in [
        (1, 2),
        (200, 65),
        (67, 64),
        (40, 360),
        (33, 1),
        (9, 361),
        (6, 1000),
        (3, 9001),
        (2, 20_000),
    ] {
        for weighted in [false, true] {
            Data::new(n, v, Elem::F32, 3.0, weighted).check(&bench, Elem::F32, None);
        }
    }
    Data::new(16_384, 65, Elem::Bf16, 5.0, true).check(&bench, Elem::Bf16, None);
    for elem in TYPES {
        for out in TYPES {
            if elem == Elem::F32 || out == elem || out == Elem::F32 {
                Data::new(70, 65, elem, 5.0, true).check(&bench, elem, Some(out));
                Data::new(5, 1000, elem, 5.0, true).check(&bench, elem, Some(out));
                Data::new(5, 405, elem, 50.0, false).check(&bench, elem, Some(out));
            }
        }
        Data::new(70, 66, elem, 5.0, true).check(&bench, elem, None);
    }
    let bench = bench.shifted(1);
    Data::new(70, 24, Elem::Bf16, 5.0, true).check(&bench, Elem::Bf16, None);
    Data::new(7, 800, Elem::F32, 5.0, true).check(&bench, Elem::F32, None);
}

/// Loss and gradient of rows of two, twice: as they are, and widened by columns of -inf.
fn small(rows: &[[f64; 2]], targets: &[u32], weights: &[f64]) -> Option<Vec<(f64, Vec<f64>)>> {
    let bench = Bench::new("cross_entropy")?;
    let run = |v: usize| {
        let widen = |row: &[f64; 2]| {
            row.iter()
                .copied()
                .chain(vec![f64::NEG_INFINITY; v - 2])
                .collect::<Vec<_>>()
        };
        let logits: Vec<f64> = rows.iter().flat_map(widen).collect();
        let (logits, targets) = (bench.put(Elem::F32, &logits), bench.integers(targets));
        let (weights, loss) = (bench.put(Elem::F32, weights), bench.empty(Elem::F32, 1));
        let scratch = bench.scratch(scratch_len(&bench.gpu, rows.len(), v));
        let all = Step {
            logits: logits.view(),
            targets: targets.view(),
            weights: Some(weights.view()),
            loss: loss.view(),
            dlogits: Some(logits.view()),
            scale: None,
            scratch: scratch.view(),
            n: rows.len(),
            v,
        };
        step(&bench.gpu, &all).unwrap();
        let grads = logits.values();
        assert!(
            grads
                .chunks(v)
                .all(|row| row[2..].iter().all(|x| *x == 0.0 || x.is_nan()))
        );
        (
            loss.values()[0],
            grads.chunks(v).flat_map(|row| row[..2].to_vec()).collect(),
        )
    };
    Some([2, 500, 512].map(run).into())
}

#[test]
fn a_row_of_weight_zero_is_not_looked_at() {
    for (loss, grad) in small(
        &[[1.0, 2.0], [f64::NAN, 7.0], [0.5, -1.0]],
        &[1, 99, 0],
        &[1.0, 0.0, 3.0],
    )
    .unwrap_or_default()
    {
        let want = slow::cross_entropy(&[1.0, 2.0, 0.5, -1.0], &[1, 0], &[1.0, 3.0]);
        assert!((loss - want).abs() < 1e-6 && grad[2..4] == [0.0, 0.0]);
        assert!(grad.iter().all(|g| g.is_finite()));
    }
}

#[test]
fn large_logits_neither_overflow_nor_vanish() {
    for (loss, grad) in
        small(&[[1e30, -1e30], [-200.0, 200.0]], &[0, 0], &[1.0, 1.0]).unwrap_or_default()
    {
        assert_eq!((loss, &grad[..]), (200.0, &[0.0, 0.0, -0.5, 0.5][..]));
    }
    // A certain and right row keeps its digits.
    for (loss, _) in small(&[[20.0, 0.0]], &[0], &[1.0]).unwrap_or_default() {
        assert!(
            (loss / libm::log1p(libm::exp(-20.0)) - 1.0).abs() < 1e-5,
            "{loss}"
        );
    }
}

#[test]
fn what_is_not_a_number_stays_visible() {
    for (rows, target) in [
        ([[1.0, f64::NAN]], 0),
        ([[1.0, 2.0]], 9999),
        ([[f64::NEG_INFINITY; 2]], 0),
    ] {
        for (loss, _) in small(&rows, &[target], &[1.0]).unwrap_or_default() {
            assert!(loss.is_nan(), "{rows:?} {target}: {loss}");
        }
    }
}

#[test]
fn counts_the_first_largest() {
    let Some(bench) = Bench::new("correct") else {
        return;
    };
    let nan = f64::NAN;
    let inf = f64::NEG_INFINITY;
    // The guess of each row: 1 (first of two), 0 (NaN first), 2 (NaN is passed over), 0 (nothing larger).
    let logits = [
        [0.0, 3.0, 3.0],
        [nan, 1.0, 2.0],
        [0.0, nan, 1.0],
        [inf, inf, inf],
    ]
    .concat();
    let (logits, targets) = (bench.put(Elem::F32, &logits), bench.integers(&[1, 0, 2, 0]));
    let (out, scratch) = (
        bench.empty(Elem::U32, 1),
        bench.scratch(scratch_len(&bench.gpu, 4, 3)),
    );
    let weights = bench.put(Elem::F32, &[1.0, 2.0, 0.0, 1.0]);
    for (weights, want) in [(None, 4), (Some(weights.view()), 3)] {
        let all = Correct {
            logits: logits.view(),
            targets: targets.view(),
            weights,
            out: out.view(),
            scratch: scratch.view(),
            n: 4,
            v: 3,
        };
        correct(&bench.gpu, &all).unwrap();
        assert_eq!(out.bits(), [want]);
    }
    for elem in TYPES {
        let data = Data::new(1000, 70, elem, 1.0, false);
        let guess =
            |row: &[f64]| (0..70).fold(0, |best, i| if row[i] > row[best] { i } else { best });
        let hits = data
            .logits
            .chunks(70)
            .zip(&data.targets)
            .filter(|(row, t)| guess(row) == **t as usize);
        let (logits, targets) = (bench.put(elem, &data.logits), bench.integers(&data.targets));
        let scratch = bench.scratch(scratch_len(&bench.gpu, 1000, 70));
        let all = Correct {
            logits: logits.view(),
            targets: targets.view(),
            weights: None,
            out: out.view(),
            scratch: scratch.view(),
            n: 1000,
            v: 70,
        };
        correct(&bench.gpu, &all).unwrap();
        assert_eq!(out.bits(), [hits.count() as u32]);
    }
}
