//! `minrnn repro --small`: every experiment in small, what it writes, how it goes on, what it refuses.

use std::fs;
use std::path::{Path, PathBuf};

use crate::harness::{folder, minrnn, process, snapshot};

fn read(dir: &Path, name: &str) -> String {
    fs::read_to_string(dir.join(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
}

/// Everything below a folder, by its path there.
fn listed(dir: &Path) -> Vec<PathBuf> {
    let mut all = vec![];
    for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
        match entry.path().is_dir() {
            true => all.extend(listed(&entry.path())),
            false => all.push(entry.path()),
        }
    }
    all.sort();
    all
}

/// Runs an experiment in small in the folder `out`.
fn small(dir: &Path, out: &str, more: &[&str]) -> crate::harness::Ran {
    minrnn(
        dir,
        &[&["repro"], more, &["--small", "--out", out]].concat(),
    )
}

fn rows<'a>(name: &'a str, only: &[&'a str]) -> Vec<&'a str> {
    let only = only.iter().flat_map(|row| ["--only", *row]);
    std::iter::once(name).chain(only).collect()
}

/// Runs rows of an experiment, and holds what every experiment writes; the page of its results.
fn done(name: &str, only: &[&str], more: &[&str]) -> (tempfile::TempDir, String) {
    let dir = folder();
    let args = [rows(name, only), more.to_vec()].concat();
    let ran = small(dir.path(), "out", &args);
    let err = ran.err.clone();
    let table = ran.good();
    let out = dir.path().join("out");
    let page = read(&out, "table.md");
    assert!(page.contains("Small version"), "{page}");
    assert!(!page.contains("does not hold"), "{page}");
    let results: serde_json::Value = serde_json::from_str(&read(&out, "results.json")).unwrap();
    assert_eq!(results["of"]["experiment"], name);
    assert_eq!(results["of"]["small"], true);
    let runs = results["runs"].as_array().unwrap();
    assert_eq!(read(&out, "results.csv").lines().count(), runs.len() + 1);
    for row in only {
        let ran: Vec<_> = runs.iter().filter(|r| r["row"] == *row).collect();
        assert!(!ran.is_empty(), "{row}: {page}");
        assert!(ran.iter().all(|r| r["failed"].is_null()), "{row}: {page}");
    }
    for run in runs.iter().filter(|r| r["model"].is_object()) {
        assert_eq!(run["model"]["holds"], true);
        let export = out.join(run["model"]["export"].as_str().unwrap());
        assert!(export.join("model.step.onnx").exists());
        assert!(err.contains("a step takes"), "no estimate: {err}");
    }
    assert!(!out.join("runs").exists() && !out.join("state").exists());
    let here = dir.path().to_str().unwrap();
    for file in listed(&out) {
        assert!(file.metadata().unwrap().len() <= 16 << 20);
        let bytes = fs::read(&file).unwrap();
        let found = bytes.windows(here.len()).any(|w| w == here.as_bytes());
        assert!(!found, "{} names a folder of this machine", file.display());
    }
    assert!(table.contains("runs"), "{table}");
    (dir, page)
}

#[test]
fn shakespeare() {
    let text = ["--text", "harbour.txt"];
    let (dir, page) = done("shakespeare", &["min-gru", "transformer"], &text);
    assert!(
        page.contains("1.548") && page.contains("1.547") && !page.contains("short by"),
        "{page}"
    );
    assert!(page.contains("Not run yet: minLSTM, Mamba."), "{page}");
    assert!(page.contains("`train.lr`: the paper, C.4"), "{page}");
    let svg = read(&dir.path().join("out"), "loss.svg");
    assert!(svg.contains("minGRU") && svg.contains("Transformer"));
}

#[test]
fn selective_copying_with_streams() {
    let only = ["min-gru", "min-gru-65536", "min-gru-1048576"];
    let (dir, page) = done("selective-copying", &only, &[]);
    assert!(page.contains("minGRU streamed, T = 1,048,576"), "{page}");
    let csv = read(&dir.path().join("out"), "results.csv");
    let accuracy = |row: &str| -> f64 {
        let at = csv
            .lines()
            .next()
            .unwrap()
            .split(',')
            .position(|c| c == "accuracy")
            .unwrap();
        let line = csv
            .lines()
            .find(|l| l.split(',').nth(1) == Some(row))
            .unwrap();
        line.split(',').nth(at).unwrap().parse().unwrap()
    };
    // 14 kinds of data tokens: a guess is right one time in 14.
    assert!(accuracy("min-gru") > 12.0, "{csv}");
    assert!((0.0..=100.0).contains(&accuracy("min-gru-65536")), "{csv}");
}

#[test]
fn formal_languages_by_length() {
    let (_, page) = done(
        "chomsky",
        &["parity-signed-min-gru", "bucket-sort-min-lstm"],
        &[],
    );
    assert!(
        page.contains("parity, signed minGRU") && page.contains("length.svg"),
        "{page}"
    );
}

#[test]
fn fewer_layers_and_other_mixers() {
    let (_, page) = done("stability", &["min-gru-1"], &[]);
    assert!(page.contains("37"), "{page}");
    let (_, page) = done("table2", &["hyena", "mamba-s4d", "gru"], &[]);
    assert!(
        page.contains("T = 1024") && page.contains("scan, step"),
        "{page}"
    );
}

#[test]
fn time_and_memory_against_length() {
    let only = ["min-gru-64-1", "gru-64-1", "infer-min-gru", "infer-gru"];
    let (dir, page) = done("efficiency", &only, &[]);
    assert!(page.contains("not measured"), "{page}");
    // The whole version's is a result of its own on a GPU.
    let (cpu, gpu) = (
        "- width 64, 1 layer, CPU: minLSTM",
        "- width 64, 1 layer: minGRU",
    );
    assert!(page.contains(cpu) && page.contains(gpu), "{page}");
    let times = read(&dir.path().join("out"), "times.json");
    let keys = ["\"ms.64\"", "\"step.8.32\"", "\"context.64.32\""];
    assert!(keys.iter().all(|key| times.contains(key)), "{times}");
    // What a clock measured is apart.
    let results = read(&dir.path().join("out"), "results.json");
    assert!(
        results.contains("\"mb.64\"") && !results.contains("ms."),
        "{results}"
    );
}

#[test]
fn the_record_has_a_state_that_is_carried_and_a_choice_without_the_validation_text() {
    let only = ["base", "chosen-deep-12", "tail"];
    let (_, page) = done("record", &only, &["--text", "harbour.txt"]);
    assert!(
        page.contains("carried") && page.contains("nanoGPT"),
        "{page}"
    );
}

#[test]
fn claims() {
    let (dir, _) = done("claims", &["scan-error", "exact"], &[]);
    let results: serde_json::Value =
        serde_json::from_str(&read(&dir.path().join("out"), "results.json")).unwrap();
    let figure = |case: &str, key: &str| {
        let runs = results["runs"].as_array().unwrap();
        let run = runs
            .iter()
            .find(|r| r["case"] == case && !r["figures"][key].is_null());
        run.unwrap()["figures"][key].as_f64().unwrap()
    };
    assert_eq!(figure("t2500", "differing"), 0.0);
    assert!(figure("t1024", "log.1024") > 10.0 * figure("t1024", "linear.1024"));
}

#[test]
fn every_experiment_has_a_small_version_here() {
    let dir = folder();
    let ran = minrnn(dir.path(), &["repro", "none"]);
    let (_, names) = ran.err.split_once("[possible values: ").unwrap();
    let (names, _) = names.split_once(']').unwrap();
    let own: String = include_str!("repro.rs").split_whitespace().collect();
    for name in names.split(", ") {
        let call = format!("=done(\"{name}\",");
        assert!(own.contains(&call), "{name} is done by no test");
    }
}

#[test]
fn a_budget_that_ends_leaves_a_run_that_goes_on_elsewhere_to_the_same_bytes() {
    let (dir, other) = (folder(), folder());
    let args = ["selective-copying", "--only", "min-lstm"];
    small(dir.path(), "whole", &args).good();
    let first = small(
        dir.path(),
        "cut",
        &[&args[..], &["--budget", "0.01"]].concat(),
    );
    assert!(first.err.contains("saved after step"), "{}", first.shown());
    assert!(
        first
            .err
            .contains("0 of 1 runs are done; the same command goes on"),
        "{}",
        first.shown()
    );
    first.good();
    let cut = dir.path().join("cut");
    assert!(!cut.join("runs").exists());
    assert!(cut.join("state/min-lstm-s0.000").exists());
    for file in listed(&cut) {
        assert!(file.metadata().unwrap().len() <= 16 << 20);
    }
    // On another machine there is another folder.
    fs::rename(&cut, other.path().join("moved")).unwrap();
    small(other.path(), "moved", &args).good();
    let (whole, moved) = (dir.path().join("whole"), other.path().join("moved"));
    for name in ["results.json", "results.csv", "table.md", "accuracy.svg"] {
        assert_eq!(read(&whole, name), read(&moved, name), "{name}");
    }
    let names = |dir: &Path| -> Vec<PathBuf> {
        listed(dir)
            .iter()
            .map(|p| p.strip_prefix(dir).unwrap().to_path_buf())
            .collect()
    };
    assert_eq!(names(&whole), names(&moved));
    // Once more: nothing is trained again.
    let again = small(other.path(), "moved", &args);
    assert!(!again.err.contains("a step takes"), "{}", again.shown());
    again.good();
}

#[test]
fn folders_of_other_things_are_refused_by_name() {
    let dir = folder();
    let at = dir.path();
    let refused = |out: &str, args: &[&str], wanted: &str| {
        let ran = minrnn(at, &[&["repro"], args, &["--out", out]].concat());
        assert_eq!(ran.code, Some(2), "{}", ran.shown());
        assert!(ran.err.contains(wanted), "{}", ran.shown());
        assert!(ran.err.contains("--out"), "{}", ran.shown());
    };
    let claims = ["claims", "--small", "--only", "scan-error"];
    minrnn(at, &[&["repro"], &claims[..], &["--out", "out"]].concat()).good();
    let before = read(at, "out/results.json");
    refused(
        "out",
        &["chomsky", "--small"],
        "the experiment claims, and chomsky is asked for",
    );
    refused(
        "out",
        &["claims"],
        "the small version, and the whole version is asked for",
    );
    refused(
        ".",
        &["claims", "--small"],
        "is not empty and no repro of minrnn",
    );
    let version = format!("\"version\": \"{}\"", env!("CARGO_PKG_VERSION"));
    for (from, to, wanted) in [
        (
            version.as_str(),
            "\"version\": \"0.0.7\"",
            "results of minrnn 0.0.7",
        ),
        (
            "\"settings\": \"",
            "\"settings\": \"0",
            "by other settings than this program's",
        ),
    ] {
        assert!(before.contains(from), "{before}");
        fs::write(at.join("out/results.json"), before.replace(from, to)).unwrap();
        refused("out", &claims, wanted);
    }
    fs::write(at.join("out/results.json"), "{}").unwrap();
    let ran = minrnn(at, &[&["repro"], &claims[..], &["--out", "out"]].concat());
    assert!(
        ran.err.contains("was not written by minrnn repro"),
        "{}",
        ran.shown()
    );
}

#[test]
fn another_text_is_refused() {
    let dir = folder();
    let args = [
        "shakespeare",
        "--only",
        "min-gru",
        "--budget",
        "0.01",
        "--text",
    ];
    small(dir.path(), "out", &[&args[..], &["harbour.txt"]].concat()).good();
    let text = read(dir.path(), "harbour.txt").replacen('a', "e", 1);
    fs::write(dir.path().join("other.txt"), text).unwrap();
    let ran = small(dir.path(), "out", &[&args[..], &["other.txt"]].concat());
    assert_eq!(ran.code, Some(2));
    assert!(
        ran.err.contains("another text than that of --text"),
        "{}",
        ran.shown()
    );
}

#[test]
fn wrong_use() {
    let dir = folder();
    let wrong = |name: &str, args: &[&str]| {
        let ran = minrnn(dir.path(), &[&["repro"], args].concat());
        assert_eq!(ran.code, Some(2), "{}", ran.shown());
        snapshot(name, &ran);
    };
    wrong("repro_no_text", &["record"]);
    wrong("repro_idle_text", &["claims", "--text", "harbour.txt"]);
    wrong("repro_unknown_row", &["stability", "--only", "min-gru"]);
    wrong("repro_idle_seeds", &["claims", "--seeds", "1"]);
    wrong("repro_budget", &["claims", "--budget", "0"]);
    wrong("repro_unknown", &["figure-1"]);
    assert!(!dir.path().join("runs").exists());
}

#[test]
fn the_text_may_be_named_by_the_environment() {
    let dir = folder();
    let args = [
        "repro",
        "shakespeare",
        "--small",
        "--only",
        "min-gru",
        "--budget",
        "0.01",
    ];
    let mut process = process(dir.path(), &args);
    let output = process.env("MINRNN_TEXT", "harbour.txt").output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(
        dir.path()
            .join("runs/shakespeare-small/results.json")
            .exists()
    );
}

#[test]
fn runs_of_other_folders_are_taken_in_where_they_are_of_the_same_settings() {
    let dir = folder();
    let at = dir.path();
    let ran = |out: &str, row: &str, from: &[&str]| {
        let from = from.iter().flat_map(|f| ["--from", *f]);
        let args = ["repro", "claims", "--small", "--only", row, "--out", out];
        minrnn(at, &args.into_iter().chain(from).collect::<Vec<_>>())
    };
    ran("one", "scan-error", &[]).good();
    ran("two", "exact", &[]).good();
    ran("both", "exact", &["one", "two"]).good();
    ran("other", "scan-error", &["two"]).good();
    // In whatever order they came.
    assert_eq!(
        read(at, "both/results.json"),
        read(at, "other/results.json")
    );
    assert_eq!(read(at, "both/table.md"), read(at, "other/table.md"));
    let again = ran("both", "exact", &["two"]);
    assert!(
        again.err.contains("this folder has its own"),
        "{}",
        again.shown()
    );
    let old = read(at, "two/results.json").replace("\"settings\": \"", "\"settings\": \"0");
    fs::write(at.join("two/results.json"), old).unwrap();
    let ran_without = ran("third", "scan-error", &["two"]);
    let err = ran_without.err.clone();
    ran_without.good();
    assert!(err.contains("it is by other settings"), "{err}");
    assert!(!read(at, "third/results.json").contains("\"exact\""));
    let none = ran("fourth", "exact", &["."]);
    assert_eq!(none.code, Some(2));
    assert!(
        none.err.contains("no results of minrnn repro are there"),
        "{}",
        none.shown()
    );
}
