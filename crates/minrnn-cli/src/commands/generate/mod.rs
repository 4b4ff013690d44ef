//! `minrnn generate`.

mod engine;
mod unused;

use anyhow::{Context, Result, bail};
use minrnn_model::vocabulary::Vocabulary;
use minrnn_onnx::export::is_unfinished;
use minrnn_runtime::text::{Codec, Continuation, Over, Sampler, Sampling};

use crate::Outcome;
use crate::args::{EngineChoice, Generate};
use crate::codec::Words;
use crate::files::{self, Loaded, MANIFEST};
use crate::given::Given;
use crate::ui::Ui;
pub(super) use engine::Engine;

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
    if args.memory.is_some() {
        bail!("--memory would change nothing: {dir} is no export; leave it out");
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
    let words = vocabulary(checkpoint.vocabulary.as_ref(), &path.display().to_string())?;
    let engine = Engine::candle(&model, &params).with_context(|| path.display().to_string())?;
    let text = Text {
        words: &words,
        end: None,
    };
    write(args, engine, &text, sampler, ui)
}

fn from_export(args: &Generate, sampler: Sampler, ui: &Ui) -> Result<Outcome> {
    let export = files::open_export(&args.dir)?.with_memory(args.memory);
    let words = vocabulary(export.vocabulary(), &args.dir.display().to_string())?;
    let engine = match args.engine {
        Some(EngineChoice::Candle) => {
            bail!(
                "{} is an export, and the engine candle runs checkpoints; give the folder of one",
                args.dir.display()
            )
        }
        Some(EngineChoice::Parallel) => Engine::parallel(&export, words.tokens())?,
        Some(EngineChoice::Step) | None => Engine::step(&export, words.tokens(), ui)?,
    };
    let end = export.end_of_stream();
    let text = Text { words: &words, end };
    write(args, engine, &text, sampler, ui)
}

fn vocabulary(tokens: Option<&Vocabulary>, of: &str) -> Result<Words> {
    let Some(tokens) = tokens else {
        bail!(
            "{of} has no vocabulary, so it is no text model; `minrnn run` takes token ids and features"
        );
    };
    Words::of(tokens).with_context(|| of.to_owned())
}

/// What a text is of, and after which token it is over, where an export names one.
struct Text<'a> {
    words: &'a Words,
    end: Option<u64>,
}

impl Text<'_> {
    /// What is counted: `characters`, `bytes`, `tokens`.
    fn units(&self) -> String {
        format!("{}s", self.words.0.unit())
    }
}

/// Prompt and continuation, token by token. What ends a text is not printed; in the prompt it ends nothing, as somebody
/// wrote on behind it.
fn write(
    args: &Generate,
    mut engine: Engine,
    text: &Text,
    sampler: Sampler,
    ui: &Ui,
) -> Result<Outcome> {
    unused::refuse_for(args, &text.words.0)?;
    let mut next = match args.prompt.as_deref() {
        Some("") => {
            bail!("the prompt is empty; leave --prompt out, or give at least one character")
        }
        Some(prompt) => encode(text.words, prompt)?,
        None => vec![text.words.first()],
    };
    let mut reads = args
        .prompt
        .as_deref()
        .map_or(Ok(true), |prompt| ui.stream(prompt))?;
    let end = text.end.and_then(|token| u32::try_from(token).ok());
    let mut continuation = Continuation::new(sampler, &next, args.stop.clone(), end)?;
    let mut ended = None;
    for written in 0..args.length {
        if !reads {
            break;
        }
        let logits = engine.feed(&next)?;
        says_something(args, &logits, written, text)?;
        let taken = continuation.take(text.words, &logits)?;
        reads = ui.stream(&taken.text)?;
        if let Some(why) = taken.over {
            ended = Some(over(args, written, &why, text)?);
            break;
        }
        next = vec![taken.id];
    }
    ui.print(&(continuation.rest(text.words)? + "\n"))?;
    if let Some(note) = ended {
        ui.note(&note);
    }
    Ok(Outcome::Holds)
}

/// Where a text is over, and why. Of characters those before what ends it are counted, of others all that the model chose.
fn over(args: &Generate, written: usize, end: &Over, text: &Text) -> Result<String> {
    let (dir, most) = (args.dir.display(), args.length);
    let characters = text.words.0.characters().is_some();
    let (count, why) = match end {
        Over::Token(id) => {
            let said = text.words.decode(&[*id])?;
            let why = format!(
                "the model chose {said:?}, which {dir} names as its end of stream, and which is not printed"
            );
            (written, why)
        }
        Over::Stop(stop) => {
            let why =
                format!("the model wrote {stop:?}, which --stop names, and which is not printed");
            let ends = if characters { stop.chars().count() } else { 0 };
            ((written + 1).saturating_sub(ends), why)
        }
    };
    let units = text.units();
    Ok(format!(
        "note: the text is over after {count} of {most} {units}: {why}"
    ))
}

/// Where a weight is so large that a product overflows, every choice would be the same; where it is a square that overflows in a norm,
/// each logit is 0.
fn says_something(args: &Generate, logits: &[f32], written: usize, text: &Text) -> Result<()> {
    let (dir, units) = (args.dir.display(), text.units());
    if let Some(value) = logits.iter().find(|v| !v.is_finite()) {
        bail!(
            "{dir}: after {written} {units} the model gives {value} for a logit: its weights are so large that float32 overflows, and what it writes would mean nothing; take a checkpoint from before the training diverged"
        );
    }
    if logits.iter().all(|v| *v == 0.0) {
        bail!(
            "{dir}: after {written} {units} the model gives 0 for every logit, so that what it writes would mean nothing: its weights are so large that float32 overflows in its norms, or those of its head are 0; take a checkpoint from before the training diverged"
        );
    }
    Ok(())
}

fn encode(words: &Words, prompt: &str) -> Result<Vec<u32>> {
    let known = words.0.characters().map(<[String]>::concat);
    let stranger = |known: &String| {
        let at = prompt.chars().position(|c| !known.contains(c))?;
        Some((at, prompt.chars().nth(at).unwrap_or_default()))
    };
    if let Some(known) = &known
        && let Some((at, stranger)) = stranger(known)
    {
        bail!(
            "--prompt: the model does not know the character {stranger:?} (number {}); it knows {known:?}",
            at + 1
        )
    }
    let ids = words.0.encode(prompt)?;
    if ids.is_empty() {
        bail!("--prompt {prompt:?}: the tokenizer makes no token of it; give another one");
    }
    Ok(ids)
}
