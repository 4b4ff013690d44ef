//! A tiny model from its configuration to its last character.

use std::fs;
use std::path::Path;

use minrnn_train::data::{Values, read_npy};
use serde_json::Value as Json;

use crate::harness::{folder, minrnn, minrnn_with, snapshot, trained};

fn bytes(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap()
}

/// The steps and evaluations of a run without its times.
fn log(dir: &Path) -> Vec<Json> {
    let text = fs::read_to_string(dir.join("metrics.jsonl")).unwrap();
    let line = |line: &str| {
        let mut json: Json = serde_json::from_str(line).unwrap();
        json.as_object_mut().unwrap().remove("seconds").unwrap();
        json
    };
    text.lines().map(line).collect()
}

#[test]
fn a_resumed_run_ends_as_one_that_never_stopped() {
    let dir = folder();
    let train =
        |args: &[&str]| minrnn(dir.path(), &[&["train", "tiny.toml"], args].concat()).good();
    let constant = ["--set", "train.decay=\"constant\"", "--out"];
    train(&[&constant[..], &["whole"]].concat());
    // The first one ends after 40 steps, the second one takes it to 60.
    train(&[&constant[..], &["parts", "--set", "train.steps=40"]].concat());
    train(&[&constant[..], &["parts", "--resume"]].concat());
    let (whole, parts) = (dir.path().join("whole"), dir.path().join("parts"));
    for file in [
        "last/model.safetensors",
        "last/optimizer.safetensors",
        "last/vocabulary.json",
    ] {
        assert!(
            bytes(&whole.join(file)) == bytes(&parts.join(file)),
            "{file}"
        );
    }
    let steps = |dir: &Path| {
        log(dir)
            .into_iter()
            .filter(|l| l["event"] == "step")
            .collect::<Vec<_>>()
    };
    assert_eq!(steps(&whole), steps(&parts));
    assert_eq!(steps(&whole).len(), 60);
}

#[test]
fn the_best_checkpoint_is_the_one_with_the_lowest_validation_loss() {
    let dir = trained();
    let run = dir.path().join("run");
    let evals: Vec<Json> = log(&run)
        .into_iter()
        .filter(|l| l["event"] == "eval")
        .collect();
    assert_eq!(
        evals
            .iter()
            .map(|l| l["step"].as_u64().unwrap())
            .collect::<Vec<_>>(),
        [20, 40, 60]
    );
    let best = evals
        .iter()
        .min_by(|a, b| a["loss"].as_f64().partial_cmp(&b["loss"].as_f64()).unwrap())
        .unwrap();
    let state: Json = serde_json::from_slice(&bytes(&run.join("best/trainer_state.json"))).unwrap();
    assert_eq!(state["step"], best["step"]);
    assert_eq!(state["best"]["value"], best["loss"]);
}

#[test]
fn the_export_is_verified_against_its_checkpoint() {
    let dir = trained();
    let args = [
        "verify",
        "export",
        "--checkpoint",
        "run",
        "--max-len",
        "40",
        "--probe-len",
        "300",
        "--json",
        "r.json",
        "--report",
        "r.md",
    ];
    let out = minrnn(dir.path(), &args).good();
    assert!(out.ends_with("Everything holds.\n"), "{out}");
    let report: Json = serde_json::from_slice(&bytes(&dir.path().join("r.json"))).unwrap();
    assert_eq!(
        (&report["schema"], &report["holds"]),
        (&Json::from("minrnn.verify/1"), &Json::from(true))
    );
    let markdown = fs::read_to_string(dir.path().join("r.md")).unwrap();
    assert!(
        markdown.contains("| tract") && markdown.contains("Everything holds."),
        "{markdown}"
    );
    assert!(markdown.contains("](r.svg)"), "{markdown}");
    let picture = fs::read_to_string(dir.path().join("r.svg")).unwrap();
    assert!(picture.contains("tract step against oracle"), "{picture}");
    let step = report["rows"]
        .as_array()
        .unwrap()
        .iter()
        .find(|r| (&r["engine"], &r["form"]) == (&Json::from("tract"), &Json::from("step")));
    let errors = step.unwrap()["errors_by_length"].as_object().unwrap();
    let largest = errors.values().filter_map(Json::as_f64).fold(0.0, f64::max);
    assert_eq!(Some(largest), step.unwrap()["max_abs"].as_f64());
    assert!(
        errors.contains_key("1") && errors.contains_key("40"),
        "{errors:?}"
    );
}

#[test]
fn the_weights_of_another_checkpoint_are_noticed() {
    let dir = trained();
    minrnn(
        dir.path(),
        &[
            "train",
            "tiny.toml",
            "--set",
            "train.steps=10",
            "--out",
            "other",
        ],
    )
    .good();
    let ran = minrnn(
        dir.path(),
        &[
            "verify",
            "export",
            "--checkpoint",
            "other",
            "--max-len",
            "8",
        ],
    );
    assert_eq!(ran.code, Some(2), "{}", ran.shown());
    snapshot("verify_other_checkpoint", &ran);
}

