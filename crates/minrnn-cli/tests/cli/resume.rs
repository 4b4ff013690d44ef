//! Runs that go on, begin anew, or begin from the weights of another one.

use std::fs;
use std::path::Path;

use serde_json::Value as Json;

use crate::harness::{Ran, folder, minrnn, snapshot, trained};

fn train(dir: &Path, args: &[&str]) -> Ran {
    minrnn(dir, &[&["train", "tiny.toml"], args].concat())
}

fn json(path: &Path) -> Json {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// The text with one character in the place of another: ids and shapes fit, and mean something else.
fn other_text(dir: &Path) {
    let text = fs::read_to_string(dir.join("harbour.txt")).unwrap();
    fs::write(dir.join("other.txt"), text.replace('w', "é")).unwrap();
}

const OTHER: [&str; 2] = ["--set", "task.path=\"other.txt\""];

#[test]
fn another_text_and_another_model_are_refused_with_all_differences() {
    let dir = trained();
    other_text(dir.path());
    let before = fs::read(dir.path().join("run/last/vocabulary.json")).unwrap();
    let model = [
        "--set",
        "model.residual=false",
        "--set",
        "model.cell.candidate=\"linear\"",
    ];
    let ran = train(
        dir.path(),
        &[&["--out", "run", "--resume"], &OTHER[..], &model].concat(),
    );
    assert_eq!(ran.code, Some(2), "{}", ran.shown());
    snapshot("train_resume_other_meaning", &ran);
    assert_eq!(
        fs::read(dir.path().join("run/last/vocabulary.json")).unwrap(),
        before
    );
}

#[test]
fn new_data_is_asked_for_by_name() {
    let dir = trained();
    let text = fs::read_to_string(dir.path().join("harbour.txt")).unwrap();
    fs::write(dir.path().join("other.txt"), &text[text.len() / 2..]).unwrap();
    let resume = [
        &["--out", "run", "--resume", "--set", "train.steps=70"],
        &OTHER[..],
    ]
    .concat();
    let ran = train(dir.path(), &resume);
    assert_eq!(ran.code, Some(2), "{}", ran.shown());
    assert!(
        ran.err.contains("--new-data goes on with others"),
        "{}",
        ran.err
    );
    let ran = train(dir.path(), &[&resume[..], &["--new-data"]].concat());
    assert_eq!(ran.code, Some(0), "{}", ran.shown());
    assert!(
        ran.err
            .contains("note: the data are others than those of the checkpoint"),
        "{}",
        ran.err
    );
    // From here on these are the run's data, and nothing is new.
    let again = [
        &resume[..2],
        &["--resume", "--set", "train.steps=80"],
        &OTHER[..],
        &["--new-data"],
    ]
    .concat();
    let ran = train(dir.path(), &again);
    assert_eq!(ran.code, Some(2), "{}", ran.shown());
    assert!(
        ran.err
            .contains("`--new-data`: nothing is new: the data are those of the checkpoint"),
        "{}",
        ran.err
    );
    // What --new-data does not help with does not offer it.
    fs::write(dir.path().join("other.txt"), text + "\u{fb}").unwrap();
    let ran = train(dir.path(), &again);
    assert_eq!(ran.code, Some(2), "{}", ran.shown());
    let offers = ran.err.contains("--new-data");
    assert!(
        ran.err.contains("no other tokens, whatever the data") && !offers,
        "{}",
        ran.err
    );
}

#[test]
fn a_changed_schedule_is_told() {
    let dir = trained();
    let ran = train(
        dir.path(),
        &[
            "--out",
            "run",
            "--resume",
            "--set",
            "train.steps=64",
            "--set",
            "train.batch=4",
        ],
    );
    assert_eq!(ran.code, Some(0), "{}", ran.shown());
    let notes: Vec<&str> = ran
        .err
        .lines()
        .filter(|l| l.starts_with("note: "))
        .collect();
    let wanted = [
        "note: changed at step 60: train.batch 8 -> 4, train.steps 60 -> 64",
        "note: learning rate of the next step, 60: 1.1",
        "note: training goes on with sample 480, 4 a step",
        "note: from step 60 on the run is no longer, bit for bit, the one without these changes: train.batch, the learning rate",
    ];
    assert_eq!(notes.len(), wanted.len(), "{notes:#?}");
    for (note, wanted) in notes.iter().zip(wanted) {
        assert!(note.starts_with(wanted), "{note}");
    }
}

/// Killed between its beginning and its first checkpoint.
#[test]
fn a_run_without_a_checkpoint_begins_anew_or_is_resumed() {
    let dir = folder();
    let run = dir.path().join("run");
    let log = "{\"event\":\"step\",\"step\":0,\"loss\":3.5}\n{\"event\":\"st";
    for resume in [&[][..], &["--resume"]] {
        fs::create_dir(&run).unwrap();
        fs::write(run.join("metrics.jsonl"), log).unwrap();
        fs::write(run.join("notes.txt"), "mine").unwrap();
        let ran = train(
            dir.path(),
            &[&["--out", "run", "--set", "train.steps=20"], resume].concat(),
        );
        assert_eq!(ran.code, Some(0), "{}", ran.shown());
        assert_eq!(
            ran.err
                .contains("run has no checkpoint yet; beginning at step 0"),
            !resume.is_empty(),
            "{}",
            ran.err
        );
        let text = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
        assert!(
            !text.contains("3.5}") && text.lines().count() == 21,
            "{text}"
        );
        assert_eq!(fs::read_to_string(run.join("notes.txt")).unwrap(), "mine");
        fs::remove_dir_all(&run).unwrap();
    }
    // Somebody's log is not.
    fs::create_dir(&run).unwrap();
    fs::write(run.join("metrics.jsonl"), "{\"loss\": 1}\n").unwrap();
    for resume in [&[][..], &["--resume"]] {
        let ran = train(dir.path(), &[&["--out", "run"], resume].concat());
        assert_eq!(ran.code, Some(2), "{}", ran.shown());
    }
    assert_eq!(
        fs::read_to_string(run.join("metrics.jsonl")).unwrap(),
        "{\"loss\": 1}\n"
    );
}

#[test]
fn a_run_whose_last_is_lost_goes_on_from_best() {
    let dir = trained();
    fs::remove_dir_all(dir.path().join("run/last")).unwrap();
    let ran = train(dir.path(), &["--out", "run"]);
    assert_eq!(ran.code, Some(2), "{}", ran.shown());
    let ran = train(dir.path(), &["--out", "run", "--resume"]);
    assert_eq!(ran.code, Some(0), "{}", ran.shown());
    assert!(
        ran.err.contains("run has no last; going on from best"),
        "{}",
        ran.err
    );
}

#[test]
fn files_of_others_in_a_checkpoint_are_in_nobodys_way() {
    let dir = trained();
    for name in ["last", "best"] {
        fs::write(dir.path().join("run").join(name).join(".DS_Store"), name).unwrap();
    }
    let args = [
        "--out",
        "run",
        "--resume",
        "--set",
        "train.steps=100",
        "--set",
        "train.eval_every=10",
    ];
    let ran = train(dir.path(), &args);
    assert_eq!(ran.code, Some(0), "{}", ran.shown());
    let last = dir.path().join("run/last");
    assert_eq!(json(&last.join("trainer_state.json"))["step"], 100);
    assert_eq!(
        json(&dir.path().join("run/best/trainer_state.json"))["step"],
        json(&last.join("trainer_state.json"))["best"]["step"]
    );
    for name in ["last", "best"] {
        let path = dir.path().join("run").join(name).join(".DS_Store");
        assert_eq!(fs::read_to_string(path).unwrap(), name);
    }
}

#[test]
fn a_new_run_begins_from_a_checkpoint_and_needs_no_model() {
    let dir = trained();
    let text = fs::read_to_string(dir.path().join("harbour.txt")).unwrap();
    fs::write(dir.path().join("other.txt"), &text[text.len() / 2..]).unwrap();
    let config = "[task]\nkind = \"text\"\npath = \"other.txt\"\nseq_len = 24\nvalidation_fraction = 0.2\n\
                  [train]\nsteps = 10\nbatch = 8\nlr = 1e-4\n";
    fs::write(dir.path().join("tune.toml"), config).unwrap();
    let tune = |args: &[&str]| {
        minrnn(
            dir.path(),
            &[&["train", "tune.toml", "--out", "tuned"], args].concat(),
        )
    };
    let ran = tune(&["--from", "run", "--set", "model.dropout=0.1"]);
    assert_eq!(ran.code, Some(0), "{}", ran.shown());
    assert!(
        ran.err.contains("from the weights of run/best"),
        "{}",
        ran.err
    );
    let read = |file: &str| fs::read(dir.path().join(file)).unwrap();
    assert_eq!(
        read("tuned/last/vocabulary.json"),
        read("run/best/vocabulary.json")
    );
    let model = |run: &str| json(&dir.path().join(run).join("last/config.json"))["model"].clone();
    let (mut tuned, first) = (model("tuned"), model("run"));
    assert_eq!(tuned["dropout"], 0.1);
    tuned["dropout"] = first["dropout"].clone();
    assert_eq!(tuned, first);
    // Weights that were trained on the same language begin far below chance.
    let log = fs::read_to_string(dir.path().join("tuned/metrics.jsonl")).unwrap();
    let step: Json = serde_json::from_str(log.lines().next().unwrap()).unwrap();
    let chance = (model("run")["input"]["vocab"].as_f64().unwrap()).ln();
    assert!(
        step["loss"].as_f64().unwrap() < 0.9 * chance,
        "{step} {chance}"
    );
    // It goes on like any run, without the model being written too.
    let ran = tune(&[
        "--resume",
        "--set",
        "train.steps=12",
        "--set",
        "model.dropout=0.1",
    ]);
    assert_eq!(ran.code, Some(0), "{}", ran.shown());
    // And what cannot be.
    let bad = |name: &str, args: &[&str]| {
        let ran = tune(args);
        assert_eq!(ran.code, Some(2), "{}", ran.shown());
        snapshot(name, &ran);
    };
    bad("train_from_and_resume", &["--from", "run", "--resume"]);
    bad("train_new_data_alone", &["--new-data"]);
    other_text(dir.path());
    let ran = train(
        dir.path(),
        &[
            &[
                "--out",
                "third",
                "--from",
                "run",
                "--set",
                "model.norm=\"none\"",
            ],
            &OTHER[..],
        ]
        .concat(),
    );
    assert_eq!(ran.code, Some(2), "{}", ran.shown());
    assert!(!dir.path().join("third").exists());
    snapshot("train_from_other_meaning", &ran);
}

/// The first checkpoint is there before the first step: --resume never begins with other weights.
#[test]
fn a_run_from_weights_has_them_from_its_first_moment() {
    let dir = trained();
    let ran = train(
        dir.path(),
        &[
            "--out",
            "next",
            "--from",
            "run",
            "--set",
            "train.steps=4",
            "--set",
            "train.lr=1e30",
            "--set",
            "train.warmup_steps=0",
        ],
    );
    assert_eq!(ran.code, Some(2), "{}", ran.shown());
    let next = dir.path().join("next/last");
    assert_eq!(json(&next.join("trainer_state.json"))["step"], 0);
    let read = |path: &Path| fs::read(path.join("model.safetensors")).unwrap();
    assert_eq!(read(&next), read(&dir.path().join("run/best")));
}

#[test]
fn figures_of_an_export_are_of_the_same_characters() {
    let dir = trained();
    other_text(dir.path());
    let export = |args: &[&str]| {
        let all = [
            "export",
            "run",
            "--out",
            "narrow",
            "--dtype",
            "f16",
            "--target",
            "tract",
            "--eval",
            "tiny.toml",
        ];
        minrnn(dir.path(), &[&all[..], args].concat())
    };
    let ran = export(&OTHER);
    assert_eq!(ran.code, Some(2), "{}", ran.shown());
    assert!(!dir.path().join("narrow").exists());
    snapshot("export_eval_other_text", &ran);
    // Fewer characters, whose numbers in a vocabulary of their own would be others.
    let text = fs::read_to_string(dir.path().join("harbour.txt")).unwrap();
    let some = text.replace('T', "t");
    fs::write(dir.path().join("other.txt"), some).unwrap();
    let loss = |out: String| {
        let row = out.lines().find(|line| line.contains("checkpoint "));
        let mut words = row.unwrap().split_whitespace();
        words.find_map(|word| word.parse::<f64>().ok()).unwrap()
    };
    let whole = loss(export(&[]).good());
    let part = loss(export(&OTHER).good());
    assert!((part - whole).abs() < 0.3, "{part} {whole}");
}

/// The best so far is a checkpoint: where that is gone, a number of it would name a folder that is not there.
#[test]
fn a_best_that_is_gone_is_forgotten_and_made_anew() {
    let dir = trained();
    let run = dir.path().join("run");
    fs::remove_dir_all(run.join("best")).unwrap();
    let ran = minrnn(dir.path(), &["export", "run", "--out", "other"]);
    assert!(
        ran.code == Some(2) && ran.err.contains("nothing trains there; give run/last"),
        "{}",
        ran.shown()
    );
    let more = ["--out", "run", "--resume", "--set", "train.steps=64"];
    // At this rate nothing gets better.
    let ran = train(dir.path(), &[&more[..], &["--set", "train.lr=3"]].concat());
    assert!(
        ran.err
            .contains("note: run/best is gone, the checkpoint of the best loss so far"),
        "{}",
        ran.shown()
    );
    assert_eq!(ran.code, Some(0), "{}", ran.shown());
    let step = &json(&run.join("best/trainer_state.json"))["best"]["step"];
    let told = format!("after step {step}");
    assert!(
        ran.out.contains(&told) && step.as_u64() > Some(60),
        "{}",
        ran.shown()
    );
    minrnn(dir.path(), &["export", "run/best", "--out", "other"]).good();
}
