//! A step's batch in parts, one after the other, whose gradients are summed: what a large batch takes of memory is that of a part.

use std::ops::Range;

use super::config::TrainOptions;
use super::objective::LossConfig;
use crate::error::Result;
use crate::run::Dropout;
use crate::tape::{Inputs, Part};
use crate::task::{Batch, Input, Targets};

/// How the tape's engines cut the batches of a run.
#[derive(Debug)]
pub(super) struct Split {
    count: usize,
    loss: LossConfig,
}

/// A part that owns its sequences.
#[derive(Debug)]
pub(super) struct Cut {
    batch: Batch,
    share: f64,
    seed: u64,
}

impl Split {
    pub(super) fn new(options: &TrainOptions) -> Self {
        Self {
            count: options.accumulate,
            loss: options.loss.clone(),
        }
    }

    /// The parts of a batch; `None`: it is computed in one go.
    pub(super) fn of(&self, batch: &Batch, dropout: Dropout) -> Option<Vec<Cut>> {
        (self.count > 1).then(|| {
            let parts = parts(batch, self.count, &self.loss).into_iter();
            let cut = |(i, (batch, share))| Cut {
                batch,
                share,
                seed: masks(dropout, i).seed,
            };
            parts.enumerate().map(cut).collect()
        })
    }
}

impl Cut {
    /// As an engine takes it, of inputs as `inputs` reads them.
    pub(super) fn given<'a>(
        &'a self,
        inputs: impl Fn(&'a Batch) -> Result<Inputs<'a>>,
    ) -> Result<Part<'a>> {
        Ok(Part {
            inputs: inputs(&self.batch)?,
            share: self.share,
            seed: self.seed,
        })
    }
}

/// The batch in so many parts, as even as they go, each with its share of the whole loss: a loss is a mean, and that of all is the mean
/// of the parts' by what counts in them.
pub(super) fn parts(batch: &Batch, count: usize, loss: &LossConfig) -> Vec<(Batch, f64)> {
    let count = count.min(batch.batch);
    let at = |i: usize| batch.batch * i / count;
    let parts: Vec<Batch> = (0..count).map(|i| rows(batch, at(i)..at(i + 1))).collect();
    let weights: Vec<f64> = parts.iter().map(|part| weight(part, loss)).collect();
    let whole: f64 = weights.iter().sum();
    let share = |weight: f64| match whole > 0.0 {
        true => weight / whole,
        // Nothing counts anywhere, and every loss is 0.
        false => 1.0 / count as f64,
    };
    let mut shared = vec![];
    for (mut part, weight) in parts.into_iter().zip(weights) {
        let share = share(weight);
        if share == 0.0 {
            // It is run for its states. The mean of all of it, 0 times, is what a mean of nothing cannot be.
            part.weights = None;
        }
        shared.push((part, share));
    }
    shared
}

