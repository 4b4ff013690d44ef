use minrnn_model::compare::exact;
use proptest::prelude::*;

use super::models::{CONFIGS, Case, export, model, right, sequence_options};
use crate::export::{ExportOptions, Form, Lowering, export_graph};
use crate::ir::{Dim, Model};

/// Lengths around blocks and blocks of blocks.
const LENGTHS: &[usize] = &[1, 2, 3, 5, 15, 16, 17, 31, 32, 33, 100, 255, 256];

#[test]
fn every_form_of_every_model_is_right_at_every_length() {
    for (name, _) in CONFIGS {
        let (model, params) = model(name);
        let graph = model.graph();
        for (form, options) in sequence_options(graph) {
            let onnx = export_graph(graph, &params, &options).unwrap();
            for time in LENGTHS {
                let case = Case::new(graph, 2, *time, 5);
                let want = case.oracle(graph, &params);
                let got = case.run(graph, &onnx).unwrap();
                let what = format!("{name} {form} T={time}");
                right(&what, &got.output, &want.output);
                for (i, s) in graph.states().iter().enumerate() {
                    right(
                        &format!("{what} {}", s.name),
                        &got.states[i],
                        &want.states[i],
                    );
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
        for lowering in Lowering::ALL.into_iter().filter(|l| l.takes(graph)) {
            for time in [1, 7, 16, 33, 256, 300] {
                let onnx = export(&model, &params, |o| {
                    (o.seq_len, o.batch, o.lowering) = (Some(time), Some(2), lowering);
                    (o.target, o.opset) = (lowering.target(), lowering.opset().max(17));
                });
                let padded = match lowering {
                    Lowering::Blocked | Lowering::BlockedScan => time % 16 != 0,
                    Lowering::OddEven => time % 2 != 0,
                    _ => false,
                };
                assert_eq!(
                    onnx.metadata("minrnn.padded"),
                    Some(padded.to_string().as_str())
                );
                assert_eq!(
                    onnx.metadata("minrnn.max_seq_len"),
                    Some(time.to_string().as_str())
                );
                assert_eq!(
                    onnx.graph.inputs[0].dims.as_ref().unwrap()[..2],
                    [Dim::Fixed(2), Dim::Fixed(time as i64)]
                );
                assert!(
                    lowering == Lowering::LinearAttention
                        || onnx.graph.nodes.iter().all(|n| n.op_type != "Shape"),
                    "lengths are numbers"
                );
                let case = Case::new(graph, 2, time, 9);
                let want = case.oracle(graph, &params);
                let got = case.run(graph, &onnx).unwrap();
                right(
                    &format!("{name} {lowering:?} T={time}"),
                    &got.output,
                    &want.output,
                );
            }
        }
    }
}

#[test]
fn levels_follow_the_longest_sequence() {
    let (model, params) = model("bare");
    for (asked, taken) in [
        (1, 256),
        (16, 256),
        (256, 256),
        (257, 4096),
        (65_536, 65_536),
    ] {
        let onnx = export(&model, &params, |o| o.max_seq_len = asked);
        assert_eq!(
            onnx.metadata("minrnn.max_seq_len"),
            Some(taken.to_string().as_str()),
            "{asked}"
        );
        for time in [1, 2, 15, 16, 17, 256, 257]
            .into_iter()
            .filter(|t| *t <= taken)
        {
            let case = Case::new(model.graph(), 1, time, 3);
            let got = case.run(model.graph(), &onnx).unwrap();
            right(
                &format!("{asked} T={time}"),
                &got.output,
                &case.oracle(model.graph(), &params).output,
            );
        }
    }
}

#[test]
fn too_long_a_sequence_is_an_error() {
    let (model, params) = model("gru");
    let exports = [
        export(&model, &params, |o| o.max_seq_len = 256),
        export(&model, &params, |o| {
            (o.max_seq_len, o.lowering) = (1, Lowering::KoggeStone);
            o.target = o.lowering.target();
        }),
        export(&model, &params, |o| {
            (o.max_seq_len, o.lowering) = (20, Lowering::KoggeStone);
            o.target = o.lowering.target();
        }),
        export(&model, &params, |o| {
            (o.max_seq_len, o.lowering) = (20, Lowering::KoggeStoneConcat);
            o.target = o.lowering.target();
        }),
        export(&model, &params, |o| {
            (o.max_seq_len, o.lowering) = (20, Lowering::OddEven)
        }),
        export(&model, &params, |o| (o.max_seq_len, o.block) = (50, 5)),
    ];
    for onnx in exports {
        let longest: usize = onnx
            .metadata("minrnn.max_seq_len")
            .unwrap()
            .parse()
            .unwrap();
        for time in [
            longest + 1,
            longest + 16,
            2 * longest,
            2 * longest + 1,
            40 * longest / 3,
        ] {
            let case = Case::new(model.graph(), 1, time, 3);
            assert!(
                case.run(model.graph(), &onnx).is_err(),
                "{longest}: T={time}"
            );
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
            assert!(
                exact(&states[i], &whole.states[i]).holds(),
                "{name} {}",
                s.name
            );
        }
    }
}

#[test]
fn closed_gates_close() {
    let (model, mut params) = model("bare");
    let graph = model.graph();
    // The gate's input k is x W with W = 30 everywhere: with x = -1, -1 it is -60, and h must not move.
    let index = graph
        .params()
        .iter()
        .position(|p| p.name == "layers.0.rnn.in.weight")
        .unwrap();
    let projection = graph
        .params()
        .iter()
        .position(|p| p.name == "input.projection.weight")
        .unwrap();
    params.get_mut(index).fill(10.0);
    params.get_mut(projection).fill(1.0);
    graph
        .params()
        .iter()
        .enumerate()
        .filter(|(_, p)| p.name.ends_with("bias"))
        .for_each(|(i, _)| params.get_mut(i).fill(0.0));
    for (form, options) in sequence_options(graph) {
        let onnx = export_graph(graph, &params, &options).unwrap();
        let mut case = Case::new(graph, 1, 200, 1);
        case.features.fill(-1.0);
        case.states = vec![vec![1.0, -2.0, 3.0]];
        let out = case.run(graph, &onnx).unwrap();
        assert_eq!(out.states[0], [1.0, -2.0, 3.0], "{form}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Any cut of a sequence into pieces, each run by any form, gives what the whole gives.
    #[test]
    fn chunks_and_forms_can_be_mixed(
        which in 0..CONFIGS.len(),
        batch in 1usize..4,
        pieces in proptest::collection::vec((1usize..40, 0usize..9), 1..6),
        seed in any::<u64>(),
    ) {
        let (model, params) = model(CONFIGS[which].0);
        let graph = model.graph();
        let mut options: Vec<ExportOptions> = sequence_options(graph).into_iter().map(|(_, o)| o).collect();
        options.push(ExportOptions { form: Form::Step, ..ExportOptions::default() });
        let forms: Vec<Model> = options.iter().map(|o| export_graph(graph, &params, o).unwrap()).collect();
        let step = forms.len() - 1;
        let lengths = pieces.iter().map(|(n, form)| if *form == 8 { 1 } else { *n });
        let case = Case::new(graph, batch, lengths.clone().sum(), seed);
        let want = case.oracle(graph, &params);
        let mut states = case.states.clone();
        let mut at = 0;
        let mut rows: Vec<Vec<f32>> = vec![vec![]; batch];
        for (length, (_, form)) in lengths.zip(&pieces) {
            let out = case.piece(at, at + length, states).run(graph, &forms[if *form == 8 { step } else { form % step }]).unwrap();
            states = out.states;
            at += length;
            let size = out.output.len() / batch;
            rows.iter_mut().enumerate().for_each(|(r, row)| row.extend(&out.output[r * size..(r + 1) * size]));
        }
        if graph.is_last_step() {
            let width = graph.width(graph.output().value);
            rows.iter_mut().for_each(|row| drop(row.drain(..row.len() - width)));
        }
        right("output", &rows.concat(), &want.output);
        for (i, s) in graph.states().iter().enumerate() {
            right(&s.name, &states[i], &want.states[i]);
        }
    }
}
