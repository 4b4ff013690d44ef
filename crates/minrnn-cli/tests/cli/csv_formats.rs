//! CSV files as others write them, all the way; and that no output lies over the data.

use std::fs;

use crate::harness::minrnn;
use crate::sequences::labelled;

/// The same figures and answers, whatever stands between the cells and whether columns have names.
#[test]
fn a_csv_of_semicolons_without_names_goes_all_the_way() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    labelled(dir);
    let usual = fs::read_to_string(dir.join("labelled.csv")).unwrap();
    let below = usual.split_once('\n').unwrap().1;
    fs::write(dir.join("bare.csv"), below.replace(',', ";")).unwrap();
    fs::write(dir.join("named.csv"), &usual).unwrap();
    let mut answers = vec![];
    for (file, flags) in [
        (
            "bare.csv",
            &["--delimiter", ";", "--no-header", "--ignore", "4"][..],
        ),
        ("named.csv", &["--ignore", "sea"]),
    ] {
        let config = minrnn(dir, &["init", "csv", file]).good();
        let bare = file == "bare.csv";
        assert_eq!(config.contains("delimiter = \";\"\n"), bare, "{config}");
        assert_eq!(config.contains("header = false\n"), bare, "{config}");
        fs::write(dir.join("mine.toml"), config).unwrap();
        let out = format!("run-{file}");
        let sets = ["--set", "train.steps=20", "--set", "model.width=8"];
        let train = ["train", "mine.toml", "--out", &out];
        minrnn(dir, &[&train[..], &sets].concat()).good();
        let figures = minrnn(dir, &["eval", &out]).good();
        let whole = minrnn(dir, &["eval", &out, "--data", file]).good();
        let export = format!("export-{file}");
        minrnn(dir, &["export", &out, "--out", &export]).good();
        let id = if bare { "1" } else { "day" };
        let run = ["run", &export, "--input", file, "--id-column", id];
        let said = minrnn(dir, &[&run[..], flags].concat()).good();
        let said = said.split_once('\n').unwrap().1.to_owned();
        // The first line names run and file.
        let below = |text: String| text.split_once('\n').unwrap().1.to_owned();
        answers.push((below(figures), below(whole), said));
    }
    assert_eq!(answers[0], answers[1]);
    let refused = |args: &[&str], words: &str| {
        let ran = minrnn(dir, args);
        assert_eq!(ran.code, Some(2), "{}", ran.shown());
        assert!(ran.err.contains(words), "{}", ran.shown());
    };
    let run = ["run", "export-named.csv", "--input"];
    let with = |more: &[&'static str]| [&run[..], more].concat();
    refused(&with(&["bare.csv"]), "--delimiter ';', perhaps");
    refused(
        &with(&["named.csv", "--delimiter", "x"]),
        "expected , ; | or tab",
    );
    for flag in [&["--delimiter", ";"][..], &["--no-header"]] {
        let words = format!("{} would change nothing", flag[0]);
        refused(&[&with(&["x.npz"]), flag].concat(), &words);
    }
    refused(
        &["init", "text", "bare.csv", "--delimiter", ";"],
        "--delimiter is of CSV files",
    );
}

/// Of a column with a cell that is no number, which a sensor that was silent leaves.
#[test]
fn a_column_that_is_left_out_for_a_cell_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let mut text = String::from("id,x,gap,note,y\n");
    for i in 0..20 {
        let gap = if i == 7 { String::new() } else { i.to_string() };
        text += &format!("{},{},{gap},free text,{}.5\n", i / 2, i * i, i * 2);
    }
    fs::write(dir.path().join("gaps.csv"), text).unwrap();
    let ran = minrnn(dir.path(), &["init", "csv", "gaps.csv"]);
    let says = "column 'gap' is left out: '' in row 9 is no number";
    assert!(ran.err.contains(says), "{}", ran.shown());
    assert!(!ran.err.contains("note'"), "{}", ran.shown());
    let config = ran.good();
    assert!(
        config.contains(says) && config.contains("feature_columns = [\"x\"]"),
        "{config}"
    );
}

#[test]
fn a_page_or_figures_do_not_lie_over_the_data() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    labelled(dir);
    let before = fs::read(dir.join("labelled.csv")).unwrap();
    fs::copy(dir.join("labelled.csv"), dir.join("other.csv")).unwrap();
    minrnn(dir, &["train", "labelled.toml", "--out", "run"]).good();
    let set = "task.path=\"other.csv\"";
    for args in [
        &["report", "run", "--output", "labelled.csv"][..],
        &["report", "run", "--no-data", "--output", "./labelled.csv"],
        &["report", "run", "--set", set, "--output", "other.csv"],
        &["eval", "run", "--json", "labelled.csv"],
        &["eval", "run", "--set", set, "--json", "other.csv"],
    ] {
        let ran = minrnn(dir, args);
        assert_eq!(ran.code, Some(2), "{}", ran.shown());
        assert!(ran.err.contains("would replace"), "{}", ran.shown());
    }
    for file in ["labelled.csv", "other.csv"] {
        assert_eq!(fs::read(dir.join(file)).unwrap(), before, "{file}");
    }
}
