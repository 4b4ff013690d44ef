//! Lies of the golden trace: bounds that hide an error of those who hold their engine to them.

use std::collections::HashMap;

use minrnn_onnx::export::{DirOptions, Weights, write_export};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

use super::{Forged, wrong};

const ROW: &str = "oracle golden trace against golden file";
const NOT_KNOWN: &str = "is known with the checkpoint alone";

/// Changes a tensor of f32.
fn golden(forged: &Forged, name: &str, change: impl FnOnce(&mut Vec<f32>)) {
    let path = forged.path().join("golden.safetensors");
    let bytes = std::fs::read(&path).unwrap();
    let (_, about) = SafeTensors::read_metadata(&bytes).unwrap();
    let about: HashMap<String, String> = about.metadata().clone().unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let of = file.tensor(name).unwrap();
    assert_eq!(of.dtype(), Dtype::F32);
    let four = |c: &[u8]| f32::from_le_bytes(c.try_into().unwrap());
    let mut values: Vec<f32> = of.data().chunks_exact(4).map(four).collect();
    change(&mut values);
    let shape = match values.len() * 4 == of.data().len() {
        true => of.shape().to_vec(),
        false => vec![values.len()],
    };
    let changed: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    let all = file.iter().map(|(own, view)| match own == name {
        false => (own.to_owned(), view),
        true => {
            let view = TensorView::new(Dtype::F32, shape.clone(), &changed).unwrap();
            (own.to_owned(), view)
        }
    });
    let made = safetensors::serialize(all, Some(about)).unwrap();
    std::fs::write(&path, made).unwrap();
}

/// The names of all bounds.
const BOUNDS: [&str; 4] = [
    "initial.logits.bound",
    "given.logits.bound",
    "initial.next_state.0.h.bound",
    "given.next_state.0.conv.bound",
];

#[test]
fn a_larger_bound_is_not_the_models() {
    for name in BOUNDS {
        let forged = Forged::tokens();
        golden(&forged, name, |v| v[1] = f32::from_bits(v[1].to_bits() + 1));
        for checkpoint in [false, true] {
            assert_eq!(
                wrong(&forged.files_alone(checkpoint).unwrap()),
                [ROW],
                "{name}"
            );
        }
    }
    let forged = Forged::tokens();
    golden(&forged, BOUNDS[0], |v| v.fill(f32::INFINITY));
    assert_eq!(wrong(&forged.files_alone(true).unwrap()), [ROW]);
    let forged = Forged::tokens();
    golden(&forged, BOUNDS[0], |v| v.truncate(3));
    forged.breaks("`initial.logits.bound` has 3 values, the model gives");
}

/// A tensor that no run of the trace has, under a name of its own or one that looks like a state's.
#[test]
fn tensors_of_no_run_are_named() {
    for name in ["other", "given.state.9.h", "initial.state.0.h.bound"] {
        let forged = Forged::tokens();
        let path = forged.path().join("golden.safetensors");
        let bytes = std::fs::read(&path).unwrap();
        let (_, about) = SafeTensors::read_metadata(&bytes).unwrap();
        let about: HashMap<String, String> = about.metadata().clone().unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let more = TensorView::new(Dtype::F32, vec![1], &[0; 4]).unwrap();
        let all = file.iter().map(|(own, view)| (own.to_owned(), view));
        let all = all.chain([(name.to_owned(), more)]);
        let made = safetensors::serialize(all, Some(about)).unwrap();
        std::fs::write(&path, made).unwrap();
        forged.breaks(&format!("`{name}` is no tensor of a golden trace"));
    }
}

/// A part of them comes of what the weights were rounded from, which only the checkpoint has.
#[test]
fn bounds_of_narrow_weights_are_those_of_the_checkpoint() {
    let types = [
        Weights::F16,
        Weights::Bf16,
        Weights::Int8(minrnn_onnx::export::Activations::Row),
    ];
    for weights in types {
        let forged = Forged::narrow(weights.clone());
        let said = |checkpoint| forged.files_alone(checkpoint).unwrap().remarks().join("\n");
        assert!(said(false).contains(NOT_KNOWN) && !said(true).contains(NOT_KNOWN));
        golden(&forged, BOUNDS[1], |v| {
            v.iter_mut().for_each(|v| *v += 0.01)
        });
        assert_eq!(
            wrong(&forged.files_alone(true).unwrap()),
            [ROW],
            "{weights:?}"
        );
        assert!(forged.files_alone(false).unwrap().holds && said(false).contains(NOT_KNOWN));
        // What is wider than its neighbours, and what is below anything.
        for change in [1.5f32, 0.0] {
            let forged = Forged::narrow(weights.clone());
            golden(&forged, BOUNDS[0], |v| v[2] *= change);
            for checkpoint in [false, true] {
                assert_eq!(
                    wrong(&forged.files_alone(checkpoint).unwrap()),
                    [ROW],
                    "{weights:?}"
                );
            }
        }
    }
}

