//! Checkpoints that cannot be used.

use std::fs;
use std::path::Path;

use crate::harness::{Ran, minrnn, snapshot, trained};

fn export(dir: &Path) -> Ran {
    let ran = minrnn(dir, &["export", "run", "--out", "again"]);
    assert!(!dir.join("again").exists(), "nothing is left behind");
    ran
}

/// Exports a run after a change of a file of its best checkpoint.
fn bad(name: &str, file: &str, change: impl Fn(Vec<u8>) -> Vec<u8>) {
    let dir = trained();
    let path = dir.path().join("run/best").join(file);
    let bytes = change(fs::read(&path).unwrap());
    fs::write(&path, bytes).unwrap();
    let ran = export(dir.path());
    assert_eq!(ran.code, Some(2), "{}", ran.shown());
    snapshot(name, &ran);
}

fn text(change: impl Fn(String) -> String) -> impl Fn(Vec<u8>) -> Vec<u8> {
    move |bytes| change(String::from_utf8(bytes).unwrap()).into_bytes()
}

#[test]
fn missing_folder() {
    let dir = trained();
    let ran = minrnn(dir.path(), &["export", "nowhere", "--out", "again"]);
    assert_eq!(ran.code, Some(2));
    snapshot("checkpoint_missing_folder", &ran);
}

#[test]
fn missing_weights() {
    let dir = trained();
    fs::remove_file(dir.path().join("run/best/model.safetensors")).unwrap();
    snapshot("checkpoint_missing_weights", &export(dir.path()));
}

#[test]
fn missing_tensor() {
    bad(
        "checkpoint_missing_tensor",
        "config.json",
        text(|t| t.replace("\"layers\": 2", "\"layers\": 3")),
    );
}

#[test]
fn wrong_shape() {
    bad(
        "checkpoint_wrong_shape",
        "config.json",
        text(|t| t.replace("\"width\": 24", "\"width\": 32")),
    );
}

#[test]
fn truncated() {
    bad("checkpoint_truncated", "model.safetensors", |b| {
        b[..b.len() / 2].to_vec()
    });
}

#[test]
fn damaged_configuration() {
    bad(
        "checkpoint_config_damaged",
        "config.json",
        text(|t| t[..40].to_owned()),
    );
    bad(
        "checkpoint_config_unknown_key",
        "config.json",
        text(|t| t.replace("\"residual\"", "\"residuals\"")),
    );
}

#[test]
fn an_export_is_no_checkpoint() {
    let dir = trained();
    let ran = minrnn(dir.path(), &["export", "export", "--out", "again"]);
    assert_eq!(ran.code, Some(2));
    snapshot("checkpoint_is_an_export", &ran);
}

#[test]
fn a_run_is_not_replaced_or_resumed_from_nothing() {
    let dir = trained();
    let ran = minrnn(dir.path(), &["train", "tiny.toml", "--out", "run"]);
    assert_eq!(ran.code, Some(2));
    snapshot("train_run_is_there", &ran);
    let ran = minrnn(
        dir.path(),
        &["train", "tiny.toml", "--out", "other", "--resume"],
    );
    assert_eq!(ran.code, Some(2));
    snapshot("train_nothing_to_resume", &ran);
    let ran = minrnn(
        dir.path(),
        &[
            "train",
            "tiny.toml",
            "--out",
            "run",
            "--resume",
            "--set",
            "train.seed=1",
        ],
    );
    assert_eq!(ran.code, Some(2));
    snapshot("train_resume_other_seed", &ran);
}

#[test]
fn an_export_does_not_go_into_a_folder_of_others() {
    let dir = trained();
    let ran = minrnn(dir.path(), &["export", "run", "--out", "."]);
    assert_eq!(ran.code, Some(2));
    snapshot("export_foreign_folder", &ran);
}
