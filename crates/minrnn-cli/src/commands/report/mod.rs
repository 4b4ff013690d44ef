//! `minrnn report`: one page about a model.

mod config;
mod exported;
mod histogram;
mod history;
mod html;
mod inside;
mod layers;
mod memory;
mod numbers;
mod page;
mod plot;
mod predictions;
mod results;
mod samples;
mod source;
mod training;
mod verification;

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use minrnn_model::graph::Graph;
use minrnn_train::task::{Split, TaskConfig};
use serde::Deserialize;
use serde_json::Value as Json;

use super::eval::{self, Shown, Subject, Windows};
use crate::Outcome;
use crate::args::{Eval, Part, Report};
use crate::files;
use crate::measure::Held;
use crate::outputs::Outputs;
use crate::table::grouped;
use crate::ui::Ui;
use page::Page;
use predictions::Predictions;
use source::Sources;

/// Name of the page where none is given.
pub(super) const NAME: &str = "report.html";

pub(super) fn run(args: &Report, ui: &Ui) -> Result<Outcome> {
    let output = output(args)?;
    check_outputs(args, &output)?;
    let page = made(args, ui)?;
    files::write(&output, page.as_bytes())?;
    ui.print(&format!("{}\n", output.display()))?;
    Ok(Outcome::Holds)
}

/// A checkpoint's folder is replaced as a whole when training goes on: no place for what shall stay.
fn output(args: &Report) -> Result<PathBuf> {
    match &args.output {
        Some(path) => Ok(path.clone()),
        None if args.dir.join("config.json").exists() => bail!(
            "{} is a checkpoint, which a training replaces as a whole; say with --output FILE.html where the page is to lie",
            args.dir.display()
        ),
        None => Ok(args.dir.join(NAME)),
    }
}

fn check_outputs(args: &Report, output: &Path) -> Result<()> {
    let data = args.data.as_deref();
    Outputs::new()
        .reads_folder("DIR", Some(&args.dir))
        .reads_folder("--run", args.run.as_deref())
        .reads_folder("--export", args.export.as_deref())
        .reads("--verification", args.verification.as_deref())
        .reads_folder("--data", data.filter(|path| path.is_dir()))
        .reads("--data", data.filter(|path| !path.is_dir()))
        .writes("--output", Some(output))
        .check()
}

/// The page does not lie over the data.
fn check_data(task: &TaskConfig, output: &Path) -> Result<()> {
    Outputs::new()
        .reads_task(task)
        .writes("--output", Some(output))
        .check()
}

/// The page.
pub(super) fn made(args: &Report, ui: &Ui) -> Result<String> {
    let sources = Sources::open(args, ui)?;
    let output = output(args)?;
    // Those of the run, whether they are read or not, and below what --data and --set make of them.
    if let Some(Ok(task)) = sources.config().get("task").map(TaskConfig::deserialize) {
        check_data(&task, &output)?;
    }
    let (model, params) = sources.model();
    let graph = model.graph();
    let config = sources.config();
    let mut page = begun(&config, graph, params.count());
    let measured = match args.no_data {
        true => None,
        false => measured(args, &sources, ui)?,
    };
    facts(&mut page, &sources, measured.as_ref());
    if let Some(history) = &sources.history {
        let losses = training::Losses {
            normalised: graph.denormalisation().is_some(),
            own_kind: config.pointer("/train/loss").is_some_and(Json::is_object),
        };
        page.section("Training", training::section(history, &losses)?);
    }
    if let Some(measured) = &measured {
        page.section("Figures", measured.results.clone());
    }
    if let Some(samples) = samples::section(&sources, ui)? {
        page.section("What it writes", samples);
    }
    if let Some(measured) = &measured {
        page.section("Gates, states and memory", measured.memory.clone());
    }
    page.section("Layers", layers::section(graph, params));
    if let Some(verification) = &sources.verification {
        page.section("Verification", verification.section());
    }
    if let Some(export) = sources.export() {
        page.section("Exported files", exported::section(export)?);
    }
    page.section("Configuration", config::section(&config));
    let missing = missing(args, &sources);
    if !missing.is_empty() {
        page.section("Not on this page", missing);
    }
    Ok(page.html())
}

fn begun(config: &Json, graph: &Graph, count: usize) -> Page {
    let word = |pointer: &str| config.pointer(pointer).and_then(Json::as_str);
    let words = |word: &str| word.replace('_', " ");
    let task = word("/task/kind").map(words);
    let title = match (word("/model/cell/kind"), task) {
        (Some(cell), Some(task)) => format!("{cell} on {task}"),
        (Some(cell), None) => cell.to_owned(),
        (None, _) => "a model of one's own".to_owned(),
    };
    let number = |pointer: &str| config.pointer(pointer).and_then(Json::as_u64);
    let size = match (number("/model/layers"), number("/model/width")) {
        (Some(layers), Some(width)) => format!("{layers} layers of width {width}, "),
        _ => String::new(),
    };
    let states: usize = graph.states().iter().map(|s| s.len()).sum();
    let subtitle = format!(
        "{size}{} parameters, {} values of state",
        grouped(count),
        grouped(states)
    );
    Page::new(title, subtitle)
}