/// Bounds may be computed otherwise by another version.
#[test]
fn bounds_of_another_version_are_a_remark() {
    let forged = Forged::tokens();
    forged.files(&|f| f.producer_version = "0.0.9".into());
    forged.files_hold();
    golden(&forged, BOUNDS[0], |v| v[0] *= 2.0);
    let report = forged.files_alone(true).unwrap();
    let said = report.remarks().join("\n");
    assert!(
        report.holds && said.contains("golden trace: its bounds are not those"),
        "{said}"
    );
    // The values themselves are the model's in any version.
    golden(&forged, "initial.logits", |v| v[0] *= 2.0);
    assert_eq!(wrong(&forged.files_alone(true).unwrap()), [ROW]);
}

#[test]
fn rows_of_the_trace_are_as_long_as_its_input() {
    let forged = Forged::new(super::TOKENS, |o| o.options.lengths = true);
    forged.files_hold();
    let path = forged.path().join("golden.safetensors");
    let bytes = std::fs::read(&path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let short: Vec<u8> = [37i64, 36].iter().flat_map(|n| n.to_le_bytes()).collect();
    let all = file.iter().map(|(own, view)| match own {
        "lengths" => {
            let view = TensorView::new(Dtype::I64, vec![2], &short).unwrap();
            (own.to_owned(), view)
        }
        _ => (own.to_owned(), view),
    });
    let made = safetensors::serialize(all, None).unwrap();
    std::fs::write(&path, made).unwrap();
    forged.breaks("`lengths` is not I64 [2], each 37");
}

/// Squares that overflow float32 make every norm 0, in all engines and forms alike: each agrees with its step form.
#[test]
fn what_overflows_everywhere_is_outside_of_the_bounds() {
    let config =
        "width = 8\nlayers = 1\nnorm = \"rms\"\n[input]\nfeatures = 2\n[head]\nwidth = 2\n";
    let mut forged = Forged::new(config, |_| {});
    for (i, spec) in forged.model.graph().params().iter().enumerate() {
        if spec.name == "input.projection.weight" {
            let values = forged.params.get_mut(i).iter_mut();
            values.for_each(|v| *v *= 1e20);
        }
    }
    let options = DirOptions::default();
    write_export(forged.path(), &forged.model, &forged.params, &options).unwrap();
    let report = forged.report(true).unwrap();
    let bounds = report.rows.iter().filter(|r| r.against == "its bounds");
    let wrong: Vec<_> = bounds.map(|r| (r.engine.as_str(), r.holds)).collect();
    let engines = [
        "candle", "tract", "tract", "tract", "minrnn", "minrnn", "minrnn",
    ];
    assert_eq!(wrong, engines.map(|engine| (engine, false)));
    let step = |r: &&minrnn_cli::verify::Row| r.against == "step";
    assert!(report.rows.iter().filter(step).all(|r| r.holds));
}

/// tract takes numbers below 1.2e-38 for 0: such a model is right in every form, and the rows say where tract's 0 comes from.
#[test]
fn denormal_weights_are_no_error_of_the_files() {
    let mut forged = Forged::new(super::TOKENS, |_| {});
    for (i, spec) in forged.model.graph().params().iter().enumerate() {
        if spec.name.starts_with("head.") {
            let values = forged.params.get_mut(i).iter_mut();
            values.for_each(|v| *v = 1e-42 * v.signum());
        }
    }
    let options = DirOptions::default();
    write_export(forged.path(), &forged.model, &forged.params, &options).unwrap();
    let report = forged.report(true).unwrap();
    let said = report.remarks().join("\n");
    assert!(report.holds, "{:?} {said}", wrong(&report));
    assert!(said.contains("weights are denormal numbers"), "{said}");
    assert!(
        said.contains("tract parallel, golden trace: some values are denormal numbers"),
        "{said}"
    );
}
