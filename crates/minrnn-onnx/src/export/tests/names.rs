//! What people and viewers read: names of channels, texts, shapes, the card.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use minrnn_model::config::ModelConfig;
use minrnn_model::model::Model;
use minrnn_model::params::Params;
use serde_json::{Value as Json, json};

use super::models::{CONFIGS, export, model};
use crate::export::{DirOptions, ExportOptions, Form, write_export};
use crate::ir::{self, DType, Dim};

/// Three features, two classes or values, with names.
fn named(kind: &str) -> Model {
    let text = format!(
        "width = 4\nlayers = 1\n[input]\nfeatures = 3\nnames = [\"open\", \"high | `low`\", \"é\"]\n[head]\nwidth = 2\nkind = \"{kind}\"\nnames = [\"up\", \"down\"]"
    );
    let config: ModelConfig = toml::from_str(&text).unwrap();
    Model::from_config(&config).unwrap()
}

#[test]
fn names_are_in_metadata_manifest_and_card() {
    let root = tempfile::tempdir().unwrap();
    for (kind, key) in [("logits", "classes"), ("values", "targets")] {
        let model = named(kind);
        let params = Params::init(model.graph(), 1);
        let dir = root.path().join(kind);
        write_export(&dir, &model, &params, &DirOptions::default()).unwrap();
        let read = |file: &str| fs::read(dir.join(file)).unwrap();
        let manifest: Json = serde_json::from_slice(&read("manifest.json")).unwrap();
        assert_eq!(manifest["features"], json!(["open", "high | `low`", "é"]));
        assert_eq!(manifest[key], json!(["up", "down"]));
        let other = if key == "classes" {
            "targets"
        } else {
            "classes"
        };
        assert!(manifest.get(other).is_none());
        for form in Form::ALL {
            let file = ir::Model::decode(&read(&format!("model.{}.onnx", form.name()))).unwrap();
            let list = |key: &str| -> Option<Json> {
                file.metadata(key).map(|t| serde_json::from_str(t).unwrap())
            };
            assert_eq!(
                list("minrnn.features").as_ref(),
                Some(&manifest["features"])
            );
            assert_eq!(
                list(&format!("minrnn.{key}")).as_ref(),
                Some(&manifest[key])
            );
            assert_eq!(list(&format!("minrnn.{other}")), None);
            assert_eq!(file.metadata("minrnn.contract"), Some("1"));
        }
        let card = String::from_utf8(read("README.md")).unwrap();
        assert!(
            card.contains("3 a step: `open`, `high / 'low'`, `é`."),
            "{card}"
        );
        assert!(card.contains(": `up`, `down`."), "{card}");
    }
    // Without names there are none.
    let (model, params) = model("lstm");
    let file = export(&model, &params, |_| {});
    for key in ["minrnn.features", "minrnn.classes", "minrnn.targets"] {
        assert_eq!(file.metadata(key), None);
    }
}

#[test]
fn names_that_do_not_fit_are_refused() {
    let model = named("logits");
    let params = Params::init(model.graph(), 1);
    let mut config = model.config().clone();
    config["head"]["names"] = json!(["up"]);
    let options = ExportOptions {
        config,
        ..ExportOptions::default()
    };
    let error = crate::export::export_graph(model.graph(), &params, &options).unwrap_err();
    let error = error.to_string();
    assert!(error.contains("head.names must be 2 names"), "{error}");
}

#[test]
fn inputs_and_outputs_say_what_they_are() {
    for (name, _) in CONFIGS {
        let (model, params) = model(name);
        for form in Form::ALL {
            let file = export(&model, &params, |o| {
                o.form = form;
                o.lengths = form != Form::Step;
                o.reset = true;
            });
            for value in file.graph.inputs.iter().chain(&file.graph.outputs) {
                assert!(
                    value.doc.ends_with('.'),
                    "{name} {}: {:?}",
                    value.name,
                    value.doc
                );
            }
        }
    }
    let (model, params) = model("gru");
    let file = export(&model, &params, |_| {});
    let doc = |name: &str| {
        let all = file.graph.inputs.iter().chain(&file.graph.outputs);
        all.clone().find(|v| v.name == name).unwrap().doc.clone()
    };
    assert_eq!(doc("input_ids"), "Token ids, from 0 to 4.");
    assert!(doc("next_state.1.h").contains("goes into state.1.h next"));
}

