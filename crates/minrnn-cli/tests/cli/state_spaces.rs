//! Selective state spaces and Mamba's block, from a configuration to a verified export that is exact in the runtime.

use std::fs;
use std::path::Path;

use serde_json::Value as Json;

use crate::harness::{Ran, minrnn, minrnn_with};

const TASK: &str = "[task]
kind = 'selective_copying'
length = 12
data_tokens = 2
vocab = 6
[model]
width = 24
layers = 2
[train]
steps = 300
batch = 32
lr = 1e-2
";

/// Exports `checkpoint` in all forms and verifies: everything holds, and the runtime is exact in every form.
fn verified(dir: &Path, checkpoint: &str) {
    minrnn(dir, &["export", checkpoint, "--out", "export"]).good();
    let args = [
        "verify",
        "export",
        "--checkpoint",
        checkpoint,
        "--quick",
        "--json",
        "r.json",
    ];
    let out = minrnn(dir, &args).good();
    assert!(out.ends_with("Everything holds.\n"), "{out}");
    let report: Json = serde_json::from_slice(&fs::read(dir.join("r.json")).unwrap()).unwrap();
    let rows = report["rows"].as_array().unwrap();
    for form in ["parallel", "scan", "step"] {
        let exact = |r: &&Json| r["engine"] == "minrnn" && r["form"] == form;
        let row = rows.iter().find(exact);
        assert!(
            row.is_some_and(|r| r["holds"] != false),
            "{form}: {report:#}"
        );
    }
}

/// Trains `model` on the task, at least to `accuracy`.
fn learned(model: &str, accuracy: f64) {
    learned_by(&format!("{TASK}{model}"), accuracy);
}

fn learned_by(config: &str, accuracy: f64) {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("own.toml"), config).unwrap();
    minrnn(dir.path(), &["train", "own.toml", "--out", "run"]).good();
    let log = fs::read_to_string(dir.path().join("run/metrics.jsonl")).unwrap();
    let events = log
        .lines()
        .map(|l| serde_json::from_str::<Json>(l).unwrap());
    let reached = events
        .filter_map(|e| e["accuracy"].as_f64())
        .fold(0.0, f64::max);
    assert!(reached >= accuracy, "{reached}: {log}");
    verified(dir.path(), "run");
}

#[test]
fn a_mamba_learns_and_is_verified() {
    learned(
        "[model.block]\nkind = 'mamba'\n[model.cell]\nkind = 'mamba'\nstates = 8\n",
        0.9,
    );
}

#[test]
fn a_mamba_2_learns_and_is_verified() {
    let cell = "kind = 'mamba2'\nstates = 8\nhead_channels = 12\ngroups = 2\n";
    learned(
        &format!("[model.block]\nkind = 'mamba'\n[model.cell]\n{cell}"),
        0.9,
    );
}

/// The tape has no kernel for attention, and candle trains it.
#[test]
fn a_transformer_learns_and_is_verified() {
    let usual = "layers = 2\n";
    let own = "layers = 2\nnorm = 'layer'\npositions = 40\ninit = 'gpt2'\n";
    let config = TASK.replace(usual, own).replace("lr = 1e-2", "lr = 3e-3");
    let cell = "[model.cell]\nkind = 'attention'\nheads = 3\nbias = true\n[model.mlp]\n";
    learned_by(&format!("{config}{cell}"), 0.9);
}

/// A window's parallel file ends at some T, its step file does not; and its states hold more values than a small file has bytes.
#[test]
fn a_window_runs_beyond_its_parallel_form_and_within_the_memory_that_is_given() {
    let dir = tempfile::tempdir().unwrap();
    let config = TASK.replace("steps = 300", "steps = 1");
    let cell = "[model.cell]\nkind = 'attention'\nheads = 3\nwindow = 2048\n";
    fs::write(dir.path().join("own.toml"), format!("{config}{cell}")).unwrap();
    minrnn(dir.path(), &["train", "own.toml", "--out", "run"]).good();
    minrnn(dir.path(), &["export", "run", "--out", "export"]).good();
    let run = |ids: usize, more: &[&str]| {
        let args = [&["run", "export", "--input", "-"], more].concat();
        minrnn_with(dir.path(), &args, &"1 ".repeat(ids))
    };
    run(3, &[]).good();
    let ran = run(3, &["--memory", "64K"]);
    assert!(
        ran.code == Some(2) && ran.err.contains("--memory BYTES"),
        "{}",
        ran.shown()
    );
    run(3, &["--memory", "1G"]).good();
    assert_eq!(run(3, &["--memory", "0"]).code, Some(2));
    let refused = run(5000, &["--form", "parallel"]);
    assert!(refused.err.contains("--form step"), "{}", refused.shown());
    let ran = run(5000, &[]);
    assert!(
        ran.code == Some(0) && ran.err.contains("the form "),
        "{}",
        ran.shown()
    );
    assert!(ran.err.contains("runs in its place"), "{}", ran.shown());
}

