use super::cuda::{Norm, Trouble, Update, norm, read_latch, scratch_len, update};
use crate::Elem;
use crate::cuda::testing::{Bench, Buffer, rounded};
use crate::testing::Rng;

const BETA: [f64; 2] = [0.9, 0.999];
const EPS: f64 = 1e-8;
const DECAY: f64 = 0.1;
const LR: f32 = 0.003;

/// Seed, step 2^32 + 6, learning rate, corrections of step 3.
fn control() -> Vec<u32> {
    let correct = |beta: f64| ((1.0 / (1.0 - beta.powi(3))) as f32).to_bits();
    let mut words = vec![1, 2, 6, 1, LR.to_bits(), correct(BETA[0]), correct(BETA[1])];
    words.resize(16, 0);
    words
}

struct State<'a> {
    bench: &'a Bench,
    grads: Buffer<'a>,
    segments: Buffer<'a>,
    report: Buffer<'a>,
    latch: Buffer<'a>,
    control: Buffer<'a>,
}

impl<'a> State<'a> {
    fn new(bench: &'a Bench, grads: &[f64], segments: &[u32]) -> Self {
        Self {
            bench,
            grads: bench.put(Elem::F32, grads),
            segments: bench.integers(segments),
            report: bench.empty(Elem::F32, 2),
            latch: bench.integers(&[0; 4]),
            control: bench.integers(&control()),
        }
    }
    fn norm(&self, loss: Option<f64>, clip_norm: Option<f64>) {
        let scratch = self
            .bench
            .scratch(scratch_len(&self.bench.gpu, self.grads.values().len()));
        let loss = loss.map(|loss| self.bench.put(Elem::F32, &[loss]));
        let p = Norm {
            grads: self.grads.view(),
            segments: self.segments.view(),
            loss: loss.as_ref().map(|loss| loss.view()),
            clip_norm,
            scratch: scratch.view(),
            scale: None,
            report: self.report.view(),
            latch: self.latch.view(),
            control: self.control.view(),
        };
        norm(&self.bench.gpu, &p).unwrap();
    }
    fn trouble(&self) -> Option<(u64, Option<usize>, Trouble)> {
        read_latch(self.latch.bits().try_into().unwrap())
    }
}

#[test]
fn norm_and_clip_are_those_of_the_definition() {
    let Some(bench) = Bench::new("adamw") else {
        return;
    };
    for bench in [bench, Bench::new("adamw").unwrap().shifted(1)] {
        for segments in [vec![0, 1], vec![0, 7, 7, 200, 8192, 8200, 16_384, 30_001]] {
            let n = segments[segments.len() - 1] as usize;
            let grads = Rng(3).input(&[n], -1.0, 2.0).data;
            let want = grads.iter().map(|g| g * g).sum::<f64>().sqrt();
            bench.same_twice(|| {
                let state = State::new(&bench, &grads, &segments);
                state.norm(Some(0.5), None);
                state.report.close("whole", &[want, 1.0], 1e-7);
                state.norm(None, Some(want * 0.25));
                state.report.close("clipped", &[want, 0.25], 1e-7);
                state.norm(None, Some(want * 1.25));
                state.report.close("short", &[want, 1.0], 1e-7);
                assert_eq!(state.trouble(), None);
                vec![state.report]
            });
        }
    }
}

