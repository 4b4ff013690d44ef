//! What a graph would compute without a word, and the runtime refuses: token ids that are none, lengths that no row has.

use std::sync::Arc;

use minrnn_model::config::ModelConfig;
use minrnn_model::model::Model;
use minrnn_model::params::Params;
use minrnn_onnx::export::{ExportOptions, Form, export_graph};
use minrnn_runtime::{AnyModel, Array, ErrorKind, Extras, Input, Options, Session, Values};

const CONFIG: &str =
    "width = 4\nlayers = 1\n[input]\nvocab = 5\n[head]\nwidth = 3\nsteps = \"last\"";
const BATCH: usize = 2;
const TIME: usize = 6;

fn file(form: Form, lengths: bool) -> Vec<u8> {
    let config: ModelConfig = toml::from_str(CONFIG).unwrap();
    let model = Model::from_config(&config).unwrap();
    let params = Params::init(model.graph(), 3);
    let options = ExportOptions {
        form,
        lengths,
        config: model.config().clone(),
        ..ExportOptions::default()
    };
    export_graph(model.graph(), &params, &options)
        .unwrap()
        .encode()
}

fn executions() -> [Options; 3] {
    [
        Options::default(),
        Options::with_plans(2),
        Options::referee(),
    ]
}

/// Ids that are none, and ids that are.
const IDS: [([i64; BATCH * TIME], bool); 4] = [
    ([0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 0, 1], true),
    ([0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 0, -1], false),
    ([5, 1, 2, 3, 4, 0, 1, 2, 3, 4, 0, 1], false),
    ([0, 1, 2, 3, 4, i64::MIN, 1, 2, 3, 4, 0, 1], false),
];

const LENGTHS: [(&[i64], bool); 6] = [
    (&[1, 6], true),
    (&[0, 6], false),
    (&[3, 7], false),
    (&[-1, 6], false),
    (&[6], false),
    (&[6, 6, 6], false),
];

#[test]
fn every_execution_refuses_ids_and_lengths_that_are_none() {
    for form in [Form::Parallel, Form::Scan] {
        let bytes = file(form, true);
        for options in executions() {
            let model = minrnn_runtime::Model::from_bytes_with(&bytes, &options).unwrap();
            let state = model.initial_state(BATCH).unwrap();
            for (ids, good) in &IDS {
                for (lengths, fits) in LENGTHS {
                    let input = Input::Tokens {
                        ids,
                        batch: BATCH,
                        time: TIME,
                    };
                    let extras = Extras {
                        lengths: Some(lengths),
                        ..Extras::default()
                    };
                    match model.run_with(input, &extras, &state) {
                        Ok(_) => assert!(*good && fits, "{ids:?} {lengths:?}"),
                        Err(e) => {
                            assert!(!(*good && fits), "{e}");
                            assert_eq!(e.kind(), ErrorKind::Input, "{e}");
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn a_session_refuses_ids_that_are_none() {
    let bytes = file(Form::Step, false);
    let parallel = minrnn_runtime::Model::from_bytes(&file(Form::Parallel, false)).unwrap();
    for options in executions() {
        let model = minrnn_runtime::Model::from_bytes_with(&bytes, &options).unwrap();
        let mut session = Session::new(Arc::new(model), 1).unwrap();
        session.step_tokens(&[4]).unwrap();
        let before = session.state().clone();
        for id in [-1, 5, i64::MAX] {
            let error = session.step_tokens(&[id]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Input, "{error}");
            let prompt = Input::Tokens {
                ids: &[1, id, 2],
                batch: 1,
                time: 3,
            };
            let error = session.prefill(&parallel, prompt).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Input, "{error}");
            assert_eq!(*session.state(), before);
        }
    }
}

#[test]
fn any_model_refuses_them_in_files_that_minrnn_exported() {
    let of = |shape: &[usize], values: Values| Array {
        shape: shape.into(),
        values,
    };
    let any = AnyModel::from_bytes(&file(Form::Parallel, true)).unwrap();
    let mut taken = 0;
    for (ids, good) in &IDS {
        for (lengths, fits) in LENGTHS.iter().filter(|(l, _)| l.len() == BATCH) {
            let mut feeds = vec![];
            for port in any.inputs() {
                let array = match port.name.as_str() {
                    "input_ids" => of(&[BATCH, TIME], Values::I64(ids.to_vec())),
                    "lengths" => of(&[BATCH], Values::I64(lengths.to_vec())),
                    _ => of(&[BATCH, 4], Values::F32(vec![0.5; BATCH * 4])),
                };
                feeds.push((port.name.as_str(), array));
            }
            match any.run(&feeds) {
                Ok(_) => {
                    assert!(*good && *fits, "{ids:?} {lengths:?}");
                    taken += 1;
                }
                Err(e) => {
                    assert!(!(*good && *fits), "{e}");
                    assert_eq!(e.kind(), ErrorKind::Input, "{e}");
                }
            }
        }
    }
    assert_eq!(taken, 1);
}
