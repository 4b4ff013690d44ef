//! Configurations that make no training.

use std::fs;

use crate::harness::{folder, minrnn, snapshot};

/// Trains with the tiny configuration after a replacement in it.
fn bad(name: &str, from: &str, to: &str, args: &[&str]) {
    let dir = folder();
    let path = dir.path().join("tiny.toml");
    let text = fs::read_to_string(&path).unwrap();
    assert!(from.is_empty() || text.contains(from), "{from}");
    fs::write(&path, text.replacen(from, to, 1)).unwrap();
    let ran = minrnn(dir.path(), &[&["train", "tiny.toml"], args].concat());
    assert_eq!(ran.code, Some(2), "{}", ran.shown());
    assert!(!dir.path().join("runs").exists(), "nothing is left behind");
    snapshot(name, &ran);
}

#[test]
fn unknown_key() {
    bad("config_unknown_key", "seq_len", "seqlen", &[]);
    bad(
        "config_unknown_key_deep",
        "kernel = 3",
        "kernel = 3\nstride = 2",
        &[],
    );
    bad("config_unknown_table", "[train]", "[trainer]", &[]);
}

#[test]
fn wrong_type() {
    bad("config_wrong_type", "steps = 60", "steps = \"sixty\"", &[]);
}

#[test]
fn missing_key() {
    bad("config_missing_key", "lr = 1e-2\n", "", &[]);
}

#[test]
fn no_toml() {
    bad("config_no_toml", "width = 24", "width: 24", &[]);
}

#[test]
fn bad_value() {
    bad("config_bad_value_task", "seq_len = 24", "seq_len = 0", &[]);
    bad("config_bad_value_model", "layers = 2", "layers = 0", &[]);
    bad("config_bad_value_train", "lr = 1e-2", "lr = -1", &[]);
    bad(
        "config_bad_value_schedule",
        "warmup_steps = 5",
        "warmup_steps = 60",
        &[],
    );
}

#[test]
fn data_file() {
    bad("config_no_data", "harbour.txt", "nowhere/else.txt", &[]);
    bad("config_small_data", "seq_len = 24", "seq_len = 4096", &[]);
}

#[test]
fn set() {
    bad("config_set_unknown", "", "", &["--set", "train.stpes=3"]);
    bad(
        "config_set_bare_text",
        "",
        "",
        &["--set", "task.path=a.txt"],
    );
    bad("config_set_no_value", "", "", &["--set", "train.steps"]);
}

#[test]
fn no_file() {
    let dir = folder();
    let ran = minrnn(dir.path(), &["train", "other.toml"]);
    assert_eq!(ran.code, Some(2));
    snapshot("config_no_file", &ran);
}

#[test]
fn folders_of_others_are_left_alone() {
    let dir = folder();
    let ran = minrnn(dir.path(), &["train", "tiny.toml", "--out", "."]);
    assert_eq!(ran.code, Some(2));
    snapshot("train_foreign_folder", &ran);
    let ran = minrnn(dir.path(), &["quickstart", "--out", "."]);
    assert_eq!(ran.code, Some(2));
    snapshot("quickstart_foreign_folder", &ran);
}
