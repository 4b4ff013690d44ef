//! Loss and accuracy over many windows.

use minrnn_train::task::{Batch, Targets};

use crate::measure::{cross_entropy, likeliest};

/// Weighted means.
#[derive(Debug, Default, Clone)]
pub(super) struct Score {
    total: f64,
    weight: f64,
    /// Targets that count.
    pub(super) count: u64,
    /// Of these, right ones; `None` where targets are no classes.
    right: Option<u64>,
}

impl Score {
    /// One more batch, and what a model said: a row of numbers for each target.
    pub(super) fn add(&mut self, batch: &Batch, output: &[f32]) {
        let losses: Vec<(f64, Option<bool>)> = match &batch.targets {
            Targets::Classes { ids, .. } => {
                let rows = output.chunks_exact(output.len() / ids.len());
                let one = |(id, row): (&u32, &[f32])| {
                    let class = *id as usize;
                    (cross_entropy(row, class), Some(likeliest(row) == class))
                };
                ids.iter().zip(rows).map(one).collect()
            }
            Targets::Values { values, width, .. } => {
                let rows = values.chunks_exact(*width).zip(output.chunks_exact(*width));
                let one = |(want, got): (&[f32], &[f32])| {
                    let squares = want
                        .iter()
                        .zip(got)
                        .map(|(w, g)| (f64::from(*w) - f64::from(*g)).powi(2));
                    (squares.sum::<f64>() / *width as f64, None)
                };
                rows.map(one).collect()
            }
        };
        for (i, (loss, right)) in losses.into_iter().enumerate() {
            let weight = batch.weights.as_ref().map_or(1.0, |w| f64::from(w[i]));
            if weight == 0.0 {
                continue;
            }
            self.total += weight * loss;
            self.weight += weight;
            self.count += 1;
            if let Some(right) = right {
                *self.right.get_or_insert(0) += u64::from(right);
            }
        }
    }

    pub(super) fn loss(&self) -> f64 {
        self.total / self.weight
    }

    /// Share of targets that are the largest logit.
    pub(super) fn accuracy(&self) -> Option<f64> {
        self.right.map(|right| right as f64 / self.count as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use minrnn_train::task::Input;

    fn batch(targets: Targets, weights: Option<Vec<f32>>) -> Batch {
        Batch {
            batch: 1,
            time: 3,
            input: Input::Tokens { ids: vec![0; 3] },
            targets,
            weights,
            lens: None,
            reset: None,
        }
    }

    #[test]
    fn only_targets_with_a_weight_count() {
        let targets = Targets::Classes {
            ids: vec![1, 0, 0],
            per_step: true,
        };
        let mut score = Score::default();
        // Two classes, equal but for the last step, which is wrong and does not count.
        score.add(
            &batch(targets, Some(vec![1.0, 1.0, 0.0])),
            &[0.0, 0.0, 0.0, 0.0, -9.0, 9.0],
        );
        assert_eq!(score.count, 2);
        assert_eq!(score.loss(), 2.0f64.ln());
        assert_eq!(score.accuracy(), Some(0.5));
    }

    #[test]
    fn values_have_a_mean_square_and_no_accuracy() {
        let targets = Targets::Values {
            values: vec![1.0, 2.0, 3.0],
            width: 1,
            per_step: true,
        };
        let mut score = Score::default();
        score.add(&batch(targets, None), &[1.0, 0.0, 4.0]);
        assert_eq!((score.loss(), score.accuracy()), (5.0 / 3.0, None));
    }
}
