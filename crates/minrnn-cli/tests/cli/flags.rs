//! Wrong use.

use crate::harness::{folder, minrnn, snapshot, trained};

fn wrong(name: &str, args: &[&str]) {
    let dir = folder();
    let ran = minrnn(dir.path(), args);
    assert_eq!(ran.code, Some(2), "{}", ran.shown());
    snapshot(name, &ran);
}

#[test]
fn no_command() {
    wrong("flags_no_command", &[]);
}

#[test]
fn unknown_command() {
    wrong("flags_unknown_command", &["trian", "tiny.toml"]);
}

#[cfg(not(feature = "cuda"))]
#[test]
fn a_build_without_cuda_says_so() {
    wrong("flags_cuda", &["train", "tiny.toml", "--device", "cuda:0"]);
    wrong("flags_bench", &["bench", "scan"]);
}

#[test]
fn unknown_devices() {
    wrong("flags_device", &["train", "tiny.toml", "--device", "tpu"]);
}

#[test]
fn sizes() {
    wrong(
        "flags_seq_len_zero",
        &["export", "run", "--out", "e", "--seq-len", "0"],
    );
    wrong(
        "flags_batch_word",
        &["export", "run", "--out", "e", "--batch", "many"],
    );
}

#[test]
fn unknown_form() {
    wrong(
        "flags_form",
        &["export", "run", "--out", "e", "--form", "sequential"],
    );
}

#[test]
fn temperature_below_zero() {
    wrong(
        "flags_temperature",
        &["generate", "run", "--temperature=-1"],
    );
    // No other option, and nothing to put behind `--`.
    let dir = folder();
    let ran = minrnn(dir.path(), &["generate", "run", "--temperature", "-1"]);
    assert_eq!(ran.code, Some(2), "{}", ran.shown());
    assert!(
        ran.err
            .contains("temperature: is -1; choose a number that is 0 or more")
            && !ran.err.contains("tip"),
        "{}",
        ran.shown()
    );
}

#[test]
fn missing_argument() {
    wrong("flags_missing_argument", &["run", "export"]);
}

/// What would change nothing is refused by name, and nothing is read: the checkpoint is not there.
#[test]
fn flags_of_export_that_nothing_uses() {
    let dir = folder();
    let all: [(&[&str], &str); 13] = [
        (&["--form", "step", "--lengths"], "--lengths"),
        (&["--form", "step", "--seq-len", "8"], "--seq-len"),
        (&["--form", "step", "--max-seq-len", "8"], "--max-seq-len"),
        (&["--form", "scan", "--lowering", "blocked"], "--lowering"),
        (&["--form", "scan", "--block", "8"], "--block"),
        (&["--lowering", "odd-even", "--block", "8"], "--block"),
        (
            &[
                "--target",
                "onnxruntime",
                "--lowering",
                "kogge-stone",
                "--block",
                "8",
            ],
            "--block",
        ),
        (&["--seq-len", "8", "--max-seq-len", "9"], "--max-seq-len"),
        (
            &["--lowering", "blocked-scan", "--max-seq-len", "9"],
            "--max-seq-len",
        ),
        (&["--activations", "row"], "--activations"),
        (&["--activations", "static"], "--activations"),
        (&["--eval-samples", "3"], "--eval"),
        (&["--set", "train.batch=3"], "--eval"),
    ];
    for (flags, name) in all {
        let ran = minrnn(
            dir.path(),
            &[&["export", "nowhere", "--out", "e"], flags].concat(),
        );
        assert_eq!(ran.code, Some(2), "{}", ran.shown());
        let says = ran.err.contains(name) && !ran.err.contains("nowhere");
        assert!(says && ran.err.starts_with("error: "), "{}", ran.shown());
        assert!(!dir.path().join("e").exists());
    }
    wrong(
        "flags_unused_block",
        &[
            "export", "nowhere", "--out", "e", "--form", "scan", "--block", "16",
        ],
    );
}

/// Other values that no checkpoint is needed for.
#[test]
fn values_that_make_no_file() {
    let dir = folder();
    for (flag, value, words) in [
        (
            "--opset",
            "12",
            "--opset: is 12; this exporter writes 13 to 28",
        ),
        ("--block", "1", "--block: is 1; must be between 2 and 256"),
        ("--max-seq-len", "0", "--max-seq-len: must be between 1 and"),
        ("--dtype", "int8", "--target portable takes weights of f32"),
    ] {
        let ran = minrnn(
            dir.path(),
            &["export", "nowhere", "--out", "e", flag, value],
        );
        assert_eq!(ran.code, Some(2), "{}", ran.shown());
        assert!(
            ran.err.starts_with(&format!("error: {words}")),
            "{}",
            ran.shown()
        );
    }
}

#[test]
fn a_seed_that_chooses_nothing() {
    wrong(
        "flags_unused_seed",
        &["generate", "run", "--temperature", "0", "--seed", "3"],
    );
}

#[test]
fn flags_of_bench_that_nothing_uses() {
    wrong("flags_bench_scan_profile", &["bench", "scan", "--profile"]);
    wrong(
        "flags_bench_profile",
        &["bench", "train", "--profile", "--only", "layer"],
    );
    wrong(
        "flags_bench_threads",
        &[
            "bench",
            "infer",
            "--quiet",
            "--quick",
            "--only",
            "controller",
            "--threads",
            "3",
        ],
    );
}

