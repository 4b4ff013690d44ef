//! Weights of other implementations.

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use crate::harness::{Ran, minrnn, snapshot, trained};

/// A folder with the weights `name` of the golden data.
fn with(name: &str) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/import");
    fs::copy(golden.join(name), dir.path().join(name)).unwrap();
    dir
}

fn import(dir: &Path, file: &str, flags: &[&str]) -> Ran {
    minrnn(dir, &[&["import", file, "--out", "model"], flags].concat())
}

#[track_caller]
fn refused(name: &str, dir: &Path, file: &str, flags: &[&str]) {
    let ran = import(dir, file, flags);
    assert_eq!(ran.code, Some(2), "{}", ran.shown());
    assert!(!dir.join("model").exists(), "nothing is written");
    snapshot(name, &ran);
}

#[test]
fn what_was_found_is_shown() {
    let dir = with("lucidrains_lstm_lm.safetensors");
    let ran = import(dir.path(), "lucidrains_lstm_lm.safetensors", &[]);
    assert_eq!(ran.code, Some(0), "{}", ran.shown());
    snapshot("import_shown", &ran);
    // Again into the same folder: it is an import's.
    let again = import(dir.path(), "lucidrains_lstm_lm.safetensors", &["--json"]).good();
    assert!(again.contains("\"schema\": \"minrnn.import/1\""), "{again}");
    minrnn(dir.path(), &["export", "model", "--out", "export"]).good();
    let verified = minrnn(
        dir.path(),
        &[
            "verify",
            "export",
            "--checkpoint",
            "model",
            "--max-len",
            "40",
            "--probe-len",
            "200",
        ],
    );
    assert_eq!(verified.code, Some(0), "{}", verified.shown());
}

#[test]
fn an_imported_model_writes() {
    let file = "lucidrains_gru_lm.pt";
    let dir = with(file);
    fs::write(dir.path().join("chars.json"), "{\"b\": 1, \"a\": 0}").unwrap();
    refused(
        "import_vocabulary",
        dir.path(),
        file,
        &["--vocab", "chars.json"],
    );
    fs::write(
        dir.path().join("chars.json"),
        format!(
            "{:?}",
            "abcdefghijk"
                .split("")
                .filter(|c| !c.is_empty())
                .collect::<Vec<_>>()
        ),
    )
    .unwrap();
    import(dir.path(), file, &["--vocab", "chars.json"]).good();
    minrnn(dir.path(), &["export", "model", "--out", "export"]).good();
    let wrote = |folder: &str| {
        minrnn(
            dir.path(),
            &[
                "generate",
                folder,
                "--prompt",
                "bad",
                "--length",
                "30",
                "--temperature",
                "0",
            ],
        )
        .good()
    };
    assert!(wrote("model").len() > 30);
    assert_eq!(wrote("model"), wrote("export"));
}

/// A rate that changes no weight shows with which ones a run begins.
#[test]
fn a_training_begins_from_an_import() {
    let file = "lucidrains_gru_lm.pt";
    let dir = with(file);
    let characters: Vec<String> = "abcdefghijk".chars().map(String::from).collect();
    fs::write(dir.path().join("chars.json"), format!("{characters:?}")).unwrap();
    import(dir.path(), file, &["--vocab", "chars.json"]).good();
    fs::write(dir.path().join("a.txt"), "badcafeheadjigkid".repeat(40)).unwrap();
    let config = "[task]\nkind = 'text'\npath = 'a.txt'\nseq_len = 12\nvalidation_fraction = 0.2\n\
        [train]\nsteps = 2\nbatch = 2\nlr = 1e-30\n";
    fs::write(dir.path().join("from.toml"), config).unwrap();
    let train = |more: &[&str]| minrnn(dir.path(), &[&["train", "from.toml"], more].concat());
    let ran = train(&["--from", "model", "--out", "run"]);
    assert!(
        ran.err.contains("from the weights of model"),
        "{}",
        ran.shown()
    );
    ran.good();
    let wrote = |folder: &str| {
        let args = [
            "generate",
            folder,
            "--prompt",
            "bad",
            "--length",
            "30",
            "--temperature",
            "0",
        ];
        minrnn(dir.path(), &args).good()
    };
    assert_eq!(wrote("run"), wrote("model"));
    let weights =
        |folder: &str| fs::read(dir.path().join(folder).join("model.safetensors")).unwrap();
    assert!(
        weights("run/last") == weights("model"),
        "no step moved them"
    );
    train(&["--out", "run", "--resume", "--set", "train.steps=3"]).good();
    // It means what it meant.
    fs::write(dir.path().join("a.txt"), "badcafe with a z".repeat(40)).unwrap();
    let ran = train(&["--from", "model", "--out", "other"]);
    assert_eq!(ran.code, Some(2), "{}", ran.shown());
    assert!(
        ran.err.contains("which the checkpoint does not know"),
        "{}",
        ran.shown()
    );
}

#[test]
fn what_cannot_be_imported_is_refused() {
    let lm = "lucidrains_gru_lm.pt";
    let dir = with(lm);
    refused("import_layout", dir.path(), lm, &["--layout", "minrnns"]);
    refused("import_key", dir.path(), lm, &["--key", "ema"]);
    refused("import_no_file", dir.path(), "nowhere.pt", &[]);
    let bytes = fs::read(dir.path().join(lm)).unwrap();
    fs::write(dir.path().join("cut.pt"), &bytes[..bytes.len() / 2]).unwrap();
    refused("import_cut", dir.path(), "cut.pt", &[]);
    let gates = "minrnns_lstm.pt";
    refused("import_gates", with(gates).path(), gates, &[]);
    let layer = "lucidrains_gru_layer_projected.pt";
    refused("import_inside", with(layer).path(), layer, &[]);
}

#[test]
fn folders_of_others_stay() {
    let dir = trained();
    let file = "lucidrains_gru_layer.safetensors";
    fs::copy(with(file).path().join(file), dir.path().join(file)).unwrap();
    for folder in ["run", "run/best", "export"] {
        let ran = minrnn(dir.path(), &["import", file, "--out", folder]);
        assert_eq!(ran.code, Some(2), "{}", ran.shown());
        assert!(ran.err.contains("choose another folder"), "{}", ran.err);
    }
    minrnn(dir.path(), &["export", "run", "--out", "again"]).good();
}
