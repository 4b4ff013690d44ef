//! What computes the logits of the next token: candle from a checkpoint, tract from exported files.

use std::sync::Arc;

use anyhow::{Result, bail};
use minrnn_model::model::Model;
use minrnn_model::params::Params;
use minrnn_runtime::{self as runtime, Head, Input, InputSpec, Output, Session};
use minrnn_train::generate::Generator;

use super::super::run::not_here;
use crate::ui::Ui;
use crate::verify::Export;

/// An engine with the text it was given so far.
pub(in crate::commands) enum Engine<'a> {
    /// The trainer's own.
    Candle(Generator<'a>),
    /// The step file, and the sequence file that takes the prompt at once.
    Step {
        session: Session,
        prefill: Option<runtime::Model>,
    },
    /// The parallel file, over the whole text again and again.
    Parallel(Again),
}

impl<'a> Engine<'a> {
    pub(in crate::commands) fn candle(model: &'a Model, params: &Params) -> Result<Self> {
        Ok(Self::Candle(Generator::new(
            model,
            params,
            &candle_core::Device::Cpu,
        )?))
    }

    /// The prompt goes through the first sequence form that runs here, and step by step where there is none.
    pub(in crate::commands) fn step(export: &Export, words: usize, ui: &Ui) -> Result<Self> {
        let step = load(export, "step", words)?;
        let mut prefill = None;
        let mut forms = ["parallel", "scan"].into_iter();
        let runs = |form: &&str| !export.is_for_other_engines(form);
        while let (None, Some(form)) = (&prefill, forms.find(runs)) {
            prefill = export.load(form)?;
        }
        if export.is_for_other_engines("parallel") {
            let other = prefill.as_ref().map_or("step", |_| "scan");
            ui.note(&not_here("parallel", other));
        }
        Ok(Self::Step {
            session: Session::new(Arc::new(step), 1)?,
            prefill,
        })
    }

    pub(in crate::commands) fn parallel(export: &Export, words: usize) -> Result<Self> {
        Ok(Self::Parallel(Again {
            model: load(export, "parallel", words)?,
            text: vec![],
        }))
    }

    /// Takes tokens (at least one) in and gives the logits of the one that follows.
    pub(in crate::commands) fn feed(&mut self, ids: &[u32]) -> Result<Vec<f32>> {
        let ids64: Vec<i64> = ids.iter().map(|id| i64::from(*id)).collect();
        let mut logits = match self {
            Self::Candle(generator) => return Ok(generator.feed(ids)?),
            Self::Step {
                session,
                prefill: Some(sequence),
            } if ids.len() > 1 => session.prefill(
                sequence,
                Input::Tokens {
                    ids: &ids64,
                    batch: 1,
                    time: ids.len(),
                },
            )?,
            Self::Step { session, .. } => {
                let mut last = None;
                for id in &ids64 {
                    last = Some(session.step_tokens(&[*id])?);
                }
                match last {
                    Some(output) => output,
                    None => bail!("there is no token to go on from"),
                }
            }
            Self::Parallel(again) => again.feed(&ids64)?,
        };
        let width = logits.shape.last().copied().unwrap_or(0);
        Ok(logits.values.split_off(logits.values.len() - width))
    }
}

/// A sequence file and all of the text.
pub(in crate::commands) struct Again {
    model: runtime::Model,
    text: Vec<i64>,
}

/// The shortest length that is run.
const SHORTEST: usize = 16;

impl Again {
    /// The logits `[1, T, C]` of the text so far. It is run with tokens behind its end, which cannot reach back in time, so
    /// that all texts share a few lengths: the engine plans anew for each.
    fn feed(&mut self, ids: &[i64]) -> Result<Output> {
        self.text.extend(ids);
        let (info, len) = (self.model.info(), self.text.len());
        let rounded = len
            .next_power_of_two()
            .max(SHORTEST)
            .min(info.max_seq_len.unwrap_or(usize::MAX));
        let time = info.seq_len.unwrap_or(rounded).max(len);
        let mut padded = self.text.clone();
        padded.resize(time, 0);
        let input = Input::Tokens {
            ids: &padded,
            batch: 1,
            time,
        };
        let (mut output, _) = self.model.run(input, &self.model.initial_state(1)?)?;
        output.values.truncate(output.values.len() / time * len);
        output.shape[1] = len;
        Ok(output)
    }
}

/// A file that predicts the next of `words` tokens at each step.
fn load(export: &Export, form: &str, words: usize) -> Result<runtime::Model> {
    let dir = export.dir().display();
    let Some(model) = export.load(form)? else {
        let forms: Vec<&str> = export.forms().collect();
        let other = ["parallel", "step"].into_iter().find(|f| forms.contains(f));
        let instead = match other {
            Some("parallel") => {
                "--engine parallel runs what is there, over the whole text again for each character, or ".to_owned()
            }
            Some(other) => format!("--engine {other} runs what is there, or "),
            None => String::new(),
        };
        bail!(
            "{dir} has no {form} form, only {}; {instead}export again with --form all or --form {form}",
            forms.join(" and ")
        );
    };
    let info = model.info();
    let predicts =
        info.head == Head::PerStep && info.output.name == "logits" && info.output.width >= words;
    if !predicts || !matches!(info.input, InputSpec::Tokens { .. }) {
        bail!(
            "{dir} does not predict one of its {words} tokens at each step, so it cannot generate; `minrnn run` runs it"
        );
    }
    Ok(model)
}
