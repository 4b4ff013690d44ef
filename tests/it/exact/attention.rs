//! Attention over windows: every form, any chunks, any batch, against the referee; with positions, and with resets and lengths.

use minrnn_model::config::ModelConfig;
use minrnn_model::model::Model;
use minrnn_model::params::Params;
use minrnn_onnx::export::{
    Activations, DirOptions, ExportOptions, Lowering, StateLayout, Target, Weights, write_export,
};

use super::{check, referee};

/// Positions for all pieces of the referee's; a window that fills within a sequence, and one that never does; heads of one channel and
/// of widths that fill no vector.
const MODELS: [(&str, &str); 3] = [
    (
        "nano",
        "width = 12\nlayers = 2\nnorm = 'layer'\npositions = 330\ninit = 'gpt2'\n[input]\nvocab = 7\n[head]\nwidth = 7\ntied = true\n\
         [cell]\nkind = 'attention'\nheads = 3\nbias = true\n[mlp]\n",
    ),
    (
        "window",
        "width = 5\nlayers = 1\n[input]\nfeatures = 3\n[head]\nwidth = 2\nkind = 'values'\n\
         [cell]\nkind = 'attention'\nheads = 5\nwindow = 51\n",
    ),
    (
        "last",
        "width = 18\nlayers = 1\nblock = 'mamba'\n[input]\nvocab = 5\n[head]\nwidth = 4\nsteps = 'last'\n\
         [cell]\nkind = 'attention'\nheads = 1\nwindow = 60\n",
    ),
];

fn hold(name: &str, options: ExportOptions) {
    let (_, text) = MODELS.iter().find(|(n, _)| *n == name).unwrap();
    let config: ModelConfig = toml::from_str(text).unwrap();
    let model = Model::from_config(&config).unwrap();
    let params = Params::init(model.graph(), 17);
    let what = format!("{name}: {options:?}");
    let options = DirOptions {
        options,
        ..DirOptions::default()
    };
    let dir = tempfile::tempdir().unwrap();
    write_export(dir.path(), &model, &params, &options).unwrap();
    check(dir.path(), &what);
    referee::hold(dir.path(), &what);
}

#[test]
fn every_form_of_attention_is_exact() {
    for (name, _) in MODELS {
        for lowering in [Lowering::Blocked, Lowering::BlockedScan] {
            for ends in [false, true] {
                hold(
                    name,
                    ExportOptions {
                        lowering,
                        target: lowering.target(),
                        block: 4,
                        lengths: ends,
                        reset: ends,
                        ..ExportOptions::default()
                    },
                );
            }
        }
    }
}

#[test]
fn attention_with_fixed_sizes_other_layouts_and_types_is_exact() {
    let fixed = ExportOptions {
        batch: Some(2),
        seq_len: Some(50),
        ..ExportOptions::default()
    };
    let stacked = ExportOptions {
        state_layout: StateLayout::Stacked,
        ..ExportOptions::default()
    };
    let of = |weights| ExportOptions {
        weights,
        target: Target::OnnxRuntime,
        ..ExportOptions::default()
    };
    for options in [
        fixed,
        stacked,
        of(Weights::F16),
        of(Weights::Bf16),
        of(Weights::Int8(Activations::Row)),
    ] {
        hold("nano", options);
    }
}
