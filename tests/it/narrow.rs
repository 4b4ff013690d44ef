//! Features of files in float16: those that are infinite there are refused by name, in every form and execution, and by `verify`.

use std::sync::Arc;

use minrnn_model::config::ModelConfig;
use minrnn_model::model::Model as Described;
use minrnn_model::params::Params;
use minrnn_onnx::export::{DirOptions, ExportOptions, Form, Target, Weights, export_graph};
use minrnn_runtime::{ErrorKind, Input, Model, Options, Session};

use crate::forged::Forged;

/// As they are, and with two scales; the third channel of the second is normalised to nothing.
const MODELS: [(&str, [(f32, f32); 3]); 2] = [
    ("", [(-65_520.0, 65_520.0); 3]),
    (
        "mean = [0.0, 1000.0, -3.0]\nstd = [1.0, 0.5, 1e6]\n",
        [
            (-65_520.0, 65_520.0),
            (-31_760.0, 33_760.0),
            (-6.552e10, 6.552e10),
        ],
    ),
];

fn config(statistics: &str, cell: &str) -> String {
    format!(
        "width = 6\nlayers = 1\n[input]\nfeatures = 3\n{statistics}[head]\nwidth = 2\nkind = 'values'\n[cell]\nkind = '{cell}'\n"
    )
}

fn narrow(weights: Weights, form: Form) -> ExportOptions {
    ExportOptions {
        weights,
        form,
        target: Target::OnnxRuntime,
        ..ExportOptions::default()
    }
}

fn file(text: &str, options: &ExportOptions) -> Vec<u8> {
    let config: ModelConfig = toml::from_str(text).unwrap();
    let model = Described::from_config(&config).unwrap();
    let params = Params::init(model.graph(), 3);
    let file = export_graph(model.graph(), &params, options).unwrap();
    file.encode()
}

/// Two rows of two steps, or of one, usual but for one value.
fn features(middle: [f32; 3], time: usize, at: usize, value: f32) -> Vec<f32> {
    let mut all = middle.repeat(2 * time);
    all[at] = value;
    all
}

#[test]
fn features_beyond_float16_are_refused_in_every_form_and_execution() {
    let executions = [
        Options::default(),
        Options::with_plans(8),
        Options::referee(),
    ];
    for (statistics, wanted) in MODELS {
        for cell in ["gru", "min_gru"] {
            for form in [Form::Step, Form::Scan, Form::Parallel] {
                if (cell, form) == ("gru", Form::Parallel) {
                    continue;
                }
                let bytes = file(&config(statistics, cell), &narrow(Weights::F16, form));
                for options in &executions {
                    let model = Model::from_bytes_with(&bytes, options).unwrap();
                    let range = model.info().range.clone().expect("float16 has ends");
                    let time = if form == Form::Step { 1 } else { 2 };
                    for (channel, ((least, most), (low, high))) in
                        range.channels().iter().zip(wanted).enumerate()
                    {
                        let near = |a: f32, b: f32| (a - b).abs() <= 1e-5 * b.abs();
                        assert!(near(*least, low) && near(*most, high), "{least} to {most}");
                        let middle = wanted.map(|(a, b)| a / 2.0 + b / 2.0);
                        let run = |value: f32| {
                            let at = 3 * time + 3 * (time - 1) + channel;
                            let values = features(middle, time, at, value);
                            let input = Input::Features {
                                values: &values,
                                batch: 2,
                                time,
                                width: 3,
                            };
                            model.run(input, &model.initial_state(2).unwrap()).map(drop)
                        };
                        for inside in [*least, *most] {
                            run(inside).unwrap();
                        }
                        for beyond in [least.next_down(), most.next_up()] {
                            let error = run(beyond).unwrap_err();
                            let said = error.to_string();
                            assert_eq!(error.kind(), ErrorKind::Input, "{said}");
                            let place = format!(
                                "features: row 1, step {}, channel {channel}: {beyond:?} is outside of",
                                time - 1
                            );
                            assert!(said.starts_with(&place), "{said}");
                            assert!(said.contains("export as f32 or bf16"), "{said}");
                        }
                        let error = run(f32::INFINITY).unwrap_err().to_string();
                        assert!(error.contains("is not finite"), "{error}");
                    }
                }
            }
        }
    }
}

