//! A row that is trained: the cost first, then the training as far as the budget goes, then export, proof and figures.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use minrnn_train::checkpoint::Checkpoint;
use minrnn_train::trainer::{ResumeOptions, TrainConfig, Trainer};
use serde::Deserialize;

use super::after;
use super::context::{Context, remove};
use super::cost::{Cost, TURNS};
use super::experiment::Curve;
use super::outcome::Done;
use super::queue::Item;
use super::{parcel, proof};
use crate::config::Config;
use crate::errors::without_trace;
use crate::files::{self, LAST, METRICS};
use crate::memory;
use crate::progress::duration;
use crate::training;

/// A state of more bytes is not for the way to another machine: what leaves one is not begun where a whole call would be enough.
const HEAVY: usize = 48 << 20;
/// Seconds that export and proof are given where none was measured.
const PROOF: f64 = 20.0;

/// What came of a run.
pub(super) enum Ran {
    Done(Box<Done>),
    /// Saved; the next call goes on.
    Saved,
    /// Not begun: the next call has time enough.
    Later,
}

/// Trains one seed of a row, or what is left of it.
pub(super) fn run(cx: &Context, item: &Item, begun: bool) -> Result<Ran> {
    let key = item.key();
    let work = cx.runs().join(&key);
    if !Checkpoint::is_there(&work.join(LAST)) {
        remove(&work)?;
        parcel::unpack(&cx.state(), &key, &work)?;
    }
    let mut config = cx.config(item.row, item.case, None)?;
    config.train.train.memory = memory::available();
    let mut trainer = open(cx, &config, &work)?;
    for note in trainer.notes() {
        cx.ui.note(&format!("{key}: {note}"));
    }
    let cost = cost(cx, item, &config)?;
    let from = trainer.steps_done();
    let seconds = cost.seconds(&config.train, from);
    say(cx, item, &config.train, &cost, from);
    let reserve = PROOF.min(cx.budget.left().unwrap_or(0.0) * 0.1);
    if begun && from == 0 && cost.state > HEAVY && cx.budget.is_for_the_next(seconds + reserve) {
        cx.ui.note(&format!(
            "{key}: not begun, {} are left and its state would be too large for the way to another machine; the next call has time for all of it",
            short(cx.budget.left().unwrap_or(0.0))
        ));
        return Ok(Ran::Later);
    }
    let before = cx.budget.used();
    let deadline = cx.budget.deadline(reserve);
    let ended = match training::fit_until(&mut trainer, &work, false, deadline, cx.ui) {
        Ok(ended) if ended.interrupted => {
            let step = trainer.steps_done();
            drop(trainer);
            parcel::pack(&work, &cx.state(), &key)?;
            if let (true, Some(needed)) = (
                stuck(begun, from, step),
                cx.budget.for_a_step(before, cost.step),
            ) {
                bail!(
                    "{key}: not one step was done in --budget {}: {} went by before the first one, and a step takes {:.0} ms; with less than --budget {needed} the \
                     same command would never get on",
                    cx.budget.all().unwrap_or_default(),
                    short(before),
                    cost.step
                );
            }
            cx.ui.note(&format!(
                "{key}: saved after step {step}; the same command goes on"
            ));
            return Ok(Ran::Saved);
        }
        Ok(ended) => ended,
        Err(error) => {
            let why = format!("{error:#}");
            cx.ui
                .error(&format!("{key} failed: {}", without_trace(&why)));
            let mut done = Done::new(&item.row.name, &item.case(), cx.place);
            let why = error.root_cause().to_string();
            done.outcome.failed = Some(without_trace(&why).to_owned());
            finish(cx, &work, &key)?;
            return Ok(Ran::Done(Box::new(done)));
        }
    };
    let mut done = Done::new(&item.row.name, &item.case(), cx.place);
    if let Some(best) = &ended.best {
        done.figure("loss", best.value);
        done.figure("step", best.step as f64);
    }
    done.figure("steps", trainer.steps_done() as f64);
    done.times.seconds = ended.time.as_secs_f64();
    done.time("ms_a_step", cost.step);
    drop(trainer);
    done.outcome.curve = curve(&work.join(METRICS), cx.experiment.curve)?;
    let loaded = files::load_checkpoint(&work)?;
    let start = Instant::now();
    let model = proof::prove(cx, &key, &loaded, item.row.verify)?;
    done.figure("parameters", model.parameters as f64);
    done.outcome.model = Some(model);
    done.time("proof_s", start.elapsed().as_secs_f64());
    after::measure(cx, item, &config, &loaded, &mut done)?;
    if let Some(model) = &done.outcome.model {
        proof::settle(cx, &key, model)?;
    }
    finish(cx, &work, &key)?;
    Ok(Ran::Done(Box::new(done)))
}

