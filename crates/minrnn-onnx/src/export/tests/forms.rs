use minrnn_model::compare::exact;
use proptest::prelude::*;

use super::models::{CONFIGS, Case, export, model, sequence_options, within};
use crate::export::{ExportError, ExportOptions, Form, Lowering, export_graph};
use crate::ir::{Dim, Model};
use crate::text::text;

/// Lengths around blocks and blocks of blocks.
const LENGTHS: &[usize] = &[1, 2, 3, 5, 15, 16, 17, 31, 32, 33, 100, 255, 256];

#[test]
fn every_form_of_every_model_is_right_at_every_length() {
    for (name, _) in CONFIGS {
        let (model, params) = model(name);
        let graph = model.graph();
        for (form, options) in sequence_options() {
            let onnx = export_graph(graph, &params, &options).unwrap();
            for time in LENGTHS {
                let case = Case::new(graph, 2, *time, 5);
                let want = case.oracle(graph, &params);
                let got = case.run(graph, &onnx).unwrap();
                let what = format!("{name} {form} T={time}");
                within(&what, &got.output, &want.output);
                for (i, s) in graph.states().iter().enumerate() {
                    within(&format!("{what} {}", s.name), &got.states[i], &want.states[i]);
                }
            }
        }
    }
}

#[test]
fn a_fixed_length_is_right_too() {
    for (name, _) in CONFIGS {
        let (model, params) = model(name);
        let graph = model.graph();
        for lowering in [Lowering::Blocked, Lowering::KoggeStone] {
            for time in [1, 7, 16, 33, 256, 300] {
                let onnx = export(&model, &params, |o| {
                    (o.seq_len, o.batch, o.lowering) = (Some(time), Some(2), lowering);
                });
                let padded = lowering == Lowering::Blocked && time % 16 != 0;
                assert_eq!(onnx.metadata("minrnn.padded"), Some(padded.to_string().as_str()));
                assert_eq!(onnx.metadata("minrnn.max_seq_len"), Some(time.to_string().as_str()));
                assert_eq!(onnx.graph.inputs[0].dims.as_ref().unwrap()[..2], [Dim::Fixed(2), Dim::Fixed(time as i64)]);
                assert!(onnx.graph.nodes.iter().all(|n| n.op_type != "Shape"), "lengths are numbers");
                let case = Case::new(graph, 2, time, 9);
                let want = case.oracle(graph, &params);
                let got = case.run(graph, &onnx).unwrap();
                within(&format!("{name} {lowering:?} T={time}"), &got.output, &want.output);
            }
        }
    }
}

#[test]
fn levels_follow_the_longest_sequence() {
    let (model, params) = model("bare");
    for (asked, taken) in [(1, 16), (16, 16), (17, 256), (256, 256), (257, 4096), (65_536, 65_536)] {
        let onnx = export(&model, &params, |o| o.max_seq_len = asked);
        assert_eq!(onnx.metadata("minrnn.max_seq_len"), Some(taken.to_string().as_str()), "{asked}");
        for time in [1, 2, 15, 16, 17, 256, 257].into_iter().filter(|t| *t <= taken) {
            let case = Case::new(model.graph(), 1, time, 3);
            let got = case.run(model.graph(), &onnx).unwrap();
            within(&format!("{asked} T={time}"), &got.output, &case.oracle(model.graph(), &params).output);
        }
    }
}

#[test]
fn too_long_a_sequence_is_an_error() {
    let (model, params) = model("gru");
    let exports = [
        export(&model, &params, |o| o.max_seq_len = 16),
        export(&model, &params, |o| o.max_seq_len = 256),
        export(&model, &params, |o| (o.max_seq_len, o.lowering) = (20, Lowering::KoggeStone)),
    ];
    for onnx in exports {
        let longest: usize = onnx.metadata("minrnn.max_seq_len").unwrap().parse().unwrap();
        for time in [longest + 1, longest + 16, 2 * longest, 2 * longest + 1, 40 * longest / 3] {
            let case = Case::new(model.graph(), 1, time, 3);
            assert!(case.run(model.graph(), &onnx).is_err(), "{longest}: T={time}");
        }
        let case = Case::new(model.graph(), 1, longest, 3);
        assert!(case.run(model.graph(), &onnx).is_ok());
    }
}

