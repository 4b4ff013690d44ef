//! The published JSON Schema of `manifest.json`: every manifest that we write keeps it, and it refuses what is none.

use minrnn_model::model::Model;
use minrnn_model::vocabulary::Vocabulary;
use minrnn_onnx::export::{
    Activations, AverageRule, Averaged, DirOptions, ExportOptions, Form, Placement, StateLayout,
    StateNames, Target, Weights, write_export,
};
use serde_json::{Value, json};

use crate::golden::read::{Golden, files};

const SCHEMA: &str = include_str!("../../docs/manifest.schema.json");

fn schema() -> jsonschema::Validator {
    jsonschema::validator_for(&serde_json::from_str(SCHEMA).unwrap()).unwrap()
}

/// The manifest of the first model of that name, exported so.
fn manifest(name: &str, change: impl FnOnce(&mut DirOptions)) -> Value {
    named(name, false, change)
}

/// The same, of a model with names for what goes in and out.
fn named(name: &str, names: bool, change: impl FnOnce(&mut DirOptions)) -> Value {
    let (_, bytes) = files().into_iter().find(|(n, _)| n == name).unwrap();
    let mut golden = Golden::read(&bytes).unwrap();
    if names {
        let list = |n: usize| Some((0..n).map(|i| format!("channel {i}")).collect());
        let config = &mut golden.config;
        config.head.names = list(config.head.width.unwrap());
        let input = config.input.as_mut().unwrap();
        input.names = input.features.and_then(list);
    }
    let model = Model::from_config(&golden.config).unwrap();
    let params = golden.params(&model);
    let dir = tempfile::tempdir().unwrap();
    let mut options = DirOptions::default();
    change(&mut options);
    write_export(&dir.path().join("export"), &model, &params, &options).unwrap();
    let text = std::fs::read(dir.path().join("export/manifest.json")).unwrap();
    serde_json::from_slice(&text).unwrap()
}

fn all() -> Vec<Value> {
    let narrow = |weights: Weights| {
        move |o: &mut DirOptions| {
            o.options = ExportOptions {
                weights,
                target: Target::OnnxRuntime,
                ..ExportOptions::default()
            };
        }
    };
    let mut all: Vec<Value> = files().iter().map(|(n, _)| manifest(n, |_| {})).collect();
    all.push(manifest("gru_tokens", |o| {
        o.end_of_stream = Some(1);
        o.options.seq_len = Some(9);
        o.placement = Placement::Shared;
    }));
    for rule in [AverageRule::Ema(0.999), AverageRule::Mean] {
        let manifest = manifest("gru_tokens", |o| {
            o.average = Some(Averaged {
                rule,
                first_step: 1,
                last_step: 500,
            });
        });
        assert_eq!(manifest["average"]["last_step"], 500);
        all.push(manifest);
    }
    for words in [
        Vocabulary::from(
            (0..7)
                .map(|i| char::from(b'a' + i).to_string())
                .collect::<Vec<_>>(),
        ),
        Vocabulary::Tokenizer(std::sync::Arc::from(*b"{}")),
    ] {
        all.push(manifest("gru_tokens", |o| o.vocabulary = Some(words)));
    }
    let mut bytes = manifest("gru_tokens", |_| {});
    bytes["vocabulary"] = json!("bytes");
    bytes["preprocessing"] = json!({ "kind": "bytes" });
    all.push(bytes);
    all.push(manifest("lstm_tokens", |o| {
        o.placement = Placement::External;
        (o.options.lengths, o.options.reset) = (true, true);
    }));
    let features = "gru_features_conv_mlp_last";
    all.push(manifest(features, narrow(Weights::Int8(Activations::Row))));
    let fixed = [("head.weight".to_owned(), 2.5f32)];
    let fixed = Activations::Static(fixed.into());
    all.push(manifest(features, narrow(Weights::Int8(fixed))));
    all.push(manifest(features, narrow(Weights::Bf16)));
    for (name, keys) in [
        (features, vec!["features"]),
        ("gru_tokens", vec!["classes"]),
    ] {
        let manifest = named(name, true, |_| {});
        keys.iter()
            .for_each(|k| assert!(manifest[k].is_array(), "{name} {k}"));
        all.push(manifest);
    }
    all.push(manifest(features, |o| {
        o.options.state_layout = StateLayout::Stacked;
    }));
    all.push(manifest(features, |o| {
        o.options.state_names = StateNames::Genai;
        o.forms = vec![Form::Scan];
    }));
    all
}