#[test]
fn a_min_gru_in_mambas_block_learns_and_is_verified() {
    learned(
        "[model.block]\nkind = 'mamba'\n[model.cell]\nkind = 'min_gru'\nexpansion = 2\n",
        0.9,
    );
}

#[test]
fn a_mamba_of_transformers_is_imported_and_verified() {
    for name in ["mamba_tied", "mamba2_groups"] {
        let dir = tempfile::tempdir().unwrap();
        let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/transformers");
        fs::create_dir(dir.path().join("theirs")).unwrap();
        for file in ["config.json", "model.safetensors"] {
            fs::copy(
                golden.join(name).join(file),
                dir.path().join("theirs").join(file),
            )
            .unwrap();
        }
        let out = minrnn(dir.path(), &["import", "theirs", "--out", "model"]).good();
        assert!(
            out.contains("transformers") && out.contains("backbone.embeddings.weight"),
            "{out}"
        );
        verified(dir.path(), "model");
        fs::remove_file(dir.path().join("theirs/config.json")).unwrap();
        let ran = minrnn(
            dir.path(),
            &["import", "theirs/model.safetensors", "--out", "other"],
        );
        assert_eq!(ran.code, Some(2), "{}", ran.shown());
        assert!(
            ran.err.contains("config.json, which must lie beside them"),
            "{}",
            ran.shown()
        );
    }
}

/// The folder of a model of transformers, imported to `model`.
fn imported(name: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/transformers");
    let theirs = golden.join(name);
    let args = ["import", theirs.to_str().unwrap(), "--out", "model"];
    minrnn(dir.path(), &args).good();
    dir
}

const BY_OPERATOR: [&str; 6] = [
    "--out",
    "export",
    "--target",
    "onnxruntime",
    "--lowering",
    "linear-attention",
];

fn by_operator(dir: &Path, flags: &[&str]) -> Ran {
    minrnn(
        dir,
        &[&["export", "model"], &BY_OPERATOR[..], flags].concat(),
    )
}

/// LinearAttention of com.microsoft: the judge holds its files to each other and to the Scan, and nothing here runs them.
#[test]
fn a_mamba_2_by_the_operator_of_onnx_runtime() {
    let dir = imported("mamba2_groups");
    let ran = by_operator(dir.path(), &["--reset"]);
    for words in [
        "what is written of parallel and step has the operator LinearAttention of com.microsoft",
        "`minrnn generate export` cannot run it; run takes the form scan",
        "next: minrnn verify --sequence export/model.parallel.onnx --step export/model.step.onnx",
    ] {
        assert!(ran.err.contains(words), "{}", ran.shown());
    }
    ran.good();
    let manifest = fs::read(dir.path().join("export/manifest.json")).unwrap();
    let manifest: Json = serde_json::from_slice(&manifest).unwrap();
    for (form, lowering) in [
        ("parallel", "linear-attention"),
        ("scan", "scan"),
        ("step", "linear-attention"),
    ] {
        let form = &manifest["forms"][form];
        assert_eq!(
            (&form["lowering"], &form["opset"]),
            (&lowering.into(), &17.into())
        );
    }
    let [parallel, scan, step] =
        ["parallel", "scan", "step"].map(|form| format!("export/model.{form}.onnx"));
    for sequence in [&parallel, &scan] {
        let args = [
            "verify",
            "--sequence",
            sequence,
            "--step",
            &step,
            "--max-len",
            "9",
        ];
        minrnn(dir.path(), &args).good();
    }
    let run = |flags: &[&str]| {
        let args = [&["run", "export", "--input", "-"], flags].concat();
        minrnn_with(dir.path(), &args, "1 2 3\n")
    };
    assert_eq!(run(&[]).good(), run(&["--form", "scan"]).good());
    for (form, how) in [
        ("parallel", "--sequence export/model.parallel.onnx"),
        ("step", "--sequence export/model.scan.onnx"),
    ] {
        let ran = run(&["--form", form]);
        assert_eq!(ran.code, Some(2), "{}", ran.shown());
        let words = format!(
            "has the operator LinearAttention, which neither minrnn-runtime nor tract has; `minrnn verify {how} --step export/model.step.onnx` holds it"
        );
        let here = "and the form scan runs here";
        let said = ran.err.contains(&words) && ran.err.contains(here);
        assert!(said, "{}", ran.shown());
    }
    let ran = minrnn(dir.path(), &["verify", "export"]);
    assert_eq!(ran.code, Some(2), "{}", ran.shown());
    only_forms_that_are_there(dir.path());
    let ran = by_operator(dir.path(), &["--form", "scan"]);
    assert!(
        ran.err.contains("--lowering would change nothing"),
        "{}",
        ran.shown()
    );
}

