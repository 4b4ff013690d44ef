//! Transformers in files: verified in every engine, refused by name where they cannot be, and an error beyond the table of positions.

use std::path::Path;
use std::sync::Arc;

use minrnn_cli::verify::{Export, Options as VerifyOptions, verify};
use minrnn_model::config::ModelConfig;
use minrnn_model::model::Model;
use minrnn_model::params::Params;
use minrnn_onnx::export::{
    DirOptions, ExportError, ExportOptions, Form, Lowering, export_graph, write_export,
};
use minrnn_onnx::ir;
use minrnn_runtime::{ErrorKind, Execution, Input as Given, Options, Session};

use crate::forged::Forged;
use crate::golden::compare;
use crate::golden::read::Golden;

/// nanoGPT's block with 40 positions.
const NANO: &str = "width = 8\nlayers = 2\nnorm = 'layer'\npositions = 40\ninit = 'gpt2'\n[input]\nvocab = 5\n[head]\nwidth = 5\ntied = true\n\
    [cell]\nkind = 'attention'\nheads = 2\nbias = true\n[mlp]\n";
/// A window that is shorter than sequences, no positions.
const WINDOW: &str = "width = 6\nlayers = 1\n[input]\nfeatures = 3\n[head]\nwidth = 2\nkind = 'values'\n\
    [cell]\nkind = 'attention'\nheads = 3\nwindow = 20\n";

fn model(text: &str) -> (Model, Params) {
    let config: ModelConfig = toml::from_str(text).unwrap();
    let model = Model::from_config(&config).unwrap();
    let params = Params::init(model.graph(), 3);
    (model, params)
}

#[test]
fn exports_with_attention_hold_in_every_engine() {
    for text in [NANO, WINDOW] {
        let report = Forged::new(text, |_| {}).report(true).unwrap();
        let table = report.table();
        assert!(report.holds, "{text}\n{table}\n{:#?}", report.remarks());
        let exact = report.rows.iter().any(|r| r.against == "referee");
        assert!(exact, "{table}");
    }
}

#[test]
fn exports_with_attention_lengths_and_resets_hold() {
    for text in [NANO, WINDOW] {
        let change = |o: &mut DirOptions| {
            o.options.lengths = true;
            o.options.reset = true;
        };
        let report = Forged::new(text, change).report(true).unwrap();
        let table = report.table();
        assert!(report.holds, "{text}\n{table}\n{:#?}", report.remarks());
    }
}

fn file(text: &str, options: &ExportOptions) -> Vec<u8> {
    let (model, params) = model(text);
    let file = export_graph(model.graph(), &params, options).unwrap();
    let contract = file.metadata.iter().find(|(k, _)| k == "minrnn.contract");
    assert_eq!(contract.unwrap().1, "2");
    file.encode()
}

/// GPT-2 of the package transformers: whole outputs and states, from the begin and from its own cache.
pub(crate) fn files() -> [(String, Vec<u8>); 2] {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/gpt2");
    ["nano", "gpt2"].map(|name| {
        let bytes = std::fs::read(dir.join(format!("{name}.safetensors"))).unwrap();
        (name.to_owned(), bytes)
    })
}

fn golden() -> impl Iterator<Item = (String, Golden)> {
    let read = |(name, bytes): (String, Vec<u8>)| (name, Golden::read(&bytes).unwrap());
    files().into_iter().map(read)
}

#[test]
fn the_oracle_is_gpt2_of_the_package_transformers() {
    for (name, golden) in golden() {
        let compared = compare(&golden);
        assert!(compared.len() >= 6, "{name}");
        for (tensor, c) in compared {
            assert!(c.holds(), "{name}: {tensor}: {c:?}");
        }
    }
}

#[test]
fn exports_of_gpt2_hold() {
    for (name, golden) in golden() {
        let model = Model::from_config(&golden.config).unwrap();
        let params = golden.params(&model);
        let dir = tempfile::tempdir().unwrap();
        write_export(dir.path(), &model, &params, &DirOptions::default()).unwrap();
        let export = Export::open(dir.path()).unwrap();
        let options = VerifyOptions {
            probe_steps: 1,
            ..VerifyOptions::quick()
        };
        let report = verify(&export, &model, &params, &options, &mut |_, _, _| ()).unwrap();
        assert!(report.holds, "{name}\n{}", report.table());
    }
}

fn executions() -> [Options; 3] {
    [
        Options::default(),
        Options::with_plans(8),
        Options::referee(),
    ]
}

fn step() -> ExportOptions {
    ExportOptions {
        form: Form::Step,
        ..ExportOptions::default()
    }
}