#[test]
fn the_first_trouble_is_latched() {
    let Some(bench) = Bench::new("adamw") else {
        return;
    };
    let segments = [0, 10, 9000, 20_000];
    let step = (1 << 32) + 6;
    let run = |loss: f64, places: &[(usize, f64)], clip: Option<f64>| {
        let mut grads = vec![0.5; 20_000];
        places
            .iter()
            .for_each(|(place, value)| grads[*place] = *value);
        let state = State::new(&bench, &grads, &segments);
        state.norm(Some(loss), clip);
        // Later trouble changes nothing.
        let first = state.trouble();
        if first.is_some() {
            state.norm(Some(f64::NAN), None);
            assert_eq!(state.trouble(), first);
        }
        first
    };
    assert_eq!(run(1.0, &[], None), None);
    assert_eq!(
        run(f64::INFINITY, &[(3, f64::NAN)], None),
        Some((step, None, Trouble::Loss))
    );
    assert_eq!(
        run(1.0, &[(3, 1e30), (9000, f64::NEG_INFINITY)], None),
        Some((step, Some(2), Trouble::Gradient))
    );
    assert_eq!(
        run(1.0, &[(8999, f64::NAN), (19_999, f64::NAN)], None),
        Some((step, Some(1), Trouble::Gradient))
    );
    assert_eq!(
        run(1.0, &[(10, 1e20)], None),
        Some((step, Some(1), Trouble::Square))
    );
    assert_eq!(run(1.0, &[(10, 1e20)], Some(1.0)), None);
    assert_eq!(run(1.0, &[(10, f64::from(f32::MAX))], Some(1.0)), None);
}

/// The arithmetic of the CPU's update, in f32.
fn twin(w: f32, g: f32, m: f32, v: f32, clip: f32, decay: f64) -> [f32; 3] {
    let correct = control();
    let [rate, root] = [
        LR * f32::from_bits(correct[5]),
        f32::from_bits(correct[6]).sqrt(),
    ];
    let keep = (1.0 - f64::from(LR) * decay) as f32;
    let g = g * clip;
    let m = BETA[0] as f32 * m + (1.0 - BETA[0]) as f32 * g;
    let v = BETA[1] as f32 * v + (1.0 - BETA[1]) as f32 * (g * g);
    [keep * w - rate * m / (v.sqrt() * root + EPS as f32), m, v]
}

#[test]
fn update_is_that_of_the_cpu_bit_for_bit_and_stops_at_trouble() {
    let Some(bench) = Bench::new("adamw") else {
        return;
    };
    let shifted = Bench::new("adamw").unwrap().shifted(1);
    for (bench, n, decayed) in [(&bench, 4099, 1030), (&bench, 3, 0), (&shifted, 1000, 999)] {
        for shadow in [None, Some(Elem::Bf16), Some(Elem::F16)] {
            let rng = &mut Rng(9);
            let [w, mut g, m] = [1.0, 2.0, 0.5].map(|s| rng.input(&[n], -s, s).data);
            let v = rounded(Elem::F32, &rng.input(&[n], 0.0, 0.1).data);
            g[0] = 0.0;
            let state = State::new(bench, &g, &[0, n as u32]);
            state
                .report
                .view()
                .write(&bench.gpu, &[9.0_f32, 0.75])
                .unwrap();
            let [w_in, m_in, v_in] = [&w, &m, &v].map(|x| bench.put(Elem::F32, x));
            let copy = bench.empty(shadow.unwrap_or(Elem::F32), n);
            let p = Update {
                params: w_in.view(),
                grads: state.grads.view(),
                first: m_in.view(),
                second: v_in.view(),
                shadow: shadow.map(|_| copy.view()),
                decayed,
                beta1: BETA[0],
                beta2: BETA[1],
                eps: EPS,
                weight_decay: DECAY,
                report: state.report.view(),
                latch: state.latch.view(),
                control: state.control.view(),
            };
            update(&bench.gpu, &p).unwrap();
            let got = [&w_in, &m_in, &v_in].map(Buffer::bits);
            for i in 0..n {
                let decay = if i < decayed { DECAY } else { 0.0 };
                let want = twin(
                    w[i] as f32,
                    g[i] as f32,
                    m[i] as f32,
                    v[i] as f32,
                    0.75,
                    decay,
                );
                let found = [0, 1, 2].map(|k: usize| f32::from_bits(got[k][i]));
                assert_eq!(found, want, "element {i} of {n}");
            }
            if let Some(elem) = shadow {
                assert_eq!(copy.values(), rounded(elem, &w_in.values()));
            }
            state
                .latch
                .view()
                .write(&bench.gpu, &[1u32, 0, 1, 2])
                .unwrap();
            update(&bench.gpu, &p).unwrap();
            assert!(
                [&w_in, &m_in, &v_in].map(Buffer::bits) == got,
                "changed in spite of the latch"
            );
        }
    }
}
