//! Names, metadata, bytes: what a runtime relies on.

use super::models::{CONFIGS, Case, export, model, sequence_options};
use crate::export::{
    Activations, ExportError, ExportOptions, Form, Lowering, Target, Weights, export_graph,
};
use crate::ir::Model;
use crate::text::text;

fn recurrences(onnx: &Model) -> Vec<[String; 5]> {
    let all: serde_json::Value =
        serde_json::from_str(onnx.metadata("minrnn.recurrences").unwrap()).unwrap();
    let one = |r: &serde_json::Value| {
        ["a", "b", "h0", "h", "h_last"].map(|k| r[k].as_str().unwrap().to_owned())
    };
    all.as_array().unwrap().iter().map(one).collect()
}

/// The names in the metadata are the recurrence: from a, b and h0 follow h and h_last; the last state is h's last row, bit
/// for bit.
#[test]
fn metadata_names_the_recurrence() {
    for (name, _) in CONFIGS {
        let (model, params) = model(name);
        let graph = model.graph();
        let step = (
            "step",
            ExportOptions {
                form: Form::Step,
                ..ExportOptions::default()
            },
        );
        for (form, options) in sequence_options(graph).into_iter().chain([step]) {
            let time = if form == "step" { 1 } else { 21 };
            let onnx = export_graph(graph, &params, &options).unwrap();
            let case = Case::new(graph, 2, time, 31);
            let env = case.run(graph, &onnx).unwrap().env;
            let all = recurrences(&onnx);
            // A scan that is one operator has no value for the states of all steps.
            let whole = form == "linear-attention" && options.lowering.is_of_steps(graph);
            let named = graph
                .states()
                .iter()
                .filter(|s| s.lag().is_none() && !whole);
            assert_eq!(all.len(), named.count(), "{name} {form}");
            for [a, b, h0, h, h_last] in &all {
                let width = env[h0].dims[1];
                // 21 steps in blocks of 16, of 4, in pairs.
                let long = match form {
                    "blocked" | "blocked-scan" => 32,
                    "blocked of 4" => 24,
                    "odd-even" => 22,
                    _ => time,
                };
                let dims = if form == "step" {
                    vec![2, width]
                } else {
                    vec![2, long, width]
                };
                assert_eq!(
                    (&env[a].dims, &env[b].dims, &env[h].dims),
                    (&dims, &dims, &dims),
                    "{name} {form}"
                );
                assert_eq!(
                    onnx.metadata("minrnn.padded"),
                    Some(if long > time { "true" } else { "false" })
                );
                let value = |n: &str, row: usize, t: usize, c: usize| {
                    env[n].floats()[(row * long + t) * width + c]
                };
                for row in 0..2 {
                    for c in 0..width {
                        let mut state = f64::from(env[h0].floats()[row * width + c]);
                        for t in 0..time {
                            state = f64::from(value(a, row, t, c)) * state
                                + f64::from(value(b, row, t, c));
                            assert!(
                                (f64::from(value(h, row, t, c)) - state).abs() < 1e-5,
                                "{name} {form}"
                            );
                        }
                        let last = env[h_last].floats()[row * width + c];
                        assert_eq!(
                            last.to_bits(),
                            value(h, row, time - 1, c).to_bits(),
                            "{name} {form}"
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn equal_models_give_equal_bytes() {
    for (name, _) in CONFIGS {
        let (model, params) = model(name);
        for (form, options) in sequence_options(model.graph()) {
            let [first, second] =
                [0, 1].map(|_| export_graph(model.graph(), &params, &options).unwrap());
            let bytes = first.encode();
            assert_eq!(bytes, second.encode(), "{name} {form}");
            let back = Model::decode(&bytes).unwrap();
            assert_eq!(back, first);
            assert_eq!(text(&back), text(&first));
        }
    }
}

#[test]
fn names_follow_the_model() {
    let (model, params) = model("gru");
    let onnx = export(&model, &params, |_| {});
    let names: Vec<&str> = onnx.graph.nodes.iter().map(|n| n.name.as_str()).collect();
    assert!(names.iter().all(|n| n.starts_with('/')));
    for wanted in [
        "/layers.0/rnn/in/MatMul",
        "/layers.1/rnn/cell/scan/level0/Mul_3",
        "/head/MatMul",
        "/time/Shape",
    ] {
        assert!(names.contains(&wanted), "{wanted} in {names:?}");
    }
    let initializers: Vec<&str> = onnx
        .graph
        .initializers
        .iter()
        .map(|t| t.name.as_str())
        .collect();
    for spec in model.graph().params() {
        assert!(initializers.contains(&spec.name.as_str()), "{}", spec.name);
    }
    let inputs: Vec<&str> = onnx.graph.inputs.iter().map(|v| v.name.as_str()).collect();
    assert_eq!(
        inputs,
        [
            "input_ids",
            "state.0.conv",
            "state.0.h",
            "state.1.conv",
            "state.1.h"
        ]
    );
    let outputs: Vec<&str> = onnx.graph.outputs.iter().map(|v| v.name.as_str()).collect();
    assert_eq!(
        outputs,
        [
            "logits",
            "next_state.0.conv",
            "next_state.0.h",
            "next_state.1.conv",
            "next_state.1.h"
        ]
    );
}

#[test]
fn learned_initial_states_are_in_the_metadata() {
    let (model, params) = model("lstm");
    let onnx = export(&model, &params, |_| {});
    let states: serde_json::Value =
        serde_json::from_str(onnx.metadata("minrnn.states").unwrap()).unwrap();
    assert_eq!(states[0]["init"], "zero");
    let index = model
        .graph()
        .params()
        .iter()
        .position(|p| p.name == "layers.0.rnn.h0")
        .unwrap();
    let values: Vec<f32> = states[1]["init"]
        .as_array()
        .unwrap()
        .iter()
        .map(|v| v.as_f64().unwrap() as f32)
        .collect();
    assert_eq!(values, params.get(index));
    assert!(
        onnx.graph
            .initializers
            .iter()
            .all(|t| t.name != "layers.0.rnn.h0"),
        "nothing in the graph reads it"
    );
}

#[test]
fn what_makes_no_file_is_refused() {
    let (model, params) = model("bare");
    let try_with = |change: fn(&mut ExportOptions)| {
        let mut options = ExportOptions::default();
        change(&mut options);
        export_graph(model.graph(), &params, &options)
            .unwrap_err()
            .to_string()
    };
    assert!(try_with(|o| o.batch = Some(0)).contains("option batch"));
    assert!(try_with(|o| o.seq_len = Some(0)).contains("option seq_len"));
    assert!(try_with(|o| o.max_seq_len = 0).contains("option max_seq_len"));
    let doubling =
        |o: &mut ExportOptions| (o.lowering, o.max_seq_len) = (Lowering::KoggeStone, (1 << 20) + 1);
    assert!(try_with(doubling).contains("kogge-stone"));
    assert!(try_with(|o| o.opset = 29).contains("option opset"));
    assert!(try_with(|o| o.opset = 18).contains("rule opset"));
    assert!(try_with(|o| o.block = 1).contains("option block"));
    let attention = |o: &mut ExportOptions| o.lowering = Lowering::LinearAttention;
    assert!(try_with(attention).contains("linear-attention needs 27"));
    let step = |o: &mut ExportOptions| (o.form, o.lengths) = (Form::Step, true);
    assert!(try_with(step).contains("option lengths"));
    let genai = |o: &mut ExportOptions| {
        (o.form, o.state_names) = (Form::Step, crate::export::StateNames::Genai)
    };
    assert!(try_with(genai).contains("option state_names"));
    assert!(try_with(|o| o.config = serde_json::Value::Null).contains("option config"));
    let mut bad = params.clone();
    bad.get_mut(0)[1] = f32::NAN;
    let error = export_graph(model.graph(), &bad, &ExportOptions::default()).unwrap_err();
    assert!(matches!(error, ExportError::Param { .. }), "{error}");
    let (other, _) = super::models::model("gru");
    assert!(export_graph(other.graph(), &params, &ExportOptions::default()).is_err());
}

/// What a narrower type cannot hold is refused by the name of the parameter, once.
#[test]
fn weights_that_a_type_cannot_hold_are_refused_by_name() {
    let (model, params) = model("gru");
    let graph = model.graph();
    let at = graph.params().iter().position(|p| p.name == "head.weight");
    let at = at.unwrap();
    let error = |weights: &Weights, change: &dyn Fn(&mut [f32])| {
        let mut params = params.clone();
        change(params.get_mut(at));
        let weights = weights.clone();
        let options = ExportOptions {
            weights,
            target: Target::OnnxRuntime,
            ..ExportOptions::default()
        };
        export_graph(graph, &params, &options)
            .err()
            .map(|e| e.to_string())
    };
    let one = |value: f32| move |v: &mut [f32]| v[1] = value;
    let all = |value: f32| move |v: &mut [f32]| v.fill(value);
    let int8 = Weights::Int8(Activations::Row);
    let ends = "parameter `head.weight`: is ";
    for (weights, value, words) in [
        (
            &Weights::F16,
            7e4,
            "70000.0 at flat index 1, and f16 ends at 65504; export it as bf16 or f32",
        ),
        (
            &Weights::Bf16,
            3.4e38,
            "3.4e38 at flat index 1, and bf16 ends at 3.3895314e38; export it as f32",
        ),
    ] {
        assert_eq!(error(weights, &one(value)), Some(format!("{ends}{words}")));
    }
    for (weights, value, name) in [
        (&Weights::F16, -1e-9, "f16"),
        (&Weights::Bf16, 1e-45, "bf16"),
        (&int8, 1e-31, "int8"),
    ] {
        let error = error(weights, &all(value)).unwrap();
        let words = format!("and in {name} all of it would be 0");
        assert!(
            error.starts_with("parameter `head.weight`: has ") && error.contains(&words),
            "{error}"
        );
    }
    // The last number that fits, and a single one that vanishes.
    for (weights, value) in [
        (&Weights::Bf16, 3.38e38),
        (&Weights::F16, 1e-9),
        (&int8, 1e-31),
        (&Weights::F16, 65504.0),
    ] {
        assert_eq!(error(weights, &one(value)), None);
    }
    assert_eq!(error(&Weights::F16, &all(0.0)), None);
    let stored = |change: &dyn Fn(&mut Model)| {
        let mut file = export_graph(graph, &params, &ExportOptions::default()).unwrap();
        change(&mut file);
        let error = crate::export::read(&file, graph, std::path::Path::new(".")).unwrap_err();
        error.to_string()
    };
    let gone = stored(&|file| file.graph.initializers.retain(|t| t.name != "head.weight"));
    assert!(
        gone.starts_with("parameter `head.weight`: is missing"),
        "{gone}"
    );
}

/// A contract that is not known is refused by its number; one that the model does not need, too.
#[test]
fn the_contract_is_the_oldest_that_says_all_of_the_model() {
    let (model, params) = model("gru");
    let file = export(&model, &params, |_| ());
    assert_eq!(file.metadata("minrnn.contract"), Some("1"));
    let said = |version: &str| {
        let mut file = file.clone();
        let entry = file
            .metadata
            .iter_mut()
            .find(|(key, _)| key == "minrnn.contract");
        entry.unwrap().1 = version.into();
        crate::export::read(&file, model.graph(), std::path::Path::new("."))
    };
    assert!(said("1").is_ok());
    for (version, wanted) in [
        ("2", "by the configuration it would be `1`"),
        ("3", "`3`, which is not known here"),
    ] {
        let e = said(version).unwrap_err().to_string();
        assert!(e.contains("minrnn.contract") && e.contains(wanted), "{e}");
    }
}