/// Masks of a part: others in each, the same whenever the step is made again.
pub(super) fn masks(dropout: Dropout, part: usize) -> Dropout {
    let apart = (part as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    Dropout {
        seed: dropout.seed.wrapping_add(apart),
        ..dropout
    }
}

/// What the mean of a batch's loss is divided by.
fn weight(batch: &Batch, loss: &LossConfig) -> f64 {
    let rows = match batch.per_step() {
        true => batch.batch * batch.time,
        false => batch.batch,
    };
    let counts = |i: usize| batch.weights.as_ref().map_or(1.0, |w| f64::from(w[i]));
    match &batch.targets {
        Targets::Classes { ids, .. } if !loss.class_weights.is_empty() => {
            let of = |i: usize| f64::from(loss.class_weights[ids[i] as usize]);
            (0..rows).map(|i| counts(i) * of(i)).sum()
        }
        _ => (0..rows).map(counts).sum(),
    }
}

/// Some sequences of a batch, as long as its longest.
fn rows(batch: &Batch, of: Range<usize>) -> Batch {
    fn cut<T: Clone>(values: &[T], of: &Range<usize>, rows: usize) -> Vec<T> {
        let each = values.len() / rows;
        values[of.start * each..of.end * each].to_vec()
    }
    let all = batch.batch;
    let input = match &batch.input {
        Input::Tokens { ids } => Input::Tokens {
            ids: cut(ids, &of, all),
        },
        Input::Features { values, width } => Input::Features {
            values: cut(values, &of, all),
            width: *width,
        },
    };
    let targets = match &batch.targets {
        Targets::Classes { ids, per_step } => Targets::Classes {
            ids: cut(ids, &of, all),
            per_step: *per_step,
        },
        Targets::Values {
            values,
            width,
            per_step,
        } => Targets::Values {
            values: cut(values, &of, all),
            width: *width,
            per_step: *per_step,
        },
    };
    Batch {
        batch: of.len(),
        time: batch.time,
        input,
        targets,
        weights: batch.weights.as_ref().map(|w| cut(w, &of, all)),
        lens: batch.lens.as_ref().map(|l| cut(l, &of, all)),
        reset: batch.reset.as_ref().map(|r| cut(r, &of, all)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trainer::{Device, TrainConfig, Trainer};

    #[test]
    fn parts_are_the_batch_and_share_its_loss_by_what_counts() {
        let batch = Batch {
            batch: 5,
            time: 2,
            input: Input::Tokens {
                ids: (0..10).collect(),
            },
            targets: Targets::Classes {
                ids: vec![0, 1, 0, 1, 0, 1, 0, 1, 0, 1],
                per_step: true,
            },
            weights: Some(vec![1.0, 1.0, 1.0, 0.0, 1.0, 1.0, 0.0, 0.0, 1.0, 1.0]),
            lens: Some(vec![2, 1, 2, 1, 2]),
            reset: None,
        };
        let shares = |loss: &LossConfig| -> Vec<f64> {
            parts(&batch, 2, loss).iter().map(|part| part.1).collect()
        };
        let plain = LossConfig::default();
        let found = parts(&batch, 2, &plain);
        assert_eq!((found[0].0.batch, found[1].0.batch), (2, 3));
        assert_eq!(found[1].0.lens, Some(vec![2, 1, 2]));
        assert!(found.iter().all(|part| part.0.validate().is_ok()));
        assert_eq!(shares(&plain), [3.0 / 7.0, 4.0 / 7.0]);
        // Of class 0 two and two count, of class 1 one and two, three times as much.
        let weighted = LossConfig {
            class_weights: vec![1.0, 3.0],
            ..plain.clone()
        };
        assert_eq!(shares(&weighted), [5.0 / 13.0, 8.0 / 13.0]);
        // A part of padding alone is run for its states, and changes nothing.
        let mut padded = batch.clone();
        padded.weights = Some([vec![0.0; 4], vec![1.0; 6]].concat());
        let found = parts(&padded, 2, &plain);
        assert_eq!((found[0].1, found[1].1), (0.0, 1.0));
        assert!(found[0].0.weights.is_none() && found[1].0.weights.is_some());
        assert_eq!(parts(&batch, 9, &plain).len(), 5);
    }

    const LABELLED: &str = "target = 'classes'\nper = 'step'\ntarget_columns = ['c']";
    const VALUED: &str = "target = 'values'\nper = 'sequence'\ntarget_columns = ['v']";

    /// Losses and norms of five steps by an engine.
    fn losses(engine: &str, task: &str, loss: &str, accumulate: usize) -> Vec<f64> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.csv");
        let mut text = String::from("id,x,c,v\n");
        for i in 0..14 {
            for t in 0..2 + i % 4 {
                let x = f64::from((i * 7 + t * 3) % 11) / 5.0;
                text += &format!("{i},{x},{},{}\n", (i + t) % 3, f64::from(i).sin());
            }
        }
        std::fs::write(&path, text).unwrap();
        let text = format!(
            "[task]\nkind = 'sequences'\npath = '{}'\nid_column = 'id'\nfeature_columns = ['x']\nignore_columns = ['*']\n{task}\n\
             [model]\nwidth = 8\nlayers = 2\n[model.conv]\nkernel = 2\n\
             [train]\nsteps = 5\nbatch = 7\nlr = 1e-2\naccumulate = {accumulate}\nengine = '{engine}'\noptimizer = {{ clip_norm = 0.5 }}\n{loss}\n",
            path.display()
        );
        let config: TrainConfig = toml::from_str(&text).unwrap();
        let mut trainer = Trainer::new(&config, &Device::Cpu).unwrap();
        let step = |_| {
            let log = trainer.step().unwrap();
            [log.loss, log.grad_norm]
        };
        (0..5).flat_map(step).collect()
    }

    #[test]
    fn a_batch_in_parts_has_the_curve_of_the_whole() {
        for (task, loss) in [
            (LABELLED, ""),
            (
                LABELLED,
                "loss = { class_weights = [1.0, 4.0, 0.5], label_smoothing = 0.1 }",
            ),
            (VALUED, ""),
            (VALUED, "loss = { kind = 'huber' }"),
        ] {
            let whole = losses("candle", task, loss, 1);
            // The tape has no kernel for the other losses.
            let engines = if loss.is_empty() { 2 } else { 1 };
            for engine in &["candle", "tape"][..engines] {
                for accumulate in [2, 3, 7] {
                    let found = losses(engine, task, loss, accumulate);
                    for (found, wanted) in found.iter().zip(&whole) {
                        let near = (found - wanted).abs() <= 2e-5 * (1.0 + wanted.abs());
                        assert!(
                            near,
                            "{engine} {task} {loss} {accumulate}: {found}, wanted {wanted}"
                        );
                    }
                }
            }
        }
    }
}
