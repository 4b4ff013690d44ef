//! `minrnn init`: what it writes trains as it is, and says what it took the file for.

use std::fs;
use std::path::Path;

use crate::harness::{folder, minrnn, snapshot};
use crate::sequences::{labelled, wave};

/// The configuration, after two steps of it.
fn trains(dir: &Path, args: &[&str]) -> String {
    let text = minrnn(dir, &[&["init"], args].concat()).good();
    fs::write(dir.join("made.toml"), &text).unwrap();
    let out = format!("run-{}", args.join("-").replace(['/', '.'], "-"));
    minrnn(
        dir,
        &[
            "train",
            "made.toml",
            "--out",
            &out,
            "--set",
            "train.steps=2",
        ],
    )
    .good();
    assert!(dir.join(&out).join("last").is_dir());
    text
}

#[test]
fn a_text() {
    let dir = folder();
    let text = trains(dir.path(), &["text", "harbour.txt"]);
    assert!(text.contains("path = \"harbour.txt\""), "{text}");
    let short = dir.path().join("short.txt");
    fs::write(&short, "abc\n".repeat(10)).unwrap();
    trains(dir.path(), &["text", "short.txt"]);
    fs::write(&short, "abc\n").unwrap();
    let ran = minrnn(dir.path(), &["init", "text", "short.txt"]);
    assert!(
        ran.code == Some(2)
            && ran
                .err
                .contains("has 4 characters; a training needs at least 40"),
        "{}",
        ran.shown()
    );
}

#[test]
fn a_csv_file() {
    let dir = tempfile::tempdir().unwrap();
    labelled(dir.path());
    let text = trains(dir.path(), &["csv", "labelled.csv"]);
    for line in [
        "id_column = \"day\"",
        "feature_columns = [\"wind\", \"height\"]",
        "target_columns = [\"sea\"]",
        "target = \"classes\"",
        "per = \"sequence\"",
        "test_fraction = 0.1",
    ] {
        assert!(text.lines().any(|l| l == line), "{line}: {text}");
    }
    wave(dir.path(), 0.0);
    let text = trains(dir.path(), &["csv", "wave.csv"]);
    for line in [
        "id_column = \"run\"",
        "feature_columns = [\"x\"]",
        "target_columns = [\"level\"]",
        "time_column = \"clock\"",
        "target = \"values\"",
        "per = \"step\"",
    ] {
        assert!(text.lines().any(|l| l == line), "{line}: {text}");
    }
    let text = trains(dir.path(), &["csv", "wave.csv", "--target-column", "x"]);
    assert!(text.contains("feature_columns = [\"level\"]"), "{text}");
    // A name that TOML must quote, and few sequences.
    fs::write(
        dir.path().join("few.csv"),
        "\"my \"\"id\"\"\",x,y\n1,1,0.5\n1,2,1.5\n2,3,2.5\n",
    )
    .unwrap();
    trains(dir.path(), &["csv", "few.csv"]);
    fs::write(
        dir.path().join("bad.csv"),
        "id,x,y\n1,1,0.5\n1,2,1e40\n2,3,2.5\n",
    )
    .unwrap();
    let ran = minrnn(dir.path(), &["init", "csv", "bad.csv"]);
    assert!(
        ran.code == Some(2) && ran.err.contains("bad.csv"),
        "{}",
        ran.shown()
    );
    snapshot(
        "init_text_with_columns",
        &minrnn(
            dir.path(),
            &["init", "text", "wave.csv", "--id-column", "run"],
        ),
    );
}

/// The page's own examples: the CSV and its configuration as they stand there.
#[test]
fn the_page_can_be_copied() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/configuration.md");
    let page = fs::read_to_string(page).unwrap();
    let block = |kind: &str, n: usize| {
        let fence = format!("```{kind}\n");
        let behind = page.split(&fence).nth(n + 1).unwrap();
        behind.split("```").next().unwrap().to_owned()
    };
    let dir = tempfile::tempdir().unwrap();
    let put = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
    put("pump.csv", &block("csv", 0));
    put("pump.toml", &block("toml", 0));
    minrnn(
        dir.path(),
        &[
            "train",
            "pump.toml",
            "--out",
            "pump",
            "--set",
            "train.steps=2",
        ],
    )
    .good();
    trains(dir.path(), &["csv", "pump.csv"]);
    // The arrays of the Python lines, in their shapes and types.
    let array = |dtype: &str, shape: &str, data: Vec<u8>| {
        let text =
            format!("{{'descr': '{dtype}', 'fortran_order': False, 'shape': ({shape}), }}\n");
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((text.len() as u16).to_le_bytes());
        [bytes, text.into_bytes(), data].concat()
    };
    let wave = |i: usize| (i as f32 * 0.7).sin();
    let x = (0..480).flat_map(|i| wave(i).to_le_bytes()).collect();
    let y = (0..240)
        .flat_map(|i| i64::from(wave(i) > 0.0).to_le_bytes())
        .collect();
    let lengths = (0..12)
        .flat_map(|i| (10 + i % 11_i64).to_le_bytes())
        .collect();
    let arrays = [
        ("x", array("<f4", "12, 20, 2", x)),
        ("y", array("<i8", "12, 20", y)),
        ("lengths", array("<i8", "12,", lengths)),
    ];
    fs::write(
        dir.path().join("walks.npz"),
        minrnn_train::data::write_npz(&arrays).unwrap(),
    )
    .unwrap();
    put("walks.toml", &block("toml", 1));
    minrnn(
        dir.path(),
        &[
            "train",
            "walks.toml",
            "--out",
            "walks",
            "--set",
            "train.steps=2",
        ],
    )
    .good();
    let text = trains(dir.path(), &["npz", "walks.npz"]);
    for line in ["target = \"classes\"", "per = \"step\""] {
        assert!(text.lines().any(|l| l == line), "{line}: {text}");
    }
    let ran = minrnn(dir.path(), &["init", "npz", "pump.csv"]);
    assert!(
        ran.code == Some(2) && ran.err.contains("not an npz file"),
        "{}",
        ran.shown()
    );
}

#[test]
fn examples_without_a_file() {
    let dir = tempfile::tempdir().unwrap();
    for kind in ["text", "csv", "npz"] {
        snapshot(
            &format!("init_{kind}"),
            &minrnn(dir.path(), &["init", kind]),
        );
    }
}
