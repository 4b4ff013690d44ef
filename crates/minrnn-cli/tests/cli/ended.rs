//! Runs that are over before their last step.

use std::fs;

use crate::harness::{folder, minrnn};

/// Nothing changes in a run that an accuracy, or its patience, ended, and it says so.
#[test]
fn a_run_that_has_ended_stays_as_it_is() {
    for ends in ["train.stop_at_accuracy=0.1", "train.patience=1"] {
        let dir = folder();
        // Of patience: nothing gets better.
        let lr = if ends.contains("patience") {
            "train.lr=1e-30"
        } else {
            "train.lr=1e-2"
        };
        let part = ["--set", "train.eval_samples=3", "--set", lr];
        let args = [
            &["train", "tiny.toml", "--out", "run", "--set", ends][..],
            &part,
        ]
        .concat();
        let out = minrnn(dir.path(), &args).good();
        assert!(out.contains(" of 60 ("), "{out}");
        // The best is of a part of what the end is of.
        assert!(out.contains("of the first 3 validation sequences"), "{out}");
        let files = [
            "last/trainer_state.json",
            "last/model.safetensors",
            "best/model.safetensors",
            "metrics.jsonl",
        ];
        let content = || files.map(|name| fs::read(dir.path().join("run").join(name)).unwrap());
        let before = content();
        let ran = minrnn(dir.path(), &[&args[..], &["--resume"]].concat());
        assert!(
            ran.err.contains("note: the run in run ended after step"),
            "{}",
            ran.shown()
        );
        ran.good();
        assert!(content() == before, "{ends}");
    }
}
