//! Validation far above training: what a summary of one number does not show.

/// Watches the two losses of classes, in nats.
#[derive(Debug, Default)]
pub(crate) struct Gap {
    /// Training losses since the last evaluation.
    sum: f64,
    steps: u64,
    /// Evaluations in a row that were far above.
    far: u32,
}

/// How many evaluations in a row make a warning.
const ENOUGH: u32 = 2;

impl Gap {
    /// A step with this loss.
    pub(crate) fn step(&mut self, loss: f64) {
        self.sum += loss;
        self.steps += 1;
    }

    /// An evaluation; a warning where it is the second in a row that is far above the steps before it.
    pub(crate) fn eval(&mut self, loss: f64, dropout: f64) -> Option<String> {
        if self.steps == 0 {
            return None;
        }
        let training = self.sum / self.steps as f64;
        (self.sum, self.steps) = (0.0, 0);
        let far = loss > 2.0 * training && loss - training > 0.3;
        self.far = if far { self.far + 1 } else { 0 };
        (self.far == ENOUGH).then(|| warning(training, loss, dropout))
    }
}

fn warning(training: f64, validation: f64, dropout: f64) -> String {
    let reason = if dropout > 0.0 {
        "either the training data are learnt by heart, or dropout shifts what a long memory sums: try model.dropout = 0"
    } else {
        "the training data are learnt by heart: `best` is from before; more data, a smaller model or fewer steps help"
    };
    format!(
        "warning: validation loss {validation:.4} is far above training loss {training:.4}, at two evaluations in a row; {reason} (docs/training.md)"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Evaluations of (training, validation) that warned.
    fn warned(evals: &[(f64, f64)], dropout: f64) -> Vec<usize> {
        let mut gap = Gap::default();
        let mut all = vec![];
        for (i, (training, validation)) in evals.iter().enumerate() {
            gap.step(training - 0.1);
            gap.step(training + 0.1);
            if let Some(text) = gap.eval(*validation, dropout) {
                assert_eq!(text.contains("model.dropout = 0"), dropout > 0.0, "{text}");
                all.push(i);
            }
        }
        all
    }

    #[test]
    fn only_a_wide_gap_that_stays_is_told_and_once() {
        let far = (0.6, 2.3);
        assert_eq!(warned(&[far, far, far, far], 0.1), [1]);
        assert_eq!(
            warned(&[far, (1.2, 2.3), far, (0.6, 1.0)], 0.1),
            [] as [usize; 0]
        );
        assert_eq!(warned(&[far, far, (0.6, 0.7), far, far], 0.0), [1, 4]);
        // Twice as much, but little in nats; much in nats, but less than twice as much.
        assert_eq!(warned(&[(0.2, 0.45); 4], 0.1), [] as [usize; 0]);
        assert_eq!(warned(&[(1.9, 3.7); 4], 0.1), [] as [usize; 0]);
    }

    #[test]
    fn evaluations_without_steps_between_say_nothing() {
        let mut gap = Gap::default();
        gap.step(0.1);
        assert!(gap.eval(5.0, 0.1).is_none());
        assert!(gap.eval(5.0, 0.1).is_none());
    }
}
