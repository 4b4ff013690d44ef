//! What a text model writes.

use anyhow::{Result, bail};
use minrnn_train::data::Vocabulary;
use minrnn_train::generate::{Sampler, Sampling};

use super::html;
use super::source::Sources;
use crate::commands::eval::Subject;
use crate::commands::generate::Engine;
use crate::ui::Ui;

/// Temperature and seed of each sample.
const SAMPLES: [(f64, u64); 3] = [(0.5, 0), (0.8, 1), (1.0, 2)];
const CHARACTERS: usize = 320;

/// Samples of a text model; none of others.
pub(super) fn section(sources: &Sources, ui: &Ui) -> Result<Option<String>> {
    let Some(tokens) = sources.vocabulary() else {
        return Ok(None);
    };
    let words = Vocabulary::from_tokens(tokens)?;
    let mut figures = vec![];
    for (temperature, seed) in SAMPLES {
        let sampling = Sampling {
            temperature,
            ..Sampling::default()
        };
        let written = write(sources, &words, &mut Sampler::of(sampling, seed)?, ui)?;
        let said = format!("temperature {temperature}, seed {seed}");
        figures.push(format!(
            "<figure><pre>{}</pre><figcaption>{}</figcaption></figure>\n",
            html::escape(&written),
            html::escape(&said)
        ));
    }
    let note = "As `minrnn generate` writes at these temperatures and seeds, without a prompt.";
    let grid = html::grid(&figures);
    Ok(Some(format!("{grid}{}", html::note(note))))
}

fn write(sources: &Sources, words: &Vocabulary, sampler: &mut Sampler, ui: &Ui) -> Result<String> {
    let (mut engine, end) = match &sources.subject {
        Subject::Checkpoint(loaded) => (Engine::candle(&loaded.model, &loaded.params)?, None),
        Subject::Export(export) => {
            let step = export.forms().any(|form| form == "step");
            let engine = match step {
                true => Engine::step(export, words.len(), ui)?,
                false => Engine::parallel(export, words.len())?,
            };
            (engine, export.end_of_stream())
        }
    };
    let mut next = vec![words.encode("\n").map_or(0, |ids| ids[0])];
    let mut text = String::new();
    for _ in 0..CHARACTERS {
        let logits = engine.feed(&next)?;
        if let Some(value) = logits.iter().find(|v| !v.is_finite()) {
            bail!(
                "the model gives {value} for a logit: its weights are so large that float32 overflows, and what it writes would mean nothing; take a checkpoint from before the training diverged"
            );
        }
        let id = sampler.choose(&logits) as u32;
        if end == Some(u64::from(id)) {
            break;
        }
        text.push_str(&words.decode(&[id])?);
        next = vec![id];
    }
    Ok(text)
}
