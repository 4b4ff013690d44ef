//! `minrnn report`: pages of runs and exports, of text, classes and values.

use std::fs;
use std::path::Path;

use crate::harness::{Ran, minrnn, snapshot, trained};
use crate::sequences::{labelled, wave};

fn page(dir: &Path, args: &[&str]) -> String {
    let path = minrnn(dir, &[&["report"], args].concat()).good();
    fs::read_to_string(dir.join(path.trim())).unwrap()
}

fn refused(dir: &Path, args: &[&str]) -> Ran {
    let ran = minrnn(dir, &[&["report"], args].concat());
    assert_eq!(ran.code, Some(2), "{}", ran.shown());
    ran
}

/// Titles of the sections, in their order.
fn sections(page: &str) -> Vec<&str> {
    let titles = page.split("<h2>").skip(1);
    titles
        .map(|rest| rest.split("</h2>").next().unwrap())
        .collect()
}

/// Nothing is asked from elsewhere, nothing runs, tags are closed.
#[track_caller]
fn stands_alone(page: &str) {
    for part in [
        "http://", "https://", "<script", "<link", "<img", "@import", "url(", "NaN", " src=",
    ] {
        assert!(!page.contains(part), "{part}");
    }
    assert!(page.contains("default-src 'none'") && page.contains("prefers-color-scheme: dark"));
    for tag in [
        "section", "table", "tr", "td", "th", "svg", "figure", "details", "pre", "p", "div", "span",
    ] {
        let opened =
            page.matches(&format!("<{tag}>")).count() + page.matches(&format!("<{tag} ")).count();
        let closed = page.matches(&format!("</{tag}>")).count();
        assert_eq!(opened, closed, "{tag}");
    }
}

#[test]
fn a_run_of_text_with_its_export_is_one_page() {
    let dir = trained();
    let dir = dir.path();
    let verify = ["verify", "export", "--quick", "--json", "verify.json"];
    minrnn(dir, &verify).good();
    let named = ["run", "--export", "export", "--samples", "8"];
    let first = page(dir, &named);
    stands_alone(&first);
    assert_eq!(
        sections(&first),
        [
            "Training",
            "Figures",
            "What it writes",
            "Gates, states and memory",
            "Layers",
            "Verification",
            "Exported files",
            "Configuration",
        ]
    );
    for part in [
        "bits per character",
        "Everything holds.",
        "model.step.onnx",
        "layers.0.rnn",
        "temperature 0.8, seed 1",
    ] {
        assert!(first.contains(part), "{part}");
    }
    assert!(!first.contains(&dir.display().to_string()));
    assert_eq!(first, page(dir, &named), "the same bytes");
    // Of another folder too: no path is in it.
    fs::rename(dir.join("run"), dir.join("moved")).unwrap();
    assert_eq!(
        first,
        page(dir, &["moved", "--export", "export", "--samples", "8"])
    );
    // The export by itself, with its run: the figures of its forms in the place of candle's.
    let of_export = page(
        dir,
        &[
            "export",
            "--run",
            "moved",
            "--samples",
            "2",
            "--output",
            "e.html",
        ],
    );
    stands_alone(&of_export);
    assert_eq!(sections(&of_export), sections(&first));
    assert!(of_export.contains("minrnn-runtime, step"));
    // What is not known is not made up.
    let alone = page(dir, &["export"]);
    assert_eq!(
        sections(&alone),
        [
            "What it writes",
            "Layers",
            "Verification",
            "Exported files",
            "Configuration",
            "Not on this page"
        ]
    );
    let without = page(dir, &["moved", "--no-data"]);
    assert!(
        !sections(&without).contains(&"Figures"),
        "{:?}",
        sections(&without)
    );
}