/// What is said of the 41st step of a row.
fn beyond(row: usize) -> String {
    format!(
        "state.0.n: row {row} comes to step 40 of its sequence, counted from 0, and the table of positions `input.position.weight` has 40 rows; begin anew before it, or use a model of longer sequences"
    )
}

/// Of several sessions in one step the first whose sequence is too long is named, and none has stepped; in a sequence the steps behind a reset
/// are counted anew, and those behind a row's end not at all.
#[test]
fn the_row_that_is_too_long_is_named() {
    let model = Arc::new(minrnn_runtime::Model::from_bytes(&file(NANO, &step())).unwrap());
    let mut all = [0, 1, 2].map(|_| Session::new(model.clone(), 1).unwrap());
    for i in 0..40 {
        all[1].step_tokens(&[i % 5]).unwrap();
    }
    let mut sessions: Vec<&mut Session> = all.iter_mut().collect();
    let mut out = vec![0.0; 3 * 5];
    let error = Session::step_tokens_together(&mut sessions, &[1, 2, 3], &mut out).unwrap_err();
    assert_eq!(error.to_string(), beyond(1));
    assert!(all[0].state() == &model.initial_state(1).unwrap());
    let options = ExportOptions {
        lengths: true,
        reset: true,
        ..ExportOptions::default()
    };
    let parallel = minrnn_runtime::Model::from_bytes(&file(NANO, &options)).unwrap();
    let ids = [1; 2 * 30];
    let input = Given::Tokens {
        ids: &ids,
        batch: 2,
        time: 30,
    };
    let begin = parallel.initial_state(2).unwrap();
    let (_, middle) = parallel.run(input, &begin).unwrap();
    let mut reset = [false; 60];
    let run = |reset: &[bool], lengths: &[i64]| {
        let extras = minrnn_runtime::Extras {
            lengths: Some(lengths),
            reset: Some(reset),
        };
        parallel.run_with(input, &extras, &middle).map(drop)
    };
    assert_eq!(run(&reset, &[30, 30]).unwrap_err().to_string(), beyond(0));
    reset[4] = true;
    assert_eq!(run(&reset, &[30, 30]).unwrap_err().to_string(), beyond(1));
    reset[30 + 10] = true;
    run(&reset, &[30, 30]).unwrap();
}

/// The 41st step is an error in every execution, the session stands where it was, and goes on from the begin.
#[test]
fn a_session_refuses_to_step_past_the_positions() {
    for options in executions() {
        let bytes = file(NANO, &step());
        let step = minrnn_runtime::Model::from_bytes_with(&bytes, &options).unwrap();
        let mut session = Session::new(Arc::new(step), 1).unwrap();
        for i in 0..40 {
            session.step_tokens(&[i % 5]).unwrap();
        }
        let before = session.state().to_bytes();
        let error = session.step_tokens(&[1]).unwrap_err();
        assert_eq!(session.state().to_bytes(), before, "{options:?}");
        assert_eq!(error.kind(), ErrorKind::Input, "{options:?}: {error}");
        assert_eq!(error.to_string(), beyond(0), "{options:?}");
        session.reset().unwrap();
        session.step_tokens(&[1]).unwrap();
    }
}

/// A whole sequence of as many steps as there are positions, none of one more, and none from a state that leaves too few.
#[test]
fn a_sequence_beyond_the_positions_is_an_error() {
    let parallel = file(NANO, &ExportOptions::default());
    for options in executions() {
        let parallel = minrnn_runtime::Model::from_bytes_with(&parallel, &options).unwrap();
        assert_eq!(parallel.info().max_seq_len, Some(40));
        let run = |time: usize, state: &minrnn_runtime::State| {
            let ids: Vec<i64> = (0..time as i64).map(|i| i % 5).collect();
            let input = Given::Tokens {
                ids: &ids,
                batch: 1,
                time,
            };
            parallel.run(input, state)
        };
        let begin = parallel.initial_state(1).unwrap();
        let (_, middle) = run(30, &begin).unwrap();
        run(10, &middle).unwrap();
        let error = run(11, &middle).unwrap_err();
        assert_eq!(error.to_string(), beyond(0), "{options:?}");
        // To cut it would not help.
        let error = run(41, &begin).unwrap_err().to_string();
        assert!(
            error.starts_with("input_ids: T = 41, and the table of positions"),
            "{error}"
        );
        assert!(error.contains("has 40 rows; give no more steps"), "{error}");
        run(40, &begin).unwrap();
    }
}

