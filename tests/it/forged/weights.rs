//! Lies about weights: other ones in all files, which claim the checkpoint's hash.

use std::collections::BTreeMap;

use minrnn_onnx::export::{Activations, Form, Weights, write_export};
use minrnn_onnx::ir;
use serde_json::json;

use super::{FORMS, Forged, beside, params, said, say, weigh};

fn types() -> [Weights; 4] {
    let largest = |name: &str| (name.to_owned(), 3.0f32);
    let names = [
        "head.weight",
        "layers.0.conv.pointwise.weight",
        "layers.0.rnn.in.weight",
        "layers.0.rnn.out.weight",
    ];
    [
        Weights::F16,
        Weights::Bf16,
        Weights::Int8(Activations::Row),
        Weights::Int8(Activations::Static(names.map(largest).into())),
    ]
}

#[test]
fn narrow_exports_hold_bit_for_bit() {
    for weights in types() {
        Forged::narrow(weights).holds();
    }
}

/// Without a step file: its steps are made anew to measure with.
#[test]
fn a_sequence_form_alone_holds_and_another_weight_does_not() {
    let flip = |f: &mut ir::Model| {
        let mut all = f.graph.initializers.iter_mut();
        let tensor = all.find(|t| t.name == "layers.0.rnn.in.weight").unwrap();
        let ir::TensorData::Bytes(bytes) = &mut tensor.data else {
            panic!("{} lies elsewhere", tensor.name)
        };
        bytes[1] ^= 1;
    };
    for weights in types().into_iter().chain([Weights::F32]) {
        for form in [Form::Scan, Form::Parallel] {
            let forged = Forged::alone(form, weights.clone());
            forged.holds();
            forged.file(form.name(), &flip);
            match weights {
                Weights::F32 => forged.breaks("its weights have the hash"),
                _ => {
                    forged.fails(false, "golden trace");
                    let words = "`layers.0.rnn.in.weight`: has other values, 1 of";
                    forged.breaks_with(true, words);
                }
            }
        }
    }
}

/// genai has no step form at all.
#[test]
fn names_without_a_step_form_hold_in_narrow_types() {
    use minrnn_onnx::export::{StateNames, Target};
    for weights in [Weights::F16, Weights::Int8(Activations::Row)] {
        let zero = super::TOKENS.replace("initial_state = \"learned\"", "");
        let forged = Forged::new(&zero, |o| {
            o.forms = vec![Form::Parallel, Form::Scan];
            o.options.weights = weights;
            o.options.state_names = StateNames::Genai;
            o.options.target = Target::OnnxRuntime;
        });
        forged.holds();
    }
}

/// Another model's whole export, with the metadata and the hash of this one.
#[test]
fn weights_of_another_model_are_not_those_of_the_checkpoint() {
    for weights in types().into_iter().chain([Weights::F32]) {
        let narrow = weights != Weights::F32;
        let forged = Forged::narrow(weights.clone());
        let hash = said_hash(&forged);
        let other = Forged::narrow(weights);
        let made = params(&other.model, 4);
        let dir = tempfile::tempdir().unwrap();
        let mut options = minrnn_onnx::export::DirOptions::default();
        options.options = {
            let file =
                ir::Model::decode(&std::fs::read(other.path().join("model.scan.onnx")).unwrap());
            let told = minrnn_onnx::export::options(&file.unwrap()).unwrap();
            minrnn_onnx::export::ExportOptions {
                max_seq_len: 256,
                ..told
            }
        };
        write_export(dir.path(), &other.model, &made, &options).unwrap();
        for entry in std::fs::read_dir(dir.path()).unwrap().map(Result::unwrap) {
            std::fs::copy(entry.path(), forged.path().join(entry.file_name())).unwrap();
        }
        // Sound by itself, and of other weights than the checkpoint.
        forged.breaks_with(
            true,
            "holds other weights than the checkpoint: their sha256 is",
        );
        let report = forged.report(false).unwrap();
        assert!(report.holds, "{}\n{:#?}", report.table(), report.remarks());
        forged.manifest(|m| m["weights_sha256"] = hash.clone().into());
        forged.files(&|f| say(f, "minrnn.weights", Some(&hash)));
        match narrow {
            true => forged.breaks_with(true, "claims the checkpoint's weights, and"),
            false => forged.breaks("its weights have the hash"),
        }
    }
}

fn said_hash(forged: &Forged) -> String {
    let bytes = std::fs::read(forged.path().join("manifest.json")).unwrap();
    let json: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
    json["weights_sha256"].as_str().unwrap().to_owned()
}

/// The next number above.
fn up(v: &mut f32) {
    *v = f32::from_bits(v.to_bits() + 1);
}

#[test]
fn what_stays_f32_is_the_checkpoints_to_the_last_bit() {
    for weights in types() {
        for name in [
            "head.bias",
            "layers.0.rnn.in.bias",
            "layers.0.norm.weight",
            "layers.0.conv.depthwise.weight",
        ] {
            let forged = Forged::narrow(weights.clone());
            let first = forged
                .model
                .graph()
                .params()
                .iter()
                .find(|s| s.name == name);
            assert!(
                first.is_some(),
                "{name}: {:?}",
                forged
                    .model
                    .graph()
                    .params()
                    .iter()
                    .map(|s| &s.name)
                    .collect::<Vec<_>>()
            );
            forged.files(&|f| weigh(f, name, |v| up(&mut v[1])));
            forged.breaks_with(true, &format!("`{name}`: has other values, 1 of"));
        }
    }
}

