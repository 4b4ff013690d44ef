//! Outputs over each other, and over what is read: refused before anything is written.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::harness::{minrnn, minrnn_with, snapshot, trained};

/// Content of all files.
fn all(dir: &Path, found: &mut BTreeMap<PathBuf, Vec<u8>>) {
    for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
        match entry.path().is_dir() {
            true => all(&entry.path(), found),
            false => drop(found.insert(entry.path(), fs::read(entry.path()).unwrap())),
        }
    }
}

fn content(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    all(dir, &mut found);
    found
}

#[test]
fn no_output_lies_over_another_or_over_what_is_read() {
    let dir = trained();
    let run = ["run", "export", "--input", "ids.npy"];
    fs::write(dir.path().join("ids.npy"), "not looked at").unwrap();
    fs::write(dir.path().join("w.pt"), "not looked at").unwrap();
    fs::create_dir(dir.path().join("made")).unwrap();
    fs::write(dir.path().join("made/config.json"), "{\"import\": {}}").unwrap();
    fs::write(dir.path().join("made/model.safetensors"), "mine").unwrap();
    let step = "export/model.step.onnx";
    let scan = "export/model.scan.onnx";
    let pair = ["verify", "--sequence", scan, "--step", step];
    let cases: Vec<(Vec<&str>, &str)> = vec![
        (
            [&run[..], &["--out", "f", "--save-state", "./f"]].concat(),
            "--save-state and --out both write",
        ),
        ([&run[..], &["--out", "ids.npy"]].concat(), "(--input)"),
        (
            [&run[..], &["--save-state", "run/../ids.npy"]].concat(),
            "(--input)",
        ),
        ([&run[..], &["--out", step]].concat(), "(EXPORT_DIR)"),
        (
            [&run[..], &["--state", "s", "--out", "s"]].concat(),
            "(--state)",
        ),
        (
            [
                &run[..],
                &["--lengths", "ids.npy", "--out", "export/manifest.json"],
            ]
            .concat(),
            "(EXPORT_DIR)",
        ),
        (
            vec!["verify", "export", "--json", "v", "--report", "v"],
            "--json and --report both write v",
        ),
        (
            vec!["verify", "export", "--json", "export/manifest.json"],
            "(EXPORT_DIR)",
        ),
        (
            vec!["verify", "export", "--report", "export/README.md"],
            "(EXPORT_DIR)",
        ),
        (
            vec![
                "verify",
                "export",
                "--checkpoint",
                "run",
                "--report",
                "run/best/config.json",
            ],
            "(--checkpoint)",
        ),
        (
            vec!["verify", "export", "--json", "export"],
            "export is a folder",
        ),
        ([&pair[..], &["--json", step]].concat(), "(--step)"),
        ([&pair[..], &["--json", scan]].concat(), "(--sequence)"),
        (
            vec!["verify", scan, "--against", scan, "--json", scan],
            "(EXPORT_DIR)",
        ),
        (
            vec!["bench", "infer", "export", "--json", step],
            "(EXPORT_DIR)",
        ),
        (
            vec![
                "bench", "engines", "export", "--json", "p.md", "--out", "p.md",
            ],
            "--out and --json both write p.md",
        ),
        (vec!["bench", "scan", "--json", "run"], "run is a folder"),
        (vec!["import", "w.pt", "--out", "w.pt"], "(FILE)"),
        (
            vec!["import", "made/model.safetensors", "--out", "made"],
            "(FILE)",
        ),
        (
            vec!["import", "w.pt", "--vocab", "made/v.json", "--out", "made"],
            "(--vocab)",
        ),
        (
            vec!["export", "run/best", "--out", "run/best"],
            "(CHECKPOINT)",
        ),
        (vec!["export", "run", "--out", "run"], "(CHECKPOINT)"),
        (
            vec![
                "train",
                "tiny.toml",
                "--out",
                "new",
                "--set",
                "task.path='new/last/text'",
            ],
            "(task.path)",
        ),
    ];
    let before = content(dir.path());
    for (args, words) in cases {
        let ran = minrnn(dir.path(), &args);
        assert_eq!(ran.code, Some(2), "{}", ran.shown());
        assert!(
            ran.out.is_empty() && ran.err.contains(words),
            "{}",
            ran.shown()
        );
        assert!(content(dir.path()) == before, "{}", ran.shown());
    }
    let args = [&run[..], &["--out", "export/manifest.json"]].concat();
    snapshot("outputs_over_input", &minrnn(dir.path(), &args));
    let args = ["verify", "export", "--json", "run/../v", "--report", "v"];
    snapshot("outputs_twice", &minrnn(dir.path(), &args));
}

/// A stream goes on in the place of its state; a report may lie beside an export's own files, again and again.
#[test]
fn what_is_meant_to_be_replaced_is() {
    let dir = trained();
    let begin = ["run", "export", "--input", "-", "--save-state", "s"];
    let whole = minrnn_with(dir.path(), &["run", "export", "--input", "-"], "3 1 4").good();
    let mut parts = minrnn_with(dir.path(), &begin, "3 1").good();
    let go = [&begin[..], &["--state", "s", "--form", "step"]].concat();
    parts += &minrnn_with(dir.path(), &go, "4").good();
    assert_eq!(parts.lines().count(), whole.lines().count());
    let [a, b] = ["export/model.scan.onnx", "export/model.parallel.onnx"];
    let json = "export/report.json";
    let args = [
        "verify",
        a,
        "--against",
        b,
        "--max-len",
        "2",
        "--json",
        json,
    ];
    for _ in 0..2 {
        minrnn(dir.path(), &args).good();
    }
}

#[cfg(unix)]
#[test]
fn links_are_written_through_and_devices_stay() {
    use std::os::unix::fs::{FileTypeExt, symlink};
    let dir = trained();
    fs::create_dir(dir.path().join("far")).unwrap();
    symlink("far/out.npy", dir.path().join("link.npy")).unwrap();
    let run = |more: &[&str]| {
        let args = [&["run", "export", "--input", "-"], more].concat();
        minrnn_with(dir.path(), &args, "3 1")
    };
    fs::write(dir.path().join("far/out.npy"), "").unwrap();
    run(&["--out", "link.npy", "--save-state", "/dev/null"]).good();
    assert!(dir.path().join("link.npy").is_symlink());
    assert!(
        fs::read(dir.path().join("far/out.npy"))
            .unwrap()
            .starts_with(b"\x93NUMPY")
    );
    run(&["--out", "/dev/null", "--save-state", "/dev/null"]).good();
    let null = fs::metadata("/dev/null").unwrap();
    assert!(null.file_type().is_char_device());
    // A hard link and a link to the input.
    fs::hard_link(dir.path().join("far/out.npy"), dir.path().join("hard.npy")).unwrap();
    for out in ["hard.npy", "link.npy"] {
        let args = ["run", "export", "--input", "far/out.npy", "--out", out];
        let ran = minrnn(dir.path(), &args);
        assert!(
            ran.code == Some(2) && ran.err.contains("(--input)"),
            "{}",
            ran.shown()
        );
    }
}
