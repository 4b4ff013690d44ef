//! Convolutions whose taps are values, in files: every form is exact, verified, and ends where the model does.

use minrnn_cli::verify::{Export, Options as Verify, verify};
use minrnn_model::config::ModelConfig;
use minrnn_model::model::Model;
use minrnn_model::params::Params;
use minrnn_model::rng::Rng;
use minrnn_onnx::export::{
    Activations, DirOptions, ExportOptions, Lowering, Target, Weights, export_graph, write_export,
};
use minrnn_onnx::ir;
use minrnn_runtime::{Execution, Options, Session};

use crate::exact::{hold_all, refereed};
use crate::forged::Forged;
use crate::runs::{drawn, run};

/// More taps than a block of the lowering has steps, and a number that is no multiple of it.
const HYENA: &str = "width = 4\nlayers = 2\n[input]\nvocab = 5\n[cell]\nkind = 'hyena'\nlongest = 150\nfilter_width = 8\n[head]\nwidth = 3\n";
/// Fewer.
const SHORT: &str = "width = 6\nlayers = 1\n[input]\nfeatures = 2\n[cell]\nkind = 'hyena'\nlongest = 120\nfilter_width = 4\nexpansion = 1.5\n[block]\nkind = 'mamba'\nkernel = 3\n[head]\nwidth = 3\nkind = 'values'\nsteps = 'last'\n";

/// With as many taps.
fn shortened(text: &str, longest: usize) -> String {
    let taps = |n: usize| format!("longest = {n}\n");
    text.replace(&taps(150), &taps(longest))
        .replace(&taps(120), &taps(longest))
}

fn model(text: &str) -> (Model, Params) {
    let config: ModelConfig = toml::from_str(text).unwrap();
    let model = Model::from_config(&config).unwrap();
    let params = Params::init(model.graph(), 3);
    (model, params)
}

/// Plain, with lengths and resets, of a fixed size, and in another lowering.
fn options() -> Vec<(&'static str, ExportOptions)> {
    let plain = ExportOptions::default();
    let fixed = ExportOptions {
        batch: Some(3),
        seq_len: Some(37),
        ..plain.clone()
    };
    let ends = ExportOptions {
        lengths: true,
        reset: true,
        ..plain.clone()
    };
    let lengths = ExportOptions {
        lengths: true,
        ..plain.clone()
    };
    let scanned = ExportOptions {
        lowering: Lowering::BlockedScan,
        target: Lowering::BlockedScan.target(),
        ..plain.clone()
    };
    let narrow = |weights: Weights| ExportOptions {
        weights,
        target: Target::OnnxRuntime,
        ..plain.clone()
    };
    vec![
        ("plain", plain.clone()),
        ("fixed", fixed),
        ("with lengths and resets", ends),
        ("with lengths", lengths),
        ("blocked-scan", scanned),
        ("f16", narrow(Weights::F16)),
        ("bf16", narrow(Weights::Bf16)),
        ("int8", narrow(Weights::Int8(Activations::Row))),
    ]
}

#[test]
fn every_form_is_exact_and_equals_the_referee() {
    for text in [HYENA, SHORT] {
        let (model, params) = model(text);
        for (what, options) in options() {
            let dir = tempfile::tempdir().unwrap();
            let options = DirOptions {
                options,
                ..DirOptions::default()
            };
            write_export(dir.path(), &model, &params, &options).unwrap();
            hold_all(dir.path(), what);
            refereed(dir.path(), what);
        }
    }
}

#[test]
fn a_file_is_one_conv_and_says_so() {
    let (model, params) = model(HYENA);
    let options = ExportOptions::default();
    let file = export_graph(model.graph(), &params, &options).unwrap();
    let convs = file.graph.nodes.iter().filter(|n| n.op_type == "Conv");
    assert_eq!(convs.count(), 2, "one a block");
    assert_eq!(file.metadata("minrnn.contract"), Some("2"));
    assert_eq!(file.metadata("minrnn.max_seq_len"), Some("150"));
    let large = shortened(HYENA, 250);
    let config: ModelConfig = toml::from_str(&large).unwrap();
    let model = Model::from_config(&config).unwrap();
    let params = Params::init(model.graph(), 3);
    let longer = export_graph(model.graph(), &params, &options).unwrap();
    assert_eq!(
        longer.graph.nodes.len(),
        file.graph.nodes.len(),
        "as many nodes, however long"
    );
}

