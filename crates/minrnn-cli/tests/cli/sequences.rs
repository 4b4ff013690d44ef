//! Feature sequences from files to verified exports.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use serde_json::Value as Json;

use crate::harness::minrnn;

/// A wave around 1000 with its lines in `dir`, and the configuration of a small model of it.
pub(crate) fn wave(dir: &Path, clock: f64) {
    let mut text = String::from("run,clock,x,level\r\n");
    for run in 0..30 {
        for t in 0..16 {
            let x = f64::from(t) * 0.5 + f64::from(run);
            let (now, level) = (clock + f64::from(t), 1000.0 + 25.0 * x.sin());
            write!(text, "{run},{now},{},{level}\r\n", (x - 0.5).sin()).unwrap();
        }
    }
    fs::write(dir.join("wave.csv"), text).unwrap();
    let toml = "[task]\nkind = 'sequences'\npath = 'wave.csv'\nid_column = 'run'\nfeature_columns = ['clock', 'x']\n\
                target_columns = ['level']\ntarget = 'values'\nper = 'step'\n[model]\nwidth = 16\nlayers = 1\n\
                [train]\nsteps = 250\nbatch = 8\nlr = 1e-2\neval_every = 50\noptimizer = { clip_norm = 1.0 }\n";
    fs::write(dir.join("wave.toml"), toml).unwrap();
}

/// Sequences of 3 to 7 steps of three classes with names, with 30 of them 6 for the test, and the configuration of a small model.
pub(crate) fn labelled(dir: &Path) {
    let mut text = String::from("day,wind,height,sea\n");
    for day in 0..30_u32 {
        let class = day % 3;
        for t in 0..3 + day % 5 {
            let wind = f64::from(class) * 4.0 + f64::from((day * 7 + t * 3) % 5);
            let height = f64::from(class) + 0.1 * f64::from(t);
            let sea = ["calm", "swell", "storm"][class as usize];
            writeln!(text, "d{day},{wind},{height},{sea}").unwrap();
        }
    }
    fs::write(dir.join("labelled.csv"), text).unwrap();
    let toml = "[task]\nkind = 'sequences'\npath = 'labelled.csv'\nid_column = 'day'\nfeature_columns = ['wind', 'height']\n\
                target_columns = ['sea']\ntarget = 'classes'\nper = 'sequence'\ntest_fraction = 0.2\n[model]\nwidth = 16\nlayers = 1\n\
                [train]\nsteps = 40\nbatch = 8\nlr = 1e-2\neval_every = 20\n";
    fs::write(dir.join("labelled.toml"), toml).unwrap();
}

/// The case: 959,564 before, 130 when scaled by hand.
#[test]
fn a_series_around_1000_is_learned_exported_and_verified_in_its_own_units() {
    let dir = tempfile::tempdir().unwrap();
    wave(dir.path(), 0.0);
    let trained = minrnn(dir.path(), &["train", "wave.toml", "--out", "run"]);
    assert!(!trained.err.contains("warning"), "{}", trained.err);
    trained.good();
    let log = fs::read_to_string(dir.path().join("run/metrics.jsonl")).unwrap();
    let lines: Vec<Json> = log
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    let last = |event: &str| {
        let line = lines.iter().rev().find(|l| l["event"] == event).unwrap();
        line["loss"].as_f64().unwrap()
    };
    // The variance of the wave is 312: a step's loss is in units of it.
    let (step, eval) = (last("step"), last("eval"));
    assert!(step < 0.3 && (1.0..100.0).contains(&eval), "{step} {eval}");
    let export = [
        "export",
        "run",
        "--out",
        "export",
        "--target",
        "onnxruntime",
        "--dtype",
        "int8",
        "--eval",
        "wave.toml",
    ];
    let said = minrnn(dir.path(), &export);
    let said = format!("{}{}", said.err.clone(), said.good());
    let row = said.lines().find(|line| line.starts_with("│ checkpoint "));
    let mut words = row.unwrap().split_whitespace();
    let measured: f64 = words.find_map(|word| word.parse().ok()).unwrap();
    assert!((1.0..100.0).contains(&measured), "{said}");
    let manifest = fs::read_to_string(dir.path().join("export/manifest.json")).unwrap();
    assert!(
        manifest.contains("\"clock\"") && manifest.contains("\"level\""),
        "{manifest}"
    );
    let verify = [
        "verify",
        "export",
        "--checkpoint",
        "run",
        "--max-len",
        "40",
        "--probe-len",
        "300",
    ];
    let said = minrnn(dir.path(), &verify).good();
    assert!(said.ends_with("Everything holds.\n"), "{said}");
    // Features have no tokens, whatever the word is.
    for token in ["1", "end"] {
        let args = ["export", "run", "--out", "other", "--end-of-stream", token];
        let ran = minrnn(dir.path(), &args);
        assert_eq!(ran.code, Some(2), "{}", ran.shown());
        let words = "--end-of-stream would change nothing: the model takes features";
        assert!(ran.err.contains(words), "{}", ran.shown());
    }
}

