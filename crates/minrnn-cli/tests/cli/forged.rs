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

/// Files, metadata, hashes and manifest agree: of a checkpoint whose characters are others, and of the same weights.
#[test]
fn a_vocabulary_that_is_swapped_everywhere_is_not_the_checkpoints() {
    let dir = trained();
    let path = dir.path().join("run/best/vocabulary.json");
    let good = fs::read(&path).unwrap();
    let mut words: Vec<String> = serde_json::from_slice(&good).unwrap();
    words.swap(2, 3);
    fs::write(&path, serde_json::to_vec(&words).unwrap()).unwrap();
    minrnn(dir.path(), &["export", "run", "--out", "export"]).good();
    fs::write(&path, &good).unwrap();
    let ran = verify(dir.path(), &["--checkpoint", "run"]);
    refused(
        &ran,
        &format!(
            "says that token 2 is {:?}, and the checkpoint {:?}",
            words[2], words[3]
        ),
    );
    verify(dir.path(), &[]).good();
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

/// JSON text whose first object has a name twice.
fn doubled(text: &[u8]) -> Vec<u8> {
    let at = text.iter().position(|b| *b == b'{').unwrap() + 1;
    let again = br#""again": {}, "again": {}, "#;
    [&text[..at], again, &text[at..]].concat()
}

/// Readers take the first or the last of two: what one program checks another would not run.
#[test]
fn a_key_twice_is_refused_in_every_json_that_is_read() {
    let dir = trained();
    let mut tried = vec![];
    let mut all: Vec<_> = ["run/last", "export"]
        .iter()
        .flat_map(|folder| fs::read_dir(dir.path().join(folder)).unwrap())
        .map(|entry| entry.unwrap().path())
        .collect();
    all.sort();
    for path in all {
        let good = fs::read(&path).unwrap();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let bad = match name.rsplit_once('.').unwrap().1 {
            "json" if good.starts_with(b"{") => doubled(&good),
            "safetensors" if name != "golden.safetensors" => {
                let end = 8 + u64::from_le_bytes(good[..8].try_into().unwrap()) as usize;
                let header = doubled(&good[8..end]);
                let size = (header.len() as u64).to_le_bytes();
                [&size, &header[..], &good[end..]].concat()
            }
            _ => continue,
        };
        fs::write(&path, bad).unwrap();
        let ran = match path.parent().unwrap().ends_with("export") {
            true => verify(dir.path(), &[]),
            false => {
                let resume = ["train", "tiny.toml", "--out", "run", "--resume", "--set"];
                minrnn(dir.path(), &[&resume[..], &["train.steps=62"]].concat())
            }
        };
        refused(&ran, "`again` stands there twice");
        fs::write(&path, good).unwrap();
        tried.push(name);
    }
    for name in ["config.json", "manifest.json", "model.safetensors"] {
        assert!(tried.iter().any(|t| t == name), "{name} of {tried:?}");
    }
}

/// Endings in capitals are read as all others are; what lies in a folder of its own is said to be nobody's.
#[test]
fn copies_are_seen_whatever_their_ending_and_folder() {
    let dir = trained();
    let export = dir.path().join("export");
    fs::create_dir_all(export.join("old/deep")).unwrap();
    fs::copy(
        export.join("model.step.onnx"),
        export.join("old/deep/copy.ONNX"),
    )
    .unwrap();
    fs::write(export.join("old/b.onnx"), "no ONNX file").unwrap();
    let told = verify(dir.path(), &["--json", "-"]);
    let report: Json = serde_json::from_str(&told.good()).unwrap();
    let notes = report["notes"].to_string();
    assert!(
        notes.contains(
            "folders in export are not looked at: export/old/b.onnx and 1 more ONNX files"
        ),
        "{notes}"
    );
    fs::copy(export.join("model.step.onnx"), export.join("copy.ONNX")).unwrap();
    let ran = verify(dir.path(), &[]);
    refused(
        &ran,
        "copy.ONNX: lies in the folder and says that it is the form `step`",
    );
}

/// Metadata of a file.
type Entries = Vec<(String, String)>;

/// Files of this version say what it writes, and nothing else: hashes are made to fit.
#[test]
fn metadata_of_this_version_has_the_keys_that_it_writes() {
    let dir = trained();
    let path = dir.path().join("export/model.step.onnx");
    let good = fs::read(&path).unwrap();
    let with = |change: &dyn Fn(&mut Entries)| {
        let mut model = minrnn_onnx::ir::Model::decode(&good).unwrap();
        change(&mut model.metadata);
        let bytes = model.encode();
        manifest(dir.path(), |m| {
            m["forms"]["step"]["sha256"] = hash(&bytes).into();
        });
        fs::write(&path, bytes).unwrap();
        verify(dir.path(), &[])
    };
    for key in [
        "dtype",
        "target",
        "state_names",
        "state_layout",
        "padded",
        "contract",
    ] {
        let key = format!("minrnn.{key}");
        let ran = with(&|metadata| metadata.retain(|(k, _)| *k != key));
        refused(&ran, "model.step.onnx");
        assert!(ran.err.contains(&format!("`{key}` is")), "{}", ran.shown());
    }
    for key in ["frobnicate", "activations", "Dtype"] {
        let key = format!("minrnn.{key}");
        let ran = with(&|metadata| metadata.push((key.clone(), "1".into())));
        refused(&ran, "model.step.onnx");
        assert!(ran.err.contains(&format!("`{key}`")), "{}", ran.shown());
    }
    // Anybody's notes, and nothing.
    with(&|metadata| metadata.push(("note".into(), "mine".into()))).good();
}

fn hash(bytes: &[u8]) -> String {
    use sha2::{Digest, Sha256};
    let all = Sha256::digest(bytes);
    all.iter().map(|b| format!("{b:02x}")).collect()
}