/// The recurrence in the scan is the step's, and so is all around it: bit for bit where rows are computed alike.
#[test]
fn steps_are_the_scan_bit_for_bit() {
    for (name, _) in CONFIGS {
        let (model, params) = model(name);
        let graph = model.graph();
        let scan = export(&model, &params, |o| o.form = Form::Scan);
        let step = export(&model, &params, |o| o.form = Form::Step);
        let case = Case::new(graph, 3, 9, 21);
        let whole = case.run(graph, &scan).unwrap();
        let mut states = case.states.clone();
        let width = graph.width(graph.output().value);
        for t in 0..case.time {
            let out = case.piece(t, t + 1, states).run(graph, &step).unwrap();
            states = out.states;
            for row in 0..case.batch {
                let got = &out.output[row * width..(row + 1) * width];
                let want = match graph.is_last_step() {
                    true if t + 1 < case.time => continue,
                    true => &whole.output[row * width..][..width],
                    false => &whole.output[(row * case.time + t) * width..][..width],
                };
                assert!(exact(got, want).holds(), "{name} t={t}");
            }
        }
        for (i, s) in graph.states().iter().enumerate() {
            assert!(exact(&states[i], &whole.states[i]).holds(), "{name} {}", s.name);
        }
    }
}

fn recurrences(onnx: &Model) -> Vec<[String; 5]> {
    let all: serde_json::Value = serde_json::from_str(onnx.metadata("minrnn.recurrences").unwrap()).unwrap();
    let one = |r: &serde_json::Value| ["a", "b", "h0", "h", "h_last"].map(|k| r[k].as_str().unwrap().to_owned());
    all.as_array().unwrap().iter().map(one).collect()
}

/// The names in the metadata are the recurrence: from a, b and h0 follow h and h_last; the last state is h's last row, bit
/// for bit.
#[test]
fn metadata_names_the_recurrence() {
    for (name, _) in CONFIGS {
        let (model, params) = model(name);
        let graph = model.graph();
        let step = ("step", ExportOptions { form: Form::Step, ..ExportOptions::default() });
        for (form, options) in sequence_options().into_iter().chain([step]) {
            let time = if form == "step" { 1 } else { 21 };
            let onnx = export_graph(graph, &params, &options).unwrap();
            let case = Case::new(graph, 2, time, 31);
            let env = case.run(graph, &onnx).unwrap().env;
            let all = recurrences(&onnx);
            assert_eq!(all.len(), graph.states().iter().filter(|s| s.lag.is_none()).count());
            for [a, b, h0, h, h_last] in &all {
                let width = env[h0].dims[1];
                let long = if form == "blocked" { 32 } else { time };
                let dims = if form == "step" { vec![2, width] } else { vec![2, long, width] };
                assert_eq!((&env[a].dims, &env[b].dims, &env[h].dims), (&dims, &dims, &dims), "{name} {form}");
                assert_eq!(onnx.metadata("minrnn.padded"), Some(if form == "blocked" { "true" } else { "false" }));
                let value = |n: &str, row: usize, t: usize, c: usize| env[n].floats()[(row * long + t) * width + c];
                for row in 0..2 {
                    for c in 0..width {
                        let mut state = f64::from(env[h0].floats()[row * width + c]);
                        for t in 0..time {
                            state = f64::from(value(a, row, t, c)) * state + f64::from(value(b, row, t, c));
                            assert!((f64::from(value(h, row, t, c)) - state).abs() < 1e-5, "{name} {form}");
                        }
                        let last = env[h_last].floats()[row * width + c];
                        assert_eq!(last.to_bits(), value(h, row, time - 1, c).to_bits(), "{name} {form}");
                    }
                }
            }
        }
    }
}

#[test]
fn closed_gates_close() {
    let (model, mut params) = model("bare");
    let graph = model.graph();
    // The gate's input k is x W with W = 30 everywhere: with x = -1, -1 it is -60, and h must not move.
    let index = graph.params().iter().position(|p| p.name == "layers.0.rnn.in.weight").unwrap();
    let projection = graph.params().iter().position(|p| p.name == "input.projection.weight").unwrap();
    params.get_mut(index).fill(10.0);
    params.get_mut(projection).fill(1.0);
    graph.params().iter().enumerate().filter(|(_, p)| p.name.ends_with("bias")).for_each(|(i, _)| params.get_mut(i).fill(0.0));
    for (form, options) in sequence_options() {
        let onnx = export_graph(graph, &params, &options).unwrap();
        let mut case = Case::new(graph, 1, 200, 1);
        case.features.fill(-1.0);
        case.states = vec![vec![1.0, -2.0, 3.0]];
        let out = case.run(graph, &onnx).unwrap();
        assert_eq!(out.states[0], [1.0, -2.0, 3.0], "{form}");
    }
}

