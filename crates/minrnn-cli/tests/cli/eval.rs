//! `minrnn eval`: figures of a checkpoint and of its export, on parts of the data and on other files.

use std::fs;
use std::path::Path;

use safetensors::tensor::{Dtype, TensorView};
use serde_json::Value as Json;

use crate::harness::{Ran, minrnn, snapshot, trained};
use crate::sequences::{labelled, wave};

/// The figures of a run that goes well.
fn figures(dir: &Path, args: &[&str]) -> Json {
    let ran = minrnn(dir, &[&["eval"], args, &["--json", "-"]].concat());
    serde_json::from_str(&ran.good()).unwrap()
}

fn refused(dir: &Path, args: &[&str]) -> Ran {
    let ran = minrnn(dir, &[&["eval"], args].concat());
    assert_eq!(ran.code, Some(2), "{}", ran.shown());
    ran
}

fn number(json: &Json, pointer: &str) -> f64 {
    let value = json.pointer(pointer).and_then(Json::as_f64);
    value.unwrap_or_else(|| panic!("{pointer} of {json:#}"))
}

fn near(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-5 * (1.0 + b.abs())
}

#[test]
fn a_text_has_the_loss_of_its_best_evaluation_and_bits() {
    let dir = trained();
    let json = figures(dir.path(), &["run", "--split", "validation"]);
    assert_eq!(json["schema"], "minrnn.eval/1");
    assert_eq!(
        (&json["data"]["task"], &json["data"]["split"]),
        (&"text".into(), &"validation".into())
    );
    let log = fs::read_to_string(dir.path().join("run/metrics.jsonl")).unwrap();
    let mut evals = log
        .lines()
        .map(|l| serde_json::from_str::<Json>(l).unwrap());
    let best = evals
        .rfind(|l| l["event"] == "eval" && l["best"] == true)
        .unwrap();
    let loss = number(&json, "/figures/0/loss");
    assert!(near(loss, number(&best, "/loss")), "{loss} {best}");
    assert!(near(
        number(&json, "/figures/0/accuracy"),
        number(&best, "/accuracy")
    ));
    assert_eq!(json["data"]["targets"], best["count"]);
    assert!(near(
        number(&json, "/figures/0/bits_per_character"),
        loss / 2f64.ln()
    ));
    assert!(near(number(&json, "/figures/0/perplexity"), loss.exp()));
    // Every form of the export says the same.
    let export = figures(
        dir.path(),
        &["export", "--data", "run", "--split", "validation"],
    );
    let forms: Vec<&Json> = export["figures"].as_array().unwrap().iter().collect();
    let names: Vec<&Json> = forms.iter().map(|f| &f["form"]).collect();
    assert_eq!(names, ["parallel", "scan", "step"]);
    for form in forms {
        assert!(near(number(form, "/loss"), loss));
        assert_eq!(form["confusion"], export["figures"][0]["confusion"]);
        assert_eq!(form["loss"], export["figures"][0]["loss"]);
    }
    let one = figures(
        dir.path(),
        &[
            "export",
            "--data",
            "tiny.toml",
            "--split",
            "validation",
            "--form",
            "step",
        ],
    );
    assert_eq!(one["figures"].as_array().unwrap().len(), 1);
    assert_eq!(one["figures"][0]["loss"], export["figures"][2]["loss"]);
    let part = figures(
        dir.path(),
        &["run", "--split", "validation", "--samples", "3"],
    );
    assert_eq!(
        (&part["data"]["windows"], &part["data"]["targets"]),
        (&3.into(), &72.into())
    );
}

