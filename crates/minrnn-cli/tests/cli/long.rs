//! Long texts and long runs: streams, files on disk, averages, losses that are not finite, runs that are at their end.

use std::fs;
use std::path::Path;

use crate::harness::{Ran, folder, minrnn, trained};

fn train(dir: &Path, args: &[&str]) -> Ran {
    minrnn(dir, &[&["train", "tiny.toml"], args].concat())
}

#[test]
fn a_run_at_its_end_that_is_resumed_leaves_its_logs_as_they_are() {
    let dir = trained();
    let dir = dir.path();
    let again = ["--out", "run", "--resume", "--tensorboard"];
    // The event file begins here, and the last evaluation is its first event.
    train(dir, &again).good();
    let read = || {
        ["metrics.jsonl", "tensorboard/events.out.tfevents.0.minrnn"]
            .map(|f| fs::read(dir.join("run").join(f)).unwrap())
    };
    let first = read();
    let text = String::from_utf8(first[0].clone()).unwrap();
    let last = |line: &&str| line.contains("\"event\":\"eval\",\"step\":60");
    assert_eq!(text.lines().filter(last).count(), 1, "{text}");
    for _ in 0..2 {
        train(dir, &again).good();
        assert_eq!(read(), first);
    }
}

#[test]
fn streams_averages_and_roll_backs_are_told() {
    let dir = folder();
    let dir = dir.path();
    let args = [
        "--out",
        "run",
        "--set",
        "train.carry_state=true",
        "--set",
        "train.average={ decay = 0.9 }",
        "--set",
        "train.on_nan=\"roll_back\"",
        "--set",
        "train.roll_back_factor=1e-33",
        "--set",
        "train.lr=1e31",
        "--set",
        "train.warmup_steps=0",
        "--set",
        "train.batch=3",
    ];
    let ran = train(dir, &args);
    for words in [
        "is not finite; rolled back to step 0, learning rates times 0.000000000000000000000000000000001 from here on (roll back 1 of at most 3)",
        "(averaged weights)",
    ] {
        assert!(ran.err.contains(words), "{words}: {}", ran.shown());
    }
    let out = ran.good();
    assert!(
        out.contains("exponential average, decay 0.9; evaluated"),
        "{out}"
    );
    let log = fs::read_to_string(dir.join("run/metrics.jsonl")).unwrap();
    let backs = log
        .lines()
        .filter(|line| line.starts_with("{\"event\":\"roll_back\",\"step\":0"));
    assert_eq!(backs.count(), 1, "{log}");
    assert_eq!(
        log.lines()
            .filter(|l| l.contains("\"event\":\"step\""))
            .count(),
        60
    );
    for file in ["states.safetensors", "training.safetensors"] {
        assert!(dir.join("run/last").join(file).is_file(), "{file}");
    }
    // Whoever reads runs reads this one.
    minrnn(dir, &["report", "run", "--no-data"]).good();
    minrnn(dir, &["eval", "run", "--split", "validation"]).good();
    minrnn(dir, &["export", "run", "--out", "export"]).good();
    let card = fs::read_to_string(dir.join("export/README.md")).unwrap();
    let words = "exponential average with decay 0.9 of the weights after the steps 1 to ";
    assert!(card.contains(words), "{card}");
    let manifest: serde_json::Value =
        serde_json::from_slice(&fs::read(dir.join("export/manifest.json")).unwrap()).unwrap();
    let average = &manifest["average"];
    assert!(
        average["kind"] == "ema" && average["decay"] == 0.9 && average["first_step"] == 1,
        "{average}"
    );
    // What is held to the checkpoint: of another step the average is another one.
    let verify = |checkpoint: &str| {
        minrnn(
            dir,
            &[
                "verify",
                "export",
                "--checkpoint",
                checkpoint,
                "--max-len",
                "5",
                "--probe-len",
                "16",
            ],
        )
    };
    verify("run").good();
    let trainer = dir.join("run/best/trainer_state.json");
    let state = fs::read_to_string(&trainer).unwrap();
    let step: serde_json::Value = serde_json::from_str(&state).unwrap();
    assert_eq!(average["last_step"], step["step"]);
    minrnn(dir, &["export", "run", "--out", "again"]).good();
    let config = dir.join("run/best/config.json");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, text.replace("\"decay\": 0.9", "\"decay\": 0.8")).unwrap();
    let ran = verify("run");
    let said = "and the checkpoint that they are exponential average with decay 0.8";
    assert!(
        ran.code == Some(2) && ran.err.contains(said),
        "{}",
        ran.shown()
    );
    fs::write(&config, text).unwrap();
    // Without the weights themselves no training goes on, and an export says so.
    fs::remove_file(dir.join("run/best/training.safetensors")).unwrap();
    let ran = minrnn(dir, &["export", "run", "--out", "export"]);
    assert!(
        ran.err.contains("best has no training.safetensors"),
        "{}",
        ran.shown()
    );
    ran.good();
    let more = ["--resume", "--set", "train.steps=70"];
    let raw = dir.join("run/last/training.safetensors");
    let kept = fs::read(&raw).unwrap();
    fs::remove_file(&raw).unwrap();
    let ran = train(dir, &[&args[..], &more].concat());
    let said = "training.safetensors: is missing: config.json says that the weights of model.safetensors are an average";
    assert!(
        ran.code == Some(2) && ran.err.contains(said),
        "{}",
        ran.shown()
    );
    fs::write(&raw, kept).unwrap();
    let ran = train(dir, &[&args[..], &more].concat());
    assert!(!ran.err.contains("rolled back"), "{}", ran.shown());
    ran.good();
}

#[test]
fn a_text_on_disk_trains_the_same_model() {
    let dir = folder();
    let dir = dir.path();
    let short = ["--set", "train.steps=10", "--set", "train.eval_every=5"];
    train(dir, &[&["--out", "a"], &short[..]].concat()).good();
    let disk = ["--set", "task.from_disk=true"];
    train(dir, &[&["--out", "b"], &short[..], &disk].concat()).good();
    let read = |run: &str| fs::read(dir.join(run).join("last/model.safetensors")).unwrap();
    assert_eq!(read("a"), read("b"));
    // The one goes on as the other.
    let longer = [
        "--resume",
        "--set",
        "train.steps=15",
        "--set",
        "train.decay=\"constant\"",
    ];
    train(dir, &[&["--out", "a"], &longer[..], &disk].concat()).good();
    train(dir, &[&["--out", "b"], &longer[..]].concat()).good();
    assert_eq!(read("a"), read("b"));
}

#[test]
fn what_a_report_leaves_out_of_a_log_is_said() {
    let dir = trained();
    let dir = dir.path();
    let log = dir.join("run/metrics.jsonl");
    let text = fs::read_to_string(&log).unwrap();
    let (first, rest) = text.split_once('\n').unwrap();
    let loss = first
        .split_once("\"loss\":")
        .unwrap()
        .1
        .split_once(',')
        .unwrap()
        .0;
    let first = first.replace(loss, "null");
    fs::write(&log, format!("{first}\n{rest}{{\"event\":\"st")).unwrap();
    let ran = minrnn(dir, &["report", "run", "--no-data"]);
    let page = fs::read_to_string(dir.join("run/report.html")).unwrap();
    for words in [
        "is cut off, as by a crash, and left out",
        "1 of its 60 steps are without loss, rate or norm of the gradient (null, or missing), the first of them that of step 0",
    ] {
        assert!(ran.err.contains(words), "{words}: {}", ran.shown());
        assert!(page.contains(words), "{words}");
    }
    ran.good();
}
