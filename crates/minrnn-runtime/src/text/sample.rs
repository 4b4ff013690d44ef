//! Which token comes next.

use super::random::Random;
use crate::error::{Error, Result};

/// What the next token is drawn from.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Sampling {
    /// Divides the logits: 0 takes the largest one, 1 the model's own probabilities.
    pub temperature: f64,
    /// Only so many of the most likely tokens; of equals those with the smaller numbers. `None`: all.
    pub top_k: Option<usize>,
    /// Only the smallest set of most likely tokens (among those of `top_k`) whose probability, at the temperature, reaches this. `None`: all.
    pub top_p: Option<f64>,
}

impl Sampling {
    fn validate(&self) -> Result<()> {
        let refuse = |field: &str, found: String, wanted: &str| {
            let mend = format!("choose {wanted}");
            Err(Error::input(field, format!("is {found}"), mend))
        };
        if !(self.temperature >= 0.0 && self.temperature.is_finite()) {
            return refuse(
                "temperature",
                self.temperature.to_string(),
                "a number that is 0 or more",
            );
        }
        if self.top_k == Some(0) {
            return refuse("top_k", "0".into(), "1 or more");
        }
        match self.top_p {
            Some(p) if !(p > 0.0 && p <= 1.0) => {
                refuse("top_p", p.to_string(), "more than 0 and at most 1")
            }
            _ => Ok(()),
        }
    }
}

/// How the next token is chosen from its logits.
#[derive(Debug, Clone)]
pub struct Sampler {
    sampling: Sampling,
    rng: Random,
}

impl Sampler {
    /// The largest logit (the first of equals) at temperature 0, else at random with probabilities `softmax(logits / temperature)`.
    ///
    /// # Errors
    /// [`Error::Input`] for a temperature below 0 or not finite.
    pub fn new(temperature: f64, seed: u64) -> Result<Self> {
        let sampling = Sampling {
            temperature,
            ..Sampling::default()
        };
        Self::of(sampling, seed)
    }

    /// The same among fewer tokens.
    ///
    /// # Errors
    /// [`Error::Input`] naming the option that is out of its range.
    pub fn of(sampling: Sampling, seed: u64) -> Result<Self> {
        sampling.validate()?;
        Ok(Self {
            sampling,
            rng: Random::named(seed, "sampler"),
        })
    }

    /// The next token.
    pub fn choose(&mut self, logits: &[f32]) -> usize {
        let best =
            (1..logits.len()).fold(0, |best, i| if logits[i] > logits[best] { i } else { best });
        if self.sampling.temperature == 0.0 {
            return best;
        }
        let weights = self.weights(logits, best);
        let mut left = self.rng.uniform() * weights.iter().sum::<f64>();
        for (i, weight) in weights.iter().enumerate() {
            left -= weight;
            if left < 0.0 {
                return i;
            }
        }
        best
    }