/// Of `verify`, `bench engines` and `generate`, before anything is read: none of the folders is there.
#[test]
fn flags_that_change_nothing_and_values_that_mean_nothing() {
    let dir = folder();
    let all: [(&[&str], &str); 15] = [
        (
            &["verify", "nowhere", "--python", "python3"],
            "--python would change nothing",
        ),
        (
            &["verify", "nowhere", "--engine", "tract", "--node", "node"],
            "--node would change nothing",
        ),
        (
            &["verify", "nowhere", "--engine-timeout", "60"],
            "--engine-timeout would change nothing",
        ),
        (
            &["verify", "a.onnx", "--against", "b.onnx", "--python", "p"],
            "--python would change nothing",
        ),
        (
            &[
                "verify", "nowhere", "--engine", "minrnn", "--engine", "minrnn",
            ],
            "--engine minrnn is given twice",
        ),
        (
            &[
                "bench", "engines", "nowhere", "--engine", "tract", "--python", "p",
            ],
            "--python would change nothing",
        ),
        (
            &["verify", "nowhere", "--budget", "nan"],
            "expected a number of at least 1, or inf",
        ),
        (
            &["verify", "nowhere", "--budget=-1"],
            "expected a number of at least 1, or inf",
        ),
        (
            &["verify", "nowhere", "--budget", "0"],
            "expected a number of at least 1, or inf",
        ),
        (
            &["verify", "nowhere", "--max-len", "0"],
            "expected a whole number of at least 1",
        ),
        (
            &["verify", "nowhere", "--probe-len", "0"],
            "expected a whole number of at least 1",
        ),
        (
            &["verify", "a.onnx", "--against", "b.onnx", "--input", "x="],
            "expected NAME=DIMS",
        ),
        (
            &["generate", "nowhere", "--length", "0"],
            "expected a whole number of at least 1",
        ),
        (
            &[
                "export",
                "nowhere",
                "--out",
                "e",
                "--eval",
                "--set",
                "train.seed=1",
            ],
            "--set train.seed would change nothing",
        ),
        (
            &["bench", "engines", "nowhere", "--max-len", "0"],
            "expected a number from 1",
        ),
    ];
    for (args, words) in all {
        let ran = minrnn(dir.path(), args);
        assert_eq!(ran.code, Some(2), "{}", ran.shown());
        assert!(ran.err.contains(words), "{}", ran.shown());
        assert!(
            !ran.err.contains("no such file") && !ran.err.contains("cannot read"),
            "{}",
            ran.shown()
        );
    }
}

/// What a configuration says and the run does not use, with its line; and more than there is.
#[test]
fn keys_that_change_nothing() {
    let dir = folder();
    let train = |set: &str| {
        let args = [
            "train",
            "tiny.toml",
            "--out",
            "run",
            "--set",
            "train.steps=2",
            "--set",
            set,
        ];
        minrnn(
            dir.path(),
            &[&args[..], &["--set", "train.warmup_steps=1"]].concat(),
        )
    };
    for (set, words) in [
        (
            "train.tuned=true",
            "--set train.tuned=true: option `train.tuned`: chooses among a GPU's",
        ),
        (
            "train={eval_every=0, eval_samples=3}",
            "option `train.eval_samples`: is of evaluations on the way",
        ),
        (
            "train={eval_every=0, stop_at_accuracy=0.5}",
            "option `train.stop_at_accuracy`: only an evaluation",
        ),
        (
            "train={decay='constant', min_lr=1e-4}",
            "option `train.min_lr`: is where a cosine ends",
        ),
    ] {
        let ran = train(set);
        assert_eq!(ran.code, Some(2), "{}", ran.shown());
        assert!(ran.err.contains(words), "{}", ran.shown());
        assert!(!dir.path().join("run").exists());
    }
    let ran = train("train.eval_samples=100000");
    let says = ran
        .err
        .contains("note: train.eval_samples is 100000, and the validation part has");
    assert!(ran.code == Some(0) && says, "{}", ran.shown());
    let args = [
        "export",
        "run",
        "--out",
        "e",
        "--form",
        "step",
        "--eval",
        "--eval-samples",
        "100000",
    ];
    let ran = minrnn(dir.path(), &args);
    let says = ran
        .err
        .contains("note: --eval-samples 100000: the validation part has");
    assert!(ran.code == Some(0) && says, "{}", ran.shown());
}

/// Files of one T leave nothing to choose.
#[test]
fn lengths_of_files_that_have_one() {
    let dir = trained();
    let args = [
        "export",
        "run",
        "--out",
        "fixed",
        "--form",
        "scan",
        "--seq-len",
        "4",
    ];
    minrnn(dir.path(), &args).good();
    for flag in ["--max-len", "--budget"] {
        let ran = minrnn(dir.path(), &["verify", "fixed", flag, "3"]);
        assert_eq!(ran.code, Some(2), "{}", ran.shown());
        let words = format!("{flag} would change nothing: the files take T = 4 only");
        assert!(ran.err.contains(&words), "{}", ran.shown());
    }
}