#[test]
fn every_engine_writes_the_same_text() {
    let dir = trained();
    for (temperature, prompt) in [
        ("0", Some("The old man counts")),
        ("0", None),
        ("0.9", Some("T")),
        ("1.5", Some("The sea ")),
    ] {
        let write = |from: &str, engine: &str| {
            let mut args = vec![
                "generate",
                from,
                "--engine",
                engine,
                "--length",
                "60",
                "--temperature",
                temperature,
            ];
            if temperature != "0" {
                args.extend(["--seed", "5"]);
            }
            args.extend(prompt.iter().flat_map(|p| ["--prompt", p]));
            minrnn(dir.path(), &args).good()
        };
        let candle = write("run/best", "candle");
        assert_eq!(candle.chars().count(), prompt.map_or(0, str::len) + 61);
        assert!(candle.starts_with(prompt.unwrap_or("")));
        assert_eq!(candle, write("export", "step"), "step at {temperature}");
        assert_eq!(
            candle,
            write("export", "parallel"),
            "parallel at {temperature}"
        );
    }
}

#[test]
fn generating_is_repeatable_and_seeded() {
    let dir = trained();
    let write = |seed: &str| {
        minrnn(
            dir.path(),
            &["generate", "export", "--temperature", "1.5", "--seed", seed],
        )
        .good()
    };
    assert_eq!(write("1"), write("1"));
    assert_ne!(write("1"), write("2"));
}

#[test]
fn strange_prompts_and_engines_are_refused_by_name() {
    let dir = trained();
    let bad = |name: &str, args: &[&str]| {
        let ran = minrnn(dir.path(), &[&["generate"], args].concat());
        assert_eq!(ran.code, Some(2), "{}", ran.shown());
        snapshot(name, &ran);
    };
    bad(
        "generate_unknown_character",
        &["export", "--prompt", "The €uro"],
    );
    bad("generate_empty_prompt", &["export", "--prompt", ""]);
    bad(
        "generate_candle_on_export",
        &["export", "--engine", "candle"],
    );
    bad("generate_step_on_checkpoint", &["run", "--engine", "step"]);
    minrnn(
        dir.path(),
        &["export", "run", "--out", "scan", "--form", "scan"],
    )
    .good();
    bad("generate_no_step_form", &["scan"]);
    let args = ["export", "run", "--out", "whole", "--form", "parallel"];
    minrnn(dir.path(), &args).good();
    bad("generate_only_parallel", &["whole"]);
}

/// Float32 values of an .npy file, and their shape.
fn npy(path: &Path) -> (Vec<usize>, Vec<f32>) {
    let array = read_npy(path).unwrap();
    match array.values {
        Values::Floats(values) => (array.shape, values),
        other => panic!("{other:?}"),
    }
}

/// An .npy file of int64.
fn write_ids(path: &Path, shape: &str, ids: &[i64]) {
    let header = format!("{{'descr': '<i8', 'fortran_order': False, 'shape': {shape}, }}");
    let header = format!("{header:117}\n");
    let mut bytes = b"\x93NUMPY\x01\x00\x76\x00".to_vec();
    bytes.extend_from_slice(header.as_bytes());
    bytes.extend(ids.iter().flat_map(|id| id.to_le_bytes()));
    fs::write(path, bytes).unwrap();
}

#[test]
fn run_goes_on_from_a_saved_state_in_any_form() {
    let dir = trained();
    let ids: Vec<i64> = (0..18).map(|i| (i * 7 + 3) % 25).collect();
    let at = |file: &str| dir.path().join(file);
    let cut = |from: usize, to: usize| {
        ids.chunks(9)
            .flat_map(|row| row[from..to].to_vec())
            .collect::<Vec<_>>()
    };
    write_ids(&at("all.npy"), "(2, 9)", &ids);
    write_ids(&at("begin.npy"), "(2, 5)", &cut(0, 5));
    write_ids(&at("end.npy"), "(2, 4)", &cut(5, 9));
    minrnn(
        dir.path(),
        &[
            "run",
            "export",
            "--input",
            "all.npy",
            "--out",
            "all_out.npy",
        ],
    )
    .good();
    let (shape, whole) = npy(&at("all_out.npy"));
    assert_eq!(shape[..2], [2, 9]);
    let width = shape[2];
    for (first, second) in [
        ("parallel", "step"),
        ("step", "scan"),
        ("scan", "parallel"),
        ("step", "step"),
    ] {
        let begin = [
            "run",
            "export",
            "--form",
            first,
            "--input",
            "begin.npy",
            "--save-state",
            "s",
            "--out",
            "b.npy",
        ];
        minrnn(dir.path(), &begin).good();
        minrnn(
            dir.path(),
            &[
                "run", "export", "--form", second, "--input", "end.npy", "--state", "s", "--out",
                "e.npy",
            ],
        )
        .good();
        let ((shape, begin), (_, end)) = (npy(&at("b.npy")), npy(&at("e.npy")));
        assert_eq!(shape, [2, 5, width]);
        for row in 0..2 {
            let (b, e) = (
                &begin[row * 5 * width..(row + 1) * 5 * width],
                &end[row * 4 * width..(row + 1) * 4 * width],
            );
            let found = [b, e].concat();
            let wanted = &whole[row * 9 * width..(row + 1) * 9 * width];
            let worst = found
                .iter()
                .zip(wanted)
                .map(|(f, w)| (f - w).abs())
                .fold(0.0, f32::max);
            assert!(
                found.len() == wanted.len() && worst < 1e-5,
                "{first} then {second}: {worst}"
            );
        }
    }
}

