//! Feedback that is run step by step: GRU, LSTM, and a body of one's own.

use minrnn_model::graph::Graph;
use minrnn_onnx::export::{Activations, DirOptions, ExportOptions, Target, Weights, write_export};

use super::{check, fixed_scales, referee};
use crate::feedback::{MODELS, model, normed, own};

fn every_way(graph: &Graph) -> Vec<(&'static str, ExportOptions)> {
    let plain = ExportOptions {
        target: Target::OnnxRuntime,
        ..ExportOptions::default()
    };
    let with = |weights| ExportOptions {
        weights,
        ..plain.clone()
    };
    vec![
        ("", plain.clone()),
        (
            " as operators",
            ExportOptions {
                fused_cells: true,
                ..plain.clone()
            },
        ),
        (
            " with lengths and resets",
            ExportOptions {
                lengths: true,
                reset: true,
                ..plain.clone()
            },
        ),
        (
            " fixed",
            ExportOptions {
                batch: Some(3),
                seq_len: Some(37),
                ..plain.clone()
            },
        ),
        (" f16", with(Weights::F16)),
        (" bf16", with(Weights::Bf16)),
        (" int8", with(Weights::Int8(Activations::Row))),
        (" int8 by fixed scales", with(fixed_scales(graph))),
    ]
}

#[test]
fn folds_agree_bit_for_bit() {
    let configured = MODELS.iter().map(|(name, text)| (*name, model(text).0));
    for (name, model) in configured.chain([("own", own()), ("normed", normed())]) {
        let params = minrnn_model::params::Params::init(model.graph(), 7);
        for (suffix, options) in every_way(model.graph()) {
            let dir = tempfile::tempdir().unwrap();
            let options = DirOptions {
                options,
                ..DirOptions::default()
            };
            write_export(dir.path(), &model, &params, &options).unwrap();
            let what = format!("{name}{suffix}");
            check(dir.path(), &what);
            referee::hold(dir.path(), &what);
        }
    }
}
