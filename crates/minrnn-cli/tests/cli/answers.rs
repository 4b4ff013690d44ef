//! `minrnn run`: what it reads, and the files that it writes.

use std::fs;
use std::path::Path;

use minrnn_train::data::{Values, read_npz, write_npz};
use tempfile::TempDir;

use crate::harness::{Ran, minrnn};
use crate::sequences::labelled;

/// An export of a small model of classes: one answer a sequence, or one a step.
fn classes(per: &str) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    labelled(dir.path());
    let per = format!("task.per=\"{per}\"");
    let train = ["train", "labelled.toml", "--out", "run", "--set", &per];
    minrnn(
        dir.path(),
        &[&train[..], &["--set", "train.steps=2"]].concat(),
    )
    .good();
    minrnn(dir.path(), &["export", "run", "--out", "export"]).good();
    dir
}

fn run(dir: &Path, more: &[&str]) -> Ran {
    minrnn(dir, &[&["run", "export", "--input"], more].concat())
}

fn refused(ran: &Ran, words: &str) {
    assert!(
        ran.code == Some(2) && ran.err.contains(words),
        "{}",
        ran.shown()
    );
}

/// A file with nothing in it, an ending that promises another format, a column that nobody named.
#[test]
fn what_cannot_be_read_or_written_is_told_by_name() {
    let dir = classes("sequence");
    let at = dir.path();
    for content in ["", "\n", "\n\n", "\u{feff}", "\u{feff}\n"] {
        fs::write(at.join("none.csv"), content).unwrap();
        for more in [&[][..], &["--no-header"], &["--id-column", "day"]] {
            refused(
                &run(at, &[&["none.csv"], more].concat()),
                "none.csv: is empty",
            );
        }
    }
    let asked = ["labelled.csv", "--id-column", "day", "--ignore", "sea"];
    for out in ["x.tsv", "x.txt", "x.parquet", "x"] {
        let ran = run(at, &[&asked[..], &["--out", out]].concat());
        refused(
            &ran,
            &format!("--out {out}: the ending says what is written"),
        );
        assert!(!at.join(out).exists());
    }
    // The column of the classes has no name in an export, and a column called as a class is none of the model's.
    let ran = run(at, &asked[..3]);
    refused(&ran, "nothing uses the column 'sea'");
    refused(&ran, "the column of the classes is one of those");
    fs::write(at.join("calm.csv"), "wind,height,calm\n1,2,3\n").unwrap();
    refused(&run(at, &["calm.csv"]), "nothing uses the column 'calm'");
}

/// Longer than its longest sequence: what comes out has the steps of what went in.
#[test]
fn arrays_come_out_as_long_as_they_went_in() {
    let dir = classes("step");
    let at = dir.path();
    let npy = |dtype: &str, shape: &str, data: Vec<u8>| {
        let head =
            format!("{{'descr': '{dtype}', 'fortran_order': False, 'shape': ({shape}), }}\n");
        let size = (head.len() as u16).to_le_bytes();
        [b"\x93NUMPY\x01\x00", &size[..], head.as_bytes(), &data].concat()
    };
    let x: Vec<u8> = (0..24).flat_map(|i| (i as f32).to_le_bytes()).collect();
    let lengths: Vec<u8> = [3i64, 4].iter().flat_map(|n| n.to_le_bytes()).collect();
    let arrays = [
        ("x", npy("<f4", "2, 6, 2", x)),
        ("lengths", npy("<i8", "2,", lengths)),
    ];
    fs::write(at.join("in.npz"), write_npz(&arrays).unwrap()).unwrap();
    run(at, &["in.npz", "--out", "out.npz"]).good();
    let names = ["labels", "logits", "lengths"];
    let read = read_npz(&at.join("out.npz"), &names, &["*".to_owned()]).unwrap();
    let [labels, logits, lengths] = [0, 1, 2].map(|i| read[i].clone().unwrap());
    assert_eq!(
        (&labels.shape[..], &logits.shape[..]),
        (&[2, 6][..], &[2, 6, 3][..])
    );
    assert_eq!(lengths.values, Values::Ints(vec![3, 4]));
    let Values::Ints(labels) = labels.values else {
        panic!("labels are integers")
    };
    let behind: Vec<bool> = labels.iter().map(|l| *l == -1).collect();
    let ends = |n: usize| (0..6).map(move |t| t >= n);
    assert_eq!(behind, ends(3).chain(ends(4)).collect::<Vec<_>>());
    let Values::Floats(logits) = logits.values else {
        panic!("logits are numbers")
    };
    let nan: Vec<bool> = logits
        .chunks(3)
        .map(|l| l.iter().all(|v| v.is_nan()))
        .collect();
    assert_eq!(nan, behind);
}
