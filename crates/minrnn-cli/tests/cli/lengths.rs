//! Rows that are padded: `run --lengths`.

use std::fs;
use std::path::Path;

use super::harness::{Ran, minrnn, trained};

/// Integers `[shape]` as .npy.
fn write_ints(path: &Path, shape: &str, values: &[i64]) {
    let mut header = format!("{{'descr': '<i8', 'fortran_order': False, 'shape': {shape}, }}");
    while (10 + header.len() + 1) % 64 != 0 {
        header.push(' ');
    }
    header.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend_from_slice(&(header.len() as u16).to_le_bytes());
    bytes.extend_from_slice(header.as_bytes());
    bytes.extend(values.iter().flat_map(|v| v.to_le_bytes()));
    std::fs::write(path, bytes).unwrap();
}

fn run(dir: &Path, args: &[&str]) -> Ran {
    minrnn(dir, &[&["run", "padded"], args].concat())
}

#[test]
fn padded_rows_end_at_their_own_steps_in_all_forms() {
    let dir = trained();
    let dir = dir.path();
    minrnn(dir, &["export", "run", "--out", "padded", "--lengths"]).good();
    let (first, second) = ([3, 1, 4, 1], [5, 9, 2, 6, 5, 3, 5]);
    let padded = [&first[..], &[0, 0, 0], &second].concat();
    write_ints(&dir.join("rows.npy"), "(2, 7)", &padded);
    write_ints(&dir.join("lengths.npy"), "(2,)", &[4, 7]);
    std::fs::write(dir.join("lengths.txt"), "4\n7\n").unwrap();
    write_ints(&dir.join("next.npy"), "(2, 1)", &[8, 8]);
    // Each row alone, without padding: its outputs, and those of one more step.
    let mut alone = String::new();
    let mut later = vec![];
    for (row, ids) in [&first[..], &second].into_iter().enumerate() {
        let shape = format!("(1, {})", ids.len());
        write_ints(&dir.join("row.npy"), &shape, ids);
        write_ints(&dir.join("one.npy"), "(1, 1)", &[8]);
        let own = ids.len().to_string();
        let args = [
            "--input",
            "row.npy",
            "--lengths",
            &own,
            "--form",
            "scan",
            "--save-state",
            "s",
        ];
        alone += if row == 0 { "" } else { "\n" };
        alone += &run(dir, &args).good();
        let args = [
            "--input",
            "one.npy",
            "--lengths",
            "1",
            "--form",
            "scan",
            "--state",
            "s",
        ];
        later.push(run(dir, &args).good());
    }
    for form in ["parallel", "scan", "step"] {
        for lengths in ["4,7", "lengths.npy", "lengths.txt"] {
            let args = [
                "--input",
                "rows.npy",
                "--lengths",
                lengths,
                "--form",
                form,
                "--save-state",
                "s",
            ];
            assert_eq!(run(dir, &args).good(), alone, "{form} {lengths}");
            let args = [
                "--input",
                "next.npy",
                "--lengths",
                "1,1",
                "--form",
                form,
                "--state",
                "s",
            ];
            assert_eq!(run(dir, &args).good(), later.join("\n"), "{form} {lengths}");
        }
    }
}

/// A model that answers once a row, untrained, with an input lengths.
fn answers_once() -> tempfile::TempDir {
    use minrnn_model::model::Model;
    use minrnn_model::params::Params;
    use minrnn_onnx::export::{DirOptions, write_export};
    let text = "width = 8\nlayers = 2\n[input]\nvocab = 10\n[head]\nwidth = 3\nsteps = \"last\"\n[conv]\nkernel = 3\n";
    let model = Model::from_config(&toml::from_str(text).unwrap()).unwrap();
    let params = Params::init(model.graph(), 5);
    let mut options = DirOptions::default();
    options.options.lengths = true;
    let dir = tempfile::tempdir().unwrap();
    write_export(&dir.path().join("padded"), &model, &params, &options).unwrap();
    dir
}