#[test]
fn equal_models_give_equal_bytes() {
    for (name, _) in CONFIGS {
        let (model, params) = model(name);
        for (form, options) in sequence_options() {
            let [first, second] = [0, 1].map(|_| export_graph(model.graph(), &params, &options).unwrap());
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
    for wanted in ["/layers.0/rnn/in/MatMul", "/layers.1/rnn/cell/scan/level0/Mul_3", "/head/MatMul", "/time/Shape"] {
        assert!(names.contains(&wanted), "{wanted} in {names:?}");
    }
    let initializers: Vec<&str> = onnx.graph.initializers.iter().map(|t| t.name.as_str()).collect();
    for spec in model.graph().params() {
        assert!(initializers.contains(&spec.name.as_str()), "{}", spec.name);
    }
    let inputs: Vec<&str> = onnx.graph.inputs.iter().map(|v| v.name.as_str()).collect();
    assert_eq!(inputs, ["input_ids", "state.0.conv", "state.0.h", "state.1.conv", "state.1.h"]);
    let outputs: Vec<&str> = onnx.graph.outputs.iter().map(|v| v.name.as_str()).collect();
    assert_eq!(outputs, ["logits", "next_state.0.conv", "next_state.0.h", "next_state.1.conv", "next_state.1.h"]);
}

#[test]
fn learned_initial_states_are_in_the_metadata() {
    let (model, params) = model("lstm");
    let onnx = export(&model, &params, |_| {});
    let states: serde_json::Value = serde_json::from_str(onnx.metadata("minrnn.states").unwrap()).unwrap();
    assert_eq!(states[0]["init"], "zero");
    let index = model.graph().params().iter().position(|p| p.name == "layers.0.rnn.h0").unwrap();
    let values: Vec<f32> = states[1]["init"].as_array().unwrap().iter().map(|v| v.as_f64().unwrap() as f32).collect();
    assert_eq!(values, params.get(index));
    assert!(onnx.graph.initializers.iter().all(|t| t.name != "layers.0.rnn.h0"), "nothing in the graph reads it");
}

#[test]
fn what_makes_no_file_is_refused() {
    let (model, params) = model("bare");
    let try_with = |change: fn(&mut ExportOptions)| {
        let mut options = ExportOptions::default();
        change(&mut options);
        export_graph(model.graph(), &params, &options).unwrap_err().to_string()
    };
    assert!(try_with(|o| o.batch = Some(0)).contains("option batch"));
    assert!(try_with(|o| o.seq_len = Some(0)).contains("option seq_len"));
    assert!(try_with(|o| o.max_seq_len = 0).contains("option max_seq_len"));
    assert!(try_with(|o| o.opset = 18).contains("option opset"));
    assert!(try_with(|o| o.config = serde_json::Value::Null).contains("option config"));
    let mut bad = params.clone();
    bad.get_mut(0)[1] = f32::NAN;
    let error = export_graph(model.graph(), &bad, &ExportOptions::default()).unwrap_err();
    assert!(matches!(error, ExportError::Param { .. }), "{error}");
    let (other, _) = super::models::model("gru");
    assert!(export_graph(other.graph(), &params, &ExportOptions::default()).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Any cut of a sequence into pieces, each run by any form, gives what the whole gives.
    #[test]
    fn chunks_and_forms_can_be_mixed(
        which in 0..CONFIGS.len(),
        batch in 1usize..4,
        pieces in proptest::collection::vec((1usize..40, 0usize..4), 1..6),
        seed in any::<u64>(),
    ) {
        let (model, params) = model(CONFIGS[which].0);
        let graph = model.graph();
        let mut options: Vec<ExportOptions> = sequence_options().into_iter().map(|(_, o)| o).collect();
        options.push(ExportOptions { form: Form::Step, ..ExportOptions::default() });
        let forms: Vec<Model> = options.iter().map(|o| export_graph(graph, &params, o).unwrap()).collect();
        let lengths = pieces.iter().map(|(n, form)| if *form == 3 { 1 } else { *n });
        let case = Case::new(graph, batch, lengths.clone().sum(), seed);
        let want = case.oracle(graph, &params);
        let mut states = case.states.clone();
        let mut at = 0;
        let mut rows: Vec<Vec<f32>> = vec![vec![]; batch];
        for (length, (_, form)) in lengths.zip(&pieces) {
            let out = case.piece(at, at + length, states).run(graph, &forms[*form]).unwrap();
            states = out.states;
            at += length;
            let size = out.output.len() / batch;
            rows.iter_mut().enumerate().for_each(|(r, row)| row.extend(&out.output[r * size..(r + 1) * size]));
        }
        if graph.is_last_step() {
            let width = graph.width(graph.output().value);
            rows.iter_mut().for_each(|row| drop(row.drain(..row.len() - width)));
        }
        within("output", &rows.concat(), &want.output);
        for (i, s) in graph.states().iter().enumerate() {
            within(&s.name, &states[i], &want.states[i]);
        }
    }
}
