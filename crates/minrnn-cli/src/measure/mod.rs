//! A model on windows of data: where the data come from, and what runs.

mod candle;
mod data;
mod file;

pub(crate) use candle::Checkpointed;
pub(crate) use data::{Held, Source, Where, checkpoint_of, open};
pub(crate) use file::File;

/// The first of the largest.
pub(crate) fn likeliest(logits: &[f32]) -> usize {
    (1..logits.len()).fold(0, |best, i| if logits[i] > logits[best] { i } else { best })
}

/// `-ln softmax(logits)[class]`, nats, in float64.
pub(crate) fn cross_entropy(logits: &[f32], class: usize) -> f64 {
    let top = logits
        .iter()
        .fold(f64::NEG_INFINITY, |m, v| m.max(f64::from(*v)));
    let sum: f64 = logits.iter().map(|v| (f64::from(*v) - top).exp()).sum();
    top + sum.ln() - f64::from(logits[class])
}
