//! Ctrl-C during training.
#![cfg(unix)]

use std::io::{BufRead, BufReader, Read};
use std::process::Command;

use crate::harness::{folder, minrnn, process};

#[test]
fn ctrl_c_saves_a_checkpoint_to_go_on_from() {
    let dir = folder();
    let args = [
        "train",
        "tiny.toml",
        "--out",
        "run",
        "--set",
        "train.steps=1000000",
        "--set",
        "train.eval_every=2",
    ];
    let mut child = process(dir.path(), &args).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.starts_with("step 2") {
        line.clear();
        assert!(lines.read_line(&mut line).unwrap() > 0, "it ended");
    }
    let kill = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(kill.success());
    let mut rest = String::new();
    lines.read_to_string(&mut rest).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{rest}");
    assert!(
        rest.contains("saved run/last; the same command with --resume goes on"),
        "{rest}"
    );
    let state = std::fs::read_to_string(dir.path().join("run/last/trainer_state.json")).unwrap();
    let state: serde_json::Value = serde_json::from_str(&state).unwrap();
    let steps = state["step"].as_u64().unwrap();
    assert!(
        rest.contains(&format!("stopped after step {steps}")),
        "{rest}"
    );
    let args = [
        "train",
        "tiny.toml",
        "--out",
        "run",
        "--resume",
        "--set",
        &format!("train.steps={}", steps + 7),
    ];
    minrnn(dir.path(), &args).good();
    let log = std::fs::read_to_string(dir.path().join("run/metrics.jsonl")).unwrap();
    assert_eq!(
        log.lines()
            .filter(|l| l.contains("\"event\":\"step\""))
            .count() as u64,
        steps + 7
    );
}
