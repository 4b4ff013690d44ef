//! Folders that several programs use at the same time.
#![cfg(unix)]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::harness::{folder, minrnn, process, trained};
use crate::training::{ENDLESS, Training, state};

/// What a run looks like that was killed while `name` was replaced, or that replaces it now.
fn between_renames(run: &Path, name: &str) {
    let beside = |ending: &str| run.join(format!(".{name}.{ending}"));
    fs::rename(run.join(name), beside("new")).unwrap();
    fs::create_dir(beside("old")).unwrap();
    fs::write(beside("old").join("config.json"), "{").unwrap();
}

#[test]
fn a_checkpoint_that_is_between_two_names_is_read() {
    let dir = trained();
    let verify = |from: &str| {
        let args = [
            "verify",
            "export",
            "--checkpoint",
            from,
            "--max-len",
            "4",
            "--probe-len",
            "8",
        ];
        minrnn(dir.path(), &args).good();
    };
    let generate = |from: &str| {
        minrnn(
            dir.path(),
            &["generate", from, "--length", "5", "--temperature", "0"],
        )
        .good()
    };
    let text = generate("run");
    between_renames(&dir.path().join("run"), "best");
    for from in ["run", "run/best"] {
        minrnn(dir.path(), &["export", from, "--out", "again"]).good();
        assert_eq!(generate(from), text);
    }
    let manifest = |folder: &str| fs::read(dir.path().join(folder).join("manifest.json")).unwrap();
    assert!(manifest("again") == manifest("export"));
    verify("run");
    // `last`, for a resume.
    between_renames(&dir.path().join("run"), "last");
    let args = [
        "train",
        "tiny.toml",
        "--out",
        "run",
        "--resume",
        "--set",
        "train.steps=62",
    ];
    minrnn(dir.path(), &args).good();
}

/// One of them writes, the other is told; which is over first does not matter.
#[test]
fn two_exports_into_one_folder_at_once_are_one_too_many() {
    let dir = trained();
    let before = fs::read(dir.path().join("export/manifest.json")).unwrap();
    // An export that goes on has its mark, and the lock on it.
    let mark = fs::File::create(dir.path().join("export/.minrnn-export.lock")).unwrap();
    mark.lock().unwrap();
    let args = ["export", "run", "--out", "export"];
    let ran = minrnn(dir.path(), &args);
    assert_eq!(ran.code, Some(2), "{}", ran.shown());
    assert!(ran.err.contains("another export"), "{}", ran.shown());
    assert_eq!(
        fs::read(dir.path().join("export/manifest.json")).unwrap(),
        before
    );
    // A killed one has left its lock with its process.
    drop(mark);
    minrnn(dir.path(), &args).good();
    assert!(!dir.path().join("export/.minrnn-export.lock").exists());
    // Real ones: each is whole or refused, and the folder is an export.
    let begin = |_| process(dir.path(), &args).spawn().unwrap();
    let all: Vec<_> = (0..4).map(begin).collect();
    let codes: Vec<_> = all
        .into_iter()
        .map(|child| child.wait_with_output().unwrap().status.code())
        .collect();
    assert!(codes.contains(&Some(0)), "{codes:?}");
    assert!(
        codes.iter().all(|c| [Some(0), Some(2)].contains(c)),
        "{codes:?}"
    );
    minrnn(dir.path(), &["generate", "export", "--length", "3"]).good();
}

/// Before the first evaluation ends.
#[test]
fn a_run_without_its_best_says_what_can_be_read() {
    let dir = trained();
    fs::remove_dir_all(dir.path().join("run/best")).unwrap();
    for args in [
        &["generate", "run"][..],
        &["export", "run", "--out", "again"],
    ] {
        let ran = minrnn(dir.path(), args);
        assert_eq!(ran.code, Some(2));
        assert!(
            ran.err.contains("run has no best, which") && ran.err.contains("give run/last"),
            "{}",
            ran.shown()
        );
    }
    minrnn(dir.path(), &["generate", "run/last", "--length", "1"]).good();
}

#[test]
fn readers_read_what_a_training_writes() {
    let mut training = Training::begin();
    let all = (0..8).map(|i| {
        let from = ["run", "run/last"][i % 2];
        minrnn(training.dir.path(), &["generate", from, "--length", "1"])
    });
    let ran: Vec<_> = all.collect();
    assert!(training.goes_on());
    training.kill();
    ran.into_iter().for_each(|ran| drop(ran.good()));
}

#[test]
fn two_trainings_do_not_go_into_one_folder() {
    let mut first = Training::begin();
    let taken = format!(
        "error: process {} of minrnn is writing to run; wait until it ends, or choose another folder with --out\n",
        first.child.id()
    );
    let train = |more: &[&str]| minrnn(first.dir.path(), &[&ENDLESS[..], more].concat());
    for more in [&[][..], &["--resume"]] {
        let ran = train(more);
        assert_eq!(
            (ran.code, ran.err.as_str()),
            (Some(2), taken.as_str()),
            "{more:?}"
        );
    }
    // The lock is gone with the process, however that ends.
    first.kill();
    let run = first.dir.path();
    let set = format!("train.steps={}", state(run)["step"].as_u64().unwrap() + 7);
    minrnn(run, &[&ENDLESS[..4], &["--resume", "--set", &set]].concat()).good();
    let names = fs::read_dir(run.join("run")).unwrap();
    let mut names: Vec<_> = names
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["best", "last", "metrics.jsonl"]);
}

/// Before any data is read, let alone at the first save.
#[test]
fn what_is_in_the_way_of_a_checkpoint_is_told_before_a_training_begins() {
    for (name, args) in [
        (
            "run/best",
            &[
                "train",
                "tiny.toml",
                "--out",
                "run",
                "--set",
                "task.path='absent.txt'",
            ][..],
        ),
        (
            "run/.last.tmp",
            &["train", "tiny.toml", "--out", "run", "--resume"],
        ),
        ("made", &["import", "absent.pt", "--out", "made"]),
    ] {
        let dir = folder();
        if name.starts_with("run/") {
            fs::create_dir(dir.path().join("run")).unwrap();
            fs::write(dir.path().join("run/metrics.jsonl"), "").unwrap();
        }
        symlink("nowhere", dir.path().join(name)).unwrap();
        let ran = minrnn(dir.path(), args);
        let wanted =
            format!("error: checkpoint {name}: a link that leads nowhere has the name of a folder");
        assert_eq!(
            (ran.code, ran.err.starts_with(&wanted)),
            (Some(2), true),
            "{}",
            ran.shown()
        );
        assert!(dir.path().join(name).is_symlink());
    }
}

#[test]
fn a_training_that_does_not_begin_leaves_no_folder() {
    let dir = folder();
    let args = [
        "train",
        "tiny.toml",
        "--out",
        "run",
        "--set",
        "train.batch=0",
    ];
    assert_eq!(minrnn(dir.path(), &args).code, Some(2));
    assert!(!dir.path().join("run").exists());
    // Nor is one lost that was there, with what a killed one left.
    fs::create_dir(dir.path().join("run")).unwrap();
    fs::write(dir.path().join("run/.minrnn.lock"), "1").unwrap();
    assert_eq!(minrnn(dir.path(), &args).code, Some(2));
    assert!(dir.path().join("run").is_dir());
    minrnn(
        dir.path(),
        &[&args[..4], &["--set", "train.steps=7"]].concat(),
    )
    .good();
}