#[test]
fn every_manifest_keeps_the_schema() {
    let schema = schema();
    for manifest in all() {
        let errors: Vec<String> = schema
            .iter_errors(&manifest)
            .map(|e| format!("{}: {e}", e.instance_path()))
            .collect();
        assert!(errors.is_empty(), "{errors:#?}\n{manifest:#}");
    }
    for model in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../models")).unwrap() {
        let path = model.unwrap().path().join("export/manifest.json");
        if let Ok(text) = std::fs::read(&path) {
            let manifest: Value = serde_json::from_slice(&text).unwrap();
            assert!(schema.is_valid(&manifest), "{}", path.display());
        }
    }
}

/// Whatever is left out, added or of another type is refused.
#[test]
fn the_schema_refuses_what_is_no_manifest() {
    let schema = schema();
    let good = manifest("gru_tokens", |_| {});
    let mut changed = 0;
    for (key, value) in good.as_object().unwrap() {
        let mut without = good.clone();
        without.as_object_mut().unwrap().remove(key);
        assert!(!schema.is_valid(&without), "without {key}");
        let mut other = good.clone();
        other[key] = if value.is_number() {
            json!("x")
        } else {
            json!(7)
        };
        assert!(!schema.is_valid(&other), "{key} is 7");
        changed += 2;
    }
    assert!(changed > 20);
    // Names are of schema 2, one text each.
    let names = [
        ("minrnn.manifest/2", json!(["a", "b"]), true),
        ("minrnn.manifest/1", json!(["a", "b"]), false),
        ("minrnn.manifest/2", json!(["a", "a"]), false),
        ("minrnn.manifest/2", json!([""]), false),
        ("minrnn.manifest/3", json!(["a", "b"]), false),
    ];
    for (version, list, holds) in names {
        let mut other = good.clone();
        (other["schema"], other["classes"]) = (json!(version), list.clone());
        assert_eq!(schema.is_valid(&other), holds, "{version} {list}");
    }
    // Scales are of int8 alone.
    for (dtype, scales, holds) in [
        ("int8", json!("row"), true),
        ("int8", json!({ "head.weight": 2.5 }), true),
        ("int8", json!("tensor"), false),
        ("int8", json!({ "head.weight": "2.5" }), false),
        ("f32", json!("row"), false),
    ] {
        let mut other = good.clone();
        (other["dtype"], other["activations"]) = (json!(dtype), scales.clone());
        assert_eq!(schema.is_valid(&other), holds, "{dtype} {scales}");
    }
    for (version, average, holds) in [
        (
            2,
            json!({ "kind": "mean", "first_step": 3, "last_step": 5 }),
            true,
        ),
        (
            1,
            json!({ "kind": "mean", "first_step": 3, "last_step": 5 }),
            false,
        ),
        (
            2,
            json!({ "kind": "mean", "first_step": 0, "last_step": 5 }),
            false,
        ),
        (2, json!({ "kind": "mean", "last_step": 5 }), false),
        (
            2,
            json!({ "kind": "ema", "first_step": 3, "last_step": 5 }),
            false,
        ),
        (
            2,
            json!({ "kind": "ema", "decay": 1, "first_step": 3, "last_step": 5 }),
            false,
        ),
    ] {
        let mut other = good.clone();
        other["schema"] = json!(format!("minrnn.manifest/{version}"));
        other["average"] = average.clone();
        assert_eq!(schema.is_valid(&other), holds, "{version} {average}");
    }
    let edits: [(&str, Value); 6] = [
        ("/forms/step/file", json!("../model.onnx")),
        ("/forms/step/sha256", json!("ABC")),
        ("/forms/scan/lowering", json!("log-space")),
        ("/states/0/init", json!("ones")),
        ("/dtype", json!("float32")),
        ("/weights_sha256", json!("0")),
    ];
    for (place, value) in edits {
        let mut bad = good.clone();
        *bad.pointer_mut(place).unwrap() = value;
        assert!(!schema.is_valid(&bad), "{place}");
    }
}
