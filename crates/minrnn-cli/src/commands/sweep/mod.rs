//! `minrnn sweep`: one configuration, many runs.

mod compared;
mod known;
mod outcome;
mod picture;
mod plan;
mod show;
mod vary;

use std::path::Path;

use anyhow::{Context, Result, bail};
use minrnn_train::TrainError;
use minrnn_train::task::Task;

use super::train;
use crate::Outcome as Code;
use crate::args::{Sweep, Train};
use crate::config::Config;
use crate::files;
use crate::lock::Lock;
use crate::ui::Ui;
use compared::Measured;
use outcome::Outcome;
use plan::Plan;
use show::Row;

/// The configuration as the runs began with it.
const CONFIG: &str = "config.toml";
const MARKDOWN: &str = "sweep.md";
const CSV: &str = "sweep.csv";
const PICTURE: &str = "sweep.svg";

pub(super) fn run(args: &Sweep, ui: &Ui) -> Result<Code> {
    let plan = Plan::read(&args.file)?;
    let dir = args
        .out
        .clone()
        .unwrap_or_else(|| Path::new("runs").join(args.file.file_stem().unwrap_or_default()));
    // What is wrong is wrong before the first run and not after the tenth.
    let mut tasks = Tasks::default();
    let mut measured = vec![];
    for (i, run) in plan.runs.iter().enumerate() {
        let one = check(args, &plan, run, &mut tasks);
        measured
            .push(one.with_context(|| format!("run {}: {}", name(i), plan.sets(run).join(" ")))?);
    }
    if let Some(note) = compared::hold(&plan, &measured)? {
        ui.error(&note);
    }
    let _lock = Lock::inside(&dir, ui)?;
    hold(&dir, &plan, args)?;
    if dir.join(name(plan.runs.len())).exists() {
        ui.error(&format!(
            "note: {} has more runs than {} asks for, from {} on: they stay, and are not in the tables",
            dir.display(),
            args.file.display(),
            name(plan.runs.len())
        ));
    }
    // All runs are held before anything is written: tables of a finished sweep stay whole where one of them is refused.
    let mut outcomes = over(&dir, &plan, args)?;
    let mut rows = vec![];
    for (i, values) in plan.runs.iter().enumerate() {
        if outcomes[i].is_none() {
            let place = dir.join(name(i));
            ui.note(&format!(
                "run {} of {}: {}",
                i + 1,
                plan.runs.len(),
                plan.sets(values).join(" ")
            ));
            let Some(outcome) = one(args, &plan, values, &place, ui)? else {
                ui.error("the same command goes on with the sweep");
                return Ok(Code::Interrupted);
            };
            outcomes[i] = Some(outcome);
        } else if !rows.is_empty() {
            continue;
        }
        rows = ranked(&plan, &outcomes);
        write(&dir, &plan.keys, &rows)?;
    }
    ui.print(&format!("{}\n", show::table(&plan.keys, &rows)))?;
    ui.print(&show::failures(&rows))?;
    ui.note(&format!(
        "tables and picture: {}, {CSV}, {PICTURE}",
        dir.join(MARKDOWN).display()
    ));
    Ok(match rows.iter().any(|r| r.outcome.failed.is_some()) {
        true => Code::Fails,
        false => Code::Holds,
    })
}

/// The folder of a run.
fn name(i: usize) -> String {
    format!("{i:03}")
}

/// A task that was opened: what makes it, itself, and the hash of its validation part once it was asked for.
struct Opened {
    key: serde_json::Value,
    task: Box<dyn Task>,
    validation: Option<Option<String>>,
}

/// Tasks that were opened, the last one: runs of one task read its data once.
#[derive(Default)]
struct Tasks(Option<Opened>);

/// Holds the configuration of a run to its task, as a training does before its first step; gives what its losses are of.
fn check(args: &Sweep, plan: &Plan, run: &[String], tasks: &mut Tasks) -> Result<Measured> {
    let config = Config::read_for(&plan.config, &sets(args, plan, run), None)?;
    let train = &config.train;
    let mut held = || -> Result<Option<String>, TrainError> {
        train.validate()?;
        let key = serde_json::json!([train.task, train.train.seed]);
        let opened = match tasks.0.take() {
            Some(opened) if opened.key == key => opened,
            _ => Opened {
                key,
                task: (train.task).open_within(train.train.seed, crate::memory::available())?,
                validation: None,
            },
        };
        let opened = tasks.0.insert(opened);
        minrnn_train::trainer::fits(train, &*opened.task)?;
        // Where no key is of the data, all runs have the same.
        if !plan.keys.iter().any(|key| compared::is_of_data(key)) {
            return Ok(None);
        }
        let hash = || opened.task.digest().map(|data| data.validation);
        Ok(opened.validation.get_or_insert_with(hash).clone())
    };
    let validation = held().map_err(|e| config.explain(e))?;
    Ok(Measured::of(&config, validation))
}

/// What all runs share, then what this one has alone.
fn sets(args: &Sweep, plan: &Plan, run: &[String]) -> Vec<String> {
    [args.set.clone(), plan.sets(run)].concat()
}