#[test]
fn timestamps_are_warned_of_and_faults_are_told_by_line() {
    let dir = tempfile::tempdir().unwrap();
    wave(dir.path(), 1.7e9);
    let train = [
        "train",
        "wave.toml",
        "--out",
        "run",
        "--set",
        "train.steps=2",
    ];
    let said = minrnn(dir.path(), &train);
    assert!(
        said.err
            .contains("warning: feature `clock` is 1700000000 in all"),
        "{}",
        said.err
    );
    let csv = dir.path().join("wave.csv");
    let text = fs::read_to_string(&csv).unwrap();
    fs::write(&csv, text.replacen("0,1700000003,", "0,soon,", 1)).unwrap();
    let said = minrnn(dir.path(), &["train", "wave.toml", "--out", "other"]);
    assert_eq!(said.code, Some(2), "{}", said.shown());
    assert!(
        said.err.contains("wave.csv, row 5, column 'clock': 'soon'"),
        "{}",
        said.err
    );
    fs::write(&csv, text.replacen("level", "lvl", 1)).unwrap();
    let said = minrnn(dir.path(), &["train", "wave.toml", "--out", "other"]);
    assert!(
        said.err.contains("there is no column 'level'"),
        "{}",
        said.err
    );
}

/// Training on all data is what somebody may want.
#[test]
fn without_a_validation_part_the_last_checkpoint_is_what_a_run_leaves() {
    let dir = tempfile::tempdir().unwrap();
    wave(dir.path(), 0.0);
    let none = [
        "--set",
        "task.validation_fraction=0",
        "--set",
        "train.steps=8",
    ];
    let train = |more: &[&str]| {
        let command = ["train", "wave.toml", "--out", "run"];
        minrnn(dir.path(), &[&command[..], &none, more].concat())
    };
    let ran = train(&[]);
    assert!(
        ran.code == Some(2) && ran.err.contains("option `train.eval_every`"),
        "{}",
        ran.shown()
    );
    let ran = train(&["--set", "train.eval_every=0"]);
    assert!(
        ran.err.contains("note: the task has no validation part"),
        "{}",
        ran.shown()
    );
    let out = ran.good();
    assert!(
        out.contains("run/last; without a validation part there is no best"),
        "{out}"
    );
    assert!(
        out.contains("minrnn export run/last --out run/export"),
        "{out}"
    );
    minrnn(dir.path(), &["export", "run/last", "--out", "run/export"]).good();
    let ran = minrnn(dir.path(), &["export", "run", "--out", "other"]);
    assert!(ran.err.contains("give run/last"), "{}", ran.shown());
}

