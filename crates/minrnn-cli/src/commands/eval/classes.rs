//! Which class was taken for which.

use std::collections::BTreeMap;

/// How often each class was the target, was predicted, and was taken for each other one.
#[derive(Debug, Clone)]
pub(super) struct Classes {
    pub(super) count: usize,
    targets: Vec<u64>,
    predicted: Vec<u64>,
    /// (target, predicted) and how often; never those that did not occur, since there may be many classes.
    pairs: BTreeMap<(usize, usize), u64>,
}

/// One class. Precision is `right / predicted`, recall `right / targets`, F1 `2 right / (targets + predicted)`; 0 where that is 0/0.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Score {
    pub(super) targets: u64,
    pub(super) predicted: u64,
    pub(super) precision: f64,
    pub(super) recall: f64,
    pub(super) f1: f64,
}

/// Means over the classes that have a target or were predicted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::commands) struct Macro {
    pub(in crate::commands) classes: usize,
    pub(in crate::commands) precision: f64,
    pub(in crate::commands) recall: f64,
    pub(in crate::commands) f1: f64,
}

impl Classes {
    pub(super) fn new(count: usize) -> Self {
        Self {
            count,
            targets: vec![0; count],
            predicted: vec![0; count],
            pairs: BTreeMap::new(),
        }
    }

    pub(super) fn add(&mut self, target: usize, predicted: usize) {
        self.targets[target] += 1;
        self.predicted[predicted] += 1;
        *self.pairs.entry((target, predicted)).or_default() += 1;
    }

    /// How often class `target` was taken for `predicted`.
    pub(super) fn pair(&self, target: usize, predicted: usize) -> u64 {
        self.pairs.get(&(target, predicted)).copied().unwrap_or(0)
    }

    /// (target, predicted, how often), all that occurred.
    pub(super) fn pairs(&self) -> impl Iterator<Item = (usize, usize, u64)> {
        self.pairs.iter().map(|((t, p), n)| (*t, *p, *n))
    }

    /// Share of targets that were predicted.
    pub(super) fn accuracy(&self) -> f64 {
        let right: u64 = (0..self.count).map(|i| self.pair(i, i)).sum();
        right as f64 / self.targets.iter().sum::<u64>() as f64
    }

    pub(super) fn score(&self, class: usize) -> Score {
        let right = self.pair(class, class);
        let (targets, predicted) = (self.targets[class], self.predicted[class]);
        Score {
            targets,
            predicted,
            precision: share(right, predicted),
            recall: share(right, targets),
            f1: share(2 * right, targets + predicted),
        }
    }

    pub(super) fn scores(&self) -> impl Iterator<Item = Score> {
        (0..self.count).map(|class| self.score(class))
    }

    pub(super) fn mean(&self) -> Macro {
        let seen: Vec<Score> = self
            .scores()
            .filter(|s| s.targets + s.predicted > 0)
            .collect();
        let mean = |of: fn(&Score) -> f64| seen.iter().map(of).sum::<f64>() / seen.len() as f64;
        Macro {
            classes: seen.len(),
            precision: mean(|s| s.precision),
            recall: mean(|s| s.recall),
            f1: mean(|s| s.f1),
        }
    }
}

fn share(part: u64, whole: u64) -> f64 {
    match whole {
        0 => 0.0,
        _ => part as f64 / whole as f64,
    }
}
