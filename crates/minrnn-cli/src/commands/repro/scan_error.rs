//! How far two scans in float32 are from float64: the paper's, in log space, and the linear one that models are run by here.

use std::time::Instant;

use anyhow::Result;
use minrnn_kernels::Size;
use minrnn_kernels::linear_scan::cpu;
use minrnn_model::rng::Rng;

use super::context::Context;
use super::outcome::Done;
use super::queue::Item;
use super::train::Ran;

/// Channels, each with gates of its own.
const CHANNELS: usize = 8;

/// The largest relative errors of h over all steps and channels, gates half open on average: their logits are normal with deviation 1.
pub(super) fn run(cx: &Context, item: &Item) -> Result<Ran> {
    let start = Instant::now();
    let time = item.case as usize;
    let drawn = Drawn::new(time);
    let truth = drawn.in_float64();
    let mut h = vec![0.0; time * CHANNELS];
    let size = Size {
        b: 1,
        t: time,
        d: CHANNELS,
    };
    cpu::forward(&drawn.a, &drawn.b, &[0.0; CHANNELS], &mut h, size);
    let mut done = Done::new(&item.row.name, &item.case(), "cpu");
    let (linear, log) = (worst(&h, &truth), worst(&drawn.in_log_space(), &truth));
    done.figure(format!("linear.{time}"), linear);
    done.figure(format!("log.{time}"), log);
    cx.ui.note(&format!(
        "{}: linear {linear:.1e}, in log space {log:.1e}",
        item.key()
    ));
    done.times.seconds = start.elapsed().as_secs_f64();
    Ok(Ran::Done(Box::new(done)))
}

/// Gates and candidates `[T, D]`: `h = a h + b`, a being 1 - z and b being z times a candidate above 0.
struct Drawn {
    /// Logits of z.
    k: Vec<f32>,
    candidate: Vec<f32>,
    a: Vec<f32>,
    b: Vec<f32>,
}

impl Drawn {
    fn new(time: usize) -> Self {
        let mut rng = Rng::named(0, "scan error");
        let count = time * CHANNELS;
        let k: Vec<f32> = (0..count).map(|_| rng.normal() as f32).collect();
        let candidate: Vec<f32> = (0..count).map(|_| g(rng.normal() as f32)).collect();
        let a = k.iter().map(|k| sigmoid(-k)).collect();
        let b = k
            .iter()
            .zip(&candidate)
            .map(|(k, c)| sigmoid(*k) * c)
            .collect();
        Self { k, candidate, a, b }
    }

    /// The recurrence of the same logits and candidates, everything in float64.
    fn in_float64(&self) -> Vec<f64> {
        let mut h = [0.0; CHANNELS];
        let rows = self.k.chunks(CHANNELS).zip(self.candidate.chunks(CHANNELS));
        let mut all = Vec::with_capacity(self.k.len());
        for (k, c) in rows {
            for d in 0..CHANNELS {
                let z = 1.0 / (1.0 + (-f64::from(k[d])).exp());
                h[d] = (1.0 - z) * h[d] + z * f64::from(c[d]);
            }
            all.extend(h);
        }
        all
    }

    /// The paper's: `log h = A + logcumsumexp(log b - A)`, A being the sum of all log a so far, in float32 throughout.
    fn in_log_space(&self) -> Vec<f32> {
        let mut sums = [0.0_f32; CHANNELS];
        // The largest term so far, and the sum of all over it.
        let mut all_terms = [(f32::NEG_INFINITY, 0.0_f32); CHANNELS];
        let mut h = Vec::with_capacity(self.k.len());
        for (k, c) in self.k.chunks(CHANNELS).zip(self.candidate.chunks(CHANNELS)) {
            for d in 0..CHANNELS {
                sums[d] += -softplus(k[d]);
                let log_b = -softplus(-k[d]) + c[d].ln();
                let term = log_b - sums[d];
                let (most, sum) = all_terms[d];
                all_terms[d] = match term > most {
                    true => (term, sum * (most - term).exp() + 1.0),
                    false => (most, sum + (term - most).exp()),
                };
                let (most, sum) = all_terms[d];
                h.push((sums[d] + most + sum.ln()).exp());
            }
        }
        h
    }
}

/// The largest relative error; one that is no number is infinite.
fn worst(found: &[f32], truth: &[f64]) -> f64 {
    let error = |(f, t): (&f32, &f64)| {
        let error = (f64::from(*f) - t).abs() / t.abs();
        if error.is_nan() { f64::INFINITY } else { error }
    };
    found.iter().zip(truth).map(error).fold(0.0, f64::max)
}

/// The paper's activation of candidates.
fn g(x: f32) -> f32 {
    if x >= 0.0 { x + 0.5 } else { sigmoid(x) }
}

fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

fn softplus(x: f32) -> f32 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_scans_are_the_recurrence_and_the_log_space_one_errs_more_with_time() {
        let errors = |time| {
            let drawn = Drawn::new(time);
            let truth = drawn.in_float64();
            let mut h = vec![0.0; time * CHANNELS];
            let size = Size {
                b: 1,
                t: time,
                d: CHANNELS,
            };
            cpu::forward(&drawn.a, &drawn.b, &[0.0; CHANNELS], &mut h, size);
            (worst(&h, &truth), worst(&drawn.in_log_space(), &truth))
        };
        let (linear, log) = errors(4);
        assert!(linear < 1e-6 && log < 1e-5, "{linear:e} {log:e}");
        let (linear, later) = errors(8192);
        assert!(linear < 1e-5, "{linear:e}");
        assert!(later > 20.0 * log && later > 20.0 * linear, "{later:e}");
        assert_eq!(worst(&[f32::NAN], &[1.0]), f64::INFINITY);
    }
}