/// Whether a call that had all of its time for this run got no step further: the next one would not either.
fn stuck(begun: bool, from: u64, step: u64) -> bool {
    !begun && step == from && !crate::interrupt::asked()
}

/// A new trainer, or one that goes on.
fn open(cx: &Context, config: &Config, work: &Path) -> Result<Trainer> {
    let last = work.join(LAST);
    let trainer = match Checkpoint::is_there(&last) {
        true => {
            let checkpoint = Checkpoint::load(&last)?;
            let options = ResumeOptions::default();
            Trainer::resume(&config.train, &checkpoint, &last, &cx.device, options)
        }
        false => Trainer::new(&config.train, &cx.device),
    };
    trainer.map_err(|e| config.explain(e))
}

/// Of the row's first run of a call; of its other seeds the same.
fn cost(cx: &Context, item: &Item, config: &Config) -> Result<Cost> {
    let mut costs = cx.costs.borrow_mut();
    if let Some(cost) = costs.get(&item.row.name) {
        return Ok(*cost);
    }
    let cost = Cost::of(&config.train, &cx.device, TURNS, true).map_err(|e| config.explain(e))?;
    costs.insert(item.row.name.clone(), cost);
    Ok(cost)
}

fn say(cx: &Context, item: &Item, config: &TrainConfig, cost: &Cost, from: u64) {
    let begin = match from {
        0 => String::new(),
        _ => format!(" from step {from} on"),
    };
    let left = cx.budget.left().map_or(String::new(), |left| {
        format!("; {} of the budget are left", short(left))
    });
    cx.ui.note(&format!(
        "{}: a step takes {:.2} ms, {} steps{begin} with evaluations about {}{left}",
        item.key(),
        cost.step,
        config.train.steps,
        short(cost.seconds(config, from))
    ));
}

fn short(seconds: f64) -> String {
    duration(std::time::Duration::try_from_secs_f64(seconds).unwrap_or_default())
}

/// Takes the folder of a run that is over away, and its parcel.
fn finish(cx: &Context, work: &Path, key: &str) -> Result<()> {
    remove(work)?;
    if cx.state().exists() {
        parcel::remove(&cx.state(), key)?;
    }
    Ok(())
}

#[derive(Deserialize)]
struct Line {
    event: String,
    step: u64,
    loss: Option<f64>,
    accuracy: Option<f64>,
}

/// Evaluations of a log, the last one of each step.
fn curve(path: &Path, what: Curve) -> Result<Vec<(u64, f64)>> {
    let text =
        std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut points = BTreeMap::new();
    for line in text
        .lines()
        .filter(|l| l.starts_with("{\"event\":\"eval\""))
    {
        let line: Line = serde_json::from_str(line)?;
        let value = match what {
            Curve::Loss => line.loss,
            Curve::Accuracy => line.accuracy.map(|a| 100.0 * a),
        };
        if let (Some(value), true) = (value, line.event == "eval") {
            points.insert(line.step, value);
        }
    }
    Ok(points.into_iter().collect())
}
