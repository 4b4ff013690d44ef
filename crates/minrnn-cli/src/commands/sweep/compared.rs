//! Whether the losses of a sweep's runs are of the same data: only such can be ranked.

use anyhow::{Result, bail};
use serde_json::Value as Json;

use super::name;
use super::plan::Plan;
use crate::config::Config;

/// What the losses of a run are of.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Measured {
    /// Hash of the validation part, where it is known.
    pub(super) validation: Option<String>,
    /// How many sequences of it are used, where a key says so.
    samples: [Option<Json>; 2],
    /// Steps of the windows that it is cut into, where it is.
    windows: Option<Json>,
}

/// The seed, by which some tasks deal their parts.
const SEED: &str = "train.seed";

/// Whether a key may change what losses are of.
pub(super) fn is_of_data(key: &str) -> bool {
    key == "task" || key.starts_with("task.") || key == SEED || key == "train.eval_samples"
}

impl Measured {
    pub(super) fn of(config: &Config, validation: Option<String>) -> Self {
        let json = serde_json::to_value(&config.train).unwrap_or_default();
        let of = |place: &str| json.pointer(place).cloned();
        Self {
            validation,
            samples: [of("/task/eval_samples"), of("/train/eval_samples")],
            windows: of("/task/seq_len"),
        }
    }
}

/// What is to be said of runs whose losses differ by more than their models.
///
/// # Errors
/// Keys that make them losses of other data.
pub(super) fn hold(plan: &Plan, all: &[Measured]) -> Result<Option<String>> {
    let Some(first) = all.first() else {
        return Ok(None);
    };
    let Some(at) = all.iter().position(|other| other != first) else {
        return Ok(None);
    };
    let other = &all[at];
    let values = plan.runs[0].iter().zip(&plan.runs[at]);
    let pairs = plan.keys.iter().zip(values);
    let differ = pairs.filter(|(key, (a, b))| a != b && is_of_data(key));
    let keys: Vec<&str> = differ.map(|(key, _)| key.as_str()).collect();
    let runs = format!("runs {} and {}", name(0), name(at));
    let windows = Measured {
        windows: first.windows.clone(),
        ..other.clone()
    };
    if windows == *first {
        return Ok(Some(format!(
            "note: task.seq_len is of the windows that losses are measured in, too: {runs} are ranked by losses in windows of other lengths"
        )));
    }
    if keys == [SEED] {
        return Ok(Some(format!(
            "note: {SEED} deals the data, too: {runs} are measured on other validation parts, and their losses differ by that as well"
        )));
    }
    let keys: Vec<String> = keys
        .iter()
        .filter(|key| **key != SEED)
        .map(|key| format!("vary.{key}"))
        .collect();
    bail!(
        "{} changes which data the losses are of ({runs}), and losses of other data cannot be ranked: make a sweep for each of its values",
        keys.join(", ")
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(validation: &str, windows: u64) -> Measured {
        Measured {
            validation: Some(validation.into()),
            samples: [None, None],
            windows: Some(windows.into()),
        }
    }

    fn said(key: &str, runs: [Measured; 3]) -> Result<Option<String>> {
        let plan = Plan {
            config: "a.toml".into(),
            keys: vec![key.into(), "train.lr".into()],
            runs: [["1", "1"], ["1", "2"], ["2", "1"]]
                .map(|run| run.map(String::from).to_vec())
                .to_vec(),
        };
        hold(&plan, &runs)
    }

    #[test]
    fn losses_of_other_data_are_not_ranked() {
        let [a, b] = ["a", "b"].map(|v| measured(v, 8));
        let same = [a.clone(), a.clone(), a.clone()];
        assert_eq!(said("task.path", same).unwrap(), None);
        let other = || [a.clone(), a.clone(), b.clone()];
        let refused = said("task.test_fraction", other()).unwrap_err().to_string();
        for wanted in ["vary.task.test_fraction", "runs 000 and 002", "for each"] {
            assert!(refused.contains(wanted), "{refused}");
        }
        let note = said(SEED, other()).unwrap().unwrap();
        assert!(note.contains("train.seed deals the data"), "{note}");
        let longer = [a.clone(), a.clone(), measured("a", 16)];
        let note = said("task.seq_len", longer).unwrap().unwrap();
        assert!(note.contains("windows of other lengths"), "{note}");
        let fewer = Measured {
            samples: [None, Some(4.into())],
            ..a.clone()
        };
        assert!(said("train.eval_samples", [a.clone(), a, fewer]).is_err());
    }
}