#[test]
fn run_prints_a_step_a_line() {
    let dir = trained();
    let out = minrnn_with(dir.path(), &["run", "export", "--input", "-"], "3 1\n4").good();
    let lines: Vec<Vec<f32>> = out
        .lines()
        .map(|l| l.split(' ').map(|w| w.parse().unwrap()).collect())
        .collect();
    let vocabulary: Vec<String> =
        serde_json::from_slice(&bytes(&dir.path().join("run/best/vocabulary.json"))).unwrap();
    assert_eq!(
        lines.iter().map(Vec::len).collect::<Vec<_>>(),
        [vocabulary.len(); 3]
    );
    let step = minrnn_with(
        dir.path(),
        &["run", "export", "--input", "-", "--form", "step"],
        "3 1 4",
    )
    .good();
    assert_eq!(step.lines().count(), 3);
}

#[test]
fn run_refuses_what_the_model_cannot_take() {
    let dir = trained();
    let bad = |name: &str, args: &[&str], input: &str| {
        let ran = minrnn_with(
            dir.path(),
            &[&["run", "export", "--input"], args].concat(),
            input,
        );
        assert_eq!(ran.code, Some(2), "{}", ran.shown());
        snapshot(name, &ran);
    };
    bad("run_no_number", &["-"], "3 one");
    bad("run_outside_vocabulary", &["-"], "3 1000");
    write_ids(&dir.path().join("two.npy"), "(2, 3)", &[1, 2, 3, 4, -1, 5]);
    bad(
        "run_step_outside_vocabulary",
        &["two.npy", "--form", "step"],
        "",
    );
    bad("run_nothing", &["-"], "");
    fs::write(dir.path().join("bad.npy"), "no array").unwrap();
    bad("run_no_npy", &["bad.npy"], "");
    bad("run_bad_state", &["-", "--state", "bad.npy"], "3");
    write_ids(&dir.path().join("deep.npy"), "(1, 1, 2)", &[1, 2]);
    bad("run_three_dimensions", &["deep.npy"], "");
    minrnn(
        dir.path(),
        &[
            "train",
            "tiny.toml",
            "--set",
            "train.steps=10",
            "--out",
            "other",
        ],
    )
    .good();
    minrnn(dir.path(), &["export", "other", "--out", "other_export"]).good();
    minrnn_with(
        dir.path(),
        &[
            "run",
            "other_export",
            "--input",
            "-",
            "--save-state",
            "other.state",
        ],
        "3",
    )
    .good();
    let ran = minrnn_with(
        dir.path(),
        &["run", "export", "--input", "-", "--state", "other.state"],
        "3",
    );
    assert_eq!(ran.code, Some(2));
    assert!(ran.err.contains("belongs to weights"), "{}", ran.err);
}

#[test]
fn fixed_sizes_are_exported_and_told() {
    let dir = trained();
    let args = [
        "export",
        "run",
        "--out",
        "fixed",
        "--form",
        "parallel",
        "--seq-len",
        "4",
        "--batch",
        "1",
        "--lowering",
        "kogge-stone-concat",
    ];
    minrnn(dir.path(), &args).good();
    minrnn_with(dir.path(), &["run", "fixed", "--input", "-"], "1 2 3 4").good();
    let ran = minrnn_with(dir.path(), &["run", "fixed", "--input", "-"], "1 2 3");
    assert_eq!(ran.code, Some(2));
    snapshot("run_other_length", &ran);
}

#[test]
fn exporting_twice_gives_the_same_bytes() {
    let dir = trained();
    minrnn(dir.path(), &["export", "run", "--out", "again"]).good();
    for file in fs::read_dir(dir.path().join("export"))
        .unwrap()
        .map(Result::unwrap)
    {
        assert!(
            bytes(&file.path()) == bytes(&dir.path().join("again").join(file.file_name())),
            "{:?}",
            file.file_name()
        );
    }
    let text =
        |dir_: &str| minrnn(dir.path(), &["inspect", &format!("{dir_}/model.scan.onnx")]).good();
    assert_eq!(text("export"), text("again"));
    assert!(text("export").contains("Scan("), "{}", text("export"));
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let dir = trained();
    let mut child =
        crate::harness::process(dir.path(), &["generate", "export", "--length", "100000"])
            .spawn()
            .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stderr).into_owned()
        ),
        (Some(0), String::new())
    );
}
