//! What a text model writes.

use anyhow::{Result, bail};
use minrnn_runtime::text::{Codec, Continuation, Sampler, Sampling};

use super::html;
use super::source::Sources;
use crate::codec::Words;
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
    let words = Words::of(tokens)?;
    let mut figures = vec![];
    for (temperature, seed) in SAMPLES {
        let sampling = Sampling {
            temperature,
            ..Sampling::default()
        };
        let written = write(sources, &words, Sampler::of(sampling, seed)?, ui)?;
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

fn write(sources: &Sources, words: &Words, sampler: Sampler, ui: &Ui) -> Result<String> {
    let (mut engine, end) = match &sources.subject {
        Subject::Checkpoint(loaded) => (Engine::candle(&loaded.model, &loaded.params)?, None),
        Subject::Export(export) => {
            let step = export.forms().any(|form| form == "step");
            let engine = match step {
                true => Engine::step(export, words.tokens(), ui)?,
                false => Engine::parallel(export, words.tokens())?,
            };
            (engine, export.end_of_stream())
        }
    };
    let mut next = vec![words.first()];
    let end = end.and_then(|token| u32::try_from(token).ok());
    let mut continuation = Continuation::new(sampler, &next, vec![], end)?;
    let mut text = String::new();
    let most = sources.model().0.graph().longest();
    for _ in 0..most.map_or(CHARACTERS, |most| CHARACTERS.min(most)) {
        let logits = engine.feed(&next)?;
        if let Some(value) = logits.iter().find(|v| !v.is_finite()) {
            bail!(
                "the model gives {value} for a logit: its weights are so large that float32 overflows, and what it writes would mean nothing; take a checkpoint from before the training diverged"
            );
        }
        let taken = continuation.take(words, &logits)?;
        text.push_str(&taken.text);
        if taken.over.is_some() {
            break;
        }
        next = vec![taken.id];
    }
    text.push_str(&continuation.rest(words)?);
    Ok(text)
}
