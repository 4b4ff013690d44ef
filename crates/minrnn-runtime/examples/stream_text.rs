//! Writes text, character by character: the prompt through the parallel file in chunks, then one step a character.
//!
//! `cargo run --release -p minrnn-runtime --example stream_text -- [FOLDER [PROMPT [COUNT]]]`

use std::error::Error;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use minrnn_runtime::{Input, Model, Session};

/// Below 1 likely characters become likelier.
const TEMPERATURE: f32 = 0.7;

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
    let vocabulary = vocabulary(&folder.join("manifest.json"))?;
    let id = |c: char| {
        let at = vocabulary.iter().position(|v| v.chars().eq([c]));
        at.map(|at| at as i64)
            .ok_or_else(|| format!("the model has no character {c:?}"))
    };
    let ids = prompt.chars().map(id).collect::<Result<Vec<i64>, _>>()?;
    if ids.is_empty() {
        return Err("the prompt is empty".into());
    }

    let parallel = Model::open(folder.join("model.parallel.onnx"))?;
    let step = Arc::new(Model::open(folder.join("model.step.onnx"))?);
    let width = step.info().output.width;
    if width != vocabulary.len() {
        return Err(format!("{width} logits for {} characters", vocabulary.len()).into());
    }
    let mut session = Session::new(step, 1)?;
    let prompt_ids = Input::Tokens {
        ids: &ids,
        batch: 1,
        time: ids.len(),
    };
    let all = session.prefill(&parallel, prompt_ids)?.values;
    let mut logits = all[all.len() - width..].to_vec();

    let mut seed = 1;
    write!(out, "{prompt}")?;
    for _ in 0..count {
        let next = draw(&logits, &mut seed);
        write!(out, "{}", vocabulary[next])?;
        out.flush()?;
        session.step_tokens_into(&[next as i64], &mut logits)?;
    }
    Ok(writeln!(out)?)
}

/// The characters of a text model, by id.
fn vocabulary(manifest: &Path) -> Result<Vec<String>, Box<dyn Error>> {
    let text = std::fs::read(manifest).map_err(|e| format!("{}: {e}", manifest.display()))?;
    let mut manifest: serde_json::Value = serde_json::from_slice(&text)?;
    let list = manifest["vocabulary"].take();
    serde_json::from_value(list).map_err(|_| "the manifest lists no characters".into())
}

/// A token by its probability.
fn draw(logits: &[f32], seed: &mut u64) -> usize {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let weights = logits.iter().map(|l| ((l - largest) / TEMPERATURE).exp());
    let mut left = uniform(seed) * weights.clone().sum::<f32>();
    for (at, weight) in weights.enumerate() {
        left -= weight;
        if left < 0.0 {
            return at;
        }
    }
    logits.len() - 1
}

/// In `[0, 1)`, by SplitMix64.
fn uniform(seed: &mut u64) -> f32 {
    *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = (*seed ^ (*seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 31)) >> 40) as f32 / (1 << 24) as f32
}
