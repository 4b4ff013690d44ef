//! Streams features: one line of numbers in, one line of numbers out, the state kept between them.
//!
//! `cargo run --release -p minrnn-runtime --example stream_features -- MODEL.step.onnx < lines`

use std::error::Error;
use std::io::{self, BufRead, Write};
use std::path::Path;
use std::sync::Arc;

use minrnn_runtime::{InputSpec, Model, Session};

fn main() -> Result<(), Box<dyn Error>> {
    let file = std::env::args().nth(1).ok_or("give a step file")?;
    run(
        Path::new(&file),
        &mut io::stdin().lock(),
        &mut io::stdout().lock(),
    )
}

/// One step for each line of `lines`. A line that is refused leaves the stream where it was: it is named in the output, and
/// the next line goes on.
pub(crate) fn run(
    file: &Path,
    lines: &mut dyn BufRead,
    out: &mut dyn Write,
) -> Result<(), Box<dyn Error>> {
    let model = Arc::new(Model::open(file)?);
    if !matches!(model.info().input, InputSpec::Features { .. }) {
        return Err(format!("{} takes tokens, not features", model.file()).into());
    }
    let mut outputs = vec![0.0; model.info().output.width];
    let mut session = Session::new(model, 1)?;
    for (at, line) in lines.lines().enumerate() {
        let line = line?;
        let values: Result<Vec<f32>, _> = line.split_whitespace().map(str::parse).collect();
        let stepped = match values {
            Ok(values) => session
                .step_features_into(&values, &mut outputs)
                .map_err(|e| e.to_string()),
            Err(e) => Err(e.to_string()),
        };
        match stepped {
            Ok(()) => {
                let words: Vec<String> = outputs.iter().map(f32::to_string).collect();
                writeln!(out, "{}", words.join(" "))?;
            }
            Err(why) => writeln!(out, "line {} refused: {why}", at + 1)?,
        }
    }
    Ok(())
}