#[test]
fn scales_and_steps_are_those_of_the_rule() {
    let forged = Forged::narrow(Weights::Int8(Activations::Row));
    forged.files(&|f| weigh(f, "head.weight.scale", |v| up(&mut v[0])));
    forged.breaks_with(true, "`head.weight.scale`: has other values, 1 of 4");
    let forged = Forged::narrow(Weights::Int8(Activations::Row));
    let step = |f: &mut ir::Model| {
        let tensor = f
            .graph
            .initializers
            .iter_mut()
            .find(|t| t.name == "head.weight");
        if let ir::TensorData::Bytes(bytes) = &mut tensor.unwrap().data {
            bytes[3] ^= 1;
        }
    };
    forged.files(&step);
    forged.breaks_with(
        true,
        "`head.weight`: has other values, 1 of 32, the first at flat index 3",
    );
    // In one file only, the files part.
    let row = Weights::Int8(Activations::Row);
    for weights in [row, Weights::F16, Weights::Bf16] {
        for form in FORMS {
            let forged = Forged::narrow(weights.clone());
            forged.file(form, &step);
            forged.breaks("against the parallel file");
        }
    }
}

/// The way back to the units of the data is f32 whatever the weights are, and what the oracle says.
#[test]
fn values_in_their_units_hold_in_every_type_of_weights() {
    const VALUES: &str = "width = 8\nlayers = 1\n[input]\nfeatures = 2\nmean = [200.0, -0.5]\nstd = [50.0, 0.25]\n\
        [head]\nkind = \"values\"\nwidth = 3\nmean = [1000.0, -3.0, 0.0]\nstd = [25.0, 1e-3, 7e4]\nbias = true\n\
        [conv]\nkernel = 3\n[cell]\nexpansion = 2\n";
    let row = Weights::Int8(Activations::Row);
    for weights in types().into_iter().filter(|w| *w != row) {
        let forged = Forged::new(VALUES, |o| {
            o.options.weights = weights;
            o.options.target = minrnn_onnx::export::Target::OnnxRuntime;
        });
        let report = forged.report(true).unwrap();
        assert!(report.holds, "{}\n{:#?}", report.table(), report.remarks());
        assert!(report.rows.iter().any(|r| r.against == "oracle"));
        for name in ["head.scale", "head.shift"] {
            let bytes = std::fs::read(forged.path().join("model.step.onnx")).unwrap();
            let file = ir::Model::decode(&bytes).unwrap();
            let buffer = file.graph.initializers.iter().find(|t| t.name == name);
            assert_eq!(buffer.unwrap().dtype, ir::DType::F32, "{name}");
        }
    }
}

#[test]
fn a_learned_beginning_is_the_checkpoints_in_all_metadata() {
    for weights in types().into_iter().chain([Weights::F32]) {
        let narrow = weights != Weights::F32;
        let forged = Forged::narrow(weights);
        let move_ = |states: &mut serde_json::Value| {
            let at = states
                .as_array()
                .unwrap()
                .iter()
                .position(|s| s["init"].is_array());
            let value = &mut states[at.unwrap()]["init"][0];
            *value = json!(value.as_f64().unwrap() + 0.5);
        };
        forged.files(&|f| {
            let mut states = said(f, "minrnn.states");
            move_(&mut states);
            say(f, "minrnn.states", Some(&states.to_string()));
        });
        forged.manifest(|m| move_(&mut m["states"]));
        match narrow {
            true => forged.breaks_with(true, "`minrnn.states` has other initial values than"),
            false => forged.breaks("its weights have the hash"),
        }
    }
}

#[test]
fn scales_of_activations_are_the_same_everywhere() {
    let [.., weights] = types();
    let more = |f: &mut ir::Model| {
        let mut scales: BTreeMap<String, f64> =
            serde_json::from_value(said(f, "minrnn.activations")).unwrap();
        *scales.get_mut("head.weight").unwrap() *= 1.25;
        say(
            f,
            "minrnn.activations",
            Some(&serde_json::to_string(&scales).unwrap()),
        );
    };
    for form in FORMS {
        let forged = Forged::narrow(weights.clone());
        forged.file(form, &more);
        assert!(
            forged.report(true).is_err() && forged.report(false).is_err(),
            "{form}"
        );
    }
}

#[test]
fn the_manifest_says_how_activations_are_scaled() {
    for weights in types().into_iter().skip(2) {
        let forged = Forged::narrow(weights.clone());
        let bytes = std::fs::read(forged.path().join("manifest.json")).unwrap();
        let json: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        let wanted = match &weights {
            Weights::Int8(Activations::Static(all)) => json!(all),
            _ => json!("row"),
        };
        assert_eq!(json["activations"], wanted);
        for lie in [json!("row"), json!({ "head.weight": 3.5 })] {
            if lie != wanted {
                let forged = Forged::narrow(weights.clone());
                forged.manifest(|m| m["activations"] = lie);
                forged.breaks("metadata `minrnn.activations` is not what the manifest says");
            }
        }
        // As older exports have it, and no file of this version.
        forged.manifest(|m| {
            m.as_object_mut().unwrap().remove("activations");
        });
        forged.breaks("metadata `minrnn.activations` is not what the manifest says");
        forged.files(&|f| f.producer_version = "0.0.9".into());
        forged.files_hold();
    }
    let plain = Forged::tokens();
    plain.manifest(|m| m["activations"] = json!("row"));
    plain.breaks("metadata `minrnn.activations` is not what the manifest says");
}

/// A scale of the metadata that the graphs do not use, and a factor that no model has: both within what int8 rounds.
#[test]
fn what_hides_in_the_rounding_of_int8_is_not_what_a_new_export_computes() {
    let forged = Forged::narrow(Weights::Int8(Activations::Row));
    forged.files(&|f| {
        let name = "head.weight.scale";
        beside(f, name, |v| v.iter_mut().for_each(|v| *v *= 1.001));
    });
    for checkpoint in [false, true] {
        forged.fails(checkpoint, "minrnn step against new export");
    }
}
