//! Every operator set that an export can have: what this repository writes, it also verifies.

use minrnn_cli::verify::{Export, Options, Report, verify};
use minrnn_model::model::Model;
use minrnn_model::params::Params;
use minrnn_onnx::check::OPSETS;
use minrnn_onnx::export::{
    Activations, DirOptions, ExportOptions, Lowering, Target, Weights, write_export,
};

/// A small export for the target that takes every operator set, verified.
fn verified(norm: &str, change: impl FnOnce(&mut ExportOptions)) -> anyhow::Result<Report> {
    let text = format!(
        "width = 8\nlayers = 1\nnorm = \"{norm}\"\n[input]\nvocab = 4\n[head]\nwidth = 4\n[conv]\nkernel = 2\n"
    );
    let model = Model::from_config(&toml::from_str(&text).unwrap()).unwrap();
    let params = Params::init(model.graph(), 5);
    let mut options = DirOptions {
        options: ExportOptions {
            target: Target::OnnxRuntime,
            fused_norms: Target::OnnxRuntime.choices().fused_norms,
            max_seq_len: 256,
            ..ExportOptions::default()
        },
        ..DirOptions::default()
    };
    change(&mut options.options);
    let dir = tempfile::tempdir().unwrap();
    write_export(dir.path(), &model, &params, &options).unwrap();
    let export = Export::open(dir.path())?;
    let options = Options {
        longest: Some(18),
        probe_steps: 1,
        ..Options::quick()
    };
    verify(&export, &model, &params, &options, &mut |_, _, _| ())
}

#[track_caller]
fn holds(norm: &str, opset: i64, change: impl Fn(&mut ExportOptions)) {
    let report = verified(norm, |o| {
        change(o);
        o.opset = opset;
    });
    let report = report.unwrap_or_else(|e| panic!("{norm}, opset {opset}: {e:#}"));
    for form in ["parallel", "scan", "step"] {
        let rows = report.rows.iter();
        let seen = rows.filter(|r| r.engine == "tract" && r.form == form && r.against == "oracle");
        assert_eq!(seen.count(), 1, "{norm}, opset {opset}, {form}");
    }
    assert!(
        report.holds,
        "{norm}, opset {opset}\n{}\n{:#?}",
        report.table(),
        report.remarks()
    );
}

/// With norms as single operators from where the opset has them (17, 23), and written out.
#[test]
fn every_operator_set_is_verified() {
    for opset in OPSETS {
        holds("rms", opset, |_| ());
        if [13, 17, 18, 23, 28].contains(&opset) {
            holds("layer", opset, |o| o.fused_norms = opset % 2 == 0);
        }
    }
}

#[test]
fn the_last_operator_set_is_verified_in_every_type_and_lowering() {
    let last = *OPSETS.end();
    for weights in [Weights::F16, Weights::Bf16, Weights::Int8(Activations::Row)] {
        holds("rms", last, |o| o.weights = weights.clone());
    }
    for lowering in Lowering::ALL {
        if lowering != Lowering::LinearAttention {
            holds("layer", last, |o| o.lowering = lowering);
        }
    }
    holds("rms", last, |o| (o.lengths, o.reset) = (true, true));
}

/// No engine here has the operator, and the message says what compares the file.
#[test]
fn linear_attention_is_named() {
    let error = verified("rms", |o| {
        (o.lowering, o.opset) = (Lowering::LinearAttention, 27);
    });
    let text = format!("{:#}", error.unwrap_err());
    for words in ["LinearAttention", "minrnn verify --sequence", "--step"] {
        assert!(text.contains(words), "{text}");
    }
}