    /// Of each token its probability as a multiple of the likeliest one's; 0 of those that are left out.
    fn weights(&self, logits: &[f32], best: usize) -> Vec<f64> {
        let Sampling {
            temperature,
            top_k,
            top_p,
        } = self.sampling;
        let weight = |x: &f32| ((f64::from(*x) - f64::from(logits[best])) / temperature).exp();
        let all: Vec<f64> = logits.iter().map(weight).collect();
        if top_k.is_none() && top_p.is_none() {
            return all;
        }
        let mut order: Vec<usize> = (0..all.len()).collect();
        // Stable, so that of equals the first comes first; -0 is 0.
        order.sort_by(|a, b| (logits[*b] + 0.0).total_cmp(&(logits[*a] + 0.0)));
        order.truncate(top_k.unwrap_or(usize::MAX));
        if let Some(p) = top_p {
            let whole: f64 = order.iter().map(|i| all[*i]).sum();
            let mut sum = 0.0;
            let reaches = |i: &usize| {
                sum += all[*i];
                sum >= p * whole
            };
            let last = order.iter().position(reaches);
            order.truncate(last.map_or(order.len(), |last| last + 1));
        }
        let mut kept = vec![0.0; all.len()];
        for i in order {
            kept[i] = all[i];
        }
        kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Probabilities 0.5, 0.25, 0.125, 0.125 at temperature 1, in the order 2, 0, 1, 3.
    const LOGITS: [f32; 4] = [
        -std::f32::consts::LN_2,
        -2.0 * std::f32::consts::LN_2,
        0.0,
        -2.0 * std::f32::consts::LN_2,
    ];

    fn kept(temperature: f64, top_k: Option<usize>, top_p: Option<f64>) -> Vec<usize> {
        let sampling = Sampling {
            temperature,
            top_k,
            top_p,
        };
        let sampler = Sampler::of(sampling, 0).unwrap();
        let weights = sampler.weights(&LOGITS, 2);
        (0..4).filter(|i| weights[*i] > 0.0).collect()
    }

    #[test]
    fn top_k_keeps_the_likeliest_and_of_equals_the_first() {
        let all = [
            (1, vec![2]),
            (2, vec![0, 2]),
            (3, vec![0, 1, 2]),
            (9, vec![0, 1, 2, 3]),
        ];
        for (k, wanted) in all {
            assert_eq!(kept(1.0, Some(k), None), wanted, "{k}");
        }
    }

    #[test]
    fn top_p_keeps_the_smallest_set_that_reaches_it() {
        for (p, wanted) in [
            (0.1, vec![2]),
            (0.49, vec![2]),
            (0.51, vec![0, 2]),
            (0.74, vec![0, 2]),
            (0.76, vec![0, 1, 2]),
            (0.88, vec![0, 1, 2, 3]),
            (1.0, vec![0, 1, 2, 3]),
        ] {
            assert_eq!(kept(1.0, None, Some(p)), wanted, "{p}");
        }
        // At temperature 0.5 they are squared: 16, 4, 1 and 1 of 22 parts; at 2 they are roots.
        assert_eq!(kept(0.5, None, Some(0.7)), [2]);
        assert_eq!(kept(1.0, None, Some(0.7)), [0, 2]);
        assert_eq!(kept(2.0, None, Some(0.7)), [0, 1, 2]);
        // Of two tokens the first has 2/3: top-k comes first.
        assert_eq!(kept(1.0, Some(2), Some(0.66)), [2]);
        assert_eq!(kept(1.0, Some(2), Some(0.67)), [0, 2]);
    }

    #[test]
    fn draws_have_the_probabilities_of_what_is_left_and_repeat_by_seed() {
        let sampling = Sampling {
            temperature: 1.0,
            top_k: Some(3),
            top_p: Some(0.8),
        };
        let drawn = |seed| -> Vec<usize> {
            let mut sampler = Sampler::of(sampling, seed).unwrap();
            (0..30_000).map(|_| sampler.choose(&LOGITS)).collect()
        };
        let all = drawn(1);
        // 4, 2 and 1 of 7; the first two have 6/7, which reaches 0.8.
        let share = |id| all.iter().filter(|i| **i == id).count() as f64 / 30_000.0;
        assert!((share(2) - 2.0 / 3.0).abs() < 0.01, "{}", share(2));
        assert!((share(0) - 1.0 / 3.0).abs() < 0.01, "{}", share(0));
        assert_eq!(share(1) + share(3), 0.0);
        assert_eq!(all, drawn(1));
        assert_ne!(all, drawn(2));
    }

    #[test]
    fn what_keeps_all_draws_what_no_choice_draws() {
        let drawn = |top_k, top_p| -> Vec<usize> {
            let sampling = Sampling {
                temperature: 0.8,
                top_k,
                top_p,
            };
            let mut sampler = Sampler::of(sampling, 3).unwrap();
            (0..200).map(|_| sampler.choose(&LOGITS)).collect()
        };
        assert_eq!(drawn(None, None), drawn(Some(4), None));
        assert_eq!(drawn(None, None), drawn(None, Some(1.0)));
    }

    #[test]
    fn what_is_out_of_range_is_refused_by_name() {
        let said = |temperature, top_k, top_p| {
            let sampling = Sampling {
                temperature,
                top_k,
                top_p,
            };
            Sampler::of(sampling, 0).unwrap_err().to_string()
        };
        assert!(said(-1.0, None, None).contains("temperature"));
        assert!(said(f64::NAN, None, None).contains("temperature"));
        assert!(said(1.0, Some(0), None).contains("top_k"));
        for p in [0.0, -0.1, 1.1, f64::NAN] {
            assert!(said(1.0, None, Some(p)).contains("top_p"), "{p}");
        }
    }
}