/// The lowering whose input is multiplied by ones, and files whose features stay f32.
#[test]
fn other_files_take_what_they_can() {
    use minrnn_onnx::export::Lowering;
    let text = config(MODELS[1].0, "min_gru");
    let guarded = ExportOptions {
        lowering: Lowering::KoggeStone,
        ..narrow(Weights::F16, Form::Parallel)
    };
    let model = Model::from_bytes(&file(&text, &guarded)).unwrap();
    let step = Model::from_bytes(&file(&text, &narrow(Weights::F16, Form::Step))).unwrap();
    assert!(step.info().range.is_some());
    assert_eq!(model.info().range, step.info().range);
    for weights in [Weights::F32, Weights::Bf16] {
        let model = Model::from_bytes(&file(&text, &narrow(weights, Form::Step))).unwrap();
        assert_eq!(model.info().range, None);
        let input = Input::Features {
            values: &[1e9, 0.0, 0.0],
            batch: 1,
            time: 1,
            width: 3,
        };
        model.run(input, &model.initial_state(1).unwrap()).unwrap();
    }
}

/// In a step of many sessions the one with such features stops alone, or begins anew.
#[test]
fn sessions_are_each_their_own_matter() {
    let bytes = file(&config("", "gru"), &narrow(Weights::F16, Form::Step));
    let model = Arc::new(Model::from_bytes(&bytes).unwrap());
    let mut all = [0, 1, 2].map(|_| Session::new(model.clone(), 1).unwrap());
    all[2].set_begin_anew(true);
    let mut out = vec![0.0; 3 * 2];
    let step = |all: &mut [Session; 3], values: &[f32], out: &mut [f32]| {
        let mut sessions: Vec<&mut Session> = all.iter_mut().collect();
        Session::step_features_together(&mut sessions, values, out).unwrap()
    };
    assert!(step(&mut all, &[1.0; 9], &mut out).is_empty());
    let before = all[1].state().clone();
    let mut values = [1.0; 9];
    (values[4], values[8]) = (7e4, -7e4);
    assert_eq!(step(&mut all, &values, &mut out), [1, 2]);
    assert!(all[1].state() == &before);
    assert_eq!(all[2].began_anew(), [0]);
    assert!(all[2].state() == &model.initial_state(1).unwrap());
    assert!(out[..2].iter().all(|v| v.is_finite()) && out[2..].iter().all(|v| v.is_nan()));
    let error = all[1].step_features(&values[3..6]).unwrap_err().to_string();
    assert!(error.contains("channel 1: 70000.0 is outside"), "{error}");
}

#[test]
fn verify_says_which_features_float16_takes() {
    for (statistics, _) in MODELS {
        let of = |weights: Weights| {
            let change = |o: &mut DirOptions| {
                o.options.weights = weights;
                o.options.target = Target::OnnxRuntime;
            };
            Forged::new(&config(statistics, "min_gru"), change)
                .report(true)
                .unwrap()
        };
        let report = of(Weights::F16);
        assert!(report.holds, "{}", report.table());
        let row = report.rows.iter().find(|r| r.form == "features in float16");
        assert!(row.is_some_and(|r| r.holds), "{}", report.table());
        let note = report.notes.iter().find(|n| n.contains("are made float16"));
        assert!(
            note.is_some_and(|n| n.contains("channel")),
            "{:?}",
            report.notes
        );
        let report = of(Weights::F32);
        assert!(report.rows.iter().all(|r| r.form != "features in float16"));
    }
}
