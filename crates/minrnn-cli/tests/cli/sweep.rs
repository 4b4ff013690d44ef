//! `minrnn sweep`: many runs of one configuration, ranked; it goes on where it stopped.

use std::fs;
use std::path::Path;

use crate::harness::minrnn;

const CONFIG: &str = r#"
[task]
kind = "selective_copying"
length = 8
data_tokens = 2
vocab = 6
eval_samples = 16

[model]
width = 8
layers = 1

[model.cell]
kind = "min_gru"
expansion = 1.0

[train]
steps = 6
batch = 4
lr = 1e-2
decay = "constant"
eval_every = 3
"#;

fn folder(sweep: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("train.toml"), CONFIG).unwrap();
    fs::write(
        dir.path().join("sweep.toml"),
        format!("config = \"train.toml\"\n{sweep}"),
    )
    .unwrap();
    dir
}

fn read(dir: &Path, name: &str) -> String {
    fs::read_to_string(dir.join("runs/sweep").join(name)).unwrap()
}

#[test]
fn every_combination_is_trained_and_ranked() {
    let dir =
        folder("[vary]\ntrain.lr = [1e-3, 2e-2]\nmodel.cell.kind = [\"min_gru\", \"min_lstm\"]");
    let at = dir.path();
    let out = minrnn(at, &["sweep", "sweep.toml"]).good();
    let csv = read(at, "sweep.csv");
    let losses: Vec<f64> = csv
        .lines()
        .skip(1)
        .map(|l| l.split(',').nth(3).unwrap().parse().unwrap())
        .collect();
    assert_eq!(losses.len(), 4);
    assert!(losses.is_sorted(), "{csv}");
    assert!(out.contains("best validation loss"), "{out}");
    assert!(read(at, "sweep.md").contains("(sweep.svg)"));
    assert!(read(at, "sweep.svg").matches("<circle").count() >= 8);
    // A run is what `train` makes of the same values: the same weights.
    let alone = [
        "train",
        "train.toml",
        "--out",
        "alone",
        "--set",
        "train.lr=0.02",
        "--set",
        "model.cell.kind=\"min_lstm\"",
    ];
    minrnn(at, &alone).good();
    let weights = |run: &str| fs::read(at.join(run).join("last/model.safetensors")).unwrap();
    assert_eq!(weights("alone"), weights("runs/sweep/003"));
    // Once more: nothing is trained, the same bytes come out; and the checkpoint of a run is exported as any other.
    let before = fs::metadata(at.join("runs/sweep/002/metrics.jsonl"))
        .unwrap()
        .modified()
        .unwrap();
    let again = minrnn(at, &["sweep", "sweep.toml"]).good();
    assert_eq!((again, read(at, "sweep.csv")), (out, csv));
    assert_eq!(
        fs::metadata(at.join("runs/sweep/002/metrics.jsonl"))
            .unwrap()
            .modified()
            .unwrap(),
        before
    );
    minrnn(at, &["export", "runs/sweep/003", "--out", "export"]).good();
}

#[test]
fn it_goes_on_where_it_stopped() {
    let sweep = "draws = 3\n[vary]\ntrain.lr = { from = 1e-3, to = 1e-1, scale = \"log\" }";
    let (whole, stopped) = (folder(sweep), folder(sweep));
    minrnn(whole.path(), &["sweep", "sweep.toml"]).good();
    let runs = stopped.path().join("runs/sweep");
    // One run is over, one is half done, one has not begun.
    fs::write(
        stopped.path().join("sweep.toml"),
        format!(
            "config = \"train.toml\"\n{}",
            sweep.replace("draws = 3", "draws = 2")
        ),
    )
    .unwrap();
    minrnn(stopped.path(), &["sweep", "sweep.toml"]).good();
    // Fewer than there are: they stay, and the tables say less, but not in silence.
    fs::write(
        stopped.path().join("sweep.toml"),
        format!(
            "config = \"train.toml\"\n{}",
            sweep.replace("draws = 3", "draws = 1")
        ),
    )
    .unwrap();
    let fewer = minrnn(stopped.path(), &["sweep", "sweep.toml"]);
    assert!(fewer.err.contains("from 001 on"), "{}", fewer.shown());
    let outcome: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(runs.join("001/sweep.json")).unwrap()).unwrap();
    let set = outcome["set"][0].as_str().unwrap().to_owned();
    fs::remove_dir_all(runs.join("001")).unwrap();
    let half = [
        "train",
        "train.toml",
        "--set",
        &set,
        "--set",
        "train.steps=3",
        "--out",
        "runs/sweep/001",
    ];
    minrnn(stopped.path(), &half).good();
    fs::write(
        stopped.path().join("sweep.toml"),
        format!("config = \"train.toml\"\n{sweep}"),
    )
    .unwrap();
    minrnn(stopped.path(), &["sweep", "sweep.toml"]).good();
    assert_eq!(
        read(whole.path(), "sweep.csv"),
        read(stopped.path(), "sweep.csv")
    );
}