/// What is offered needs no form that was not written, or says that it has to be.
fn only_forms_that_are_there(dir: &Path) {
    for (form, next, how) in [
        (
            "step",
            "write the form scan or parallel too",
            "with the form scan too `minrnn verify --sequence FILE --step export/model.step.onnx`",
        ),
        (
            "parallel",
            "write the form scan or step too",
            "with the form scan too `minrnn verify --against FILE export/model.parallel.onnx`",
        ),
    ] {
        let _ = fs::remove_dir_all(dir.join("export"));
        let ran = by_operator(dir, &["--form", form]);
        assert!(ran.err.contains(next), "{}", ran.shown());
        ran.good();
        let args = ["run", "export", "--input", "-", "--form", form];
        let ran = minrnn_with(dir, &args, "1 2 3\n");
        let here = "no form of this export runs here: export it with the form scan too";
        let said = ran.err.contains(how) && ran.err.contains(here);
        assert!(ran.code == Some(2) && said, "{}", ran.shown());
    }
}

#[test]
fn a_mamba_has_no_heads_for_the_operator() {
    let dir = imported("mamba_tied");
    for (flags, words) in [
        (&[][..], "has a decay for each of its states"),
        (
            &["--form", "step"],
            "only the form parallel of this model is lowered so",
        ),
    ] {
        let ran = by_operator(dir.path(), flags);
        assert_eq!(ran.code, Some(2), "{}", ran.shown());
        assert!(ran.err.contains(words), "{}", ran.shown());
    }
}

/// States by the names of onnxruntime-genai, in files, manifest, verification and runtime.
#[test]
fn states_have_the_names_of_onnxruntime_genai_on_request() {
    for name in ["mamba_tied", "mamba2_groups"] {
        let dir = imported(name);
        let args = [
            "export",
            "model",
            "--out",
            "export",
            "--state-names",
            "genai",
        ];
        minrnn(dir.path(), &args).good();
        let manifest = fs::read(dir.path().join("export/manifest.json")).unwrap();
        let manifest: Json = serde_json::from_slice(&manifest).unwrap();
        assert_eq!(manifest["state_names"], "genai");
        let states = manifest["states"].as_array().unwrap();
        let names =
            |key: &str| -> Vec<&str> { states.iter().map(|s| s[key].as_str().unwrap()).collect() };
        let kinds = ["conv_state", "recurrent_state"];
        let all = |begin: &str| -> Vec<String> {
            let of = |layer: usize| kinds.map(|kind| format!("{begin}.{layer}.{kind}"));
            (0..states.len() / 2).flat_map(of).collect()
        };
        assert_eq!(names("input"), all("past_key_values"), "{name}");
        assert_eq!(names("output"), all("present"), "{name}");
        // The window is [W, k - 1] there.
        let shape = states[0]["shape"].as_array().unwrap();
        assert_eq!((shape.len(), &shape[1]), (2, &3.into()), "{name}");
        let args = ["verify", "export", "--checkpoint", "model", "--quick"];
        let out = minrnn(dir.path(), &args).good();
        assert!(out.ends_with("Everything holds.\n"), "{out}");
        let run = |form: &str| {
            let args = ["run", "export", "--input", "-", "--form", form];
            minrnn_with(dir.path(), &args, "1 2 3 4\n").good()
        };
        let named = [run("parallel"), run("scan")];
        minrnn(dir.path(), &["export", "model", "--out", "export"]).good();
        // Exact, whatever states are called.
        assert_eq!(named, [run("parallel"), run("scan")], "{name}");
        assert_eq!(named[0], named[1], "{name}");
    }
}

#[test]
fn wide_states_shorten_the_parallel_form_by_default() {
    let dir = tempfile::tempdir().unwrap();
    let model = "[model.cell]\nkind = 'mamba'\nstates = 200\n";
    let text = format!("{TASK}{model}").replace("steps = 300", "steps = 1");
    fs::write(dir.path().join("own.toml"), text).unwrap();
    minrnn(dir.path(), &["train", "own.toml", "--out", "run"]).good();
    let longest = |flags: &[&str]| {
        let ran = minrnn(
            dir.path(),
            &[&["export", "run", "--out", "export"], flags].concat(),
        );
        let manifest = fs::read(dir.path().join("export/manifest.json")).unwrap();
        let manifest: Json = serde_json::from_slice(&manifest).unwrap();
        let parallel = &manifest["forms"]["parallel"];
        (
            parallel["max_seq_len"].as_u64(),
            ran.err.contains("its states are wide"),
        )
    };
    // 9600 channels: 6990 steps of 256 MB.
    assert_eq!(longest(&[]), (Some(4096), true));
    assert_eq!(longest(&["--max-seq-len", "65536"]), (Some(65_536), false));
}
