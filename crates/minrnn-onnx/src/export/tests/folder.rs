use std::fs;
use std::path::Path;

use safetensors::SafeTensors;
use sha2::{Digest, Sha256};

use super::models::{CONFIGS, model, within};
use crate::export::{DirOptions, ExportOptions, Form, weights_sha256, write_export};
use crate::ir::Model;

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(dir)
        .unwrap()
        .map(|e| e.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

#[test]
fn a_folder_has_everything_and_nothing_else() {
    let root = tempfile::tempdir().unwrap();
    for (name, _) in CONFIGS {
        let (model, params) = model(name);
        let dir = root.path().join(name);
        let done = write_export(&dir, &model, &params, &DirOptions::default()).unwrap();
        let wanted = [
            "README.md",
            "golden.safetensors",
            "manifest.json",
            "model.parallel.onnx",
            "model.scan.onnx",
            "model.step.onnx",
        ];
        assert_eq!(names(&dir), wanted);
        assert_eq!(done.files.len(), wanted.len());
        let manifest: serde_json::Value =
            serde_json::from_slice(&fs::read(dir.join("manifest.json")).unwrap()).unwrap();
        assert_eq!(manifest["schema"], "minrnn.manifest/2");
        assert_eq!(manifest["weights_sha256"], done.weights_sha256.as_str());
        assert_eq!(manifest["config"], *model.config());
        for form in Form::ALL {
            let entry = &manifest["forms"][form.name()];
            let bytes = fs::read(dir.join(entry["file"].as_str().unwrap())).unwrap();
            let hash: String = Sha256::digest(&bytes)
                .iter()
                .map(|b| format!("{b:02x}"))
                .collect();
            assert_eq!(entry["sha256"], hash.as_str());
            let onnx = Model::decode(&bytes).unwrap();
            crate::check::check(&onnx).unwrap();
            assert_eq!(
                onnx.metadata("minrnn.weights"),
                Some(done.weights_sha256.as_str())
            );
            let states: serde_json::Value =
                serde_json::from_str(onnx.metadata("minrnn.states").unwrap()).unwrap();
            assert_eq!(states, manifest["states"]);
        }
        let card = fs::read_to_string(dir.join("README.md")).unwrap();
        assert!(card.contains(&done.weights_sha256) && card.contains("model.step.onnx"));
    }
    // Temporary folders are gone.
    assert_eq!(names(root.path()).len(), CONFIGS.len());
}

#[test]
fn a_second_export_replaces_the_first() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("out");
    let (first, params) = model("gru");
    write_export(&dir, &first, &params, &DirOptions::default()).unwrap();
    let before = fs::read(dir.join("model.step.onnx")).unwrap();
    // What cannot be exported leaves everything as it was.
    let wrong = DirOptions {
        vocabulary: Some(vec!["a".to_owned()].into()),
        ..DirOptions::default()
    };
    assert!(
        write_export(&dir, &first, &params, &wrong)
            .unwrap_err()
            .to_string()
            .contains("vocabulary")
    );
    let none = DirOptions {
        forms: vec![],
        ..DirOptions::default()
    };
    assert!(
        write_export(&dir, &first, &params, &none)
            .unwrap_err()
            .to_string()
            .contains("forms")
    );
    assert_eq!(fs::read(dir.join("model.step.onnx")).unwrap(), before);
    fs::write(dir.join("notes.txt"), "mine").unwrap();
    let (second, params) = model("bare");
    let only = DirOptions {
        forms: vec![Form::Step],
        ..DirOptions::default()
    };
    write_export(&dir, &second, &params, &only).unwrap();
    assert_eq!(
        names(&dir),
        [
            "README.md",
            "golden.safetensors",
            "manifest.json",
            "model.step.onnx",
            "notes.txt"
        ]
    );
    assert_ne!(fs::read(dir.join("model.step.onnx")).unwrap(), before);
}

#[test]
fn two_exports_are_the_same_bytes() {
    let root = tempfile::tempdir().unwrap();
    let (model, params) = model("lstm");
    for dir in ["a", "b"] {
        write_export(
            &root.path().join(dir),
            &model,
            &params,
            &DirOptions::default(),
        )
        .unwrap();
    }
    for name in names(&root.path().join("a")) {
        let [a, b] = ["a", "b"].map(|d| fs::read(root.path().join(d).join(&name)).unwrap());
        assert_eq!(a, b, "{name}");
    }
}

#[test]
fn the_weights_hash_is_of_weights_only() {
    let (model, params) = model("gru");
    let hash = weights_sha256(model.graph(), &params);
    assert_eq!(hash.len(), 64);
    let mut other = params.clone();
    other.get_mut(3)[0] += 1.0;
    assert_ne!(weights_sha256(model.graph(), &other), hash);
    assert_eq!(weights_sha256(model.graph(), &params.clone()), hash);
}