/// Every number that a node makes has a shape; of the many alike in an unrolled block, the first.
#[test]
fn inner_values_have_shapes() {
    for (name, _) in CONFIGS {
        let (model, params) = model(name);
        for form in Form::ALL {
            let file = export(&model, &params, |o| o.form = form);
            // What is noted agrees with what the graph computes: the checker holds it.
            let types = crate::check::check(&file).unwrap();
            let g = &file.graph;
            let noted: BTreeSet<&str> = g.value_info.iter().map(|v| v.name.as_str()).collect();
            assert_eq!(noted.len(), g.value_info.len());
            let outputs: BTreeSet<&str> = g.outputs.iter().map(|v| v.name.as_str()).collect();
            let computed = || g.nodes.iter().flat_map(|n| &n.outputs);
            let number = |value: &str| {
                let ty = types.get(value).unwrap();
                ty.dtype == Some(DType::F32) && ty.dims.is_some()
            };
            let scope = |value: &str| value.rsplit_once('/').map(|(s, _)| s.to_owned());
            let mut sizes: BTreeMap<_, usize> = BTreeMap::new();
            for value in computed().filter(|v| number(v)) {
                *sizes.entry(scope(value)).or_default() += 1;
            }
            for value in computed() {
                let wanted = number(value) && !outputs.contains(value.as_str());
                let again = value.rsplit('/').next().unwrap().contains('_');
                let alike = again && sizes.get(&scope(value)).is_some_and(|n| *n > 32);
                let right = noted.contains(value.as_str()) == wanted;
                assert!(right || (alike && wanted), "{name} {form:?} {value}");
            }
            let product = g.value_info.iter().find(|v| v.name.contains("MatMul"));
            let dims = product.and_then(|v| v.dims.clone()).unwrap();
            assert_eq!(dims[0], Dim::symbol("batch"), "{name} {form:?}");
            assert!(
                matches!(dims.last(), Some(Dim::Fixed(_))),
                "{name} {form:?}"
            );
        }
    }
}

/// What viewers show may cost a little of a small model's file.
#[test]
fn notes_are_small() {
    for (name, _) in CONFIGS {
        let (model, params) = model(name);
        for form in Form::ALL {
            let file = export(&model, &params, |o| o.form = form);
            let mut bare = file.clone();
            bare.graph.value_info.clear();
            let each = (file.encode().len() - bare.encode().len()) / file.graph.nodes.len();
            assert!(each < 80, "{name} {form:?}: {each} bytes a node");
        }
    }
}

#[test]
fn figures_are_in_the_card() {
    let root = tempfile::tempdir().unwrap();
    let (model, params) = model("gru");
    let options = DirOptions {
        measured: vec![("validation loss, nats".into(), "1.62771".into())],
        ..DirOptions::default()
    };
    let dir = root.path().join("out");
    write_export(&dir, &model, &params, &options).unwrap();
    let card = fs::read_to_string(dir.join("README.md")).unwrap();
    assert!(
        card.contains("| validation loss, nats | 1.62771 |"),
        "{card}"
    );
}

/// As `generate` needs them: a text has token ids, and one way to get them.
#[test]
fn vocabularies_are_characters() {
    let root = tempfile::tempdir().unwrap();
    let (model, params) = model("gru");
    let dir = root.path().join("out");
    let long = "long".repeat(20);
    for (words, wanted) in [
        (["a", "b", "c", "b", "d"], "entry 3, \"b\", is entry 1, too"),
        (["a", "b", "", "c", "d"], "entry 2, \"\", is empty"),
        (
            ["a", "b", "c", "d", long.as_str()],
            "entry 4, \"longlonglonglonglong\", is more than one",
        ),
    ] {
        let options = DirOptions {
            vocabulary: Some(words.map(String::from).to_vec().into()),
            ..DirOptions::default()
        };
        let error = write_export(&dir, &model, &params, &options).unwrap_err();
        assert!(error.to_string().contains(wanted), "{error}");
        assert!(!dir.exists());
    }
}
