//! Sums over many windows, from which all figures follow: what is kept does not grow with the windows.

use minrnn_model::graph::OutputKind;
use minrnn_train::task::{Batch, Targets, Task};

use super::classes::Classes;
use super::values::Values;
use crate::measure::{cross_entropy, likeliest};

/// What one model said.
#[derive(Debug, Clone)]
pub(super) struct Figures {
    /// Losses of the targets, each times its weight, and the weights.
    total: f64,
    weight: f64,
    /// Targets that count: those with a weight other than 0.
    pub(super) count: u64,
    pub(super) kind: Kind,
}

/// By what targets are.
#[derive(Debug, Clone)]
pub(super) enum Kind {
    Classes(Classes),
    Values(Values),
}

impl Figures {
    /// None yet, of a task.
    pub(super) fn of(task: &dyn Task) -> Self {
        let shape = task.shape();
        let kind = match shape.output {
            OutputKind::Logits => Kind::Classes(Classes::new(shape.width)),
            OutputKind::Values => Kind::Values(Values::new(shape.width)),
        };
        Self::new(kind)
    }

    pub(super) fn new(kind: Kind) -> Self {
        Self {
            total: 0.0,
            weight: 0.0,
            count: 0,
            kind,
        }
    }

    /// One more batch, and what the model said: a row of C numbers for each target.
    pub(super) fn add(&mut self, batch: &Batch, outputs: &[f32]) {
        let weight = |i: usize| batch.weights.as_ref().map_or(1.0, |w| f64::from(w[i]));
        match (&mut self.kind, &batch.targets) {
            (Kind::Classes(classes), Targets::Classes { ids, .. }) => {
                let width = outputs.len() / ids.len();
                for (i, (id, row)) in ids.iter().zip(outputs.chunks_exact(width)).enumerate() {
                    if weight(i) == 0.0 {
                        continue;
                    }
                    let class = *id as usize;
                    classes.add(class, likeliest(row));
                    self.total += weight(i) * cross_entropy(row, class);
                    self.weight += weight(i);
                    self.count += 1;
                }
            }
            (Kind::Values(sums), Targets::Values { values, width, .. }) => {
                let rows = values
                    .chunks_exact(*width)
                    .zip(outputs.chunks_exact(*width));
                for (i, (want, got)) in rows.enumerate() {
                    if weight(i) == 0.0 {
                        continue;
                    }
                    let square = sums.add(want, got);
                    self.total += weight(i) * square;
                    self.weight += weight(i);
                    self.count += 1;
                }
            }
            // A task has one kind of targets.
            _ => {}
        }
    }

    /// Mean cross-entropy in nats, or mean squared error in the squared units of the data.
    pub(super) fn loss(&self) -> f64 {
        self.total / self.weight
    }
}
