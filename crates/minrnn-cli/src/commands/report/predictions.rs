//! Some targets of values with what the model said, kept to be drawn.

use anyhow::Result;
use minrnn_train::task::{Batch, Targets};

use super::html::{figure, name as named};
use super::plot::{Mark, Plot, Series};

/// Points of a plot.
const POINTS: usize = 1200;
/// Values with plots.
const VALUES: usize = 6;

/// Of each value pairs of target and prediction, evenly among all that were seen, and the first window step by step.
#[derive(Debug, Default)]
pub(super) struct Predictions {
    pairs: Vec<Vec<(f64, f64)>>,
    /// Of so many targets one is kept.
    every: usize,
    seen: usize,
    first: Vec<Vec<(f64, f64)>>,
}

impl Predictions {
    /// One more batch, and what the model said.
    pub(super) fn add(&mut self, batch: &Batch, outputs: &[f32]) {
        let Targets::Values {
            values,
            width,
            per_step,
        } = &batch.targets
        else {
            return;
        };
        let counts = |i: usize| batch.weights.as_ref().is_none_or(|w| w[i] != 0.0);
        let shown = (*width).min(VALUES);
        self.pairs.resize(shown, vec![]);
        let begins = self.seen == 0 && *per_step;
        let rows = values
            .chunks_exact(*width)
            .zip(outputs.chunks_exact(*width));
        for (i, (want, got)) in rows.enumerate().filter(|(i, _)| counts(*i)) {
            let pair = |c: usize| (f64::from(want[c]), f64::from(got[c]));
            if begins && i < batch.time {
                self.first.push((0..shown).map(pair).collect());
            }
            if self.seen.is_multiple_of(self.every.max(1)) {
                (0..shown).for_each(|c| self.pairs[c].push(pair(c)));
                self.thin();
            }
            self.seen += 1;
        }
    }

    /// Every second one goes when there are too many.
    fn thin(&mut self) {
        if self.pairs.first().is_none_or(|pairs| pairs.len() < POINTS) {
            return;
        }
        self.every = 2 * self.every.max(1);
        for pairs in &mut self.pairs {
            let mut at = 0;
            pairs.retain(|_| {
                at += 1;
                at % 2 == 1
            });
        }
    }

    /// Plots of each value.
    pub(super) fn figures(&self, name: &dyn Fn(usize) -> String) -> Result<Vec<String>> {
        let mut figures = vec![];
        for (c, pairs) in self.pairs.iter().enumerate() {
            let what = name(c);
            let plot = Plot {
                label: format!("Prediction against target of {what}"),
                x: "target".into(),
                y: "prediction".into(),
                diagonal: true,
                series: vec![Series {
                    name: String::new(),
                    mark: Mark::Dots,
                    points: pairs.clone(),
                }],
                ..Plot::default()
            };
            let caption =
                format!("{what}: prediction against target; the line is where both are equal.");
            figures.extend(plot.svg()?.map(|svg| figure(&svg, &caption)));
            if self.first.len() > 1 {
                figures.extend(self.course(c, &what)?);
            }
        }
        Ok(figures)
    }

    fn course(&self, c: usize, what: &str) -> Result<Option<String>> {
        let series = |name: &str, of: fn(&(f64, f64)) -> f64| Series {
            name: name.into(),
            mark: Mark::Line,
            points: self
                .first
                .iter()
                .enumerate()
                .map(|(t, p)| (t as f64, of(&p[c])))
                .collect(),
        };
        let plot = Plot {
            label: format!("Target and prediction of {what} in the first window"),
            x: "step of the first window".into(),
            y: String::new(),
            series: vec![series("target", |p| p.0), series("prediction", |p| p.1)],
            ..Plot::default()
        };
        let caption = format!("{what}: the first window, step by step.");
        Ok(plot.svg()?.map(|svg| figure(&svg, &caption)))
    }
}

/// How a value is called in captions, which are escaped later.
pub(super) fn plain(name: &str) -> String {
    match named(name) == name {
        true => name.to_owned(),
        false => format!("{name:?}"),
    }
}

#[cfg(test)]
mod tests {
    use minrnn_train::task::Input;

    use super::*;

    #[test]
    fn pairs_are_kept_evenly_and_the_first_window_whole() {
        let mut all = Predictions::default();
        for _ in 0..10 {
            let time = 400;
            let values: Vec<f32> = (0..time as u16).map(f32::from).collect();
            let batch = Batch {
                batch: 1,
                time,
                input: Input::Tokens { ids: vec![0; time] },
                targets: Targets::Values {
                    values: values.clone(),
                    width: 1,
                    per_step: true,
                },
                weights: None,
                lens: None,
                reset: None,
            };
            all.add(&batch, &values);
        }
        assert_eq!((all.first.len(), all.seen, all.every), (400, 4000, 4));
        assert_eq!(all.pairs[0].len(), 1000);
        assert_eq!(all.pairs[0][..3], [(0.0, 0.0), (4.0, 4.0), (8.0, 8.0)]);
        let figures = all.figures(&|_| "<level>".into()).unwrap();
        assert_eq!(figures.len(), 2);
        assert!(figures.iter().all(|f| !f.contains("<level>")));
    }
}
