//! Exports that are not what they or a checkpoint say, at the command: exit code 2 and the reason.

use std::fs;
use std::path::Path;

use serde_json::{Value as Json, json};

use crate::harness::{Ran, minrnn, trained};

fn verify(dir: &Path, flags: &[&str]) -> Ran {
    let all = [
        &["verify", "export", "--max-len", "8", "--probe-len", "8"][..],
        flags,
    ];
    minrnn(dir, &all.concat())
}

fn manifest(dir: &Path, change: impl FnOnce(&mut Json)) {
    let path = dir.join("export/manifest.json");
    let mut json: Json = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    change(&mut json);
    fs::write(&path, json.to_string()).unwrap();
}

#[track_caller]
fn refused(ran: &Ran, words: &str) {
    assert_eq!(ran.code, Some(2), "{}", ran.shown());
    assert!(ran.err.contains(words), "{}", ran.shown());
}

#[test]
fn a_vocabulary_that_is_not_the_models_is_a_breach() {
    let checkpoint = ["--checkpoint", "run"];
    for (entry, flags) in [(1, &[][..]), (1, &checkpoint), (0, &[]), (0, &checkpoint)] {
        let dir = trained();
        manifest(dir.path(), |m| match entry {
            1 => m["vocabulary"].as_array_mut().unwrap().swap(2, 3),
            _ => m["vocabulary"][2] = m["vocabulary"][3].clone(),
        });
        let words = match entry {
            // Swapped: the files have its hash.
            1 => "and by the manifest's vocabulary",
            _ => "occurs twice",
        };
        refused(&verify(dir.path(), flags), words);
    }
    let dir = trained();
    manifest(dir.path(), |m| {
        m["vocabulary"] = Json::Null;
        m["preprocessing"] = json!({ "kind": "token_ids" });
    });
    let ran = verify(dir.path(), &checkpoint);
    refused(&ran, "and by the manifest's vocabulary absent");
}

#[test]
fn another_checkpoint_is_named_and_the_export_is_not_blamed() {
    let dir = trained();
    let train = |out: &str, set: &str| {
        let args = ["train", "tiny.toml", "--set", "train.steps=6", "--out", out];
        minrnn(dir.path(), &[&args[..], &["--set", set]].concat()).good();
    };
    train("wide", "model.width=16");
    let ran = verify(dir.path(), &["--checkpoint", "wide"]);
    refused(
        &ran,
        "do not belong together: the export has `head.norm.weight` [24], the checkpoint [16]; `head.weight` [24, ",
    );
    assert!(
        ran.err.contains("24], the checkpoint [") && ran.err.contains("16]"),
        "{}",
        ran.shown()
    );
    assert!(!ran.err.contains("export again"), "{}", ran.shown());
    train("linear", "model.cell.candidate=\"linear\"");
    let ran = verify(dir.path(), &["--checkpoint", "linear"]);
    refused(
        &ran,
        "was made with `cell.candidate` \"g\", the checkpoint with \"linear\"",
    );
}

#[test]
fn a_form_that_is_not_listed_is_a_breach() {
    let dir = trained();
    manifest(dir.path(), |m| {
        m["forms"].as_object_mut().unwrap().remove("scan");
    });
    refused(
        &verify(dir.path(), &[]),
        "model.scan.onnx: lies in the folder",
    );
}
