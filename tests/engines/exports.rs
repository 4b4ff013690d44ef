//! Exports the golden models for other engines to run: `cargo run -p minrnn-tests --example exports -- DIR`.
//!
//! One folder a model, made for at most 256 steps so that the longest and a step more are soon run; some models again
//! with the other lowering, one with three levels of blocks.

#[path = "../golden/read.rs"]
mod read;

use std::path::PathBuf;

use minrnn_model::model::Model;
use minrnn_onnx::export::{DirOptions, ExportOptions, Lowering, write_export};
use read::Golden;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = PathBuf::from(std::env::args_os().nth(1).ok_or("usage: exports DIR")?);
    for (name, bytes) in read::files() {
        let golden = Golden::read(&bytes)?;
        let model = Model::from_config(&golden.config)?;
        let params = golden.params(&model);
        for (suffix, lowering, max_seq_len) in variants(&name) {
            let options = ExportOptions {
                lowering,
                max_seq_len,
                ..ExportOptions::default()
            };
            let to = dir.join(format!("{name}{suffix}"));
            write_export(
                &to,
                &model,
                &params,
                &DirOptions {
                    options,
                    ..DirOptions::default()
                },
            )?;
        }
    }
    Ok(())
}

fn variants(name: &str) -> Vec<(&'static str, Lowering, usize)> {
    let mut all = vec![("", Lowering::Blocked, 256)];
    if name.ends_with("_tokens") {
        all.push(("-kogge-stone", Lowering::KoggeStone, 128));
    }
    if name == "gru_tokens" {
        all.push(("-4096", Lowering::Blocked, 4096));
    }
    all
}
