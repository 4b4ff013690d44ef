//! A stream through a shipped model, one step a time, with exact execution alone: what a small device needs.
//!
//! It uses nothing that the feature `tract` brings. In a program of its own:
//!
//! ```toml
//! minrnn-runtime = { version = "0.1", default-features = false }
//! ```
//!
//! `cargo run --release -p minrnn-runtime --no-default-features --example lean -- models/copy-min-gru/export/model.step.onnx 3 1 4`

use std::error::Error;
use std::io::{self, Write};
use std::sync::Arc;

use minrnn_runtime::{InputSpec, Model, Session};

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let file = args.next().ok_or("give a step file, then its inputs")?;
    let inputs: Vec<String> = args.collect();
    run(&file, &inputs, &mut io::stdout().lock())
}

/// Gives the model one input after the other, and writes its outputs, a line a step.
pub(crate) fn run(
    file: &str,
    inputs: &[String],
    out: &mut dyn Write,
) -> Result<(), Box<dyn Error>> {
    let model = Arc::new(Model::open(file)?);
    let mut session = Session::new(model.clone(), 1)?;
    for input in inputs {
        let output = match model.info().input {
            InputSpec::Tokens { .. } => session.step_tokens(&[input.parse()?])?,
            InputSpec::Features { width } => session.step_features(&vec![input.parse()?; width])?,
        };
        writeln!(out, "{input} -> {:?}", output.values)?;
    }
    Ok(())
}
