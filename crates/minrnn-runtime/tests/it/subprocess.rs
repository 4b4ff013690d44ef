//! The example for files of strangers: its process ends, never the caller's.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Cargo builds a package's examples with its tests, beside them.
fn example(args: &[&str]) -> Output {
    let test = std::env::current_exe().unwrap();
    let target = test.parent().and_then(Path::parent).unwrap();
    let name = format!("subprocess{}", std::env::consts::EXE_SUFFIX);
    let path: PathBuf = target.join("examples").join(name);
    let run = Command::new(&path).args(args).output();
    run.unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn model() -> String {
    let root = env!("CARGO_MANIFEST_DIR");
    format!("{root}/../../models/copy-min-gru/export/model.step.onnx")
}

#[test]
fn a_good_file_runs_in_a_process_of_its_own() {
    let done = example(&[&model()]);
    assert!(done.status.success(), "{}", text(&done.stderr));
    let model = minrnn_runtime::Model::open(model()).unwrap();
    let mut session = minrnn_runtime::Session::new(model.into(), 1).unwrap();
    let text = text(&done.stdout);
    assert_eq!(text.lines().count(), 8);
    for (t, line) in text.lines().enumerate() {
        let own = session.step_tokens(&[t as i64]).unwrap().values;
        let other: Vec<f32> = line.split(' ').map(|v| v.parse().unwrap()).collect();
        assert_eq!(own, other, "step {t}");
    }
}

#[test]
fn a_bad_file_is_an_error_of_the_caller() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bad.onnx");
    std::fs::write(&path, b"\x08\x08not a graph").unwrap();
    let done = example(&[path.to_str().unwrap()]);
    assert_eq!(done.status.code(), Some(1), "{}", text(&done.stderr));
    assert!(text(&done.stderr).contains("the process that runs it ended"));
    assert!(done.stdout.is_empty());
}

/// Too little memory kills the other process, whatever it does about it.
#[cfg(unix)]
#[test]
fn a_limit_of_memory_ends_the_other_process_only() {
    let done = example(&[&model(), "4096"]);
    assert_eq!(done.status.code(), Some(1), "{}", text(&done.stderr));
    assert!(text(&done.stderr).contains("the process that runs it ended"));
}