#[test]
fn classes_have_a_confusion_matrix_and_names_never_become_markup() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    labelled(dir);
    for file in ["labelled.csv", "labelled.toml"] {
        let text = fs::read_to_string(dir.join(file)).unwrap();
        let text = text
            .replace("storm", "<b>storm&</b>")
            .replace("wind", "<i>wind</i>");
        fs::write(dir.join(file), text).unwrap();
    }
    minrnn(dir, &["train", "labelled.toml", "--out", "run"]).good();
    let page = page(dir, &["run"]);
    stands_alone(&page);
    assert!(page.contains("Confusion matrix") && page.contains("&lt;b&gt;storm&amp;&lt;/b&gt;"));
    assert!(
        !page.contains("<b>") && !page.contains("<i>"),
        "markup of a file"
    );
    assert!(page.contains("On the test part: 6 of 6 windows, 6 targets."));
}

#[test]
fn values_have_predictions_against_targets() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    wave(dir, 0.0);
    minrnn(
        dir,
        &[
            "train",
            "wave.toml",
            "--out",
            "run",
            "--set",
            "train.steps=60",
        ],
    )
    .good();
    let page = page(dir, &["run"]);
    stands_alone(&page);
    for part in [
        "level: prediction against target",
        "the first window, step by step",
        "RMSE",
        "of normalised values",
    ] {
        assert!(page.contains(part), "{part}");
    }
}

#[test]
fn files_that_do_not_belong_together_are_refused_by_name() {
    let dir = trained();
    let dir = dir.path();
    let ran = refused(dir, &["run", "--run", "run"]);
    assert!(
        ran.err.contains("--run would change nothing"),
        "{}",
        ran.err
    );
    let ran = refused(dir, &["export", "--export", "export"]);
    assert!(
        ran.err.contains("--export would change nothing"),
        "{}",
        ran.err
    );
    let ran = refused(dir, &["export", "--split", "test"]);
    assert!(
        ran.err.contains("--split would change nothing"),
        "{}",
        ran.err
    );
    let ran = refused(dir, &["run/best"]);
    assert!(
        ran.err
            .contains("is a checkpoint, which a training replaces"),
        "{}",
        ran.err
    );
    let ran = refused(dir, &["run", "--verification", "tiny.toml"]);
    assert!(
        ran.err
            .contains("--verification tiny.toml: there is no export"),
        "{}",
        ran.err
    );
    let with = ["run", "--export", "export", "--verification"];
    let ran = refused(dir, &[&with[..], &["tiny.toml"]].concat());
    assert!(ran.err.contains("tiny.toml is no report of"), "{}", ran.err);
    let ran = refused(dir, &["run", "--output", "run/metrics.jsonl"]);
    assert!(ran.err.contains("would replace"), "{}", ran.err);
    // An export of other weights, and a verification of other files.
    minrnn(dir, &["verify", "export", "--quick", "--json", "old.json"]).good();
    let other = ["export", "run", "--out", "other", "--form", "step"];
    minrnn(dir, &other).good();
    let ran = refused(
        dir,
        &["run", "--export", "other", "--verification", "old.json"],
    );
    assert!(
        ran.err
            .contains("it is of other files than those of the export"),
        "{}",
        ran.err
    );
    minrnn(
        dir,
        &[
            "train",
            "tiny.toml",
            "--out",
            "run2",
            "--set",
            "train.seed=7",
        ],
    )
    .good();
    let ran = refused(dir, &["run2", "--export", "export"]);
    assert!(ran.err.contains("made from other weights"), "{}", ran.err);
    let ran = refused(dir, &["export", "--run", "run2"]);
    assert!(ran.err.contains("made from other weights"), "{}", ran.err);
    // The export that lies in the folder of the run is left out, with a note, when it is older.
    fs::rename(dir.join("export"), dir.join("run2/export")).unwrap();
    let ran = minrnn(dir, &["report", "run2", "--no-data"]);
    assert!(ran.err.contains("run2/export is left out"), "{}", ran.err);
    snapshot("report_neither", &refused(dir, &["nowhere"]));
}