#[test]
fn a_file_is_measured_whole() {
    let dir = trained();
    fs::write(dir.path().join("x.csv"), "a\n1\n").unwrap();
    let ran = minrnn(dir.path(), &["run", "export", "--input", "x.csv"]);
    assert!(
        ran.err
            .contains("x.csv: the model takes token ids, which are no columns"),
        "{}",
        ran.shown()
    );
    let text = "the harbour and the sea\n";
    fs::write(dir.path().join("new.txt"), text).unwrap();
    let json = figures(dir.path(), &["run", "--data", "new.txt"]);
    assert_eq!(json["data"]["split"], "whole");
    assert_eq!(json["data"]["targets"], text.chars().count() - 1);
    let ran = refused(
        dir.path(),
        &["run", "--data", "new.txt", "--split", "train"],
    );
    assert!(
        ran.err
            .contains("--split would change nothing: --data new.txt is measured whole"),
        "{}",
        ran.shown()
    );
    // Another alphabet is another task.
    fs::write(dir.path().join("new.txt"), "the harbour § the sea\n").unwrap();
    let ran = refused(dir.path(), &["run", "--data", "new.txt"]);
    assert!(
        ran.err.contains("'§'") && ran.err.contains("vocabulary"),
        "{}",
        ran.shown()
    );
}

#[test]
fn what_cannot_be_measured_is_told_by_name() {
    let dir = trained();
    for (name, args) in [
        ("eval_no_test_part", &["run"][..]),
        ("eval_export_without_data", &["export"]),
        ("eval_neither", &["."]),
        ("eval_form_of_checkpoint", &["run", "--form", "step"]),
    ] {
        snapshot(name, &refused(dir.path(), args));
    }
    let ran = refused(dir.path(), &["export", "--data", "harbour.txt"]);
    assert!(ran.err.contains("give --data RUN"), "{}", ran.shown());
    minrnn(
        dir.path(),
        &[
            "export",
            "run",
            "--out",
            "fixed",
            "--seq-len",
            "20",
            "--form",
            "parallel",
        ],
    )
    .good();
    let ran = refused(
        dir.path(),
        &["fixed", "--data", "run", "--split", "validation"],
    );
    assert!(
        ran.err.contains("the form parallel takes T = 20 alone"),
        "{}",
        ran.shown()
    );
    let other = [
        "eval",
        "run",
        "--split",
        "validation",
        "--json",
        "run/best/config.json",
    ];
    let ran = minrnn(dir.path(), &other);
    assert!(ran.err.contains("would replace"), "{}", ran.shown());
}

#[test]
fn the_test_part_of_sequences_is_what_nothing_has_seen() {
    let dir = tempfile::tempdir().unwrap();
    wave(dir.path(), 0.0);
    let train = [
        "train",
        "wave.toml",
        "--out",
        "run",
        "--set",
        "train.steps=60",
        "--set",
        "task.test_fraction=0.2",
    ];
    minrnn(dir.path(), &train).good();
    let json = figures(dir.path(), &["run"]);
    assert_eq!(json["data"]["split"], "test");
    assert_eq!(
        (&json["data"]["windows"], &json["data"]["targets"]),
        (&6.into(), &96.into())
    );
    assert_eq!(json["notes"], Json::Array(vec![]));
    let target = &json["figures"][0]["targets"][0];
    assert_eq!(target["name"], "level");
    let (rmse, loss) = (number(target, "/rmse"), number(&json, "/figures/0/loss"));
    assert!(
        near(rmse * rmse, loss),
        "one value: the loss is the square of its RMSE"
    );
    assert!(number(target, "/mae") <= rmse);
    // Other parts are others.
    let windows = |part| figures(dir.path(), &["run", "--split", part])["data"]["windows"].clone();
    assert_eq!([windows("train"), windows("validation")], [21, 3]);
    // Columns of another meaning are refused by name.
    let text = fs::read_to_string(dir.path().join("wave.csv")).unwrap();
    fs::write(
        dir.path().join("other.csv"),
        text.replace("level", "height"),
    )
    .unwrap();
    let ran = refused(dir.path(), &["run", "--data", "other.csv"]);
    assert!(ran.err.contains("no column 'level'"), "{}", ran.shown());
    let toml = fs::read_to_string(dir.path().join("wave.toml")).unwrap();
    let toml = toml
        .replace("level", "height")
        .replace("wave.csv", "other.csv");
    fs::write(dir.path().join("other.toml"), toml).unwrap();
    let ran = refused(
        dir.path(),
        &["run", "--data", "other.toml", "--split", "validation"],
    );
    assert!(
        ran.err.contains("height") && ran.err.contains("level"),
        "{}",
        ran.shown()
    );
}

