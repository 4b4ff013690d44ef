//! Writes text, piece by piece: the prompt through the parallel file in chunks, then one step a token.
//!
//! `cargo run --release -p minrnn-runtime --example stream_text -- [FOLDER [PROMPT [COUNT]]]`

use std::error::Error;
use std::io::{self, Write};
use std::path::Path;

use minrnn_runtime::text::{Sampling, Writer, Writing};

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let arg = |at: usize, or: &str| args.get(at).cloned().unwrap_or_else(|| or.to_owned());
    let folder = arg(0, "models/shakespeare-min-lstm/export");
    let count = arg(2, "400").parse()?;
    run(
        Path::new(&folder),
        &arg(1, "ROMEO:"),
        count,
        &mut io::stdout().lock(),
    )
}

/// Writes `prompt` and `count` characters behind it.
pub(crate) fn run(
    folder: &Path,
    prompt: &str,
    count: usize,
    out: &mut dyn Write,
) -> Result<(), Box<dyn Error>> {
    let mut writer = Writer::open(folder)?;
    let how = Writing {
        sampling: Sampling {
            // Below 1 likely characters become likelier.
            temperature: 0.7,
            ..Sampling::default()
        },
        seed: 1,
        most: count,
        stop: vec![],
    };
    let text = writer.write(prompt, &how)?;
    write!(out, "{prompt}")?;
    for piece in text {
        write!(out, "{}", piece?)?;
        out.flush()?;
    }
    Ok(writeln!(out)?)
}
