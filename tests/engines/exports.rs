//! Exports the golden models for other engines to run: `cargo run -p minrnn-tests --example exports -- DIR`.
//!
//! One folder a model, made for at most 256 steps so that the longest and steps beyond it are soon run; some models again
//! with the other lowerings, with three levels of blocks, with gates that remember thousands of steps (there, a scan that
//! left out a part of the sequence would show), for each target, with other types of weights, names and layouts of states.

#[path = "../golden/read.rs"]
mod read;

use std::path::{Path, PathBuf};

use minrnn_model::model::Model;
use minrnn_model::params::Params;
use minrnn_onnx::export::{
    Activations, DirOptions, ExportOptions, Form, Lowering, Placement, StateLayout, StateNames,
    Target, Weights, write_export,
};
use read::Golden;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = PathBuf::from(std::env::args_os().nth(1).ok_or("usage: exports DIR")?);
    for (name, bytes) in read::files().into_iter().chain(attention()?) {
        let golden = Golden::read(&bytes)?;
        let model = Model::from_config(&golden.config)?;
        for v in variants(&name) {
            let mut params = golden.params(&model);
            if v.remember {
                remember(&model, &mut params);
            }
            let to = dir.join(format!("{name}{}", v.suffix));
            write_export(&to, &model, &params, &v.options)?;
        }
    }
    Ok(())
}

/// The GPT-2s of the folder beside, by a name that says so.
fn attention() -> std::io::Result<Vec<(String, Vec<u8>)>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/gpt2");
    let one = |name: &str| {
        let bytes = std::fs::read(folder.join(format!("{name}.safetensors")))?;
        Ok((format!("attention_{name}"), bytes))
    };
    ["gpt2", "nano"].into_iter().map(one).collect()
}

struct Variant {
    suffix: String,
    options: DirOptions,
    remember: bool,
}

fn variants(name: &str) -> Vec<Variant> {
    let variant = |suffix: &str, change: &dyn Fn(&mut DirOptions)| {
        let mut options = DirOptions {
            options: ExportOptions {
                max_seq_len: 256,
                ..ExportOptions::default()
            },
            ..DirOptions::default()
        };
        change(&mut options);
        Variant {
            suffix: suffix.to_owned(),
            options,
            remember: suffix.starts_with("-remembers"),
        }
    };
    let mut all = vec![variant("", &|_| {})];
    match name {
        "gru_tokens" => {
            all.push(variant("-4096", &|o| o.options.max_seq_len = 4096));
            all.push(variant("-remembers", &|_| {}));
            all.extend(Lowering::ALL.into_iter().skip(1).map(|lowering| {
                variant(&format!("-remembers-{}", lowering.name()), &|o| {
                    o.options.lowering = lowering;
                    o.options.opset = lowering.opset().max(17);
                    o.options.target = lowering.target();
                    o.options.max_seq_len = 128;
                })
            }));
            all.push(variant("-fixed", &|o| {
                (o.options.batch, o.options.seq_len) = (Some(3), Some(37));
            }));
        }
        "lstm_tokens" => {
            all.extend(
                Target::ALL
                    .into_iter()
                    .skip(1)
                    .map(|target| variant(&format!("-for-{}", target.name()), &|o| aim(o, target))),
            );
            all.push(variant("-lengths-resets", &|o| {
                (o.options.lengths, o.options.reset) = (true, true);
            }));
            all.push(variant("-shared", &|o| o.placement = Placement::Shared));
            all.push(variant("-external", &|o| o.placement = Placement::External));
        }
        "gru_features_conv_mlp_last" => {
            for (weights, suffix) in types() {
                all.push(variant(suffix, &|o| {
                    aim(o, Target::OnnxRuntime);
                    o.options.weights = weights.clone();
                }));
            }
            all.push(variant("-lengths-resets", &|o| {
                (o.options.lengths, o.options.reset) = (true, true);
            }));
            all.push(variant("-stacked", &|o| {
                o.options.state_layout = StateLayout::Stacked;
            }));
            all.push(variant("-icefall", &|o| {
                o.options.state_names = StateNames::Icefall;
            }));
            all.push(variant("-genai", &|o| {
                o.options.state_names = StateNames::Genai;
                o.forms = vec![Form::Parallel, Form::Scan];
            }));
        }
        "mamba2" => {
            // Held bit for bit by heads.py.
            all.push(variant("-linear-attention", &|o| {
                aim(o, Target::OnnxRuntime);
                o.options.lowering = Lowering::LinearAttention;
            }));
            all.push(variant("-linear-attention-lengths-resets", &|o| {
                aim(o, Target::OnnxRuntime);
                o.options.lowering = Lowering::LinearAttention;
                (o.options.lengths, o.options.reset) = (true, true);
            }));
        }
        "torch_gru" | "torch_lstm" | "torch_lstm_bare" => {
            for target in [Target::OnnxRuntime, Target::OpenVino] {
                all.push(variant(&format!("-for-{}", target.name()), &|o| {
                    aim(o, target);
                }));
            }
            all.push(variant("-lengths-resets", &|o| {
                (o.options.lengths, o.options.reset) = (true, true);
            }));
        }
        _ => {}
    }
    all
}

/// Everything that the target's table says.
fn aim(o: &mut DirOptions, target: Target) {
    let choices = target.choices();
    o.forms = choices.forms.to_vec();
    o.options = ExportOptions {
        target,
        lowering: choices.lowering,
        block: choices.block,
        opset: choices.opset,
        fused_norms: choices.fused_norms,
        fused_cells: choices.fused_cells,
        ..o.options.clone()
    };
}

fn types() -> [(Weights, &'static str); 4] {
    // The magnitudes that a calibration would find are not known here; these cut nothing off.
    let wide = [
        "layers.0.rnn.in.weight",
        "layers.0.rnn.out.weight",
        "layers.0.mlp.up.weight",
        "layers.0.mlp.down.weight",
        "head.weight",
    ];
    let wide = wide.map(|n| (n.to_owned(), 8.0)).into_iter().collect();
    [
        (Weights::F16, "-f16"),
        (Weights::Bf16, "-bf16"),
        (Weights::Int8(Activations::Row), "-int8"),
        (Weights::Int8(Activations::Static(wide)), "-int8-static"),
    ]
}

/// minGRU's gates at sigmoid(-9) or so, for memories of some 8000 steps.
fn remember(model: &Model, params: &mut Params) {
    for (i, spec) in model.graph().params().iter().enumerate() {
        if spec.name.ends_with("rnn.in.bias") {
            let gates = spec.len() / 2;
            params.get_mut(i)[..gates].fill(-9.0);
        }
    }
}