#[test]
fn classes_have_a_table_each() {
    let dir = tempfile::tempdir().unwrap();
    labelled(dir.path());
    minrnn(dir.path(), &["train", "labelled.toml", "--out", "run"]).good();
    let ran = minrnn(dir.path(), &["eval", "run", "--json", "eval.json"]);
    let text = ran.good();
    for word in [
        "precision",
        "calm",
        "storm",
        "swell",
        "macro",
        "target \\ predicted",
    ] {
        assert!(text.contains(word), "{text}");
    }
    let json: Json =
        serde_json::from_slice(&fs::read(dir.path().join("eval.json")).unwrap()).unwrap();
    let matrix = json["figures"][0]["confusion"]["matrix"]
        .as_array()
        .unwrap();
    let sum = |row: &Json| {
        row.as_array()
            .unwrap()
            .iter()
            .map(|n| n.as_u64().unwrap())
            .sum::<u64>()
    };
    let sums: Vec<u64> = matrix.iter().map(sum).collect();
    let classes = json["figures"][0]["classes"].as_array().unwrap();
    let targets: Vec<u64> = classes
        .iter()
        .map(|c| c["targets"].as_u64().unwrap())
        .collect();
    assert_eq!(sums, targets);
    assert_eq!(sums.iter().sum::<u64>(), 6);
}

/// Cells of a CSV file without quotes, the first row too.
fn cells(text: &str) -> Vec<Vec<&str>> {
    text.lines()
        .map(|l| l.trim_end().split(',').collect())
        .collect()
}

/// The column of a name.
fn column<'a>(table: &[Vec<&'a str>], name: &str) -> Vec<&'a str> {
    let place = table[0].iter().position(|n| *n == name).unwrap();
    table[1..].iter().map(|row| row[place]).collect()
}

