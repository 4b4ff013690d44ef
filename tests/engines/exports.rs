//! Exports the golden models for other engines to run: `cargo run -p minrnn-tests --example exports -- DIR`.
//!
//! One folder a model, made for at most 256 steps so that the longest and steps beyond it are soon run; some models again
//! with the other lowering, with three levels of blocks, or with gates that remember thousands of steps: there, a scan that
//! left out a part of the sequence would show.

#[path = "../golden/read.rs"]
mod read;

use std::path::PathBuf;

use minrnn_model::model::Model;
use minrnn_model::params::Params;
use minrnn_onnx::export::{DirOptions, ExportOptions, Lowering, write_export};
use read::Golden;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = PathBuf::from(std::env::args_os().nth(1).ok_or("usage: exports DIR")?);
    for (name, bytes) in read::files() {
        let golden = Golden::read(&bytes)?;
        let model = Model::from_config(&golden.config)?;
        for v in variants(&name) {
            let mut params = golden.params(&model);
            if v.remember {
                remember(&model, &mut params);
            }
            let options = ExportOptions {
                lowering: v.lowering,
                max_seq_len: v.longest,
                ..ExportOptions::default()
            };
            let to = dir.join(format!("{name}{}", v.suffix));
            let options = DirOptions {
                options,
                ..DirOptions::default()
            };
            write_export(&to, &model, &params, &options)?;
        }
    }
    Ok(())
}

struct Variant {
    suffix: &'static str,
    lowering: Lowering,
    longest: usize,
    remember: bool,
}

fn variants(name: &str) -> Vec<Variant> {
    let variant = |suffix, lowering, longest, remember| Variant {
        suffix,
        lowering,
        longest,
        remember,
    };
    let (blocked, doubling) = (Lowering::Blocked, Lowering::KoggeStone);
    let mut all = vec![variant("", blocked, 256, false)];
    match name {
        "gru_tokens" => all.extend([
            variant("-4096", blocked, 4096, false),
            variant("-remembers", blocked, 256, true),
            variant("-remembers-kogge-stone", doubling, 128, true),
        ]),
        "lstm_tokens" => all.push(variant("-kogge-stone", doubling, 128, false)),
        _ => {}
    }
    all
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
