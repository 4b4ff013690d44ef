//! What can be chosen for an export: every choice is verified, and what cannot be is refused by name with nothing written.

use std::path::Path;

use crate::harness::{minrnn, snapshot, trained};

const VERIFY: [&str; 6] = ["verify", "export", "--max-len", "40", "--probe-len", "40"];

fn export(dir: &Path, flags: &[&str]) -> crate::harness::Ran {
    let all = [&["export", "run", "--out", "export"][..], flags].concat();
    minrnn(dir, &all)
}

#[test]
fn every_choice_is_verified() {
    let dir = trained();
    let choices: [&[&str]; 7] = [
        &["--dtype", "f16", "--target", "tract"],
        &["--dtype", "bf16", "--target", "openvino"],
        &["--dtype", "int8", "--target", "onnxruntime"],
        &["--state-layout", "stacked", "--weights", "shared"],
        &["--state-names", "genai", "--weights", "external"],
        &["--lengths", "--reset", "--state-names", "icefall"],
        &["--lowering", "odd-even", "--block", "8", "--batch", "2"],
    ];
    for flags in choices {
        std::fs::remove_dir_all(dir.path().join("export")).ok();
        export(dir.path(), flags).good();
        let said = minrnn(dir.path(), &VERIFY).good();
        assert!(said.contains("Everything holds."), "{flags:?}: {said}");
    }
}

#[test]
fn what_cannot_be_is_refused_by_name() {
    let dir = trained();
    std::fs::remove_dir_all(dir.path().join("export")).ok();
    let refused: [(&str, &[&str]); 8] = [
        (
            "export_target_and_type",
            &["--target", "candle", "--dtype", "int8"],
        ),
        (
            "export_target_and_form",
            &["--target", "rten", "--form", "scan"],
        ),
        ("export_target_and_lowering", &["--lowering", "kogge-stone"]),
        (
            "export_target_and_placement",
            &["--target", "web", "--weights", "shared"],
        ),
        (
            "export_static_without_data",
            &[
                "--target",
                "tract",
                "--dtype",
                "int8",
                "--activations",
                "static",
            ],
        ),
        (
            "export_genai_and_stacked",
            &["--state-names", "genai", "--state-layout", "stacked"],
        ),
        ("export_opset", &["--opset", "29"]),
        (
            "export_end_of_stream",
            &["--end-of-stream", "no such token"],
        ),
    ];
    for (name, flags) in refused {
        let ran = export(dir.path(), flags);
        assert_eq!(ran.code, Some(2), "{}", ran.shown());
        assert!(!dir.path().join("export").exists(), "{name} left a folder");
        snapshot(name, &ran);
    }
}

/// Weights beside the graphs that were changed or lost after the export.
#[test]
fn weights_beside_are_held_to_the_manifest() {
    let dir = trained();
    std::fs::remove_dir_all(dir.path().join("export")).ok();
    let flags = [
        "--weights",
        "shared",
        "--dtype",
        "int8",
        "--target",
        "tract",
    ];
    export(dir.path(), &flags).good();
    let data = dir.path().join("export/model.data");
    let mut bytes = std::fs::read(&data).unwrap();
    bytes[7] ^= 1;
    std::fs::write(&data, &bytes).unwrap();
    let ran = minrnn(dir.path(), &VERIFY);
    assert_eq!(ran.code, Some(2), "{}", ran.shown());
    assert!(ran.err.contains("model.data") && ran.err.contains("changed after the export"));
    std::fs::remove_file(&data).unwrap();
    let ran = minrnn(dir.path(), &VERIFY);
    assert_eq!(ran.code, Some(2), "{}", ran.shown());
    assert!(ran.err.contains("model.data"), "{}", ran.shown());
}