/// What `run` answers row by row gives, by this test's own arithmetic, the figures of `eval`.
#[test]
fn answers_of_run_have_the_figures_of_eval() {
    let dir = tempfile::tempdir().unwrap();
    wave(dir.path(), 0.0);
    minrnn(
        dir.path(),
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
    minrnn(dir.path(), &["export", "run", "--out", "export"]).good();
    let run = [
        "run",
        "export",
        "--input",
        "wave.csv",
        "--id-column",
        "run",
        "--out",
        "answers.csv",
    ];
    let ran = minrnn(dir.path(), &run);
    assert!(
        ran.err
            .contains("note: column 'level' is what the model predicts: it is not read"),
        "{}",
        ran.shown()
    );
    ran.good();
    let read = |name: &str| fs::read_to_string(dir.path().join(name)).unwrap();
    let (data, answers) = (read("wave.csv"), read("answers.csv"));
    let (data, answers) = (cells(&data), cells(&answers));
    assert_eq!(answers[0], ["run", "step", "level"]);
    assert_eq!(column(&data, "run"), column(&answers, "run"));
    let numbers = |table: &[Vec<&str>]| -> Vec<f64> {
        column(table, "level")
            .iter()
            .map(|n| n.parse().unwrap())
            .collect()
    };
    let (want, got) = (numbers(&data), numbers(&answers));
    let n = want.len() as f64;
    let errors: Vec<f64> = want.iter().zip(&got).map(|(w, g)| g - w).collect();
    let square = errors.iter().map(|e| e * e).sum::<f64>();
    let mean = want.iter().sum::<f64>() / n;
    let spread = want.iter().map(|w| (w - mean).powi(2)).sum::<f64>();
    for args in [
        &["run", "--data", "wave.csv"][..],
        &["export", "--data", "whole.toml", "--split", "train"],
    ] {
        // All sequences are in one part, for the export too.
        fs::write(
            dir.path().join("whole.toml"),
            read("wave.toml").replace("per = 'step'", "per = 'step'\nvalidation_fraction = 0.0"),
        )
        .unwrap();
        let json = figures(dir.path(), args);
        let target = &json["figures"][0]["targets"][0];
        assert_eq!(json["data"]["targets"], want.len());
        assert!(
            near(
                number(target, "/mae"),
                errors.iter().map(|e| e.abs()).sum::<f64>() / n
            ),
            "{target}"
        );
        assert!(
            near(number(target, "/rmse"), (square / n).sqrt()),
            "{target}"
        );
        assert!(
            near(number(target, "/r2"), 1.0 - square / spread),
            "{target}"
        );
    }
    // One recording by itself, and a state that is carried, are the same values.
    let first: Vec<String> = data
        .iter()
        .filter(|r| r[0] == "run" || r[0] == "0")
        .map(|r| r.join(","))
        .collect();
    let piece = |rows: &[String]| first[0].clone() + "\n" + &rows.join("\n") + "\n";
    fs::write(dir.path().join("a.csv"), piece(&first[1..8])).unwrap();
    fs::write(dir.path().join("b.csv"), piece(&first[8..])).unwrap();
    let piece = |file: &str, more: &[&str]| {
        let run = [
            "run", "export", "--input", file, "--ignore", "run", "--form", "step",
        ];
        minrnn(dir.path(), &[&run[..], more].concat()).good()
    };
    let (a, b) = (
        piece("a.csv", &["--save-state", "s"]),
        piece("b.csv", &["--state", "s"]),
    );
    let level = |text: &str| -> Vec<String> {
        column(&cells(text), "level")
            .iter()
            .map(|s| (*s).to_owned())
            .collect()
    };
    let whole: Vec<String> = column(&answers, "level")[..16]
        .iter()
        .map(|s| (*s).to_owned())
        .collect();
    assert_eq!([level(&a), level(&b)].concat(), whole);
}

#[test]
fn classes_of_run_have_labels_and_probabilities() {
    let dir = tempfile::tempdir().unwrap();
    labelled(dir.path());
    minrnn(dir.path(), &["train", "labelled.toml", "--out", "run"]).good();
    minrnn(dir.path(), &["export", "run", "--out", "export"]).good();
    let run = |more: &[&str]| {
        let run = [
            "run",
            "export",
            "--input",
            "labelled.csv",
            "--id-column",
            "day",
        ];
        minrnn(dir.path(), &[&run[..], more].concat())
    };
    let text = run(&["--ignore", "sea"]).good();
    let table = cells(&text);
    assert_eq!(table[0], ["day", "label", "p_calm", "p_storm", "p_swell"]);
    assert_eq!(table.len(), 31, "a line for each sequence");
    let data = fs::read_to_string(dir.path().join("labelled.csv")).unwrap();
    let data = cells(&data);
    let truth = |day: &str| data.iter().find(|row| row[0] == day).unwrap()[3];
    let mut right = 0;
    for row in &table[1..] {
        let chances: Vec<f64> = row[2..].iter().map(|p| p.parse().unwrap()).collect();
        assert!(near(chances.iter().sum(), 1.0), "{row:?}");
        let best = (0..3)
            .max_by(|a, b| chances[*a].total_cmp(&chances[*b]))
            .unwrap();
        assert_eq!(row[1], ["calm", "storm", "swell"][best]);
        right += usize::from(row[1] == truth(row[0]));
    }
    let json = figures(dir.path(), &["run", "--data", "labelled.csv"]);
    assert!(near(
        number(&json, "/figures/0/accuracy"),
        right as f64 / 30.0
    ));
    // The same as arrays, and from arrays.
    let npz = |more: &[&str]| {
        let ran = run(&[&["--ignore", "*", "--out", "a.npz"], more].concat());
        ran.good();
        minrnn_train::data::read_npz(
            &dir.path().join("a.npz"),
            &["labels", "names", "ids", "probabilities", "logits"],
            &[],
        )
        .unwrap()
    };
    let arrays = npz(&[]);
    let shapes: Vec<&[usize]> = arrays.iter().flatten().map(|a| &a.shape[..]).collect();
    assert_eq!(shapes, [&[30][..], &[3], &[30], &[30, 3], &[30, 3]]);
    // Names that are not the model's, and what nothing uses, are refused.
    for (more, words) in [
        (
            &[][..],
            "nothing uses the column 'sea': the model takes wind, height",
        ),
        (
            &["--ignore", "tide"],
            "--ignore tide: labelled.csv has no column 'tide'",
        ),
        (
            &["--ignore", "wind"],
            "--ignore wind: the model takes the column 'wind'",
        ),
        (
            &["--ignore", "*", "--lengths", "3"],
            "--lengths would change nothing",
        ),
    ] {
        let ran = run(more);
        assert!(
            ran.code == Some(2) && ran.err.contains(words),
            "{}",
            ran.shown()
        );
    }
    fs::write(dir.path().join("other.csv"), "day,wind,hight\na,1,2\n").unwrap();
    let ran = minrnn(
        dir.path(),
        &[
            "run",
            "export",
            "--input",
            "other.csv",
            "--id-column",
            "day",
        ],
    );
    let words = "there is no column 'height', which is a feature of the model; it takes wind, height, and the file has day, wind, hight";
    assert!(
        ran.code == Some(2) && ran.err.contains(words),
        "{}",
        ran.shown()
    );
    let ran = minrnn(
        dir.path(),
        &["run", "export", "--input", "x.npy", "--ignore", "y"],
    );
    assert!(
        ran.err.contains("--ignore would change nothing"),
        "{}",
        ran.shown()
    );
}

#[test]
fn arrays_of_an_npz_are_run_up_to_their_lengths() {
    let dir = tempfile::tempdir().unwrap();
    labelled(dir.path());
    minrnn(dir.path(), &["train", "labelled.toml", "--out", "run"]).good();
    minrnn(dir.path(), &["export", "run", "--out", "export"]).good();
    // The first two days: three and four steps.
    let x: Vec<f32> = [
        0.0,
        0.0,
        3.0,
        0.1,
        1.0,
        0.2,
        f32::NAN,
        f32::NAN,
        6.0,
        1.0,
        4.0,
        1.1,
        7.0,
        1.2,
        5.0,
        1.3,
    ]
    .to_vec();
    let header = |text: String| {
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((text.len() as u16).to_le_bytes());
        [bytes, text.into_bytes()].concat()
    };
    let head = |dtype: &str, shape: &str| {
        header(format!(
            "{{'descr': '{dtype}', 'fortran_order': False, 'shape': ({shape}), }}\n"
        ))
    };
    let x_bytes: Vec<u8> = x.iter().flat_map(|v| v.to_le_bytes()).collect();
    let x = [
        head("<f4", "2, 4, 2"),
        x.iter().flat_map(|v| v.to_le_bytes()).collect(),
    ]
    .concat();
    let lengths = [
        head("<i8", "2,"),
        [3i64, 4].iter().flat_map(|v| v.to_le_bytes()).collect(),
    ]
    .concat();
    let npz = minrnn_train::data::write_npz(&[("x", x), ("lengths", lengths)]).unwrap();
    fs::write(dir.path().join("x.npz"), npz).unwrap();
    let from_npz = minrnn(dir.path(), &["run", "export", "--input", "x.npz"]).good();
    let lengths_bytes: Vec<u8> = [3i64, 4].iter().flat_map(|v| v.to_le_bytes()).collect();
    let tensors = [
        (
            "x",
            TensorView::new(Dtype::F32, vec![2, 4, 2], &x_bytes).unwrap(),
        ),
        (
            "lengths",
            TensorView::new(Dtype::I64, vec![2], &lengths_bytes).unwrap(),
        ),
    ];
    let file = safetensors::serialize(tensors, None).unwrap();
    fs::write(dir.path().join("x.safetensors"), file).unwrap();
    let input = ["run", "export", "--input", "x.safetensors"];
    assert_eq!(minrnn(dir.path(), &input).good(), from_npz);
    let csv = "day,wind,height\nd0,0,0\nd0,3,0.1\nd0,1,0.2\nd1,6,1\nd1,4,1.1\nd1,7,1.2\nd1,5,1.3\n";
    fs::write(dir.path().join("x.csv"), csv).unwrap();
    let from_csv = minrnn(
        dir.path(),
        &["run", "export", "--input", "x.csv", "--id-column", "day"],
    )
    .good();
    assert_eq!(
        from_csv
            .replace("d0,", "0,")
            .replace("d1,", "1,")
            .replace("day,", "row,"),
        from_npz
    );
    assert_eq!(from_npz.lines().count(), 3);
}
