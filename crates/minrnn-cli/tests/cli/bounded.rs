//! Input without an end, and sizes that no machine has.

use std::fs;

use crate::harness::{Ran, folder, minrnn, minrnn_with, process, trained};

/// A refusal with words in it, of a length that somebody reads.
#[track_caller]
fn refused(ran: Ran, words: &[&str]) {
    assert_eq!(ran.code, Some(2), "{}", ran.shown());
    assert!(ran.err.len() < 20_000, "{} bytes", ran.err.len());
    for word in words {
        assert!(ran.err.contains(word), "{word:?} in {}", ran.shown());
    }
}

fn set<'a>(values: &[&'a str]) -> Vec<&'a str> {
    let sets = values.iter().flat_map(|v| ["--set", v]);
    ["train", "tiny.toml", "--out", "run"]
        .into_iter()
        .chain(sets)
        .collect()
}

#[test]
fn a_run_that_does_not_fit_into_memory_is_refused_with_the_numbers() {
    let dir = folder();
    let ran = minrnn(dir.path(), &set(&["model.width=160000"]));
    let words = [
        "--set model.width=160000: the training needs about ",
        " TB of memory: ",
        "parameters with gradients and moments",
        " are available; a smaller model",
        "--force begins nonetheless",
    ];
    refused(ran, &words);
    let ran = minrnn(
        dir.path(),
        &set(&["train.batch=1048576", "task.seq_len=100", "model.width=128"]),
    );
    let words = [
        "--set train.batch=1048576: the training needs about ",
        "of B = 1048576 sequences of T = 100 steps",
    ];
    refused(ran, &words);
    let text = fs::read_to_string(dir.path().join("tiny.toml")).unwrap();
    fs::write(
        dir.path().join("tiny.toml"),
        text.replace("width = 24", "width = 160000"),
    )
    .unwrap();
    refused(
        minrnn(dir.path(), &set(&[])),
        &["tiny.toml, line 8, column 1: the training needs"],
    );
    assert!(!dir.path().join("run").exists());
}

/// As `train` does, whatever opens data asks how much it would take. The file has holes, and takes no room.
#[test]
fn data_that_do_not_fit_into_memory_are_no_data_to_measure_with() {
    let dir = trained();
    let large = fs::File::create(dir.path().join("large.txt")).unwrap();
    large.set_len(1 << 42).unwrap();
    let words = "large.txt: its data need at least 8.8 TB of memory, and ";
    let narrow = ["--dtype", "int8", "--target", "onnxruntime"];
    let eval = ["--eval", "--set", "task.path='large.txt'"];
    let args = [&["export", "run", "--out", "again"][..], &narrow, &eval].concat();
    refused(minrnn(dir.path(), &args), &[words]);
    let train = ["train", "tiny.toml", "--out", "other", "--set", eval[2]];
    refused(minrnn(dir.path(), &train), &[words]);
}

/// What fits is trained, and `--force` asks nobody.
#[test]
fn force_is_taken_and_a_small_run_does_not_need_it() {
    let dir = folder();
    let text = fs::read_to_string(dir.path().join("harbour.txt")).unwrap();
    fs::write(dir.path().join("harbour.txt"), text.repeat(20)).unwrap();
    minrnn(dir.path(), &set(&["train.steps=7"])).good();
    fs::remove_dir_all(dir.path().join("run")).unwrap();
    minrnn(
        dir.path(),
        &[&set(&["train.steps=7"])[..], &["--force"]].concat(),
    )
    .good();
    // Too large for any machine, and yet nothing is left to do but the last evaluation, of the one window that there is.
    let more = ["--resume", "--set", "train.steps=7"];
    let large = set(&["train.batch=1048576", "task.seq_len=3000"]);
    let ran = minrnn(dir.path(), &[&large[..], &more].concat());
    refused(
        ran,
        &["the training needs about ", "of B = 1048576 sequences"],
    );
    let ran = minrnn(dir.path(), &[&large[..], &more, &["--force"]].concat());
    assert!(
        ran.err
            .contains("is at step 7, where the configuration ends (train.steps is 7)"),
        "{}",
        ran.shown()
    );
    ran.good();
}

#[cfg(unix)]
#[test]
fn devices_without_end_are_no_input() {
    let dir = trained();
    let run = |args: &[&str]| minrnn(dir.path(), args);
    refused(
        run(&["train", "/dev/zero"]),
        &["cannot read /dev/zero", "4 MiB"],
    );
    refused(
        run(&[
            "train",
            "tiny.toml",
            "--out",
            "n",
            "--set",
            "task.path='/dev/zero'",
        ]),
        &["/dev/zero", "256 MiB"],
    );
    refused(
        run(&[
            "verify",
            "--sequence",
            "a.onnx",
            "--step",
            "b.onnx",
            "--states",
            "/dev/zero",
        ]),
        &["/dev/zero", "16 MiB"],
    );
    fs::write(dir.path().join("w.pt"), "x").unwrap();
    refused(
        run(&["import", "w.pt", "--out", "i", "--vocab", "/dev/zero"]),
        &["/dev/zero", "64 MiB"],
    );
    refused(
        run(&["import", "/dev/zero", "--out", "i"]),
        &["/dev/zero", "256 MiB"],
    );
    refused(run(&["inspect", "/dev/zero"]), &["/dev/zero", "256 MiB"]);
    let mut command = process(dir.path(), &["run", "export", "--input", "-"]);
    let zero = fs::File::open("/dev/zero").unwrap();
    let output = command.stdin(zero).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        output.status.code() == Some(2) && said.contains("stdin: more than 64 MiB"),
        "{said}"
    );
}

#[test]
fn long_lines_do_not_come_back_as_long_errors() {
    let dir = trained();
    let long = "x".repeat(3 << 20);
    let write = |file: &str, text: String| fs::write(dir.path().join(file), text).unwrap();
    for text in [
        format!("{long} = 1"),
        format!("[task]\nkind = '{long}'\n[model]\n[train]"),
        long.clone(),
    ] {
        write("long.toml", text);
        refused(
            minrnn(dir.path(), &["train", "long.toml"]),
            &["long.toml, line "],
        );
    }
    let csv = format!("id,a,y\n1,0.5,0\n2,{long},1\n");
    write("long.csv", csv);
    let config = "[task]\nkind = 'sequences'\npath = 'long.csv'\nid_column = 'id'\nfeature_columns = ['a']\ntarget_columns = ['y']\n\
        target = 'classes'\nper = 'sequence'\n[model]\nwidth = 4\nlayers = 1\n[train]\nsteps = 1\nbatch = 1\nlr = 1e-3\n";
    write("csv.toml", config.to_owned());
    refused(
        minrnn(dir.path(), &["train", "csv.toml"]),
        &["long.csv, row 3, column 'a'"],
    );
    refused(
        minrnn_with(dir.path(), &["run", "export", "--input", "-"], &long),
        &["is no token id"],
    );
    let state = "run/last/trainer_state.json";
    write(state, format!("{{\"{long}\": 1}}"));
    let args = ["train", "tiny.toml", "--out", "run", "--resume"];
    refused(minrnn(dir.path(), &args), &["trainer_state.json"]);
    for file in [
        "run/best/config.json",
        "run/best/vocabulary.json",
        "export/manifest.json",
    ] {
        write(file, format!("[\"{long}\", {long}]"));
    }
    refused(
        minrnn(dir.path(), &["export", "run", "--out", "again"]),
        &["config.json"],
    );
    refused(
        minrnn(dir.path(), &["generate", "export"]),
        &["manifest.json"],
    );
}