/// The most important figures, above everything.
fn facts(page: &mut Page, sources: &Sources, measured: Option<&Measured>) {
    if let Some(history) = &sources.history {
        page.facts.push(("steps", grouped(history.steps.len())));
        let losses = history.evaluations.iter().filter_map(|e| e.loss);
        if let Some(best) = losses.reduce(f64::min) {
            page.facts
                .push(("lowest validation loss", numbers::digits(best)));
        }
    }
    if let Some(measured) = measured {
        page.facts.extend(measured.facts.clone());
    }
    if let Some(verification) = &sources.verification {
        let holds = if verification.holds {
            "holds"
        } else {
            "does not hold"
        };
        page.facts.push(("verification", holds.into()));
    }
}

/// What data told.
struct Measured {
    results: String,
    memory: String,
    facts: Vec<(&'static str, String)>,
}

/// Figures and what happens inside, on the same part; none where no data are known.
fn measured(args: &Report, sources: &Sources, ui: &Ui) -> Result<Option<Measured>> {
    let data = args.data.clone().or_else(|| args.run.clone());
    if data.is_none() && matches!(sources.subject, Subject::Export(_)) {
        return refuse_idle(args).map(|()| None);
    }
    let asked = Eval {
        memory: None,
        dir: args.dir.clone(),
        data,
        set: args.set.clone(),
        split: args.split.unwrap_or(Part::Test),
        samples: Some(args.samples as u64),
        form: None,
        json: None,
    };
    let held = eval::open_data(&asked, &sources.subject)?;
    check_data(&held.config, &output(args)?)?;
    let asked = Eval {
        split: args.split.unwrap_or_else(|| usual(&held)),
        ..asked
    };
    let (split, whole) = eval::part(&asked, &held);
    let windows = eval::windows(&asked, &held, split)?;
    let mut predictions = Predictions::default();
    let see =
        &mut |batch: &minrnn_train::task::Batch, outputs: &[f32]| predictions.add(batch, outputs);
    let report = eval::measured(
        &sources.subject,
        &held,
        (None, (split, whole, windows)),
        ui,
        see,
    )?;
    let memory = inside(sources, &held, (split, windows), ui)?;
    Ok(Some(Measured {
        results: results::section(&report, &predictions)?,
        memory,
        facts: of_figures(&report),
    }))
}

/// What needs data that are not there.
fn refuse_idle(args: &Report) -> Result<()> {
    let idle = [
        ("--set", !args.set.is_empty()),
        ("--split", args.split.is_some()),
    ];
    if let Some((flag, _)) = idle.iter().find(|(_, given)| *given) {
        bail!(
            "{flag} would change nothing: {} is an export, which does not say what it was trained on; give --run RUN or --data CONFIG.toml",
            args.dir.display()
        );
    }
    Ok(())
}

/// The part that neither training nor the choice of `best` has seen, or the next best.
fn usual(held: &Held) -> Part {
    let there = |split| held.task.len(split) != Some(0);
    match (there(Split::Test), there(Split::Validation)) {
        (true, _) => Part::Test,
        (false, true) => Part::Validation,
        (false, false) => Part::Train,
    }
}

fn inside(
    sources: &Sources,
    held: &Held,
    (split, windows): (Split, Windows),
    ui: &Ui,
) -> Result<String> {
    let (model, params) = sources.model();
    let mut progress = ui.progress("window", windows.count);
    let mut see = |done: u64| progress.set(done, || "gates and states".into());
    let task = (&*held.task, split, windows.count);
    memory::section(&inside::look(model.graph(), params, task, &mut see)?)
}

fn of_figures(report: &eval::Report) -> Vec<(&'static str, String)> {
    let Some(first) = report.figures.first() else {
        return vec![];
    };
    match &first.kind {
        Shown::Classes(classes) => {
            let mut all = vec![("accuracy", numbers::percent(classes.accuracy))];
            // The first is the one that the page's head has room for.
            let text = classes.of_text().next();
            all.extend(text.map(|(name, figure)| (name, numbers::digits(figure))));
            all
        }
        Shown::Values { targets } => {
            let named = |v: &eval::Value| v.r2.map(|r2| ("R²", numbers::digits(r2)));
            match targets.as_slice() {
                [only] => named(only).into_iter().collect(),
                _ => vec![("mean squared error", numbers::digits(first.loss))],
            }
        }
    }
}

/// What would be here if it were known, and how.
fn missing(args: &Report, sources: &Sources) -> String {
    let mut out = String::new();
    let mut say = |text: &str| out.push_str(&html::note(text));
    let export = matches!(sources.subject, Subject::Export(_));
    if sources.history.is_none() {
        say(match export && args.run.is_none() {
            true => "Training curves: --run names the run that the export was made from.",
            false => "Training curves: there is no metrics.jsonl with the checkpoint.",
        });
    }
    for note in sources.history.iter().flat_map(|history| &history.notes) {
        say(&format!("metrics.jsonl: {note}."));
    }
    if args.no_data {
        say("Figures, gates, states and memory: they need data, and --no-data leaves them out.");
    } else if export && args.run.is_none() && args.data.is_none() {
        say("Figures, gates, states and memory: --run or --data names data to measure on.");
    }
    match sources.export() {
        None => say("Exported files: `minrnn export` makes them, and --export names their folder."),
        Some(_) if sources.verification.is_none() => {
            say("Verification: `minrnn verify EXPORT --json verify.json` makes it.");
        }
        Some(_) => {}
    }
    out
}