/// A model of time stamps sees nothing in numbers around 0, and a trace of such would show nothing.
#[test]
fn the_golden_trace_has_features_as_the_model_normalises_them() {
    let features = |mean: &str| -> Vec<f32> {
        let text = format!(
            "width = 3\nlayers = 1\n[input]\nfeatures = 2\n{mean}\n[head]\nwidth = 2\nkind = \"values\""
        );
        let config: minrnn_model::config::ModelConfig = toml::from_str(&text).unwrap();
        let model = minrnn_model::model::Model::from_config(&config).unwrap();
        let params = minrnn_model::params::Params::init(model.graph(), 1);
        let dir = tempfile::tempdir().unwrap();
        let options = DirOptions {
            forms: vec![Form::Step],
            ..DirOptions::default()
        };
        write_export(dir.path(), &model, &params, &options).unwrap();
        let bytes = fs::read(dir.path().join("golden.safetensors")).unwrap();
        let golden = SafeTensors::deserialize(&bytes).unwrap();
        let view = golden.tensor("features").unwrap();
        let four = |c: &[u8]| f32::from_le_bytes(c.try_into().unwrap());
        view.data().chunks_exact(4).map(four).collect()
    };
    let raw = features("");
    let stamps = features("mean = [5.5e6, -2.0]\nstd = [10.0, 0.5]");
    assert_eq!(raw.len(), 2 * 37 * 2);
    for (at, (raw, stamp)) in raw.iter().zip(&stamps).enumerate() {
        let [mean, std] = [[5.5e6, 10.0], [-2.0, 0.5]][at % 2];
        let wanted = mean + std * f64::from(*raw);
        assert!(
            (f64::from(*stamp) - wanted).abs() <= wanted.abs() * 1e-6,
            "{at}: {stamp} {wanted}"
        );
    }
}

/// Anybody can feed the golden trace to a form and compare: here, to the evaluator.
#[test]
fn the_golden_trace_fits_the_graph() {
    let root = tempfile::tempdir().unwrap();
    for (name, _) in CONFIGS {
        let (model, params) = model(name);
        let dir = root.path().join(name);
        let options = ExportOptions {
            max_seq_len: 256,
            ..ExportOptions::default()
        };
        write_export(
            &dir,
            &model,
            &params,
            &DirOptions {
                options,
                ..DirOptions::default()
            },
        )
        .unwrap();
        let bytes = fs::read(dir.join("golden.safetensors")).unwrap();
        let golden = SafeTensors::deserialize(&bytes).unwrap();
        let onnx = Model::decode(&fs::read(dir.join("model.parallel.onnx")).unwrap()).unwrap();
        let floats = |name: &str| -> Vec<f32> {
            let view = golden.tensor(name).unwrap();
            assert_eq!(view.dtype(), safetensors::Dtype::F32);
            view.data()
                .chunks_exact(4)
                .map(|c| f32::from_le_bytes(c.try_into().unwrap()))
                .collect()
        };
        for run in ["initial", "given"] {
            let mut env = crate::eval::Env::new();
            for input in &onnx.graph.inputs {
                let key = if input.name.starts_with("state.") {
                    format!("{run}.{}", input.name)
                } else {
                    input.name.clone()
                };
                let view = golden.tensor(&key).unwrap();
                let array = if view.dtype() == safetensors::Dtype::I64 {
                    let ids = view
                        .data()
                        .chunks_exact(8)
                        .map(|c| i64::from_le_bytes(c.try_into().unwrap()))
                        .collect();
                    crate::eval::Flat::i64(view.shape(), ids)
                } else {
                    crate::eval::Flat::f32(view.shape(), floats(&key))
                };
                env.insert(input.name.clone(), array);
            }
            let got = crate::eval::run(&onnx, &env).unwrap();
            for output in &onnx.graph.outputs {
                let (want, bound) = (
                    floats(&format!("{run}.{}", output.name)),
                    floats(&format!("{run}.{}.bound", output.name)),
                );
                let [want, bound] =
                    [want, bound].map(|v| v.iter().map(|x| f64::from(*x)).collect::<Vec<_>>());
                let what = format!("{name} {run} {}", output.name);
                within(&what, got[&output.name].floats(), &want, &bound);
            }
        }
    }
}

/// Weights beside a graph are read from plain files of its folder that have no other name.
#[test]
fn weights_beside_a_graph_stay_in_its_folder() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("out");
    // Small tensors stay inside of the graph.
    let config = "width = 32\nlayers = 1\n[input]\nvocab = 5\n[head]\nwidth = 5";
    let model = minrnn_model::model::Model::from_config(&toml::from_str(config).unwrap()).unwrap();
    let params = minrnn_model::params::Params::init(model.graph(), 7);
    let options = DirOptions {
        placement: crate::export::Placement::Shared,
        ..DirOptions::default()
    };
    write_export(&dir, &model, &params, &options).unwrap();
    let bytes = fs::read(dir.join("model.step.onnx")).unwrap();
    let good = Model::decode(&bytes).unwrap();
    let read = |file: &Model| crate::export::read(file, model.graph(), &dir).map(drop);
    let at = |location: &str| {
        let mut file = good.clone();
        let far = file.graph.initializers.iter_mut();
        let mut far = far.filter_map(|t| match &mut t.data {
            crate::ir::TensorData::External(e) => Some(e),
            _ => None,
        });
        let first = far.next().expect("weights lie beside");
        location.clone_into(&mut first.location);
        file
    };
    read(&good).unwrap();
    fs::copy(dir.join("model.data"), root.path().join("outside")).unwrap();
    fs::create_dir(dir.join("sub")).unwrap();
    fs::copy(dir.join("model.data"), dir.join("sub/inside")).unwrap();
    for location in [
        "../outside",
        "sub/../../outside",
        "sub/inside",
        "..",
        "",
        "sub",
        "a\\b",
        "C:x",
    ] {
        let error = read(&at(location)).unwrap_err().to_string();
        let words = ["no file of the folder", "no plain file"];
        assert!(
            words.iter().any(|w| error.contains(w)),
            "{location}: {error}"
        );
    }
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(root.path().join("outside"), dir.join("link")).unwrap();
        let error = read(&at("link")).unwrap_err().to_string();
        assert!(error.contains("no plain file"), "{error}");
        fs::hard_link(root.path().join("outside"), dir.join("hard")).unwrap();
        let error = read(&at("hard")).unwrap_err().to_string();
        assert!(error.contains("another name on disk"), "{error}");
        fs::remove_file(root.path().join("outside")).unwrap();
        read(&at("hard")).unwrap();
    }
}