#[test]
fn lowerings_and_lengths_that_cannot_be_are_refused_by_name() {
    let (model, params) = model(NANO);
    for lowering in Lowering::ALL {
        let options = ExportOptions {
            lowering,
            target: lowering.target(),
            opset: lowering.opset().max(17),
            ..ExportOptions::default()
        };
        let made = export_graph(model.graph(), &params, &options);
        if lowering != Lowering::LinearAttention {
            made.unwrap();
            continue;
        }
        let text = made.unwrap_err().to_string();
        assert!(text.contains("layers.0.mixer.attend"), "{text}");
    }
    let options = ExportOptions {
        seq_len: Some(41),
        ..ExportOptions::default()
    };
    let error = export_graph(model.graph(), &params, &options).unwrap_err();
    let seq_len = matches!(
        error,
        ExportError::Option {
            option: "seq_len",
            ..
        }
    );
    assert!(seq_len && error.to_string().contains("40 steps"), "{error}");
}

/// As many nodes for a window of 5 as for one of 500.
#[test]
fn the_number_of_nodes_does_not_depend_on_the_window() {
    let count = |window: usize, options: &ExportOptions| {
        let text = WINDOW.replace("window = 20", &format!("window = {window}"));
        let (model, params) = model(&text);
        let file = export_graph(model.graph(), &params, options).unwrap();
        file.graph.nodes.len()
    };
    let whole = ExportOptions {
        max_seq_len: 64,
        ..ExportOptions::default()
    };
    for options in [step(), whole] {
        assert_eq!(count(5, &options), count(500, &options));
    }
}

/// Whatever is another in a file's attention, the runtime does not take for ours: it runs portably, or is refused.
#[test]
fn attention_of_which_one_node_is_another_is_not_taken_for_ours() {
    for options in [ExportOptions::default(), step()] {
        let (model, params) = model(WINDOW);
        let file = export_graph(model.graph(), &params, &options).unwrap();
        let exact = |file: &ir::Model| {
            let opened = minrnn_runtime::Model::from_bytes(&file.encode());
            opened.is_ok_and(|m| m.execution() == Execution::Exact)
        };
        assert!(exact(&file));
        let inside = |n: &ir::Node| n.name.contains("/attend/") && !n.name.contains("/scan/");
        let mut seen = 0;
        for at in 0..file.graph.nodes.len() {
            let node = &file.graph.nodes[at];
            if !inside(node) {
                continue;
            }
            let mut changed = file.clone();
            let node = &mut changed.graph.nodes[at];
            match node.op_type.as_str() {
                "Or" => node.op_type = "And".into(),
                "Min" => node.op_type = "Max".into(),
                "Sub" => node.op_type = "Add".into(),
                "Less" => node.inputs.swap(0, 1),
                "Split" => node.outputs.swap(0, 1),
                "MatMul" if node.inputs[0].contains("Softmax") => {
                    // Keys in the place of values, where both have one shape: not a file.
                    continue;
                }
                _ => continue,
            }
            let name = node.name.clone();
            assert!(!exact(&changed), "{name}");
            seen += 1;
        }
        for tensor in 0..file.graph.initializers.len() {
            let name = file.graph.initializers[tensor].name.clone();
            if name != "const.f32.-1e30" && !name.contains("range") {
                continue;
            }
            let mut changed = file.clone();
            let t = &mut changed.graph.initializers[tensor];
            let mut values = t.to_f32().unwrap();
            values[0] += values[0].abs().max(1.0);
            *t = ir::Tensor::f32(t.name.clone(), t.dims.clone(), &values);
            assert!(!exact(&changed), "{name}");
            seen += 1;
        }
        assert!(seen >= 4, "{seen}");
    }
}

/// A file whose attention sees what is hidden, or counts from another number, is found out.
#[test]
fn a_forged_attention_does_not_hold() {
    fn moved(file: &mut ir::Model, name: &str, by: f32) {
        let all = &mut file.graph.initializers;
        let t = all.iter_mut().find(|t| t.name.contains(name)).unwrap();
        let values: Vec<f32> = t.to_f32().unwrap().iter().map(|v| v + by).collect();
        *t = ir::Tensor::f32(t.name.clone(), t.dims.clone(), &values);
    }
    type Change<'a> = (&'a str, &'a dyn Fn(&mut ir::Model));
    let changes: [Change; 2] = [
        ("what is hidden is seen", &|f| {
            moved(f, "const.f32.-1e30", 1e30)
        }),
        ("one row fewer is seen", &|f| moved(f, "range", 1.0)),
    ];
    for (what, change) in changes {
        let forged = Forged::new(NANO, |_| {});
        forged.file("step", change);
        let found = forged.report(true);
        assert!(found.is_err() || found.is_ok_and(|r| !r.holds), "{what}");
    }
}
