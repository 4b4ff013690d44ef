//! `minrnn generate`.

mod engine;
mod stop;
mod unused;

use anyhow::{Context, Result, bail};
use minrnn_onnx::export::is_unfinished;
use minrnn_train::data::Vocabulary;
use minrnn_train::generate::{Sampler, Sampling};

use crate::Outcome;
use crate::args::{EngineChoice, Generate};
use crate::files::{self, Loaded, MANIFEST};
use crate::given::Given;
use crate::ui::Ui;
pub(super) use engine::Engine;
use stop::{Found, Stops};

pub(super) fn run(args: &Generate, given: &Given, ui: &Ui) -> Result<Outcome> {
    unused::refuse(args, given)?;
    let sampling = Sampling {
        temperature: args.temperature,
        top_k: args.top_k,
        top_p: args.top_p,
    };
    let sampler = Sampler::of(sampling, args.seed)?;
    if args.dir.join(MANIFEST).exists() || is_unfinished(&args.dir) {
        from_export(args, sampler, ui)
    } else {
        from_checkpoint(args, sampler, ui)
    }
}

fn from_checkpoint(args: &Generate, sampler: Sampler, ui: &Ui) -> Result<Outcome> {
    let dir = args.dir.display();
    if args.engine.is_some_and(|e| e != EngineChoice::Candle) {
        bail!(
            "{dir} is no export, and the engines step and parallel run exported files; make some with `minrnn export {dir} --out DIR`"
        );
    }
    if args.dir.is_dir() && !files::has_checkpoint(&args.dir) {
        bail!(
            "{dir} is neither a checkpoint nor a run nor an export: it has no config.json, no {}/ and no {MANIFEST}",
            files::BEST
        );
    }
    let Loaded {
        checkpoint,
        model,
        params,
        path,
    } = files::load_checkpoint(&args.dir)?;
    let words = vocabulary(
        checkpoint.vocabulary.as_deref(),
        &path.display().to_string(),
    )?;
    let engine = Engine::candle(&model, &params).with_context(|| path.display().to_string())?;
    let text = Text {
        words: &words,
        end: None,
    };
    write(args, engine, &text, sampler, ui)
}

fn from_export(args: &Generate, sampler: Sampler, ui: &Ui) -> Result<Outcome> {
    let export = files::open_export(&args.dir)?;
    let words = vocabulary(export.vocabulary(), &args.dir.display().to_string())?;
    let engine = match args.engine {
        Some(EngineChoice::Candle) => {
            bail!(
                "{} is an export, and the engine candle runs checkpoints; give the folder of one",
                args.dir.display()
            )
        }
        Some(EngineChoice::Parallel) => Engine::parallel(&export, words.len())?,
        Some(EngineChoice::Step) | None => Engine::step(&export, words.len(), ui)?,
    };
    let end = export.end_of_stream();
    let text = Text { words: &words, end };
    write(args, engine, &text, sampler, ui)
}

fn vocabulary(tokens: Option<&[String]>, of: &str) -> Result<Vocabulary> {
    let Some(tokens) = tokens else {
        bail!(
            "{of} has no vocabulary, so it is no text model; `minrnn run` takes token ids and features"
        );
    };
    Vocabulary::from_tokens(tokens).with_context(|| of.to_owned())
}

/// What a text is of, and after which token it is over, where an export names one.
struct Text<'a> {
    words: &'a Vocabulary,
    end: Option<u64>,
}

/// Prompt and continuation, character by character. What ends a text is not printed; in the prompt it ends nothing, as somebody
/// wrote on behind it.
fn write(
    args: &Generate,
    mut engine: Engine,
    text: &Text,
    mut sampler: Sampler,
    ui: &Ui,
) -> Result<Outcome> {
    unused::refuse_for(args, text.words)?;
    let start = match args.prompt.as_deref() {
        Some("") => {
            bail!("the prompt is empty; leave --prompt out, or give at least one character")
        }
        Some(prompt) => encode(text.words, prompt)?,
        None => vec![text.words.encode("\n").map_or(0, |ids| ids[0])],
    };
    let mut reads = args
        .prompt
        .as_deref()
        .map_or(Ok(true), |prompt| ui.stream(prompt))?;
    let mut stops = Stops::new(&args.stop);
    let mut next = start;
    let mut ended = None;
    for written in 0..args.length {
        if !reads {
            break;
        }
        let logits = engine.feed(&next)?;
        says_something(args, &logits, written)?;
        let id = sampler.choose(&logits) as u32;
        let character = text.words.decode(&[id])?;
        if text.end == Some(u64::from(id)) {
            ended = Some(over(args, written, &End::Token(&character)));
            break;
        }
        let Found { shown, stop } = stops.take(&character);
        reads = ui.stream(&shown)?;
        if let Some(stop) = stop {
            let before = (written + 1).saturating_sub(stop.chars().count());
            ended = Some(over(args, before, &End::Text(stop)));
            break;
        }
        next = vec![id];
    }
    ui.print(&(stops.rest() + "\n"))?;
    if let Some(note) = ended {
        ui.note(&note);
    }
    Ok(Outcome::Holds)
}

/// What a text is over by.
enum End<'a> {
    /// A token that the export names.
    Token(&'a str),
    /// A text of the command line.
    Text(&'a str),
}

/// Where a text is over, and why.
fn over(args: &Generate, written: usize, end: &End) -> String {
    let (dir, most) = (args.dir.display(), args.length);
    let why = match end {
        End::Token(text) => format!(
            "the model chose {text:?}, which {dir} names as its end of stream, and which is not printed"
        ),
        End::Text(text) => {
            format!("the model wrote {text:?}, which --stop names, and which is not printed")
        }
    };
    format!("note: the text is over after {written} of {most} characters: {why}")
}

/// Where a weight is so large that a product overflows, every choice would be the same; where it is a square that overflows in a norm,
/// each logit is 0.
fn says_something(args: &Generate, logits: &[f32], written: usize) -> Result<()> {
    let dir = args.dir.display();
    if let Some(value) = logits.iter().find(|v| !v.is_finite()) {
        bail!(
            "{dir}: after {written} characters the model gives {value} for a logit: its weights are so large that float32 overflows, and what it writes would mean nothing; take a checkpoint from before the training diverged"
        );
    }
    if logits.iter().all(|v| *v == 0.0) {
        bail!(
            "{dir}: after {written} characters the model gives 0 for every logit, so that what it writes would mean nothing: its weights are so large that float32 overflows in its norms, or those of its head are 0; take a checkpoint from before the training diverged"
        );
    }
    Ok(())
}

fn encode(words: &Vocabulary, prompt: &str) -> Result<Vec<u32>> {
    let known = words.tokens().concat();
    match prompt.chars().position(|c| !known.contains(c)) {
        Some(at) => {
            let stranger = prompt.chars().nth(at).unwrap_or_default();
            bail!(
                "--prompt: the model does not know the character {stranger:?} (number {}); it knows {known:?}",
                at + 1
            )
        }
        None => Ok(words.encode(prompt)?),
    }
}