/// One answer a row: that of its own last step, whatever stands behind it.
#[test]
fn a_model_that_answers_once_answers_at_the_end_of_each_row() {
    let dir = answers_once();
    let dir = dir.path();
    let rows = [&[3, 1, 4][..], &[5], &[5, 9, 2, 6, 5, 3, 5]];
    let wanted: String = rows
        .iter()
        .map(|ids| {
            write_ints(&dir.join("row.npy"), &format!("(1, {})", ids.len()), ids);
            let own = ids.len().to_string();
            run(
                dir,
                &["--input", "row.npy", "--lengths", &own, "--form", "scan"],
            )
            .good()
        })
        .collect();
    assert_eq!(wanted.lines().count(), 3, "{wanted}");
    for padding in [0, 7, 10, -1] {
        let padded: Vec<i64> = rows
            .iter()
            .flat_map(|ids| ids.iter().copied().chain([padding; 7]).take(7))
            .collect();
        write_ints(&dir.join("rows.npy"), "(3, 7)", &padded);
        for form in ["parallel", "scan", "step"] {
            let args = ["--input", "rows.npy", "--lengths", "3,1,7", "--form", form];
            assert_eq!(
                run(dir, &args).good(),
                wanted,
                "{form}, padded with {padding}"
            );
        }
    }
    // Before its end, -1 is no token.
    for form in ["parallel", "scan", "step"] {
        let args = ["--input", "rows.npy", "--lengths", "4,1,7", "--form", form];
        let ran = run(dir, &args);
        assert_eq!(ran.code, Some(2), "{}", ran.shown());
    }
}

#[test]
fn lengths_that_are_missing_or_none_are_refused() {
    let dir = trained();
    let dir = dir.path();
    minrnn(dir, &["export", "run", "--out", "padded", "--lengths"]).good();
    write_ints(&dir.join("rows.npy"), "(2, 3)", &[3, 1, 0, 5, 9, 2]);
    write_ints(&dir.join("table.npy"), "(1, 2)", &[2, 3]);
    std::fs::write(dir.join("bad.txt"), "2\nthree\n").unwrap();
    for form in ["parallel", "scan", "step"] {
        let refused = |more: &[&str], words: &str| {
            let ran = run(
                dir,
                &[&["--input", "rows.npy", "--form", form], more].concat(),
            );
            assert_eq!(ran.code, Some(2), "{}", ran.shown());
            assert!(ran.err.contains(words), "{}", ran.shown());
            assert_eq!(ran.out, "");
        };
        refused(&[], "none are given");
        refused(&["--lengths", "2,0"], "row 1 has 0 steps of T = 3");
        refused(&["--lengths", "4,3"], "row 0 has 4 steps of T = 3");
        refused(&["--lengths", "2,-1"], "row 1 has -1 steps");
        refused(&["--lengths", "2"], "1 numbers for 2 rows");
        refused(&["--lengths", "table.npy"], "give integers [B]");
        refused(
            &["--lengths", "bad.txt"],
            "line 2: `three` is no whole number",
        );
        refused(&["--lengths", "nowhere.npy"], "cannot read nowhere.npy");
    }
    // A file that takes none.
    let args = ["run", "export", "--input", "rows.npy", "--lengths", "2,3"];
    let ran = minrnn(dir, &args);
    assert_eq!(ran.code, Some(2));
    assert!(ran.err.contains("takes none"), "{}", ran.shown());
    let step = [&args[..], &["--form", "step"]].concat();
    assert_eq!(minrnn(dir, &step).good().lines().count(), 6);
}

/// Booleans are a mask, and no numbers of tokens or of steps.
#[test]
fn booleans_are_neither_tokens_nor_lengths() {
    let dir = trained();
    let npy = |name: &str, dtype: &str, shape: &str, bytes: &[u8]| {
        let header = format!("{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}");
        let header = format!("{header:<117}\n");
        let size = (header.len() as u16).to_le_bytes();
        let all = [b"\x93NUMPY\x01\x00", &size[..], header.as_bytes(), bytes].concat();
        fs::write(dir.path().join(name), all).unwrap();
    };
    npy("mask.npy", "|b1", "(3,)", &[1, 0, 1]);
    npy("ids.npy", "|u1", "(3,)", &[1, 0, 1]);
    npy("one.npy", "|b1", "(1,)", &[1]);
    let run = |export: &str, input: &str, more: &[&str]| {
        minrnn(
            dir.path(),
            &[&["run", export, "--input", input][..], more].concat(),
        )
    };
    run("export", "ids.npy", &[]).good();
    let ran = run("export", "mask.npy", &[]);
    assert_eq!(ran.code, Some(2), "{}", ran.shown());
    assert!(
        ran.err
            .contains("mask.npy: |b1 of shape [3], the model takes integers: token ids"),
        "{}",
        ran.shown()
    );
    minrnn(
        dir.path(),
        &["export", "run", "--out", "ragged", "--lengths"],
    )
    .good();
    let ran = run("ragged", "ids.npy", &["--lengths", "one.npy"]);
    assert_eq!(ran.code, Some(2), "{}", ran.shown());
    assert!(
        ran.err
            .contains("one.npy: |b1 of shape [1]; give integers [B]"),
        "{}",
        ran.shown()
    );
}