#[test]
fn exports_hold_in_every_engine() {
    for (text, longest, reset) in [(HYENA, 34, false), (SHORT, 18, true)] {
        let text = shortened(text, longest);
        let report = Forged::new(&text, |o| {
            (o.options.lengths, o.options.reset) = (reset, reset);
        });
        let report = report.report(true).unwrap();
        let table = report.table();
        assert!(report.holds, "{table}\n{:#?}", report.remarks());
    }
}

/// Beyond the last tap there is an error, in sequences, pieces of them, steps and sessions; a reset begins anew.
#[test]
fn beyond_its_length_a_model_is_refused_by_name_in_every_form() {
    let (model, params) = model(HYENA);
    let dir = tempfile::tempdir().unwrap();
    write_export(dir.path(), &model, &params, &DirOptions::default()).unwrap();
    let mut rng = Rng::named(1, "beyond");
    let said = "row 0 comes to step 150 of its sequence, counted from 0, and the model takes sequences of 150 steps; begin anew";
    for execution in [Options::default(), Options::with_plans(2)] {
        let open = |form: &str| {
            let path = dir.path().join(format!("model.{form}.onnx"));
            minrnn_runtime::Model::open_with(path, &execution).unwrap()
        };
        for form in ["parallel", "scan"] {
            let file = open(form);
            let case = drawn(file.info().input, (2, 151), &mut rng);
            let state = file.initial_state(2).unwrap();
            let e = run(&file, &case, &state).unwrap_err().to_string();
            assert!(e.contains("150"), "{form}: {e}");
            let (_, after) = run(&file, &case.cut(0, 149, None), &state).unwrap();
            assert!(run(&file, &case.cut(149, 150, None), &after).is_ok());
            let e = run(&file, &case.cut(149, 151, None), &after).unwrap_err();
            assert!(e.to_string().contains(said), "{form}: {e}");
        }
        let step = open("step");
        let case = drawn(step.info().input, (1, 151), &mut rng);
        let mut session = Session::new(step.into(), 1).unwrap();
        let mut one = |t: usize| session.step_tokens(&[i64::from(case.ids[t])]).map(drop);
        (0..150).for_each(|t| one(t).unwrap());
        let e = one(150).unwrap_err();
        assert!(e.to_string().contains(said), "{e}");
    }
}

#[test]
fn a_fixed_length_beyond_the_models_is_refused_by_name() {
    let (model, params) = model(HYENA);
    let options = ExportOptions {
        seq_len: Some(151),
        ..ExportOptions::default()
    };
    let e = export_graph(model.graph(), &params, &options).unwrap_err();
    let e = e.to_string();
    assert!(
        e.contains("seq_len") && e.contains("takes 150 steps"),
        "{e}"
    );
}

/// Taps that are others for one step of a block are no convolution of the runtime.
#[test]
fn a_kernel_that_is_not_the_taps_moved_on_runs_as_it_is() {
    let (model, params) = model(HYENA);
    let file = export_graph(model.graph(), &params, &ExportOptions::default()).unwrap();
    let open = |file: &ir::Model| minrnn_runtime::Model::from_bytes(&file.encode()).unwrap();
    let sound = open(&file);
    assert_eq!(
        sound.execution(),
        Execution::Exact,
        "{:?}",
        sound.not_exact_because()
    );
    let mut other = file.clone();
    let zeros = other.graph.initializers.iter_mut();
    let mut zeros = zeros.filter(|t| t.name.starts_with("const.f32.0e0.62x"));
    let zeros = zeros.next().expect("what stands around the taps");
    let ones = vec![1.0; 62 * 4];
    *zeros = ir::Tensor::f32(zeros.name.clone(), vec![62, 4], &ones);
    let other = open(&other);
    assert_ne!(other.execution(), Execution::Exact);
    let why = other.not_exact_because().unwrap();
    assert!(why.contains("other taps for each step"), "{why}");
}

/// Longer runs than the model takes are left out, and the report says so.
#[test]
fn verify_stops_where_the_model_does() {
    let (model, params) = model(&shortened(HYENA, 40));
    let dir = tempfile::tempdir().unwrap();
    write_export(dir.path(), &model, &params, &DirOptions::default()).unwrap();
    let export = Export::open(dir.path()).unwrap();
    let options = Verify {
        longest: Some(4000),
        ..Verify::quick()
    };
    let report = verify(&export, &model, &params, &options, &mut |_, _, _| ()).unwrap();
    assert!(report.holds, "{}", report.table());
    let notes = format!("{:?} {}", report.remarks(), report.table());
    assert!(notes.contains("T = 40"), "{notes}");
}
