//! What an export says of weights that are an average along a training.

use serde_json::{Value as Json, json};

/// The key of a file's metadata.
pub(super) const KEY: &str = "minrnn.average";

/// An average of the weights that a training had after some of its steps.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Averaged {
    /// By what rule.
    pub rule: AverageRule,
    /// Steps that were done when the first of these weights were taken, counted from 1.
    pub first_step: u64,
    /// Steps that were done when the last were taken; more than at the first.
    pub last_step: u64,
}

/// How much each of the weights counts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum AverageRule {
    /// Older ones less and less: what is left of the average after each step, more than 0 and less than 1. As long as there are fewer
    /// than 1 / (1 - decay) steps, all the same.
    Ema(f64),
    /// All the same.
    Mean,
}

impl Averaged {
    /// As a manifest and the metadata of a file have it.
    pub fn json(&self) -> Json {
        let (first, last) = (self.first_step, self.last_step);
        match self.rule {
            AverageRule::Ema(decay) => {
                json!({ "kind": "ema", "decay": decay, "first_step": first, "last_step": last })
            }
            AverageRule::Mean => json!({ "kind": "mean", "first_step": first, "last_step": last }),
        }
    }

    /// What a manifest says: `None` where it is no average in the words of [`Averaged::json`], no key more or less.
    pub fn from_json(json: &Json) -> Option<Self> {
        let rule = match json["kind"].as_str()? {
            "ema" => AverageRule::Ema(json["decay"].as_f64().filter(|d| *d > 0.0 && *d < 1.0)?),
            "mean" => AverageRule::Mean,
            _ => return None,
        };
        let read = Self {
            rule,
            first_step: json["first_step"].as_u64()?,
            last_step: json["last_step"].as_u64()?,
        };
        let sound = read.is_sound() && read.json() == *json;
        sound.then_some(read)
    }

    /// Whether the numbers can be those of an average.
    pub(super) fn is_sound(&self) -> bool {
        let rule = match self.rule {
            AverageRule::Ema(decay) => decay > 0.0 && decay < 1.0,
            AverageRule::Mean => true,
        };
        rule && self.first_step >= 1 && self.last_step > self.first_step
    }

    /// In words: `exponential average with decay 0.999 of the weights after the steps 1 to 500 of their training`.
    pub fn words(&self) -> String {
        let rule = match self.rule {
            AverageRule::Ema(decay) => format!("exponential average with decay {decay}"),
            AverageRule::Mean => "mean".to_owned(),
        };
        format!(
            "{rule} of the weights after the steps {} to {} of their training",
            self.first_step, self.last_step
        )
    }
}