/// Holds the folder to what is asked for: its runs began with this configuration, or there are none yet.
fn hold(dir: &Path, plan: &Plan, args: &Sweep) -> Result<()> {
    let path = dir.join(CONFIG);
    let mut wanted = files::read_text(&plan.config, u64::from(u32::MAX))?;
    for set in &args.set {
        wanted.push_str(&format!("\n# --set {set}\n"));
    }
    if !path.exists() {
        if !files::is_free_but(dir, |left| files::is_beside(CONFIG, left))? {
            bail!(
                "{} is not empty and no sweep of minrnn; choose another folder with --out",
                dir.display()
            );
        }
        return files::write(&path, wanted.as_bytes());
    }
    let there = files::read_text(&path, u64::from(u32::MAX))?;
    if there != wanted {
        bail!(
            "{} has runs of another configuration: {} is what they began with, {} with its --set is another; choose another folder with --out",
            dir.display(),
            path.display(),
            plan.config.display()
        );
    }
    Ok(())
}

/// How each run ended that is over, held to its values and to the data that lie there now.
fn over(dir: &Path, plan: &Plan, args: &Sweep) -> Result<Vec<Option<Outcome>>> {
    let mut known = known::Known::of(&plan.config);
    let mut all = vec![];
    for (i, values) in plan.runs.iter().enumerate() {
        let place = dir.join(name(i));
        let outcome = finished(&place, &plan.sets(values))?;
        if let Some(outcome) = &outcome {
            known.hold(outcome, &sets(args, plan, values), &place)?;
        }
        all.push(outcome);
    }
    Ok(all)
}

/// The runs that are over, the best first.
fn ranked(plan: &Plan, outcomes: &[Option<Outcome>]) -> Vec<Row> {
    let all = plan.runs.iter().zip(outcomes).enumerate();
    let row = |(i, (values, outcome)): (usize, (&Vec<String>, &Option<Outcome>))| {
        Some(Row {
            run: name(i),
            values: values.clone(),
            outcome: outcome.clone()?,
        })
    };
    let mut rows: Vec<Row> = all.filter_map(row).collect();
    show::rank(&mut rows);
    rows
}

/// How a run ended, if it is over; its values are these.
fn finished(place: &Path, set: &[String]) -> Result<Option<Outcome>> {
    let outcome = Outcome::read(place)?;
    if let Some(outcome) = outcome.as_ref().filter(|o| o.set != set) {
        bail!(
            "{} was made with {}, and now it would have {}; choose another folder with --out",
            place.display(),
            outcome.set.join(" "),
            set.join(" ")
        );
    }
    Ok(outcome)
}

/// Trains a run, or what is left of it; `None` after a signal.
fn one(
    args: &Sweep,
    plan: &Plan,
    values: &[String],
    place: &Path,
    ui: &Ui,
) -> Result<Option<Outcome>> {
    let set = plan.sets(values);
    let train = Train {
        config: plan.config.clone(),
        set: sets(args, plan, values),
        device: args.device,
        out: Some(place.to_path_buf()),
        resume: train::has_run(place)?,
        force: false,
        new_data: false,
        tensorboard: args.tensorboard,
        from: None,
    };
    // What keeps a run from its first step (data, memory) is for the caller to mend, and ends the sweep.
    let done = train::whole(&train, ui).with_context(|| format!("run {}", place.display()))?;
    let data = done.trainer.data().cloned();
    let outcome = match done.ended {
        Ok(ended) if ended.interrupted => return Ok(None),
        Ok(ended) => Outcome::of(set, data, &ended),
        Err(error) => {
            ui.error(&format!("run {} failed: {error:#}", place.display()));
            Outcome::failed(set, data, why(&error))
        }
    };
    outcome.write(place)?;
    Ok(Some(outcome))
}

/// Why a run failed, whether it was interrupted before or not: where its last checkpoint is depends on that.
fn why(error: &anyhow::Error) -> String {
    match error.downcast_ref::<TrainError>() {
        Some(error) => error.to_string(),
        None => format!("{error:#}"),
    }
}

/// The tables and the picture of the runs that are over.
fn write(dir: &Path, keys: &[String], rows: &[Row]) -> Result<()> {
    files::write(&dir.join(PICTURE), picture::svg(keys, rows)?.as_bytes())?;
    files::write(&dir.join(CSV), show::csv(keys, rows).as_bytes())?;
    files::write(
        &dir.join(MARKDOWN),
        show::markdown(keys, rows, PICTURE).as_bytes(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_was_interrupted_fails_in_the_words_of_one_that_was_not() {
        let failed = |context: &str| {
            let error = TrainError::NonFinite {
                what: "the loss".into(),
                step: 7,
            };
            why(&anyhow::Error::new(error).context(context.to_owned()))
        };
        let words = failed("training stopped before its first checkpoint");
        assert!(
            words.starts_with("the loss at step 7 is not finite"),
            "{words}"
        );
        assert_eq!(
            words,
            failed("training stopped; runs/000/last is the checkpoint before that")
        );
    }
}
