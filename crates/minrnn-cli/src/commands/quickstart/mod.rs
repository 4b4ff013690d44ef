//! `minrnn quickstart`: every step of the way, once.

mod folder;
mod show;

use std::time::{Duration, Instant};

use anyhow::Result;
use minrnn_onnx::export::{DirOptions, Exported};
use minrnn_train::checkpoint::Checkpoint;
use minrnn_train::task::Split;
use minrnn_train::trainer::{Device, Metrics, ResumeOptions, Trainer};

use super::export;
use super::report;
use super::verify::written;
use crate::Outcome;
use crate::args::{self, Quickstart};
use crate::config::Config;
use crate::files::{self, Loaded};
use crate::training;
use crate::ui::Ui;
use crate::verify::{self, Export, Options, Report};
use folder::Folder;

const CONFIG: &str = include_str!("quickstart.toml");
/// Share of fresh sequences' tokens that must be right.
const WANTED: f64 = 0.99;
/// Longest sequence that is verified: 51 times longer than those of the training.
const VERIFIED: usize = 4097;

/// What there is to tell at the end.
struct Done {
    steps: u64,
    trained: Duration,
    model: Loaded,
    fresh: Metrics,
    exported: Exported,
    report: Report,
    verified: Duration,
    answer: show::Answer,
}

pub(super) fn run(args: &Quickstart, ui: &Ui) -> Result<Outcome> {
    let text = CONFIG.replace("seed = 0", &format!("seed = {}", args.seed));
    let folder = Folder::make(&args.out, &text, ui)?;
    let config = Config::parse(folder::CONFIG, &text, &[])?;
    ui.note("1/6  training a minGRU on selective copying: remember 16 tokens among noise, say them in order");
    let device = Device::Cpu;
    let mut trainer = Trainer::new(&config.train, &device).map_err(|e| config.explain(e))?;
    let ended = training::fit(&mut trainer, &folder.run(), false, ui)?;
    if ended.metrics.is_none() {
        ui.error("stopped; the next quickstart begins anew");
        return Ok(Outcome::Interrupted);
    }
    let fresh = on_fresh_sequences(&config, &folder)?;
    ui.note("2/6  exporting to ONNX in three forms");
    let model = files::load_checkpoint(&folder.run())?;
    let exported = export::write(&model, &folder.export(), &DirOptions::default())?;
    ui.note(
        "3/6  verifying: every form against float64, against the trainer and against each other",
    );
    let start = Instant::now();
    let report = verified(&folder, &model, ui)?;
    let verified = start.elapsed();
    ui.note("4/6  streaming a fresh sequence through model.step.onnx");
    let answer = show::Answer::ask(trainer.task(), &folder.export())?;
    ui.note("5/6  a page about all of it");
    let page = report::made(&about(&folder), ui)?;
    files::write(&folder.page(), page.as_bytes())?;
    let steps = trainer.steps_done();
    let done = Done {
        steps,
        trained: ended.time,
        model,
        fresh,
        exported,
        report,
        verified,
        answer,
    };
    ui.note("6/6  done");
    ui.print(&show::summary(&done, &folder))?;
    Ok(
        if done.fresh.accuracy >= Some(WANTED) && done.report.holds {
            Outcome::Holds
        } else {
            Outcome::Fails
        },
    )
}

/// What the page is of.
fn about(folder: &Folder) -> args::Report {
    args::Report {
        dir: folder.run(),
        output: None,
        run: None,
        export: Some(folder.export()),
        verification: Some(folder.json()),
        data: None,
        set: vec![],
        split: None,
        samples: 256,
        no_data: false,
    }
}

/// The best checkpoint on sequences that neither training nor the choice of the checkpoint saw.
fn on_fresh_sequences(config: &Config, folder: &Folder) -> Result<Metrics> {
    let best = folder.run().join(files::BEST);
    let trainer = Trainer::resume(
        &config.train,
        &Checkpoint::load(&best)?,
        &best,
        &Device::Cpu,
        ResumeOptions::default(),
    )?;
    Ok(trainer.evaluate(Split::Test, 0)?)
}

fn verified(folder: &Folder, model: &Loaded, ui: &Ui) -> Result<Report> {
    let export = Export::open(&folder.export())?;
    let options = Options {
        longest: Some(VERIFIED),
        ..Options::default()
    };
    let mut progress = ui.progress("verify", 0);
    let mut observe = |done: usize, all: usize, what: &str| {
        progress.share(done as u64, all as u64, || what.to_owned())
    };
    let report = verify::verify(&export, &model.model, &model.params, &options, &mut observe)?;
    drop(progress);
    written::markdown(&folder.report(), &report.picture()?, |name| {
        report.markdown(Some(name))
    })?;
    files::write(
        &folder.json(),
        (serde_json::to_string_pretty(&report)? + "\n").as_bytes(),
    )?;
    Ok(report)
}