/// What one of its runs refuses is refused before the tables of all others are written anew.
#[test]
fn a_sweep_that_is_refused_leaves_the_tables_of_the_finished_one() {
    let dir = folder("[vary]\ntrain.lr = [1e-3, 1e-2]\ntrain.seed = [0, 1]");
    minrnn(dir.path(), &["sweep", "sweep.toml"]).good();
    let tables = || ["sweep.csv", "sweep.md", "sweep.svg"].map(|name| read(dir.path(), name));
    let before = tables();
    let more = "config = \"train.toml\"\n[vary]\ntrain.lr = [1e-3, 1e-2]\ntrain.seed = [0, 1, 2]";
    fs::write(dir.path().join("sweep.toml"), more).unwrap();
    let ran = minrnn(dir.path(), &["sweep", "sweep.toml"]);
    assert!(
        ran.code == Some(2) && ran.err.contains("runs/sweep/002 was made with"),
        "{}",
        ran.shown()
    );
    assert_eq!(tables(), before);
    assert!(!dir.path().join("runs/sweep/004").exists());
}

/// Runs that are over are compared with others only on the same data.
#[test]
fn other_data_under_the_same_path_are_noticed() {
    let dir = crate::harness::folder();
    let at = dir.path();
    let sweep = "config = \"tiny.toml\"\n[vary]\ntrain.lr = [1e-3, 2e-3]\ntrain.steps = [8]";
    fs::write(at.join("sweep.toml"), sweep).unwrap();
    minrnn(at, &["sweep", "sweep.toml"]).good();
    minrnn(at, &["sweep", "sweep.toml"]).good();
    let text = at.join("harbour.txt");
    let before = fs::read_to_string(&text).unwrap();
    fs::write(&text, before.replacen('e', "a", 1)).unwrap();
    let ran = minrnn(at, &["sweep", "sweep.toml"]);
    let said = "runs/sweep/000 was trained on other data than those that lie there now";
    assert!(
        ran.code == Some(2) && ran.err.contains(said),
        "{}",
        ran.shown()
    );
    fs::write(&text, before).unwrap();
    minrnn(at, &["sweep", "sweep.toml"]).good();
}

#[test]
fn a_run_that_fails_is_a_row() {
    let dir = folder("[vary]\ntrain.lr = [1e-3, 1e30]");
    let ran = minrnn(dir.path(), &["sweep", "sweep.toml"]);
    assert_eq!(ran.code, Some(1), "{}", ran.shown());
    let csv = read(dir.path(), "sweep.csv");
    assert!(
        csv.lines().last().unwrap().starts_with("001,1e30,failed"),
        "{csv}"
    );
    assert!(read(dir.path(), "sweep.md").contains("- 001: "));
}

#[test]
fn what_does_not_fit_is_refused_before_anything_is_trained() {
    let refused = |dir: &tempfile::TempDir, args: &[&str], wanted: &str| {
        let ran = minrnn(dir.path(), &[&["sweep", "sweep.toml"], args].concat());
        assert!(
            ran.code == Some(2) && ran.err.contains(wanted),
            "{}",
            ran.shown()
        );
    };
    let dir = folder("[vary]\ntrain.lr = [1e-3]\ntrain.stepz = [3, 4]");
    refused(&dir, &[], "run 000: train.lr=0.001 train.stepz=3");
    refused(&dir, &[], "stepz");
    assert!(!dir.path().join("runs").exists());
    let dir = folder("[vary]\ntrain.batch = [2, 0]");
    refused(&dir, &[], "run 001: train.batch=0");
    assert!(!dir.path().join("runs").exists());
    let dir = folder("[vary]\ntrain.lr = [1e-3]");
    refused(&dir, &["--set", "train.lr=0.1"], "train.lr");
    minrnn(dir.path(), &["sweep", "sweep.toml"]).good();
    refused(
        &dir,
        &["--set", "train.batch=2"],
        "runs of another configuration",
    );
    fs::write(
        dir.path().join("sweep.toml"),
        "config = \"train.toml\"\n[vary]\ntrain.lr = [2e-3]",
    )
    .unwrap();
    refused(
        &dir,
        &[],
        "was made with train.lr=0.001, and now it would have train.lr=0.002",
    );
    let dir = folder("[vary]\ntrain.lr = [1e-3]");
    fs::create_dir_all(dir.path().join("runs/sweep")).unwrap();
    fs::write(dir.path().join("runs/sweep/notes.txt"), "mine").unwrap();
    refused(&dir, &[], "no sweep of minrnn");
}

/// A run that no training would begin is found before the first one, whatever its place.
#[test]
fn what_does_not_fit_the_task_is_found_before_the_first_run() {
    let dir = folder("[vary]\nmodel.positions = [64, 3]");
    let out = minrnn(dir.path(), &["sweep", "sweep.toml"]);
    assert_eq!(out.code, Some(2), "{}", out.shown());
    assert!(out.shown().contains("run 001"), "{}", out.shown());
    assert!(out.shown().contains("model.positions"), "{}", out.shown());
    assert!(!dir.path().join("runs/sweep/000").exists());
}