/// Other losses of a step: evaluations stay what they are, and what does not fit is refused with its line.
#[test]
fn a_step_makes_the_loss_small_that_is_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    wave(dir.path(), 0.0);
    labelled(dir.path());
    let train = |file: &str, out: &str, sets: &[&str]| {
        let sets = sets.iter().flat_map(|set| ["--set", *set]);
        let args: Vec<&str> = ["train", file, "--out", out]
            .into_iter()
            .chain(sets)
            .collect();
        minrnn(dir.path(), &args)
    };
    let lines = |out: &str| -> Vec<Json> {
        let log = fs::read_to_string(dir.path().join(out).join("metrics.jsonl")).unwrap();
        log.lines()
            .map(|l| serde_json::from_str(l).unwrap())
            .collect()
    };
    let first = |out: &str| lines(out)[0]["loss"].as_f64().unwrap();
    let last = |out: &str| lines(out).last().unwrap()["loss"].as_f64().unwrap();
    let steps = "train.steps=100";
    for (out, loss) in [
        ("mse", "{}"),
        ("mae", "{kind='mae'}"),
        ("huber", "{kind='huber',delta=0.5}"),
    ] {
        train("wave.toml", out, &[steps, &format!("train.loss={loss}")]).good();
        // The variance of the wave is 312: they all learn it, and evaluations are in its square.
        assert!((1.0..200.0).contains(&last(out)), "{out}: {}", last(out));
    }
    // Of the same weights and batch: (e^2)/2 at most, and |e| is between.
    assert!(first("huber") < first("mae") && first("huber") < 0.5 * first("mse"));
    let weighted = "train.loss={class_weights=[1.0,2.0,4.0],label_smoothing=0.1}";
    train("labelled.toml", "weighted", &[weighted]).good();
    train("labelled.toml", "plain", &[]).good();
    assert_ne!(first("weighted"), first("plain"));
    assert!(last("weighted") < 1.0, "{}", last("weighted"));
    // A run goes on with another loss, and says so.
    let resume = [
        "train",
        "labelled.toml",
        "--out",
        "plain",
        "--resume",
        "--set",
        weighted,
        "--set",
        "train.steps=44",
    ];
    let ran = minrnn(dir.path(), &resume);
    assert!(
        ran.err.contains("train.loss.label_smoothing"),
        "{}",
        ran.shown()
    );
    ran.good();
    for (file, set, words) in [
        (
            "wave.toml",
            "train.loss={label_smoothing=0.1}",
            "`train.loss.label_smoothing`: is of classes",
        ),
        (
            "labelled.toml",
            "train.loss={kind='huber'}",
            "`train.loss.kind`: is huber, and the task has classes",
        ),
        (
            "labelled.toml",
            "train.loss={class_weights=[1.0,2.0]}",
            "has 2 numbers, and the task has 3 classes",
        ),
        (
            "wave.toml",
            "train.loss={delta=1.0}",
            "`train.loss.delta`: is of kind",
        ),
        ("wave.toml", "train.loss={gamma=1.0}", "gamma"),
    ] {
        let ran = train(file, "none", &[set]);
        assert!(
            ran.code == Some(2) && ran.err.contains(words),
            "{}",
            ran.shown()
        );
    }
}

/// The same weights from arrays on disk and in memory; with states that are carried on, and after a stop.
#[test]
fn long_sequences_train_from_disk_and_piece_by_piece() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let npy = |shape: &str, values: &[f32]| -> Vec<u8> {
        let header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({shape}), }}\n");
        let length = (header.len() as u16).to_le_bytes();
        let values = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        [
            b"\x93NUMPY\x01\x00".to_vec(),
            length.to_vec(),
            header.into_bytes(),
            values,
        ]
        .concat()
    };
    let wave: Vec<f32> = (0..12 * 40).map(|i| (i as f32 * 0.3).sin()).collect();
    let next: Vec<f32> = (0..12 * 40).map(|i| 5.0 + (i as f32 * 0.3).cos()).collect();
    fs::write(at.join("x.npy"), npy("12, 40, 1", &wave)).unwrap();
    fs::write(at.join("y.npy"), npy("12, 40", &next)).unwrap();
    let toml = "[task]\nkind = 'sequences'\npath = 'x.npy'\nlabels_path = 'y.npy'\ntarget = 'values'\nper = 'step'\nvalidation_fraction = 0.25\nseq_len = 16\n\
                [model]\nwidth = 8\nlayers = 1\n[train]\nsteps = 12\nbatch = 3\nlr = 1e-2\neval_every = 4\ndecay = 'constant'\ncarry_state = true\n";
    fs::write(at.join("long.toml"), toml).unwrap();
    let train = |out: &str, more: &[&str]| {
        minrnn(at, &[&["train", "long.toml", "--out", out], more].concat()).good();
    };
    let disk = ["--set", "task.from_disk=true"];
    train("memory", &[]);
    train("disk", &disk);
    train("half", &[&disk[..], &["--set", "train.steps=5"]].concat());
    // The other way of reading is no other data.
    train("half", &["--resume"]);
    let weights = |run: &str| fs::read(at.join(run).join("last/model.safetensors")).unwrap();
    assert_eq!(weights("disk"), weights("memory"));
    assert_eq!(weights("half"), weights("memory"));
    assert!(
        at.join("half/last/states.safetensors").exists()
            == at.join("memory/last/states.safetensors").exists()
    );
    for args in [
        &["eval", "disk", "--split", "validation"][..],
        &["report", "disk"],
        &["export", "disk", "--out", "export"],
    ] {
        minrnn(at, args).good();
    }
}
