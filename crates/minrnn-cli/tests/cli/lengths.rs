//! Rows that are padded: `run --lengths`.

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
