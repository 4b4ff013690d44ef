//! A model inside the program: no file is read, nothing is downloaded.
//!
//! `cargo run --release -p minrnn-runtime --example embedded`

use std::error::Error;
use std::io::{self, Write};
use std::sync::Arc;

use minrnn_runtime::{InputSpec, Model, Session};

/// Graph, weights and metadata: all that the runtime needs.
pub(crate) static MODEL: &[u8] =
    include_bytes!("../../../models/copy-min-gru/export/model.step.onnx");

fn main() -> Result<(), Box<dyn Error>> {
    run(&mut io::stdout().lock())
}

/// Steps through every token of the vocabulary, and writes the likeliest output of each step.
pub(crate) fn run(out: &mut dyn Write) -> Result<(), Box<dyn Error>> {
    let model = Arc::new(Model::from_bytes(MODEL)?);
    let InputSpec::Tokens { vocab } = model.info().input else {
        return Err("the model takes features, not tokens".into());
    };
    let mut logits = vec![0.0; model.info().output.width];
    let mut session = Session::new(model, 1)?;
    for id in 0..vocab.unwrap_or(1) {
        session.step_tokens_into(&[id as i64], &mut logits)?;
        let best = logits.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
        writeln!(out, "{id} -> {}", best.map_or(0, |b| b.0))?;
    }
    Ok(())
}
